"""Audits of data with known answers: signals, leaks, controls, intervals."""

import doctest
import itertools

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.ensemble import RandomForestRegressor
from sklearn.model_selection import GroupKFold, KFold, LeaveOneGroupOut

from benchmarks.bench_leak_rule import SIZES, made
from helpers import intervals, scores
from helpers.audit import audit, controls, plots, source_leak
from helpers.audit import runs as audit_runs
from helpers.audit.controls import forest_predictions, grey_level_statistics
from helpers.audit.source_leak import clustered_interval, lost_gain, source_accuracy
from helpers.cross_validation import nested_cv
from helpers.datasets import load_superalloys
from helpers.intervals import half_width, nested_coverage, paired_interval
from helpers.io.results import read_results
from helpers.regression import mape
from helpers.scores import blind_predictions

SHUFFLED, BY_SOURCE, ONE_OUT = audit.runs.KINDS
QUICK = {"seeds": [0, 1], "shares": [], "store": False, "progress": False}


@pytest.fixture(scope="module")
def clean():
    X, y, groups = made("clean", 0)
    return audit.audit(X, y, groups, **QUICK)


@pytest.fixture(scope="module")
def leaking():
    X, y, groups = made("leak", 3)
    return audit.audit(X, y, groups, **QUICK)


@pytest.mark.parametrize("module", [audit, controls, intervals, source_leak, plots])
def test_examples_in_docstrings(module):
    result = doctest.testmod(module)
    assert result.attempted > 0
    assert result.failed == 0


# Leaks


def test_a_leak_is_flagged_and_named(leaking):
    row = leaking.optimism.set_index("predictor").loc["descriptor"]
    assert row["leak"]
    assert row["mape_unseen"] > 1.5 * row["mape_seen"]
    assert row["optimism"] == pytest.approx(row["mape_unseen"] - row["mape_seen"])
    (flag, *_) = leaking.flags
    assert flag.startswith("descriptor: leak between samples of one source")
    told = leaking.source_accuracy.set_index("predictor").loc["descriptor"]
    assert told["balanced_accuracy"] > 0.9
    assert f"accuracy of {100 * told['balanced_accuracy']:.0f} %" in flag


def test_a_clean_signal_is_not_flagged(clean):
    assert not clean.optimism["leak"].any()
    assert not any("leak" in flag for flag in clean.flags)
    table = clean.table.set_index(["folds", "predictor"])["mape_pooled"]
    for kind in (SHUFFLED, BY_SOURCE, ONE_OUT):
        assert table[kind, "descriptor"] < 0.6 * table[kind, "mean"]
    told = clean.source_accuracy.iloc[0]
    assert told["balanced_accuracy"] < 0.25  # fourteen sources have five samples or more


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind, expected",
    [("clean", range(1)), ("offset", range(2)), ("leak", range(10, 13))],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_rates_of_the_leak_rule_over_twelve_data_sets(kind, expected):
    options = {**QUICK, "kinds": [SHUFFLED, BY_SOURCE]}
    found = [audit.audit(*made(kind, seed), **options) for seed in range(12)]
    leaks = sum(one.optimism.set_index("predictor").loc["descriptor", "leak"] for one in found)
    assert leaks in expected


def test_the_leak_rule_step_by_step():
    groups = np.repeat(np.arange(20), 5)
    scatter = np.random.default_rng(0).normal(size=100)
    mean = np.full(100, 20.0)
    judged = lost_gain(10 + scatter, 20 + scatter, mean, mean + 2, groups)
    gain, lost = 10 - scatter.mean(), 8.0  # the mean errs more there too, by 2
    assert (judged.gain, judged.lost) == pytest.approx((gain, lost))
    assert judged.share == pytest.approx(lost / gain)
    assert judged.leak
    assert not lost_gain(10 + scatter, 15 + scatter, mean, mean + 2, groups).leak  # a third
    assert not lost_gain(25 + scatter, 40 + scatter, mean, mean, groups).leak  # nothing gained
    one_source = np.where(groups == 3, 180.0, 0.0)  # the same loss on average, from one source
    assert not lost_gain(10 + scatter, 10 + scatter + one_source, mean, mean, groups).leak


