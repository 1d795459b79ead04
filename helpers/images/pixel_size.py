"""Magnification and banners: micrographs cut and brought to one pixel size before encoding."""

from __future__ import annotations

import contextlib
import functools
import os
import re
from pathlib import Path

import numpy as np
import tifffile
from skimage.transform import rescale

from helpers import UserError
from helpers.images import _tiff_sizes
from helpers.images.formats import quiet_tifffile
from helpers.images.read import ImageError, check_range, image_size, read_image

SAME_SIZE = 1.05  # factor up to which pixel sizes count as the same


class PixelSizeWarning(UserWarning):
    """Images of different pixel size in one data set."""


def pixel_size_um(path):
    """Pixel size that a TIFF file states.

    Parameters
    ----------
    path : path-like

    Returns
    -------
    float or None
        Side of a pixel [micrometres]. From the metadata of FEI, Zeiss, ImageJ or OME, else from
        the resolution tags. None: another kind of file, no statement, pixels that are not
        square, or a resolution that is a screen's or printer's: pixels of more than 20
        micrometres, which is 1270 dots an inch.

    Raises
    ------
    ImageError
        A TIFF file that cannot be opened.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "a.tif")
    ...     options = {"resolution": (40000, 40000), "resolutionunit": "CENTIMETER"}
    ...     tifffile.imwrite(path, np.eye(4), **options)
    ...     pixel_size_um(path)
    0.25
    """
    path = Path(path)
    if path.suffix.lower() not in (".tif", ".tiff"):
        return None
    try:
        with quiet_tifffile(), tifffile.TiffFile(path) as file:
            for read in _tiff_sizes.READERS:
                size = read(file)
                if size is not None and np.isfinite(size) and size > 0:
                    return float(f"{size:.6g}")
    except Exception as error:  # damaged tags make tifffile raise nearly anything
        raise ImageError(f"{path}: its TIFF metadata cannot be read ({error})") from error
    return None


