"""From descriptors to a property: light regression models and honest validation."""

from __future__ import annotations

import dataclasses

import numpy as np
from sklearn.model_selection import train_test_split

from helpers._least_squares import (
    MODELS,
    check_descriptors,
    check_target,
    design_matrix,
    fit_nested,
)
from helpers.cross_validation import nested_cv as nested_cv
from helpers.metrics import mape
from helpers.reduction import fit_pca, fit_pls

__all__ = ["MODELS", "Holdout", "HoldoutScores", "holdout", "holdout_rows", "holdout_scores"]


@dataclasses.dataclass(frozen=True)
class HoldoutScores:
    """Component scores of the three parts of a data set, to be shared by several models.

    Attributes
    ----------
    train, val, test : ndarray of int
        Row numbers of the parts.
    tuning : ndarray, shape (n_samples, n_components)
        Scores on components fitted on the training part.
    final : ndarray, shape (n_samples, n_components)
        Scores on components fitted on training and validation part together.
    explained_variance_ratio : ndarray, shape (n_components,)
        Share of the variance of the training part that each component carries, 0 to 1.
    """

    train: np.ndarray
    val: np.ndarray
    test: np.ndarray
    tuning: np.ndarray
    final: np.ndarray
    explained_variance_ratio: np.ndarray


@dataclasses.dataclass(frozen=True)
class Holdout:
    """What `holdout` found.

    Attributes
    ----------
    n_components : int
        Number of components with the lowest validation error.
    val_mape : ndarray, shape (max_components,)
        Validation MAPE [%] of 1, 2, ... components.
    test_mape : float
        MAPE [%] of the test part.
    y_test, y_pred : ndarray, shape (n_test,)
        Measured and predicted values of the test part.
    y_fit, y_fit_pred : ndarray, shape (n_fit,)
        The same of the part that the final model was fitted on (training + validation).
    test : ndarray of int, shape (n_test,)
        Rows of the test part.
    """

    n_components: int
    val_mape: np.ndarray
    test_mape: float
    y_test: np.ndarray
    y_pred: np.ndarray
    y_fit: np.ndarray
    y_fit_pred: np.ndarray
    test: np.ndarray


def holdout_rows(n):
    """Rows of the training, the validation and the test part of the paper's split.

    Parameters
    ----------
    n : int
        Samples.

    Returns
    -------
    train, val, test : ndarray of int
        10 % test; of the rest 20 % validation.

    Examples
    --------
    >>> [len(rows) for rows in holdout_rows(5900)]
    [4248, 1062, 590]
    """
    rest, test = train_test_split(np.arange(n), test_size=0.1, random_state=11)
    return *train_test_split(rest, test_size=0.2, random_state=32), test


def holdout_scores(X, max_components=50, *, target=None):
    """Split as in case study 1 of the paper, and reduce by PCA fitted inside each part.

    Parameters
    ----------
    X : array_like of float, shape (n, n_features)
        Descriptors.
    max_components : int
        Components to keep.
    target : array_like of float, shape (n,), optional
        Components of partial least squares on it, in the place of PCA; the values of a part
        that components are not fitted on are not looked at.

    Returns
    -------
    HoldoutScores
        The parts of `holdout_rows`. One reduction of the training part serves every number of
        components during tuning.

    Raises
    ------
    ValueError
        NaN or infinite descriptors; more components than the training part allows.

    Notes
    -----
    Section 3.1 of the paper; seeds of the splits from its public notebooks.

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(100, 8))
    >>> scores = holdout_scores(X, max_components=3)
    >>> len(scores.train), len(scores.val), len(scores.test)
    (72, 18, 10)
    """
    X = check_descriptors(X)
    train, val, test = holdout_rows(len(X))
    fit = np.concatenate([train, val])
    limit = min(len(train), X.shape[1])
    if not 1 <= max_components <= limit:
        raise ValueError(
            f"max_components is {max_components}: expected 1 to {limit}, the smaller of "
            f"{len(train)} training samples and {X.shape[1]} features"
        )
    if target is None:
        tuning, final = (fit_pca(X[rows], max_components) for rows in (train, fit))
    else:
        target = np.asarray(target, float)
        tuning, final = (fit_pls(X[rows], target[rows], max_components) for rows in (train, fit))
    scores = tuning.transform(X).astype(np.float64)
    shares = scores[train].var(axis=0) / X[train].var(axis=0).sum()
    return HoldoutScores(train, val, test, scores, final.transform(X), shares)


def holdout(X, y, model="lr", max_components=50):
    """The paper's protocol of case study 1: tune on a validation part, score on a test part.

    Parameters
    ----------
    X : array_like of float, shape (n, n_features), or HoldoutScores
        Descriptors, or the result of `holdout_scores` where several models share them.
    y : array_like of float, shape (n,)
        Property to predict, in its own unit; no zeros.
    model : str
        ``"lr"`` linear, ``"pr"`` second-order polynomial regression with interactions.
    max_components : int
        1 to this many components are tried; not used where `X` is a HoldoutScores.

    Returns
    -------
    Holdout

    Raises
    ------
    ValueError
        Another `model`; lengths that differ; NaN; zeros in `y`; too many components.

    Notes
    -----
    The number of components with the lowest validation MAPE is refitted, PCA included, on
    training and validation part together, as a refitting grid search does.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(200, 5))
    >>> result = holdout(X, 10 + X[:, 0], model="lr", max_components=5)
    >>> result.n_components, result.val_mape.shape, result.test_mape < 1e-6
    (5, (5,), True)
    """
    if model not in MODELS:
        raise ValueError(f"model is {model!r}: expected one of {sorted(MODELS)}")
    scores = X if isinstance(X, HoldoutScores) else holdout_scores(X, max_components)
    y = check_target(y, len(scores.tuning))
    train, val, test = scores.train, scores.val, scores.test
    coefficients = fit_nested(design_matrix(scores.tuning[train], model), y[train], model)
    design = design_matrix(scores.tuning[val], model)
    val_mape = np.array([mape(y[val], design[:, : len(c)] @ c) for c in coefficients])
    best = int(np.argmin(val_mape)) + 1
    fit = np.concatenate([train, val])
    design = design_matrix(scores.final[:, :best], model)
    final = fit_nested(design[fit], y[fit], model)[-1]
    predicted = design @ final
    return Holdout(
        n_components=best,
        val_mape=val_mape,
        test_mape=mape(y[test], predicted[test]),
        y_test=y[test],
        y_pred=predicted[test],
        y_fit=y[fit],
        y_fit_pred=predicted[fit],
        test=test,
    )
