"""Figures of the leaderboards and of what models look at; as `helpers.plots`."""

import numpy as np
import pandas as pd
import seaborn as sns

from helpers.plots import WIDTH, panels
from helpers.plots_images import frame


def plot_leaderboard(table, marks):
    """Test errors of descriptors, a point for each learner.

    Parameters
    ----------
    table : pandas.DataFrame
        Columns ``descriptor``, ``learner`` (their names) and ``mape`` [%].
    marks : mapping of str to float
        Vertical lines with their names [%].

    Examples
    --------
    >>> row = {"descriptor": "d", "learner": "linear", "mape": 20.0}
    >>> len(plot_leaderboard(pd.DataFrame([row]), {"goal": 10.0}).axes)
    1
    """
    figure, ((axis,),) = panels(height=1.8 + 0.33 * table["descriptor"].nunique())
    look = {"style": "learner", "hue": "learner", "palette": "tab10", "s": 45, "linewidth": 0}
    sns.scatterplot(table, x="mape", y="descriptor", **look, ax=axis)
    for (label, value), style in zip(marks.items(), ("--", ":", "-."), strict=False):
        axis.axvline(value, color="0.3", lw=1, ls=style, label=f"{label}: {value:.1f} %")
    axis.set(xscale="log", xlabel="MAPE of the test part [%]", ylabel="")
    ticks = [t for t in (10, 15, 20, 30, 40, 60, 80, 100, 150, 200) if t <= axis.get_xlim()[1]]
    axis.set_xticks(ticks, [f"{t:g}" for t in ticks])
    axis.minorticks_off()
    axis.grid(axis="y", color="0.9")
    axis.legend().remove()
    figure.legend(loc="outside lower center", ncols=2)
    return figure


def plot_section_counts(table, order, marks):
    """Errors against the number of sections of each volume.

    Parameters
    ----------
    table : pandas.DataFrame
        Columns ``study`` (how many sections), ``curve`` and ``mape`` [%].
    order : sequence of str
        The values of ``study`` from left to right.
    marks : mapping of str to float
        Horizontal lines with their names [%].

    Examples
    --------
    >>> row = {"study": "3 sections", "curve": "MicroViT", "mape": 20.0}
    >>> len(plot_section_counts(pd.DataFrame([row]), ["3 sections"], {"3-D": 9.0}).axes)
    1
    """
    figure, ((axis,),) = panels(height=4.2)
    table = table.assign(study=pd.Categorical(table["study"], order))
    look = {"hue": "curve", "style": "curve", "markers": True, "dashes": False}
    sns.lineplot(table, x="study", y="mape", errorbar=None, **look, ax=axis)
    for (label, value), style in zip(marks.items(), ("--", ":", "-."), strict=False):
        axis.axhline(value, color="0.3", lw=1, ls=style, label=label)
    axis.set_xticks(range(len(order)), [name.replace(" ", "\n", 2) for name in order])
    axis.set(xlabel="", ylabel="MAPE of the test part [%]", ylim=(0, None))
    axis.legend()
    return figure


def plot_correlations(table):
    """Correlations of components with known quantities, as a coloured table.

    Parameters
    ----------
    table : pandas.DataFrame
        Values from -1 to 1; rows are components, columns quantities.

    Examples
    --------
    >>> len(plot_correlations(pd.DataFrame({"fraction": [0.9, -0.1]})).axes)
    2
    """
    width = min(WIDTH, 2.6 + 1.2 * table.shape[1])
    figure, ((axis,),) = panels(height=1.2 + 0.4 * len(table), width=width)
    look = {"cmap": "RdBu_r", "vmin": -1, "vmax": 1, "annot": True, "fmt": ".2f"}
    sns.heatmap(table, **look, cbar_kws={"label": "correlation r [-]"}, ax=axis)
    return figure


def plot_occlusion(volumes, maps, titles):
    """Sections of volumes, and what hiding each patch does to the prediction.

    Parameters
    ----------
    volumes : sequence of ndarray, shape (k, h, w)
    maps : sequence of ndarray, shape (k, rows, columns)
        See `helpers.beyond.occlusion.occlusion_maps` [%].
    titles : sequence of str
        One a volume.

    Examples
    --------
    >>> len(plot_occlusion([np.zeros((3, 9, 9))], [np.ones((3, 1, 1))], ["one"]).axes)
    7
    """
    k = len(volumes[0])
    figure, grid = panels(len(volumes), 2 * k, 1.3 * len(volumes))
    for axes, sections, changes, title in zip(grid, volumes, maps, titles, strict=True):
        reach, (h, w) = np.abs(changes).max(), sections.shape[1:]
        rows, columns = changes.shape[1:]
        extent = (0, w - w % columns, h - h % rows, 0)
        scale = {"cmap": "RdBu_r", "vmin": -reach, "vmax": reach}
        for section, change, left, right in zip(
            sections, changes, axes[:k], axes[k:], strict=True
        ):
            left.imshow(section, cmap="gray", vmin=0, vmax=1, extent=(0, w, h, 0))
            shown = right.imshow(change, **scale, extent=extent)
        for axis in axes:
            frame(axis)
        axes[0].set_ylabel(title)
        figure.colorbar(shown, ax=axes[-1], label="change [%]", shrink=0.85)
    for i, normal in zip(range(k), "xyz", strict=False):
        grid[0, i].set_title(f"normal to {normal}")
        grid[0, k + i].set_title(f"hidden, {normal}")
    return figure
