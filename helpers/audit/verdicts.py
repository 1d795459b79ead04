"""The rule by which the paper's conclusions are judged, and the numbers that it looks at.

What is claimed, and what each verdict leaves open, stands in book/90_checking_the_paper.py.
"""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd

from helpers.audit.findings import BEST, COMPOSED, SEEDS
from helpers.audit.studies import FEW_SEEDS
from helpers.audit.tables import BY_SOURCE, SHUFFLED, difference
from helpers.cross_validation import NESTED_MODELS
from helpers.encoders import ENCODERS
from helpers.intervals import holm, p_value, paired_interval
from helpers.scores import N_FOLDS, PAPER_SEED
from helpers.superalloy_scores import SHUFFLES, TWO_POINT

HOLDS, FAILS, OPEN = "holds", "fails", "not decided"
NOT_COMPUTED = "not computed here: make results"
TRANSFORMERS = [n for n, e in ENCODERS.items() if e.in_paper and e.family != "resnet"]
RESNET = "micronet-resnet50"
CLAIMED_ALIKE = ("2.4a", "4.b")  # claims are numbered as in book/90_checking_the_paper.py
ALIKE = 2.0  # points of MAPE; an interval within plus or minus this is "about the same"
DEGREES = {"lr": N_FOLDS * len(SEEDS) - 1, "svr": N_FOLDS * len(FEW_SEEDS) - 1}  # of the audits


def finding(findings, name, quantity, of):
    """Value, low and high of one finding.

    Parameters
    ----------
    findings : pandas.DataFrame
        ``data/results/audit/studies_findings.csv``, or ``evidence/components.csv``.
    name, quantity, of : str
        Its columns ``finding``, ``quantity`` and ``of``.

    Returns
    -------
    value, low, high : float
        Low and high are NaN where there are none.
    """
    wanted = {"finding": name, "quantity": quantity, "of": of}
    (row,) = findings[(findings[list(wanted)] == wanted).all(axis=1)].itertuples()
    return row.value, row.low, row.high


def judge(gaps):
    """Verdict on a claim that all of several numbers lie below zero.

    Parameters
    ----------
    gaps : iterable of (float, float, float, float)
        Value, low, high and degrees of freedom of each, as `claim_gaps` gives them.

    Returns
    -------
    str
        `FAILS`: at least one lies above zero, beyond chance when all are judged together
        (`helpers.intervals.holm`). `HOLDS`: the interval of each lies below zero. That needs no
        correction: where a single one of the numbers is not below zero, all intervals say so in
        at most one of forty cases (Berger 1982, doi:10.1080/00401706.1982.10487790). Else `OPEN`;
        without numbers `NOT_COMPUTED`.

    Examples
    --------
    >>> judge([(-2, -3, -1, 49), (-1, -2, 0.1, 49)]), judge([(-2, -3, -1, 49), (2, 1, 3, 49)])
    ('not decided', 'fails')
    """
    if not len(gaps):
        return NOT_COMPUTED
    below, p = np.transpose(gaps)[0] < 0, p_value(*np.transpose(gaps))
    if (~below & (holm(p) < 0.05)).any():
        return FAILS
    return HOLDS if (below & (p < 0.05)).all() else OPEN


def alike(gaps):
    """What is left of numbers beyond ± `ALIKE`: below zero where they are about the same.

    Examples
    --------
    >>> [judge(alike([(np.mean(ends), *ends, 49)])) for ends in ((-1, 1), (-1, 3), (3, 5))]
    ['holds', 'not decided', 'fails']
    """
    value, low, high, degrees = np.transpose(gaps)
    beyond = np.abs(value) - ALIKE
    half = (high - low) / 2
    return np.transpose([beyond, beyond - half, beyond + half, degrees])


