"""What files state: kind of numbers, pixel size, banner; against values known beforehand."""

import doctest
import re
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from helpers.images import pixel_size, read
from helpers.images.folders import list_images
from helpers.images.pixel_size import (
    PreparedImage,
    pixel_size_um,
    prepare_images,
)
from helpers.images.read import ImageError, Reading, read_header, read_image

pytestmark = pytest.mark.filterwarnings("error")
GREY = np.random.default_rng(0).integers(0, 256, (60, 80), np.uint8)
DEEP = GREY.astype(np.uint16) * 16 + 15  # 12 bits
TESCAN = b"\x07\0\xf1[MAIN]\r\nAccFrames=1\r\nDevice=MIRA3 LMH\r\nMagnification=108.08\r\n"
LOSSLESS = {}, {"lossless": True}
CASES = Path(__file__).parents[3] / "shared" / "cases"


def tiff(path, *tags, pixels=GREY, **options):
    """A TIFF file with tags (code, type, value)."""
    tags = [(code, kind, 0 if kind == "s" else len(value) if kind == 7 else 1, value, True)
            for code, kind, value in tags]  # fmt: skip
    tifffile.imwrite(path, pixels, extratags=tags, metadata=None, **options)
    return path


def tescan(x="2.5012e-6", y="2.5012e-6", rows="8"):
    text = f"PixelSizeX={x}\r\nPixelSizeY={y}\r\nImageStripSize={rows}\r\nUserName=a b\r\n"
    return (50431, 7, TESCAN + text.encode())


def fei(width="2e-08", height="2e-08", rows=54, columns=80):
    scan = f"[Scan]\r\nPixelWidth={width}\r\nPixelHeight={height}\r\n"
    return (34682, "s", f"{scan}[Image]\r\nResolutionX={columns}\r\nResolutionY={rows}\r\n")


def zeiss(*lines):
    return (34118, "s", ("\r\n0\r\n" + "\r\n".join(lines) + "\r\n").encode("cp1252"))


def micrograph(x=0.1686750054359436, y=0.1686750054359436, unit="um"):
    return [(65003, "s", unit), (65004, "s", unit), (65009, "f", x), (65010, "f", y)]


def jeol(mode="MAG", eos="eosTEM"):
    xml = (
        f"<TemReporter><Eos><EosMode>{eos}</EosMode></Eos><ImageFormingSystem><ModeString>{mode}"
        "</ModeString><SelectorString>20k</SelectorString><SelectorValue>20000</SelectorValue>"
        "</ImageFormingSystem></TemReporter>"
    )
    return [(271, "s", "JEOL Ltd."), (270, "s", xml)]


CAMERA = {"resolution": (1000, 1000), "resolutionunit": "CENTIMETER"}  # 10 um a pixel


@pytest.mark.parametrize(
    ("tags", "size"),
    [
        ([tescan()], 2.5012),
        ([tescan("1e-7", "2e-7")], None),
        ([tescan("0", "0")], None),
        ([tescan("-1e-7", "-1e-7")], None),
        ([tescan("nan", "nan")], None),
        ([fei()], 0.02),
        ([fei("2e-8", "3e-8")], None),
        ([fei("0", "0")], None),
        ([zeiss("AP_IMAGE_PIXEL_SIZE", "Image Pixel Size = 25.0 nm")], 0.025),
        ([zeiss("AP_PIXEL_SIZE", "Pixel Size = 1.117 µm")], 1.117),
        ([zeiss("AP_PIXEL_SIZE", "Pixel Size = 50.0 nm", "AP_IMAGE_PIXEL_SIZE",
                "Image Pixel Size = 25.0 nm")], 0.025),
        (micrograph(), 0.168675),
        (micrograph(2.5, 2.5, "nm"), 0.0025),
        (micrograph(2.5, 2.5, "1/nm"), None),
        (micrograph(2.5, 3.5, "nm"), None),
        (micrograph(0.0, 0.0), None),
        (jeol(), 0.0005),  # 10 um on the camera, magnified 20 000 times
        (jeol(mode="DIFF"), None),
        (jeol(eos="modeASID"), None),
    ],
    ids=str,
)  # fmt: skip
def test_pixel_sizes_of_microscopes(tmp_path, tags, size):
    resolution = CAMERA if any(code == 271 for code, *_ in tags) else {}
    path = tiff(tmp_path / "a.tif", *tags, **resolution)
    assert pixel_size_um(path) == size


def test_a_size_that_is_none_is_not_replaced_by_the_resolution(tmp_path):
    assert pixel_size_um(tiff(tmp_path / "a.tif", **CAMERA)) == 10
    assert pixel_size_um(tiff(tmp_path / "b.tif", tescan("0", "0"), **CAMERA)) is None
    assert pixel_size_um(tiff(tmp_path / "c.tif", *jeol(mode="DIFF"), **CAMERA)) is None


@pytest.mark.parametrize("tag", [tescan("1e", "2"), fei("x", "y")], ids=str)
def test_a_damaged_tag_is_an_image_error(tmp_path, tag):
    with pytest.raises(ImageError, match=r"a\.tif: its TIFF metadata cannot be read"):
        pixel_size_um(tiff(tmp_path / "a.tif", tag))


