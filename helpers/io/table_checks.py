"""Checks of an alloy table's headings and cells; every problem is told with its place."""

from __future__ import annotations

import collections
import math
import re
import reprlib
from typing import NamedTuple

import numpy as np
from openpyxl.utils import get_column_letter

from helpers import UserError
from helpers.io.table_files import NO_VALUE

KGF_PER_MM2 = 1000 / 9.80665  # in one GPa
UNITS = ("at.%", "wt.%")
NOT_STATED = "not stated"
NAME, GPA, HV = "Image_Name", "Vickers Hardness (GPa)", "Vickers Hardness (HV)"
TOLERANCE = 0.02  # relative, between two hardness values of one row
# Cb is columbium, the old name of niobium.
_SYMBOLS = (
    "H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se "
    "Br Kr Rb Sr Y Zr Nb Cb Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba La Ce Pr Nd Pm Sm Eu Gd "
    "Tb Dy Ho Er Tm Yb Lu Hf Ta W Re Os Ir Pt Au Hg Tl Pb Bi Po At Rn Fr Ra Ac Th Pa U"
)
ELEMENTS = frozenset(_SYMBOLS.split())
_MISSING = {"", "n/a", "na", "nan", "none", "-"}
_UNIT_NAMES = {"at%": "at.%", "atomic%": "at.%", "wt%": "wt.%", "weight%": "wt.%"}
# What is wrong with cells, and what to do about it, in the order of the report.
REMEDIES = {
    "no image name": "write the name of the image file, without its ending",
    "an image name that stands twice": "give every image one row and a name of its own",
    "no hardness": f"fill in {GPA!r} or {HV!r}, or delete the row",
    "hardness that is no positive number": "write a positive number with a decimal point",
    "two hardness values that contradict each other": "correct one of them, or leave one empty",
    "an empty composition cell": "write 0 where the alloy holds none of the element",
    "composition that is no number from 0 on": "write a number with a decimal point",
}


_brief = reprlib.Repr()
_brief.maxstring = _brief.maxother = _brief.maxlong = 60
shown = _brief.repr  # a cell in a message; there are some that would fill pages


class Columns(NamedTuple):
    """Where the columns stand, counted from 0; None: there is none."""

    name: int
    gpa: int | None
    hv: int | None
    elements: dict  # symbol -> column
    units: dict  # symbol -> unit in its heading, or None
    headers: list


def find_columns(path, header_row, need_composition):
    """Find the columns by their headings, or raise a `UserError` that names these."""
    headers = ["" if cell is None else " ".join(str(cell).split()) for cell in header_row]
    known = {name.casefold(): name for name in (NAME, GPA, HV)}
    place, units, same, problems = {}, {}, collections.defaultdict(list), []
    for i, header in enumerate(headers):
        if not header:
            continue
        place_of = f"column {get_column_letter(i + 1)} ({shown(header)})"
        key = known.get(header.casefold(), header.casefold())
        match = re.fullmatch(r"([A-Za-z]{1,2})\s*(?:[(\[](.*)[)\]])?", header)
        if match and match[1].capitalize() in ELEMENTS:
            key = match[1].capitalize()
            units[key] = _UNIT_NAMES.get(_plain(match[2] or ""))
            if match[1] != key:
                problems.append(f"{place_of}: write {key} if it is that element, else rename it")
            elif match[2] is not None and units[key] is None:
                problems.append(f"{place_of}: {shown(match[2])} is no unit: expected at.% or wt.%")
        same[key].append(place_of)
        place[key] = i
    problems += [f"{' and '.join(c[:10])}: keep one of them" for c in same.values() if len(c) > 1]
    missing = [] if NAME in place else [repr(NAME)]
    if GPA not in place and HV not in place:
        missing.append(f"{GPA!r} or {HV!r}")
    if need_composition and not units:
        missing.append("an element, such as 'Al (at.%)' (or pass need_composition=False)")
    if missing:
        found = first_few([shown(header) for header in headers if header], 30) or "nothing"
        problems.append(f"there is no column {', none '.join(missing)}: row 1 holds {found}")
        if len(headers) == 1 and re.search(r"[;\t]", headers[0]):
            problems.append("separate the values by commas")
    if problems:
        raise UserError(f"{path}: " + "; ".join(problems))
    elements = {symbol: place[symbol] for symbol in units}
    return Columns(place[NAME], place.get(GPA), place.get(HV), elements, units, headers)


def _plain(unit):
    return re.sub(r"[\s.]", "", unit).lower()


