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
    axis.set(xscale="log", yscale="log", xlabel="volumes", ylabel="MAPE of the test part [%]")
    _mark(axis.xaxis, curves["n"].unique())
    _mark(axis.yaxis, (10, 15, 20, 30, 40, 60, 80, 120))
    axis.legend(title=None)
    return figure


def plot_ratios(table, by, hue, label):
    """Ratios of errors with their intervals, a row for each of `by`, a colour for each of `hue`.

    Parameters
    ----------
    table : pandas.DataFrame
        As `helpers.evidence.comparisons.compare` gives it, without its base.
    by, hue : str
        Columns, such as ``"descriptor"``.
    label : str
        Of the axis of ratios, which is logarithmic.

    Examples
    --------
    >>> import pandas as pd
    >>> row = {"descriptor": "a", "of": "x", "ratio": 1.1, "low": 1.0, "high": 1.2}
    >>> len(plot_ratios(pd.DataFrame([row]), "of", "descriptor", "ratio").axes)
    1
    """
    colours = table[hue].nunique()
    figure, ((axis,),) = panels(height=1.2 + (0.1 + 0.13 * colours) * table[by].nunique())
    points = with_ranges(table, [by, hue], "ratio", "low", "high")
    look = {"dodge": 0.25 * (colours - 1), "linestyle": "none", "markersize": 5}
    look |= {"x": "at", "y": by, "hue": hue, "err_kws": {"linewidth": 1.5}}
    sns.pointplot(**points, **look, ax=axis)
    axis.axvline(1, color="0.3", lw=1, ls="--", zorder=0)
    axis.set(xscale="log", xlabel=label, ylabel="")
    _mark(axis.xaxis, (0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1, 1.2, 1.5, 2, 3, 5, 10))
    sns.move_legend(axis, "lower center", bbox_to_anchor=(0.5, 1), ncols=3, title=None)
    return figure


def _mark(axis, numbers):
    """Those of the numbers that are in view as ticks of a logarithmic x or y axis."""
    low, high = axis.get_view_interval()
    ticks = [t for t in sorted(numbers) if low < t < high]
    axis.set_ticks(ticks, labels=ticks)
    axis.set_ticks([], minor=True)
