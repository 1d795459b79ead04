"""Feature matrices: images through a frozen encoder, computed once and kept.

`extract_features` returns the matrix, `extract` also what is known about it, and `ViTFeatures`
is the same for a scikit-learn ``Pipeline``.
"""

from __future__ import annotations

import contextlib
import datetime
import functools
import hashlib
import os
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from helpers import UserError, check_choice
from helpers.encoders import Encoder, load_encoder
from helpers.images.read import MAX_PIXELS, ImageError, Reading
from helpers.io.downloads import cache_folder
from helpers.io.progress import progress_bar
from helpers.io.provenance import code_digest, versions
from helpers.preprocessing import (
    Preparation,
    as_list,
    check_images,
    digest_or_error,
    name_of,
    report_bad_images,
)
from helpers.regression import aggregate_sections
from helpers.two_point import ImageStep
from helpers.vit import forward
from helpers.vit.forward import n_cores
from helpers.vit.store import StoredFeatures

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
    """Feature matrix of images, float32 of shape (n, n_features).

    Arguments and errors are those of `extract`.

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
    value_range=None,
    max_pixels=MAX_PIXELS,
    on_error="raise",
    batch_size=None,
    workers=None,
    store=None,
    name=None,
    check=None,
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
    store : path-like, None or False
        Folder of the feature store. None: in the cache. False: read and write nothing.
    name : str or None
        Of the data set, a folder in the store. None: from a hash of the images.
    check : callable or None
        Called with the brightest value of each image, an array (n,) from 0 to 1, NaN for bad
        ones, before any goes through the network; what it raises stops the run.
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
    check_run(on_error, batch_size=batch_size, workers=workers)
    images = as_list(images)
    if not isinstance(encoder, Encoder):
        encoder = load_encoder(encoder)
    how = Preparation(encoder.entry, pipeline, normalize, Reading(value_range, max_pixels))
    work = _Work(images, encoder, how, batch_size, workers, progress)
    stored = finished = None
    if store is not False:
        root = cache_folder() / "features" if store is None else Path(store)
        folder = root / (name or f"data-{work.key['data'][:12]}")
        stored = StoredFeatures(folder, encoder.name, work.key)
        finished = stored.read()
    if finished is None:
        return work.run(stored, on_error, check)
    features, provenance = finished
    skipped = {int(i): reason for i, reason in provenance["skipped"].items()}
    report_bad_images(skipped, images, on_error)
    if check is not None:
        check(np.array(provenance["brightest"], float))
    return Extraction(features, skipped, provenance, stored.path)


def check_run(on_error, **counts):
    """Raise a UserError that names a choice, or a number that must be 1 or more, or None."""
    check_choice("on_error", on_error, ("raise", "skip"))
    for option, count in counts.items():
        if count is not None and count < 1:
            raise UserError(f"{option} is {count}: expected at least 1")


@dataclass(frozen=True)
class _Work:
    """Images, the network that they go through, and how; arguments of `extract`."""

    images: list
    encoder: Encoder
    preparation: Preparation
    batch_size: int | None
    workers: int | None
    progress: bool

    @functools.cached_property
    def digests(self):
        """A hash of each image, or why it cannot be read."""
        with ThreadPoolExecutor(n_cores()) as pool:
            return list(pool.map(digest_or_error, self.images))

    @functools.cached_property
    def key(self):
        """Everything that changes the numbers."""
        provenance = self.encoder.provenance()
        own = ("fingerprint", "weights", "config", "pooling", "interpolation", "dtype", "device")
        return {
            **{name: provenance[name] for name in own},
            **self.preparation.facts(),
            "versions": versions(LIBRARIES),
            "code": code_digest(__file__),
            "data": hashlib.sha256("\n".join(self.digests).encode()).hexdigest(),
        }

    def run(self, stored, on_error, check=None):
        """The `Extraction`: all images checked, then equal ones computed once, and stored."""
        first = {}
        # Of each image the first one that equals it.
        twins = [first.setdefault(digest, i) for i, digest in enumerate(self.digests)]
        found, errors = check_images(self.images, list(first.values()), self.preparation)
        skipped = {i: errors[twin] for i, twin in enumerate(twins) if twin in errors}
        report_bad_images(skipped, self.images, on_error)
        if not found:
            raise ImageError("no image is left: " + "; ".join(sorted(set(skipped.values()))[:3]))
        brightest = [found[twin][1] if twin in found else None for twin in twins]
        if check is not None:
            check(np.array(brightest, float))
        shapes = {i: shape for i, (shape, _) in found.items()}
        start, date = time.monotonic(), datetime.datetime.now(datetime.UTC)
        features = self._compute(shapes, stored)[twins]
        facts = {
            "pipeline": self.preparation.pipeline,
            "n_images": len(self.images),
            "n_computed": len(shapes),
            "skipped": {str(i): reason for i, reason in skipped.items()},
            "brightest": brightest,
            "date": date.isoformat(timespec="seconds"),
            "seconds": round(time.monotonic() - start, 2),
        }
        provenance = {**self.encoder.provenance(), **self.key, **facts}
        if stored is None:
            return Extraction(features, skipped, provenance, None)
        return Extraction(features, skipped, stored.write(features, provenance), stored.path)

    def _compute(self, shapes, stored):
        """Features (n, n_features) of the images in `shapes`, NaN elsewhere; shards on the way."""
        features = np.full((len(self.images), self.encoder.n_features), np.nan, np.float32)
        done, new, last = set(), [], time.monotonic()  # rows in shards, rows in none yet
        if stored is not None:
            for rows, values in stored.begin():
                features[rows] = values
                done.update(rows.tolist())
        batches = forward.in_batches(self.encoder, shapes, done, self.batch_size)
        workers = self.workers or forward.choose_workers(
            self.encoder, max(shapes.values(), key=np.prod), self.batch_size
        )
        results = forward.forward_batches(self.encoder, self._load, batches, workers=workers)
        count, title = len(shapes), self.encoder.title
        bar = progress_bar(title, "image", count, done=len(done), progress=self.progress)
        try:
            with contextlib.closing(results), bar:
                for batch, values in results:
                    features[batch] = values
                    new += batch
                    bar.update(len(batch))
                    if stored is not None and time.monotonic() - last >= SHARD_SECONDS:
                        stored.write_shard(new, features[new])
                        new, last = [], time.monotonic()
        finally:  # Ctrl-C above all; and a shard needs less space on a full disk than the matrix
            if stored is not None:
                stored.write_shard(new, features[new])
        return features

    def _load(self, batch):
        images = [self.images[i] for i in batch]
        pixels = self.preparation.batch(images)
        for i, image in zip(batch, images, strict=True):
            if not isinstance(image, np.ndarray) and digest_or_error(image) != self.digests[i]:
                name = name_of(self.images, i)
                raise ImageError(f"{name} was changed while it was read: run again")
        return pixels


@dataclass(eq=False, repr=False)
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

    encoder: str | os.PathLike = "dinov2-s14"
    aggregate: str = "concat"
    _: KW_ONLY
    weights: str = "pretrained"
    pooling: str | None = None
    interpolation: str | None = None
    pipeline: str = "micrograph"
    normalize: str = "none"
    store: str | os.PathLike | bool | None = None

    def transform(self, X):
        """Images (n, h, w), files, or k of them a sample (n, k, h, w), to (n, n_features)."""
        # The network that was used last is kept, as long as the files of its folder stay the same.
        files = sorted(Path(str(self.encoder)).glob("*"))
        stamp = tuple((file.resolve(), file.stat().st_mtime_ns) for file in files)
        encoder = _loaded(self.encoder, self.weights, self.pooling, self.interpolation, stamp)
        options = {"pipeline": self.pipeline, "normalize": self.normalize, "store": self.store}
        if isinstance(X, str | os.PathLike):
            X = as_list(X)
        X = np.asarray(X) if hasattr(X, "__array__") else X
        samples = [list(sample) if _is_group(sample) else [sample] for sample in X]
        counts = {len(sample) for sample in samples}
        if len(counts) > 1:
            raise UserError(f"samples have {sorted(counts)} images: expected as many for each")
        images = [image for sample in samples for image in sample]
        features = extract_features(images, encoder, progress=False, **options)
        return aggregate_sections(features.reshape(len(samples), *counts, -1), self.aggregate)


@functools.lru_cache(maxsize=1)
def _loaded(encoder, weights, pooling, interpolation, stamp):
    return load_encoder(encoder, weights, pooling=pooling, interpolation=interpolation)


def _is_group(sample):
    """Whether a sample is several images: a sequence, an array of files or one (k, h, w)."""
    if isinstance(sample, list | tuple):
        return True
    shape = getattr(sample, "shape", ())
    return len(shape) == 1 or (len(shape) == 3 and shape[2] > 4)  # up to 4 are channels
