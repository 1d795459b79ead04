"""File formats: how each is opened and decoded; a new one goes here and to `folders.SUFFIXES`."""

from __future__ import annotations

import contextlib
import functools
import itertools
import logging
import math
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import imagecodecs
import numpy as np
import tifffile
from PIL import Image

from helpers import UserError
from helpers.images import _tiff_sizes

TIFF_STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
MAX_PAGES = 1000  # damaged directories may follow each other millions of times
LARGEST_TILE = 2**24  # numbers, where the image itself is smaller
# Largest numbers of 8 to 15 bits. Another one in the tag may be no more than that of one image.
MAX_SAMPLE = {2**bits - 1 for bits in range(8, 16)}
TRANSPOSED = (5, 6, 7, 8)  # orientations whose rows are the columns that one should see
JPEG_IN_TIFF = (6, 7, 33007, 34892)  # codes of compressions whose YCbCr tifffile turns to RGB

# Whether all bytes of a file are there, in formats without checksums whose decoders may not tell.
WHOLE = {
    "JPEG2000": lambda content: b"\xff\xd9" in content[content.find(b"\xff\x93") :],  # of its data
    "GIF": lambda content: content.rstrip(b"\0").endswith(b";"),
}

_lock, _here = threading.Lock(), threading.local()
# They log what they make of damaged files, which are told as errors.
for _library in ("tifffile", "imagecodecs"):
    logging.getLogger(_library).addFilter(lambda record: not getattr(_here, "quiet", False))


class ImageError(UserError):
    """An image that cannot be used; the message says which one, why and what to do."""


class StoredImage(NamedTuple):
    """What is known of an image before it is decoded."""

    name: str  # in messages
    shape: tuple[int, int]  # height and width as stored, see `size`
    decode: Callable[[], np.ndarray]  # the stored numbers, (h, w) or (h, w, channels)
    orientation: Callable[[], int] = lambda: 1
    kind: str = ""  # such as "8-bit", "signed 16-bit" or "float"; empty for arrays
    largest: int | None = None  # stored number; None: of the type
    inverted: bool = False  # the largest number is black
    banner: Callable[[], int | None] = lambda: None  # rows that the file states

    @property
    def size(self):
        """Height and width as one should see the image."""
        return self.shape[::-1] if self.orientation() in TRANSPOSED else self.shape


def open_file(path):
    """An open binary file, or an error that names the path and what to do."""
    try:
        return Path(path).open("rb")
    except FileNotFoundError:
        raise FileNotFoundError(f"there is no image {path}: check its name and folder") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error  # without the path
        raise ImageError(
            f"{path} cannot be opened ({reason}): expected an image file that you may read"
        ) from error


def _refuse_stack(name, count):
    if count != 1:
        raise ImageError(
            f"{name} holds {count} images: expected one; split the stack into files of one image"
        )


def file_image(file, name):
    """The `StoredImage` of an open file; an ImageError where it holds none, or several."""
    start = file.read(4)
    file.seek(0)
    if not start:
        raise ImageError(f"{name} is an empty file (0 bytes): expected an image; copy it again")
    if start in TIFF_STARTS:
        return _tiff(file, name)
    with _quiet_pillow():
        image = Image.open(file)
        # The further pictures of an MPO file are previews or other views of the first.
        count = 1 if image.format == "MPO" else getattr(image, "n_frames", 1)
    _refuse_stack(name, count)
    return pillow_image(image, name, file)


