"""Images in an object store: listed there, and copied for as long as they are read."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path, PurePosixPath

import pandas as pd

from helpers import UserError
from helpers.extract.image_lists import (
    TABLES,
    check_listed,
    column,
    default_samples,
    list_samples,
    read_table,
    stem,
)
from helpers.images.read import SUFFIXES, ImageError
from helpers.io.optional import optional

# What tells versions of a file apart: of local files, S3, Google and Azure.
STAMPS = ("size", "mtime", "ETag", "etag", "LastModified", "last_modified")


def list_anywhere(source, *, image_column="image", sample_column=None):
    """`helpers.extract.image_lists.list_samples`, also of an object store.

    Parameters
    ----------
    source : path-like or str
        As there; a folder such as ``"s3://bucket/scans"``; a table of such addresses.
    image_column, sample_column
        As there.

    Returns
    -------
    pandas.DataFrame
        ``image``, ``sample``, and ``stamp``: size and time of a file as text, empty for addresses
        in a table, which would have to be asked one by one.

    Raises
    ------
    ImageError
        No images; one that stands twice; several that would be one sample.
    ValueError
        A kind of store that fsspec does not know, or whose package is not installed.
    FileNotFoundError, UserError
        As `list_samples`.

    Examples
    --------
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     Path(folder, "a.png").touch()
    ...     list_anywhere(Path(folder).as_uri())["sample"].tolist()
    ['a']
    """
    if "://" in str(source):
        table = _list_store(str(source))
    else:
        table = _list_addresses(source, image_column, sample_column)
    if table is not None:
        return table
    table = list_samples(source, image_column=image_column, sample_column=sample_column)
    stats = [os.stat(image) for image in table["image"]]
    return table.assign(stamp=[f"{s.st_size} {s.st_mtime_ns}" for s in stats])


def _list_store(address):
    files, root = _store(address)
    try:
        found = files.ls(root, detail=True)
    except FileNotFoundError as error:
        raise FileNotFoundError(f"there is no folder {address}: check its name") from error
    except Exception as error:  # the packages of stores have errors of their own
        raise UserError(f"{address} cannot be listed: {error}") from error
    found = {f["name"]: f for f in found if f["type"] == "file"}
    names = sorted(n for n in found if PurePosixPath(n).suffix.lower() in SUFFIXES)
    if not names:
        raise ImageError(f"{address} holds no images: expected {', '.join(SUFFIXES)}")
    table = pd.DataFrame(
        {
            "image": [files.unstrip_protocol(name) for name in names],
            "sample": [stem(PurePosixPath(name)) for name in names],
            "stamp": [" ".join(str(found[n].get(k, "")) for k in STAMPS).strip() for n in names],
        }
    )
    check_listed(table, None, address)
    return table


def _store(address):
    fsspec = optional("fsspec", "ray")
    try:
        return fsspec.core.url_to_fs(address)
    except (ImportError, ValueError) as error:
        raise UserError(f"{address} cannot be opened by fsspec: {error}") from error


def _list_addresses(source, image_column, sample_column):
    """The rows of a table whose images are addresses; None where they are paths, or no table."""
    if Path(source).suffix.lower() not in TABLES:
        return None
    content = read_table(source)
    images = column(content, image_column, source, form=None)
    if not images.str.contains("://", regex=False).all():
        return None
    samples = images.map(lambda address: stem(PurePosixPath(address)))
    sample_column = sample_column or default_samples(content)
    if sample_column is not None:
        samples = column(content, sample_column, source)
    table = pd.DataFrame({"image": images, "sample": samples, "stamp": ""}).reset_index(drop=True)
    check_listed(table, sample_column, source)
    return table


@contextlib.contextmanager
def local_copies(listed):
    """A list whose images are files: those of a store are copied until the block ends.

    Parameters
    ----------
    listed : pandas.DataFrame
        Of `list_anywhere`.

    Yields
    ------
    pandas.DataFrame
        In the same order.

    Raises
    ------
    ImageError
        Images that cannot be copied.
    """
    far = listed["image"].str.contains("://", regex=False)
    if not far.any():
        yield listed
        return
    with tempfile.TemporaryDirectory() as folder:
        copies = listed.copy()
        for i in listed.index[far]:
            address = listed.loc[i, "image"]
            copy = os.path.join(folder, f"{i:08d}{PurePosixPath(address).suffix}")
            files, path = _store(address)
            try:
                files.get_file(path, copy)
            except Exception as error:  # as above
                raise ImageError(f"{address} cannot be copied: {error}") from error
            copies.loc[i, "image"] = copy
        try:
            yield copies
        except ImageError as error:
            message = str(error)
            for copy, address in zip(copies["image"], listed["image"], strict=True):
                message = message.replace(copy, address)
            raise ImageError(message) from error


def named_as(found, copies, listed):
    """A feature table of `local_copies` with the addresses in place of the copies."""
    names = dict(zip(copies["image"], listed["image"], strict=True))
    table = found.table.assign(image=found.table["image"].map(names))
    skipped = {names[k]: v.replace(k, names[k]) for k, v in found.facts["skipped"].items()}
    return found._replace(table=table, facts=found.facts | {"skipped": skipped})
