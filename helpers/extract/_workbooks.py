"""Cells of a workbook as they are seen: merged ranges filled, hidden rows left out.

Also how many rows of cells any table may have, and how messages name a few of many.
"""

from __future__ import annotations

import functools
import io
import re
import warnings
import zipfile

import openpyxl
from openpyxl.cell.read_only import ReadOnlyCell

# openpyxl's own parser: its read-only sheets keep nothing of what it learns about merged cells and
# hidden rows, and its other sheets make an object of each merged cell, up to the last row.
from openpyxl.worksheet._reader import FORMULA_TAG, WorkSheetParser

from helpers import UserError

MAX_BYTES = 2**26  # of a file, and of a workbook unpacked: far more than any table of alloys
MAX_ROWS = 100_000
MAX_COLUMNS = 1000
LAST_ROW = 2**20  # that a spreadsheet can have
_YES = "1", "true"
# The two kinds of workbooks differ in the names of their namespaces.
_STRICT = re.compile(rb"http://purl\.oclc\.org/ooxml/(\w+)/(\w+)")
_USUAL = rb"http://schemas.openxmlformats.org/\1/2006/\2"


def workbook_rows(path, file, sheet):
    """Rows of a sheet, see `helpers.extract.tables.read_rows`."""
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="openpyxl")  # styles that it leaves out
            book = openpyxl.load_workbook(_unpackable(path, file), read_only=True, data_only=True)
            return _seen_rows(path, _sheet(path, book.worksheets, sheet))
    except UserError:
        raise
    except Exception as error:  # what is damaged or no workbook makes openpyxl raise anything
        raise UserError(
            f"{path} is not an .xlsx workbook ({type(error).__name__}: {error}): it is damaged, "
            "cut short, .xls or has a password; save it as .xlsx without one, or as .csv in UTF-8"
        ) from error


def _unpackable(path, file):
    """The file, once it is known to be whole and small; Strict Open XML as openpyxl knows it."""
    same = io.BytesIO()
    with zipfile.ZipFile(file) as parts, zipfile.ZipFile(same, "w") as new:
        check_bytes(path, sum(part.file_size for part in parts.infolist()))
        # Reads to the announced size and no further, so that the sum above is true.
        if (damaged := parts.testzip()) is not None:
            raise zipfile.BadZipFile(f"{damaged} is damaged")
        for name in set(parts.namelist()):
            new.writestr(name, _STRICT.sub(_USUAL, parts.read(name)))
    return same


def _sheet(path, sheets, name):
    # Those that are shown first: nobody means a hidden one by the first.
    sheets = sorted(sheets, key=lambda sheet: sheet.sheet_state in ("hidden", "veryHidden"))
    if not sheets:
        raise UserError(f"{path} holds no sheet with cells: put the table on the first sheet")
    sheet = next((sheet for sheet in sheets if name in (None, sheet.title)), None)
    if sheet is None:
        titles = first_few([repr(sheet.title) for sheet in sheets])
        raise UserError(f"{path} has no sheet {name!r}: its sheets are {titles}")
    if name is None and len(sheets) > 1:
        warnings.warn(
            f"{path} has {len(sheets)} sheets, and the first that is shown, {sheet.title!r}, is "
            "read: for another put it first or save it alone; fit has --sheet",
            stacklevel=5,
        )
    return sheet


class _Parser(WorkSheetParser):
    """The parser of openpyxl, which refuses a formula that nothing has calculated."""

    def parse_cell(self, element):
        cell = super().parse_cell(element)
        # An empty text, of type str, is a value.
        if (
            cell["value"] is None
            and element.get("t") != "str"
            and element.find(FORMULA_TAG) is not None
        ):
            raise UserError(
                f"{self.path}: the value of the formula in {element.get('r')} is not stored: open "
                "the workbook in Excel or LibreOffice and save it"
            )
        return cell


