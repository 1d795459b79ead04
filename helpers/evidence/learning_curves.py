"""How many volumes frozen features need, and how many networks that are trained.

``python -m helpers.evidence.learning_curves`` computes the table; interrupted, it goes on where it
was. Case study 1, the test part of the paper; of n volumes a fifth is the validation part, which
chooses learners and their options, and the epoch where a network stops.
"""

from __future__ import annotations

import time

import numpy as np
import pandas as pd

from helpers import UserError
from helpers.beyond.descriptors import Describer, descriptor_matrix
from helpers.beyond.end_to_end import NETWORKS, learn_network
from helpers.beyond.learner_scores import best_learner
from helpers.datasets import load_two_phase
from helpers.evidence.cells import run_cells
from helpers.features import LIBRARIES as FEATURE_LIBRARIES
from helpers.intervals import ratio_interval
from helpers.io.results import Computation
from helpers.regression import holdout_rows, holdout_scores, mape

INPUTS = ("data/two_phase.npz", "encoders/microvit")
LIBRARIES = (*FEATURE_LIBRARIES, "scikit-learn", "joblib")
SIZES = (100, 200, 500, 1000, 2000, 5310)  # volumes, with those of the validation part
DRAWS = 3
SEED = 25
MOST = 100  # components
OURS = "MicroViT"
FROZEN = (OURS, "MicroViT, random", "two-point statistics", "counted statistics")


def drawn_parts(n_samples, n, draw):
    """Rows of training and validation part, `n` in all and drawn with a seed, and the test part.

    Examples
    --------
    >>> [len(rows) for rows in drawn_parts(5900, 100, 0)]
    [80, 20, 590]
    """
    *rest, test = holdout_rows(n_samples)
    rest = np.concatenate(rest)
    if not 20 <= n <= len(rest):
        raise UserError(
            f"n is {n}: expected 20 to {len(rest)} volumes, those outside the test part"
        )
    rows = np.random.default_rng([SEED, n, draw]).permutation(np.sort(rest))[:n]
    return rows[n // 5 :], rows[: n // 5], test


def described(name):
    """A descriptor of all embedded volumes (5900, n_features), and seconds for one volume."""
    study = load_two_phase("embedded")
    start = time.process_time()
    X = descriptor_matrix(Describer(study.sections, holdout_rows(len(study.modulus))[0]), name)
    return X, (time.process_time() - start) / len(X)


def frozen_cell(method, n, draw, X, y):
    """Absolute percentage errors of the test part, shape (n_test,), and the cells of a row."""
    start = time.process_time()
    parts = drawn_parts(len(y), n, draw)
    scores = holdout_scores(X, min(MOST, len(parts[0]) - 1, X.shape[1]), parts=parts)
    row, predicted = best_learner(scores, y)
    return _cell(y[parts[2]], predicted, row, time.process_time() - start)


def network_cell(method, n, draw, folder):
    """As `frozen_cell`, of one of `NETWORKS`; `folder` keeps its checkpoint."""
    study = load_two_phase("embedded")
    *parts, test = drawn_parts(len(study.modulus), n, draw)
    used = np.concatenate([*parts, test])
    train, val, test = np.split(np.arange(len(used)), np.cumsum([len(p) for p in parts]))
    sections, y, path = study.sections[used], study.modulus[used], folder / f"{method} {n} {draw}"
    predicted, history = learn_network(method, sections, y, train, val, path, seed=draw)
    path.unlink()
    best = min(history, key=lambda epoch: epoch["val_mape"])
    row = {"learner": "network", "options": f"epoch {best['epoch'] + 1} of {len(history)}"}
    seconds = sum(epoch["seconds"] for epoch in history)
    return _cell(y[test], predicted[test], row | {"val_mape": best["val_mape"]}, seconds)


def _cell(y, predicted, row, seconds):
    kept = {name: row[name] for name in ("learner", "options", "val_mape")}
    return 100 * np.abs(predicted / y - 1), kept | {"mape": mape(y, predicted), "seconds": seconds}


def curves(cells, errors):
    """Error of each method at each size, and its ratio to MicroViT's, with 95 % intervals.

    `cells` is the table of cells; `errors` holds absolute percentage errors [%] of the same test
    samples, shape (n_cells, n_test). Errors are means over the draws; the intervals hold the luck
    of the test samples, not that of the draws.
    """
    mean = {
        key: errors[i].mean(axis=0) for key, i in cells.groupby(["method", "n"]).indices.items()
    }
    rows = []
    for (method, n), values in mean.items():
        ratio, ends = ratio_interval(values, mean[OURS, n])
        value, (low, high) = ratio_interval(values, np.ones_like(values))
        row = {"method": method, "n": n, "mape": value, "low": low, "high": high}
        rows.append(row | {"ratio": ratio, "ratio_low": ends[0], "ratio_high": ends[1]})
    return pd.DataFrame(rows)


def main(sizes=SIZES):
    """Compute the table, or what an interrupted run has not done."""
    study = load_two_phase("embedded")
    for n in sizes:
        drawn_parts(len(study.modulus), n, 0)  # refused before long work
    keys = [{"n": n, "draw": draw} for n in sizes[::-1] for draw in range(DRAWS)]
    with Computation(__file__, INPUTS, LIBRARIES) as run:
        matrices = run_cells(run.folder, described, [{"name": name} for name in FROZEN])
        frozen = [
            {"method": method, **key, "X": X, "y": study.modulus}
            for method, (X, _) in zip(FROZEN, matrices, strict=True)
            for key in keys
        ]
        trained = [
            {"method": method, **key, "folder": run.folder} for key in keys for method in NETWORKS
        ]
        found = run_cells(run.folder, frozen_cell, frozen, ["X", "y"])
        found += run_cells(run.folder, network_cell, trained, ["folder"])
        table = pd.DataFrame(
            {name: cell[name] for name in ("method", "n", "draw")} | row
            for cell, (_, row) in zip([*frozen, *trained], found, strict=True)
        )
        a_volume = dict(zip(FROZEN, (seconds for _, seconds in matrices), strict=True))
        table["described_in"] = table["method"].map(a_volume).fillna(0) * table["n"]
        run.write(table, curves=curves(table, np.stack([errors for errors, _ in found])))


if __name__ == "__main__":
    main()