def test_a_missing_file_is_named_once(tmp_path):
    with pytest.raises(ImageError, match="No such file") as error:
        pixel_size_um(tmp_path / "a.tif")
    assert str(error.value).count("a.tif") == 1


# Banners


@pytest.mark.parametrize(
    ("tag", "rows"),
    [
        (fei(rows=54), 6),
        (fei(rows=60), 0),
        (fei(rows=61), None),  # more than there are: it was cut before
        (fei(rows=54, columns=160), None),  # resized
        (tescan(rows=8), 8),
        (tescan(rows=0), 0),
        (tescan(rows=60), None),
        (zeiss("AP_MAG", "Mag = 10 X"), None),
    ],
    ids=str,
)
def test_banners(tmp_path, tag, rows):
    path = tiff(tmp_path / "a.tif", tag)
    assert read_header(path).banner == rows
    reading = Reading(crop_bottom="auto")
    if rows is None:
        with pytest.raises(ImageError, match=r"a\.tif states no banner to cut: cut rows by"):
            reading.pixels(path)
        with pytest.raises(ImageError, match=r"a\.tif states no banner"):
            reading.size(path)
    else:
        assert reading.size(path) == (60 - rows, 80)
        np.testing.assert_array_equal(reading.pixels(path), read_image(path)[: 60 - rows])


def test_files_cut_by_their_own_banners(tmp_path):
    files = [tiff(tmp_path / f"{i}.tif", tescan()) for i in range(2)]
    assert [
        np.asarray(i).shape for i in prepare_images(files, Reading(crop_bottom="auto"))[0]
    ] == [(52, 80)] * 2
    with pytest.raises(ValueError, match=r"the array of shape .* states no banner"):
        Reading(crop_bottom="auto").pixels(GREY)


def test_a_banner_that_leaves_nothing_is_refused(tmp_path):
    path = tiff(tmp_path / "a.tif", tescan(rows=55))
    with pytest.raises(
        ValueError, match=r"'auto', which leaves 5 of 60 rows of .*a\.tif: cut less"
    ):
        Reading(crop_bottom="auto").size(path)


# Kinds of numbers, and the range of deep files


@pytest.mark.parametrize(
    ("name", "pixels", "options", "kind"),
    [
        ("a.tif", GREY, {}, "8-bit"),
        ("a.tif", DEEP, {}, "16-bit"),
        ("a.tif", DEEP, {"bitspersample": 12}, "12-bit"),
        ("a.tif", DEEP, {"extratags": [(281, "H", 1, 4095, True)]}, "12-bit"),
        ("a.tif", DEEP, {"extratags": [(281, "H", 1, 4000, True)]}, "16-bit"),  # of this image
        ("a.tif", DEEP, {"extratags": [(281, "H", 1, 65535, True)]}, "16-bit"),
        ("a.tif", np.dstack([DEEP] * 3), {"extratags": [(281, "H", 3, (4095,) * 3, True)]},
         "12-bit"),
        ("a.tif", DEEP.astype(np.int16), {}, "signed 16-bit"),
        ("a.tif", DEEP.astype(np.float32), {}, "float"),
        ("a.tif", GREY > 99, {}, "1-bit"),
        ("a.png", GREY, {}, "8-bit"),
        ("a.png", GREY > 99, {}, "1-bit"),
        ("a.png", DEEP, {}, "16-bit"),
        ("a.jp2", DEEP, {}, "16-bit"),
        ("a.jpg", GREY, {}, "8-bit"),
        ("a.webp", GREY, {}, "8-bit"),
        ("a.gif", GREY, {}, "8-bit"),
    ],
    ids=str,
)  # fmt: skip
def test_read_header(tmp_path, name, pixels, options, kind):
    path = tmp_path / name
    if name == "a.tif":
        tifffile.imwrite(path, pixels, **options)
    else:
        Image.fromarray(pixels).save(path)
    assert read_header(path).kind == kind
    with pytest.raises(FileNotFoundError):
        read_header(tmp_path / "none.png")


def test_a_range_above_8_bits_leaves_files_of_8_bits_as_they_are(tmp_path):
    bits = {"extratags": [(281, "H", 1, 4095, True)]}
    share = (DEEP / 4095).astype(np.float32)
    for options in ({}, bits, {"bitspersample": 12}):
        path = tiff(tmp_path / "deep.tif", pixels=DEEP)
        tifffile.imwrite(path, DEEP, **options)
        np.testing.assert_array_equal(read_image(path, value_range=(0, 4095)), share)
        if options:
            np.testing.assert_array_equal(read_image(path), share)
    for name in ("a.tif", "a.png", "a.webp", "a.gif"):
        Image.fromarray(GREY).save(tmp_path / name, **LOSSLESS[name == "a.webp"])
        found = read_image(tmp_path / name, value_range=(0, 4095))
        np.testing.assert_array_equal(found, (GREY / 255).astype(np.float32))
    limits = GREY.min(), GREY.max()
    assert read_image(tmp_path / "a.png", value_range=limits).max() == 1  # not above 255


