"""Learners beyond the paper's, on components; `learner_scores` tunes and scores them."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

GP_SAMPLES = 500  # on which the kernel of a Gaussian process is chosen; then it is fitted to all


class Learner(NamedTuple):
    """A regression on component scores.

    Attributes
    ----------
    make : callable
        Options -> unfitted scikit-learn regressor.
    grid : dict of str to list
        Options to try; ``k`` is the number of components and not passed to `make`.
    log : bool
        Fitted to the logarithm of the property, so that relative errors count alike everywhere.
    """

    make: Callable
    grid: dict
    log: bool = True


def _polynomial(alpha=0):
    model = LinearRegression() if alpha == 0 else Ridge(alpha)
    return make_pipeline(StandardScaler(), PolynomialFeatures(2, include_bias=False), model)


def _kernel_ridge(gamma, alpha):
    model = KernelRidge(kernel="rbf", gamma=gamma, alpha=alpha)  # has no intercept
    return TransformedTargetRegressor(model, transformer=StandardScaler(with_std=False))


def _boosting(learning_rate):
    options = {"max_iter": 300, "min_samples_leaf": 10, "random_state": 0}
    return HistGradientBoostingRegressor(learning_rate=learning_rate, **options)


class SampledGaussianProcess:
    """Gaussian process whose kernel is chosen on some of the samples and then fitted to all."""

    def fit(self, X, y):
        """Fit; returns self."""
        kernel = ConstantKernel(1.0) * RBF(1.0, (0.05, 100.0)) + WhiteKernel(0.01, (1e-5, 10.0))
        some = np.random.default_rng(0).permutation(len(X))[:GP_SAMPLES]
        tuned = GaussianProcessRegressor(kernel, normalize_y=True, random_state=0)
        tuned.fit(X[some], y[some])
        self.model = GaussianProcessRegressor(tuned.kernel_, optimizer=None, normalize_y=True)
        self.model.fit(X, y)
        return self

    def predict(self, X):
        """Predicted means, shape (n,)."""
        return self.model.predict(X)


LEARNERS = {  # the first two are the paper's
    "lr": Learner(LinearRegression, {"k": list(range(1, 51))}, log=False),
    "pr": Learner(_polynomial, {"k": list(range(1, 51))}, log=False),
    "log lr": Learner(LinearRegression, {"k": [10, 20, 30, 50, 100]}),
    "log pr": Learner(_polynomial, {"k": [5, 10, 15, 20, 30]}),
    "log ridge pr": Learner(
        _polynomial, {"k": [10, 20, 30, 40], "alpha": [1.0, 10.0, 100.0, 1000.0]}
    ),
    "log boosting": Learner(_boosting, {"k": [5, 10, 30], "learning_rate": [0.05]}),
    "log gp": Learner(SampledGaussianProcess, {"k": [15, 30]}),
    "log kernel ridge": Learner(
        _kernel_ridge, {"k": [20, 50], "gamma": [0.03, 0.1, 0.3], "alpha": [0.01, 0.1]}
    ),
}