def test_without_folds_by_source_the_one_left_out_serves():
    X, y, groups = made("leak", 1)
    found = audit.audit(X, y, groups, kinds=[SHUFFLED, ONE_OUT], **QUICK)
    assert found.optimism["unseen_folds"].unique().tolist() == [ONE_OUT]
    assert found.optimism.set_index("predictor").loc["descriptor", "leak"]
    alone = audit.audit(X, y, groups, kinds=[BY_SOURCE], **QUICK)
    assert alone.optimism.empty


def test_source_accuracy_of_known_answers():
    rng = np.random.default_rng(0)
    groups = np.array(list("a" * 40 + "b" * 10 + "c" * 10 + "d" * 3))
    told = source_accuracy(rng.normal(size=(63, 5)) + 20 * (groups == "b")[:, None], groups)
    assert told.n_sources == 3
    assert told.chance == pytest.approx(1 / 3)
    assert told.balanced_accuracy == pytest.approx(2 / 3, abs=0.1)  # a and c look alike
    blind = source_accuracy(rng.normal(size=(600, 5)), np.arange(600) % 4)
    assert blind.balanced_accuracy == pytest.approx(0.25, abs=0.06)
    nobody = source_accuracy(np.ones((6, 1)), np.arange(6))
    assert np.isnan(nobody.balanced_accuracy)
    assert nobody.n_sources == 0


def test_a_leak_is_told_where_no_source_is_large_enough_to_be_recognised():
    X, y, groups = made("leak", 0, sizes=[4] * 30)
    found = audit.audit(X, y, groups, kinds=[SHUFFLED, BY_SOURCE], **QUICK)
    assert "source not predicted" in found.flags[0]


# Controls


def test_folds_and_scores_are_those_of_nested_cv():
    X, y, groups = made("clean", 3)
    found = audit.audit(X, y, groups, **QUICK)
    table = found.table.set_index(["folds", "predictor"])
    results = [nested_cv(X, y, outer=KFold(10, shuffle=True, random_state=s)) for s in (0, 1)]
    row = table.loc[(SHUFFLED, "descriptor")]
    pooled = [mape(y, r.y_pred) for r in results]
    assert row["mape_pooled"] == pytest.approx(np.mean(pooled))
    assert (row["pooled_low"], row["pooled_high"]) == pytest.approx((min(pooled), max(pooled)))
    assert row["mape_mean"] == pytest.approx(np.mean([r.mean for r in results]))
    assert row["mape_std"] == pytest.approx(np.mean([r.std for r in results]))
    residual = np.array([y - r.y_pred for r in results])
    assert row["mae"] == pytest.approx(np.abs(residual).mean())
    assert row["r2"] == pytest.approx(1 - (residual**2).mean() / y.var())
    one_out = {"groups": groups, "outer": LeaveOneGroupOut()}
    results = [nested_cv(X, y, **one_out, seed=s) for s in (0, 1)]  # shuffles the inner folds
    row = table.loc[(ONE_OUT, "descriptor")]
    pooled = [mape(y, r.y_pred) for r in results]
    assert row["mape_pooled"] == pytest.approx(np.mean(pooled))
    assert (row["pooled_low"], row["pooled_high"]) == pytest.approx((min(pooled), max(pooled)))
    assert pooled[0] != pooled[1]
    blind = blind_predictions(y, list(LeaveOneGroupOut().split(X, y, groups)))["mean"]
    errors = [100 * (np.abs(r.y_pred / y - 1) - np.abs(blind / y - 1)) for r in results]
    mean, ends = clustered_interval(errors, groups)
    rows = found.differences.query("folds == @ONE_OUT and other == 'mean'")
    assert rows[["difference", "low", "high"]].to_numpy().tolist() == [
        pytest.approx([mean, *ends])
    ]
    result = nested_cv(
        X, y, groups=groups, outer=GroupKFold(10, shuffle=True, random_state=1), seed=42
    )
    low, high = table.loc[(BY_SOURCE, "descriptor"), ["pooled_low", "pooled_high"]]
    assert mape(y, result.y_pred) in (pytest.approx(low), pytest.approx(high))


