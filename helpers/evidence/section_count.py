"""How much three sections can tell: volumes made again from their seeds, cut more often.

``python -m helpers.evidence.section_count`` computes the table; interrupted, it goes on where it
was.
"""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd

from helpers.beyond.learner_scores import best_learner
from helpers.datasets import load_two_phase
from helpers.encoders import load_encoder
from helpers.evidence.cells import run_cells
from helpers.evidence.learning_curves import INPUTS, LIBRARIES, MOST, OURS
from helpers.io.results import Computation
from helpers.microvit.measures import describers
from helpers.regression import holdout_scores
from helpers.superalloy_scores import TWO_POINT
from helpers.synthetic.volumes import two_phase_volume
from helpers.two_point import two_point_statistics

N_VOLUMES = 1000
# Label -> axes that the sections are normal to, and their places on each.
CUTS = {
    "1 section across the load": ([0], [0]),
    "1 section along the load": ([1], [0]),
    "3 sections": ([0, 1, 2], [0]),
    "9 sections": ([0, 1, 2], [0, 17, 34]),
    "153 sections": ([0, 1, 2], list(range(51))),
}
WHOLE = "whole volume"
IN_3D = "two-point statistics in 3-D"
LEARNERS = ("lr", "pr", "log ridge pr", "log gp", "log kernel ridge")


def half_map(volume):
    """Three-dimensional autocorrelation of a periodic volume, one of each pair of lags r and -r.

    Examples
    --------
    >>> half_map(np.ones((3, 3, 3), np.uint8)).shape
    (14,)
    """
    flat = two_point_statistics(volume, ndim=3, dtype=np.float32).ravel()
    return flat[: (len(flat) + 1) // 2]


def averaged(describe, volumes, cut):
    """Descriptors of volumes (N, n, n, n): the mean over the sections of each axis, side by side.

    `describe` takes sections (k, n, n); `cut` is one of `CUTS`.
    """
    axes, places = cut
    described = []
    for some in np.array_split(volumes, max(1, len(volumes) // 50)):
        cuts = [np.moveaxis(some, 1 + axis, 1)[:, places] for axis in axes]
        values = describe(np.stack(cuts, axis=1).reshape(-1, *volumes.shape[2:]))
        by_axis = values.reshape(len(some), len(axes), len(places), -1).mean(axis=2)
        described.append(by_axis.reshape(len(some), -1))
    return np.concatenate(described)


def count_cell(cut, descriptor, n=N_VOLUMES):
    """A row: the learner with the lowest validation error on one descriptor of n volumes."""
    study = load_two_phase("embedded").first(n)
    volumes = np.stack([two_phase_volume(study.seed, i).volume for i in range(n)])
    if descriptor == IN_3D:
        X = np.stack([half_map(volume) for volume in volumes])
    elif cut == WHOLE:
        X = volumes.mean((1, 2, 3))[:, None]
    else:
        describe = describers({OURS: load_encoder("microvit", device="cpu")})[descriptor]
        X = averaged(describe, volumes, CUTS[cut])
    row, _ = best_learner(holdout_scores(X, min(MOST, X.shape[1])), study.modulus, LEARNERS)
    return {"cut": cut, "descriptor": descriptor, **row}


def main():
    """Compute the table, or what an interrupted run has not done."""
    keys = [(WHOLE, "volume fraction"), (WHOLE, IN_3D)]
    keys += itertools.product(CUTS, (TWO_POINT, OURS))
    cells = [{"cut": cut, "descriptor": descriptor} for cut, descriptor in keys]
    with Computation(__file__, INPUTS, LIBRARIES) as run:
        run.write(pd.DataFrame(run_cells(run.folder, count_cell, cells)))


if __name__ == "__main__":
    main()
