"""Magnification and banners: micrographs cut and brought to one pixel size before encoding."""

from __future__ import annotations

import contextlib
import functools
import math
import os
from pathlib import Path

import numpy as np
import tifffile
from skimage.transform import rescale

from helpers.images import _tiff_sizes
from helpers.images.formats import quiet_decoders
from helpers.images.read import ImageError

SAME_SIZE = 1.05  # factor up to which pixel sizes count as the same


class PixelSizeWarning(UserWarning):
    """Images of different pixel size in one data set."""


def pixel_size_um(path):
    """Side of a pixel [micrometres] that a TIFF file states, or None.

    From the metadata of FEI, Zeiss, TESCAN, DigitalMicrograph, JEOL (SightX), ImageJ or OME, else
    from the resolution tags. None: another kind of file, no statement, one that is no length
    above 0, pixels that are not square, or the resolution of a screen or printer: pixels of more
    than 20 micrometres, which is 1270 dots an inch.

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
    if Path(path).suffix.lower() not in (".tif", ".tiff"):
        return None
    try:
        with quiet_decoders(), tifffile.TiffFile(path) as file:
            size = _tiff_sizes.pixel_size(file)
    except Exception as error:  # damaged tags make tifffile raise nearly anything
        reason = getattr(error, "strerror", None) or error  # without the path
        raise ImageError(f"{path}: its TIFF metadata cannot be read ({reason})") from error
    return float(f"{size:.6g}") if size is not None and 0 < size < math.inf else None


class PreparedImage:
    """An image file that is cut and resampled whenever its pixels are asked for.

    Parameters
    ----------
    path : path-like
    reading : helpers.images.read.Reading
    field : int or None
        Longest side that is kept, in the middle, of the resampled image [pixels]. None: all.

    Notes
    -----
    It takes the place of an array wherever images are accepted, so that a set of any size needs
    the memory of a few.
    """

    def __init__(self, path, reading, field=None):
        self.path, self.reading, self.field = Path(path), reading, field

    @functools.cached_property
    def stated(self):
        """Pixel size that the file states, else the user [micrometres], or None."""
        return pixel_size_um(self.path)

    @property
    def scale(self):
        """Factor of height and width."""
        target = self.reading.target_um
        return 1.0 if target is None else self.stated / target

    @functools.cached_property
    def resampled(self):
        """(height, width) before the field is cut [pixels], from the header of the file."""
        # as `skimage.transform.rescale` rounds
        return tuple(max(1, int(np.round(n * self.scale))) for n in self.reading.size(self.path))

    @property
    def size(self):
        """(height, width) of the pixels."""
        return tuple(min(n, self.field or n) for n in self.resampled)

    def __array__(self, dtype=None, copy=None):
        scale = self.scale
        pixels = self.reading.pixels(self.path)
        if scale != 1:
            axis = 2 if pixels.ndim == 3 else None
            pixels = rescale(pixels, scale, order=1, anti_aliasing=scale < 1, channel_axis=axis)
        if self.field is not None:
            top, left = (max(0, n - self.field) // 2 for n in pixels.shape[:2])
            pixels = pixels[top : top + self.field, left : left + self.field]
        return np.ascontiguousarray(np.clip(pixels, 0, 1), dtype or np.float32)


def prepare_images(files, reading, field=None, stated=None):
    """Images cut and brought to one pixel size, and the pixel sizes that they state.

    `reading` and `field` are those of `PreparedImage`; `stated` (a number or n of them, NaN:
    unknown) what the user states of files that state no pixel size [micrometres].

    Returns
    -------
    images : list of str or PreparedImage
        The files themselves where none is changed.
    stated : list of float or None
        See `pixel_size_um`, else what the user states; None as well for files that cannot be
        read, which `helpers.features.extract` tells.

    Raises
    ------
    ImageError
        A pixel size that is not stated where `target_um` needs it, needs an image more than 16
        times as large or small, or differs by more than 5 % from what the user states: the files
        are named.
    """
    images = [PreparedImage(path, reading, field) for path in files]
    given = np.broadcast_to(np.array(np.nan if stated is None else stated, float), len(files))
    sizes, others = {}, []
    for image, size in zip(images, given.tolist(), strict=True):
        with contextlib.suppress(ImageError):
            if image.stated is None and not math.isnan(size):
                image.stated = size
            sizes[image] = image.stated
            if not (math.isnan(size) or 1 / SAME_SIZE <= image.stated / size <= SAME_SIZE):
                others.append(f"{image.path} ({image.stated:g} µm, not {size:g} µm)")
    if others:
        raise ImageError(
            f"{len(others)} of {len(files)} images state another pixel size than you: "
            f"{', '.join(others[:5])}; correct yours, or leave it out for these"
        )
    if reading.target_um is not None:
        _check_target(sizes, len(files), reading.target_um)
    changed = reading.crop_bottom is not None or field is not None
    changed |= reading.target_um is not None and set(sizes.values()) != {reading.target_um}
    return images if changed else list(map(os.fspath, files)), [sizes.get(i) for i in images]


def _check_target(stated, count, target_um):
    silent = [str(image.path) for image, size in stated.items() if size is None]
    if silent:
        raise ImageError(
            f"{len(silent)} of {count} images state no pixel size, so they cannot be brought to "
            f"{target_um} µm: {', '.join(silent[:5])}; state it, as stated_um=0.05 or in a "
            "column pixel_size_um of a table of images, or leave the pixel size out"
        )
    ratios = {f"{image.path} ({size} µm)": size / target_um for image, size in stated.items()}
    far = [text for text, ratio in ratios.items() if not 1 / 16 <= ratio <= 16]
    if far:
        raise ImageError(
            f"target_um is {target_um}: more than 16 times away from {', '.join(far[:5])}"
        )
