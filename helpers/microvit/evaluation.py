"""MicroViT against its random twin and two-point statistics: the evaluation table of the book.

``python -m helpers.microvit.evaluation`` computes it from the shipped weights; interrupted, it
goes on where it was. ``--model FOLDER`` prints it for another model. Columns: ``part``,
``quantity``, ``data``, ``descriptor``, ``protocol``, ``value``, ``low`` and ``high`` (each part
says of what), ``unit``, ``target`` (a condition such as ``"value <= 0.55"``, see
`helpers.microvit.measures.meets`).
"""

from __future__ import annotations

import argparse

import numpy as np
import pandas as pd

from helpers.datasets import load_superalloys, load_two_phase
from helpers.encoders import ENCODERS
from helpers.features import LIBRARIES, extract_features
from helpers.intervals import paired_interval, ratio_interval
from helpers.io.results import Computation
from helpers.microvit.measures import (
    OURS,
    RANDOM,
    SEED,
    describers,
    invariance,
    meets,
    row,
    sensitivity,
    speed,
    twins,
)
from helpers.microvit.statistics import image_statistics
from helpers.regression import aggregate_sections, holdout, holdout_scores
from helpers.scores import evaluate_descriptors, guess_without_image
from helpers.segmentation import segment
from helpers.superalloy_scores import SHUFFLES, TWO_POINT
from helpers.two_point import micrograph_descriptor, two_point_statistics

INPUTS = ("superalloys", "data/superalloys", "data/two_phase.npz", "encoders/microvit")
SIDE = 224  # of the parts of micrographs whose invariance is measured [pixels]
COUNTED = "its training targets, counted"
PAPERS_BEST = ("clip-l14", "dinov2-l14", "clip-b16")  # of the paper's nine, over 20 shuffles


def case_study_1(sections, modulus, features):
    """The paper's protocol, and MicroViT's error as a share of the others': rows of the table.

    `features` (3 * n, d) by name are of all `sections` (n, 3, h, w), one volume after the other.
    Added here: two-point statistics, the stiff fraction, and the very statistics that MicroViT was
    trained to predict.
    """
    part, data = "case study 1", "embedded"
    flat, rows, results = sections.reshape(-1, *sections.shape[2:]), [], {}
    features = features | {
        TWO_POINT: two_point_statistics(flat),
        COUNTED: image_statistics(flat),
        "stiff fraction": flat.mean((1, 2)),
    }
    for name, values in features.items():
        for how in ("concat", "mean"):
            X = aggregate_sections(values.reshape(*sections.shape[:2], -1), how)
            scores = holdout_scores(X, min(50, X.shape[1]))
            for model in ("lr", "pr"):
                result = results[name, how, model] = holdout(scores, modulus, model)
                keys = data, name, f"{model.upper()}, {how}"
                rows.append(row(part, "MAPE", *keys, result.test_mape, unit="%"))
            first = 100 * scores.explained_variance_ratio[0]
            quantity = "variance of the first component"
            rows.append(row(part, quantity, data, name, how, first, unit="%"))
    errors = {k: np.abs(r.y_pred / r.y_test - 1) for k, r in results.items()}
    for other, bound in ((RANDOM, 0.55), (TWO_POINT, 0.9)):
        ratio, ends = ratio_interval(*(errors[name, "concat", "pr"] for name in (OURS, other)))
        keys = part, f"MAPE over that of {other}", data, OURS, "PR, concat"
        rows.append(row(*keys, ratio, *ends, target=f"value <= {bound}"))
    return rows


