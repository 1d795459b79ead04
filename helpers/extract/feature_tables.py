"""Features of a user's images as a parquet file: a row an image, and what computed them."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from helpers import UserError
from helpers.encoders import Encoder, load_encoder
from helpers.extract.depth import check_headers, check_levels, read_headers
from helpers.extract.image_lists import list_samples
from helpers.extract.scale import (
    at_network,
    check_alike,
    check_field,
    field_of,
    network_scales,
    stated_sizes,
)
from helpers.extract.tables import first_few
from helpers.features import extract
from helpers.images.pixel_size import prepare_images
from helpers.images.read import Reading, image_digest
from helpers.io.atomic import atomic_write
from helpers.regression import aggregate_sections
from helpers.vit.checkpoints import NOT_ARCHITECTURE

KEY = b"microprop"  # of the JSON in the file's metadata
PARTS = "parts.json"  # names of all parts of a folder
KINDS = {"image": pa.string(), "sample": pa.string(), "height": pa.int32(), "width": pa.int32()}
KINDS |= {"pixel_size_um": pa.float64(), "scale": pa.float64(), "digest": pa.string()}
KINDS |= {"kind": pa.string(), "brightest": pa.float64()}
COLUMNS = tuple(KINDS)
# What must be the same for features to be comparable.
MUST_AGREE = (
    "fingerprint", "weights", "pooling", "interpolation", "pipeline", "normalize", "mean_std",
    "input", "target_um", "field",
)  # fmt: skip
TOLD = 5  # differences that a message lists


class FeatureTable(NamedTuple):
    """Features of images.

    `table` (DataFrame): ``image``, ``sample``, ``height`` and ``width`` [pixels, as stored],
    ``pixel_size_um`` [micrometres, NaN where not stated], ``scale`` (see
    `helpers.extract.scale.network_scales`), ``digest`` (SHA-256 of the file), ``kind`` (see
    `helpers.images.read.Header`) and ``brightest`` (of the pixels, 0 to 1). `features`
    (n, d) float32. `facts`: provenance of `helpers.features.extract`, with ``folder`` (of an
    encoder of the user's own, else None), ``crop_bottom``, ``target_um``, ``field`` (see
    `helpers.extract.scale.field_of`) and ``skipped`` (image: reason).
    """

    table: pd.DataFrame
    features: np.ndarray
    facts: dict


def write_feature_table(path, found):
    """Write a `FeatureTable`, whole; a `UserError` refuses a name that ends in no .parquet."""
    _check_ending(path)
    with atomic_write(path) as file:
        pq.write_table(to_arrow(found), file)


def _check_ending(path):
    if Path(path).suffix.lower() != ".parquet":
        raise UserError(f"{path}: expected a file name that ends in .parquet")


def extract_file(images, path, encoder="microvit", **options):
    """Write the features that `extract_table` gives to a file; gives what a reader wants to know.

    A `UserError` refuses, before any work, a path that is no name for a feature table or holds
    something else.
    """
    path = Path(path)
    _check_ending(path)
    if path.exists() and KEY not in (_schema(path).metadata or {}):
        raise UserError(f"{path} exists and holds no features: choose another name")
    found = extract_table(images, encoder, **options)
    write_feature_table(path, found)
    n, d = found.features.shape
    return {
        "file": str(path),
        "encoder": found.facts["title"],
        "pooling": found.facts["pooling"],
        "images": n,
        "features": d,
        "samples": found.table["sample"].nunique(),
        "images reach the network": at_network(found.table),
        "skipped": found.facts["skipped"],
    }


def to_arrow(found):
    """A feature table as a `pyarrow.Table`."""
    values = pa.array(np.ascontiguousarray(found.features, np.float32).ravel())
    arrays = [pa.array(found.table[name], kind, from_pandas=True) for name, kind in KINDS.items()]
    arrays.append(pa.FixedSizeListArray.from_arrays(values, found.features.shape[1]))
    facts = json.dumps(found.facts, sort_keys=True).encode()
    return pa.table(arrays, [*COLUMNS, "features"]).replace_schema_metadata({KEY: facts})


def read_feature_table(path):
    """Read a feature table, or a folder of parts of one.

    Parameters
    ----------
    path : path-like
        A file of `write_feature_table`, or a folder of such files with the same facts.

    Returns
    -------
    FeatureTable
        Sorted by image where it is a folder.

    Raises
    ------
    UserError
        No such file; not parquet, damaged, or another kind of table; a part that is still
        missing; features that are NaN or of several lengths; an image that stands twice; parts
        by other encoders.

    Examples
    --------
    >>> import tempfile
    >>> row = ["a.png", "a", 4, 4, 0.5, 1.0, "0", "8-bit", 1.0]
    >>> table = pd.DataFrame([row], columns=COLUMNS)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "features.parquet")
    ...     write_feature_table(path, FeatureTable(table, np.ones((1, 3)), {"encoder": "x"}))
    ...     read_feature_table(path).features.shape
    (1, 3)
    """
    path = Path(path)
    parts = _files(path)
    if not parts or not parts[0].is_file():
        raise UserError(f"there is no feature table {path}: `microprop extract` writes one")
    if (path / PARTS).is_file():
        listed = json.loads((path / PARTS).read_text(encoding="utf-8"))
        missing = len(set(listed) - {part.name for part in parts})
        if missing:
            raise UserError(
                f"{path} lacks {missing} of {len(listed)} parts: the extraction has not ended; "
                "run the same command again"
            )
    tables, facts = zip(*map(_read_part, parts), strict=True)
    for part, other in zip(parts, facts, strict=True):
        check_comparable(facts[0], other, f"{parts[0].name} and {part.name} in {path}")
    skipped = {k: v for f in facts for k, v in f.get("skipped", {}).items()}
    whole = pa.concat_tables(table.select([*COLUMNS, "features"]) for table in tables)
    if len(parts) > 1:
        whole = whole.sort_by("image")
    table = whole.select(COLUMNS).to_pandas()
    features = whole["features"].combine_chunks().flatten().to_numpy().reshape(len(table), -1)
    twice = table["image"][table["image"].duplicated()].tolist()
    if twice:
        raise UserError(f"{path}: {len(twice)} images stand twice: {first_few(twice)}")
    if not np.isfinite(features).all():
        bad = table["image"][~np.isfinite(features).all(1)].tolist()
        raise UserError(f"{path}: features of {first_few(bad)} are no numbers: extract them again")
    return FeatureTable(table, features, facts[0] | {"skipped": skipped})


def read_facts(path):
    """The facts of a part, without its features."""
    return json.loads(pq.read_schema(path).metadata[KEY])


def is_feature_table(path):
    """Whether a path is a parquet file with features, or a folder of such files."""
    files = _files(Path(path))
    return bool(files) and "features" in _schema(files[0]).names


def _files(path):
    """The files of a feature table: itself, or the parts in a folder."""
    return sorted(path.glob("*.parquet")) if path.is_dir() else [path]


def _schema(path):
    """The schema of a parquet file; an empty one of what is none."""
    try:
        return pq.read_schema(path) if path.suffix.lower() == ".parquet" else pa.schema([])
    except (pa.ArrowException, OSError, ValueError):
        return pa.schema([])


def _read_part(path):
    """The columns and the facts of a file."""
    try:
        table = pq.read_table(path, partitioning=None)
        table.validate(full=True)  # text that is no UTF-8 as well
        facts = json.loads((table.schema.metadata or {}).get(KEY, b"null"))
    except (pa.ArrowException, OSError, ValueError, EOFError) as error:
        raise UserError(f"{path} cannot be read as parquet ({error}): extract again") from error
    types = dict(zip(table.schema.names, table.schema.types, strict=True))
    length = getattr(types.get("features"), "list_size", 0)
    kinds = KINDS | {"features": pa.list_(pa.float32(), length)}
    wrong = [name for name, kind in kinds.items() if types.get(name) != kind]
    wrong = wrong or [n for n in kinds if n != "pixel_size_um" and table[n].null_count]
    if wrong or not len(table) or not isinstance(facts, dict):
        raise UserError(
            f"{path} is no feature table: {first_few(wrong) or 'a row or its metadata'} is "
            "missing, empty or of another type; `microprop extract` writes one"
        )
    return table, facts


def check_comparable(facts, others, what):
    """Raise a UserError if two sets of features were not computed in the same way.

    An encoder is its weights and its architecture, not the name of its folder.
    """
    one, other = map(_compared, (facts, others))
    wrong = [k for k in one if k in other and one[k] != other[k]]
    if wrong:
        said = [f"{k} is {one[k]!r} and {other[k]!r}" for k in wrong]
        names = f"encoder {facts.get('encoder')!r} and {others.get('encoder')!r}"
        raise UserError(
            f"{what} do not go together: {names}; {'; '.join(said[:TOLD])}. Extract both in the "
            "same way"
        )


def _compared(facts):
    """What is compared. Other versions of transformers may state more of an architecture."""
    config = (facts.get("config") or {}).items()
    shape = {f"config {k}": v for k, v in config if not NOT_ARCHITECTURE.fullmatch(k)}
    return {k: facts.get(k) for k in MUST_AGREE} | shape


def extract_table(
    source,
    encoder="microvit",
    *,
    image_column="image",
    sample_column=None,
    **options,
):
    """Features of a user's images.

    Parameters
    ----------
    source, image_column, sample_column
        See `helpers.extract.image_lists.list_samples`.
    encoder : str or path-like or helpers.encoders.Encoder
        See `helpers.encoders.load_encoder`.
    **options
        `pooling` and `dtype`: see there. `crop_bottom`,
        `target_um` and `value_range`: see `helpers.images.read.Reading`; with `target_um` the
        middle of each image is taken as it is, as much as the encoder takes, instead of all of
        it shrunk. `stated_um`: pixel size [micrometres] of files that state none, where a column
        ``pixel_size_um`` of the table of images does not either.
        `on_error` and others: see `helpers.features.extract`.

    Returns
    -------
    FeatureTable

    Raises
    ------
    ImageError, UserError, DownloadError, OSError
        As the functions above.
    """
    listed = list_samples(source, image_column=image_column, sample_column=sample_column)
    return extract_listed(listed, encoder, **options)


def extract_listed(
    listed,
    encoder,
    *,
    pooling=None,
    dtype=None,
    crop_bottom=None,
    target_um=None,
    stated_um=None,
    value_range=None,
    on_error="raise",
    **options,
):
    """`extract_table` of a table of `helpers.extract.image_lists.list_samples`."""
    if not isinstance(encoder, Encoder):
        encoder = load_encoder(encoder, pooling=pooling, dtype=dtype)
    reading = Reading(value_range, crop_bottom=crop_bottom, target_um=target_um)
    files, pipeline = listed["image"].tolist(), options.get("pipeline", "micrograph")
    own = stated_sizes(listed, stated_um)
    headers = read_headers(files)
    check_headers(headers, value_range, crop_bottom)
    field = field_of(encoder, pipeline, target_um)
    images, stated = prepare_images(files, reading, field, own)
    scales, stated = network_scales(images, encoder, pipeline), np.array(stated, float)
    if field is not None:
        check_field(images, encoder, target_um)
    check_alike(files, stated, scales)
    table = listed[["image", "sample"]].assign(pixel_size_um=stated, scale=scales)
    table["kind"] = [headers[file].kind if file in headers else None for file in files]

    def check(brightest):  # of every image, before anything is computed
        table["brightest"] = brightest
        if value_range is None:
            check_levels(table)

    # Prepared images are read with their range already.
    options["value_range"] = value_range if images == files else None
    found = extract(images, encoder, on_error=on_error, check=check, **options)
    kept = [i for i in range(len(files)) if i not in found.skipped]
    table = table.iloc[kept].reset_index(drop=True)
    sizes = [headers[file].size for file in table["image"]]
    table[["height", "width"]] = np.array(sizes, np.int32)
    table["digest"] = digests(table["image"])
    facts = found.provenance | {"crop_bottom": crop_bottom, "target_um": target_um, "field": field}
    # Not from the store, which may have met the same network in another place.
    facts["folder"] = encoder.entry.folder and str(encoder.entry.folder.resolve())
    facts["value_range"] = value_range and [float(v) for v in value_range]
    facts["skipped"] = {files[i]: reason for i, reason in found.skipped.items()}
    del facts["brightest"]  # a column
    return FeatureTable(table[[*COLUMNS]], found.features[kept], facts)


def digests(files):
    """SHA-256 of files, as a list: what tells later whether they are still the same."""
    with ThreadPoolExecutor() as pool:
        return list(pool.map(image_digest, files))


def sample_matrix(found, aggregate="mean"):
    """One descriptor a sample, from the features of its images.

    Parameters
    ----------
    found : FeatureTable
    aggregate : str
        ``"mean"`` or ``"concat"``; see `helpers.regression.aggregate_sections`.

    Returns
    -------
    samples : list of str
        In the order of their first images.
    X : ndarray, shape (n_samples, n_features)

    Raises
    ------
    UserError
        ``"concat"`` of samples with different numbers of images.
    """
    groups = found.table.groupby("sample", sort=False).indices
    counts = {len(rows) for rows in groups.values()}
    if aggregate == "concat" and len(counts) > 1:
        odd = min(groups, key=lambda name: len(groups[name]))
        raise UserError(
            f"samples have {sorted(counts)} images ({odd!r} has {len(groups[odd])}): expected as "
            "many for each to concatenate them; use aggregate='mean'"
        )
    parts = [found.features[rows][None] for rows in groups.values()]
    return list(groups), np.concatenate([aggregate_sections(p, aggregate) for p in parts])
