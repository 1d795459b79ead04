"""Random two-phase microstructures of many families.

Fields, precipitates and dual-scale mixtures are periodic on the frame they are made in. Lamellae
and colonies are not: where a translated part of the frame runs over its edge, it shows a seam, as
at a fault.
Each function of `FAMILIES` makes `n` of them from one `rng`: uint8 of shape (n, h, w), 0 or 1;
`helpers.microvit.training_images` makes images of them.
"""

from __future__ import annotations

import numpy as np
import scipy.fft
from scipy.spatial import cKDTree
from scipy.special import ndtri

SHEETS = 0.1  # share of the random fields that are cut at two levels


def field_laws(rng, n, shape):
    """Filter widths, directions and spectra of `random_fields`, drawn as those draw them.

    Parameters
    ----------
    rng : numpy.random.Generator
    n : int
    shape : pair of int
        (h, w) of the frame [pixels].

    Returns
    -------
    widths : ndarray of float32, shape (3, n)
        Standard deviations of the filter down, across and along the normal [pixels].
    turn : ndarray of float, shape (n,)
        Angle by which the axes are turned [rad], 0 for two thirds.
    spectrum : ndarray of int, shape (n,)
        0: Gaussian; 1: with a long tail; 2: a band.

    Examples
    --------
    >>> widths, turn, spectrum = field_laws(np.random.default_rng(0), 4, (51, 51))
    >>> widths.shape, bool(widths.max() < 0.6 * 51)
    ((3, 4), True)
    """
    high = 0.6 * min(shape)
    low = np.where(rng.random(n) < 0.5, 0.5, min(5.0, high / 4))
    widths = np.exp(rng.uniform(np.log(low), np.log(high), (3, n))).astype(np.float32)
    turn = np.where(rng.random(n) < 0.33, rng.uniform(0, np.pi, n), 0)
    return widths, turn, rng.choice(3, n, p=[0.7, 0.15, 0.15])


def random_fields(rng, n, shape):
    """Sections of thresholded 3-D fields of filtered noise, over all length scales.

    Filter widths are drawn log-uniformly, each axis by itself, from half a pixel to 0.6 of the
    frame, or (half of the fields) from 5 pixels on; a third have their axes turned. The spectrum
    is Gaussian, or with a long tail (rough interfaces), or a band (spinodal). Some fields are
    cut at two levels (sheets). Along the normal of the section the field has a third width. Of it
    only one thing is seen: the section's mean differs from the volume's. Its variance is computed,
    and drawn.
    """
    h, w = shape
    widths, turn, spectrum = field_laws(rng, n, shape)
    angle, spectrum = turn[:, None, None], spectrum[:, None, None]
    c, s = np.cos(angle).astype(np.float32), np.sin(angle).astype(np.float32)
    ky = scipy.fft.fftfreq(h).astype(np.float32)[:, None]
    kx = scipy.fft.rfftfreq(w).astype(np.float32)
    a, b = ((2 * np.pi * x)[:, None, None] for x in widths[:2])
    q = (a * (c * ky + s * kx)) ** 2 + (b * (c * kx - s * ky)) ** 2
    damping = np.exp(-q / 2)
    if (spectrum > 0).any():
        rough, band = (1 + q) ** -1.25, np.exp(-((np.sqrt(q) - 2) ** 2) * 2)
        damping = np.where(spectrum == 0, damping, np.where(spectrum == 1, rough, band))
    damping[:, 0, 0] = 0
    noise = scipy.fft.rfft2(rng.standard_normal((n, h, w), dtype=np.float32))
    field = scipy.fft.irfft2(noise * damping, s=shape)
    field /= field.std((1, 2), keepdims=True) + 1e-12
    # Power of the modes that are constant in the section, which shift its mean, and of all others.
    k = np.arange(1, 26)[:, None] / min(shape)
    mean_variance = 2 * np.exp(-((2 * np.pi * k * widths[2]) ** 2)).sum(0)
    in_plane = (damping**2).sum((1, 2)) * 2 * (1 + mean_variance)
    share = np.where(spectrum[:, 0, 0] == 2, 0, mean_variance / (mean_variance + in_plane + 1e-12))
    share = np.minimum(share, 0.4)
    level = ndtri(1 - rng.uniform(0.01, 0.99, n)) - np.sqrt(share) * rng.standard_normal(n)
    level = np.clip(level / np.sqrt(1 - share), -3.5, 3.5)
    sheets = (rng.random(n) < SHEETS)[:, None, None]
    field = np.where(sheets, np.abs(field) - np.abs(level[:, None, None]), field)
    return (field > np.where(sheets[:, 0, 0], 0, level)[:, None, None]).astype(np.uint8)


