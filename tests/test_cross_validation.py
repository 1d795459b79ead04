import doctest
import functools
import warnings

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    KFold,
    LeaveOneGroupOut,
    ShuffleSplit,
    cross_val_predict,
)
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler
from sklearn.svm import SVR

from helpers import cross_validation
from helpers.cross_validation import (
    MOST_COMPONENTS,
    NESTED_MODELS,
    ThinnedFolds,
    nested_cv,
    nested_folds,
)
from helpers.datasets import load_superalloys
from helpers.regression import mape
from helpers.two_point import micrograph_descriptor

STEPS = {
    "lr": [("regression", LinearRegression())],
    "pr": [("square", PolynomialFeatures(2)), ("regression", LinearRegression())],
    "svr": [("regression", SVR(kernel="linear"))],
}


def grid_search(model, most, inner, standardize=False):
    """What the paper's notebook builds for a model."""
    scale = [("scale", StandardScaler())] if standardize else []
    return GridSearchCV(
        Pipeline([*scale, ("pca", PCA(svd_solver="full")), *STEPS[model]]),
        {"pca__n_components": range(1, most + 1)},
        scoring="neg_mean_absolute_percentage_error",
        cv=inner,
        n_jobs=-1,
    )


def assert_same(
    result,
    X,
    y,
    model,
    most,
    outer,
    inner,
    *,
    folds=None,
    groups=None,
    scale=False,
    inner_atol=None,
):
    """Hold `result` against scikit-learn, fold by fold."""
    splits = list(outer.split(X, y, groups))
    assert len(result.fold_mape) == len(splits)
    for i in range(len(splits)) if folds is None else folds:
        train, test = splits[i]
        given = {} if groups is None else {"groups": groups[train]}
        search = grid_search(model, most, inner, scale).fit(X[train], y[train], **given)
        assert result.fold_n_components[i] == search.best_params_["pca__n_components"]
        theirs = -100 * search.cv_results_["mean_test_score"]
        # libsvm stops at a tolerance of 1e-3. Where it stops depends on the last bit of the
        # scores in some of the 250 fits of a fold; see the test with a finer tolerance.
        atol = inner_atol or (1e-3 if model == "svr" else 1e-8)
        np.testing.assert_allclose(result.inner_mape[i], theirs, atol=atol, rtol=0)
        predicted = search.predict(X[test])
        np.testing.assert_allclose(
            result.y_pred[test], predicted, rtol=1e-5 if model == "svr" else 1e-9
        )
        assert result.fold_mape[i] == pytest.approx(mape(y[test], predicted), abs=1e-8)
        assert (result.fold[test] == i).all()


@pytest.fixture(scope="module")
def problem():
    """Few samples of many features, with a decaying spectrum, from 12 groups."""
    rng = np.random.default_rng(0)
    latent = rng.normal(size=(90, 20)) * 0.8 ** np.arange(20)
    X = 3 + latent @ rng.normal(size=(20, 200)) + 0.01 * rng.normal(size=(90, 200))
    y = 50 + 5 * latent[:, 0] - 3 * latent[:, 1] * latent[:, 2] + rng.normal(size=90)
    composition = np.hstack([rng.dirichlet(np.ones(5), 90) * 100, np.zeros((90, 1))])
    return X, y, composition, np.repeat(np.arange(12), np.arange(2, 14))[:90]


def test_examples_in_docstrings():
    result = doctest.testmod(cross_validation)
    assert result.attempted > 0
    assert result.failed == 0


@pytest.mark.parametrize("model", NESTED_MODELS)
def test_equals_scikit_learn(problem, model):
    X, y, _, _ = problem
    outer, inner = KFold(4, shuffle=True, random_state=42), KFold(3, shuffle=True, random_state=42)
    result = nested_cv(X, y, model, outer=4, inner=3, max_components=8)
    assert_same(result, X, y, model, 8, outer, inner)


@pytest.mark.parametrize("model", NESTED_MODELS)
def test_composition_is_appended_and_everything_scaled_inside_the_folds(problem, model):
    X, y, composition, _ = problem
    outer, inner = KFold(4, shuffle=True, random_state=42), KFold(3, shuffle=True, random_state=42)
    result = nested_cv(X, y, model, composition=composition, outer=4, inner=3, max_components=8)
    both = np.hstack([X, composition])
    assert_same(result, both, y, model, 8, outer, inner, scale=True)


