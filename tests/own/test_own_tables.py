"""Tables as people write them: nothing of an own study is misread or dropped in silence."""

import datetime
import doctest
import json
import re
import unicodedata
import zipfile

import numpy as np
import openpyxl
import pandas as pd
import pytest
from PIL import Image

from helpers import UserError
from helpers.extract import tables
from helpers.extract.feature_tables import FeatureTable
from helpers.extract.image_lists import list_samples
from helpers.extract.remote_images import list_anywhere
from helpers.images.read import ImageError
from helpers.own import cli, properties
from helpers.own.models import join
from helpers.own.properties import PropertyTable, read_properties
from helpers.own.study import fit_models

NFD, NFC = (unicodedata.normalize(form, "Glühprobe") for form in ("NFD", "NFC"))


def written(path, text):
    path.write_text(text, encoding="utf-8")
    return path


def book(path, rows, formats=()):
    """A workbook of rows, with number formats by cell."""
    made = openpyxl.Workbook()
    for row in rows:
        made.active.append(row)
    for cell, code in dict(formats).items():
        made.active[cell].number_format = code
    made.save(path)
    return path


def read_rows(path, sheet=None):
    return tables.read_rows(path, sheet)[0]


def test_examples_in_docstrings():
    assert doctest.testmod(properties).failed == 0


# Composition


@pytest.mark.parametrize(
    ("heading", "symbol", "unit"),
    [
        ("C wt.%", "C", "wt.%"), ("C [wt%]", "C", "wt.%"), ("Mn in Gew.-%", "Mn", "wt.%"),
        ("Fe [Ma.-%]", "Fe", "wt.%"), ("C / at.-%", "C", "at.%"), ("Cr (mass%)", "Cr", "wt.%"),
        ("Al (at%)", "Al", "at.%"), ("Al wt-%", "Al", "wt.%"), ("Ni(At. %)", "Ni", "at.%"),
        ("Ti_wt.%", "Ti", "wt.%"), ("wt.% Cr", "Cr", "wt.%"), ("V, mass-%", "V", "wt.%"),
        ("at% (Nb)", "Nb", "at.%"), ("Mo m.-%", "Mo", "wt.%"), ("W (weight %)", "W", "wt.%"),
    ],
)  # fmt: skip
def test_units_of_elements_in_many_spellings(tmp_path, heading, symbol, unit):
    found = read_properties(written(tmp_path / "t.csv", f'sample,h,"{heading}"\na,1,5\n'))
    assert list(found.values) == ["h"]
    assert found.composition[symbol].tolist() == [5]
    assert found.unit == unit


@pytest.mark.parametrize(
    "heading", ["C (vol.%)", "Al wt.% nominal", "V %RA", "Fe [mol%]", "AL (wt.%)", "al wt%"]
)
def test_a_heading_like_an_element_that_is_not_understood_is_refused(tmp_path, heading):
    path = written(tmp_path / "t.csv", f"sample,h,{heading}\na,1,5\n")
    with pytest.raises(UserError) as error:
        read_properties(path)
    assert f"{heading!r} may name an element, but is not understood" in str(error.value)
    assert read_properties(path, [heading]).values[heading].tolist() == [5]


def test_a_bare_percent_sign_is_no_unit(tmp_path):
    path = written(tmp_path / "t.csv", "sample,h,% C,Cr %\na,1,5,6\n")
    with pytest.raises(UserError, match="the unit of C, Cr is not stated"):
        read_properties(path)
    assert list(read_properties(path, composition_unit="wt.%").composition) == ["C", "Cr"]


@pytest.mark.parametrize("heading", ["C cycles", "Elongation %", "N", "Fe2O3 (%)", "in %"])
def test_other_headings_stay_properties(tmp_path, heading):
    path = written(tmp_path / "t.csv", f"sample,{heading}\na,5\n")
    assert list(read_properties(path, [heading]).values) == [heading]
    if heading != "N":
        assert list(read_properties(path).values) == [heading]


def test_an_element_in_two_columns_is_refused(tmp_path):
    path = written(tmp_path / "t.csv", "sample,h,Al (wt.%),Al wt%\na,1,5,6\n")
    with pytest.raises(UserError, match=r"'Al \(wt.%\)' and 'Al wt%' both hold Al"):
        read_properties(path)