def test_rules_that_know_no_image(leaking):
    table = leaking.table.set_index(["folds", "predictor"])["mape_pooled"]
    assert table[SHUFFLED, "mean of the source"] < 0.6 * table[SHUFFLED, "mean"]
    for kind in (BY_SOURCE, ONE_OUT):  # no source is seen: its mean falls back to that of all
        assert table[kind, "mean of the source"] == table[kind, "mean"]
        assert table[kind, "mean"] != table[kind, "median"]


def test_blind_predictions_by_hand():
    y, groups = np.array([1.0, 2.0, 6.0, 9.0]), np.array(["a", "a", "b", "b"])
    rows = np.arange(4)
    splits = [(rows[1:], rows[:1]), (rows[:1], rows[1:])]
    found = blind_predictions(y, splits, groups)
    assert found["mean"].tolist() == [17 / 3, 1, 1, 1]
    assert found["median"].tolist() == [6, 1, 1, 1]
    assert found["mean of the source"].tolist() == [2, 1, 1, 1]
    assert "mean of the source" not in blind_predictions(y, splits)


def test_shuffled_targets_are_no_better_than_the_mean(clean):
    table = clean.table.set_index(["folds", "predictor"])["mape_pooled"]
    for kind in (SHUFFLED, BY_SOURCE, ONE_OUT):
        assert table[kind, "descriptor, shuffled targets"] > 0.95 * table[kind, "mean"]


def test_controls_that_tell_all_are_not_beaten():
    X, y, groups = made("clean", 4)
    rng = np.random.default_rng(0)
    composition = pd.DataFrame({"Ni": y + rng.normal(size=len(y)), "Al": rng.normal(size=len(y))})
    images = [np.full((8, 9 + i % 5), value) for i, value in enumerate(y)]
    random = rng.normal(size=(len(y), 20))
    found = audit.audit(
        X, y, groups, composition=composition, images=images, controls={"random weights": random},
        kinds=[SHUFFLED, BY_SOURCE], **{**QUICK, "seeds": [0]},
    )  # fmt: skip
    errs = found.differences.set_index(["folds", "other"])["errs"]
    for kind in (SHUFFLED, BY_SOURCE):
        for other in ("composition, linear", "composition, forest", "size and grey levels"):
            assert errs[kind, other] == "more"
        for other in ("random weights", "mean", "median"):
            assert errs[kind, other] == "less"
    (flag,) = (flag for flag in found.flags if f"folds {SHUFFLED}" in flag)
    assert "size and grey levels" in flag
    assert "random weights" not in flag
    looked = found.source_accuracy.set_index("predictor")["role"].to_dict()
    assert looked == {
        "descriptor": "descriptor",
        "random weights": "control",
        "size and grey levels": "control",
    }
    table = found.table.set_index(["folds", "predictor"])
    linear = nested_cv(composition, y, outer=KFold(10, shuffle=True, random_state=0))
    row = table.loc[(SHUFFLED, "composition, linear")]
    assert row["mape_pooled"] == pytest.approx(mape(y, linear.y_pred))


def test_forest_is_scikit_learns():
    X, y, _ = made("clean", 0, sizes=[30], n_features=3)
    splits = list(KFold(3).split(X))
    train, test = splits[1]
    theirs = RandomForestRegressor(random_state=4).fit(X[train], y[train]).predict(X[test])
    np.testing.assert_array_equal(forest_predictions(X, y, splits, seed=4)[test], theirs)


def test_image_statistics():
    grey = np.arange(12, dtype=np.uint8).reshape(3, 4)
    colour = np.repeat(grey[..., None], 3, axis=2)
    found = grey_level_statistics([grey, colour])
    assert found.loc[0].tolist() == found.loc[1].tolist()
    row = found.loc[0]
    assert (row["height"], row["width"], row["mean"], row["p50"]) == (3, 4, 5.5, 5.5)
    assert row["std"] == grey.std()
    for bad in (np.zeros((2, 2, 2, 2)), np.zeros((0, 3)), np.array([[np.nan, 1]])):
        with pytest.raises(ValueError, match="image 1 has shape"):
            grey_level_statistics([grey, bad])


