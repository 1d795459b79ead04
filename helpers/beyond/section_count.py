"""How much three sections can tell: volumes made again from their seeds, cut more often.

``python -m helpers.beyond.section_count --write data/results_sections.csv`` computes the table;
rows that the file holds already are kept.
"""

from __future__ import annotations

import argparse
import functools
import sys
from pathlib import Path

import numpy as np

from helpers.beyond.leaderboard import Leaderboard, compute
from helpers.datasets import load_two_phase
from helpers.encoders import load_encoder
from helpers.features import extract_features
from helpers.synthetic.volumes import two_phase_volume
from helpers.two_point import two_point_statistics

ALL = list(range(51))
# Label -> axes that the sections are normal to, and their places on each.
CUTS = {
    "1 section across the load": ([0], [0]),
    "1 section along the load": ([1], [0]),
    "3 sections": ([0, 1, 2], [0]),
    "9 sections": ([0, 1, 2], [0, 17, 34]),
    "153 sections": ([0, 1, 2], ALL),
}
WHOLE = "whole volume"
LEARNERS = ("lr", "pr", "log ridge pr", "log gp", "log kernel ridge")


def all_sections(volume):
    """All sections of a cubic volume, (3, n, n, n): normal to x, to y and to z.

    Examples
    --------
    >>> volume = np.arange(27).reshape(3, 3, 3)
    >>> bool((all_sections(volume)[1, 2] == volume[:, 2]).all())
    True
    """
    return np.stack([np.moveaxis(volume, axis, 0) for axis in range(3)])


def half_map(volume):
    """Three-dimensional autocorrelation of a periodic volume, one of each pair of lags r and -r.

    Parameters
    ----------
    volume : ndarray of 0 and 1, shape (n, n, n)

    Returns
    -------
    ndarray of float32, shape ((n**3 + 1) // 2,)

    Examples
    --------
    >>> half_map(np.ones((3, 3, 3), np.uint8)).shape
    (14,)
    """
    flat = two_point_statistics(volume, ndim=3, dtype=np.float32).ravel()
    return flat[: (len(flat) + 1) // 2]


def averaged(describe, volumes, cut):
    """Descriptors of volumes: the mean over the sections of each axis, side by side.

    Parameters
    ----------
    describe : callable
        Sections (k, n, n) -> (k, ...).
    volumes : ndarray of uint8, shape (N, n, n, n)
    cut : (list of int, list of int)
        Axes and places.

    Returns
    -------
    ndarray, shape (N, n_features)
    """
    axes, places = cut
    found = []
    for some in np.array_split(volumes, max(1, len(volumes) // 50)):
        sections = np.stack([all_sections(v)[axes][:, places] for v in some])
        flat = describe(sections.reshape(-1, *volumes.shape[2:]))
        found.append(flat.reshape(len(some), len(axes), len(places), -1).mean(axis=2))
    return np.concatenate(found).reshape(len(volumes), -1)


def main(arguments=None):
    """Compute the table, or what the file does not hold yet."""
    parser = argparse.ArgumentParser(
        prog="python -m helpers.beyond.section_count", description=__doc__
    )
    parser.add_argument("--write", type=Path, required=True, metavar="CSV")
    parser.add_argument("--volumes", type=int, default=1000)
    parser.add_argument("--no-long", action="store_true", help="not all sections of MicroViT")
    options = parser.parse_args(arguments)
    command = f"python -m helpers.beyond.section_count --write {options.write.as_posix()}"
    board = Leaderboard(options.write, command)
    study, n = load_two_phase("embedded"), options.volumes
    volumes = np.stack([two_phase_volume(study.seed, i).volume for i in range(n)])
    if not np.array_equal(
        averaged(_as_is, volumes, CUTS["3 sections"]).reshape(n, 3, 51, 51), study.sections[:n]
    ):
        raise RuntimeError("the volumes that were made again do not have the embedded sections")
    encoder = load_encoder("microvit", device="cpu")
    describe = {
        "two-point statistics": functools.partial(two_point_statistics, dtype=np.float32),
        "MicroViT": lambda flat: extract_features(
            flat, encoder, pipeline="section", store=False, progress=False
        ),
    }
    y = study.modulus[:n]
    tasks = [(name, label) for name in describe for label in CUTS]
    long = ("MicroViT", "153 sections")
    tasks = [t for t in tasks if t != long] + [long] * (not options.no_long)
    every = {WHOLE: lambda: volumes.mean((1, 2, 3))[:, None]}
    compute(board, WHOLE, "volume fraction", every[WHOLE], y, LEARNERS)
    compute(
        board,
        WHOLE,
        "two-point statistics in 3-D",
        lambda: np.stack([half_map(v) for v in volumes]),
        y,
        LEARNERS,
    )
    for name, label in tasks:
        compute(
            board,
            label,
            name,
            lambda name=name, label=label: averaged(describe[name], volumes, CUTS[label]),
            y,
            LEARNERS,
        )


def _as_is(sections):
    return sections


if __name__ == "__main__":
    sys.exit(main())
