"""What the words of a fitted model promise, on data whose answer is known."""

import numpy as np
import pandas as pd
import pytest

from helpers.audit.audit import audit
from helpers.own.models import fit_property, predict_property
from helpers.own.properties import PropertyTable
from helpers.own.study import summary


def fitted(X, y, groups=None, names=None, **options):
    names = names or [f"s{i:03d}" for i in range(len(y))]
    groups = None if groups is None else pd.Series(list(map(str, groups)), names)
    known = PropertyTable(pd.DataFrame({"y": y}, names), groups, None, None)
    options = {"seeds": [0], "progress": False} | options
    return fit_property("y", names, X, known, **options)


def made(n=60, d=4, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d))
    return rng, X, 100 + 5 * X[:, 0] + rng.normal(size=n)


def test_the_summary_holds_an_error_against_mean_and_median():
    rng, X, _ = made()
    y = np.exp(rng.normal(size=60) * 0.7)  # noise, with a long tail: the median errs less
    model = fitted(X, y, kind="svr")
    assert model.facts["mape_median"] < 0.9 * model.facts["mape_mean"]
    table = model.audit.table.query("folds == 'shuffled'").set_index("predictor")
    for name, fact in (("descriptor", "mape"), ("mean", "mape_mean"), ("median", "mape_median")):
        assert model.facts[fact] == table.loc[name, "mape_pooled"]
    line = summary(model)[1]
    assert f"the median by {model.facts['mape_median']:.1f} %" in line
    assert f"{model.facts['mae']:.4g} in the unit of y" in line


def test_few_or_unequal_sources_promise_no_interval_for_a_new_one():
    _, X, y = made(64)
    for groups, few in ((np.arange(64) % 5, True), (np.arange(64) % 16, False)):
        told = summary(fitted(X, y, groups))[2]
        assert ("too few to promise that for a new source" in told) is few
    groups = np.where(np.arange(64) < 30, 0, np.arange(64) % 17)
    assert "17 sources, the largest with 3" in summary(fitted(X, y, groups))[2]
    groups = np.where(np.arange(64) < 55, 0, np.arange(64))
    with pytest.raises(ValueError, match="source '0' holds 55 of 64 samples"):
        fitted(X, y, groups)


@pytest.mark.parametrize("sets", [2, pytest.param(5, marks=pytest.mark.slow)])
def test_samples_of_a_new_source_like_the_others_are_seldom_unlike(sets):
    flagged = {True: [], False: []}
    for seed in range(sets):
        rng = np.random.default_rng(seed)
        groups = np.repeat(np.arange(14), 6)
        X = 2 * rng.normal(size=(14, 6))[groups] + rng.normal(size=(84, 6))
        y = 100 + X[:, 0] + rng.normal(size=84)
        new = np.arange(84) >= 60  # four sources held out
        for known in flagged:
            model = fitted(X[~new], y[~new], groups[~new] if known else None)
            flagged[known].append(predict_property(model, X[new])["unlike"].mean())
    assert np.mean(flagged[True]) < 0.2
    assert np.mean(flagged[False]) > 2 * np.mean(flagged[True])


def test_shuffled_targets_are_no_flag_where_the_source_is_unseen():
    rng = np.random.default_rng(3)
    groups = np.repeat(np.arange(6), 10)
    X = rng.normal(size=(60, 4))
    y = 200 + 15 * rng.normal(size=6)[groups] + 7 * X[:, 0] + 2 * rng.normal(size=60)
    options = {"seeds": [0], "shares": [], "store": False, "progress": False}
    flags = audit(X, y, groups, outer=6, **options).flags
    assert not [f for f in flags if "shuffled targets" in f and "folds shuffled" not in f]
    noise = audit(X, rng.permutation(y), outer=6, **options | {"seeds": range(3)}).flags
    assert any("no less than with shuffled targets" in f for f in noise)


def test_copies_and_values_near_zero_are_told():
    _, X, y = made()
    assert not any("another" in line or "near zero" in line for line in summary(fitted(X, y)))
    copied = np.concatenate([X, X[:10]]), np.concatenate([y, y[:10]])
    assert "10 samples have just the features of another" in "\n".join(summary(fitted(*copied)))
    for value in (1e-6, -3.0):
        near = np.append(y[:-1], value)
        assert any("near zero or of both signs" in line for line in summary(fitted(X, near)))


def test_the_order_of_rows_changes_nothing():
    rng, X, y = made(40)
    names = [f"s{i}" for i in range(40)]
    order = rng.permutation(40)
    one = fitted(X, y, names=names)
    other = fitted(X[order], y[order], names=[names[i] for i in order])
    pd.testing.assert_frame_equal(one.out_of_fold, other.out_of_fold)
    assert one.half_width == other.half_width
