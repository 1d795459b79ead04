"""Images of any kind as arrays: files, Pillow images, arrays and tensors.

`read_image` gives float32 values from 0 to 1. Nothing is clipped, composited or guessed: an image
whose range is not known from its type is refused until `value_range` states it.
"""

from __future__ import annotations

import contextlib
import hashlib
import math
import os
import re
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from PIL import Image, UnidentifiedImageError

from helpers import UserError
from helpers.images import formats
from helpers.images.folders import remedy
from helpers.images.formats import ImageError

MAX_PIXELS = 2**28  # about 16000 x 16000; 3 GB as float32 in colour


@dataclass(frozen=True)
class Reading:
    """How images are read, checked where it is made.

    `value_range` and `max_pixels`: see `read_image`. `crop_bottom`: rows to cut from the lower
    edge, where microscopes print their banner, as pixels, a share such as ``"8%"``, or ``"auto"``:
    as many as a file states, see `Header`.
    `target_um`: side of a pixel that a `helpers.images.pixel_size.PreparedImage` is brought to
    [micrometres]; None: as it is.

    Raises
    ------
    UserError
        A value that is none of these; a `crop_bottom` that leaves fewer than 8 rows of an image.
    ImageError
        ``"auto"`` where an image states no banner.

    Examples
    --------
    >>> Reading(crop_bottom="10%").size(np.zeros((512, 400)))
    (461, 400)
    """

    value_range: tuple[float, float] | None = None
    max_pixels: int = MAX_PIXELS
    crop_bottom: str | int | None = None
    target_um: float | None = None

    def __post_init__(self):
        if self.value_range is not None:
            object.__setattr__(self, "value_range", _two_numbers(self.value_range))
        whole = formats.StoredImage("the image", (2**31, 1), None, banner=lambda: 0)
        self._rows_cut(2**31, whole)
        if self.target_um is not None and not 0 < self.target_um < math.inf:
            raise UserError(f"target_um is {self.target_um}: expected micrometres above 0")

    def size(self, source):
        """Height and width of `pixels`, from the header where the source is a file."""
        with _opened(source, self.max_pixels) as image:
            height, width = image.size
            return height - self._rows_cut(height, image), width

    def pixels(self, source):
        """Pixels as `read_image` gives them, without the rows that are cut."""
        with _opened(source, self.max_pixels) as image:
            pixels = _upright(image.decode(), image.orientation())
            kept = len(pixels) - self._rows_cut(len(pixels), image)
        if pixels.ndim == 3:
            first = pixels[..., 0]
            grey = pixels.shape[2] < 3 or (pixels[..., 1:3] == first[..., None]).all()
            pixels = first if grey else pixels[..., :3]
        bits = re.fullmatch(r"(\d+)-bit", image.kind)
        beyond = bits and self.value_range and self.value_range[1] > 2 ** max(8, int(bits[1])) - 1
        black, white = _black_and_white(pixels, image, None if beyond else self.value_range)
        if image.inverted:
            black, white = white, black
        result = np.empty(pixels.shape, np.float32)
        for i in range(0, len(result), 128):  # rows: float64 for the whole would take memory
            rows = np.subtract(pixels[i : i + 128], black, dtype=np.float64)
            result[i : i + 128] = np.abs(rows / (white - black))  # abs: no minus zero
        return result[:kept]

    def _rows_cut(self, height, image):
        """How many of the rows of a `StoredImage` are cut."""
        if self.crop_bottom is None:
            return 0
        cut = image.banner() if self.crop_bottom == "auto" else self.crop_bottom
        if cut is None:
            raise ImageError(f"{image.name} states no banner to cut: cut rows by number or share")
        match = re.fullmatch(r"(\d+)|(\d+(?:\.\d+)?)\s*%", str(cut).strip())
        if match is None:
            raise UserError(
                f"crop_bottom is {self.crop_bottom!r}: expected pixels, such as 60, '8%' or 'auto'"
            )
        rows = int(match[1]) if match[1] else round(height * float(match[2]) / 100)
        if height - rows < 8:
            raise UserError(
                f"crop_bottom is {self.crop_bottom!r}, which leaves {max(0, height - rows)} of "
                f"{height} rows of {image.name}: cut less"
            )
        return rows


