"""Case study 1 beyond the paper: descriptors and learners, each on the paper's split.

``python -m helpers.beyond --write data/results_beyond.csv`` computes the leaderboard; rows that
the file holds already are kept, so an interrupted run goes on where it was.
"""

from __future__ import annotations

import argparse
import functools
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from helpers._files import atomic_write
from helpers._networks import quiet_transformers
from helpers._provenance import run_facts
from helpers.datasets import load_two_phase
from helpers.elasticity import PHASE_MODULI, POISSON
from helpers.encoders import load_encoder
from helpers.features import LIBRARIES, extract_features
from helpers.image_statistics import image_statistics
from helpers.learners import LEARNERS, score_learner
from helpers.reduction import aggregate_sections
from helpers.regression import holdout_scores
from helpers.two_point import two_point_statistics

MOST = 100  # components


def hashin_shtrikman(fraction, moduli, poisson):
    """Bounds of Young's modulus of isotropic two-phase composites.

    Parameters
    ----------
    fraction : ndarray, any shape
        Volume fraction of the stiff phase, 0 to 1.
    moduli : pair of float
        Young's moduli of the compliant and the stiff phase [GPa].
    poisson : float
        Poisson's ratio of both.

    Returns
    -------
    ndarray, shape (..., 2)
        Lower and upper bound [GPa].

    Notes
    -----
    Hashin and Shtrikman 1963, doi:10.1016/0022-5096(63)90060-7, for bulk and shear modulus;
    Young's modulus, which grows with both, from the two lower and the two upper ones.

    Examples
    --------
    >>> hashin_shtrikman(np.array([0.0, 1.0]), (2.0, 100.0), 0.3).round(6).tolist()
    [[2.0, 2.0], [100.0, 100.0]]
    """
    f = np.asarray(fraction, float)
    bulk, shear = (
        np.array(moduli) / (3 * (1 - 2 * poisson)),
        np.array(moduli) / (2 + 2 * poisson),
    )
    found = []
    for matrix, other in ((0, 1), (1, 0)):
        k, g, dk, dg = bulk[matrix], shear[matrix], np.diff(bulk)[0], np.diff(shear)[0]
        share = f if other == 1 else 1 - f
        sign = 1 if other == 1 else -1
        k_all = k + share / (1 / (sign * dk) + (1 - share) * 3 / (3 * k + 4 * g))
        beta = 6 * (k + 2 * g) / (5 * g * (3 * k + 4 * g))
        g_all = g + share / (1 / (sign * dg) + (1 - share) * beta)
        found.append(9 * k_all * g_all / (3 * k_all + g_all))
    return np.stack(found, axis=-1)


