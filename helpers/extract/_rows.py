"""Rows of cells: how many a table may have, and how messages name a few of many."""

from __future__ import annotations

from helpers import UserError

MAX_BYTES = 2**26  # of a file, and of a workbook unpacked: far more than any table of alloys
MAX_ROWS = 100_000
MAX_COLUMNS = 1000
LAST_ROW = 2**20  # that a spreadsheet can have


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