@pytest.mark.parametrize("word", ["bal.", "Bal", "balance", "Rest", "rest"])
def test_the_balance_is_what_the_others_leave(tmp_path, word):
    rows = f"sample,h,Al (wt.%),Cr (wt.%),Ni (wt.%)\na,1,5.1,6.8,{word}\nb,2,{word},10,90\n"
    found = read_properties(written(tmp_path / "t.csv", rows)).composition
    assert found.to_numpy().tolist() == [[5.1, 6.8, 88.1], [0, 10, 90]]


@pytest.mark.parametrize(
    ("row", "cell"),
    [("5,bal.", "'n.d.'"), ("bal.,bal.", "'bal.'"), ("101,bal.", "'bal.'"), ("5,", "None")],
)
def test_a_composition_that_cannot_be_used_may_be_left_out(tmp_path, row, cell):
    row = f"{row},1" if cell != "'n.d.'" else f"{row},n.d."
    path = written(tmp_path / "t.csv", f"sample,h,Al (wt.%),Ni (wt.%),Cr (wt.%)\na,1,{row}\n")
    with pytest.raises(UserError, match=r"holds no number in row 2") as error:
        read_properties(path)
    assert cell in str(error.value)
    assert "or rename the elements, which serve the controls alone" in str(error.value)


# Numbers as they are seen


def test_per_cent_cells_are_read_as_they_are_seen(tmp_path):
    rows = [["sample", "share", "text", "Al (wt.%)", "h"], ["a", 0.312, 31.2, 0.07, 4]]
    formats = {"B2": "0.0%", "C2": '0.0"%"', "D2": "0%", "E2": "0"}
    path = book(tmp_path / "t.xlsx", rows, formats)
    assert read_rows(path)[1] == ["a", 31.2, 31.2, 7.0, 4]
    assert read_properties(path).composition["Al"].tolist() == [7.0]


def test_leading_zeros_are_part_of_a_name(tmp_path):
    rows = [["sample", "h"], [4, 10], [5.0, 11], [6.5, 12]]
    formats = {"A2": "000", "A3": "000", "A4": "000", "B2": "0", "B3": "0.00"}
    assert read_rows(book(tmp_path / "t.xlsx", rows, formats))[1:] == [
        ["004", 10], ["005", 11], [6.5, 12]
    ]  # fmt: skip


def test_a_style_that_is_not_there_is_refused(tmp_path):
    whole, path = book(tmp_path / "t.xlsx", [["sample", 7]], {"B1": "0%"}), tmp_path / "u.xlsx"
    with zipfile.ZipFile(whole) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            new.writestr(name, old.read(name).replace(b's="1"', b's="99"'))
    with pytest.raises(UserError, match="IndexError"):
        read_rows(path)


# Names


@pytest.mark.parametrize(("one", "other"), [("H01", " h01"), ("heat 7", "heat  7")])
def test_a_source_or_sample_in_two_spellings_is_refused(tmp_path, one, other):
    said = "differ in case or spaces alone"
    path = written(tmp_path / "t.csv", f"sample,h,heat\na,1,{one}\nb,2,{other}\n")
    with pytest.raises(UserError, match=said) as error:
        read_properties(path, ["h"], group_column="heat")
    assert f"{one!r} and {other.strip()!r}" in str(error.value)
    with pytest.raises(UserError, match=said):
        read_properties(path, ["h"], sample_column="heat")


def test_accents_match_however_they_are_stored(tmp_path):
    assert NFD != NFC
    Image.new("L", (9, 9)).save(tmp_path / f"{NFD}.png")
    assert list_samples(tmp_path)["sample"].tolist() == [NFC]
    for form in (NFC, NFD):
        table = written(tmp_path / "list.csv", f"image,sample\n{form}.png,{form}\n")
        found = list_samples(table)
        assert found["image"].tolist() == [str(tmp_path / f"{NFD}.png")]
        assert found["sample"].tolist() == [NFC]
        table = written(tmp_path / "t.csv", f"sample,h,heat\n{form},1,{form}\n")
        known = read_properties(table, group_column="heat")
        assert known.groups.to_dict() == {NFC: NFC}


