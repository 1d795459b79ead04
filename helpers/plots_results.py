"""Figures of models and their errors. Functions return a matplotlib figure, never show it."""

import matplotlib.pyplot as plt
import numpy as np


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
