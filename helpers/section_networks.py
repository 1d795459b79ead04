"""Networks trained end to end on the three sections of a volume: what the paper only mentions."""

from __future__ import annotations

import itertools
import math
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from helpers._files import atomic_write
from helpers.metrics import mape


class SmallCNN(nn.Sequential):
    """Four convolutional stages and a global mean: sections (n, 1, h, w) to features (n, 256)."""

    n_features = 256

    def __init__(self):
        layers, channels = [], (1, 32, 64, 128, 256)
        for before, after in itertools.pairwise(channels):
            layers += [nn.Conv2d(before, after, 3, padding=1), nn.GroupNorm(8, after), nn.GELU()]
            layers += [nn.Conv2d(after, after, 3, 2, 1), nn.GroupNorm(8, after), nn.GELU()]
        super().__init__(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())


class FineTuned(nn.Module):
    """A vision transformer in Hugging Face format whose weights go on learning.

    Parameters
    ----------
    model : torch.nn.Module
        Such as ``helpers.encoders.load_encoder("microvit").model``.
    patch : int
        Sections are cut to its multiples [pixels].
    """

    def __init__(self, model, patch=7):
        super().__init__()
        self.model, self.patch = model.float().train().requires_grad_(True), patch
        self.n_features = model.config.hidden_size

    def forward(self, sections):
        h, w = (side - side % self.patch for side in sections.shape[-2:])
        pixels = sections[..., :h, :w].expand(-1, 3, -1, -1)
        return self.model(pixel_values=pixels).last_hidden_state[:, 0]


class SectionNetwork(nn.Module):
    """One encoder for all sections, and a linear model of their concatenated features."""

    def __init__(self, encoder, n_sections=3):
        super().__init__()
        self.encoder = encoder
        self.head = nn.Linear(n_sections * encoder.n_features, 1)

    def forward(self, sections):
        features = self.encoder(sections.flatten(0, 1)[:, None])
        return self.head(features.reshape(len(sections), -1))[:, 0]


def equivalent(sections, rng):
    """Sections of volumes with the same modulus along x: mirrored, shifted, y and z swapped.

    Parameters
    ----------
    sections : ndarray, shape (n, 3, h, h)
        Normal to x (rows y, columns z), y (x, z) and z (x, y), of periodic volumes.
    rng : numpy.random.Generator

    Returns
    -------
    ndarray of the same shape
        Each volume changed by itself. Every section is mirrored and shifted by itself, which no
        single volume would give, but which is as likely.
    """
    changed = sections.copy()
    swap = rng.random(len(changed)) < 0.5
    x, y, z = changed[swap].swapaxes(0, 1)
    changed[swap] = np.stack([x.swapaxes(1, 2), z, y], axis=1)
    n, k, h, w = changed.shape
    rows, columns = (
        (rng.integers(0, side, (n, k, 1)) + np.arange(side) * rng.choice([-1, 1], (n, k, 1)))
        % side
        for side in (h, w)
    )
    i, j = np.arange(n)[:, None, None, None], np.arange(k)[None, :, None, None]
    return changed[i, j, rows[..., :, None], columns[..., None, :]]


def train_on_sections(
    encoder, sections, y, train, val, *, epochs=30, batch=32, lr=1e-3, seed=0, checkpoint=None
):
    """Fit the logarithm of a property to three sections; keep the epoch with the best validation.

    Parameters
    ----------
    encoder : torch.nn.Module
        Sections (n, 1, h, w) to features (n, n_features).
    sections : ndarray of uint8, shape (n, 3, h, w)
    y : ndarray, shape (n,)
        Property, above 0.
    train, val : ndarray of int
        Rows of either part.
    epochs, batch, lr, seed : number
        Passes over the training part, samples a step, highest learning rate (half a cosine).
    checkpoint : path-like, optional
        File written after each epoch, from which an interrupted call goes on.

    Returns
    -------
    predictions : ndarray, shape (n,)
        Of all rows, by the epoch with the lowest validation MAPE, mirrors averaged.
    history : list of dict
        ``epoch``, ``loss``, ``val_mape`` [%], ``seconds`` since the start.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = SectionNetwork(encoder, sections.shape[1])
    t = np.log(y)
    centre, spread = t[train].mean(), t[train].std()
    target = torch.from_numpy(((t - centre) / spread).astype(np.float32))
    decay = [p for p in network.parameters() if p.ndim > 1]
    rest = [p for p in network.parameters() if p.ndim <= 1]
    groups = [{"params": decay, "weight_decay": 0.05}, {"params": rest, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=lr)
    best, history, first = (math.inf, None), [], 0
    if checkpoint is not None and Path(checkpoint).is_file():
        state = torch.load(checkpoint, weights_only=True)
        network.load_state_dict(state["network"])
        optimizer.load_state_dict(state["optimizer"])
        best, history = (state["best"], state["best_network"]), state["history"]
        first = len(history)
    steps = epochs * math.ceil(len(train) / batch)
    for epoch in range(first, epochs):
        start, total, step = time.perf_counter(), 0.0, epoch * math.ceil(len(train) / batch)
        rng = np.random.default_rng([seed, epoch])
        network.train()
        order = rng.permutation(train)
        for part in np.array_split(order, math.ceil(len(order) / batch)):
            for group in optimizer.param_groups:
                warm_up = min(1.0, (step + 1) / 100)
                group["lr"] = lr * warm_up * (0.5 + 0.5 * math.cos(math.pi * step / steps))
            pixels = torch.from_numpy(equivalent(sections[part], rng).astype(np.float32))
            with torch.autocast("cpu", torch.bfloat16):
                predicted = network(pixels)
            loss = F.smooth_l1_loss(predicted.float(), target[part])
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            total, step = total + loss.item() * len(part), step + 1
        found = np.exp(centre + spread * predict(network, sections[val]))
        error = mape(y[val], found)
        if error < best[0]:
            best = error, {k: v.clone() for k, v in network.state_dict().items()}
        seconds = time.perf_counter() - start + (history[-1]["seconds"] if history else 0.0)
        history.append(
            {"epoch": epoch, "loss": total / len(train), "val_mape": error, "seconds": seconds}
        )
        print(history[-1], flush=True)
        if checkpoint is not None:
            with atomic_write(checkpoint) as file:
                state = {"network": network.state_dict(), "optimizer": optimizer.state_dict()}
                state |= {"best": best[0], "best_network": best[1], "history": history}
                torch.save(state, file)
    network.load_state_dict(best[1])
    return np.exp(centre + spread * predict(network, sections)), history


@torch.inference_mode()
def predict(network, sections, batch=64):
    """Standardised logarithms (n,) of sections (n, 3, h, w), averaged over four mirror images."""
    network.eval()
    values = []
    for part in np.array_split(sections, max(1, math.ceil(len(sections) / batch))):
        views = (part, part[..., ::-1], part[..., ::-1, :], part[..., ::-1, ::-1])
        found = [network(torch.from_numpy(v.astype(np.float32))).numpy() for v in views]
        values.append(np.mean(found, axis=0))
    return np.concatenate(values)
