"""helpers.extract.tables: the files that users' tables come in, and each bad one."""

import doctest
import io
import re
import time
import zipfile

import numpy as np
import openpyxl
import pandas as pd
import pytest

from helpers import UserError
from helpers.extract import _workbooks, tables
from helpers.extract.tables import first_few

HEADER = ["sample", "hardness", "Ni (at.%)"]
ROWS = [["a", 4.5, 90], ["b", 400, 80.5], ["c", 4, 100]]


def write(path, rows):
    """Write rows as the kind of table that the name asks for."""
    if path.suffix == ".csv":
        pd.DataFrame(rows).to_csv(path, index=False, header=False)
        return path
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    book.save(path)
    return path


def read_rows(path):
    return tables.read_rows(path)[0]


@pytest.fixture(params=[".xlsx", ".csv"])
def path(request, tmp_path):
    return tmp_path / f"alloys{request.param}"


def error_of(path, rows=None):
    if rows is not None:
        write(path, rows)
    with pytest.raises(UserError) as error:
        tables.read_table(path)
    assert str(path) in str(error.value)
    return str(error.value)


def test_examples_in_docstrings():
    assert doctest.testmod(tables).failed == 0


def test_a_good_table(path):
    found = read_rows(write(path, [HEADER, *ROWS]))
    assert found[0] == HEADER
    assert [[name, *map(float, numbers)] for name, *numbers in found[1:]] == ROWS


def test_empty_rows_count_and_those_at_the_end_go(path):
    rows = read_rows(write(path, [HEADER, ROWS[0], [None] * 3, [" "] * 3, ROWS[1], [None] * 3]))
    assert [bool(row) for row in rows] == [True, True, False, False, True]


def test_a_byte_order_mark_is_no_part_of_the_heading(tmp_path):
    (tmp_path / "a.csv").write_text("\ufeffsample,h\n a ,1\n", encoding="utf-8")
    assert read_rows(tmp_path / "a.csv")[0] == ["sample", "h"]


# Files


def test_a_missing_file_another_ending_and_a_folder(tmp_path):
    assert "there is no file" in error_of(tmp_path / "a.csv")
    (tmp_path / "a.ods").write_bytes(b"x")
    assert "ends in '.ods': expected a table as .xlsx or .csv" in error_of(tmp_path / "a.ods")
    (tmp_path / "b.csv").mkdir()
    assert "there is no file" in error_of(tmp_path / "b.csv")


def workbook():
    file = io.BytesIO()
    book = openpyxl.Workbook()
    for row in [HEADER, *ROWS]:
        book.active.append(row)
    book.save(file)
    return file.getvalue()


@pytest.mark.parametrize(
    "content, message",
    [
        (b"", "not an .xlsx workbook"),
        (b"Image_Name,Al\na,1\n", r"not an .xlsx workbook \(BadZipFile.*save it as .xlsx"),
        (b"\x00\xff" * 5000, "not an .xlsx workbook"),
        (
            bytes.fromhex("d0cf11e0a1b11ae1") + bytes(600),
            r"not an .xlsx workbook \(BadZipFile.*, .xls or has a password; save it",
        ),
    ],
)
def test_what_is_no_workbook_is_told(tmp_path, content, message):
    (tmp_path / "a.xlsx").write_bytes(content)
    assert re.search(message, error_of(tmp_path / "a.xlsx"))


def test_a_workbook_that_is_cut_short_or_damaged_is_told(tmp_path):
    content, path = workbook(), tmp_path / "a.xlsx"
    for length in range(0, len(content), 97):
        path.write_bytes(content[:length])
        assert "not an .xlsx workbook" in error_of(path)
    rng, told = np.random.default_rng(0), 0
    for _ in range(60):
        damaged = bytearray(content)
        damaged[rng.integers(len(content))] ^= 1 << rng.integers(8)
        path.write_bytes(damaged)
        try:  # a changed date of a member does no harm, but nothing else may be raised
            assert [row[0] for row in read_rows(path)[1:]] == ["a", "b", "c"]
        except UserError:
            told += 1
    assert told > 30


