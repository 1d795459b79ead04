"""Many descriptors and models through nested cross-validation, each run kept as it is done."""

from __future__ import annotations

import hashlib
import itertools
import json
import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from sklearn.model_selection import GroupKFold, KFold

from helpers import UserError
from helpers.cross_validation import (
    NESTED_MODELS,
    NestedCV,
    error_curve,
    nested_cv,
    nested_folds,
)
from helpers.io.atomic import atomic_write
from helpers.io.downloads import cache_folder
from helpers.io.progress import progress_bar
from helpers.io.provenance import code_digest, versions
from helpers.regression import check_descriptors, check_target, mape

LIBRARIES = ("numpy", "scipy", "scikit-learn")
CODE = ("helpers.regression", "helpers.cross_validation")
N_FOLDS = 10
PAPER_SEED = 42


def evaluate_descriptors(
    descriptors,
    y,
    models=tuple(NESTED_MODELS),
    *,
    composition=None,
    groups=None,
    seeds=(PAPER_SEED,),
    outer=N_FOLDS,
    store=None,
    progress=True,
    **options,
):
    """Nested cross-validation of every descriptor with every model.

    Parameters
    ----------
    descriptors : mapping of str to array_like, shape (n, n_features)
        Name -> descriptors.
    y : array_like of float, shape (n,)
        Property to predict; no zeros.
    models : sequence of str
        See `helpers.cross_validation.nested_cv`.
    composition : DataFrame or array_like of float, shape (n, n_elements), optional
        Appended to each descriptor; all columns are then standardised inside the folds.
    groups : array_like, shape (n,), optional
        For folds by groups, in both loops.
    seeds : sequence of int
        Of the shuffling of the outer folds, one run each; 42 is the paper's. The inner folds
        keep the paper's seed.
    outer : int or scikit-learn splitter
        Number of outer folds; or a splitter, which then shuffles as it was told itself.
    store : path-like, None or False
        Folder where each run is kept as soon as it is done, and found by the next call. None:
        ``scores`` in the cache of `helpers.io.downloads`. False: read and write nothing.
    progress : bool
        Show the runs done and the time left.
    **options
        ``inner``, ``max_components``, ``standardize`` of `nested_folds`.

    Returns
    -------
    dict of (str, str, int) to NestedCV
        (descriptor, model, seed) -> result.

    Raises
    ------
    ValueError
        As in `nested_cv`; before the first run where a model's name, the target or a descriptor
        is to blame.

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(60, 8))
    >>> results = evaluate_descriptors({"noise": X}, 10 + X[:, 0], ["lr"], store=False)
    >>> list(results), results["noise", "lr", 42].mean < 1e-6
    ([('noise', 'lr', 42)], True)
    """
    unknown = [model for model in models if model not in NESTED_MODELS]
    if unknown:
        raise UserError(f"model is {unknown[0]!r}: expected one of {sorted(NESTED_MODELS)}")
    for name, X in descriptors.items():
        check_target(y, len(check_descriptors(X, f"descriptor {name!r}")))
    special = options if outer == N_FOLDS else {**options, "outer": repr(outer)}
    paths = _paths(descriptors, y, models, composition, groups, seeds, store, special)
    results = {run: _read(path) for run, path in paths.items()}
    waiting = [run for run, found in results.items() if found is None]
    done, kind = len(results) - len(waiting), KFold if groups is None else GroupKFold
    title = "nested cross-validation"
    with progress_bar(title, "run", len(results), done=done, progress=progress) as bar:
        shared, folds = None, None
        for run in waiting:
            name, model, seed = run
            results[run] = _read(paths[run])  # another process may have done it meanwhile
            if results[run] is None:
                if shared != (name, seed):
                    split = outer
                    if isinstance(outer, int):
                        split = kind(outer, shuffle=True, random_state=seed)
                    given = {**options, "outer": split, "seed": PAPER_SEED}
                    folds = nested_folds(descriptors[name], composition, groups, **given)
                    shared = name, seed
                results[run] = nested_cv(folds, y, model)
                _keep(results[run], paths[run])
            bar.update()
    return results


