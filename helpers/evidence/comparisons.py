"""Errors of several descriptors on the same samples, held against one of them."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats

from helpers.intervals import holm, ratio_interval


def compare(errors, base, groups=None):
    """Ratios of mean errors to that of one descriptor, a row each.

    Parameters
    ----------
    errors : mapping of str to ndarray, shape (n,)
        Absolute percentage errors [%] of the same samples by descriptor.
    base : str
        One of them.
    groups : array_like, shape (n,), optional
        The mean over each group then is one sample, for groups and not samples are independent.

    Returns
    -------
    pandas.DataFrame
        ``descriptor``, ``mape`` [%], ``ratio`` with its 95 % interval ``low`` to ``high`` (see
        `helpers.intervals.ratio_interval`), ``p`` of a paired t-test on the differences; NaN for
        the base.

    Examples
    --------
    >>> errors = {"a": np.array([1.0, 2.0, 3.0]), "b": np.array([2.0, 4.0, 7.0])}
    >>> compare(errors, "a").round(2)["ratio"].tolist()
    [1.0, 2.17]
    """
    table = pd.DataFrame(errors)
    if groups is not None:
        table = table.groupby(np.asarray(groups)).mean()
    rows = []
    for name, values in table.items():
        ratio, (low, high) = ratio_interval(values, table[base])
        p = np.nan if name == base else stats.ttest_rel(values, table[base]).pvalue
        row = {"descriptor": name, "mape": values.mean(), "ratio": ratio, "low": low, "high": high}
        rows.append(row | {"p": p})
    return pd.DataFrame(rows)


def with_holm(tables, family):
    """Tables of `compare` as one, with ``p_holm``, corrected among rows alike in `family`."""
    table = pd.concat(tables, ignore_index=True)
    return table.assign(p_holm=table.dropna(subset="p").groupby(family)["p"].transform(holm))