def test_support_vectors_equal_scikit_learn_as_closely_as_libsvm_is_asked_to(problem, monkeypatch):
    X, y, composition, _ = problem
    fine = functools.partial(SVR, tol=1e-10)
    monkeypatch.setattr(cross_validation, "SVR", fine)
    monkeypatch.setitem(STEPS, "svr", [("regression", fine(kernel="linear"))])
    outer, inner = KFold(4, shuffle=True, random_state=42), KFold(3, shuffle=True, random_state=42)
    result = nested_cv(X, y, "svr", composition=composition, outer=4, inner=3, max_components=8)
    both = np.hstack([X, composition])
    assert_same(result, both, y, "svr", 8, outer, inner, scale=True, inner_atol=1e-8)


def test_groups_go_to_both_loops(problem):
    X, y, _, groups = problem
    result = nested_cv(X, y, "lr", groups, outer=4, inner=3, max_components=8)
    splitters = [GroupKFold(k, shuffle=True, random_state=42) for k in (4, 3)]
    assert_same(result, X, y, "lr", 8, *splitters, groups=groups)
    folds = nested_folds(X, None, groups, outer=4, inner=3, max_components=8)
    for split in [*folds.outer, *(s for inner in folds.inner for s in inner)]:
        assert not set(groups[split.train]) & set(groups[split.test])


def test_a_splitter_may_ignore_groups_without_a_warning(problem):
    X, y, _, groups = problem
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = nested_cv(
            X, y, "lr", groups, outer=LeaveOneGroupOut(), inner=KFold(3), max_components=8
        )
    assert_same(result, X, y, "lr", 8, LeaveOneGroupOut(), KFold(3), groups=groups)
    assert (result.fold == np.unique(groups, return_inverse=True)[1]).all()


@pytest.mark.parametrize("model", ["lr", "pr"])
def test_inner_predictions_are_those_of_models_that_never_saw_the_sample(problem, model):
    X, y, _, groups = problem
    result = nested_cv(X, y, model, groups, outer=4, inner=3, max_components=6)
    assert result.inner_pred.shape == (4, 90)
    for i in range(4):
        outside = np.flatnonzero(result.fold != i)
        assert (np.isfinite(result.inner_pred[i]) == (result.fold != i)).all()
        pca = PCA(result.fold_n_components[i], svd_solver="full")
        theirs = cross_val_predict(
            Pipeline([("pca", pca), *STEPS[model]]),
            X[outside],
            y[outside],
            groups=groups[outside],
            cv=GroupKFold(3, shuffle=True, random_state=42),
        )
        np.testing.assert_allclose(result.inner_pred[i][outside], theirs, rtol=1e-9)


def test_thinned_folds_drop_training_samples_or_whole_groups(problem):
    X, y, _, groups = problem
    plain, by_group = KFold(4, shuffle=True, random_state=1), GroupKFold(4)
    for splitter, given in ((plain, None), (by_group, groups)):
        whole = list(splitter.split(X, groups=given))
        thin = list(ThinnedFolds(splitter, 0.5, seed=3).split(X, groups=given))
        units = np.arange(90) if given is None else groups
        for (all_train, all_test), (train, test) in zip(whole, thin, strict=True):
            np.testing.assert_array_equal(test, all_test)
            assert set(train) < set(all_train)
            known, kept = set(units[all_train]), set(units[train])
            assert len(kept) == np.ceil(len(known) / 2)
            assert set(train) == {row for row in all_train if units[row] in kept}
    thinned = ThinnedFolds(by_group, 0.7, seed=0)
    folds = nested_folds(X, groups=groups, outer=thinned, inner=3, max_components=3)
    for split in folds.outer:
        assert len(set(groups[split.train])) == np.ceil(0.7 * 9)
        assert not set(groups[split.train]) & set(groups[split.test])
    result = nested_cv(X, y, outer=ThinnedFolds(plain, 1.0, 0), inner=3, max_components=3)
    np.testing.assert_array_equal(
        result.y_pred, nested_cv(X, y, outer=plain, inner=3, max_components=3).y_pred
    )


def test_held_out_samples_have_no_influence(problem):
    X, y, composition, _ = problem
    options = {"outer": KFold(4), "inner": KFold(3), "max_components": 5}
    before = nested_cv(X, y, "lr", composition=composition, **options)
    held = before.fold == 1
    X, y, composition = X.copy(), y.copy(), composition.copy()
    X[held] += 100
    composition[held] *= 9
    y[held] *= 3
    after = nested_cv(X, y, "lr", composition=composition, **options)
    np.testing.assert_allclose(after.inner_mape[1], before.inner_mape[1], rtol=1e-9)
    assert not np.allclose(after.inner_mape[0], before.inner_mape[0])