def find_unit(path, columns, argument):
    """The unit of the composition, from the headings or the argument, or a `UserError`."""
    stated = argument
    if argument is not None and argument != NOT_STATED:
        stated = _UNIT_NAMES.get(_plain(str(argument)))
        if stated is None:
            raise UserError(
                f"composition_unit is {argument!r}: expected one of {', '.join(map(repr, UNITS))}"
                f", or {NOT_STATED!r} for a table that states none"
            )
    in_headers = collections.defaultdict(list)
    for symbol, unit in columns.units.items():
        in_headers[unit].append(symbol)
    without = in_headers.pop(None, [])
    said = "; ".join(f"{unit}: {first_few(symbols)}" for unit, symbols in in_headers.items())
    if len(in_headers) > 1:
        raise UserError(f"{path}: the headings state several units ({said}): convert to one")
    if in_headers and stated is not None and stated not in in_headers:
        raise UserError(
            f"{path}: the headings state {said}, but composition_unit is {argument!r}: "
            "leave that out, or correct the headings"
        )
    if without and stated is None:
        raise UserError(
            f"{path}: the unit of the composition is not stated for {first_few(without)}: write "
            "it in the headings, as 'Al (at.%)', or pass composition_unit='at.%' or 'wt.%'"
        )
    return next(iter(in_headers), stated or NOT_STATED)


def extra_columns(body, columns):
    """Headings of the other columns; their letters where they hold values under no heading."""
    used = {columns.name, columns.gpa, columns.hv, *columns.elements.values()}
    others = [i for i in range(max(map(len, body.values()))) if i not in used]
    headers = dict(enumerate(columns.headers))
    filled = [i for i in others if headers.get(i) or any(r[i:] and r[i] for r in body.values())]
    return [headers.get(i) or f"column {get_column_letter(i + 1)}" for i in filled]


def read_names(body, columns, problems):
    """Names of the images; what is wrong with them is added to `problems`."""
    first = {}
    for number, row in body.items():
        value = row[columns.name]
        if isinstance(value, float) and value.is_integer():
            value = int(value)  # spreadsheets keep 7 as 7.0
        name = "" if value is None or value == NO_VALUE else str(value).strip()
        if not name:
            problems["no image name"].append(_cell(number, row, columns.name, columns))
        elif name in first:
            kind = "an image name that stands twice"
            problems[kind].append(f"row {number}: {shown(name)}, as in row {first[name]}")
        first.setdefault(name, number)
    return list(first)


def read_hardness(body, columns, problems):
    """Hardness [kgf/mm2] and whether it was converted, both (n,); adds to `problems`."""
    hardness, converted = [], []
    for number, row in body.items():
        found = {}
        cells = [(c, f) for c, f in ((columns.hv, 1), (columns.gpa, KGF_PER_MM2)) if c is not None]
        given = [(c, f) for c, f in cells if not _is_missing(row[c])]
        for column, factor in given:
            value = _number(row[column])
            if 0 < value < math.inf:
                found[column] = factor * value
            else:
                kind = "hardness that is no positive number"
                problems[kind].append(_cell(number, row, column, columns))
        if not given:
            problems["no hardness"].append(f"row {number} ({label(row[columns.name])})")
        elif (
            len(found) == 2
            and abs(math.log(found[columns.hv]) - math.log(found[columns.gpa])) > TOLERANCE
        ):
            converted_hv = label(format(found[columns.gpa], ".1f"))
            problems["two hardness values that contradict each other"].append(
                f"row {number} ({label(row[columns.name])}): {label(row[columns.gpa])} GPa is "
                f"{converted_hv} kgf/mm2, not {label(row[columns.hv])}"
            )
        hardness.append(next(iter(found.values()), math.nan))
        converted.append(columns.hv not in found)
    return np.array(hardness), np.array(converted)


def read_composition(body, columns, problems):
    """Composition (n, n_elements); adds to `problems`."""
    values = np.empty((len(body), len(columns.elements)))
    for i, (number, row) in enumerate(body.items()):
        for j, column in enumerate(columns.elements.values()):
            cell = row[column]
            values[i, j] = _number(cell)
            if not 0 <= values[i, j] < math.inf:
                empty = cell is None or not str(cell).strip()
                kind = "composition that is no number from 0 on"
                kind = "an empty composition cell" if empty else kind
                problems[kind].append(_cell(number, row, column, columns))
    return values


def _number(cell):
    """The cell as float; NaN where it is no number."""
    if isinstance(cell, bool) or not isinstance(cell, int | float | str) or "_" in str(cell):
        return math.nan
    try:
        return float(cell)
    except (ValueError, OverflowError):
        return math.nan


def _is_missing(cell):
    return cell is None or str(cell).strip().lower() in _MISSING


def _cell(number, row, column, columns):
    place = (
        f"row {number}, column {get_column_letter(column + 1)} ({shown(columns.headers[column])})"
    )
    return f"{place} holds {'nothing' if row[column] is None else shown(row[column])}"


def label(cell):
    """A cell in a message, without quotes."""
    return shown(str(cell))[1:-1]


def first_few(items, count=10):
    """The first items, the middle of long ones left out, and how many more there are."""
    more = f" and {len(items) - count} more" if len(items) > count else ""
    texts = map(str, items[:count])
    return ", ".join(t if len(t) <= 300 else f"{t[:200]}...{t[-60:]}" for t in texts) + more
