"""The one theme of the book's figures, and figures of numbers: errors, predictions, components.

Functions return a matplotlib figure and never show it, so that a notebook shows it once.
"""

from __future__ import annotations

import sys

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns

WIDTH = 7.2  # inches: the text column of the page, so that figures show there as large as they are
# Okabe and Ito's colours, which stay apart for colour-blind readers.
COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000"]
sns.set_theme(
    context="paper",  # lettering of 9.6 pt, ticks and legends of 8.8 pt
    style="ticks",
    palette=COLOURS,
    font="DejaVu Sans",  # comes with matplotlib: figures are the same on all machines
    rc={
        "axes.spines.right": False,
        "axes.spines.top": False,
        "figure.constrained_layout.use": True,
        "figure.dpi": 96,  # as a browser counts
        "figure.labelsize": "medium",
        "image.cmap": "viridis",
        "image.interpolation": "nearest",
        "legend.frameon": False,
        "lines.markersize": 6,
        "savefig.dpi": 144,
    },
)
if "IPython" in sys.modules and (shell := sys.modules["IPython"].get_ipython()):
    from matplotlib_inline.backend_inline import InlineBackend

    # Notebooks would crop figures, which changes their width, and show them coarse.
    inline = InlineBackend.instance(parent=shell)
    inline.shell = shell
    inline.print_figure_kwargs = {"bbox_inches": None}
    inline.figure_formats = {"retina"}


def panels(rows=1, columns=1, height=3.8, width=WIDTH, **options):
    """Give a figure [inches] and its axes, shape (rows, columns); `options` of `plt.subplots`."""
    figure, axes = plt.subplots(rows, columns, figsize=(width, height), squeeze=False, **options)
    plt.close(figure)  # pyplot would keep it in memory, and a notebook would show it twice
    return figure, axes


def legend_above(figure, axis, **options):
    """Set one legend for all panels above them, with the entries of `axis`."""
    handles, labels = axis.get_legend_handles_labels()
    for ax in figure.axes:
        if ax.get_legend() is not None:
            ax.get_legend().remove()
    figure.legend(handles, labels, loc="outside upper center", **{"ncols": len(labels), **options})


def with_ranges(table, by, value, low=None, high=None):
    """Give the options of a seaborn plot of points at `value` with ranges from `low` to `high`.

    seaborn would compute a range from many rows of one place. Here each place, told apart by the
    columns `by`, has three rows in this order: the value and the ends of its range.
    """
    ends = [] if low is None else [low, high]
    return {
        "data": table.melt(by, [value, *ends], value_name="at"),
        "estimator": lambda three: three.iloc[0],
        "errorbar": (lambda three: (three.iloc[1], three.iloc[2])) if ends else None,
    }


