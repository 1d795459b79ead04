"""Comparing descriptors: paired errors with an interval, invariance, throughput."""

from __future__ import annotations

import time

import numpy as np
from scipy import stats

from helpers.features import extract_features


def paired_interval(differences, level=0.95):
    """Mean of paired differences of a repeated cross-validation, with a corrected interval.

    Parameters
    ----------
    differences : array_like, shape (n_shuffles, n_folds)
        Error of one descriptor minus that of another on the same fold.
    level : float
        Of confidence, 0 to 1.

    Returns
    -------
    mean : float
    interval : tuple of float
        Lower and upper end.

    Notes
    -----
    Shuffles deal the same samples again, and training parts overlap: neither shuffles nor folds
    are independent, and the usual standard error would shrink to nothing with more shuffles.
    Nadeau and Bengio (2003, doi:10.1023/A:1024068626366) therefore add the ratio of test to
    training samples to 1/n in the variance of the mean; Bouckaert and Frank (2004,
    doi:10.1007/978-3-540-24775-3_3) do so for repeated cross-validation. The interval is then
    one for other samples of the same kind. Percentiles over shuffles are narrower and hold only
    the luck of the dealing.

    Examples
    --------
    >>> mean, interval = paired_interval([[1.0, 2.0], [2.0, 1.0]])
    >>> mean, [round(end, 2) for end in interval]
    (1.5, [-0.55, 3.55])
    """
    d = np.asarray(differences, float)
    spread = np.sqrt((1 / d.size + 1 / (d.shape[1] - 1)) * d.var(ddof=1))
    half = stats.t.ppf((1 + level) / 2, d.size - 1) * spread
    return float(d.mean()), (float(d.mean() - half), float(d.mean() + half))


def ratio_interval(errors, others, level=0.95, draws=2000, seed=0):
    """Ratio of two mean errors on the same samples, with a bootstrap interval.

    Parameters
    ----------
    errors, others : array_like of float, shape (n,)
        Error of each test sample by one descriptor and by another.
    level : float
        Of confidence, 0 to 1.
    draws, seed : int
        Number of bootstrap samples, and their seed.

    Returns
    -------
    ratio : float
    interval : tuple of float
        Percentiles over samples drawn with replacement, the same for both (Efron and Tibshirani
        1993, An Introduction to the Bootstrap). It holds the luck of the test samples, not that
        of the fitted ones.

    Examples
    --------
    >>> ratio_interval([1.0, 2.0, 3.0], [2.0, 4.0, 6.0])
    (0.5, (0.5, 0.5))
    """
    a, b = np.asarray(errors, float), np.asarray(others, float)
    drawn = np.random.default_rng(seed).integers(0, len(a), (draws, len(a)))
    ratios = a[drawn].mean(axis=1) / b[drawn].mean(axis=1)
    low, high = np.quantile(ratios, [(1 - level) / 2, (1 + level) / 2])
    return float(a.mean() / b.mean()), (float(low), float(high))


def centred_cosine(features, changed):
    """Cosine between the features of each image before and after a change.

    Parameters
    ----------
    features, changed : array_like of float, shape (n, d)
        Of the images as they are, and changed.

    Returns
    -------
    ndarray, shape (n,)
        The mean of `features` is subtracted from both: what all images share, which for a random
        network is nearly everything, counts as no similarity.

    Examples
    --------
    >>> centred_cosine([[1.0, 5.0], [-1.0, 5.0]], [[2.0, 5.0], [1.0, 5.0]]).tolist()
    [1.0, -1.0]
    """
    features, changed = np.asarray(features, float), np.asarray(changed, float)
    a, b = features - features.mean(0), changed - features.mean(0)
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return np.sum(a * b, axis=1) / np.maximum(lengths, 1e-30)


def changes(images, rng, noise=0.1):
    """Images after what should leave features alone, and after a turn, which should not.

    Parameters
    ----------
    images : ndarray of float, shape (n, h, h)
        0 to 1. Translation takes them for periodic.
    rng : numpy.random.Generator
    noise : float
        Standard deviation of the noise, which is normal and clipped to 0 to 1.

    Yields
    ------
    name : str
        ``"mirror up-down"``, ``"mirror left-right"``, ``"translation"``, ``"noise"``,
        ``"polarity"`` (bright becomes dark), ``"90-degree turn"``.
    changed : ndarray of float, shape (n, h, h)

    Examples
    --------
    >>> dict(changes(np.eye(2)[None], np.random.default_rng(0)))["polarity"].tolist()
    [[[0.0, 1.0], [1.0, 0.0]]]
    """
    shifts = rng.integers(1, images.shape[1], (len(images), 2))
    moved = [np.roll(image, shift, (0, 1)) for image, shift in zip(images, shifts, strict=True)]
    grain = noise * rng.standard_normal(images.shape)
    yield "mirror up-down", images[:, ::-1]
    yield "mirror left-right", images[:, :, ::-1]
    yield "translation", np.stack(moved)
    yield "noise", np.clip(images + grain, 0, 1).astype(images.dtype)
    yield "polarity", 1 - images
    yield "90-degree turn", np.rot90(images, axes=(1, 2))


def images_per_second(encoders, images, pipeline="section", repeats=3):
    """Throughput of encoders on the same images, preprocessing included.

    Parameters
    ----------
    encoders : mapping of str to Encoder
    images : sequence of ndarray
        All different: equal ones are computed once.
    pipeline : str
        See `helpers.features.extract`.
    repeats : int
        The encoders take turns this many times; the median counts.

    Returns
    -------
    dict of str to ndarray, shape (3,)
        Median, lowest and highest [images/s].
    """
    rates = {name: [] for name in encoders}
    options = {"pipeline": pipeline, "store": False, "progress": False}
    for turn in range(repeats + 1):
        for name, encoder in encoders.items():
            some = images if turn else images[:8]  # the first turn warms up
            start = time.perf_counter()
            extract_features(some, encoder, **options)
            if turn:
                rates[name].append(len(images) / (time.perf_counter() - start))
    return {name: np.array([np.median(r), min(r), max(r)]) for name, r in rates.items()}
