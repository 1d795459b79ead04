"""Learners beyond the paper's on data whose answers are known."""

import doctest

import numpy as np
import pytest

from helpers.beyond import learner_scores, learners
from helpers.beyond.learner_scores import nested_learner, score_learner
from helpers.beyond.learners import LEARNERS, Learner
from helpers.cross_validation import nested_cv, nested_folds
from helpers.intervals import nested_coverage
from helpers.regression import holdout, holdout_scores, mape


@pytest.fixture(scope="module")
def curved():
    """400 samples of a property that spans two decades and is no polynomial of the features."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 6)) * [3, 2, 1, 0.3, 0.2, 0.1]
    y = np.exp(3 + 0.5 * X[:, 0] + np.sin(1.5 * X[:, 1]) + 0.05 * rng.normal(size=400))
    return X, y


def test_examples_in_docstrings():
    results = [doctest.testmod(module) for module in (learners, learner_scores)]
    assert results[1].attempted > 0
    assert not any(result.failed for result in results)


@pytest.mark.parametrize("name", LEARNERS)
def test_every_learner_beats_the_mean(name, curved):
    X, y = curved
    scores = holdout_scores(X, 6)
    row, predicted = score_learner(scores, y, name)
    mean = mape(y[scores.test], np.full(len(scores.test), y[scores.train].mean()))
    assert row["mape"] < 0.75 * mean
    assert row["mape"] == pytest.approx(mape(y[scores.test], predicted))
    assert 70 <= row["coverage"] <= 100
    assert row["width"] > 0


def test_learners_with_kernels_bend_where_polynomials_cannot(curved):
    X, y = curved
    scores = holdout_scores(X, 6)
    error = {name: score_learner(scores, y, name)[0]["mape"] for name in LEARNERS}
    assert error["log kernel ridge"] < 0.6 * error["log pr"]  # its grid ends at wider kernels
    assert error["log gp"] < 0.5 * error["log pr"]
    assert error["log pr"] < error["pr"]


@pytest.mark.parametrize("model", ["lr", "pr"])
def test_the_papers_learners_are_those_of_the_book(model, curved):
    X, y = curved
    scores = holdout_scores(X, 6)
    (row, predicted), book = score_learner(scores, y, model), holdout(scores, y, model)
    assert row["options"] == str({"k": book.n_components})
    np.testing.assert_allclose(predicted, book.y_pred, rtol=1e-8)


def test_the_test_part_has_no_say(curved):
    X, y = curved
    scores = holdout_scores(X, 6)
    spoilt = y.copy()
    spoilt[scores.test] = 1e6
    one, two = (score_learner(scores, v, "log pr") for v in (y, spoilt))
    np.testing.assert_array_equal(one[1], two[1])
    assert one[0]["width"] == two[0]["width"]


def test_intervals_cover_what_they_should():
    rng, covered = np.random.default_rng(0), []
    learner = Learner(LEARNERS["log lr"].make, {"k": [2]})
    for _ in range(30):
        X = rng.normal(size=(600, 2))
        y = np.exp(2 + X[:, 0] + 0.3 * rng.standard_t(3, size=600))
        covered.append(score_learner(holdout_scores(X, 2), y, learner)[0]["coverage"])
    assert np.mean(covered) == pytest.approx(90, abs=3)


def test_values_without_a_logarithm_are_told(curved):
    X, y = curved
    scores = holdout_scores(X, 6)
    with pytest.raises(ValueError, match="y holds -1: a logarithm needs values above 0"):
        score_learner(scores, np.where(np.arange(400) == 3, -1.0, y), "log pr")
    with pytest.raises(ValueError, match="y_true is 0"):
        score_learner(scores, np.where(np.arange(400) == 3, 0.0, y), "pr")
    with pytest.raises(ValueError, match="learner is 'svm': expected one of"):
        score_learner(scores, y, "svm")


def test_nested_linear_regression_is_that_of_the_book(curved):
    X, y = curved
    folds = nested_folds(X[:120], outer=4, inner=3)
    linear = Learner(LEARNERS["lr"].make, {"k": [1, 2, 3, 4, 5, 6]}, log=False)
    ours, book = nested_learner(folds, y[:120], linear), nested_cv(folds, y[:120], "lr")
    np.testing.assert_allclose(ours.y_pred, book.y_pred)
    np.testing.assert_allclose(ours.inner_mape, book.inner_mape)
    np.testing.assert_allclose(ours.inner_pred, book.inner_pred)
    np.testing.assert_array_equal(ours.fold_n_components, book.fold_n_components)
    assert nested_coverage(ours, y[:120]).coverage > 70


def test_options_that_the_components_do_not_allow_are_tried_once(curved):
    X, y = curved
    folds = nested_folds(X[:120], outer=4, inner=3)
    found = nested_learner(folds, y[:120], "log lr")
    assert found.inner_mape.shape == (4, 1)
    assert (found.fold_n_components == 6).all()
