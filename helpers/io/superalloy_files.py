"""The superalloys of case study 2, as read from the published folder."""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Callable

import numpy as np
import pandas as pd
import scipy.io

from helpers import UserError
from helpers.io.downloads import published_kind

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
class AlloyTable:
    """Names, hardness and composition of a table, as `read_table` gives them."""

    names: list
    hardness: np.ndarray
    composition: pd.DataFrame
    composition_unit: str
    converted: np.ndarray

    @property
    def unit_notice(self):
        """A sentence with the unit of the composition."""
        if self.composition_unit == NOT_STATED:
            return "The table does not state the unit of the composition."
        return f"The composition is in {self.composition_unit}."


@dataclasses.dataclass(frozen=True)
class SuperalloyData(AlloyTable):
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
    converted : ndarray of bool, shape (n,)
        Whose hardness the table states in GPa.
    kind : str
        ``"Synthetic data"``, ``"Published data"``, or a test fixture in its place.
    notice : str
        Which data this is, in a sentence or two; a chapter shows both by its badge.
    images : list of ndarray of uint8, shape (h, w), or None
        Grey micrographs. None for the published set: its raw micrographs, from 19 papers, were
        never published.
    features : dict of str to ndarray of float32, shape (n, n_features)
        Published feature vectors by encoder; empty for the embedded set.
    truth : DataFrame or None
        What made the embedded set, indexed by name: ``volume_fraction``, ``radius_nm``,
        ``nm_per_pixel``, ``hardness_model`` [kgf/mm2]. None for the published set.
    """

    kind: str
    notice: str
    read_binary_images: Callable[[], list] = dataclasses.field(repr=False)
    images: list | None = None
    features: dict = dataclasses.field(default_factory=dict)
    truth: pd.DataFrame | None = None

    @functools.cached_property
    def merged_composition(self):
        """DataFrame (n, 21): composition with Nb and Cb summed as Nb."""
        return merge_niobium(self.composition)

    @functools.cached_property
    def groups(self):
        """ndarray of int, shape (n,): number of the source paper of every micrograph.

        The digits in front of the first hyphen of its name, 27 of ``"Paper27-10"``.
        """
        return np.array([int(re.search(r"\d+(?=-)", name)[0]) for name in self.names], int)

    @functools.cached_property
    def binary_images(self):
        """list of ndarray of uint8, shape (h, w): segmented micrographs of 0 and 1.

        The published ones; for the embedded set segmented as in the paper when first asked for.
        """
        return self.read_binary_images()


def read_published(folder, entry):
    """The published set, from a folder whose hashes are checked; `entry` is of the registry."""
    table = read_table(folder / "data.xlsx")
    features = {}
    for encoder, suffix in SUFFIXES.items():
        files = [folder / "Features" / f"{name}_{suffix}.npy" for name in table.names]
        rows = [np.load(file, allow_pickle=False).ravel() for file in files]
        features[encoder] = np.array(rows, np.float32)
    segmented = [folder / "Binary_Images" / f"{name}.mat" for name in table.names]
    notice = (
        f"{len(table.names)} superalloys ({entry['citation']}), with segmented micrographs and "
        "feature vectors; the raw micrographs were never published. "
        f"{table.converted.sum()} hardness values were given in GPa and converted. "
        f"{table.unit_notice}"
    )
    return SuperalloyData(
        **vars(table),
        kind=published_kind(entry),
        notice=notice,
        read_binary_images=lambda: [scipy.io.loadmat(file)["a"] // 255 for file in segmented],
        features=features,
    )


def read_table(path):
    """The `AlloyTable` of a file that is verified or ships with the book.

    It is ``.xlsx`` or ``.csv`` with ``Image_Name``, ``Vickers Hardness (GPa)`` and ``(HV)``, one
    of them filled, and a column an element, as ``Al`` or ``Al (at.%)``. A `UserError` tells a name
    that stands twice, hardness that is not positive, a share below 0 or none.

    HV [kgf/mm2] = 1000/9.80665 HV [GPa]. Section 3.2 of doi:10.1016/j.actamat.2025.121217
    prints the factor inverted.
    """
    read = pd.read_csv if path.suffix == ".csv" else pd.read_excel
    table = read(path, na_values=["N/a"], dtype={NAME: str}).set_index(NAME)
    table.columns = [heading.strip().replace("Gpa", "GPa") for heading in table.columns]
    hardness = table[HV].fillna(KGF_PER_MM2 * table[GPA]).astype(float)
    parts = table.columns.str.extract(r"^([A-Z][a-z]?)(?: \((.t\.%)\))?$").set_index(table.columns)
    parts = parts[parts[0].notna()]
    (unit,) = parts[1].fillna(NOT_STATED).unique()
    composition = table[parts.index].astype(float).set_axis(parts[0].tolist(), axis=1)
    if not (table.index.is_unique and (hardness > 0).all() and (composition >= 0).all(axis=None)):
        raise UserError(
            f"{path} holds a name twice, no hardness, or no composition in one of its rows: it is "
            "not the table that this book knows"
        )
    converted = table[HV].isna().to_numpy()
    return AlloyTable(list(table.index), hardness.to_numpy(), composition, unit, converted)


def odd_sums(composition, low=98, high=102):
    """Sums of the compositions that do not come to about 100 %.

    Of a DataFrame (n, n_elements), those below `low` or above `high`: a Series in the unit of the
    table, indexed like it.

    Examples
    --------
    >>> odd_sums(pd.DataFrame({"Ni": [90, 63.1], "Al": [10, 10]}, ["a", "b"])).to_dict()
    {'b': 73.1}
    """
    sums = composition.sum(axis=1)
    return sums[~sums.between(low - 1e-9, high + 1e-9)]  # 98 may come to 97.99999999999999


def merge_niobium(composition):
    """Composition (n, n_elements) with Nb and Cb, its old name, summed in one column Nb.

    Examples
    --------
    >>> merge_niobium(pd.DataFrame({"Nb": [1.0, 0], "Ni": [99.0, 98], "Cb": [0, 2.0]}))
        Nb    Ni
    0  1.0  99.0
    1  2.0  98.0
    """
    present = composition.rename(columns={"Cb": "Nb"})
    return present.T.groupby(level=0, sort=False).sum().T