def claim_gaps(lr, svr, findings, comparisons, scores):
    """Numbers that the paper's claims are judged by; a claim says that they lie below zero.

    Parameters
    ----------
    lr, svr : helpers.audit.audit.Audit
        Audits of the superalloys.
    findings, comparisons, scores : pandas.DataFrame
        ``audit/studies_findings.csv``, ``evidence/components.csv`` and ``superalloy_scores.csv``
        of ``data/results``.

    Returns
    -------
    dict of (str, str) to list of tuple
        (claim, kind of folds) -> value, low and high of each case that is claimed, intervals of
        95 %, and the degrees of freedom of Student's t behind them. Differences of two MAPE, in
        points; of ``"1.2"`` and ``"1.5a"`` logarithms of ratios. Of ``"2.4a"`` and ``"4.b"`` it is
        claimed that they are about zero.
    """
    pairs = itertools.product((TWO_POINT, "MicroViT"), ("lr", "pr"))
    concatenated = [("concat over mean", f"{name}, {model}", findings) for name, model in pairs]
    pairs = itertools.product((TWO_POINT, "MicroViT"), ("concat", "mean"))
    second = [("pr over lr", f"{name}, {how}", comparisons) for name, how in pairs]
    errors = scores.set_index(["descriptor", "model", "composition", "seed"])["fold_mape"]
    cases = itertools.product(TRANSFORMERS, NESTED_MODELS, ("no", "yes"))
    top, maps = ((name, "svr", "no") for name in (BEST, TWO_POINT))
    others = itertools.product((*TRANSFORMERS, RESNET, TWO_POINT), NESTED_MODELS, ("no",))
    by_svr = svr.differences.query("folds == @BY_SOURCE and role == 'descriptor'")
    compared = sorted({*by_svr["predictor"], *by_svr["other"]} - {BEST})
    gaps = {
        ("1.2", SHUFFLED): _log_ratios(concatenated),
        ("1.5a", SHUFFLED): _log_ratios(second),
        ("2.1", SHUFFLED): [_scored(errors, case, (TWO_POINT, *case[1:])) for case in cases],
        ("2.1", BY_SOURCE): [_audited(lr, "lr", n, TWO_POINT, BY_SOURCE) for n in TRANSFORMERS],
        ("2.3a", SHUFFLED): [_scored(errors, top, other) for other in others if other != top],
        ("2.3a", BY_SOURCE): [_audited(svr, "svr", BEST, n, BY_SOURCE) for n in compared],
        ("2.3b", SHUFFLED): [_scored(errors, top, maps, range(SHUFFLES))],
        ("2.3b", BY_SOURCE): [_audited(svr, "svr", BEST, TWO_POINT, BY_SOURCE)],
    }
    effect = "composition", "with composition minus without"
    for folds in (SHUFFLED, BY_SOURCE):
        fitted = [(BEST, "svr"), *((name, "lr") for name in COMPOSED)]
        added = {
            (name, m): [*finding(findings, *effect, f"{name}, {m}, {folds}"), DEGREES[m]]
            for name, m in fitted
        }
        gaps["2.4a", folds] = list(added.values())
        gaps["2.4b", folds] = [added[BEST, "svr"]]
        gaps["4.b", folds] = [added[BEST, m] for m in ("svr", "lr")]
        gaps["4.c", folds] = [_audited(lr, "lr", BEST, "mean", folds)]
    return gaps


def _log_ratios(cases):
    """Logarithms of ratios; those of bootstrapped ends are taken as normal."""
    numbers = [finding(table, "modulus", quantity, of) for quantity, of, table in cases]
    return [(*np.log(ratio), np.inf) for ratio in numbers]


def _audited(audited, model, name, other, folds):
    return *difference(audited, name, other, folds), DEGREES[model]


def _scored(errors, case, other, seeds=(PAPER_SEED,)):
    """Difference of two (descriptor, model, composition) in the committed scores."""
    one, two = (np.array([errors[(*c, s)].split() for s in seeds], float) for c in (case, other))
    mean, ends = paired_interval(one - two)
    return mean, *ends, one.size - 1


def verdict_table(gaps):
    """Verdicts on claims, by rule: an interval that includes zero decides nothing.

    Parameters
    ----------
    gaps : mapping of (str, str) to sequence of (float, float, float, float)
        As `claim_gaps` gives them; none where a claim's numbers are not computed here.

    Returns
    -------
    pandas.DataFrame
        A row a claim and kind of folds, its index: the ``verdict`` of `judge`; how many ``cases``
        there are; in how many of them the claim is true ``as observed``, by its interval
        ``beyond chance``, and ``after Holm``, all judged together; the ``lowest`` and ``highest``
        value, NaN without numbers.

    Examples
    --------
    >>> verdict_table({("1", "shuffled"): [(-2, -3, -1, 49), (-1, -2, 0.1, 49)]}).values.tolist()
    [['not decided', 2, 2, 1, 1, -2, -1]]
    """
    rows = {}
    for (claim, folds), cases in gaps.items():
        judged = np.reshape(alike(cases) if claim in CLAIMED_ALIKE else cases, (-1, 4))
        below, p = judged[:, 0] < 0, p_value(*judged.T)
        counts = [int((below & (q < 0.05)).sum()) for q in (np.zeros(len(p)), p, holm(p))]
        values = [value for value, *_ in cases] or [np.nan]
        rows[claim, folds] = [judge(judged), len(judged), *counts, min(values), max(values)]
    columns = ["verdict", "cases", "as observed", "beyond chance", "after Holm"]
    index = pd.MultiIndex.from_tuples(rows, names=["claim", "folds"])
    return pd.DataFrame([*rows.values()], index, [*columns, "lowest", "highest"])
