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
from helpers.microvit.probes import shape_r2
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
    pooling, encoders = None if model in ENCODERS else "cls", {}
    for name, weights in ((OURS, "pretrained"), (RANDOM, "random")):
        encoder = load_encoder(model, weights, pooling=pooling, device="cpu")
        entry = dataclasses.replace(encoder.entry, longest=ENCODERS["microvit"].longest)
        encoders[name] = dataclasses.replace(encoder, entry=entry)
    return encoders


def describers(encoders, periodic=True):
    """Functions from images (n, h, h) to features (n, d).

    Parameters
    ----------
    encoders : mapping of str to helpers.encoders.Encoder
        Two-point statistics are added.
    periodic : bool
        See `helpers.two_point.two_point_statistics`.

    Returns
    -------
    dict of str to callable
    """

    def autocorrelation(images):
        maps = two_point_statistics(images, dtype=np.float32, periodic=periodic)
        return maps.reshape(len(images), -1)

    options = {"pipeline": "section", "store": False, "progress": False}
    describe = {
        name: functools.partial(extract_features, encoder=encoder, **options)
        for name, encoder in encoders.items()
    }
    return describe | {TWO_POINT: autocorrelation}


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


def invariance(images, describe, data, skip=()):
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

    Returns
    -------
    list of dict
        Mean over the images, with their percentiles 10 and 90.
    """
    rows = []
    for name, function in describe.items():
        features = function(images)
        for change, changed in changes(images, np.random.default_rng(SEED)):
            if change in skip:
                continue
            cosine = centred_cosine(features, function(np.ascontiguousarray(changed)))
            ends = np.percentile(cosine, [10, 90])
            rows.append(row("invariance", change, data, name, "cosine", cosine.mean(), *ends))
    return rows


def sensitivity(describe, n=3000):
    """R2 of a ridge probe for what tells microstructures apart, on generated images of 49 x 49.

    Parameters
    ----------
    describe : mapping of str to callable
        As in `invariance`.
    n : int
        Binary images, and as many grey ones. Two thirds fit the probe, one third tests it.

    Returns
    -------
    list of dict
        Chord lengths are averaged over both phases; their logarithm is asked for, and that of
        the ratio of x to y. Targets are for binary images; of grey ones, volume fraction only
        where the image tells which phase is which. Without intervals.
    """
    rows = []
    for kind, grey in (("binary", 0), ("grey", 1)):
        batch = sample_batch(np.random.default_rng([SEED, 1 + grey]), n, grey=grey)
        for name, function in describe.items():
            found = zip(LEAST_R2.items(), shape_r2(function(batch.images), batch), strict=True)
            for (quantity, least), r2 in found:
                target = f"value >= {least}" if (name, kind) == (OURS, "binary") else ""
                keys = "sensitivity", quantity, f"generated, {kind}", name, "ridge, R2"
                rows.append(row(*keys, r2, target=target))
    return rows


def speed(ours, sections, micrographs):
    """Images a second on this CPU, beside DINOv2 S14 (random weights: they cost the same).

    Preprocessing included; median of three runs, lowest and highest. All images differ, for equal
    ones are computed once.
    """
    encoders = {OURS: ours, "DINOv2 S14": load_encoder("dinov2-s14", "random", device="cpu")}
    rows = []
    for pipeline, images in (("section", sections), ("micrograph", micrographs)):
        options = {"pipeline": pipeline, "store": False, "progress": False}
        rates = {name: [] for name in encoders}
        for encoder in encoders.values():  # warms up
            extract_features(images[:8], encoder, **options)
        for name, encoder in 3 * list(encoders.items()):  # they take turns
            start = time.perf_counter()
            extract_features(images, encoder, **options)
            rates[name].append(len(images) / (time.perf_counter() - start))
        for name, r in rates.items():
            keys = "speed", f"{pipeline}s", "embedded", name, "CPU"
            rows.append(row(*keys, np.median(r), min(r), max(r), unit="images/s"))
    return rows


def centred_cosine(features, changed):
    """Cosine (n,) between the features (n, d) of each image before and after a change.

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


def changes(images, rng):
    """Images (n, h, h) after what should leave features alone, and after a turn, which should not.

    Yields names and changed images. Translation takes them for periodic; polarity makes bright
    dark; noise is normal, of standard deviation 0.1, and clipped to 0 to 1.

    Examples
    --------
    >>> dict(changes(np.eye(2)[None], np.random.default_rng(0)))["polarity"].tolist()
    [[[0.0, 1.0], [1.0, 0.0]]]
    """
    shifts = rng.integers(1, images.shape[1], (len(images), 2))
    moved = [np.roll(image, shift, (0, 1)) for image, shift in zip(images, shifts, strict=True)]
    grain = 0.1 * rng.standard_normal(images.shape)
    yield "mirror up-down", images[:, ::-1]
    yield "mirror left-right", images[:, :, ::-1]
    yield "translation", np.stack(moved)
    yield "noise", np.clip(images + grain, 0, 1).astype(images.dtype)
    yield "polarity", 1 - images
    yield "90-degree turn", np.rot90(images, axes=(1, 2))
