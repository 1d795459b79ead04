"""helpers.images.read: each kind of image against the array it was made from, and each bad one."""

import doctest
import hashlib
import io
import re
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
import torch
from fuzz_images import chunk, png_header
from PIL import Image

from helpers.images import read
from helpers.images.read import (
    ImageError,
    Reading,
    image_digest,
    image_size,
    read_image,
)

pytestmark = pytest.mark.filterwarnings("error")

SHAPE = (20, 33)


def random(dtype, *channels):
    """An image that holds the largest value of its type, and of a size that shows a swap."""
    info = np.iinfo(dtype)
    rng = np.random.default_rng(0)
    image = rng.integers(info.min, info.max, (*SHAPE, *channels), dtype, endpoint=True)
    image[0, 0] = info.max
    return image


GREY, GREY16, GREY32 = random(np.uint8), random(np.uint16), random(np.uint32)
RGB, RGB16 = random(np.uint8, 3), random(np.uint16, 3)
RGBA, RGBA16 = random(np.uint8, 4), random(np.uint16, 4)
FLOAT = np.random.default_rng(1).random(SHAPE, np.float32)
PHASES = GREY > 127
Y, X = np.indices(SHAPE)
SMOOTH = np.stack([7 * X, 12 * Y, 255 - 7 * X], axis=2).astype(np.uint8)  # JPEG keeps it well


def share(array):
    return (array / np.iinfo(array.dtype).max).astype(np.float32)


def save(path, array, mode=None, **options):
    image = array if isinstance(array, Image.Image) else Image.fromarray(array)
    if mode:
        image = image.convert(mode)
    image.save(path, **options)
    return path


def save_tiff(path, array, **options):
    tifffile.imwrite(path, array, **options)
    return path


def check(found, expected):
    assert found.dtype == np.float32
    assert found.flags.c_contiguous
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    "array, expected",
    [
        (GREY, share(GREY)),
        (GREY16, share(GREY16)),
        (RGB, share(RGB)),
        (RGBA, share(RGBA[..., :3])),
        (random(np.uint8, 2), share(random(np.uint8, 2)[..., 0])),
        (PHASES, PHASES),
    ],
    ids=["L", "I;16", "RGB", "RGBA", "LA", "1"],
)
def test_png(tmp_path, array, expected):
    image = Image.fromarray(array)
    path = save(tmp_path / "a.png", image)
    check(read_image(path), expected)
    check(read_image(str(path)), expected)
    check(read_image(image), expected)
    check(read_image(array), expected)
    assert image_size(path) == image_size(image) == image_size(array) == SHAPE


@pytest.mark.parametrize("array", [RGB16, RGBA16, random(np.uint16, 2)], ids=["RGB", "RGBA", "LA"])
def test_png_of_16_bits_and_colour_keeps_them(tmp_path, capfd, array):
    png = imagecodecs.png_encode(array)
    bad_profile = chunk(b"iCCP", b"bad\0\0profile")  # libpng would print a warning
    path = tmp_path / "a.png"
    path.write_bytes(png[:33] + bad_profile + png[33:])
    check(read_image(path), share(array[..., 0] if array.shape[2] == 2 else array[..., :3]))
    with Image.open(path) as lazy:
        assert np.asarray(lazy.copy()).dtype == np.uint8  # the reason for going past Pillow
    with (
        Image.open(path) as lazy,
        pytest.raises(ImageError, match="cut to 8 bits: save it as TIFF"),
    ):
        read_image(lazy)
    assert capfd.readouterr().err == ""


