"""Published files and folders: found in a local copy or downloaded once, and verified either way.

Every one stands in ``data/registry.json`` with its address, hash, licence and citation. An
archive made on demand, such as GitHub's, may differ in its bytes from one day to the next: so
every file in it is checked by itself, against a list of hashes that ships with the book.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import zipfile
import zlib
from pathlib import Path

import requests
from filelock import FileLock
from platformdirs import user_cache_path

from helpers import UserError
from helpers.io.atomic import atomic_write
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
MAX_MEMBER = 2**27  # bytes of one file, unpacked: a damaged archive must not fill the memory
DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, LookupError, ValueError, RuntimeError)


class DownloadError(UserError, OSError):
    """A published file could not be had, or is not the one that was published."""


def registry():
    """Every published file: name -> its ``url``, ``hash``, ``licence``, ``citation``, ...

    Returns
    -------
    dict of str to dict
        ``hash`` reads ``sha256:...`` or ``git-blob:...``; ``size`` is in bytes or None;
        ``fixture`` is true for the small files that tests put in place of published ones. An
        entry with ``hashes`` is a folder: that file, in the format of ``sha256sum``, lists what
        is in it, ``hash`` is that of the list, and ``folder`` says where its files stand in the
        archive, below the one folder that GitHub puts around everything.

    Examples
    --------
    >>> registry()["two_phase/dataset.mat"]["hash"].split(":")[0]
    'git-blob'
    """
    return json.loads(registry_path().read_text(encoding="utf-8"))


def registry_path():
    """The registry's file: the one that ``MICROPROP_REGISTRY`` names, or the book's own."""
    return Path(os.environ.get(REGISTRY) or ROOT / "data" / "registry.json")


def published_kind(entry):
    """What the data of an entry are: the published ones, or what a test put in their place."""
    return "Test fixture, not the published set" if entry.get("fixture") else "Published data"


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
    """Check a file against a hash: a `DownloadError` tells that it is missing or another one.

    `expected` is ``sha256:<hex>``, or ``git-blob:<hex>``: the SHA-1 of ``blob <size>``, a zero
    byte and the content, which is the id that git gives a file. It stands in `source`.
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
    """Path of a published file or folder, from the local copy or downloaded, verified.

    Parameters
    ----------
    name : str
        Key of `registry`, as ``"two_phase/dataset.mat"`` or ``"superalloys"``.

    Returns
    -------
    Path
        In the folder that ``MICROPROP_DATA`` names where that holds it; else in the cache,
        downloaded if it is not there yet or a file of a folder is missing or another one.

    Raises
    ------
    KeyError
        The registry has no such file.
    DownloadError
        A local copy that lacks a file or holds another one. No network, a server that refuses, a
        transfer cut short: what arrived is kept, and the next call goes on from there where the
        server can. A wrong hash; an archive that is damaged, or not the published one: it is
        deleted. Files that were verified before stay.

    Examples
    --------
    >>> (fetch("superalloys") / "data.xlsx").is_file()  # doctest: +SKIP
    True
    """
    entries = registry()
    if name not in entries:
        raise KeyError(f"{name!r} is not in the registry: expected one of {sorted(entries)}")
    entry = entries[name]
    hashes = _listed_hashes(entry) if "hashes" in entry else {"": entry["hash"]}
    local, target = local_copy(), place(name)
    if local and target == local / name:
        wrong = find_wrong(target, hashes)
        if wrong:
            raise DownloadError(
                f"the local copy of {name} has {len(wrong)} files missing or wrong of "
                f"{len(hashes)}: {next(iter(wrong.values()))}. Mend it, or unset {LOCAL_COPY} to "
                "download it"
            )
        return target
    try:
        if "hashes" in entry:
            _complete(name, entry, target, hashes)
        elif not target.exists():
            print(f"downloading {name} from {entry['url']}", flush=True)
            download(entry["url"], target, entry["hash"])
    except OSError as error:  # those of requests are among them
        size = f"{entry['size'] / 1e6:.0f} MB" if entry.get("size") else "size unknown"
        raise DownloadError(
            f"could not download {name} ({size}) from {entry['url']} to {target.parent}: {error}. "
            f"Try again (what is there already is kept), name another folder with space in "
            f"{CACHE}, or put it at {name} in a folder and name that in {LOCAL_COPY}"
        ) from error
    return target


def place(name):
    """Where a published file or folder is: in the local copy, else where the cache has it."""
    local, entry = local_copy(), registry()[name]
    if local and (local / name).exists():
        return local / name
    # The hash in the name: another version never passes for this one.
    version = entry["hash"].split(":")[1][:12]
    if "hashes" in entry:
        return cache_folder() / f"{name}-{version}"
    return cache_folder() / version / Path(name).name