def case_study_2(alloys, features, data, *, shuffles=SHUFFLES, store=None):
    """Nested SVR over shuffles of the outer folds, beside predictors that see no image.

    Rows of the table. MAPE: mean over the shuffles, with percentiles 2.5 and 97.5 of the shuffles'
    means. Differences of MicroViT to the others: paired fold by fold, with the corrected interval
    of `helpers.intervals.paired_interval`; rows ``"over shuffles"`` hold percentiles. Two-point
    statistics, of the segmented micrographs, are added to the `features` (n, d) by name of `data`.
    """
    y = alloys.hardness
    maps = np.stack([micrograph_descriptor(image) for image in alloys.binary_images])
    descriptors, seeds = {**features, TWO_POINT: maps}, range(shuffles)
    results = evaluate_descriptors(descriptors, y, ["svr"], seeds=seeds, store=store)
    errors = {k: [results[k, "svr", s].fold_mape for s in seeds] for k in descriptors}
    blind = [guess_without_image(y, alloys.groups, seed) for seed in seeds]
    errors |= {name: [errors_of[name] for errors_of in blind] for name in blind[0]}
    errors, rows, part = {k: np.array(v) for k, v in errors.items()}, [], "case study 2"
    for name, values in errors.items():
        protocol = "SVR" if name in descriptors else "no image"
        means = values.mean(axis=1)
        ends = np.percentile(means, [2.5, 97.5])
        rows.append(row(part, "MAPE", data, name, protocol, means.mean(), *ends, unit="%"))
    for name, values in errors.items():
        if name == OURS:
            continue
        difference = errors[OURS] - values
        mean, ends = paired_interval(difference)
        target = "high < 0" if name in (RANDOM, TWO_POINT) else ""
        keys = part, f"MAPE minus that of {name}", data, OURS
        rows.append(row(*keys, "SVR", mean, *ends, unit="points", target=target))
        ends = np.percentile(difference.mean(axis=1), [2.5, 97.5])
        rows.append(row(*keys, "SVR, over shuffles", mean, *ends, unit="points"))
    return rows


def evaluate(model="microvit"):
    """All parts of the table, a DataFrame, for a model of `helpers.microvit.measures.twins`."""
    encoders = twins(model)
    describe = describers(encoders)

    def features(images, name, **options):
        return {k: extract_features(images, e, name=name, **options) for k, e in encoders.items()}

    study, published = load_two_phase("embedded"), load_superalloys("published")
    alloys = load_superalloys("embedded")
    sections = study.sections.reshape(-1, *study.sections.shape[2:])
    both = np.flatnonzero(sections.any((1, 2)) & ~sections.all((1, 2)))
    chosen = np.random.default_rng(SEED).choice(both, 600, replace=False)
    some = sections[chosen].astype(np.float32)
    parts = np.stack([m[:SIDE, :SIDE] for m in alloys.images[::4]]) / np.float32(255)

    rows = speed(encoders[OURS], some, alloys.images[::8])
    rows += invariance(some, describe, "sections", skip=["polarity"])
    describe[TWO_POINT] = _segmented
    rows += invariance(parts, describe, "grey micrographs", skip=["translation"])
    rows += sensitivity(describers(encoders, periodic=False))
    values = features(alloys.images, "superalloys-embedded")
    rows += case_study_2(alloys, values, "embedded, grey")
    values = features(published.binary_images, "superalloys-published")
    values |= {f"{ENCODERS[n].title} (paper)": published.features[n] for n in PAPERS_BEST}
    rows += case_study_2(published, values, "published, segmented")
    values = features(sections, "two-phase-embedded", pipeline="section")
    rows += case_study_1(study.sections, study.modulus, values)
    return pd.DataFrame(rows)


def _segmented(images):
    """Two-point statistics of grey micrographs by the workflow of the paper."""
    grey = np.round(255 * images).astype(np.uint8)
    return np.stack([micrograph_descriptor(segment(image)) for image in grey])


def main(arguments=None):
    """Compute the table of the MicroViT that ships, or print that of another model."""
    parser = argparse.ArgumentParser("python -m helpers.microvit.evaluation", description=__doc__)
    parser.add_argument("--model", metavar="FOLDER", help="of another model, such as your own")
    model = parser.parse_args(arguments).model
    if model:
        table = evaluate(model)
        met = [{True: "met", False: "missed"}.get(meets(r), "") for r in table.to_dict("records")]
        print(table.assign(met=met).round(3).to_string(index=False, na_rep=""))
        return
    with Computation(__file__, INPUTS, LIBRARIES) as run:
        run.write(evaluate())


if __name__ == "__main__":
    main()
