import doctest
import io
import re
import time
import warnings
import zipfile

import numpy as np
import openpyxl
import pandas as pd
import pytest

from helpers import UserError
from helpers.io import alloy_tables, table_files
from helpers.io.alloy_tables import (
    NOT_STATED,
    CompositionWarning,
    match_images,
    merge_niobium,
    odd_sums,
    read_alloy_table,
    source_papers,
)

HEADER = [
    "Image_Name",
    "Vickers Hardness (Gpa) ",
    " vickers hardness (hv)",
    "Ni (at.%)",
    "Al [at%]",
]
ROWS = [["a", 4.5, None, 90, 10], ["b", "N/a", 400, 80.5, 19.5], ["c", 4, 408, 100, 0]]


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


@pytest.fixture(params=[".xlsx", ".csv"])
def path(request, tmp_path):
    return tmp_path / f"alloys{request.param}"


def changed(row, column, value):
    """The good table with one cell changed; rows and columns as a spreadsheet counts them."""
    rows = [list(r) for r in [HEADER, *ROWS]]
    rows[row - 1]["ABCDE".index(column)] = value
    return rows


def error_of(path, rows=None, **options):
    if rows is not None:
        write(path, rows)
    with pytest.raises(UserError) as error:
        read_alloy_table(path, **options)
    assert str(path) in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("module", [alloy_tables, table_files])
def test_examples_in_docstrings(module):
    result = doctest.testmod(module)
    assert result.attempted > 0
    assert result.failed == 0


# What is read


def test_a_good_table(path):
    table = read_alloy_table(write(path, [HEADER, *ROWS]))
    assert table.names == ["a", "b", "c"]
    # 9.80665 N is the weight of one kilogram: 1 kgf/mm2 = 9.80665e-3 GPa
    np.testing.assert_allclose(table.hardness, [4.5 / 9.80665e-3, 400, 408])
    assert table.hardness.dtype == np.float64
    assert table.converted.tolist() == [True, False, False]
    assert table.composition_unit == "at.%"
    expected = pd.DataFrame({"Ni": [90, 80.5, 100], "Al": [10, 19.5, 0]}, table.names, dtype=float)
    pd.testing.assert_frame_equal(table.composition, expected, check_names=False)
    assert table.extra_columns == []


def test_other_columns_are_left_out_and_named(path):
    header = ["Note", "Al", "Name", "IMAGE_NAME", "hv", None, "Vickers Hardness (HV)", "No"]
    rows = [header, ["x", 100, "y", 7, 1, "kept", 300, 2], [None, 100, "z", 8.0, 1, None, 301, 3]]
    table = read_alloy_table(write(path, rows), "wt.%")
    expected = ["7", "8"] if path.suffix == ".xlsx" else ["7", "8.0"]  # as the file shows them
    assert table.names == expected
    assert table.hardness.tolist() == [300, 301]
    assert list(table.composition.columns) == ["Al"]
    assert table.extra_columns == ["Note", "Name", "hv", "column F", "No"]


def test_empty_rows_are_passed_over_but_counted(path):
    rows = [HEADER, ROWS[0], [None] * 5, [" "] * 5, ["b", -1, None, 90, 10], [None] * 5]
    assert "row 5, column B" in error_of(path, rows)
    rows[4][1] = 4
    assert read_alloy_table(write(path, rows)).names == ["a", "b"]


def test_numbers_may_be_text_and_a_byte_order_mark_is_no_part_of_the_name(tmp_path):
    text = "\ufeffImage_Name,Vickers Hardness (HV),Ni (wt.%)\n a ,' 400',100\n".replace("'", '"')
    (tmp_path / "a.csv").write_text(text, encoding="utf-8")
    table = read_alloy_table(tmp_path / "a.csv")
    assert (table.names, table.hardness.tolist(), table.composition_unit) == (["a"], [400], "wt.%")
    rows = [HEADER, ["a", "4.5", "n/A", "90", "10"]]
    assert read_alloy_table(write(tmp_path / "a.xlsx", rows)).composition.loc["a", "Ni"] == 90


