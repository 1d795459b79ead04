"""Feature matrices: images through a frozen encoder, computed once and kept.

`extract_features` returns the matrix, `extract` also what is known about it, and `ViTFeatures`
is the same for a scikit-learn ``Pipeline``.
"""

from __future__ import annotations

import contextlib
import datetime
import functools
import hashlib
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np

from helpers import UserError
from helpers.encoders import ENCODERS, Encoder, load_encoder
from helpers.images.read import MAX_PIXELS, ImageError, check_range
from helpers.io.progress import progress_bar
from helpers.io.provenance import code_digest, versions
from helpers.preprocessing import (
    as_list,
    check_images,
    check_options,
    digest_or_error,
    prepare_batch,
    report_bad_images,
)
from helpers.regression import aggregate_sections
from helpers.two_point import ImageStep
from helpers.vit.forward import (
    choose_batch_size,
    choose_workers,
    forward_batches,
    in_batches,
    n_cores,
)
from helpers.vit.store import StoredFeatures, store_folder
from helpers.vit.weights import weights_at_hand

SHARD_SECONDS = 20.0  # of work that a killed process may lose
LIBRARIES = ("numpy", "torch", "transformers", "pillow", "tifffile", "imagecodecs")


class Extraction(NamedTuple):
    """Features and what is known about them.

    `features` is (n, n_features) float32, a row of NaN for each skipped image; `skipped` maps the
    index of an image to the reason; `provenance` says what the features were computed from;
    `path` is their file in the store, or None.
    """

    features: np.ndarray
    skipped: dict[int, str]
    provenance: dict
    path: Path | None


def extract_features(images, encoder, **options):
    """Feature matrix of images.

    Parameters
    ----------
    images
        See `extract`.
    encoder : Encoder, str or path-like
        From `helpers.encoders.load_encoder`, or what that takes.
    **options
        Those of `extract`.

    Returns
    -------
    ndarray of float32, shape (n, n_features)

    Raises
    ------
    ImageError, ValueError, DownloadError, OSError
        See `extract`.

    Examples
    --------
    >>> encoder = load_encoder("dinov2-s14", weights="random")
    >>> sections = np.random.default_rng(0).integers(0, 2, (4, 51, 51))
    >>> extract_features(sections, encoder, pipeline="section", store=False).shape
    (4, 384)
    """
    return extract(images, encoder, **options).features


def extract(
    images,
    encoder,
    *,
    pipeline="micrograph",
    normalize="none",
    weights="pretrained",
    value_range=None,
    max_pixels=MAX_PIXELS,
    on_error="raise",
    batch_size=None,
    workers=None,
    compile=False,
    store=None,
    name=None,
    progress=True,
):
    """Features of images with their provenance, from the store or computed and stored.

    Parameters
    ----------
    images : path-like, ndarray or sequence
        A folder of images; an array (n, h, w) or (n, h, w, 3); or a sequence of files,
        ``PIL.Image`` and arrays, sizes mixed at will.
    encoder : Encoder, str or path-like
        From `helpers.encoders.load_encoder`, or what that takes.
    pipeline : str
        ``"micrograph"``, or ``"section"`` for small two-phase sections; see
        `helpers.preprocessing`.
    normalize : str
        ``"none"`` (paper) or ``"encoder"``; see `helpers.preprocessing`.
    weights : str
        ``"pretrained"`` or ``"random"``, where `encoder` is not loaded yet.
    value_range, max_pixels
        As in `helpers.images.read.read_image`.
    on_error : str
        ``"raise"``: stop before anything is computed, and name every bad image. ``"skip"``: leave
        them out, with a warning; their rows are NaN.
    batch_size : int or None
        Images in one forward pass. None: chosen from the number of tokens.
    workers : int or None
        On a CPU the number of forward passes at a time, which share the cores. On a GPU the
        threads that read and preprocess. None: as many as the cores and the memory allow.
    compile : bool
        Compile the network with ``torch.compile`` first: worth it for many images on a GPU.
    store : path-like, None or False
        Folder of the feature store. None: in the cache. False: read and write nothing.
    name : str or None
        Of the data set, a folder in the store. None: from a hash of the images.
    progress : bool
        Show images a second and the time left; runs of a few seconds show nothing.

    Returns
    -------
    Extraction

    Raises
    ------
    ImageError
        Bad images (all of them are named), or none at all.
    ValueError
        An unknown option, or a damaged file in the store.
    DownloadError
        The weights cannot be had.
    OSError
        The store cannot be written. What was computed before is kept.

    Notes
    -----
    Equal images are computed once. Interrupted at any moment, a second call goes on where the
    first one stopped and loses at most the last `SHARD_SECONDS`.
    """
    if on_error not in ("raise", "skip"):
        raise UserError(f"on_error is {on_error!r}: expected 'raise' or 'skip'")
    for option, value in (("batch_size", batch_size), ("workers", workers)):
        if value is not None and value < 1:
            raise UserError(f"{option} is {value}: expected at least 1, or None")
    images = as_list(images)
    if not isinstance(encoder, Encoder):
        encoder = load_encoder(encoder, weights)
    check_options(encoder.entry, pipeline, normalize)
    value_range = check_range(value_range)
    options = {"pipeline": pipeline, "normalize": normalize}
    options |= {"value_range": value_range, "max_pixels": max_pixels}
    with ThreadPoolExecutor(n_cores()) as pool:
        digests = list(pool.map(digest_or_error, images))
    key = _key(encoder, digests, options, compile)
    stored, found = None, None
    if store is not False:
        folder = store_folder(store) / (name or f"data-{key['data'][:12]}")
        stored = StoredFeatures(folder, encoder.name, key)
        found = stored.read()
    if found is not None and found[1]["skipped"] and found[1]["max_pixels"] != max_pixels:
        found = None  # another limit may skip others
    if found is not None:
        skipped = {int(i): reason for i, reason in found[1]["skipped"].items()}
        report_bad_images(skipped, images, on_error)
        return Extraction(found[0], skipped, found[1], stored.path)
    run = {"batch_size": batch_size, "workers": workers, "compile": compile, "progress": progress}
    features, skipped, facts, fresh = _extract_new(
        encoder, images, digests, options, on_error, stored, run
    )
    provenance = {**encoder.provenance(), **key, **facts}
    if stored is not None:
        try:
            provenance = stored.write(features, provenance)
        except OSError:
            stored.write_shard(fresh, features[fresh])  # a shard needs less space
            raise
    return Extraction(features, skipped, provenance, stored and stored.path)


