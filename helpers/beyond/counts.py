"""Descriptors of two-phase images that are counted: rivals of the two-point statistics.

Chord lengths, lineal path, cluster function and persistent homology, each of both phases: first
of phase 0, then of phase 1. All are counted inside the image, without periodic continuation.
"""

from __future__ import annotations

import numpy as np
import scipy.ndimage

from helpers import UserError
from helpers.io.optional import optional

LAGS = 25  # pixels: about half the side of the embedded sections
REACH = 12  # pixels to the interface, beyond which distances count alike
STRETCH = 3  # of steps along one axis, for distances that know a direction
LANDSCAPES = 3  # functions of a persistence diagram


def chord_lengths(images, lags=LAGS):
    """Shares of a phase's pixels by the length of the chord they lie in, along columns and rows.

    Parameters
    ----------
    images : array_like of 0 and 1, shape (n, h, w)
    lags : int
        Longest length that is told apart [pixels], less than h and w. Bins of lengths are
        log-spaced from 1 to `lags`; the last one, from `lags` on, is open.

    Returns
    -------
    ndarray of float32, shape (n, 4 * n_bins)
        Phase 0 along columns (y) and along rows (x), then phase 1. The bins of a phase that is
        there sum to 1, of one that is not to 0. Chords end at the edge of the image.

    Raises
    ------
    ValueError
        Images or lags other than these.

    Notes
    -----
    Torquato and Lu 1993, doi:10.1103/PhysRevE.47.2950, where chords are counted by their number.

    Examples
    --------
    >>> stripes = np.array([[1, 1, 0, 1, 1, 0]] * 6)
    >>> chord_lengths(stripes[None], lags=3).reshape(2, 2, -1).tolist()[1]  # phase 1
    [[0.0, 0.0, 1.0], [0.0, 1.0, 0.0]]
    """
    chords = _count_chords(images, lags)
    pixels = chords * np.arange(chords.shape[3])
    first = np.unique(np.geomspace(1, lags, 2 + lags // 2).round().astype(int))
    shares = np.add.reduceat(pixels, first, axis=3)
    shares = shares / np.maximum(shares.sum(3, keepdims=True), 1)
    return shares.reshape(len(shares), -1).astype(np.float32)


def lineal_path(images, lags=LAGS):
    """Probability that a segment of 1 to `lags` pixels lies in one phase, along columns and rows.

    Parameters
    ----------
    images, lags
        As in `chord_lengths`.

    Returns
    -------
    ndarray of float32, shape (n, 4 * lags)
        Phase 0 along columns (y) and along rows (x), then phase 1; of all segments inside the
        image.

    Raises
    ------
    ValueError
        Images or lags other than these.

    Notes
    -----
    Lu and Torquato 1992, doi:10.1103/PhysRevA.45.922. A chord of L pixels holds L - r + 1 segments
    of r pixels.

    Examples
    --------
    >>> stripes = np.array([[1, 1, 0, 0]] * 4)
    >>> lineal_path(stripes[None], lags=2).reshape(2, 2, 2).round(2)[1]  # phase 1
    array([[0.5 , 0.5 ],
           [0.5 , 0.33]], dtype=float32)
    """
    chords = _count_chords(images, lags)
    sides, r = np.array(np.shape(images)[1:]), np.arange(1, lags + 1)
    held = np.maximum(np.arange(chords.shape[3])[:, None] - r + 1, 0)
    segments = sides[::-1, None] * (sides[:, None] - r + 1)
    return (chords @ held / segments).reshape(len(chords), -1).astype(np.float32)


def cluster_function(images, lags=LAGS):
    """Probability that two pixels 0 to `lags` apart lie in the same cluster of a phase.

    Parameters
    ----------
    images, lags
        As in `chord_lengths`.

    Returns
    -------
    ndarray of float32, shape (n, 4 * (lags + 1))
        Phase 0 with lags along columns (y) and along rows (x), then phase 1; of all pairs inside
        the image. The first value is the phase's fraction.

    Raises
    ------
    ValueError
        Images or lags other than these.

    Notes
    -----
    Torquato, Beasley and Chiew 1988, doi:10.1063/1.454845. Pixels that share an edge are
    connected; clusters that meet only beyond the edge of the image are two.

    Examples
    --------
    >>> stripes = np.array([[1, 1, 0, 1]] * 4)
    >>> cluster_function(stripes[None], lags=2).reshape(2, 2, 3).round(2)[1]  # phase 1
    array([[0.75, 0.75, 0.75],
           [0.75, 0.33, 0.  ]], dtype=float32)
    """
    images = _two_phase(images, lags)
    edges = np.zeros((3, 3, 3))
    edges[1] = scipy.ndimage.generate_binary_structure(2, 1)  # none from image to image
    parts = []
    for part in np.array_split(images, -(-len(images) // 256)):  # near the cache
        columns = []
        for phase in (part == 0, part == 1):
            labels = scipy.ndimage.label(phase, edges)[0]
            for ahead in (labels, labels.swapaxes(1, 2)):
                for r in range(lags + 1):
                    first, second = ahead[:, : ahead.shape[1] - r], ahead[:, r:]
                    columns.append(((first == second) & (first > 0)).mean((1, 2)))
        parts.append(np.stack(columns, axis=1))
    return np.concatenate(parts).astype(np.float32)


def persistent_homology(images):
    """Persistence landscapes of the signed distance to the interface, by GUDHI.

    Parameters
    ----------
    images : array_like of 0 and 1, shape (n, h, w)

    Returns
    -------
    ndarray of float32, shape (n, 8 * LANDSCAPES * (2 * REACH + 1))
        Phase 0 with distances along columns (y) and along rows (x) that count more, then phase 1;
        of each the clusters (dimension 0), then the loops (dimension 1): landscapes at distances
        from -REACH to REACH [pixels].

    Raises
    ------
    ValueError
        Other images; GUDHI is not installed (a `PackageError`).

    Notes
    -----
    A phase grows from its deepest pixels to its interface and beyond; clusters and loops are born
    and die on the way. Distances are clipped to `REACH`. A distance is blind to directions, which
    matter to a load: it is taken twice, with steps along one axis `STRETCH` times as long.
    Distances: Robins et al. 2016, doi:10.1002/2015WR017937. Landscapes: Bubenik 2015,
    https://jmlr.org/papers/v16/bubenik15a.html; they are depths in pixels, the few largest, so
    that the size of an image does not count.

    Examples
    --------
    >>> persistent_homology(np.eye(6)[None]).shape
    (1, 600)
    """
    gudhi = optional("gudhi.sklearn", "bench")
    landscape = optional("gudhi.representations", "bench").Landscape
    images = _two_phase(images)
    persistence = gudhi.CubicalPersistence([0, 1])
    landscape = landscape(LANDSCAPES, 2 * REACH + 1, sample_range=[-REACH, REACH])
    columns = []
    for phase in (images == 0, images == 1):
        for steps in ((STRETCH, 1), (1, STRETCH)):
            fields = [_depth(~image, steps) - _depth(image, steps) for image in phase]
            diagrams = zip(*persistence.fit_transform(fields), strict=True)  # of each dimension
            for each in diagrams:  # what never dies, dies at the end
                columns.append(landscape.fit_transform([np.minimum(d, REACH) for d in each]))
    return np.hstack(columns).astype(np.float32)


def _depth(phase, steps):
    """Distance (h, w) to the other phase, up to REACH, also where there is none."""
    if phase.all():
        return np.full(phase.shape, float(REACH))
    return np.minimum(scipy.ndimage.distance_transform_edt(phase, steps), REACH)


def _count_chords(images, lags):
    """Number of chords by phase, axis (y, x) and length from 0 on: (n, 2, 2, m)."""
    images = _two_phase(images, lags)
    n, m = len(images), max(images.shape[1:]) + 1
    counts = []
    for axis in (1, 2):
        lines = np.moveaxis(images, axis, 2)
        first = np.ones(lines.shape, bool)
        first[..., 1:] = lines[..., 1:] != lines[..., :-1]
        start = np.flatnonzero(first)  # each line starts a chord
        length = np.diff(start, append=first.size)
        cell = (start // images[0].size * 2 + lines[first]) * m + length
        counts.append(np.bincount(cell, minlength=n * 2 * m).reshape(n, 2, m))
    return np.stack(counts, axis=2)


def _two_phase(images, lags=1):
    """Images as uint8, after a look at them and at the lags asked for."""
    images = np.asarray(images)
    if images.ndim != 3 or images.size == 0 or images.dtype.kind not in "biuf":
        raise UserError(
            f"the images have shape {images.shape} and type {images.dtype}: expected numbers "
            "(n, h, w); pass image[None] for a single one"
        )
    wrong = images[(images != 0) & (images != 1)]
    if wrong.size:
        raise UserError(
            f"the images hold {wrong[0]}: expected 0 and 1; segment them first, or pass "
            "images > threshold"
        )
    if lags not in range(1, min(images.shape[1:])):
        raise UserError(
            f"lags is {lags}: with images of {images.shape[1:]} expected an integer between 1 and "
            f"{min(images.shape[1:]) - 1}"
        )
    return images.astype(np.uint8)
