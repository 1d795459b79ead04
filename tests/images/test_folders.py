"""helpers.images.folders: which files are read, and what is said of the others."""

import os
import re
import time
import warnings

import numpy as np
import pandas as pd
import pytest
import tifffile
from PIL import Image

from helpers.extract.image_lists import list_samples
from helpers.extract.remote_images import list_anywhere
from helpers.images.folders import EXPORTS, SUFFIXES, choose_images, list_images
from helpers.images.read import ImageError, read_image

pytestmark = pytest.mark.filterwarnings("error")
GREY = np.random.default_rng(0).integers(0, 256, (20, 33), np.uint8)


def touched(folder, *names):
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).touch()
    return folder


def names(table):
    return [path.rsplit("/", 1)[-1] for path in table["image"]]


@pytest.fixture
def mixed(tmp_path):
    """A folder like `cases/left_out`: five images, an export to make and a subfolder."""
    folder = touched(tmp_path / "scans", "s00.tif", "s01.TIF", "s06.webp", "s11.jp2", "s12.gif")
    touched(folder, "s10.dm3", ".s00.tif", "._s01.TIF", "Thumbs.db", "desktop.ini", ".DS_Store")
    touched(folder / "heat2", "s13.tif")
    return folder


def test_what_is_left_out_of_a_folder_is_said(mixed):
    said = re.escape(f"{mixed}: left out: 1 .dm3, 1 subfolder")
    for source in (mixed, f"{mixed}/*"):
        with pytest.warns(UserWarning, match=said.replace("scans:", "scans(/.)?:")) as told:
            table = list_samples(source)
        assert len(told) == 1
        assert names(table) == ["s00.tif", "s01.TIF", "s06.webp", "s11.jp2", "s12.gif"]
    with pytest.warns(UserWarning, match=said):
        assert list_images(str(mixed)) == [mixed / name for name in names(table)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(list_samples(f"{mixed}/*.tif")) == 1  # as asked for
        assert len(list_samples(mixed / "heat2")) == 1


@pytest.mark.optional("fsspec", "ray")
def test_what_is_left_out_of_a_store_is_said(mixed):
    address = mixed.as_uri()
    with pytest.warns(UserWarning, match=f"{address}: left out: 1 .dm3, 1 subfolder$"):
        table = list_anywhere(address)
    assert table["sample"].tolist() == ["s00", "s01", "s06", "s11", "s12"]
    assert (table["stamp"] != "").all()
    for image in mixed.glob("s*.*"):
        if image.suffix != ".dm3":
            image.unlink()
    with pytest.raises(ImageError, match=f"{address} holds no image.*found 1 .dm3, 1 subfolder"):
        list_anywhere(address)


def test_two_stars_search_folders_and_say_nothing_of_them(mixed):
    with pytest.warns(UserWarning, match="left out: 1 .dm3$"):
        assert len(list_samples(f"{mixed}/**")) == 6


def test_many_endings_are_told_in_a_few_words(tmp_path):
    folder = touched(
        tmp_path / "a", "a.png", *(f"b.{i:03}" for i in range(40)), "c", "d.5 nm", "e.\n"
    )
    for i in range(3):
        (folder / f"f{i}.png").mkdir()
    with pytest.warns(UserWarning, match="left out") as told:
        assert list_images(folder) == [folder / "a.png"]
    assert "left out: 3 of another ending, 1 .000, 1 .001" in str(told[0].message)
    assert str(told[0].message).endswith(", others, 3 subfolders")
    assert "\n" not in str(told[0].message)


@pytest.mark.parametrize("ending", sorted(EXPORTS))
def test_a_file_of_a_microscope_says_how_to_export_it(tmp_path, ending):
    assert ending not in SUFFIXES
    path = tmp_path / f"a{ending.upper()}"
    path.write_bytes(b"\0" * 64)
    said = f"export as 16-bit grey TIFF: {ending} with {re.escape(EXPORTS[ending])}"
    said = rf"(?i){said}"
    with pytest.raises(ImageError, match=said) as error:
        list_samples(path)
    assert all(suffix in str(error.value) for suffix in SUFFIXES)
    for source in (tmp_path, f"{tmp_path}/*"):
        with pytest.raises(ImageError, match=said):
            list_samples(source)
    (tmp_path / "list.csv").write_text(f"image\n{path.name}\n")
    with pytest.raises(ImageError, match=said) as error:
        read_image(list_samples(tmp_path / "list.csv")["image"][0])
    assert str(error.value).count(str(path)) == 1


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_pipes_and_dead_links_are_no_images(tmp_path):
    os.mkfifo(touched(tmp_path, "a.png") / "b.png")
    (tmp_path / "c.tif").symlink_to(tmp_path / "none")
    with pytest.warns(UserWarning, match="left out: 1 .png, 1 .tif$"):
        assert list_images(tmp_path) == [tmp_path / "a.png"]


def test_a_folder_or_file_without_images_is_named(tmp_path):
    file = touched(tmp_path / "a", "notes.txt") / "notes.txt"
    expected = r"holds no image: .*\.tiff.*found 1 \.txt; subfolders are not searched"
    with pytest.raises(ImageError, match=f"{file.parent} {expected}"):
        list_images(file.parent)
    with pytest.raises(ImageError, match=r"found 1 subfolder; subfolders are not searched"):
        list_images(tmp_path)
    with pytest.raises(FileNotFoundError, match=f"no folder {tmp_path}/none"):
        list_images(tmp_path / "none")
    with pytest.raises(ImageError, match=r"notes\.txt is a file: expected a folder of images, or"):
        list_images(file)
    with pytest.raises(ImageError, match="found nothing"):
        list_images(touched(tmp_path / "empty"))


def test_names_with_line_breaks_are_images_and_messages_stay_in_one_line(tmp_path):
    path = tmp_path / "a\nb: x.png"
    path.write_bytes(b"no image at all")
    assert list_images(tmp_path) == [path]
    with pytest.raises(ImageError) as error:
        read_image(list_samples(tmp_path)["image"][0])
    assert "\n" not in str(error.value)
    assert r"a\nb: x.png" in str(error.value)


@pytest.mark.slow
def test_a_folder_of_100000_files_is_listed_in_seconds():
    files = {f"/scans/{i:06}.png": "file" for i in range(100_000)}
    start = time.perf_counter()
    with pytest.warns(UserWarning, match="left out: 1 .dm3"):
        assert choose_images("scans", files | {"/scans/x.dm3": "file"}) == sorted(files)
    assert time.perf_counter() - start < 5


# Pixel sizes of a table


def tabled(folder, rows, heading="pixel_size_um", suffix=".csv"):
    for i in range(3):
        Image.fromarray(GREY).save(folder / f"{i}.png")
    table = pd.DataFrame({"image": ["0.png", "1.png", "2.png"], heading: rows})
    path = folder / f"images{suffix}"
    writers = {".csv": table.to_csv, ".xlsx": table.to_excel}
    writers[suffix](path, index=False)
    return path


@pytest.mark.parametrize("suffix", [".csv", ".xlsx"])
@pytest.mark.parametrize("heading", ["pixel_size_um", "Pixel_size_um"])
def test_a_table_states_pixel_sizes(tmp_path, heading, suffix):
    found = list_samples(tabled(tmp_path, [0.25, None, 2], heading, suffix))
    assert list(found.columns) == ["image", "sample", "pixel_size_um"]
    np.testing.assert_array_equal(found["pixel_size_um"], [0.25, np.nan, 2])
    found = list_samples(tabled(tmp_path, [0.25, None, 2], "other", suffix))
    assert found["pixel_size_um"].isna().all()
    assert found["pixel_size_um"].dtype == float
    tifffile.imwrite(tmp_path / "a.tif", GREY)
    assert np.isnan(list_samples(tmp_path / "a.tif")["pixel_size_um"]).all()


@pytest.mark.optional("fsspec", "ray")
def test_a_table_of_addresses_states_pixel_sizes(tmp_path):
    (tmp_path / "t.csv").write_text("image,pixel_size_um\nmemory://a.png,0.1\nmemory://b.png,\n")
    found = list_anywhere(tmp_path / "t.csv")
    np.testing.assert_array_equal(found["pixel_size_um"], [0.1, np.nan])


@pytest.mark.parametrize("cell", ["0", "-0.1", "nan µm", "0,1", "inf", "1e999"])
def test_a_pixel_size_that_is_none_is_named(tmp_path, cell):
    path = tabled(tmp_path, ["0.1", cell, "0.1"])
    said = f"{path}: 'pixel_size_um' holds {cell!r} in row 3 (1 such rows): expected micrometres"
    with pytest.raises(ValueError, match=re.escape(said)):
        list_samples(path)