def read_image(source, *, value_range=None, max_pixels=MAX_PIXELS):
    """Pixels of an image as float32 from 0 to 1.

    Parameters
    ----------
    source : path-like, PIL.Image.Image or array_like
        A file (TIFF through tifffile, all else through Pillow); a Pillow image, in its current
        frame; or an array or tensor (h, w) or (h, w, channels): 1 grey, 2 grey and alpha, 3 RGB,
        4 RGB and alpha.
    value_range : pair of float, optional
        (low, high) of the stored numbers that become 0 and 1, such as (0, 4095) for 12 bits in a
        16-bit file. None: 0 to 1 for floats, else 0 to the largest value of the type (of the
        bits a sample in a TIFF file). But integers that are all 0 or 1 count as the phases of a
        segmented image, and stay 0 and 1. Files of 8 bits, or of more that end
        below `high` as their header states, keep their own range: so one does for a mixed folder.
    max_pixels : int
        Height times width that is still read.

    Returns
    -------
    ndarray of float32, shape (h, w) or (h, w, 3), C-contiguous
        Colour whose three channels are equal comes as grey: microscopes often save it so. Alpha
        is dropped, and the colours under it stay as they are stored. Palettes are expanded,
        other colour spaces become RGB, and the EXIF or TIFF orientation is applied.

    Raises
    ------
    ImageError
        Not an image, damaged or cut short, several images in one file, more than `max_pixels` or
        than the memory takes, NaN or infinity, values outside their range, a shape or type that
        is no image.
    FileNotFoundError
        No such file.
    UserError
        A `value_range` that is not two finite numbers, low < high.

    Notes
    -----
    16-bit colour is read in full from PNG and TIFF. Pillow reduces the colours of other formats
    to 8 bits. JPEG, BMP, WebP, GIF and JPEG 2000 hold no checksum, so damage inside their pixels
    may pass unseen.
    Threads may call this at the same time.

    Examples
    --------
    >>> read_image(np.array([[0, 51, 255]], np.uint8))
    array([[0. , 0.2, 1. ]], dtype=float32)
    >>> read_image(np.array([[-100, 0, 300]]), value_range=(-100, 300))
    array([[0.  , 0.25, 1.  ]], dtype=float32)
    """
    return Reading(value_range, max_pixels).pixels(source)


def image_size(source, *, max_pixels=MAX_PIXELS):
    """(height, width) that `read_image` would give, from the header where it is a file."""
    return Reading(max_pixels=max_pixels).size(source)


class Header(NamedTuple):
    """What the header of an image file says.

    `kind` is how it stores its numbers: "8-bit", "signed 16-bit", "float"... ("12-bit" is a TIFF
    file of as many bits a sample, or one of 16 whose tag MaxSampleValue is 4095); `size` the
    (height, width) of `image_size`; `banner` the rows of the banner below the image, which a TIFF
    file of FEI or TESCAN states, or None; 0: it has none.
    """

    kind: str
    size: tuple[int, int]
    banner: int | None


def read_header(path):
    """The `Header` of an image file, which is opened once; errors are those of `read_image`."""
    with _opened(path, math.inf) as image:
        banner = None
        with contextlib.suppress(Exception):  # of damaged tags
            banner = image.banner()
        return Header(image.kind, image.size, banner)


def image_digest(source):
    """SHA-256 of an image: equal digests mean that `read_image` gives equal pixels.

    Of the bytes of a file; of the type, shape and values of an array; of the mode, size,
    orientation, palette and pixels of a Pillow image. An array and its file differ.

    Examples
    --------
    >>> image_digest(np.eye(3))[:16]
    '5d44bfdefe991275'
    """
    if isinstance(source, str | os.PathLike):
        with formats.open_file(source) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    with _opened(source, math.inf) as image:
        pixels = np.ascontiguousarray(image.decode())
        mode = source.mode if isinstance(source, Image.Image) else None
        header = mode, image.orientation(), pixels.dtype.str, pixels.shape
    digest = hashlib.sha256(repr(header).encode())
    digest.update(pixels)
    return digest.hexdigest()


