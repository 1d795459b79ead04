"""Descriptors of two-phase volumes from their three sections, beyond those of the paper."""

from __future__ import annotations

import functools

import numpy as np
import torch

from helpers.encoders import load_encoder
from helpers.features import extract_features
from helpers.microvit.statistics import image_statistics
from helpers.synthetic.elasticity import hashin_shtrikman
from helpers.two_point import two_point_statistics
from helpers.vit.networks import quiet_transformers

COARSE = 3  # voxels a side that one pixel of the second scale averages


@torch.inference_mode()
def all_tokens(encoder, images):
    """Class token and mean patch token of every layer of a DINOv2, after the final norm.

    Of images (n, h, w), 0 to 1, cut to multiples of the patch: (n, n_layers, 2, n_features). The
    encoder is loaded with ``pooling="mean"``, so that the last layer computes all tokens.

    Examples
    --------
    >>> encoder = load_encoder("microvit", "random", pooling="mean", device="cpu")
    >>> all_tokens(encoder, np.zeros((2, 51, 51))).shape
    (2, 6, 2, 192)
    """
    h, w = (side - side % encoder.entry.patch for side in images.shape[1:])
    tokens = []
    for part in np.array_split(images[:, :h, :w], max(1, len(images) // 64)):
        pixels = torch.from_numpy(part.astype(np.float32))[:, None].expand(-1, 3, -1, -1)
        with quiet_transformers():
            output = encoder.model(pixel_values=pixels, output_hidden_states=True)
        states = encoder.model.layernorm(torch.stack(output.hidden_states[1:], dim=1))
        tokens.append(torch.stack([states[:, :, 0], states[:, :, 1:].mean(2)], dim=2).numpy())
    return np.concatenate(tokens)


def physics_features(sections):
    """Stiff fractions of sections (n, k, h, w) and their mean, with two estimates of the modulus.

    Fractions, then the logarithms of both Hashin-Shtrikman values of each [ln GPa]:
    (n, 3 * (k + 1)). These bound isotropic mixtures only. The volumes are not isotropic, and half
    of the embedded moduli lie outside: here they are estimates, whatever `DESCRIPTORS` calls them.

    Examples
    --------
    >>> physics_features(np.ones((2, 3, 5, 5), np.uint8)).shape
    (2, 12)
    """
    fractions = sections.mean((2, 3))
    every = np.column_stack([fractions, fractions.mean(1)])
    return np.column_stack([every, np.log(hashin_shtrikman(every)).reshape(len(every), -1)])


def coarse_sections(sections):
    """A second scale: blocks averaged to one pixel, the result repeated to the old size.

    Sections (n, h, w) are periodic, so that the repetition continues them; their sides are
    multiples of `COARSE`.

    Examples
    --------
    >>> coarse_sections(np.eye(6)[None]).shape
    (1, 6, 6)
    """
    n, h, w = sections.shape
    blocks = sections.reshape(n, h // COARSE, COARSE, w // COARSE, COARSE).mean((2, 4))
    return np.tile(blocks.astype(np.float32), (1, COARSE, COARSE))


class Describer:
    """Blocks of descriptors of one data set.

    Parameters
    ----------
    sections : ndarray of uint8, shape (n, 3, h, w)
        Normal to x, y and z; the load is along x.
    rows : ndarray of int
        Of the training part, which alone sets scales.
    """

    def __init__(self, sections, rows):
        self.sections, self.rows = sections, rows
        self._extract = functools.cache(self._features)

    def _of_each(self, describe):
        """What `describe` makes of the sections (3 * n, h, w), for each volume: (n, 3, ...)."""
        values = describe(self.sections.reshape(-1, *self.sections.shape[2:]))
        return values.reshape(len(self.sections), 3, *values.shape[1:])

    def microvit(self, kind="pretrained", *, coarse=False, turned=False):
        """Class tokens (n, 3, 192) of MicroViT, of the trained one or the ``"random"`` one.

        Of the sections as they are, at a second scale, turned by a quarter, or both.
        """
        return self._extract(kind, coarse, turned)

    def _features(self, kind, coarse, turned):
        encoder = load_encoder("microvit", kind, device="cpu")

        def describe(images):
            images = np.rot90(images, axes=(1, 2)) if turned else images
            images = coarse_sections(images) if coarse else np.ascontiguousarray(images)
            return extract_features(images, encoder, pipeline="section", store=False)

        return self._of_each(describe)

    def symmetric(self, coarse=False):
        """MicroViT made blind to what cannot change a modulus along x: (n, 3, 192).

        y and z may be exchanged. That swaps the last two sections and, but for a mirror image,
        turns the first: their means and absolute differences stay. At the second scale if
        `coarse`.
        """
        whole, turned = (self.microvit(coarse=coarse, turned=t) for t in (False, True))
        x = (whole[:, 0] + turned[:, 0]) / 2
        y, z = whole[:, 1], whole[:, 2]
        return np.stack([x, (y + z) / 2, np.abs(y - z) / 2], axis=1)

    @functools.cached_property
    def tokens(self):
        """See `all_tokens`: (n, 3, n_layers, 2, 192)."""
        encoder = load_encoder("microvit", pooling="mean", device="cpu")
        return self._of_each(functools.partial(all_tokens, encoder))

    @functools.cached_property
    def two_point(self):
        """Periodic two-point autocorrelations: (n, 3, h, w)."""
        return self._of_each(functools.partial(two_point_statistics, dtype=np.float32))

    @functools.cached_property
    def counted(self):
        """The statistics that MicroViT was trained to predict, counted: (n, 3, n_statistics).

        They have several units: each column is divided by its standard deviation.
        """
        values = self._of_each(image_statistics)
        scale = values[self.rows].std(axis=0)
        return values / np.where(scale > 1e-6, scale, 1)


# Blocks of a Describer that stand side by side.
DESCRIPTORS = {
    "two-point statistics": lambda d: [d.two_point],
    "MicroViT": lambda d: [d.microvit()],
    "fractions and bounds": lambda d: [physics_features(d.sections)],
    "MicroViT + two-point": lambda d: [d.microvit(), d.two_point],
    "two-point statistics, mean of sections": lambda d: [d.two_point.mean(1)],
    "MicroViT, mean of sections": lambda d: [d.microvit().mean(1)],
    "MicroViT + bounds": lambda d: [d.microvit(), physics_features(d.sections)],
    "MicroViT, symmetries of the load": lambda d: [d.symmetric()],
    "MicroViT, mean of a quarter turn": lambda d: [d.microvit() + d.microvit(turned=True)],
    "MicroViT, class + mean patch token": lambda d: [d.tokens[:, :, -1]],
    "MicroViT, class tokens of all layers": lambda d: [d.tokens[:, :, :, 0]],
    "MicroViT, two scales": lambda d: [d.microvit(), d.microvit(coarse=True)],
    "MicroViT, two scales, symmetries": lambda d: [d.symmetric(), d.symmetric(coarse=True)],
    "MicroViT, random": lambda d: [d.microvit("random")],
    "counted statistics": lambda d: [d.counted],
    "MicroViT + counted statistics": lambda d: [d.microvit(), d.counted],
    "MicroViT, two scales, symmetries + counted": lambda d: [
        d.symmetric(), d.symmetric(coarse=True), d.counted
    ],
    "MicroViT + two-point + bounds + counted": lambda d: [
        d.microvit(), d.two_point, physics_features(d.sections), d.counted
    ],
}  # fmt: skip


def descriptor_matrix(describer, name):
    """Descriptors of volumes, as components are fitted to.

    Parameters
    ----------
    describer : Describer
    name : str
        In `DESCRIPTORS`.

    Returns
    -------
    ndarray of float32, shape (n, n_features)
        Each block divided by its own total standard deviation, so that none counts for its
        units.

    Examples
    --------
    >>> sections = np.random.default_rng(0).integers(0, 2, (9, 3, 51, 51)).astype(np.uint8)
    >>> descriptor_matrix(Describer(sections, np.arange(6)), "fractions and bounds").shape
    (9, 12)
    """
    blocks = []
    for block in DESCRIPTORS[name](describer):
        flat = block.reshape(len(block), -1)
        total = flat[describer.rows].var(axis=0, dtype=np.float64).sum()
        blocks.append((flat / np.sqrt(total)).astype(np.float32))
    return np.hstack(blocks)
