"""Nested cross-validation for small data sets: components are chosen inside, errors found outside.

Every outer fold holds some samples out. Inside the others, inner folds choose the number of
principal components; the model is then fitted on all of them and meets the held-out samples once.
"""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import joblib
import numpy as np
import scipy.linalg
from sklearn.model_selection import GroupKFold, KFold
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVR
from threadpoolctl import threadpool_limits

from helpers import UserError, check_choice
from helpers.regression import MODELS, check_descriptors, check_target, design_matrix, fit_nested

NESTED_MODELS = {**MODELS, "svr": "support vector regression"}
MOST_COMPONENTS = {"lr": 50, "pr": 12, "svr": 50}


class Split(NamedTuple):
    """Rows to fit on, rows to try it on, scores of all rows on the components of the first."""

    train: np.ndarray
    test: np.ndarray
    scores: np.ndarray


@dataclasses.dataclass(frozen=True)
class NestedFolds:
    """All folds of a data set with their components, to be shared by several models.

    `outer`: rows outside and inside each outer fold, components fitted on the rows outside;
    `inner`: for each outer fold the splits of the rows outside it; `n_samples` rows and
    `n_components` components kept.
    """

    outer: list[Split]
    inner: list[list[Split]]
    n_samples: int
    n_components: int


@dataclasses.dataclass(frozen=True)
class NestedCV:
    """What `nested_cv` found.

    Attributes
    ----------
    fold_mape : ndarray, shape (n_folds,)
        MAPE [%] of each outer fold.
    fold_n_components : ndarray of int, shape (n_folds,)
        Number of components that the inner folds chose.
    y_pred : ndarray, shape (n,)
        Prediction of each sample by the model that never saw it.
    fold : ndarray of int, shape (n,)
        Outer fold that held the sample out.
    inner_mape : ndarray, shape (n_folds, max_components)
        Validation MAPE [%] of 1, 2, ... components, mean over the inner folds.
    inner_pred : ndarray, shape (n_folds, n)
        For each outer fold the prediction of every sample outside it by the inner model that
        never saw that sample, with the number of components chosen; NaN elsewhere.
    """

    fold_mape: np.ndarray
    fold_n_components: np.ndarray
    y_pred: np.ndarray
    fold: np.ndarray
    inner_mape: np.ndarray
    inner_pred: np.ndarray

    @property
    def mean(self):
        """Mean of the outer folds' MAPE [%]."""
        return float(self.fold_mape.mean())

    @property
    def std(self):
        """Standard deviation (ddof 0) of the outer folds' MAPE [%]."""
        return float(self.fold_mape.std())


def nested_folds(
    X,
    composition=None,
    groups=None,
    *,
    outer=10,
    inner=5,
    seed=42,
    max_components=None,
    standardize=None,
    n_jobs=-1,
):
    """Split twice and find the principal components of every training part.

    Parameters
    ----------
    X : array_like of float, shape (n, n_features)
        Descriptors.
    composition : array_like of float, shape (n, n_elements), optional
        Appended to `X`.
    groups : array_like, shape (n,), optional
        Samples of one group are never on both sides of a split whose splitter heeds groups.
    outer, inner : int or scikit-learn splitter
        An int is the number of shuffled folds, by groups where there are groups.
    seed : int
        Of the shuffling, for both.
    max_components : int or None
        Components to keep. None: 50, or as many as there are features; no training part may have
        fewer samples.
    standardize : bool or None
        Scale every column to standard deviation 1 before PCA. None: only with a composition,
        as in the paper.
    n_jobs : int
        Outer folds at a time; -1: as many as there are cores.

    Returns
    -------
    NestedFolds

    Raises
    ------
    ValueError
        NaN, lengths that differ, fewer groups than folds, outer folds that do not hold each
        sample once, a training part with fewer samples than components.

    Notes
    -----
    Means, scales and components come from the training rows of each split alone, and one
    decomposition serves every number of components.

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(40, 100))
    >>> folds = nested_folds(X, outer=4, inner=3, max_components=6)
    >>> len(folds.outer), len(folds.inner[0]), folds.outer[0].scores.shape
    (4, 3, (40, 6))
    """
    X = check_descriptors(X).astype(np.float64)
    standardize = composition is not None if standardize is None else standardize
    if composition is not None:
        composition = check_descriptors(composition, "composition").astype(np.float64)
        if len(composition) != len(X):
            raise UserError(f"composition has {len(composition)} rows, X {len(X)}")
        X = np.hstack([X, composition])
    if groups is not None and np.shape(groups) != (len(X),):
        raise UserError(f"groups have shape {np.shape(groups)}: expected {(len(X),)}")
    splits = _splits("outer", outer, np.arange(len(X)), groups, seed)
    _check_partition(splits, len(X))
    inner = [_splits("inner", inner, train, groups, seed) for train, _ in splits]
    smallest = min(len(train) for parts in inner for train, _ in parts)
    most = min(max(MOST_COMPONENTS.values()), X.shape[1])
    count = most if max_components is None else max_components
    if not 1 <= count <= min(smallest, X.shape[1]):
        raise UserError(
            f"max_components is {count}: expected 1 to {min(smallest, X.shape[1])}, for the "
            f"smallest training part has {smallest} samples and there are {X.shape[1]} features; "
            "choose fewer components or fewer folds"
        )
    if not standardize:
        X = _in_own_span(X)

    def reduce(i):
        pairs = [splits[i], *inner[i]]
        return [Split(*pair, _components(X, pair[0], count, standardize)) for pair in pairs]

    reduced = _parallel(reduce, range(len(splits)), n_jobs)
    return NestedFolds([r[0] for r in reduced], [r[1:] for r in reduced], len(X), count)


