"""Fitted models as a folder: a JSON and a skops file, no pickle, one digest of both."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import skops.io

from helpers import UserError
from helpers.audit.audit import Audit
from helpers.io.atomic import atomic_write
from helpers.io.provenance import versions
from helpers.own.models import KINDS, PropertyModel

MODEL, FITTED = "model.json", "fitted.skops"
OF_SYSTEMS = (".DS_Store", "Thumbs.db", "desktop.ini")
LIBRARIES = ("numpy", "scikit-learn", "scipy", "skops", "torch", "transformers")
# Kernels of a Gaussian process: skops does not know them. They hold numbers and each other alone.
_KERNELS = [
    f"sklearn.gaussian_process.kernels.{name}"
    for name in ("ConstantKernel", "Product", "RBF", "Sum", "WhiteKernel")
]
_AUDIT = [field.name for field in dataclasses.fields(Audit) if field.name != "flags"]
_PLAIN = ("kind", "half_width", "facts")  # of a `PropertyModel`, in the JSON file
_ARRAYS = ("pipeline", "training", "nearest")  # in the skops file


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
    """Write a model folder. One that is there is replaced once all is written."""
    folder = Path(folder).absolute()
    check_folder(folder)
    fitted = [[getattr(one, key) for key in _ARRAYS] for one in model.properties.values()]
    data = skops.io.dumps(fitted)
    facts = model._asdict()
    facts["properties"] = {name: _described(one) for name, one in model.properties.items()}
    facts["digest"] = _digest(facts, data)
    new = folder.with_name(f".{folder.name}.new")
    shutil.rmtree(new, ignore_errors=True)  # of a run that was killed
    try:
        for name, content in ((FITTED, data), (MODEL, json.dumps(facts, indent=1).encode())):
            with atomic_write(new / name) as file:
                file.write(content)
        if folder.exists():
            (folder / FITTED).unlink(missing_ok=True)
            shutil.rmtree(folder)  # from the line above on it may be killed: no model, but ours
        new.replace(folder)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _described(one):
    """What the JSON file holds of a model of one property; a table as its columns."""
    tables = {name: getattr(one.audit, name) for name in _AUDIT} | {"out_of_fold": one.out_of_fold}
    own = {key: getattr(one, key) for key in _PLAIN}
    own["flags"] = one.audit.flags
    return own | {"tables": {name: table.to_dict("list") for name, table in tables.items()}}


def check_folder(folder):
    """Raise a UserError where `save_model` would overwrite something that is no model."""
    folder = Path(folder)
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    files = _files(folder)
    if MODEL not in files or b'"digest"' not in (folder / MODEL).read_bytes():
        raise UserError(f"{folder} exists and is no model folder: choose another name")
    foreign = sorted(files - {MODEL, FITTED})
    if foreign:
        raise UserError(
            f"{folder} holds {foreign[0]}, which is no part of the model and would be deleted: "
            "move it away, or choose another name"
        )


def check_place(out, ending, model):
    """Raise a UserError unless a file of this ending can be written outside the model's folder."""
    out = Path(out).resolve()
    if out.suffix.lower() != ending:
        raise UserError(f"out is {out}: expected a file name that ends in {ending}")
    if out.is_dir() or out.is_relative_to(Path(model).resolve()):
        raise UserError(
            f"out is {out}, a folder or inside that of the model, which holds the model alone: "
            "choose another name"
        )


def _files(folder):
    """Names of all files in a folder, without what systems leave in every folder."""
    paths = [path for path in folder.rglob("*") if not path.is_dir()]
    return {p.relative_to(folder).as_posix() for p in paths if p.name not in OF_SYSTEMS}


def load_model(folder):
    """Read a model folder, after its digest is checked.

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
        No such folder; a file that is missing, added, or was changed; another format; types in
        the skops file that a model of this book never holds; another version of scikit-learn.
    """
    folder = Path(folder)
    if not (folder / MODEL).is_file():
        raise UserError(f"{folder} is no model folder: `microprop fit` writes one with {MODEL}")
    files = _files(folder)
    for wrong, what in (
        ({FITTED} - files, "is missing: fit again"),
        (files - {MODEL, FITTED}, "does not belong there: move it away"),
        ({name for name in files if (folder / name).is_symlink()}, "is a link: fit again"),
    ):
        if wrong:
            raise UserError(f"{folder}: {min(wrong)} {what}")
    data = (folder / FITTED).read_bytes()
    facts = _read_facts(folder / MODEL, data)
    now, then = versions(("scikit-learn",))["scikit-learn"], facts["versions"].get("scikit-learn")
    if now != then:
        raise UserError(
            f"{folder} was fitted with scikit-learn {then}, here is {now}: fit again, or install "
            f"scikit-learn=={then}"
        )
    fitted = _read_fitted(folder / FITTED, data)
    try:
        described = facts["properties"].items()
        pairs = zip(described, fitted, strict=True)
        facts["properties"] = {name: _property(name, own, part) for (name, own), part in pairs}
        return OwnModel(**facts)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{folder} does not describe a model ({error!r}): fit again") from error


def _read_facts(path, data):
    """What the JSON file states, if the digest is that of both files."""
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        same = facts.pop("digest") == _digest(facts, data)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UserError(f"{path} is damaged ({error!r}): fit again") from error
    if not same:
        raise UserError(f"{path.parent} was changed after the model was fitted: fit again")
    # Whoever signed it.
    parts = [facts.get(key) for key in ("features", "versions", "properties")]
    right = all(isinstance(part, dict) and part for part in parts)
    if not right or facts.get("aggregate") not in ("mean", "concat"):
        raise UserError(f"{path} does not describe a model: fit again")
    return facts


def _read_fitted(path, data):
    """Pipelines and arrays of a skops file, unless it holds what no model of this book does."""
    try:
        foreign = sorted({*skops.io.get_untrusted_types(data=data)} - {*_KERNELS})
        if not foreign:
            return skops.io.loads(data, trusted=_KERNELS)
    except Exception as error:  # whatever skops says of a file that it cannot read
        raise UserError(f"{path} cannot be read ({error}): fit again") from error
    raise UserError(f"{path} holds {foreign[0]}, which no model of this book does")


def _property(name, own, fitted):
    """A `PropertyModel` of what the two files hold of it."""
    half_width, tables = own["half_width"], own["tables"]
    right = own["kind"] in KINDS and isinstance(half_width, float) and half_width >= 0
    if not right or not isinstance(own["flags"], list) or not isinstance(own["facts"], dict):
        raise ValueError("a value of another kind than expected")
    values = {key: own[key] for key in _PLAIN} | dict(zip(_ARRAYS, fitted, strict=True))
    tables = {key: pd.DataFrame(columns) for key, columns in tables.items()}
    values["out_of_fold"] = tables.pop("out_of_fold")
    return PropertyModel(name, audit=Audit(**tables, flags=own["flags"]), **values)


def _digest(facts, data):
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode() + data).hexdigest()
