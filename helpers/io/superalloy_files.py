"""The superalloys of case study 2, as read from the published folder."""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd
import scipy.io

from helpers import UserError

NAME, GPA, HV = "Image_Name", "Vickers Hardness (GPa)", "Vickers Hardness (HV)"
KGF_PER_MM2 = 1000 / 9.80665  # in one GPa
NOT_STATED = "not stated"
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
        ``"at.%"``, ``"wt.%"``, or ``"not stated"`` as in the published table.
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
    """The published set, from a folder whose hashes are checked; `entry` is of the registry."""
    table = read_table(folder / "data.xlsx")
    features = {
        encoder: np.array(
            [
                np.load(folder / "Features" / f"{name}_{suffix}.npy", allow_pickle=False).ravel()
                for name in table.names
            ],
            np.float32,
        )
        for encoder, suffix in SUFFIXES.items()
    }
    files = [folder / "Binary_Images" / f"{name}.mat" for name in table.names]
    label = "test fixture, not the published set" if entry.get("fixture") else "published set"
    notice = (
        f"**Data: {label}**, {len(table.names)} superalloys ({entry['citation']}), with segmented "
        "micrographs and feature vectors; the raw micrographs were never published. "
        f"{table.converted.sum()} hardness values were given in GPa and converted."
    )
    binary_images = [scipy.io.loadmat(file)["a"] // 255 for file in files]
    return superalloy_data(table, notice, binary_images, features=features)


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


class AlloyTable(NamedTuple):
    """A table as `read_table` gives it; n rows in the order of the file.

    `names` (list of str) are those of the images, `hardness` (n,) is in kgf/mm2, `composition`
    (DataFrame, n rows) in `composition_unit`; `converted` (n,) says whose hardness was in GPa.
    """

    names: list
    hardness: np.ndarray
    composition: pd.DataFrame
    composition_unit: str
    converted: np.ndarray


def read_table(path):
    """Names, hardness and composition of a table that is verified or ships with the book.

    Parameters
    ----------
    path : Path
        ``.xlsx`` or ``.csv`` with ``Image_Name``, ``Vickers Hardness (GPa)`` and ``(HV)``, one of
        them filled, and a column an element, as ``Al`` or ``Al (at.%)``.

    Returns
    -------
    AlloyTable

    Raises
    ------
    UserError
        A name that stands twice, hardness that is not positive, a share below 0 or none.

    Notes
    -----
    HV [kgf/mm2] = 1000/9.80665 HV [GPa]. Section 3.2 of doi:10.1016/j.actamat.2025.121217
    prints the factor inverted.
    """
    read = pd.read_csv if path.suffix == ".csv" else pd.read_excel
    table = read(path, na_values=["N/a"], dtype={NAME: str})
    table.columns = [heading.strip().replace("Gpa", "GPa") for heading in table.columns]
    elements = {
        heading: re.fullmatch(r"([A-Z][a-z]?)(?: \((.t\.%)\))?", heading)
        for heading in table.columns
    }
    elements = {heading: match for heading, match in elements.items() if match}
    (unit,) = {match[2] or NOT_STATED for match in elements.values()}
    table = table.set_index(NAME)
    hardness = table[HV].fillna(KGF_PER_MM2 * table[GPA]).astype(float)
    composition = table[list(elements)].astype(float)
    composition.columns = [match[1] for match in elements.values()]
    if not (table.index.is_unique and (hardness > 0).all() and (composition >= 0).all(axis=None)):
        raise UserError(
            f"{path} holds a name twice, no hardness, or no composition in one of its rows: it is "
            "not the table that this book knows"
        )
    converted = table[HV].isna().to_numpy()
    return AlloyTable(list(table.index), hardness.to_numpy(), composition, unit, converted)


def odd_sums(composition, low=98, high=102):
    """Sums of the compositions that do not come to about 100 %.

    Parameters
    ----------
    composition : DataFrame, shape (n, n_elements)
        One row an alloy.
    low, high : float
        Sums from `low` to `high` are left out.

    Returns
    -------
    Series of float
        In the unit of the table, indexed like `composition`.

    Examples
    --------
    >>> odd_sums(pd.DataFrame({"Ni": [90, 63.1], "Al": [10, 10]}, ["a", "b"])).to_dict()
    {'b': 73.1}
    """
    with np.errstate(over="ignore"):  # an infinite sum is listed as well
        sums = composition.sum(axis=1)
    return sums[~sums.between(low - 1e-9, high + 1e-9)]  # 98 may come to 97.99999999999999


def merge_niobium(composition):
    """Composition with niobium in one column: Nb and Cb, its old name, summed as Nb.

    Parameters
    ----------
    composition : DataFrame, shape (n, n_elements)
        One column an element symbol.

    Returns
    -------
    DataFrame
        Without Cb, the other columns in their order; a copy where there is no Cb.

    Examples
    --------
    >>> merge_niobium(pd.DataFrame({"Nb": [1.0, 0], "Ni": [99, 98], "Cb": [0, 2.0]}))
        Nb  Ni
    0  1.0  99
    1  2.0  98
    """
    if "Cb" not in composition:
        return composition.copy()
    if "Nb" not in composition:
        return composition.rename(columns={"Cb": "Nb"})
    merged = composition.drop(columns="Cb")
    merged["Nb"] = composition["Nb"] + composition["Cb"]
    return merged


def source_papers(names):
    """Numbers of the source papers: the digits in front of the first hyphen of every name.

    Parameters
    ----------
    names : sequence of str
        As ``"Paper27-10"``.

    Returns
    -------
    ndarray of int, shape (n,)

    Raises
    ------
    UserError
        Names that do not begin like that.

    Examples
    --------
    >>> source_papers(["Paper27-10", "Synthetic03-07"])
    array([27,  3])
    """
    found = [re.match(r"[^\d-]*(\d+)-", name) for name in names]
    bad = [name for name, match in zip(names, found, strict=True) if not match]
    if bad:
        raise UserError(f"{bad[0]!r} is no name with a source paper: expected 'Paper27-10'")
    return np.array([int(match[1]) for match in found], int)
