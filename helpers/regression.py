"""From descriptors to a property: a few components, light regression, the split of the paper."""

from __future__ import annotations

import dataclasses

import numpy as np
import scipy.linalg
from sklearn.decomposition import PCA
from sklearn.linear_model import LinearRegression
from sklearn.metrics import mean_absolute_percentage_error
from sklearn.model_selection import train_test_split

from helpers import UserError, check_choice


def mape(y_true, y_pred):
    """Mean absolute percentage error [%].

    Parameters
    ----------
    y_true, y_pred : array_like of float, shape (n,)
        Measured and predicted values; no measured value is zero.

    Raises
    ------
    ValueError
        A measured zero, for which the error is infinite.

    Examples
    --------
    >>> mape([100.0, 200.0], [110.0, 180.0])
    10.0
    """
    zeros = np.flatnonzero(np.asarray(y_true) == 0)
    if len(zeros):
        raise UserError(
            f"y_true is 0 at position {zeros[0]} ({len(zeros)} in all): a percentage error needs "
            "targets other than zero; drop those rows or choose another error"
        )
    return 100 * float(mean_absolute_percentage_error(y_true, y_pred))


def aggregate_sections(features, how="concat"):
    """One descriptor a volume from the features of its sections.

    Parameters
    ----------
    features : array_like of float, shape (n, n_sections, ...)
        Features of every section; what follows the second axis is flattened.
    how : str
        ``"concat"``: side by side. ``"mean"``: element by element.

    Returns
    -------
    ndarray, shape (n, n_sections * n_features) or (n, n_features)

    Raises
    ------
    ValueError
        Another `how`, or fewer than three axes.

    Notes
    -----
    Section 2 of the paper (doi:10.1016/j.actamat.2025.121217).

    Examples
    --------
    >>> sections = np.arange(12.0).reshape(2, 3, 2)
    >>> aggregate_sections(sections, "concat").shape, aggregate_sections(sections, "mean")[0]
    ((2, 6), array([2., 3.]))
    """
    check_choice("how", how, ("concat", "mean"))
    features = np.asarray(features)
    if features.ndim < 3:
        raise UserError(f"features have shape {features.shape}: expected (n, n_sections, ...)")
    features = features.reshape(*features.shape[:2], -1)
    return features.mean(axis=1) if how == "mean" else features.reshape(len(features), -1)


def fit_pca(X, n_components):
    """PCA of a descriptor matrix, exact and the same every time.

    Parameters
    ----------
    X : ndarray of float, shape (n, n_features)
        Training part only.
    n_components : int
        From 1 to min(n, n_features).

    Returns
    -------
    sklearn.decomposition.PCA
        Fitted. Large matrices go through ARPACK, which finds the leading components to
        machine precision without the rest; scikit-learn's default would be a randomised and
        approximate one.

    Raises
    ------
    ValueError
        More components than samples or features.

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(20, 5))
    >>> fit_pca(X, 2).transform(X).shape
    (20, 2)
    """
    X = np.asarray(X)
    _check_count("n_components", n_components, *X.shape)
    solver = "arpack" if min(X.shape) > max(500, 5 * n_components) else "full"
    return PCA(n_components, svd_solver=solver, random_state=0).fit(X)


def _check_count(name, count, n_samples, n_features):
    limit = min(n_samples, n_features)
    if not 1 <= count <= limit:
        raise UserError(
            f"{name} is {count}: expected 1 to {limit}, the smaller of {n_samples} training "
            f"samples and {n_features} features"
        )


MODELS = {"lr": "linear regression", "pr": "second-order polynomial regression"}


def check_target(y, n):
    """Return `y` as float64 of shape (n,), or say which value is no target for a MAPE."""
    y = np.asarray(y, dtype=float)
    if y.shape != (n,):
        raise UserError(f"y has shape {y.shape}: expected {n} values, one for each row of X")
    bad = np.flatnonzero(~np.isfinite(y))
    if len(bad):
        raise UserError(f"y holds {y[bad[0]]} in row {bad[0]} ({len(bad)} in all): drop the rows")
    mape(y, y)  # zeros anywhere are refused before the long part
    return y