@torch.inference_mode()
def all_tokens(encoder, images, batch=64):
    """Class token and mean patch token of every layer of a DINOv2, after the final norm.

    Parameters
    ----------
    encoder : helpers.encoders.Encoder
        Loaded with ``pooling="mean"``, so that the last layer computes all tokens.
    images : ndarray, shape (n, h, w)
        0 to 1; cut to multiples of the patch.

    Returns
    -------
    ndarray of float32, shape (n, n_layers, 2, n_features)
    """
    patch = encoder.entry.patch
    h, w = (side - side % patch for side in images.shape[1:])
    found = []
    for part in np.array_split(images[:, :h, :w], max(1, len(images) // batch)):
        pixels = torch.from_numpy(part.astype(np.float32))[:, None].expand(-1, 3, -1, -1)
        with quiet_transformers():
            states = encoder.model(pixel_values=pixels, output_hidden_states=True).hidden_states[
                1:
            ]
        states = [encoder.model.layernorm(state) for state in states]
        pooled = [torch.stack([s[:, 0], s[:, 1:].mean(1)], dim=1) for s in states]
        found.append(torch.stack(pooled, dim=1).numpy())
    return np.concatenate(found)


def descriptors(study):
    """Functions that compute the descriptors of the volumes, by name.

    Returns
    -------
    dict of str to callable
        Each gives a list of blocks (n, ...), which `joined` puts side by side.
    """
    n, k, h, w = study.sections.shape
    flat = study.sections.reshape(n * k, h, w)

    def volumes(values):
        return aggregate_sections(np.asarray(values).reshape(n, k, -1))

    @functools.cache
    def microvit(kind="pretrained"):
        encoder = load_encoder("microvit", kind, device="cpu")
        return volumes(
            extract_features(flat, encoder, pipeline="section", name="two-phase-embedded")
        )

    @functools.cache
    def tokens():
        return all_tokens(load_encoder("microvit", pooling="mean", device="cpu"), flat)

    @functools.cache
    def two_point():
        return volumes(two_point_statistics(flat, dtype=np.float32))

    @functools.cache
    def enlarged():
        encoder = load_encoder("microvit", device="cpu")
        large = flat.repeat(2, axis=1).repeat(2, axis=2)
        return volumes(extract_features(large, encoder, pipeline="section", store=False))

    def turned():
        encoder = load_encoder("microvit", device="cpu")
        total = 0
        for quarter in range(4):
            images = np.ascontiguousarray(np.rot90(flat, quarter, axes=(1, 2)))
            total = total + extract_features(images, encoder, pipeline="section", store=False)
        return volumes(total / 4)

    def bounds():
        fractions = flat.mean((1, 2)).reshape(n, k)
        every = np.column_stack([fractions, fractions.mean(1)])
        logs = np.log(hashin_shtrikman(every, PHASE_MODULI, POISSON)).reshape(n, -1)
        return np.column_stack([every, logs])

    def statistics():
        values = image_statistics(flat)
        return volumes((values - values.mean(0)) / (values.std(0) + 1e-6))

    return {
        "two-point statistics": lambda: [two_point()],
        "MicroViT": lambda: [microvit()],
        "MicroViT, random": lambda: [microvit("random")],
        "MicroViT, class + mean patch token": lambda: [volumes(tokens()[:, -1])],
        "MicroViT, class tokens of all layers": lambda: [volumes(tokens()[:, :, 0])],
        "MicroViT, two scales": lambda: [microvit(), enlarged()],
        "MicroViT, mean over four turns": lambda: [turned()],
        "fractions and Hashin-Shtrikman bounds": lambda: [bounds()],
        "MicroViT + bounds": lambda: [microvit(), bounds()],
        "MicroViT + two-point": lambda: [microvit(), two_point()],
        "counted statistics": lambda: [statistics()],
        "MicroViT + counted statistics": lambda: [microvit(), statistics()],
        "MicroViT + two-point + bounds + counted": lambda: [
            microvit(), two_point(), bounds(), statistics()
        ],
    }  # fmt: skip


def joined(blocks, rows):
    """Blocks side by side, each divided by its own total standard deviation over `rows`."""
    blocks = [np.asarray(b, np.float64).reshape(len(b), -1) for b in blocks]
    return np.hstack([b / np.sqrt(b[rows].var(axis=0).sum()) for b in blocks])


class Leaderboard:
    """A CSV file of rows, each written as soon as it is there.

    Parameters
    ----------
    path : path-like
    command : str
        For the provenance.
    """

    def __init__(self, path, command):
        self.path, self.facts = Path(path), run_facts(command, LIBRARIES)
        self.rows = pd.read_csv(path).to_dict("records") if self.path.is_file() else []

    def has(self, *key):
        """Whether the file holds a row (study, descriptor, learner)."""
        return any((r["study"], r["descriptor"], r["learner"]) == key for r in self.rows)

    def add(self, **row):
        """Write one more row."""
        self.rows.append({**row, **self.facts})
        text = pd.DataFrame(self.rows).to_csv(
            index=False, float_format="%.4f", lineterminator="\n"
        )
        with atomic_write(self.path) as file:
            file.write(text.encode())
        print({k: round(v, 2) if isinstance(v, float) else v for k, v in row.items()}, flush=True)


def main(arguments=None):
    """Compute the leaderboard, or what the file does not hold yet."""
    parser = argparse.ArgumentParser(prog="python -m helpers.beyond", description=__doc__)
    parser.add_argument("--write", type=Path, required=True, metavar="CSV")
    options = parser.parse_args(arguments)
    board = Leaderboard(
        options.write, f"python -m helpers.beyond --write {options.write.as_posix()}"
    )
    study = load_two_phase("embedded")
    for name, make in descriptors(study).items():
        wanted = [k for k in LEARNERS if not board.has("case study 1", name, k)]
        if not wanted:
            continue
        start = time.perf_counter()
        blocks = make()
        train = holdout_rows(len(study.modulus))
        X = joined(blocks, train)
        scores = holdout_scores(X, min(MOST, X.shape[1]))
        seconds = time.perf_counter() - start
        for learner in wanted:
            r = score_learner(scores, study.modulus, learner)
            row = {"study": "case study 1", "descriptor": name, "learner": learner}
            row |= {"features": X.shape[1], "options": str(r.options), "val_mape": r.val_mape}
            row |= {"mape": r.mape, "r2": r.r2, "mae": r.mae, "coverage": r.coverage}
            board.add(**row, width=r.width, seconds=r.seconds, described_in=seconds)


def holdout_rows(n):
    """Rows of the training part of the paper's split."""
    return holdout_scores(np.arange(n, dtype=float)[:, None], 1).train


if __name__ == "__main__":
    sys.exit(main())
