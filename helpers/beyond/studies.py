"""Beyond the paper: descriptors and learners under its protocols, a row each in a file.

``python -m helpers.beyond.studies`` computes the leaderboard of both case studies, and what the
paper's best protocol and the best row of case study 1 predict for its test part; interrupted, it
goes on where it was.
"""

from __future__ import annotations

import functools
import time

import numpy as np
import pandas as pd

from helpers.beyond.descriptors import DESCRIPTORS, Describer, descriptor_matrix
from helpers.beyond.leaderboard import (
    KEYS,
    LIBRARIES,
    REDUCTIONS,
    Leaderboard,
    best_row,
    compute,
    nested_components,
    reduced,
)
from helpers.beyond.learner_scores import nested_learner, score_learner, unseen_scores
from helpers.beyond.learners import LEARNERS
from helpers.cross_validation import nested_cv
from helpers.datasets import load_superalloys, load_two_phase
from helpers.encoders import ENCODERS, load_encoder
from helpers.features import extract_features
from helpers.intervals import nested_coverage
from helpers.io.results import Computation
from helpers.regression import holdout_rows
from helpers.superalloy_scores import TWO_POINT
from helpers.two_point import micrograph_descriptor

INPUTS = ("data/two_phase.npz", "superalloys", "encoders/microvit")
STUDY = "case study 1"
PAPERS = ("lr", "pr")
EVERY = "MicroViT + two-point + bounds + counted"
# Tried with all learners, the others with a few; reduced in other ways as well.
MAIN = ("MicroViT", "two-point statistics", "MicroViT + two-point", EVERY, "fractions and bounds")
REDUCED = ("MicroViT", "two-point statistics")  # by all reductions
FEW = ("lr", "pr", "log ridge pr", "log kernel ridge")
FOLDS = {"shuffled": "case study 2, shuffled folds", "source": "case study 2, folds by source"}
ALLOY_FEATURES = ("dinov2-l14", "clip-l14", "sam-h")
# Of learners in case study 2, whose 149 samples carry fewer components.
ALLOY_GRIDS = {
    "log ridge pr": {"k": [5, 10, 20], "alpha": [10.0, 100.0, 1000.0]},
    "log kernel ridge": {
        "k": [10, 20, 40],
        "gamma": [0.03, 0.1, 0.3],
        "alpha": [0.01, 0.1, 1.0],
    },
    "log gp": {"k": [10, 20]},
    "log boosting": {"k": [10, 20], "learning_rate": [0.05]},
}


def embedded_volumes():
    """The embedded volumes, and a `Describer` whose scales their training part sets."""
    study = load_two_phase("embedded")
    train = holdout_rows(len(study.modulus))[0]
    return study, Describer(study.sections, train)


def case_study_1(board):
    """Descriptors and learners on the embedded volumes."""
    study, describer = embedded_volumes()
    for name in DESCRIPTORS:
        X = functools.partial(descriptor_matrix, describer, name)
        learners = list(LEARNERS) if name in MAIN else FEW
        learners = PAPERS if name.endswith("mean of sections") else learners
        reductions = REDUCTIONS if name in REDUCED else ("PCA",)
        compute(board, STUDY, name, X, study.modulus, learners, reductions=reductions)


def paper_and_best(table):
    """Two rows of case study 1: the paper's best protocol, and the best of all.

    Parameters
    ----------
    table : DataFrame
        Of a `Leaderboard`.

    Returns
    -------
    paper : Series
        Two-point statistics or MicroViT, sections concatenated or averaged, principal
        components, and the paper's learners: the lowest validation error of these.
    best : Series
        The lowest validation error of all rows.
    """
    ours = table[table["study"] == STUDY]
    frozen = [n + mean for n in REDUCED for mean in ("", ", mean of sections")]
    return best_row(ours, descriptor=frozen, learner=PAPERS, reduction="PCA"), best_row(ours)


def pair_table(board):
    """The predictions of `paper_and_best` for the test part of case study 1 [GPa]."""
    study, describer = embedded_volumes()
    y, test = study.modulus, holdout_rows(len(study.modulus))[2]
    table = {"volume": test, "modulus": y[test]}
    for role, row in zip(("paper", "best"), paper_and_best(board), strict=True):
        X = descriptor_matrix(describer, row["descriptor"])
        table[role] = score_learner(reduced(X, y, row["reduction"]), y, row["learner"])[1]
        table[f"{role}_row"] = " | ".join(row[KEYS[1:]])
    return pd.DataFrame(table)


def case_study_2(board):
    """A few learners on the published superalloys, under the paper's folds and by source."""
    data = load_superalloys("published")
    maps = [micrograph_descriptor(image) for image in data.binary_images]
    segmented = [np.asarray(image, np.float32) for image in data.binary_images]
    ours = load_encoder("microvit", device="cpu")
    descriptors = {
        TWO_POINT: np.stack(maps),
        **{ENCODERS[name].title: data.features[name] for name in ALLOY_FEATURES},
        "MicroViT, segmented": extract_features(segmented, ours, store=False),
    }
    learners = ["svr", *ALLOY_GRIDS]
    for name, X in descriptors.items():
        for kind, study in FOLDS.items():
            groups = data.groups if kind == "source" else None
            reduce = functools.partial(nested_components, groups=groups)
            protocol = {"reductions": REDUCTIONS, "reduce": reduce, "score": nested_row}
            compute(board, study, name, lambda X=X: X, data.hardness, learners, **protocol)


def nested_row(folds, y, learner):
    """Cells of a row, pooled over the folds but for ``mape``, and the predictions (n,).

    The learner is ``"svr"``, the paper's support vector regression, or one of `ALLOY_GRIDS`.
    """
    start = time.perf_counter()
    if learner == "svr":
        result = nested_cv(folds, y, "svr", n_jobs=1)
    else:
        result = nested_learner(folds, y, LEARNERS[learner]._replace(grid=ALLOY_GRIDS[learner]))
    seconds = time.perf_counter() - start
    half = nested_coverage(result, y).half_width[result.fold]
    row = unseen_scores(y, result.y_pred, result.y_pred - half, result.y_pred + half)
    row |= {"mape": result.mean, "mape_std": result.std, "seconds": seconds}
    return row, result.y_pred


def main():
    """Compute the leaderboard, or what an interrupted run has not done, and the predictions."""
    with Computation(__file__, INPUTS, LIBRARIES) as run:
        board = Leaderboard(run.folder / "board.csv")
        case_study_1(board)
        case_study_2(board)
        run.write(board.table, pair=pair_table(board.table))


if __name__ == "__main__":
    main()
