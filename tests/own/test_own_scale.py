"""The scale at the network, what TIFF files state of it, and whether images are still the same."""

import html
import re
import shutil
import warnings

import numpy as np
import pandas as pd
import pytest
import tifffile
from scipy.ndimage import gaussian_filter

from helpers import UserError
from helpers.extract.feature_tables import (
    check_comparable,
    extract_table,
    read_feature_table,
    write_feature_table,
)
from helpers.extract.scale import (
    check_alike,
    check_as_fitted,
    check_field,
    field_of,
    in_words,
    network_scales,
    scale_facts,
)
from helpers.images.pixel_size import (
    PixelSizeWarning,
    PreparedImage,
    pixel_size_um,
    prepare_images,
)
from helpers.images.read import ImageError, Reading
from helpers.own.model_files import load_model
from helpers.own.models import left_out_in_words
from helpers.own.report import write_report
from helpers.own.study import predict_table

pytestmark = pytest.mark.usefixtures("own_cache")


def field(n, px, length, rng):
    """Two phases of a length [micrometres] on n x n pixels of px micrometres."""
    z = gaussian_filter(rng.standard_normal((n, n)), length / px, mode="wrap")
    grey = gaussian_filter(0.35 + 0.35 * (z > np.quantile(z, 0.6)), 0.7)
    return np.clip(255 * grey + 8 * rng.standard_normal((n, n)), 0, 255).astype(np.uint8)


