"""A user's table of properties: numbers by sample, sources, and a composition with its unit."""

from __future__ import annotations

import math
import re
import warnings
from pathlib import PurePath
from typing import NamedTuple

import pandas as pd

from helpers import UserError
from helpers.extract.tables import column, decimal_points, first_few, heading, loosely, read_table
from helpers.images.folders import SUFFIXES

UNITS = ("at.%", "wt.%")
# Cb is columbium, the old name of niobium.
_SYMBOLS = (
    "H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se "
    "Br Kr Rb Sr Y Zr Nb Cb Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba La Ce Pr Nd Pm Sm Eu Gd "
    "Tb Dy Ho Er Tm Yb Lu Hf Ta W Re Os Ir Pt Au Hg Tl Pb Bi Po At Rn Fr Ra Ac Th Pa U"
)
ELEMENTS = frozenset(_SYMBOLS.split())
# What is left of a unit in a heading without %, points, hyphens and brackets; "" is % alone.
_WORDS = dict.fromkeys(("at", "atom", "atomic"), UNITS[0])
_WORDS |= dict.fromkeys(
    ("wt", "weight", "mass", "gew", "gewichts", "ma", "masse", "massen", "m"), UNITS[1]
)
_WORDS[""] = None
MISSING = {"", "n/a", "na", "nan", "none", "-"}
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?", re.ASCII | re.IGNORECASE)
_BEGUN = re.compile(r"\W*\d")
# A number with a decimal comma, thousands or a sign.
_ALMOST = re.compile(r"[-+]?\d+([.,_ ]\d{3})*([.,]\d+)?\s*%?")
BALANCE = {"bal", "bal.", "balance", "rest"}


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
    UserError
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
    sample_column = heading(table, sample_column, path, "sample_column")
    if group_column is not None:
        group_column = heading(table, group_column, path, "group_column")
    table = _without_units(table, (sample_column, group_column), path)
    samples, groups = _names(table, sample_column, path), None
    twice = samples[samples.duplicated()].unique().tolist()
    if twice:
        raise UserError(f"{path}: samples {first_few(twice)} stand twice: give each one row")
    if group_column is not None:
        groups = _names(table, group_column, path).set_axis(samples)
    keys = {sample_column, group_column}
    properties = properties and [heading(table, name, path, "properties") for name in properties]
    others = [name for name in table.columns if name not in keys | set(properties or ())]
    elements, unit = find_elements(others, path, composition_unit)
    if properties is None:
        rest = [name for name in others if name not in elements.values()]
        properties = [name for name in rest if _means_numbers(table[name])]
    for name in properties:
        if name in keys:
            raise UserError(f"{path}: {name!r} already names the samples or their source")
    if not properties:
        raise UserError(
            f"{path} has no column of numbers beside {sample_column!r}: what is to be predicted?"
        )
    table = decimal_points(table, [*properties, *elements.values()], path)
    values = pd.DataFrame({name: _numbers(table[name], path) for name in properties})
    composition = None
    if elements:
        full = with_balance(table[list(elements.values())])
        cells = {s: _numbers(full[name], path, need=True) for s, name in elements.items()}
        composition = pd.DataFrame(cells).set_axis(samples)
    return PropertyTable(values.set_axis(samples), groups, composition, unit)


def _without_units(table, keys, path):
    """The table without a first row of units; those of elements are put into their headings.

    The row names no sample and no source, and none of its texts begins like a number.
    """
    first = table.iloc[0]
    cells = {name: cell for name, cell in first.items() if _word(cell) not in MISSING}
    texts = [cell for cell in cells.values() if isinstance(cell, str) and not _BEGUN.match(cell)]
    if not cells or len(texts) < len(cells) or set(keys) & set(cells) or len(table) == 1:
        return table
    warnings.warn(
        f"{path}: row {table.index[0]} is taken as units ({first_few(texts)}): it names no sample "
        "and holds no number",
        stacklevel=4,
    )
    units = {name: f"{name} ({cell})" for name, cell in cells.items() if name in ELEMENTS}
    return table.iloc[1:].rename(columns=units)


def _names(table, name, path):
    """A column of names; a source in two spellings would stand on both sides of the folds."""
    names = column(table, name, path)
    alike = names.map(lambda name: " ".join(name.split()).casefold())
    spellings = names.groupby(alike, sort=False).unique()
    twice = [" and ".join(map(repr, same)) for same in spellings if len(same) > 1]
    if twice:
        raise UserError(
            f"{path}: {first_few(twice)} differ in case or spaces alone: write the same "
            "name in one way, and give others another"
        )
    return names


def _word(cell):
    return "" if cell is None else str(cell).strip().casefold()


def _means_numbers(cells):
    """Whether a column holds numbers, or mostly what `_numbers` refuses by name, as ``4,5``."""
    words = [word for word in cells.map(_word) if word not in MISSING]
    almost = sum(bool(_ALMOST.fullmatch(word)) for word in words)
    return cells.map(as_number).notna().any() or 2 * almost > len(words)


