"""The superalloys of case study 2, as read from the published folder."""

from __future__ import annotations

import dataclasses
import functools
import warnings
import zlib
from collections.abc import Callable

import numpy as np
import pandas as pd
import scipy.io

from helpers import UserError
from helpers.io.alloy_tables import (
    NOT_STATED,
    CompositionWarning,
    merge_niobium,
    read_alloy_table,
    source_papers,
)

# What SciPy raises for other files, beside errors of values.
NO_MAT_FILE = (scipy.io.matlab.MatReadError, NotImplementedError, TypeError)
# How the published files of features end, by encoder.
SUFFIXES = {
    "clip-b16": "clip_b16",
    "clip-b32": "clip_b32",
    "clip-l14": "clip_l14",
    "dinov2-s14": "dino_s",
    "dinov2-b14": "dino_b",
    "dinov2-l14": "dino_l",
    "dinov2-g14": "dino_g",
    "sam-h": "sam",
    "micronet-resnet50": "Nasa",
}


@dataclasses.dataclass(frozen=True)
class SuperalloyData:
    """Case study 2: hardness, composition and micrograph of every alloy, rows in table order.

    Attributes
    ----------
    names : list of str
        Names of the micrographs.
    hardness : ndarray of float64, shape (n,)
        Vickers hardness [kgf/mm2].
    composition : DataFrame of float64, shape (n, 22)
        One column an element, indexed by name, in `composition_unit`. Nb and its old name Cb
        are two columns, as in the published table.
    composition_unit : str
        ``"at.%"``, ``"wt.%"``, or `helpers.io.alloy_tables.NOT_STATED` as in the published table.
    images : list of ndarray of uint8, shape (h, w), or None
        Grey micrographs. None for the published set: its raw micrographs, from 19 papers, were
        never published.
    features : dict of str to ndarray of float32, shape (n, n_features)
        Published feature vectors by encoder; empty for the embedded set.
    truth : DataFrame or None
        What made the embedded set, indexed by name: ``volume_fraction``, ``radius_nm``,
        ``nm_per_pixel``, ``hardness_model`` [kgf/mm2]. None for the published set.
    notice : str
        Markdown that says which data this is; chapters show it at their top.
    """

    names: list
    hardness: np.ndarray
    composition: pd.DataFrame
    composition_unit: str
    images: list | None
    features: dict
    truth: pd.DataFrame | None
    notice: str
    _binary_images: list | Callable[[], list] = dataclasses.field(repr=False)

    @functools.cached_property
    def merged_composition(self):
        """Composition with Nb and Cb summed as Nb: DataFrame (n, 21)."""
        return merge_niobium(self.composition)

    @functools.cached_property
    def groups(self):
        """Number of the source paper of every micrograph: ndarray of int, shape (n,)."""
        return source_papers(self.names)

    @functools.cached_property
    def binary_images(self):
        """Segmented micrographs of 0 and 1: list of ndarray of uint8, shape (h, w).

        The published ones; for the embedded set segmented as in the paper when first asked for.
        """
        images = self._binary_images
        return images() if callable(images) else images


def read_published(folder, entry):
    """The published set, from a folder that is already verified.

    Parameters
    ----------
    folder : Path
        Laid out as published.
    entry : dict
        Of the registry, for the notice.

    Raises
    ------
    ValueError
        A file that is not of the published form; it is named.
    """
    with warnings.catch_warnings():
        # The 17 odd sums are known; chapters show them with `odd_sums`.
        warnings.simplefilter("ignore", CompositionWarning)
        table = read_alloy_table(folder / "data.xlsx", NOT_STATED)
    features = {
        encoder: _read_features([folder / "Features" / f"{n}_{suffix}.npy" for n in table.names])
        for encoder, suffix in SUFFIXES.items()
    }
    files = [folder / "Binary_Images" / f"{name}.mat" for name in table.names]
    label = "test fixture, not the published set" if entry.get("fixture") else "published set"
    notice = (
        f"**Data: {label}**, {len(table.names)} superalloys ({entry['citation']}), with segmented "
        "micrographs and feature vectors; the raw micrographs were never published. "
        f"{table.converted.sum()} hardness values were given in GPa and converted."
    )
    return superalloy_data(table, notice, [_read_binary(f) for f in files], features=features)


def superalloy_data(table, notice, binary_images, images=None, features=None, truth=None):
    """The data of a table, with a notice that ends in the unit of the composition."""
    unit = f"The composition is in {table.composition_unit}"
    if table.composition_unit == NOT_STATED:
        unit = "The table does not state the unit of the composition"
    return SuperalloyData(
        names=table.names,
        hardness=table.hardness,
        composition=table.composition,
        composition_unit=table.composition_unit,
        images=images,
        features=features or {},
        truth=truth,
        notice=f"{notice} {unit}.",
        _binary_images=binary_images,
    )


def _read_features(files):
    rows = []
    for file in files:
        try:
            row = np.load(file, allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise UserError(f"{file} cannot be read as an array: {error}") from error
        length = len(rows[0]) if rows else row.size
        if row.shape not in ((length,), (1, length)) or row.dtype.kind != "f":
            raise UserError(
                f"{file} holds {row.dtype} of shape {row.shape}: expected {length} floats, as the "
                "first file of this encoder"
            )
        if not np.isfinite(row).all():
            raise UserError(f"{file} holds {row[~np.isfinite(row)][0]}: expected finite features")
        rows.append(row.ravel())
    return np.array(rows, np.float32)


def _read_binary(file):
    try:
        pixels = scipy.io.loadmat(file, variable_names=["a"])["a"]
    except (OSError, LookupError, ValueError, zlib.error, *NO_MAT_FILE) as error:
        raise UserError(f"{file} does not hold a segmented micrograph `a`: {error!r}") from error
    if pixels.dtype != np.uint8 or pixels.ndim != 2 or not np.isin(pixels, (0, 255)).all():
        raise UserError(
            f"{file} holds `a` of type {pixels.dtype} and shape {pixels.shape}: expected uint8 "
            "(h, w) of 0 and 255"
        )
    return pixels // 255
