"""Which micrographs, and which sample each shows: from a folder, a pattern or a table."""

from __future__ import annotations

import glob
import os
import re
import unicodedata
from pathlib import Path

import numpy as np
import pandas as pd

from helpers import UserError
from helpers.extract.tables import (
    TABLES,
    column,
    decimal_points,
    first_few,
    heading,
    loosely,
    read_table,
)
from helpers.images.folders import SUFFIXES, choose_images, kinds_of, list_images
from helpers.images.formats import ImageError

SAMPLE = "sample"  # usual heading of the names of samples
SIZE = "pixel_size_um"  # heading of pixel sizes, for files that state none


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
        Columns ``image`` (path) and ``sample``, both str, and ``pixel_size_um`` (float); in the
        order of the table, else sorted. An accented letter in ``sample`` is one character (NFC),
        however the file stores it. Pixel sizes are those that a column ``pixel_size_um`` of the
        table states [micrometres], NaN where there is none or its cell is empty.

    Raises
    ------
    FileNotFoundError, UserError, ImageError
        No such folder, table, column or image; empty cells; no image at all, or one that stands
        twice; two files without `sample_column` that would be the same sample; a pixel size that
        is no number above 0.
    """
    path, samples, sizes = Path(source), None, np.nan
    if path.suffix.lower() in TABLES:
        names, samples, sizes = image_columns(path, image_column, sample_column)
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
    return listed(images, samples, source, sizes)


def image_columns(path, image_column, sample_column):
    """Images as a table names them, by row; their samples, None if none are named; their sizes."""
    table = read_table(path)
    image_column = heading(table, image_column, path, "image_column")
    names = column(table, image_column, path, form=None)
    samples = None
    if sample_column is not None or SAMPLE in map(loosely, table.columns):
        sample_column = heading(table, sample_column or SAMPLE, path, "sample_column")
        samples = column(table, sample_column, path)
    return names, samples, _stated_sizes(table, path)


def _stated_sizes(table, path):
    """Pixel sizes of a table [micrometres]; NaN for empty cells, and without such a column."""
    if SIZE not in map(loosely, table.columns):
        return pd.Series(np.nan, table.index)
    name = heading(table, SIZE, path, "the column of sizes")
    cells = decimal_points(table, [name], path)[name]
    texts = cells.map(lambda cell: "" if pd.isna(cell) else str(cell).strip())
    sizes = pd.to_numeric(texts, errors="coerce").astype(float)
    bad = texts[(texts != "") & ~((sizes > 0) & np.isfinite(sizes))]
    if len(bad):
        raise UserError(
            f"{path}: {name!r} holds {bad.iloc[0]!r} in row {bad.index[0]} ({len(bad)} such "
            "rows): expected micrometres above 0; leave the cell empty where the size is not known"
        )
    return sizes


def listed(images, samples, source, sizes=np.nan):
    """The table of `list_samples`, of paths or addresses; without samples each image is one."""
    images = list(map(str, images))
    odd = [ascii(name) for name in images if re.search("[\ud800-\udfff]", name)]
    if odd:  # old archives and cameras give such names, and no table can hold them
        raise ImageError(f"{len(odd)} file names are not UTF-8: {first_few(odd)}; rename them")
    table = pd.DataFrame({"image": images})
    table["sample"] = table["image"].map(_stem) if samples is None else list(samples)
    table[SIZE] = np.asarray(sizes)
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
    return unicodedata.normalize("NFC", os.path.splitext(os.path.basename(name))[0])


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
    kinds = kinds_of(glob.glob(pattern, recursive=True))
    if "**" in pattern:  # which gives folders beside the files in them
        kinds = {name: kind for name, kind in kinds.items() if kind != "directory"}
    return list(map(Path, choose_images(pattern, kinds)))
