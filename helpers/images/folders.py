"""Folders of images: which of their files are read, and what is said of the others."""

from __future__ import annotations

import collections
import os
import re
import warnings
from os.path import isdir, isfile
from pathlib import Path

from helpers.images.formats import ImageError

SUFFIXES = (".tif", ".tiff", ".png", ".jpg", ".jpeg", ".bmp", ".webp", ".gif", ".jp2", ".j2k")
# What saves a microscope's own kind of file as TIFF: its program, or one that reads many kinds.
EXPORTS = {
    "DigitalMicrograph (File > Save As) or Fiji": ".dm3 .dm4",
    "Velox (File > Export) or HyperSpy": ".emd",
    "TIA (File > Export) or HyperSpy": ".ser .emi",
    "Fiji (File > Import > Bio-Formats)": ".mrc .czi .lif .nd2 .oib .oif .oir .vsi",
    "ESPRIT or HyperSpy": ".bcf",
    "HyperSpy": ".hspy .zspy .mib .tvips .blo .rpl .sur",
    "the program of the EBSD detector": ".h5oina .ang .ctf .cpr .crc",
}
EXPORTS = {ending: program for program, kinds in EXPORTS.items() for ending in kinds.split()}


def list_images(folder):
    """Image files of a folder, sorted by name; not those of its subfolders.

    See `choose_images`.
    """
    folder = Path(folder)
    if not folder.exists():
        raise FileNotFoundError(f"there is no folder {folder}: check its name")
    if not folder.is_dir():
        raise ImageError(
            f"{folder} is a file: expected a folder of images, or a file that ends in "
            f"{', '.join(SUFFIXES)}; {remedy([folder.suffix], 'name the folder that holds it')}"
        )
    return list(map(Path, choose_images(folder, kinds_of(e.path for e in os.scandir(folder)))))


def kinds_of(names):
    """{name: "file", "directory" or "other"}, such as a pipe, which may never end."""
    return {n: "file" if isfile(n) else "directory" if isdir(n) else "other" for n in names}


def choose_images(source, kinds):
    """The images among files and folders, as `kinds_of` gives them, sorted.

    Files that end in one of `SUFFIXES`, in upper or lower case. A warning says what is left out,
    but for hidden files, such as the ``._name.png`` that macOS puts beside a file. An ImageError
    names the `source` that holds no image.
    """
    images, others, n_folders = [], collections.Counter(), 0
    for name, kind in kinds.items():
        base = os.path.basename(name)
        ending = os.path.splitext(base)[1].lower()
        if base.startswith(".") or base.lower() in ("thumbs.db", "desktop.ini"):
            continue
        if ending in SUFFIXES and kind == "file":
            images.append(name)
        elif kind == "directory":
            n_folders += 1
        else:
            others[ending if re.fullmatch(r"\.\w{1,9}", ending) else "of another ending"] += 1
    told = [f"{others[kind]} {kind}" for kind in sorted(others, key=lambda k: (-others[k], k))]
    told[9:] = ["others"] * (len(told) > 9)
    told += [f"{n_folders} subfolder{'s' * (n_folders > 1)}"] * (n_folders > 0)
    if not images:
        raise ImageError(
            f"{source} holds no image: expected files that end in {', '.join(SUFFIXES)}, found "
            f"{', '.join(told) or 'nothing'}; {remedy(others, 'subfolders are not searched')}"
        )
    if told:
        warnings.warn(f"{source}: left out: {', '.join(told)}", stacklevel=4)
    return sorted(images)


def remedy(endings, otherwise):
    """What to do with files of a microscope's own kinds, or `otherwise`."""
    kinds = [f"{e} with {EXPORTS[e.lower()]}" for e in endings if e.lower() in EXPORTS]
    return f"export as 16-bit grey TIFF: {', '.join(kinds)}" if kinds else otherwise
