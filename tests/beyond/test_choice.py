"""A learner chosen inside the folds, on properties whose best learner is known."""

import numpy as np
import pytest
from sklearn.model_selection import GroupKFold

from helpers.beyond import choice
from helpers.beyond.choice import OF_THE_LOGARITHM, nested_choice
from helpers.cross_validation import nested_cv
from helpers.regression import mape

pytestmark = pytest.mark.filterwarnings("error")
FOLDS = {"outer": 3, "inner": 3}


@pytest.fixture(autouse=True)
def few_counts(monkeypatch):
    monkeypatch.setattr(choice, "COUNTS", (2, 5))


def compared(make, n=80, groups=None, seed=0):
    """The choice, and errors [%] of the choice, of linear regression and of the mean."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 5)) * [3, 2, 1, 1, 1]
    y = make(X, rng.normal(size=n))
    linear = nested_cv(X, y, "lr", groups, n_jobs=1, **FOLDS)
    pipeline, y_pred, facts = nested_choice(X, y, groups, linear.fold, inner=3, progress=False)
    assert pipeline.predict(X).shape == (n,)
    assert sum(facts["counts"].values()) == FOLDS["outer"]
    return facts, *(mape(y, other) for other in (y_pred, linear.y_pred, np.full(n, y.mean())))


def test_a_linear_property_is_predicted_no_worse_than_by_linear_regression():
    _, error, linear, mean = compared(lambda X, noise: 100 + 5 * X[:, 0] + noise)
    assert error < 1.1 * linear < 0.3 * mean


def test_a_quadratic_property_is_not_left_to_a_line():
    facts, error, linear, _ = compared(lambda X, noise: 100 + 2 * X[:, 0] ** 2 + noise)
    assert error < 0.4 * linear
    assert "linear" not in facts["learner"]


def test_the_logarithm_of_an_exponential_property_is_chosen():
    facts, error, linear, _ = compared(lambda X, noise: np.exp(3 + X[:, 0] / 3 + noise / 10))
    assert facts["learner"].endswith(OF_THE_LOGARITHM)
    assert error < 0.5 * linear


@pytest.mark.slow
def test_of_noise_the_best_of_many_promises_more_than_it_holds():
    found = [compared(lambda X, noise: 100 + 10 * noise, seed=s) for s in range(2)]
    promised, error, _, mean = np.mean([(f["promised"], *rest) for f, *rest in found], axis=0)
    assert error > 0.97 * mean
    assert promised < error


def test_values_below_zero_have_no_logarithm_and_large_sets_no_gaussian_process():
    y = np.linspace(-1, 1, 60)
    assert not any(OF_THE_LOGARITHM in name for name in choice._models(y))
    assert "Gaussian process" in choice._models(y)
    assert "Gaussian process" not in choice._models(np.linspace(-1, 1, 501))


def test_no_source_is_on_both_sides_of_an_inner_split(monkeypatch):
    seen = []

    class Watched(GroupKFold):
        def split(self, X, y=None, groups=None):
            for train, test in super().split(X, y, groups):
                seen.append(set(groups[train]) & set(groups[test]))
                yield train, test

    monkeypatch.setattr(choice, "GroupKFold", Watched)
    monkeypatch.setattr(choice, "COUNTS", (2,))
    sources = np.repeat([f"heat {i}" for i in range(8)], 10)
    compared(lambda X, noise: 100 + X[:, 0] + noise, groups=sources)
    assert seen == [set()] * 3 * (FOLDS["outer"] + 1)


@pytest.mark.parametrize("copies", [1, 2])
def test_copies_and_few_features_are_fitted(copies):
    rng = np.random.default_rng(0)
    X = np.tile(rng.normal(size=(40, 3)), (copies, 2))  # of rank 3
    y = 100 + X[:, 0]
    fold = np.arange(len(y)) % 4
    _, y_pred, _ = nested_choice(X, y, None, fold, inner=3, most=3, progress=False)
    assert np.isfinite(y_pred).all()
