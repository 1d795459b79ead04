"""Runs of an audit: its input checked, its folds tried out, its cross-validations one by one."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from sklearn.model_selection import GroupKFold, KFold, LeaveOneGroupOut

from helpers import UserError, check_choice
from helpers.audit.tables import BY_SOURCE, ONE_OUT, SHUFFLED, Run
from helpers.cross_validation import MOST_COMPONENTS, NESTED_MODELS, ThinnedFolds, nested_folds
from helpers.intervals import half_width
from helpers.regression import check_descriptors, check_target
from helpers.scores import PAPER_SEED, evaluate_descriptors

KINDS = (SHUFFLED, BY_SOURCE, ONE_OUT)
INNER = 5


class Predictor(NamedTuple):
    """Columns that a model is fitted to, by nested cross-validation."""

    X: np.ndarray
    y: np.ndarray
    model: str
    standardize: bool


class Folds(NamedTuple):
    """One way to split: what it is called, its splitter, and what it leaves for training.

    `inner` is the number of inner folds or their splitter; `splits` are the rows (train, test) of
    the outer folds; `smallest` is the smallest number of samples in a training part of the inner
    ones.
    """

    kind: str
    seed: int
    share: float
    splitter: object
    inner: object
    groups: np.ndarray | None
    splits: list
    smallest: int


def check_matrices(matrices, n):
    """Descriptors by name as float arrays of n rows, or what is wrong with one of them."""
    checked = {}
    for name, X in matrices.items():
        checked[name] = check_descriptors(X, f"{name!r}").astype(float)
        if len(checked[name]) != n:
            raise UserError(f"{name!r} has {len(checked[name])} rows: expected {n}, as in y")
        if not np.ptp(checked[name], axis=0).any():
            raise UserError(f"{name!r} is the same in every row: it tells nothing; leave it out")
    return checked


def check_property(y, model):
    """The target as float array, or what is wrong with it or with the model's name."""
    check_choice("model", model, sorted(NESTED_MODELS))
    y = check_target(y, len(y))
    if np.ptp(y) == 0:
        raise UserError(
            f"y is {y[0]:g} in all {len(y)} rows: there is nothing to predict; is it the right "
            "column?"
        )
    return y


def check_groups(groups, n, kinds, outer, inner):
    """Groups as an array and the kinds of folds, or why they do not go together."""
    known = KINDS if groups is not None else (SHUFFLED,)
    kinds = known if kinds is None else tuple(kinds)
    unknown = [kind for kind in kinds if kind not in known]
    if unknown or not kinds:
        why = "" if groups is not None else "; the others need groups"
        raise UserError(f"kinds are {kinds}: expected some of {', '.join(map(repr, known))}{why}")
    if groups is None:
        return None, kinds
    groups = np.asarray(groups)
    if groups.shape != (n,):
        raise UserError(f"groups have shape {groups.shape}: expected one for each of {n} samples")
    gaps = np.flatnonzero(pd.isna(groups))
    if len(gaps):
        raise UserError(
            f"groups hold {groups[gaps[0]]} in row {gaps[0]} ({len(gaps)} in all): name the "
            "source of every sample; one that stands alone is a source of its own"
        )
    if groups.dtype == object:
        groups = groups.astype(str)
    count = len(np.unique(groups))
    needed = {BY_SOURCE: outer, ONE_OUT: inner + 1}
    short = [kind for kind in kinds if count < needed.get(kind, 0)]
    if short:
        raise UserError(
            f"groups name {count} sources: folds {short[0]!r} need at least {needed[short[0]]}, "
            f"for there are outer={outer} and inner={inner} folds; choose fewer folds, other "
            "kinds, or groups=None"
        )
    return groups, kinds


def plan_folds(n, groups, kinds, seeds, shares, outer, inner, level):
    """All ways to split, each tried out on a column of zeros, as a list of `Folds`.

    For each kind and seed first the whole training parts, then their shares. Where one source is
    left out, the seeds shuffle the inner folds: there is one way only to deal the outer ones.
    """
    if not len(seeds) or not all(0 < share < 1 for share in shares):
        raise UserError(f"seeds are {seeds}, shares {shares}: expected seeds, shares below 1")
    plan = []
    for kind in kinds:
        sources = None if kind == SHUFFLED else groups
        for seed in seeds:
            splitter = {
                SHUFFLED: KFold(outer, shuffle=True, random_state=seed),
                BY_SOURCE: GroupKFold(outer, shuffle=True, random_state=seed),
                ONE_OUT: LeaveOneGroupOut(),
            }[kind]
            inside = (
                GroupKFold(inner, shuffle=True, random_state=seed) if kind == ONE_OUT else inner
            )
            for share in (1.0, *(() if kind == ONE_OUT else shares)):
                split = splitter if share == 1 else ThinnedFolds(splitter, share, seed)
                tried = nested_folds(
                    np.zeros((n, 1)), groups=sources, outer=split, inner=inside,
                    seed=PAPER_SEED, max_components=1, n_jobs=1,
                )  # fmt: skip
                splits = [(fold.train, fold.test) for fold in tried.outer]
                smallest = min(len(s.train) for parts in tried.inner for s in parts)
                plan.append(Folds(kind, seed, share, split, inside, sources, splits, smallest))
    whole = [folds for folds in plan if folds.share == 1]
    least = min(len(train) for folds in whole for train, _ in folds.splits)
    half_width(np.zeros(least), level)  # raises where these are too few for intervals
    # All shuffles keep as many components, or one would be another model.
    smallest = min(folds.smallest for folds in whole)
    return [f._replace(smallest=smallest) if f.share == 1 else f for f in plan]


def cross_validate(name, predictor, folds, store):
    """Nested cross-validation of one predictor on one way to split, or the run that was kept."""
    X, y, model, standardize = predictor
    options = {"standardize": True} if standardize else {}
    if folds.inner != INNER:
        options["inner"] = folds.inner
    if folds.smallest < min(MOST_COMPONENTS["lr"], X.shape[1]):
        options["max_components"] = folds.smallest
    # An int is what other chapters pass, so that they share the runs that are kept.
    same = isinstance(folds.splitter, KFold | GroupKFold)
    options["outer"] = folds.splitter.get_n_splits() if same else folds.splitter
    (result,) = evaluate_descriptors(
        {name: X}, y, [model], groups=folds.groups, seeds=[folds.seed],
        store=store, progress=False, **options,
    ).values()  # fmt: skip
    return Run(y, result.y_pred, result.fold, result)
