"""Figures of MicroViT: its training, attention and measures; as `helpers.plots`."""

import seaborn as sns
from matplotlib.ticker import ScalarFormatter

from helpers.plots import WIDTH, panels, with_ranges
from helpers.plots_images import frame


def plot_training(log):
    """Loss, probes and the error of the modulus over the training.

    Parameters
    ----------
    log : pandas.DataFrame
        Columns ``curve``, ``minutes``, ``value``. The curve ``"loss"`` stands in the left panel,
        those that begin with ``"r2_"`` in the middle, ``"mape_modulus"`` [%] at the right.

    Examples
    --------
    >>> import pandas as pd
    >>> rows = [(c, 0.0, 1.0) for c in ("loss", "r2_fraction", "mape_modulus")]
    >>> len(plot_training(pd.DataFrame(rows, columns=["curve", "minutes", "value"])).axes)
    3
    """
    figure, ((loss, probes, error),) = panels(1, 3, 2.9)
    for axis, start, label in (
        (loss, "loss", "loss [-]"),
        (probes, "r2_", "R² of the linear probes [-]"),
        (error, "mape_modulus", "MAPE of the modulus [%]"),
    ):
        rows = log[log["curve"].str.startswith(start)]
        curves = rows["curve"].str.removeprefix("r2_").str.replace("_", " ").rename(None)
        look = {"hue": curves, "style": curves, "markers": start != "loss", "dashes": False}
        look |= {"legend": axis is probes, "errorbar": None}
        sns.lineplot(rows, x="minutes", y="value", **look, ax=axis)
        axis.set(xlabel="training [min]", ylabel=label)
    probes.legend()
    loss.set_yscale("log")
    loss.yaxis.set_major_formatter(ScalarFormatter())
    loss.yaxis.set_minor_formatter(ScalarFormatter())
    return figure


def plot_attention(images, maps, titles):
    """Images, and where each head of the class token looks.

    Parameters
    ----------
    images : sequence of ndarray, shape (h, w)
        Values in [0, 1].
    maps : sequence of ndarray, shape (n_heads, rows, columns)
        Weights of the patches of each image, as many heads for each.
    titles : sequence of str

    Examples
    --------
    >>> import numpy as np
    >>> len(plot_attention([np.eye(14)], [np.ones((3, 2, 2))], ["section"]).axes)
    9
    """
    k, columns = len(images), len(maps[0]) + 2
    figure, grid = panels(k, columns, (WIDTH / columns + 0.6) * k)
    for axes, image, weights, title in zip(grid, images, maps, titles, strict=True):
        h, w = image.shape
        axes[0].imshow(image, cmap="gray", vmin=0, vmax=1)
        frame(axes[0], title)
        drawn = {f"head {i + 1}": head for i, head in enumerate(weights)}
        drawn["mean of heads"] = weights.mean(0)
        for ax, (name, values) in zip(axes[1:], drawn.items(), strict=True):
            relative = values * values.size
            shown = ax.imshow(relative, extent=(0, w, h, 0), vmin=0)
            frame(ax, name)
            figure.colorbar(shown, ax=ax, location="bottom")
    return figure


def plot_table_differences(rows):
    """Differences of errors with their intervals, beside the line of no difference.

    Parameters
    ----------
    rows : pandas.DataFrame
        Columns ``label``, ``value``, ``low``, ``high`` [percentage points].

    Examples
    --------
    >>> import pandas as pd
    >>> row = {"label": "a", "value": -1.0, "low": -2.0, "high": 0.1}
    >>> len(plot_table_differences(pd.DataFrame([row])).axes)
    1
    """
    figure, ((axis,),) = panels(height=1.0 + 0.4 * len(rows))
    points = with_ranges(rows, ["label"], "value", "low", "high")
    look = {"linestyle": "none", "capsize": 0.2, "err_kws": {"linewidth": 1}}
    sns.pointplot(**points, x="at", y="label", **look, ax=axis)
    axis.axvline(0, color="0.3", lw=0.8, ls=":")
    axis.set(xlabel="MAPE of MicroViT minus that of the other [percentage points]", ylabel="")
    return figure
