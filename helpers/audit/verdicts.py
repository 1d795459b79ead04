"""What becomes of the paper's conclusions: each one held against numbers of this book."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from helpers.audit.audit import FOREST, LINEAR, Audit
from helpers.audit.findings import ALLOYS, VOLUMES
from helpers.audit.tables import (
    BY_SOURCE,
    CANNOT,
    FAILS,
    HOLDS,
    OPEN,
    SHUFFLED,
    difference,
    enough,
    judge,
    judge_alike,
    judge_all,
    points,
    sure,
    weakest,
)
from helpers.encoders import ENCODERS
from helpers.intervals import paired_interval
from helpers.scores import PAPER_SEED
from helpers.superalloy_scores import TWO_POINT

TRANSFORMERS = tuple(n for n, e in ENCODERS.items() if e.in_paper and e.family != "resnet")
BEST = "dinov2-l14"
RESNET = "micronet-resnet50"
MICROVIT, SEGMENTED = "MicroViT", "MicroViT, segmented"
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
    `helpers.audit.tables.judge_all` is the rule: an interval that includes "no difference" decides
    nothing. "About the same" is an interval within 2 points. The volumes of case study 1 and the
    features of its networks are not at hand. Two-point statistics and MicroViT on the embedded
    volumes stand in for them, and judge only what is claimed of descriptors at large; what is
    claimed of a network by name is `CANNOT`, whatever MicroViT does.
    """
    rows = [*_modulus_rows(evidence), *_hardness_rows(evidence), *_discussion_rows(evidence)]
    columns = ["claim", "verdict", "effect", "new verdict", "new effect"]
    return pd.DataFrame([(*row, "", "")[:5] for row in rows], columns=columns)


def _modulus_rows(evidence):
    said = evidence.paper.query("case_study == 1 and model == 'pr' and aggregate == 'concat'")
    said = said.set_index("descriptor")["value"]

    def span(quantity, of, form):
        value, low, high = finding(evidence, "modulus", quantity, of)
        return f"{value:{form}} ({low:{form}} to {high:{form}})"

    errors = (span("test MAPE", f"{n}, concat, pr", ".0f") for n in (MICROVIT, TWO_POINT))
    text = "MicroViT {} %, two-point statistics {} %".format(*errors)
    yield "1.1 The modulus is predicted from three sections with about 25 % error", CANNOT, text

    ratios = {
        f"{name}, {model.upper()}": finding(
            evidence, "modulus", "concat over mean", f"{name}, {model}"
        )
        for name in (TWO_POINT, MICROVIT)
        for model in ("lr", "pr")
    }
    below = sum(high < 1 for _, _, high in ratios.values())
    text = f"error concatenated over averaged, below 1 beyond chance in {below} of {len(ratios)}: "
    text += "; ".join(f"{k} {r:.2f} ({a:.2f} to {b:.2f})" for k, (r, a, b) in ratios.items())
    claim = "1.2 Concatenating the sections consistently beats averaging them"
    yield claim, judge_all(ratios.values(), below=1), text

    ratio = span(f"MAPE over that of {TWO_POINT}", MICROVIT, ".2f")
    text = f"paper: SAM {said['sam-h']:.1f}, two-point statistics {said[TWO_POINT]:.1f} %. Error "
    text += f"of MicroViT over that of two-point statistics: {ratio}"
    yield "1.3 SAM is the best transformer, two-point statistics are best of all", CANNOT, text

    _, text = _component(evidence, VOLUMES, [MICROVIT], ".3f")
    claim = "1.4 The first component of a transformer carries less variance and follows the phase "
    claim += "fraction less than that of two-point statistics"
    text = f"MicroViT, whose training asks for the fraction: {text}"
    yield claim, CANNOT, text