def test_one_hardness_column_is_enough(path):
    rows = [[r[0], r[1], r[3]] for r in [HEADER, ROWS[0]]]
    rows[1][2] = 100
    assert read_alloy_table(write(path, rows)).converted.tolist() == [True]


def test_a_table_without_composition_must_be_asked_for(path):
    rows = [row[:3] for row in [HEADER, *ROWS]]
    assert "none" not in error_of(path, rows).split("need_composition")[0]
    table = read_alloy_table(path, need_composition=False)
    assert table.composition.shape == (3, 0)
    assert table.composition_unit == NOT_STATED


# Cells that cannot be used


@pytest.mark.parametrize(
    "cell, value, message",
    [
        ("B2", None, r"no hardness \(1\): row 2 \(a\): fill in"),
        ("C3", "n/a", r"no hardness \(1\): row 3 \(b\)"),
        ("C4", 500, r"contradict each other \(1\): row 4 \(c\): 4 GPa is 407.9 kgf/mm2, not 500"),
        (
            "B2",
            -4.5,
            r"no positive number \(1\): row 2, column B \('Vickers .*Gpa\)'\) holds '?-4",
        ),
        ("B2", 0, r"no positive number \(1\): row 2, column B .* holds '?0'?: write a positive"),
        ("B2", "inf", r"no positive number \(1\): row 2, column B .* holds 'inf'"),
        ("C3", "1e999", r"no positive number \(1\): row 3, column C .* holds '1e999'"),
        ("C3", "4OO", r"no positive number \(1\): row 3, column C .* holds '4OO'"),
        (
            "C3",
            "4,5",
            r"no positive number \(1\): row 3, column C .* holds '4,5': .* decimal point",
        ),
        ("C3", "4_5", r"no positive number \(1\): row 3, column C .* holds '4_5'"),
        ("C4", True, r"no positive number \(1\): row 4, column C .* holds '?True"),
        ("C3", "#DIV/0!", r"no positive number \(1\): row 3, column C .* holds '#DIV/0!'"),
        ("A4", "b", r"stands twice \(1\): row 4: 'b', as in row 3"),
        ("A4", " b ", r"stands twice \(1\): row 4: 'b', as in row 3"),
        (
            "A3",
            None,
            r"no image name \(1\): row 3, column A \('Image_Name'\) holds nothing: write",
        ),
        ("A3", "  ", r"no image name \(1\): row 3, column A"),
        ("D3", -1, r"no number from 0 on \(1\): row 3, column D \('Ni \(at.%\)'\) holds '?-1"),
        ("D3", "bal.", r"no number from 0 on \(1\): row 3, column D .* holds 'bal\.'"),
        ("D3", "nan", r"no number from 0 on \(1\): row 3, column D .* holds 'nan'"),
        ("E2", None, r"an empty composition cell \(1\): row 2, column E .* nothing: write 0"),
        ("E2", " ", r"an empty composition cell \(1\): row 2, column E .*: write 0"),
    ],
)
def test_a_bad_cell_is_named_with_what_to_do(path, cell, value, message):
    assert re.search(message, error_of(path, changed(int(cell[1]), cell[0], value)))


def test_the_larger_of_two_hardness_values_may_be_2_percent_more(path):
    read_alloy_table(write(path, changed(4, "C", 407.886 * 1.019)))
    error_of(path, changed(4, "C", 407.886 * 1.021))
    error_of(path, changed(4, "C", 407.886 / 1.021))


def test_dates_are_no_numbers(tmp_path):
    date = pd.Timestamp(2024, 5, 1).to_pydatetime()
    told = error_of(tmp_path / "a.xlsx", changed(2, "D", date))
    assert "row 2, column D ('Ni (at.%)') holds datetime.datetime(2024, 5, 1" in told


def test_all_problems_are_told_at_once_the_first_ten_of_a_kind(path):
    rows = [[f"n{i}", None, None, 50, 50] for i in range(30)]
    told = error_of(path, [HEADER, *rows, ["n3", 4, None, "x", 1]])
    assert "no hardness (30): row 2 (n0), " in told
    assert "row 11 (n9) and 20 more: fill in" in told
    assert "row 12" not in told
    assert "row 32: 'n3', as in row 5" in told
    assert "row 32, column D ('Ni (at.%)') holds 'x'" in told