def save(path, pixels, px=None):
    path.parent.mkdir(exist_ok=True)
    options = {"resolution": (1e4 / px,) * 2, "resolutionunit": "CENTIMETER"} if px else {}
    tifffile.imwrite(path, pixels, **options)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Frames of 300 pixels of 28 materials, and others of eight of them in three forms."""
    folder, rng, rows = tmp_path_factory.mktemp("study"), np.random.default_rng(1), []
    for i in range(28):
        length = 0.3 + 0.9 * rng.random()
        rows.append((f"S{i:02}", 150 + 150 / np.sqrt(length)))
        save(folder / f"train/S{i:02}.tif", field(300, 0.1, length, rng), 0.1)
        if 8 <= i < 16:
            whole = field(448, 0.1, length, rng)
            save(folder / f"hi/N{i:02}.tif", field(448, 0.05, length, rng), 0.05)
            save(folder / f"crop/N{i:02}.tif", whole[:230, :230], 0.1)
            save(folder / f"whole/N{i:02}.tif", whole, 0.1)
            save(folder / f"small/N{i:02}.tif", whole[:120, :120], 0.1)
    known = pd.DataFrame([*rows, ("S99", 300.0)], columns=["sample", "hv"])
    known["heat"] = known["sample"].str[1:].astype(int) % 7
    known.to_csv(folder / "t.csv", index=False)
    (folder / "few.csv").write_text(known[1:].to_csv(index=False))
    return folder


def bias(study, out):
    found = pd.read_csv(out)
    known = pd.read_csv(study / "t.csv").set_index("sample")["hv"]
    true = known[found["sample"].str.replace("N", "S")].to_numpy()
    return (found["predicted"] - true).mean(), found["predicted"].sub(true).abs(), found


# The scale at the network


def test_one_pixel_size_gives_right_predictions(study, tmp_path, capsys, run):
    features, model, out = tmp_path / "f.parquet", tmp_path / "m", tmp_path / "p.csv"
    assert run("extract", study / "train", "--out", features, "--pixel-size-um", 0.1) == 0
    said = capsys.readouterr().err
    assert "22.4 µm at 0.1 µm a pixel: of 28 of 28 images the middle is used, 56 %" in said
    options = ("--property", "hv", "--groups", "heat", "--out", model)
    assert run("fit", features, study / "few.csv", *options) == 0
    facts = load_model(model).features
    assert facts["field"] == 224
    assert facts["network_um"] == pytest.approx([0.1, 0.1])
    assert facts["left_out"] == {"images": ["S00"], "table": ["S99"]}
    told = left_out_in_words(facts["left_out"])
    assert [t[-6:] for t in told] == [" (S00)", " (S99)"]
    for name in ("hi", "crop", "whole"):
        capsys.readouterr()
        assert run("predict", model, study / name, "--out", out) == 0
        assert "at the network" not in capsys.readouterr().err
        off, error, found = bias(study, out)
        half = (found["upper"] - found["lower"]).mean() / 2
        assert abs(off) < 0.5 * half, name
        assert (error < 1.5 * half).all(), name
    assert run("predict", model, study / "small", "--out", out) == 0
    told = "8 of 8 images have other sizes at the network (shorter side 120 pixels) than those of"
    assert told in capsys.readouterr().err


def test_another_scale_at_the_network_is_told(study, tmp_path, capsys, run):
    features, model, out = tmp_path / "f.parquet", tmp_path / "m", tmp_path / "p.csv"
    assert run("extract", study / "train", "--out", features) == 0
    assert "pixel size" not in capsys.readouterr().err
    options = ("--property", "hv", "--groups", "heat", "--out", model)
    assert run("fit", features, study / "t.csv", *options) == 0
    assert "pixel size" not in capsys.readouterr().err
    for name, other in (("whole", "0.2 µm"), ("crop", "0.103 µm")):  # pixels of one size
        assert run("predict", model, study / name, "--out", out) == 0
        told = f"8 of 8 images have other pixel sizes at the network ({other}) than those of"
        said = capsys.readouterr().err
        assert told in said
        assert "(0.134 µm)" in said
    mixed = tmp_path / "mixed"
    shutil.copytree(study / "crop", mixed)
    shutil.copy(study / "whole/N08.tif", mixed / "w.tif")
    with pytest.warns(PixelSizeWarning, match=r"differ from 0\.1\d+ µm .* to 0\.2 µm .*w\.tif"):
        extract_table(mixed, store=False, progress=False)


def test_frames_that_state_no_pixel_size_are_compared_by_their_factor(tmp_path):
    rng = np.random.default_rng(0)
    for name, side in (("a", 224), ("b", 448)):
        save(tmp_path / f"{name}.tif", rng.integers(0, 255, (side, side), np.uint8))
    with pytest.warns(PixelSizeWarning, match=r"is 1 \(.*a\.tif\) to 2 \(.*b\.tif\) of theirs"):
        found = extract_table(tmp_path, store=False, progress=False)
    assert found.table["scale"].tolist() == [1, 0.5]
    assert in_words(found) == "not stated in the files"
    facts = scale_facts(found.table[:1])
    assert (facts["network_um"], facts["scales"]) == (None, [1, 1])
    with pytest.warns(PixelSizeWarning, match=r"1 of 2 images .*\(2 pixels of the file\)"):
        check_as_fitted(found.table, facts, "m")
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # these keep the scale of any frame
        files = [tmp_path / "a.tif", tmp_path / "b.tif"]
        check_alike(files, [np.nan] * 2, network_scales(files, "dinov2-s14"))
        check_as_fitted(found.table[:1], facts, "m")


def test_encoders_of_one_size_get_it_or_refuse(tmp_path):
    assert [field_of(n, "micrograph", 0.1) for n in ("clip-b16", "dinov2-s14")] == [224, None]
    assert field_of("clip-b16", "section", 0.1) is field_of("clip-b16") is None
    rng = np.random.default_rng(0)
    for name, side in (("a", 500), ("b", 256)):
        save(tmp_path / f"{name}.tif", rng.integers(0, 255, (side, side), np.uint8), 0.1)
    files = [tmp_path / "a.tif", tmp_path / "b.tif"]
    images, _ = prepare_images(files, Reading(target_um=0.1), 224)
    assert [np.asarray(i).shape for i in images] == [i.size for i in images] == [(224, 224)] * 2
    middle = tifffile.imread(files[1])[16:240, 16:240]
    np.testing.assert_allclose(255 * np.asarray(images[1]), middle, atol=1e-4)
    assert network_scales(images, "clip-b16").tolist() == [1, 1]
    images, _ = prepare_images(files, Reading(target_um=0.2), 224)
    with pytest.raises(
        ImageError, match=r"44\.8 µm a side.*1 of 2 .*b\.tif \(25\.6 µm.*target_um=0\.114 or less"
    ):
        check_field(images, "clip-b16", 0.2)
    with pytest.warns(PixelSizeWarning, match=r"1 of 2 images show less than 224 pixels.*b\.tif"):
        check_field(images, "microvit", 0.2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_field(images[1:], "microvit", 0.2)  # all alike
    images, _ = prepare_images(files, Reading(target_um=0.114), 224)
    with pytest.warns(PixelSizeWarning, match="the middle is used"):
        check_field(images, "clip-b16", 0.114)


def test_features_of_another_field_do_not_go_together(study, tmp_path):
    files = tmp_path / "hi"
    shutil.copytree(study / "hi", files)
    for path in sorted(files.iterdir())[2:]:
        path.unlink()
    found = extract_table(files, target_um=0.05, store=False, progress=False)
    with pytest.raises(ValueError, match=r"do not go together.*field is 224 and None"):
        check_comparable(found.facts, found.facts | {"field": None}, "these")


# What TIFF files state


@pytest.mark.parametrize("dpi", [1, 72, 150, 180, 200, 240, 254, 300, 600, 1200])
@pytest.mark.parametrize("unit", ["INCH", "CENTIMETER"])
def test_resolutions_of_printers_are_no_pixel_sizes(tmp_path, dpi, unit):
    per = round(dpi / 2.54, 2) if unit == "CENTIMETER" else dpi
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.eye(9), resolution=(per, per), resolutionunit=unit)
    assert pixel_size_um(path) is None
    options = {"imagej": True, "metadata": {"unit": "inch"}}
    tifffile.imwrite(path, np.eye(9, dtype=np.uint8), resolution=(dpi, dpi), **options)
    assert pixel_size_um(path) is None


@pytest.mark.parametrize(
    ("unit", "size"),
    [("pixel", None), ("reference frame", None), ("Å", 2e-4), ("pm", 2e-6), ("nm", 2e-3),
     ("µm", 2), ("&#181;m", 2), ("μm", 2), ("mm", 2e3), ("cm", 2e4), ("m", 2e6), ("in", 50800)],
)  # fmt: skip
def test_units_of_ome(tmp_path, unit, size):
    axes = " ".join(f'PhysicalSize{a}="2.0" PhysicalSize{a}Unit="{unit}"' for a in "XY")
    xml = (
        '<?xml version="1.0" encoding="UTF-8"?><OME xmlns="http://www.openmicroscopy.org/Schemas/'
        'OME/2016-06"><Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYCZT" '
        f'Type="uint8" SizeX="9" SizeY="9" SizeC="1" SizeZ="1" SizeT="1" {axes}><TiffData/>'
        "</Pixels></Image></OME>"
    )
    path = tmp_path / "a.ome.tif"
    tifffile.imwrite(path, np.eye(9, dtype=np.uint8), description=xml.encode(), metadata=None)
    assert pixel_size_um(path) == (size and pytest.approx(size))


@pytest.mark.parametrize("options", [(), ("--pixel-size-um", 0.05), ("--crop-bottom", 8)])
def test_damaged_tiffs_are_bad_images_like_others(study, tmp_path, capfd, options, run):
    folder, out = tmp_path / "scans", tmp_path / "f.parquet"
    shutil.copytree(study / "hi", folder)
    whole = (folder / "N08.tif").read_bytes()
    bad = {"empty": b"", "text": b"notes", "cut": whole[:1000], "tags": whole[:8] + b"\xff" * 300}
    bad["end"] = whole[:4] + (len(whole) - 5).to_bytes(4, "little") + whole[8:]
    for name, content in bad.items():
        (folder / f"{name}.tif").write_bytes(content)
    assert run("extract", folder, "--out", out, *options) == 1
    said = capfd.readouterr().err
    assert "5 of 13 images cannot be used" in said
    assert all(f"{name}.tif" in said for name in bad)
    assert run("extract", folder, "--out", out, "--on-error", "skip", *options) == 0
    said = capfd.readouterr().err
    assert "TiffTag" not in said
    assert "state no pixel size" not in said
    assert len(read_feature_table(out).table) == 8


def test_tags_that_cannot_be_read_are_told_where_they_are_needed(study, tmp_path):
    path, whole = tmp_path / "x.tif", (study / "hi/N08.tif").read_bytes()
    path.write_bytes(whole[:8] + b"\xff" * 300)
    with pytest.raises(ImageError, match=r"x\.tif: its TIFF metadata cannot be read"):
        np.asarray(PreparedImage(path, Reading(target_um=0.05)))


# The same images, and the same samples


@pytest.fixture(scope="module")
def fitted(study, tmp_path_factory, run):
    """A small study of two images a sample, extracted by relative paths."""
    folder, rng = tmp_path_factory.mktemp("fitted"), np.random.default_rng(2)
    (folder / "scans").mkdir()
    rows, lines = [], ["sample,hv"]
    for i in range(24):
        lines.append(f"a{i:02},{100 + 4 * i}")
        for k in (0, 1):
            pixels = rng.normal(90, 10 + i, (40, 50)).clip(0, 255).astype(np.uint8)
            save(folder / f"scans/{i:02}-{k}.tif", pixels, (0.05, 0.1)[k])
            rows.append((f"scans/{i:02}-{k}.tif", f"a{i:02}"))
    rows.append((rows[0][0].replace("00-0", "x"), "lonely"))
    save(folder / "scans/x.tif", pixels, 0.1)
    pd.DataFrame(rows, columns=["image", "sample"]).to_csv(folder / "images.csv", index=False)
    (folder / "t.csv").write_text("\n".join([*lines, "unseen,300"]))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("MICROPROP_CACHE", str(folder / "cache"))
        assert run("extract", "images.csv", "--out", "f.parquet", "--pixel-size-um", 0.1) == 0
        assert run("fit", "f.parquet", "t.csv", "--out", "m") == 0
    return folder


def test_other_images_of_the_same_names_are_refused(fitted, tmp_path, monkeypatch):
    shutil.copytree(fitted, tmp_path / "other")
    monkeypatch.chdir(tmp_path / "other")
    found = read_feature_table("f.parquet")
    image = found.table["image"][3]
    base = tmp_path / "other"
    pixels = tifffile.imread(base / "scans/01-1.tif")
    found.table["image"] = [str(base / "scans" / n.rsplit("/")[-1]) for n in found.table["image"]]
    write_feature_table("f.parquet", found)
    save(base / "scans/01-1.tif", 255 - pixels, 0.1)
    with pytest.raises(UserError, match=r"(?s)1 images are not those.*01-1\.tif\. Run"):
        write_report("m", "f.parquet", tmp_path / "r.html")
    assert image.endswith("01-1.tif")


@pytest.mark.slow  # test_report looks at another header
def test_the_header_of_a_report_says_what_reached_the_network(fitted, tmp_path, monkeypatch):
    monkeypatch.chdir(fitted)
    write_report("m", "f.parquet", tmp_path / "r.html")
    page = re.sub(r"\s+", " ", html.unescape((tmp_path / "r.html").read_text()))
    assert "50 pixels wide" in page
    assert "50 to 50" not in page
    assert (
        "0.05 to 0.1 µm in the files, cut in the middle to at most 224 pixels a side, 0.1 µm at "
        "the network" in page
    )
    assert "1 samples of the images have no row in the table (lonely)." in page
    assert "1 rows of the table have no image (unseen)." in page
    assert "of a sample with several images the first" in page


def test_samples_that_the_interval_does_not_hold_for_are_told(fitted, tmp_path):
    folder = tmp_path / "new"
    folder.mkdir()
    for name in ("a00", "b"):
        shutil.copy(fitted / "scans/05-1.tif", folder / f"{name}.tif")
    with pytest.warns(UserWarning, match="samples have") as told:
        predict_table(fitted / "m", folder, tmp_path / "p.csv", progress=False)
    few, same = (str(w.message) for w in told if "samples have" in str(w.message))
    assert few.startswith("2 of 2 samples have other numbers of images (1, such as a00) than")
    assert re.search(r"1 of 2 samples have names of the training set of .*m \(a00\)", same)
