"""Published folders: one archive is downloaded, and only files of known hashes come out of it.

An archive made on demand, such as GitHub's, may differ in its bytes from one day to the next.
So every file in it is checked by itself, against a list of hashes that ships with the book.
"""

from __future__ import annotations

import hashlib
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

MAX_MEMBER = 2**27  # bytes of one file, unpacked: a damaged archive must not fill the memory
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
        server can. A damaged archive, or one without a listed file or with another one in its
        place: it is deleted. Files that were verified before stay.

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
    verify(hash_list, entry["hash"])
    lines = hash_list.read_text(encoding="utf-8").splitlines()
    hashes = {file: digest for digest, file in (line.split("  ", 1) for line in lines)}
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
    folder = cache_folder() / f"{name}-{entry['hash'].split(':')[1][:12]}"
    if _find_wrong(folder, hashes):
        try:
            _complete(name, entry, folder, hashes)
        except OSError as error:  # those of requests are among them
            raise DownloadError(
                f"could not get {name} from {entry['url']} to {folder}: {error}. Try again (what "
                f"is there already is kept), name another folder with space in {CACHE}, or put "
                f"the files into a folder {name}, and name the folder that holds it in "
                f"{LOCAL_COPY}"
            ) from error
    return folder


def _find_wrong(folder, hashes):
    """File -> what is wrong with it, for those that are missing or not the listed ones."""
    wrong = {}
    for file, digest in hashes.items():
        try:
            verify(folder / file, f"sha256:{digest}")
        except OSError as error:
            wrong[file] = str(error)
    return wrong


def _complete(name, entry, folder, hashes):
    """Put the listed files that `folder` lacks there; a verified one is not written again."""
    archive = folder.with_name(f".{folder.name}.zip")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(archive.with_suffix(".lock")):
        wrong = _find_wrong(folder, hashes)  # another process may have been here meanwhile
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
            members = {m.orig_filename.partition("/")[2]: m for m in opened.infolist()}
            missing = [file for file in wanted if f"{inner}/{file}" not in members]
            if missing:
                raise ValueError(f"it lacks {inner}/{missing[0]} ({len(missing)} such files)")
            for file in wanted:
                member = members[f"{inner}/{file}"]
                if member.file_size > MAX_MEMBER:
                    raise ValueError(f"its {file} unpacks to more than {MAX_MEMBER} bytes")
                content = opened.read(member)
                digest = hashlib.sha256(content).hexdigest()
                if digest != hashes[file]:
                    raise ValueError(
                        f"its {file} has the sha256 hash {digest} but the list has {hashes[file]}"
                    )
                yield file, content
    except (OSError, *_DAMAGED) as error:  # a damaged header may point to before the file
        archive.unlink()
        raise DownloadError(
            f"the archive is damaged or not the published one, and was deleted: {error}"
        ) from error
