"""Users' tables, .csv, .xlsx or .parquet, as strings and numbers.

A workbook is read as data: no formula is evaluated, and sizes are bounded before anything is
unpacked, so that a file from elsewhere can be opened without harm.
"""

from __future__ import annotations

import csv
import functools
import io
import re
import unicodedata
import warnings
import zipfile
from pathlib import Path

import openpyxl
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from helpers import UserError

TABLES = (".csv", ".xlsx", ".parquet")

MAX_BYTES = 2**26  # of a file, and of a workbook unpacked: far more than any table of alloys
MAX_ROWS = 100_000
MAX_COLUMNS = 1000
LAST_ROW = 2**20  # that a spreadsheet can have
NO_VALUE = "a formula whose value is not stored"
_ZIP, _OLD_EXCEL = b"PK\x03\x04", bytes.fromhex("d0cf11e0a1b11ae1")


def read_table(path, sheet=None):
    """Any table as strings and numbers: headings of row 1 as columns, empty cells as None.

    Its index counts as a spreadsheet does: the first row below the headings is 2. Of a workbook
    without the name of a `sheet` the first is read, and a warning names it if there are more.
    """
    path = Path(path)
    if path.suffix.lower() == ".parquet":
        table = _parquet(path)
    else:
        headings, *body = read_rows(path, sheet) or [[]]
        headings = ["" if cell is None else " ".join(str(cell).split()) for cell in headings]
        twice = sorted({h for h in headings if h and headings.count(h) > 1})
        if twice:
            raise UserError(
                f"{path}: {first_few(twice)} stands in several columns: keep one of them"
            )
        cells = [[*row, *[None] * len(headings)][: len(headings)] for row in body]
        table = pd.DataFrame(cells, columns=headings, dtype=object)
        table = table.loc[list(map(bool, body)), list(filter(None, headings))]
    table.index += 2
    if not len(table):
        raise UserError(f"{path} holds no row below its headings: write one row a sample")
    return table


def _parquet(path):
    if not path.is_file():
        raise UserError(f"there is no file {path}: check its name")
    try:
        table = pq.read_table(path)
        table.validate(full=True)  # text that is no UTF-8 as well
        table = table.to_pandas().astype(object).reset_index(drop=True)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read as parquet: {error}") from error
    return table.set_axis([str(name) for name in table.columns], axis=1)


def column(table, name, path, form="NFC"):
    """A column of a table as stripped text; a `UserError` names what is there, or empty cells.

    `form` is that of accented letters, see `unicodedata.normalize`. None: as they are stored.
    """
    if name not in table.columns:
        there = first_few([repr(c) for c in table.columns], 40) or "nothing"
        raise UserError(f"{path} has no column {name!r}: row 1 holds {there}")
    values = table[name].map(lambda cell: _text(cell, form))
    empty = [f"row {row}" for row in table.index[values == ""]]
    if empty:
        raise UserError(f"{path}: {name!r} is empty in {first_few(empty)}: fill it in")
    return values


def _text(cell, form):
    """Text of a cell; whole numbers as they are seen in a spreadsheet, without ``.0``."""
    if cell is None or cell != cell:
        return ""
    if isinstance(cell, float) and cell.is_integer():
        cell = int(cell)
    text = str(cell).strip()
    return text if form is None else unicodedata.normalize(form, text)


def read_rows(path, sheet=None):
    """Rows of a .csv file, or of a sheet of an .xlsx workbook; None: the first.

    Row 1 of the spreadsheet comes first, cells as str, int, float, bool or dates; None for an
    empty cell. Rows end with their last cell that is not empty. A formula gives the value that
    was stored with it, or `NO_VALUE`. Numbers of a workbook are as they are seen: 31.2 for
    31.2 %, and the text ``"004"`` in a cell of the format ``000``.

    Raises
    ------
    UserError
        A missing file, another kind of file than its ending says, a damaged one, a .csv that is
        not UTF-8 or separated by semicolons, a sheet that is not there, more than `MAX_ROWS`
        rows.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "table.csv")
    ...     _ = path.write_text("Image_Name,Al (at.%)\\na,5.5,,\\n", encoding="utf-8")
    ...     read_rows(path)
    [['Image_Name', 'Al (at.%)'], ['a', '5.5']]
    """
    path = Path(path)
    kinds = {".xlsx": _xlsx_rows, ".csv": _csv_rows}
    if path.suffix.lower() not in kinds:
        raise UserError(f"{path} ends in {path.suffix!r}: expected a table as .xlsx or .csv")
    try:
        if path.exists() and not path.is_file():  # a pipe or a device may never end
            raise UserError(f"{path} is no file: expected a table")
        with path.open("rb") as file:
            if path.stat().st_size > MAX_BYTES:
                raise UserError(
                    f"{path} has {path.stat().st_size} bytes, more than {MAX_BYTES}: this is no "
                    "table of alloys; save the table alone"
                )
            rows = kinds[path.suffix.lower()](path, file, sheet)
    except FileNotFoundError:
        raise UserError(f"there is no file {path}: check its name and folder") from None
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error}") from error
    except MemoryError as error:
        raise UserError(
            f"{path} takes more memory than there is: this is no table of alloys; save the table "
            "alone"
        ) from error
    while rows and not rows[-1]:
        rows.pop()
    return rows


