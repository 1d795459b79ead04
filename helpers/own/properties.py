"""A user's table of properties: numbers by sample, sources, and a composition with its unit."""

from __future__ import annotations

import collections
import math
import re
import unicodedata
from pathlib import PurePath
from typing import NamedTuple

import numpy as np
import pandas as pd

from helpers import UserError
from helpers.extract.tables import column, first_few, read_table
from helpers.images.read import SUFFIXES

UNITS = ("at.%", "wt.%")
# Cb is columbium, the old name of niobium.
_SYMBOLS = (
    "H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se "
    "Br Kr Rb Sr Y Zr Nb Cb Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba La Ce Pr Nd Pm Sm Eu Gd "
    "Tb Dy Ho Er Tm Yb Lu Hf Ta W Re Os Ir Pt Au Hg Tl Pb Bi Po At Rn Fr Ra Ac Th Pa U"
)
ELEMENTS = frozenset(_SYMBOLS.split())
MISSING = {"", "n/a", "na", "nan", "none", "-"}
_ALMOST = re.compile(r"[-+]?\d+([.,]\d+)?\s*%?")  # a number with a decimal comma or a sign
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
    samples = column(table, sample_column, path)
    twice = samples[samples.duplicated()].unique().tolist()
    if twice:
        raise UserError(f"{path}: samples {first_few(twice)} stand twice: give each one row")
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
            raise UserError(f"{path}: {name!r} already names the samples or their source")
        if name not in table.columns:
            found = first_few([repr(c) for c in table.columns], 40)
            raise UserError(f"{path} has no property {name!r}: its columns are {found}")
    if not len(properties):
        raise UserError(
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
            raise UserError(
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
        raise UserError(
            f"{path}: {name!r} holds no number in {first_few(wrong)}: write numbers alone, with a "
            f"decimal point{remedy}"
        )
    return values


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
    balance = part.map(lambda cell: str(cell).strip().casefold() in BALANCE)
    left = 100 - part.where(~balance, 0).map(as_number).sum(axis=1, skipna=False)
    left = left.fillna(0)  # beside a cell without a number: that one is to be told
    usable = (balance.sum(axis=1) == 1) & left.between(0, 100)
    part = part.copy()
    for name in part.columns:
        rows = balance[name] & usable
        part.loc[rows, name] = left[rows].round(9)  # without the noise of binary fractions
    return part


def as_number(cell):
    """A cell as float; NaN where it holds no finite number."""
    try:
        number = float(cell)
    except (TypeError, ValueError, OverflowError):  # text; integers of hundreds of digits
        return math.nan
    return number if math.isfinite(number) else math.nan


def spelled_twice(names):
    """Names that differ in case and spaces alone, as ``"'H01' and 'h01'"``.

    Examples
    --------
    >>> spelled_twice(["H01", "H02", "h01"])
    ["'H01' and 'h01'"]
    """
    found = collections.defaultdict(dict)
    for name in names:
        found[" ".join(name.split()).casefold()][name] = None
    return [" and ".join(map(repr, same)) for same in found.values() if len(same) > 1]


def likely_pairs(left, right):
    """Names of two lists that may mean the same, as ``"'4' and '004'"``.

    They differ in case, spaces, leading zeros, accents or the ending of an image file alone.

    Examples
    --------
    >>> likely_pairs(["4", "b"], ["004", "B.tif", "c"])
    ["'4' and '004'", "'b' and 'B.tif'"]
    """
    known = {_loosely(name): name for name in right}
    keys = {name: _loosely(name) for name in left}
    return [f"{name!r} and {known[key]!r}" for name, key in keys.items() if key in known]


def _loosely(name):
    if (path := PurePath(name)).suffix.lower() in SUFFIXES:
        name = path.stem
    letters = (c for c in unicodedata.normalize("NFKD", name) if not unicodedata.combining(c))
    return re.sub(r"(?<![\d.])0+(?=\d)", "", " ".join("".join(letters).split()).casefold())


# What is left of a unit in a heading without %, points, hyphens and brackets; "" is % alone.
_WORDS = dict.fromkeys(("at", "atom", "atomic"), UNITS[0])
_WORDS |= dict.fromkeys(
    ("wt", "weight", "mass", "gew", "gewichts", "ma", "masse", "massen", "m"), UNITS[1]
)
_WORDS[""] = None