def test_several_descriptors_are_compared_once_each():
    X, y, groups = made("clean", 5)
    noise = np.random.default_rng(1).normal(size=X.shape)
    descriptors = {"good": X, "worse": X + 0.7 * noise, "noise": noise}
    found = audit.audit(descriptors, y, groups, kinds=[SHUFFLED], **QUICK)
    pairs = found.differences.query("role == 'descriptor'")
    assert [*zip(pairs["predictor"], pairs["other"], strict=True)] == [
        *itertools.combinations(["good", "worse", "noise"], 2)
    ]
    assert pairs["errs"].tolist() == ["less"] * 3
    others = found.differences.query("predictor == 'noise'")["other"].tolist()
    assert others == ["mean", "median", "mean of the source"]
    flags = [flag for flag in found.flags if flag.startswith("noise, folds shuffled: ")]
    assert any("not shown to err less than mean" in flag for flag in flags)
    assert any("no less than with shuffled targets" in flag for flag in flags)
    assert not any(flag.startswith("good") for flag in found.flags)
    row = pairs.iloc[0]
    shuffles = [KFold(10, shuffle=True, random_state=s) for s in (0, 1)]
    errors = np.array([nested_cv(X, y, outer=s).fold_mape for s in shuffles])
    table = found.table.set_index("predictor")["mape_mean"]
    assert table["good"] == pytest.approx(errors.mean())
    assert row["difference"] == pytest.approx(table["good"] - table["worse"])


def test_without_groups():
    X, y, _ = made("clean", 6)
    found = audit.audit(X, y, **QUICK)
    assert found.table["folds"].unique().tolist() == [SHUFFLED]
    assert "mean of the source" not in found.table["predictor"].tolist()
    assert found.optimism.empty
    assert found.source_accuracy.empty
    assert found.flags == []


def test_few_samples_and_features_lower_the_number_of_components():
    X, y, groups = made("clean", 7, sizes=[5] * 8, n_features=60)
    found = audit.audit(X, y, groups, outer=5, inner=3, **QUICK)
    assert found.table["mape_pooled"].notna().all()
    narrow = audit.audit(X[:, :2], y, groups, outer=5, inner=3, **QUICK)
    assert narrow.table["mape_pooled"].notna().all()


# Intervals


def test_paired_interval_does_not_shrink_with_repetition():
    rng = np.random.default_rng(0)
    folds = rng.normal(1, 1, 10)
    mean, (low, high) = paired_interval(np.tile(folds, (30, 1)))
    assert mean == pytest.approx(folds.mean())
    assert (low + high) / 2 == pytest.approx(mean)
    _, (low_once, high_once) = paired_interval(folds[None])
    assert high - low > 0.6 * (high_once - low_once)
    usual = stats.t.interval(0.95, 299, mean, stats.sem(np.tile(folds, 30)))
    assert high - low > 5 * (usual[1] - usual[0])


def test_clustered_interval():
    rng = np.random.default_rng(0)
    values = rng.normal(size=40)
    mean, ends = clustered_interval(values, np.arange(40))  # every sample a source of its own
    assert mean == pytest.approx(values.mean())
    assert ends == pytest.approx(stats.t.interval(0.95, 39, mean, stats.sem(values)))
    # copies add no knowledge
    _, copied = clustered_interval(np.repeat(values, 7), np.repeat(np.arange(40), 7))
    assert copied == pytest.approx(ends)
    # shuffles that agree add none either; two that lie 2 apart spread by the root of 2
    _, repeated = clustered_interval([values] * 5, np.arange(40))
    assert repeated == pytest.approx(ends)
    mean, (low, high) = clustered_interval([values - 1, values + 1], np.arange(40))
    error = np.sqrt(stats.sem(values) ** 2 + 1.5 * 2)
    assert [mean, low, high] == pytest.approx(
        [values.mean(), *stats.t.interval(0.95, 39, values.mean(), error)]
    )
    with pytest.raises(ValueError, match="one group"):
        clustered_interval(values, np.zeros(40))


