"""What a microscope makes of random microstructures: the images of pre-training.

`sample_batch` draws batches from all families of `helpers.microvit.microstructures`. Training sees
parts of their frames, translated and mirrored but never turned: along and across stay what they
are.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import scipy.fft

from helpers.microvit import microstructures


class Batch(NamedTuple):
    """Images of one size and the microstructures below them.

    Attributes
    ----------
    images : ndarray of float32, shape (n, h, w)
        What a network sees, 0 to 1.
    phases : ndarray of uint8, shape (n, h, w)
        Phases 0 and 1.
    known : ndarray of bool, shape (n,)
        Whether the image tells which phase is 1: it is binary, or that phase has a shape of its
        own. Elsewhere only what both phases share can be asked for.
    family : ndarray of str, shape (n,)
    """

    images: np.ndarray
    phases: np.ndarray
    known: np.ndarray
    family: np.ndarray


def crop(rng, phases, shape):
    """Random part (n, h, w) of each frame (n, H, W), which may be translated and mirrored."""
    n, height, width = phases.shape
    rows = (rng.integers(0, height, (n, 1)) + np.arange(shape[0])) % height
    columns = (rng.integers(0, width, (n, 1)) + np.arange(shape[1])) % width
    rows = np.where(rng.random((n, 1)) < 0.5, rows, rows[:, ::-1])
    columns = np.where(rng.random((n, 1)) < 0.5, columns, columns[:, ::-1])
    return phases[np.arange(n)[:, None, None], rows[:, :, None], columns[:, None, :]]


def render(rng, phases, grey):
    """Images of microstructures: binary, binary with soft edges, or grey as from an SEM.

    Parameters
    ----------
    rng : numpy.random.Generator
    phases : ndarray of 0 and 1, shape (n, h, w)
    grey : ndarray of bool, shape (n,)
        True: random polarity, contrast, brightness, blur, illumination gradient, mottle, noise.
        False: the phases as they are, one in four with edges as after downsampling.

    Returns
    -------
    ndarray of float32, shape (n, h, w)
        0 to 1.
    """
    n, h, w = phases.shape

    def draw(low, high):
        return rng.uniform(low, high, (n, 1, 1)).astype(np.float32)

    soft = grey | (rng.random(n) < 0.25)
    ky, kx = scipy.fft.fftfreq(h)[:, None], scipy.fft.rfftfreq(w)
    k2 = (-2 * np.pi**2 * (ky**2 + kx**2)).astype(np.float32)
    images = phases.astype(np.float32)
    some = np.flatnonzero(soft)
    blur = np.exp(k2 * draw(0.3, 1.3)[some] ** 2)
    images[some] = scipy.fft.irfft2(scipy.fft.rfft2(images[some]) * blur, s=(h, w))
    some = np.flatnonzero(grey)
    noise = rng.standard_normal((2, len(some), h, w), dtype=np.float32)
    mottle = scipy.fft.irfft2(scipy.fft.rfft2(noise[1]) * np.exp(k2 * (h / 8) ** 2), s=(h, w))
    mottle /= mottle.std((1, 2), keepdims=True)
    angle, contrast = draw(0, 2 * np.pi), draw(0.15, 0.9) * rng.choice([-1, 1], (n, 1, 1))
    y, x = np.linspace(-0.5, 0.5, h)[:, None], np.linspace(-0.5, 0.5, w)
    drift = draw(0, 0.3) * (np.cos(angle) * y + np.sin(angle) * x)
    image = draw(0.3, 0.7)[some] + contrast[some] * (images[some] - 0.5) + drift[some]
    streak = draw(0, 0.6)[some]  # the beam dwells along the rows: neighbours share noise
    grain = (noise[0] + streak * np.roll(noise[0], 1, 2)) / np.sqrt(1 + streak**2)
    level = np.abs(contrast[some]) * draw(0, 0.35)[some]
    images[some] = image + level * grain + draw(0, 0.05)[some] * mottle
    return np.clip(images, 0, 1)


def sample_batch(rng, n, shape=(49, 49), *, grey=0.35):
    """Draw `n` microstructures and image a random part of each.

    Parameters
    ----------
    rng : numpy.random.Generator
    n : int
    shape : pair of int
        (h, w) of the images [pixels].
    grey : float
        Share of grey images; the others are binary.

    Examples
    --------
    >>> batch = sample_batch(np.random.default_rng(0), 8)
    >>> batch.images.shape, batch.phases.dtype.name
    ((8, 49, 49), 'uint8')
    """
    names = list(microstructures.FAMILIES)
    counts = rng.multinomial(n, [share for _, share, _ in microstructures.FAMILIES.values()])
    # As the sections of the embedded data: hardly cropped. Or a small part of a larger frame.
    frame = tuple(s + 2 if rng.random() < 0.6 else round(1.4 * s) for s in shape)
    made = zip(microstructures.FAMILIES.values(), counts, strict=True)
    parents = [make(rng, count, frame) for (make, *_), count in made if count]
    parents, family = np.concatenate(parents), np.repeat(names, counts)
    inverted = rng.random(n) < 0.3
    parents[inverted] ^= 1
    own_shape = np.array([microstructures.FAMILIES[f][2] for f in family]) & ~inverted
    order = rng.permutation(n)
    phases, family = crop(rng, parents[order], shape), family[order]
    is_grey = rng.random(n) < grey
    return Batch(render(rng, phases, is_grey), phases, own_shape[order] | ~is_grey, family)