def known_as(names):
    return PropertyTable(pd.DataFrame({"h": 100.0 + np.arange(len(names))}, names), *[None] * 3)


def test_names_that_may_mean_the_same_are_told(facts):
    table = pd.DataFrame({"sample": ["004", "b", NFC]})
    found = FeatureTable(table, np.zeros((3, 2), np.float32), facts)
    with pytest.raises(ValueError, match=r"no sample of the images") as error:
        join(found, known_as(["4", "B.tif", "Gluhprobe", "x"]))
    assert "'004' and '4', 'b' and 'B.tif'" in str(error.value)
    assert "may mean the same, and are not written alike" in str(error.value)


def test_fit_tells_what_is_left_out_and_that_there_is_no_composition(
    tmp_path, capsys, save_features
):
    lines = [f"{name},{100 + i}" for i, name in enumerate([f"s{i:02}" for i in range(28)])]
    table = written(tmp_path / "t.csv", "\n".join(["sample,h", *lines, "S28,9", "other,7"]))
    found = save_features(tmp_path / "f.parquet")
    with pytest.warns(UserWarning, match="2 samples of the images have no row") as told:
        result = fit_models(found, table, tmp_path / "m", progress=False)
    message = next(str(w.message) for w in told if "left out" in str(w.message))
    assert "(s28, s29) and 2 rows of the table have no image (S28, other)" in message
    assert "'s28' and 'S28' may mean the same" in message
    assert result["composition"] is None
    arguments = ["fit", str(found), str(table), "--out", str(tmp_path / "m2")]
    assert cli.main(arguments) == 0
    shown = capsys.readouterr()
    assert "composition: none found" in shown.out
    assert "Note: 2 samples of the images" in shown.err
    assert cli.main([*arguments[:-1], str(tmp_path / "m3"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["composition"] is None


# Cells, lists and files


@pytest.mark.parametrize("cells", [('"4,5"', '"6,1"'), ('"4,5"', "n/a"), ("31.2%", "30 %")])
def test_a_column_of_decimal_commas_is_not_dropped(tmp_path, cells):
    path = written(tmp_path / "t.csv", f"sample,h,k\na,1,{cells[0]}\nb,2,{cells[1]}\n")
    with pytest.raises(UserError, match=r"'k' holds no number in row 2 \('"):
        read_properties(path)
    assert list(read_properties(path, ["h"]).values) == ["h"]


def test_a_column_of_text_is_still_no_property(tmp_path):
    path = written(tmp_path / "t.csv", 'sample,h,k\na,1,"new, 4,5"\nb,2,\nc,3,old\n')
    assert list(read_properties(path).values) == ["h"]


def test_one_image_is_a_list(tmp_path):
    image = tmp_path / "A[1].TIF"
    Image.new("L", (9, 9)).save(image, "TIFF")
    for found in (list_samples(image), list_anywhere(image)):
        assert found["sample"].tolist() == ["A[1]"]
    with pytest.raises(ImageError, match="is a file: expected a folder"):
        list_samples(written(tmp_path / "a.doc", "no image"))


@pytest.mark.optional("fsspec", "ray")
def test_the_address_of_one_image_is_a_list(tmp_path):
    image = tmp_path / "A[1].TIF"
    Image.new("L", (9, 9)).save(image, "TIFF")
    assert list_anywhere(f"file://{image}")["sample"].tolist() == ["A[1]"]


def test_the_heading_of_samples_may_be_in_any_case(tmp_path):
    for name in "ab":
        Image.new("L", (9, 9)).save(tmp_path / f"{name}.png")
    rows = "image,{}\na.png,X\nb.png,X\n"
    for heading in ("Sample", "SAMPLE", "sample"):
        found = list_samples(written(tmp_path / "t.csv", rows.format(heading)))
        assert found["sample"].tolist() == ["X", "X"]
    two = "image,Sample,SAMPLE\na.png,X,Y\n"
    with pytest.raises(
        UserError, match="'Sample', 'SAMPLE' differ in case or spaces alone: rename"
    ):
        list_samples(written(tmp_path / "t.csv", two))
    list_samples(written(tmp_path / "t.csv", two), sample_column="Sample")


def test_a_semicolon_beside_commas_is_text(tmp_path):
    assert read_rows(written(tmp_path / "t.csv", "sample,h;k\na,1\n"))[0] == ["sample", "h;k"]


def test_the_note_on_sheets_holds_for_all_commands(tmp_path):
    path = tmp_path / "t.xlsx"
    Image.new("L", (9, 9)).save(tmp_path / "a.png")
    with pd.ExcelWriter(path) as file:
        for name in ("one", "two"):
            pd.DataFrame({"image": ["a.png"]}).to_excel(file, sheet_name=name, index=False)
    with pytest.warns(UserWarning, match="put it first or save it alone; fit has --sheet"):
        list_samples(path)


# Tables as other people have them


@pytest.mark.parametrize(
    "text",
    [
        "sample;h;note\na;4,5;x\nb;1,234;y, z\nc;12;\n",
        "sample\th\tnote\na\t4,5\tx\nb\t1,234\ty, z\nc\t12\n",
        "sep=;\nsample;h;k, l\na;4,5;1,25\nb;1,234;2,5\nc;12;3,5\n",
        "SEP=|\r\nsample|h\r\na|4.5\r\nb|1.234\r\nc|12\r\n",
        "sample;h\na;4.5\nb;1.234\nc;12\n",
        '# Measured by A, B; "C"\n#\n\nsample,h\na,4.5\nb,1.234\nc,12\n',
        '"# of 2024"\nsample;h\na;4,5\nb;1,234\nc;1,2e1\n',
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_separators_decimal_commas_and_comments(tmp_path, text, encoding):
    for suffix in ("csv", "tsv", "txt"):
        (tmp_path / f"t.{suffix}").write_text(text, encoding=encoding, newline="")
        found = read_properties(tmp_path / f"t.{suffix}", ["h"]).values["h"]
        assert found.to_dict() == {"a": 4.5, "b": 1.234, "c": 12}


@pytest.mark.parametrize(
    ("text", "cells"),
    [
        ("sample;h\na;4,5\nb;1.234\n", "comma or point in row 3, 'h' ('1.234') may"),
        ("sample;h\na;1,234\nb;512\n", "row 2, 'h' ('1,234')"),
        ("sample;h\na;1.234\nb;512\n", "row 2, 'h' ('1.234')"),
        ("sample\th\na\t1,234\nb\t5.12\n", "comma or point in row 2, 'h' ('1,234') may"),
    ],
)
def test_what_may_be_thousands_is_refused(tmp_path, text, cells):
    with pytest.raises(
        UserError, match="may be a decimal sign or one of thousands: write"
    ) as told:
        read_properties(written(tmp_path / "t.csv", text), ["h"])
    assert cells in str(told.value)


def test_names_keep_their_commas_and_points(tmp_path):
    path = written(tmp_path / "t.csv", "sample;h\n10.101;4,5\n7,1;5\n")
    assert read_properties(path).values["h"].to_dict() == {"10.101": 4.5, "7,1": 5}


@pytest.mark.parametrize(
    "cell", ["1_000", "infinity", "-inf", "1e999", "3/4", "1.234,5", "1 234", "0x10", "TRUE", "٤"]
)
def test_numbers_that_are_none_are_refused(tmp_path, cell):
    text = f"sample;h\na;4,5\nb;{cell}\n"
    with pytest.raises(UserError, match="'h' holds no number in row 3 ") as told:
        read_properties(written(tmp_path / "t.csv", text), ["h"])
    assert f"({cell!r}): write numbers alone, with a decimal point and without thousands" in str(
        told.value
    )


def test_dates_and_truths_of_a_workbook_are_no_numbers(tmp_path):
    for value, shown in [(datetime.date(2024, 4, 3), "2024-04-03"), (True, "True")]:
        path = book(tmp_path / "t.xlsx", [["sample", "h"], ["a", 3.5], ["b", value]])
        with pytest.raises(UserError, match=rf"'h' holds no number in row 3 \('{shown}"):
            read_properties(path)


def test_a_row_of_units_is_taken_as_units(tmp_path):
    rows = [["Sample", "h", "E", "ratio", "Al"], [None, "HV", "GPa", "-", "wt.%"]]
    path = book(tmp_path / "t.xlsx", [*rows, ["a", 4, 210, 1, 5], ["b", 5, 200, 2, 6]])
    with pytest.warns(UserWarning, match=r"row 2 is taken as units \(HV, GPa, wt.%\): it names"):
        found = read_properties(path)
    assert found.values.to_dict() == {
        "h": {"a": 4, "b": 5}, "E": {"a": 210, "b": 200}, "ratio": {"a": 1, "b": 2}
    }  # fmt: skip
    assert (found.unit, found.composition["Al"].tolist()) == ("wt.%", [5, 6])


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (",4.1", "'sample' is empty in row 2: fill it in, or delete what is no row of the table"),
        (",-", "'sample' is empty in row 2"),
        ("unit,HV", r"'h' holds no number in row 2 \('HV'\)"),
    ],
)
def test_what_may_be_no_row_of_units_is_refused(tmp_path, row, said):
    with pytest.raises(UserError, match=said):
        read_properties(written(tmp_path / "t.csv", f"sample,h\n{row}\na,5\n"))


def test_a_merged_range_has_its_value_in_every_cell(tmp_path):
    made = openpyxl.Workbook()
    for row in [["sample", "heat", "h", "k"], *[[n, None, i, None] for i, n in enumerate("abcd")]]:
        made.active.append(row)
    made.active["B2"], made.active["B4"], made.active["C5"] = "one", "two", 7
    for area in ("B2:B3", "B4:B900", "C5:D5", "Q2:Z3", "A20:C30"):
        made.active.merge_cells(area)
    made.save(tmp_path / "t.xlsx")
    found = read_properties(tmp_path / "t.xlsx", ["h", "k"], group_column="heat")
    assert found.groups.tolist() == ["one", "one", "two", "two"]
    assert found.values["h"].tolist() == [0, 1, 2, 7]
    assert found.values["k"].tolist()[3] == 7
    made.active["D3"] = 5
    made.active.merge_cells("C1:D1")
    made.save(tmp_path / "t.xlsx")
    with pytest.raises(UserError, match="h stands in several columns: keep one of them; a merged"):
        read_properties(tmp_path / "t.xlsx")


def test_what_is_hidden_is_left_out_with_a_note(tmp_path):
    made = openpyxl.Workbook()
    for row in [["sample", "h"], *[[n, i] for i, n in enumerate("abcd")]]:
        made.active.append(row)
    made.active.row_dimensions[3].hidden = made.active.row_dimensions[9].hidden = True
    made.save(tmp_path / "t.xlsx")
    said = r"left out: 1 hidden rows \(3\); show them, or clear the filter"
    with pytest.warns(UserWarning, match=said):
        found = read_properties(tmp_path / "t.xlsx").values
    assert found.to_dict() == {"h": {"a": 0, "c": 2, "d": 3}}


def test_merged_ranges_without_end_are_refused(tmp_path):
    path = book(tmp_path / "t.xlsx", [["sample", "h"], ["a", 1], ["b", 2]])
    areas = b"<mergeCells>%s</mergeCells>" % (b'<mergeCell ref="A1:XFD1048576"/>' * 40_000)
    with zipfile.ZipFile(path) as old:
        parts = {name: old.read(name) for name in old.namelist()}
    sheet = parts["xl/worksheets/sheet1.xml"].replace(b"</sheetData>", b"</sheetData>" + areas)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for name, part in (parts | {"xl/worksheets/sheet1.xml": sheet}).items():
            new.writestr(name, part)
    with pytest.raises(UserError, match="more than 100000 cells are merged: unmerge them"):
        read_rows(path)


def test_sheets_that_are_shown_come_first_and_are_not_all_named(tmp_path):
    made = openpyxl.Workbook()
    made.active.append(["sample", "old"])
    made.active.sheet_state = "hidden"
    for i in range(1, 200):
        made.create_sheet(f"sheet {i}").append(["sample", f"h{i}"])
    made.save(tmp_path / "t.xlsx")
    with pytest.warns(UserWarning, match="has 200 sheets, and the first that is") as told:
        assert read_rows(tmp_path / "t.xlsx") == [["sample", "h1"]]
    assert len(told) == 1
    assert len(str(told[0].message)) < 300
    assert read_rows(tmp_path / "t.xlsx", "Sheet") == [["sample", "old"]]
    with pytest.raises(
        UserError, match=r"has no sheet 'x': its sheets are 'sheet 1',.* and 190 more"
    ):
        read_rows(tmp_path / "t.xlsx", "x")


def strict(path):
    """The workbook as Strict Open XML, which only differs in the names of its namespaces."""
    with zipfile.ZipFile(path) as old:
        parts = {name: old.read(name) for name in old.namelist()}
    with zipfile.ZipFile(path, "w") as new:
        for name, part in parts.items():
            usual = rb"http://schemas\.openxmlformats\.org/(spreadsheetml|officeDocument)/2006/"
            new.writestr(name, re.sub(usual, rb"http://purl.oclc.org/ooxml/\1/", part))
    return path


def test_strict_open_xml_is_read_as_any_workbook(tmp_path):
    rows = [["sample", "h"], ["a", 0.5], [4, 7]]
    path = strict(book(tmp_path / "t.xlsx", rows, {"B2": "0%", "A3": "000"}))
    with zipfile.ZipFile(path) as parts:
        assert b"purl.oclc.org/ooxml/spreadsheetml/main" in parts.read("xl/workbook.xml")
    assert read_rows(path) == [["sample", "h"], ["a", 50], ["004", 7]]


def test_headings_in_any_case_and_spacing(tmp_path):
    Image.new("L", (9, 9)).save(tmp_path / "a.png")
    path = written(tmp_path / "t.csv", "IMAGE,Sample Id,h,Heat\na.png,X,1,one\n")
    assert list_samples(path, sample_column="sampleid")["sample"].tolist() == ["X"]
    found = read_properties(path, ["H"], sample_column="SAMPLE ID", group_column="heat")
    assert found.values.to_dict() == {"h": {"X": 1}}
    assert found.groups.to_dict() == {"X": "one"}
    path = written(tmp_path / "t.csv", "sample,RM,Rm\na,1,2\n")
    with pytest.raises(UserError, match="'Sample', 'SAMPLE' differ in case or spaces alone"):
        read_properties(written(tmp_path / "u.csv", "Sample,SAMPLE,h\na,b,1\n"))
    assert read_properties(path, ["Rm"]).values.to_dict() == {"Rm": {"a": 2}}


def test_a_missing_column_names_the_option_and_the_headings(tmp_path, capsys):
    path = written(tmp_path / "t.csv", "Sample ID,Image file,h\na,a.png,1\n")
    for command, said in [
        (["fit", "f.parquet", str(path)], "has no column 'sample', its headings are 'Sample ID', "
         "'Image file', 'h': name it by --sample-column HEADING"),
        (["extract", str(path)], "name it by --image-column HEADING"),
    ]:  # fmt: skip
        assert cli.main([*command, "--out", str(tmp_path / "o.parquet")]) == 1
        assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    "name", ["sep.csv", "tab.csv", "merged.xlsx", "strict.xlsx", "units.xlsx"]
)
@pytest.mark.filterwarnings("ignore:.*is taken as units")
def test_tables_of_other_people(shared_data, name):
    path = shared_data.parent / "cases" / "tables" / name
    if not path.is_file():
        pytest.skip("the cases are not here")
    found = read_properties(path, sample_column="sample id", group_column="heat")
    hardness = found.values["Hardness HV10"]
    assert hardness.iloc[[0, 1, -1]].tolist() == [391.0, 392.3, 380.9]
    assert round(hardness.sum(), 1) == 19356.8  # as the commands of a shell add them
    assert hardness.index.tolist() == [f"H{i // 4 + 1:02}-{i % 4 + 1}" for i in range(48)]
    assert found.groups.tolist() == [f"heat {i // 4 + 1}" for i in range(48)]