def _component(evidence, data, names, form=".2f"):
    """Is a first component smaller, and less like the fraction, than that of the statistics?"""
    table = evidence.findings
    table = table[(table["finding"] == "first component") & (table["data"] == data)]
    share = table[table["quantity"] == "share of the variance"].set_index("of")["value"]
    r = table[table["quantity"] == "correlation"].set_index("of")
    ours, maps = r.loc[list(names)], r.loc[TWO_POINT]
    apart = (ours["high"] < maps["low"]).all() and (share[ours.index] < share[TWO_POINT]).all()
    against = (ours["low"] > maps["high"]).any() or (share[ours.index] > share[TWO_POINT]).any()

    def said(values, form, unit=""):
        low, high = (f"{end:{form}}" for end in (values.min(), values.max()))
        return (low if low == high else f"{low} to {high}") + unit

    text = f"share {said(share[ours.index], '.0f', ' %')}, correlation {said(ours['value'], form)}"
    text += f" (intervals {ours['low'].min():{form}} to {ours['high'].max():{form}}); two-point "
    text += f"statistics {share[TWO_POINT]:.0f} %, {maps['value']:{form}} "
    text += f"({maps['low']:{form}} to {maps['high']:{form}})"
    return HOLDS if apart else FAILS if against else OPEN, text


def _hardness_rows(evidence):
    lr, svr = evidence.lr, evidence.svr
    cases = [(m, c) for m in ("lr", "pr", "svr") for c in ("no", "yes")]
    gaps = {
        (n, *case): _gap(evidence, (n, *case), (TWO_POINT, *case))
        for n in TRANSFORMERS
        for case in cases
    }
    lower = [gap[0] < 0 for gap in gaps.values()]
    missed = [
        f"{ENCODERS[n].title} {m.upper()}{' with composition' * (c == 'yes')} {points(*gap)}"
        for (n, m, c), gap in gaps.items()
        if gap[0] > 0
    ]
    alone = [gap[0] < 0 for (_, _, c), gap in gaps.items() if c == "no"]
    text = f"lower error in {sum(lower)} of {len(lower)} cases ({sum(alone)} of {len(alone)} "
    text += f"without composition), beyond chance in {sure(gaps.values())[0]}; higher: "
    text += ", ".join(missed) or "none"
    new = [difference(lr, n, TWO_POINT, BY_SOURCE) for n in TRANSFORMERS]
    claim = "2.1 Transformers beat two-point statistics in all scenarios"
    yield claim, judge_all(gaps.values()), text, judge_all(new), f"LR: {_words(new)}"

    error = evidence.segmentation.query("method == 'paper'")["two_point_error"].mean()
    text = "that none is needed is plain; the grey micrographs are not public. On four others "
    text += f"segmentation shifts the statistics by {error:.0f} %. MicroViT on the same "
    text += "segmented images minus two-point statistics: "
    text += points(*difference(lr, SEGMENTED, TWO_POINT))
    new = points(*difference(lr, SEGMENTED, TWO_POINT, BY_SOURCE))
    yield "2.2 Needing no segmentation is what helps", CANNOT, text, CANNOT, new

    top = (BEST, "svr", "no")
    others = [
        (n, m, "no") for n in (*TRANSFORMERS, RESNET, TWO_POINT) for m in ("lr", "pr", "svr")
    ]
    gaps = [_gap(evidence, top, other) for other in others if other != top]
    value = np.mean(_folds(evidence, top, [PAPER_SEED]))
    text = f"{value:.1f} %; minus {_words(gaps)}"
    rest = [n for n in svr.table.query("role == 'descriptor'")["predictor"].unique() if n != BEST]
    new = [difference(svr, BEST, n, BY_SOURCE) for n in rest]
    claim = f"2.3a Of {len(others)} pairs of descriptor and model DINOv2 L14 with SVR errs least"
    yield claim, judge_all(gaps), text, judge_all(new), f"SVR: {_words(new)}"

    gap, cnn = (_gap(evidence, top, (n, "svr", "no"), range(20)) for n in (TWO_POINT, RESNET))
    text = f"minus two-point statistics: {points(*gap)}; minus the ResNet-50 that stands "
    text += f"for one: {points(*cnn)}"
    new = difference(svr, BEST, TWO_POINT, BY_SOURCE)
    claim = "2.3b It errs less than two-point statistics and a domain-specific network"
    yield claim, judge_all([gap, cnn]), text, judge(*new[1:]), f"two-point: {points(*new)}"

    yield from _composition_rows(evidence)


def _words(gaps):
    """Lowest and highest of several differences, and how many lie below zero beyond chance."""
    low, high = min(gap[0] for gap in gaps), max(gap[0] for gap in gaps)
    return f"{low:+.1f} to {high:+.1f} points, {sure(gaps)[0]} of {len(gaps)} beyond chance"


