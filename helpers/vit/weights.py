"""Weights of the encoders: shipped, or in a local copy or the cache, downloaded once, verified.

A folder of weights holds a ``manifest.json``: the revision, and a hash for every file. It is
written before the files of a hub arrive; downloaded weights are ``complete`` once all of those are
there and the network has been loaded from them.
"""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import json
import os
import re
import shutil
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
    find_wrong,
)
from helpers.vit import checkpoints

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
    proven = entry.shipped or read_manifest(folder).get("complete")
    return folder if proven and _is_whole(entry, folder) else None


def _is_whole(entry, folder):
    """Whether a folder holds every file of its manifest, in the revision that is asked for."""
    manifest = read_manifest(folder)
    files = manifest.get("files", {})
    whole = files and all((folder / name).is_file() for name in files)
    return whole and entry.revision in (None, manifest.get("revision"))


def how_to_get(entry):
    """One sentence: which command fetches the weights, from where, how large they are."""
    if entry.shipped:
        again = f"`git checkout -- data/{entry.shipped}`"
        if INSTALLED:
            again = "another `pip install --force-reinstall --no-deps` of the package"
        return f"{again} restores them, for they ship with the book"
    return (
        f"`microprop fetch {entry.name}` downloads them "
        f"({entry.size / 1e6:,.0f} MB from {_address(entry)})"
    )