def _tiff(file, name):
    tiff = tifffile.TiffFile(file)
    pages = list(itertools.islice(tiff.pages, MAX_PAGES + 1))
    if len(pages) > MAX_PAGES:
        _refuse_stack(name, f"more than {MAX_PAGES}")
    # Reduced images (bit 0) and masks (bit 2) only accompany the image itself.
    pages = [page for page in pages if not page.subfiletype & 0b101] or pages
    page = pages[0]
    count = len(pages) * page.imagedepth
    if tiff.is_imagej or tiff.is_stk:  # these put a stack behind a single page
        count = max(count, tiff.series[0].size // page.size)
    _refuse_stack(name, count)
    kind, samples = page.photometric, page.samplesperpixel
    grey = kind in (0, 1, 3) and samples <= 2
    colour = kind == 2 or (kind == 6 and page.compression in JPEG_IN_TIFF)
    if not grey and not (colour and samples >= 3):
        raise ImageError(
            f"{name} has {samples} channels of kind {getattr(kind, 'name', kind)} "
            "(PhotometricInterpretation): expected grey, palette or RGB; convert it"
        )
    # What tifffile does not check: it would leave planes unfilled, or make room for any tile.
    if page.planarconfig not in (1, 2) or math.prod(page.chunks) > max(page.size, LARGEST_TILE):
        raise ImageError(
            f"{name} is damaged: its pixels are said to lie in tiles of {page.chunks}, in the "
            f"order {page.planarconfig} (PlanarConfiguration); save it again as PNG or TIFF"
        )

    sort = "u" if page.dtype is None else page.dtype.kind
    bits = page.bitspersample  # 12 bits a sample are read as uint16
    stated = int(np.max(page.tags.valueof(281, default=0)))  # MaxSampleValue, of each channel
    if sort == "u" and bits == 16 and stated in MAX_SAMPLE:
        bits = stated.bit_length()
    return StoredImage(
        name,
        (page.imagelength, page.imagewidth),
        lambda: _tiff_pixels(tiff, page, name),
        lambda: page.tags.valueof(274),
        "float" if sort == "f" else f"{'signed ' * (sort == 'i')}{bits}-bit",
        2**bits - 1 if sort == "u" and kind != 3 else None,
        kind == 0,
        lambda: _tiff_sizes.banner(tiff),
    )


def _tiff_pixels(tiff, page, name):
    """Stored numbers of a page; an ImageError where it is cut short."""
    offsets, counts = np.array(page.dataoffsets), np.array(page.databytecounts)
    whole = len(offsets) >= math.prod(page.chunked) and offsets.all() and counts.all()
    file = tiff.filehandle
    file.seek(tiff.pages.next_page_offset)  # where the last page says that no other follows
    whole = whole and not any(file.read(tiff.tiff.offsetsize))
    if not whole or (offsets + counts).max() > file.size:  # else read as zeros
        raise ImageError(f"{name} is cut short: part of its pixels is missing; copy it again")
    pixels = page.asarray(squeeze=False, maxworkers=1)  # (planes, 1, h, w, channels)
    pixels = np.moveaxis(pixels[:, 0, ..., 0], 0, 2) if len(pixels) > 1 else pixels[0, 0]
    return page.colormap.T[pixels[..., 0]] if page.photometric == 3 else pixels


def pillow_image(image, name, file=None):
    """The `StoredImage` of a Pillow image; `file` is the open file that it came from."""
    deep = image.mode.startswith("RGB") and any(
        ";16" in str(tile[3]) for tile in getattr(image, "tile", ())
    )
    is_png = file is not None and image.format == "PNG"
    if deep and (not is_png or image.info.get("interlace")):
        raise ImageError(
            f"{name} has 16-bit colours, which Pillow would cut to 8 bits: save it as TIFF, or as "
            "PNG without interlacing"
        )
    if image.format == "EPS":
        raise ImageError(f"{name} is a vector graphic: expected pixels; export it as PNG")

    def decode():
        if file is None:  # it may be shared between threads
            with _quiet_pillow():
                image.load()
        elif is_png:
            file.seek(0)
            with _quiet_pillow():
                Image.open(file).verify()  # checksums, which load() passes over
        elif image.format in WHOLE and not WHOLE[image.format](_read(file)):
            raise ImageError(f"{name} is cut short: its end is missing; copy it again")
        image.load()
        return imagecodecs.png_decode(_read(file)) if deep else _pillow_pixels(image)

    def orientation():
        getexif = image.getexif
        if is_png and image.tile:  # not decoded yet
            after_pixels = _read(file).rpartition(b"IDAT")[2]
            if not any(chunk in after_pixels for chunk in (b"eXIf", b"tEXt", b"zTXt", b"iTXt")):
                getexif = functools.partial(Image.Image.getexif, image)  # need not decode
        with _quiet_pillow():
            return getexif().get(274)

    bits = {"1": "1-bit", "I": "signed 32-bit", "F": "float"}.get(image.mode, "8-bit")
    kind = "16-bit" if deep or image.mode.startswith("I;16") else bits
    return StoredImage(name, image.size[::-1], decode, orientation, kind)


def _read(file):
    file.seek(0)
    return file.read()


def _pillow_pixels(image):
    """Stored numbers of a Pillow image, in grey or RGB, perhaps with alpha."""
    if image.mode in ("P", "PA", "CMYK", "YCbCr", "LAB", "HSV"):
        with _quiet_pillow():  # it says that a palette's alpha is dropped
            image = image.convert("RGB")
    elif image.mode in ("La", "RGBa"):
        image = image.convert(image.mode.upper())
    return np.asarray(image)


@contextlib.contextmanager
def quiet_decoders():
    """Silence what tifffile and imagecodecs log of the files that this thread reads."""
    _here.quiet = True
    try:
        yield
    finally:
        _here.quiet = False


@contextlib.contextmanager
def _quiet_pillow():
    """Hold back Pillow's warnings and its own limit of pixels, both of the whole process."""
    with _lock, warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="PIL")
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = limit