def _folds(evidence, case, seeds):
    """MAPE [%] of each fold from the committed scores: shape (n_seeds, n_folds)."""
    rows = evidence.scores
    for column, value in zip(("descriptor", "model", "composition"), case, strict=True):
        rows = rows[rows[column] == value]
    rows = rows.set_index("seed")["fold_mape"]
    return np.array([rows[seed].split() for seed in seeds if seed in rows.index], float)


def _gap(evidence, case, other, seeds=(PAPER_SEED,)):
    """Difference of two (descriptor, model, composition), with its interval.

    Over all of the seeds where both were scored on all, else over the paper's.
    """
    both = [_folds(evidence, which, seeds) for which in (case, other)]
    if not len(both[0]) == len(both[1]) == len(seeds):
        return _gap(evidence, case, other)
    mean, ends = paired_interval(both[0] - both[1])
    return mean, *ends


def _composition_rows(evidence):
    effect = "with composition minus without"
    pairs = [(BEST, "svr"), *((name, "lr") for name in ("clip-l14", BEST, "sam-h"))]
    found = {
        kind: {
            f"{ENCODERS[n].title} {m.upper()}": finding(
                evidence, "composition", effect, f"{n}, {m}, {kind}"
            )
            for n, m in pairs
        }
        for kind in (SHUFFLED, BY_SOURCE)
    }
    verdicts = [
        weakest(judge_alike(*gap[1:], ALIKE) for gap in found[kind].values()) for kind in found
    ]
    words = ["; ".join(f"{k} {points(*gap)}" for k, gap in one.items()) for one in found.values()]
    claim = "2.4a Appending the composition leaves the errors about the same overall"
    yield claim, verdicts[0], words[0], verdicts[1], words[1]

    paper = evidence.paper.query("quantity == 'improvement_of_cv_mape_mean'")["value"].iloc[0]
    best = [next(iter(one.values())) for one in found.values()]
    claim = "2.4b It lowers the error of the best model"
    text = f"{points(*best[0])}; paper {-paper:+.1f}"
    yield claim, judge(*best[0][1:]), text, judge(*best[1][1:]), points(*best[1])


def _discussion_rows(evidence):
    claim = "4.a The first component of a transformer carries less variance and follows the phase "
    yield (
        claim + "fraction less (here: of the superalloys)",
        *_component(evidence, ALLOYS, TRANSFORMERS),
    )

    lr = evidence.lr
    against = {f: difference(lr, BEST, LINEAR, f) for f in (SHUFFLED, BY_SOURCE)}
    forest = {f: points(*difference(lr, BEST, FOREST, f)) for f in (SHUFFLED, BY_SOURCE)}
    words = {f: f"{points(*gap)}; a forest on it: {forest[f]}" for f, gap in against.items()}
    claim = "4.b The micrograph alone may be enough, without the composition"
    text = f"DINOv2 L14, LR, minus LR on the composition alone: {words[SHUFFLED]}"
    verdicts = [judge(*against[f][1:]) for f in (SHUFFLED, BY_SOURCE)]
    yield claim, verdicts[0], text, verdicts[1], words[BY_SOURCE]

    words, verdicts = {}, {}
    for kind in (SHUFFLED, BY_SOURCE):
        gap = difference(lr, BEST, "mean", kind)
        verdicts[kind] = judge(*gap[1:])
        told = enough(lr, BEST, kind)
        words[kind] = f"{points(*gap)} with all samples"
        words[kind] += f"; below the mean from {told:.0f} on" if told else "; never surely below"
    claim = "4.c Small training sets suffice (here: to be told from the mean)"
    text = f"DINOv2 L14, LR, minus the mean: {words[SHUFFLED]}"
    yield claim, verdicts[SHUFFLED], text, verdicts[BY_SOURCE], words[BY_SOURCE]

    rates = evidence.rates.drop_duplicates("encoder").set_index("encoder")["images_per_s"]
    hours = SECTIONS / rates[list(TRANSFORMERS)] / 3600
    other = evidence.paper.query("quantity == 'training_time'")["value"].iloc[0] / 60
    rest = hours.drop("sam-h")
    text = f"{rest.min():.2g} to {rest.max():.2g} h for {len(rest)} networks on this processor, "
    text += f"SAM {hours['sam-h']:.0f} h; training on a GPU took {other:.0f} h (paper)"
    verdict = HOLDS if (rest < other).all() else FAILS
    yield "4.d Features cost less than training a network (except SAM)", verdict, text
