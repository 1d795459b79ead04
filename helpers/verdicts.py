"""What becomes of the paper's conclusions: each one held against numbers of this book."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from helpers.audit import FOREST, Audit
from helpers.comparisons import paired_interval
from helpers.effects import (
    CANNOT,
    FAILS,
    HOLDS,
    MIXED,
    UNSEEN,
    difference,
    enough,
    judge,
    points,
)
from helpers.encoders import ENCODERS
from helpers.scoring import PAPER_SEED
from helpers.superalloy_scores import TWO_POINT

TRANSFORMERS = tuple(n for n, e in ENCODERS.items() if e.family in ("clip", "dinov2", "sam"))
TRANSFORMERS = tuple(n for n in TRANSFORMERS if n != "microvit")
BEST = "dinov2-l14"
SEGMENTED = "MicroViT, segmented"
SECTIONS = 3 * 5900
ALIKE = 2.0  # points of MAPE; an interval within plus or minus this is "about the same"


class Evidence(NamedTuple):
    """The tables that verdicts are made of.

    `lr` and `svr`: audits of the superalloys (None: `lr` serves for both). `microvit`:
    ``data/results_microvit.csv``. `findings`:
    ``data/results_audit_findings.csv``. `scores`: ``data/results_superalloys.csv``. `rates`:
    ``data/extraction_rates.csv``. `segmentation`: ``data/results_segmentation.csv``. `paper`:
    `helpers.datasets.paper_results`.
    """

    lr: Audit
    svr: Audit | None
    microvit: pd.DataFrame
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
        none. Verdicts are `HOLDS`, `FAILS` or `CANNOT`; intervals are of 95 %.

    Notes
    -----
    An interval that includes "no difference" decides nothing: `CANNOT`. "About the same" is an
    interval within 2 points. Conclusions on case study
    1 are judged on the embedded volumes, with MicroViT in the place of the paper's networks.
    """
    rows = [*_modulus_rows(evidence), *_hardness_rows(evidence), *_discussion_rows(evidence)]
    columns = ["claim", "verdict", "effect", "new verdict", "new effect"]
    return pd.DataFrame([(*row, "", "")[:5] for row in rows], columns=columns)


def _modulus_rows(evidence):
    said = evidence.paper.query("case_study == 1 and model == 'pr' and aggregate == 'concat'")
    said = said.set_index("descriptor")["value"]
    modulus = evidence.findings.query("finding == 'modulus'")
    errors = modulus.query("quantity == 'test MAPE'").set_index("of")
    whole = _microvit_errors(evidence.microvit)
    text = f"its volumes are not here; embedded: {whole.min():.0f} % ({', '.join(whole.idxmin())})"
    if len(errors):
        low, high = errors.loc[errors["value"].idxmin(), ["low", "high"]]
        text += f", interval of the lowest of this audit {low:.0f} to {high:.0f} %"
    yield "1.1 The modulus is predicted from three sections with about 25 % error", CANNOT, text

    ratios = modulus.query("quantity == 'concat over mean'")
    less, more = (ratios["high"] < 1).sum(), (ratios["low"] > 1).sum()
    verdict = HOLDS if less == len(ratios) > 0 else FAILS if more else CANNOT
    pairs = whole.unstack()
    gains = [pairs[f"{m}, concat"] < pairs[f"{m}, mean"] for m in ("LR", "PR")]
    text = (
        f"embedded: lower error in {sum(g.sum() for g in gains)} of {sum(map(len, gains))} cases"
    )
    if len(ratios):
        text += f", surely in {less} of {len(ratios)}, surely higher in {more}"
    yield "1.2 Concatenating the sections consistently beats averaging them", verdict, text

    text = f"SAM and the volumes are not here (paper: {said['sam-h']:.1f} and "
    text += f"{said[TWO_POINT]:.1f} %)"
    ratio = evidence.microvit.query(f"quantity == 'MAPE over that of {TWO_POINT}'").iloc[0]
    text += f"; embedded, MicroViT over two-point: {ratio['value']:.2f} ({ratio['low']:.2f} to "
    text += f"{ratio['high']:.2f})"
    yield "1.3 SAM is the best transformer, two-point statistics are best of all", CANNOT, text

    yield _component_row(evidence, "1.4", "embedded volumes", ["MicroViT"])


