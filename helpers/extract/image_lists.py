"""Which micrographs, and which sample each shows: from a folder, a pattern or a table."""

from __future__ import annotations

import glob
import os
import re
import unicodedata
from pathlib import Path, PurePath

import pandas as pd

from helpers import UserError
from helpers.extract.tables import TABLES, column, first_few, read_table
from helpers.images.read import SUFFIXES, ImageError, list_images

SAMPLE = "sample"  # usual heading of the names of samples


def list_samples(source, *, image_column="image", sample_column=None):
    """Image files with the sample that each shows.

    Parameters
    ----------
    source : path-like or str
        A folder (its subfolders are not searched); a pattern such as ``"scans/*/*.tif"``; one
        image; or a table (``.csv``, ``.xlsx``, ``.parquet``) whose paths are relative to its own
        folder.
    image_column, sample_column : str
        Columns of a table: the path of an image, and the name of its sample. None: ``"sample"``,
        in any case, where there is such a column, else every image is a sample of its own, named
        like its file without ending.

    Returns
    -------
    pandas.DataFrame
        Columns ``image`` (path) and ``sample``, both str; in the order of the table, else sorted.
        An accented letter in ``sample`` is one character (NFC), however the file stores it.

    Raises
    ------
    FileNotFoundError, NotADirectoryError, UserError, ImageError
        No such folder, table, column or image; empty cells; no image at all, or one that stands
        twice; two files without `sample_column` that would be the same sample.
    """
    path, samples = Path(source), None
    if path.suffix.lower() in TABLES:
        names, samples = image_columns(path, image_column, sample_column)
        images = _stored_files(path, names)
    elif sample_column is not None:
        raise UserError(
            f"sample_column is {sample_column!r}, but {source} is no table: expected a file that "
            f"ends in {', '.join(TABLES)}"
        )
    elif path.suffix.lower() in SUFFIXES and path.is_file():
        images = [path]
    elif not path.exists() and glob.has_magic(str(path)):
        images = _fitting_files(str(path))
    else:
        images = list_images(path)
    return listed(images, samples, source)


def image_columns(path, image_column, sample_column):
    """Images as a table names them, by row, and their samples, or None where none are named."""
    table = read_table(path)
    names = column(table, image_column, path, form=None)
    if sample_column is None:
        likely = [name for name in table.columns if name.casefold() == SAMPLE]
        if len(likely) > 1 and SAMPLE not in likely:
            raise UserError(f"{first_few(likely)} may both name the samples: keep one of them")
        sample_column = SAMPLE if SAMPLE in likely else next(iter(likely), None)
    return names, None if sample_column is None else column(table, sample_column, path)


def listed(images, samples, source):
    """Images (paths or addresses) and samples; without these each image is one, named like it."""
    images = list(map(str, images))
    odd = [ascii(name) for name in images if re.search("[\ud800-\udfff]", name)]
    if odd:  # old archives and cameras give such names, and no table can hold them
        raise ImageError(f"{len(odd)} file names are not UTF-8: {first_few(odd)}; rename them")
    table = pd.DataFrame({"image": images})
    table["sample"] = table["image"].map(_stem) if samples is None else list(samples)
    twice = table["image"][table["image"].duplicated()].tolist()
    if twice:
        raise ImageError(
            f"{source}: {len(twice)} images stand twice: {first_few(twice)}; keep one row each"
        )
    same = table["sample"][table["sample"].duplicated()].unique().tolist()
    if same and samples is None:
        raise ImageError(
            f"several files would be sample {first_few(same)}: give them different names, or pass "
            "a table with a column that says which sample each image shows"
        )
    return table


def _stem(name):
    """The name of a file without its ending, each accented letter as one character."""
    return unicodedata.normalize("NFC", PurePath(name).stem)


def _stored_files(path, names):
    """Files that a table names; accents may be stored in another form than it has them."""
    files, missing = [], []
    for row, name in names.items():
        forms = [name, *(unicodedata.normalize(form, name) for form in ("NFC", "NFD"))]
        # Of a name longer than the system allows `Path.is_file` raises.
        files.append(next(filter(os.path.isfile, map(path.parent.joinpath, forms)), None))
        if files[-1] is None:
            missing.append(f"row {row} ({path.parent / name})")
    if missing:
        raise FileNotFoundError(
            f"{path} names {len(missing)} images that do not exist: {first_few(missing)}; paths "
            f"are relative to {path.parent}"
        )
    return files


def _fitting_files(pattern):
    files = map(Path, glob.glob(pattern, recursive=True))
    files = sorted(f for f in files if f.suffix.lower() in SUFFIXES and f.is_file())
    if not files:
        raise ImageError(
            f"no image fits {pattern!r}: expected files that end in {', '.join(SUFFIXES)}"
        )
    return files