def precipitates(rng, n, shape):
    """Superellipses of many sizes, aspect ratios and corners, scattered or on a lattice."""
    h, w = shape
    points = np.zeros((n, 3, h, w), np.float32)
    kernels = np.zeros((n, 3, h, w), np.float32)
    y = (np.arange(h, dtype=np.float32)[:, None] + h // 2) % h - h // 2
    x = (np.arange(w, dtype=np.float32) + w // 2) % w - w // 2
    for i in range(n):
        size = np.exp(rng.uniform(np.log(2), np.log(0.4 * min(shape))))
        aspect = np.exp(rng.uniform(0, np.log(6)) * rng.choice([0, 0.3, 1]))
        power, fraction = rng.choice([1.2, 2, 2, 4, 8]), rng.uniform(0.02, 0.8)
        base, spread = rng.choice([0, np.pi / 2, rng.uniform(0, np.pi)]), rng.choice([0, 0.1, 2])
        area = 0.85 * size**2
        sites = _sites(rng, shape, fraction, area, aspect if spread < 1 else 1, base)
        scatter = rng.choice([0, 0.15, 0.4])
        for j, group in enumerate(np.array_split(sites, 3)):
            points[i, j, group[:, 0], group[:, 1]] = 1
            t = base + spread * rng.standard_normal()
            a = size / 2 * np.exp(scatter * rng.standard_normal())
            u = np.abs(np.cos(t) * y + np.sin(t) * x) / np.float32(a * np.sqrt(aspect))
            v = np.abs(np.cos(t) * x - np.sin(t) * y) / np.float32(a / np.sqrt(aspect))
            kernels[i, j] = u**power + v**power <= 1
            kernels[i, j, 0, 0] = 1
    spectra = scipy.fft.rfft2(points) * scipy.fft.rfft2(kernels)
    return (scipy.fft.irfft2(spectra, s=shape) > 0.5).any(1).astype(np.uint8)


def _sites(rng, shape, fraction, area, aspect, angle):
    """Pixels (m, 2) in random order: a scatter, or a lattice, disturbed, stretched at `angle`."""
    sides = np.array(shape)
    if rng.random() < 0.4:  # overlap is allowed, so more are needed than their area says
        count = max(1, round(-np.log(1 - fraction) * sides.prod() / area))
        return rng.integers(0, sides, (min(count, 2000), 2))
    along = abs(np.cos(angle))
    stretch = aspect ** (along - 0.5)
    pitch = np.sqrt(area / fraction) * np.array([stretch, 1 / stretch])
    counts = np.maximum(1, np.round(sides / pitch)).astype(int)
    lattice = np.indices(counts).reshape(2, -1).T + rng.random(2)
    lattice = lattice + rng.choice([0.05, 0.15, 0.3]) * rng.standard_normal(lattice.shape)
    return rng.permutation((lattice * sides / counts).astype(int) % sides)


def lamellae(rng, n, shape):
    """Stripes of one direction and spacing, straight or wavy."""
    wave = _stripes(rng, n, shape, rng.choice([0, np.pi / 2, -1], n, p=[0.25, 0.25, 0.5]))
    return (wave < rng.uniform(0.05, 0.95, (n, 1, 1))).astype(np.uint8)


def _stripes(rng, n, shape, angle):
    """Saw-tooth fields (n, h, w) from 0 to 1, one period a lamella; an angle of -1 is random."""
    h, w = shape
    y, x = np.arange(h)[:, None], np.arange(w)
    angle = np.where(angle == -1, rng.uniform(0, np.pi, n), angle)[:, None, None]
    spacing = np.exp(rng.uniform(np.log(3), np.log(0.7 * min(shape)), (n, 1, 1)))
    k = rng.uniform(0.5, 2, (n, 1, 1)) / min(shape)
    bend = rng.choice([0, 0.1, 0.4], (n, 1, 1)) * np.sin(
        2 * np.pi * (k * (np.cos(angle) * x - np.sin(angle) * y) + rng.random((n, 1, 1)))
    )
    phase = (np.cos(angle) * y + np.sin(angle) * x) / spacing + bend + rng.random((n, 1, 1))
    return phase % 1


def polycrystals(rng, n, shape):
    """Voronoi tessellations: a third boundaries, grains of two kinds, colonies of lamellae."""
    h, w = shape
    result = np.empty((n, h, w), np.uint8)
    pixels = np.indices(shape).reshape(2, -1).T + 0.5
    for i in range(n):
        stretch = np.exp(rng.uniform(-0.7, 0.7) * rng.integers(2))
        scale = np.array([stretch, 1 / stretch])
        count = round(np.exp(rng.uniform(np.log(4), np.log(max(5, h * w / 40)))))
        box = np.array(shape) * scale
        tree = cKDTree(rng.random((count, 2)) * box, boxsize=box)
        distances, cells = tree.query(np.minimum(pixels * scale, box * 0.999999), k=2)
        kind, share = i % 3, rng.uniform(0.05, 0.95)
        if kind == 0:
            reach = np.exp(rng.uniform(np.log(0.8), np.log(5)))
            values = distances[:, 1] - distances[:, 0] < reach
        elif kind == 1:
            values = (rng.random(count) < share)[cells[:, 0]]
        else:
            angles, first = rng.uniform(0, np.pi, count), rng.random(count)
            spacing = np.exp(rng.uniform(np.log(3), np.log(h / 4)))
            t = angles[cells[:, 0]]
            depth = (np.cos(t) * pixels[:, 0] + np.sin(t) * pixels[:, 1]) / spacing
            values = (depth + first[cells[:, 0]]) % 1 < share
        result[i] = values.reshape(shape)
    return result


def dual_scale(rng, n, shape):
    """Coarse regions with another microstructure, of a finer scale, inside one of them or both."""
    coarse = (precipitates if rng.random() < 0.5 else random_fields)(rng, n, shape)
    half = tuple(-(-side // 3) for side in shape)
    fine = random_fields(rng, n, half) if rng.random() < 0.5 else precipitates(rng, n, half)
    fine = np.tile(fine, (1, 3, 3))[:, : shape[0], : shape[1]]
    shift = rng.integers(0, shape[0], 2)
    fine = np.roll(fine, shift, (1, 2))
    return np.where(coarse == 1, np.uint8(1), fine)


# Family -> function, share of the samples, whether phase 1 has a shape of its own.
FAMILIES = {
    "fields": (random_fields, 0.55, False),
    "precipitates": (precipitates, 0.2, True),
    "lamellae": (lamellae, 0.05, False),
    "polycrystals": (polycrystals, 0.1, False),
    "dual_scale": (dual_scale, 0.1, False),
}
