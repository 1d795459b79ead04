"""p-values, alone and of many together: known answers. Intervals are tested with the audit."""

import numpy as np
import pytest
from scipy import stats

from helpers.intervals import holm, p_value, paired_interval


def test_holm_by_hand():
    assert holm([0.005, 0.01, 0.03, 0.04]) == pytest.approx([0.02, 0.03, 0.06, 0.06])
    assert holm([0.04, 0.005, 0.03, 0.01]) == pytest.approx([0.06, 0.02, 0.06, 0.03])
    assert holm([0.03]) == [0.03]
    assert holm([0.9, 0.8]).tolist() == [1, 1]
    assert holm([]).size == 0


def test_holm_lies_between_each_alone_and_bonferroni():
    p = np.random.default_rng(0).uniform(size=30) ** 4
    assert (p <= holm(p)).all()
    assert (holm(p) <= np.minimum(30 * p, 1)).all()
    assert holm(p).min() == pytest.approx(30 * p.min())


def test_p_values_are_those_of_the_t_test():
    d = np.random.default_rng(1).normal(0.4, 1, (1, 12))
    value, ends = paired_interval(d)
    # The corrected variance is (1 + 12 / 11) times that of independent folds.
    t = stats.ttest_1samp(d[0], 0).statistic / np.sqrt(1 + 12 / 11)
    assert p_value(value, *ends, 11) == pytest.approx(2 * stats.t.sf(abs(t), 11))
    half = stats.norm.ppf(0.975)
    assert p_value(1.0, 1 - half, 1 + half) == pytest.approx(2 * stats.norm.sf(1))
