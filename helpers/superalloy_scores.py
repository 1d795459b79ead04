"""Scores of case study 2: descriptors of the superalloys, their table, its outlier.

``python -m helpers.superalloy_scores --write data/results_superalloys.csv`` computes them on the
published data; interrupted, it goes on where it was.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd

from helpers.datasets import load_superalloys
from helpers.io.atomic import write_table
from helpers.io.provenance import run_facts
from helpers.io.superalloy_files import odd_sums
from helpers.scores import (
    LIBRARIES,
    PAPER_SEED,
    best_descriptors,
    evaluate_descriptors,
    guess_without_image,
    score_table,
    worst_fold,
)
from helpers.two_point import micrograph_descriptor

TWO_POINT = "two-point statistics"
SHUFFLES = 20


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
        As `helpers.scores.score_table` gives it. The last two rows, of model ``"none"``, are the
        predictors of `helpers.scores.guess_without_image`.
    """
    descriptors, y = superalloy_descriptors(data), data.hardness
    parts = []
    for label, composition in (("no", None), ("yes", data.composition)):
        results = evaluate_descriptors(descriptors, y, composition=composition, store=store)
        parts.append(score_table(results, label))
    names = dict.fromkeys([*best_descriptors(parts[0]), TWO_POINT])
    chosen = {name: descriptors[name] for name in names}
    repeated = evaluate_descriptors(chosen, y, ["svr"], seeds=range(shuffles), store=store)
    parts += [score_table(repeated), guesses(data)]
    return pd.concat(parts, ignore_index=True)


def guesses(data):
    """Rows of the table for the predictors that know no image.

    Parameters
    ----------
    data : helpers.datasets.SuperalloyData

    Returns
    -------
    pandas.DataFrame
        Two rows, ``"mean of all"`` and ``"mean of the source"``, with the columns of
        `helpers.scores.score_table`; the model is ``"none"``, errors are in percent.
    """
    return pd.DataFrame(
        [
            {
                "descriptor": name,
                "model": "none",
                "composition": "no",
                "seed": PAPER_SEED,
                "mape_mean": errors.mean(),
                "mape_std": errors.std(),
                "fold_mape": " ".join(f"{value:.4f}" for value in errors),
                "fold_n_components": "",
            }
            for name, errors in guess_without_image(data.hardness, data.groups).items()
        ]
    )


def outlier_table(X, data):
    """The worst fold of a descriptor with composition and SVR, a row an element.

    Parameters
    ----------
    X : array_like of float, shape (n, n_features)
        Descriptors.
    data : helpers.datasets.SuperalloyData

    Returns
    -------
    pandas.DataFrame
        The fields of `helpers.scores.WorstFold`: ``element``, ``content``, ``largest_fitted``,
        ``deviations``, ``largest_other``, ``whose``; then those of the fold, the same in every
        row, with the name of the ``sample`` and the ``curve`` as text.
    """
    worst = worst_fold(X, data.hardness, data.composition)
    facts = worst._replace(sample=data.names[worst.sample])._asdict()
    facts["curve"] = " ".join(f"{value:.2f}" for value in facts["curve"])
    table = facts.pop("elements").rename_axis("element").reset_index()
    return table.assign(**facts)


def main(arguments=None):
    """Compute the scores on the published data and write them with their provenance."""
    parser = argparse.ArgumentParser(
        prog="python -m helpers.superalloy_scores", description=__doc__
    )
    parser.add_argument("--write", type=Path, metavar="CSV", help="where the table goes")
    options = parser.parse_args(arguments)
    start = time.monotonic()
    data = load_superalloys("published")
    table = score_superalloys(data)
    print(table.drop(columns=["fold_mape", "fold_n_components"]).round(2).to_string(index=False))
    print(f"{len(table)} runs, {time.monotonic() - start:.0f} s without those that were kept")
    if options.write:
        command = f"python -m helpers.superalloy_scores --write {options.write.as_posix()}"
        facts = {"data": "published superalloys", **run_facts(command, LIBRARIES)}
        write_table(table.assign(**facts), options.write)
        outlier = options.write.with_name(f"{options.write.stem}_outlier.csv")
        sam = outlier_table(data.features["sam-h"], data).assign(descriptor="sam-h", model="svr")
        write_table(sam.assign(**facts), outlier)
        sums = odd_sums(data.composition).rename("sum").reset_index()
        write_table(
            sums.assign(**facts), options.write.with_name(f"{options.write.stem}_sums.csv")
        )


if __name__ == "__main__":
    sys.exit(main())
