"""What features keep and what they tell: invariance, sensitivity and speed of MicroViT.

Every measure gives rows of the table of `helpers.microvit.evaluation`.
"""

from __future__ import annotations

import dataclasses
import functools
import time

import numpy as np

from helpers.encoders import ENCODERS, load_encoder
from helpers.features import extract_features
from helpers.intervals import labelled_number
from helpers.microvit.probes import linear_r2
from helpers.microvit.statistics import mean_chord
from helpers.microvit.training_images import sample_batch
from helpers.superalloy_scores import TWO_POINT
from helpers.two_point import two_point_statistics

OURS, RANDOM = "MicroViT", "random network"
SEED = 92  # of images that neither training nor the choice of an objective has seen
LEAST_R2 = {"volume fraction": 0.95, "log chord y": 0.9, "log chord x": 0.9, "log anisotropy": 0.9}
LABELS = ("part", "quantity", "data", "descriptor", "protocol")
row = functools.partial(labelled_number, LABELS, target="")


def twins(model="microvit"):
    """MicroViT, or the model in a folder, and its architecture with random weights.

    The input rule is that of MicroViT for any model, as it belongs to the evaluation.
    """
    pooling = None if model in ENCODERS else "cls"
    kinds = {OURS: "pretrained", RANDOM: "random"}
    options = {"pooling": pooling, "device": "cpu"}
    encoders = {name: load_encoder(model, kind, **options) for name, kind in kinds.items()}
    for encoder in encoders.values():
        rule = {"longest": ENCODERS["microvit"].longest}
        encoder.entry = dataclasses.replace(encoder.entry, **rule)
    return encoders


def describers(encoders, periodic=True):
    """Functions from images (n, h, h) to features, of encoders and of two-point statistics.

    `periodic` is that of `helpers.two_point.two_point_statistics`.
    """

    def of(encoder):
        options = {"pipeline": "section", "store": False, "progress": False}
        return lambda images: extract_features(images, encoder, **options)

    def autocorrelation(images):
        maps = two_point_statistics(images, dtype=np.float32, periodic=periodic)
        return maps.reshape(len(images), -1)

    return {**{name: of(e) for name, e in encoders.items()}, TWO_POINT: autocorrelation}


def meets(entry):
    """Whether a row of the table meets its target; None where it has none.

    Examples
    --------
    >>> meets({"value": 0.6, "target": "value <= 0.55"}), meets({"target": ""})
    (False, None)
    """
    if not isinstance(entry["target"], str) or not entry["target"]:
        return None
    name, sign, bound = entry["target"].split()
    compare = {"<=": np.less_equal, ">=": np.greater_equal, "<": np.less}[sign]
    return bool(compare(entry[name], float(bound)))


def invariance(images, describe, data, *, skip=(), seed=SEED):
    """Cosine between mean-centred features before and after each of `changes`.

    Parameters
    ----------
    images : ndarray of float32, shape (n, h, h)
        0 to 1.
    describe : mapping of str to callable
        Name -> function from images (n, h, h) to features (n, d).
    data : str
        Name of the images, for the table.
    skip : sequence of str
        Changes to leave out.
    seed : int
        Of shifts and noise.

    Returns
    -------
    list of dict
        Mean over the images, with their percentiles 10 and 90.
    """
    rows = []
    for name, function in describe.items():
        features = function(images)
        for change, changed in changes(images, np.random.default_rng(seed)):
            if change in skip:
                continue
            cosine = centred_cosine(features, function(np.ascontiguousarray(changed)))
            ends = np.percentile(cosine, [10, 90])
            rows.append(row("invariance", change, data, name, "cosine", cosine.mean(), *ends))
    return rows


def sensitivity(describe, n=3000, seed=SEED):
    """R2 of a ridge probe for what tells microstructures apart, on generated images of 49 x 49.

    Parameters
    ----------
    describe : mapping of str to callable
        As in `invariance`.
    n : int
        Binary images, and as many grey ones. Two thirds fit the probe, one third tests it.
    seed : int
        Of the images.

    Returns
    -------
    list of dict
        Chord lengths are averaged over both phases; their logarithm is asked for, and that of
        the ratio of x to y. Targets are for binary images; of grey ones, volume fraction only
        where the image tells which phase is which. Without intervals.
    """
    rows = []
    for kind, grey in (("binary", 0.0), ("grey", 1.0)):
        batch = sample_batch(np.random.default_rng([seed, 1 + int(grey)]), n, grey=grey)
        pair = batch.phases, 1 - batch.phases
        y, x = (sum(np.log(mean_chord(p, axis)) for p in pair) / 2 for axis in (1, 2))
        asked = dict(zip(LEAST_R2, (batch.phases.mean((1, 2)), y, x, x - y), strict=True))
        for name, function in describe.items():
            features = function(batch.images)
            for quantity, values in asked.items():
                some = batch.known if quantity == "volume fraction" else np.full(n, True)
                r2 = linear_r2(features[some], values[some])
                target = (
                    f"value >= {LEAST_R2[quantity]}" if (name, kind) == (OURS, "binary") else ""
                )
                keys = "sensitivity", quantity, f"generated, {kind}", name, "ridge, R2"
                rows.append(row(*keys, r2, target=target))
    return rows


