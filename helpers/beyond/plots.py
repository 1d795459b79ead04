"""Figures of the leaderboards and of what models look at; as `helpers.plots`."""

import matplotlib.pyplot as plt
import numpy as np


def plot_leaderboard(table, marks):
    """Test errors of descriptors, a point for each learner.

    Parameters
    ----------
    table : pandas.DataFrame
        Columns ``descriptor``, ``learner`` (their names) and ``mape`` [%].
    marks : mapping of str to float
        Vertical lines with their names [%].

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> import pandas as pd
    >>> row = {"descriptor": "d", "learner": "linear", "mape": 20.0}
    >>> len(plot_leaderboard(pd.DataFrame([row]), {"goal": 10.0}).axes)
    1
    """
    names, tab10 = list(table["descriptor"].unique()), plt.get_cmap("tab10")
    figure, axis = plt.subplots(figsize=(8.4, 1.6 + 0.36 * len(names)), layout="constrained")
    for i, (learner, rows) in enumerate(table.groupby("learner", sort=False)):
        at = [names.index(name) for name in rows["descriptor"]]
        axis.plot(rows["mape"], at, "os^vDxP*"[i % 8], ms=5, color=tab10(i), label=learner)
    for (label, value), style in zip(marks.items(), ("--", ":", "-."), strict=False):
        axis.axvline(value, color="0.3", lw=1, ls=style, label=f"{label}: {value:.1f} %")
    axis.set_yticks(range(len(names)), names)
    axis.invert_yaxis()
    axis.set(xscale="log", xlabel="MAPE of the test part [%]")
    ticks = [t for t in (10, 15, 20, 30, 40, 60, 80, 100, 150, 200) if t <= axis.get_xlim()[1]]
    axis.set_xticks(ticks, [f"{t:g}" for t in ticks])
    axis.minorticks_off()
    axis.grid(axis="y", color="0.9")
    figure.legend(loc="outside lower center", ncols=2, fontsize=8)
    plt.close(figure)
    return figure


def plot_changes(table):
    """Validation and test errors of a chain of changes, one bar pair each.

    Parameters
    ----------
    table : pandas.DataFrame
        Columns ``label``, ``val_mape`` and ``mape`` [%].

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> import pandas as pd
    >>> row = {"label": "start", "val_mape": 20.0, "mape": 21.0}
    >>> len(plot_changes(pd.DataFrame([row])).axes)
    1
    """
    figure, axis = plt.subplots(figsize=(8.0, 1.2 + 0.5 * len(table)), layout="constrained")
    at = np.arange(len(table))
    for shift, column, label in ((-0.2, "val_mape", "validation"), (0.2, "mape", "test")):
        bars = axis.barh(at + shift, table[column], 0.38, label=label)
        axis.bar_label(bars, fmt="%.1f", padding=2, fontsize=8)
    axis.set_yticks(at, table["label"])
    axis.invert_yaxis()
    axis.set_xlabel("MAPE [%]")
    axis.margins(x=0.12)
    axis.legend(title="part")
    plt.close(figure)
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

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> import pandas as pd
    >>> row = {"study": "3 sections", "curve": "MicroViT", "mape": 20.0}
    >>> len(plot_section_counts(pd.DataFrame([row]), ["3 sections"], {"3-D": 9.0}).axes)
    1
    """
    figure, axis = plt.subplots(figsize=(7.6, 4.2), layout="constrained")
    for i, (curve, rows) in enumerate(table.groupby("curve", sort=False)):
        rows = rows.set_index("study").reindex([o for o in order if o in set(rows["study"])])
        at = [order.index(name) for name in rows.index]
        axis.plot(at, rows["mape"], marker="os^vDx"[i % 6], label=curve)
    for (label, value), style in zip(marks.items(), ("--", ":", "-."), strict=False):
        axis.axhline(value, color="0.3", lw=1, ls=style, label=label)
    axis.set_xticks(range(len(order)), [name.replace(" ", "\n", 2) for name in order])
    axis.set(ylabel="MAPE of the test part [%]", ylim=(0, None))
    axis.legend(fontsize=8)
    plt.close(figure)
    return figure


def plot_correlations(table):
    """Correlations of components with known quantities, as a coloured table.

    Parameters
    ----------
    table : pandas.DataFrame
        Values from -1 to 1; rows are components, columns quantities.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> import pandas as pd
    >>> len(plot_correlations(pd.DataFrame({"fraction": [0.9, -0.1]})).axes)
    2
    """
    figure, axis = plt.subplots(
        figsize=(2.6 + 1.2 * table.shape[1], 1.6 + 0.42 * len(table)), layout="constrained"
    )
    shown = axis.imshow(table, cmap="RdBu_r", vmin=-1, vmax=1, aspect="auto")
    for (i, j), value in np.ndenumerate(table.to_numpy()):
        colour = "white" if abs(value) > 0.6 else "black"
        axis.text(j, i, f"{value:.2f}", ha="center", va="center", color=colour, fontsize=9)
    axis.set_xticks(range(table.shape[1]), table.columns)
    axis.set_yticks(range(len(table)), table.index)
    figure.colorbar(shown, ax=axis, label="correlation r [-]")
    plt.close(figure)
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

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> len(plot_occlusion([np.zeros((3, 9, 9))], [np.ones((3, 1, 1))], ["one"]).axes)
    7
    """
    k = len(volumes[0])
    figure, grid = plt.subplots(
        len(volumes),
        2 * k,
        figsize=(1.7 * 2 * k, 1.9 * len(volumes)),
        squeeze=False,
        layout="constrained",
    )
    for axes, sections, changes, title in zip(grid, volumes, maps, titles, strict=True):
        reach, (h, w) = np.abs(changes).max(), sections.shape[1:]
        rows, columns = changes.shape[1:]
        extent = (0, w - w % columns, h - h % rows, 0)
        for i, normal in zip(range(k), "xyz", strict=False):
            axes[i].imshow(sections[i], cmap="gray", vmin=0, vmax=1, extent=(0, w, h, 0))
            axes[i].set_title(f"normal to {normal}", fontsize=8)
            shown = axes[k + i].imshow(
                changes[i], "RdBu_r", vmin=-reach, vmax=reach, extent=extent
            )
            axes[k + i].set_title(f"hidden, {normal}", fontsize=8)
        for axis in axes:
            axis.set(xticks=[], yticks=[])
        axes[0].set_ylabel(title, fontsize=8)
        figure.colorbar(shown, ax=axes[-1], label="change [%]")
    plt.close(figure)
    return figure
