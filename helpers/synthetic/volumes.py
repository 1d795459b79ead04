"""Synthetic two-phase volumes, and the embedded data set of case study 1 made from them.

``python -m helpers.synthetic.volumes`` (or ``make data``) writes ``data/two_phase.npz``. It goes
on where it was interrupted: the moduli of finished volumes wait in ``_build/two_phase``.
"""

from __future__ import annotations

import argparse
import contextlib
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
import scipy.fft
import torch

from helpers import UserError
from helpers.datasets import save_two_phase
from helpers.io.atomic import atomic_write
from helpers.io.downloads import ROOT
from helpers.io.progress import progress_bar
from helpers.io.provenance import code_digest
from helpers.synthetic.homogenization import confined_modulus, youngs_modulus
from helpers.vit.store import StoredFeatures

SEED = 121217  # the article number of the paper
N_SAMPLES = 5900
SHARDS = ROOT / "_build" / "two_phase"  # where finished moduli are kept
VOLUMES_A_SHARD = 100
# Wide filters make the first component of the autocorrelations carry about as much of the
# variance as in the paper (Fig. 5b: 75 %); with 0.6 to 4.8 voxels it would carry 98 %.
FILTER_WIDTHS = (5.0, 30.0)
VOLUME_FRACTIONS = (0.01, 0.99)


class TwoPhaseVolume(NamedTuple):
    """One synthetic volume and what it was drawn with."""

    volume: np.ndarray
    volume_fraction: float
    filter_widths: np.ndarray


def two_phase_volume(
    seed, index, *, size=51, filter_widths=FILTER_WIDTHS, volume_fractions=VOLUME_FRACTIONS
):
    """Periodic two-phase volume: filtered noise, thresholded to an exact volume fraction.

    Parameters
    ----------
    seed, index : int
        Together they fix the volume, whatever else was generated before.
    size : int
        Voxels a side, at least 2.
    filter_widths : pair of float
        Range of the Gaussian filters' standard deviations [voxels]; each axis draws its own,
        log-uniformly.
    volume_fractions : pair of float
        Range of the stiff phase's volume fraction, drawn uniformly.

    Returns
    -------
    TwoPhaseVolume
        ``volume`` (size, size, size) uint8, 1 the stiff phase; ``volume_fraction``, the
        share of ones after rounding to whole voxels, at least one voxel of each phase;
        ``filter_widths`` (3,) [voxels].

    Raises
    ------
    ValueError
        A size below 2, or a range that is not ordered or leaves its limits.

    Notes
    -----
    Volumes of this kind are those of Cecen et al. (2018), doi:10.1016/j.actamat.2017.11.053.

    Examples
    --------
    >>> sample = two_phase_volume(seed=0, index=7, size=16)
    >>> sample.volume.shape, bool(sample.volume.mean() == sample.volume_fraction)
    ((16, 16, 16), True)
    """
    low, high = volume_fractions
    if size < 2:
        raise UserError(f"size is {size}: expected at least 2 voxels a side")
    if not 0 < filter_widths[0] <= filter_widths[1]:
        raise UserError(f"filter_widths are {filter_widths}: expected 0 < low <= high, in voxels")
    if not 0 <= low <= high <= 1:
        raise UserError(f"volume_fractions are {volume_fractions}: expected 0 <= low <= high <= 1")
    rng = np.random.default_rng([seed, index])
    widths = np.exp(rng.uniform(*np.log(filter_widths), size=3))
    stiff = np.clip(round(rng.uniform(low, high) * size**3), 1, size**3 - 1)
    spectrum = scipy.fft.rfftn(rng.standard_normal((size, size, size)))
    for axis, width in enumerate(widths):
        wave = scipy.fft.rfftfreq(size) if axis == 2 else scipy.fft.fftfreq(size)
        damping = np.exp(-2 * (np.pi * wave * width) ** 2)
        spectrum *= np.expand_dims(damping, [i for i in range(3) if i != axis])
    field = scipy.fft.irfftn(spectrum, (size, size, size))
    volume = np.zeros(size**3, dtype=np.uint8)
    volume[np.argpartition(field.ravel(), -stiff)[-stiff:]] = 1
    return TwoPhaseVolume(volume.reshape(field.shape), float(stiff / size**3), widths)


