"""Users' tables, .csv, .xlsx or .parquet, as strings and numbers.

A workbook is read as data: no formula is evaluated, and sizes are bounded before anything is
unpacked, so that a file from elsewhere can be opened without harm.
"""

from __future__ import annotations

import codecs
import csv
import io
import itertools
import re
import unicodedata
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from helpers import UserError
from helpers.extract._workbooks import bounded, check_bytes, first_few, workbook_rows

TABLES = (".csv", ".xlsx", ".parquet", ".tsv", ".txt")
SEPARATORS = (",", ";", "\t")

_SIGNED = re.compile(r"[-+]?\d+([.,])\d+(?:e[-+]?\d+)?", re.IGNORECASE)
_THOUSANDS = re.compile(r"[-+]?[1-9]\d{0,2}[.,]\d{3}")  # or three decimals
_EXCEL = b"PK\x03\x04", bytes.fromhex("d0cf11e0a1b11ae1")  # .xlsx, .xls
_COMMENT = re.compile(r'\s*"?#(?: *[^\s,;"]|\s*$)')  # not a heading that is # alone


def read_table(path, sheet=None):
    """Any table as strings and numbers: headings as columns, empty cells as None.

    Headings are the first row that is neither empty nor a comment, ``# ...``. The index counts as
    a spreadsheet does: below headings in row 1 it begins with 2. Of a workbook without the name
    of a `sheet` the first that is shown is read, and a warning names it if there are more.
    """
    path, start = Path(path), 0
    if not path.is_file():  # a pipe or a device may never end
        raise UserError(f"there is no file {path}: check its name and folder")
    check_bytes(path, path.stat().st_size)
    if path.suffix.lower() == ".parquet":
        table = _parquet(path)
    else:
        rows, separator = read_rows(path, sheet)
        start = _heading_row(rows)
        headings, *body = rows[start:] or [[]]
        headings = ["" if cell is None else " ".join(str(cell).split()) for cell in headings]
        twice = sorted({h for h in headings if h and headings.count(h) > 1})
        if twice:
            raise UserError(
                f"{path}: {first_few(twice)} stands in several columns: keep one of them; a "
                "merged cell counts for all its columns"
            )
        cells = [[*row, *[None] * len(headings)][: len(headings)] for row in body]
        table = pd.DataFrame(cells, columns=headings, dtype=object)
        table = table.loc[list(map(bool, body)), list(filter(None, headings))]
        table.attrs["separator"] = separator
    table.index += start + 2
    if not len(table):
        raise UserError(f"{path} holds no row below its headings: write one row a sample")
    return table


def _heading_row(rows):
    """Index of the first row that is neither empty nor a comment."""
    no_headings = (not row or _COMMENT.match(str(row[0])) for row in rows)
    return next((i for i, above in enumerate(no_headings) if not above), 0)


def _parquet(path):
    try:
        table = pq.read_table(path)
        table.validate(full=True)  # text that is no UTF-8 as well
        table = table.to_pandas().astype(object).reset_index(drop=True)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read as parquet: {error}") from error
    return table.set_axis([str(name) for name in table.columns], axis=1)


def heading(table, name, path, option):
    """The heading that `name` means, in any case and spacing, or a `UserError`.

    `option` is the argument that names another one, such as ``sample_column``.
    """
    names = list(table.columns)
    same = [name] if name in names else [n for n in names if loosely(n) == loosely(name)]
    if len(same) == 1:
        return same[0]
    if same:
        raise UserError(
            f"{path}: {first_few(list(map(repr, same)))} differ in case or spaces alone: rename "
            "what is no such column"
        )
    there = first_few(list(map(repr, names)), 40) or "nothing"
    raise UserError(
        f"{path} has no column {name!r}, its headings are {there}: name it by {option}=HEADING"
    )


def loosely(name):
    """A heading without case and spaces."""
    return "".join(name.split()).casefold()


def column(table, name, path, form="NFC"):
    """A column of a table as stripped text; a `UserError` names empty cells.

    `form` is that of accented letters, see `unicodedata.normalize`. None: as they are stored.
    """
    values = table[name].map(lambda cell: _text(cell, form))
    empty = [f"row {row}" for row in table.index[values == ""]]
    if empty:
        raise UserError(
            f"{path}: {name!r} is empty in {first_few(empty)}: fill it in, or delete what is no "
            "row of the table, such as units"
        )
    return values


def _text(cell, form):
    """Text of a cell; whole numbers as they are seen in a spreadsheet, without ``.0``."""
    if cell is None or cell != cell:
        return ""
    if isinstance(cell, float) and cell.is_integer():
        cell = int(cell)
    text = str(cell).strip()
    return text if form is None else unicodedata.normalize(form, text)


