"""How much of a gain hangs on knowing the source: errors with the source seen and unseen."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import stats
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from helpers import UserError
from helpers.regression import check_descriptors

LEAK_SHARE = 0.5
POWER = 0.8  # share of studies that shall see a difference
SOURCE_FOLDS = 5
MOST_SCORES = 50


def clustered_interval(values, groups):
    """Mean of values (n,) of which those of one group are alike, with its 95 % (low, high).

    Samples are weighted alike; groups, not samples, are the independent units: the variance is
    the cluster-robust one with G / (G - 1), the quantile that of Student's t with G - 1 degrees
    of freedom (Cameron and Miller 2015, doi:10.3368/jhr.50.2.317).

    Values (m, n) are those of m shuffles, on the same samples. To the mean of their variances is
    then added 1 + 1/m times the variance of their means (Rubin 1987,
    doi:10.1002/9780470316696), so that the interval is one for a single further shuffle.

    Examples
    --------
    >>> mean, (low, high) = clustered_interval([1.0, 1.0, 3.0, 3.0], ["a", "a", "b", "b"])
    >>> mean, round(high - mean, 1)  # two sources say little
    (2.0, 12.7)
    """
    values = np.atleast_2d(np.asarray(values, float))
    names, member = np.unique(groups, return_inverse=True)
    count, shuffles = len(names), len(values)
    if count < 2:
        raise UserError("there is one group: an interval over groups needs at least two")
    means = values.mean(axis=1)
    sums = [np.bincount(member, d) for d in values - means[:, None]]
    variance = count / (count - 1) * np.sum(np.square(sums)) / shuffles / len(member) ** 2
    if shuffles > 1:
        variance += (1 + 1 / shuffles) * means.var(ddof=1)
    mean, half = means.mean(), stats.t.ppf(0.975, count - 1) * np.sqrt(variance)
    return float(mean), (float(mean - half), float(mean + half))


def needed_groups(half_width, count, size):
    """How many groups it takes to see a mean of this `size` in four of five studies (80 % power).

    `half_width` is that of `clustered_interval`, of `count` groups. A standard error shrinks with
    the root of their number; the quantiles of Student's t stay those of `count` groups. Where
    the half width alone is as narrow as `size`, with about half as many groups, it is seen in
    every second study. A plan is only as good as these groups are typical.

    Examples
    --------
    >>> round(needed_groups(2.0, count=19, size=2.0))
    38
    """
    sure, power = stats.t.ppf([0.975, POWER], count - 1)
    return float(count * (half_width * (1 + power / sure) / size) ** 2)


class LostGain(NamedTuple):
    """How much of a model's gain over the mean is gone where the source was never seen.

    `gain`: the error of the mean of all minus that of the model, on shuffled folds; `lost`: that
    minus the same on folds by source, with its 95 % interval `low` to `high`; all in points of
    MAPE. `share`: lost / gain, NaN where nothing was gained. `leak`: see `lost_gain`.
    """

    gain: float
    lost: float
    low: float
    high: float
    share: float
    leak: bool


def lost_gain(seen, unseen, mean_seen, mean_unseen, groups):
    """Judge whether a model's low error comes from having seen the source of each sample.

    Parameters
    ----------
    seen, unseen : array_like of float, shape (n,)
        Absolute percentage error [%] of each sample, on shuffled folds and on folds by source.
    mean_seen, mean_unseen : array_like of float, shape (n,)
        The same of the mean of the training samples.
    groups : array_like, shape (n,)
        Source of each sample.

    Returns
    -------
    LostGain

    Notes
    -----
    A model that reads the property from the micrograph gains as much over the mean for a source
    that it never saw as for one that it knows; one that only recognises the source gains nothing
    there. So the rule looks at the difference of the two gains, sample by sample, and calls it a
    leak where

    1. there was a gain to lose: ``gain > 0``;
    2. a loss is beyond chance: the 95 % interval of `lost` lies above zero, with sources as the
       independent units (`clustered_interval`);
    3. it is most of what was gained: ``share`` is above a half. Folds by source also leave fewer
       and less similar samples for training, so that even a clean signal loses a little.

    All three are needed: errors on different sources come from models that share most of their
    samples, so that the interval is too short. On simulated data with known answers and the
    paper's 149 samples in 19 sources (``benchmarks/bench_leak_rule.py``, 100 data sets each) it
    excluded zero in 6 to 19 of 100 where there was no leak; the whole rule flagged 0 to 3. It
    found 95 leaks where the features know nothing but the source, 84 where half of the signal
    is real. With fewer sources it finds fewer, and where one source holds a third of the samples
    or more the interval is too short: no leak found is no proof of none.

    Subtracting the mean's error takes out that the target itself is harder to guess for an unseen
    source. A leak says that the gain does not carry over to new sources. Whether the model
    recognises the source or fails to extrapolate from the others, it cannot say; `source_accuracy`
    helps to tell.

    Examples
    --------
    >>> groups = np.repeat(np.arange(10), 5)
    >>> errors = np.random.default_rng(0).uniform(1, 2, 50)
    >>> lost_gain(errors, errors + 18, errors + 20, errors + 20, groups).leak
    True
    >>> lost_gain(errors, errors + 1, errors + 20, errors + 20, groups).leak
    False
    """
    seen, unseen = np.asarray(seen, float), np.asarray(unseen, float)
    gain_seen, gain_unseen = np.asarray(mean_seen) - seen, np.asarray(mean_unseen) - unseen
    lost, (low, high) = clustered_interval(gain_seen - gain_unseen, groups)
    gain = float(gain_seen.mean())
    share = lost / gain if gain > 0 else np.nan
    return LostGain(gain, lost, low, high, share, bool(low > 0 and share > LEAK_SHARE))


class SourceAccuracy(NamedTuple):
    """How well a linear classifier tells the source of a sample from its descriptor.

    `balanced_accuracy`, the mean over sources of the share recognised, and `chance`, 1 over their
    number; 0 to 1, NaN where fewer than two sources are large enough. `n_sources` took part.
    """

    balanced_accuracy: float
    chance: float
    n_sources: int


def source_accuracy(X, groups):
    """Tell the source of each sample from its descriptor, by cross-validation: `SourceAccuracy`.

    Linear discriminant analysis with a shrunken covariance (Ledoit and Wolf 2004,
    doi:10.1016/S0047-259X(03)00096-4) on up to 50 principal components of the standardised
    columns, everything fitted on the training part of each of five stratified folds. Sources
    with fewer than five samples cannot be in each of them and are left out.

    Examples
    --------
    >>> groups = np.repeat(["a", "b", "c"], 10)
    >>> X = np.random.default_rng(0).normal(size=(30, 4)) + 9 * (groups == "a")[:, None]
    >>> source_accuracy(X, groups).balanced_accuracy > 0.5
    True
    """
    X, groups = check_descriptors(X), np.asarray(groups)
    names, sizes = np.unique(groups, return_counts=True)
    large = names[sizes >= SOURCE_FOLDS]
    if len(large) < 2:
        return SourceAccuracy(np.nan, np.nan, len(large))
    rows = np.isin(groups, large)
    X, groups = X[rows].astype(float), groups[rows]
    fitted = len(X) - int(np.ceil(len(X) / SOURCE_FOLDS)) - 1
    classifier = make_pipeline(
        StandardScaler(),
        PCA(min(MOST_SCORES, X.shape[1], fitted), svd_solver="full"),
        LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto"),
    )
    folds = StratifiedKFold(SOURCE_FOLDS, shuffle=True, random_state=0)
    with np.errstate(invalid="ignore"):  # a training part that is constant: no variance to share
        named = cross_val_predict(classifier, X, groups, cv=folds)
    accuracy = float(balanced_accuracy_score(groups, named))
    return SourceAccuracy(accuracy, 1 / len(large), len(large))
