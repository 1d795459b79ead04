"""A user's table of properties: numbers by sample, sources, and a composition with its unit."""

from __future__ import annotations

import re
from typing import NamedTuple

import numpy as np
import pandas as pd

from helpers._table_checks import ELEMENTS, UNITS, first_few
from helpers._table_files import TableError
from helpers.image_lists import column, read_table

MISSING = {"", "n/a", "na", "nan", "none", "-"}


class PropertyTable(NamedTuple):
    """Properties of samples.

    `values` (DataFrame): a column a property, a row a sample, NaN where nothing was measured.
    `groups` (Series of str, or None): where each sample comes from. `composition` (DataFrame or
    None) in `unit`.
    """

    values: pd.DataFrame
    groups: pd.Series | None
    composition: pd.DataFrame | None
    unit: str | None


def read_properties(
    path,
    properties=None,
    *,
    sample_column="sample",
    group_column=None,
    composition_unit=None,
    sheet=None,
):
    """Read a table of properties.

    Parameters
    ----------
    path : path-like
        ``.csv``, ``.xlsx`` or ``.parquet``, headings in row 1, a row a sample.
    properties : sequence of str, optional
        Columns to predict. None: every other column that holds numbers and is no element.
    sample_column, group_column : str
        Name of each sample; its source, such as a heat, a laboratory or a paper.
    composition_unit : {"at.%", "wt.%"}, optional
        Unit of columns that are called like an element. None: their headings state it, as
        ``Al (at.%)``.
    sheet : str, optional
        Of an .xlsx workbook. None: the first.

    Returns
    -------
    PropertyTable

    Raises
    ------
    TableError
        A column that is missing, empty or holds no numbers; a sample that stands twice; elements
        without a unit. The cells are named.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "t.csv")
    ...     _ = path.write_text("sample,hardness,Al (wt.%)\\na,210,5\\nb,,6\\n")
    ...     read_properties(path).values["hardness"].tolist()
    [210.0, nan]
    """
    table = read_table(path, sheet)
    samples = column(table, sample_column, path)
    twice = samples[samples.duplicated()].unique().tolist()
    if twice:
        raise TableError(f"{path}: samples {first_few(twice)} stand twice: give each one row")
    groups = column(table, group_column, path) if group_column is not None else None
    asked = {sample_column, group_column, *(properties or ())}
    elements, unit = _elements(
        table[[c for c in table.columns if c not in asked]], path, composition_unit
    )
    taken = {sample_column, group_column, *elements.values()}
    if properties is None:
        rest = [c for c in table.columns if c not in taken]
        properties = [c for c in rest if table[c].map(_is_number).any()]
    for name in properties:
        if name in (sample_column, group_column):
            raise TableError(f"{path}: {name!r} already names the samples or their source")
        if name not in table.columns:
            found = first_few([repr(c) for c in table.columns], 40)
            raise TableError(f"{path} has no property {name!r}: its columns are {found}")
    if not len(properties):
        raise TableError(
            f"{path} has no column of numbers beside {sample_column!r}: what is to be predicted?"
        )
    values = pd.DataFrame({n: _numbers(table, n, path) for n in properties})
    composition = None
    if elements:
        numbers = {symbol: _numbers(table, c, path, need=True) for symbol, c in elements.items()}
        composition = pd.DataFrame(numbers).set_axis(samples)
    if groups is not None:
        groups = groups.set_axis(samples)
    return PropertyTable(values.set_axis(samples), groups, composition, unit)


def _elements(table, path, given):
    """Columns of elements by symbol, and their unit."""
    if given is not None and given not in UNITS:
        raise TableError(f"composition_unit is {given!r}: expected one of {', '.join(UNITS)}")
    found, units = {}, {}
    for name in table.columns:
        match = re.fullmatch(r"([A-Z][a-z]?)\s*(?:[(\[]\s*(at|wt)\.?\s*%\s*[)\]])?", name)
        if match and match[1] in ELEMENTS:
            found[match[1]] = name
            units[name] = f"{match[2]}.%" if match[2] else given
    silent = [n for n, unit in units.items() if unit is None]
    if silent:
        raise TableError(
            f"{path}: the unit of {first_few(silent)} is not stated: write it in the heading, as "
            f"'{silent[0]} (at.%)', or pass the unit of the composition, at.% or wt.%"
        )
    stated = sorted(set(units.values()))
    if len(stated) > 1 or (given and stated and stated != [given]):
        raise TableError(
            f"{path}: the composition is in {stated}, given {given}: convert to one unit"
        )
    return found, stated[0] if stated else None


def _is_number(cell):
    try:
        return bool(np.isfinite(float(cell)))
    except (TypeError, ValueError, OverflowError):  # text; integers of hundreds of digits
        return False


def _numbers(table, name, path, need=False):
    """A column as floats, NaN where a cell says that there is none."""
    values, wrong = [], []
    for row, cell in table[name].items():
        missing = cell is None or str(cell).strip().casefold() in MISSING
        if isinstance(cell, bool) or not (_is_number(cell) or (missing and not need)):
            wrong.append(f"row {row} ({cell!r})")
        values.append(np.nan if missing else float(cell) if _is_number(cell) else np.nan)
    if wrong:
        raise TableError(
            f"{path}: {name!r} holds no number in {first_few(wrong)}: write numbers with a "
            f"decimal point{'' if need else ', or leave the cell empty'}"
        )
    return values