def nested_cv(X, y, model="lr", groups=None, composition=None, *, n_jobs=-1, **options):
    """Nested cross-validation, by default with the folds of case study 2 of the paper.

    Parameters
    ----------
    X : array_like of float, shape (n, n_features), or NestedFolds
        Descriptors; or the result of `nested_folds` where several models share them, which then
        takes `groups`, `composition` and the options. Of shared components a model uses no more
        than `MOST_COMPONENTS`.
    y : array_like of float, shape (n,)
        Property to predict, in its own unit; no zeros.
    model : str
        ``"lr"`` linear, ``"pr"`` second-order polynomial, ``"svr"`` support vector regression
        with a linear kernel and scikit-learn's defaults.
    groups, composition, n_jobs
        As in `nested_folds`.
    **options
        ``outer``, ``inner``, ``seed``, ``max_components``, ``standardize`` of `nested_folds`.

    Returns
    -------
    NestedCV

    Raises
    ------
    ValueError
        Another `model`; a target that is NaN or zero; and as in `nested_folds`.

    Notes
    -----
    Section 3.2 of the paper: 10 outer and 5 inner folds; 1 to 50 components, for the polynomial
    1 to 12. The number with the lowest inner error is fitted again, PCA included, on all samples
    outside the fold. The result equals that of a ``GridSearchCV`` over a ``Pipeline`` of PCA
    (full SVD) and model inside ``cross_val_score``; for ``"svr"`` as closely as libsvm's stopping
    tolerance fixes it.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(60, 8))
    >>> result = nested_cv(X, 10 + X[:, 0], "lr")
    >>> result.fold_mape.shape, result.fold_n_components.tolist()[:3], result.mean < 1e-6
    ((10,), [8, 8, 8], True)
    """
    check_choice("model", model, sorted(NESTED_MODELS))
    shared = isinstance(X, NestedFolds)
    if shared and (options or groups is not None or composition is not None):
        raise UserError("X holds its folds already: give groups and options to nested_folds")
    y = check_target(y, X.n_samples if shared else len(X))
    folds = X if shared else nested_folds(X, composition, groups, n_jobs=n_jobs, **options)
    count = folds.n_components
    if shared or options.get("max_components") is None:
        count = min(count, MOST_COMPONENTS[model])

    def run(i):
        curves, inside = [], np.full((count, len(y)), np.nan)
        for split in folds.inner[i]:
            inside[:, split.test] = tried = _predictions(model, split, y, range(1, count + 1))
            curves.append(_errors(tried, y[split.test]))
        curve = np.mean(curves, axis=0)
        best = int(np.argmin(curve)) + 1
        return curve, best, inside[best - 1], _predictions(model, folds.outer[i], y, [best])[0]

    done = _parallel(run, range(len(folds.outer)), n_jobs)
    curves, best, inside, values = zip(*done, strict=True)
    predicted, fold = np.empty(len(y)), np.empty(len(y), int)
    for i, split in enumerate(folds.outer):
        predicted[split.test], fold[split.test] = values[i], i
    return NestedCV(
        fold_mape=np.array([_errors(predicted[s.test], y[s.test]) for s in folds.outer]),
        fold_n_components=np.array(best),
        y_pred=predicted,
        fold=fold,
        inner_mape=np.array(curves),
        inner_pred=np.array(inside),
    )


