"""Beyond the paper: descriptors and learners under its protocols, a row each in a file.

``python -m helpers.beyond --write data/results_beyond.csv`` computes the leaderboard of both case
studies; rows that the file holds already are kept, so an interrupted run goes on where it was.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.metrics import mean_absolute_error, r2_score

from helpers._files import atomic_write
from helpers._provenance import run_facts
from helpers.conformal import nested_coverage
from helpers.cross_validation import nested_cv, nested_folds
from helpers.datasets import load_superalloys, load_two_phase
from helpers.encoders import ENCODERS, load_encoder
from helpers.features import LIBRARIES, extract_features
from helpers.learner_scores import nested_learner, score_learner
from helpers.learners import LEARNERS
from helpers.regression import holdout_rows, holdout_scores
from helpers.superalloy_scores import TWO_POINT
from helpers.two_point import micrograph_descriptor
from helpers.volume_descriptors import DESCRIPTORS, Describer, descriptor_matrix

MOST = 100  # components
KEYS = ["study", "descriptor", "reduction", "learner"]
STUDY = "case study 1"
PAPERS = ("lr", "pr")
EVERY = "MicroViT + two-point + bounds + counted"
# Tried with all learners, the others with a few; reduced by partial least squares as well.
MAIN = ("MicroViT", "two-point statistics", "MicroViT + two-point", EVERY, "fractions and bounds")
SUPERVISED = ("MicroViT", "two-point statistics")
FEW = ("lr", "pr", "log ridge pr", "log kernel ridge")
FOLDS = {"shuffled": "case study 2, shuffled folds", "source": "case study 2, folds by source"}
ALLOY_FEATURES = ("dinov2-l14", "clip-l14", "sam-h")


class Leaderboard:
    """A CSV file of rows, each written as soon as it is there.

    Parameters
    ----------
    path : path-like
        Rows that it holds stay, but for those of other weights of MicroViT.
    command : str
        For the provenance.
    """

    def __init__(self, path, command):
        self.path = Path(path)
        weights = load_encoder("microvit", device="cpu").fingerprint[:16]
        self.facts = {"weights": weights, **run_facts(command, (*LIBRARIES, "scikit-learn"))}
        self.facts["threads"] = os.environ.get("OMP_NUM_THREADS", "all")
        held = pd.read_csv(path).to_dict("records") if self.path.is_file() else []
        self.rows = [row for row in held if row["weights"] == weights]

    def has(self, *key):
        """Whether the file holds a row (study, descriptor, reduction, learner)."""
        return key in [tuple(row[name] for name in KEYS) for row in self.rows]

    def add(self, key, **row):
        """Write one more row."""
        row = dict(zip(KEYS, key, strict=True)) | row
        self.rows.append(row | self.facts)
        table = pd.DataFrame(self.rows)
        text = table.to_csv(index=False, float_format="%.4f", lineterminator="\n")
        with atomic_write(self.path) as file:
            file.write(text.encode())
        shown = {k: round(v, 2) if isinstance(v, float) else v for k, v in row.items()}
        print(*shown.values(), flush=True)


def holdout_row(scores, y, learner):
    """Cells of a row on the paper's split; see `helpers.learner_scores.Score`."""
    found = score_learner(scores, y, learner)._asdict()
    del found["y_test"], found["y_pred"]
    return found | {"options": str(found["options"])}


def compute(board, study, name, X, y, learners, *, supervised=False, seconds=0.0):
    """Rows of a descriptor that a leaderboard does not hold yet.

    Parameters
    ----------
    board : Leaderboard
    study, name : str
    X : callable
        Gives the descriptors (n, n_features), asked for if anything is missing.
    y : ndarray of float, shape (n,)
    learners : sequence of str
        In `LEARNERS`.
    supervised : bool
        Components of partial least squares on the logarithm of `y` beside those of PCA.
    """
    for reduction in ("PCA", "PLS") if supervised else ("PCA",):
        wanted = [k for k in learners if not board.has(study, name, reduction, k)]
        if not wanted:
            continue
        start = time.perf_counter()
        matrix = X()
        middle = time.perf_counter()
        most = min(MOST if reduction == "PCA" else 40, matrix.shape[1])
        target = None if reduction == "PCA" else np.log(y)
        scores = holdout_scores(matrix, most, target=target)
        times = {"described_in": middle - start, "reduced_in": time.perf_counter() - middle}
        for learner in wanted:
            row = holdout_row(scores, y, learner) | {"features": matrix.shape[1], **times}
            board.add((study, name, reduction, learner), **row)


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
            supervised=name in SUPERVISED,
        )


def alloy_learners():
    """Learners of case study 2, whose 149 samples carry fewer components."""
    grids = {
        "log ridge pr": {"k": [5, 10, 20], "alpha": [10.0, 100.0, 1000.0]},
        "log kernel ridge": {
            "k": [10, 20, 40],
            "gamma": [0.03, 0.1, 0.3],
            "alpha": [0.01, 0.1, 1.0],
        },
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
        for kind, study in FOLDS.items():
            learners = {"svr": None, **alloy_learners()}
            wanted = [k for k in learners if not board.has(study, name, "PCA", k)]
            if not wanted:
                continue
            groups = data.groups if kind == "source" else None
            folds = nested_folds(X, groups=groups, n_jobs=1)
            for key in wanted:
                row = nested_row(folds, y, learners[key])
                board.add((study, name, "PCA", key), **row, features=X.shape[1])


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
    parser = argparse.ArgumentParser(prog="python -m helpers.beyond", description=__doc__)
    parser.add_argument("--write", type=Path, required=True, metavar="CSV")
    parser.add_argument("--study", type=int, choices=(1, 2), help="one case study alone")
    parser.add_argument("--only", choices=list(DESCRIPTORS), help="one descriptor of study 1")
    options = parser.parse_args(arguments)
    command = f"python -m helpers.beyond --write {options.write.as_posix()}"
    board = Leaderboard(options.write, command)
    if options.study != 2:
        case_study_1(board, options.only)
    if options.study != 1:
        case_study_2(board)


if __name__ == "__main__":
    sys.exit(main())
