"""A learner chosen inside the folds, and scored outside them like any other."""

from __future__ import annotations

import warnings
from collections import Counter
from typing import NamedTuple

import joblib
import numpy as np
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.decomposition import PCA
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, PolynomialFeatures, StandardScaler
from sklearn.svm import SVR
from threadpoolctl import threadpool_limits

from helpers.beyond.learners import GP_SAMPLES
from helpers.io.progress import progress_bar

OF_THE_LOGARITHM = " of the logarithm"  # of the property, after the name of a learner
# Regressions of a standardised target on whitened components, with the options and the numbers of
# components to try: few of each, for what a choice among many promises is luck. The width of a
# kernel follows the number of components by itself, as their squared distance does.
_KERNEL = ConstantKernel(1.0) * RBF(3.0, (0.1, 1e3)) + WhiteKernel(0.1, (1e-4, 10.0))
_SQUARES = make_pipeline(PolynomialFeatures(2, include_bias=False), LinearRegression())
LEARNERS = {
    "linear regression": (LinearRegression(), {}, (1, 2, 3, 5, 8, 12, 20, 30, 50)),
    "polynomial regression": (_SQUARES, {}, (2, 3, 5, 8, 12)),
    "support vector regression": (
        SVR(), {"kernel": ["linear", "rbf"], "C": [1.0, 10.0]}, (4, 10, 25),
    ),
    "kernel ridge regression": (
        KernelRidge(kernel="rbf"), {"alpha": [0.01, 0.1, 1.0]}, (4, 10, 25),
    ),
    "Gaussian process": (GaussianProcessRegressor(_KERNEL), {}, (4, 10, 25)),
}  # fmt: skip


class Choice(NamedTuple):
    """What `nested_choice` found.

    `pipeline`: the learner chosen with all samples, fitted to them; `y_pred` (n,): predictions by
    learners that were chosen and fitted without the sample; `learner`, the name of the pipeline's;
    `counts` (dict of str to int): how many outer folds chose which; `promised` [%]: lowest inner
    MAPE, mean over the outer folds; `tried` (list of str): names of all candidates.
    """

    pipeline: Pipeline
    y_pred: np.ndarray
    learner: str
    counts: dict
    promised: float
    tried: list


def nested_choice(X, y, groups, fold, *, inner=5, seed=42, most=50, progress=True):
    """Choose learner, number of components and options in inner folds, once an outer fold.

    Parameters
    ----------
    X : ndarray of float, shape (n, n_features)
        Descriptors.
    y : ndarray of float, shape (n,)
        Property; its logarithm is tried as well where all values are above 0.
    groups : ndarray of str, shape (n,), or None
        No group is on both sides of an inner split; `fold` keeps them together outside.
    fold : ndarray of int, shape (n,)
        Outer fold of each sample, such as that of a `helpers.cross_validation.NestedCV`.
    inner : int
        Number of inner folds.
    seed : int
        Of their shuffling.
    most : int
        Components to try at most; no training part may have fewer dimensions.
    progress : bool
        Show the outer folds done and the time left.

    Returns
    -------
    Choice

    Notes
    -----
    `LEARNERS` of the property and of its logarithm, each on whitened principal components, by the
    inner MAPE. A Gaussian process is tried with at most 500 samples: its time grows with their
    third power. Scaling, components and choice are made of training samples alone.

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(60, 3))
    >>> choice = nested_choice(X, np.exp(X[:, 0] + 3), None, np.arange(60) % 3, progress=False)
    >>> choice.learner
    'linear regression of the logarithm'
    """
    models, grid = _candidates(y, most)
    search = GridSearchCV(
        Pipeline([("pca", PCA(whiten=True, svd_solver="full")), ("model", None)]),
        grid,
        scoring="neg_mean_absolute_percentage_error",
        cv=(KFold if groups is None else GroupKFold)(inner, shuffle=True, random_state=seed),
    )
    # All components of all samples are a turn of the axes: no distance changes, and nothing is
    # learned from it, but each of the many decompositions has n columns at most.
    turned = PCA(svd_solver="full").fit_transform(X)
    predicted, names, promised = np.empty(len(y)), [], []
    parallel = joblib.parallel_config("threading", n_jobs=-1)
    with threadpool_limits(1), parallel, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # candidates that fit badly are not chosen
        with progress_bar("choice", "fold", fold.max() + 2, progress=progress) as bar:
            for i in [*range(fold.max() + 1), -1]:  # the last with all samples
                train, test = fold != i, fold == i
                search.fit(
                    turned[train], y[train], groups=None if groups is None else groups[train]
                )
                names.append(
                    next(n for n, m in models.items() if m is search.best_params_["model"])
                )
                if i >= 0:
                    predicted[test] = search.predict(turned[test])
                    promised.append(-100 * search.best_score_)
                bar.update()
    pipeline = clone(search.best_estimator_).fit(X, y)
    counts = dict(Counter(names[:-1]).most_common())
    return Choice(pipeline, predicted, names[-1], counts, float(np.mean(promised)), list(models))


def _candidates(y, most):
    """Models by name, and the grid in which `GridSearchCV` tries them."""
    targets = {"": StandardScaler()}
    if y.min() > 0:
        log = FunctionTransformer(np.log, np.exp, check_inverse=False)
        targets[OF_THE_LOGARITHM] = make_pipeline(log, StandardScaler())
    models, grid = {}, []
    for name, (learner, options, counts) in LEARNERS.items():
        if name == "Gaussian process" and len(y) > GP_SAMPLES:
            continue
        tried = {f"model__regressor__{key}": values for key, values in options.items()}
        tried["pca__n_components"] = sorted({min(k, most) for k in counts})
        for suffix, target in targets.items():
            model = TransformedTargetRegressor(learner, transformer=target, check_inverse=False)
            models[name + suffix] = model
            grid.append({"model": [model], **tried})
    return models, grid
