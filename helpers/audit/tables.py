"""Tables of an audit, made of the predictions of all predictors on all kinds of folds.

What is read off them as well: the verdict on a difference, and how much data would be enough.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from sklearn.metrics import mean_absolute_error, r2_score

from helpers import UserError
from helpers.audit import source_leak
from helpers.cross_validation import NestedCV
from helpers.intervals import nested_coverage, paired_interval
from helpers.regression import mape

SHUFFLED, BY_SOURCE, ONE_OUT = "shuffled", "by source", "leave one source out"
RULES = ("mean", "median", "mean of the source")


class Run(NamedTuple):
    """Out-of-fold predictions of one predictor, for one shuffle of one kind of folds."""

    y: np.ndarray
    y_pred: np.ndarray
    fold: np.ndarray
    nested: NestedCV | None = None

    @property
    def errors(self):
        """Absolute percentage error [%] of each sample, shape (n,)."""
        return 100 * np.abs((self.y_pred - self.y) / self.y)

    @property
    def fold_mape(self):
        """MAPE [%] of each fold, shape (n_folds,)."""
        return np.bincount(self.fold, self.errors) / np.bincount(self.fold)


def _over_shuffles(column, start, values):
    """Columns of a row: the mean over the shuffles, the lowest of them and the highest."""
    return {column: np.mean(values), f"{start}_low": min(values), f"{start}_high": max(values)}


def score_rows(runs, roles):
    """A row a kind of folds and predictor."""
    rows = []
    for (kind, name), shuffles in runs.items():
        folds = np.array([run.fold_mape for run in shuffles])
        row = {"folds": kind, "predictor": name, "role": roles[name]}
        row |= _over_shuffles("mape_pooled", "pooled", [mape(r.y, r.y_pred) for r in shuffles])
        row |= {"mape_mean": folds.mean(), "mape_std": folds.std(axis=1).mean()}
        row |= {"mae": np.mean([mean_absolute_error(r.y, r.y_pred) for r in shuffles])}
        row |= {"r2": np.mean([r2_score(r.y, r.y_pred) for r in shuffles])}
        rows.append({**row, "shuffles": len(shuffles)})
    return pd.DataFrame(rows)


def difference_rows(runs, roles, groups):
    """A row a kind of folds, descriptor and other predictor."""
    rows = []
    names = [name for name, role in roles.items() if role == "descriptor"]
    mixed = {shuffled_targets(name) for name in names}  # other targets: nothing to pair
    controls = [name for name in roles if name not in {*names, *mixed}]
    for kind in dict.fromkeys(kind for kind, _ in runs):
        for i, name in enumerate(names):
            for other in [*names[i + 1 :], *controls]:
                mean, (low, high) = _difference(runs[kind, name], runs[kind, other], kind, groups)
                verdict = "less" if high < 0 else "more" if low > 0 else "open"
                row = {"folds": kind, "predictor": name, "other": other, "role": roles[other]}
                row |= {"difference": mean, "low": low, "high": high, "errs": verdict}
                rows.append(row)
    return pd.DataFrame(rows)


def _difference(one, other, kind, groups):
    if kind == ONE_OUT:  # folds of one sample and of many: pooled, sources as units
        errors = [a.errors - b.errors for a, b in zip(one, other, strict=True)]
        return source_leak.clustered_interval(errors, groups)
    return paired_interval([a.fold_mape - b.fold_mape for a, b in zip(one, other, strict=True)])


def shuffled_targets(name):
    """What the control with shuffled targets of a descriptor is called."""
    return f"{name}, shuffled targets"


def optimism_rows(runs, roles, groups):
    """A row a fitted predictor: errors with the source seen and unseen."""
    kinds = {kind for kind, _ in runs}
    unseen = BY_SOURCE if BY_SOURCE in kinds else ONE_OUT
    rows = []

    def errors(kind, name):
        return np.mean([run.errors for run in runs[kind, name]], axis=0)

    for name in roles if {SHUFFLED, unseen} <= kinds else ():
        if not runs[SHUFFLED, name][0].nested:
            continue  # a rule, which is not fitted
        seen, new = errors(SHUFFLED, name), errors(unseen, name)
        judged = source_leak.lost_gain(
            seen, new, errors(SHUFFLED, "mean"), errors(unseen, "mean"), groups
        )
        facts = [name, roles[name], unseen, seen.mean(), new.mean(), new.mean() - seen.mean()]
        rows.append([*facts, *judged])
    columns = ["predictor", "role", "unseen_folds", "mape_seen", "mape_unseen", "optimism"]
    return pd.DataFrame(rows, columns=[*columns, *source_leak.LostGain._fields])


def source_rows(matrices, roles, groups):
    """A row a descriptor, or control made of images: how well it tells the source."""
    names = () if groups is None else matrices
    rows = [[n, roles[n], *source_leak.source_accuracy(matrices[n], groups)] for n in names]
    return pd.DataFrame(rows, columns=["predictor", "role", *source_leak.SourceAccuracy._fields])


def interval_rows(runs, roles, level):
    """A row a kind of folds and descriptor: coverage and width of prediction intervals."""
    rows = []
    for (kind, name), shuffles in runs.items():
        if roles[name] != "descriptor":
            continue
        covered = [nested_coverage(run.nested, run.y, level) for run in shuffles]
        row = {"folds": kind, "predictor": name, "level": 100 * level}
        row |= _over_shuffles("coverage", "coverage", [one.coverage for one in covered])
        widths = [one.half_width[run.fold] for one, run in zip(covered, shuffles, strict=True)]
        row |= {"width": 2 * np.mean(widths)}
        rows.append({**row, "n_calibration": min(one.n_calibration.min() for one in covered)})
    return pd.DataFrame(rows)


def curve_rows(curve):
    """A row a kind of folds, descriptor and share of the training parts.

    `curve` holds by kind and descriptor a dict, share -> pairs of folds and run, a pair a shuffle.
    """
    rows = []
    for (kind, name), points in curve.items():
        for share, shuffles in sorted(points.items()):
            errors = [mape(run.y, run.y_pred) for _, run in shuffles]
            parts, groups = [t for f, _ in shuffles for t, _ in f.splits], shuffles[0][0].groups
            row = {"folds": kind, "predictor": name, "share": share}
            row |= {"n_train": np.mean([len(train) for train in parts]), "n_sources": np.nan}
            if groups is not None:
                row["n_sources"] = np.mean([len(np.unique(groups[train])) for train in parts])
            rows.append(row | _over_shuffles("mape_pooled", "pooled", errors))
    return pd.DataFrame(rows)


def flag_lines(audit):
    """What a reader of the tables must not miss: labels and numbers, a line each."""
    flags = []
    for row in audit.optimism.query("leak and role == 'descriptor'").itertuples():
        source = audit.source_accuracy.set_index("predictor").loc[row.predictor]
        told = (
            "source not predicted, fewer than two have five samples"
            if np.isnan(source["chance"])
            else f"source told by a balanced accuracy of {100 * source['balanced_accuracy']:.0f} "
            f"% (chance {100 * source['chance']:.0f} %)"
        )
        flags.append(
            f"{row.predictor}: leak between samples of one source; gain over the mean on shuffled "
            f"folds {row.gain:.1f} points of MAPE, lost where the source is unseen {row.lost:.1f} "
            f"({row.low:.1f} to {row.high:.1f}); {told}"
        )
    lost = audit.differences.query("role == 'control' and errs != 'less'")
    same = (lost["other"] == RULES[2]) & (lost["folds"] != SHUFFLED)  # falls back to the mean
    words = {"more": "errs more than", "open": "not shown to err less than"}
    keys = ["folds", "predictor", "errs"]
    for (kind, name, errs), rows in lost[~same].groupby(keys, sort=False):
        listed = "; ".join(
            f"{row.other} ({row.difference:+.1f} points, {row.low:.1f} to {row.high:.1f})"
            for row in rows.itertuples()
        )
        flags.append(f"{name}, folds {kind}: {words[errs]} {listed}")
    scores = audit.table.set_index(["folds", "predictor"])
    # Mixing takes the sources out of the targets, which makes those of an unseen source easier.
    rows = audit.table.query("role == 'descriptor' and folds == @SHUFFLED")
    for row in rows.itertuples():
        mixed = scores.loc[(row.folds, shuffled_targets(row.predictor))]
        if row.mape_pooled >= mixed["pooled_low"]:
            flags.append(
                f"{row.predictor}, folds {row.folds}: errs by {row.mape_pooled:.1f} %, no less "
                f"than with shuffled targets ({mixed['pooled_low']:.1f} % in the lowest of "
                f"{mixed['shuffles']})"
            )
    return flags


def difference(audited, name, other, folds=SHUFFLED):
    """MAPE of one predictor minus that of another in an audit, with its 95 % interval.

    Parameters
    ----------
    audited : helpers.audit.audit.Audit
    name, other : str
        Predictors, in either order of the table.
    folds : str
        Kind of folds.

    Returns
    -------
    tuple of float
        Difference, low, high, in points.

    Raises
    ------
    ValueError
        The audit did not compare the two.
    """
    table = audited.differences.set_index(["folds", "predictor", "other"])
    table = table[["difference", "low", "high"]]
    if (folds, name, other) in table.index:
        return tuple(table.loc[folds, name, other])
    if (folds, other, name) in table.index:
        value, low, high = table.loc[folds, other, name]
        return -value, -high, -low
    raise UserError(f"no difference of {name!r} and {other!r} on folds {folds!r}")


def enough(audited, name, folds):
    """Training samples from which on a descriptor is told from the mean in every shuffle.

    Parameters
    ----------
    audited : helpers.audit.audit.Audit
    name : str
        A descriptor.
    folds : str
        Kind of folds.

    Returns
    -------
    float or None
        The smallest point of the learning curve at which, and at all larger ones, the highest of
        the shuffles errs less than the lowest of the mean of all training samples. None: none is.
    """
    curve = audited.learning_curve.query("folds == @folds and predictor == @name")
    mean = audited.table.query("folds == @folds and predictor == 'mean'")["pooled_low"].iloc[0]
    curve = curve.sort_values("n_train", ascending=False)
    below = (curve["pooled_high"] < mean).cumprod().astype(bool)
    return float(curve["n_train"][below].min()) if below.any() else None


def needed_sources(audited, name, size):
    """About how many sources it would take to tell a descriptor from the mean, with 80 % power.

    Parameters
    ----------
    audited : helpers.audit.audit.Audit
    name : str
        A descriptor.
    size : float
        The difference to the mean [points of MAPE] that shall be seen, one source left out.

    Returns
    -------
    float
        So many that a difference of this size is seen in four of five studies, by
        `helpers.audit.source_leak.needed_groups`.
    """
    _, low, high = difference(audited, name, "mean", ONE_OUT)
    # Where one source is left out, all others are in the training part.
    count = audited.learning_curve.query("folds == @ONE_OUT")["n_sources"].max() + 1
    return source_leak.needed_groups((high - low) / 2, count, size)