def test_numbers_above_the_stated_largest_are_refused(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, DEEP * 2, extratags=[(281, "H", 1, 4095, True)])
    with pytest.raises(ImageError, match="expected 0 to 4095"):
        read_image(path)


# Sizes that the user states


def test_a_stated_size_is_for_files_that_state_none(tmp_path):
    tiff(tmp_path / "a.tif", tescan("1e-7", "1e-7"))
    Image.fromarray(GREY).save(tmp_path / "b.png")
    files = [tmp_path / "a.tif", tmp_path / "b.png"]
    for stated, sizes in (
        (None, [0.1, None]), (0.104, [0.1, 0.104]), ([None, 0.2], [0.1, 0.2]),
        ([0.096, np.nan], [0.1, None]), (np.array([np.nan, 1e-7]), [0.1, 1e-7]),
    ):  # fmt: skip
        assert prepare_images(files, Reading(), stated=stated)[1] == sizes
    images, _ = prepare_images(files, Reading(target_um=0.2), stated=[None, 0.4])
    assert [np.asarray(image).shape for image in images] == [(30, 40), (120, 160)]
    assert all(isinstance(image, PreparedImage) and image.path in files for image in images)
    said = re.escape("1 of 2 images state another pixel size than you: ")
    with pytest.raises(ImageError, match=said + r".*a\.tif \(0\.1 µm, not 0\.2 µm\); correct"):
        prepare_images(files, Reading(), stated=0.2)
    with pytest.raises(ImageError, match=r"1 of 2 images state no pixel size.*stated_um=0\.05"):
        prepare_images(files, Reading(target_um=0.2))
    with pytest.raises(ImageError, match=r"more than 16 times away from .*b\.png \(1e-07 µm\)"):
        prepare_images(files, Reading(target_um=0.1), stated=[None, 1e-7])


# Formats without checksums


@pytest.mark.parametrize("name", ["a.webp", "a.gif", "a.jp2", "a.j2k"])
@pytest.mark.parametrize("colour", [False, True])
def test_grey_levels_are_those_of_pillow_and_cut_files_are_refused(tmp_path, name, colour):
    path = tmp_path / name
    pixels = np.dstack([GREY, GREY[::-1], GREY[:, ::-1]]) if colour else GREY
    Image.fromarray(pixels).save(path, **LOSSLESS[name == "a.webp"])
    with Image.open(path) as image:
        expected = np.asarray(image.convert("RGB" if colour else "L")) / 255
    np.testing.assert_array_equal(read_image(path), expected.astype(np.float32))
    whole = path.read_bytes()
    for left in range(1, len(whole), 97):
        path.write_bytes(whole[:left])
        with pytest.raises(ImageError, match=re.escape(str(path))):
            read_image(path)


def test_webp_and_gif_whose_last_bytes_are_missing_are_cut_short(tmp_path):
    exif = Image.Exif()
    exif[270] = "a" * 1000
    webp, gif = tmp_path / "a.webp", tmp_path / "a.gif"
    Image.fromarray(GREY).save(webp, exif=exif)
    Image.fromarray(GREY).save(gif)
    for path, lost, said in ((webp, 500, "cannot be read"), (gif, 1, "is cut short: its end")):
        read_image(path)
        path.write_bytes(path.read_bytes()[:-lost])
        with pytest.raises(ImageError, match=f"{path} {said}"):
            read_image(path)


@pytest.mark.parametrize("name", ["a.webp", "a.gif"])
def test_an_animation_is_no_image(tmp_path, name):
    frames = [Image.fromarray(GREY), Image.fromarray(GREY[::-1])]
    frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:])
    with pytest.raises(ImageError, match=f"{name} holds 2 images: expected one"):
        read_image(tmp_path / name)


# The cases of issue 24, where they are


@pytest.mark.skipif(not CASES.is_dir(), reason="the files of the review lie beside the repository")
def test_cases_of_the_review():
    assert pixel_size_um(CASES / "pixel_size" / "tescan_like.tif") == 2.5012
    assert read_header(CASES / "pixel_size" / "tescan_like.tif").banner == 8
    assert pixel_size_um(CASES / "pixel_size" / "dm_like.tif") == 0.168675
    for name in ("s06.webp", "s11.jp2"):
        with Image.open(CASES / "left_out" / name) as image:
            expected = (np.asarray(image) / 255).astype(np.float32)
        np.testing.assert_array_equal(read_image(CASES / "left_out" / name), expected)
    with pytest.warns(UserWarning, match="left out: 1 .dm3, 1 subfolder"):
        assert len(list_images(CASES / "left_out")) == 4
    stack = CASES / "unnamed" / "stack.tif"
    with pytest.raises(ImageError, match=f"{stack} holds 2 images"):
        read_image(PreparedImage(stack, Reading(crop_bottom=8)).path)


@pytest.mark.parametrize("module", [pixel_size, read])
def test_examples_in_docstrings(module):
    assert doctest.testmod(module).failed == 0
