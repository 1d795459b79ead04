"""Files as other people have them: mixed bit depth, sizes that are stated, banners, and names."""

import contextlib
import json
import shutil
import warnings

import numpy as np
import pandas as pd
import pytest
import tifffile
from PIL import Image
from sklearn.metrics.pairwise import paired_cosine_distances

from helpers.extract import ray_extract
from helpers.extract.depth import (
    StoredWarning,
    check_kinds,
    check_kinds_as_fitted,
    check_levels,
    kinds_of,
)
from helpers.extract.feature_tables import FeatureTable, extract_table, read_feature_table
from helpers.extract.ray_extract import PartWriter, extract_parts
from helpers.extract.scale import at_network, check_alike
from helpers.images.read import ImageError
from helpers.own.model_files import load_model

pytestmark = pytest.mark.usefixtures("own_cache")


def scene(i, side=70):
    """A grey field of spots, 8 bits, that uses the whole range."""
    rng = np.random.default_rng(i)
    pixels = rng.normal(60, 8, (side, side))
    for y, x in rng.integers(0, side - 6, (4 + 3 * i, 2)):
        pixels[y : y + 5, x : x + 5] = 200
    pixels[0, 0] = 255
    return pixels.clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    """Four scenes as 8 bits, and the same as 12 bits in files of 16."""
    folder = tmp_path_factory.mktemp("mixed")
    for i in range(4):
        tifffile.imwrite(folder / f"a8_{i}.tif", scene(i))
        deep = np.round(scene(i) / 255 * 4095).astype(np.uint16)
        tifffile.imwrite(folder / f"b12_{i}.tif", deep)
    return folder


def distances(found):
    n = len(found.features) // 2
    return paired_cosine_distances(found.features[:n], found.features[n:])


# Mixed bit depth


def test_mixed_kinds_are_refused_with_counts_and_examples(mixed, tmp_path, capsys, run):
    out = tmp_path / "f.parquet"
    assert run("extract", mixed, "--out", out) == 1
    said = capsys.readouterr().err
    assert f"4 8-bit, such as {mixed}/a8_0.tif; 4 16-bit, such as {mixed}/b12_0.tif" in said
    assert "--value-range 0 4095" in said
    assert list(tmp_path.iterdir()) == []
    assert run("extract", mixed, "--out", out, "--value-range", 0, 4095) == 0
    assert capsys.readouterr().err.count("Note: ") == 1  # of MicroViT
    found = read_feature_table(out)
    assert distances(found).max() < 1e-4
    assert found.table["kind"].tolist() == ["8-bit"] * 4 + ["16-bit"] * 4
    np.testing.assert_allclose(found.table["brightest"], 1)


def test_the_cases_of_other_people(shared_data):
    folder = shared_data.parent / "cases" / "mixed_depth"
    if not folder.is_dir():
        pytest.skip(f"needs {folder}")
    with pytest.raises(ImageError, match=r"4 8-bit, such as .*a8bit_0\.tif; 4 16-bit"):
        extract_table(folder, store=False, progress=False)
    found = extract_table(folder, value_range=(0, 4095), store=False, progress=False)
    assert distances(found).max() < 0.01


def test_files_that_state_their_range_go_together(mixed, tmp_path):
    shutil.copytree(mixed, tmp_path / "all")
    for path in (tmp_path / "all").glob("b*.tif"):
        tags = [(281, "H", 1, 4095, False)]  # MaxSampleValue
        tifffile.imwrite(path, tifffile.imread(path), extratags=tags)
    for white in (None, 65535):  # of files that have none here
        value_range = white and (0, white)
        found = extract_table(
            tmp_path / "all", value_range=value_range, store=False, progress=False
        )
        assert distances(found).max() < 1e-4


@pytest.mark.parametrize(
    ("kinds", "value_range", "good"),
    [
        (["8-bit", "1-bit", "12-bit", "float"], None, True),
        (["16-bit", "16-bit"], None, True),
        (["12-bit", "16-bit"], None, False),
        (["12-bit", "16-bit"], (0, 4095), True),
        (["8-bit", "signed 16-bit"], None, False),
        (["8-bit", "32-bit"], (0, 4095), True),
        (["float", "16-bit"], (0, 4095), False),
        (["float", "8-bit"], (0, 4095), True),
    ],
)
def test_what_counts_as_mixed(kinds, value_range, good):
    files = {f"{i}.tif": kind for i, kind in enumerate(kinds)}
    if good:
        check_kinds(files, value_range)
        return
    with pytest.raises(ImageError, match=rf"1 {kinds[0]}, such as 0\.tif; 1 {kinds[1]}"):
        check_kinds(files, value_range)