# Headings and units


@pytest.mark.parametrize(
    "cell, value, message",
    [
        ("A", "Image", r"no column 'Image_Name': row 1 holds 'Image', 'Vickers Hardness \(Gpa\)'"),
        ("D", "al (at.%)", r"column D \('al \(at\.%\)'\): write Al if it is that element"),
        ("D", "AL", r"column D \('AL'\): write Al if it is that element"),
        ("D", "Ni (ppm)", r"column D \('Ni \(ppm\)'\): 'ppm' is no unit: expected at\.% or wt\.%"),
        ("D", "Ni ()", r"column D \('Ni \(\)'\): '' is no unit"),
        ("D", "Al", r"column D \('Al'\) and column E \('Al \[at%\]'\): keep one of them"),
        ("C", "Vickers hardness (GPa)", r"column B .* and column C .*: keep one of them"),
        ("D", "IMAGE_NAME", r"column A .* and column D \('IMAGE_NAME'\): keep one"),
        ("D", "Ni [wt. %]", r"state several units \(wt\.%: Ni; at\.%: Al\): convert"),
        (
            "D",
            "Ni",
            r"unit of the composition is not stated for Ni: write it .* composition_unit=",
        ),
    ],
)
def test_a_bad_heading_is_named(path, cell, value, message):
    assert re.search(message, error_of(path, changed(1, cell, value)))


def test_a_table_without_any_hardness_column_names_what_it_holds(path):
    told = error_of(path, [["Image_Name", "HV", "Al (at.%)"], ["a", 400, 100]])
    assert "no column 'Vickers Hardness (GPa)' or 'Vickers Hardness (HV)': row 1 holds" in told
    assert "'HV'" in told


def test_two_extra_columns_of_one_name_are_told(path):
    rows = [[*row, 1, 2] for row in changed(2, "B", 4)]
    rows[0][5:] = ["Note", "note"]
    assert "column F ('Note') and column G ('note'): keep one" in error_of(path, rows)


@pytest.mark.parametrize("unit", ["wt.%", NOT_STATED])
def test_an_argument_that_contradicts_the_headings_is_told(path, unit):
    told = error_of(path, [HEADER, *ROWS], composition_unit=unit)
    assert f"the headings state at.%: Ni, Al, but composition_unit is {unit!r}" in told


def test_the_argument_states_the_unit_where_the_headings_do_not(path):
    write(path, changed(1, "D", "Ni"))
    assert read_alloy_table(path, "at. %").composition_unit == "at.%"
    rows = [["Image_Name", "Vickers Hardness (HV)", "Al"], ["a", 400, 100]]
    write(path, rows)
    assert read_alloy_table(path, NOT_STATED).composition_unit == NOT_STATED
    assert "not stated for Al" in error_of(path)
    with pytest.raises(UserError, match=r"composition_unit is 'at': expected one of 'at\.%'"):
        read_alloy_table(path, "at")


# Files


