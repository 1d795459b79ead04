"""Checks of the paper's data, features and protocol as numbers, each made by code.

The columns are those of `row`; `helpers.audit.studies` writes them to a file. Units: ``"points"``
are differences of MAPE. Intervals are those of `helpers.intervals.paired_interval`, of
`helpers.intervals.ratio_interval` on the volumes, where nothing else is said.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools

import numpy as np
import pandas as pd
from sklearn.decomposition import PCA
from sklearn.model_selection import KFold
from sklearn.preprocessing import StandardScaler

from helpers.audit.source_leak import clustered_interval
from helpers.cross_validation import nested_cv, nested_folds
from helpers.encoders import ENCODERS, load_encoder
from helpers.features import extract_features
from helpers.intervals import labelled_number, paired_interval, ratio_interval
from helpers.io.superalloy_files import odd_sums
from helpers.regression import aggregate_sections, fit_pca, holdout, holdout_scores
from helpers.scores import N_FOLDS, PAPER_SEED, evaluate_descriptors
from helpers.superalloy_scores import TWO_POINT, superalloy_descriptors
from helpers.two_point import two_point_statistics
from helpers.vit.weights import weights_at_hand

ALLOYS, VOLUMES = "published superalloys", "embedded volumes"
FRACTIONS = "stiff fraction of the sections"
SEEDS = (PAPER_SEED, 0, 1, 2, 3)
BEST = "dinov2-l14"
COMPOSED = ("clip-l14", BEST, "sam-h")

row = functools.partial(labelled_number, ("finding", "quantity", "of", "data"))


def component_rows(descriptors, fraction, data, groups=None):
    """Variance that the first component carries, and how closely it follows the phase fraction.

    Correlations with percentiles 2.5 and 97.5 of 500 bootstrap samples; groups are drawn whole.
    """
    rows = []
    for name, X in descriptors.items():
        pca = fit_pca(X, 1)
        share = 100 * pca.explained_variance_ratio_[0]
        rows.append(row("first component", "share of the variance", name, data, share, unit="%"))
        units = np.arange(len(X)) if groups is None else groups
        r, ends = _correlation(pca.transform(X)[:, 0], fraction, units)
        rows.append(row("first component", "correlation", name, data, r, *ends))
    return rows


def _correlation(a, b, groups):
    members = list(pd.Series(a).groupby(groups).indices.values())
    rng, r = np.random.default_rng(0), []
    for _ in range(500):
        drawn = rng.integers(0, len(members), len(members))
        rows = np.concatenate([members[i] for i in drawn])
        r.append(abs(np.corrcoef(a[rows], b[rows])[0, 1]))
    return abs(np.corrcoef(a, b)[0, 1]), np.quantile(r, [0.025, 0.975])


def volume_descriptors(data, rows=slice(None), how="concat"):
    """Descriptors by name of case study 1 that need no download, (n, n_features), of some volumes.

    `how` is that of `helpers.regression.aggregate_sections`.
    """
    sections = data.sections[rows]
    flat = sections.reshape(-1, *sections.shape[2:])
    features = {TWO_POINT: two_point_statistics(flat), FRACTIONS: flat.mean((1, 2))}
    for weights in ("pretrained", "random"):
        encoder = load_encoder("microvit", weights)
        features[encoder.title] = extract_features(
            flat, encoder, pipeline="section", name="two-phase-embedded"
        )
    shape = (*sections.shape[:2], -1)
    return {name: aggregate_sections(X.reshape(shape), how) for name, X in features.items()}


def volume_findings(data):
    """The paper's protocol of case study 1 on the embedded volumes: errors, and ratios of two."""
    concatenated, averaged = (volume_descriptors(data, how=how) for how in ("concat", "mean"))
    rows, errors = [], {}
    for how, descriptors in (("concat", concatenated), ("mean", averaged)):
        for name, X in descriptors.items():
            scores = holdout_scores(X, min(50, X.shape[1]))
            for model in ("lr", "pr"):
                result = holdout(scores, data.modulus, model)
                e = errors[name, how, model] = 100 * np.abs(result.y_pred / result.y_test - 1)
                value, ends = ratio_interval(e, np.ones(len(e)))
                of = f"{name}, {how}, {model}"
                rows.append(row("modulus", "test MAPE", of, VOLUMES, value, *ends, unit="%"))
    for name in concatenated:
        for model in ("lr", "pr"):
            ratio, ends = ratio_interval(*(errors[name, how, model] for how in ("concat", "mean")))
            of = f"{name}, {model}"
            rows.append(row("modulus", "concat over mean", of, VOLUMES, ratio, *ends))
    return pd.DataFrame(rows + component_rows(concatenated, data.volume_fraction, VOLUMES))