def check_descriptors(X, name="X"):
    """Return `X` as an array of shape (n, n_features), or say what is wrong with it."""
    X = np.asarray(X)
    if X.ndim != 2:
        raise UserError(f"{name} has shape {X.shape}: expected (n_samples, n_features)")
    bad = np.argwhere(~np.isfinite(X))
    if len(bad):
        row, column = (int(i) for i in bad[0])
        raise UserError(
            f"{name} holds {X[row, column]} in row {row}, column {column}: drop or mend it"
        )
    return X


def design_matrix(scores, model):
    """Columns of the regression, ordered so that the first belong to the fewest components."""
    columns = [np.ones((len(scores), 1))]
    for j in range(scores.shape[1]):
        columns.append(scores[:, j : j + 1])
        if model == "pr":
            columns.append(scores[:, j : j + 1] * scores[:, : j + 1])
    return np.hstack(columns)


def fit_nested(design, y, model):
    """Least-squares coefficients for 1, 2, ... components from one QR decomposition.

    The models are nested: one of k components has the first columns of the design, linear k + 1
    and polynomial (k + 1)(k + 2)/2. With the design A = Q R the first m columns are Q times the
    first m of R, which is upper triangular: the coefficients of a model solve the leading m x m
    block of R with the first m elements of Q^T y, and nothing is decomposed again.
    """
    k = np.arange(1, design.shape[1])
    sizes = k + 1 if model == "lr" else (k + 1) * (k + 2) // 2
    sizes = sizes[sizes <= design.shape[1]]
    scale = np.linalg.norm(design, axis=0)
    scale[scale == 0] = 1
    q, r = scipy.linalg.qr(design / scale, mode="economic")
    projected, diagonal = q.T @ y, np.abs(np.diag(r))
    coefficients = []
    for size in sizes:
        if size <= len(diagonal) and diagonal[:size].min() > 1e-10:
            c = scipy.linalg.solve_triangular(r[:size, :size], projected[:size]) / scale[:size]
        else:  # more columns than samples, or dependent ones: what scikit-learn takes
            exact = LinearRegression().fit(design[:, 1:size], y)
            c = np.append(exact.intercept_, exact.coef_)
        coefficients.append(c)
    return coefficients


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
    test : ndarray of int, shape (n_test,)
        Rows of the test part.
    """

    n_components: int
    val_mape: np.ndarray
    test_mape: float
    y_test: np.ndarray
    y_pred: np.ndarray
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


def holdout_scores(X, max_components=50, *, parts=None):
    """Split as in case study 1 of the paper, and reduce by PCA fitted inside each part.

    Parameters
    ----------
    X : array_like of float, shape (n, n_features)
        Descriptors.
    max_components : int
        Components to keep.
    parts : tuple of ndarray of int, optional
        Rows of a training, a validation and a test part, in the place of `holdout_rows`.

    Returns
    -------
    HoldoutScores
        One reduction of the training part serves every number of components during tuning.

    Raises
    ------
    ValueError
        NaN or infinite descriptors, constant ones; more components than the training part allows.

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
    train, val, test = holdout_rows(len(X)) if parts is None else parts
    fit = np.concatenate([train, val])
    _check_count("max_components", max_components, len(train), X.shape[1])
    if not np.ptp(X[train], axis=0).any():
        raise UserError(
            f"X is the same in all {len(train)} rows of the training part: a constant descriptor "
            "tells nothing; take another"
        )
    tuning, final = (fit_pca(X[rows], max_components) for rows in (train, fit))
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
    check_choice("model", model, sorted(MODELS))
    scores = X if isinstance(X, HoldoutScores) else holdout_scores(X, max_components)
    y = check_target(y, len(scores.tuning))
    train, val, test = scores.train, scores.val, scores.test
    coefficients = fit_nested(design_matrix(scores.tuning[train], model), y[train], model)
    design = design_matrix(scores.tuning[val], model)
    val_mape = np.array([mape(y[val], design[:, : len(c)] @ c) for c in coefficients])
    best = int(np.argmin(val_mape)) + 1
    fit = np.concatenate([train, val])
    design = design_matrix(scores.final[:, :best], model)
    predicted = design @ fit_nested(design[fit], y[fit], model)[-1]
    return Holdout(
        n_components=best,
        val_mape=val_mape,
        test_mape=mape(y[test], predicted[test]),
        y_test=y[test],
        y_pred=predicted[test],
        test=test,
    )
