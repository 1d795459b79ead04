"""Learners beyond the paper's, tuned and scored on the paper's split: a leaderboard's rows."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.metrics import mean_absolute_error, r2_score
from sklearn.model_selection import ParameterGrid
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

from helpers._least_squares import check_target
from helpers.metrics import mape

GP_SAMPLES = 1000  # on which the kernel of a Gaussian process is chosen; then all are fitted


class Learner(NamedTuple):
    """A regression on component scores.

    Attributes
    ----------
    title : str
        For tables.
    make : callable
        Options -> unfitted scikit-learn regressor.
    grid : dict of str to list
        Options to try; ``k`` is the number of components and not passed to `make`.
    log : bool
        Fitted to the logarithm of the property, so that relative errors count alike everywhere.
    """

    title: str
    make: Callable
    grid: dict
    log: bool = True


class Score(NamedTuple):
    """How a learner did.

    Attributes
    ----------
    options : dict
        Those with the lowest validation MAPE.
    val_mape, mape : float
        Of the validation and of the test part [%].
    r2 : float
        Of the test part.
    mae : float
        Mean absolute error of the test part, in the unit of the property.
    coverage : float
        Share of the test part inside the 90 % prediction interval [%].
    width : float
        Mean width of that interval, in the unit of the property.
    seconds : float
        Of the final fit.
    y_test, y_pred : ndarray, shape (n_test,)
    """

    options: dict
    val_mape: float
    mape: float
    r2: float
    mae: float
    coverage: float
    width: float
    seconds: float
    y_test: np.ndarray
    y_pred: np.ndarray


def _polynomial(alpha):
    model = LinearRegression() if alpha == 0 else Ridge(alpha)
    return make_pipeline(StandardScaler(), PolynomialFeatures(2, include_bias=False), model)


def _boosting(learning_rate):
    return HistGradientBoostingRegressor(
        learning_rate=learning_rate, max_iter=400, min_samples_leaf=10, random_state=0
    )


class GaussianProcess(GaussianProcessRegressor):
    """Gaussian process whose kernel is chosen on some of the samples and then fitted to all."""

    def __init__(self):
        kernel = ConstantKernel(1.0) * RBF(1.0, (0.05, 100.0)) + WhiteKernel(0.01)
        super().__init__(kernel, normalize_y=True, random_state=0)

    def fit(self, X, y):
        some = np.random.default_rng(0).permutation(len(X))[:GP_SAMPLES]
        chosen = GaussianProcessRegressor(self.kernel, normalize_y=True, random_state=0)
        chosen.fit(X[some], y[some])
        self.kernel, self.optimizer = chosen.kernel_, None
        return super().fit(X, y)


FEW, MANY = [5, 10, 15, 20, 30], [15, 30, 60, 100]
LEARNERS = {
    "lr": Learner("linear", LinearRegression, {"k": list(range(1, 51))}, log=False),
    "pr": Learner("polynomial", _polynomial, {"k": list(range(1, 51)), "alpha": [0]}, log=False),
    "log lr": Learner("linear, log target", LinearRegression, {"k": MANY}),
    "log pr": Learner("polynomial, log target", _polynomial, {"k": FEW, "alpha": [0]}),
    "log ridge pr": Learner(
        "polynomial with ridge penalty, log target",
        _polynomial,
        {"k": [10, 20, 30, 40], "alpha": [1.0, 10.0, 100.0, 1000.0]},
    ),
    "log kernel ridge": Learner(
        "kernel ridge, log target",
        lambda gamma, alpha: KernelRidge(kernel="rbf", gamma=gamma, alpha=alpha),
        {"k": MANY, "gamma": [0.03, 0.1, 0.3], "alpha": [0.01, 0.1]},
    ),
    "log boosting": Learner(
        "gradient boosting, log target", _boosting, {"k": FEW, "learning_rate": [0.03, 0.1]}
    ),
    "log gp": Learner("Gaussian process, log target", GaussianProcess, {"k": MANY[:-1]}),
}


def score_learner(scores, y, learner, level=0.9):
    """Tune a learner on the validation part, refit it, and score it on the test part.

    Parameters
    ----------
    scores : helpers.regression.HoldoutScores
        Component scores; divided by the standard deviation of the first, one number for all, so
        that the grids of kernels mean the same for every descriptor.
    y : array_like of float, shape (n,)
        Property, no zeros; positive where the learner takes its logarithm.
    learner : Learner or str
        Or a name in `LEARNERS`.
    level : float
        Of the prediction interval, 0 to 1.

    Returns
    -------
    Score

    Raises
    ------
    ValueError
        Values that are not positive, for a logarithm; as `check_target`.

    Notes
    -----
    The interval is a split conformal one (Lei et al. 2018, doi:10.1080/01621459.2017.1307116): the
    quantile of the validation part's absolute residuals, of the logarithm where that is fitted, by
    the model of the training part alone.

    Examples
    --------
    >>> from helpers.regression import holdout_scores
    >>> X = np.random.default_rng(0).normal(size=(300, 6))
    >>> y = np.exp(3 + X[:, 0])
    >>> score_learner(holdout_scores(X, 6), y, Learner("", LinearRegression, {"k": [6]})).r2 > 0.99
    True
    """
    learner = LEARNERS[learner] if isinstance(learner, str) else learner
    y = check_target(y, len(scores.tuning))
    if learner.log and y.min() <= 0:
        raise ValueError(f"y holds {y.min():g}: a logarithm needs values above 0")
    to, back = (np.log, np.exp) if learner.log else (np.positive, np.positive)
    train, val, test = scores.train, scores.val, scores.test
    fit, t = np.concatenate([train, val]), to(y)
    tuning = scores.tuning / scores.tuning[train, 0].std()
    final = scores.final / scores.final[fit, 0].std()
    best = None
    for options in ParameterGrid(learner.grid):
        k = min(options.pop("k"), tuning.shape[1])
        predicted = (
            learner.make(**options).fit(tuning[train, :k], t[train]).predict(tuning[val, :k])
        )
        error = mape(y[val], back(predicted))
        if best is None or error < best[0]:
            best = error, k, options, np.abs(t[val] - predicted)
    error, k, options, residuals = best
    rank = min(int(np.ceil((len(val) + 1) * level)), len(val))
    half = np.sort(residuals)[rank - 1]
    start = time.perf_counter()
    model = learner.make(**options).fit(final[fit, :k], t[fit])
    seconds = time.perf_counter() - start
    raw = model.predict(final[test, :k])
    low, high, predicted = back(raw - half), back(raw + half), back(raw)
    return Score(
        {"k": k, **options},
        error,
        mape(y[test], predicted),
        float(r2_score(y[test], predicted)),
        float(mean_absolute_error(y[test], predicted)),
        100 * float(np.mean((low <= y[test]) & (y[test] <= high))),
        float(np.mean(high - low)),
        seconds,
        y[test],
        predicted,
    )
