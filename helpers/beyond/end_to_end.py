"""Networks trained end to end on the three sections of a volume: what the paper only mentions."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from helpers.encoders import load_encoder
from helpers.microvit.trainer import decay_groups, load_checkpoint, save_checkpoint
from helpers.regression import mape


class SmallCNN(nn.Sequential):
    """Four convolutional stages and a global mean: sections (n, 1, h, w) to features (n, 128)."""

    n_features = 128

    def __init__(self):
        layers, channels = [], (1, 16, 32, 64, 128)
        for before, after in itertools.pairwise(channels):
            for n, stride in ((before, 1), (after, 2)):
                # Sections of periodic volumes go on beyond their edges.
                layers.append(nn.Conv2d(n, after, 3, stride, 1, padding_mode="circular"))
                layers += [nn.GroupNorm(8, after), nn.GELU()]
        super().__init__(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())


class FineTuned(nn.Module):
    """MicroViT as it ships, whose weights go on learning; sections are cut to whole patches."""

    def __init__(self):
        super().__init__()
        model = load_encoder("microvit", device="cpu").model
        self.model = model.float().train().requires_grad_(True)
        self.n_features = model.config.hidden_size

    def forward(self, sections):
        patch = self.model.config.patch_size
        h, w = (side - side % patch for side in sections.shape[-2:])
        pixels = sections[..., :h, :w].expand(-1, 3, -1, -1)
        return self.model(pixel_values=pixels).last_hidden_state[:, 0]


class SectionNetwork(nn.Module):
    """One encoder for all sections, and a small perceptron on their concatenated features."""

    def __init__(self, encoder, n_sections=3):
        super().__init__()
        self.encoder = encoder
        n = n_sections * encoder.n_features
        self.head = nn.Sequential(nn.Linear(n, 128), nn.GELU(), nn.Linear(128, 1))

    def forward(self, sections):
        features = self.encoder(sections.flatten(0, 1)[:, None])
        return self.head(features.reshape(len(sections), -1))[:, 0]


def equivalent(sections, rng):
    """Sections of volumes with the same modulus along x: mirrored, shifted, y and z swapped.

    Sections (n, 3, h, h) are normal to x (rows y, columns z), y (x, z) and z (x, y). Each volume
    is changed by itself, and every section mirrored and shifted by itself, which no single volume
    would give, but which is as likely.
    """
    changed = sections.copy()
    swap = rng.random(len(changed)) < 0.5
    x, y, z = changed[swap].swapaxes(0, 1)
    changed[swap] = np.stack([x.swapaxes(1, 2), z, y], axis=1)
    n, k, h, w = changed.shape
    # A shift of a periodic section is an offset of its indices, a mirror image their sign.
    rows, columns = (
        (rng.integers(0, side, (n, k, 1)) + np.arange(side) * rng.choice([-1, 1], (n, k, 1)))
        % side
        for side in (h, w)
    )
    i, j = np.arange(n)[:, None, None, None], np.arange(k)[None, :, None, None]
    return changed[i, j, rows[..., :, None], columns[..., None, :]]


def train_on_sections(
    make, sections, y, train, val, checkpoint, *, epochs=10, batch=32, lr=1e-3, seed=0
):
    """Fit the logarithm of a property to three sections; keep the epoch with the best validation.

    `make` gives an encoder: sections (n, 1, h, w) to features (n, n_features). `sections` are
    (n, 3, h, w), `y` (n,) is above 0, `train` and `val` are rows. The file `checkpoint` is written
    after each epoch; an interrupted call goes on from there, if its options are the same. `lr` is
    the highest learning rate, of half a cosine.

    Gives the predicted logarithms of all rows, mirror images averaged, and dicts of ``epoch``,
    ``loss``, ``val_mape`` [%] and the ``seconds`` of computing it took.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = SectionNetwork(make(), sections.shape[1])
    t = np.log(y)
    centre, spread = t[train].mean(), t[train].std()
    target = torch.from_numpy(((t - centre) / spread).astype(np.float32))
    optimizer = torch.optim.AdamW(decay_groups(network, lambda p: p.ndim > 1), lr=lr)
    options = {"epochs": epochs, "batch": batch, "lr": lr, "seed": seed}
    best, history = None, []
    if Path(checkpoint).is_file():
        best, history = load_checkpoint(checkpoint, network, optimizer, options)
    steps = math.ceil(len(train) / batch)
    for epoch in range(len(history), epochs):
        start, rng = time.process_time(), np.random.default_rng([seed, epoch])
        losses = []
        for part in np.array_split(rng.permutation(train), steps):
            done = (epoch * steps + len(losses) + 1) / (epochs * steps)
            for group in optimizer.param_groups:  # a short rise, then half a cosine
                group["lr"] = lr * min(20 * done, 0.5 + 0.5 * math.cos(math.pi * done))
            losses.append(_step(network, optimizer, equivalent(sections[part], rng), target[part]))
        error = mape(y[val], np.exp(centre + spread * predict(network, sections[val])))
        if all(error < row["val_mape"] for row in history):
            best = {name: weight.clone() for name, weight in network.state_dict().items()}
        facts = {"epoch": epoch, "loss": float(np.mean(losses)), "val_mape": error}
        history.append(facts | {"seconds": time.process_time() - start})
        save_checkpoint(checkpoint, network, optimizer, options, [best, history])
    network.load_state_dict(best)
    raw = centre + spread * predict(network, sections)
    return raw, history


def _step(network, optimizer, sections, target):
    """One update; gives the loss."""
    network.train()
    with torch.autocast("cpu", torch.bfloat16):
        predicted = network(torch.from_numpy(sections.astype(np.float32)))
    loss = F.smooth_l1_loss(predicted.float(), target)
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(network.parameters(), 1.0)
    optimizer.step()
    return loss.item()


@torch.inference_mode()
def predict(network, sections):
    """Standardised logarithms (n,) of sections (n, 3, h, w), averaged over two mirror images."""
    network.eval()
    values = []
    for part in np.array_split(sections, max(1, math.ceil(len(sections) / 64))):
        views = [torch.from_numpy(v.astype(np.float32)) for v in (part, part[..., ::-1, ::-1])]
        values.append(np.mean([network(view).numpy() for view in views], axis=0))
    return np.concatenate(values)


class Training(NamedTuple):
    """How a network is trained.

    `make` gives an encoder; `lr` is the highest learning rate; at least `steps` updates of `batch`
    samples, so that few samples are seen more often, and at least `epochs` over all of them.
    """

    make: Callable
    lr: float
    batch: int
    epochs: int
    steps: int


NETWORKS = {
    "CNN from scratch": Training(SmallCNN, 2e-3, 32, 20, 400),
    "MicroViT, fine-tuned": Training(FineTuned, 3e-4, 16, 5, 200),
}


def learn_network(name, sections, y, train, val, checkpoint, seed=0):
    """`train_on_sections` for one of `NETWORKS`: predictions of all rows [unit of y], history."""
    make, lr, batch, epochs, steps = NETWORKS[name]
    epochs = max(epochs, math.ceil(steps / math.ceil(len(train) / batch)))
    options = {"lr": lr, "batch": batch, "epochs": epochs, "seed": seed}
    raw, history = train_on_sections(make, sections, y, train, val, checkpoint, **options)
    return np.exp(raw), history
