"""How much three sections can tell: volumes made again from their seeds, cut more often.

``python -m helpers.beyond.section_count`` computes the table; interrupted, it goes on where it
was.
"""

from __future__ import annotations

import functools
import itertools

import numpy as np

from helpers.beyond.leaderboard import LIBRARIES, Leaderboard, compute
from helpers.datasets import load_two_phase
from helpers.encoders import load_encoder
from helpers.io.results import Computation
from helpers.microvit.measures import OURS, describers
from helpers.superalloy_scores import TWO_POINT
from helpers.synthetic.volumes import two_phase_volume
from helpers.two_point import two_point_statistics

INPUTS = ("data/two_phase.npz", "encoders/microvit")
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


def count_sections(board):
    """Rows of all cuts and learners that a board does not hold yet."""
    study = load_two_phase("embedded")
    volumes = np.stack([two_phase_volume(study.seed, i).volume for i in range(N_VOLUMES)])
    describe = describers({OURS: load_encoder("microvit", device="cpu")})
    descriptors = {
        (WHOLE, "volume fraction"): lambda: volumes.mean((1, 2, 3))[:, None],
        (WHOLE, "two-point statistics in 3-D"): lambda: np.stack([half_map(v) for v in volumes]),
    }
    for name, (label, cut) in itertools.product((TWO_POINT, OURS), CUTS.items()):
        descriptors[label, name] = functools.partial(averaged, describe[name], volumes, cut)
    for key, X in descriptors.items():
        compute(board, *key, X, study.modulus[:N_VOLUMES], LEARNERS)


def main():
    """Compute the table, or what an interrupted run has not done."""
    with Computation(__file__, INPUTS, LIBRARIES) as run:
        board = Leaderboard(run.folder / "board.csv")
        count_sections(board)
        run.write(board.table)


if __name__ == "__main__":
    main()