def test_interlaced_png_of_16_bits_and_colour_is_refused(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(png_header(8, 8, 16, 2, 1) + chunk(b"IDAT", zlib.compress(b"")))
    with pytest.raises(ImageError, match="without interlacing"):
        read_image(path)


COLOURS = np.arange(15, dtype=np.uint8).reshape(5, 3)[::-1]


def palette_image():
    image = Image.new("P", SHAPE[::-1])
    image.putdata((GREY % 5).ravel().tolist())
    image.putpalette(COLOURS.tobytes())
    return image


@pytest.mark.parametrize(
    "suffix, options",
    [
        ("png", {}),
        ("png", {"transparency": 2}),
        ("png", {"transparency": b"\x00\x80\xff"}),
        ("gif", {"transparency": 2}),
        ("bmp", {}),
    ],
)
def test_palette_is_expanded_to_its_colours(tmp_path, suffix, options):
    path = save(tmp_path / f"a.{suffix}", palette_image(), **options)
    check(read_image(path), share(COLOURS[GREY % 5]))
    with Image.open(path) as image:
        check(read_image(image), share(COLOURS[GREY % 5]))


def test_alpha_is_dropped_and_the_colours_under_it_stay(tmp_path):
    image = RGBA.copy()
    image[..., 3] = 0
    check(read_image(save(tmp_path / "a.png", image)), share(RGBA[..., :3]))
    check(read_image(save_tiff(tmp_path / "a.tif", image)), share(RGBA[..., :3]))
    check(read_image(image), share(RGBA[..., :3]))
    image = np.stack([GREY, GREY * 0], axis=2)
    check(read_image(save(tmp_path / "b.png", image)), share(GREY))


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif"])
def test_colour_with_equal_channels_comes_as_grey(tmp_path, suffix):
    image = np.stack([GREY] * 3, axis=2)
    check(read_image(save(tmp_path / f"a.{suffix}", image)), share(GREY))
    check(read_image(image), share(GREY))
    check(read_image(np.dstack([image, RGBA[..., 3]])), share(GREY))
    image[-1, -1, 2] ^= 1
    assert read_image(image).shape == (*SHAPE, 3)


@pytest.mark.parametrize("mode", ["RGB", "CMYK", "L"])
def test_jpeg(tmp_path, mode):
    path = save(tmp_path / "a.jpg", SMOOTH, mode, quality=95)
    expected = np.asarray(
        Image.fromarray(SMOOTH).convert(mode).convert(mode.replace("CMYK", "RGB"))
    )
    found = read_image(path)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, share(expected), atol=0.04)
    assert image_size(path) == SHAPE


@pytest.mark.parametrize("mode", ["CMYK", "YCbCr", "LAB", "HSV", "RGBX"])
def test_other_colour_spaces_become_rgb(mode):
    found = read_image(Image.fromarray(SMOOTH).convert(mode))
    assert abs(found - share(SMOOTH)).mean() < 0.01  # 8 bits in LAB are coarse


# Orientation -> where one should see the first stored row and the first stored column, from the
# table of the EXIF standard.
SIDES = {
    1: ("top", "left"),
    2: ("top", "right"),
    3: ("bottom", "right"),
    4: ("bottom", "left"),
    5: ("left", "top"),
    6: ("right", "top"),
    7: ("right", "bottom"),
    8: ("left", "bottom"),
}


def as_seen(stored, orientation):
    """The image that one should see, pixel by pixel."""
    row_side, column_side = SIDES[orientation]
    h, w = stored.shape[:2]
    flat = row_side in ("top", "bottom")
    seen = np.empty((h, w) if flat else (w, h), stored.dtype)
    for i, j in np.ndindex(h, w):
        from_row = i if row_side in ("top", "left") else h - 1 - i
        from_column = j if column_side in ("top", "left") else w - 1 - j
        seen[(from_row, from_column) if flat else (from_column, from_row)] = stored[i, j]
    return seen


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["jpg", "png", "tif", "late", "pillow", "xmp"])
def test_orientation_is_applied(tmp_path, kind, orientation):
    exif = Image.Exif()
    exif[274] = orientation
    path = tmp_path / f"a.{kind if kind in ('jpg', 'tif') else 'png'}"
    if kind == "tif":
        save_tiff(path, GREY, extratags=[(274, "H", 1, orientation, True)])
    else:
        xmp = f'<x tiff:Orientation="{orientation}"/>'.encode()
        save(
            path,
            GREY,
            **({} if kind == "late" else {"xmp": xmp} if kind == "xmp" else {"exif": exif}),
        )
    if kind == "xmp":
        path = save(tmp_path / "a.jpg", GREY, xmp=xmp)
    if kind == "late":  # after the pixels, as the PNG standard allows and exiftool does
        png = path.read_bytes()
        path.write_bytes(png[:-12] + chunk(b"eXIf", exif.tobytes()[6:]) + png[-12:])
    with Image.open(path) as image:
        stored = np.asarray(image) if path.suffix == ".jpg" else GREY
        source = image if kind == "pillow" else path
        expected = as_seen(stored, orientation)
        assert image_size(source) == expected.shape
        check(read_image(source), share(expected))
        assert image_size(source) == expected.shape


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_orientation_that_does_not_exist_changes_nothing(tmp_path, orientation):
    exif = Image.Exif()
    exif[274] = orientation
    check(read_image(save(tmp_path / "a.png", GREY, exif=exif)), share(GREY))


