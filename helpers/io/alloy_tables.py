"""Tables of alloys: hardness and composition of every micrograph, checked cell by cell.

Errors name rows and columns as a spreadsheet shows them: the header is row 1.
"""

from __future__ import annotations

import collections
import re
import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from helpers import UserError
from helpers.io.table_checks import (
    NAME,
    NOT_STATED,
    REMEDIES,
    UNITS,
    extra_columns,
    find_columns,
    find_unit,
    first_few,
    label,
    read_composition,
    read_hardness,
    read_names,
)
from helpers.io.table_files import read_rows

__all__ = [
    "NOT_STATED",
    "UNITS",
    "AlloyTable",
    "CompositionWarning",
    "match_images",
    "merge_niobium",
    "odd_sums",
    "read_alloy_table",
    "source_papers",
]


class CompositionWarning(UserWarning):
    """Compositions that do not sum to about 100 %."""


class AlloyTable(NamedTuple):
    """A table as `read_alloy_table` gives it; n rows in the order of the file.

    Attributes
    ----------
    names : list of str
        Names of the images, without the ending of their files.
    hardness : ndarray of float64, shape (n,)
        Vickers hardness [kgf/mm2].
    composition : DataFrame of float64, shape (n, n_elements)
        One column an element symbol, indexed by name, in `composition_unit`.
    composition_unit : str
        One of `UNITS`, or `NOT_STATED`.
    converted : ndarray of bool, shape (n,)
        Rows whose hardness was given in GPa only.
    extra_columns : list of str
        Headings of the columns that were left out, or their letters where they have none.
    """

    names: list
    hardness: np.ndarray
    composition: pd.DataFrame
    composition_unit: str
    converted: np.ndarray
    extra_columns: list


def read_alloy_table(path, composition_unit=None, *, need_composition=True):
    """Names, hardness and composition of a table of alloys, or an error that names the cells.

    Parameters
    ----------
    path : path-like
        ``.xlsx`` (its first sheet; values of formulas as they were stored) or ``.csv`` in UTF-8
        with commas. Row 1 holds the headings, in any order: ``Image_Name``; ``Vickers Hardness
        (GPa)`` or ``Vickers Hardness (HV)`` or both, in upper or lower case; one column an
        element, as ``Al``, ``Al (at.%)`` or ``Al [wt.%]``. ``N/a`` and an empty cell mean that
        there is no hardness. Rows that are empty are passed over.
    composition_unit : {"at.%", "wt.%", "not stated"}, optional
        Unit of the composition. None: the headings state it. `NOT_STATED` reads a table that
        states no unit as it is, and says so in the result.
    need_composition : bool
        False: a table without any composition column is read as well.

    Returns
    -------
    AlloyTable

    Raises
    ------
    UserError
        Whatever cannot be used: the file (see `helpers.io.table_files.read_rows`), a missing or
        repeated column, a unit that is not stated or contradicts another, a row without a name
        or with the name of another, without hardness or with one that is no positive number,
        hardness values in two units more than 2 % apart, a composition cell that is empty,
        negative or no number. Of every kind, the first 10 cells and their count.

    Warns
    -----
    CompositionWarning
        Compositions that sum to less than 98 or more than 102; see `odd_sums`.

    Notes
    -----
    HV [kgf/mm2] = 1000/9.80665 HV [GPa]. Section 3.2 of doi:10.1016/j.actamat.2025.121217
    prints the factor inverted.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "alloys.csv")
    ...     _ = path.write_text(
    ...         "Image_Name,Vickers Hardness (GPa),Ni (at.%),Al (at.%)\\na,4.5,88,12\\n"
    ...     )
    ...     table = read_alloy_table(path)
    >>> table.names, table.hardness.round(1), table.composition_unit
    (['a'], array([458.9]), 'at.%')
    """
    rows = read_rows(path)
    if not rows:
        raise UserError(f"{path} is empty: write headings in row 1 and one row an image")
    columns = find_columns(path, rows[0], need_composition)
    unit = find_unit(path, columns, composition_unit)
    body = {n: row for n, row in enumerate(rows[1:], 2) if row}
    if not body:
        raise UserError(f"{path} holds no row below its headings: write one row an image")
    body = {n: row + [None] * (len(columns.headers) - len(row)) for n, row in body.items()}
    problems = collections.defaultdict(list)
    names = read_names(body, columns, problems)
    hardness, converted = read_hardness(body, columns, problems)
    values = read_composition(body, columns, problems)
    if problems:
        found = (
            f"{kind} ({len(problems[kind])}): {first_few(problems[kind])}: {remedy}"
            for kind, remedy in REMEDIES.items()
            if kind in problems
        )
        raise UserError(f"{path}: " + "\n".join(found))
    index = pd.Index(names, name=NAME)
    composition = pd.DataFrame(values, index, list(columns.elements), dtype=float)
    odd = odd_sums(composition) if columns.elements else ()
    if len(odd):
        number = dict(zip(names, body, strict=True))
        sums = first_few(
            [f"row {number[n]} ({label(n)}): {total:.6g}" for n, total in odd.items()]
        )
        message = (
            f"{path}: {len(odd)} of {len(names)} compositions do not sum to 98 to 102: {sums}"
        )
        message += "; check them, and whether the balance is filled in"
        warnings.warn(message, CompositionWarning, stacklevel=2)
    return AlloyTable(names, hardness, composition, unit, converted, extra_columns(body, columns))


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


def match_images(names, files):
    """Image files in the order of a table's names.

    Parameters
    ----------
    names : sequence of str
        Names of the images, without the ending of their files.
    files : iterable of path-like
        Such as `helpers.images.read.list_images` gives.

    Returns
    -------
    list of Path

    Raises
    ------
    UserError
        Names without a file, files without a row, several files of one name: the first 10 of
        each and their count.

    Examples
    --------
    >>> [path.name for path in match_images(["b-0.5Al", "a"], ["a.png", "b-0.5Al.tif"])]
    ['b-0.5Al.tif', 'a.png']
    """
    by_stem = collections.defaultdict(list)
    for file in map(Path, files):
        by_stem[file.stem].append(file)
    twice = [" and ".join(f.name for f in same) for same in by_stem.values() if len(same) > 1]
    found = {
        "rows of the table without an image": [repr(n) for n in names if n not in by_stem],
        "images without a row": [f.name for s in by_stem.keys() - set(names) for f in by_stem[s]],
        "several images of one name": twice,
    }
    if any(found.values()):
        raise UserError(
            "images and table do not match: "
            + "\n".join(f"{k} ({len(v)}): {first_few(sorted(v))}" for k, v in found.items() if v)
            + "\nA name in the table is that of the file without its ending, in the same case: "
            "rename, add or remove files or rows"
        )
    return [by_stem[name][0] for name in names]


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
    bad = [repr(name) for name, match in zip(names, found, strict=True) if not match]
    if bad:
        raise UserError(
            f"names without the number of a source paper ({len(bad)}): {first_few(bad)}: expected "
            "names like 'Paper27-10'"
        )
    return np.array([int(match[1]) for match in found], int)
