"""Checks of the paper's data and protocol as numbers, each made by code.

The columns are those of `row`; `helpers.audit.studies` writes them to a file.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
from sklearn.decomposition import PCA
from sklearn.model_selection import KFold, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVR

from helpers.audit.source_leak import clustered_interval
from helpers.cross_validation import nested_cv, nested_folds
from helpers.encoders import load_encoder
from helpers.features import extract_features
from helpers.intervals import paired_interval, ratio_interval
from helpers.io.superalloy_files import odd_sums
from helpers.regression import aggregate_sections, holdout, holdout_scores, mape
from helpers.scores import N_FOLDS, PAPER_SEED, evaluate_descriptors
from helpers.superalloy_scores import TWO_POINT, superalloy_descriptors
from helpers.two_point import two_point_statistics

ALLOYS, VOLUMES = "published superalloys", "embedded volumes"
FRACTIONS = "stiff fraction of the sections"


def row(finding, quantity, of, data, value, low=np.nan, high=np.nan, unit=""):
    """One row of a table of findings.

    Parameters
    ----------
    finding, quantity, of, data : str
        What it belongs to, what was computed, of which descriptor or case, from which data.
    value, low, high : float
        The number with an interval or range, which each maker of rows describes; NaN: none.
    unit : str
        ``"points"`` are differences of MAPE.

    Returns
    -------
    dict
    """
    return {"finding": finding, "quantity": quantity, "of": of, "data": data} | {
        "value": float(value), "low": float(low), "high": float(high), "unit": unit
    }  # fmt: skip


def component_rows(descriptors, fraction, data, groups=None):
    """How much the first component carries, and how closely it follows the phase fraction.

    Parameters
    ----------
    descriptors : mapping of str to ndarray, shape (n, n_features)
    fraction : ndarray, shape (n,)
        Share of one phase.
    data : str
        Name of the data.
    groups : ndarray, shape (n,), optional
        Sources, which the bootstrap draws whole.

    Returns
    -------
    list of dict
        Share of the variance [%]; absolute correlation with percentiles 2.5 and 97.5 of 500
        bootstrap samples.
    """
    rows = []
    for name, X in descriptors.items():
        pca = PCA(1, svd_solver="arpack", random_state=0)
        first = pca.fit_transform(X - X.mean(axis=0))[:, 0]
        total = np.var(X, axis=0).sum() * len(X) / (len(X) - 1)
        share = 100 * pca.explained_variance_[0] / total
        rows.append(row("first component", "share of the variance", name, data, share, unit="%"))
        r, ends = _correlation(first, fraction, groups)
        rows.append(row("first component", "correlation", name, data, r, *ends))
    return rows


def _correlation(a, b, groups, draws=500):
    rng, r = np.random.default_rng(0), []
    units = np.arange(len(a)) if groups is None else np.unique(groups)
    members = (
        [[i] for i in units] if groups is None else [np.flatnonzero(groups == u) for u in units]
    )
    for _ in range(draws):
        drawn = rng.integers(0, len(units), len(units))
        rows = drawn if groups is None else np.concatenate([members[i] for i in drawn])
        r.append(abs(np.corrcoef(a[rows], b[rows])[0, 1]))
    return abs(np.corrcoef(a, b)[0, 1]), np.quantile(r, [0.025, 0.975])


def volume_descriptors(data, rows=slice(None), how="concat"):
    """Descriptors of case study 1 that need no download.

    Parameters
    ----------
    data : helpers.datasets.TwoPhaseData
    rows : slice or ndarray of int
        Volumes.
    how : str
        See `helpers.regression.aggregate_sections`.

    Returns
    -------
    dict of str to ndarray, shape (n, n_features)
        Two-point statistics, `FRACTIONS`, MicroViT and its twin with random weights.
    """
    sections = data.sections[rows]
    flat = sections.reshape(-1, *sections.shape[2:])
    found = {TWO_POINT: two_point_statistics(flat).reshape(len(flat), -1)}
    found[FRACTIONS] = flat.mean((1, 2))[:, None]
    for weights in ("pretrained", "random"):
        encoder = load_encoder("microvit", weights)
        found[encoder.title] = extract_features(
            flat, encoder, pipeline="section", name="two-phase-embedded"
        )
    shape = (*sections.shape[:2], -1)
    return {name: aggregate_sections(X.reshape(shape), how) for name, X in found.items()}


def volume_findings(data, concatenated, averaged):
    """Numbers on the paper's conclusions on case study 1, by its protocol.

    Parameters
    ----------
    data : helpers.datasets.TwoPhaseData
    concatenated, averaged : dict of str to ndarray, shape (n, n_features)
        The same descriptors, see `volume_descriptors`.

    Returns
    -------
    pandas.DataFrame
        MAPE of the test part [%], and ratios of two, with the bootstrap intervals of
        `helpers.intervals.ratio_interval`; and the rows of `component_rows`.
    """
    rows, errors = [], {}
    for how, descriptors in (("concat", concatenated), ("mean", averaged)):
        for name, X in descriptors.items():
            scores = holdout_scores(X, min(50, X.shape[1]))
            for model in ("lr", "pr"):
                result = holdout(scores, data.modulus, model)
                e = errors[name, how, model] = 100 * np.abs(result.y_pred / result.y_test - 1)
                value, ends = ratio_interval(e, np.ones(len(e)))
                of = f"{name}, {how}, {model}"
                rows.append(row("modulus", "test MAPE", of, VOLUMES, value, *ends, "%"))
    first = next(iter(concatenated))
    for name in concatenated:
        for model in ("lr", "pr"):
            ratio, ends = ratio_interval(*(errors[name, how, model] for how in ("concat", "mean")))
            of = f"{name}, {model}"
            rows.append(row("modulus", "concat over mean", of, VOLUMES, ratio, *ends))
        ratio, ends = ratio_interval(errors[name, "concat", "pr"], errors[first, "concat", "pr"])
        rows.append(row("modulus", f"MAPE over that of {first}", name, VOLUMES, ratio, *ends))
    return pd.DataFrame(rows + component_rows(concatenated, data.volume_fraction, VOLUMES))


SEEDS = (PAPER_SEED, 0, 1, 2, 3)
ORDERS = 20
BEST = "dinov2-l14"
COMPOSED = ("clip-l14", BEST, "sam-h")
PARITY = {"micrograph": 34, "micrograph and composition": 49}  # components, Figs. 8b and 9b


def outside_rows(data, seeds=SEEDS):
    """Scaling and PCA fitted on all samples before the folds, minus fitted inside them.

    Parameters
    ----------
    data : helpers.datasets.SuperalloyData
    seeds : sequence of int
        Of the outer folds.

    Returns
    -------
    list of dict
        Points of MAPE, linear regression, with the interval of
        `helpers.intervals.paired_interval`. Negative: fitted outside, the error looks smaller.
    """
    descriptors, y, rows = superalloy_descriptors(data), data.hardness, []
    for name in (TWO_POINT, *COMPOSED):
        for label, composition in (("alone", None), ("with composition", data.composition)):
            if composition is not None and name == TWO_POINT:
                continue  # 25 281 columns to scale in every fold, for 22
            everything, differences = _components_of_all(descriptors[name], composition), []
            for seed in seeds:
                outer = KFold(N_FOLDS, shuffle=True, random_state=seed)
                folds = nested_folds(descriptors[name], composition, outer=outer)
                leaky = dataclasses.replace(
                    folds,
                    outer=[s._replace(scores=everything) for s in folds.outer],
                    inner=[[s._replace(scores=everything) for s in f] for f in folds.inner],
                )
                inside, outside = (nested_cv(f, y, "lr").fold_mape for f in (folds, leaky))
                differences.append(outside - inside)
            mean, ends = paired_interval(differences)
            of = f"{name}, {label}"
            rows.append(row("outside", "fitted on all minus inside", of, ALLOYS, mean, *ends))
    return rows


def _components_of_all(X, composition):
    """Component scores fitted on every row, whatever fold it will be in."""
    if composition is not None:
        X = StandardScaler().fit_transform(np.hstack([X, composition]))
    return PCA(50, svd_solver="full").fit_transform(X)


def order_rows(data, orders=ORDERS, seed=0):
    """Error under the paper's seed with the rows of the table in other orders.

    Parameters
    ----------
    data : helpers.datasets.SuperalloyData
    orders : int
        Permutations.
    seed : int
        Of the permutations.

    Returns
    -------
    list of dict
        Mean MAPE over the folds [%], linear regression: in the order of the table, and the mean
        of the other orders with the lowest and the highest.
    """
    descriptors, y, rows = superalloy_descriptors(data), data.hardness, []
    rng = np.random.default_rng(seed)
    orders = [rng.permutation(len(y)) for _ in range(orders)]
    for name in (TWO_POINT, BEST):
        X = descriptors[name]
        rows.append(row("order", "as in the table", name, ALLOYS, nested_cv(X, y).mean, unit="%"))
        means = [nested_cv(X[order], y[order]).mean for order in orders]
        ends = min(means), max(means)
        rows.append(row("order", "other orders", name, ALLOYS, np.mean(means), *ends, "%"))
    return rows


def composition_rows(data, seeds=SEEDS, svr_seeds=SEEDS[:2], store=None):
    """What composition adds to a descriptor, niobium twice or once, and the odd compositions.

    Parameters
    ----------
    data : helpers.datasets.SuperalloyData
    seeds, svr_seeds : sequence of int
        Of the outer folds, for linear and for support vector regression.
    store : path-like, None or False
        See `helpers.scores.evaluate_descriptors`.

    Returns
    -------
    list of dict
        Points of MAPE with composition minus without, and with niobium once minus twice, with
        the interval of `helpers.intervals.paired_interval`. For the odd compositions: points of
        MAPE of the other rows with the odd ones in the table minus without them, linear
        regression on the composition alone; interval with sources as units.
    """
    y, rows, options = data.hardness, [], {"store": store, "progress": False}
    for model, names, chosen in (("lr", COMPOSED, seeds), ("svr", [BEST], svr_seeds)):
        some = {name: data.features[name] for name in names}
        for kind, groups in (("shuffled", None), ("by source", data.groups)):
            given = {"groups": groups, "seeds": chosen, **options}
            tables = [None, data.composition, *[data.merged_composition] * (model == "lr")]
            runs = [
                evaluate_descriptors(some, y, [model], composition=table, **given)
                for table in tables
            ]
            for name in names:
                errors = [np.array([r[name, model, s].fold_mape for s in chosen]) for r in runs]
                of = f"{name}, {model}, {kind}"
                mean, ends = paired_interval(errors[1] - errors[0])
                what = "with composition minus without"
                rows.append(row("composition", what, of, ALLOYS, mean, *ends, "points"))
                if model == "lr":
                    mean, ends = paired_interval(errors[2] - errors[1])
                    what = "once minus twice"
                    rows.append(row("niobium", what, of, ALLOYS, mean, *ends, "points"))
    return rows + _odd_rows(data) + _niobium_rows(data.composition)


def _odd_rows(data):
    composition, y = data.composition.to_numpy(), data.hardness
    usual = ~data.composition.index.isin(odd_sums(data.composition).index)
    whole = nested_cv(composition, y).y_pred[usual]
    alone = nested_cv(composition[usual], y[usual]).y_pred
    errors = [100 * np.abs(p / y[usual] - 1) for p in (whole, alone)]
    mean, ends = clustered_interval(errors[0] - errors[1], data.groups[usual])
    of = f"the {usual.sum()} other alloys"
    found = [row("odd sums", "with them minus without", of, ALLOYS, mean, *ends, "points")]
    return [*found, row("odd sums", "compositions", "not 98 to 102 %", ALLOYS, (~usual).sum())]


def _niobium_rows(composition):
    has = composition[["Nb", "Cb"]] > 0
    counts = {"Nb": has["Nb"].sum(), "Cb": has["Cb"].sum(), "both": has.all(axis=1).sum()}
    return [row("niobium", "alloys with", k, ALLOYS, v) for k, v in counts.items()]


def parity_rows(data):
    """Errors of the single split that the paper's parity plots show, for its best descriptor.

    Parameters
    ----------
    data : helpers.datasets.SuperalloyData

    Returns
    -------
    list of dict
        MAPE [%] of fitted and of test points, support vector regression; with composition once
        as drawn by the paper's notebook, not standardised, and once standardised.
    """
    X, y, rows = data.features[BEST], data.hardness, []
    both = np.hstack([X, data.composition])
    train, test = train_test_split(np.arange(len(y)), test_size=0.1, random_state=2)
    alone, with_it = PARITY.items()
    cases = [(alone[0], X, alone[1], []), (f"{with_it[0]}, as drawn", both, with_it[1], [])]
    cases.append((f"{with_it[0]}, standardised", both, with_it[1], [StandardScaler()]))
    for of, Z, n, scaling in cases:
        model = make_pipeline(*scaling, PCA(n, svd_solver="full"), SVR(kernel="linear"))
        predicted = model.fit(Z[train], y[train]).predict(Z)
        for what, part in (("fitted", train), ("test", test)):
            error = mape(y[part], predicted[part])
            rows.append(row("parity", f"MAPE of {what} points", of, ALLOYS, error, unit="%"))
    return rows


def alloy_findings(data, store=None):
    """All findings on the superalloys.

    Parameters
    ----------
    data : helpers.datasets.SuperalloyData
        The published set.
    store : path-like, None or False
        See `helpers.scores.evaluate_descriptors`.

    Returns
    -------
    pandas.DataFrame
    """
    share = np.array([image.mean() for image in data.binary_images])
    rows = outside_rows(data) + order_rows(data)
    rows += composition_rows(data, store=store) + parity_rows(data)
    rows += component_rows(superalloy_descriptors(data), share, ALLOYS, data.groups)
    return pd.DataFrame(rows)
