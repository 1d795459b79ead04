"""A user's table of properties: numbers by sample, sources, and a composition with its unit."""

from __future__ import annotations

import re
from typing import NamedTuple

import numpy as np
import pandas as pd

from helpers._composition_columns import as_number, find_elements, with_balance
from helpers._names import spelled_twice
from helpers.extract.image_lists import column, read_table
from helpers.io.table_checks import first_few
from helpers.io.table_files import TableError

MISSING = {"", "n/a", "na", "nan", "none", "-"}
_ALMOST = re.compile(r"[-+]?\d+([.,]\d+)?\s*%?")  # a number with a decimal comma or a sign


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
        Name of each sample; its source, such as a heat, a laboratory or a paper. Names that
        differ in case or spaces alone, as ``H01`` and ``h01``, are refused.
    composition_unit : {"at.%", "wt.%"}, optional
        Unit of columns that are called like an element. None: their headings state it, as
        ``Al (at.%)``, ``Al wt%``, ``Al in Gew.-%`` or ``mass% Al``. A cell ``bal.``, ``balance``
        or ``rest`` is what the other elements of its row leave to 100.
    sheet : str, optional
        Of an .xlsx workbook. None: the first.

    Returns
    -------
    PropertyTable

    Raises
    ------
    TableError
        A column that is missing, empty or holds no numbers; a sample that stands twice, or a
        name in two spellings; elements without a unit, or a heading that may be one. The cells
        are named.

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
    _refuse_spellings(path, samples, groups)
    asked = {sample_column, group_column, *(properties or ())}
    elements, unit = find_elements(
        [c for c in table.columns if c not in asked], path, composition_unit
    )
    taken = {sample_column, group_column, *elements.values()}
    if properties is None:
        rest = [c for c in table.columns if c not in taken]
        properties = [c for c in rest if _means_numbers(table[c])]
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
        composition = _composition(table, elements, path).set_axis(samples)
    if groups is not None:
        groups = groups.set_axis(samples)
    return PropertyTable(values.set_axis(samples), groups, composition, unit)


def _refuse_spellings(path, *columns):
    """A source that is spelled in two ways would stand on both sides of the folds."""
    for names in columns:
        if names is not None and (twice := spelled_twice(names)):
            raise TableError(
                f"{path}: {first_few(twice)} differ in case or spaces alone: write the same "
                "name in one way, and give others another"
            )


def _composition(table, elements, path):
    full = with_balance(table[list(elements.values())])
    return pd.DataFrame({s: _numbers(full, c, path, need=True) for s, c in elements.items()})


def _means_numbers(cells):
    """Whether a column holds numbers, or mostly what `_numbers` refuses by name, as ``4,5``."""
    texts = [text for text in cells.map(_stripped) if text.casefold() not in MISSING]
    almost = sum(bool(_ALMOST.fullmatch(text)) for text in texts)
    return cells.map(_is_number).any() or 2 * almost > len(texts)


def _stripped(cell):
    return "" if cell is None else str(cell).strip()


def _is_number(cell):
    return not np.isnan(as_number(cell))


def _numbers(table, name, path, need=False):
    """A column as floats, NaN where a cell says that there is none."""
    values, wrong = [], []
    for row, cell in table[name].items():
        missing = _stripped(cell).casefold() in MISSING
        if isinstance(cell, bool) or not (_is_number(cell) or (missing and not need)):
            wrong.append(f"row {row} ({cell!r})")
        values.append(np.nan if missing else as_number(cell))
    if wrong:
        remedy = ", or leave the cell empty"
        if need:
            remedy = (
                ", and 'bal.' once a row where the other elements leave 0 to 100; or leave the "
                "columns of elements out of the table, or rename them: they serve the controls "
                "alone"
            )
        raise TableError(
            f"{path}: {name!r} holds no number in {first_few(wrong)}: write numbers alone, with a "
            f"decimal point{remedy}"
        )
    return values
