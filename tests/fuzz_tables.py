"""Tables to damage: good ones, and cells that spreadsheets and people put into them."""

from __future__ import annotations

import csv
import functools
import io
import re
import zipfile

import openpyxl
from fuzz_images import BYTES, PLACE, damaged
from hypothesis import strategies as st

ROWS = [
    ["Image_Name", "Vickers Hardness (GPa)", "Vickers Hardness (HV)", "Ni (at.%)", "Al (at.%)",
     "Note"],
    ["Paper1-1", "4.5", "", "88", "12", "cast"],
    ["Paper1-2", "", "412.5", "87.5", "12.5", ""],
    ["Paper2-1", "4.2", "428.3", "90", "10", "a, b"],
    ["7", "5", "N/a", "90.25", "9.75", 'say "x"'],
]  # fmt: skip
CELLS = [
    "", " ", "0", "-1", "1e308", "1e-308", "5e-324", "1e400", "-0.0", "nan", "NaN", "inf", "-inf",
    "1_000", "0x10", "4,5", "1,234", "1.234", "3/4", "infinity", "# a, b", "#", "sep=;",
    "1,5", "1.234,5", "١٢", "½", "1e5", "+3", " 12 ", "12%", "TRUE", "True",
    "N/a", "-", "none", "#DIV/0!", "#REF!", "#N/A", "=1/0", "=1+1", "=A1", "{=1}", "'1",
    "Paper1-1",
    "Ni", "Ni (at.%)", "Al (wt.%)", "al (at.%)", "Cb", "Image_Name", "IMAGE_NAME", "ni [wt%]",
    "Vickers Hardness (HV)", "\ufeffImage_Name", "a\nb", "a\r\nb", "a\tb", "a;b", '"', '""', "'",
    "e\u0301", "é", "\u200b", "\u202e", "\u00a0", "\U0001f52c", "../../etc/passwd", "con",
    "a/b\\c",
    "x" * 40_000, "9" * 5000, "1" * 400, "2026-01-01", "\x00", "\x0b", "\x1b[31m",
]  # fmt: skip

CELL = st.tuples(st.integers(0, 7), st.integers(0, 8), st.sampled_from(CELLS))
LAYOUT = st.tuples(
    st.sampled_from([",", ",", ",", ",", ";", "\t", "|"]),
    st.sampled_from(
        ["utf-8", "utf-8", "utf-8", "utf-8-sig", "latin-1", "cp1252", "utf-16", "utf-32"]
    ),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.sampled_from(["", "", "sep={delimiter}{end}", "# a, b; c{end}{end}"]),
)
TEXT = st.tuples(st.just("insert"), PLACE, st.sampled_from(CELLS).map(lambda c: c.encode()[:2000]))
KINDS = ["plain", "merged", "hidden", "strict"]
TABLE = {
    "kind": st.sampled_from(KINDS),
    "cells": st.lists(CELL, max_size=3),
    "damage": st.lists(BYTES | TEXT, max_size=2),
}


def table_bytes(suffix, kind, cells, layout, part, damage, rows=ROWS):
    """A table with other `cells` (row, column, text), as a file, its bytes damaged.

    `layout` is (delimiter, encoding, line end, lines above) of a CSV file, `kind` that of a
    workbook. `part` is the member of a workbook
    that is damaged and packed again; None damages the whole file.
    """
    rows = [list(row) for row in rows]
    for row, column, text in cells:
        while len(rows) <= row:
            rows.append([])
        rows[row] += [""] * (column + 1 - len(rows[row]))
        rows[row][column] = text
    if suffix == ".csv":
        delimiter, encoding, end, above = layout
        file = io.StringIO(newline="")
        file.write(above.format(delimiter=delimiter, end=end))
        csv.writer(file, delimiter=delimiter, lineterminator=end).writerows(rows)
        return damaged(file.getvalue().encode(encoding, "replace"), damage)
    content = workbook(tuple(map(tuple, rows)), kind)
    return damaged(content, damage) if part is None else rebuilt(content, part, damage)


@functools.cache
def workbook(rows, kind="plain"):
    """The bytes of an .xlsx file of one of `KINDS`; what is a number is stored as one."""
    book = openpyxl.Workbook()
    for i, row in enumerate(rows, 1):
        for j, text in enumerate(row, 1):
            value = openpyxl.cell.cell.ILLEGAL_CHARACTERS_RE.sub("?", text)[:32_000]
            cell = book.active.cell(i, j)
            cell.value = value or None
            if text.startswith("#"):
                cell.data_type = "e"
            elif _is_number(text):
                cell.value, cell.data_type = text, "n"  # as text of any length
    if kind == "merged":
        book.active.merge_cells("B3:B4")
        book.active.merge_cells("D2:E2")
    if kind == "hidden":
        book.active.row_dimensions[3].hidden = True
        book.active.column_dimensions["C"].hidden = True
    file = io.BytesIO()
    book.save(file)
    return strict(file.getvalue()) if kind == "strict" else file.getvalue()


def strict(content):
    """The workbook as Strict Open XML, which only differs in the names of its namespaces."""
    usual = rb"http://schemas\.openxmlformats\.org/(spreadsheetml|officeDocument)/2006/"
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(file, "w") as new:
        for name in old.namelist():
            new.writestr(name, re.sub(usual, rb"http://purl.oclc.org/ooxml/\1/", old.read(name)))
    return file.getvalue()


def _is_number(text):
    return text.replace(".", "", 1).isascii() and text.replace(".", "", 1).isdigit()


def rebuilt(content, part, change):
    """The workbook with a member changed, and a checksum that says it is as it should be.

    `part` is a name or a number; `change` a function of the bytes, or damage.
    """
    with zipfile.ZipFile(io.BytesIO(content)) as old:
        parts = {name: old.read(name) for name in old.namelist()}
    name = part if isinstance(part, str) else sorted(parts)[part % len(parts)]
    parts[name] = change(parts[name]) if callable(change) else damaged(parts[name], change)
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as new:
        for member, body in parts.items():
            new.writestr(member, body)
    return file.getvalue()
