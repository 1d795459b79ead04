"""Published files: found in a local copy or downloaded once, and verified either way.

Every file stands in ``data/registry.json`` with its address, hash, licence and citation.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sys
import tempfile
from pathlib import Path

import requests
from platformdirs import user_cache_path

from helpers import UserError

PACKAGE = Path(__file__).resolve().parent.parent
# What ships with the book lies beside the package in a clone; a wheel holds the part of it that
# the commands need inside the package (pyproject.toml lists the files).
INSTALLED = (PACKAGE / "shipped").is_dir()
ROOT = PACKAGE / "shipped" if INSTALLED else PACKAGE.parent
LOCAL_COPY = "MICROPROP_DATA"
CACHE = "MICROPROP_CACHE"
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


def verify(path, expected):
    """Check a file against the hash in its registry entry.

    Parameters
    ----------
    path : path-like
        The file.
    expected : str
        ``sha256:<hex>``, or ``git-blob:<hex>``: the SHA-1 of ``blob <size>``, a zero byte
        and the content, which is the id that git gives a file.

    Raises
    ------
    DownloadError
        Another hash; the message holds both.
    """
    kind, _, wanted = expected.partition(":")
    hashes = {"sha256": hashlib.sha256, "git-blob": hashlib.sha1}
    if kind not in hashes:
        raise UserError(f"hash {expected!r}: expected sha256:<hex> or git-blob:<hex>")
    digest = hashes[kind]()
    size = Path(path).stat().st_size
    if kind == "git-blob":
        digest.update(f"blob {size}\0".encode())
    with Path(path).open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    if digest.hexdigest() != wanted:
        raise DownloadError(
            f"{path} ({size} bytes) has the {kind} hash {digest.hexdigest()} but the registry "
            f"has {wanted}: the file is damaged, cut short or another version"
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
        No network, a server that refuses, a transfer cut short, a wrong hash. Nothing is
        left in the cache then.
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
    if not target.exists():
        _download(name, entry, target)
    return target


def _download(name, entry, target):
    print(f"downloading {name} from {entry['url']}", flush=True)
    try:
        download(entry["url"], target, entry["hash"])
    except (OSError, requests.RequestException) as error:
        size = f"{entry['size'] / 1e6:.0f} MB" if entry.get("size") else "size unknown"
        raise DownloadError(
            f"could not download {name} ({size}) from {entry['url']} to {target.parent}: {error}. "
            f"Try again, name another folder with space in {CACHE}, or put the file at {name} in "
            f"a folder and name that in {LOCAL_COPY}"
        ) from error


def download(url, target, expected):
    """Download one file; nothing is left at `target` unless it is whole and verified.

    Parameters
    ----------
    url : str
        Its address.
    target : Path
        Where it goes.
    expected : str or None
        Hash as in `verify`. None: the publisher states none, so nothing is compared.

    Raises
    ------
    OSError, requests.RequestException
        No network, a server that refuses, a transfer cut short, a full disk, a wrong hash.
    """
    import pooch  # here, for it warns in notebooks that have no ipywidgets

    part = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, part = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}-")
        os.close(handle)
        # A bar is for a terminal; in a notebook or a log it would be noise on stderr.
        fetcher = pooch.HTTPDownloader(progressbar=sys.stderr.isatty(), timeout=60)
        fetcher(url, part, None)
        if expected is not None:
            verify(part, expected)
        Path(part).replace(target)
    finally:
        if part is not None:
            Path(part).unlink(missing_ok=True)
        if not target.exists():
            with contextlib.suppress(OSError):  # another download may use it
                target.parent.rmdir()
