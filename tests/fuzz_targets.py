"""What the readers must do with any file at all; run in the child process of `fuzzing`."""

from __future__ import annotations

import contextlib
import csv
import hashlib
import io
import math
from pathlib import Path

import numpy as np

from helpers import UserError
from helpers.images.read import ImageError, image_digest, image_size, read_image
from helpers.io.alloy_tables import read_alloy_table
from helpers.preprocessing import read_checked

MAX_PIXELS = 2**18


class Images:
    """`read_image`, and what extraction calls besides."""

    errors, warnings = ImageError, ()

    @staticmethod
    def prepare():
        read_checked(np.eye(28), "microvit", "micrograph")

    @staticmethod
    def run(path):
        """Hash of the pixels."""
        digest = image_digest(path)
        assert digest == hashlib.sha256(Path(path).read_bytes()).hexdigest()
        size = _refusal_or(image_size, path)
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
            checked, _ = read_checked(path, "microvit", "micrograph", max_pixels=MAX_PIXELS)
            np.testing.assert_array_equal(checked, pixels)
        return hashlib.sha256(repr(pixels.shape).encode() + pixels.tobytes()).hexdigest()


def _refusal_or(size_of, path):
    try:
        return size_of(path, max_pixels=MAX_PIXELS)
    except ImageError as error:
        return str(error)


class AlloyTables:
    """`read_alloy_table`."""

    errors, warnings = UserError, ("CompositionWarning",)

    @staticmethod
    def prepare():
        import openpyxl.reader.excel  # noqa: F401

    @staticmethod
    def run(path, unit, need_composition):
        """The table as text."""
        table = read_alloy_table(path, unit, need_composition=need_composition)
        n = len(table.names)
        assert n > 0
        assert len(set(table.names)) == n
        assert all(isinstance(name, str) and name == name.strip() != "" for name in table.names)
        assert table.hardness.shape == table.converted.shape == (n,)
        assert table.hardness.dtype == np.float64
        assert np.isfinite(table.hardness).all()
        assert (table.hardness > 0).all()
        assert table.composition.index.tolist() == table.names
        assert table.composition.columns.is_unique
        values = table.composition.to_numpy()
        assert values.shape[1] > 0 or not need_composition
        assert np.isfinite(values).all()
        assert (values >= 0).all()
        if path.endswith(".csv"):
            _compare_with_text(path, table)
        return repr((table.names, table.hardness.tolist(), values.tolist(), list(table[2])))


def _compare_with_text(path, table):
    """Every number as Python reads the text of its own cell."""
    text = Path(path).read_bytes().decode("utf-8-sig")
    header, *rows = csv.reader(io.StringIO(text, newline=""))
    rows = [row for row in rows if any(cell.strip() for cell in row)]
    places = {
        " ".join(cell.split()).split(" (")[0].split(" [")[0]: i for i, cell in enumerate(header)
    }
    assert len(rows) == len(table.names)
    for i, row in enumerate(rows):
        for symbol, values in table.composition.items():
            assert values.iloc[i] == float(row[places[symbol]]), (symbol, row)
