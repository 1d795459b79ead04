"""What TIFF files say of their pixels' size: tags of microscopes, ImageJ, OME, resolutions."""

from __future__ import annotations

import html
import re
import unicodedata

INCH, CM = 25400.0, 1e4  # micrometres
# Names of lengths in the descriptions of microscopes (NFKC), and their micrometres.
UNITS = {
    "pm": 1e-6,
    "Å": 1e-4,
    "nm": 1e-3,
    "um": 1.0,
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
    stated = re.findall(r'(PhysicalSize[XY](?:Unit)?)="([^"]+)"', file.ome_metadata)
    first = dict(reversed(stated))  # of several images
    sizes = [
        _micrometres(
            first.get(f"PhysicalSize{axis}"),
            html.unescape(first.get(f"PhysicalSize{axis}Unit", "µm")),
        )
        for axis in "XY"
    ]
    return None if None in sizes else _square(*sizes)


def imagej(file):
    """As `fei`; inches and centimetres are those of the resolution tags, and judged as these."""
    if not file.is_imagej:
        return None
    unit = str((file.imagej_metadata or {}).get("unit", "")).replace("\\u00B5", "µ")
    size = _from_tags(file, _micrometres(1, unit))
    return _fine(size) if unit in ("inch", "in", "cm") else size


def resolution(file):
    """As `fei`, from tags that most programs fill without knowing of a microscope."""
    tag = file.pages[0].tags.get("ResolutionUnit")
    unit = {2: INCH, 3: CM}.get(int(tag.value)) if tag else None
    return _fine(_from_tags(file, unit))


READERS = (fei, zeiss, ome, imagej, resolution)


def _micrometres(number, unit):
    try:
        return float(number) * UNITS[unicodedata.normalize("NFKC", str(unit)).strip()]
    except (KeyError, TypeError, ValueError):
        return None


def _fine(size):
    return None if size is None or size > COARSEST_UM else size


def _from_tags(file, unit):
    """Pixel size from the resolution in both directions, in a unit of so many micrometres."""
    # `TiffPage.get_resolution` would take a missing or damaged tag as one pixel a unit.
    stated = [file.pages[0].tags.valueof(code, default=(0, 1)) for code in (282, 283)]
    if unit is None or any(0 in pair for pair in stated):
        return None
    return _square(*(unit * length / pixels for pixels, length in stated))


def _square(x, y):
    return x if abs(x - y) <= 0.01 * x else None
