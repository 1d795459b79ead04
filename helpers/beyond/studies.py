"""Beyond the paper: descriptors and learners under its protocols, a row each in a file.

``python -m helpers.beyond.studies --write data/results_beyond.csv`` computes the leaderboard of
both case studies; rows that the file holds already are kept, so an interrupted run goes on where
it was. With ``--pair data/results_beyond_test.csv`` it also writes what the paper's best protocol
and the best row of case study 1 predict for its test part.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.metrics import mean_absolute_error, r2_score

from helpers.beyond.descriptors import DESCRIPTORS, Describer, descriptor_matrix
from helpers.beyond.leaderboard import (
    KEYS,
    REDUCTIONS,
    Leaderboard,
    best_row,
    compute,
    nested_reduced,
    reduced,
)
from helpers.beyond.learner_scores import nested_learner, score_learner
from helpers.beyond.learners import LEARNERS
from helpers.cross_validation import nested_cv, nested_folds
from helpers.datasets import load_superalloys, load_two_phase
from helpers.encoders import ENCODERS, load_encoder
from helpers.features import extract_features
from helpers.intervals import nested_coverage
from helpers.io.atomic import write_table
from helpers.regression import holdout_rows
from helpers.superalloy_scores import TWO_POINT
from helpers.two_point import micrograph_descriptor

STUDY = "case study 1"
PAPERS = ("lr", "pr")
EVERY = "MicroViT + two-point + bounds + counted"
# Tried with all learners, the others with a few; reduced in other ways as well.
MAIN = ("MicroViT", "two-point statistics", "MicroViT + two-point", EVERY, "fractions and bounds")
REDUCED = ("MicroViT", "two-point statistics")  # by all reductions
FEW = ("lr", "pr", "log ridge pr", "log kernel ridge")
FOLDS = {"shuffled": "case study 2, shuffled folds", "source": "case study 2, folds by source"}
ALLOY_FEATURES = ("dinov2-l14", "clip-l14", "sam-h")


def case_study_1(board, only=None):
    """Descriptors, all or one, and learners on the embedded volumes."""
    study = load_two_phase("embedded")
    train = holdout_rows(len(study.modulus))[0]
    describer = Describer(study.sections, train, "two-phase-embedded")
    for name in [only] if only else DESCRIPTORS:
        learners = list(LEARNERS) if name in MAIN else FEW
        compute(
            board,
            STUDY,
            name,
            lambda name=name: descriptor_matrix(describer, name),
            study.modulus,
            PAPERS if name.endswith("mean of sections") else learners,
            reductions=REDUCTIONS if name in REDUCED else ("PCA",),
        )


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


def write_pair(board, path):
    """Write the predictions of `paper_and_best` for the test part of case study 1 [GPa]."""
    study = load_two_phase("embedded")
    describer = Describer(
        study.sections, holdout_rows(len(study.modulus))[0], "two-phase-embedded"
    )
    table = {"volume": holdout_rows(len(study.modulus))[2]}
    for role, row in zip(("paper", "best"), paper_and_best(pd.DataFrame(board.rows)), strict=True):
        X = descriptor_matrix(describer, row["descriptor"])
        found = score_learner(
            reduced(X, study.modulus, row["reduction"]), study.modulus, row["learner"]
        )
        table |= {"modulus": found.y_test, role: found.y_pred}
        table[f"{role}_row"] = " | ".join(row[KEYS[1:]])
    command = f"{board.facts['command']} --pair {path.as_posix()}"
    write_table(pd.DataFrame(table | board.facts | {"command": command}), path)


def alloy_learners():
    """Learners of case study 2, whose 149 samples carry fewer components."""
    grids = {
        "log ridge pr": {"k": [5, 10, 20], "alpha": [10.0, 100.0, 1000.0]},
        "log kernel ridge": {
            "k": [10, 20, 40],
            "gamma": [0.03, 0.1, 0.3],
            "alpha": [0.01, 0.1, 1.0],
        },
        "log gp": {"k": [10, 20]},
        "log boosting": {"k": [10, 20], "learning_rate": [0.05]},
    }
    return {name: LEARNERS[name]._replace(grid=grid) for name, grid in grids.items()}


def case_study_2(board):
    """A few learners on the published superalloys, under the paper's folds and by source."""
    data = load_superalloys("published")
    y, maps = data.hardness, [micrograph_descriptor(image) for image in data.binary_images]
    segmented = [np.asarray(image, np.float32) for image in data.binary_images]
    descriptors = {TWO_POINT: np.stack(maps)}
    descriptors |= {ENCODERS[n].title: data.features[n] for n in ALLOY_FEATURES}
    ours = load_encoder("microvit", device="cpu")
    descriptors["MicroViT, segmented"] = extract_features(segmented, ours, store=False)
    for name, X in descriptors.items():
        for kind, reduction in itertools.product(FOLDS, REDUCTIONS):
            learners = {"svr": None, **alloy_learners()}
            key = (FOLDS[kind], name, reduction)
            wanted = [learner for learner in learners if not board.has(*key, learner)]
            if not wanted:
                continue
            groups = data.groups if kind == "source" else None
            folds = nested_reduced(nested_folds(X, groups=groups, n_jobs=1), X, y, reduction)
            for learner in wanted:
                row = nested_row(folds, y, learners[learner])
                board.add((*key, learner), **row, features=X.shape[1])


def nested_row(folds, y, learner):
    """Cells of a row of nested cross-validation, pooled over the folds but for the first two.

    Parameters
    ----------
    folds : helpers.cross_validation.NestedFolds
    y : ndarray of float, shape (n,)
    learner : Learner or None
        None: the paper's support vector regression.
    """
    start = time.perf_counter()
    result = nested_learner(folds, y, learner) if learner else nested_cv(folds, y, "svr", n_jobs=1)
    seconds = time.perf_counter() - start
    interval = nested_coverage(result, y)
    return {
        "mape": result.mean,
        "mape_std": result.std,
        "r2": float(r2_score(y, result.y_pred)),
        "mae": float(mean_absolute_error(y, result.y_pred)),
        "coverage": interval.coverage,
        "width": 2 * float(interval.half_width[result.fold].mean()),
        "seconds": seconds,
    }


def main(arguments=None):
    """Compute the leaderboard, or what the file does not hold yet."""
    parser = argparse.ArgumentParser(prog="python -m helpers.beyond.studies", description=__doc__)
    parser.add_argument("--write", type=Path, required=True, metavar="CSV")
    parser.add_argument("--study", type=int, choices=(1, 2), help="one case study alone")
    parser.add_argument("--only", choices=list(DESCRIPTORS), help="one descriptor of study 1")
    parser.add_argument("--pair", type=Path, metavar="CSV", help="predictions of two rows as well")
    options = parser.parse_args(arguments)
    command = f"python -m helpers.beyond.studies --write {options.write.as_posix()}"
    board = Leaderboard(options.write, command)
    if options.study != 2:
        case_study_1(board, options.only)
    if options.study != 1:
        case_study_2(board)
    if options.pair:
        write_pair(board, options.pair)


if __name__ == "__main__":
    sys.exit(main())
