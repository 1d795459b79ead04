"""Scores of learners by the paper's protocols: one split, or nested cross-validation."""

from __future__ import annotations

import dataclasses
import time

import numpy as np
from sklearn.metrics import mean_absolute_error, r2_score
from sklearn.model_selection import ParameterGrid

from helpers import UserError, check_choice
from helpers.beyond.learners import LEARNERS
from helpers.cross_validation import NestedCV, Split
from helpers.intervals import half_width
from helpers.regression import MODELS, check_target, holdout, mape


def score_learner(scores, y, learner):
    """Tune a learner on the validation part, refit it, and score it on the test part.

    Parameters
    ----------
    scores : helpers.regression.HoldoutScores
        Component scores; divided by the standard deviation of the first, one number for all, so
        that the grids of kernels mean the same for every descriptor.
    y : array_like of float, shape (n,)
        Property, no zeros; positive where the learner takes its logarithm.
    learner : helpers.beyond.learners.Learner or str
        Or a name in `helpers.beyond.learners.LEARNERS`.

    Returns
    -------
    row : dict
        ``options``, those with the lowest validation error, as text; ``val_mape`` [%]; the test
        part's `unseen_scores`, with intervals of 90 %; ``seconds`` of the final fit.
    predicted : ndarray, shape (n_test,)

    Raises
    ------
    ValueError
        An unknown name; values that are not positive, for a logarithm; as `check_target`.

    Notes
    -----
    The interval is a split conformal one (Lei et al. 2018, doi:10.1080/01621459.2017.1307116),
    from the residuals of the validation part by the model of the training part alone; of the
    logarithm where that is fitted. The final model has more samples, which makes it a little too
    wide, and the options were chosen with the same residuals, which makes it a little too narrow.

    Examples
    --------
    >>> from sklearn.linear_model import LinearRegression
    >>> from helpers.beyond.learners import Learner
    >>> from helpers.regression import holdout_scores
    >>> X = np.random.default_rng(0).normal(size=(300, 6))
    >>> y = np.exp(3 + X[:, 0])
    >>> learner = Learner(LinearRegression, {"k": [6]})
    >>> score_learner(holdout_scores(X, 6), y, learner)[0]["r2"] > 0.99
    True
    """
    y = check_target(y, len(scores.tuning))
    if isinstance(learner, str) and learner in MODELS:  # every k at once
        few = scores.tuning[:, : LEARNERS[learner].grid["k"][-1]]
        best = holdout(dataclasses.replace(scores, tuning=few), y, learner).n_components
        learner = LEARNERS[learner]._replace(grid={"k": [best]})
    learner = _checked(learner, y)
    tuning = Split(scores.train, scores.val, scores.tuning)
    final = Split(np.concatenate([scores.train, scores.val]), scores.test, scores.final)
    errors, options, inner = _tune(learner, [tuning], y)
    half = half_width((_to(learner, y) - inner)[scores.val])
    start = time.perf_counter()
    raw = _predict(learner, options, final, y)
    seconds = time.perf_counter() - start
    low, high, predicted = (_back(learner, raw + d) for d in (-half, half, 0))
    row = {
        "options": str(options),
        "val_mape": min(errors),
        **unseen_scores(y[scores.test], predicted, low, high),
        "seconds": seconds,
    }
    return row, predicted


def best_learner(scores, y, learners=tuple(LEARNERS)):
    """The learner with the lowest validation error: `score_learner`'s row, with its ``learner``.

    And its predictions of the test part (n_test,). The other arguments are `score_learner`'s.

    Examples
    --------
    >>> from helpers.regression import holdout_scores
    >>> X = np.random.default_rng(0).normal(size=(300, 6))
    >>> row, predicted = best_learner(holdout_scores(X, 6), np.exp(3 + X[:, 0]), ["lr", "log lr"])
    >>> row["learner"], len(predicted)
    ('log lr', 30)
    """
    tried = [(name, *score_learner(scores, y, name)) for name in learners]
    name, row, predicted = min(tried, key=lambda one: one[1]["val_mape"])
    return {"learner": name, **row}, predicted


def unseen_scores(y, predicted, low, high):
    """What every row of a table says of samples (n,) that a model has not seen.

    ``mape`` and ``coverage`` [%], ``r2``, ``mae`` and the mean ``width`` of the intervals from
    `low` to `high`, both in the unit of the property.
    """
    return {
        "mape": mape(y, predicted),
        "r2": float(r2_score(y, predicted)),
        "mae": float(mean_absolute_error(y, predicted)),
        "coverage": 100 * float(np.mean((low <= y) & (y <= high))),
        "width": float(np.mean(high - low)),
    }


def nested_learner(folds, y, learner):
    """Nested cross-validation of a learner, a NestedCV, on folds that several share.

    `y` and `learner` are as in `score_learner`. A column of ``inner_mape`` for each entry of the
    grid, in scikit-learn's order.

    Examples
    --------
    >>> from helpers.cross_validation import nested_folds
    >>> X = np.random.default_rng(0).normal(size=(60, 6))
    >>> result = nested_learner(nested_folds(X), np.exp(3 + X[:, 0]), "log lr")
    >>> result.mean < 1e-6
    True
    """
    y = check_target(y, folds.n_samples)
    learner = _checked(learner, y)
    predicted, fold = np.empty(len(y)), np.empty(len(y), int)
    chosen, curves, inside = [], [], []
    for i, (split, inner) in enumerate(zip(folds.outer, folds.inner, strict=True)):
        errors, options, values = _tune(learner, inner, y)
        predicted[split.test] = _back(learner, _predict(learner, options, split, y))
        fold[split.test] = i
        chosen.append(options["k"])
        curves.append(errors)
        inside.append(_back(learner, values))
    errors = [mape(y[s.test], predicted[s.test]) for s in folds.outer]
    curves, inside = np.array(curves), np.array(inside)
    return NestedCV(np.array(errors), np.array(chosen), predicted, fold, curves, inside)


def _checked(learner, y):
    """The learner itself, or by name, after a look at whether it suits the property."""
    if isinstance(learner, str):
        check_choice("learner", learner, sorted(LEARNERS))
        learner = LEARNERS[learner]
    if learner.log and y.min() <= 0:
        raise UserError(f"y holds {y.min():g}: a logarithm needs values above 0")
    return learner


def _to(learner, y):
    return np.log(y) if learner.log else y


def _back(learner, values):
    return np.exp(values) if learner.log else values


def _tune(learner, splits, y):
    """Errors of all options [%], the best options, and what they predict inside (NaN elsewhere).

    Errors are means over the splits; predictions are of the logarithm where that is fitted.
    """
    limit = splits[0].scores.shape[1]
    grid = [{**o, "k": min(o["k"], limit)} for o in ParameterGrid(learner.grid)]
    grid = [o for i, o in enumerate(grid) if o not in grid[:i]]
    errors, tried = [], []
    for options in grid:
        values = np.full(len(y), np.nan)
        for split in splits:
            values[split.test] = _predict(learner, options, split, y)
        predicted = _back(learner, values)
        errors.append(float(np.mean([mape(y[s.test], predicted[s.test]) for s in splits])))
        tried.append(values)
    best = int(np.argmin(errors))
    return errors, grid[best], tried[best]


def _predict(learner, options, split, y):
    """Predictions of the rows held out by a split."""
    rest = {name: value for name, value in options.items() if name != "k"}
    scores = split.scores[:, : options["k"]] / split.scores[split.train, 0].std()
    model = learner.make(**rest).fit(scores[split.train], _to(learner, y)[split.train])
    return model.predict(scores[split.test])
