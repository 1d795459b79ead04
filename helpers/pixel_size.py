"""Magnification and banners: micrographs cut and brought to one pixel size before encoding."""

from __future__ import annotations

import os
import re
import warnings
from pathlib import Path

import numpy as np
import tifffile
from skimage.transform import rescale

from helpers.images import ImageError, image_size, read_image

_CM, _INCH = 1e4, 25400.0  # micrometres
# Names of lengths in the descriptions of microscopes, and their micrometres.
_UNITS = {
    "nm": 1e-3,
    "um": 1.0,
    "µm": 1.0,
    "μm": 1.0,
    "micron": 1.0,
    "mm": 1e3,
    "cm": _CM,
    "m": 1e6,
}
SCREEN_DPI = {72.0, 96.0, 300.0, 600.0}  # what programs write that know nothing of a microscope


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
        square, or a resolution that is a screen's or printer's (72, 96, 300, 600 dots an inch).

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
        with tifffile.TiffFile(path) as file:
            for read in (_fei, _zeiss, _ome, _imagej, _resolution):
                size = read(file)
                if size is not None and np.isfinite(size) and size > 0:
                    return float(f"{size:.6g}")
    except (tifffile.TiffFileError, OSError, ValueError, KeyError, TypeError, IndexError) as error:
        raise ImageError(f"{path}: its TIFF metadata cannot be read ({error})") from error
    return None


def _fei(file):
    size = ((file.fei_metadata or {}).get("Scan") or {}).get("PixelWidth")
    return size and 1e6 * float(size)


def _zeiss(file):
    stated = (file.sem_metadata or {}).get("ap_image_pixel_size")
    return stated and float(stated[1]) * _UNITS[stated[2]]


def _ome(file):
    if not file.is_ome:
        return None
    found = {}
    for axis in "XY":
        size = re.search(rf'PhysicalSize{axis}="([^"]+)"', file.ome_metadata)
        unit = re.search(rf'PhysicalSize{axis}Unit="([^"]+)"', file.ome_metadata)
        if size is None:
            return None
        found[axis] = float(size[1]) * _UNITS[unit[1] if unit else "µm"]
    return _square(*found.values())


def _imagej(file):
    if not file.is_imagej:
        return None
    unit = str((file.imagej_metadata or {}).get("unit", "")).replace("\\u00B5", "µ")
    return _from_tags(file, _UNITS[unit]) if unit in _UNITS else None


def _resolution(file):
    tag = file.pages[0].tags.get("ResolutionUnit")
    unit = {2: _INCH, 3: _CM}.get(int(tag.value)) if tag else None
    size = _from_tags(file, unit) if unit else None
    return None if size is None or round(_INCH / size, 1) in SCREEN_DPI else size


def _from_tags(file, unit):
    sizes = []
    for name in ("XResolution", "YResolution"):
        tag = file.pages[0].tags.get(name)
        if tag is None or 0 in tag.value:
            return None
        sizes.append(unit * tag.value[1] / tag.value[0])
    return _square(*sizes)


def _square(x, y):
    return x if abs(x - y) <= 0.01 * x else None


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
        As in `helpers.images.read_image`.

    Notes
    -----
    It takes the place of an array wherever images are accepted, so that a set of any size needs
    the memory of a few.
    """

    def __init__(self, path, crop_bottom=None, scale=1.0, value_range=None):
        self.path, self.crop_bottom, self.scale = Path(path), crop_bottom, scale
        self.value_range = value_range

    def __array__(self, dtype=None, copy=None):
        pixels = read_image(self.path, value_range=self.value_range)
        rows = crop_rows(self.crop_bottom, len(pixels), self.path)
        pixels = pixels[: len(pixels) - rows]
        if self.scale != 1:
            axis = 2 if pixels.ndim == 3 else None
            pixels = rescale(
                pixels, self.scale, order=1, anti_aliasing=self.scale < 1, channel_axis=axis
            )
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
        raise ValueError(f"crop_bottom is {crop_bottom!r}: expected pixels, such as 60, or '8%'")
    rows = round(height * float(match[1]) / 100) if match[2] else int(match[1])
    if height - rows < 8:
        raise ValueError(
            f"crop_bottom is {crop_bottom!r}, which leaves {max(0, height - rows)} of {height} "
            f"rows of {path}: cut less"
        )
    return rows


def prepare_images(files, *, crop_bottom=None, target_um=None, value_range=None):
    """Images cut and brought to one pixel size, and the pixel sizes that they state.

    Parameters
    ----------
    files : sequence of path-like
    crop_bottom : str or int or None
        See `crop_rows`.
    target_um : float or None
        Side of a pixel that all are brought to [micrometres]. None: they stay as they are.
    value_range : pair of float, optional
        As in `helpers.images.read_image`.

    Returns
    -------
    images : list of str or PreparedImage
        The files themselves where none is changed.
    stated : list of float or None
        See `pixel_size_um`.

    Raises
    ------
    ImageError, ValueError
        A pixel size that is not stated where `target_um` needs it, or needs an image more than
        16 times as large or small: the files are named. A `crop_bottom` that leaves nothing.

    Warns
    -----
    PixelSizeWarning
        The files state different pixel sizes and `target_um` is None: the network would see
        magnification beside microstructure.
    """
    stated = [pixel_size_um(path) for path in files]
    for path in files if crop_bottom is not None else ():
        crop_rows(crop_bottom, image_size(path)[0], path)
    if target_um is None:
        _warn(stated, files)
        scales = [1.0] * len(stated)
    else:
        if not (np.isfinite(target_um) and target_um > 0):
            raise ValueError(f"target_um is {target_um}: expected micrometres above 0")
        silent = [os.fspath(f) for f, s in zip(files, stated, strict=True) if s is None]
        if silent:
            raise ImageError(
                f"{len(silent)} of {len(files)} images state no pixel size, so they cannot be "
                f"brought to {target_um} µm: {', '.join(silent[:5])}; give TIFF files that state "
                "it, or leave the pixel size out"
            )
        scales = [s / target_um for s in stated]
        far = [
            f"{f} ({s} µm)"
            for f, s, k in zip(files, stated, scales, strict=True)
            if not 1 / 16 <= k <= 16
        ]
        if far:
            raise ImageError(
                f"target_um is {target_um}: more than 16 times away from {', '.join(far[:5])}"
            )
    if crop_bottom is None and all(k == 1 for k in scales):
        return [os.fspath(f) for f in files], stated
    pairs = zip(files, scales, strict=True)
    return [PreparedImage(f, crop_bottom, k, value_range) for f, k in pairs], stated


def _warn(stated, files):
    known = np.array([s for s in stated if s is not None])
    silent = [os.fspath(f) for f, s in zip(files, stated, strict=True) if s is None]
    if len(known) and silent:
        warnings.warn(
            f"{len(silent)} of {len(files)} images state no pixel size, such as {silent[0]}; the "
            "others do: make sure that it is the same",
            PixelSizeWarning,
            stacklevel=3,
        )
    if len(known) and known.max() > SAME_SIZE * known.min():
        low, high = (os.fspath(files[stated.index(v)]) for v in (known.min(), known.max()))
        warnings.warn(
            f"pixel sizes differ from {known.min():g} µm ({low}) to {known.max():g} µm ({high}): "
            "a network sees magnification beside microstructure. Bring them to one pixel size, or "
            "make sure that it does not go with the property",
            PixelSizeWarning,
            stacklevel=3,
        )
