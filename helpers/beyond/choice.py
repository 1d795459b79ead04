"""A learner chosen inside the folds, and scored outside them like any other."""

from __future__ import annotations

import warnings
from collections import Counter

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
from helpers.scores import PAPER_SEED

OF_THE_LOGARITHM = " of the logarithm"  # of the property, after the name of a learner
COUNTS = (2, 4, 8, 16, 32)  # of components; what a choice among many promises is luck
# For a standardised target on whitened components. The width of a kernel follows the number of
# components by itself, as squared distances do.
KERNEL = ConstantKernel(1.0) * RBF(3.0, (0.1, 1e3)) + WhiteKernel(0.1, (1e-4, 10.0))
LEARNERS = {
    "linear regression": LinearRegression(),
    "polynomial regression": make_pipeline(PolynomialFeatures(2), LinearRegression()),
    "linear support vector regression": SVR(kernel="linear"),
    "support vector regression": SVR(C=10.0),
    "kernel ridge regression": KernelRidge(kernel="rbf", alpha=0.1),
    "Gaussian process": GaussianProcessRegressor(KERNEL),
}


def component_search(grid, groups, inner):
    """A `GridSearchCV` over ``"pca"`` and ``"model"`` by the MAPE of `inner` folds."""
    splitter = KFold if groups is None else GroupKFold
    return GridSearchCV(
        Pipeline([("pca", PCA(svd_solver="full")), ("model", None)]),
        grid,
        scoring="neg_mean_absolute_percentage_error",
        cv=splitter(inner, shuffle=True, random_state=PAPER_SEED),
    )


def nested_choice(X, y, groups, fold, *, inner=5, most=50, progress=True):
    """Choose learner and number of components in inner folds, once for every outer fold.

    Parameters
    ----------
    X : ndarray of float, shape (n, n_features)
        Descriptors.
    y : ndarray of float, shape (n,)
        Property; its logarithm is tried as well where all values are above 0.
    groups : ndarray of str, shape (n,), or None
        No group is on both sides of an inner split; `fold` keeps them together outside.
    fold : ndarray of int, shape (n,)
        Outer fold of each sample, as of a `helpers.cross_validation.NestedCV`.
    inner : int
        Number of inner folds.
    most : int
        Components to try at most; no training part may span fewer dimensions.
    progress : bool
        Show the outer folds done and the time left.

    Returns
    -------
    pipeline : sklearn.pipeline.Pipeline
        The learner that is chosen with all samples, fitted to them.
    y_pred : ndarray, shape (n,)
        Of each sample by the learner that was chosen and fitted without its outer fold.
    facts : dict
        ``learner``, name of the pipeline's; ``counts``, in how many outer folds each was chosen;
        ``tried``, all names; ``promised`` [%]: the lowest inner MAPE, mean over the outer folds.

    Notes
    -----
    `LEARNERS`, each on whitened principal components. A Gaussian process is tried with at most
    500 samples, for its time grows with the third power of their number.

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(60, 3))
    >>> y = np.exp(X[:, 0] + 3)
    >>> nested_choice(X, y, None, np.arange(60) % 2, inner=2, progress=False)[2]["learner"]
    'linear regression of the logarithm'
    """
    models = _models(y)
    counts = sorted({min(k, most) for k in COUNTS})
    grid = {"model": list(models.values()), "pca__n_components": counts, "pca__whiten": [True]}
    search = component_search(grid, groups, inner)
    # All components of all samples only turn the axes, so that nothing is learned from them; but
    # each of the many decompositions below then has n columns at most.
    turned = PCA(svd_solver="full").fit_transform(X)
    y_pred, names, promised = np.empty(len(y)), [], []
    threads = joblib.parallel_config("threading", n_jobs=-1)
    bar = progress_bar("choice", "fold", fold.max() + 2, progress=progress)
    with threadpool_limits(1), threads, warnings.catch_warnings(), bar:
        warnings.simplefilter("ignore")  # what fits badly is not chosen
        for i in [*range(fold.max() + 1), None]:  # the last with all samples
            train, test = fold != i, fold == i
            search.fit(turned[train], y[train], groups=None if groups is None else groups[train])
            best = search.best_params_["model"]
            names.append(next(name for name, tried in models.items() if best is tried))
            if i is not None:
                y_pred[test] = search.predict(turned[test])
                promised.append(-100 * search.best_score_)
            bar.update()
        pipeline = clone(search.best_estimator_).fit(X, y)
    facts = {"learner": names.pop(), "counts": dict(Counter(names).most_common())}
    facts |= {"tried": list(models), "promised": float(np.mean(promised))}
    return pipeline, y_pred, facts


def _models(y):
    """Regressors of a property and, where there is one, of its logarithm, by name."""
    tried = {n: m for n, m in LEARNERS.items() if len(y) <= GP_SAMPLES or n != "Gaussian process"}
    targets = {"": StandardScaler()}
    if y.min() > 0:
        log = FunctionTransformer(np.log, np.exp, check_inverse=False)
        targets[OF_THE_LOGARITHM] = make_pipeline(log, StandardScaler())
    return {
        name + suffix: TransformedTargetRegressor(model, transformer=target, check_inverse=False)
        for suffix, target in targets.items()
        for name, model in tried.items()
    }