def _address(entry):
    """What is asked for the weights: on the hub, its mirror where ``HF_ENDPOINT`` names one."""
    mirror = os.environ.get("HF_ENDPOINT")
    return f"{mirror.rstrip('/')}/{entry.hub_id}" if mirror and entry.hub_id else entry.url


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

    It holds ``config.json`` and weights, or NASA's ``.pth.tar``. Downloaded ones are loaded once
    before they count as at hand; files in the cache that are found wrong are put aside there under
    a name that ends in ``.wrong``, which is told, and downloaded again.

    Raises
    ------
    DownloadError
        No network, no such repository, a full disk, a file with another hash than the one
        published or recorded, or that is not the network. Finished files stay, and a second call
        goes on from there. Weights in a local copy or that ship with the book were deleted or
        changed.
    """
    folder, again = weights_at_hand(entry), how_to_get(entry)
    cached = cache_folder() / "encoders" / entry.name
    if entry.shipped:
        folder = SHIPPED / entry.shipped
        if not (folder / MANIFEST).is_file():
            raise DownloadError(f"{folder / MANIFEST} is missing. {again}")
    elif folder in (None, cached):
        if folder is None or _find_wrong(folder):
            _complete(entry, cached)
        return cached
    else:
        again = f"Once {folder} is deleted, {again}"
    for error in _find_wrong(folder).values():
        raise DownloadError(f"{error}. {again}")
    return folder


def _find_wrong(folder):
    """File -> what is wrong with it, for those that are not as the manifest has them."""
    return find_wrong(folder, read_manifest(folder).get("files", {}), MANIFEST)


def _complete(entry, folder):
    """Download what a folder of the cache lacks or has wrong, and load it once."""
    _put_aside(folder, _find_wrong(folder))
    if not _is_whole(entry, folder):
        _download(entry, folder)
    try:
        _check_length(entry, folder)
        checkpoints.read_model(folder, entry)
    except UserError as error:
        again = f"its files are as {_address(entry)} has them; delete {folder} to begin anew"
        if not entry.hub_id:
            _put_aside(folder, dict.fromkeys(read_manifest(folder)["files"], "It does not load"))
            again = f"`microprop fetch {entry.name}` downloads it again"
        raise DownloadError(f"{error}. It was downloaded as {entry.title}: {again}") from error
    with contextlib.suppress(OSError):
        for left in folder.glob(".*"):  # by downloads that were killed
            shutil.rmtree(left) if left.is_dir() else left.unlink()
    write_manifest(folder, **read_manifest(folder) | {"complete": True})


def _put_aside(folder, wrong):
    """Rename those files that are wrong, and say so; name -> what is wrong, missing ones too."""
    for name, why in wrong.items():
        if (folder / name).exists():
            aside = (folder / name).replace(folder / f"{name}.wrong")
            print(f"{why}. It is put aside as {aside}", flush=True)


def _check_length(entry, folder):
    """Raise a UserError where a file without a published hash is much shorter or longer."""
    for name in [] if entry.hub_id or not entry.size else read_manifest(folder)["files"]:
        length = (folder / name).stat().st_size
        if not 0.9 < length / entry.size < 1.1:
            raise UserError(
                f"{folder / name} has {length:,} bytes, expected about {entry.size:,}: perhaps "
                "the page of a proxy or a login in the place of the file"
            )


def _download(entry, folder):
    """Download the files of an entry into its folder of the cache, verified."""
    size = f"{entry.size / 1e6:,.0f} MB"
    print(f"downloading {entry.title}: {size} from {_address(entry)}", flush=True)
    try:
        _download_from_hub(entry, folder) if entry.hub_id else _download_url(entry, folder)
    except Exception as error:  # of the system, requests, httpx and the hub's own
        ask = ""
        if getattr(getattr(error, "response", None), "status_code", None) in (401, 403):
            ask = (
                f": ask for access at {entry.url}, then put a token of that account into "
                "HF_TOKEN, or run `hf auth login`"
            )
        raise DownloadError(
            f"the weights of {entry.name} are not on this machine and could not be downloaded to "
            f"{folder}: {error}{ask}. With a network and enough space, {how_to_get(entry)}. Or "
            f"put their folder at encoders/{entry.name} in a folder that {LOCAL_COPY} names"
        ) from error


def write_manifest(folder, **content):
    """Write the manifest of a folder of weights, with the date."""
    content["date"] = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    with atomic_write(folder / MANIFEST) as file:
        file.write(json.dumps(content, indent=1).encode())


def _download_from_hub(entry, folder):
    import huggingface_hub as hub

    # What an interrupted download has resolved holds for the next one as well.
    info, headers = _ask_hub(entry, entry.revision or read_manifest(folder).get("revision"))
    published = {
        file.rfilename: f"sha256:{file.lfs.sha256}" if file.lfs else f"git-blob:{file.blob_id}"
        for file in info.siblings
    }
    hashes = _wanted(published)
    write_manifest(folder, source=entry.hub_id, revision=info.sha, files=hashes)
    _put_aside(folder, _find_wrong(folder))  # of another revision
    endpoint = os.environ.get("HF_ENDPOINT")
    for name, expected in hashes.items():
        url = hub.hf_hub_url(entry.hub_id, name, revision=info.sha, endpoint=endpoint)
        download(url, folder / name, expected, headers=headers)


def _ask_hub(entry, revision):
    """What the hub says of a repository, and headers for its files; a bad token is left out."""
    import huggingface_hub as hub

    api = hub.HfApi(endpoint=os.environ.get("HF_ENDPOINT"))  # a mirror
    asked = {"revision": revision, "files_metadata": True}
    if token := hub.get_token():
        try:
            info = api.model_info(entry.hub_id, token=token, **asked)
            return info, hub.utils.build_hf_headers(token=token)
        except (hub.errors.HfHubHTTPError, UnicodeError) as error:
            if getattr(getattr(error, "response", None), "status_code", 401) not in (401, 403):
                raise
            print("the token in HF_TOKEN or of `hf auth login` is refused: going on without")
    return api.model_info(entry.hub_id, token=False, **asked), None


def _wanted(files):
    """Config and weights: safetensors where the repository has them, else plain weights."""
    names = {"config.json", "preprocessor_config.json"} & files.keys()
    for pattern in (r"model.*\.safetensors", r"pytorch_model.*\.bin"):
        weights = {n for n in files if re.fullmatch(rf"{pattern}(\.index\.json)?", n)}
        if weights:
            return {name: files[name] for name in sorted(names | weights)}
    raise UserError(f"the repository holds no weights that can be loaded, only {sorted(files)}")


def _download_url(entry, folder):
    name = entry.url.rsplit("/", 1)[1]
    before = read_manifest(folder)  # of a file that has never loaded the hash says nothing
    known = before["files"].get(name) if before.get("complete") else entry.reported_hash
    download(entry.url, folder / name, entry.hash)
    with (folder / name).open("rb") as file:
        found = "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()
    # The publisher states no hash: a file is right if it loads, and is held to from then on.
    if known not in (None, found):
        print(
            f"{folder / name} has the hash {found}, where {known} was known: the publisher may "
            "have replaced it; its features need not be those of before",
            flush=True,
        )
    write_manifest(folder, source=entry.url, revision=None, files={name: found})