def _listed_hashes(entry):
    """File -> hash of the list that belongs to a published folder."""
    path = registry_path().parent / entry["hashes"]
    verify(path, entry["hash"])
    lines = [line.split("  ", 1) for line in path.read_text(encoding="utf-8").splitlines()]
    return {file: f"sha256:{digest}" for digest, file in lines}


def find_wrong(folder, hashes, source="the registry"):
    """File -> what is wrong with it, for those that are missing or not the listed ones."""
    wrong = {}
    for file, expected in hashes.items():
        try:
            verify(folder / file, expected, source)
        except OSError as error:
            wrong[file] = str(error)
    return wrong


def _complete(name, entry, folder, hashes):
    """Put the listed files that `folder` lacks there; a verified one is not written again."""
    if not find_wrong(folder, hashes):
        return
    archive = folder.with_name(f".{folder.name}.zip")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(archive.with_suffix(".lock")):
        wrong = find_wrong(folder, hashes)  # another process may have been here meanwhile
        if not wrong:
            return
        if not archive.exists():
            print(f"downloading {name} from {entry['url']}", flush=True)
            download(entry["url"], archive, None, name)
        with progress_bar("unpacking", "file", len(wrong)) as bar:
            for file, content in _read_files(archive, entry["folder"], wrong, hashes):
                with atomic_write(folder / file) as target:
                    target.write(content)
                bar.update()
        archive.unlink()


def _read_files(archive, inner, wanted, hashes):
    """Yield name and content of the wanted files; an archive with another content is deleted.

    Members are looked up by the names of the list, so no other name leads anywhere.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            # GitHub's own folder around everything has another name for every commit.
            members = {m.filename.partition("/")[2]: m for m in opened.infolist()}
            missing = [file for file in wanted if f"{inner}/{file}" not in members]
            if missing:
                raise ValueError(f"it lacks {inner}/{missing[0]} ({len(missing)} such files)")
            for file in wanted:
                member = members[f"{inner}/{file}"]
                if member.file_size > MAX_MEMBER:
                    raise ValueError(f"its {file} unpacks to more than {MAX_MEMBER} bytes")
                content = opened.read(member)
                digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
                if digest != hashes[file]:
                    raise ValueError(f"its {file} has {digest} but the list has {hashes[file]}")
                yield file, content
    except (OSError, *DAMAGED) as error:  # a damaged header may point to before the file
        archive.unlink()
        raise DownloadError(
            f"the archive is damaged or not the published one, and was deleted: {error}"
        ) from error


def download(url, target, expected, title=None, headers=None):
    """Download one file, on from where an earlier call was interrupted.

    `target` is there only once it is whole and has the hash `expected`, as in `verify`, or any
    where the publisher states none; what arrived before waits beside it. A wrong hash: nothing
    stays. `title` is that of the progress; `headers` go with the request.
    """
    part = target.with_name(f".{target.name}.part")
    target.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(part.with_suffix(".lock")):
        if target.exists():  # another process has been here meanwhile
            return
        _receive(url, part, title or target.name, headers or {})
        if expected is not None:
            try:
                verify(part, expected)
            except DownloadError:
                part.unlink()
                raise
        part.replace(target)


def _receive(url, part, title, headers):
    """The whole of an address in the file `part`, on from what is there."""
    tag = part.with_suffix(".etag")
    etag = tag.read_text(encoding="latin-1") if tag.exists() else ""
    done = part.stat().st_size if etag and part.exists() else 0
    asked = {**headers, "Accept-Encoding": "identity"}
    if done:
        asked |= {"Range": f"bytes={done}-", "If-Range": etag}
    with requests.get(url, headers=asked, stream=True, timeout=60) as response:
        span = re.fullmatch(r"bytes (\d+)-.*/(\d+)", response.headers.get("Content-Range", ""))
        partial = response.status_code == 206 and span and int(span[1]) == done
        if done and response.status_code in (206, 416) and not partial:
            part.unlink()  # longer than the whole, or another piece than was asked for
            return _receive(url, part, title, headers)
        response.raise_for_status()
        done = done if partial else 0
        coded = response.headers.get("Content-Encoding", "identity") != "identity"
        total = None if coded else span[2] if partial else response.headers.get("Content-Length")
        total = int(total) if total else None
        needed = (total or 0) - (part.stat().st_size if part.exists() else 0)
        free = shutil.disk_usage(part.parent).free
        if needed > free:
            raise OSError(
                f"{needed / 1e6:,.1f} MB are needed, and the disk of {part.parent} has "
                f"{free / 1e6:,.1f} MB free"
            )
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
