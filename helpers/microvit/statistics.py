"""Statistics that are counted in the phases of an image: the targets of the pre-training.

``image_statistics`` lists, for each image, volume fraction, two-point autocovariance, lineal-path
function, mean chord lengths, clusters, and estimates of the in-plane conductivity. All are counted
inside the image, without periodic continuation, and mirrors leave them as they are (the last
one nearly so).
"""

from __future__ import annotations

import numpy as np
import scipy.fft
from scipy.ndimage import label

LAGS = (1, 2, 3, 4, 6, 8, 11, 15, 19, 24)
CONTRASTS = (10.0, 100.0)


def statistic_names():
    """Names of the columns of `image_statistics`, and which stay when the phases are swapped.

    In the others a swap changes the sign, but for a constant.
    """
    shared = [f"{c} {d} {r}" for c in ("C", "rho") for d in ("y", "x", "d", "|d|") for r in LAGS]
    paired = ["log fraction"]
    for axis in "yx":
        paired += [f"lineal path {axis} {r}" for r in LAGS] + [f"log chord {axis}"]
        paired += [f"spanning {axis}"]
        paired += [f"conductivity {axis} {k} {c:g}" for k in ("lower", "upper") for c in CONTRASTS]
    paired += ["largest cluster", "log clusters", "log chord x/y"]
    names = ["fraction", *shared]
    for name in paired:
        names += [f"{name}, mean", f"{name}, difference"]
    mask = np.array([n != "fraction" and not n.endswith("difference") for n in names])
    return names, mask


def image_statistics(phases):
    """Statistics of two-phase images, one row each; see `statistic_names`.

    Parameters
    ----------
    phases : ndarray of 0 and 1, shape (n, h, w)
        At least 25 pixels a side.

    Returns
    -------
    ndarray of float32, shape (n, n_statistics)
        What exists for either phase comes as mean and half difference (phase 1 minus phase 0).

    Notes
    -----
    "C" is the two-point autocovariance, the mean of (p(x) - f) (p(x + r) - f) over all pairs
    inside the image (f the volume fraction), "rho" is C / (f (1 - f)); along y, x, and along both
    diagonals: their mean "d" and half their absolute difference. Lineal path: Lu and Torquato
    1992, doi:10.1103/PhysRevA.45.922.

    Examples
    --------
    >>> image_statistics(np.eye(30, dtype=np.uint8)[None]).shape == (1, len(statistic_names()[0]))
    True
    """
    phases = np.ascontiguousarray(phases, np.uint8)
    fraction = phases.mean((1, 2), dtype=np.float64)
    correlation = autocovariance(phases, fraction)
    variance = np.maximum(fraction * (1 - fraction), 0.002)[:, None]
    both = np.stack([_of_phase(phases), _of_phase(1 - phases)])
    paired = np.stack([both.mean(0), (both[0] - both[1]) / 2], axis=2).reshape(len(phases), -1)
    parts = [fraction[:, None], correlation, correlation / variance, paired]
    return np.concatenate(parts, axis=1).astype(np.float32)


def autocovariance(phases, fraction):
    """Two-point autocovariance (n, 4 * n_lags) of phase 1 at `LAGS`, as in `image_statistics`."""
    h, w = phases.shape[1:]
    reach = max(LAGS)
    size = [scipy.fft.next_fast_len(s + reach, real=True) for s in (h, w)]
    field = (phases - fraction[:, None, None]).astype(np.float32)
    spectrum = scipy.fft.rfft2(field, s=size)
    sums = scipy.fft.irfft2(spectrum.real**2 + spectrum.imag**2, s=size)
    r, zero = np.array(LAGS), np.zeros(len(LAGS), int)
    # The two diagonals have Euclidean lags of about r.
    d = np.maximum(1, np.round(r / np.sqrt(2)).astype(int))
    values = []
    for dy, dx in ((r, zero), (zero, r), (d, d), (d, -d)):
        pairs = (h - dy) * (w - np.abs(dx))
        values.append(sums[:, dy, dx] / pairs)
    y, x, up, down = values
    return np.concatenate([y, x, (up + down) / 2, np.abs(up - down) / 2], axis=1)


def _of_phase(phase):
    """Statistics (n, k) of the phase that is 1, in the order of `statistic_names`."""
    columns = [np.log(phase.mean((1, 2)) + 0.01)[:, None]]
    clusters = np.array([_clusters(p) for p in phase])
    chords = [np.log(mean_chord(phase, axis))[:, None] for axis in (1, 2)]
    for axis in (1, 2):
        columns += [lineal_path(phase, axis), chords[axis - 1]]
        columns.append(clusters[:, [axis - 1]])
        columns.append(conductivity_bounds(phase, axis))
    return np.concatenate([*columns, clusters[:, 2:], chords[1] - chords[0]], axis=1)


def lineal_path(phase, axis):
    """Probability that a segment of `LAGS` pixels along `axis` lies in the phase: (n, n_lags)."""
    steps = np.moveaxis(phase, axis, 1)
    sums = np.cumsum(steps, axis=1, dtype=np.int16)
    sums = np.concatenate([np.zeros_like(sums[:, :1]), sums], axis=1)
    return np.stack([((sums[:, r:] - sums[:, :-r]) == r).mean((1, 2)) for r in LAGS], axis=1)


def mean_chord(phase, axis):
    """Mean length (n,) of the phase's chords along `axis` [pixels], 1 where there is none."""
    steps = np.moveaxis(phase, axis, 1)
    starts = steps[:, 0].sum(1, dtype=int)
    starts = starts + ((steps[:, 1:] == 1) & (steps[:, :-1] == 0)).sum((1, 2))
    return np.where(starts == 0, 1, phase.sum((1, 2), dtype=int) / np.maximum(starts, 1))


def _clusters(phase):
    """Share of the area in clusters that span y, that span x; largest; log of their density."""
    labels, count = label(phase)
    if count == 0:
        return 0.0, 0.0, 0.0, 0.0
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    sizes[0] = 0
    ends = ((labels[0], labels[-1]), (labels[:, 0], labels[:, -1]))
    spanning = [sizes[np.intersect1d(*e)].sum() / phase.size for e in ends]
    return *spanning, sizes.max() / phase.size, np.log1p(1e4 * count / phase.size)


def conductivity_bounds(phase, axis):
    """Estimates of the in-plane conductivity along `axis` (1: y, 2: x), a share of log contrast.

    The phase conducts 10 or 100 times better than the other. Blocks of 2 x 2 pixels are replaced
    by one, until one is left: two in series (harmonic mean), then the pairs in parallel (mean),
    which conducts less than the block; or the other way round, which conducts more. Shape (n, 4):
    lower estimate for both contrasts, upper for both, from 0 to 1.
    """
    rows, columns = ((np.arange(64) * side) // 64 for side in phase.shape[1:])
    phase = phase[:, rows][:, :, columns].astype(np.float32)
    phase = phase if axis == 1 else np.ascontiguousarray(phase.swapaxes(1, 2))

    def parallel(c):
        return (c[:, :, ::2] + c[:, :, 1::2]) / 2

    def series(c):
        return 2 * c[:, ::2] * c[:, 1::2] / (c[:, ::2] + c[:, 1::2])

    values = []
    for first, then in ((series, parallel), (parallel, series)):
        for contrast in CONTRASTS:
            c = 1 + np.float32(contrast - 1) * phase
            while c.shape[1] > 1:
                c = then(first(c))
            values.append(np.log(c[:, 0, 0]) / np.log(contrast))
    return np.stack(values, axis=1)
