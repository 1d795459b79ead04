import doctest
import json
import os
import shutil
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import KFold, LeaveOneGroupOut, LeaveOneOut

from helpers import plots, scores
from helpers.cross_validation import nested_cv
from helpers.datasets import paper_results
from helpers.io.downloads import ROOT
from helpers.io.results import read_results
from helpers.regression import mape
from helpers.scores import (
    best_descriptors,
    evaluate_descriptors,
    guess_without_image,
    score_table,
)
from helpers.superalloy_scores import SHUFFLES, TWO_POINT, outlier_table


@pytest.fixture(scope="module")
def problem():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 80, 12))
    y = 100 + 9 * a[:, 0] + 4 * a[:, 1] + rng.normal(size=80)
    return {"a": a, "b": b}, y


@pytest.fixture
def runs(monkeypatch):
    """Count the runs that are computed."""
    done = []

    def counted(folds, y, model):
        done.append(model)
        return nested_cv(folds, y, model)

    monkeypatch.setattr(scores, "nested_cv", counted)
    return done


@pytest.mark.parametrize("module", [scores, plots])
def test_examples_in_docstrings(module):
    result = doctest.testmod(module)
    assert result.attempted > 0
    assert result.failed == 0


def assert_equal(one, other):
    assert list(one) == list(other)
    for key, result in one.items():
        for name, values in vars(result).items():
            np.testing.assert_array_equal(values, getattr(other[key], name))


def test_results_are_those_of_nested_cv(problem):
    descriptors, y = problem
    results = evaluate_descriptors(descriptors, y, ["pr", "svr"], store=False)
    assert list(results) == [(d, m, 42) for d in "ab" for m in ("pr", "svr")]
    alone = nested_cv(descriptors["b"], y, "pr")
    np.testing.assert_array_equal(results["b", "pr", 42].y_pred, alone.y_pred)


def test_seeds_shuffle_the_outer_folds_only(problem):
    descriptors, y = problem
    results = evaluate_descriptors(descriptors, y, ["lr"], seeds=(42, 1), store=False)
    first, other = results["a", "lr", 42], results["a", "lr", 1]
    assert (first.fold != other.fold).any()
    np.testing.assert_array_equal(first.fold, nested_cv(descriptors["a"], y).fold)


def test_other_folds_and_options_are_those_of_nested_cv(problem):
    descriptors, y = problem
    groups = np.repeat(np.arange(8), 10)
    one = {"a": descriptors["a"]}

    def predicted(**options):
        (result,) = evaluate_descriptors(one, y, ["lr"], store=False, **options).values()
        return result.y_pred

    def alone(**options):
        return nested_cv(one["a"], y, "lr", **options).y_pred

    np.testing.assert_array_equal(
        predicted(outer=4, inner=3, max_components=5, standardize=True),
        alone(outer=4, inner=3, max_components=5, standardize=True),
    )
    np.testing.assert_array_equal(
        predicted(outer=4, seeds=[7]), alone(outer=KFold(4, shuffle=True, random_state=7))
    )
    options = {"outer": LeaveOneGroupOut(), "groups": groups}
    np.testing.assert_array_equal(predicted(**options), alone(**options))


def test_groups_and_composition_reach_the_folds(problem):
    descriptors, y = problem
    groups = np.repeat(np.arange(20), 4)
    composition = pd.DataFrame({"Ni": y + 1, "Al": 100 - y})
    (result,) = evaluate_descriptors(
        {"b": descriptors["b"]}, y, ["lr"], groups=groups, composition=composition, store=False
    ).values()
    assert all(len(set(result.fold[groups == g])) == 1 for g in range(20))
    assert result.mean < 1  # the composition tells all
    alone = nested_cv(descriptors["b"], y, "lr", groups, composition)
    np.testing.assert_array_equal(result.y_pred, alone.y_pred)


