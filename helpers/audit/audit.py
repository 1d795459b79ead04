"""Audit of descriptors: what they must beat, and what they lose where a source is unseen."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Mapping

import numpy as np
import pandas as pd

from helpers import UserError
from helpers.audit import runs, tables
from helpers.audit.controls import forest_predictions, grey_level_statistics
from helpers.audit.runs import Predictor
from helpers.audit.tables import Run
from helpers.io.progress import progress_bar
from helpers.scores import N_FOLDS, PAPER_SEED, blind_predictions

SEEDS = (PAPER_SEED, 0, 1, 2, 3)
SHARES = (0.4, 0.6, 0.8)
GREY = "size and grey levels"
LINEAR, FOREST = "composition, linear", "composition, forest"


@dataclasses.dataclass(frozen=True)
class Audit:
    """What `audit` found. Errors are in percent (MAPE), differences in points of it.

    Attributes
    ----------
    table : pandas.DataFrame
        A row a kind of ``folds`` and ``predictor``, whose ``role`` is ``descriptor`` or
        ``control``. ``mape_pooled``: over all samples, mean over the shuffles, and the lowest and
        highest shuffle, ``pooled_low`` and ``pooled_high``; ``mape_mean`` and ``mape_std`` (ddof
        0): over the outer folds, as in the paper; ``mae`` in the unit of the property; ``r2`` over
        all samples; ``shuffles``, their number.
    optimism : pandas.DataFrame
        A row a fitted predictor: ``mape_seen`` on shuffled folds and ``mape_unseen`` on
        ``unseen_folds``, both pooled; ``optimism``, their difference; and the fields of
        `helpers.audit.source_leak.LostGain`. No rows without groups.
    source_accuracy : pandas.DataFrame
        A row a descriptor, or control made of images: the fields of
        `helpers.audit.source_leak.SourceAccuracy`. No rows without groups.
    differences : pandas.DataFrame
        A row a kind of ``folds``, descriptor and ``other`` predictor: ``difference``, error of the
        descriptor minus that of the other, with its 95 % interval ``low`` to ``high``; ``errs``
        is ``"less"`` or ``"more"`` where that excludes zero, else ``"open"``. Shuffled targets
        are not among the others, for errors on other targets cannot be paired.
    intervals : pandas.DataFrame
        A row a kind of ``folds`` and descriptor: conformal prediction intervals of nominal
        ``level`` [%]; ``coverage`` [%] with the lowest and highest shuffle; mean ``width`` in the
        unit of the property; ``n_calibration``, the smallest number of residuals behind one.
    learning_curve : pandas.DataFrame
        A row a kind of ``folds``, descriptor and ``share`` of the training parts: ``n_train`` and
        ``n_sources``, means over the folds; ``mape_pooled``, ``pooled_low``, ``pooled_high``.
    flags : list of str
        Leaks; controls that a descriptor does worse than, or is not shown to beat; descriptors
        that err no less than with shuffled targets. A line of words and numbers each.
    """

    table: pd.DataFrame
    optimism: pd.DataFrame
    source_accuracy: pd.DataFrame
    differences: pd.DataFrame
    intervals: pd.DataFrame
    learning_curve: pd.DataFrame
    flags: list


def audit(
    X,
    y,
    groups=None,
    model="lr",
    *,
    composition=None,
    images=None,
    controls=None,
    kinds=None,
    seeds=SEEDS,
    shares=SHARES,
    outer=N_FOLDS,
    inner=runs.INNER,
    level=0.9,
    store=None,
    progress=True,
):
    """Hold descriptors against controls, on folds that mix the sources and on folds that do not.

    Parameters
    ----------
    X : array_like of float, shape (n, n_features), or mapping of str to such
        One descriptor matrix, called ``"descriptor"``, or several by name.
    y : array_like of float, shape (n,)
        Property, in its own unit; no zeros, not constant.
    groups : array_like, shape (n,), optional
        Source of each sample, such as the number of its paper. None: shuffled folds only.
    model : str
        ``"lr"``, ``"pr"`` or ``"svr"``, see `helpers.cross_validation.nested_cv`.
    composition : DataFrame or array_like of float, shape (n, n_elements), optional
        For two controls that know the composition alone.
    images : sequence of ndarray, shape (h, w), optional
        For a control that knows size and grey levels alone, see
        `helpers.audit.controls.grey_level_statistics`.
    controls : mapping of str to array_like, shape (n, n_features), optional
        Other descriptors to beat, such as the features of the same encoder with random weights.
    kinds : sequence of str, optional
        Some of ``"shuffled"``, ``"by source"``, ``"leave one source out"``. None: all that the
        groups allow.
    seeds : sequence of int
        Of the shuffling of the outer folds, one run each; 42 is the paper's. Where one source is
        left out, of the inner folds, for there the outer ones cannot be dealt otherwise; errors
        differ by points from one to the next, so take five at least.
    shares : sequence of float
        Points of the learning curve below 1: shares of the training samples, and on folds by
        source of the training sources. Empty: no learning curve.
    outer, inner : int
        Numbers of outer and inner folds; by source there must be as many sources.
    level : float
        Of the prediction intervals, 0 to 1.
    store : path-like, None or False
        Where each run is kept as soon as it is done, see `helpers.scores.evaluate_descriptors`.
    progress : bool
        Show the runs done and the time left.

    Returns
    -------
    Audit

    Raises
    ------
    ValueError
        Before the first run: NaN; zeros, a constant or another length in `y`; groups with gaps,
        or fewer of them than folds; an unknown model or kind; a name that stands twice.

    Notes
    -----
    Controls: mean and median of the training samples; the mean of those of the same source, which
    falls back to the mean where the source is unseen; composition with the book's linear
    regression and with a random forest; size and grey levels; each descriptor with shuffled
    targets; and `controls`. Of size and grey levels every column is scaled to standard deviation 1
    before PCA, of all else none: the columns of a composition have one unit, and an element that
    few alloys hold, once scaled, makes wild extrapolations and so too weak a control.

    Folds by source keep the samples of a source together in both loops. Leaving one source out
    scores folds of one sample and of many: read ``mape_pooled`` there. Intervals of differences
    are those of the corrected resampled t-test (`helpers.intervals.paired_interval`); where one
    source is left out, they take sources as units and hold the spread over the inner shuffles
    (`helpers.audit.source_leak.clustered_interval`). Of twenty that are compared one excludes zero
    by luck.

    Shuffled targets are a flag on shuffled folds only: dealt out over all sources they no longer
    differ between them, and are easier to predict for an unseen source than the measured ones.

    What is called a leak: `helpers.audit.source_leak.lost_gain`. The intervals:
    `helpers.intervals.nested_coverage`.

    A descriptor takes two runs a kind and shuffle, a control one, and the learning curve one a
    share and shuffle of the first two kinds. Components are capped at what the smallest training
    part allows.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> groups = np.repeat(np.arange(12), 8)
    >>> X = rng.normal(size=(12, 20))[groups] + 0.1 * rng.normal(size=(96, 20))
    >>> y = 100 + 20 * rng.normal(size=12)[groups] + rng.normal(size=96)
    >>> audited = audit(X, y, groups, seeds=[42], shares=[], store=False, progress=False)
    >>> audited.optimism[["predictor", "leak"]].values.tolist()[0]
    ['descriptor', True]
    """
    y = runs.check_property(y, model)
    named = dict(X) if isinstance(X, Mapping) else {"descriptor": X}
    _check_names(named, controls or {})
    others = dict(controls or {})
    if images is not None:
        others[GREY] = grey_level_statistics(images)
    alone = {} if composition is None else {LINEAR: composition}
    descriptors, others, alone = (runs.check_matrices(m, len(y)) for m in (named, others, alone))
    groups, kinds = runs.check_groups(groups, len(y), kinds, outer, inner)
    plan = runs.plan_folds(len(y), groups, kinds, seeds, shares, outer, inner, level)
    fitted = {n: Predictor(M, y, model, n == GREY) for n, M in (descriptors | others).items()}
    fitted |= {name: Predictor(M, y, "lr", False) for name, M in alone.items()}
    whole, curve = _run_all(fitted, list(descriptors), plan, groups, store, progress)
    roles = {name: "descriptor" if name in descriptors else "control" for _, name in whole}
    return flagged(
        tables.score_rows(whole, roles),
        tables.optimism_rows(whole, roles, groups),
        tables.source_rows(descriptors | others, roles, groups),
        tables.difference_rows(whole, roles, groups),
        tables.interval_rows(whole, roles, level),
        tables.curve_rows(curve),
    )


def flagged(*audit_tables):
    """An `Audit` of its tables, in their order, and the flags that they raise."""
    tabled = Audit(*audit_tables, flags=[])
    return dataclasses.replace(tabled, flags=tables.flag_lines(tabled))


def _check_names(descriptors, controls):
    """Raise where a table could not tell two predictors apart."""
    taken = {*tables.RULES, GREY, LINEAR, FOREST, *map(tables.shuffled_targets, descriptors)}
    twice = [name for name in controls if name in descriptors]
    twice += [name for name in [*descriptors, *controls] if name in taken]
    if twice or not descriptors:
        raise UserError(
            f"descriptors are called {list(descriptors)}, controls {list(controls)}: expected at "
            f"least one descriptor, no name twice and none of {sorted(taken)}"
        )


def _run_all(fitted, described, plan, groups, store, progress):
    """Runs by kind of folds and predictor, a list over the shuffles; and those of the curve."""
    jobs = [(folds, _predictors(fitted, described, folds)) for folds in plan]
    count = sum(len(predictors) for _, predictors in jobs)
    whole, curve = defaultdict(list), defaultdict(lambda: defaultdict(list))
    with progress_bar("audit", "run", count, progress=progress) as bar:
        for folds, predictors in jobs:
            done = {}
            for name, predictor in predictors.items():
                done[name] = runs.cross_validate(name, predictor, folds, store)
                bar.update()
            for name in described:
                curve[folds.kind, name][folds.share].append((folds, done[name]))
            if folds.share == 1:
                for name, run in {**done, **_rules(fitted, folds, groups)}.items():
                    whole[folds.kind, name].append(run)
    return whole, curve


def _predictors(fitted, described, folds):
    """What is fitted on these folds: everything, or descriptors alone for the learning curve."""
    if folds.share < 1:
        return {name: fitted[name] for name in described}
    mixed = np.random.default_rng(folds.seed).permutation(fitted[described[0]].y)
    blind = {tables.shuffled_targets(n): fitted[n]._replace(y=mixed) for n in described}
    return fitted | blind


def _rules(fitted, folds, groups):
    """Runs of the rules that know no image, and of the forest where there is a composition."""
    y = next(iter(fitted.values())).y
    predicted = blind_predictions(y, folds.splits, groups)
    if LINEAR in fitted:
        predicted[FOREST] = forest_predictions(fitted[LINEAR].X, y, folds.splits)
    fold = np.empty(len(y), int)
    for i, (_, test) in enumerate(folds.splits):
        fold[test] = i
    return {name: Run(y, values, fold) for name, values in predicted.items()}
