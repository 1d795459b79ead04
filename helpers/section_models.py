"""Networks that take the three sections of a volume, and changes that leave its modulus alone."""

from __future__ import annotations

import itertools

import numpy as np
from torch import nn


class SmallCNN(nn.Sequential):
    """Four convolutional stages and a global mean: sections (n, 1, h, w) to features (n, 128)."""

    n_features = 128

    def __init__(self):
        layers, channels = [], (1, 16, 32, 64, 128)
        for before, after in itertools.pairwise(channels):
            layers += [_conv(before, after, 1), nn.GroupNorm(8, after), nn.GELU()]
            layers += [_conv(after, after, 2), nn.GroupNorm(8, after), nn.GELU()]
        super().__init__(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())


def _conv(before, after, stride):
    """Sections of periodic volumes go on beyond their edges."""
    return nn.Conv2d(before, after, 3, stride, 1, padding_mode="circular")


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
