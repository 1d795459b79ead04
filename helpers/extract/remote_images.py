"""Images in an object store: listed there, and copied for as long as they are read."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path, PurePosixPath

from helpers import UserError
from helpers.extract.image_lists import image_columns, list_samples, listed
from helpers.extract.tables import TABLES
from helpers.images.folders import choose_images
from helpers.images.formats import ImageError
from helpers.io.optional import optional

# What tells versions of a file apart: of local files, S3, Google and Azure.
STAMPS = ("size", "mtime", "ETag", "etag", "LastModified", "last_modified")


def list_anywhere(source, *, image_column="image", sample_column=None):
    """`helpers.extract.image_lists.list_samples`, also of a store or a table of addresses.

    A column ``stamp`` more holds size and time of a file as text, empty for addresses in a
    table, which would have to be asked one by one. A `UserError` tells a kind of store that fsspec
    does not know, or whose package is not installed.

    Examples
    --------
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     Path(folder, "a.png").touch()
    ...     list_anywhere(Path(folder).as_uri())["sample"].tolist()
    ['a']
    """
    if "://" in str(source):
        return _list_store(str(source))
    if Path(source).suffix.lower() in TABLES:
        names, samples, sizes = image_columns(Path(source), image_column, sample_column)
        if names.str.contains("://", regex=False).all():
            return listed(names, samples, source, sizes).assign(stamp="")
    table = list_samples(source, image_column=image_column, sample_column=sample_column)
    stats = [os.stat(image) for image in table["image"]]
    return table.assign(stamp=[f"{s.st_size} {s.st_mtime_ns}" for s in stats])


def _list_store(address):
    files, root = _store(address)
    try:
        entries = files.ls(root, detail=True)
    except FileNotFoundError as error:
        raise FileNotFoundError(f"there is no folder {address}: check its name") from error
    except Exception as error:  # the packages of stores have errors of their own
        raise UserError(f"{address} cannot be listed: {error}") from error
    images = choose_images(address, {e["name"]: e["type"] for e in entries})
    entries = {e["name"]: e for e in entries}
    entries = [entries[name] for name in images]
    table = listed([files.unstrip_protocol(e["name"]) for e in entries], None, address)
    return table.assign(
        stamp=[" ".join(str(e.get(k, "")) for k in STAMPS).strip() for e in entries]
    )


def _store(address):
    fsspec = optional("fsspec", "ray")
    try:
        return fsspec.core.url_to_fs(address)
    except (ImportError, ValueError) as error:
        raise UserError(f"{address} cannot be opened by fsspec: {error}") from error


@contextlib.contextmanager
def local_copies(table):
    """A list whose images are files: those of a store are copied until the block ends."""
    far = table["image"].str.contains("://", regex=False)
    if not far.any():
        yield table
        return
    with tempfile.TemporaryDirectory() as folder:
        copies = table.copy()
        for i, address in table["image"][far].items():
            copy = os.path.join(folder, f"{i:08d}{PurePosixPath(address).suffix}")
            copies.loc[i, "image"] = copy
            files, path = _store(address)
            try:
                files.get_file(path, copy)
            except Exception as error:  # as above
                raise ImageError(f"{address} cannot be copied: {error}") from error
        try:
            yield copies
        except ImageError as error:
            message = str(error)
            for copy, address in zip(copies["image"], table["image"], strict=True):
                message = message.replace(copy, address)
            raise ImageError(message) from error


def named_as(features, copies, table):
    """A feature table of `local_copies` with the addresses in place of the copies."""
    names = dict(zip(copies["image"], table["image"], strict=True))
    rows = features.table.assign(image=features.table["image"].map(names))
    skipped = {names[k]: v.replace(k, names[k]) for k, v in features.facts["skipped"].items()}
    return features._replace(table=rows, facts=features.facts | {"skipped": skipped})