def test_tiff_of_every_type(tmp_path):
    for array in (GREY, GREY16, GREY32, random(np.uint64), RGB, RGB16):
        check(read_image(save_tiff(tmp_path / "a.tif", array)), share(array))
    for array in (FLOAT, FLOAT.astype(np.float64), FLOAT.astype(np.float16)):
        path = save_tiff(tmp_path / "a.tif", array)
        check(read_image(path), array.astype(np.float32))
        assert image_size(path) == SHAPE
    path = save_tiff(tmp_path / "a.tif", GREY16 // 16, bitspersample=12)  # packed
    check(read_image(path), (GREY16 // 16 / 4095).astype(np.float32))


@pytest.mark.parametrize(
    "options",
    [
        {"compression": "lzw"},
        {"compression": "deflate", "predictor": True},
        {"compression": "packbits"},
        {"tile": (16, 16)},
        {"tile": (16, 32), "compression": "lzw"},
        {"rowsperstrip": 3, "compression": "zstd"},
        {"bigtiff": True},
        {"byteorder": ">"},
    ],
    ids=str,
)
@pytest.mark.parametrize("array", [GREY16, RGB, RGBA16], ids=["grey", "RGB", "RGBA"])
def test_tiff_of_every_layout(tmp_path, array, options):
    path = tmp_path / "a.tif"
    expected = share(array if array.ndim == 2 else array[..., :3])
    check(read_image(save_tiff(path, array, **options)), expected)
    if array.ndim == 3:
        planes = np.moveaxis(array, 2, 0).copy()
        save_tiff(path, planes, photometric="rgb", planarconfig="separate", **options)
        check(read_image(path), expected)


@pytest.mark.parametrize("tile", [None, (16, 16)])
def test_tiff_with_jpeg_compression(tmp_path, tile):
    path = save_tiff(tmp_path / "a.tif", SMOOTH, photometric="rgb", compression="jpeg", tile=tile)
    with tifffile.TiffFile(path) as tiff:
        assert tiff.pages[0].photometric.name == "YCBCR"
    assert abs(read_image(path) - share(SMOOTH)).mean() < 0.02
    with Image.open(path) as image:
        check(read_image(path), share(np.asarray(image)))


@pytest.mark.parametrize("array", [GREY, GREY16, FLOAT, PHASES], ids=lambda a: a.dtype.name)
def test_tiff_whose_zero_is_white(tmp_path, array):
    path = save_tiff(tmp_path / "a.tif", array, photometric="miniswhite")
    white = {"u": np.iinfo, "f": None, "b": None}[array.dtype.kind]
    white = white(array.dtype).max if white else 1
    check(read_image(path), ((white - array.astype(float)) / white).astype(np.float32))
    if array is GREY16:
        found = read_image(path, value_range=(-65535, 65535))
        check(found, ((65535 - GREY16.astype(float)) / 131070).astype(np.float32))
    assert not np.signbit(read_image(path)).any()


def test_tiff_with_a_palette(tmp_path):
    colormap = np.random.default_rng(3).integers(0, 65536, (3, 256), np.uint16)
    path = save_tiff(tmp_path / "a.tif", GREY, photometric="palette", colormap=colormap)
    check(read_image(path), share(np.stack([row[GREY] for row in colormap], axis=2)))


@pytest.mark.parametrize("compression", [None, "packbits", "group4"])
def test_tiff_of_one_bit(tmp_path, compression):
    options = {"compression": compression} if compression else {}
    check(read_image(save(tmp_path / "a.tif", PHASES, **options)), PHASES)


@pytest.mark.parametrize("first", [False, True])
def test_thumbnail_and_mask_of_a_tiff_do_not_count(tmp_path, first):
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as tiff:
        pages = [(GREY16, 0), (GREY16[::2, ::2], 1), (PHASES, 4)]
        for page, kind in reversed(pages) if first else pages:
            tiff.write(page, subfiletype=kind, metadata=None, photometric="minisblack")
    check(read_image(path), share(GREY16))
    assert image_size(path) == SHAPE


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.uint16, np.int8, np.int64, np.uint64])
def test_integers_0_and_1_are_phases(tmp_path, dtype):
    phases = PHASES.astype(dtype)
    check(read_image(phases), PHASES)
    check(read_image(phases * 0), PHASES * 0)
    check(read_image(phases * 0 + 1), PHASES * 0 + 1)
    if dtype in (np.uint8, np.uint16):
        check(read_image(save(tmp_path / "a.png", phases)), PHASES)
        check(read_image(save_tiff(tmp_path / "a.tif", phases)), PHASES)
        white = np.iinfo(dtype).max  # who means grey values says so
        check(read_image(phases, value_range=(0, white)), (PHASES / white).astype(np.float32))


def test_value_range(tmp_path):
    image = GREY16 // 16
    expected = (image / 4095).astype(np.float32)
    for path in (save(tmp_path / "a.png", image), save_tiff(tmp_path / "a.tif", image)):
        check(read_image(path, value_range=(0, 4095)), expected)
    signed = GREY.astype(np.int16) - 100
    check(read_image(signed, value_range=(-100, 155)), share(GREY))
    check(read_image(FLOAT * 2 - 1, value_range=(-1.0, 1.0)), ((FLOAT * 2 - 1) + 1.0) / 2)
    check(read_image(GREY, value_range=np.array([-5, 300])),
          ((GREY + 5.0) / 305).astype(np.float32))  # fmt: skip


@pytest.mark.parametrize(
    "value_range", [(0, 0), (1, 0), (0, np.inf), (np.nan, 1), (0,), 255, "ab"]
)
def test_bad_value_range_is_named(value_range):
    message = re.escape(f"value_range is {value_range!r}: expected two finite numbers")
    with pytest.raises(ValueError, match=message) as caught:
        read_image(GREY, value_range=value_range)
    assert not isinstance(caught.value, ImageError)  # it is not the image that is bad


def test_a_reading_cuts_the_lower_edge_and_is_checked_where_it_is_made(tmp_path):
    path = save(tmp_path / "a.png", GREY)
    for crop, left in (("25%", 15), (" 7 ", 13), (0, 20), ("12.5 %", 18), (None, 20)):
        reading = Reading(crop_bottom=crop)
        assert reading.size(path) == (left, SHAPE[1])
        check(reading.pixels(path), share(GREY)[:left])
    with pytest.raises(ValueError, match=r"leaves 2 of 20 rows of .*a\.png: cut less"):
        Reading(crop_bottom=18).pixels(path)
    for options, message in (
        ({"crop_bottom": "7.5"}, "crop_bottom is '7.5': expected pixels"),
        ({"target_um": -1}, "target_um is -1: expected micrometres"),
        ({"target_um": np.nan}, "target_um is nan: expected micrometres"),
        ({"value_range": (1, 0)}, "expected two finite numbers"),
    ):
        with pytest.raises(ValueError, match=message):
            Reading(**options)


def test_arrays_of_other_kinds():
    check(read_image(FLOAT.tolist()), FLOAT)
    check(read_image(torch.from_numpy(FLOAT)), FLOAT)
    check(read_image(torch.from_numpy(GREY)), share(GREY))
    check(read_image(GREY[..., None]), share(GREY))
    check(read_image(FLOAT.astype(np.longdouble)), FLOAT)
    check(read_image(np.asfortranarray(RGB)[::-1, ::2]), share(RGB[::-1, ::2]))
    before = FLOAT.copy()
    read_image(FLOAT)[:] = 0
    np.testing.assert_array_equal(FLOAT, before)  # the result is a copy


def test_real_micrographs(shared_data):
    paths = sorted(shared_data.glob("micrographs/*.tif"))
    if not paths:
        pytest.skip(f"no micrographs in {shared_data}")
    for path in paths:
        stored = np.asarray(Image.open(io.BytesIO(path.read_bytes())))[..., :3]
        grey = (stored == stored[..., :1]).all()
        check(read_image(path), share(stored[..., 0] if grey else stored))
        assert image_size(path) == stored.shape[:2]


def damaged(array, where, value):
    array = array.copy()
    array[where] = value
    return array


@pytest.mark.parametrize(
    "array, message",
    [
        (np.zeros((0, 4)), r"shape \(0, 4\).* is empty"),
        (np.zeros(4), r"shape \(4,\).*expected \(h, w\)"),
        (np.zeros((2, 3, 4, 3)), r"shape \(2, 3, 4, 3\).*one image at a time"),
        (np.zeros((3, 20, 20)), r"shape \(3, 20, 20\).*channels last"),
        (np.zeros((4, 4, 0)), r"1 to 4 channels"),
        (np.zeros((4, 4), complex), "type complex128 is no image"),
        (np.full((4, 4), None), "type object is no image"),
        (np.full((4, 4), "x"), "type <U1 is no image"),
        (None, "type object"),
        ([[1, 2], [3]], "the list cannot be read .*inhomogeneous"),
        (torch.zeros(4, 4, requires_grad=True), "the Tensor cannot be read .*detach"),
        (damaged(FLOAT, (3, 7), np.nan), r"nan at row 3, column 7 \(1 such pixels\)"),
        (damaged(FLOAT, (slice(5, 7), 2), -np.inf), r"-inf at row 5, column 2 \(2 such"),
        (damaged(np.zeros((*SHAPE, 3)), (4, 5, 1), np.nan), r"nan.* at row 4, column 5 \(1"),
        (damaged(FLOAT, (0, 0), 1.5), r"from .* to 1\.5: expected 0 to 1; .*value_range"),
        (damaged(FLOAT, (0, 0), -0.25), r"from -0\.25 to .*: expected 0 to 1"),
        (np.array([[0, 255]]), r"signed integers from 0 to 255.*pass value_range"),
        (np.array([[-1, 0]], np.int8), "signed integers from -1 to 0"),
        (Image.new("I", (3, 2), 70000), "signed integers from 70000"),
        (Image.new("F", (3, 2), 2.5), r"Pillow image of 3 x 2 pixels .*from 2\.5 to 2\.5"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_bad_array_is_named(array, message):
    with pytest.raises(ImageError, match=message):
        read_image(array)


def test_value_outside_the_value_range_is_named(tmp_path):
    for source in (
        GREY16,
        save(tmp_path / "a.png", GREY16),
        save_tiff(tmp_path / "a.tif", GREY16),
    ):
        name = str(source) if isinstance(source, Path) else "array"
        message = f"{name}.*values from {GREY16.min()} to 65535: expected 0 to 4095"
        with pytest.raises(ImageError, match=message):
            read_image(source, value_range=(0, 4095))


BAD_FILES = {
    "empty.png": (b"", r"empty file \(0 bytes\)"),
    "text.png": (b"not an image", "no.* format that Pillow knows"),
    "start.tif": (b"II*\0", "cannot be read as an image"),
    "no_page.tif": (b"II*\0" + bytes(4), "cannot be read as an image"),
    "drawing.eps": (
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\n",
        "vector graphic",
    ),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_file_that_is_no_image_is_named(tmp_path, capfd, name):
    content, message = BAD_FILES[name]
    path = tmp_path / name
    path.write_bytes(content)
    for function in (read_image, image_size):
        with pytest.raises(ImageError, match=f"{re.escape(str(path))}.*{message}"):
            function(path)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("function", [read_image, image_size, image_digest])
def test_file_that_cannot_be_opened_is_named(tmp_path, monkeypatch, function):
    with pytest.raises(FileNotFoundError, match=f"{tmp_path}/none.png: check its name"):
        function(tmp_path / "none.png")
    with pytest.raises(
        ImageError, match=f"{tmp_path} cannot be opened .Is a directory.: expected"
    ):
        function(tmp_path)
    with pytest.raises(ImageError, match=r"cannot be opened .*null byte"):
        function("a\0b.png")

    def refuse(path, mode):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(
        ImageError, match=r"cannot be opened .*Permission denied.*that you may read"
    ):
        function(tmp_path / "a.png")


FILES = {
    "grey.png": lambda path: save(path, GREY),
    "deep.png": lambda path: path.write_bytes(imagecodecs.png_encode(RGB16)),
    "colour.jpg": lambda path: save(path, SMOOTH),
    "plain.tif": lambda path: save_tiff(path, GREY16),
    "strips.tif": lambda path: save_tiff(path, RGB, compression="lzw", rowsperstrip=4),
    "tiles.tif": lambda path: save_tiff(path, SMOOTH, compression="jpeg", tile=(16, 16)),
    "stack.tif": lambda path: save_tiff(path, random(np.uint8, 2), photometric="minisblack"),
    "a.bmp": lambda path: save(path, RGB),
}


@pytest.mark.parametrize("name", FILES)
def test_file_that_is_cut_short_is_refused(tmp_path, capfd, name):
    FILES[name](tmp_path / name)
    content = (tmp_path / name).read_bytes()
    path = tmp_path / f"cut_{name}"
    for length in [*range(0, len(content) - 4, 1 + len(content) // 40), len(content) - 5]:
        path.write_bytes(content[:length])  # a PNG's last four bytes are the checksum of nothing
        with pytest.raises(ImageError, match=re.escape(str(path))):
            read_image(path)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("name", FILES)
def test_damaged_file_gives_an_image_or_an_image_error(tmp_path, capfd, name):
    FILES[name](tmp_path / name)
    content = np.frombuffer((tmp_path / name).read_bytes(), np.uint8)
    path = tmp_path / f"damaged_{name}"
    rng = np.random.default_rng(len(name))
    refused = 0
    for _ in range(80):
        mutated = content.copy()
        # Half of the flips go to the header, where there are more ways to fail.
        stop = 200 if rng.random() < 0.5 else len(content)
        places = rng.integers(0, min(stop, len(content)), rng.integers(1, 4))
        mutated[places] ^= rng.integers(1, 256, len(places), np.uint8)
        path.write_bytes(mutated[: rng.integers(1, 2 * len(content))])
        try:
            size = image_size(path, max_pixels=10_000)
            found = read_image(path, max_pixels=10_000)
        except ImageError:
            refused += 1
        else:
            assert found.dtype == np.float32
            assert found.shape[:2] == size
            assert found.min() >= 0
            assert found.max() <= 1
    assert refused > 20
    assert capfd.readouterr().err == ""


def test_damaged_pixels_of_a_png_are_found_by_their_checksum(tmp_path):
    path = save(tmp_path / "a.png", GREY)
    content = bytearray(path.read_bytes())
    content[content.index(b"IDAT") + 300] ^= 1
    path.write_bytes(content)
    with pytest.raises(ImageError, match="checksum"):
        read_image(path)


def test_several_images_in_one_file_are_refused(tmp_path):
    stack = np.stack([GREY, GREY[::-1], GREY[:, ::-1]])
    frames = [Image.fromarray(page) for page in stack]
    paths = [
        save(tmp_path / f"a.{suffix}", frames[0], save_all=True, append_images=frames[1:])
        for suffix in ("gif", "png", "webp", "tif")
    ]
    paths.append(save_tiff(tmp_path / "b.tif", stack, photometric="minisblack"))
    paths.append(save_tiff(tmp_path / "c.tif", stack, imagej=True))
    paths.append(save_tiff(tmp_path / "d.tif", stack, photometric="minisblack", tile=(3, 16, 16)))
    for path in paths:
        for function in (read_image, image_size):
            with pytest.raises(ImageError, match=f"{path} holds 3 images: .*split the stack"):
                function(path)
    with Image.open(paths[0]) as frame:  # but who chose a frame gets it
        frame.seek(1)
        check(read_image(frame), share(GREY[::-1]))


def test_tiff_of_another_kind_is_refused(tmp_path):
    path = tmp_path / "a.tif"
    for mode, name in [("CMYK", "SEPARATED"), ("LAB", "CIELAB"), ("YCbCr", "YCBCR")]:
        with pytest.raises(ImageError, match=f"a.tif .*{name}.*expected grey, palette or RGB"):
            read_image(save(path, SMOOTH, mode))
    save_tiff(path, np.zeros((*SHAPE, 5), np.uint8), photometric="minisblack", planarconfig=1)
    with pytest.raises(ImageError, match="5 channels of kind MINISBLACK"):
        read_image(path)
    with pytest.raises(ImageError, match="signed integers"):
        read_image(save_tiff(path, GREY16.astype(np.int32)))
    with pytest.raises(ImageError, match="nan at row 1, column 2"):
        read_image(save_tiff(path, damaged(FLOAT, (1, 2), np.nan)))


def huge_png(path):
    path.write_bytes(png_header(30000, 30000) + chunk(b"IDAT", zlib.compress(b"")))
    return path


def huge_tiff(path):
    save_tiff(path, GREY)
    with tifffile.TiffFile(path, mode="r+") as tiff:
        for tag in (256, 257):  # width and height
            tiff.pages[0].tags[tag].overwrite(30000)
    return path


@pytest.mark.parametrize("function", [read_image, image_size])
def test_too_many_pixels_are_refused_before_they_are_decoded(tmp_path, function):
    sources = [
        huge_png(tmp_path / "a.png"),
        huge_tiff(tmp_path / "a.tif"),
        np.broadcast_to(np.uint8(0), (30000, 30000)),
    ]
    for source in sources:
        message = "30000 x 30000 pixels, more than the 268435456 that are read: crop"
        with pytest.raises(ImageError, match=message):
            function(source)
    assert image_size(sources[0], max_pixels=30000**2) == (30000, 30000)
    for source in (GREY, Image.fromarray(GREY), save(tmp_path / "b.png", GREY)):
        assert function(source, max_pixels=GREY.size) is not None
        with pytest.raises(ImageError, match="33 x 20 pixels, more than the 659 that"):
            function(source, max_pixels=GREY.size - 1)


def overwritten(path, **tags):
    """A TIFF file whose header says something else."""
    with tifffile.TiffFile(path, mode="r+") as tiff:
        for name, value in tags.items():
            tiff.pages[0].tags[name].overwrite(value)
    return path


def test_directories_without_end_are_refused(tmp_path):
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as tiff:
        for _ in range(1002):
            tiff.write(GREY[:1, :1], metadata=None, photometric="minisblack")
    with pytest.raises(ImageError, match=r"a[.]tif holds more than 1000 images: expected one"):
        read_image(path)


def test_tiles_far_larger_than_the_image_are_refused(tmp_path):
    path = save_tiff(tmp_path / "a.tif", GREY, tile=(16, 16), compression="lzw")
    overwritten(path, TileLength=65520, TileWidth=65520)
    with pytest.raises(ImageError, match=r"a.tif is damaged: .*tiles of \(65520, 65520\)"):
        read_image(path)


def test_planes_in_an_unknown_order_are_refused(tmp_path):
    path = save_tiff(tmp_path / "a.tif", SMOOTH, photometric="rgb", compression="jpeg")
    with pytest.raises(ImageError, match="order 351"):  # two planes came as they lay in memory
        read_image(overwritten(path, PlanarConfiguration=351))


def test_jpeg_2000_without_its_tiles_is_refused(tmp_path):
    path = save(tmp_path / "a.jp2", GREY)
    content = path.read_bytes()
    assert read_image(path).shape == SHAPE
    path.write_bytes(content[: content.index(b"\xff\x93")])  # OpenJPEG would give a grey image
    with pytest.raises(ImageError, match=r"a[.]jp2 is cut short"):
        read_image(path)


@pytest.mark.parametrize("array, surplus", [(GREY, 10**6), (RGB16, 1)], ids=["8 bits", "16 bits"])
def test_more_data_than_pixels_in_a_png_changes_nothing(tmp_path, capfd, array, surplus):
    rows = array.astype(array.dtype.newbyteorder(">")).reshape(len(array), -1)
    data = b"".join(b"\0" + row.tobytes() for row in rows)
    noise = np.random.default_rng(0).bytes(surplus)
    path = tmp_path / "a.png"
    for added in (b"", noise):
        header = png_header(*SHAPE[::-1], 8 * array.itemsize, 2 if array.ndim == 3 else 0)
        pixels = chunk(b"IDAT", zlib.compress(data + added))
        path.write_bytes(header + pixels + chunk(b"IEND", b""))
        check(read_image(path), share(array))
    assert capfd.readouterr().err == ""


def test_too_little_memory_names_the_image(tmp_path, monkeypatch):
    path = save_tiff(tmp_path / "a.tif", GREY)

    def fail(file):
        raise MemoryError

    monkeypatch.setattr(tifffile, "TiffFile", fail)
    with pytest.raises(ImageError, match=r"a[.]tif takes more memory than there is"):
        read_image(path)


def test_limit_of_pillow_does_not_matter_and_stays(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)  # would warn, and fail beyond 20 pixels
    check(read_image(save(tmp_path / "a.png", GREY)), share(GREY))
    with pytest.raises(ImageError):
        read_image(huge_png(tmp_path / "b.png"))
    assert Image.MAX_IMAGE_PIXELS == 10
    with pytest.raises(Image.DecompressionBombError):
        Image.open(tmp_path / "a.png")


def test_threads_do_not_disturb_each_other(tmp_path):
    limit = Image.MAX_IMAGE_PIXELS
    for name, write in FILES.items():
        write(tmp_path / name)
    names = [name for name in FILES if name != "stack.tif"] * 12
    lazy = Image.open(tmp_path / "grey.png")  # and all of them load this one
    expected = {name: read_image(tmp_path / name) for name in set(names)}
    with ThreadPoolExecutor(8) as pool:
        shared = pool.map(lambda _: read_image(lazy), range(20))
        found = pool.map(lambda name: read_image(tmp_path / name), names)
        for name, pixels in zip(names, found, strict=True):
            np.testing.assert_array_equal(pixels, expected[name])
        for pixels in shared:
            np.testing.assert_array_equal(pixels, share(GREY))
    lazy.close()
    assert limit == Image.MAX_IMAGE_PIXELS


def test_messages_of_tifffile_in_other_code_are_still_logged(caplog):
    read_image(GREY)
    tifffile.logger().warning("of other code")
    assert "of other code" in caplog.text


def test_digest(tmp_path):
    path = save(tmp_path / "a.png", GREY)
    assert image_digest(path) == hashlib.sha256(path.read_bytes()).hexdigest()
    palette = palette_image()
    recoloured = palette.copy()
    recoloured.putpalette(bytes(range(15)))
    turned = Image.fromarray(GREY)
    turned.getexif()[274] = 3
    different = [
        path, GREY, damaged(GREY, (3, 4), 0), GREY.T, GREY.reshape(33, 20), GREY.view(np.int8),
        GREY[..., None], Image.fromarray(GREY), turned, Image.fromarray(GREY.reshape(33, 20)),
        palette, recoloured, Image.fromarray(RGB), RGB,
    ]  # fmt: skip
    digests = [image_digest(source) for source in different]
    assert len(set(digests)) == len(different)
    assert all(re.fullmatch("[0-9a-f]{64}", digest) for digest in digests)
    assert image_digest(torch.from_numpy(GREY)) == image_digest(GREY)
    assert image_digest(np.asfortranarray(GREY)) == image_digest(GREY)
    with pytest.raises(ImageError, match="type object"):
        image_digest(np.array([[None]]))


def test_examples_in_docstrings():
    result = doctest.testmod(read)
    assert result.attempted > 0
    assert result.failed == 0
