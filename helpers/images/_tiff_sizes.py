"""What TIFF files say of their pixels' size: tags of microscopes, ImageJ, OME, resolutions."""

from __future__ import annotations

import html
import re

INCH, CM = 25400.0, 1e4  # micrometres
# Names of lengths in the descriptions of microscopes, and their micrometres.
UNITS = {
    "pm": 1e-6,
    "Å": 1e-4,  # the letter
    "\u212b": 1e-4,  # the sign
    "nm": 1e-3,
    "um": 1.0,
    "µm": 1.0,
    "μm": 1.0,
    "micron": 1.0,
    "microns": 1.0,
    "mm": 1e3,
    "cm": CM,
    "in": INCH,
    "inch": INCH,
    "m": 1e6,
}
# A resolution that is coarser is a printer's or screen's: 1200 dots an inch are 21 micrometres.
COARSEST_UM = 20.0


def fei(file):
    """Pixel size [micrometres] that a `tifffile.TiffFile` states, or None; so do all below."""
    size = ((file.fei_metadata or {}).get("Scan") or {}).get("PixelWidth")
    return size and 1e6 * float(size)


def zeiss(file):
    """As `fei`."""
    stated = (file.sem_metadata or {}).get("ap_image_pixel_size")
    return _micrometres(stated[1], stated[2]) if stated else None


def ome(file):
    """As `fei`; 'pixel' and 'reference frame', which OME allows, are no lengths."""
    if not file.is_ome:
        return None
    found = []
    for axis in "XY":
        size = re.search(rf'PhysicalSize{axis}="([^"]+)"', file.ome_metadata)
        unit = re.search(rf'PhysicalSize{axis}Unit="([^"]+)"', file.ome_metadata)
        unit = html.unescape(unit[1]) if unit else "µm"
        found.append(_micrometres(size[1], unit) if size else None)
    return None if None in found else _square(*found)


def imagej(file):
    """As `fei`; inches and centimetres are those of the resolution tags, and judged as these."""
    if not file.is_imagej:
        return None
    unit = str((file.imagej_metadata or {}).get("unit", "")).replace("\\u00B5", "µ")
    size = _from_tags(file, UNITS[unit]) if unit in UNITS else None
    return _fine(size) if unit in ("inch", "in", "cm") else size


def resolution(file):
    """As `fei`, from tags that most programs fill without knowing of a microscope."""
    tag = file.pages[0].tags.get("ResolutionUnit")
    unit = {2: INCH, 3: CM}.get(int(tag.value)) if tag else None
    return _fine(_from_tags(file, unit)) if unit else None


READERS = (fei, zeiss, ome, imagej, resolution)


def _micrometres(number, unit):
    try:
        return float(number) * UNITS[str(unit).strip()]
    except (KeyError, ValueError):
        return None


def _fine(size):
    return None if size is None or size > COARSEST_UM else size


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