def test_folds_can_be_shared(problem):
    X, y, composition, groups = problem
    shared = nested_folds(X, composition, groups, outer=4, inner=3, max_components=15)
    assert shared.n_components == 15
    for model, most in (("lr", 15), ("pr", 12), ("svr", 15)):
        alone = nested_cv(
            X, y, model, groups, composition, outer=4, inner=3, max_components=most, n_jobs=1
        )
        np.testing.assert_array_equal(nested_cv(shared, y, model).y_pred, alone.y_pred)
    with pytest.raises(ValueError, match="holds its folds already"):
        nested_cv(shared, y, "lr", groups)
    with pytest.raises(ValueError, match="holds its folds already"):
        nested_cv(shared, y, "lr", seed=1)


def test_as_many_components_as_there_are_features(problem):
    X, y, _, _ = problem
    result = nested_cv(X[:, :3], y, "lr")
    assert result.inner_mape.shape == (10, 3)


def test_more_polynomial_terms_than_samples(problem):
    """Twelve components make 91 columns; a training part of 40 leaves scikit-learn's solution."""
    X, y, _, _ = problem
    result = nested_cv(X[:60], y[:60], "pr", outer=3, inner=3, max_components=12)
    splitter = KFold(3, shuffle=True, random_state=42)
    assert_same(result, X[:60], y[:60], "pr", 12, splitter, splitter)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"model": "svm"}, "model is 'svm': expected one of"),
        ({"X": np.ones(90)}, r"X has shape \(90,\)"),
        ({"X": np.where(np.eye(90, 200), np.nan, 1)}, "X holds nan in row 0, column 0"),
        ({"y": np.ones(89)}, r"y has shape \(89,\): expected 90"),
        ({"y": np.where(np.arange(90) == 7, 0, 1)}, "0 at position 7"),
        ({"y": np.where(np.arange(90) == 7, np.inf, 1)}, "y holds inf in row 7"),
        ({"composition": np.ones((80, 3))}, "composition has 80 rows, X 90"),
        ({"composition": np.full((90, 3), np.nan)}, "composition holds nan in row 0"),
        ({"groups": np.arange(3)}, r"groups have shape \(3,\): expected \(90,\)"),
        ({"groups": np.repeat([0, 1, 2], 30)}, "outer is 10: expected 2 to 3 folds.* groups"),
        ({"groups": np.repeat(range(10), 9), "inner": 10}, "inner is 10: expected 2 to 9"),
        ({"outer": 91}, "outer is 91: expected 2 to 90 folds.* samples"),
        ({"outer": 1}, "outer is 1"),
        ({"outer": ShuffleSplit(3, random_state=0)}, "hold row .* times: expected every row once"),
        ({"max_components": 65}, "max_components is 65: expected 1 to 64.*smallest training part"),
        ({"max_components": 0}, "max_components is 0"),
        ({"outer": 2, "inner": 2}, "max_components is 50: expected 1 to 22"),
    ],
)
def test_bad_input_is_named(problem, options, message):
    X, y, _, _ = problem
    with pytest.raises(ValueError, match=message):
        nested_cv(options.pop("X", X), options.pop("y", y), **options)


@pytest.mark.slow
@pytest.mark.parametrize("model", NESTED_MODELS)
@pytest.mark.parametrize(
    "name, folds, most",  # scikit-learn decomposes 25 281 features anew for each number
    [("dinov2-l14", [0, 7], 50), ("sam-h", [3, 8], 50), ("two-point", [5], 12)],
)
def test_equals_scikit_learn_on_the_published_data(published, model, name, folds, most):
    X, y = published[0][name], published[1]
    most = min(most, MOST_COMPONENTS[model])
    result = nested_cv(X, y, model, max_components=most)
    outer, inner = (KFold(k, shuffle=True, random_state=42) for k in (10, 5))
    assert_same(result, X, y, model, most, outer, inner, folds=folds)


@pytest.fixture(scope="module")
def published(shared_data):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MICROPROP_DATA", str(shared_data))
        data = load_superalloys("published")
    descriptors = {k: data.features[k].astype(float) for k in ("dinov2-l14", "sam-h")}
    descriptors["two-point"] = np.stack([micrograph_descriptor(x) for x in data.binary_images])
    return descriptors, data.hardness
