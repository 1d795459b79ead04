"""Scores of case study 2: descriptors of the superalloys, their table, its outlier.

``python -m helpers.superalloy_scores`` computes them on the published data; interrupted, it goes
on where it was.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from helpers.cross_validation import error_curve, nested_cv, nested_folds
from helpers.datasets import load_superalloys
from helpers.io.results import Computation
from helpers.io.superalloy_files import odd_sums
from helpers.scores import (
    LIBRARIES,
    PAPER_SEED,
    best_descriptors,
    evaluate_descriptors,
    guess_without_image,
    score_row,
    score_table,
)
from helpers.two_point import micrograph_descriptor

TWO_POINT = "two-point statistics"
SHUFFLES = 20  # of the outer folds, of the best three descriptors and two-point statistics, by SVR


def superalloy_descriptors(data):
    """Descriptors of case study 2 that come with the data: features and two-point statistics.

    Parameters
    ----------
    data : helpers.io.superalloy_files.SuperalloyData

    Returns
    -------
    dict of str to ndarray, shape (n, n_features)
        Two-point statistics of the segmented micrographs first, then the feature sets.
    """
    maps = np.stack([micrograph_descriptor(image) for image in data.binary_images])
    return {TWO_POINT: maps, **data.features}


def score_superalloys(data):
    """The table of case study 2: all descriptors and models, with and without composition.

    Parameters
    ----------
    data : helpers.io.superalloy_files.SuperalloyData

    Returns
    -------
    pandas.DataFrame
        As `helpers.scores.score_table` gives it. The last two rows, of model ``"none"``, are the
        predictors of `helpers.scores.guess_without_image`.
    """
    descriptors, y = superalloy_descriptors(data), data.hardness
    parts = []
    for label, composition in (("no", None), ("yes", data.composition)):
        results = evaluate_descriptors(descriptors, y, composition=composition)
        parts.append(score_table(results, label))
    names = dict.fromkeys([*best_descriptors(parts[0]), TWO_POINT])
    chosen = {name: descriptors[name] for name in names}
    repeated = evaluate_descriptors(chosen, y, ["svr"], seeds=range(SHUFFLES))
    blind = guess_without_image(y, data.groups).items()
    rows = [score_row(name, "none", "no", PAPER_SEED, errors) for name, errors in blind]
    return pd.concat([*parts, score_table(repeated), pd.DataFrame(rows)], ignore_index=True)


def outlier_table(X, data):
    """The outer fold with the largest error of SVR with composition, and its worst sample.

    Parameters
    ----------
    X : array_like of float, shape (n, n_features)
        Descriptors; the composition is appended.
    data : helpers.io.superalloy_files.SuperalloyData

    Returns
    -------
    pandas.DataFrame
        A row for each ``element`` of which the sample holds more than any sample that the fold's
        model was fitted on: its ``content``, the ``largest_fitted`` of those samples,
        ``deviations``, how many of their standard deviations the content lies above their mean,
        the ``largest_other`` of all other samples and ``whose`` that is. Then, the same in every
        row: the ``fold``, counted from 0, with its ``n_components`` and ``mape`` [%]; the name of
        the ``sample``, its ``measured`` and ``predicted`` property; ``std`` over all folds and
        ``std_without`` over the others [%]; the ``curve`` of the fold's error with 1, 2, ...
        components [%], as text.
    """
    y, composition = data.hardness, data.composition
    folds = nested_folds(X, composition)
    result = nested_cv(folds, y, "svr")
    fold = int(np.argmax(result.fold_mape))
    held = np.flatnonzero(result.fold == fold)
    sample = int(held[np.argmax(np.abs(result.y_pred[held] / y[held] - 1))])
    curve = error_curve(folds.outer[fold], y, "svr", result.inner_mape.shape[1])
    fitted = composition[result.fold != fold]
    content, others = composition.iloc[sample], composition.drop(composition.index[sample])
    with np.errstate(divide="ignore", invalid="ignore"):  # an element that no other holds
        deviations = (content - fitted.mean()) / fitted.std(ddof=0)
    columns = {"content": content, "largest_fitted": fitted.max(), "deviations": deviations}
    columns |= {"largest_other": others.max(), "whose": others.idxmax()}
    table = pd.DataFrame(columns)[content > fitted.max()]
    table = table.sort_values("deviations", ascending=False).rename_axis("element").reset_index()
    return table.assign(
        fold=fold,
        n_components=result.fold_n_components[fold],
        mape=result.fold_mape[fold],
        sample=data.names[sample],
        measured=y[sample],
        predicted=result.y_pred[sample],
        std=result.std,
        std_without=np.delete(result.fold_mape, fold).std(),
        curve=" ".join(f"{value:.2f}" for value in curve),
    )


def main():
    """Compute the scores on the published data, the outlier, and odd sums of the composition."""
    with Computation(__file__, ("superalloys",), LIBRARIES) as run:
        data = load_superalloys("published")
        table = score_superalloys(data)
        outlier = outlier_table(data.features["sam-h"], data)
        outlier = outlier.assign(descriptor="sam-h", model="svr")
        sums = odd_sums(data.composition).rename("sum").reset_index()
        run.write(table, outlier=outlier, sums=sums)


if __name__ == "__main__":
    main()