def outside_rows(data):
    """Scaling and PCA fitted on all samples before the folds, minus fitted inside; linear.

    Negative: fitted outside, the error looks smaller.
    """
    descriptors, rows = superalloy_descriptors(data), []
    cases = [(TWO_POINT, "alone", None)]  # with 22 more, 25 281 columns to scale in every fold
    for name in COMPOSED:
        cases += [(name, "alone", None), (name, "with composition", data.composition)]
    for name, label, composition in cases:
        X = everything = descriptors[name]
        if composition is not None:
            everything = StandardScaler().fit_transform(np.hstack([X, composition]))
        everything, differences = PCA(50, svd_solver="full").fit_transform(everything), []
        for seed in SEEDS:
            outer = KFold(N_FOLDS, shuffle=True, random_state=seed)
            folds = nested_folds(X, composition, outer=outer)
            leaky = dataclasses.replace(
                folds,
                outer=[s._replace(scores=everything) for s in folds.outer],
                inner=[[s._replace(scores=everything) for s in f] for f in folds.inner],
            )
            inside, outside = (nested_cv(f, data.hardness).fold_mape for f in (folds, leaky))
            differences.append(outside - inside)
        mean, ends = paired_interval(differences)
        of = f"{name}, {label}"
        rows.append(row("outside", "fitted on all minus inside", of, ALLOYS, mean, *ends))
    return rows


def _fold_errors(descriptors, y, model, seeds, **options):
    """MAPE [%] of the outer folds by descriptor, shape (n_seeds, n_folds)."""
    results = evaluate_descriptors(descriptors, y, [model], seeds=seeds, progress=False, **options)
    return {n: np.array([results[n, model, s].fold_mape for s in seeds]) for n in descriptors}


def composition_rows(data):
    """What composition adds to a descriptor, niobium twice or once, and the odd compositions."""
    rows = []
    for model, names, seeds in (("lr", COMPOSED, SEEDS), ("svr", [BEST], SEEDS[:2])):
        some = {name: data.features[name] for name in names}
        for kind, groups in (("shuffled", None), ("by source", data.groups)):
            errors = functools.partial(
                _fold_errors, some, data.hardness, model, seeds, groups=groups
            )
            alone, twice = errors(), errors(composition=data.composition)
            steps = [("composition", "with composition minus without", twice, alone)]
            if model == "lr":
                once = errors(composition=data.merged_composition)
                steps.append(("niobium", "once minus twice", once, twice))
            for name, (finding, quantity, after, before) in itertools.product(names, steps):
                mean, ends = paired_interval(after[name] - before[name])
                of = f"{name}, {model}, {kind}"
                rows.append(row(finding, quantity, of, ALLOYS, mean, *ends, unit="points"))
    return rows + _odd_rows(data)


def _odd_rows(data):
    """The other alloys with the odd compositions in the table minus without; sources as units."""
    composition, y = data.composition.to_numpy(), data.hardness
    usual = ~data.composition.index.isin(odd_sums(data.composition).index)
    whole = nested_cv(composition, y).y_pred[usual]
    alone = nested_cv(composition[usual], y[usual]).y_pred
    errors = [100 * np.abs(p / y[usual] - 1) for p in (whole, alone)]
    mean, ends = clustered_interval(errors[0] - errors[1], data.groups[usual])
    labels = "with them minus without", f"the {usual.sum()} other alloys", ALLOYS
    return [row("odd sums", *labels, mean, *ends, unit="points")]


def alloy_findings(data):
    """Findings on the superalloys by the paper's protocol, with the features that it published.

    Parameters
    ----------
    data : helpers.io.superalloy_files.SuperalloyData
        The published set.

    Returns
    -------
    pandas.DataFrame
        A row a number: ``finding``, ``quantity``, ``of`` (a descriptor or case), ``data``,
        ``value`` with ``low`` and ``high`` (NaN: none), ``unit``.
    """
    share = np.array([image.mean() for image in data.binary_images])
    components = component_rows(superalloy_descriptors(data), share, ALLOYS, data.groups)
    return pd.DataFrame(outside_rows(data) + composition_rows(data) + components)


def untrained_rows(data):
    """How alike the features of two images are: the published ones, and of untrained networks.

    Mean Pearson correlation between the vectors of two images. Networks with random weights, and
    MicroNet where its weights are at hand, see the segmented micrographs.
    """
    name, images = "micronet-resnet50", data.binary_images
    shown = {f"{ENCODERS[key].title}, published": X for key, X in data.features.items()}
    encoders = {
        f"ResNet-50 (untrained), seed {seed}": load_encoder(name, "random", seed=seed)
        for seed in range(3)
    }
    if weights_at_hand(ENCODERS[name]) is not None:
        encoders[f"{ENCODERS[name].title}, loaded"] = load_encoder(name)
    for title, encoder in encoders.items():
        X = extract_features(images, encoder, name="superalloys-published")
        shown[f"{title}, segmented"] = X
    pairs = {of: np.corrcoef(X)[np.triu_indices(len(X), 1)].mean() for of, X in shown.items()}
    return [row("untrained", "correlation", of, ALLOYS, r) for of, r in pairs.items()]
