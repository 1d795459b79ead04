"""Figure of the page on scaling out: what was measured, and what is only projected from it."""

from __future__ import annotations

import numpy as np

from helpers.plots import panels


def plot_scaling(table, most=64):
    """Rate of extraction over the number of workers, with the projection marked as one.

    Parameters
    ----------
    table : pandas.DataFrame
        ``data/results/benchmarks/bench_extract.csv``: ``what``, ``workers``, ``images_per_s``.
    most : int
        Workers up to which to project.

    Returns
    -------
    matplotlib.figure.Figure
    """
    measured = table[table["what"] == "Ray"].sort_values("workers")
    one = table[table["what"] == "one process"].iloc[0]
    last = measured.iloc[-1]
    figure, ((ax,),) = panels(height=3.6, width=5.6)
    ax.plot(measured["workers"], measured["images_per_s"], "o-", label="Ray, measured")
    ax.plot(one["workers"], one["images_per_s"], "s", mfc="none", label="one process, measured")
    workers = np.array([last["workers"], most])
    rate = last["images_per_s"] / last["workers"]
    ax.plot(workers, rate * workers, "--", color="gray", label="projection, not measured")
    ax.set(xscale="log", yscale="log", xlabel="workers, one core each", ylabel="images a second")
    ticks = 2 ** np.arange(int(np.log2(most)) + 1)
    ax.set_xticks(ticks, map(str, ticks), minor=False)
    ax.yaxis.set_major_formatter("{x:g}")
    ax.minorticks_off()
    ax.legend()
    return figure
