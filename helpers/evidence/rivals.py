"""Descriptors and learners under the paper's protocols: what a network is worth beside counts.

``python -m helpers.evidence.rivals`` computes both case studies, and what the paper's best
protocol and MicroViT's best learner predict for the test part of case study 1; interrupted, it
goes on where it was.
"""

from __future__ import annotations

import functools

import numpy as np
import pandas as pd

from helpers.beyond.counts import chord_lengths, cluster_function, lineal_path, persistent_homology
from helpers.beyond.descriptors import DESCRIPTORS, NOISE
from helpers.beyond.learner_scores import nested_learner, score_learner, unseen_scores
from helpers.beyond.learners import LEARNERS
from helpers.cross_validation import nested_cv, nested_folds
from helpers.datasets import load_superalloys, load_two_phase
from helpers.encoders import ENCODERS, load_encoder
from helpers.evidence.cells import run_cells
from helpers.evidence.comparisons import compare, with_holm
from helpers.evidence.learning_curves import INPUTS as VOLUMES
from helpers.evidence.learning_curves import LIBRARIES, MOST, OURS, described
from helpers.features import extract_features
from helpers.intervals import nested_coverage
from helpers.io.optional import optional
from helpers.io.results import Computation
from helpers.microvit.statistics import image_statistics
from helpers.regression import holdout_rows, holdout_scores
from helpers.superalloy_scores import TWO_POINT
from helpers.two_point import micrograph_descriptor

INPUTS = (*VOLUMES, "superalloys")
VOLUME_STUDY = "case study 1"
PAPERS = ("lr", "pr")
MEANS = ("", ", mean of sections")  # after the name of a descriptor
ALLOY_STUDIES = {
    "shuffled": "case study 2, shuffled folds",
    "source": "case study 2, folds by source",
}
PUBLISHED = ("dinov2-l14", "clip-l14", "sam-h")  # features of grey micrographs
# Of learners in case study 2, whose 149 samples carry fewer components; the paper's SVR beside.
ALLOY_GRIDS = {
    "log ridge pr": {"k": [5, 10, 20], "alpha": [10.0, 100.0, 1000.0]},
    "log kernel ridge": {
        "k": [10, 20, 40],
        "gamma": [0.03, 0.1, 0.3],
        "alpha": [0.01, 0.1, 1.0],
    },
    "log gp": {"k": [10, 20]},
}
ALLOY_LEARNERS = ("svr", *ALLOY_GRIDS)


def volume_cell(descriptor, X, y):
    """Rows of all learners, and their predictions of the test part (n_learners, n_test)."""
    scores = holdout_scores(X, min(MOST, X.shape[1]))
    found = [score_learner(scores, y, name) for name in LEARNERS]
    keys = {"study": VOLUME_STUDY, "descriptor": descriptor}
    rows = [keys | {"learner": name} | r for name, (r, _) in zip(LEARNERS, found, strict=True)]
    return rows, np.stack([predicted for _, predicted in found])


def alloy_cell(study, descriptor, learner, X, y, groups):
    """A row, pooled over the folds but for ``mape``, and the predictions of all samples (n,)."""
    folds = nested_folds(X, groups=groups if study == ALLOY_STUDIES["source"] else None, n_jobs=1)
    result = nested_alloys(folds, y, learner)
    half = nested_coverage(result, y).half_width[result.fold]
    row = {"study": study, "descriptor": descriptor, "learner": learner}
    row |= unseen_scores(y, result.y_pred, result.y_pred - half, result.y_pred + half)
    return row | {"mape": result.mean}, result.y_pred


def nested_alloys(folds, y, learner):
    """A NestedCV of one of `ALLOY_LEARNERS`, on `helpers.cross_validation.nested_folds`."""
    if learner == "svr":
        return nested_cv(folds, y, "svr", n_jobs=1)
    return nested_learner(folds, y, LEARNERS[learner]._replace(grid=ALLOY_GRIDS[learner]))