def speed(ours, sections, micrographs):
    """Images a second on this CPU, beside DINOv2 S14 (random weights: they cost the same).

    Returns
    -------
    list of dict
        Median of three runs, lowest and highest.
    """
    other = load_encoder("dinov2-s14", "random", device="cpu")
    rows = []
    for pipeline, images in (("section", sections), ("micrograph", micrographs)):
        rates = images_per_second({OURS: ours, "DINOv2 S14": other}, images, pipeline)
        rows += [
            row("speed", f"{pipeline}s", "embedded", k, "CPU", *r, unit="images/s")
            for k, r in rates.items()
        ]
    return rows


def centred_cosine(features, changed):
    """Cosine between the features of each image before and after a change.

    Parameters
    ----------
    features, changed : array_like of float, shape (n, d)
        Of the images as they are, and changed.

    Returns
    -------
    ndarray, shape (n,)
        The mean of `features` is subtracted from both: what all images share, which for a random
        network is nearly everything, counts as no similarity.

    Examples
    --------
    >>> centred_cosine([[1.0, 5.0], [-1.0, 5.0]], [[2.0, 5.0], [1.0, 5.0]]).tolist()
    [1.0, -1.0]
    """
    features, changed = np.asarray(features, float), np.asarray(changed, float)
    a, b = features - features.mean(0), changed - features.mean(0)
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return np.sum(a * b, axis=1) / np.maximum(lengths, 1e-30)


def changes(images, rng, noise=0.1):
    """Images after what should leave features alone, and after a turn, which should not.

    Parameters
    ----------
    images : ndarray of float, shape (n, h, h)
        0 to 1. Translation takes them for periodic.
    rng : numpy.random.Generator
    noise : float
        Standard deviation of the noise, which is normal and clipped to 0 to 1.

    Yields
    ------
    name : str
        ``"mirror up-down"``, ``"mirror left-right"``, ``"translation"``, ``"noise"``,
        ``"polarity"`` (bright becomes dark), ``"90-degree turn"``.
    changed : ndarray of float, shape (n, h, h)

    Examples
    --------
    >>> dict(changes(np.eye(2)[None], np.random.default_rng(0)))["polarity"].tolist()
    [[[0.0, 1.0], [1.0, 0.0]]]
    """
    shifts = rng.integers(1, images.shape[1], (len(images), 2))
    moved = [np.roll(image, shift, (0, 1)) for image, shift in zip(images, shifts, strict=True)]
    grain = noise * rng.standard_normal(images.shape)
    yield "mirror up-down", images[:, ::-1]
    yield "mirror left-right", images[:, :, ::-1]
    yield "translation", np.stack(moved)
    yield "noise", np.clip(images + grain, 0, 1).astype(images.dtype)
    yield "polarity", 1 - images
    yield "90-degree turn", np.rot90(images, axes=(1, 2))


def images_per_second(encoders, images, pipeline="section", repeats=3):
    """Throughput of encoders on the same images, preprocessing included.

    Parameters
    ----------
    encoders : mapping of str to Encoder
    images : sequence of ndarray
        All different: equal ones are computed once.
    pipeline : str
        See `helpers.features.extract`.
    repeats : int
        The encoders take turns this many times; the median counts.

    Returns
    -------
    dict of str to ndarray, shape (3,)
        Median, lowest and highest [images/s].
    """
    rates = {name: [] for name in encoders}
    options = {"pipeline": pipeline, "store": False, "progress": False}
    for turn in range(repeats + 1):
        for name, encoder in encoders.items():
            some = images if turn else images[:8]  # the first turn warms up
            start = time.perf_counter()
            extract_features(some, encoder, **options)
            if turn:
                rates[name].append(len(images) / (time.perf_counter() - start))
    return {name: np.array([np.median(r), min(r), max(r)]) for name, r in rates.items()}