def test_what_was_interrupted_goes_on(problem, runs, tmp_path, monkeypatch):
    descriptors, y = problem
    undisturbed = evaluate_descriptors(descriptors, y, ["lr", "pr"], store=False)
    runs.clear()
    counted = scores.nested_cv

    def stop(folds, y, model):
        if len(runs) == 3:
            raise KeyboardInterrupt
        return counted(folds, y, model)

    with monkeypatch.context() as patch:
        patch.setattr(scores, "nested_cv", stop)
        with pytest.raises(KeyboardInterrupt):
            evaluate_descriptors(descriptors, y, ["lr", "pr"], store=tmp_path)
    assert len(runs) == 3
    assert_equal(evaluate_descriptors(descriptors, y, ["lr", "pr"], store=tmp_path), undisturbed)
    assert len(runs) == 4
    assert_equal(evaluate_descriptors(descriptors, y, ["lr", "pr"], store=tmp_path), undisturbed)
    assert len(runs) == 4


def test_whatever_changes_a_number_is_another_run(problem, runs, tmp_path, monkeypatch):
    descriptors, y = problem
    one = {"a": descriptors["a"]}
    composition = pd.DataFrame({"Ni": y})

    def count(*arguments, **options):
        evaluate_descriptors(*arguments, store=tmp_path, **options)
        return len(runs)

    assert count(one, y, ["lr"]) == 1
    assert count({"another name": descriptors["a"].copy()}, y, ["lr"]) == 1
    assert count({"a": descriptors["a"] + 1e-9}, y, ["lr"]) == 2
    assert count(one, y + 1e-9, ["lr"]) == 3
    assert count(one, y, ["pr"]) == 4
    assert count(one, y, ["lr"], seeds=[1]) == 5
    assert count(one, y, ["lr"], composition=composition) == 6
    assert count(one, y, ["lr"], composition=composition + 1) == 7
    assert count(one, y, ["lr"], groups=np.arange(80) // 4) == 8
    assert count(one, y, ["lr"], outer=8) == 9
    assert count(one, y, ["lr"], outer=KFold(8)) == 10
    assert count(one, y, ["lr"], standardize=True) == 11
    assert count(one, y, ["lr"], outer=10) == 11
    monkeypatch.setattr(scores, "code_digest", lambda file: "new")
    assert count(one, y, ["lr"]) == 12


@pytest.mark.parametrize("damage", [None, b"", b"[]", b"mape,samples\n1.0,2\n", -3])
def test_a_damaged_result_is_computed_again(problem, runs, tmp_path, damage):
    descriptors, y = problem
    before = evaluate_descriptors({"a": descriptors["a"]}, y, ["lr"], store=tmp_path)
    (path,) = tmp_path.glob("*.npz")
    if damage is None:
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:damage] if isinstance(damage, int) else damage)
    assert_equal(evaluate_descriptors({"a": descriptors["a"]}, y, ["lr"], store=tmp_path), before)
    assert len(runs) == 2
    assert_equal(evaluate_descriptors({"a": descriptors["a"]}, y, ["lr"], store=tmp_path), before)
    assert len(runs) == 2


def test_a_kept_result_holds_its_provenance(problem, runs, tmp_path):
    """Every bit comes back, of folds with a single sample as well."""
    descriptors, y = problem
    two = {"a": descriptors["a"][:12], "b": descriptors["b"][:12]}
    options = {"outer": LeaveOneOut(), "max_components": 1, "store": tmp_path}
    first = evaluate_descriptors(two, y[:12], ["lr"], **options)
    assert_equal(evaluate_descriptors(two, y[:12], ["lr"], **options), first)
    assert len(runs) == 2
    for path in tmp_path.glob("*.npz"):
        facts = json.loads(np.load(path)["key"].item())
        assert (facts["model"], facts["seed"]) == ("lr", 42)
        assert facts["options"] == {"outer": "LeaveOneOut()", "max_components": "1"}


