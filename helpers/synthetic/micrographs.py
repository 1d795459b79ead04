"""Synthetic grey micrographs of superalloys: cuboidal gamma-prime precipitates in gamma channels.

They stand in where no real micrograph ships with the book, and they come with the answer: which
pixel lies in a precipitate.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.special import gamma

from helpers import check_choice


class Micrograph(NamedTuple):
    """A synthetic micrograph and its ground truth."""

    image: np.ndarray
    precipitates: np.ndarray
    volume_fraction: float


def gamma_prime_micrograph(
    seed,
    *,
    shape=(662, 731),
    volume_fraction=0.6,
    size=48.0,
    exponent=4.0,
    size_scatter=0.1,
    disorder=0.05,
    angle=8.0,
    fine_fraction=0.01,
    fine_size=4.0,
    polarity="dark",
    contrast=0.25,
    brightness=0.5,
    edge=0.08,
    illumination=0.08,
    noise=0.04,
    blur=1.0,
):
    """Grey micrograph of gamma-prime precipitates, as a scanning electron microscope shows them.

    Superellipses :math:`|x|^p + |y|^p` on a disturbed square lattice, kept apart by channels; the
    fine precipitates are discs in the channels. Pictures outside the ranges below would not be
    like micrographs; the ranges are not checked.

    Parameters
    ----------
    seed : int or sequence of int
        Fixes the micrograph. The precipitates do not depend on the parameters of the grey
        values, so one microstructure can be imaged in many ways.
    shape : pair of int
        Height and width [pixels], at least 32 each.
    volume_fraction : float
        Area share of all precipitates, 0.1 to 0.9; met to a pixel.
    size : float
        Mean edge length of the cuboids [pixels], at least 6 and at most a quarter of the
        shorter side. The width of the channels follows from it and the volume fraction.
    exponent : float
        Shape exponent p, 1.5 to 12; 2 gives ellipses, large values sharp corners.
    size_scatter, disorder : float
        Standard deviations, 0 to 0.5: of the edge lengths over `size`, and of the positions over
        the lattice's pitch.
    angle : float
        Of the lattice against the rows [degrees], -90 to 90.
    fine_fraction, fine_size : float
        Area share (0 to 0.2, part of `volume_fraction`) and diameter (2 to 50 pixels) of the
        fine precipitates. Where the channels have no room for so many, there are fewer.
    polarity : str
        ``"dark"`` or ``"bright"``: the precipitates against the channels.
    contrast, brightness, edge, illumination, noise : float
        Step between the phases (0.02 to 0.8), mean (0.2 to 0.8), bright rim at the interface
        (0 to 0.5), drift of the brightness across the image (0 to 0.5) and standard deviation of
        the noise (0 to 0.3), each as a share of the grey range.
    blur : float
        Standard deviation of the Gaussian blur [pixels], 0 to 10.

    Returns
    -------
    Micrograph
        ``image`` (h, w) uint8; ``precipitates`` (h, w) uint8, 1 in a precipitate;
        ``volume_fraction``, the area share of ones.

    Examples
    --------
    >>> sample = gamma_prime_micrograph(0, shape=(100, 120), size=20, volume_fraction=0.5)
    >>> sample.image.shape, sample.image.dtype.name, float(sample.precipitates.mean())
    ((100, 120), 'uint8', 0.5)
    """
    check_choice("polarity", polarity, ("dark", "bright"))
    h, w = shape
    streams = [np.random.default_rng([*np.atleast_1d(seed), stream]) for stream in range(3)]

    share = volume_fraction - fine_fraction
    level = _cuboids(streams[0], h, w, share, size, exponent, size_scatter, disorder, angle)
    level -= np.partition(level, -round(share * h * w), axis=None)[-round(share * h * w)]
    level = _with_discs(streams[1], level, fine_fraction, fine_size)
    precipitates = np.zeros(h * w, np.uint8)
    count = round(volume_fraction * h * w)
    precipitates[np.argpartition(level.ravel(), -count)[-count:]] = 1
    precipitates = precipitates.reshape(h, w)

    sign = 1 if polarity == "bright" else -1
    grey = brightness + sign * contrast * (precipitates - volume_fraction)
    # The rim lies on the brighter side, which stands out of the surface and emits more.
    rim = sign * level >= 0
    grey[rim] += edge * np.exp(-abs(level[rim]) / (0.06 * size))
    grey = gaussian_filter(grey, blur) + _appearance(streams[2], h, w, size, illumination, noise)
    image = np.clip(np.round(255 * grey), 0, 255).astype(np.uint8)
    return Micrograph(image, precipitates, float(precipitates.mean()))


def _cuboids(rng, h, w, share, size, exponent, size_scatter, disorder, angle):
    """Level set (h, w), in pixels: positive inside about `share` of the area, then falling."""
    area = gamma(1 + 1 / exponent) ** 2 / gamma(1 + 2 / exponent)  # of a unit superellipse
    pitch = size * np.sqrt(area / share)
    reach = int(np.hypot(h, w) / 2 / pitch) + 2
    lattice = np.mgrid[-reach : reach + 1, -reach : reach + 1].reshape(2, -1).T * pitch
    # Independent steps, and waves over many sites that bend the rows.
    waves = rng.normal(0, 1 / (9 * pitch), (4, 2, 2)), rng.uniform(0, 2 * np.pi, (4, 2))
    bend = np.sin(2 * np.pi * np.einsum("sj,kij->ski", lattice, waves[0]) + waves[1]).sum(1)
    steps = rng.normal(size=lattice.shape)
    turn = np.deg2rad(angle + 30 * disorder * rng.normal(size=len(lattice)))
    edges = size * np.clip(1 + size_scatter * rng.normal(size=lattice.shape), 0.3, 2)
    c, s = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
    sites = (lattice + disorder * pitch * (steps + bend)) @ [[c, s], [-s, c]] + [h / 2, w / 2]
    half = int(np.ceil(1.4 * size))
    seen = np.flatnonzero(((sites > -half) & (sites < np.array([h, w]) + half)).all(1))
    nearest, second = np.full((2, h, w), 4 * size, np.float32)
    for (y, x), (a, b), t in zip(sites[seen], edges[seen], turn[seen], strict=True):
        rows = slice(max(0, int(y) - half), max(0, min(h, int(y) + half)))
        columns = slice(max(0, int(x) - half), max(0, min(w, int(x) + half)))
        dy = np.arange(rows.start, rows.stop, dtype=np.float32)[:, None] - np.float32(y)
        dx = np.arange(columns.start, columns.stop, dtype=np.float32) - np.float32(x)
        c, s = np.float32(np.cos(t)), np.float32(np.sin(t))
        u, v = abs(c * dy - s * dx) / np.float32(a), abs(s * dy + c * dx) / np.float32(b)
        p = np.float32(exponent)
        outside = ((u**p + v**p) ** (1 / p) - np.float32(0.5)) * np.float32(np.sqrt(a * b))
        first = nearest[rows, columns]
        second[rows, columns] = np.minimum(second[rows, columns], np.maximum(first, outside))
        nearest[rows, columns] = np.minimum(first, outside)
    # A channel is left halfway between neighbours; roughness lets a few of them touch.
    rough = _smooth_noise(rng, h, w, 0.12 * size)
    return np.minimum(-nearest, (second - nearest) / 2 - 0.04 * size) + 0.015 * size * rough


def _with_discs(rng, level, fraction, diameter):
    """`level` (h, w) with discs where it is low enough for them and their surroundings."""
    radius, (h, w) = diameter / 2, level.shape
    rooms = np.argwhere(level < -(radius + 1))
    reach = int(np.ceil(diameter + 2))
    level = level.copy()
    wanted = round(fraction * h * w / (np.pi * radius**2))
    for y, x in rng.permutation(rooms)[: 20 * wanted]:
        if wanted == 0:
            break
        if level[y, x] >= -(radius + 1):
            continue  # another disc came first
        r = radius * rng.uniform(0.7, 1.2)
        top, left = max(0, y - reach), max(0, x - reach)
        window = level[top : y + reach + 1, left : x + reach + 1]
        rows, columns = np.ogrid[top : top + window.shape[0], left : left + window.shape[1]]
        np.maximum(window, r - np.hypot(rows - y, columns - x), out=window)
        wanted -= 1
    return level


def _smooth_noise(rng, h, w, width):
    field = gaussian_filter(rng.standard_normal((h, w)).astype(np.float32), width, mode="wrap")
    return field / field.std()


def _appearance(rng, h, w, size, illumination, noise):
    """What the microscope adds to the grey values (h, w): drift, mottle, noise."""
    direction = rng.uniform(0, 2 * np.pi)
    y, x = np.linspace(-0.5, 0.5, h)[:, None], np.linspace(-0.5, 0.5, w)
    drift = illumination * (np.cos(direction) * x + np.sin(direction) * y)
    grain = rng.standard_normal((h, w))
    # The beam dwells along the rows: neighbours in a row share some of the noise.
    grain = (grain + 0.5 * np.roll(grain, 1, axis=1)) / np.hypot(1, 0.5)
    return drift + 0.25 * noise * _smooth_noise(rng, h, w, size / 4) + noise * grain
