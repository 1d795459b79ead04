"""Pre-training of MicroViT, a small vision transformer, on procedural microstructures.

``python -m helpers.microvit.pretraining --minutes 70 --out _build/microvit`` trains it, and goes
on where an earlier run of the same command was interrupted. It is supervised learning on synthetic
labels: the targets are counted in the phases that the generator drew. No label of a person, no
property, no measured image and no embedded data set enters the loss. The probes that the log
records do hold moduli, of volumes like those of case study 1; the objective was chosen by them.
``--ship _build/microvit`` puts the one that such a run has trained in the place of the one that
ships with the book, and its log into ``data/results``.
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
from helpers.encoders import ENCODERS
from helpers.features import LIBRARIES
from helpers.io.atomic import atomic_write, write_table
from helpers.io.results import Computation
from helpers.microvit.probes import run_probes
from helpers.microvit.trainer import Trainer
from helpers.vit import weights
from helpers.vit.checkpoints import read_model

SAVE_SECONDS, PROBE_SECONDS = 120.0, 600.0  # of training, between checkpoints and probes
LONGEST_STEP = 10.0  # seconds; what lasts longer was a pause, and is not counted
LOG_STEPS = 50  # whose mean loss is a row of the log


def train(out, *, minutes=None, steps=None, **options):
    """Train, or go on training, until a budget of time or of steps is spent; gives the `Trainer`.

    Parameters
    ----------
    out : path-like
        Folder: ``checkpoint.pt`` (every two minutes), ``log.csv`` with losses and probes, and at
        the end the model in ``model``. A checkpoint in it is resumed.
    minutes, steps : float, int or None
        The budget, one of the two. Time counts while training; pauses and probes do not.
    **options
        Of `Trainer`.
    """
    budget = minutes if steps is None else steps
    if (minutes is None) == (steps is None) or not 0 < budget < math.inf:
        raise UserError(
            f"minutes is {minutes}, steps is {steps}: expected one of the two, and more than 0"
        )
    out = Path(out)
    trainer = Trainer(**options)
    if (out / "checkpoint.pt").is_file():
        trainer.resume(out / "checkpoint.pt")
    if not trainer.log:
        _probe(trainer, out)
    saved, recent = trainer.seconds, []
    while True:
        progress = trainer.steps / steps if minutes is None else trainer.seconds / (60 * minutes)
        if progress >= 1:
            break
        start, before = time.perf_counter(), trainer.seconds
        recent.append(trainer.step(progress))
        trainer.seconds += min(time.perf_counter() - start, LONGEST_STEP)
        if trainer.steps % LOG_STEPS == 0:
            _log(trainer, out, {"loss": float(np.mean(recent))})
            recent = []
        if not recent and trainer.seconds - saved > SAVE_SECONDS:  # no row of the log half done
            saved = trainer.seconds
            trainer.checkpoint(out / "checkpoint.pt")
        if trainer.seconds // PROBE_SECONDS > before // PROBE_SECONDS:
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


def ship(out):
    """Put a model, as `train` leaves it in a folder, in the place of the one that ships.

    With a manifest, and the log among the results; ValueError where it has another architecture.
    """
    model, entry = Path(out, "model"), ENCODERS["microvit"]
    read_model(model, entry)
    folder, files = weights.SHIPPED / entry.shipped, {}
    for name in weights.SHIPPED_FILES:
        content = (model / name).read_bytes()
        files[name] = f"sha256:{hashlib.sha256(content).hexdigest()}"
        with atomic_write(folder / name) as file:
            file.write(content)
    weights.write_manifest(folder, source="helpers.microvit.pretraining", files=files)
    log = pd.read_csv(Path(out, "log.csv")).melt(["step", "minutes", "images"], var_name="curve")
    inputs, options = ("encoders/microvit",), f"--minutes {max(1, round(log['minutes'].max()))}"
    with Computation(__file__, inputs, LIBRARIES, options=options, alone=True) as run:
        run.before = 60 * log["minutes"].max()
        run.write(log.dropna())


def main(arguments=None):
    """Train MicroViT; stop it, kill it and start it again at will.

    On a CPU that others use as well, set OMP_WAIT_POLICY=PASSIVE: threads that wait then sleep.
    """
    parser = argparse.ArgumentParser(
        prog="python -m helpers.microvit.pretraining", description=main.__doc__
    )
    parser.add_argument("--out", type=Path, default=Path("_build") / "microvit")
    parser.add_argument("--minutes", type=float)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--ship", metavar="FOLDER", help="a finished --out, to ship its model")
    options = parser.parse_args(arguments)
    if options.ship:
        ship(options.ship)
        print("shipped; describe it in data/microvit/README.md, and measure it again with")
        print("make results")
        return
    torch.set_num_threads(options.threads)
    budget = {"minutes": options.minutes, "steps": options.steps}
    device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        train(options.out, **budget, seed=options.seed, device=device)
    except UserError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
