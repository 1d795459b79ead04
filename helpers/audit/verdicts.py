"""What becomes of the paper's conclusions: each one held against numbers of this book."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from helpers.audit.audit import FOREST, LINEAR, Audit
from helpers.audit.findings import ALLOYS, BEST, COMPOSED, VOLUMES
from helpers.audit.studies import MICROVIT as SEGMENTED
from helpers.audit.tables import BY_SOURCE, SHUFFLED, difference, enough, points, sure
from helpers.encoders import ENCODERS
from helpers.intervals import paired_interval
from helpers.scores import PAPER_SEED
from helpers.superalloy_scores import TWO_POINT

HOLDS, FAILS, OPEN = "holds", "fails", "not decided"
CANNOT = "cannot be tested here"  # where data or weights are missing
TRANSFORMERS = [n for n, e in ENCODERS.items() if e.in_paper and e.family != "resnet"]
RESNET = "micronet-resnet50"
MICROVIT = "MicroViT"
MODELS = ("lr", "pr", "svr")
SECTIONS = 3 * 5900
ALIKE = 2.0  # points of MAPE; an interval within plus or minus this is "about the same"


class Evidence(NamedTuple):
    """The tables that verdicts are made of.

    `lr` and `svr`: audits of the superalloys. `findings`:
    ``data/results_audit_findings.csv``. `scores`: ``data/results_superalloys.csv``. `rates`:
    ``data/extraction_rates.csv``. `segmentation`: ``data/results_segmentation.csv``. `paper`:
    `helpers.datasets.paper_results`.
    """

    lr: Audit
    svr: Audit
    findings: pd.DataFrame
    scores: pd.DataFrame
    rates: pd.DataFrame
    segmentation: pd.DataFrame
    paper: pd.DataFrame


def finding(evidence, name, quantity, of):
    """Value, low and high of one finding; NaN where it was not computed."""
    table = evidence.findings
    rows = table[(table["finding"] == name) & (table["quantity"] == quantity)]
    rows = rows[rows["of"] == of][["value", "low", "high"]]
    return tuple(rows.iloc[0]) if len(rows) else (np.nan,) * 3


def judge(gaps, below=0.0):
    """Verdict on a claim that every one of several numbers (value, low, high) lies below another.

    Examples
    --------
    >>> judge([(-2, -3, -1), (-1, -2, 0.1)]), judge([(-2, -3, -1), (2, 1, 3)])
    ('not decided', 'fails')
    """
    _, low, high = np.transpose(list(gaps))
    if (low > below).any():
        return FAILS
    return HOLDS if (high < below).all() else OPEN


def judge_alike(gaps, within):
    """Verdict on a claim that several numbers are about zero: that they lie inside ± `within`.

    Examples
    --------
    >>> [judge_alike([(0, *ends)], within=2) for ends in ((-1, 1), (-1, 3), (3, 4))]
    ['holds', 'not decided', 'fails']
    """
    mirrored = [(-value, -high, -low) for value, low, high in gaps]
    return judge([*gaps, *mirrored], within)


def verdict_table(evidence):
    """Verdicts on the eight conclusions of section 5 and on four claims of section 4.

    Parameters
    ----------
    evidence : Evidence

    Returns
    -------
    pandas.DataFrame
        Columns ``claim``, ``verdict`` and ``effect`` on data and folds like the paper's, ``new
        verdict`` and ``new effect`` for sources that the model never saw, empty where there are
        none. Verdicts are `HOLDS`, `FAILS`, `OPEN` or `CANNOT`; intervals are of 95 %. A
        conclusion that claims two things has two rows, a and b.

    Notes
    -----
    `judge` is the rule: an interval that includes "no difference" decides nothing. "About the
    same" is an interval within 2 points. The volumes of case study 1 and the features of its
    networks are not at hand. Two-point statistics and MicroViT on the embedded volumes stand in
    for them, and judge only what is claimed of descriptors at large; what is claimed of a network
    by name is `CANNOT`, whatever MicroViT does.
    """
    rows = [*_modulus_rows(evidence), *_hardness_rows(evidence), *_best_rows(evidence)]
    rows += [*_composition_rows(evidence), *_discussion_rows(evidence)]
    columns = ["claim", "verdict", "effect", "new verdict", "new effect"]
    return pd.DataFrame([(*row, "", "")[:5] for row in rows], columns=columns)


def _modulus_rows(evidence):
    def span(quantity, of, form):
        value, low, high = finding(evidence, "modulus", quantity, of)
        return f"{value:{form}} ({low:{form}} to {high:{form}})"

    errors = [span("test MAPE", f"{n}, concat, pr", ".0f") for n in (MICROVIT, TWO_POINT)]
    text = f"MicroViT {errors[0]} %, two-point statistics {errors[1]} %"
    yield "1.1 The modulus is predicted from three sections with about 25 % error", CANNOT, text

    what = "concat over mean"
    cases = [f"{name}, {model}" for name in (TWO_POINT, MICROVIT) for model in ("lr", "pr")]
    ratios = [finding(evidence, "modulus", what, case) for case in cases]
    below = sum(high < 1 for _, _, high in ratios)
    text = f"error concatenated over averaged, below 1 beyond chance in {below} of {len(cases)}: "
    text += "; ".join(f"{c[:-2]}{c[-2:].upper()} {span(what, c, '.2f')}" for c in cases)
    claim = "1.2 Concatenating the sections consistently beats averaging them"
    yield claim, judge(ratios, below=1), text

    said = evidence.paper.query("case_study == 1 and model == 'pr' and aggregate == 'concat'")
    said = said.set_index("descriptor")["value"]
    ratio = span(f"MAPE over that of {TWO_POINT}", MICROVIT, ".2f")
    text = f"paper: SAM {said['sam-h']:.1f}, two-point statistics {said[TWO_POINT]:.1f} %. Error "
    text += f"of MicroViT over that of two-point statistics: {ratio}"
    yield "1.3 SAM is the best transformer, two-point statistics are best of all", CANNOT, text

    _, text = _component(evidence, VOLUMES, [MICROVIT], ".3f")
    claim = "1.4 The first component of a transformer carries less variance and follows the phase "
    claim += "fraction less than that of two-point statistics"
    yield claim, CANNOT, f"MicroViT, whose training asks for the fraction: {text}"


def _component(evidence, data, names, form=".2f"):
    """Is a first component smaller, and less like the fraction, than that of the statistics?"""
    table = evidence.findings.query("finding == 'first component' and data == @data")
    share = table[table["quantity"] == "share of the variance"].set_index("of")["value"]
    r = table[table["quantity"] == "correlation"].set_index("of")
    shares, ours, maps = share[names], r.loc[names], r.loc[TWO_POINT]
    apart = (ours["high"] < maps["low"]).all() and (shares < share[TWO_POINT]).all()
    against = (ours["low"] > maps["high"]).any() or (shares > share[TWO_POINT]).any()

    def ends(values, form):
        both = f"{values.min():{form}}", f"{values.max():{form}}"
        return " to ".join(dict.fromkeys(both))

    text = f"share {ends(shares, '.0f')} %, correlation {ends(ours['value'], form)} (intervals "
    text += f"{ours['low'].min():{form}} to {ours['high'].max():{form}}); two-point statistics "
    text += f"{share[TWO_POINT]:.0f} %, {maps['value']:{form}} "
    text += f"({maps['low']:{form}} to {maps['high']:{form}})"
    return HOLDS if apart else FAILS if against else OPEN, text


def _gap(evidence, case, other, seeds=(PAPER_SEED,)):
    """Difference of two (descriptor, model, composition) in the committed scores."""
    errors = [_folds(evidence, which, seeds) for which in (case, other)]
    mean, ends = paired_interval(np.subtract(*errors))
    return mean, *ends


def _folds(evidence, case, seeds):
    """MAPE [%] of each fold from the committed scores: shape (n_seeds, n_folds)."""
    keys = ["descriptor", "model", "composition", "seed"]
    scores = evidence.scores.set_index(keys)["fold_mape"]
    return np.array([scores[(*case, seed)].split() for seed in seeds], float)


def _words(gaps):
    """Lowest and highest of several differences, and how many lie below zero beyond chance."""
    low, high = min(gap[0] for gap in gaps), max(gap[0] for gap in gaps)
    return f"{low:+.1f} to {high:+.1f} points, {sure(gaps)[0]} of {len(gaps)} beyond chance"


def _hardness_rows(evidence):
    cases = [(n, m, c) for n in TRANSFORMERS for m in MODELS for c in ("no", "yes")]
    gaps = {case: _gap(evidence, case, (TWO_POINT, *case[1:])) for case in cases}
    lower = [case for case, gap in gaps.items() if gap[0] < 0]
    missed = [
        f"{ENCODERS[n].title} {m.upper()}{' with composition' * (c == 'yes')} {points(*gap)}"
        for (n, m, c), gap in gaps.items()
        if gap[0] > 0
    ]
    alone = sum(composition == "no" for _, _, composition in lower)
    text = f"lower error in {len(lower)} of {len(cases)} cases ({alone} of {len(cases) // 2} "
    text += f"without composition), beyond chance in {sure(gaps.values())[0]}; higher: "
    text += ", ".join(missed) or "none"
    new = [difference(evidence.lr, n, TWO_POINT, BY_SOURCE) for n in TRANSFORMERS]
    claim = "2.1 Transformers beat two-point statistics in all scenarios"
    yield claim, judge(gaps.values()), text, judge(new), f"LR: {_words(new)}"

    error = evidence.segmentation.query("method == 'paper'")["two_point_error"].mean()
    seen, new = (
        points(*difference(evidence.lr, SEGMENTED, TWO_POINT, folds))
        for folds in (SHUFFLED, BY_SOURCE)
    )
    text = "that none is needed is plain; the grey micrographs are not public. On four others "
    text += f"segmentation shifts the statistics by {error:.0f} %. MicroViT on the same "
    text += f"segmented images minus two-point statistics: {seen}"
    yield "2.2 Needing no segmentation is what helps", CANNOT, text, CANNOT, new


def _best_rows(evidence):
    top = (BEST, "svr", "no")
    others = [(n, m, "no") for n in (*TRANSFORMERS, RESNET, TWO_POINT) for m in MODELS]
    gaps = [_gap(evidence, top, other) for other in others if other != top]
    text = f"{np.mean(_folds(evidence, top, [PAPER_SEED])):.1f} %; minus {_words(gaps)}"
    table = evidence.svr.table.query("role == 'descriptor' and predictor != @BEST")
    new = [difference(evidence.svr, BEST, n, BY_SOURCE) for n in table["predictor"].unique()]
    claim = f"2.3a Of {len(others)} pairs of descriptor and model DINOv2 L14 with SVR errs least"
    yield claim, judge(gaps), text, judge(new), f"SVR: {_words(new)}"

    gap = _gap(evidence, top, (TWO_POINT, "svr", "no"), range(20))
    cnn = _gap(evidence, top, (RESNET, "svr", "no"))
    text = f"minus two-point statistics: {points(*gap)}; minus the ResNet-50 that stands "
    text += f"for one: {points(*cnn)}"
    new = difference(evidence.svr, BEST, TWO_POINT, BY_SOURCE)
    claim = "2.3b It errs less than two-point statistics and a domain-specific network"
    yield claim, judge([gap, cnn]), text, judge([new]), f"two-point: {points(*new)}"


def _composition_rows(evidence):
    effect, alike, better = "with composition minus without", [], []
    for kind in (SHUFFLED, BY_SOURCE):
        cases = [(BEST, "svr"), *((name, "lr") for name in COMPOSED)]
        gaps = [finding(evidence, "composition", effect, f"{n}, {m}, {kind}") for n, m in cases]
        words = [
            f"{ENCODERS[name].title} {model.upper()} {points(*gap)}"
            for (name, model), gap in zip(cases, gaps, strict=True)
        ]
        alike += [judge_alike(gaps, ALIKE), "; ".join(words)]
        better += [judge(gaps[:1]), points(*gaps[0])]
    yield "2.4a Appending the composition leaves the errors about the same overall", *alike
    paper = evidence.paper.query("quantity == 'improvement_of_cv_mape_mean'")["value"].iloc[0]
    better[1] += f"; paper {-paper:+.1f}"
    yield "2.4b It lowers the error of the best model", *better


def _discussion_rows(evidence):
    claim = "4.a The first component of a transformer carries less variance and follows the phase "
    claim += "fraction less (here: of the superalloys)"
    yield claim, *_component(evidence, ALLOYS, TRANSFORMERS)

    lr, alone, small = evidence.lr, [], []
    for folds in (SHUFFLED, BY_SOURCE):
        gap = difference(lr, BEST, LINEAR, folds)
        forest = points(*difference(lr, BEST, FOREST, folds))
        alone += [judge([gap]), f"{points(*gap)}; a forest on it: {forest}"]
        gap, n = difference(lr, BEST, "mean", folds), enough(lr, BEST, folds)
        since = f"below the mean from {n:.0f} on" if n else "never surely below"
        small += [judge([gap]), f"{points(*gap)} with all samples; {since}"]
    alone[1] = f"DINOv2 L14, LR, minus LR on the composition alone: {alone[1]}"
    yield "4.b The micrograph alone may be enough, without the composition", *alone
    small[1] = f"DINOv2 L14, LR, minus the mean: {small[1]}"
    yield "4.c Small training sets suffice (here: to be told from the mean)", *small

    rates = evidence.rates.drop_duplicates("encoder").set_index("encoder")["images_per_s"]
    hours = SECTIONS / rates[TRANSFORMERS] / 3600
    training = evidence.paper.query("quantity == 'training_time'")["value"].iloc[0] / 60
    rest = hours.drop("sam-h")
    text = f"{rest.min():.2g} to {rest.max():.2g} h for {len(rest)} networks on this processor, "
    text += f"SAM {hours['sam-h']:.0f} h; training on a GPU took {training:.0f} h (paper)"
    verdict = HOLDS if (rest < training).all() else FAILS
    yield "4.d Features cost less than training a network (except SAM)", verdict, text