def error_curve(split, y, model, n_components):
    """MAPE [%] of the test rows of a split, for 1, 2, ... components."""
    return _errors(_predictions(model, split, y, range(1, n_components + 1)), y[split.test])


@dataclasses.dataclass(frozen=True)
class ThinnedFolds:
    """A splitter that keeps the test parts of `folds` and a random share of its training parts.

    Errors against the share are a learning curve. Folds that heed groups lose whole groups.
    """

    folds: object
    share: float
    seed: int

    def get_metadata_routing(self):
        """As scikit-learn asks a splitter; the answer is that of `folds`."""
        return self.folds.get_metadata_routing()

    def split(self, X, y=None, groups=None):
        """Yield pairs of row numbers (train, test)."""
        rng = np.random.default_rng(self.seed)
        for train, test in self.folds.split(X, y, groups):
            units = train if groups is None else groups[train]
            names = np.unique(units)
            kept = rng.choice(names, int(np.ceil(self.share * len(names))), replace=False)
            yield train[np.isin(units, kept)], test


def _splits(which, splitter, rows, groups, seed):
    """Pairs of row numbers (train, test) that a splitter makes of `rows`."""
    units = rows if groups is None else np.asarray(groups)[rows]
    if isinstance(splitter, int):
        n = len(np.unique(units))
        if not 2 <= splitter <= n:
            raise UserError(
                f"{which} is {splitter}: expected 2 to {n} folds, as many as there are "
                f"{'samples' if groups is None else 'groups'} to split"
            )
        kind = KFold if groups is None else GroupKFold
        splitter = kind(splitter, shuffle=True, random_state=seed)
    heeds = splitter.get_metadata_routing().consumes("split", ["groups"])
    options = {"groups": units} if heeds and groups is not None else {}
    return [(rows[train], rows[test]) for train, test in splitter.split(rows, **options)]


def _check_partition(splits, n):
    times = np.bincount(np.concatenate([test for _, test in splits]), minlength=n)
    if (times != 1).any():
        row = int(np.flatnonzero(times != 1)[0])
        raise UserError(
            f"the outer folds hold row {row} {times[row]} times: expected every row once, as with "
            "KFold, GroupKFold or LeaveOneGroupOut"
        )


def _in_own_span(X):
    """Rows in an orthonormal basis of what they span: at most n columns.

    With the QR decomposition X^T = Q R of the centred rows, x_i = Q r_i: distances between rows,
    and so all component scores, are those of the columns of R, which are as long as n.
    """
    if X.shape[1] <= len(X):
        return X
    return np.linalg.qr((X - X.mean(axis=0)).T, mode="r").T


def _components(X, train, count, standardize):
    """Scores of all rows on the principal components of the training rows."""
    if standardize:
        X = _in_own_span(StandardScaler().fit(X[train]).transform(X))
    X = X - X[train].mean(axis=0)
    # The axes come in the order of their variance and do not depend on how many are kept: the
    # first k columns of the scores are those of a PCA with k components.
    _, _, axes = scipy.linalg.svd(X[train], full_matrices=False)
    return X @ axes[:count].T


def _errors(predicted, truth):
    """MAPE [%] over the last axis, that of the samples."""
    return 100 * np.mean(np.abs((predicted - truth) / truth), axis=-1)


def _predictions(model, split, y, counts):
    """Predictions of the test rows, shape (len(counts), n_test), a row for each number."""
    train, test = (split.scores[rows, : max(counts)] for rows in (split.train, split.test))
    target = y[split.train]
    if model == "svr":
        fits = [SVR(kernel="linear").fit(train[:, :k], target) for k in counts]
        return np.array([fit.predict(test[:, : fit.n_features_in_]) for fit in fits])
    coefficients = fit_nested(design_matrix(train, model), target, model)
    design = design_matrix(test, model)
    return np.array([design[:, : len(c)] @ c for c in (coefficients[k - 1] for k in counts)])


def _parallel(function, items, n_jobs):
    """Results in order. Threads: nearly all of the time is spent in LAPACK and libsvm."""
    with threadpool_limits(1):
        return joblib.Parallel(n_jobs, prefer="threads")(
            joblib.delayed(function)(item) for item in items
        )
