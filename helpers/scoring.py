"""Many descriptors and models through nested cross-validation, each run kept as it is done.

``python -m helpers.scoring --write data/results_superalloys.csv`` computes the table of case
study 2 on the published data; interrupted, it goes on where it was.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.model_selection import GroupKFold, KFold

from helpers._files import atomic_write
from helpers._progress import progress_bar
from helpers._provenance import code_digests, run_facts, versions
from helpers.cross_validation import NESTED_MODELS, NestedCV, nested_cv, nested_folds
from helpers.datasets import load_superalloys
from helpers.downloads import cache_folder
from helpers.two_point import micrograph_descriptor

TWO_POINT = "two-point statistics"
LIBRARIES = ("numpy", "scipy", "scikit-learn")
CODE = ("_least_squares", "cross_validation", "metrics")
N_FOLDS = 10
PAPER_SEED = 42
SHUFFLES = 20


def evaluate_descriptors(
    descriptors,
    y,
    models=tuple(NESTED_MODELS),
    *,
    composition=None,
    groups=None,
    seeds=(PAPER_SEED,),
    store=None,
    progress=True,
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
        Of the shuffling of the 10 outer folds, one run each; 42 is the paper's. The inner folds
        keep the paper's seed.
    store : path-like, None or False
        Folder where each run is kept as soon as it is done, and found by the next call. None:
        ``scores`` in the cache of `helpers.downloads`. False: read and write nothing.
    progress : bool
        Show the runs done and the time left.

    Returns
    -------
    dict of (str, str, int) to NestedCV
        (descriptor, model, seed) -> result.

    Raises
    ------
    ValueError
        As in `nested_cv`, before the first run where the target or a model's name is to blame.

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(60, 8))
    >>> results = evaluate_descriptors({"noise": X}, 10 + X[:, 0], ["lr"], store=False)
    >>> list(results), results["noise", "lr", 42].mean < 1e-6
    ([('noise', 'lr', 42)], True)
    """
    unknown = [model for model in models if model not in NESTED_MODELS]
    if unknown:
        raise ValueError(f"model is {unknown[0]!r}: expected one of {sorted(NESTED_MODELS)}")
    folder = cache_folder() / "scores" if store is None else Path(store or ".")
    common = {
        "versions": versions(LIBRARIES),
        "code": code_digests(CODE),
        "y": _digest(y),
        "composition": None if composition is None else _digest(composition),
        "groups": None if groups is None else [str(group) for group in groups],
    }
    results, waiting = {}, []
    for name, X in descriptors.items():
        facts = {**common, "X": _digest(X)}
        for seed in seeds:
            for model in models:
                key = json.dumps({**facts, "model": model, "seed": seed}, sort_keys=True)
                path = folder / f"{hashlib.sha256(key.encode()).hexdigest()[:24]}.npz"
                found = None if store is False else _read(path)
                results[name, model, seed] = found
                if found is None:
                    waiting.append((name, model, seed, path))
    title, kind = "nested cross-validation", KFold if groups is None else GroupKFold
    done = len(results) - len(waiting)
    with progress_bar(title, "run", len(results), done=done, progress=progress) as bar:
        shared, folds = None, None
        for name, model, seed, path in waiting:
            if shared != (name, seed):
                outer = kind(N_FOLDS, shuffle=True, random_state=seed)
                folds = nested_folds(
                    descriptors[name], composition, groups, outer=outer, seed=PAPER_SEED
                )
                shared = name, seed
            result = nested_cv(folds, y, model)
            results[name, model, seed] = result
            if store is not False:
                with atomic_write(path) as file:
                    np.savez(file, **vars(result))
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


def best_descriptors(table, count=3, model="svr"):
    """Names of the descriptors with the lowest ``mape_mean`` of a model without composition."""
    rows = table[(table["model"] == model) & (table["composition"] == "no")]
    return rows.nsmallest(count, "mape_mean")["descriptor"].tolist()


def superalloy_descriptors(data):
    """Descriptors of case study 2 that come with the data: features and two-point statistics.

    Parameters
    ----------
    data : helpers.datasets.SuperalloyData

    Returns
    -------
    dict of str to ndarray, shape (n, n_features)
        Two-point statistics of the segmented micrographs first, then the feature sets.
    """
    maps = np.stack([micrograph_descriptor(image) for image in data.binary_images])
    return {TWO_POINT: maps, **data.features}


def score_superalloys(data, store=None, shuffles=SHUFFLES):
    """The table of case study 2: all descriptors and models, with and without composition.

    Parameters
    ----------
    data : helpers.datasets.SuperalloyData
    store : path-like, None or False
        As in `evaluate_descriptors`.
    shuffles : int
        Seeds 0, 1, ... of the outer folds, for the best three descriptors and for two-point
        statistics with support vector regression.

    Returns
    -------
    pandas.DataFrame
        As `score_table` gives it.
    """
    descriptors, y = superalloy_descriptors(data), data.hardness
    parts = []
    for label, composition in (("no", None), ("yes", data.composition)):
        results = evaluate_descriptors(descriptors, y, composition=composition, store=store)
        parts.append(score_table(results, label))
    names = dict.fromkeys([*best_descriptors(parts[0]), TWO_POINT])
    chosen = {name: descriptors[name] for name in names}
    repeated = evaluate_descriptors(chosen, y, ["svr"], seeds=range(shuffles), store=store)
    return pd.concat([*parts, score_table(repeated)], ignore_index=True)


def _digest(values):
    values = np.ascontiguousarray(values, dtype=np.float64)
    return hashlib.sha256(repr(values.shape).encode() + values.tobytes()).hexdigest()


def _read(path):
    """A result that was kept, or None where there is none that can be read."""
    try:
        with np.load(path, allow_pickle=False) as file:
            return NestedCV(**file)
    except (OSError, ValueError, TypeError, EOFError, zipfile.BadZipFile):
        return None


def main(arguments=None):
    """Compute the table on the published data and write it with its provenance."""
    parser = argparse.ArgumentParser(prog="python -m helpers.scoring", description=__doc__)
    parser.add_argument("--write", type=Path, metavar="CSV", help="where the table goes")
    options = parser.parse_args(arguments)
    start = time.monotonic()
    data = load_superalloys("published")
    table = score_superalloys(data)
    print(table.drop(columns=["fold_mape", "fold_n_components"]).round(2).to_string(index=False))
    print(f"{len(table)} runs, {time.monotonic() - start:.0f} s without those that were kept")
    if options.write:
        command = f"python -m helpers.scoring --write {options.write.as_posix()}"
        table = table.assign(data="published superalloys", **run_facts(command, LIBRARIES))
        with atomic_write(options.write) as file:
            file.write(table.to_csv(index=False, float_format="%.4f").encode())


if __name__ == "__main__":
    sys.exit(main())
