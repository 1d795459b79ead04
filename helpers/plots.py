"""Figures of numbers: errors, predictions, folds, components.

Functions return a matplotlib figure and never show it. The figures are closed for pyplot, so that
a notebook shows the returned one once and does not keep the others in memory.
"""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np

MODEL_COLOURS = {"lr": "#0072B2", "pr": "#E69F00", "svr": "#009E73"}


def plot_lag_profiles(maps, titles):
    """Two-point statistics along both axes, beside f (zero lag) and its square.

    Parameters
    ----------
    maps : sequence of ndarray, shape (n, m)
        Autocorrelations with zero lag at the centre.
    titles : sequence of str

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> len(plot_lag_profiles(np.ones((2, 5, 5)), ["a", "b"]).axes)
    2
    """
    k = len(maps)
    figure, axes = plt.subplots(
        1, k, figsize=(2.6 * k + 0.6, 3.2), sharey=True, squeeze=False, layout="constrained"
    )
    for ax, values, title in zip(axes.flat, maps, titles, strict=True):
        row, column = (n // 2 for n in values.shape)
        f = values[row, column]
        ax.plot(values[row:, column], label="row lag (vertical)")
        ax.plot(values[row, column:], "--", label="column lag (horizontal)")
        ax.axhline(f, color="0.3", lw=0.8)
        ax.axhline(f**2, color="0.3", lw=0.8, ls=":")
        end = max(values.shape) // 2
        ax.text(end, f, "f", ha="right", va="bottom")
        ax.text(end, f**2, "f²", ha="right", va="bottom")
        ax.set(xlabel="lag [pixels]", title=title)
    axes.flat[0].set_ylabel("probability")
    axes.flat[0].set_ylim(bottom=0)
    figure.legend(*axes.flat[0].get_legend_handles_labels(), loc="outside upper center", ncols=2)
    plt.close(figure)
    return figure


def plot_modulus(volume_fraction, modulus, bounds, label):
    """Modulus of every volume against its stiff share, between bounds.

    Parameters
    ----------
    volume_fraction, modulus : ndarray, shape (n,)
        Stiff share (0 to 1) and modulus [GPa].
    bounds : mapping of str to (ndarray, ndarray)
        Name of a line -> volume fractions and moduli [GPa].
    label : str
        Name of the modulus.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> figure = plot_modulus(np.array([0.5]), np.array([30.0]), {}, "Young's modulus")
    >>> figure.axes[0].get_ylabel()
    "Young's modulus [GPa]"
    """
    figure, axis = plt.subplots(layout="constrained")
    axis.plot(volume_fraction, modulus, ".", ms=2, alpha=0.5, label="volumes")
    for (name, (f, e)), style in zip(bounds.items(), ["-", "--", ":", "-."], strict=False):
        axis.plot(f, e, style, color="black", label=name)
    axis.set(xlabel="volume fraction of the stiff phase", ylabel=f"{label} [GPa]")
    axis.legend()
    plt.close(figure)
    return figure


def plot_mape_bars(table):
    """Test error of every descriptor, model and aggregate: the form of the paper's Fig. 3.

    Parameters
    ----------
    table : pandas.DataFrame
        One row a combination; columns ``descriptor``, ``model``, ``aggregate`` and
        ``test_mape`` [%].

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"descriptor": ["d"], "model": ["LR"], "aggregate": ["concat"]})
    >>> len(plot_mape_bars(table.assign(test_mape=7.0)).axes)
    1
    """
    models, names = list(table["model"].unique()), list(table["descriptor"].unique())
    figure, axes = plt.subplots(
        1,
        len(models),
        sharey=True,
        squeeze=False,
        figsize=(7.6, 1.5 + 0.55 * len(names)),
        layout="constrained",
    )
    for axis, model in zip(axes[0], models, strict=True):
        wide = table[table["model"] == model].pivot(
            index="descriptor", columns="aggregate", values="test_mape"
        )
        wide = wide.loc[names[::-1], wide.columns[::-1]]  # the first on top
        colours = [f"C{i}" for i in range(len(wide.columns))][::-1]
        wide.plot.barh(ax=axis, legend=False, width=0.7, color=colours)
        for bars in axis.containers:
            axis.bar_label(bars, fmt="%.1f", padding=2)
        axis.set(title=model, xlabel="MAPE of the test part [%]", ylabel="")
        axis.margins(x=0.18)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(
        handles[::-1], labels[::-1], loc="outside upper center", ncols=2, title="sections"
    )
    plt.close(figure)
    return figure


def plot_parity(results, quantity="Young's modulus", unit="GPa"):
    """Predicted against true values, fitted and test part, one panel a model.

    Parameters
    ----------
    results : mapping of str to helpers.regression.Holdout
        Panel title -> result.
    quantity, unit : str
        What is predicted.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> from helpers.regression import holdout
    >>> X = np.random.default_rng(0).normal(size=(50, 3))
    >>> result = holdout(X, 5 + X[:, 0], "lr", max_components=3)
    >>> len(plot_parity({"LR": result}).axes)
    1
    """
    figure, axes = plt.subplots(
        1, len(results), squeeze=False, figsize=(3.4 * len(results), 3.6), layout="constrained"
    )
    for axis, (title, result) in zip(axes[0], results.items(), strict=True):
        axis.plot(
            result.y_fit, result.y_fit_pred, ".", ms=2, alpha=0.4, label="train + validation"
        )
        axis.plot(result.y_test, result.y_pred, "x", ms=3, mew=0.7, label="test")
        ends = [0, 1.02 * max(result.y_fit.max(), result.y_test.max())]
        axis.plot(ends, ends, color="0.3", lw=1, label="prediction = truth")
        axis.set(title=title, aspect="equal", xlim=ends)
        axis.set_xlabel(f"{quantity} [{unit}]")
        axis.set_ylabel(f"predicted {quantity} [{unit}]")
    handles = axes[0, 0].get_legend_handles_labels()
    figure.legend(*handles, loc="outside upper center", ncols=3, markerscale=2)
    plt.close(figure)
    return figure


def plot_validation_curves(results):
    """Validation error against the number of components, the chosen number marked.

    Parameters
    ----------
    results : mapping of str to helpers.regression.Holdout
        Name of a line -> result.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> from helpers.regression import holdout
    >>> X = np.random.default_rng(0).normal(size=(50, 3))
    >>> result = holdout(X, 5 + X[:, 0], "lr", max_components=3)
    >>> len(plot_validation_curves({"LR": result}).axes[0].lines)  # the curve and its minimum
    2
    """
    figure, axis = plt.subplots(layout="constrained")
    for name, result in results.items():
        n = np.arange(1, len(result.val_mape) + 1)
        (line,) = axis.plot(n, result.val_mape, label=name)
        best = result.n_components
        axis.plot(best, result.val_mape[best - 1], "o", color=line.get_color())
    axis.set(xlabel="number of principal components", ylabel="MAPE of the validation part [%]")
    lowest = min(r.val_mape.min() for r in results.values())
    axis.set_ylim(0, max(3 * lowest, 1.1 * max(r.val_mape[0] for r in results.values())))
    axis.legend()
    plt.close(figure)
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

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> len(plot_components(np.eye(3), np.arange(3), "volume fraction").axes)  # with colour bar
    2
    """
    figure, axis = plt.subplots(figsize=(5.2, 4), layout="constrained")
    points = axis.scatter(scores[:, 0], scores[:, 1], c=colour, s=4, cmap="viridis", linewidths=0)
    axis.set(xlabel="first principal component", ylabel="second principal component")
    figure.colorbar(points, label=label)
    plt.close(figure)
    return figure


def plot_scree(shares, n_components=30):
    """Share of the variance by component, each and summed up: the form of Fig. 5b.

    Parameters
    ----------
    shares : mapping of str to ndarray
        Name of a descriptor -> explained variance ratios, 0 to 1.
    n_components : int
        Components to show.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> len(plot_scree({"one": [0.9, 0.1]}).axes)
    2
    """
    figure, (each, summed) = plt.subplots(
        1, 2, sharex=True, figsize=(6.8, 3.2), layout="constrained"
    )
    for name, ratio in shares.items():
        ratio = 100 * np.asarray(ratio)[:n_components]
        n = np.arange(1, len(ratio) + 1)
        each.plot(n, ratio, ".-", label=name)
        summed.plot(n, ratio.cumsum(), ".-", label=name)
    each.set(yscale="log", xlabel="component", ylabel="variance explained [%]")
    summed.set(xlabel="component", ylabel="variance explained, summed [%]")
    summed.legend()
    plt.close(figure)
    return figure


def plot_cv_bars(table, titles=None):
    """Mean error over the outer folds and its standard deviation: the form of Figs. 8a and 9a.

    Parameters
    ----------
    table : pandas.DataFrame
        One row a descriptor and model; columns ``descriptor``, ``model``, ``mape_mean`` and
        ``mape_std`` [%], as `helpers.scores.score_table` gives them.
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
