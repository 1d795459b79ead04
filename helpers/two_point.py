"""Two-point statistics of phases: autocorrelations and cross-correlations.

``two_point_statistics`` counts, for every lag r, the pairs of pixels (x, x + r)
whose first pixel lies in one phase and whose second lies in another, and divides
by the number of pairs. ``micrograph_descriptor`` is what case study 2 takes of a segmented
micrograph; ``TwoPointStatistics`` is the first for a scikit-learn ``Pipeline``.
"""

from __future__ import annotations

import math
import os
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import scipy.fft
from sklearn.base import BaseEstimator, TransformerMixin

from helpers import UserError

# Pixels in one batch: enough to hide the cost of a call, few enough that the arrays of a
# batch stay near the cache. It bounds the working memory, about 6 MB a thread.
BATCH_PIXELS = 2**18
# Up to this many pixels a single-precision FFT is wrong by far less than 0.5 in a
# count of pairs, so that rounding gives the exact count (tests/test_two_point.py).
SINGLE_PRECISION_PIXELS = 2**16


def two_point_statistics(
    a, b=None, *, periodic=True, cutoff=None, mask=None, ndim=2, dtype=np.float64, workers=None
):
    """Two-point statistics of one phase (b is None) or between two phases.

    S(r) = sum over x of a(x) b(x + r), divided by the number of pairs (x, x + r).
    For indicators of phases it is the probability that a vector r thrown at random
    onto the section starts in phase a and ends in phase b.

    Parameters
    ----------
    a : array_like, shape (..., h, w) or, with ``ndim=3``, (..., d, h, w)
        Indicator of the phase: bool, integer or float, values in [0, 1]. Values
        between 0 and 1 are fractional local states. Leading axes are a batch.
    b : array_like of the same shape, optional
        Indicator of the second phase. None: b = a, the autocorrelation.
    periodic : bool
        True: the section continues periodically, so every lag has as many pairs as
        the section has pixels. False: only the pairs inside the section count.
    cutoff : int, optional
        Largest lag along each axis, in pixels; the map then has 2 * cutoff + 1 values
        a side. With n pixels along the shortest side it is at most (n - 1) // 2 if
        periodic (larger lags repeat smaller ones), else n - 1. None: the whole map, of
        the shape of the section, if periodic, else n // 2.
    mask : array_like of bool (or 0 and 1), shape of a section or of ``a``, optional
        True where a pixel is valid. A pair counts if both its pixels are valid; what
        ``a`` and ``b`` hold elsewhere is ignored, NaN included. None: all are valid.
    ndim : {2, 3}
        Number of spatial axes, the last ones of ``a``.
    dtype : {float64, float32}
        Type of the result. float32 halves its memory and is right to 1e-7.
    workers : int, optional
        Number of threads. None: one per processor, at most 8. The result does not
        depend on it.

    Returns
    -------
    ndarray, shape (..., n_lags, n_lags) or (..., n_lags, n_lags, n_lags)
        Probabilities. Zero lag stands at index ``size // 2`` of each axis: lags run
        from -cutoff to cutoff, and over the whole periodic map from -(n // 2) to
        (n - 1) // 2; with n even, lag -n/2 is also n/2.

    Raises
    ------
    ValueError
        Shapes that do not fit, empty or complex arrays, values outside [0, 1] or NaN,
        a cutoff beyond the section, a lag for which the mask leaves no pair, no worker.

    Notes
    -----
    Case study 1 of the paper (its section 3.1) is the periodic autocorrelation of the
    stiff phase; case study 2 (section 3.2) is ``two_point_statistics(a, 1 - a,
    periodic=False)``. Definition: Jiao, Stillinger and Torquato 2007,
    doi:10.1103/PhysRevE.76.031110. Sums by FFT, with zero padding and masks: Cecen,
    Fast and Kalidindi 2016, doi:10.1186/s40192-015-0044-x.

    Where ``a`` and ``b`` hold only 0 and 1 the sums are counts; they are rounded to
    integers, so that the result is exact up to the final division. Sections pass
    through in batches: memory beyond input and output does not grow with their number.

    Examples
    --------
    >>> stripes = np.array([[1, 0, 0, 1, 0, 0]] * 6)
    >>> two_point_statistics(stripes, cutoff=1).round(3)
    array([[0.   , 0.333, 0.   ],
           [0.   , 0.333, 0.   ],
           [0.   , 0.333, 0.   ]])
    >>> two_point_statistics(stripes, 1 - stripes, periodic=False).shape
    (7, 7)
    """
    phases = {"a": _real_array(a, "a", ndim)}
    if b is not None:
        phases["b"] = _real_array(b, "b", ndim)
    batch_shape, shape = phases["a"].shape[:-ndim], phases["a"].shape[-ndim:]
    if b is not None and phases["b"].shape != batch_shape + shape:
        raise UserError(
            f"b has shape {phases['b'].shape}, a {batch_shape + shape}: expected the same shape"
        )
    if np.dtype(dtype) not in (np.float64, np.float32):
        raise UserError(f"dtype is {np.dtype(dtype)}: choose float64 or float32")
    workers = min(os.cpu_count() or 1, 8) if workers is None else workers
    grid = _grid(shape, periodic, cutoff)
    mask = _valid_pixels(mask, batch_shape, shape)
    one_mask = mask is None or len(mask) == 1
    pairs = _count_pairs(mask, grid) if one_mask else None

    phases = {name: x.reshape(-1, *shape) for name, x in phases.items()}
    n = len(phases["a"])
    result = np.empty((n, *map(len, grid.lags)), dtype)
    step = max(1, BATCH_PIXELS // math.prod(grid.sizes))

    def fill(start):
        rows = slice(start, start + step)
        valid = mask if one_mask else mask[rows]
        states = [_local_states(x[rows], name, valid, start) for name, x in phases.items()]
        _pair_sums(states, grid, result[rows], workers if n <= step else 1)
        result[rows] /= pairs if one_mask else _count_pairs(valid, grid, start)

    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(fill, range(0, n, step)))  # list: raises what a thread raised
    return result.reshape(*batch_shape, *result.shape[1:])