def alloy_descriptors(data):
    """Descriptors of the published superalloys: of grey micrographs, and of the segmented ones."""
    images = data.binary_images
    ours, untrained = (load_encoder("microvit", w, device="cpu") for w in ("pretrained", "random"))
    segmented = [np.asarray(image, np.float32) for image in images]
    extract = functools.partial(extract_features, segmented, store=False)
    counts = {
        "counted statistics": image_statistics,
        "chord lengths": chord_lengths,
        "lineal path": lineal_path,
        "cluster function": cluster_function,
        "persistent homology": persistent_homology,
    }
    counted = {
        name: np.stack([count(np.asarray(image)[None])[0] for image in images])
        for name, count in counts.items()
    }
    # Columns with several units: each by its standard deviation, without a look at the property.
    spread = counted["counted statistics"].std(axis=0)
    counted["counted statistics"] = counted["counted statistics"] / np.where(spread > 0, spread, 1)
    return {
        OURS: extract(ours),
        "MicroViT, random": extract(untrained),
        TWO_POINT: np.stack([micrograph_descriptor(image) for image in images]),
        **counted,
        NOISE: np.random.default_rng(0).standard_normal((len(images), 192)),
        **{f"{ENCODERS[name].title}, grey": data.features[name] for name in PUBLISHED},
    }


def case_study_1(folder):
    """The table of all descriptors and learners, predictions of the test part, comparisons."""
    y = load_two_phase("embedded").modulus
    matrices = run_cells(folder, described, [{"name": name} for name in DESCRIPTORS])
    cells = [
        {"descriptor": name, "X": X, "y": y}
        for name, (X, _) in zip(DESCRIPTORS, matrices, strict=True)
    ]
    found = run_cells(folder, volume_cell, cells, ["X", "y"])
    table = pd.DataFrame([row for rows, _ in found for row in rows])
    predicted = np.concatenate([values for _, values in found])
    test = holdout_rows(len(y))[2]
    errors = 100 * np.abs(predicted / y[test] - 1)
    best = table.groupby("descriptor", sort=False)["val_mape"].idxmin()
    against = compare({name: errors[i] for name, i in best.items()}, OURS)
    against["learner"] = table.loc[best, "learner"].to_numpy()
    frozen = table["descriptor"].isin([n + m for n in (OURS, TWO_POINT) for m in MEANS])
    paper = table[frozen & table["learner"].isin(PAPERS)]["val_mape"].idxmin()
    pair = pd.DataFrame({"volume": test, "modulus": y[test]})
    for role, i in (("paper", paper), ("ours", best[OURS])):
        pair[role] = predicted[i]
        pair[f"{role}_row"] = " | ".join(table.loc[i, ["descriptor", "learner"]])
    return table, against.assign(study=VOLUME_STUDY), pair


def case_study_2(folder):
    """The table of descriptors and learners on the published superalloys, and comparisons.

    Errors of one source are alike, so that sources are what is compared.
    """
    data = load_superalloys("published")
    shared = {"y": data.hardness, "groups": data.groups}
    cells = [
        {"study": study, "descriptor": name, "learner": learner, "X": X, **shared}
        for name, X in alloy_descriptors(data).items()
        for study in ALLOY_STUDIES.values()
        for learner in ALLOY_LEARNERS
    ]
    found = run_cells(folder, alloy_cell, cells, ["X", "y", "groups"])
    errors, tables = {}, []
    for row, predicted in found:
        key = row["study"], row["learner"]
        errors.setdefault(key, {})[row["descriptor"]] = 100 * abs(predicted / data.hardness - 1)
    for (study, learner), by_descriptor in errors.items():
        against = compare(by_descriptor, OURS, data.groups)
        tables.append(against.assign(study=study, learner=learner))
    return pd.DataFrame([row for row, _ in found]), tables


def main():
    """Compute the tables, or what an interrupted run has not done."""
    optional("gudhi", "bench")
    with Computation(__file__, INPUTS, LIBRARIES) as run:
        volumes, first, pair = case_study_1(run.folder)
        alloys, second = case_study_2(run.folder)
        against = with_holm([first, *second], ["study"])
        run.write(pd.concat([volumes, alloys]), ratios=against, pair=pair)


if __name__ == "__main__":
    main()
