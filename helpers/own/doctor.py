"""What is on this machine, and fetching what is not."""

from __future__ import annotations

import platform
import shutil
import sys
from importlib import metadata
from pathlib import Path

import psutil
import torch

from helpers import UserError
from helpers.encoders import ENCODERS
from helpers.io.downloads import DownloadError, cache_folder, fetch, local_copy, registry
from helpers.io.optional import PackageError, optional
from helpers.vit.weights import fetch_weights, weights_at_hand

PACKAGES = ("torch", "transformers", "scikit-learn", "numpy", "pandas", "pyarrow", "skops")
OPTIONAL = {"ray": "ray", "papermill": "book", "jupyter_book": "book"}  # package -> extra
ENOUGH = 5e9  # bytes free for the larger networks


def diagnose():
    """Packages, hardware, weights and data.

    Returns
    -------
    list of dict
        ``what``, ``state``, ``do`` (empty where nothing is to be done), all str.

    Examples
    --------
    >>> [row["state"] for row in diagnose() if row["what"] == "MicroViT (microvit)"][0][:4]
    'here'
    """
    rows = [_row("Python", sys.version.split()[0]), _row("system", platform.platform())]
    for name in PACKAGES:
        version = _version(name)
        do = "" if version else f"pip install {name}"
        rows.append(_row(name, version or "not installed", do))
    rows += [_optional_row(name, extra) for name, extra in OPTIONAL.items()]
    memory, disk = psutil.virtual_memory(), shutil.disk_usage(_existing(cache_folder()))
    rows.append(_row("processor cores", str(psutil.cpu_count())))
    rows.append(
        _row("memory", f"{memory.total / 1e9:.0f} GB, {memory.available / 1e9:.0f} GB free")
    )
    gpu = (
        torch.cuda.get_device_name() if torch.cuda.is_available() else "none that PyTorch can use"
    )
    slow = "MicroViT and DINOv2 S14 run well without; others take hours for thousands of images"
    rows.append(_row("GPU", gpu, "" if torch.cuda.is_available() else slow))
    little = (
        "free some space, or set MICROPROP_CACHE to another disk" if disk.free < ENOUGH else ""
    )
    rows.append(_row("cache", f"{cache_folder()}, {disk.free / 1e9:.0f} GB free", little))
    named = {name: f"{entry.title} ({name})" for name, entry in ENCODERS.items()}
    for name, (size, here) in sizes([*ENCODERS, *_data_names()]).items():
        do = "" if here else f"microprop fetch {name}"
        rows.append(_row(named.get(name, name), size_in_words(size, here), do))
    return rows


def _row(what, state, do=""):
    return {"what": what, "state": state, "do": do}


def _version(name):
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _optional_row(name, extra):
    try:
        optional(name, extra)
    except PackageError as error:
        state, _, do = str(error).removeprefix(f"{name} is ").rpartition(": ")
        return _row(name, state, do)
    return _row(name, _version(name) or "version unknown")


def _existing(folder):
    while not folder.exists():
        folder = folder.parent
    return folder


def _data_names():
    return [name for name in registry() if not name.startswith("encoders/")]


def sizes(names):
    """Sizes of encoders and data, and whether they are here.

    Parameters
    ----------
    names : sequence of str
        Encoders, or data of the registry.

    Returns
    -------
    dict of str to (int or None, bool)
        Bytes of the download, None where the publisher does not say; here already.

    Raises
    ------
    ValueError
        An unknown name.

    Examples
    --------
    >>> sizes(["microvit"])["microvit"][1]
    True
    """
    found = {}
    for name in names:
        if name in ENCODERS:
            found[name] = ENCODERS[name].size, weights_at_hand(ENCODERS[name]) is not None
        elif name in _data_names():
            found[name] = registry()[name]["size"], _data_here(name)
        else:
            raise UserError(
                f"{name!r} is neither an encoder ({', '.join(ENCODERS)}) nor data "
                f"({', '.join(_data_names())})"
            )
    return found


def size_in_words(size, here):
    """Size and place of something that can be fetched."""
    told = "size not stated" if size is None else f"{size / 1e6:,.1f} MB"
    return f"{'here' if here else 'not here'}, {told}"


def _data_here(name):
    if local_copy() and (local_copy() / name).exists():
        return True
    entry = registry()[name]
    if "hashes" in entry:
        return any(cache_folder().glob(f"{name}-*"))
    return (cache_folder() / entry["hash"].split(":")[1][:12] / Path(name).name).exists()


def fetch_all(names):
    """Download encoders and data, each verified.

    Parameters
    ----------
    names : sequence of str
        As in `sizes`; checked before the first download.

    Returns
    -------
    dict of str to str
        Where each is.

    Raises
    ------
    ValueError, DownloadError
        An unknown name; what could not be had, after the others were.
    """
    sizes(names)
    found, failed = {}, []
    for name in names:
        try:
            if name in ENCODERS:
                found[name] = fetch_weights(ENCODERS[name])
            else:
                found[name] = fetch(name)
        except DownloadError as error:
            failed.append(str(error))  # the others may still be had
    if failed:
        raise DownloadError("\n".join(failed))
    return {name: str(place) for name, place in found.items()}
