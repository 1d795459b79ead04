"""How much three sections can tell: volumes made again from their seeds, cut more often.

``python -m helpers.section_count --write data/results_sections.csv`` computes the table.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np
from joblib import Parallel, delayed

from helpers.beyond import Leaderboard
from helpers.datasets import load_two_phase
from helpers.encoders import load_encoder
from helpers.features import extract_features
from helpers.learners import score_learner
from helpers.regression import holdout_scores
from helpers.synthesis import two_phase_volume
from helpers.two_point import two_point_statistics

PLACES = {1: [0], 3: [0], 9: [0, 17, 34], 153: list(range(51))}  # of the sections on each axis
LEARNERS = ("lr", "pr", "log ridge pr", "log kernel ridge", "log gp")


def all_sections(volume):
    """All sections of a cubic volume, (3, n, n, n): normal to x, to y and to z."""
    return np.stack([np.moveaxis(volume, axis, 0) for axis in range(3)])


def section_descriptors(features):
    """Descriptors from more and more sections of each volume.

    Parameters
    ----------
    features : ndarray, shape (n, 3, n_places, d)
        Of all sections.

    Returns
    -------
    dict of int to ndarray
        Number of sections -> one section normal to x (n, d); otherwise the mean over the sections
        of each axis, side by side (n, 3 * d).
    """
    found = {}
    for count, places in PLACES.items():
        some = features[:, :1] if count == 1 else features
        found[count] = some[:, :, places].mean(axis=2).reshape(len(features), -1)
    return found


def half_map(volume):
    """Three-dimensional autocorrelation of a periodic volume, one of each pair of lags r and -r."""
    flat = two_point_statistics(volume, ndim=3, dtype=np.float32).ravel()
    return flat[: (len(flat) + 1) // 2]


def main(arguments=None):
    """Compute the table, or what the file does not hold yet."""
    parser = argparse.ArgumentParser(prog="python -m helpers.section_count", description=__doc__)
    parser.add_argument("--write", type=Path, required=True, metavar="CSV")
    parser.add_argument("--volumes", type=int, default=1000)
    options = parser.parse_args(arguments)
    command = f"python -m helpers.section_count --write {options.write.as_posix()}"
    board = Leaderboard(options.write, command)
    study, n = load_two_phase("embedded"), options.volumes
    made = Parallel(n_jobs=-1)(delayed(two_phase_volume)(study.seed, i) for i in range(n))
    volumes = np.stack([m.volume for m in made])
    cut = np.stack([all_sections(v) for v in volumes])
    if not np.array_equal(cut[:, :, 0], study.sections[:n]):
        raise RuntimeError("the volumes that were made again do not have the embedded sections")
    start = time.perf_counter()
    encoder = load_encoder("microvit", device="cpu")
    flat = cut.reshape(-1, *cut.shape[3:])
    features = extract_features(flat, encoder, pipeline="section", name="two-phase-all-sections")
    described = section_descriptors(features.reshape(*cut.shape[:3], -1))
    described = {f"MicroViT, {count} sections": X for count, X in described.items()}
    maps = two_point_statistics(study.sections[:n].reshape(-1, *cut.shape[3:]))
    described["two-point statistics, 3 sections"] = maps.reshape(n, -1)
    whole = Parallel(n_jobs=-1)(delayed(half_map)(v) for v in volumes)
    described["two-point statistics in 3-D"] = np.stack(whole)
    described["volume fraction"] = volumes.mean((1, 2, 3))[:, None]
    print(f"descriptors: {time.perf_counter() - start:.0f} s", flush=True)
    for name, X in described.items():
        scores = holdout_scores(X, min(100, X.shape[1]))
        for learner in LEARNERS:
            if board.has(f"{n} volumes", name, learner):
                continue
            r = score_learner(scores, study.modulus[:n], learner)
            row = {"study": f"{n} volumes", "descriptor": name, "learner": learner}
            row |= {"features": X.shape[1], "options": str(r.options), "val_mape": r.val_mape}
            row |= {"mape": r.mape, "r2": r.r2, "mae": r.mae, "coverage": r.coverage}
            board.add(**row, width=r.width, seconds=r.seconds)


if __name__ == "__main__":
    sys.exit(main())