def test_every_image_is_looked_at_and_not_the_first_three(mixed, tmp_path, run, capsys):
    for i in range(9):
        white = 65535 if i < 8 else 4095
        deep = np.round(scene(i) / 255 * white).astype(np.uint16)
        tifffile.imwrite(tmp_path / f"{i}.tif", deep)
    line = ("extract", tmp_path, "--out", tmp_path / "f.parquet")
    assert run(*line) == 1
    said = capsys.readouterr().err
    assert "1 of 9 16-bit images are dark" in said
    assert "8.tif: its brightest pixel is at 6.2 % of white" in said
    assert "--value-range 0 65535" in said
    assert not (tmp_path / "f.parquet").exists()
    assert run(*line, "--value-range", 0, 65535) == 0
    for i in range(8):
        (tmp_path / f"{i}.tif").unlink()
    for _ in range(2):  # computed, and from the store
        assert run(*line) == 0
        assert "all 1 16-bit images are dark" in (said := capsys.readouterr().err)
        assert "say so: --value-range 0 4095" in said


def levels(**images):
    rows = [(f"{name}.tif", *name.split("_")[:1], v) for name, v in images.items()]
    kinds = {"a": "8-bit", "d": "16-bit", "f": "float"}
    table = pd.DataFrame(rows, columns=["image", "kind", "brightest"])
    return table.assign(kind=table["kind"].map(kinds))


@pytest.mark.parametrize(
    ("images", "said"),
    [
        ({"a_1": 0.1, "a_2": 0.9}, None),  # a dark image
        ({"a_1": 0.1, "a_2": 0.2}, r"all 2 8-bit .*a_1\.tif.* 10\.0 %.*\(0, 63\)"),
        ({"d_1": 0.2, "d_2": 0.22}, r"\(0, 16383\)"),  # 14 bits
        ({"d_1": 16 / 65535}, r"\(0, 31\)"),
        ({"f_1": 0.06}, r"\(0, 0\.0625\)"),
        ({"d_1": np.nan, "d_2": 0}, None),
    ],
)
def test_dark_images_are_told(images, said):
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        check_levels(levels(**images))
    assert len(told) == (said is not None)
    if said:
        with pytest.warns(StoredWarning, match=said):
            check_levels(levels(**images))


def test_kinds_other_than_those_of_a_model_are_told():
    new = FeatureTable(levels(d_1=0.06), None, {})
    assert kinds_of(new.table) == ["16-bit, dark"]
    for old in (["8-bit"], ["16-bit"]):
        with pytest.warns(StoredWarning, match=r"kind \(16-bit, dark\) than those of m \("):
            check_kinds_as_fitted(new, {"kinds": old}, "m")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_kinds_as_fitted(new, {"kinds": ["16-bit, dark"]}, "m")
        check_kinds_as_fitted(
            new._replace(facts={"value_range": [0, 1]}), {"kinds": ["8-bit"]}, "m"
        )
        stated = new._replace(table=levels(a_1=1))
        check_kinds_as_fitted(stated, {"kinds": ["12-bit", "8-bit"]}, "m")


# New pictures of the same material


