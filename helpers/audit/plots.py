"""Figures of an audit: errors by folds, differences, intervals, curves; as `helpers.plots`."""

import seaborn as sns

from helpers import check_choice
from helpers.plots import COLOURS, WIDTH, legend_above, panels, with_ranges

KINDS = ["shuffled", "by source", "leave one source out"]
COLOUR = dict(zip(KINDS, COLOURS, strict=False))
MARKER = dict(zip(KINDS, "os^", strict=True))


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
    figure, ((axis,),) = _row_panels(table, "predictor")
    _points(axis, table, "predictor", titles, "mape_pooled", "pooled_low", "pooled_high")
    described = table[table["role"] == "descriptor"]["predictor"].nunique()
    axis.axhline(described - 0.5, color="0.5", lw=0.8, ls=":")
    axis.set(xlabel="MAPE over all samples [%]", xlim=(0, None))
    legend_above(figure, axis, title="folds")
    return figure


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
    check_choice("predictor", predictor, differences["predictor"].unique().tolist())
    rows = differences[differences["predictor"] == predictor]
    figure, ((axis,),) = _row_panels(rows, "other")
    axis.axvline(0, color="0.3", lw=0.8)
    _points(axis, rows, "other", titles, "difference", "low", "high")
    axis.set_title((titles or {}).get(predictor, predictor))
    axis.set_xlabel("MAPE minus that of the row [points], 95 % interval")
    legend_above(figure, axis, title="folds")
    return figure


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

    Examples
    --------
    >>> import pandas as pd
    >>> row = {"folds": "shuffled", "predictor": "a", "level": 90.0, "coverage": 91.0}
    >>> row |= {"coverage_low": 90.0, "coverage_high": 92.0, "width": 150.0}
    >>> len(plot_intervals(pd.DataFrame([row]), "kgf/mm²").axes)
    2
    """
    figure, ((left, right),) = _row_panels(intervals, "predictor", columns=2, sharey=True)
    level = intervals["level"].iloc[0]
    left.axvline(level, color="0.3", lw=0.8)
    ends = "coverage_low", "coverage_high"
    _points(left, intervals, "predictor", titles, "coverage", *ends)
    _points(right, intervals, "predictor", titles, "width")
    left.set_xlabel(f"samples inside [%]; nominal {level:g}")
    right.set(xlabel=f"mean width [{unit}]", xlim=(0, None))
    legend_above(figure, left, title="folds")
    return figure


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
    rows = -(-len(names) // columns)
    size = 1.2 + 2.2 * rows, min(WIDTH, 1.0 + 2.4 * columns)
    figure, axes = panels(rows, columns, *size, sharex=True, sharey=True)
    for axis, name in zip(axes.flat, names, strict=False):
        some = curve[curve["predictor"] == name].sort_values("n_train")
        lines = with_ranges(some, ["folds", "n_train"], "mape_pooled", "pooled_low", "pooled_high")
        kinds = {"hue": "folds", "palette": COLOUR, "style": "folds", "markers": MARKER}
        sns.lineplot(**lines, x="n_train", y="at", **kinds, dashes=False, sort=False, ax=axis)
        axis.set(title=(titles or {}).get(name, name), xlabel="", ylabel="")
    for axis in axes.flat[len(names) :]:
        axis.set_axis_off()
    figure.supxlabel("samples in the training part")
    figure.supylabel("MAPE over all samples [%]")
    legend_above(figure, axes[0, 0], title="folds")
    return figure


def _row_panels(table, by, columns=1, **options):
    """Panels as high as their rows need, one for each value of the column `by`."""
    return panels(1, columns, 1.4 + 0.42 * table[by].nunique(), **options)


def _points(axis, table, by, titles, value, low=None, high=None):
    """A point with its range a row of `table`, in the row of its name, a colour a kind."""
    kinds = list(table["folds"].unique())
    named = table.assign(row=table[by].replace(titles or {}))
    points = with_ranges(named, ["row", "folds"], value, low, high)
    look = {"palette": COLOUR, "markers": [MARKER[kind] for kind in kinds], "linestyle": "none"}
    look |= {"dodge": 0.22 * (len(kinds) - 1), "err_kws": {"linewidth": 1}}
    sns.pointplot(**points, x="at", y="row", hue="folds", **look, ax=axis)
    axis.set_ylabel("")