@pytest.mark.parametrize("spread", [0.0, 0.5])  # of five shuffles
def test_clustered_interval_holds_the_mean_as_often_as_it_says(spread):
    rng = np.random.default_rng(1)
    groups = np.repeat(np.arange(19), SIZES)
    held = 0
    for _ in range(400):
        values = rng.normal(size=19)[groups] + rng.normal(size=len(groups))
        *lucks, another = spread * rng.normal(size=6)
        _, (low, high) = clustered_interval(np.add.outer(lucks, values), groups)
        held += low < another < high
    assert 0.88 < held / 400 < 0.98


def test_half_width_is_the_conformal_quantile():
    rng = np.random.default_rng(0)
    for n, level in ((99, 0.9), (134, 0.9), (9, 0.9), (200, 0.95)):
        residuals = rng.normal(size=n)
        rank = int(np.ceil(round((n + 1) * level, 9)))
        assert half_width(residuals, level) == np.sort(np.abs(residuals))[rank - 1]
    with pytest.raises(ValueError, match=r"8 residuals are too few for a level of 0.9.* 9 are"):
        half_width(np.ones(8))
    with pytest.raises(ValueError, match="level is 90: expected a share"):
        half_width(np.ones(100), 90)
    with pytest.raises(ValueError, match="residuals hold 1 NaN"):
        half_width([*np.ones(100), np.nan])


def test_coverage_on_exchangeable_data():
    """Fifty data sets of 1 250 samples, so that 1 000 calibrate each interval."""
    found = []
    for seed in range(50):
        rng = np.random.default_rng(seed)
        X = rng.normal(size=(1250, 6))
        y = 100 + X @ rng.normal(size=6) + rng.gumbel(size=1250) * (1 + X[:, 0] ** 2)
        result = nested_coverage(nested_cv(X, y, "lr", outer=5), y)
        assert result.n_calibration.min() >= 1000
        found.append(result.coverage)
    assert np.mean(found) == pytest.approx(90, abs=1)  # 90.07; 3 points were asked for
    assert np.std(found) > 0


def test_intervals_for_unseen_sources_are_wider_and_coverage_falls_without_them(leaking):
    """Intervals calibrated on seen sources would miss new ones; those of group folds do not."""
    table = leaking.intervals.set_index("folds")
    assert table.loc[BY_SOURCE, "width"] > 1.5 * table.loc[SHUFFLED, "width"]
    assert table["level"].unique().tolist() == [90]
    assert table["coverage"].between(60, 100).all()  # reported, not judged
    X, y, groups = made("leak", 3)
    one = {"outer": GroupKFold(10, shuffle=True, random_state=0), "groups": groups}
    shuffled = nested_coverage(nested_cv(X, y, outer=KFold(10, shuffle=True, random_state=0)), y)
    by_source = nested_cv(X, y, **one)
    narrow = np.abs(y - by_source.y_pred) <= shuffled.half_width.mean()
    assert 100 * narrow.mean() < nested_coverage(by_source, y).coverage - 15


def test_coverage_by_hand():
    X, y, _ = made("clean", 8)
    result = nested_cv(X, y, outer=4, inner=3)
    found = nested_coverage(result, y, level=0.8)
    for i in range(4):
        outside = result.fold != i
        residuals = np.sort(np.abs(y - result.inner_pred[i])[outside])
        rank = int(np.ceil(0.8 * (outside.sum() + 1)))
        assert found.half_width[i] == residuals[rank - 1]
        assert found.n_calibration[i] == outside.sum()
    inside = np.abs(y - result.y_pred) <= found.half_width[result.fold]
    assert found.coverage == pytest.approx(100 * inside.mean())


# Learning curves


def test_learning_curve():
    X, y, groups = made("clean", 9)
    found = audit.audit(X, y, groups, **{**QUICK, "shares": [0.4, 0.7]})
    curve = found.learning_curve.set_index(["folds", "share"])
    assert curve.loc[SHUFFLED, "n_train"].tolist() == pytest.approx(
        [np.ceil(0.4 * 134.1), np.ceil(0.7 * 134.1), 134.1], abs=0.6
    )
    assert curve.loc[BY_SOURCE, "n_sources"].iloc[-1] == pytest.approx(19 * 0.9)
    assert (curve.loc[BY_SOURCE, "n_sources"].diff().dropna() > 3).all()
    assert (curve.loc[SHUFFLED, "mape_pooled"].diff().dropna() < 0).all()
    table = found.table.set_index(["folds", "predictor"])["mape_pooled"]
    for kind in (SHUFFLED, BY_SOURCE, ONE_OUT):
        assert curve.loc[(kind, 1.0), "mape_pooled"] == table[kind, "descriptor"]


