"""Fitted models as a folder: JSON, safetensors and skops files, no pickle, hashes of all."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
import shutil
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import psutil
import skops.io
from safetensors.numpy import load, save

from helpers import UserError
from helpers.audit.audit import Audit
from helpers.cross_validation import NESTED_MODELS
from helpers.io.atomic import atomic_write
from helpers.io.provenance import versions
from helpers.own.models import PropertyModel

FORMAT = 2
MODEL = "model.json"
OF_SYSTEMS = (".DS_Store", "Thumbs.db", "desktop.ini")
LIBRARIES = ("numpy", "scikit-learn", "scipy", "skops", "torch", "transformers")
_AUDIT = [field.name for field in dataclasses.fields(Audit) if field.name != "flags"]


class OwnModel(NamedTuple):
    """What a model folder holds.

    `properties` (dict of str to `helpers.own.models.PropertyModel`); `features`, the facts of
    the feature table that they were fitted to; `aggregate` and `n_images` (images a sample, None
    where these differ); `versions` of the libraries.
    """

    properties: dict
    features: dict
    aggregate: str
    n_images: int | None
    versions: dict


def save_model(folder, model):
    """Write a model folder. One that is there is replaced once all is written.

    Parameters
    ----------
    folder : path-like
        New, or a model folder. Anything else is left alone.
    model : OwnModel

    Raises
    ------
    UserError
        The folder exists and is no model.
    OSError
        It cannot be written.
    """
    folder = Path(folder).absolute()
    check_folder(folder)
    _remove_leftovers(folder)
    new = folder.with_name(f".{folder.name}-{os.getpid()}.new")
    shutil.rmtree(new, ignore_errors=True)
    facts = {"format": FORMAT, "aggregate": model.aggregate, "n_images": model.n_images}
    facts |= {"features": model.features, "versions": model.versions, "properties": {}}
    try:
        for i, (name, found) in enumerate(model.properties.items()):
            stem = f"property{i + 1}"
            facts["properties"][name] = _write_property(new, stem, found)
        files = sorted(p for p in new.rglob("*") if p.is_file())
        facts["files"] = {p.relative_to(new).as_posix(): _sha256(p) for p in files}
        facts["digest"] = _digest(facts)
        with atomic_write(new / MODEL) as file:
            file.write(json.dumps(facts, indent=1).encode())
        check_folder(folder)  # some time has passed
        old = folder.with_name(f".{folder.name}-{os.getpid()}.old")
        if folder.exists():
            folder.replace(old)
        new.replace(folder)
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _remove_leftovers(folder):
    """Delete what `save_model` had begun in processes that were killed since."""
    for left in folder.parent.glob(".*-*.*"):
        match = re.fullmatch(rf"\.{re.escape(folder.name)}-(\d+)\.(new|old)", left.name)
        if match and not psutil.pid_exists(int(match[1])):
            shutil.rmtree(left, ignore_errors=True)


def check_folder(folder):
    """Raise a UserError where `save_model` would overwrite something that is no model."""
    folder = Path(folder)
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    try:
        known = json.loads((folder / MODEL).read_text(encoding="utf-8"))
        own = {*known["files"], MODEL} if {"format", "digest"} <= known.keys() else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        own = None
    if own is None:
        raise UserError(f"{folder} exists and is no model folder: choose another name")
    foreign = sorted(_files(folder) - own)
    if foreign:
        raise UserError(
            f"{folder} holds {foreign[0]}, which is no part of the model and would be deleted: "
            "move it away, or choose another name"
        )


def _files(folder):
    """Names of all files in a folder, without what systems leave in every folder."""
    found = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if not p.is_dir()}
    return {name for name in found if name.rpartition("/")[2] not in OF_SYSTEMS}


def _write_property(folder, stem, found):
    with atomic_write(folder / f"{stem}.skops") as file:
        file.write(skops.io.dumps(found.pipeline))
    with atomic_write(folder / f"{stem}.safetensors") as file:
        arrays = {"training": found.training, "nearest": found.nearest}
        file.write(save({k: np.ascontiguousarray(v) for k, v in arrays.items()}))
    tables = {n: getattr(found.audit, n) for n in _AUDIT} | {"out_of_fold": found.out_of_fold}
    for name, table in tables.items():
        with atomic_write(folder / f"{stem}_{name}.csv") as file:
            file.write(table.to_csv(index=False, lineterminator="\n").encode())
    own = {"kind": found.kind, "half_width": found.half_width, "file": stem}
    return own | {"flags": found.audit.flags, "facts": found.facts}


def load_model(folder):
    """Read a model folder, after its hashes are checked.

    Parameters
    ----------
    folder : path-like
        Written by `save_model`.

    Returns
    -------
    OwnModel

    Raises
    ------
    UserError
        No such folder; a file that is missing, added, or was changed; another format; types in a
        skops file that a model of this book never holds; another version of scikit-learn.
    """
    folder = Path(folder)
    facts = _read_facts(folder)
    there, listed = _files(folder) - {MODEL}, set(facts["files"])
    for wrong, what in (
        (listed - there, "is missing: fit again"),
        (there - listed, "does not belong there: move it away"),
        ({name for name in there if (folder / name).is_symlink()}, "is a link: fit again"),
    ):
        if wrong:
            raise UserError(f"{folder}: {min(wrong)} {what}")
    for name, expected in facts["files"].items():
        if _sha256(folder / name) != expected:
            raise UserError(f"{folder / name} was changed after the model was fitted: fit again")
    now = versions(("scikit-learn",))["scikit-learn"]
    then = facts["versions"].get("scikit-learn")
    if now != then:
        raise UserError(
            f"{folder} was fitted with scikit-learn {then}, here is {now}: fit again, or install "
            f"scikit-learn=={then}"
        )
    found = {name: _read_property(folder, name, own) for name, own in facts["properties"].items()}
    return OwnModel(found, *(facts[k] for k in ("features", "aggregate", "n_images", "versions")))


def _read_facts(folder):
    path = folder / MODEL
    if not path.is_file():
        raise UserError(f"{folder} is no model folder: `microprop fit` writes one with {MODEL}")
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        digest = facts.pop("digest")
        right = digest == _digest(facts) and facts["format"] == FORMAT
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UserError(f"{path} is damaged ({error!r}): fit again") from error
    if not right:
        raise UserError(f"{path} was changed, or is of another format: fit again")
    try:
        _check_facts(facts)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path} does not describe a model ({error!r}): fit again") from error
    return facts


def _check_facts(facts):
    """Raise where facts do not have the form that `save_model` gives them, whoever signed them."""
    right = facts["aggregate"] in ("mean", "concat") and len(facts["properties"]) > 0
    right &= all(
        isinstance(facts[k], dict) for k in ("features", "files", "versions", "properties")
    )
    for i, own in enumerate(facts["properties"].values()):
        right &= own["file"] == f"property{i + 1}" and own["kind"] in NESTED_MODELS
        right &= isinstance(own["half_width"], float) and own["half_width"] >= 0
        right &= isinstance(own["flags"], list) and isinstance(own["facts"], dict)
    if not right:
        raise UserError("a value of another kind than expected")


def _read_property(folder, name, own):
    stem = own["file"]
    data = (folder / f"{stem}.skops").read_bytes()
    try:
        foreign = skops.io.get_untrusted_types(data=data)
        if foreign:
            raise UserError(
                f"{folder / stem}.skops holds {foreign[0]}, which no model of this book does"
            )
        pipeline = skops.io.loads(data)
        arrays = load((folder / f"{stem}.safetensors").read_bytes())
        tables = {n: _read_csv(folder / f"{stem}_{n}.csv") for n in [*_AUDIT, "out_of_fold"]}
    except UserError:
        raise
    except Exception as error:  # whatever a library says of a file that it cannot read
        raise UserError(f"{folder}: {stem} cannot be read ({error}): fit again") from error
    out_of_fold = tables.pop("out_of_fold")
    return PropertyModel(
        name, own["kind"], pipeline, own["half_width"], arrays["training"], arrays["nearest"],
        out_of_fold, Audit(**tables, flags=own["flags"]), own["facts"],
    )  # fmt: skip


def _read_csv(path):
    try:
        columns = pd.read_csv(path, nrows=0).columns
        names = {"sample": str, "group": str}  # one may be called NA
        missing = {column: ["", "nan"] for column in columns if column not in names}
        return pd.read_csv(path, dtype=names, na_values=missing, keep_default_na=False)
    except pd.errors.EmptyDataError:
        return pd.DataFrame()


def _sha256(path):
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _digest(facts):
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
