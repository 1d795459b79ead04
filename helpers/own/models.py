"""Models of a user's own micrographs: fitted, validated as in the book, and applied."""

from __future__ import annotations

import dataclasses
import warnings
from typing import NamedTuple

import numpy as np
import pandas as pd
from sklearn.linear_model import LinearRegression
from sklearn.neighbors import NearestNeighbors
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler
from sklearn.svm import SVR

from helpers import UserError
from helpers.audit import tables
from helpers.audit.audit import Audit, audit
from helpers.audit.tables import BY_SOURCE, SHUFFLED
from helpers.beyond.choice import component_search, nested_choice
from helpers.cross_validation import MOST_COMPONENTS, NESTED_MODELS, nested_cv, nested_folds
from helpers.extract.feature_tables import sample_matrix
from helpers.extract.tables import first_few
from helpers.intervals import half_width
from helpers.own.properties import likely_pairs
from helpers.scores import N_FOLDS, PAPER_SEED, blind_predictions

BEST = "best"  # the kind whose learner is chosen inside the folds
LINEAR = "linear regression"  # what a choice is held against, and the audit of its features is by
KINDS = (*NESTED_MODELS, BEST)
LEVEL = 0.9  # of the prediction intervals
FLAGGED = 0.05  # share of samples like those of the training set that are flagged as unlike it
FEWEST = 20  # samples
FEWEST_TO_CHOOSE = 40  # samples; with fewer the choice among many learners is luck
CURVE_FROM = 60  # samples from which on a learning curve has parts that can be fitted
CURVE = (0.4, 0.6, 0.8)  # shares of the training parts
N_INNER = 5
REST = 12  # samples beside those of the largest source
NEAR_ZERO = 0.05  # of the median; a percentage error of such a sample rules the mean


class PropertyModel(NamedTuple):
    """A fitted model of one property.

    `name`, `kind` (``"lr"``, ``"pr"``, ``"svr"`` or ``"best"``); `pipeline`, from descriptors (n,
    n_features) to the property; `half_width` of the 90 % interval, in the unit of the property;
    `training` (n, n_features): descriptors of the fitted samples, and `nearest` (n,): sorted
    distances of each to the next one, of another source where sources are given; `out_of_fold`
    (DataFrame): ``sample``, ``measured``, ``predicted``, ``fold`` (and ``group``); `audit`;
    `facts` for people.
    """

    name: str
    kind: str
    pipeline: object
    half_width: float
    training: np.ndarray
    nearest: np.ndarray
    out_of_fold: pd.DataFrame
    audit: Audit
    facts: dict


def join(features, properties, aggregate="mean"):
    """Descriptors and properties of the samples that have both.

    Parameters
    ----------
    features : helpers.extract.feature_tables.FeatureTable
    properties : helpers.own.properties.PropertyTable
    aggregate : str
        ``"mean"`` or ``"concat"`` over the images of a sample.

    Returns
    -------
    samples : list of str
    X : ndarray, shape (n, n_features)
    only : dict of str to list
        ``"images"`` and ``"table"``: samples that stand there alone.

    Raises
    ------
    UserError
        No sample in both.
    """
    samples, X = sample_matrix(features, aggregate)
    known = properties.values.index
    both = np.isin(samples, known)
    only = {"images": [name for name in samples if name not in known]}
    only["table"] = [name for name in known if name not in set(samples)]
    if not both.any():
        raise UserError(
            f"no sample of the images ({first_few(samples, 3)}) stands in the table "
            f"({first_few(list(known), 3)}): do the names agree? An image is named like its file "
            f"without ending unless a column says otherwise{_spelling(only)}"
        )
    return [name for name in samples if name in known], X[both], only


def left_out_in_words(only):
    """Lines on the samples that `join` left out."""
    said = {"images": "samples of the images have no row in the table"}
    said["table"] = "rows of the table have no image"
    return [f"{len(n)} {said[key]} ({first_few(n)})" for key, n in only.items() if n]


