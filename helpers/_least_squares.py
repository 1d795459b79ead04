"""Least squares on 1, 2, ... principal components at once, and checks of what is fitted."""

from __future__ import annotations

import numpy as np
import scipy.linalg
from sklearn.linear_model import LinearRegression

from helpers.metrics import mape

MODELS = {"lr": "linear regression", "pr": "second-order polynomial regression"}


def check_target(y, n):
    """Return `y` as float64 of shape (n,), or say which value is no target for a MAPE.

    Raises
    ------
    ValueError
        Another length, NaN or infinity, zeros.
    """
    y = np.asarray(y, dtype=float)
    if y.shape != (n,):
        raise ValueError(f"y has shape {y.shape}: expected {n} values, one for each row of X")
    bad = np.flatnonzero(~np.isfinite(y))
    if len(bad):
        raise ValueError(f"y holds {y[bad[0]]} in row {bad[0]} ({len(bad)} in all): drop the rows")
    mape(y, y)  # zeros anywhere are refused before the long part
    return y


def check_descriptors(X, name="X"):
    """Return `X` as an array of shape (n, n_features), or say what is wrong with it.

    Raises
    ------
    ValueError
        Another number of axes; NaN or infinity, with row and column.
    """
    X = np.asarray(X)
    if X.ndim != 2:
        raise ValueError(f"{name} has shape {X.shape}: expected (n_samples, n_features)")
    bad = np.argwhere(~np.isfinite(X))
    if len(bad):
        row, column = (int(i) for i in bad[0])
        raise ValueError(
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
    """Least-squares coefficients for 1, 2, ... components from one QR decomposition."""
    n_components = np.arange(1, design.shape[1])
    sizes = n_components + 1 if model == "lr" else (n_components + 1) * (n_components + 2) // 2
    sizes = sizes[sizes <= design.shape[1]]
    scale = np.linalg.norm(design, axis=0)
    scale[scale == 0] = 1
    q, r = scipy.linalg.qr(design / scale, mode="economic")
    target, diagonal = q.T @ y, np.abs(np.diag(r))
    coefficients = []
    for size in sizes:
        if size <= len(diagonal) and diagonal[:size].min() > 1e-10:
            c = scipy.linalg.solve_triangular(r[:size, :size], target[:size])
        else:  # more columns than samples, or dependent ones: what scikit-learn takes
            exact = LinearRegression().fit(design[:, 1:size], y)
            c = np.append(exact.intercept_, exact.coef_) * scale[:size]
        coefficients.append(c / scale[:size])
    return coefficients
