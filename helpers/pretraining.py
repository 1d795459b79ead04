"""Pre-training of MicroViT, a small vision transformer, on procedural microstructures.

``python -m helpers.pretraining --objective both --minutes 60 --out _build/microvit`` trains it,
and goes on where an earlier run of the same command was interrupted. No label, no measured
image and no embedded data set enters.
"""

from __future__ import annotations

import argparse
import copy
import csv
import json
import math
import time
import types
from pathlib import Path

import numpy as np
import torch
from torch import nn

from helpers._files import atomic_write
from helpers._networks import hub_positions, quiet_transformers
from helpers.microstructures import sample_batch
from helpers.objectives import Prototypes, Statistics, cross_entropy, sinkhorn
from helpers.probes import probe_volumes, run_probes

OBJECTIVES = ("statistics", "distillation", "both")
PATCH = 7
SMALL, LARGE = (49, 49, 49, 56), (98, 119, 154, 189, 224)  # sides of images [pixels]
ARCHITECTURE = {
    "hidden_size": 192,
    "num_hidden_layers": 6,
    "num_attention_heads": 3,
    "image_size": 49,
    "patch_size": PATCH,
}
SAVE_SECONDS = 120.0
LONGEST_STEP = 10.0  # seconds; what lasts longer was a pause, and is not counted


