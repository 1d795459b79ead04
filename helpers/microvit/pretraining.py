"""Pre-training of MicroViT, a small vision transformer, on procedural microstructures.

``python -m helpers.microvit.pretraining --objective both --minutes 60 --out _build/microvit``
trains it, and goes on where an earlier run of the same command was interrupted. No label, no
measured image and no embedded data set enters. ``--ship _build/microvit/model`` puts a newly
trained one in the place of the one that ships with the book.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import math
import time
from pathlib import Path

import numpy as np
import torch

from helpers import UserError
from helpers.encoders import ENCODERS, check_architecture
from helpers.io.atomic import atomic_write
from helpers.microvit.probes import probe_volumes, run_probes
from helpers.microvit.trainer import OBJECTIVES, Trainer
from helpers.two_point import two_point_statistics
from helpers.vit import weights
from helpers.vit.networks import read_model

SAVE_SECONDS = 120.0
LONGEST_STEP = 10.0  # seconds; what lasts longer was a pause, and is not counted


class Log:
    """A CSV file that grows by rows.

    Parameters
    ----------
    path : path-like
    steps : int
        What an earlier run wrote of later steps goes, since they are done again.

    Attributes
    ----------
    last : int
        Step of the last row, -1 where there is none.
    """

    def __init__(self, path, steps):
        self.path, self.last = Path(path), -1
        if self.path.is_file():
            lines = self.path.read_text(encoding="utf-8").splitlines(keepends=True)
            whole = [line for line in lines if line.endswith("\n")]  # no row cut short by a kill
            rows = [line for line in whole[1:] if int(line.split(",")[0]) <= steps]
            with atomic_write(self.path) as file:
                file.write("".join(whole[:1] + rows if rows else []).encode())
            if rows:
                self.last = int(rows[-1].split(",")[0])

    def write(self, row):
        """Append a dict, ``step`` first; the first one names the columns."""
        self.last = row["step"]
        with self.path.open("a", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(row), lineterminator="\n")
            if file.tell() == 0:
                writer.writeheader()
            writer.writerow({k: f"{v:.5g}" if isinstance(v, float) else v for k, v in row.items()})


def train(
    out,
    objective,
    *,
    minutes=None,
    steps=None,
    probe_minutes=10.0,
    log_steps=25,
    volumes=None,
    clock=time.perf_counter,
    **options,
):
    """Train, or go on training, until a budget of time or of steps is spent.

    Parameters
    ----------
    out : path-like
        Folder: ``checkpoint.pt`` (every two minutes), ``losses.csv``, ``probes.csv``, and at the
        end the model in ``model``. A checkpoint in it is resumed.
    objective : str
        See `Trainer`.
    minutes, steps : float, int or None
        The budget, one of the two. Time counts while training; pauses and probes do not.
    probe_minutes : float
        Of training between probes.
    log_steps : int
        Steps averaged in a row of ``losses.csv``.
    volumes : tuple or None
        See `helpers.microvit.probes.probe_volumes`; without them moduli are not probed.
    clock : callable
        Seconds. ``time.process_time`` compares objectives fairly on a busy machine.
    **options
        Of `Trainer`.

    Returns
    -------
    Trainer
    """
    if (minutes is None) == (steps is None):
        raise UserError(f"minutes is {minutes}, steps is {steps}: expected one of the two")
    if not 0 < (minutes if steps is None else steps) < math.inf:
        raise UserError(f"minutes is {minutes}, steps is {steps}: expected more than 0")
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    trainer = Trainer(objective, **options)
    done = -1
    if (out / "checkpoint.pt").is_file():
        trainer.resume(out / "checkpoint.pt")
        done = trainer.steps
    logs = {name: Log(out / f"{name}.csv", done) for name in ("losses", "probes")}

    def probe():
        result = run_probes(trainer.encode, *(volumes or ()))
        row = {"step": trainer.steps, "minutes": trainer.seconds / 60, "images": trainer.images}
        logs["probes"].write({**row, **result})
        print({**row, **result}, flush=True)

    if done < 0:
        probe()
    saved, recent = trainer.seconds, []
    while True:
        progress = trainer.steps / steps if steps is not None else trainer.seconds / (60 * minutes)
        if progress >= 1:
            break
        start, before = clock(), trainer.seconds
        recent.append(trainer.step(progress))
        trainer.seconds += min(clock() - start, LONGEST_STEP)
        if trainer.steps % log_steps == 0:
            mean = {k: float(np.mean([r[k] for r in recent])) for k in recent[0]}
            row = {"step": trainer.steps, "seconds": trainer.seconds, "images": trainer.images}
            logs["losses"].write({**row, **mean})
            recent = []
        if not recent and trainer.seconds - saved > SAVE_SECONDS:  # no row of the log half done
            saved = trainer.seconds
            trainer.checkpoint(out / "checkpoint.pt")
        if trainer.seconds // (60 * probe_minutes) > before // (60 * probe_minutes):
            probe()
    if logs["probes"].last < trainer.steps:
        probe()
    trainer.save(out / "model")  # before the checkpoint: after it, nothing would do it again
    trainer.checkpoint(out / "checkpoint.pt")
    return trainer


def compare(out, table, *, minutes, objectives=OBJECTIVES, volumes=None, **options):
    """Train with each objective for equal time, and write their probes into one table.

    Parameters
    ----------
    out : path-like
        Folder of the runs, one each; finished ones are not done again.
    table : path-like
        CSV: a row for two-point statistics, one for random weights, one for each objective.
    minutes : float
        Of processor time each, which other processes do not distort.
    volumes, **options
        As in `train`.
    """
    out, none = Path(out), {"minutes": 0.0, "images": 0}
    Path(table).parent.mkdir(parents=True, exist_ok=True)
    rows = [
        {"features": "two-point statistics", **none, **run_probes(two_point, *(volumes or ()))}
    ]
    for objective in objectives:
        options |= {"volumes": volumes, "clock": time.process_time, "probe_minutes": math.inf}
        train(out / objective, objective, minutes=minutes, **options)
        with (out / objective / "probes.csv").open(newline="", encoding="utf-8") as file:
            probes = list(csv.DictReader(file))
        if len(rows) == 1:
            rows.append({"features": "random weights", **probes[0]})
        rows.append({"features": objective, **probes[-1]})
    Path(table).unlink(missing_ok=True)
    log = Log(table, 0)
    for row in rows:
        log.write({k: v for k, v in row.items() if k != "step"})


def two_point(images):
    """Autocorrelations of images (n, h, w), as features to compare with; grey is local state."""
    return two_point_statistics(images, dtype=np.float32).reshape(len(images), -1)


def ship(model, entry):
    """Put a model into the folder of the book that `entry` names, with a manifest.

    Parameters
    ----------
    model : path-like
        Folder in Hugging Face format, as `train` leaves it in ``model``.
    entry : helpers.encoders.EncoderEntry
        One with ``shipped``.

    Raises
    ------
    ValueError
        Not a model of the architecture that `entry` states.
    OSError
        A file is missing or cannot be written.
    """
    check_architecture(entry, read_model(Path(model), entry), model)
    files = {}
    for name in weights.SHIPPED_FILES:
        content = (Path(model) / name).read_bytes()
        files[name] = f"sha256:{hashlib.sha256(content).hexdigest()}"
        with atomic_write(weights.SHIPPED / entry.shipped / name) as file:
            file.write(content)
    weights.write_manifest(
        weights.SHIPPED / entry.shipped, source="helpers.microvit.pretraining", files=files
    )


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
    parser.add_argument("--threads", type=int)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--emphasis", type=float, default=3.0)
    parser.add_argument("--width", type=int, default=192)
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--probe-minutes", type=float, default=10.0)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--ship", metavar="FOLDER", help="a trained model to ship with the book")
    given = parser.parse_args(arguments)
    if given.ship:
        ship(given.ship, ENCODERS["microvit"])
        print("shipped; describe it in data/microvit/README.md, and measure it again with")
        print("python -m helpers.microvit.evaluation --write data/results_microvit.csv")
        return
    if given.compare and (given.minutes is None or given.steps is not None):
        parser.error("--compare takes --minutes, for each objective, and no --steps")
    budget = [value for value in (given.minutes, given.steps) if value is not None]
    if len(budget) != 1 or not 0 < budget[0] < math.inf:
        parser.error("expected one of --minutes and --steps, more than 0")
    if given.width < 64 or given.width % 64:
        parser.error(f"--width is {given.width}: expected a multiple of 64")
    if given.device.startswith("cuda") and not torch.cuda.is_available():
        parser.error(f"--device is {given.device}, but PyTorch finds no GPU: use --device cpu")
    if given.threads:
        torch.set_num_threads(given.threads)
    sizes = {"hidden_size": given.width, "num_hidden_layers": given.layers}
    options = {name: getattr(given, name) for name in ("seed", "batch", "lr", "emphasis")}
    options |= {"device": given.device, "volumes": probe_volumes()}
    options["architecture"] = {**sizes, "num_attention_heads": given.width // 64}
    if given.compare:
        return compare(given.out, given.compare, minutes=given.minutes, **options)
    budget = {"minutes": given.minutes, "steps": given.steps}
    train(given.out, given.objective, probe_minutes=given.probe_minutes, **budget, **options)


if __name__ == "__main__":
    main()