def test_a_missing_file_another_ending_and_a_folder(tmp_path):
    assert "there is no file" in error_of(tmp_path / "a.csv")
    (tmp_path / "a.ods").write_bytes(b"x")
    assert "ends in '.ods': expected a table as .xlsx or .csv" in error_of(tmp_path / "a.ods")
    (tmp_path / "b.csv").mkdir()
    assert "is no file: expected a table" in error_of(tmp_path / "b.csv")


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
        (b"Image_Name,Al\na,1\n", r"not an .xlsx workbook \(BadZipFile.*save it again as .xlsx"),
        (b"\x00\xff" * 5000, "not an .xlsx workbook"),
        (
            bytes.fromhex("d0cf11e0a1b11ae1") + bytes(600),
            "an .xls workbook or one with a password",
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
            assert read_alloy_table(path).names == ["a", "b", "c"]
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
    assert re.search(r"unpacks to 1000\d+ bytes, more than", error_of(path))
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
    assert read_alloy_table(path).names == ["a", "b", "c"]

    def far(xml):
        return xml.replace(b"</sheetData>", b'<row r="999999999"></row></sheetData>')

    assert "more than 1048576 rows" in error_of(replace_member(path, SHEET, far))
    told = error_of(path, [HEADER, ["a", 4, None, 50, 50, *[None] * 1200, 1]])
    assert "row 2 has more than 1000 columns" in told


def test_more_rows_than_any_table_of_alloys_has(tmp_path, monkeypatch, path):
    monkeypatch.setattr(table_files, "MAX_ROWS", 3)
    assert "more than 3 rows" in error_of(path, [HEADER, *ROWS])
    monkeypatch.setattr(table_files, "MAX_BYTES", 10)
    assert "more than 10: this is no table" in error_of(path)


def test_rows_that_are_too_wide_or_too_many_are_not_all_read(tmp_path, monkeypatch):
    rows = b"".join(b'<row><c r="XFD%d"><v>1</v></c></row>' % i for i in range(5, 200_000))

    def wide(xml):
        return xml.replace(b"</sheetData>", rows + b"</sheetData>")

    path = replace_member(tmp_path / "a.xlsx", SHEET, wide)
    started = time.perf_counter()  # all of them would take 26 GB
    assert "row 5 has more than 1000 columns" in error_of(path)
    assert time.perf_counter() - started < 10
    monkeypatch.setattr(table_files, "LAST_ROW", 5)
    path = tmp_path / "a.csv"
    path.write_text("Image_Name\n" + 6 * "\n", encoding="utf-8")
    assert "more than 5 rows" in error_of(path)


def test_too_little_memory_names_the_table(tmp_path, monkeypatch):
    path = write(tmp_path / "a.csv", [HEADER, *ROWS])

    def fail(*_, **__):
        raise MemoryError

    monkeypatch.setattr(table_files.csv, "reader", fail)
    assert "a.csv takes more memory than there is" in error_of(path)


@pytest.mark.parametrize("cell", ["A1", "A2", "B2", "C3", "D2"])
def test_a_cell_that_would_fill_pages_is_shortened_in_messages(path, cell):
    rows = changed(int(cell[1]), cell[0], 30_000 * "x")
    rows[1][4] = "no number"
    told = error_of(path, rows)
    assert "xxx...xxx" in told or cell == "A2"
    assert len(told) < 2000
    rows[1][1] = None
    assert "row 2 (xxx" in error_of(path, rows) or cell != "A2"


@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_extreme_numbers_are_told_and_do_not_overflow(path):
    rows = changed(2, "B", 1e300)
    rows[1][2] = 1e-300  # their quotient is below all floats
    assert "contradict each other (1): row 2 (a)" in error_of(path, rows)
    rows = changed(2, "D", 1e308)
    rows[1][4] = 1e308
    with pytest.warns(CompositionWarning, match=r"row 2 \(a\): inf"):
        read_alloy_table(write(path, rows))


def test_formulas_give_the_value_that_was_stored_or_an_error(tmp_path):
    path = tmp_path / "a.xlsx"
    told = error_of(path, changed(2, "D", "=100-E2"))  # openpyxl stores no value
    assert "row 2, column D ('Ni (at.%)') holds 'a formula whose value is not stored'" in told
    told = error_of(path, changed(2, "A", "=1+1"))
    assert "no image name (1): row 2, column A ('Image_Name') holds 'a formula whose" in told
    told = error_of(path, changed(2, "B", "=1+1"))
    assert "row 2, column B ('Vickers Hardness (Gpa)') holds 'a formula whose" in told

    def stored(xml):
        return xml.replace(b'<c r="D2" t="n"><v>90</v></c>', b'<c r="D2"><f>1/0</f><v>90</v></c>')

    replace_member(path, SHEET, stored)
    assert b"<f>1/0</f>" in zipfile.ZipFile(path).read(SHEET)
    assert read_alloy_table(path).composition.loc["a", "Ni"] == 90


def test_text_that_is_not_utf8_names_the_line(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(b"Image_Name,Note\na,1\nb,\xb5m\n")
    assert "not UTF-8: byte 0xb5 in line 3; save it again as 'CSV UTF-8'" in error_of(path)
    path.write_bytes("Image_Name,Al".encode("utf-16"))
    assert "not UTF-8: byte 0xff in line 1" in error_of(path)
    path.write_bytes(workbook())
    assert "is a spreadsheet, not text: let its name end in .xlsx" in error_of(path)


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "is empty: write headings"),
        ("\n\n", "is empty: write headings"),
        (",,\na,1,2\n", "row 2 holds 3 cells"),
        ("Image_Name,Vickers Hardness (HV),Al (at.%)\n", "holds no row below its headings"),
        ("Image_Name;Vickers Hardness (HV);Al\na;1;2\n", "separate the values by commas"),
        ('Image_Name,Al\n"a,1\n', "not comma-separated text near line"),
        ("Image_Name,Vickers Hardness (HV),Al (at.%)\na,400,99,5\n", "write decimal points"),
    ],
)
def test_text_that_is_no_table_is_told(tmp_path, text, message):
    (tmp_path / "a.csv").write_text(text, encoding="utf-8")
    assert message in error_of(tmp_path / "a.csv")


