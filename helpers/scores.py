"""Many descriptors and models through nested cross-validation, each run kept as it is done."""

from __future__ import annotations

import functools
import hashlib
import itertools
import json
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.model_selection import GroupKFold, KFold

from helpers import check_choice
from helpers.cross_validation import NESTED_MODELS, NestedCV, nested_cv, nested_folds
from helpers.io.atomic import atomic_write
from helpers.io.downloads import cache_folder
from helpers.io.progress import progress_bar
from helpers.io.provenance import code_digest, versions
from helpers.regression import check_descriptors, check_target, mape

LIBRARIES = ("numpy", "scipy", "scikit-learn")
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
    for model in models:
        check_choice("model", model, sorted(NESTED_MODELS))
    for name, X in descriptors.items():
        check_target(y, len(check_descriptors(X, f"descriptor {name!r}")))
    keys = _keys(descriptors, y, models, composition, groups, seeds, {"outer": outer, **options})
    folder = cache_folder() / "scores" if store is None else store
    results = {run: _read(folder, key) for run, key in keys.items()}
    waiting = [run for run, result in results.items() if result is None]
    kind = KFold if groups is None else GroupKFold

    @functools.lru_cache(maxsize=1)
    def folds(name, seed):  # shared by the models, whose runs follow one another
        split = kind(outer, shuffle=True, random_state=seed) if isinstance(outer, int) else outer
        shared = {**options, "outer": split, "seed": PAPER_SEED}
        return nested_folds(descriptors[name], composition, groups, **shared)

    title, done = "nested cross-validation", len(results) - len(waiting)
    with progress_bar(title, "run", len(results), done=done, progress=progress) as bar:
        for run in waiting:
            name, model, seed = run
            results[run] = _read(folder, keys[run])  # another process may have done it meanwhile
            if results[run] is None:
                results[run] = nested_cv(folds(name, seed), y, model)
                _keep(results[run], folder, keys[run])
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
        score_row(name, model, composition, seed, result.fold_mape, result.fold_n_components)
        for (name, model, seed), result in results.items()
    ]
    return pd.DataFrame(rows)


def score_row(descriptor, model, composition, seed, errors, n_components=()):
    """The columns of `score_table`, of the errors [%] and numbers of components of the folds."""
    return {
        "descriptor": descriptor,
        "model": model,
        "composition": composition,
        "seed": seed,
        "mape_mean": errors.mean(),
        "mape_std": errors.std(),
        "fold_mape": " ".join(f"{value:.4f}" for value in errors),
        "fold_n_components": " ".join(map(str, n_components)),
    }


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
        of those of the same source; where it has none, the mean of all.

    Examples
    --------
    >>> y = np.array([1.0, 2.0, 6.0])
    >>> splits = [(np.delete(np.arange(3), i), np.array([i])) for i in range(3)]
    >>> blind_predictions(y, splits)["mean"].tolist()
    [4.0, 3.5, 1.5]
    """
    names = ("mean", "median", "mean of the source")
    predicted = {name: np.empty(len(y)) for name in names[: 2 if groups is None else 3]}
    for train, test in splits:
        overall = y[train].mean()
        predicted["mean"][test], predicted["median"][test] = overall, np.median(y[train])
        if groups is not None:
            means = pd.Series(y[train]).groupby(groups[train]).mean()
            predicted["mean of the source"][test] = means.reindex(groups[test]).fillna(overall)
    return predicted


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
    # The committed tables call them so.
    rules = {"mean of all": "mean", "mean of the source": "mean of the source"}
    return {
        name: np.array([mape(y[test], predicted[rule][test]) for _, test in splits])
        for name, rule in rules.items()
    }


def best_descriptors(table, count=3):
    """Names of the descriptors with the lowest ``mape_mean`` of SVR without composition."""
    rows = table[(table["model"] == "svr") & (table["composition"] == "no")]
    return rows.nsmallest(count, "mape_mean")["descriptor"].tolist()


def _digest(values):
    values = np.ascontiguousarray(values, dtype=np.float64)
    return hashlib.sha256(repr(values.shape).encode() + values.tobytes()).hexdigest()


def _keys(descriptors, y, models, composition, groups, seeds, options):
    """(descriptor, model, seed) -> all that its result depends on."""
    common = {
        "versions": versions(LIBRARIES),
        "code": code_digest(__file__),
        "y": _digest(y),
        "composition": None if composition is None else _digest(composition),
        "groups": None if groups is None else [str(group) for group in groups],
        "options": {name: repr(value) for name, value in options.items()},
    }
    keys = {}
    for name, X in descriptors.items():
        facts = {**common, "X": _digest(X)}
        for seed, model in itertools.product(seeds, models):
            keys[name, model, seed] = {**facts, "model": model, "seed": seed}
    return keys


def _path(folder, key):
    """The file of a result, named by the key."""
    name = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:24]
    return Path(folder, f"{name}.npz")


def _keep(result, folder, key):
    """Write the arrays of a result, and beside them the key, as text."""
    if folder is not False:
        with atomic_write(_path(folder, key)) as file:
            np.savez(file, key=json.dumps(key), **vars(result))


def _read(folder, key):
    """A result that was kept, or None where there is none that can be read."""
    if folder is False:
        return None
    try:
        with np.load(_path(folder, key), allow_pickle=False) as kept:
            return NestedCV(**{name: kept[name] for name in kept.files if name != "key"})
    except (OSError, ValueError, TypeError, EOFError, zipfile.BadZipFile):
        return None