def test_predict_takes_what_may_differ_for_new_pictures(tmp_path, capsys, run):
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
    rows = []
    for i in range(24):
        rows.append((f"s{i:02}", 100 + 10 * i))
        pixels = scene(i)
        tifffile.imwrite(tmp_path / f"old/s{i:02}.tif", pixels)
        banner = np.full((10, 70), 255, np.uint8)
        deep = np.round(np.vstack([pixels, banner]) / 255.0 * 4095).astype(np.uint16)
        tifffile.imwrite(tmp_path / f"new/n{i:02}.tif", deep)
    pd.DataFrame(rows, columns=["sample", "hv"]).to_csv(tmp_path / "t.csv", index=False)
    features, model, out = tmp_path / "f.parquet", tmp_path / "m", tmp_path / "p.csv"
    assert run("extract", tmp_path / "old", "--out", features, "--stated-um", 0.1) == 0
    assert run("fit", features, tmp_path / "t.csv", "--out", model) == 0
    facts = load_model(model).features
    assert (facts["kinds"], facts["network_um"]) == (["8-bit"], [0.1, 0.1])
    line = ("predict", model, tmp_path / "new", "--out", out, "--json")
    capsys.readouterr()
    assert run(*line) == 0
    assert "of another kind (16-bit, dark) than those of" in capsys.readouterr().err
    how = ("--value-range", 0, 4095, "--crop-bottom", 10, "--stated-um", 0.1)
    assert run(*line, *how) == 0
    told = capsys.readouterr()
    assert told.err == ""
    assert (
        json.loads(told.out)["images reach the network"]
        == "at 1 of their size (70 x 80 -> 70 x 80)"
    )
    new = pd.read_csv(out)["predicted"]
    assert run("predict", model, features, "--out", out) == 0
    np.testing.assert_allclose(new, pd.read_csv(out)["predicted"], rtol=2e-3)
    assert run("predict", model, features, "--out", out, "--crop-bottom", 10) == 1
    assert "--crop-bottom is '10', and" in capsys.readouterr().err


# Sizes that are stated


def test_a_column_and_an_option_state_pixel_sizes(tmp_path, capsys, run):
    for i in range(3):
        Image.fromarray(scene(i)).save(tmp_path / f"{i}.png")
    lines = ["image,sample,pixel_size_um", "0.png,a,0.05", "1.png,b,", "2.png,c,"]
    (tmp_path / "images.csv").write_text("\n".join(lines))
    line = ("extract", tmp_path / "images.csv", "--out", tmp_path / "f.parquet")
    assert run(*line, "--stated-um", 0.1, "--pixel-size-um", 0.1) == 0
    table = read_feature_table(tmp_path / "f.parquet").table
    assert table["pixel_size_um"].tolist() == [0.05, 0.1, 0.1]
    assert table["scale"].tolist() == [0.5, 1, 1]
    capsys.readouterr()
    for bad in (0, -0.1, "nan", "inf"):
        assert run(*line, "--stated-um", bad) == 1
        assert "Error: --stated-um is " in capsys.readouterr().err
    assert run(*line, "--pixel-size-um", 0.1) == 1
    assert "2 of 3 images state no pixel size" in capsys.readouterr().err
    (tmp_path / "images.csv").write_text("\n".join(lines).replace("b,", "b,50000"))
    assert run(*line, "--stated-um", 0.1) == 1
    said = capsys.readouterr().err
    assert f"50000 µm of {tmp_path}/1.png where the median is 0.1 µm" in said


def test_a_size_far_from_all_others_is_refused():
    names = list("abcde")
    with pytest.raises(ImageError, match=r"1 of 4 pixel sizes .* 1e-07 µm of c where .* 0\.1 µm"):
        check_alike(names, [0.1, 0.12, 1e-7, np.nan, 0.1], np.ones(5))


# What is said once


def test_the_scale_at_the_network_is_said_once(tmp_path, capsys, run):
    pixels = np.kron(scene(1), np.ones((15, 20), np.uint8))
    Image.fromarray(pixels).save(tmp_path / "a.png")
    assert run("extract", tmp_path, "--out", tmp_path / "f.parquet") == 0
    told = capsys.readouterr()
    assert told.err.count("Note: ") == 1  # of MicroViT
    lines = [line for line in told.out.splitlines() if "1400 x 1050 -> 224 x 168" in line]
    assert len(lines) == 1
    assert "at 0.16 of their size" in lines[0]
    assert "smaller than 6 pixels of a file is lost" in lines[0]
    table = pd.DataFrame({"height": [50, 400], "width": [60, 500], "scale": [1, 0.448]})
    assert at_network(table) == "at 0.448 to 1 of their size (such as 500 x 400 -> 224 x 179)"


def tescan(path, pixels, rows):
    text = f"[MAIN]\r\nPixelSizeX=2.5e-07\r\nPixelSizeY=2.5e-07\r\nImageStripSize={rows}\r\n"
    tags = [(50431, "B", len(text), text.encode(), False)]
    tifffile.imwrite(path, pixels, extratags=tags)


