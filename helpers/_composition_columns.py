"""Columns of a user's table that hold a composition: their headings, and the balance in a row."""

from __future__ import annotations

import math
import re

from helpers.io.table_checks import ELEMENTS, UNITS, first_few
from helpers.io.table_files import TableError

# What is left of a unit in a heading without %, points, hyphens and brackets; "" is % alone.
_WORDS = dict.fromkeys(("at", "atom", "atomic"), UNITS[0])
_WORDS |= dict.fromkeys(
    ("wt", "weight", "mass", "gew", "gewichts", "ma", "masse", "massen", "m"), UNITS[1]
)
_WORDS[""] = None
BALANCE = {"bal", "bal.", "balance", "rest"}


def find_elements(headings, path, given):
    """Columns of elements by symbol, and the unit of all: ``({"Al": "Al (wt.%)"}, "wt.%")``.

    `given` is the unit of those whose headings state none. A `TableError` names headings that
    state none either, are not understood, or contradict one another.
    """
    if given is not None and given not in UNITS:
        raise TableError(f"composition_unit is {given!r}: expected one of {', '.join(UNITS)}")
    found, units, strange = {}, {}, []
    for name in headings:
        symbol, unit, understood = _heading(name)
        if not understood:
            strange.append(repr(name))
        elif symbol in found:
            raise TableError(
                f"{path}: {found[symbol]!r} and {name!r} both hold {symbol}: keep one"
            )
        elif symbol:
            found[symbol], units[symbol] = name, unit or given
    if strange:
        raise TableError(
            f"{path}: {first_few(strange)} may name an element, but is not understood: write it "
            "as 'Al (at.%)' or 'Al (wt.%)', or give the column another name"
        )
    silent = [symbol for symbol, unit in units.items() if unit is None]
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