# Long work


def test_what_was_interrupted_goes_on(tmp_path, monkeypatch):
    X, y, groups = made("clean", 10)
    options = {**QUICK, "store": tmp_path, "shares": [0.6]}
    ran, real = [], nested_cv

    def counted(*arguments):
        if len(ran) == 5:
            raise KeyboardInterrupt
        ran.append(1)
        return real(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(scores, "nested_cv", counted)
        with pytest.raises(KeyboardInterrupt):
            audit.audit(X, y, groups, **options)
        ran[:] = [0] * 6
        found = audit.audit(X, y, groups, **options)
    runs = 3 * 2 * 2 + 2 * 2  # kinds, shuffles, targets; the curve
    assert len(ran) == 6 + runs - 5
    again = audit.audit(X, y, groups, **{**options, "store": False})
    assert found.flags == again.flags
    for name, table in vars(found).items():
        if name != "flags":
            pd.testing.assert_frame_equal(table, getattr(again, name))


def test_runs_of_case_study_2_are_shared(tmp_path, monkeypatch):
    X, y, groups = made("clean", 11, n_features=60)
    scores.evaluate_descriptors({"a": X}, y, ["lr"], seeds=[0, 1], store=tmp_path)
    before = set(tmp_path.iterdir())
    options = {**QUICK, "store": tmp_path, "kinds": [SHUFFLED]}
    audit.audit(X, y, groups, **options)
    assert len(set(tmp_path.glob("*.npz")) - before) == 2  # the shuffled targets


X, Y, GROUPS = made("clean", 0)
HOLE = np.where(np.arange(len(Y)) == 3, np.nan, Y)
FEW = np.arange(len(Y)) % 4


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"groups": FEW}, "groups name 4 sources: folds 'by source' need at least 10"),
        ({"groups": FEW, "outer": 4, "kinds": [BY_SOURCE]}, "inner is 5: expected 2 to 3 folds"),
        ({"groups": FEW, "kinds": [ONE_OUT]}, "4 sources: folds 'leave one source out' need .* 6"),
        ({"groups": GROUPS[:5]}, r"groups have shape \(5,\): expected one for each of 149"),
        ({"groups": HOLE}, r"groups hold nan in row 3 \(1 in all\): name the source"),
        ({"groups": [None, *map(str, GROUPS[1:])]}, "groups hold None in row 0"),
        ({"y": np.full(149, 7.5)}, "y is 7.5 in all 149 rows: there is nothing to predict"),
        ({"y": np.where(np.arange(149) == 9, 0, Y)}, "0 at position 9 .* percentage error"),
        ({"y": HOLE}, "y holds nan in row 3"),
        ({"y": Y[:7]}, "'descriptor' has 149 rows: expected 7, as in y"),
        ({"X": np.where(np.eye(149, 30), np.nan, 1)}, "'descriptor' holds nan in row 0, column 0"),
        ({"X": {"a": X, "b": X[:, 0]}}, r"'b' has shape \(149,\)"),
        ({"controls": {"c": np.ones((149, 3))}}, "'c' is the same in every row"),
        ({"X": {}}, "expected at least one descriptor"),
        ({"X": {"mean": X}}, "no name twice and none of"),
        ({"controls": {"descriptor": X}}, "no name twice"),
        ({"controls": {"other": X[:9]}}, "'other' has 9 rows: expected 149"),
        ({"composition": np.full((149, 2), np.nan)}, "'composition, linear' holds nan in row 0"),
        ({"images": [np.eye(3)] * 5}, "'size and grey levels' has 5 rows: expected 149"),
        ({"model": "svm"}, "model is 'svm': expected one of"),
        ({"kinds": ["by paper"]}, r"kinds are \('by paper',\): expected some of 'shuffled'"),
        ({"kinds": []}, r"kinds are \(\)"),
        ({"groups": None, "kinds": [BY_SOURCE]}, "some of 'shuffled'; the others need groups"),
        ({"seeds": []}, r"seeds are \[\]"),
        ({"shares": [40]}, r"shares \[40\]: expected .* below 1"),
        ({"outer": 1}, "outer is 1|at least one train/test split"),
        ({"level": 90}, "level is 90: expected a share"),
        ({"level": 0.995}, "residuals are too few for a level of 0.995"),
    ],
)
def test_bad_input_is_named_before_the_first_run(changes, message, monkeypatch):
    def never(*_, **__):
        raise AssertionError("a run was started")

    monkeypatch.setattr(audit_runs, "evaluate_descriptors", never)
    given = {"X": X, "y": Y, "groups": GROUPS, **QUICK, **changes}
    with pytest.raises(ValueError, match=message):
        audit.audit(**given)