def score_table(results, composition="no"):
    """Results as a table, a row a run.

    Parameters
    ----------
    results : mapping of (str, str, int) to NestedCV
        From `evaluate_descriptors`.
    composition : str
        ``"yes"`` or ``"no"``, for the column of that name.

    Returns
    -------
    pandas.DataFrame
        Columns ``descriptor``, ``model``, ``composition``, ``seed``, ``mape_mean`` and
        ``mape_std`` (ddof 0) over the outer folds [%], ``fold_mape`` [%] and
        ``fold_n_components``, both as text with a number a fold.

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(60, 8))
    >>> score_table(evaluate_descriptors({"a": X}, 9 + X[:, 0], ["lr"], store=False)).shape
    (1, 8)
    """
    rows = [
        {
            "descriptor": name,
            "model": model,
            "composition": composition,
            "seed": seed,
            "mape_mean": result.mean,
            "mape_std": result.std,
            "fold_mape": " ".join(f"{value:.4f}" for value in result.fold_mape),
            "fold_n_components": " ".join(map(str, result.fold_n_components)),
        }
        for (name, model, seed), result in results.items()
    ]
    return pd.DataFrame(rows)


def source_mean(y, groups, train, test):
    """Predict the mean of the training samples of the same source: knows no image at all.

    Parameters
    ----------
    y : ndarray of float, shape (n,)
        Property.
    groups : ndarray, shape (n,)
        Source of each sample.
    train, test : ndarray of int
        Rows to take the means of, and rows to predict.

    Returns
    -------
    ndarray of float, shape (n_test,)
        Where a source has no training sample: the mean of all of them.

    Examples
    --------
    >>> y, groups = np.array([1.0, 3.0, 8.0, 5.0, 5.0]), np.array(["a", "a", "b", "a", "c"])
    >>> source_mean(y, groups, np.array([0, 1, 2]), np.array([3, 4])).tolist()
    [2.0, 4.0]
    """
    means = pd.Series(y[train]).groupby(groups[train]).mean()
    return means.reindex(groups[test]).fillna(y[train].mean()).to_numpy()


def blind_predictions(y, splits, groups=None):
    """Predictions of the rules that know no image.

    Parameters
    ----------
    y : ndarray of float, shape (n,)
        Property.
    splits : sequence of (ndarray of int, ndarray of int)
        Rows (train, test) of the folds, which hold every row out once.
    groups : ndarray, shape (n,), optional
        Source of each sample.

    Returns
    -------
    dict of str to ndarray, shape (n,)
        ``"mean"`` and ``"median"`` of the training samples; with groups ``"mean of the source"``,
        see `source_mean`.

    Examples
    --------
    >>> y = np.array([1.0, 2.0, 6.0])
    >>> splits = [(np.delete(np.arange(3), i), np.array([i])) for i in range(3)]
    >>> blind_predictions(y, splits)["mean"].tolist()
    [4.0, 3.5, 1.5]
    """
    rules = {"mean": lambda train, test: y[train].mean()}
    rules["median"] = lambda train, test: np.median(y[train])
    if groups is not None:
        rules["mean of the source"] = lambda train, test: source_mean(y, groups, train, test)
    found = {name: np.empty(len(y)) for name in rules}
    for name, rule in rules.items():
        for train, test in splits:
            found[name][test] = rule(train, test)
    return found


def guess_without_image(y, groups, seed=PAPER_SEED):
    """What one errs by without looking at any image, on the folds of `evaluate_descriptors`.

    Parameters
    ----------
    y : ndarray of float, shape (n,)
        Property; no zeros.
    groups : ndarray, shape (n,)
        Source of each sample.
    seed : int
        Of the shuffling of the 10 outer folds.

    Returns
    -------
    dict of str to ndarray, shape (10,)
        MAPE [%] of each fold. ``"mean of all"``: the mean of the samples outside the fold.
        ``"mean of the source"``: the mean of those of the same source; where the source has none
        outside the fold, the mean of all.

    Examples
    --------
    >>> y, groups = np.repeat([100.0, 200.0], 20), np.repeat([1, 2], 20)
    >>> {name: f"{errors.mean():.0f}" for name, errors in guess_without_image(y, groups).items()}
    {'mean of all': '38', 'mean of the source': '0'}
    """
    y, groups = check_target(y, len(groups)), np.asarray(groups)
    splits = list(KFold(N_FOLDS, shuffle=True, random_state=seed).split(y))
    predicted = blind_predictions(y, splits, groups)
    rules = {"mean of all": "mean", "mean of the source": "mean of the source"}
    return {
        name: np.array([mape(y[test], predicted[rule][test]) for _, test in splits])
        for name, rule in rules.items()
    }


def best_descriptors(table, count=3, model="svr"):
    """Names of the descriptors with the lowest ``mape_mean`` of a model without composition."""
    rows = table[(table["model"] == model) & (table["composition"] == "no")]
    return rows.nsmallest(count, "mape_mean")["descriptor"].tolist()