def _numbers(cells, path, need=False):
    """A column as floats, NaN where a cell says that there is none."""
    numbers = cells.map(as_number)
    empty = cells.map(_word).isin(MISSING)
    wrong = numbers.isna() & (need | ~empty)
    if wrong.any():
        remedy = "or leave the cell empty"
        if need:
            remedy = (
                "and 'bal.' once a row; or rename the elements, which serve the controls alone"
            )
        shown = cells[wrong].map(lambda cell: repr(None if cell is None else str(cell)))
        there = first_few([f"row {row} ({cell})" for row, cell in shown.items()])
        raise UserError(
            f"{path}: {cells.name!r} holds no number in {there}: write numbers alone, with a "
            f"decimal point and without thousands, {remedy}"
        )
    return numbers


def find_elements(headings, path, given):
    """Columns of elements by symbol, and the unit of all: ``({"Al": "Al (wt.%)"}, "wt.%")``.

    `given` is the unit of those whose headings state none. A `UserError` names headings that
    state none either, are not understood, or contradict one another.
    """
    if given is not None and given not in UNITS:
        raise UserError(f"composition_unit is {given!r}: expected one of {', '.join(UNITS)}")
    found, units, strange = {}, {}, []
    for name in headings:
        symbol, unit, understood = _heading(name)
        if not understood:
            strange.append(repr(name))
        elif symbol in found:
            raise UserError(f"{path}: {found[symbol]!r} and {name!r} both hold {symbol}: keep one")
        elif symbol:
            found[symbol], units[symbol] = name, unit or given
    if strange:
        raise UserError(
            f"{path}: {first_few(strange)} may name an element, but is not understood: write it "
            "as 'Al (at.%)' or 'Al (wt.%)', or give the column another name"
        )
    silent = [symbol for symbol, unit in units.items() if unit is None]
    if silent:
        raise UserError(
            f"{path}: the unit of {first_few(silent)} is not stated: write it in the heading, as "
            f"'{silent[0]} (at.%)', or pass the unit of the composition, at.% or wt.%"
        )
    stated = sorted(set(units.values()))
    if len(stated) > 1 or (given and stated and stated != [given]):
        raise UserError(
            f"{path}: the composition is in {stated}, given {given}: convert to one unit"
        )
    return found, stated[0] if stated else None


def _heading(name):
    """Symbol (or None), unit (or None), and whether a heading is understood.

    ``C wt.%``, ``Mn in Gew.-%``, ``Al [at%]`` and ``wt.% Cr`` are. Others with a percent sign
    that begin like an element are not, nor are symbols in other case, such as ``AL wt.%``.
    """
    behind = re.fullmatch(r"([^%]*%)\W*([A-Z][a-z]?)\W*", name)
    if behind and behind[2] in ELEMENTS and _words(behind[1]) in _WORDS:
        return behind[2], _WORDS[_words(behind[1])], True
    match = re.fullmatch(r"([A-Za-z]{1,2})(?![^\W_])(.*)", name)
    if not match or match[1].capitalize() not in ELEMENTS or (match[2] and "%" not in match[2]):
        return None, None, True
    symbol, words = match[1], _words(match[2])
    if symbol not in ELEMENTS:
        return None, None, not _WORDS.get(words)
    return symbol, _WORDS.get(words), words in _WORDS


def _words(unit):
    found = re.findall(r"[^\W_]+", unit.casefold())
    return "".join(word for word in found if word != "in")


def with_balance(part):
    """Composition cells in which ``bal.`` is what the others of its row leave to 100 %.

    Where it stands once in a row, the others are numbers and leave 0 to 100; else it stays.
    """
    balance = part.map(_word).isin(BALANCE)
    left = 100 - part.where(~balance, 0).map(as_number).sum(axis=1, skipna=False)
    left = left.fillna(0)  # beside a cell without a number: that one is to be told
    usable = (balance.sum(axis=1) == 1) & left.between(0, 100)
    left = left.where(usable).round(9)  # without the noise of binary fractions
    return part.mask(balance.mul(usable, axis=0), left, axis=0)


def as_number(cell):
    """A cell as float; NaN where it holds no finite number, as 1_000, a date or TRUE."""
    if isinstance(cell, bool) or (isinstance(cell, str) and not _NUMBER.fullmatch(cell.strip())):
        return math.nan
    try:
        number = float(cell)
    except (TypeError, ValueError, OverflowError):  # dates; integers of hundreds of digits
        return math.nan
    return number if math.isfinite(number) else math.nan


def likely_pairs(left, right):
    """Names of two lists that may mean the same, as ``"'4' and '004'"``.

    They differ in case, spaces, leading zeros or the ending of an image file alone.
    """
    known = {_loosely(name): name for name in right}
    pairs = [(name, known.get(_loosely(name))) for name in left]
    return [f"{name!r} and {other!r}" for name, other in pairs if other is not None]


def _loosely(name):
    if (path := PurePath(name)).suffix.lower() in SUFFIXES:
        name = path.stem
    return re.sub(r"(?<![\d.])0+(?=\d)", "", loosely(name))