def sections_of(volume):
    """The three index-0 sections of a cubic volume, one normal to each axis: (3, n, n)."""
    return np.stack([volume[0], volume[:, 0], volume[:, :, 0]])


def solve_volumes(seed, n, moduli, *, jobs=None, shards=SHARDS):
    """Moduli (n, k) [GPa] of the first `n` volumes of a seed; `moduli` are k functions of volumes.

    What is in the folder `shards` already is not computed again.
    """
    key = {"seed": seed, "moduli": [modulus.__name__ for modulus in moduli]}
    store = StoredFeatures(shards, "moduli", key | {"code": code_digest(__file__)})
    values = np.full((n, len(moduli)), np.nan)
    for rows, kept in store.begin():
        values[rows[rows < n]] = kept[rows < n]
    waiting = np.flatnonzero(np.isnan(values[:, 0]))

    def solve(index):
        volume = two_phase_volume(seed, index).volume[None]
        return [modulus(volume)[0] for modulus in moduli]

    done = n - len(waiting)
    with progress_bar("moduli", "volume", n, done=done) as bar, _threads(jobs) as pool:
        for start in range(0, len(waiting), VOLUMES_A_SHARD):
            rows = waiting[start : start + VOLUMES_A_SHARD]
            values[rows] = list(pool.map(solve, rows))
            store.write_shard(rows, values[rows])
            bar.update(len(rows))
    return values


@contextlib.contextmanager
def _threads(jobs):
    """Threads, or one for every core: nearly all of the work is done outside of Python."""
    before = torch.get_num_threads()
    try:
        one_each = {"initializer": torch.set_num_threads, "initargs": (1,)}
        with ThreadPoolExecutor(jobs or os.cpu_count(), **one_each) as pool:
            yield pool
    finally:
        torch.set_num_threads(before)  # PyTorch takes the number of one thread for all later ones


def make_two_phase(path, n_samples=N_SAMPLES, *, jobs=None, shards=SHARDS):
    """Make the embedded data set, the ``.npz`` at `path`; go on where it was interrupted."""
    if n_samples < 1 or (jobs is not None and jobs < 1):
        raise UserError(f"n_samples is {n_samples}, jobs is {jobs}: expected at least 1 of each")
    with atomic_write(Path(path).with_name(".can-be-written")):
        pass  # a folder that cannot be written is told now, not when all is computed
    Path(path).with_name(".can-be-written").unlink()
    solvers = (youngs_modulus, confined_modulus)
    moduli = solve_volumes(SEED, n_samples, solvers, jobs=jobs, shards=shards)
    with _threads(jobs) as pool:
        sections, fractions, widths = zip(*pool.map(_describe, range(n_samples)), strict=True)
    arrays = {
        "sections": np.stack(sections),
        "modulus": moduli[:, 0],
        "confined_modulus": moduli[:, 1],
        "volume_fraction": np.array(fractions),
        "filter_widths": np.stack(widths),
    }
    save_two_phase(path, arrays, seed=SEED)


def _describe(index):
    volume, fraction, widths = two_phase_volume(SEED, index)
    return sections_of(volume), fraction, widths


def main(arguments=None):
    """Make the embedded data set of case study 1; interrupt it and run it again at will."""
    parser = argparse.ArgumentParser(
        prog="python -m helpers.synthetic.volumes", description=main.__doc__
    )
    parser.add_argument("--out", type=Path, default=ROOT / "data" / "two_phase.npz")
    parser.add_argument("--n-samples", type=int, default=N_SAMPLES)
    parser.add_argument("--jobs", type=int, help="threads; default: one for every core")
    parser.add_argument("--shards", type=Path, default=SHARDS, help="folder of finished moduli")
    options = parser.parse_args(arguments)
    make_two_phase(options.out, options.n_samples, jobs=options.jobs, shards=options.shards)
    print(f"wrote {options.out} ({options.out.stat().st_size / 1e6:.1f} MB)")


if __name__ == "__main__":
    main()
