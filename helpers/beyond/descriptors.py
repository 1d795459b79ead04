"""Descriptors of two-phase volumes from their three sections, beyond those of the paper."""

from __future__ import annotations

import functools

import numpy as np

from helpers.beyond.counts import (
    chord_lengths,
    cluster_function,
    lineal_path,
    persistent_homology,
)
from helpers.encoders import load_encoder
from helpers.features import extract_features
from helpers.microvit.statistics import image_statistics
from helpers.synthetic.elasticity import hashin_shtrikman
from helpers.two_point import two_point_statistics


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

    def of_each(self, describe):
        """What `describe` makes of the sections (3 * n, h, w), for each volume: (n, 3, ...)."""
        values = describe(self.sections.reshape(-1, *self.sections.shape[2:]))
        return values.reshape(len(self.sections), 3, *values.shape[1:])

    def microvit(self, weights="pretrained"):
        """Class tokens (n, 3, 192) of MicroViT, of the trained one or the ``"random"`` one."""
        encoder = load_encoder("microvit", weights, device="cpu")
        options = {"pipeline": "section", "store": False}
        return self.of_each(functools.partial(extract_features, encoder=encoder, **options))

    @functools.cached_property
    def two_point(self):
        """Periodic two-point autocorrelations: (n, 3, h, w)."""
        return self.of_each(functools.partial(two_point_statistics, dtype=np.float32))

    @functools.cached_property
    def counted(self):
        """The statistics that MicroViT was trained to predict, counted: (n, 3, n_statistics).

        They have several units: each column is divided by its standard deviation.
        """
        values = self.of_each(image_statistics)
        scale = values[self.rows].std(axis=0)
        return values / np.where(scale > 1e-6, scale, 1)


NOISE = "noise"
# Blocks of a Describer that stand side by side.
DESCRIPTORS = {
    "two-point statistics": lambda d: [d.two_point],
    "two-point statistics, mean of sections": lambda d: [d.two_point.mean(1)],
    "MicroViT": lambda d: [d.microvit()],
    "MicroViT, mean of sections": lambda d: [d.microvit().mean(1)],
    "MicroViT, random": lambda d: [d.microvit("random")],
    "fractions and estimates": lambda d: [physics_features(d.sections)],
    "counted statistics": lambda d: [d.counted],
    "MicroViT + two-point": lambda d: [d.microvit(), d.two_point],
    "chord lengths": lambda d: [d.of_each(chord_lengths)],
    "lineal path": lambda d: [d.of_each(lineal_path)],
    "cluster function": lambda d: [d.of_each(cluster_function)],
    "persistent homology": lambda d: [d.of_each(persistent_homology)],
    "MicroViT + counted statistics": lambda d: [d.microvit(), d.counted],
    # A control: what tuning makes of random numbers.
    NOISE: lambda d: [np.random.default_rng(0).normal(size=(len(d.sections), 50))],
}


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
    >>> descriptor_matrix(Describer(sections, np.arange(6)), "fractions and estimates").shape
    (9, 12)
    """
    blocks = []
    for block in DESCRIPTORS[name](describer):
        flat = block.reshape(len(block), -1)
        total = flat[describer.rows].var(axis=0, dtype=np.float64).sum()
        blocks.append((flat / np.sqrt(total)).astype(np.float32))
    return np.hstack(blocks)