def warn_left_out(only):
    """Warn of samples that `join` left out, and of names that may mean the same."""
    if said := left_out_in_words(only):
        warnings.warn(
            f"{' and '.join(said)}: they are left out. Compare how they are "
            f"written{_spelling(only)}",
            stacklevel=3,
        )


def _spelling(only):
    pairs = likely_pairs(only["images"], only["table"])
    return f": {first_few(pairs, 3)} may mean the same, and are not written alike" * bool(pairs)


def fit_property(
    name, samples, X, properties, *, kind="lr", seeds=(PAPER_SEED, 0, 1), progress=True
):
    """Fit a model of one property and validate it as the book does.

    Parameters
    ----------
    name : str
        Column of `properties`.
    samples : sequence of str
    X : ndarray of float, shape (n, n_features)
        Their descriptors.
    properties : helpers.own.properties.PropertyTable
    kind : str
        ``"lr"``, ``"pr"`` or ``"svr"`` on principal components, as in
        `helpers.cross_validation.nested_cv`; ``"best"``: of several learners the one that the
        inner folds choose, see `helpers.beyond.choice.nested_choice`.
    seeds : sequence of int
        Of the audit's shuffles.
    progress : bool
        Show the runs of the audit.

    Returns
    -------
    PropertyModel

    Raises
    ------
    ValueError
        Another kind; fewer than 20 samples with a value, or 40 for a choice; fewer than 4
        sources; zeros (a percentage error is undefined); a constant property.

    Notes
    -----
    The interval comes from the errors of nested cross-validation, on folds by source where
    sources are given: residuals of samples that no part of the model has seen. The number of
    components of the final model is chosen by cross-validation on all samples. Samples are taken
    in the order of their names, so that folds do not depend on that of the files.

    Where the learner is chosen, the audit holds features and controls against each other by
    linear regression; its table and differences get a row ``"descriptor"`` for the choice, on the
    folds that count and their first shuffle, and ``facts["choice"]`` holds what it found and cost.
    """
    values = properties.values.loc[list(samples), name].to_numpy(float)
    rows = sorted(np.flatnonzero(np.isfinite(values)), key=lambda i: samples[i])
    kept, X, y = [samples[i] for i in rows], X[rows], values[rows]
    _check_values(name, kept, y, kind)
    groups = None if properties.groups is None else properties.groups.loc[kept].to_numpy(str)
    folds = choose_folds(len(y), groups)
    composition = properties.composition
    if composition is not None:
        composition = composition.loc[kept].reset_index(drop=True)
        composition = composition.loc[:, composition.nunique() > 1]
        composition = composition if composition.shape[1] else None
    base = "lr" if kind == BEST else kind
    audited = audit(
        {LINEAR: X} if kind == BEST else X, y, groups, base, composition=composition, seeds=seeds,
        shares=_curve_shares(len(y), groups, **folds),
        level=LEVEL, store=False, progress=progress, **folds,
    )  # fmt: skip
    # Once more: an audit keeps errors and not predictions, of folds whose cap on the components
    # all its predictors share; the interval belongs to the model with the cap of its own.
    most = min(MOST_COMPONENTS[base], X.shape[1], _smallest_part(len(y), groups, folds) - 1)
    nested = nested_cv(X, y, base, groups, seed=PAPER_SEED, max_components=most, n_jobs=1, **folds)
    predicted, facts = nested.y_pred, {}
    if kind == BEST:
        # Few enough for whitening: every training part spans so many dimensions, also with copies.
        most = min((most + 1) // 2, int(np.linalg.matrix_rank(X - X.mean(axis=0))))
        pipeline, predicted, facts["choice"] = nested_choice(
            X, y, groups, nested.fold, inner=folds["inner"], most=most, progress=progress
        )
        audited = _with_choice(audited, predicted, facts["choice"], y, groups, nested)
    else:
        pipeline = _final(X, y, kind, groups, folds["inner"], most)
    table = pd.DataFrame({"sample": kept, "measured": y, "predicted": predicted})
    table["fold"] = nested.fold
    if groups is not None:
        table["group"] = groups
    facts |= {"n_samples": len(y), "missing": int(len(values) - len(y)), "folds": folds}
    facts |= {"n_components": int(pipeline[0].n_components_)}
    facts |= _facts(X, y, groups, audited.table)
    half = half_width(y - predicted, LEVEL)
    nearest = np.sort(_to_next(X, groups))
    return PropertyModel(name, kind, pipeline, half, X, nearest, table, audited, facts)


def _with_choice(audited, predicted, choice, y, groups, nested):
    """The audit with rows of a nested choice, and added to its facts what it cost."""
    kind, fold = SHUFFLED if groups is None else BY_SOURCE, nested.fold
    splits = [(np.flatnonzero(fold != i), np.flatnonzero(fold == i)) for i in np.unique(fold)]
    values = {"descriptor": predicted, LINEAR: nested.y_pred}
    values |= blind_predictions(y, splits, groups)
    runs = {(kind, name): [tables.Run(y, y_pred, fold)] for name, y_pred in values.items()}
    roles = dict.fromkeys(values, "control") | {"descriptor": "descriptor"}
    score = tables.score_rows(runs, roles)
    differences = tables.difference_rows(runs, roles, groups)
    choice["mape_folds"], choice["mape_folds_linear"] = score["mape_mean"][:2].tolist()
    choice["to_linear"] = differences.loc[0, ["difference", "low", "high"]].tolist()
    return dataclasses.replace(
        audited,
        table=pd.concat([score[:1], audited.table], ignore_index=True),
        differences=pd.concat([differences, audited.differences], ignore_index=True),
    )


def _check_values(name, samples, y, kind):
    """Raise where the kind is unknown, or values are too few, or zeros."""
    if kind not in KINDS:
        raise UserError(f"kind is {kind!r}: expected one of {', '.join(KINDS)}")
    fewest = FEWEST_TO_CHOOSE if kind == BEST else FEWEST
    if len(y) < fewest:
        raise UserError(
            f"{name!r} has {len(y)} samples with features and a value: at least {fewest} are "
            f"needed for kind={kind!r}; measure more"
        )
    zero = [samples[i] for i in np.flatnonzero(y == 0)]
    if zero:
        raise UserError(
            f"{name!r} is 0 for {first_few(zero)}: a percentage error is undefined there; leave "
            "these cells empty, or predict another property"
        )


def _facts(X, y, groups, table):
    """Errors as in the audit's table, and what a reader must know of samples and sources."""
    table = table[table["folds"] == (SHUFFLED if groups is None else BY_SOURCE)]
    table = table.set_index("predictor")
    errors = {f"mape_{name}": float(table.loc[name, "mape_pooled"]) for name in ("mean", "median")}
    sizes = pd.Series(groups).value_counts() if groups is not None else []
    return errors | {
        "mape": float(table.loc["descriptor", "mape_pooled"]),
        "mae": float(table.loc["descriptor", "mae"]),
        "n_groups": len(sizes) or None,
        "largest_source": int(max(sizes)) if len(sizes) else None,
        "copies": len(X) - len(np.unique(X, axis=0)),
        "near_zero": bool((y > 0).any() and (y < 0).any())
        or bool(abs(y).min() < NEAR_ZERO * np.median(abs(y))),
        "range": [float(y.min()), float(y.max())],
    }


def choose_folds(n, groups):
    """Numbers of outer and inner folds that samples and sources allow; the paper's at most."""
    if groups is None:
        return {"outer": min(N_FOLDS, n // 2), "inner": N_INNER}
    count = len(set(groups))
    if count < 4:
        raise UserError(
            f"there are {count} sources: at least 4 are needed for folds by source; leave the "
            "groups out to accept shuffled folds, whose scores may flatter"
        )
    largest = pd.Series(groups).value_counts()
    if n - largest.iloc[0] < REST:
        raise UserError(
            f"source {largest.index[0]!r} holds {largest.iloc[0]} of {n} samples: the others are "
            f"too few for folds by source, which need {REST}; collect more, or leave out the "
            "groups"
        )
    outer = min(N_FOLDS, count)
    return {"outer": outer, "inner": min(N_INNER, count - -(-count // outer))}


def _curve_shares(n, groups, outer, inner):
    """Points of a learning curve that samples and sources allow: inner folds need theirs."""
    if n < CURVE_FROM or groups is None:
        return CURVE if n >= CURVE_FROM else ()
    count = len(set(groups))
    left = count - -(-count // outer)
    return tuple(share for share in CURVE if int(share * left) >= inner)


def _smallest_part(n, groups, folds):
    """Samples that the inner models of nested cross-validation are fitted to, at least."""
    tried = nested_folds(np.zeros((n, 1)), groups=groups, max_components=1, n_jobs=1, **folds)
    return min(len(split.train) for parts in tried.inner for split in parts)


def _final(X, y, kind, groups, inner, most):
    """The pipeline fitted to all samples, its number of components by cross-validation."""
    squares = make_pipeline(
        StandardScaler(), PolynomialFeatures(2, include_bias=False), LinearRegression()
    )
    model = {"lr": LinearRegression(), "pr": squares, "svr": SVR(kernel="linear")}[kind]
    grid = {"model": [model], "pca__n_components": list(range(1, most + 1))}
    return component_search(grid, groups, inner).fit(X, y, groups=groups).best_estimator_


def _to_nearest(reference, X):
    """Distances from X to the nearest of a reference."""
    return NearestNeighbors(n_neighbors=1).fit(reference).kneighbors(X)[0][:, 0]


def _to_next(X, groups):
    """Distance of each sample to the next, of another source where sources are given.

    A new sample mostly comes from a new source, and is then as far from all of these.
    """
    Z = StandardScaler().fit_transform(X)
    groups = np.arange(len(X)) if groups is None else groups
    nearest = np.empty(len(X))
    for source in np.unique(groups):
        own = groups == source
        nearest[own] = _to_nearest(Z[~own], Z[own])
    return nearest


def predict_property(model, X):
    """Predictions with intervals, and which samples are unlike the fitted ones.

    Parameters
    ----------
    model : PropertyModel
    X : ndarray of float, shape (n, n_features)

    Returns
    -------
    pandas.DataFrame
        ``predicted``, ``lower`` and ``upper`` (90 % interval) in the unit of the property;
        ``typicality``, 0 to 1: the share of fitted samples that lie at least as far from their
        nearest neighbour, in standardised features, as this sample from its nearest; ``unlike``:
        whether that share is below 5 %. Then neither the prediction nor its interval can be
        trusted. The reverse does not hold: a picture of something else may lie near by.

    Notes
    -----
    The share is a conformal p-value (Laxhammar and Falkman 2015, doi:10.1007/s10472-013-9381-7):
    of samples like the fitted ones about 5 % are flagged as well, and more where fewer than about
    40 were fitted. Where sources were given, fitted samples are compared across sources, as new
    ones are.
    """
    predicted = model.pipeline.predict(X)
    # All features count, each by its spread over the fitted samples: the components of the model
    # may not see what is new.
    scaler = StandardScaler().fit(model.training)
    distance = _to_nearest(scaler.transform(model.training), scaler.transform(X))
    farther = len(model.nearest) - np.searchsorted(model.nearest, distance * (1 - 1e-9))
    share = (1 + farther) / (1 + len(model.nearest))
    return pd.DataFrame(
        {
            "predicted": predicted,
            "lower": predicted - model.half_width,
            "upper": predicted + model.half_width,
            "typicality": share,
            "unlike": share < FLAGGED,
        }
    )