def plot_lag_profiles(maps, titles):
    """Two-point statistics along both axes, beside f (zero lag) and its square.

    Parameters
    ----------
    maps : sequence of ndarray, shape (n, m)
        Autocorrelations with zero lag at the centre.
    titles : sequence of str

    Examples
    --------
    >>> len(plot_lag_profiles(np.ones((2, 5, 5)), ["a", "b"]).axes)
    2
    """
    figure, axes = panels(1, len(maps), 2.9, sharey=True)
    for ax, values, title in zip(axes.flat, maps, titles, strict=True):
        row, column = (n // 2 for n in values.shape)
        f = values[row, column]
        ax.plot(values[row:, column], label="row lag (vertical)")
        ax.plot(values[row, column:], "--", label="column lag (horizontal)")
        for level, name, style in ((f, "f", "-"), (f**2, "f²", ":")):
            ax.axhline(level, color="0.3", lw=0.8, ls=style)
            ax.text(1.02, level, name, va="center", transform=ax.get_yaxis_transform())
        ax.set(xlabel="lag [pixels]", title=title)
    axes.flat[0].set(ylabel="probability", ylim=(0, None))
    legend_above(figure, axes.flat[0])
    return figure


def plot_modulus(volume_fraction, modulus, bounds, label):
    """Modulus of every volume against its stiff share, between bounds.

    Parameters
    ----------
    volume_fraction, modulus : ndarray, shape (n,)
        Stiff share (0 to 1) and modulus [GPa].
    bounds : mapping of str to (ndarray, ndarray)
        Name of a line, at most four -> volume fractions and moduli [GPa].
    label : str
        Name of the modulus.

    Examples
    --------
    >>> figure = plot_modulus(np.array([0.5]), np.array([30.0]), {}, "Young's modulus")
    >>> figure.axes[0].get_ylabel()
    "Young's modulus [GPa]"
    """
    figure, ((axis,),) = panels()
    points = {"s": 5, "alpha": 0.5, "linewidth": 0, "rasterized": True}
    sns.scatterplot(x=volume_fraction, y=modulus, label="volumes", ax=axis, **points)
    for (name, (f, e)), style in zip(bounds.items(), ["-", "--", ":", "-."], strict=False):
        axis.plot(f, e, style, color="black", label=name)
    axis.set(xlabel="volume fraction of the stiff phase", ylabel=f"{label} [GPa]")
    axis.legend()
    return figure


def plot_predictions(parts, quantity, unit):
    """Predicted against measured values, a panel for each model or way of splitting.

    Parameters
    ----------
    parts : mapping of str to mapping of str to (ndarray, ndarray)
        Title of a panel -> name of the points, at most four -> measured and predicted values.
    quantity, unit : str
        What is predicted.

    Examples
    --------
    >>> points = {"all": (np.array([1.0, 2.0]), np.array([1.1, 1.9]))}
    >>> len(plot_predictions({"one split": points}, "hardness", "kgf/mm2").axes)
    1
    """
    k = len(parts)
    width = min(WIDTH, 3.8 * k)
    figure, axes = panels(1, k, width / k + 0.4, width, sharex=True, sharey=True)
    values = [v for points in parts.values() for pair in points.values() for v in pair]
    ends = np.array([min(v.min() for v in values), max(v.max() for v in values)])
    ends += np.array([-0.03, 0.03]) * np.ptp(ends)
    for axis, (title, points) in zip(axes[0], parts.items(), strict=True):
        axis.plot(ends, ends, color="0.3", lw=1)
        many = max(len(truth) for truth, _ in points.values()) > 1000
        look = {"ms": 2 if many else 4, "alpha": 0.5 if many else 0.7, "rasterized": many}
        for marker, (name, (truth, predicted)) in zip("ox^s", points.items(), strict=False):
            axis.plot(truth, predicted, marker, ls="", label=name, **look)
        axis.set(title=title, aspect="equal", xlim=ends, ylim=ends)
        axis.set_xlabel(f"{quantity} [{unit}]")
        axis.legend(loc="upper left", markerscale=2 if many else 1)
    axes[0, 0].set_ylabel(f"predicted {quantity} [{unit}]")
    return figure


def plot_validation_curves(results):
    """Validation error against the number of components, the chosen number marked.

    Parameters
    ----------
    results : mapping of str to helpers.regression.Holdout
        Name of a line -> result.

    Examples
    --------
    >>> from helpers.regression import holdout
    >>> X = np.random.default_rng(0).normal(size=(50, 3))
    >>> result = holdout(X, 5 + X[:, 0], "lr", max_components=3)
    >>> len(plot_validation_curves({"LR": result}).axes)
    1
    """
    figure, ((axis,),) = panels()
    curves = pd.DataFrame({name: pd.Series(r.val_mape) for name, r in results.items()})
    curves.index += 1  # the first value is that of one component
    sns.lineplot(curves, dashes=False, ax=axis)
    chosen = pd.Series({name: r.n_components for name, r in results.items()})
    marks = [curves.loc[n, name] for name, n in chosen.items()]
    sns.scatterplot(x=chosen, y=marks, hue=chosen.index, s=40, legend=False, zorder=3, ax=axis)
    axis.set(xlabel="number of principal components", ylabel="MAPE of the validation part [%]")
    axis.set_ylim(0, max(3 * curves.min().min(), 1.1 * curves.iloc[0].max()))
    return figure


def plot_components(scores, colour, label):
    """The first two principal components of every sample, coloured by a property.

    Parameters
    ----------
    scores : ndarray, shape (n, at least 2)
        Component scores.
    colour : ndarray, shape (n,)
        Value that colours a point.
    label : str
        Name of that value, with its unit where it has one.

    Examples
    --------
    >>> len(plot_components(np.eye(3), np.arange(3), "volume fraction").axes)  # with colour bar
    2
    """
    figure, ((axis,),) = panels(width=5.2)
    points = axis.scatter(*scores[:, :2].T, c=colour, s=4, linewidths=0, rasterized=True)
    axis.set(xlabel="first principal component", ylabel="second principal component")
    figure.colorbar(points, label=label)
    return figure