def _csv_rows(path, file, sheet):
    if sheet is not None:
        raise UserError(f"{path} is text, without sheets, and sheet is {sheet!r}: leave it out")
    content = file.read()
    if content.startswith((_ZIP, _OLD_EXCEL)):
        raise UserError(f"{path} is a spreadsheet, not text: let its name end in .xlsx")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UserError(
            f"{path} is not UTF-8: byte 0x{content[error.start]:02x} in line {line}; save it "
            "again as 'CSV UTF-8'"
        ) from error
    first = re.match(r"\s*([^\r\n]*)", text)[1]
    if ";" in first and "," not in first:  # Excel, where the comma is the decimal sign
        raise UserError(
            f"{path}: row 1 holds semicolons and no comma: separate the values by commas and "
            "write decimal points, or save the table as .xlsx"
        )
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        rows = _bounded(path, ([cell or None for cell in row] for row in reader))
    except csv.Error as error:
        raise UserError(
            f"{path} is not comma-separated text near line {reader.line_num} ({error}): check the "
            "quotes there, or save it again as 'CSV UTF-8'"
        ) from error
    longer = [i for i, row in enumerate(rows, 1) if len(row) > len(rows[0])]
    if longer:  # a decimal comma shifts all cells behind it
        raise UserError(
            f"{path}: row {longer[0]} holds {len(rows[longer[0] - 1])} cells ({len(longer)} such "
            f"rows) but row 1 holds {len(rows[0])} headings: write decimal points, and quote "
            "text that holds a comma"
        )
    return rows


def _xlsx_rows(path, file, sheet):
    if file.read(8) == _OLD_EXCEL:
        raise UserError(
            f"{path} is an .xls workbook or one with a password, whatever its name: save it as "
            ".xlsx without a password"
        )
    try:
        with zipfile.ZipFile(file) as parts:
            size = sum(part.file_size for part in parts.infolist())
            if size > MAX_BYTES:
                raise UserError(
                    f"{path} unpacks to {size} bytes, more than {MAX_BYTES}: this is no table of "
                    "alloys; save the table alone"
                )
            # Reads to the announced size and no further, so that the sum above is true.
            if (damaged := parts.testzip()) is not None:
                raise zipfile.BadZipFile(f"{damaged} is damaged")
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="openpyxl")  # styles that it leaves out
            rows = _sheet(path, file, sheet, data_only=True)
            if any(None in row or len(row) < len(rows[0]) for row in rows[1:] if row):
                _mark_formulas(rows, _sheet(path, file, sheet, data_only=False))
    except (UserError, MemoryError):
        raise
    except Exception as error:  # what is damaged or no workbook makes openpyxl raise anything
        raise UserError(
            f"{path} is not an .xlsx workbook ({type(error).__name__}: {error}): it is damaged, "
            "cut short or another kind of file; save it again as .xlsx, or as .csv in UTF-8"
        ) from error
    return rows


def _sheet(path, file, name, data_only):
    sheets = openpyxl.load_workbook(file, read_only=True, data_only=data_only).worksheets
    if not sheets:
        raise UserError(f"{path} holds no sheet with cells: put the table on the first sheet")
    sheet = next((sheet for sheet in sheets if name in (None, sheet.title)), None)
    if sheet is None:
        titles = ", ".join(repr(sheet.title) for sheet in sheets[:10])
        raise UserError(f"{path} has no sheet {name!r}: its sheets are {titles}")
    if name is None and len(sheets) > 1 and data_only:  # not of the second reading
        warnings.warn(
            f"{path} has {len(sheets)} sheets, and the first, {sheet.title!r}, is read: for "
            "another put it first or save it alone; fit has --sheet",
            stacklevel=5,
        )
    sheet.reset_dimensions()  # what the file states may be wrong, or huge
    return _bounded(path, ([_seen(cell) for cell in row] for row in sheet.iter_rows()))


def _seen(cell):
    """The value of a cell, and of a number what a spreadsheet shows: per cent, leading zeros."""
    value = cell.value
    if type(value) not in (int, float):
        return value
    try:
        percent, digits = _format(cell.number_format)
    except IndexError:  # a style that the workbook does not hold
        return value
    if percent:  # 15 digits: 7, not 7.000000000000001
        return 100 * value if isinstance(value, int) else float(f"{100 * value:.15g}")
    return f"{int(value):0{digits}d}" if digits and value % 1 == 0 else value


@functools.lru_cache
def _format(code):
    """Whether a number format shows per cent, and how many digits one of zeros alone fills."""
    shown = re.sub(r'"[^"]*"|\\.', "", code)  # without text that is only put beside
    return "%" in shown, len(code) if re.fullmatch("0{2,20}", code) else 0


def _bounded(path, cells):
    """The rows without what is empty at their ends; a UserError where there are too many."""
    rows, filled = [], 0
    for row in cells:
        rows.append(_trimmed(row))
        filled += bool(rows[-1])
        if len(rows[-1]) > MAX_COLUMNS:
            excess = f"row {len(rows)} has more than {MAX_COLUMNS} columns"
        elif filled > MAX_ROWS or len(rows) > LAST_ROW:
            excess = f"more than {MAX_ROWS if filled > MAX_ROWS else LAST_ROW} rows"
        else:
            continue
        raise UserError(
            f"{path}: {excess}: expected one row an alloy; delete what is no part of the table"
        )
    return rows


def _mark_formulas(rows, formulas):
    """Where a cell has no value but a formula, say so in its place."""
    for row, formula_row in zip(rows, formulas, strict=True):
        row.extend([None] * (len(formula_row) - len(row)))
        for i, formula in enumerate(formula_row):
            if row[i] is None and formula is not None:
                row[i] = NO_VALUE


def _trimmed(row):
    row = list(row)
    while row and (row[-1] is None or (isinstance(row[-1], str) and not row[-1].strip())):
        row.pop()
    return row


def first_few(items, count=10):
    """The first items, the middle of long ones left out, and how many more there are."""
    more = f" and {len(items) - count} more" if len(items) > count else ""
    texts = map(str, items[:count])
    return ", ".join(t if len(t) <= 300 else f"{t[:200]}...{t[-60:]}" for t in texts) + more