def _microvit_errors(table):
    """MAPE [%] by descriptor and protocol, of the paper's protocol on all embedded volumes."""
    rows = table[(table["part"] == "case study 1") & (table["quantity"] == "MAPE")]
    return rows.set_index(["descriptor", "protocol"])["value"]


def _component_row(evidence, number, data, names):
    """Is a first component smaller, and less like the fraction, than that of the statistics?"""
    claim = f"{number} The first component of a transformer carries less variance and follows the "
    claim += f"phase fraction less ({data})"
    table = evidence.findings
    table = table[(table["finding"] == "first component") & (table["data"] == data)]
    share = table[table["quantity"] == "share of the variance"].set_index("of")["value"]
    r = table[table["quantity"] == "correlation"].set_index("of")
    names = [name for name in names if name in r.index]
    if not names:
        first = evidence.microvit.query("quantity == 'variance of the first component'")
        first = first[first["protocol"] == "concat"].set_index("descriptor")["value"]
        text = f"share {first['MicroViT']:.0f} %, two-point {first[TWO_POINT]:.0f} %; "
        text += "correlation not computed"
        return claim, CANNOT, text
    ours, maps = r.loc[names], r.loc[TWO_POINT]
    apart = (ours["high"] < maps["low"]).all() and (share[names] < share[TWO_POINT]).all()
    against = (ours["low"] > maps["high"]).any() or (share[names] > share[TWO_POINT]).any()
    verdict = HOLDS if apart else FAILS if against else CANNOT
    text = f"share {share[names].min():.0f} to {share[names].max():.0f} %, |r| "
    text += f"{ours['value'].min():.2f} to {ours['value'].max():.2f} (intervals "
    text += (
        f"{ours['low'].min():.2f} to {ours['high'].max():.2f}); two-point: {share[TWO_POINT]:.0f}"
    )
    text += f" %, {maps['value']:.2f} ({maps['low']:.2f} to {maps['high']:.2f})"
    return claim, verdict, text


def _hardness_rows(evidence):
    lr, svr = evidence.lr, evidence.svr
    scores = evidence.scores.query(f"seed == {PAPER_SEED} and model != 'none'")
    wide = scores.pivot(index="descriptor", columns=["model", "composition"], values="mape_mean")
    beaten = wide.loc[list(TRANSFORMERS)].lt(wide.loc[TWO_POINT])
    told = {f: [difference(lr, n, TWO_POINT, f) for n in TRANSFORMERS] for f in (MIXED, UNSEEN)}
    text = f"lower error in {beaten.to_numpy().sum()} of {beaten.size} cases"
    missed = beaten.stack([0, 1], future_stack=True).loc[lambda b: ~b].index
    if len(missed):
        listed = [
            f"{ENCODERS[n].title} {m.upper()}" + " with composition" * (c == "yes")
            for n, m, c in missed
        ]
        text += f" (not: {', '.join(listed)})"
    words = {}
    for kind, found in told.items():
        sure = sum(high < 0 for _, _, high in found)
        mean = [value for value, _, _ in found]
        words[kind] = (
            f"LR: {min(mean):+.1f} to {max(mean):+.1f} points, {sure} of {len(mean)} surely"
        )
    verdict = HOLDS if beaten.all(axis=None) else FAILS
    sure = [judge(*ends) for _, *ends in told[UNSEEN]]
    new = HOLDS if set(sure) == {HOLDS} else FAILS if FAILS in sure else CANNOT
    claim = "2.1 Transformers beat two-point statistics in all scenarios"
    yield claim, verdict, f"{text}; {words[MIXED]}", new, words[UNSEEN]

    error = evidence.segmentation.query("method == 'paper'")["two_point_error"].mean()
    text = "its micrographs are not public; on four others segmentation shifts the statistics by "
    text += f"{error:.0f} %"
    new = ""
    if SEGMENTED in set(lr.table["predictor"]):
        text += ". From the same segmented images MicroViT differs from two-point statistics by "
        text += points(*difference(lr, SEGMENTED, TWO_POINT))
        new = points(*difference(lr, SEGMENTED, TWO_POINT, UNSEEN))
    yield "2.2 Needing no segmentation is what helps", CANNOT, text, CANNOT, new

    value = wide["svr", "no"]
    mean, ends = paired_interval(_folds(evidence, BEST) - _folds(evidence, TWO_POINT))
    model, found = ("LR", lr) if svr is None else ("SVR", svr)
    gap = {MIXED: (mean, *ends), UNSEEN: difference(found, BEST, TWO_POINT, UNSEEN)}
    top = ENCODERS[value.idxmin()].title if value.idxmin() in ENCODERS else value.idxmin()
    text = f"lowest of all: {top}, {value.min():.1f} %; DINOv2 L14 {value[BEST]:.1f}, two-point "
    text += f"{value[TWO_POINT]:.1f} %; over {len(_folds(evidence, BEST))} shuffles: "
    text += points(*gap[MIXED])
    verdict = judge(*gap[MIXED][1:]) if top.startswith("DINOv2") else FAILS
    claim = "2.3 DINOv2 with SVR errs least, less than two-point statistics"
    yield claim, verdict, text, judge(*gap[UNSEEN][1:]), f"{model}: {points(*gap[UNSEEN])}"

    yield _composition_row(evidence)