def _extract_new(encoder, images, digests, options, on_error, stored, run):
    """Check all images, then compute each kind once.

    Gives the matrix, the skipped images, facts for the provenance, and the rows in no shard.
    """
    first = {}  # the first image of each kind
    for i, digest in enumerate(digests):
        first.setdefault(digest, i)
    unique = list(first.values())
    shapes, errors = check_images(images, unique, encoder.entry, options)
    skipped = {i: errors[first[d]] for i, d in enumerate(digests) if first[d] in errors}
    report_bad_images(skipped, images, on_error)
    if not shapes:
        raise ImageError("no image is left: " + "; ".join(sorted(set(skipped.values()))[:3]))
    start, date = time.monotonic(), datetime.datetime.now(datetime.UTC)
    if stored is not None:
        stored.begin()
    features, fresh = _compute(encoder, images, digests, shapes, options, stored, run)
    for i, digest in enumerate(digests):
        features[i] = features[first[digest]]
    facts = {
        "pipeline": options["pipeline"],
        "max_pixels": options["max_pixels"],
        "n_images": len(images),
        "n_computed": len(shapes),
        "skipped": {str(i): reason for i, reason in skipped.items()},
        "date": date.isoformat(timespec="seconds"),
        "seconds": round(time.monotonic() - start, 2),
    }
    return features, skipped, facts, fresh


class ViTFeatures(ImageStep):
    """`extract_features` for a scikit-learn ``Pipeline``, with aggregation over sections.

    Parameters
    ----------
    encoder : str or path-like
        See `helpers.encoders.load_encoder`.
    aggregate : str
        ``"concat"`` or ``"mean"``: how the images of one sample become one descriptor.
    weights, pooling, interpolation
        As in `helpers.encoders.load_encoder`.
    pipeline, normalize, store
        As in `extract`.

    Notes
    -----
    Nothing is fitted. A copy or a pickle holds the parameters, not the network; the store makes
    the second transformation of the same images cheap.

    Examples
    --------
    >>> sections = np.random.default_rng(0).integers(0, 2, (2, 3, 51, 51))
    >>> vit = ViTFeatures("dinov2-s14", "mean", weights="random", pipeline="section", store=False)
    >>> vit.fit_transform(sections).shape
    (2, 384)
    """

    def __init__(
        self,
        encoder="dinov2-s14",
        aggregate="concat",
        *,
        weights="pretrained",
        pooling=None,
        interpolation=None,
        pipeline="micrograph",
        normalize="none",
        store=None,
    ):
        self.encoder = encoder
        self.aggregate = aggregate
        self.weights = weights
        self.pooling = pooling
        self.interpolation = interpolation
        self.pipeline = pipeline
        self.normalize = normalize
        self.store = store

    def transform(self, X):
        """Images (n, h, w), files, or k of them a sample (n, k, h, w), to (n, n_features)."""
        which = str(self.encoder), self.weights, self.pooling, self.interpolation
        encoder = _loaded(*which, _stamp(self.encoder))
        options = {"pipeline": self.pipeline, "normalize": self.normalize, "store": self.store}
        samples = [s if _is_group(s) else [s] for s in as_list(X, grouped=True)]
        counts = {len(sample) for sample in samples}
        if len(counts) > 1:
            raise UserError(f"samples have {sorted(counts)} images: expected as many for each")
        flat = [image for sample in samples for image in sample]
        features = extract_features(flat, encoder, progress=False, **options)
        return aggregate_sections(features.reshape(len(samples), *counts, -1), self.aggregate)


