"""From files to files: fit models of a user's properties, and predict with them."""

from __future__ import annotations

import warnings
from pathlib import Path

import pandas as pd

from helpers import UserError
from helpers.cross_validation import NESTED_MODELS
from helpers.encoders import find_entry, load_encoder
from helpers.extract.depth import check_kinds_as_fitted, kinds_of
from helpers.extract.feature_tables import (
    check_comparable,
    extract_table,
    is_feature_table,
    read_feature_table,
    sample_matrix,
)
from helpers.extract.scale import at_network, check_as_fitted, scale_facts, span
from helpers.extract.tables import first_few
from helpers.io.atomic import atomic_write
from helpers.io.provenance import versions
from helpers.own.model_files import (
    LIBRARIES,
    OwnModel,
    check_folder,
    check_place,
    load_model,
    save_model,
)
from helpers.own.models import fit_property, join, predict_property, warn_left_out
from helpers.own.properties import read_properties
from helpers.preprocessing import Preparation

COLUMNS = ["sample", "property", "predicted", "lower", "upper", "typicality", "unlike"]
FEW_SOURCES = 9  # below, 90 % of new sources cannot be promised: errors of 8 sources are 8


def fit_models(
    features, table, out, properties=None, *, aggregate="mean", kind="lr", progress=True, **options
):
    """Fit and validate a model of each property, and write them as a folder.

    Parameters
    ----------
    features : path-like
        See `helpers.extract.feature_tables.read_feature_table`.
    table, properties
        See `helpers.own.properties.read_properties`.
    out : path-like
        Folder for `helpers.own.model_files.save_model`.
    aggregate : str
        ``"mean"`` or ``"concat"``: how the images of a sample become one descriptor.
    kind : str
        ``"lr"``, ``"pr"``, ``"svr"`` or ``"best"``, see `helpers.own.models.fit_property`.
    progress : bool
    **options
        Of `helpers.own.properties.read_properties`.

    Returns
    -------
    dict
        What was used, left out and found, for people and as JSON.

    Raises
    ------
    UserError, OSError
        As the functions above; nothing is written then.
    """
    check_folder(out)
    known = read_properties(table, properties, **options)
    found = read_feature_table(features)
    samples, X, only = join(found, known, aggregate)
    warn_left_out(only)
    fitted = {}
    for name in known.values:
        fitted[name] = fit_property(name, samples, X, known, kind=kind, progress=progress)
    used = found.table[found.table["sample"].isin(samples)]
    counts = used.groupby("sample").size()
    low, high = int(counts.min()), int(counts.max())
    facts = found.facts | scale_facts(used, found.facts.get("field"))
    facts |= {"left_out": only, "images_a_sample": [low, high], "kinds": kinds_of(used)}
    n_images = low if low == high else None
    save_model(out, OwnModel(fitted, facts, aggregate, n_images, versions(LIBRARIES)))
    return {
        "model": str(out),
        "samples": len(samples),
        "images without a row in the table": only["images"],
        "rows of the table without an image": only["table"],
        "composition": known.unit and f"in {known.unit}, for the controls alone",
        "properties": {
            name: one.facts
            | {"kind": one.kind, "half_width": one.half_width}
            | {"flags": one.audit.flags, "in words": summary(one)}
            for name, one in fitted.items()
        },
    }


def summary(model):
    """Lines on how good a `helpers.own.models.PropertyModel` is."""
    facts, folds, new = model.facts, "shuffled folds", ""
    sources, largest = facts["n_groups"], facts["largest_source"]
    if sources:
        folds = f"folds by source ({sources} sources)"
        if sources < FEW_SOURCES or largest > facts["n_samples"] / 3:
            new = (
                f"; {sources} sources, the largest with {largest} samples, are too few to promise "
                "that for a new source"
            )
    many, choice = "s" * (facts["n_components"] > 1), facts.get("choice")
    learner = choice["learner"] if choice else NESTED_MODELS[model.kind]
    lines = [
        f"{facts['n_samples']} samples (not counted: {facts['missing']} without a value); "
        f"{learner} on {facts['n_components']} principal component{many}",
        f"error on {folds}: {facts['mape']:.1f} % (MAPE), {facts['mae']:.4g} in the unit of "
        f"{model.name}; the mean errs by {facts['mape_mean']:.1f} %, the median by "
        f"{facts['mape_median']:.1f} %",
        f"90 % prediction interval: ± {model.half_width:.4g}, in the same unit{new}",
    ]
    lines[1:1] = _choice_in_words(choice) if choice else []
    if facts["near_zero"]:
        lines.append("some values are near zero or of both signs: read the error in the unit")
    if facts["copies"]:
        lines.append(
            f"{facts['copies']} samples have just the features of another: copies of one image? "
            "The error is then too low, unless a column of sources keeps them together"
        )
    return lines + [f"audit: {flag}" for flag in model.audit.flags]


