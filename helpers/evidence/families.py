"""Volumes of families that MicroViT was not trained on, refitted there and predicted from here.

``python -m helpers.evidence.families`` computes the table; interrupted, it goes on where it was.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from helpers.beyond.descriptors import Describer, descriptor_matrix
from helpers.beyond.learner_scores import nested_learner, score_learner
from helpers.cross_validation import nested_folds
from helpers.datasets import load_two_phase
from helpers.evidence.cells import run_cells
from helpers.evidence.comparisons import compare, with_holm
from helpers.evidence.learning_curves import FROZEN, INPUTS, LIBRARIES, OURS
from helpers.intervals import nearest_distances, typicality
from helpers.io.results import Computation
from helpers.regression import holdout_rows, holdout_scores
from helpers.synthetic.families import FAMILIES, family_volume
from helpers.synthetic.homogenization import youngs_modulus
from helpers.synthetic.volumes import sections_of

N_VOLUMES = 300  # of each family
SEED = 25
BLOCK = 50  # volumes a cell
LEARNER = "log kernel ridge"
UNLIKE = 0.05  # typicality below which a sample is flagged
HERE = "embedded"


def solved_cell(family, first):
    """Sections (BLOCK, 3, 51, 51) and moduli (BLOCK,) [GPa] of volumes of a family."""
    volumes = [family_volume(family, SEED, i) for i in range(first, first + BLOCK)]
    moduli = [youngs_modulus(volume[None])[0] for volume in volumes]
    return np.stack([sections_of(volume) for volume in volumes]), np.array(moduli)


def described_cell(descriptor, sections, n_embedded):
    """A descriptor of all sections; the training part of the embedded ones sets its scales."""
    return descriptor_matrix(Describer(sections, holdout_rows(n_embedded)[0]), descriptor)


def refitted_cell(data, descriptor, X, y):
    """Absolute percentage errors (n,) by nested cross-validation inside one data set."""
    result = nested_learner(nested_folds(X, n_jobs=1), y, LEARNER)
    return 100 * np.abs(result.y_pred / y - 1)


def transferred_cell(data, descriptor, X, y, rows, n_embedded):
    """Errors (n,) of `rows` by a model of the embedded volumes, coverage and share flagged [%]."""
    train, val, _ = holdout_rows(n_embedded)
    scores = holdout_scores(X, 50, parts=(train, val, rows))
    row, predicted = score_learner(scores, y, LEARNER)
    fitted = X[np.concatenate([train, val])]
    among = nearest_distances(fitted, fitted, np.arange(len(fitted)))
    flagged = typicality(nearest_distances(X[rows], fitted), among) < UNLIKE
    errors = 100 * np.abs(predicted / y[rows] - 1)
    return errors, {"coverage": row["coverage"], "flagged": 100 * float(flagged.mean())}


def main():
    """Compute the table, or what an interrupted run has not done."""
    study = load_two_phase("embedded")
    blocks = [
        {"family": family, "first": first}
        for family in FAMILIES
        for first in range(0, N_VOLUMES, BLOCK)
    ]
    with Computation(__file__, INPUTS, LIBRARIES) as run:
        solved = run_cells(run.folder, solved_cell, blocks)
        sections = np.concatenate([study.sections, *(s for s, _ in solved)])
        y = np.concatenate([study.modulus, *(moduli for _, moduli in solved)])
        here = len(study.modulus)
        shared = {"sections": sections, "n_embedded": here}
        cells = [{"descriptor": name, **shared} for name in FROZEN]
        matrices = run_cells(run.folder, described_cell, cells, ["sections", "n_embedded"])
        rows = {HERE: holdout_rows(here)[2]}
        for i, family in enumerate(FAMILIES):
            rows[family] = here + i * N_VOLUMES + np.arange(N_VOLUMES)
        transferred = [
            {"data": data, "descriptor": name, "X": X, "y": y, "rows": of, "n_embedded": here}
            for data, of in rows.items()
            for name, X in zip(FROZEN, matrices, strict=True)
        ]
        refitted = [
            {"data": c["data"], "descriptor": c["descriptor"], "X": c["X"][c["rows"]],
             "y": y[c["rows"]]}
            for c in transferred if c["data"] != HERE
        ]  # fmt: skip
        ignored = ["X", "y", "rows", "n_embedded"]
        again = run_cells(run.folder, refitted_cell, refitted, ignored[:2])
        moved = run_cells(run.folder, transferred_cell, transferred, ignored)
        results = [("refitted", c, errors, {}) for c, errors in zip(refitted, again, strict=True)]
        results += [
            ("transferred", c, *found) for c, found in zip(transferred, moved, strict=True)
        ]
        run.write(family_table(results))


def family_table(results):
    """Rows of `compare`, of (protocol, cell, errors, more columns) of the same families."""
    errors, more = {}, []
    for protocol, cell, values, columns in results:
        errors.setdefault((protocol, cell["data"]), {})[cell["descriptor"]] = values
        more.append({"protocol": protocol, "data": cell["data"], "descriptor": cell["descriptor"]})
        more[-1] |= columns
    tables = [
        compare(by_descriptor, OURS).assign(protocol=protocol, data=data)
        for (protocol, data), by_descriptor in errors.items()
    ]
    table = with_holm(tables, ["protocol", "descriptor"])
    return table.merge(pd.DataFrame(more), on=["protocol", "data", "descriptor"])


if __name__ == "__main__":
    main()