def test_groups_may_be_names_of_any_kind():
    X, y, groups = made("clean", 12)
    options = {**QUICK, "kinds": [BY_SOURCE], "seeds": [0]}
    numbers = audit.audit(X, y, groups, **options)
    names = audit.audit(X, y, [f"paper {g:02d}" for g in groups], **options)
    series = audit.audit(X, y, pd.Series([f"paper {g:02d}" for g in groups]), **options)
    pd.testing.assert_frame_equal(numbers.table, names.table)
    pd.testing.assert_frame_equal(numbers.table, series.table)


# Figures


def assert_drawn(axis, table, value, *ends):
    """Each row is a point at its value, with a line between its ends."""
    lines = [line for line in axis.lines if len(line.get_xdata()) and line.get_label()[0] == "_"]
    points = [line.get_xdata() for line in lines if line.get_marker() not in ("", "None")]
    at = np.concatenate(points)
    np.testing.assert_allclose(np.sort(at[~np.isnan(at)]), np.sort(table[value]))
    drawn = {tuple(np.round(line.get_xdata(), 6)) for line in lines}
    for pair in table[[*ends]].round(6).itertuples(index=False, name=None):
        assert not ends or pair in drawn


def test_figures_show_every_row(leaking):
    figure = plots.plot_audit(leaking.table, {"descriptor": "My encoder"})
    assert [axis.get_title() for axis in figure.axes] == [SHUFFLED, BY_SOURCE, ONE_OUT]
    shuffled = leaking.table.query("folds == 'shuffled'").sort_values("mape_pooled")
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    names = shuffled["predictor"].replace("descriptor", "My encoder")
    assert labels == names.tolist()
    for axis in figure.axes:
        rows = leaking.table[leaking.table["folds"] == axis.get_title()]
        mean = rows.set_index("predictor")["mape_pooled"]["mean"]
        (dashed,) = [line for line in axis.lines if line.get_linestyle() == "--"]
        assert list(dashed.get_xdata()) == [mean, mean]
        dashed.remove()
        assert_drawn(axis, rows, "mape_pooled", "pooled_low", "pooled_high")
    assert len(figure.legends[0].get_texts()) == 2


# The published data


def test_scores_are_those_of_the_committed_table(shared_data, monkeypatch):
    monkeypatch.setenv("MICROPROP_DATA", str(shared_data))
    data = load_superalloys("published")
    found = audit.audit(
        {"dinov2-l14": data.features["dinov2-l14"]}, data.hardness, data.groups,
        kinds=[SHUFFLED, BY_SOURCE], **{**QUICK, "seeds": [42]},
    )  # fmt: skip
    table = found.table.set_index(["folds", "predictor"]).loc[SHUFFLED]
    names = {"mean of all": "mean", "mean of the source": "mean of the source"}
    committed = read_results("superalloy_scores").query("seed == 42")
    committed = committed[committed["composition"] == "no"].replace({"descriptor": names})
    committed = committed.set_index(["descriptor", "model"])[["mape_mean", "mape_std"]]
    for name, model in (("dinov2-l14", "lr"), ("mean", "none"), ("mean of the source", "none")):
        theirs = committed.loc[(name, model)].tolist()
        assert table.loc[name, ["mape_mean", "mape_std"]].tolist() == pytest.approx(
            theirs, abs=1e-3
        )
    assert found.optimism.iloc[0]["mape_unseen"] > 18  # no less than the mean of all