def _choice_in_words(choice):
    """Lines on what the inner folds chose, and what the choice cost."""
    gap, low, high = choice["to_linear"]
    folds = ", ".join(f"{name} ({count})" for name, count in choice["counts"].items())
    return [
        f"chosen among {len(choice['tried'])} learners; in the outer folds: {folds}",
        f"what the choice cost, mean over the outer folds: promised inside "
        f"{choice['promised']:.1f} %, erred {choice['mape_folds']:.1f} %, linear regression "
        f"{choice['mape_folds_linear']:.1f} % (choice minus linear {gap:+.1f} points, 95 % "
        f"interval {low:+.1f} to {high:+.1f}). The flags of the audit are of linear regression",
    ]


def predict_table(
    model,
    images,
    out,
    *,
    encoder=None,
    pooling=None,
    value_range=None,
    crop_bottom=None,
    stated_um=None,
    **options,
):
    """Predict the properties of images with a fitted model.

    Parameters
    ----------
    model : path-like
        Folder of `fit_models`.
    images : path-like or str
        Images as for `helpers.extract.feature_tables.extract_table`, which are treated as those of
        the model; or a feature table (``.parquet`` with features), which must agree with it.
    out : path-like
        CSV file to write: ``sample``, ``property`` and the columns of
        `helpers.own.models.predict_property`.
    encoder : str or path-like, optional
        Where the encoder of the model is now. None: where it was when features were extracted.
    pooling : str, optional
        Checked against that of the model, which is used.
    value_range, crop_bottom : optional
        As in `helpers.images.read.Reading`, where the new images are stored otherwise than those
        of the model. None: as for the model; ``crop_bottom=0`` cuts nothing.
    stated_um : float, optional
        Pixel size [micrometres] of new images that state none; those of the model say nothing of
        it.
    **options
        `image_column`, `sample_column`, `on_error` and `progress`, see there.

    Returns
    -------
    dict
        What was predicted, and which samples are unlike the fitted ones.

    Raises
    ------
    UserError, ImageError, OSError
        As the functions above; an encoder that is gone, or another one than the model's; other
        numbers of images a sample than a model that concatenates them was fitted to.

    Warns
    -----
    PixelSizeWarning, StoredWarning
        See `helpers.extract.scale.check_as_fitted` and
        `helpers.extract.depth.check_kinds_as_fitted`.
    UserWarning
        Other numbers of images a sample than the model's, or names of its training set.
    """
    check_place(out, ".csv", model)
    head = ",".join(COLUMNS[:3]).encode()
    if Path(out).exists() and not Path(out).read_bytes().startswith(head):
        raise UserError(f"{out} exists and holds no predictions: choose another name")
    fitted = load_model(model)
    new = {"value_range": value_range, "crop_bottom": crop_bottom, "stated_um": stated_um}
    found = _features_alike(fitted.features, images, model, encoder, pooling, new, **options)
    check_comparable(fitted.features, found.facts, f"the model {model} and the images")
    check_as_fitted(found.table, fitted.features, model)
    check_kinds_as_fitted(found, fitted.features, model)
    samples, X = sample_matrix(found, fitted.aggregate)
    _check_samples(found.table.groupby("sample", sort=False).size(), fitted, model)
    parts = [
        predict_property(one, X).assign(sample=samples, property=name)
        for name, one in fitted.properties.items()
    ]
    table = pd.concat(parts, ignore_index=True)[COLUMNS]
    with atomic_write(out) as file:
        file.write(table.to_csv(index=False, float_format="%.6g", lineterminator="\n").encode())
    unlike = table[table["unlike"]]
    unlike = (unlike["sample"] + " (" + unlike["property"] + ")").tolist()
    result = {"file": str(out), "samples": len(samples), "properties": list(fitted.properties)}
    result["unlike the fitted samples, not to be trusted"] = unlike
    result["rows cut below"] = found.facts.get("crop_bottom")
    result["images reach the network"] = at_network(found.table)
    return result | {"skipped": found.facts["skipped"]}