def decimal_points(table, columns, path):
    """The table with numbers in `columns` that are written as 4,5 as 4.5.

    This holds for text whose cells are separated by no comma. Its decimal sign is the one that
    stands where thousands have none, as in 4,5; 1,234 is refused where nothing tells.
    """
    if table.attrs.get("separator") in (None, ","):
        return table
    cells = [(row, name, cell) for name in columns for row, cell in table[name].items() if cell]
    matches = [(row, name, _SIGNED.fullmatch(str(cell).strip())) for row, name, cell in cells]
    found = [(row, name, match) for row, name, match in matches if match]
    sure = {match[1] for *_, match in found if not _THOUSANDS.fullmatch(match[0])}
    unclear = [f"row {row}, {name!r} ({m[0]!r})" for row, name, m in found if sure != {m[1]}]
    if unclear:
        raise UserError(
            f"{path}: the comma or point in {first_few(unclear)} may be a decimal sign or one of "
            "thousands: write no thousands and one decimal sign, or save the table as .xlsx"
        )
    for row, name, match in found:
        table.at[row, name] = match[0].replace(",", ".")
    return table


def read_rows(path, sheet=None):
    """Rows of a .csv file, or of a sheet of an .xlsx workbook (None: the first that is shown), and
    what separates the cells of text, None of a workbook.

    Row 1 of the spreadsheet comes first, cells as str, int, float, bool or dates; None for an
    empty cell. Rows end with their last cell that is not empty. Text may be separated by commas,
    semicolons or tabs, or as its first line ``sep=;`` says, which does not count; comments above
    the headings, ``# ...``, are empty rows.

    Of a workbook, numbers are as they are seen: 31.2 for 31.2 %, and the text ``"004"`` in a cell
    of the format ``000``. A merged range has its value in every cell of it; hidden rows are empty,
    and a warning names them. A formula gives the value that was stored with it.

    Raises
    ------
    UserError
        Another kind of file than its ending says, a damaged one, a .csv that is neither UTF-8 nor
        Excel's Unicode text, or whose separator is not clear; a sheet that is not there, formulas
        without a value, more than `MAX_ROWS` rows.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "table.csv")
    ...     _ = path.write_text("Image_Name,Al (at.%)\\na,5.5,,\\n", encoding="utf-8")
    ...     read_rows(path)[0]
    [['Image_Name', 'Al (at.%)'], ['a', '5.5']]
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix == ".parquet" or suffix not in TABLES:
        raise UserError(f"{path} ends in {path.suffix!r}: expected a table as .xlsx or .csv")
    try:
        with path.open("rb") as file:
            if suffix == ".xlsx":
                rows, separator = workbook_rows(path, file, sheet), None
            else:
                rows, separator = _text_rows(path, file, sheet)
    except MemoryError as error:
        raise UserError(
            f"{path} takes more memory than there is: this is no table of alloys; save the table "
            "alone"
        ) from error
    while rows and not rows[-1]:
        rows.pop()
    return rows, separator


def _text_rows(path, file, sheet):
    if sheet is not None:
        raise UserError(f"{path} is text, without sheets, and sheet is {sheet!r}: leave it out")
    text = _decoded(path, file.read())
    stated = re.match(r"sep=([,;\t|])[^\S\r\n]*(?:\r\n|\r|\n)", text, re.IGNORECASE)
    text = text[stated.end() :] if stated else text  # Excel does not show or count that line
    reader = _reader(text, ",")
    try:
        separator = stated[1] if stated else _separator(path, text)
        reader = _reader(text, separator, strict=True)
        rows = bounded(path, ([cell or None for cell in row] for row in reader))
    except csv.Error as error:
        raise UserError(
            f"{path} is not comma-separated text near line {reader.line_num} ({error}): check the "
            "quotes there, or save it again as 'CSV UTF-8'"
        ) from error
    start = _heading_row(rows)
    for i, row in enumerate(rows[start:], start + 1):
        if len(row) > (most := len(rows[start])):  # a decimal comma shifts all cells behind it
            raise UserError(
                f"{path}: row {i} holds {len(row)} cells but row {start + 1} holds {most} "
                f"headings: write decimal points, and quote text that holds {separator!r}"
            )
    return rows, separator


def _decoded(path, content):
    if content.startswith(_EXCEL):
        raise UserError(f"{path} is a spreadsheet, not text: let its name end in .xlsx")
    marks = codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE  # of Excel's Unicode text, not of UTF-32
    wide = content.startswith(marks) and content[2:4] != b"\0\0"
    try:
        return content.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UserError(
            f"{path} is not UTF-8: byte 0x{content[error.start]:02x} in line {line}; save it "
            "again as 'CSV UTF-8'"
        ) from error


def _reader(text, separator, strict=False):
    return csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=strict)


def _separator(path, text):
    """The sign that divides the headings, and each of many rows below into no more cells."""
    widths = {}
    for sign in SEPARATORS:
        first = itertools.islice(_reader(text, sign), 1000)
        rows = [row for row in first if any(map(str.strip, row))]
        widths[sign] = list(map(len, rows[_heading_row(rows) :])) or [0]
    fitting = [sign for sign, n in widths.items() if min(n) > 1 and max(n) == n[0]]
    if len(fitting) > 1:
        raise UserError(
            f"{path}: each of {fitting} may separate its cells: say which by a first line such as "
            "sep=; or save the table as .xlsx"
        )
    return fitting[0] if fitting else max(SEPARATORS, key=lambda sign: widths[sign][0])