class WorstFold(NamedTuple):
    """The outer fold with the largest error, and what is strange about its worst sample.

    `fold` counts from 0, and its model has `n_components`; `mape` [%] is the fold's. `sample` is
    the row of the worst sample, `measured` and `predicted` its property. `std` and `std_without`
    [%] are over all folds and over the others. `elements` has a row for each element of which the
    sample holds more than any sample that the fold's model was fitted on: its ``content``, the
    ``largest_fitted`` of those samples, ``deviations``, how many of their standard deviations the
    content lies above their mean, the ``largest_other`` of all other samples and ``whose`` that
    is. `curve` [%] is the fold's error with 1, 2, ... components.
    """

    fold: int
    n_components: int
    mape: float
    sample: int
    measured: float
    predicted: float
    std: float
    std_without: float
    elements: pd.DataFrame
    curve: np.ndarray


def worst_fold(X, y, composition, model="svr"):
    """Find the outer fold with the largest error, its worst sample and that sample's composition.

    Parameters
    ----------
    X : array_like of float, shape (n, n_features)
        Descriptors; the composition is appended.
    y : ndarray of float, shape (n,)
        Property to predict; no zeros.
    composition : DataFrame, shape (n, n_elements)
        One column an element, indexed by the names of the samples.
    model : str
        As in `nested_cv`.

    Returns
    -------
    WorstFold

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> composition = pd.DataFrame({"B": [0.0] * 59 + [2.8], "Al": rng.uniform(5, 6, 60)})
    >>> y = np.full(60, 400.0) + rng.normal(size=60)
    >>> y[59] = 700
    >>> worst = worst_fold(rng.normal(size=(60, 3)), y, composition, "lr")
    >>> worst.sample, worst.elements.index.tolist()
    (59, ['B'])
    """
    folds = nested_folds(X, composition)
    result = nested_cv(folds, y, model)
    fold = int(np.argmax(result.fold_mape))
    held = np.flatnonzero(result.fold == fold)
    sample = int(held[np.argmax(np.abs(result.y_pred[held] / y[held] - 1))])
    fitted = composition[result.fold != fold]
    content, others = composition.iloc[sample], composition.drop(composition.index[sample])
    with np.errstate(divide="ignore", invalid="ignore"):  # an element that no other holds
        deviations = (content - fitted.mean()) / fitted.std(ddof=0)
    columns = {"content": content, "largest_fitted": fitted.max(), "deviations": deviations}
    columns |= {"largest_other": others.max(), "whose": others.idxmax()}
    table = pd.DataFrame(columns)
    return WorstFold(
        fold,
        int(result.fold_n_components[fold]),
        float(result.fold_mape[fold]),
        sample,
        float(y[sample]),
        float(result.y_pred[sample]),
        result.std,
        float(np.delete(result.fold_mape, fold).std()),
        table[content > fitted.max()].sort_values("deviations", ascending=False),
        error_curve(folds.outer[fold], y, model, result.inner_mape.shape[1]),
    )


def _digest(values):
    values = np.ascontiguousarray(values, dtype=np.float64)
    return hashlib.sha256(repr(values.shape).encode() + values.tobytes()).hexdigest()


def _paths(descriptors, y, models, composition, groups, seeds, store, special):
    """(descriptor, model, seed) -> the file of its result, or None; named by all that counts."""
    folder = cache_folder() / "scores" if store is None else Path(store or ".")
    common = {
        "versions": versions(LIBRARIES),
        "code": code_digest(CODE),
        "y": _digest(y),
        "composition": None if composition is None else _digest(composition),
        "groups": None if groups is None else [str(group) for group in groups],
        **special,
    }
    paths = {}
    for name, X in descriptors.items():
        facts = {**common, "X": _digest(X)}
        for seed, model in itertools.product(seeds, models):
            key = json.dumps({**facts, "model": model, "seed": seed}, sort_keys=True)
            file = f"{hashlib.sha256(key.encode()).hexdigest()[:24]}.npz"
            paths[name, model, seed] = None if store is False else folder / file
    return paths


def _keep(result, path):
    if path is not None:
        with atomic_write(path) as file:
            np.savez(file, **vars(result))


def _read(path):
    """A result that was kept, or None where there is none that can be read."""
    if path is None:
        return None
    try:
        with np.load(path, allow_pickle=False) as file:
            return NestedCV(**file)
    except (OSError, ValueError, TypeError, EOFError, zipfile.BadZipFile):
        return None
