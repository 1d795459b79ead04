"""From the features of sections to a few numbers a volume: aggregation and PCA."""

from __future__ import annotations

import numpy as np
from sklearn.cross_decomposition import PLSRegression
from sklearn.decomposition import PCA


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
    features = np.asarray(features)
    if features.ndim < 3:
        raise ValueError(f"features have shape {features.shape}: expected (n, n_sections, ...)")
    features = features.reshape(*features.shape[:2], -1)
    if how == "concat":
        return features.reshape(len(features), -1)
    if how == "mean":
        return features.mean(axis=1)
    raise ValueError(f"how is {how!r}: expected 'concat' or 'mean'")


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
    limit = min(X.shape)
    if not 1 <= n_components <= limit:
        raise ValueError(
            f"n_components is {n_components}: expected 1 to {limit}, the smaller of "
            f"{X.shape[0]} training samples and {X.shape[1]} features"
        )
    solver = "arpack" if limit > max(500, 5 * n_components) else "full"
    return PCA(n_components, svd_solver=solver, random_state=0).fit(X)


def fit_pls(X, target, n_components):
    """Partial least squares of a descriptor matrix: components that vary with a target.

    Parameters
    ----------
    X : ndarray of float, shape (n, n_features)
        Training part only.
    target : ndarray of float, shape (n,)
        Of the same samples.
    n_components : int
        From 1 to min(n, n_features).

    Returns
    -------
    sklearn.cross_decomposition.PLSRegression
        Fitted, columns not scaled. The first components do not depend on how many follow.

    Notes
    -----
    Wold, Sjöström and Eriksson 2001, doi:10.1016/S0169-7439(01)00155-1. Each component is the
    direction of largest covariance with what the others left of the target, so that this
    reduction, unlike PCA, must never see the target of a test part.

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(50, 5))
    >>> scores = fit_pls(X, X[:, 4], 2).transform(X)
    >>> bool(np.corrcoef(scores[:, 0], X[:, 4])[0, 1] > 0.9)
    True
    """
    return PLSRegression(n_components, scale=False).fit(X, target)
