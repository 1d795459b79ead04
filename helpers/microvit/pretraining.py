"""Pre-training of MicroViT, a small vision transformer, on procedural microstructures.

``python -m helpers.microvit.pretraining --minutes 70 --out _build/microvit`` trains it, and goes
on where an earlier run of the same command was interrupted. No label, no measured image and no
embedded data set enters. ``--ship _build/microvit/model`` puts a newly trained one in the place
of the one that ships with the book. Options for another size, learning rate or weight of the
statistics, of which the shipped network needs none, are in commit f9f423c.
"""

from __future__ import annotations

import argparse
import hashlib
import math
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from helpers import UserError
from helpers.encoders import ENCODERS, check_architecture
from helpers.io.atomic import atomic_write, write_table
from helpers.microvit.measures import describers
from helpers.microvit.probes import run_probes
from helpers.microvit.trainer import OBJECTIVES, Trainer
from helpers.superalloy_scores import TWO_POINT
from helpers.vit import weights
from helpers.vit.networks import read_model

SAVE_SECONDS = 120.0
LONGEST_STEP = 10.0  # seconds; what lasts longer was a pause, and is not counted
LOG_STEPS = 50  # whose mean loss is a row of the log


def train(
    out, objective, *, minutes=None, steps=None, probe_minutes=10, clock=time.perf_counter, **rest
):
    """Train, or go on training, until a budget of time or of steps is spent; gives the `Trainer`.

    Parameters
    ----------
    out : path-like
        Folder: ``checkpoint.pt`` (every two minutes), ``log.csv`` with losses and probes, and at
        the end the model in ``model``. A checkpoint in it is resumed.
    objective : str
        See `Trainer`.
    minutes, steps : float, int or None
        The budget, one of the two. Time counts while training; pauses and probes do not.
    probe_minutes : float
        Of training between probes.
    clock : callable
        Seconds. ``time.process_time`` compares objectives fairly on a busy machine.
    **rest
        Options of `Trainer`.
    """
    if (minutes is None) == (steps is None):
        raise UserError(f"minutes is {minutes}, steps is {steps}: expected one of the two")
    if not 0 < (minutes if steps is None else steps) < math.inf:
        raise UserError(f"minutes is {minutes}, steps is {steps}: expected more than 0")
    out = Path(out)
    trainer = Trainer(objective, **rest)
    if (out / "checkpoint.pt").is_file():
        trainer.resume(out / "checkpoint.pt")
    if not trainer.log:
        _probe(trainer, out)
    saved, recent = trainer.seconds, []
    while True:
        progress = trainer.steps / steps if minutes is None else trainer.seconds / (60 * minutes)
        if progress >= 1:
            break
        start, before = clock(), trainer.seconds
        recent.append(sum(trainer.step(progress).values()))
        trainer.seconds += min(clock() - start, LONGEST_STEP)
        if trainer.steps % LOG_STEPS == 0:
            _log(trainer, out, {"loss": float(np.mean(recent))})
            recent = []
        if not recent and trainer.seconds - saved > SAVE_SECONDS:  # no row of the log half done
            saved = trainer.seconds
            trainer.checkpoint(out / "checkpoint.pt")
        if trainer.seconds // (60 * probe_minutes) > before // (60 * probe_minutes):
            _probe(trainer, out)
    if "loss" in trainer.log[-1] or trainer.log[-1]["step"] < trainer.steps:
        _probe(trainer, out)
    trainer.save(out / "model")  # before the checkpoint: after it, nothing would do it again
    trainer.checkpoint(out / "checkpoint.pt")
    return trainer


def _probe(trainer, out):
    """Probe the features as they are now."""
    _log(trainer, out, run_probes(trainer.encode))
    print(trainer.log[-1], flush=True)


def _log(trainer, out, row):
    """One more row of the log; a checkpoint keeps all, so the file never holds more than those."""
    facts = {"step": trainer.steps, "minutes": trainer.seconds / 60, "images": trainer.images}
    trainer.log.append(facts | row)
    write_table(pd.DataFrame(trainer.log), out / "log.csv")


def compare(out, table, **options):
    """Train with each objective for as long, and write their probes into one table.

    Each run has a folder in `out`, and a finished one is not done again; `options` are those of
    `train`. Minutes are those of the processor, which other processes do not distort.
    """
    options |= {"clock": time.process_time, "probe_minutes": math.inf}
    logs = {o: train(Path(out) / o, o, **options).log for o in OBJECTIVES}
    untrained = logs["statistics"][0]
    rows = {
        TWO_POINT: untrained | run_probes(describers({})[TWO_POINT]),
        "random weights": untrained,
        **{objective: log[-1] for objective, log in logs.items()},
    }
    rows = pd.DataFrame(rows.values(), index=rows).drop(columns="step")
    write_table(rows.rename_axis("features").reset_index(), table)


def ship(model, entry):
    """Put a model, as `train` leaves it, into the folder of the book that `entry` names.

    With a manifest; ValueError where it has another architecture than `entry` states.
    """
    check_architecture(entry, read_model(Path(model), entry), model)
    folder, files = weights.SHIPPED / entry.shipped, {}
    for name in weights.SHIPPED_FILES:
        content = (Path(model) / name).read_bytes()
        files[name] = f"sha256:{hashlib.sha256(content).hexdigest()}"
        with atomic_write(folder / name) as file:
            file.write(content)
    weights.write_manifest(folder, source="helpers.microvit.pretraining", files=files)


def main(arguments=None):
    """Train MicroViT; stop it, kill it and start it again at will.

    On a CPU that others use as well, set OMP_WAIT_POLICY=PASSIVE: threads that wait then sleep.
    """
    parser = argparse.ArgumentParser(
        prog="python -m helpers.microvit.pretraining", description=main.__doc__
    )
    parser.add_argument("--objective", choices=OBJECTIVES, default="statistics")
    parser.add_argument("--compare", type=Path, help="compare all objectives, into this CSV")
    parser.add_argument("--out", type=Path, default=Path("_build") / "microvit")
    parser.add_argument("--minutes", type=float)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--ship", metavar="FOLDER", help="a trained model to ship with the book")
    given = parser.parse_args(arguments)
    if given.ship:
        ship(given.ship, ENCODERS["microvit"])
        print("shipped; describe it in data/microvit/README.md, and measure it again with")
        print("python -m helpers.microvit.evaluation --write data/results_microvit.csv")
        return
    torch.set_num_threads(given.threads)
    options = {name: getattr(given, name) for name in ("minutes", "steps", "seed")}
    options["device"] = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        if given.compare:
            compare(given.out, given.compare, **options)
        else:
            train(given.out, given.objective, **options)
    except UserError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
