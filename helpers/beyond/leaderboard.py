"""Leaderboards: descriptors and learners, a row each in a file, written as soon as it is there."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path

import numpy as np
import pandas as pd

from helpers.beyond.learner_scores import score_learner
from helpers.cross_validation import nested_folds
from helpers.features import LIBRARIES as FEATURE_LIBRARIES
from helpers.io.atomic import write_table
from helpers.regression import fit_pls, holdout_scores

LIBRARIES = (*FEATURE_LIBRARIES, "scikit-learn")
KEYS = ["study", "descriptor", "reduction", "learner"]
REDUCTIONS = ("PCA", "PLS")
MOST = {"PCA": 100, "PLS": 40}  # components


class Leaderboard:
    """A CSV file of rows, each written as soon as it is there.

    Parameters
    ----------
    path : path-like
        Rows that it holds stay.
    """

    def __init__(self, path):
        self.path = Path(path)
        self.rows = pd.read_csv(path).to_dict("records") if self.path.is_file() else []

    @property
    def table(self):
        """The rows as a DataFrame."""
        return pd.DataFrame(self.rows)

    def has(self, *key):
        """Whether the file holds a row (study, descriptor, reduction, learner)."""
        return key in [tuple(row[name] for name in KEYS) for row in self.rows]

    def add(self, key, **row):
        """Write one more row."""
        row = dict(zip(KEYS, key, strict=True)) | row
        self.rows.append(row)
        write_table(self.table, self.path)
        shown = {k: round(v, 2) if isinstance(v, float) else v for k, v in row.items()}
        print(*shown.values(), flush=True)


def reduced(X, y, reduction):
    """Component scores of descriptors by one of `REDUCTIONS`."""
    target = np.log(y) if reduction == "PLS" else None
    return holdout_scores(X, min(MOST[reduction], X.shape[1]), target=target)


def nested_components(X, y, reduction, **options):
    """Folds of nested cross-validation, their components by one of `REDUCTIONS`.

    Partial least squares look at the logarithm of `y` in the training rows of each split.
    `options` are those of `helpers.cross_validation.nested_folds`.

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(60, 6))
    >>> nested_components(X, np.exp(X[:, 0]), "PLS", outer=4, inner=3).outer[0].scores.shape
    (60, 6)
    """
    folds = nested_folds(X, n_jobs=1, **options)
    if reduction == "PCA":
        return folds
    count = min(MOST[reduction], X.shape[1])

    def again(split):
        model = fit_pls(X[split.train], np.log(y[split.train]), count)
        return split._replace(scores=model.transform(X))

    outer = [again(split) for split in folds.outer]
    inner = [[again(split) for split in splits] for splits in folds.inner]
    return dataclasses.replace(folds, outer=outer, inner=inner, n_components=count)


def compute(
    board, study, name, X, y, learners, *, reductions=("PCA",), reduce=reduced, score=score_learner
):
    """Rows of a descriptor that a leaderboard does not hold yet.

    `X` gives the descriptors (n, n_features) and is asked for if anything is missing. `reduce`
    makes components of (X, y, reduction), and `score` cells of a row, with predictions, of
    (components, y, learner), both under the protocol of the study.
    """
    for reduction in reductions:
        wanted = [k for k in learners if not board.has(study, name, reduction, k)]
        if not wanted:
            continue
        start = time.perf_counter()
        matrix = X()
        middle = time.perf_counter()
        components = reduce(matrix, y, reduction)
        times = {"described_in": middle - start, "reduced_in": time.perf_counter() - middle}
        for learner in wanted:
            row, _ = score(components, y, learner)
            row |= {"features": matrix.shape[1], **times}
            board.add((study, name, reduction, learner), **row)


def best_row(table, **wanted):
    """The row with the lowest validation error, of those whose columns have the values wanted.

    Parameters
    ----------
    table : pandas.DataFrame
        Of a `Leaderboard`.
    **wanted : str or sequence of str
        Column -> its value, or the values that it may have.

    Returns
    -------
    pandas.Series
    """
    for column, values in wanted.items():
        table = table[table[column].isin([values] if isinstance(values, str) else values)]
    return table.loc[table["val_mape"].idxmin()]
