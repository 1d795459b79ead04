"""What TIFF files say of pixel size and banner: tags of microscopes, ImageJ, OME, resolutions."""

from __future__ import annotations

import html
import math
import re
import unicodedata

INCH, CM = 25400.0, 1e4  # micrometres
# Names of lengths in the descriptions of microscopes (NFKC), and their micrometres.
UNITS = {"pm": 1e-6, "Å": 1e-4, "nm": 1e-3, "um": 1.0, "μm": 1.0, "micron": 1.0, "microns": 1.0}
UNITS |= {"mm": 1e3, "cm": CM, "in": INCH, "inch": INCH, "m": 1e6}
# A resolution that is coarser is a printer's or screen's: 1200 dots an inch are 21 micrometres.
COARSEST_UM = 20.0


def fei(file):
    """Pixel size [micrometres] that a `tifffile.TiffFile` states, or None; so do all below."""
    scan = (file.fei_metadata or {}).get("Scan") or {}
    return _in_metres(scan.get("PixelWidth"), scan.get("PixelHeight"))


def zeiss(file):
    """As `fei`; which of the two is there depends on the version of the program."""
    tags = file.sem_metadata or {}
    stated = tags.get("ap_image_pixel_size") or tags.get("ap_pixel_size")
    return _micrometres(stated[1], stated[2]) if stated else None


def tescan(file):
    """As `fei`; in metres, among lines of a tag that may begin with other bytes."""
    lines = _tescan_lines(file)
    return _in_metres(lines.get("PixelSizeX"), lines.get("PixelSizeY"))


def _tescan_lines(file):
    text = file.pages[0].tags.valueof(50431, default=b"")
    text = text.decode("latin-1") if isinstance(text, bytes) else str(text)
    return dict(re.findall(r"^(\w+)=(\S+)\s*$", text, re.MULTILINE))


def digital_micrograph(file):
    """As `fei`."""
    tags = file.pages[0].tags
    sizes = [_micrometres(tags.valueof(65009 + i), tags.valueof(65003 + i)) for i in range(2)]
    return _square(*sizes)


def jeol(file):
    """As `fei`; the resolution of SightX is that of the camera: the magnification divides it."""
    tags = file.pages[0].tags
    if not str(tags.valueof(271)).startswith("JEOL"):
        return None
    text = str(tags.valueof(270))
    values = dict(re.findall(r"<(EosMode|ModeString|SelectorValue)\b[^>]*>\s*([^<]*?)\s*<", text))
    if (values.get("EosMode"), values.get("ModeString")) != ("eosTEM", "MAG"):
        return math.nan if values else None  # a diffraction pattern, whose pixels are no lengths
    size = _from_tags(file, _tagged_unit(file))
    return math.nan if size is None else size / float(values["SelectorValue"])


def ome(file):
    """As `fei`; 'pixel' and 'reference frame', which OME allows, are no lengths."""
    if not file.is_ome:
        return None
    stated = re.findall(r'PhysicalSize([XY](?:Unit)?)="([^"]+)"', file.ome_metadata)
    first = {name: html.unescape(text) for name, text in reversed(stated)}  # of several images
    sizes = [_micrometres(first.get(a), first.get(f"{a}Unit", "µm")) for a in "XY"]
    return _square(*sizes)


def imagej(file):
    """As `fei`; inches and centimetres are those of the resolution tags, and judged as these."""
    if not file.is_imagej:
        return None
    unit = str((file.imagej_metadata or {}).get("unit", "")).replace("\\u00B5", "µ")
    size = _from_tags(file, _micrometres(1, unit))
    return _fine(size) if unit in ("inch", "in", "cm") else size


def resolution(file):
    """As `fei`, from tags that most programs fill without knowing of a microscope."""
    return _fine(_from_tags(file, _tagged_unit(file)))


def pixel_size(file):
    """As `fei`, of any kind: the first that states a size decides; NaN: it is no length."""
    kinds = (fei, zeiss, tescan, digital_micrograph, jeol, ome, imagej, resolution)
    return next((size for read in kinds if (size := read(file)) is not None), None)


def banner(file):
    """Rows below the image itself that a `tifffile.TiffFile` states, or None."""
    page = file.pages[0]
    image = (file.fei_metadata or {}).get("Image") or {}
    rows = _tescan_lines(file).get("ImageStripSize")
    if image.get("ResolutionX") == page.imagewidth:  # else it was resized
        rows = page.imagelength - int(image.get("ResolutionY", 2**31))
    return int(rows) if rows is not None and 0 <= int(rows) < page.imagelength else None


def _tagged_unit(file):
    tag = file.pages[0].tags.get("ResolutionUnit")
    return {2: INCH, 3: CM}.get(int(tag.value)) if tag else None


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


def _in_metres(width, height):
    """As `fei`, of sides in metres; without a height that of a square."""
    height = width if height is None else height
    return None if width is None else _square(1e6 * float(width), 1e6 * float(height))


def _square(x, y):
    """One side where both are the same, None where one is not stated, else NaN."""
    if None in (x, y):
        return None
    return x if abs(x - y) <= 0.01 * x else math.nan
