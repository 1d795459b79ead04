"""One step of the pre-training of MicroViT: student, teacher, head, optimiser, data.

Other objectives were tried: self-distillation, and both together. They learned less in the same
time, and this one had the lowest error of the modulus of probe volumes
(``data/results/microvit/pretraining_objectives.csv``). Their code is in commit f9f423c, with
options for another size or weight of the statistics.
"""

from __future__ import annotations

import copy
import functools
import json
import math

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from helpers import UserError
from helpers.encoders import ENCODERS
from helpers.io.atomic import atomic_write
from helpers.microvit.statistics import image_statistics, statistic_names
from helpers.microvit.training_images import sample_batch
from helpers.vit.networks import compute_class_token_only, quiet_transformers, use_hub_positions

ENTRY = ENCODERS["microvit"]
SMALL, LARGE = (49, 49, 49, 56), (98, 119, 154, 189, 224)  # sides [pixels], as often as they stand
EMPHASIS = 3.0  # weight of the standard deviation of some statistics; that of others is 1


class Statistics(nn.Module):
    """Head that predicts the statistics of the phases from the class token.

    Statistics are standardised; conductivities, in which the others come together, and chord
    lengths, in which phases and directions differ most, count more. The head is linear, so that
    what it needs lies open to other linear models. Where an image does not tell which phase is
    which, it is asked for what does not depend on it.
    """

    def __init__(self, width):
        super().__init__()
        names, shared = statistic_names()
        mean, spread = _moments()
        more = [any(word in name for word in ("conductivity", "chord")) for name in names]
        self.register_buffer("mean", mean.clone())
        self.register_buffer("scale", spread + 1e-4)
        self.register_buffer("weight", torch.where(torch.tensor(more), EMPHASIS, 1.0))
        self.register_buffer("shared", torch.from_numpy(shared))
        self.predict = nn.Linear(width, len(names))

    def loss(self, token, phases, known):
        """Half the mean squared error (Huber's beyond one) of tokens (n, width) of `phases`."""
        values = torch.from_numpy(image_statistics(phases)).to(token.device)
        target = ((values - self.mean) / self.scale).clamp(-6, 6) * self.weight
        error = F.smooth_l1_loss(self.predict(token.float()), target, reduction="none")
        asked = self.shared | torch.from_numpy(known).to(token.device)[:, None]
        return (error * asked).sum() / asked.sum()


@functools.cache
def _moments():
    """Mean and standard deviation of each statistic over 2000 images of 49 x 49 pixels."""
    values = image_statistics(sample_batch(np.random.default_rng(1), 2000).phases)
    return torch.from_numpy(values.mean(0)), torch.from_numpy(values.std(0))