def micrograph_descriptor(binary_image, size=159):
    """Descriptor of a segmented micrograph: cross-correlation of foreground and background.

    Parameters
    ----------
    binary_image : array_like, shape (h, w)
        0 background, 1 foreground (bool, integer or float).
    size : int
        Side of the square of lags that is kept around zero lag, 1 to 2 * (min(h, w) // 2) + 1.

    Returns
    -------
    ndarray of float64, shape (size * size,)
        Probabilities that a pixel lies in the foreground and the one a lag away in the
        background, among the pairs inside the image; column by column. With 159 there are
        25 281.

    Raises
    ------
    ValueError
        Other values, another number of axes, an image too small for `size`.

    Notes
    -----
    Section 3.2 of the paper, where 159 is what the smallest of its 149 maps allows. It does
    not matter which phase is the foreground: exchanging them turns the map by 180 degrees.

    Examples
    --------
    >>> micrograph_descriptor(np.eye(6), size=3).round(2)
    array([0.  , 0.17, 0.16, 0.17, 0.  , 0.17, 0.16, 0.17, 0.  ])
    """
    image = np.asarray(binary_image)
    if image.ndim != 2 or image.dtype.kind not in "biuf":
        raise UserError(
            f"the image has shape {image.shape} and type {image.dtype}: expected numbers (h, w)"
        )
    wrong = image[(image != 0) & (image != 1)]
    if wrong.size:
        raise UserError(
            f"the image holds {wrong[0]}: expected 0 (background) and 1 (foreground); segment "
            "it first, or pass image > threshold"
        )
    limit = 2 * (min(image.shape) // 2) + 1 if image.size else 0
    if not 1 <= size <= limit:
        raise UserError(
            f"size is {size}: with an image of {image.shape} it must lie between 1 and {limit}; "
            "choose a smaller size, the same for all images, or leave the image out"
        )
    foreground = image.astype(bool)
    lags = two_point_statistics(foreground, ~foreground, periodic=False, cutoff=size // 2)
    return lags[:size, :size].ravel(order="F")  # an even size has one lag more on one side


class ImageStep(TransformerMixin, BaseEstimator):
    """A step that takes images, (n, h, w), and fits nothing; `features.ViTFeatures` is one too."""

    def fit(self, X, y=None):
        """Do nothing but return self, as a ``Pipeline`` expects."""
        return self

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.input_tags.three_d_array = True
        tags.input_tags.two_d_array = False
        return tags


class TwoPointStatistics(ImageStep):
    """Sections to rows of two-point statistics, for a scikit-learn ``Pipeline``.

    The autocorrelation map of each section, flattened row by row. Nothing is fitted:
    each row depends on its own section alone.

    Parameters
    ----------
    periodic, cutoff, dtype
        As in ``two_point_statistics``.

    Examples
    --------
    >>> sections = np.eye(5, dtype=np.uint8)[None].repeat(4, axis=0)
    >>> TwoPointStatistics().fit_transform(sections).shape
    (4, 25)
    """

    def __init__(self, periodic=True, cutoff=None, dtype=np.float64):
        self.periodic = periodic
        self.cutoff = cutoff
        self.dtype = dtype

    def transform(self, X):
        """Sections (n, h, w), values in [0, 1], to descriptors (n, n_lags_total)."""
        X = np.asarray(X)
        if X.ndim != 3:
            raise UserError(f"X has shape {X.shape}: expected sections of shape (n, h, w)")
        maps = two_point_statistics(
            X, periodic=self.periodic, cutoff=self.cutoff, dtype=self.dtype
        )
        return maps.reshape(len(maps), -1)


class _Grid(NamedTuple):
    shape: tuple  # of a section or volume
    periodic: bool
    lags: list  # one range per axis
    sizes: list  # of the FFT: the shape, padded where it must not wrap around


def _grid(shape, periodic, cutoff):
    limit = (min(shape) - 1) // 2 if periodic else min(shape) - 1
    if cutoff is None and periodic:
        lags = [range(-(n // 2), (n + 1) // 2) for n in shape]
        return _Grid(shape, periodic, lags, list(shape))
    cutoff = min(shape) // 2 if cutoff is None else cutoff
    if cutoff not in range(limit + 1):
        raise UserError(
            f"cutoff is {cutoff}: with shape {shape} and periodic={periodic} expected an integer "
            f"between 0 and {limit}, or None"
        )
    # Zeros as wide as the largest lag keep pairs from wrapping around the edge.
    pad = 0 if periodic else cutoff
    sizes = [scipy.fft.next_fast_len(n + pad, real=True) if pad else n for n in shape]
    return _Grid(shape, periodic, [range(-cutoff, cutoff + 1)] * len(shape), sizes)


def _real_array(x, name, ndim):
    x = np.asarray(x)
    if ndim not in (2, 3):
        raise UserError(f"ndim is {ndim}: choose 2 (sections) or 3 (volumes)")
    if x.dtype.kind not in "biuf":
        raise UserError(f"{name} has dtype {x.dtype}: expected bool, integers or real floats")
    if x.ndim < ndim or x.size == 0:
        raise UserError(
            f"{name} has shape {x.shape}: expected at least {ndim} axes, none of length 0"
        )
    return x


def _valid_pixels(mask, batch_shape, shape):
    """Mask as bool of shape (1 or n, *shape), or None."""
    if mask is None:
        return None
    mask = np.asarray(mask)
    if mask.shape not in (shape, batch_shape + shape):
        raise UserError(f"mask has shape {mask.shape}: expected {shape} or {batch_shape + shape}")
    wrong = mask[(mask != 0) & (mask != 1)]
    if wrong.size:
        raise UserError(f"mask holds {wrong[0]}: expected 1 or True where valid, else 0 or False")
    return mask.astype(bool, copy=False).reshape(-1, *shape)


def _local_states(batch, name, valid, start):
    """The batch with invalid pixels at 0, and whether it holds only 0 and 1."""
    if valid is not None:
        batch = np.where(valid, batch, batch.dtype.type(0))
    if not (batch.min() >= 0 and batch.max() <= 1):  # true for NaN as well
        where = tuple(np.argwhere(~((batch >= 0) & (batch <= 1)))[0])
        raise UserError(
            f"{name} holds {batch[where]} (sample {start + where[0]}): expected the indicator "
            "of a phase, values from 0 to 1; segment the image, or pass image == phase"
        )
    return batch, batch.dtype.kind in "biu" or bool(((batch == 0) | (batch == 1)).all())


def _pair_sums(states, grid, out, workers=1):
    """Write the sum over x of a(x) b(x + r) at each lag r into out; one state is a = b.

    A correlation is a product of spectra: its transform is conj(A) B, and |A|^2 where b = a. Where
    a and b are 0 outside a mask, pairs with an invalid pixel add nothing to it; how many valid
    pairs there are at each lag is the autocorrelation of the mask (`_count_pairs`).
    """
    exact = all(binary for _, binary in states)
    single = exact and math.prod(grid.sizes) <= SINGLE_PRECISION_PIXELS
    axes = tuple(range(1, 1 + len(grid.sizes)))
    options = {"s": grid.sizes, "axes": axes, "workers": workers}
    spectra = [
        scipy.fft.rfftn(x.astype(np.float32 if single else np.float64), **options)
        for x, _ in states
    ]
    before, stop = -grid.lags[0].start, grid.lags[0].stop
    if len(spectra) == 2:
        sums = scipy.fft.irfftn(spectra[0].conj() * spectra[1], **options)
    else:  # S(r) = S(-r): half the map, from lag 0 of the first axis on, is enough
        power = spectra[0].real ** 2
        power += spectra[0].imag ** 2
        # |A|^2 is real: along the first axis its inverse transform has Hermitian symmetry, and
        # ihfft computes the half of it that differs; along the others it is an ordinary one.
        sums = scipy.fft.ihfft(power, axis=1, workers=workers)[:, : max(stop, before + 1)]
        options |= {"s": grid.sizes[1:], "axes": axes[1:]}
        sums = scipy.fft.irfftn(sums, overwrite_x=True, **options)
    if exact:  # counts of pairs
        np.rint(sums, out=sums)
    else:  # round-off must not make a probability negative
        np.maximum(sums, 0, out=sums)
    # The FFT puts negative lags last: roll the smallest lag of each axis to index 0.
    shifts = [-lags.start for lags in grid.lags]
    crop = (..., *(slice(len(lags)) for lags in grid.lags))
    if len(spectra) == 2:
        out[...] = np.roll(sums, shifts, axes)[crop]
    else:
        out[:, before:] = np.roll(sums[:, :stop], shifts[1:], axes[1:])[crop]
        # Flipped, lag -k of n stands at n - 1 - k; the order of the FFT is one step further.
        mirrored = np.flip(sums[:, 1 : before + 1], axes)
        out[:, :before] = np.roll(mirrored, [n + 1 for n in shifts[1:]], axes[1:])[crop]


def _count_pairs(mask, grid, start=None):
    """Number of valid pairs at each lag; an error names a lag that has none."""
    if mask is None:
        if grid.periodic:
            return math.prod(grid.shape)
        per_axis = [n - np.abs(lags) for n, lags in zip(grid.shape, grid.lags, strict=True)]
        return math.prod(np.ix_(*per_axis)).astype(np.float64)
    pairs = np.empty((len(mask), *map(len, grid.lags)))
    _pair_sums([(mask, True)], grid, pairs)
    if not pairs.all():
        sample, *index = np.argwhere(pairs == 0)[0].tolist()
        lag = tuple(lags[i] for lags, i in zip(grid.lags, index, strict=True))
        which = "" if start is None else f" of sample {start + sample}"
        raise UserError(
            f"mask{which} leaves no pair of valid pixels at lag {lag}: "
            "choose a smaller cutoff or a mask with more valid pixels"
        )
    return pairs
