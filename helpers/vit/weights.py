"""Weights of the encoders: shipped, or in a local copy or the cache, downloaded once, verified.

A folder of weights holds a ``manifest.json``: the revision, and a hash for every file. It is
written before the files of a hub arrive, so weights are at hand once all of those are there.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import os
import sys
from pathlib import Path

from helpers import UserError
from helpers.io.atomic import atomic_write
from helpers.io.downloads import (
    INSTALLED,
    LOCAL_COPY,
    ROOT,
    DownloadError,
    cache_folder,
    download,
    verify,
)

MANIFEST = "manifest.json"
SHIPPED = ROOT / "data"
SHIPPED_FILES = ("config.json", "model.safetensors")


def weights_at_hand(entry):
    """Folder of the weights of an `EncoderEntry` where they are on this machine, else None.

    In the folder ``data`` of the book where they ship with it; else ``encoders/<name>`` in the
    folder that ``MICROPROP_DATA`` names, or in the cache.
    """
    place = Path("encoders") / entry.name
    local = os.environ.get(LOCAL_COPY)
    if local and not entry.shipped and (Path(local) / place).is_dir():
        return Path(local) / place
    folder = SHIPPED / entry.shipped if entry.shipped else cache_folder() / place
    manifest = read_manifest(folder)
    files = manifest.get("files", {})
    whole = files and all((folder / name).is_file() for name in files)
    return folder if whole and entry.revision in (None, manifest.get("revision")) else None


def how_to_get(entry):
    """One sentence: which command fetches the weights, from where, how large they are."""
    if entry.shipped:
        again = f"`git checkout -- data/{entry.shipped}`"
        if INSTALLED:
            again = "another `pip install --force-reinstall --no-deps` of the package"
        return f"{again} restores them, for they ship with the book"
    return (
        f"`microprop fetch {entry.name}` downloads them "
        f"({entry.size / 1e6:,.0f} MB from {entry.url})"
    )


def read_manifest(folder):
    """The manifest of a folder of weights; empty where there is none."""
    path = Path(folder) / MANIFEST
    if not path.is_file():
        return {}
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise DownloadError(f"{path} is damaged ({error}): delete its folder") from error


def fetch_weights(entry):
    """Folder of the weights of an `EncoderEntry`, verified; downloaded if they are not at hand.

    It holds ``config.json`` and weights, or NASA's ``.pth.tar``.

    Raises
    ------
    DownloadError
        No network, no such repository, a full disk, a file with another hash than the one
        published or recorded. Finished files stay, and a second call goes on from there.
        Weights that ship with the book were deleted or changed.
    """
    folder, again = weights_at_hand(entry), how_to_get(entry)
    if entry.shipped:
        folder = SHIPPED / entry.shipped
        if not (folder / MANIFEST).is_file():
            raise DownloadError(f"{folder / MANIFEST} is missing. {again}")
    elif folder is None:
        return _download(entry)
    else:
        again = f"Once {folder} is deleted, {again}"
    for name, expected in read_manifest(folder).get("files", {}).items():
        try:
            verify(folder / name, expected, MANIFEST)
        except DownloadError as error:
            raise DownloadError(f"{error}. {again}") from error
    return folder


def _download(entry):
    """The folder in the cache, its files downloaded and verified."""
    print(f"downloading {entry.title}: {entry.size / 1e6:,.0f} MB from {entry.url}")
    folder = cache_folder() / "encoders" / entry.name
    try:
        _download_from_hub(entry, folder) if entry.hub_id else _download_url(entry, folder)
    except Exception as error:  # of the system, requests, httpx and the hub's own
        raise DownloadError(
            f"the weights of {entry.name} are not on this machine and could not be downloaded to "
            f"{folder}: {error}. With a network and enough space, {how_to_get(entry)}. Or put "
            f"their folder at encoders/{entry.name} in a folder that {LOCAL_COPY} names"
        ) from error
    return folder


def write_manifest(folder, **content):
    """Write the manifest of a folder of weights, with the date."""
    content["date"] = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    with atomic_write(folder / MANIFEST) as file:
        file.write(json.dumps(content, indent=1).encode())


def _download_from_hub(entry, folder):
    import huggingface_hub as hub

    api = hub.HfApi(endpoint=os.environ.get("HF_ENDPOINT"))  # a mirror
    # What an interrupted download has resolved holds for the next one as well.
    revision = entry.revision or read_manifest(folder).get("revision")
    info = api.model_info(entry.hub_id, revision=revision, files_metadata=True)
    published = {
        file.rfilename: f"sha256:{file.lfs.sha256}" if file.lfs else f"git-blob:{file.blob_id}"
        for file in info.siblings
    }
    hashes = _wanted(published)
    write_manifest(folder, source=entry.hub_id, revision=info.sha, files=hashes)
    if not sys.stderr.isatty():
        hub.utils.disable_progress_bars()
    api.snapshot_download(
        entry.hub_id, revision=info.sha, local_dir=folder, allow_patterns=list(hashes)
    )
    for name, expected in hashes.items():
        try:
            verify(folder / name, expected, "the hub")
        except DownloadError:
            (folder / name).unlink(missing_ok=True)  # so that the next try fetches it anew
            raise


def _wanted(files):
    """Config and weights: safetensors where the repository has them, else plain weights."""
    names = {"config.json", "preprocessor_config.json"} & files.keys()
    for start, end in (("model", ".safetensors"), ("pytorch_model", ".bin")):
        weights = {
            n for n in files if n.startswith(start) and n.endswith((end, end + ".index.json"))
        }
        if weights:
            return {name: files[name] for name in sorted(names | weights)}
    raise UserError(f"the repository holds no weights that can be loaded, only {sorted(files)}")


def _download_url(entry, folder):
    name = entry.url.rsplit("/", 1)[1]
    # The publisher states no hash: the first download is recorded, and held to from then on.
    expected = entry.hash or read_manifest(folder).get("files", {}).get(name)
    download(entry.url, folder / name, expected)
    if expected is None:
        with (folder / name).open("rb") as file:
            expected = "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()
    write_manifest(folder, source=entry.url, revision=None, files={name: expected})