class Trainer(nn.Module):
    """A student, its moving average (the teacher, which is what ships), and the heads.

    Parameters
    ----------
    objective : str
        ``"statistics"``: see `helpers.objectives.Statistics`. ``"distillation"``: two parts of
        one microstructure, mirrored and imaged by themselves, get one class token, and masked
        patches that of the whole image (DINO, arXiv:2104.14294; iBOT, arXiv:2111.07832).
        ``"both"``.
    seed : int
        Of weights and data.
    batch : int
        Images of 49 x 49 pixels a step; of larger ones as many as have as many tokens.
    architecture : dict
        Options of ``transformers.Dinov2Config``.
    """

    def __init__(self, objective, seed=0, batch=64, lr=1e-3, architecture=None, device="cpu"):
        from transformers import Dinov2Config, Dinov2Model

        super().__init__()
        if objective not in OBJECTIVES:
            raise ValueError(f"objective is {objective!r}: expected one of {OBJECTIVES}")
        self.objective, self.batch, self.lr, self.device = objective, batch, lr, device
        self.rng, self.steps, self.seconds, self.images = np.random.default_rng(seed), 0, 0.0, 0
        self.views = 1 if objective == "statistics" else 2
        with quiet_transformers(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.student = Dinov2Model(Dinov2Config(**{**ARCHITECTURE, **(architecture or {})}))
            embeddings = self.student.embeddings
            embeddings.interpolate_pos_encoding = types.MethodType(hub_positions, embeddings)
            width = self.student.config.hidden_size
            self.statistics = None if objective == "distillation" else Statistics(width)
            self.prototypes = None if objective == "statistics" else Prototypes(width)
        self.teacher = copy.deepcopy(self.student).requires_grad_(False)
        embeddings = self.teacher.embeddings
        embeddings.interpolate_pos_encoding = types.MethodType(hub_positions, embeddings)
        self.teacher_prototypes = copy.deepcopy(self.prototypes)
        if self.prototypes is not None:
            self.teacher_prototypes.requires_grad_(False)
        learned = [p for p in self.parameters() if p.requires_grad]
        groups = [
            {"params": [p for p in learned if p.ndim == 2], "weight_decay": 0.05},
            {"params": [p for p in learned if p.ndim != 2], "weight_decay": 0.0},
        ]
        self.to(device)
        self.optimizer = torch.optim.AdamW(groups, lr=lr, betas=(0.9, 0.98), fused=True)

    def step(self, progress):
        """One optimisation step; `progress` (0 to 1) sets learning rate and moving average."""
        rate = (
            self.lr * min(1.0, (self.steps + 1) / 100) * (0.5 + 0.5 * math.cos(math.pi * progress))
        )
        for group in self.optimizer.param_groups:
            group["lr"] = max(rate, 1e-6)
        sides = SMALL if self.rng.random() < 0.8 else LARGE
        shape = tuple(int(s) for s in self.rng.choice(sides, 2))
        tokens = shape[0] * shape[1] // PATCH**2
        n = max(2, round(self.batch / self.views * 50 / (tokens + 1)))
        data = sample_batch(self.rng, n, shape, views=self.views)
        losses = self._losses(data, tokens)
        self.optimizer.zero_grad()
        sum(losses.values()).backward()
        nn.utils.clip_grad_norm_(self.student.parameters(), 1.0)
        self.optimizer.step()
        self._follow(min(0.998, (1 + self.steps) / (10 + self.steps)))
        self.steps, self.images = self.steps + 1, self.images + len(data.images)
        return {name: loss.item() for name, loss in losses.items()}

    def _losses(self, data, tokens):
        pixels = torch.from_numpy(data.images).to(self.device)[:, None].expand(-1, 3, -1, -1)
        n, mask = len(pixels), None
        if self.views == 2:
            mask = torch.from_numpy(self.rng.random((n, tokens)) < 0.3)
            mask = (mask & torch.from_numpy(self.rng.random((n, 1)) < 0.5)).to(self.device)
        with torch.autocast(torch.device(self.device).type, torch.bfloat16):
            output = self.student(pixel_values=pixels, bool_masked_pos=mask).last_hidden_state
        losses = {}
        if self.statistics is not None:
            losses["statistics"] = self.statistics.loss(output[:, 0], data.phases, data.known)
        if self.views == 2:
            with torch.no_grad(), torch.autocast(torch.device(self.device).type, torch.bfloat16):
                target = self.teacher(pixel_values=pixels).last_hidden_state
            scores = [self.prototypes(t.float()) for t in (output[:, 0], output[:, 1:][mask])]
            target = [target[:, 0].roll(n // 2, 0), target[:, 1:][mask]]
            target = [sinkhorn(self.teacher_prototypes(t.float())) for t in target]
            weight = 1.0 if self.statistics is None else 0.1
            losses["class token"] = weight * cross_entropy(scores[0], target[0])
            losses["patches"] = weight * cross_entropy(scores[1], target[1])
        return losses

    @torch.no_grad()
    def _follow(self, momentum):
        pairs = [(self.teacher, self.student), (self.teacher_prototypes, self.prototypes)]
        for slow, fast in pairs:
            if fast is not None:
                torch._foreach_lerp_(
                    list(slow.parameters()), list(fast.parameters()), 1 - momentum
                )

    @torch.inference_mode()
    def encode(self, images):
        """Features (n, width) of images (n, h, w), cut to multiples of the patch."""
        h, w = (side - side % PATCH for side in images.shape[1:])
        images = torch.from_numpy(images[:, None, :h, :w]).expand(-1, 3, -1, -1)
        tokens = [
            self.teacher(pixel_values=part.to(self.device)).last_hidden_state[:, 0].cpu()
            for part in images.split(64)
        ]
        return torch.cat(tokens).numpy()

    def save(self, folder):
        """Write the teacher, in half precision, as a folder in Hugging Face format."""
        with quiet_transformers():
            copy.deepcopy(self.teacher).half().save_pretrained(folder)

    def checkpoint(self, path):
        """Write everything that `resume` needs, whole or not at all."""
        state = {
            "model": self.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "rng": json.dumps(self.rng.bit_generator.state),
            "counts": [self.steps, self.seconds, self.images],
        }
        with atomic_write(path) as file:
            torch.save(state, file)

    def resume(self, path):
        """Go on from a checkpoint."""
        state = torch.load(path, map_location=self.device, weights_only=True)
        self.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.rng.bit_generator.state = json.loads(state["rng"])
        self.steps, self.seconds, self.images = state["counts"]


class Log:
    """A CSV file that grows by rows; on resuming, rows of steps that are done again go."""

    def __init__(self, path, steps):
        self.path = Path(path)
        rows = []
        if self.path.is_file():
            with self.path.open(newline="", encoding="utf-8") as file:
                rows = [row for row in csv.DictReader(file) if int(row["step"]) <= steps]
        self.path.unlink(missing_ok=True)
        for row in rows:
            self.write(row)

    def write(self, row):
        """Append a dict; the first one names the columns."""
        new = not self.path.is_file()
        with self.path.open("a", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(row), lineterminator="\n")
            if new:
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
        See `helpers.probes.probe_volumes`; without them moduli are not probed.
    clock : callable
        Seconds. ``time.process_time`` compares objectives fairly on a busy machine.
    **options
        Of `Trainer`.

    Returns
    -------
    Trainer
    """
    if (minutes is None) == (steps is None):
        raise ValueError(f"minutes is {minutes}, steps is {steps}: expected one of the two")
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    trainer = Trainer(objective, **options)
    if (out / "checkpoint.pt").is_file():
        trainer.resume(out / "checkpoint.pt")
    logs = {name: Log(out / f"{name}.csv", trainer.steps) for name in ("losses", "probes")}

    def probe():
        result = run_probes(trainer.encode, *(volumes or ()))
        row = {"step": trainer.steps, "minutes": trainer.seconds / 60, "images": trainer.images}
        logs["probes"].write({**row, **result})
        print({**row, **result}, flush=True)

    if trainer.steps == 0:
        probe()
    saved, probed, recent = trainer.seconds, trainer.seconds, []
    while True:
        progress = trainer.steps / steps if steps else trainer.seconds / (60 * minutes)
        if progress >= 1:
            break
        start = clock()
        recent.append(trainer.step(progress))
        trainer.seconds += min(clock() - start, LONGEST_STEP)
        if trainer.steps % log_steps == 0:
            mean = {k: float(np.mean([r[k] for r in recent])) for k in recent[0]}
            row = {"step": trainer.steps, "seconds": trainer.seconds, "images": trainer.images}
            logs["losses"].write({**row, **mean})
            recent = []
        if trainer.seconds - saved > SAVE_SECONDS:
            saved = trainer.seconds
            trainer.checkpoint(out / "checkpoint.pt")
        if trainer.seconds - probed > 60 * probe_minutes:
            probed = trainer.seconds
            probe()
    probe()
    trainer.checkpoint(out / "checkpoint.pt")
    trainer.save(out / "model")
    return trainer


def main(arguments=None):
    """Train MicroViT; stop it, kill it and start it again at will."""
    parser = argparse.ArgumentParser(
        prog="python -m helpers.pretraining", description=main.__doc__
    )
    parser.add_argument("--objective", choices=OBJECTIVES, default="statistics")
    parser.add_argument("--out", type=Path, default=Path("_build") / "microvit")
    parser.add_argument("--minutes", type=float)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--width", type=int, default=192)
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--probe-minutes", type=float, default=10.0)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    given = parser.parse_args(arguments)
    if given.threads:
        torch.set_num_threads(given.threads)
    architecture = {
        "hidden_size": given.width,
        "num_hidden_layers": given.layers,
        "num_attention_heads": given.width // 64,
    }
    train(
        given.out,
        given.objective,
        minutes=given.minutes,
        steps=given.steps,
        probe_minutes=given.probe_minutes,
        volumes=probe_volumes(),
        seed=given.seed,
        batch=given.batch,
        lr=given.lr,
        architecture=architecture,
        device=given.device,
    )


if __name__ == "__main__":
    main()