USE = """
import numpy as np
from helpers import scores
from helpers.cross_validation import nested_cv

def counted(*arguments):
    print("computed")
    return nested_cv(*arguments)

scores.nested_cv = counted
X = np.random.default_rng(0).normal(size=(40, 3))
scores.evaluate_descriptors({"a": X}, 9 + X[:, 0], ["lr"], store="kept", progress=False)
"""


def test_an_edited_callee_is_a_reason_to_compute_and_another_module_is_none(tmp_path):
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "helpers", tmp_path / "helpers", ignore=ignored)

    def computed():
        command, environment = [sys.executable, "-c", USE], {**os.environ, "PYTHONPATH": "."}
        return subprocess.check_output(command, cwd=tmp_path, env=environment, text=True)

    def edit(module, text):
        path = tmp_path / "helpers" / module
        path.write_text(path.read_text(encoding="utf-8") + text, encoding="utf-8")

    assert computed() == "computed\n"
    assert computed() == ""
    edit("two_point.py", "\n\nNEW = 1\n")  # which no score needs
    edit("regression.py", "\n# a remark\n")
    assert computed() == ""
    edit("regression.py", "\n\nNEW = 1\n")  # cross_validation imports it
    assert computed() == "computed\n"


def test_what_another_process_has_done_is_not_done_again(problem, runs, tmp_path, monkeypatch):
    descriptors, y = problem
    two = {"a": descriptors["a"], "b": descriptors["b"]}
    counted = scores.nested_cv

    def meanwhile(folds, y, model):
        with monkeypatch.context() as patch:
            patch.setattr(scores, "nested_cv", counted)
            evaluate_descriptors({"b": descriptors["b"]}, y, ["lr"], store=tmp_path)
        return counted(folds, y, model)

    monkeypatch.setattr(scores, "nested_cv", meanwhile)
    evaluate_descriptors(two, y, ["lr"], store=tmp_path)
    assert len(runs) == 2