class Trainer(nn.Module):
    """A student, its moving average (the teacher, which is what ships), and its `Statistics`.

    Parameters
    ----------
    seed : int
        Of weights and data.
    batch : int
        Images of 49 x 49 pixels a step; of larger ones as many as have as many tokens.
    lr : float
        Learning rate: rises over 100 steps, times half a cosine over the run; at least 1e-6.
    architecture : dict, optional
        Options of ``transformers.Dinov2Config`` in the place of those of MicroViT.
    device : str

    Attributes
    ----------
    steps, images : int
        How many there were.
    seconds : float
        Of training, as `helpers.microvit.pretraining.train` counts them.
    log : list of dict
        Rows of losses and of probes, as `helpers.microvit.pretraining.train` adds them.
    """

    def __init__(self, seed=0, batch=64, lr=1e-3, architecture=None, device="cpu"):
        from transformers import AutoConfig, AutoModel

        super().__init__()
        architecture = {**ENTRY.config, **(architecture or {})}
        self.options = {"seed": seed, "batch": batch, "lr": lr, "architecture": architecture}
        self.batch, self.lr, self.device = batch, lr, device
        self.rng, self.steps, self.seconds, self.images = np.random.default_rng(seed), 0, 0.0, 0
        self.log = []
        with quiet_transformers(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.student = AutoModel.from_config(AutoConfig.for_model(**architecture))
            self.statistics = Statistics(self.student.config.hidden_size)
        self.teacher = copy.deepcopy(self.student).requires_grad_(False)
        for network in (self.student, self.teacher):
            use_hub_positions(network)
            compute_class_token_only(network)
        groups = decay_groups(self, lambda p: p.ndim == 2)
        self.to(device)
        self.optimizer = torch.optim.AdamW(groups, lr=lr, betas=(0.9, 0.98), fused=True)

    def step(self, progress):
        """One optimisation step; `progress` (0 to 1) sets the learning rate. Gives the loss."""
        warm_up = min(1.0, (self.steps + 1) / 100)
        cosine = 0.5 + 0.5 * math.cos(math.pi * progress)
        for group in self.optimizer.param_groups:
            group["lr"] = max(self.lr * warm_up * cosine, 1e-6)
        sides = SMALL if self.rng.random() < 0.8 else LARGE
        shape = tuple(int(s) for s in self.rng.choice(sides, 2))
        tokens = shape[0] * shape[1] // ENTRY.patch**2  # 49 of the smallest, and the class token
        data = sample_batch(self.rng, max(2, round(self.batch * 50 / (tokens + 1))), shape)
        loss = self._loss(data)
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.student.parameters(), 1.0)
        self.optimizer.step()
        follow(self.teacher, self.student, min(0.998, (1 + self.steps) / (10 + self.steps)))
        self.steps, self.images = self.steps + 1, self.images + len(data.images)
        return loss.item()

    def _loss(self, data):
        pixels = torch.from_numpy(data.images).to(self.device)[:, None].expand(-1, 3, -1, -1)
        with torch.autocast(torch.device(self.device).type, torch.bfloat16):
            token = self.student(pixel_values=pixels).last_hidden_state[:, 0]
        return self.statistics.loss(token, data.phases, data.known)

    @torch.inference_mode()
    def encode(self, images):
        """Features (n, width) of images (n, h, w), cut to multiples of the patch."""
        h, w = (side - side % ENTRY.patch for side in images.shape[1:])
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
        facts = [self.steps, self.seconds, self.images, self.log]
        facts.append(json.dumps(self.rng.bit_generator.state))
        save_checkpoint(path, self, self.optimizer, self.options, facts)

    def resume(self, path):
        """Go on from a checkpoint; ValueError where it is of a run with other options."""
        facts = load_checkpoint(path, self, self.optimizer, self.options)
        self.steps, self.seconds, self.images, self.log, rng = facts
        self.rng.bit_generator.state = json.loads(rng)


def decay_groups(network, decays):
    """What a network learns, for the optimizer: weights for which `decays` holds, and others."""
    learned = [p for p in network.parameters() if p.requires_grad]
    return [
        {"params": [p for p in learned if decays(p)], "weight_decay": 0.05},
        {"params": [p for p in learned if not decays(p)], "weight_decay": 0.0},
    ]


@torch.no_grad()
def follow(slow, fast, momentum):
    """Move the weights of a network towards those of another."""
    for average, latest in zip(slow.parameters(), fast.parameters(), strict=True):
        average.lerp_(latest, 1 - momentum)


def save_checkpoint(path, network, optimizer, options, facts):
    """Write a training as it stands, whole or not at all; `options` and `facts` are plain."""
    state = {"network": network.state_dict(), "optimizer": optimizer.state_dict()}
    with atomic_write(path) as file:
        torch.save(state | {"options": options, "facts": facts}, file)


def load_checkpoint(path, network, optimizer, options):
    """Go on from a checkpoint: gives its facts; ValueError where its options were others."""
    state = torch.load(path, map_location="cpu", weights_only=True)
    for name, value in options.items():
        if (old := state["options"][name]) != value:
            raise UserError(
                f"{path} is of a run with {name} = {old!r}, not {value!r}: repeat that run's "
                "options, or choose another folder"
            )
    network.load_state_dict(state["network"])
    optimizer.load_state_dict(state["optimizer"])
    return state["facts"]