def _seen_rows(path, sheet):
    book = sheet.parent
    with book._archive.open(sheet._worksheet_path) as source:
        parser = _Parser(
            source, sheet._shared_strings, data_only=True, epoch=book.epoch,
            date_formats=book._date_formats, timedelta_formats=book._timedelta_formats,
        )  # fmt: skip
        parser.path = path
        rows = bounded(path, _parsed(parser, sheet))
    if parser.merged_cells is not None:
        _fill_merged(path, rows, parser.merged_cells.mergeCell)
    _empty_hidden(path, rows, parser.row_dimensions)
    return rows


def _parsed(parser, sheet):
    last = 0
    for number, cells in parser.parse():
        if number <= last:
            raise ValueError(f"row {number} stands below row {last}")
        yield from ([] for _ in range(last + 1, number))
        last = number
        row = {c["column"]: c for c in cells if c["value"] is not None}
        whole = (row.get(i) for i in range(1, max(row, default=0) + 1))
        yield [cell and _seen(ReadOnlyCell(sheet, **cell)) for cell in whole]


def _fill_merged(path, rows, areas):
    """The value of a merged range into every cell of it, in rows that hold anything."""
    width, filled = max(map(len, rows), default=0), 0
    for left, top, right, bottom in (area.bounds for area in areas):
        if left > width or top > len(rows):
            continue
        columns = slice(left - 1, min(right, width))
        merged = rows[top - 1 : bottom]
        filled += len(merged) * (columns.stop - columns.start)
        if filled > MAX_ROWS:  # of a file made to hang us they overlap
            raise UserError(f"{path}: more than {MAX_ROWS} cells are merged: unmerge them")
        value = [*merged[0], *[None] * width][columns.start]
        for row in filter(None, merged):
            row.extend([None] * (columns.stop - len(row)))
            row[columns] = [value] * (columns.stop - columns.start)


def _empty_hidden(path, rows, marked):
    """Empty the rows that are hidden, with a note for those who have forgotten a filter."""
    there = [i for i, row in enumerate(rows, 1) if row]
    hidden = [i for i in there if marked.get(str(i), {}).get("hidden") in _YES]
    for i in hidden:
        rows[i - 1] = []
    if hidden:
        warnings.warn(
            f"{path}: left out: {len(hidden)} hidden rows ({first_few(hidden)}); show them, or "
            "clear the filter, to use them",
            stacklevel=5,
        )


def _seen(cell):
    """The value of a cell, and of a number what a spreadsheet shows: per cent, leading zeros."""
    value = cell.value
    if type(value) not in (int, float):
        return value
    percent, digits = _format(cell.number_format)
    if percent:  # 15 digits: 7, not 7.000000000000001
        return 100 * value if isinstance(value, int) else float(f"{100 * value:.15g}")
    return f"{int(value):0{digits}d}" if digits and value % 1 == 0 else value


@functools.lru_cache
def _format(code):
    """Whether a number format shows per cent, and how many digits one of zeros alone fills."""
    shown = re.sub(r'"[^"]*"|\\.', "", code)  # without text that is only put beside
    return "%" in shown, len(code) if re.fullmatch("0{2,20}", code) else 0


def bounded(path, cells):
    """The rows without what is empty at their ends; a UserError where there are too many."""
    rows, filled = [], 0
    for cells_of_row in cells:
        row = list(cells_of_row)
        while row and (row[-1] is None or (isinstance(row[-1], str) and not row[-1].strip())):
            row.pop()
        rows.append(row)
        filled += bool(row)
        if len(row) > MAX_COLUMNS or filled > MAX_ROWS or len(rows) > LAST_ROW:
            raise UserError(
                f"{path}: row {len(rows)} is beyond {MAX_ROWS} rows with cells or {MAX_COLUMNS} "
                "columns: expected one row an alloy; delete what is no part of the table"
            )
    return rows


def check_bytes(path, size):
    """Raise a UserError where a file, as it is or unpacked, is no table of alloys."""
    if size > MAX_BYTES:
        raise UserError(f"{path} holds {size} bytes, more than {MAX_BYTES}: save the table alone")


def first_few(items, count=10):
    """The first items, the middle of long ones left out, and how many more there are."""
    more = f" and {len(items) - count} more" if len(items) > count else ""
    texts = map(str, items[:count])
    return ", ".join(t if len(t) <= 300 else f"{t[:200]}...{t[-60:]}" for t in texts) + more
