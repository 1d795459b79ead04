"""Figures of cross-validation: errors over folds and shuffles, predictions, sources of data."""

import matplotlib.pyplot as plt
import numpy as np

MODEL_COLOURS = {"lr": "#0072B2", "pr": "#E69F00", "svr": "#009E73"}


def plot_cv_bars(table, titles=None):
    """Mean error over the outer folds and its standard deviation: the form of Figs. 8a and 9a.

    Parameters
    ----------
    table : pandas.DataFrame
        One row a descriptor and model; columns ``descriptor``, ``model``, ``mape_mean`` and
        ``mape_std`` [%], as `helpers.scoring.score_table` gives them.
    titles : mapping of str to str, optional
        Descriptor -> what the axis calls it.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> import pandas as pd
    >>> row = {"descriptor": "d", "model": "lr", "mape_mean": 9.0, "mape_std": 1.0}
    >>> len(plot_cv_bars(pd.DataFrame([row])).axes)
    1
    """
    names, models = list(table["descriptor"].unique()), list(table["model"].unique())
    table = table.set_index(["descriptor", "model"])
    height = 0.8 / len(models)
    figure, axis = plt.subplots(figsize=(7.0, 1.2 + 0.62 * len(names)), layout="constrained")
    for i, model in enumerate(models):
        rows = table.loc[[(name, model) for name in names]]
        places = np.arange(len(names)) + (i - (len(models) - 1) / 2) * height
        axis.barh(
            places,
            rows["mape_mean"],
            height,
            xerr=rows["mape_std"],
            label=model.upper(),
            color=MODEL_COLOURS.get(model),
            error_kw={"ecolor": "0.25", "capsize": 2, "lw": 0.8},
        )
        for place, mean in zip(places, rows["mape_mean"], strict=True):
            axis.text(0.3, place, f"{mean:.1f}", va="center", fontsize=7, color="white")
    axis.set_yticks(range(len(names)), [(titles or {}).get(name, name) for name in names])
    axis.invert_yaxis()
    axis.set(xlabel="MAPE over the outer folds [%], mean and standard deviation")
    axis.set_xlim(left=0)
    figure.legend(loc="outside upper center", ncols=len(models), title="model")
    plt.close(figure)
    return figure


def plot_predictions(panels, quantity, unit):
    """Predicted against measured values, a panel for each way of splitting.

    Parameters
    ----------
    panels : mapping of str to mapping of str to (ndarray, ndarray)
        Title -> name of the points -> measured and predicted values.
    quantity, unit : str
        What is predicted.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> points = {"all": (np.array([1.0, 2.0]), np.array([1.1, 1.9]))}
    >>> len(plot_predictions({"one split": points}, "hardness", "kgf/mm2").axes)
    1
    """
    figure, axes = plt.subplots(
        1,
        len(panels),
        squeeze=False,
        sharex=True,
        sharey=True,
        figsize=(3.6 * len(panels), 3.9),
        layout="constrained",
    )
    values = [v for points in panels.values() for pair in points.values() for v in pair]
    ends = np.array([min(v.min() for v in values), max(v.max() for v in values)])
    ends += np.array([-0.03, 0.03]) * np.ptp(ends)
    for axis, (title, points) in zip(axes[0], panels.items(), strict=True):
        axis.plot(ends, ends, color="0.3", lw=1)
        for marker, (name, (truth, predicted)) in zip("ox^s", points.items(), strict=False):
            axis.plot(truth, predicted, marker, ms=4, alpha=0.7, ls="", label=name)
        axis.set(title=title, aspect="equal", xlim=ends, ylim=ends)
        axis.set_xlabel(f"{quantity} [{unit}]")
        axis.legend(loc="upper left", fontsize=8)
    axes[0, 0].set_ylabel(f"predicted {quantity} [{unit}]")
    plt.close(figure)
    return figure


def plot_shuffles(table, marked_seed, titles=None):
    """Mean error of repeated cross-validations, one point a shuffle of the outer folds.

    Parameters
    ----------
    table : pandas.DataFrame
        One row a descriptor and seed; columns ``descriptor``, ``seed``, ``mape_mean`` [%].
    marked_seed : int
        The shuffle that is drawn as a cross.
    titles : mapping of str to str, optional
        Descriptor -> what the axis calls it.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> import pandas as pd
    >>> rows = [{"descriptor": "d", "seed": i, "mape_mean": 13.0 + i} for i in range(3)]
    >>> len(plot_shuffles(pd.DataFrame(rows), marked_seed=0).axes)
    1
    """
    names = list(table["descriptor"].unique())
    figure, axis = plt.subplots(figsize=(6.4, 1.2 + 0.55 * len(names)), layout="constrained")
    for place, name in enumerate(names):
        rows = table[table["descriptor"] == name]
        others = rows[rows["seed"] != marked_seed]["mape_mean"]
        paper = rows[rows["seed"] == marked_seed]["mape_mean"]
        offsets = 0.14 * np.linspace(-1, 1, max(len(others), 1))[: len(others)]
        axis.plot(others, place + offsets, "o", ms=4, alpha=0.7, color="#0072B2")
        axis.plot(paper, [place] * len(paper), "X", ms=9, color="#D55E00")
    axis.plot([], [], "o", color="#0072B2", label="other shuffles")
    axis.plot([], [], "X", color="#D55E00", label="the paper's shuffle")
    axis.set_yticks(range(len(names)), [(titles or {}).get(name, name) for name in names])
    axis.invert_yaxis()
    axis.set_xlabel("mean MAPE over the outer folds [%]")
    figure.legend(loc="outside upper center", ncols=2)
    plt.close(figure)
    return figure


def plot_folds(series):
    """Error of every outer fold, a line for each model.

    Parameters
    ----------
    series : mapping of str to ndarray, shape (n_folds,)
        Name of a line -> MAPE of each fold [%].

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> len(plot_folds({"with": np.ones(10), "without": np.ones(10)}).axes[0].lines)
    2
    """
    figure, axis = plt.subplots(figsize=(6.4, 3.4), layout="constrained")
    for (name, values), marker in zip(series.items(), "os^v", strict=False):
        axis.plot(np.arange(1, len(values) + 1), values, marker=marker, ls=":", label=name)
    axis.set(xlabel="outer fold", ylabel="MAPE of the fold [%]")
    axis.set_xticks(np.arange(1, max(map(len, series.values())) + 1))
    axis.set_ylim(bottom=0)
    axis.legend()
    plt.close(figure)
    return figure


def plot_by_source(values, groups, label):
    """A property of every sample, in columns by source.

    Parameters
    ----------
    values : ndarray, shape (n,)
        Property.
    groups : ndarray of int, shape (n,)
        Number of the source.
    label : str
        Name of the property with its unit.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> len(plot_by_source(np.arange(3.0), np.array([1, 1, 7]), "hardness").axes)
    1
    """
    sources = np.unique(groups)
    figure, axis = plt.subplots(figsize=(7.0, 3.2), layout="constrained")
    for place, source in enumerate(sources):
        own = values[groups == source]
        axis.plot([place] * len(own), own, "o", ms=4, alpha=0.6, color="#0072B2")
        axis.plot([place - 0.35, place + 0.35], [own.mean()] * 2, color="#D55E00")
    axis.axhline(values.mean(), color="0.3", lw=0.8, ls=":")
    axis.set_xticks(range(len(sources)), sources)
    axis.set(xlabel="number of the source", ylabel=label)
    plt.close(figure)
    return figure
