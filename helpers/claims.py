"""Numbers behind the conclusions of the paper: the embedded volumes, and first components."""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.decomposition import PCA

from helpers.encoders import load_encoder
from helpers.features import extract_features
from helpers.intervals import ratio_interval
from helpers.regression import aggregate_sections, holdout, holdout_scores
from helpers.superalloy_scores import TWO_POINT
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
