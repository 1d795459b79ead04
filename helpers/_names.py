"""Names of samples and sources that are spelled in several ways."""

from __future__ import annotations

import collections
import re
import unicodedata
from pathlib import PurePath

from helpers.images.read import SUFFIXES


def spelled_twice(names):
    """Names that differ in case and spaces alone, as ``"'H01' and 'h01'"``.

    Examples
    --------
    >>> spelled_twice(["H01", "H02", "h01"])
    ["'H01' and 'h01'"]
    """
    found = collections.defaultdict(dict)
    for name in names:
        found[" ".join(name.split()).casefold()][name] = None
    return [" and ".join(map(repr, same)) for same in found.values() if len(same) > 1]


def likely_pairs(left, right):
    """Names of two lists that may mean the same, as ``"'4' and '004'"``.

    They differ in case, spaces, leading zeros, accents or the ending of an image file alone.

    Examples
    --------
    >>> likely_pairs(["4", "b"], ["004", "B.tif", "c"])
    ["'4' and '004'", "'b' and 'B.tif'"]
    """
    known = {_loosely(name): name for name in right}
    keys = {name: _loosely(name) for name in left}
    return [f"{name!r} and {known[key]!r}" for name, key in keys.items() if key in known]


def _loosely(name):
    if (path := PurePath(name)).suffix.lower() in SUFFIXES:
        name = path.stem
    letters = (c for c in unicodedata.normalize("NFKD", name) if not unicodedata.combining(c))
    return re.sub(r"(?<![\d.])0+(?=\d)", "", " ".join("".join(letters).split()).casefold())
