"""A messy lab workbook and pictures of four microscopes, from the files to a report."""

import json

import numpy as np
import openpyxl
import pandas as pd
import pytest
import tifffile

from helpers.beyond import choice
from helpers.extract.feature_tables import read_feature_table
from helpers.own.model_files import load_model

BANNER, SIZE, COUNT, A_HEAT = 12, 0.05, 44, 4  # rows, µm a pixel, samples, samples of one heat


def of_microscope(kind, size, rows):
    """Tags of a vendor that state a pixel size [µm] and, where it does so, a banner below."""
    if kind == "fei":
        text = f"[Scan]\r\nPixelWidth={size}e-6\r\nPixelHeight={size}e-6\r\n"
        return [(34682, "s", 0, f"{text}[Image]\r\nResolutionY={rows}\r\n", True)]
    if kind == "zeiss":
        text = f"\r\n0\r\nAP_IMAGE_PIXEL_SIZE\r\nImage Pixel Size = {1000 * size} nm\r\n"
        return [(34118, "s", 0, text, True)]
    if kind == "tescan":
        text = f"[MAIN]\r\nDevice=MIRA3\r\nPixelSizeX={size}e-6\r\nPixelSizeY={size}e-6\r\n"
        text = f"{text}ImageStripSize={BANNER}\r\n".encode()
        return [(50431, 7, len(text), text, True)]
    tags = [(65003, "s", 0, "um", True), (65004, "s", 0, "um", True)]  # of DigitalMicrograph
    return [*tags, (65009, "f", 1, size, True), (65010, "f", 1, size, True)]


def micrograph(number, rng):
    """Precipitates on a matrix, more of them in a later sample, and a banner with white signs."""
    image = np.full((96, 120), 70.0)
    for y, x in rng.integers(0, 90, (5 + 2 * number, 2)):
        image[y : y + 6, x : x + 6] = 190
    image += rng.normal(0, 6, image.shape)
    banner = np.zeros((BANNER, 120))
    banner[3:9, rng.integers(0, 2, 120) == 1] = 255
    return np.clip(np.vstack([image, banner]), 0, 255).astype(np.uint8)


def write_pictures(folder):
    """A folder of pictures; those of DigitalMicrograph are magnified twice, banner and all."""
    folder.mkdir()
    rng = np.random.default_rng(5)
    for i in range(COUNT):
        kind, pixels, size = ("fei", "zeiss", "tescan", "dm")[i % 4], micrograph(i, rng), SIZE
        if kind == "dm":
            picture = np.kron(pixels[:-BANNER], np.ones((2, 2), np.uint8))
            pixels, size = np.vstack([picture, np.zeros((BANNER, 240), np.uint8)]), SIZE / 2
        tags = of_microscope(kind, size, len(pixels) - BANNER)
        tifffile.imwrite(folder / f"A{i:02}.tif", pixels, extratags=tags, metadata=None)


def write_workbook(path):
    """What a laboratory keeps: a hidden sheet first, units below the headings, merged heats."""
    book = openpyxl.Workbook()
    book.active.title = "old"
    book.active.append(["sample", "hardness", "heat"])
    book.active.append(["A00", 999, "wrong"])
    book.active.sheet_state = "hidden"
    sheet = book.create_sheet("2024")
    book.active = 1
    sheet.append(["SAMPLE", "Hardness", "Heat"])
    sheet.append([None, "HV", None])
    for i in range(COUNT):
        # A merged cell has its value in the first row.
        heat = f"heat {i // A_HEAT}" if i % A_HEAT == 0 else None
        sheet.append([f"A{i:02}", 250 + 4.0 * i, heat])
    for row in range(3, 3 + COUNT, A_HEAT):
        sheet.merge_cells(f"C{row}:C{row + A_HEAT - 1}")
    book.save(path)


@pytest.mark.slow
def test_a_messy_workbook_and_four_microscopes_go_to_a_report(
    tmp_path, monkeypatch, capsys, run, own_cache
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(choice, "COUNTS", (2, 8))
    write_pictures(tmp_path / "scans")
    write_workbook("alloys.xlsx")
    extract = ["extract", "scans", "--out", "f.parquet", "--pixel-size-um", SIZE]

    # Zeiss and DigitalMicrograph state no banner: a number does for all.
    assert run(*extract, "--crop-bottom", "auto") == 1
    assert "A01.tif" in capsys.readouterr().err
    assert run(*extract, "--crop-bottom", BANNER) == 0
    said = capsys.readouterr().err
    assert "microprop fetch dinov2-s14, then --encoder dinov2-s14" in said
    found = read_feature_table("f.parquet")
    assert len(found.table) == COUNT
    sizes = found.table["pixel_size_um"]
    np.testing.assert_allclose(sizes[found.table["sample"] == "A03"], SIZE / 2)

    options = ["--property", "hardness", "--groups", "heat", "--model", "best"]
    assert run("fit", "f.parquet", "alloys.xlsx", *options, "--out", "model", "--json") == 0
    told = capsys.readouterr()
    fitted = json.loads(told.out)
    assert "row 2 is taken as units" in told.err
    assert fitted["samples"] == COUNT
    (words,) = [one["in words"] for one in fitted["properties"].values()]
    assert f"folds by source ({COUNT // A_HEAT} sources)" in "\n".join(words)
    assert any(line.startswith("chosen among 12 learners") for line in words)
    (model,) = load_model("model").properties.values()
    assert model.facts["mape"] < 0.5 * model.facts["mape_mean"]

    assert run("predict", "model", "scans", "--out", "p.csv") == 0
    table = pd.read_csv("p.csv").set_index("sample")
    measured = 250 + 4.0 * np.arange(COUNT)
    assert np.corrcoef(table["predicted"].sort_index(), measured)[0, 1] > 0.9

    assert run("report", "model", "f.parquet", "--out", "report.html") == 0
    page = (tmp_path / "report.html").read_text()
    assert "chosen among 12 learners" in page
    assert "what the choice cost" in page
    assert run("report", "model", "f.parquet", "--out", "report.html") == 0  # over its own