def test_a_banner_that_files_state_is_suggested_and_cut(tmp_path, capsys, run):
    for i in range(2):
        tescan(tmp_path / f"{i}.tif", scene(i), 8 * i)
    line = ("extract", tmp_path, "--out", tmp_path / "f.parquet")
    assert run(*line) == 0
    said = capsys.readouterr().err
    assert f"1 of 2 images state a banner, such as {tmp_path}/1.tif (8 rows)" in said
    assert "--crop-bottom auto" in said
    assert run(*line, "--crop-bottom", "auto") == 0
    assert "state a banner" not in capsys.readouterr().err
    cut = read_feature_table(tmp_path / "f.parquet").features
    whole = extract_table(tmp_path, crop_bottom=8, store=False, progress=False).features
    np.testing.assert_allclose(cut[1], whole[1], atol=1e-5)
    assert np.abs(cut[0] - whole[0]).max() > 1e-3
    tifffile.imwrite(tmp_path / "2.tif", scene(2))
    assert run(*line) == 0
    assert "--crop-bottom 8" in capsys.readouterr().err
    assert run(*line, "--crop-bottom", "auto") == 1
    assert "1 of 3 images state no banner to cut: " in capsys.readouterr().err


@pytest.mark.parametrize("options", [(), ("--crop-bottom", 6)])
def test_each_bad_file_is_named_once_by_its_own_name(tmp_path, capsys, options, run):
    Image.fromarray(scene(0)).save(tmp_path / "good.png")
    for name in ("x.png", "y.png"):
        (tmp_path / name).write_bytes(b"")  # two of equal bytes
    for name in ("black", "night"):
        Image.new("L", (70, 70)).save(tmp_path / f"{name}.png")
    line = ("extract", tmp_path, "--out", tmp_path / "f.parquet", *options)
    assert run(*line) == 1
    said = capsys.readouterr().err
    for name in ("x", "y", "black", "night"):
        assert said.count(f"{name}.png") == 1
    assert f"  {tmp_path}/y.png: is an empty file (0 bytes)" in said
    assert "  " + f"{tmp_path}/night.png: all pixels are 0.0" in said
    assert run(*line, "--on-error", "skip", "--json") == 0
    skipped = json.loads(capsys.readouterr().out)["skipped"]
    assert skipped[f"{tmp_path}/night.png"].startswith("all pixels are 0.0")


# Through Ray, without Ray


def test_ray_refuses_mixed_files_before_any_part_and_those_of_a_store_after_all(
    mixed, tmp_path, monkeypatch
):
    def actors(ray, todo, writer, *_):
        done.append(len(todo))
        return PartWriter(*writer, 1)(pd.DataFrame(todo)).assign(workers=1).to_dict("records")

    done = []
    monkeypatch.setattr(ray_extract, "optional", lambda *_: None)
    monkeypatch.setattr(ray_extract, "_started", contextlib.nullcontext)
    monkeypatch.setattr(ray_extract, "_run", actors)
    options = {"part_images": 4, "progress": False}
    said = r"4 8-bit, such as .*a8_0\.tif; 4 16-bit, such as .*b12_0\.tif"
    with pytest.raises(ImageError, match=said):
        extract_parts(mixed, tmp_path / "files", **options)
    assert done == []
    assert not (tmp_path / "files").exists()
    with pytest.raises(ImageError, match=said):
        extract_parts(mixed.as_uri(), tmp_path / "store", **options)
    assert done == [2]
    told = extract_parts(mixed, tmp_path / "good", value_range=(0, 4095), stated_um=0.1, **options)
    assert told["images reach the network"] == "at 1 of their size (70 x 70 -> 70 x 70)"
    table = read_feature_table(tmp_path / "good").table
    assert table["pixel_size_um"].tolist() == [0.1] * 8
    np.testing.assert_allclose(table["brightest"], 1)


def test_names_with_line_breaks_are_told_in_one_line(tmp_path):
    Image.fromarray(scene(0)).save(tmp_path / "good.png")
    (tmp_path / "a\nb.png").write_bytes(b"")
    with pytest.raises(ImageError, match=r"\n  '.*a\\nb\.png': is an empty file"):
        extract_table(tmp_path, store=False, progress=False)