@contextlib.contextmanager
def _opened(source, max_pixels):
    """Give the `StoredImage` of a source; what fails meanwhile becomes an `ImageError`."""
    is_file = isinstance(source, str | os.PathLike)
    find, name = _array, f"the {type(source).__name__}"
    if is_file:
        find, name = formats.file_image, str(source)
        name = name if name.isprintable() else repr(name)  # a line break would split a message
    elif isinstance(source, Image.Image):
        find = formats.pillow_image
        name = f"the Pillow image of {source.width} x {source.height} pixels"
    opening = formats.open_file(source) if is_file else contextlib.nullcontext(source)
    with opening as opened, formats.quiet_decoders():
        try:
            image = find(opened, name)
            height, width = image.shape
            if height * width > max_pixels:
                raise ImageError(
                    f"{image.name} has {width} x {height} pixels, more than the {max_pixels} that "
                    "are read: crop or shrink it"
                )
            if height * width == 0:
                raise ImageError(f"{image.name} is empty: expected at least one pixel")
            yield image
        except (UserError, NameError):
            raise
        except MemoryError as error:
            raise ImageError(
                f"{name} takes more memory than there is: it is damaged, or too large; save it "
                "again as PNG or TIFF, or crop or shrink it"
            ) from error
        except Exception as error:  # damaged data makes decoders raise nearly anything
            reason, ending = f"{type(error).__name__}: {error}", os.path.splitext(name)[1]
            if isinstance(error, UnidentifiedImageError):
                reason = "not the beginning of any format that Pillow knows"
            other = "it is damaged, cut short or of an unknown kind; save it again as PNG or TIFF"
            raise ImageError(
                f"{name} cannot be read as an image ({reason}): {remedy([ending], other)}"
            ) from error


def _array(source, name):
    array = np.asarray(source)
    name = f"the array of shape {array.shape} and type {array.dtype}"
    if array.dtype.kind not in "biuf":
        raise ImageError(f"{name} is no image: expected bool, integers or real floats")
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (1, 2, 3, 4)):
        raise ImageError(
            f"{name} is no image: expected (h, w) or (h, w, channels) with 1 to 4 channels; "
            "pass one image at a time, its channels last"
        )
    return formats.StoredImage(name, array.shape[:2], lambda: array)


def _upright(pixels, orientation):
    """Undo an EXIF orientation, 1 to 8; anything else counts as 1."""
    if orientation in formats.TRANSPOSED:
        pixels = pixels.swapaxes(0, 1)
    rows = slice(None, None, -1 if orientation in (3, 4, 7, 8) else 1)
    columns = slice(None, None, -1 if orientation in (2, 3, 6, 7) else 1)
    return pixels[rows, columns]


def _two_numbers(value_range):
    numbers = np.asarray(value_range)
    good = numbers.shape == (2,) and numbers.dtype.kind in "iuf" and np.isfinite(numbers).all()
    if not good or not numbers[0] < numbers[1]:
        raise UserError(
            f"value_range is {value_range!r}: expected two finite numbers (low, high), "
            "low < high, such as (0, 4095)"
        )
    return tuple(numbers.tolist())


def _black_and_white(pixels, image, value_range):
    """The stored numbers that become 0 and 1, or an error where some lie outside."""
    low, high, kind = pixels.min().item(), pixels.max().item(), pixels.dtype.kind
    if not (math.isfinite(low) and math.isfinite(high)):
        bad = ~np.isfinite(pixels.reshape(*pixels.shape[:2], -1)).all(axis=2)
        row, column = (int(i) for i in np.unravel_index(bad.argmax(), bad.shape))
        raise ImageError(
            f"{image.name} holds {pixels[row, column]} at row {row}, column {column} ("
            f"{bad.sum()} such pixels): expected finite values; replace them or crop the image"
        )
    if value_range is not None:
        black, white = value_range
    elif kind in "biu" and low >= 0 and high <= 1:
        black, white = 0, 1
    elif kind == "i":
        raise ImageError(
            f"{image.name} holds signed integers from {low} to {high}, whose range is not known: "
            "pass value_range=(low, high), the numbers that become 0 and 1"
        )
    else:
        black, white = 0, image.largest or (1 if kind == "f" else np.iinfo(pixels.dtype).max)
    if low < black or high > white:
        raise ImageError(
            f"{image.name} holds values from {low} to {high}: expected {black} to {white}; pass "
            "the value_range=(low, high) that becomes 0 and 1"
        )
    return black, white
