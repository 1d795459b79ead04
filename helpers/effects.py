"""Effects read off an audit: a difference and its verdict, and how much data would be enough."""

from __future__ import annotations

import numpy as np
from scipy import stats

HOLDS, FAILS, OPEN = "holds", "fails", "not decided"
CANNOT = "cannot be tested here"  # where data or weights are missing
MIXED, UNSEEN, ALONE = "shuffled", "by source", "leave one source out"


def judge(low, high, below=0.0):
    """Verdict on a claim that a number lies below another, from the number's interval.

    Parameters
    ----------
    low, high : float
        The interval.
    below : float
        What the number is claimed to be less than.

    Returns
    -------
    str
        `HOLDS`, `FAILS`, or `OPEN` where the interval includes `below`.

    Examples
    --------
    >>> judge(-3, -1), judge(1, 3), judge(-1, 1)
    ('holds', 'fails', 'not decided')
    """
    return HOLDS if high < below else FAILS if low > below else OPEN


def judge_all(gaps, below=0.0):
    """Verdict on a claim that every one of several numbers lies below another.

    Parameters
    ----------
    gaps : iterable of (float, float, float)
        Value, low and high of each.
    below : float
        See `judge`.

    Returns
    -------
    str
        `HOLDS` where all intervals lie below, `FAILS` where at least one lies above, else
        `OPEN`.

    Examples
    --------
    >>> judge_all([(-2, -3, -1), (-1, -2, 0.1)]), judge_all([(-2, -3, -1), (2, 1, 3)])
    ('not decided', 'fails')
    """
    return weakest(judge(low, high, below) for _, low, high in gaps)


def weakest(verdicts):
    """Verdict on a claim about several cases: it fails with one, and holds only with all."""
    found = set(verdicts)
    return next((verdict for verdict in (FAILS, OPEN) if verdict in found), HOLDS)


def judge_alike(low, high, within):
    """Verdict on a claim that a number is about zero: that its interval lies inside ± `within`.

    Examples
    --------
    >>> judge_alike(-1, 1, within=2), judge_alike(-1, 3, within=2), judge_alike(3, 4, within=2)
    ('holds', 'not decided', 'fails')
    """
    if -within < low and high < within:
        return HOLDS
    return FAILS if low > within or high < -within else OPEN


def sure(gaps, degrees=None):
    """How many of several differences lie below zero, and above it, by their intervals.

    Parameters
    ----------
    gaps : iterable of (float, float, float)
        Value, low and high of each; intervals of 95 %, around the value.
    degrees : int, optional
        Degrees of freedom of Student's t behind the intervals. Given: intervals are widened so
        that *all* of them hold together with 95 % (Bonferroni), as a count of many needs.

    Returns
    -------
    below, above : int

    Examples
    --------
    >>> gaps = [(-2, -3, -1), (-2, -3.9, -0.1), (0, -1, 1)]
    >>> sure(gaps), sure(gaps, degrees=49)
    ((2, 0), (1, 0))
    """
    gaps = np.array(list(gaps), float).reshape(-1, 3)
    if degrees is not None and len(gaps):
        quantile = stats.t.ppf([1 - 0.025 / len(gaps), 0.975], degrees)
        gaps[:, 1:] = gaps[:, :1] + (gaps[:, 1:] - gaps[:, :1]) * quantile[0] / quantile[1]
    return int((gaps[:, 2] < 0).sum()), int((gaps[:, 1] > 0).sum())


def difference(found, name, other, folds=MIXED):
    """MAPE of one predictor minus that of another in an audit, with its 95 % interval.

    Parameters
    ----------
    found : helpers.audit.Audit
    name, other : str
        Predictors, in either order of the table.
    folds : str
        Kind of folds.

    Returns
    -------
    tuple of float
        Difference, low, high, in points.

    Raises
    ------
    ValueError
        The audit did not compare the two.
    """
    table = found.differences
    table = table[table["folds"] == folds]
    for a, b, sign in ((name, other, 1), (other, name, -1)):
        rows = table[(table["predictor"] == a) & (table["other"] == b)]
        if len(rows):
            value, low, high = rows[["difference", "low", "high"]].iloc[0]
            return (value, low, high) if sign > 0 else (-value, -high, -low)
    raise ValueError(f"no difference of {name!r} and {other!r} on folds {folds!r}")


def points(value, low, high, what="points"):
    """A difference with its interval, in words; NaN: that it was not computed."""
    if np.isnan(value):
        return "not computed"
    return f"{value:+.1f} {what} ({low:+.1f} to {high:+.1f})"


def enough(found, name, folds):
    """Training samples from which on a descriptor is told from the mean in every shuffle.

    Parameters
    ----------
    found : helpers.audit.Audit
    name : str
        A descriptor.
    folds : str
        Kind of folds.

    Returns
    -------
    float or None
        The smallest point of the learning curve at which, and at all larger ones, the highest of
        the shuffles errs less than the lowest of the mean of all training samples. None: none is.
    """
    curve, table = found.learning_curve, found.table
    curve = curve[(curve["folds"] == folds) & (curve["predictor"] == name)]
    mean = table[(table["folds"] == folds) & (table["predictor"] == "mean")]["pooled_low"].iloc[0]
    curve = curve.sort_values("n_train", ascending=False)
    told = (curve["pooled_high"] < mean).cumprod().astype(bool)
    return float(curve["n_train"][told].min()) if told.any() else None


def needed_sources(found, name, size, other="mean", folds=ALONE):
    """About how many sources it would take to tell a difference of a given size from zero.

    Parameters
    ----------
    found : helpers.audit.Audit
    name, other : str
        Predictors.
    size : float
        The difference [points of MAPE] that shall be seen.
    folds : str
        Kind of folds; that of the difference's interval must take sources as units.

    Returns
    -------
    float
        Sources of this audit times (half width / size) squared: the half width shrinks with the
        root of their number. A plan for other data is only as good as these sources are typical.
        A difference of just this size is then seen in half of all studies.
    """
    _, low, high = difference(found, name, other, folds)
    count = found.learning_curve.query(f"folds == '{UNSEEN}'")["n_sources"].max() / 0.9
    return float(count * ((high - low) / 2 / size) ** 2)
