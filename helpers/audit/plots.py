"""Figures of an audit: errors on all kinds of folds, differences, intervals, learning curves."""

import matplotlib.pyplot as plt
import numpy as np

from helpers import UserError

FOLD_STYLES = {
    "shuffled": ("o", "#0072B2"),
    "by source": ("s", "#D55E00"),
    "leave one source out": ("^", "#009E73"),
}


def plot_audit(table, titles=None):
    """Error of every descriptor and control on every kind of folds.

    Parameters
    ----------
    table : pandas.DataFrame
        ``Audit.table`` of `helpers.audit.audit.audit`.
    titles : mapping of str to str, optional
        Predictor -> what the axis calls it.

    Returns
    -------
    matplotlib.figure.Figure
        A row a predictor, descriptors above the controls; the lines run from the lowest to the
        highest shuffle of the folds.

    Examples
    --------
    >>> import pandas as pd
    >>> row = {"folds": "shuffled", "predictor": "mean", "role": "control", "mape_pooled": 17.0}
    >>> row |= {"pooled_low": 16.9, "pooled_high": 17.2}
    >>> len(plot_audit(pd.DataFrame([row])).axes)
    1
    """
    table = table.sort_values("role", key=lambda role: role != "descriptor", kind="stable")
    names = list(table["predictor"].unique())
    figure, axis = plt.subplots(figsize=(7.0, 1.3 + 0.42 * len(names)), layout="constrained")
    _points(axis, table, "predictor", names, "mape_pooled", "pooled_low", "pooled_high")
    described = table[table["role"] == "descriptor"]["predictor"].nunique()
    axis.axhline(described - 0.5, color="0.5", lw=0.8, ls=":")
    _name_rows(axis, names, titles)
    axis.set_xlabel("MAPE over all samples [%]")
    axis.set_xlim(left=0)
    return _with_legend(figure, axis)


def plot_differences(differences, predictor, titles=None):
    """How much less or more a descriptor errs than others, with intervals.

    Parameters
    ----------
    differences : pandas.DataFrame
        ``Audit.differences`` of `helpers.audit.audit.audit`.
    predictor : str
        The descriptor that is compared.
    titles : mapping of str to str, optional
        Predictor -> what the axis calls it.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        There is no comparison of that descriptor.

    Examples
    --------
    >>> import pandas as pd
    >>> row = {"folds": "shuffled", "predictor": "a", "other": "mean", "difference": -2.0}
    >>> len(plot_differences(pd.DataFrame([{**row, "low": -3.0, "high": -1.0}]), "a").axes)
    1
    """
    rows = differences[differences["predictor"] == predictor]
    if rows.empty:
        known = ", ".join(map(repr, differences["predictor"].unique()))
        raise UserError(f"predictor is {predictor!r}: expected one of {known}")
    names = list(rows["other"].unique())
    figure, axis = plt.subplots(figsize=(7.0, 1.3 + 0.42 * len(names)), layout="constrained")
    axis.axvline(0, color="0.3", lw=0.8)
    _points(axis, rows, "other", names, "difference", "low", "high")
    _name_rows(axis, names, titles)
    title = (titles or {}).get(predictor, predictor)
    axis.set_title(title, fontsize=10)
    axis.set_xlabel("MAPE minus that of the row [points], 95 % interval")
    return _with_legend(figure, axis)


def plot_intervals(intervals, unit, titles=None):
    """Coverage and width of prediction intervals.

    Parameters
    ----------
    intervals : pandas.DataFrame
        ``Audit.intervals`` of `helpers.audit.audit.audit`.
    unit : str
        Of the property, for the axis of widths.
    titles : mapping of str to str, optional
        Predictor -> what the axis calls it.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> import pandas as pd
    >>> row = {"folds": "shuffled", "predictor": "a", "level": 90.0, "coverage": 91.0}
    >>> row |= {"coverage_low": 90.0, "coverage_high": 92.0, "width": 150.0}
    >>> len(plot_intervals(pd.DataFrame([row]), "kgf/mm²").axes)
    2
    """
    names = list(intervals["predictor"].unique())
    figure, (left, right) = plt.subplots(
        1, 2, sharey=True, figsize=(7.0, 1.5 + 0.42 * len(names)), layout="constrained"
    )
    level = intervals["level"].iloc[0]
    left.axvline(level, color="0.3", lw=0.8)
    _points(left, intervals, "predictor", names, "coverage", "coverage_low", "coverage_high")
    _points(right, intervals, "predictor", names, "width", "width", "width")
    _name_rows(left, names, titles)
    left.set_xlabel(f"samples inside [%]; nominal {level:g}")
    right.set_xlabel(f"mean width [{unit}]")
    right.set_xlim(left=0)
    return _with_legend(figure, left)


def plot_learning_curve(curve, titles=None):
    """Error against the number of training samples, a panel a descriptor.

    Parameters
    ----------
    curve : pandas.DataFrame
        ``Audit.learning_curve`` of `helpers.audit.audit.audit`.
    titles : mapping of str to str, optional
        Predictor -> what its panel is called.

    Returns
    -------
    matplotlib.figure.Figure
        The bands run from the lowest to the highest shuffle.

    Examples
    --------
    >>> import pandas as pd
    >>> row = {"folds": "shuffled", "predictor": "a", "n_train": 50, "mape_pooled": 15.0}
    >>> len(plot_learning_curve(pd.DataFrame([{**row, "pooled_low": 14, "pooled_high": 16}])).axes)
    1
    """
    names = list(curve["predictor"].unique())
    columns = min(3, len(names))
    count = -(-len(names) // columns)
    figure, axes = plt.subplots(
        count, columns, squeeze=False, sharex=True, sharey=True,
        figsize=(2.6 + 2.2 * columns, 1.2 + 2.4 * count), layout="constrained",
    )  # fmt: skip
    for axis, name in zip(axes.flat, names, strict=False):
        for kind, rows in curve[curve["predictor"] == name].groupby("folds", sort=False):
            marker, colour = FOLD_STYLES[kind]
            axis.fill_between(
                rows["n_train"], rows["pooled_low"], rows["pooled_high"], color=colour, alpha=0.2
            )
            axis.plot(
                rows["n_train"], rows["mape_pooled"], marker=marker, ms=4, color=colour, label=kind
            )
        axis.set_title((titles or {}).get(name, name), fontsize=9)
    for axis in axes.flat[len(names) :]:
        axis.set_axis_off()
    figure.supxlabel("samples in the training part", fontsize=10)
    figure.supylabel("MAPE over all samples [%]", fontsize=10)
    return _with_legend(figure, axes[0, 0])


def _points(axis, table, by, names, value, low, high):
    """A point with its range a row of `table`, at the place of its name, a style a kind."""
    kinds = list(table["folds"].unique())
    for i, kind in enumerate(kinds):
        rows = table[table["folds"] == kind]
        offset = 0.22 * (i - (len(kinds) - 1) / 2)
        places = [names.index(name) + offset for name in rows[by]]
        ends = np.clip([rows[value] - rows[low], rows[high] - rows[value]], 0, None)
        marker, colour = FOLD_STYLES[kind]
        style = {"fmt": marker, "color": colour, "ms": 5, "lw": 1, "label": kind}
        axis.errorbar(rows[value], places, xerr=ends, **style)


def _name_rows(axis, names, titles):
    axis.set_yticks(range(len(names)), [(titles or {}).get(name, name) for name in names])
    axis.set_ylim(len(names) - 0.5, -0.5)


def _with_legend(figure, axis):
    handles, labels = axis.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(labels), title="folds")
    plt.close(figure)
    return figure