class PreparedImage:
    """An image file that is cut and resampled whenever its pixels are asked for.

    Parameters
    ----------
    path : path-like
    crop_bottom : str or int or None
        As in `crop_rows`.
    scale : float
        Factor of height and width.
    value_range : pair of float, optional
        As in `helpers.images.read.read_image`.
    field : int or None
        Longest side that is kept, in the middle, of the resampled image [pixels]. None: all.
    trouble : str or None
        Why the file cannot be used, told when its pixels are asked for.

    Notes
    -----
    It takes the place of an array wherever images are accepted, so that a set of any size needs
    the memory of a few.
    """

    def __init__(
        self, path, crop_bottom=None, scale=1.0, value_range=None, field=None, trouble=None
    ):
        self.path, self.crop_bottom, self.scale = Path(path), crop_bottom, scale
        self.value_range, self.field, self.trouble = value_range, field, trouble

    @functools.cached_property
    def resampled(self):
        """(height, width) before the field is cut [pixels], from the header of the file."""
        height, width = image_size(self.path)
        height -= crop_rows(self.crop_bottom, height, self.path)
        # as `skimage.transform.rescale` rounds
        return tuple(max(1, int(np.round(n * self.scale))) for n in (height, width))

    @property
    def size(self):
        """(height, width) of the pixels."""
        return tuple(min(n, self.field or n) for n in self.resampled)

    def __array__(self, dtype=None, copy=None):
        if self.trouble:
            raise ImageError(self.trouble)
        pixels = read_image(self.path, value_range=self.value_range)
        rows = crop_rows(self.crop_bottom, len(pixels), self.path)
        pixels = pixels[: len(pixels) - rows]
        if self.scale != 1:
            axis = 2 if pixels.ndim == 3 else None
            pixels = rescale(
                pixels, self.scale, order=1, anti_aliasing=self.scale < 1, channel_axis=axis
            )
        if self.field is not None:
            top, left = (max(0, n - self.field) // 2 for n in pixels.shape[:2])
            pixels = pixels[top : top + self.field, left : left + self.field]
        return np.ascontiguousarray(np.clip(pixels, 0, 1), dtype or np.float32)


def crop_rows(crop_bottom, height, path="the image"):
    """Rows to cut from the lower edge, where microscopes print their banner.

    Parameters
    ----------
    crop_bottom : str or int or None
        Pixels, or a share such as ``"8%"``.
    height : int
        Of the image [pixels].
    path : path-like
        For the message.

    Returns
    -------
    int

    Raises
    ------
    ValueError
        Neither; or so many that fewer than 8 rows would be left.

    Examples
    --------
    >>> crop_rows("10%", 512), crop_rows(60, 512), crop_rows(None, 512)
    (51, 60, 0)
    """
    text = str(crop_bottom if crop_bottom is not None else 0).strip()
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(%?)", text)
    if match is None or (not match[2] and "." in match[1]):
        raise UserError(f"crop_bottom is {crop_bottom!r}: expected pixels, such as 60, or '8%'")
    rows = round(height * float(match[1]) / 100) if match[2] else int(match[1])
    if height - rows < 8:
        raise UserError(
            f"crop_bottom is {crop_bottom!r}, which leaves {max(0, height - rows)} of {height} "
            f"rows of {path}: cut less"
        )
    return rows


def check_preparation(*, crop_bottom=None, target_um=None, value_range=None):
    """Refuse what no image can be cut, scaled or read with, before any is opened."""
    crop_rows(crop_bottom, 2**31)
    check_range(value_range)
    if target_um is not None and not (np.isfinite(target_um) and target_um > 0):
        raise UserError(f"target_um is {target_um}: expected micrometres above 0")


def prepare_images(files, *, crop_bottom=None, target_um=None, value_range=None, field=None):
    """Images cut and brought to one pixel size, and the pixel sizes that they state.

    Parameters
    ----------
    files : sequence of path-like
    crop_bottom : str or int or None
        See `crop_rows`.
    target_um : float or None
        Side of a pixel that all are brought to [micrometres]. None: they stay as they are.
    value_range : pair of float, optional
        As in `helpers.images.read.read_image`.
    field : int or None
        As in `PreparedImage`; see `helpers.extract.scale.field_of`.

    Returns
    -------
    images : list of str or PreparedImage
        The files themselves where none is changed.
    stated : list of float or None
        See `pixel_size_um`; None as well for files that cannot be read. These are left for
        `helpers.features.extract` to tell, with all other bad images.

    Raises
    ------
    ImageError, ValueError
        A pixel size that is not stated where `target_um` needs it, or needs an image more than
        16 times as large or small: the files are named. A `crop_bottom` that leaves nothing.
    """
    check_preparation(crop_bottom=crop_bottom, target_um=target_um, value_range=value_range)
    found = [_stated(path) for path in files]
    stated, troubles = [s for s, _ in found], [trouble for _, trouble in found]
    for path in files if crop_bottom is not None else ():
        with contextlib.suppress(ImageError, OSError):
            crop_rows(crop_bottom, image_size(path)[0], path)
    scales = [1.0] * len(stated)
    if target_um is not None:
        scales = _scales(files, stated, troubles, target_um)
    if crop_bottom is None and field is None and all(k == 1 for k in scales):
        return [os.fspath(f) for f in files], stated
    if target_um is None:  # the pixels may be sound where the tags are not
        troubles = [None] * len(troubles)
    return [
        PreparedImage(f, crop_bottom, k, value_range, field, trouble)
        for f, k, trouble in zip(files, scales, troubles, strict=True)
    ], stated


def _stated(path):
    """Pixel size of a file, and what is wrong with it."""
    try:
        return pixel_size_um(path), None
    except ImageError as error:
        return None, str(error)


def _scales(files, stated, troubles, target_um):
    """Factors that bring files to one pixel size; 1 for those with a trouble."""
    rows = [row for row in zip(map(os.fspath, files), stated, troubles, strict=True) if not row[2]]
    silent = [name for name, size, _ in rows if size is None]
    if silent:
        raise ImageError(
            f"{len(silent)} of {len(files)} images state no pixel size, so they cannot be "
            f"brought to {target_um} µm: {', '.join(silent[:5])}; give TIFF files that state "
            "it, or leave the pixel size out"
        )
    far = [f"{name} ({s} µm)" for name, s, _ in rows if not 1 / 16 <= s / target_um <= 16]
    if far:
        raise ImageError(
            f"target_um is {target_um}: more than 16 times away from {', '.join(far[:5])}"
        )
    return [1.0 if s is None else s / target_um for s in stated]