@functools.lru_cache(maxsize=1)
def _loaded(encoder, weights, pooling, interpolation, stamp):
    """The network that was used last; `stamp` changes when its files do."""
    return load_encoder(encoder, weights, pooling=pooling, interpolation=interpolation)


def _stamp(encoder):
    folder = Path(encoder)
    if str(encoder) in ENCODERS:
        folder = weights_at_hand(ENCODERS[str(encoder)]) or folder
    if not folder.is_dir():
        return None
    files = ((p.name, p.stat().st_mtime_ns, p.stat().st_size) for p in folder.iterdir())
    return folder.resolve(), tuple(sorted(files))


def _is_group(sample):
    """Whether a sample is several images: (k, h, w), or a sequence of images."""
    return isinstance(sample, list | tuple) or (
        isinstance(sample, np.ndarray) and sample.ndim == 3 and sample.shape[-1] > 4
    )


def _key(encoder, digests, options, compile):
    """Everything that changes the numbers."""
    entry = encoder.entry
    provenance = encoder.provenance()
    own = ("fingerprint", "weights", "config", "pooling", "interpolation", "dtype", "device")
    return {
        **{name: provenance[name] for name in own},
        "input": [options["pipeline"], entry.crop, entry.input_size, entry.longest],
        "normalize": options["normalize"],
        "mean_std": [entry.mean, entry.std] if options["normalize"] == "encoder" else None,
        "value_range": options["value_range"],
        "compile": compile,
        "versions": versions(LIBRARIES),
        "code": code_digest(__file__),
        "data": hashlib.sha256("\n".join(digests).encode()).hexdigest(),
    }


def _compute(encoder, images, digests, shapes, options, stored, run):
    """Matrix (n, n_features), rows of the images in `shapes` filled; and the rows in no shard."""
    features = np.full((len(images), encoder.n_features), np.nan, np.float32)
    done = set()
    for rows, values in stored.read_shards() if stored is not None else ():
        features[rows] = values
        done.update(rows.tolist())
    largest = max(shapes.values(), key=np.prod)
    todo = in_batches(encoder, shapes, done, run["batch_size"])
    count = run["workers"]
    if count is None:
        size = run["batch_size"] or choose_batch_size(encoder, largest)
        on_cpu = encoder.device.type == "cpu"
        count = choose_workers(encoder, largest, size) if on_cpu else n_cores()
    if run["compile"]:
        encoder, count = encoder.compiled(), 1

    def load(batch):
        pixels = prepare_batch([images[i] for i in batch], encoder, **options)
        for i in batch:
            if not isinstance(images[i], np.ndarray) and digest_or_error(images[i]) != digests[i]:
                raise ImageError(f"{images[i]} was changed while it was read: run again")
        return pixels

    fresh, last = [], time.monotonic()
    try:
        results = contextlib.closing(forward_batches(encoder, load, todo, workers=count))
        bar = progress_bar(
            encoder.title, "image", len(shapes), done=len(done), progress=run["progress"]
        )
        with results as results, bar:
            for batch, values in results:
                features[batch] = values
                fresh += batch
                bar.update(len(batch))
                if stored is not None and time.monotonic() - last >= SHARD_SECONDS:
                    stored.write_shard(fresh, features[fresh])
                    fresh, last = [], time.monotonic()
    except BaseException:  # Ctrl-C above all
        if stored is not None:
            stored.write_shard(fresh, features[fresh])
        raise
    return features, fresh
