"""Intervals: of a difference of errors, of a ratio of errors, and of a prediction.

And p-values, of such an interval and of many together.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import stats
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import StandardScaler

from helpers import UserError


def paired_interval(differences):
    """Mean of paired differences of a repeated cross-validation, with a corrected 95 % interval.

    Parameters
    ----------
    differences : array_like, shape (n_shuffles, n_folds)
        Error of one descriptor minus that of another on the same fold.

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
    half = stats.t.ppf(0.975, d.size - 1) * spread
    return float(d.mean()), (float(d.mean() - half), float(d.mean() + half))


def p_value(value, low, high, degrees=np.inf):
    """Two-sided p-values of numbers with intervals of 95 % around them, against zero.

    `degrees` are those of Student's t behind the intervals: of `paired_interval` one less than
    the folds of all shuffles. Infinite: of the normal distribution. All arguments may be arrays.

    Examples
    --------
    >>> round(float(p_value(-2.0, -4.0, 0.0, 9)), 6)
    0.05
    """
    error = np.subtract(high, low) / 2 / stats.t.ppf(0.975, degrees)
    return 2 * stats.t.sf(np.abs(value) / error, degrees)


def holm(p):
    """p-values (n,) of comparisons that are judged together, adjusted so that 5 % holds for all.

    Of n that are all due to chance, one or more falls below 0.05 in at most 5 % of the cases,
    however they depend on each other (Holm 1979, https://www.jstor.org/stable/4615733).

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03]).round(6).tolist()
    [0.03, 0.06, 0.06]
    """
    order = np.argsort(p)
    steps = np.asarray(p, float)[order] * np.arange(len(order), 0, -1)
    return np.minimum(np.maximum.accumulate(steps), 1)[np.argsort(order)]


def ratio_interval(errors, others):
    """Ratio of two mean errors on the same samples, with a bootstrap interval.

    Parameters
    ----------
    errors, others : array_like of float, shape (n,)
        Error of each test sample by one descriptor and by another.

    Returns
    -------
    ratio : float
    interval : tuple of float
        95 %: percentiles over 2000 draws of samples with replacement, the same for both (Efron
        and Tibshirani 1993, An Introduction to the Bootstrap). It holds the luck of the test
        samples, not that of the fitted ones.

    Examples
    --------
    >>> ratio_interval([1.0, 2.0, 3.0], [2.0, 4.0, 6.0])
    (0.5, (0.5, 0.5))
    """
    a, b = np.asarray(errors, float), np.asarray(others, float)
    drawn = np.random.default_rng(0).integers(0, len(a), (2000, len(a)))
    ratios = a[drawn].mean(axis=1) / b[drawn].mean(axis=1)
    low, high = np.quantile(ratios, [0.025, 0.975])
    return float(a.mean() / b.mean()), (float(low), float(high))


def nearest_distances(X, reference, groups=None):
    """Distances of samples (n, n_features) to the nearest of a reference, each feature by its
    standard deviation there.

    With `groups` (n,) the samples are the reference, and look for one of another group.
    """
    scaler = StandardScaler().fit(reference)
    Z, near = scaler.transform(X), scaler.transform(reference)
    if groups is None:
        return NearestNeighbors(n_neighbors=1).fit(near).kneighbors(Z)[0][:, 0]
    distances = np.empty(len(X))
    for group in np.unique(groups):
        own = groups == group
        search = NearestNeighbors(n_neighbors=1).fit(near[~own])
        distances[own] = search.kneighbors(Z[own])[0][:, 0]
    return distances


def typicality(distances, among):
    """Share of fitted samples that lie at least as far from their nearest, 0 to 1.

    `distances` (n,) of new samples and `among` (m,) of the fitted ones, `nearest_distances` both.
    A conformal p-value (Laxhammar and Falkman 2015, doi:10.1007/s10472-013-9381-7): of samples
    like the fitted ones about 5 % lie below 0.05.

    Examples
    --------
    >>> typicality(np.array([0.5, 9.0]), np.arange(1.0, 20.0)).tolist()
    [1.0, 0.6]
    """
    among = np.sort(among)
    farther = len(among) - np.searchsorted(among, np.asarray(distances) * (1 - 1e-9))
    return (1 + farther) / (1 + len(among))


def labelled_number(labels, *cells, unit="", **more):
    """A row of a table of results: `cells` are its labels, a value and, optional, low and high."""
    columns = (*labels, "value", "low", "high")
    cells = (*cells, *[np.nan] * (len(columns) - len(cells)))
    return {**dict(zip(columns, cells, strict=True)), "unit": unit, **more}


class Coverage(NamedTuple):
    """Which samples their prediction interval held.

    `inside` (n,) bool; `half_width` (n_folds,), in the unit of the property: the interval of a
    fold's samples is prediction ± half width; `n_calibration` (n_folds,), how many residuals
    each rests on.
    """

    inside: np.ndarray
    half_width: np.ndarray
    n_calibration: np.ndarray

    @property
    def coverage(self):
        """Share of the samples inside their interval [%]."""
        return 100 * float(self.inside.mean())


def half_width(residuals, level=0.9):
    """Half the width of a conformal prediction interval, in the unit of the residuals.

    Of n absolute residuals, measured minus predicted on samples that the model never saw, it is
    the one of rank level (n + 1), rounded up. Where new samples are exchangeable with these, the
    interval holds at least `level` of them on average, whatever the model and the distribution of
    errors (Vovk et al., Algorithmic Learning in a Random World, 2005). With fewer than
    level / (1 - level) residuals it would be infinite: they are refused.

    Examples
    --------
    >>> half_width(np.arange(1, 100), 0.9)
    90.0
    """
    residuals = np.asarray(residuals, float)
    if not 0 < level < 1:
        raise UserError(f"level is {level}: expected a share between 0 and 1, such as 0.9")
    if not np.isfinite(residuals).all():
        bad = (~np.isfinite(residuals)).sum()
        raise UserError(f"residuals hold {bad} NaN or infinite values: leave them out")
    beyond = int((1 - level + 1e-12) * (len(residuals) + 1))  # 1 - 0.9 lies a hair below 0.1
    if beyond < 1:
        raise UserError(
            f"{len(residuals)} residuals are too few for a level of {level:g}: at least "
            f"{int(np.ceil(round(level / (1 - level), 6)))} are needed; lower the level"
        )
    return float(np.sort(np.abs(residuals))[-beyond])


def nested_coverage(result, y, level=0.9):
    """Prediction intervals for the outer folds of a `NestedCV`, and which samples they hold.

    The interval of an outer fold is calibrated with the samples outside it, each predicted by the
    inner model that never saw it: cross-conformal prediction (Vovk 2015,
    doi:10.1007/s10472-013-9368-4) with the residuals pooled and the final model, fitted on all
    of them, in the middle. The inner models have fewer samples, which widens the intervals, and
    the number of components was chosen with the same residuals, which narrows them; with many
    samples neither counts. There is no exact guarantee for few.

    Inner folds by groups give residuals of sources that the model never saw, as an interval for a
    new source needs. What is exchangeable then is sources, not samples (Dunn, Wasserman and
    Ramdas, arXiv:1809.07441), so that with 19 of them the coverage of one data set scatters
    widely: report it, do not judge by it.
    """
    y = np.asarray(y, float)
    residuals = [(y - inner)[np.isfinite(inner)] for inner in result.inner_pred]
    widths = np.array([half_width(r, level) for r in residuals])
    inside = np.abs(y - result.y_pred) <= widths[result.fold]
    return Coverage(inside, widths, np.array([len(r) for r in residuals]))