def test_an_empty_workbook_is_told(tmp_path):
    assert "is empty: write headings" in error_of(tmp_path / "a.xlsx", [])
    assert "holds no row below its headings" in error_of(tmp_path / "a.xlsx", [HEADER])


# Sums, niobium, images, source papers


def test_odd_sums_are_a_warning_that_lists_them(path):
    rows = changed(3, "E", 0.1)
    rows[1][3], rows[1][4] = 97.7, 0.3  # 98.0 in exact arithmetic
    with pytest.warns(CompositionWarning) as caught:
        table = read_alloy_table(write(path, rows))
    (warning,) = caught
    assert f"{path}: 1 of 3 compositions do not sum to 98 to 102: row 3 (b): 80.6; check" in str(
        warning.message
    )
    assert warning.filename == __file__
    assert odd_sums(table.composition).to_dict() == {"b": 80.6}
    assert odd_sums(table.composition, low=99, high=99.5).index.tolist() == ["a", "b", "c"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read_alloy_table(write(path, [HEADER, *ROWS]))


def test_niobium_is_summed_under_its_present_name():
    table = pd.DataFrame({"Nb": [1.0, 2], "Al": [3.0, 4], "Cb": [0.5, 0]}, ["a", "b"])
    merged = merge_niobium(table)
    assert merged.to_dict("list") == {"Nb": [1.5, 2], "Al": [3, 4]}
    assert table.columns.tolist() == ["Nb", "Al", "Cb"]  # untouched
    assert merge_niobium(table[["Al", "Cb"]]).to_dict("list") == {"Al": [3, 4], "Nb": [0.5, 0]}
    assert merge_niobium(table[["Al"]]).columns.tolist() == ["Al"]


def test_images_come_in_the_order_of_the_names(tmp_path):
    files = [tmp_path / name for name in ("a.tif", "b-0.5Al.png", "c.JPG")]
    assert match_images(["c", "a", "b-0.5Al"], files) == [files[2], files[0], files[1]]


def test_images_and_names_that_do_not_match_are_listed():
    files = [f"more{i:02}.png" for i in range(12)] + ["a.png", "a.tif", "B.png"]
    with pytest.raises(UserError) as error:
        match_images(["a", "b", "gone"], files)
    told = str(error.value)
    assert "rows of the table without an image (2): 'b', 'gone'\n" in told
    assert "images without a row (13): B.png, more00.png, " in told
    assert "more08.png and 3 more" in told
    assert "several images of one name (1): a.png and a.tif" in told


def test_source_papers_are_the_digits_before_the_first_hyphen():
    assert source_papers(["Paper1-6Al-12", "7-8", "Synthetic03-07"]).tolist() == [1, 7, 3]
    with pytest.raises(UserError, match=r"source paper \(2\): 'a-1', 'Paper3x-1': expected"):
        source_papers(["Paper1-1", "a-1", "Paper3x-1"])
