"""Mixed bit depth: whether the grey levels of files mean the same, before any work and after it.

Files of 8 bits, and TIFF files that say how many of their bits are used, become 0 to 1 by what
they state. Cameras also write 10 to 14 bits into files of 16, which then seem dark.
"""

from __future__ import annotations

import contextlib
import math
import re
import warnings
from concurrent.futures import ThreadPoolExecutor

from helpers.extract.tables import first_few
from helpers.images.read import ImageError, read_header
from helpers.vit.forward import n_cores

# Of white: where three bits of a type are unused, and two.
DARK, DIM = 0.125, 0.25
UNSTATED = r"signed|\b(16|24|32|64)-bit"  # kinds that hold cameras' numbers of fewer bits as well
SAY = (
    "say where the numbers above 8 bits end, as value_range=(0, 4095); files of 8 bits keep theirs"
)


class StoredWarning(UserWarning):
    """Images that are stored in a way that may mislead a network."""


def read_headers(files):
    """{file: `helpers.images.read.Header`} of those that can be read; `extract` tells others."""

    def read(file):
        with contextlib.suppress(ImageError, OSError):
            return read_header(file)

    with ThreadPoolExecutor(n_cores()) as pool:
        found = zip(files, pool.map(read, files), strict=True)
        return {file: header for file, header in found if header is not None}


def check_headers(headers, value_range=None, crop_bottom=None):
    """Look for what does not go together in the headers of `read_headers`.

    `value_range` and `crop_bottom`: see `helpers.images.read.Reading`.

    Raises
    ------
    ImageError
        Several kinds (names, counts and an example each), of which one does not say where its
        numbers end, without a `value_range`; floats beside it also with one. Files that state no
        banner where ``"auto"`` needs it.

    Warns
    -----
    StoredWarning
        Banners that would not be cut.
    """
    check_kinds({file: header.kind for file, header in headers.items()}, value_range)
    silent = [file for file, header in headers.items() if header.banner is None]
    if silent and crop_bottom == "auto":
        raise ImageError(
            f"{len(silent)} of {len(headers)} images state no banner to cut: "
            f"{first_few(silent)}; cut rows by number or share"
        )
    banners = {file: header.banner for file, header in headers.items() if header.banner}
    if banners and crop_bottom is None:
        file, rows = next(iter(banners.items()))
        _tell(
            f"{len(banners)} of {len(headers)} images state a banner, such as {file} ({rows} "
            "rows), and the network sees it: cut it with "
            f"crop_bottom={max(banners.values()) if silent else 'auto'}"
        )


def check_kinds(kinds, value_range=None):
    """As `check_headers`, of {file: kind}."""
    files = {}
    for file, kind in kinds.items():
        files.setdefault(kind, []).append(file)
    unstated = [kind for kind in files if re.search(UNSTATED, kind)]
    if len(files) == 1 or not unstated or (value_range is not None and "float" not in files):
        return
    each = "; ".join(f"{len(some)} {kind}, such as {some[0]}" for kind, some in files.items())
    raise ImageError(
        f"the images are of several kinds, whose grey levels do not mean the same: {each}. "
        + ("Convert them to one kind" if "float" in files else f"Convert them, or {SAY}")
    )


def check_levels(table):
    """Tell, or refuse, files that use a small part of the range of their type; none was stated.

    Of a table with ``image``, ``kind`` and ``brightest`` (of the pixels, 0 to 1, NaN: unknown).

    Raises
    ------
    ImageError
        Of a kind that does not say where its numbers end, some end below an eighth of white and
        others above a quarter: two depths in files of one type.

    Warns
    -----
    StoredWarning
        All of a kind end below a quarter of white.
    """
    for kind, rows in table[table["brightest"] > 0].groupby("kind"):
        levels = rows.set_index("image")["brightest"]
        dark, high, n_dark = levels.idxmin(), levels.max(), (levels < DARK).sum()
        one = f"such as {dark}: its brightest pixel is at {100 * levels[dark]:.1f} % of white"
        step = int(kind != "float")
        white = 2 ** int(re.search(r"\d+", kind)[0]) - 1 if step else 1
        if high < DIM:
            # the next power of two
            end = 2 ** math.ceil(math.log2(round(high * white, 4) + step)) - step
            _tell(
                f"all {len(levels)} {kind} images are dark, {one}. If the numbers end far below "
                f"those of the type, say so: value_range=(0, {end})"
            )
        elif n_dark and re.search(UNSTATED, kind):
            raise ImageError(
                f"{n_dark} of {len(levels)} {kind} images are dark, {one}, that of "
                f"{levels.idxmax()} at {100 * high:.1f} %: they seem to use fewer bits. Bring "
                "these to the whole range; or, if they are just dark, say so: "
                f"value_range=(0, {white})"
            )


def kinds_of(table):
    """Kinds of the images of a feature table, sorted, with the word dark where all of one are."""
    levels = table.groupby("kind")["brightest"].max()
    return sorted(f"{kind}, dark" if level < DIM else kind for kind, level in levels.items())


def check_kinds_as_fitted(found, facts, model):
    """Warn where new images, a feature table, are of other kinds than those of a model, whose
    facts are given, and no range makes them alike.
    """
    new, old = kinds_of(found.table), facts.get("kinds") or []
    other = "float" if found.facts.get("value_range") else UNSTATED
    if old and any(re.search(other, kind) for kind in {*new} ^ {*old}):
        _tell(
            f"the images are of another kind ({'; '.join(new)}) than those of {model} "
            f"({'; '.join(old)}), and their grey levels may not mean the same: {SAY}"
        )


def _tell(text):
    warnings.warn(text, StoredWarning, stacklevel=3)