def _check_samples(counts, fitted, model):
    """Warn of samples with other numbers of images than a model's, or that it was fitted to.

    A model that concatenates images takes no other number: a UserError.
    """
    n_images = counts.iloc[0]  # of each sample, where they are concatenated
    if fitted.aggregate == "concat" and n_images != fitted.n_images:
        raise UserError(
            f"samples have {n_images} images each, those of the model {fitted.n_images}: expected "
            "as many"
        )
    low, high = fitted.features["images_a_sample"]
    far = counts[~counts.between(low, high)]
    if len(far):
        warnings.warn(
            f"{len(far)} of {len(counts)} samples have other numbers of images "
            f"({span(far.min(), far.max(), form='d')}, such as {far.index[0]}) than those of "
            f"{model} ({span(low, high, form='d')}): a mean over fewer scatters more than the "
            "interval says, over more less",
            stacklevel=3,
        )
    known = {name for one in fitted.properties.values() for name in one.out_of_fold["sample"]}
    same = [name for name in counts.index if name in known]
    if same:
        warnings.warn(
            f"{len(same)} of {len(counts)} samples have names of the training set of {model} "
            f"({first_few(same)}): where they are the same samples, the interval does not hold",
            stacklevel=3,
        )


def _encoder_of(facts, place, model):
    """The encoder that a model was fitted with, loaded from where it was or from a new place."""
    if place is None:
        place = facts.get("folder") or facts["encoder"]
        if facts.get("source") == "local folder" and not Path(place).is_dir():
            raise UserError(
                f"the encoder of {model} was in {place}, which is no folder any more: say with "
                "encoder='FOLDER' where it is now"
            )
    # Another architecture or input is told before weights are looked at, these before any image.
    entry, what = find_entry(place), f"the model {model} and the encoder {place}"
    how = Preparation(entry, facts["pipeline"], facts["normalize"]).facts()
    now = {"config": entry.config, "input": how["input"], "mean_std": how["mean_std"]}
    check_comparable(facts, facts | now | {"encoder": entry.name}, what)
    names = ("pooling", "interpolation", "dtype")
    encoder = load_encoder(place, facts["weights"], **{k: facts[k] for k in names})
    if encoder.fingerprint != facts["fingerprint"]:
        raise UserError(
            f"the weights in {place} ({encoder.fingerprint[:12]}) are not those that {model} was "
            f"fitted with ({facts['fingerprint'][:12]}): say with encoder='FOLDER' where the "
            "right ones are, or extract and fit again"
        )
    return encoder


def _features_alike(facts, images, model, place, pooling, new, **options):
    """Features of images by the encoder and preprocessing of a model, or those in a table.

    `new` are options of `extract_listed` for images that are stored otherwise, or None.
    """
    if pooling not in (None, facts["pooling"]):
        raise UserError(
            f"pooling is {pooling!r}, and {model} was fitted to {facts['pooling']!r}: leave it "
            "out, or extract and fit again"
        )
    if not is_feature_table(images):
        encoder = _encoder_of(facts, place, model)
        for name in ("pipeline", "normalize", "target_um", "crop_bottom", "value_range"):
            options[name] = facts[name] if new.get(name) is None else new[name]
        return extract_table(images, encoder, stated_um=new["stated_um"], **options)
    for name, value in {"encoder": place, **new}.items():
        if value is not None:
            raise UserError(
                f"{name} is {str(value)!r}, and {images} holds features already: leave it out"
            )
    return read_feature_table(images)