def test_a_zip_archive_that_is_no_workbook_is_told(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.xlsx", "w") as file:
        file.writestr("a.txt", "text")
    assert re.search(r"not an .xlsx workbook \(KeyError", error_of(tmp_path / "a.xlsx"))


def replace_member(path, name, new):
    """Write the good workbook with another content of one member."""
    with zipfile.ZipFile(io.BytesIO(workbook())) as old:
        parts = {n: old.read(n) for n in old.namelist()}
    parts[name] = new(parts[name]) if callable(new) else new
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for member, content in parts.items():
            file.writestr(member, content)
    return path


SHEET = "xl/worksheets/sheet1.xml"


def test_a_zip_bomb_is_refused_before_it_is_unpacked(tmp_path):
    path = replace_member(tmp_path / "a.xlsx", SHEET, bytes(100_000_000))
    started = time.perf_counter()
    assert re.search(r"holds 1000\d+ bytes, more than", error_of(path))
    assert time.perf_counter() - started < 1


def test_a_zip_bomb_with_a_false_size_is_refused(tmp_path):
    path = replace_member(tmp_path / "a.xlsx", SHEET, bytes(100_000_000))
    size = (100_000_000).to_bytes(4, "little")
    assert path.read_bytes().count(size) == 2  # in both headers of the member
    path.write_bytes(path.read_bytes().replace(size, (1000).to_bytes(4, "little")))
    started = time.perf_counter()
    assert "not an .xlsx workbook (BadZipFile" in error_of(path)
    assert time.perf_counter() - started < 1


def test_entities_that_expand_without_end_are_refused(tmp_path):
    levels = "".join(f'<!ENTITY e{i} "{f"&e{i - 1};" * 10}">' for i in range(1, 12))
    start = f'<!DOCTYPE x [<!ENTITY e0 "lol">{levels}]>'.encode()

    def expanding(xml):
        xml = re.sub(rb"^<\?xml[^>]*>", b"", xml)
        return start + re.sub(rb"<dimension", b"<note>&e11;</note><dimension", xml)

    started = time.perf_counter()
    assert "not an .xlsx workbook" in error_of(
        replace_member(tmp_path / "a.xlsx", SHEET, expanding)
    )
    assert time.perf_counter() - started < 5


def test_a_giant_dimension_and_far_cells_do_not_hang(tmp_path):
    def huge(xml):
        return re.sub(rb'<dimension ref="[^"]*"', b'<dimension ref="A1:XFD1048576"', xml)

    path = replace_member(tmp_path / "a.xlsx", SHEET, huge)
    assert b"XFD1048576" in zipfile.ZipFile(path).read(SHEET)
    assert [row[0] for row in read_rows(path)[1:]] == ["a", "b", "c"]

    def far(xml):
        return xml.replace(b"</sheetData>", b'<row r="999999999"></row></sheetData>')

    assert "row 1048577 is beyond" in error_of(replace_member(path, SHEET, far))
    told = error_of(path, [HEADER, ["a", 4, 50, *[None] * 1200, 1]])
    assert "row 2 is beyond 100000 rows with cells or 1000 columns" in told


def test_more_rows_than_any_table_of_alloys_has(tmp_path, monkeypatch, path):
    monkeypatch.setattr(_workbooks, "MAX_ROWS", 3)
    assert "row 4 is beyond 3 rows with cells" in error_of(path, [HEADER, *ROWS])
    monkeypatch.setattr(_workbooks, "MAX_BYTES", 10)
    assert "more than 10: save the table alone" in error_of(path)


def test_rows_that_are_too_wide_or_too_many_are_not_all_read(tmp_path, monkeypatch):
    rows = b"".join(b'<row><c r="XFD%d"><v>1</v></c></row>' % i for i in range(5, 200_000))

    def wide(xml):
        return xml.replace(b"</sheetData>", rows + b"</sheetData>")

    path = replace_member(tmp_path / "a.xlsx", SHEET, wide)
    started = time.perf_counter()  # all of them would take 26 GB
    assert "row 5 is beyond" in error_of(path)
    assert time.perf_counter() - started < 10
    monkeypatch.setattr(_workbooks, "LAST_ROW", 5)
    path = tmp_path / "a.csv"
    path.write_text("Image_Name\n" + 6 * "\n", encoding="utf-8")
    assert "row 6 is beyond" in error_of(path)


def test_formulas_give_the_value_that_was_stored_or_say_that_there_is_none(tmp_path):
    path = write(tmp_path / "a.xlsx", [HEADER, ["a", "=1+1", 90]])  # openpyxl stores no value
    assert error_of(path).endswith(
        "the value of the formula in B2 is not stored: open the workbook in Excel or LibreOffice "
        "and save it"
    )

    def stored(formula):
        good = b'<c r="C2" t="n"><v>90</v></c>'
        return lambda xml: xml.replace(good, formula)

    write(path, [HEADER, ["a", 2, 90]])
    for formula, value in [
        (b'<c r="C2"><f>1/0</f><v>90</v></c>', 90),
        (b'<c r="C2" t="str"><f>IF(A2="",1,"")</f><v></v></c>', None),
    ]:
        replace_member(path, SHEET, stored(formula))
        assert b"<f>" in zipfile.ZipFile(path).read(SHEET)
        assert [*read_rows(path)[1], None][2] == value


def test_long_lists_and_long_texts_are_shortened_in_messages():
    assert first_few(list(range(30))) == "0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 20 more"
    assert len(first_few([30_000 * "x"])) < 300


def test_text_that_is_not_utf8_names_the_line(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(b"Image_Name,Note\na,1\nb,\xb5m\n")
    assert "not UTF-8: byte 0xb5 in line 3; save it again as 'CSV UTF-8'" in error_of(path)
    path.write_bytes("Image_Name,Al".encode("utf-32"))
    assert "not UTF-8: byte 0xff in line 1" in error_of(path)
    path.write_bytes(workbook())
    assert "is a spreadsheet, not text: let its name end in .xlsx" in error_of(path)


@pytest.mark.parametrize(
    "text, message",
    [
        ("sample;h;Al\na;1;2;3\n", "row 2 holds 4 cells but row 1 holds 3 headings"),
        ("a,b;c\n1,2;3\n", "each of [',', ';'] may separate its cells: say which by a first line"),
        ('Image_Name,Al\n"a,1\n', "not comma-separated text near line"),
        ("sample,h,Al (at.%)\na,400,99,5\n", "write decimal points"),
    ],
)
def test_text_that_is_no_table_is_told(tmp_path, text, message):
    (tmp_path / "a.csv").write_text(text, encoding="utf-8")
    assert message in error_of(tmp_path / "a.csv")
