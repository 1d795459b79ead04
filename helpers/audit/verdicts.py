"""What becomes of the paper's conclusions: each one held against numbers of this book."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd

from helpers.audit.audit import LINEAR
from helpers.audit.findings import ALLOYS, BEST, COMPOSED
from helpers.audit.tables import BY_SOURCE, SHUFFLED, difference, sure
from helpers.cross_validation import NESTED_MODELS
from helpers.encoders import ENCODERS
from helpers.intervals import paired_interval
from helpers.scores import PAPER_SEED
from helpers.superalloy_scores import SHUFFLES, TWO_POINT

HOLDS, FAILS, OPEN = "holds", "fails", "not decided"
TRANSFORMERS = [n for n, e in ENCODERS.items() if e.in_paper and e.family != "resnet"]
RESNET = "micronet-resnet50"
CLAIMED_ALIKE = "2.4a"  # claims are numbered as in the tables of book/70_what_models_know.py
ALIKE = 2.0  # points of MAPE; an interval within plus or minus this is "about the same"


def finding(findings, name, quantity, of):
    """Value, low and high of one finding.

    Parameters
    ----------
    findings : pandas.DataFrame
        ``data/results/audit/studies_findings.csv``.
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
    """Verdict on a claim that all of several numbers (value, low, high) lie below zero.

    Examples
    --------
    >>> judge([(-2, -3, -1), (-1, -2, 0.1)]), judge([(-2, -3, -1), (2, 1, 3)])
    ('not decided', 'fails')
    """
    _, low, high = np.transpose(list(gaps))
    if (low > 0).any():
        return FAILS
    return HOLDS if (high < 0).all() else OPEN


def judge_alike(gaps):
    """Verdict on a claim that several numbers are about zero: that they lie inside ± `ALIKE`.

    Examples
    --------
    >>> [judge_alike([(0, *ends)]) for ends in ((-1, 1), (-1, 3), (3, 4))]
    ['holds', 'not decided', 'fails']
    """
    mirrored = [(-value, -high, -low) for value, low, high in gaps]
    return judge(np.subtract([*gaps, *mirrored], ALIKE))


def claim_gaps(lr, svr, findings, scores):
    """Numbers that the paper's claims are judged by; a claim says that they lie below zero.

    Parameters
    ----------
    lr, svr : helpers.audit.audit.Audit
        Audits of the superalloys.
    findings, scores : pandas.DataFrame
        ``data/results/audit/studies_findings.csv`` and ``data/results/superalloy_scores.csv``.

    Returns
    -------
    dict of (str, str) to list of tuple
        (claim, kind of folds) -> value, low and high of each case that is claimed, intervals of
        95 %. Differences of two MAPE, in points; of ``"1.2"`` the ratio of two less one; of
        ``"4.a"`` differences of shares of the variance [%] and of correlations, these from the
        far ends of two intervals. Of ``"2.4a"`` it is claimed that they are about zero.
    """
    ratios = [
        finding(findings, "modulus", "concat over mean", f"{name}, {model}")
        for name, model in itertools.product((TWO_POINT, "MicroViT"), ("lr", "pr"))
    ]
    errors = scores.set_index(["descriptor", "model", "composition", "seed"])["fold_mape"]
    cases = itertools.product(TRANSFORMERS, NESTED_MODELS, ("no", "yes"))
    top, maps, network = ((name, "svr", "no") for name in (BEST, TWO_POINT, RESNET))
    others = itertools.product((*TRANSFORMERS, RESNET, TWO_POINT), NESTED_MODELS, ("no",))
    by_svr = svr.differences.query("folds == @BY_SOURCE and role == 'descriptor'")
    compared = sorted({*by_svr["predictor"], *by_svr["other"]} - {BEST})
    gaps = {
        ("1.2", SHUFFLED): np.subtract(ratios, 1),
        ("2.1", SHUFFLED): [_scored(errors, case, (TWO_POINT, *case[1:])) for case in cases],
        ("2.1", BY_SOURCE): [difference(lr, n, TWO_POINT, BY_SOURCE) for n in TRANSFORMERS],
        ("2.3a", SHUFFLED): [_scored(errors, top, other) for other in others if other != top],
        ("2.3a", BY_SOURCE): [difference(svr, BEST, n, BY_SOURCE) for n in compared],
        ("2.3b", SHUFFLED): [
            _scored(errors, top, maps, range(SHUFFLES)),
            _scored(errors, top, network),
        ],
        ("2.3b", BY_SOURCE): [difference(svr, BEST, TWO_POINT, BY_SOURCE)],
        ("4.a", SHUFFLED): _component_gaps(findings),
    }
    effect = "with composition minus without"
    for folds in (SHUFFLED, BY_SOURCE):
        fitted = [f"{BEST}, svr, {folds}", *(f"{name}, lr, {folds}" for name in COMPOSED)]
        gaps["2.4a", folds] = [finding(findings, "composition", effect, of) for of in fitted]
        gaps["2.4b", folds] = gaps["2.4a", folds][:1]
        gaps["4.b", folds] = [difference(lr, BEST, LINEAR, folds)]
        gaps["4.c", folds] = [difference(lr, BEST, "mean", folds)]
    return gaps


def _scored(errors, case, other, seeds=(PAPER_SEED,)):
    """Difference of two (descriptor, model, composition) in the committed scores."""
    one, two = (np.array([errors[(*c, s)].split() for s in seeds], float) for c in (case, other))
    mean, ends = paired_interval(one - two)
    return mean, *ends


def _component_gaps(findings):
    """First components of the transformers minus that of the two-point statistics."""
    gaps = []
    rows = findings[findings["data"].eq(ALLOYS) & findings["finding"].eq("first component")]
    for _, numbers in rows.set_index("of").groupby("quantity"):
        low, high = (numbers[end].fillna(numbers["value"]) for end in ("low", "high"))
        ends = low - high[TWO_POINT], high - low[TWO_POINT]  # a share has none: it is exact
        apart = pd.concat([numbers["value"] - numbers["value"][TWO_POINT], *ends], axis=1)
        gaps += apart.loc[TRANSFORMERS].to_numpy().tolist()
    return gaps


def verdict_table(gaps):
    """Verdicts on claims, by rule: an interval that includes zero decides nothing.

    Parameters
    ----------
    gaps : mapping of (str, str) to sequence of (float, float, float)
        As `claim_gaps` gives them.

    Returns
    -------
    pandas.DataFrame
        A row a claim and kind of folds, its index: the ``verdict``, `HOLDS`, `FAILS` or `OPEN`;
        how many ``cases`` there are, how many of them lie ``below`` zero, and ``beyond chance``;
        the ``lowest`` and the ``highest``.

    Examples
    --------
    >>> verdict_table({("1", "shuffled"): [(-2, -3, -1), (-1, -2, 0.1)]}).values.tolist()
    [['not decided', 2, 2, 1, -2, -1]]
    """
    rows = {}
    for (claim, folds), cases in gaps.items():
        values = [value for value, _, _ in cases]
        verdict = judge_alike(cases) if claim == CLAIMED_ALIKE else judge(cases)
        counts = len(values), int(np.less(values, 0).sum()), sure(cases)[0]
        rows[claim, folds] = [verdict, *counts, min(values), max(values)]
    columns = ["verdict", "cases", "below", "beyond chance", "lowest", "highest"]
    return pd.DataFrame.from_dict(rows, "index", columns=columns)