def test_the_default_store_is_in_the_cache_and_false_writes_nothing(
    problem, tmp_path, monkeypatch
):
    descriptors, y = problem
    monkeypatch.setenv("MICROPROP_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    evaluate_descriptors({"a": descriptors["a"]}, y, ["lr"], store=False)
    assert list(tmp_path.iterdir()) == []
    evaluate_descriptors({"a": descriptors["a"]}, y, ["lr"])
    assert len(list((tmp_path / "cache" / "scores").glob("*.npz"))) == 1


def test_bad_input_is_refused_before_the_first_run(problem, runs):
    descriptors, y = problem
    with pytest.raises(ValueError, match="model is 'svm'"):
        evaluate_descriptors(descriptors, y, ["lr", "svm"], store=False)
    with pytest.raises(ValueError, match="0 at position 3"):
        evaluate_descriptors(descriptors, np.where(np.arange(80) == 3, 0, y), store=False)
    bad = {**descriptors, "c": np.where(np.eye(80, 12), np.nan, 1)}
    with pytest.raises(ValueError, match="descriptor 'c' holds nan in row 0, column 0"):
        evaluate_descriptors(bad, y, ["lr"], store=False)
    assert runs == []


def test_table_and_best(problem):
    descriptors, y = problem
    results = evaluate_descriptors(descriptors, y, ["svr"], store=False)
    table = score_table(results, "no")
    row = table.iloc[0]
    result = results["a", "svr", 42]
    assert (row["mape_mean"], row["mape_std"]) == (result.fold_mape.mean(), result.fold_mape.std())
    np.testing.assert_allclose(np.array(row["fold_mape"].split(), float), result.fold_mape, 1e-3)
    assert row["fold_n_components"].split() == [str(n) for n in result.fold_n_components]
    assert best_descriptors(table, 1) == ["a"]


def test_the_worst_fold_and_what_is_strange_in_it(problem):
    X, y = problem[0]["b"], np.where(np.arange(80) == 17, 20, problem[1])
    rng = np.random.default_rng(1)
    composition = pd.DataFrame({"Ni": rng.uniform(60, 70, 80), "B": rng.uniform(0, 0.1, 80)})
    composition["Al"] = 100 - composition.sum(axis=1)
    composition.loc[17, ["Ni", "B"]] = 66, 2.8
    names = [f"alloy {n}" for n in range(80)]
    data = SimpleNamespace(hardness=y, composition=composition, names=names)
    (row,) = outlier_table(X, data).itertuples()
    assert (row.sample, row.element, row.measured) == ("alloy 17", "B", 20)
    others = composition["B"].drop(17)
    assert (row.content, row.largest_other, row.whose) == (2.8, others.max(), others.idxmax())
    assert row.largest_fitted <= row.largest_other
    assert row.deviations > 50
    assert row.std_without < row.std / 2
    curve = [float(value) for value in row.curve.split()]
    assert len(curve) == 15
    result = nested_cv(X, y, "svr", composition=composition)
    assert row.n_components == result.fold_n_components[row.fold]
    assert curve[row.n_components - 1] == pytest.approx(row.mape, abs=0.006)
    assert row.predicted == result.y_pred[17]


def test_guesses_that_look_at_no_image():
    """Against a loop over the folds, one sample at a time."""
    rng = np.random.default_rng(2)
    groups = np.append(rng.integers(0, 4, 59), 9)  # the last source has one sample
    y = 100 + 50 * groups + rng.normal(size=60)
    errors = guess_without_image(y, groups, seed=3)
    fold = nested_cv(
        y[:, None], y, outer=KFold(10, shuffle=True, random_state=3), max_components=1
    ).fold
    for f in range(10):
        own, overall = [], y[fold != f].mean()
        for i in np.flatnonzero(fold == f):
            same = y[(fold != f) & (groups == groups[i])]
            own.append(abs((same.mean() if len(same) else overall) / y[i] - 1))
        assert errors["mean of the source"][f] == pytest.approx(100 * np.mean(own))
        assert errors["mean of all"][f] == pytest.approx(
            mape(y[fold == f], overall + 0 * y[fold == f])
        )


# The table that ships; tests/test_profiles.py computes it again.


def test_committed_table_is_whole():
    table = read_results("superalloy_scores")
    runs = table.groupby(["composition", "seed"]).size()
    assert runs["no", 42] == 32  # with two predictors that know no image
    assert runs["yes", 42] == 30
    assert table["descriptor"].nunique() == 12
    repeated = table[table["seed"] != 42]
    assert sorted(repeated["seed"].unique()) == list(range(SHUFFLES))
    best = best_descriptors(table[table["seed"] == 42])
    assert table["mape_mean"].notna().all()
    assert set(repeated["descriptor"]) == {*best, TWO_POINT}


def test_committed_scores_are_the_papers_where_its_text_states_them():
    table = (
        read_results("superalloy_scores")
        .query("seed == 42")
        .set_index(["descriptor", "model", "composition"])
    )
    paper = paper_results().query("case_study == 2 and quantity == 'cv_mape_mean'")
    assert len(paper) == 3
    for row in paper.itertuples():
        ours = table.loc[(row.descriptor, row.model, row.composition), "mape_mean"]
        assert ours == pytest.approx(row.value, abs=1)
    best = table.loc[("dinov2-l14", "svr", "no")]
    assert (best["mape_mean"], best["mape_std"]) == pytest.approx((13.4, 4.6), abs=0.05)
    sam = table.loc[("sam-h", "svr", "yes")]
    assert (sam["mape_mean"], sam["mape_std"]) == pytest.approx((19.7, 14.2), abs=0.05)
    assert read_results("superalloy_scores", "outlier")["sample"].unique().tolist() == [
        "Paper25-N0"
    ]
