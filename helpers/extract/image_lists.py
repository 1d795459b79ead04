"""Which micrographs, and which sample each shows: from a folder, a pattern or a table."""

from __future__ import annotations

import glob
import re
import unicodedata
import warnings
from pathlib import Path

import pandas as pd

from helpers import UserError
from helpers.extract.tables import first_few, label, read_rows, sheet_names
from helpers.images.read import SUFFIXES, ImageError, list_images

TABLES = (".csv", ".xlsx", ".parquet")
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
    FileNotFoundError, NotADirectoryError
        No such folder or table; image files that do not exist, named.
    UserError
        A table that cannot be read, lacks a column, or has empty cells in it.
    ImageError
        No image at all, or one that stands twice; two files without `sample_column` that would
        be the same sample.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name in ("b.png", "a.tif"):
    ...         Path(folder, name).touch()
    ...     list_samples(folder)["sample"].tolist()
    ['a', 'b']
    """
    path = Path(source)
    if path.suffix.lower() in TABLES:
        content = read_table(path)
        sample_column = sample_column or default_samples(content)
        table = _from_table(path, content, image_column, sample_column)
    elif sample_column is not None:
        raise UserError(
            f"sample_column is {sample_column!r}, but {source} is no table: expected a file that "
            f"ends in {', '.join(TABLES)}"
        )
    else:
        files = _files(path)
        odd = [ascii(str(f)) for f in files if re.search("[\ud800-\udfff]", str(f))]
        if odd:  # old archives and cameras give such names, and no table can hold them
            raise ImageError(f"{len(odd)} file names are not UTF-8: {first_few(odd)}; rename them")
        table = pd.DataFrame({"image": map(str, files), "sample": map(stem, files)})
    check_listed(table, sample_column, source)
    return table


def read_table(path, sheet=None):
    """Any table as strings and numbers: headings of row 1 as columns, empty cells as None.

    Parameters
    ----------
    path : path-like
        ``.csv``, ``.xlsx`` or ``.parquet``.
    sheet : str, optional
        Name of a sheet of a workbook. None: the first, and a warning names it if there are more.

    Returns
    -------
    pandas.DataFrame
        Its index counts as a spreadsheet does: the first row below the headings is 2.

    Raises
    ------
    UserError
        As `helpers.extract.tables.read_rows`; a heading that stands twice; no rows.
    """
    path = Path(path)
    if path.suffix.lower() == ".parquet":
        return _parquet(path)
    rows = read_rows(path, sheet)
    if sheet is None and path.suffix.lower() == ".xlsx":
        _tell_other_sheets(path)
    headers = [
        " ".join(str(cell).split()) if cell is not None else ""
        for cell in rows[:1][0:1] and rows[0]
    ]
    twice = sorted({h for h in headers if h and headers.count(h) > 1})
    if twice:
        raise UserError(f"{path}: {first_few(twice)} stands in several columns: keep one of them")
    body = {n: row for n, row in enumerate(rows[1:], 2) if row}
    if not body:
        raise UserError(f"{path} holds no row below its headings: write one row a sample")
    table = pd.DataFrame(
        [[row[i] if i < len(row) else None for i in range(len(headers))] for row in body.values()],
        index=list(body),
        columns=headers,
        dtype=object,
    )
    return table[[header for header in headers if header]]


def _tell_other_sheets(path):
    first, *others = sheet_names(path)
    if others:
        warnings.warn(
            f"{path} has {len(others) + 1} sheets, and the first, {first!r}, is read: for another "
            "put it first or save it alone; fit has --sheet",
            stacklevel=3,
        )


def column(table, name, path, form="NFC"):
    """A column of a table as stripped text; a `UserError` names what is there, or empty cells.

    `form` is that of accented letters, see `unicodedata.normalize`. None: as they are stored.
    """
    if name not in table.columns:
        found = first_few([repr(c) for c in table.columns], 40) or "nothing"
        raise UserError(f"{path} has no column {name!r}: row 1 holds {found}")
    values = table[name].map(lambda cell: _text(cell, form))
    empty = [f"row {row}" for row in table.index[values == ""]]
    if empty:
        raise UserError(f"{path}: {name!r} is empty in {first_few(empty)}: fill it in")
    return values


def _text(cell, form):
    """Text of a cell; whole numbers as they are seen in a spreadsheet, without ``.0``."""
    if cell is None or cell != cell:
        return ""
    if isinstance(cell, float) and cell.is_integer():
        cell = int(cell)
    text = str(cell).strip()
    return text if form is None else unicodedata.normalize(form, text)


def stem(path):
    """Name of a sample that is called like its image: without ending, accents as one character."""
    return unicodedata.normalize("NFC", path.stem)


def _parquet(path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not path.is_file():
        raise UserError(f"there is no file {path}: check its name")
    try:
        table = pq.read_table(path)
        table.validate(full=True)  # text that is no UTF-8 as well
        table = table.to_pandas().astype(object)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read as parquet: {error}") from error
    if not len(table):
        raise UserError(f"{path} holds no row: write one row an image")
    table.index = range(2, len(table) + 2)
    table.columns = [str(name) for name in table.columns]
    return table


def default_samples(table):
    """The column of a table that names samples where nothing else is said, or None."""
    found = [name for name in table.columns if name.casefold() == SAMPLE]
    if len(found) > 1 and SAMPLE not in found:
        raise UserError(f"{first_few(found)} may both name the samples: keep one of them")
    return SAMPLE if SAMPLE in found else next(iter(found), None)


def _from_table(path, table, image_column, sample_column):
    names = column(table, image_column, path, form=None)
    files = [_stored(path.parent, name) for name in names]
    missing = [
        f"row {n} ({label(str(f))})"
        for n, f in zip(table.index, files, strict=True)
        if not _is_file(f)
    ]
    if missing:
        raise FileNotFoundError(
            f"{path} names {len(missing)} images that do not exist: {first_few(missing)}; paths "
            f"are relative to {path.parent}"
        )
    samples = list(map(stem, files))
    if sample_column is not None:
        samples = list(column(table, sample_column, path))
    return pd.DataFrame({"image": map(str, files), "sample": samples})


def _is_file(path):
    try:
        return path.is_file()
    except OSError:  # a name longer than the system allows
        return False


def _stored(folder, name):
    """The file of a name whose accents the disk may store in another form than the table."""
    forms = [name, *(unicodedata.normalize(form, name) for form in ("NFC", "NFD"))]
    return next((folder / n for n in forms if _is_file(folder / n)), folder / name)


def _files(path):
    """Image files of a folder or a pattern, or one image."""
    if not path.exists() and glob.has_magic(str(path)):
        return _from_pattern(str(path))
    return [path] if path.suffix.lower() in SUFFIXES and path.is_file() else list_images(path)


def _from_pattern(pattern):
    found = map(Path, glob.glob(pattern, recursive=True))
    files = sorted(f for f in found if f.suffix.lower() in SUFFIXES and f.is_file())
    if not files:
        raise ImageError(
            f"no image fits {pattern!r}: expected files that end in {', '.join(SUFFIXES)}"
        )
    return files


def check_listed(table, sample_column, source):
    """Raise an ImageError unless each image stands once, and without named samples each sample."""
    twice = table["image"][table["image"].duplicated()].tolist()
    if twice:
        raise ImageError(
            f"{source}: {len(twice)} images stand twice: {first_few(twice)}; keep one row each"
        )
    same = table["sample"][table["sample"].duplicated()].unique().tolist()
    if same and sample_column is None:
        raise ImageError(
            f"several files would be sample {first_few(same)}: give them different names, or pass "
            "a table with a column that says which sample each image shows"
        )
