"""Published files: found in a local copy or downloaded once, and verified either way.

Every file stands in ``data/registry.json`` with its address, hash, licence and citation.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from pathlib import Path

import requests
from filelock import FileLock
from platformdirs import user_cache_path

from helpers import UserError
from helpers.io.progress import progress_bar

PACKAGE = Path(__file__).resolve().parent.parent
# What ships with the book lies beside the package in a clone; a wheel holds the part of it that
# the commands need inside the package (pyproject.toml lists the files).
INSTALLED = (PACKAGE / "shipped").is_dir()
ROOT = PACKAGE / "shipped" if INSTALLED else PACKAGE.parent
LOCAL_COPY = "MICROPROP_DATA"
CACHE = "MICROPROP_CACHE"
BLOCK = 2**14  # bytes; a transfer that breaks off loses less than one
REGISTRY = "MICROPROP_REGISTRY"  # tests put fixtures in the place of the published files


class DownloadError(UserError, OSError):
    """A published file could not be had, or is not the one that was published."""


def registry():
    """Every published file: name -> its ``url``, ``hash``, ``licence``, ``citation``, ...

    Returns
    -------
    dict of str to dict
        ``hash`` reads ``sha256:...`` or ``git-blob:...``; ``size`` is in bytes or None;
        ``fixture`` is true for the small files that tests put in place of published ones. An
        entry with ``hashes`` is a folder; see `helpers.io.archives`.

    Examples
    --------
    >>> registry()["two_phase/dataset.mat"]["hash"].split(":")[0]
    'git-blob'
    """
    path = registry_path()
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DownloadError(f"{path}, the registry ({REGISTRY} may name it): {error}") from error


def registry_path():
    """The registry's file: the one that ``MICROPROP_REGISTRY`` names, or the book's own."""
    return Path(os.environ.get(REGISTRY) or ROOT / "data" / "registry.json")


def local_copy():
    """The folder that ``MICROPROP_DATA`` names, or None; one that is not there is an error."""
    local = os.environ.get(LOCAL_COPY)
    if local and not Path(local).is_dir():
        raise DownloadError(f"{LOCAL_COPY} is {local!r}, which is no folder: mend it or unset it")
    return Path(local) if local else None


def cache_folder():
    """Folder of what was downloaded: ``MICROPROP_CACHE``, or the user's cache."""
    return Path(os.environ.get(CACHE) or user_cache_path("microprop"))


def verify(path, expected, source="the registry"):
    """Check a file against the hash in its registry entry.

    Parameters
    ----------
    path : path-like
        The file.
    expected : str
        ``sha256:<hex>``, or ``git-blob:<hex>``: the SHA-1 of ``blob <size>``, a zero byte
        and the content, which is the id that git gives a file.
    source : str
        Where that hash stands, for the message.

    Raises
    ------
    DownloadError
        No such file, or another hash; the message holds both.
    """
    path = Path(path)
    if not path.is_file():
        raise DownloadError(f"{path} is missing")
    kind, _, wanted = expected.partition(":")
    size = path.stat().st_size
    begun = {"sha256": hashlib.sha256(), "git-blob": hashlib.sha1(f"blob {size}\0".encode())}
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, lambda: begun[kind]).hexdigest()
    if digest != wanted:
        raise DownloadError(
            f"{path} ({size} bytes) has the {kind} hash {digest} but {source} has {wanted}: "
            "the file is damaged, cut short or another version"
        )


def fetch(name):
    """Path of a published file, from the local copy or downloaded, verified.

    Parameters
    ----------
    name : str
        Key of `registry`, as ``"two_phase/dataset.mat"``.

    Returns
    -------
    Path
        In the folder that ``MICROPROP_DATA`` names where that holds the file; else in the
        cache, downloaded if it is not there yet.

    Raises
    ------
    KeyError
        The registry has no such file.
    ValueError
        A folder, for which there is `helpers.io.archives.fetch_archive`.
    DownloadError
        As in `download`.
    """
    entries = registry()
    if name not in entries:
        raise KeyError(f"{name!r} is not in the registry: expected one of {sorted(entries)}")
    entry = entries[name]
    if "hashes" in entry:
        raise UserError(f"{name!r} is a folder of files: get it with helpers.io.archives")
    local = local_copy()
    if local and (local / name).exists():
        verify(local / name, entry["hash"])
        return local / name
    # The hash in the name: another version of the file never passes for this one.
    target = cache_folder() / entry["hash"].split(":")[1][:12] / Path(name).name
    if target.exists():
        return target
    print(f"downloading {name} from {entry['url']}", flush=True)
    try:
        download(entry["url"], target, entry["hash"])
    except OSError as error:  # those of requests are among them
        size = f"{entry['size'] / 1e6:.0f} MB" if entry.get("size") else "size unknown"
        raise DownloadError(
            f"could not download {name} ({size}) from {entry['url']} to {target.parent}: {error}. "
            f"Try again, name another folder with space in {CACHE}, or put the file at {name} in "
            f"a folder and name that in {LOCAL_COPY}"
        ) from error
    return target


def download(url, target, expected, title=None):
    """Download one file, on from where an earlier call was interrupted.

    Parameters
    ----------
    url : str
        Its address.
    target : Path
        Where it goes once it is whole and verified; what arrived before waits beside it.
    expected : str or None
        Hash as in `verify`. None: the publisher states none, so nothing is compared.
    title : str, optional
        Of the progress. None: the name of the file.

    Raises
    ------
    OSError
        No network, a server that refuses, a transfer cut short, a full disk: what arrived stays,
        and the next call goes on from there where the server can. A wrong hash: nothing stays.
    """
    part = target.with_name(f".{target.name}.part")
    target.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(part.with_suffix(".lock")):
        if target.exists():  # another process has been here meanwhile
            return
        _receive(url, part, title or target.name)
        if expected is not None:
            try:
                verify(part, expected)
            except DownloadError:
                part.unlink()
                raise
        part.replace(target)


def _receive(url, part, title):
    """The whole of an address in the file `part`, on from what is there."""
    tag = part.with_suffix(".etag")
    etag = tag.read_text(encoding="latin-1") if tag.exists() else ""
    done = part.stat().st_size if etag and part.exists() else 0
    headers = {"Accept-Encoding": "identity"}
    if done:
        headers |= {"Range": f"bytes={done}-", "If-Range": etag}
    with requests.get(url, headers=headers, stream=True, timeout=60) as response:
        span = re.fullmatch(r"bytes (\d+)-.*/(\d+)", response.headers.get("Content-Range", ""))
        partial = response.status_code == 206 and span and int(span[1]) == done
        if done and response.status_code in (206, 416) and not partial:
            part.unlink()  # longer than the whole, or another piece than was asked for
            return _receive(url, part, title)
        response.raise_for_status()
        done = done if partial else 0
        coded = response.headers.get("Content-Encoding", "identity") != "identity"
        total = None if coded else span[2] if partial else response.headers.get("Content-Length")
        total = int(total) if total else None
        with part.open("ab" if done else "wb") as file:
            if not done:
                # A strong tag says that a later answer is of the same bytes; a weak one does not.
                etag = response.headers.get("ETag", "W/")
                tag.write_text("" if coded or etag.startswith("W/") else etag, encoding="latin-1")
            with progress_bar(title, "B", total, done=done, unit_scale=True) as bar:
                for block in response.iter_content(BLOCK):
                    bar.update(file.write(block))
    if total is not None and part.stat().st_size != total:
        raise OSError(f"the transfer was cut after {part.stat().st_size} of {total} bytes")
    tag.unlink(missing_ok=True)
