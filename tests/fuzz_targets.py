"""What the readers must do with any file at all; run in the child process of `fuzzing`."""

from __future__ import annotations

import codecs
import contextlib
import csv
import hashlib
import io
import math
import re
from pathlib import Path

import numpy as np

from helpers import UserError
from helpers.encoders import find_entry
from helpers.extract.tables import read_rows
from helpers.images.pixel_size import pixel_size_um
from helpers.images.read import (
    ImageError,
    Reading,
    image_digest,
    image_size,
    read_header,
    read_image,
)
from helpers.preprocessing import Preparation

MAX_PIXELS = 2**18


class Images:
    """`read_image`, and what extraction calls besides."""

    errors, warnings = ImageError, ()

    @staticmethod
    def prepare():
        Preparation(find_entry("microvit")).read(np.eye(28))

    @staticmethod
    def run(path):
        """Hash of the pixels."""
        digest = image_digest(path)
        assert digest == hashlib.sha256(Path(path).read_bytes()).hexdigest()
        size = _refusal_or(image_size, path)
        with contextlib.suppress(ImageError):
            header = read_header(path)
            assert re.fullmatch(r"(signed )?\d+-bit|float", header.kind)
            assert (header.banner or 0) >= 0
        with contextlib.suppress(ImageError):
            assert (pixel_size_um(path) or 1) > 0
        pixels = read_image(path, max_pixels=MAX_PIXELS)
        assert pixels.dtype == np.float32
        assert pixels.flags.c_contiguous
        assert pixels.ndim == 2 or pixels.shape[2:] == (3,), pixels.shape
        assert pixels.size > 0
        assert size == pixels.shape[:2], f"image_size says {size}, the pixels are {pixels.shape}"
        assert math.prod(size) <= MAX_PIXELS
        assert np.isfinite(pixels).all()
        assert pixels.min() >= 0
        assert pixels.max() <= 1
        again = read_image(path, max_pixels=MAX_PIXELS)
        np.testing.assert_array_equal(again, pixels, "not the same when read again")
        with contextlib.suppress(ImageError):  # of one value throughout, or too small
            reading = Reading(max_pixels=MAX_PIXELS)
            checked, _ = Preparation(find_entry("microvit"), reading=reading).read(path)
            np.testing.assert_array_equal(checked, pixels)
        return hashlib.sha256(repr(pixels.shape).encode() + pixels.tobytes()).hexdigest()


def _refusal_or(size_of, path):
    try:
        return size_of(path, max_pixels=MAX_PIXELS)
    except ImageError as error:
        return str(error)


class Rows:
    """`read_rows`."""

    errors, warnings, notes = UserError, (), "hidden (row|column)"

    @staticmethod
    def prepare():
        import openpyxl.reader.excel  # noqa: F401

    @staticmethod
    def run(path):
        """The rows as text."""
        rows, _ = read_rows(path)
        assert all(not row or row[-1] is not None for row in rows)
        if path.endswith(".csv"):
            content = Path(path).read_bytes()
            wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
            text = content.decode("utf-16" if wide else "utf-8-sig")
            text = re.sub(r"^sep=[,;\t|][ \t\v\f]*(\r\n|\r|\n)", "", text, flags=re.IGNORECASE)
            found = [c for row in rows for c in row if c and c.strip()]
            assert any(found == _cells(text, sign) for sign in ",;\t|")
        return repr(rows)


def _cells(text, sign):
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=sign)
    return [cell for row in rows for cell in row if cell.strip()]
