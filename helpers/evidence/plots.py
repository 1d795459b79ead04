"""Figures of the tables of this room; as `helpers.plots`."""

import seaborn as sns

from helpers.plots import panels, with_ranges


def plot_learning_curves(curves):
    """Error of each method against the number of volumes, on logarithmic axes.

    Parameters
    ----------
    curves : pandas.DataFrame
        As `helpers.evidence.learning_curves.curves` gives it.

    Examples
    --------
    >>> import pandas as pd
    >>> row = {"method": "a", "mape": 9.0, "low": 8.0, "high": 10.0}
    >>> len(plot_learning_curves(pd.DataFrame([row | {"n": n} for n in (10, 100)])).axes)
    1
    """
    figure, ((axis,),) = panels(height=4.4)
    order = curves[curves["n"] == curves["n"].max()].sort_values("mape")["method"][::-1]
    points = with_ranges(curves.sort_values("n"), ["n", "method"], "mape", "low", "high")
    look = {"hue": "method", "hue_order": order, "style": "method", "style_order": order}
    sns.lineplot(
        **points,
        x="n",
        y="at",
        **look,
        markers=True,
        dashes=False,
        err_style="bars",
        sort=False,
        ax=axis,
    )
    ticks = [t for t in (10, 15, 20, 30, 40, 60, 80, 120) if t < axis.get_ylim()[1]]
    axis.set(xscale="log", yscale="log", xlabel="volumes", ylabel="MAPE of the test part [%]")
    axis.set_xticks(sorted(curves["n"].unique()), sorted(curves["n"].unique()))
    axis.set_yticks(ticks, ticks)
    axis.minorticks_off()
    axis.legend(title=None)
    return figure


def plot_ratios(table, by, label):
    """Ratios of errors with their intervals, a row for each of `by`, a colour for each descriptor.

    Parameters
    ----------
    table : pandas.DataFrame
        As `helpers.evidence.comparisons.compare` gives it, without its base.
    by : str
        A column.
    label : str
        Of the axis of ratios, which is logarithmic.

    Examples
    --------
    >>> import pandas as pd
    >>> row = {"descriptor": "a", "of": "x", "ratio": 1.1, "low": 1.0, "high": 1.2}
    >>> len(plot_ratios(pd.DataFrame([row]), "of", "ratio").axes)
    1
    """
    figure, ((axis,),) = panels(height=1.2 + 0.5 * table[by].nunique())
    points = with_ranges(table, [by, "descriptor"], "ratio", "low", "high")
    apart = 0.25 * (table["descriptor"].nunique() - 1)
    look = {"hue": "descriptor", "dodge": apart, "linestyle": "none", "markersize": 5}
    sns.pointplot(**points, x="at", y=by, **look, err_kws={"linewidth": 1.5}, ax=axis)
    axis.axvline(1, color="0.3", lw=1, ls="--", zorder=0)
    ticks = [
        t for t in (0.5, 0.7, 1, 1.5, 2, 3, 5, 10) if axis.get_xlim()[0] < t < axis.get_xlim()[1]
    ]
    axis.set(xscale="log", xlabel=label, ylabel="")
    axis.set_xticks(ticks, ticks)
    axis.minorticks_off()
    sns.move_legend(axis, "lower center", bbox_to_anchor=(0.5, 1), ncols=3, title=None)
    return figure
