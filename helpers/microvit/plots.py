"""Figures of MicroViT: its training images, curves, attention, neighbours; as `helpers.plots`."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.ticker import ScalarFormatter


def plot_sheet(rows, *, titles=None):
    """Images in rows with a name each, on one grey scale.

    Parameters
    ----------
    rows : mapping of str to sequence of ndarray, shape (h, w)
        Values in [0, 1]; as many images in each row.
    titles : mapping of str to sequence of str, optional
        What stands above the images of a row.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> len(plot_sheet({"a": np.zeros((3, 5, 5)), "b": np.ones((3, 5, 5))}).axes)
    6
    """
    columns, titles = len(next(iter(rows.values()))), titles or {}
    figure, grid = plt.subplots(
        len(rows),
        columns,
        figsize=(1.05 * columns + 1, (1.3 if titles else 1.1) * len(rows)),
        squeeze=False,
        layout="constrained",
    )
    for axes, (name, images) in zip(grid, rows.items(), strict=True):
        for i, (ax, image) in enumerate(zip(axes, images, strict=True)):
            ax.imshow(image, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
            ax.set(xticks=[], yticks=[])
            ax.spines[:].set(visible=True, color="0.6", lw=0.5)
            if name in titles:
                ax.set_title(titles[name][i], fontsize=7)
        axes[0].set_ylabel(name.replace("_", " "), rotation=0, ha="right", va="center")
    plt.close(figure)
    return figure


def plot_training(log):
    """Loss, probes and the error of the modulus over the training.

    Parameters
    ----------
    log : pandas.DataFrame
        Columns ``curve``, ``minutes``, ``value``. The curve ``"loss"`` stands in the left panel,
        those that begin with ``"r2_"`` in the middle, ``"mape_modulus"`` [%] at the right.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> import pandas as pd
    >>> rows = [(c, 0.0, 1.0) for c in ("loss", "r2_fraction", "mape_modulus")]
    >>> len(plot_training(pd.DataFrame(rows, columns=["curve", "minutes", "value"])).axes)
    3
    """
    figure, axes = plt.subplots(1, 3, figsize=(9.6, 3.4), layout="constrained")
    kinds = ("loss", "r2_", "mape_modulus")
    labels = "loss [-]", "R² of the linear probes [-]", "MAPE of the modulus [%]"
    for ax, start, label in zip(axes, kinds, labels, strict=True):
        curves = log[log["curve"].str.startswith(start)].groupby("curve", sort=False)
        for (name, rows), marker in zip(curves, "os^vDx", strict=False):
            marker = "" if start == "loss" else marker
            told = name.removeprefix("r2_").replace("_", " ")
            ax.plot(rows["minutes"], rows["value"], marker=marker, ms=4, label=told)
        ax.set(xlabel="training [min]", ylabel=label)
    axes[0].set_yscale("log")
    for axis in (axes[0].yaxis.set_major_formatter, axes[0].yaxis.set_minor_formatter):
        axis(ScalarFormatter())
    axes[1].legend(fontsize=7)
    plt.close(figure)
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

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> len(plot_attention([np.eye(14)], [np.ones((3, 2, 2))], ["section"]).axes)
    9
    """
    k, heads = len(images), len(maps[0])
    figure, grid = plt.subplots(
        k, heads + 2, figsize=(2.3 * (heads + 2), 2.4 * k), squeeze=False, layout="constrained"
    )
    for axes, image, weights, title in zip(grid, images, maps, titles, strict=True):
        h, w = image.shape
        axes[0].imshow(image, cmap="gray", vmin=0, vmax=1)
        axes[0].set(title=title, xlabel="column [pixels]", ylabel="row [pixels]")
        panels = {f"head {i + 1}": head for i, head in enumerate(weights)}
        panels["mean of the heads"] = weights.mean(0)
        for ax, (name, values) in zip(axes[1:], panels.items(), strict=True):
            relative = values * values.size
            shown = ax.imshow(relative, extent=(0, w, h, 0), interpolation="nearest", vmin=0)
            ax.set(title=name, xticks=[], yticks=[])
            figure.colorbar(shown, ax=ax, shrink=0.75)
    plt.close(figure)
    return figure


def plot_table_differences(rows):
    """Differences of errors with their intervals, beside the line of no difference.

    Parameters
    ----------
    rows : pandas.DataFrame
        Columns ``label``, ``value``, ``low``, ``high`` [percentage points].

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> import pandas as pd
    >>> row = {"label": "a", "value": -1.0, "low": -2.0, "high": 0.1}
    >>> len(plot_table_differences(pd.DataFrame([row])).axes)
    1
    """
    figure, axis = plt.subplots(figsize=(7.0, 1.0 + 0.4 * len(rows)), layout="constrained")
    reach = np.array([rows["value"] - rows["low"], rows["high"] - rows["value"]])
    axis.errorbar(rows["value"], range(len(rows)), xerr=reach, fmt="o", capsize=3)
    axis.axvline(0, color="0.3", lw=0.8, ls=":")
    axis.set_yticks(range(len(rows)), rows["label"])
    axis.invert_yaxis()
    axis.set_xlabel("MAPE of MicroViT minus that of the other [percentage points]")
    plt.close(figure)
    return figure