def _folds(evidence, name, composition="no", seeds=range(20)):
    """MAPE [%] of each fold with SVR, from the committed scores: shape (n_seeds, n_folds)."""
    rows = evidence.scores.query("model == 'svr' and composition == @composition")
    rows = rows[(rows["descriptor"] == name) & rows["seed"].isin(seeds)].sort_values("seed")
    return np.array([text.split() for text in rows["fold_mape"]], float)


def _composition_row(evidence):
    effect = "with composition minus without"
    gain = {
        f: finding(evidence, "composition", effect, f"{BEST}, svr, {f}") for f in (MIXED, UNSEEN)
    }
    if np.isnan(gain[MIXED][0]):
        both = [_folds(evidence, BEST, c, [PAPER_SEED]) for c in ("yes", "no")]
        mean, ends = paired_interval(both[0] - both[1])
        gain[MIXED] = mean, *ends
    paper = evidence.paper.query("quantity == 'improvement_of_cv_mape_mean'")["value"].iloc[0]

    def verdict(value, low, high):
        if low > -ALIKE and high < ALIKE:
            return HOLDS
        return FAILS if low > ALIKE or high < -ALIKE else CANNOT

    claim = "2.4 Appending the composition leaves the error about the same"
    text = f"DINOv2 L14, SVR: {points(*gain[MIXED])}; paper {-paper:+.1f}"
    return claim, verdict(*gain[MIXED]), text, verdict(*gain[UNSEEN]), points(*gain[UNSEEN])


def _discussion_rows(evidence):
    yield _component_row(evidence, "4.a", "published superalloys", TRANSFORMERS)

    lr = evidence.lr
    against = {f: difference(lr, BEST, FOREST, f) for f in (MIXED, UNSEEN)}
    claim = "4.b The micrograph alone may be enough, for it encodes the composition"
    text = "DINOv2 L14, LR, minus a forest on the composition alone: "
    yield (
        claim, judge(*against[MIXED][1:]), text + points(*against[MIXED]),
        judge(*against[UNSEEN][1:]), points(*against[UNSEEN]),
    )  # fmt: skip

    words, verdicts = {}, {}
    for kind in (MIXED, UNSEEN):
        told = enough(lr, BEST, kind)
        gap = difference(lr, BEST, "mean", kind)
        verdicts[kind] = HOLDS if told else FAILS if gap[1] > 0 else CANNOT
        words[kind] = f"told from the mean from {told:.0f} samples on" if told else "never so"
        words[kind] += f"; with all: {points(*gap)}"
    claim = "4.c Small training sets suffice"
    text = f"DINOv2 L14, LR: {words[MIXED]}"
    yield claim, verdicts[MIXED], text, verdicts[UNSEEN], words[UNSEEN]

    hours = (
        SECTIONS / evidence.rates.drop_duplicates("encoder").set_index("encoder")["images_per_s"]
    )
    hours = hours[list(TRANSFORMERS)] / 3600
    other = evidence.paper.query("quantity == 'training_time'")["value"].iloc[0] / 60
    cheap = hours < other
    text = (
        f"{cheap.sum()} of {len(hours)} networks take less than {other:.0f} h here, without GPU: "
    )
    text += f"{hours.min():.2g} to {hours[cheap].max():.2g} h; SAM {hours['sam-h']:.0f} h"
    verdict = HOLDS if cheap.drop("sam-h").all() else FAILS
    yield "4.d Features cost less than training a network (except SAM)", verdict, text
