"""Checks of the paper's features as numbers: untrained networks, input that is not normalised."""

from __future__ import annotations

import numpy as np
from sklearn.model_selection import KFold

from helpers.audit.findings import ALLOYS, row
from helpers.cross_validation import nested_cv
from helpers.encoders import ENCODERS, load_encoder
from helpers.features import extract_features
from helpers.intervals import paired_interval
from helpers.microvit.measures import centred_cosine
from helpers.scores import N_FOLDS, PAPER_SEED
from helpers.vit.weights import weights_at_hand

NETWORKS = 3
EMBEDDED = "embedded micrographs, grey"
NORMALISED = ("clip-b32",)


def feature_statistics(X):
    """What tells features of a trained network from those of a random one.

    Parameters
    ----------
    X : ndarray of float, shape (n, n_features)

    Returns
    -------
    dict of str to float
        ``mean`` and ``standard deviation`` of all values; ``zeros``, their share [%];
        ``correlation``, the mean Pearson correlation between the vectors of two images.

    Examples
    --------
    >>> feature_statistics(np.array([[0.0, 1.0, 2.0], [0.0, 2.0, 4.0]]))["correlation"].round(6)
    np.float64(1.0)
    """
    X = np.asarray(X, float)
    between = np.corrcoef(X)[np.triu_indices(len(X), 1)]
    return {
        "mean": X.mean(),
        "standard deviation": X.std(),
        "zeros": 100 * (X == 0).mean(),
        "correlation": between.mean(),
    }


def untrained_rows(data, networks=NETWORKS):
    """Statistics of the published ResNet-50 vectors against networks with random weights.

    Parameters
    ----------
    data : helpers.datasets.SuperalloyData
        The published set.
    networks : int
        Number of random ResNet-50, which see the *segmented* micrographs.

    Returns
    -------
    list of dict
        Beside them the other published features; and MicroNet itself, loaded, on the segmented
        micrographs, where its weights are on this machine.
    """
    name, shown = "micronet-resnet50", {}
    for key, X in data.features.items():
        shown[f"{ENCODERS[key].title}, published"] = X
    for seed in range(networks):
        encoder = load_encoder(name, "random", seed=seed)
        title = f"ResNet-50 (untrained), seed {seed}, segmented"
        shown[title] = extract_features(data.binary_images, encoder, name="superalloys-published")
    if weights_at_hand(ENCODERS[name]) is not None:
        encoder = load_encoder(name)
        title = f"{encoder.title}, loaded, segmented"
        shown[title] = extract_features(data.binary_images, encoder, name="superalloys-published")
    units = {"zeros": "%"}
    return [
        row("untrained", quantity, of, ALLOYS, value, unit=units.get(quantity, ""))
        for of, X in shown.items()
        for quantity, value in feature_statistics(X).items()
    ]


def normalisation_rows(data, names=NORMALISED, seeds=(PAPER_SEED, 0, 1, 2, 3)):
    """Pixels from 0 to 1, as in the paper, against those that a network's authors normalise.

    Parameters
    ----------
    data : helpers.datasets.SuperalloyData
        With grey micrographs.
    names : sequence of str
        Encoders with a mean and standard deviation of their own. Random weights where the trained
        ones are not on this machine.
    seeds : sequence of int
        Of the outer folds.

    Returns
    -------
    list of dict
        Mean cosine between the features of a micrograph, normalised or not (the mean of all
        subtracted); points of MAPE normalised minus not, linear regression, with the interval of
        `helpers.intervals.paired_interval`.
    """
    y, rows = data.hardness, []
    for name in names:
        trained = weights_at_hand(ENCODERS[name]) is not None
        encoder = load_encoder(name, "pretrained" if trained else "random")
        raw, normalised = (
            extract_features(data.images, encoder, normalize=way, name="superalloys-embedded")
            for way in ("none", "encoder")
        )
        cosine = centred_cosine(raw, normalised).mean()
        rows.append(row("normalisation", "cosine", encoder.title, EMBEDDED, cosine))
        differences = []
        for seed in seeds:
            outer = KFold(N_FOLDS, shuffle=True, random_state=seed)
            errors = [nested_cv(X, y, outer=outer).fold_mape for X in (normalised, raw)]
            differences.append(errors[0] - errors[1])
        mean, ends = paired_interval(differences)
        what = "normalised minus not"
        rows.append(row("normalisation", what, encoder.title, EMBEDDED, mean, *ends, "points"))
    return rows
