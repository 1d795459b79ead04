"""Published folders: one archive is downloaded, and only files of known hashes come out of it.

An archive made on demand, such as GitHub's, may differ in its bytes from one day to the next.
So every file in it is checked by itself, against a list of hashes that ships with the book.
"""

from __future__ import annotations

import hashlib
import re
import stat
import zipfile
import zlib

import filelock

from helpers.io.atomic import atomic_write
from helpers.io.downloads import (
    CACHE,
    LOCAL_COPY,
    DownloadError,
    cache_folder,
    download,
    local_copy,
    registry,
    registry_path,
    verify,
)
from helpers.io.progress import progress_bar

MAX_MEMBER = 2**27  # bytes of one file, unpacked
_DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, LookupError, ValueError, RuntimeError)


def fetch_archive(name):
    """Folder of published files, from the local copy or downloaded, every file verified.

    Parameters
    ----------
    name : str
        Key of `helpers.io.downloads.registry`, as ``"superalloys"``, whose entry has ``hashes``:
        a file in the format of ``sha256sum`` beside the registry. ``hash`` is that of this list.
        ``folder`` is where the listed files stand in the archive, below the one folder that
        GitHub puts around everything.

    Returns
    -------
    Path
        ``<name>`` in the folder that ``MICROPROP_DATA`` names, where that holds it; else in the
        cache, downloaded if any listed file is missing there or is another one.

    Raises
    ------
    KeyError
        The registry has no such folder.
    DownloadError
        A local copy that lacks a file or holds another one. No network, a server that refuses, a
        transfer cut short: what arrived is kept, and the next call goes on from there where the
        server can. A damaged archive, one without a listed file, with another one in its place,
        with files that unpack to more than `MAX_MEMBER` bytes, or with names or links that lead
        outside: it is deleted. Files that were verified before stay.

    Examples
    --------
    >>> folder = fetch_archive("superalloys")  # doctest: +SKIP
    >>> (folder / "data.xlsx").is_file()  # doctest: +SKIP
    True
    """
    entries = {key: entry for key, entry in registry().items() if "hashes" in entry}
    if name not in entries:
        raise KeyError(f"{name!r} is no folder of the registry: expected one of {sorted(entries)}")
    entry = entries[name]
    hash_list = registry_path().parent / entry["hashes"]
    hashes = _read_hashes(hash_list, entry.get("hash"))
    local = local_copy()
    if local and (local / name).exists():
        wrong = _find_wrong(local / name, hashes)
        if wrong:
            raise DownloadError(
                f"the local copy of {name} has {len(wrong)} files missing or wrong of "
                f"{len(hashes)}: {next(iter(wrong.values()))}. Mend the folder, or unset "
                f"{LOCAL_COPY} to download it"
            )
        return local / name
    # The hash in the name: another version never passes for this one.
    digest = hashlib.sha256(hash_list.read_bytes()).hexdigest()
    folder = cache_folder() / f"{name}-{digest[:12]}"
    if _find_wrong(folder, hashes):
        _complete(name, entry, folder, hashes)
    return folder


def _read_hashes(path, expected):
    """File -> SHA-256 of a list in the format of ``sha256sum``."""
    try:
        if expected:
            verify(path, expected)
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DownloadError(f"{path}, the list of hashes, cannot be used: {error}") from error
    matches = [re.fullmatch(r"([0-9a-f]{64}) [ *](.+)", line) for line in lines]
    bad = [n for n, m in enumerate(matches, 1) if not m or _leads_outside(m[2])]
    if bad or not lines:
        raise DownloadError(
            f"{path}, the list of hashes, is damaged in line {bad[0] if bad else 1}: expected "
            "lines of sha256sum; restore it"
        )
    return {match[2]: match[1] for match in matches}


def _find_wrong(folder, hashes):
    """File -> what is wrong with it, for those that are missing or not the listed ones."""
    wrong = {}
    for file, digest in hashes.items():
        try:
            verify(folder / file, f"sha256:{digest}")
        except FileNotFoundError:
            wrong[file] = f"{folder / file} is missing"
        except OSError as error:
            wrong[file] = str(error)
    return wrong


def _complete(name, entry, folder, hashes):
    archive = folder.with_name(f".{folder.name}.zip")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(archive.with_suffix(".lock")):
            wrong = _find_wrong(folder, hashes)  # another process may have been here meanwhile
            if not wrong:
                return
            if not archive.exists():
                print(f"downloading {name} from {entry['url']}", flush=True)
                download(entry["url"], archive, None, name)
            try:
                _extract(archive, folder, entry["folder"], {file: hashes[file] for file in wrong})
            except (DownloadError, *_DAMAGED) as error:
                archive.unlink()
                raise DownloadError(
                    f"the archive is damaged or not the published one, and was deleted: {error}"
                ) from error
            archive.unlink()
    except OSError as error:  # those of requests are among them
        raise DownloadError(
            f"could not get {name} from {entry['url']} to {folder}: {error}. Try again (what is "
            f"there already is kept), name another folder with space in {CACHE}, or put the files "
            f"into a folder {name}, and name the folder that holds it in {LOCAL_COPY}"
        ) from error


def _extract(archive, folder, inner, wanted):
    with zipfile.ZipFile(archive) as opened:
        members = {}
        for member in opened.infolist():
            if _leads_outside(member.orig_filename) or stat.S_ISLNK(member.external_attr >> 16):
                raise DownloadError(
                    f"its member {member.orig_filename!r} is a link or leads outside of its folder"
                )
            inside = member.filename.partition("/")[2]
            if inside.startswith(f"{inner}/"):
                members[inside.removeprefix(f"{inner}/")] = member
        missing = [file for file in wanted if file not in members]
        if missing:
            raise DownloadError(f"it lacks {inner}/{missing[0]} ({len(missing)} such files)")
        with progress_bar("unpacking", "file", len(wanted)) as bar:
            for file, digest in wanted.items():
                content = _read_member(opened, members[file])
                found = hashlib.sha256(content).hexdigest()
                if found != digest:
                    raise DownloadError(
                        f"its {file} has the sha256 hash {found} but the list has {digest}"
                    )
                with atomic_write(folder / file) as target:
                    target.write(content)
                bar.update()


def _read_member(opened, member):
    """The content of a file in the archive, unless it is larger than `MAX_MEMBER`."""
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise DownloadError(f"its {member.filename} is compressed in an unexpected way")
    content = b""
    if member.file_size <= MAX_MEMBER:
        try:
            with opened.open(member) as stream:
                content = stream.read(MAX_MEMBER + 1)
        except OSError as error:  # a damaged header may point to before the file
            raise DownloadError(f"its {member.filename} cannot be read: {error}") from error
    if max(len(content), member.file_size) > MAX_MEMBER:
        raise DownloadError(f"its {member.filename} unpacks to more than {MAX_MEMBER} bytes")
    return content


def _leads_outside(name):
    """Whether a file's name is absolute, has a drive or backslashes, or climbs up."""
    strange = name.startswith("/") or re.search(r"^[A-Za-z]:|[\\\0]", name)
    return bool(strange) or ".." in name.split("/")
