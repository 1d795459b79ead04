"""What is on this machine, and fetching what is not."""

from __future__ import annotations

import platform
import shutil
import sys
import warnings
from importlib import metadata
from pathlib import Path

import psutil
import torch

from helpers import UserError
from helpers.encoders import ENCODERS, find_entry
from helpers.io.downloads import DownloadError, cache_folder, fetch, place, registry
from helpers.io.optional import PackageError, optional
from helpers.io.results import read_results
from helpers.vit.weights import fetch_weights, weights_at_hand

PACKAGES = ("torch", "transformers", "scikit-learn", "numpy", "pandas", "pyarrow", "skops")
OPTIONAL = {"ray": "ray", "papermill": "book", "jupyter_book": "book"}  # package -> extra
BETTER, FOLDS = "dinov2-s14", ("shuffled", "by source")
ENOUGH = 5e9  # bytes free for the larger networks
SLOW = "MicroViT and DINOv2 S14 run well without; others take hours for thousands of images"
LITTLE = "free some space, or set MICROPROP_CACHE to another disk"


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
    rows += [_row(name, metadata.version(name)) for name in PACKAGES]
    rows += [_optional_row(name, extra) for name, extra in OPTIONAL.items()]
    return [*rows, *_hardware(), *_downloads()]


def _row(what, state, do=""):
    return {"what": what, "state": state, "do": do}


def _optional_row(name, extra):
    try:
        optional(name, extra)
        return _row(name, metadata.version(name))
    except PackageError as error:
        state, _, do = str(error).removeprefix(f"{name} is ").rpartition(": ")
        return _row(name, state, do)


def _hardware():
    memory, cache = psutil.virtual_memory(), cache_folder()
    total, available = (f"{size / 1e9:.0f} GB" for size in (memory.total, memory.available))
    gpu = ("none that PyTorch can use", SLOW)
    if torch.cuda.is_available():
        gpu = (torch.cuda.get_device_name(),)
    disk = next(folder for folder in (cache, *cache.parents) if folder.exists())
    free = shutil.disk_usage(disk).free
    return [
        _row("processor cores", str(psutil.cpu_count())),
        _row("memory", f"{total}, {available} free"),
        _row("GPU", *gpu),
        _row("cache", f"{cache}, {free / 1e9:.0f} GB free", LITTLE * (free < ENOUGH)),
    ]


def _downloads():
    titles = {name: f"{entry.title} ({name})" for name, entry in ENCODERS.items()}
    return [
        _row(titles.get(n, n), size_in_words(size, here), f"microprop fetch {n}" * (not here))
        for n, (size, here) in sizes([*ENCODERS, *_data_names()]).items()
    ]


def _data_names():
    return [name for name in registry() if not name.startswith("encoders/")]


def sizes(names):
    """Bytes of encoders, folders of encoders, and data of the registry, and whether they are here.

    Gives {name: (bytes or None, bool)}, None where the publisher does not say; a `UserError` names
    what is none of them.
    """
    found = {}
    for name in names:
        if entry := ENCODERS.get(name):
            found[name] = entry.size, weights_at_hand(entry) is not None
        elif name in _data_names():
            found[name] = registry()[name]["size"], place(name).exists()
        elif "/" in name or Path(name).is_dir():
            folder = find_entry(name).folder  # an error says what a hub's name is here
            found[name] = sum(path.stat().st_size for path in folder.iterdir()), True
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


def say_what_microvit_is_worth():
    """Warn, before features of MicroViT are computed, of what the committed scores say of it."""
    table = read_results("audit/studies").query("study == 'published superalloys' & model == 'lr'")
    error = table.set_index(["folds", "predictor"])["mape_pooled"]
    small, other, mean = (error[:, name] for name in ("MicroViT, segmented", BETTER, "mean"))
    on = [f"{small[f]:.1f}, {other[f]:.1f} and {mean[f]:.1f} % on folds {f}" for f in FOLDS]
    warnings.warn(
        "MicroViT needs no download; on the superalloys of the paper, which it saw segmented, "
        f"linear regression of it, of {ENCODERS[BETTER].title} and the mean alone err by "
        f"{', by '.join(on)}. To use the other: microprop fetch {BETTER}, then encoder='{BETTER}'",
        stacklevel=2,
    )


def fetch_all(names):
    """Download encoders and data, each verified; gives {name: its place}, all str.

    Names are as in `sizes`, and checked before the first download. A `DownloadError` tells what
    could not be had, after the others were.
    """
    sizes(names)
    found, failed = {}, []
    for name in names:
        try:
            if name in ENCODERS:
                found[name] = fetch_weights(ENCODERS[name])
            else:
                found[name] = fetch(name) if name in _data_names() else Path(name).resolve()
        except DownloadError as error:
            failed.append(str(error))  # the others may still be had
    if failed:
        raise DownloadError("\n".join(failed))
    return {name: str(place) for name, place in found.items()}
