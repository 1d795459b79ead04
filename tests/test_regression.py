import doctest

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV, PredefinedSplit, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures

from helpers import plots, regression
from helpers.regression import (
    aggregate_sections,
    design_matrix,
    fit_nested,
    fit_pca,
    holdout,
    holdout_scores,
    mape,
)


@pytest.fixture(scope="module")
def problem():
    """Descriptors with decaying spectrum and a property that depends on them to second order."""
    rng = np.random.default_rng(0)
    latent = rng.normal(size=(400, 30)) * 0.8 ** np.arange(30)
    X = latent @ rng.normal(size=(30, 60)) + 0.01 * rng.normal(size=(400, 60))
    y = 20 + latent[:, 0] - latent[:, 1] * latent[:, 2] + 0.1 * rng.normal(size=400)
    return X, y


@pytest.mark.parametrize("module", [regression, plots])
def test_examples_in_docstrings(module):
    result = doctest.testmod(module)
    assert result.attempted > 0
    assert result.failed == 0


def test_aggregates():
    features = np.arange(24).reshape(2, 3, 2, 2)
    concat = aggregate_sections(features, "concat")
    np.testing.assert_array_equal(concat[1], np.arange(12, 24))
    np.testing.assert_allclose(aggregate_sections(features, "mean")[0], [4, 5, 6, 7])
    with pytest.raises(ValueError, match="how is 'max'"):
        aggregate_sections(features, "max")
    with pytest.raises(ValueError, match=r"shape \(2, 3\)"):
        aggregate_sections(np.zeros((2, 3)))


@pytest.mark.parametrize("model, steps", [("lr", []), ("pr", [PolynomialFeatures(2)])])
def test_holdout_equals_a_grid_search_of_scikit_learn(problem, model, steps):
    X, y = problem
    result = holdout(X, y, model, max_components=12)
    rest, test = train_test_split(np.arange(400), test_size=0.1, random_state=11)
    train, _ = train_test_split(rest, test_size=0.2, random_state=32)
    fold = np.where(np.isin(rest, train), -1, 0)
    search = GridSearchCV(
        make_pipeline(PCA(svd_solver="full"), *steps, LinearRegression()),
        {"pca__n_components": range(1, 13)},
        scoring="neg_mean_absolute_percentage_error",
        cv=PredefinedSplit(fold),
    ).fit(X[rest], y[rest])
    assert result.n_components == search.best_params_["pca__n_components"]
    np.testing.assert_allclose(
        result.val_mape, -100 * search.cv_results_["mean_test_score"], rtol=1e-8
    )
    expected = search.predict(X[test])
    np.testing.assert_array_equal(result.y_test, y[test])
    np.testing.assert_allclose(result.y_pred, expected, rtol=1e-8)
    assert result.test_mape == pytest.approx(mape(y[test], expected), rel=1e-8)
    assert set(result.test) == set(test)


def test_test_part_has_no_influence_on_the_fit(problem):
    X, y = problem
    result = holdout(X, y, "pr", max_components=8)
    X_changed, y_changed = X.copy(), y.copy()
    X_changed[result.test[1:]] += 100
    y_changed[result.test[1:]] *= 7
    changed = holdout(X_changed, y_changed, "pr", max_components=8)
    np.testing.assert_allclose(changed.val_mape, result.val_mape)
    np.testing.assert_allclose(changed.y_pred[0], result.y_pred[0])


def test_validation_part_has_no_influence_on_the_components(problem):
    X, _ = problem
    scores = holdout_scores(X, 5)
    changed = X.copy()
    changed[scores.val] *= -3
    again = holdout_scores(changed, 5)
    np.testing.assert_allclose(
        np.abs(again.tuning[scores.train]), np.abs(scores.tuning[scores.train])
    )


def test_scores_can_be_shared(problem):
    X, y = problem
    shared = holdout(holdout_scores(X, 9), y, "lr")
    np.testing.assert_array_equal(shared.y_pred, holdout(X, y, "lr", max_components=9).y_pred)


def test_polynomial_with_more_columns_than_samples(problem):
    """scikit-learn's solution of smallest norm: it shows where the model was not fitted."""
    X, y = problem
    scores = fit_pca(X, 8).transform(X)
    coefficients = fit_nested(design_matrix(scores[:40], "pr"), y[:40], "pr")[-1]
    theirs = make_pipeline(PolynomialFeatures(2), LinearRegression()).fit(scores[:40], y[:40])
    assert len(coefficients) == 45
    ours = design_matrix(scores, "pr") @ coefficients
    np.testing.assert_allclose(ours[:40], y[:40], rtol=1e-6)
    np.testing.assert_allclose(ours, theirs.predict(scores), rtol=1e-8)


def test_components_are_limited_by_the_data(problem):
    with pytest.raises(ValueError, match="n_components is 61: expected 1 to 60"):
        fit_pca(problem[0], 61)


def test_large_matrices_get_the_same_components():
    rng = np.random.default_rng(1)
    X = rng.normal(size=(700, 600)) * 0.97 ** np.arange(600)
    ours, full = fit_pca(X, 10), PCA(10, svd_solver="full").fit(X)
    assert ours.svd_solver == "arpack"
    np.testing.assert_allclose(ours.singular_values_, full.singular_values_, rtol=1e-10)
    np.testing.assert_allclose(np.abs(ours.components_), np.abs(full.components_), atol=1e-8)


def test_mape_is_in_percent_and_refuses_zeros():
    assert mape([1, 2, 4], [1.1, 1.8, 4]) == pytest.approx(20 / 3)
    with pytest.raises(ValueError, match=r"0 at position 1 \(1 in all\)"):
        mape([1, 0], [1, 1])


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda X, y: (X, y, "svm", 5), "model is 'svm'"),
        (lambda X, y: (X, y, "lr", 61), "max_components is 61: expected 1 to 60"),
        (lambda X, y: (X, y, "lr", 0), "max_components is 0"),
        (lambda X, y: (X[:20], y[:20], "lr", 15), "max_components is 15: expected 1 to 14"),
        (lambda X, y: (X, y[:-1], "lr", 5), r"y has shape \(399,\)"),
        (
            lambda X, y: (X, np.where(np.arange(400) == 3, np.nan, y), "lr", 5),
            "y holds nan in row 3",
        ),
        (lambda X, y: (X, np.where(np.arange(400) == 3, 0, y), "lr", 5), "0 at position 3"),
        (
            lambda X, y: (np.where(np.eye(400, 60), np.inf, X), y, "lr", 5),
            "inf in row 0, column 0",
        ),
        (lambda X, y: (X[0], y, "lr", 5), r"X has shape \(60,\)"),
    ],
)
def test_bad_input_is_named(problem, change, message):
    with pytest.raises(ValueError, match=message):
        holdout(*change(*problem))


def test_components_of_given_parts_come_from_their_training_and_validation_rows():
    X = np.random.default_rng(0).normal(size=(60, 6))
    parts = np.split(np.arange(60), [30, 40])
    scores = holdout_scores(X, 4, parts=parts)
    assert [scores.train.tolist(), scores.test.tolist()] == [parts[0].tolist(), parts[2].tolist()]
    np.testing.assert_allclose(scores.tuning, fit_pca(X[:30], 4).transform(X))
    spoilt = X.copy()
    spoilt[40:] *= 100
    np.testing.assert_array_equal(
        holdout_scores(spoilt, 4, parts=parts).final[:40], scores.final[:40]
    )
