"""Every figure of the book. Functions return a matplotlib figure and never show it.

The figures are closed for pyplot, so that a notebook shows the returned one once and
does not keep the others in memory.
"""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import ListedColormap, to_rgb
from matplotlib.patches import Patch

PHASE_COLOURS = ("#00306f", "#fee838")  # the two ends of cividis
PHASE_NAMES = ("compliant (0)", "stiff (1)")


def _section_axes(ax, section, title=""):
    """Draw one two-phase section (h, w), values 0 and 1, into ax."""
    ax.imshow(section, cmap=ListedColormap(PHASE_COLOURS), vmin=0, vmax=1, interpolation="nearest")
    ax.set(xlabel="column [pixels]", ylabel="row [pixels]", title=title)


def _map_axes(ax, correlation_map, title="", vmin=0.0, vmax=None):
    """Draw one map of two-point statistics (n, m) into ax, axes in lags; return the image."""
    h, w = correlation_map.shape
    # Zero lag stands at index size // 2; pixels are centred on their lag.
    top, left = -(h // 2) - 0.5, -(w // 2) - 0.5
    image = ax.imshow(
        correlation_map,
        cmap="viridis",
        vmin=vmin,
        vmax=vmax,
        extent=(left, left + w, top + h, top),
        interpolation="nearest",
    )
    ax.set(xlabel="column lag [pixels]", ylabel="row lag [pixels]", title=title)
    return image


def plot_sections_and_maps(sections, maps, titles):
    """Two-phase sections in the upper row, their two-point statistics below.

    Parameters
    ----------
    sections : array_like, shape (k, h, w)
        Phases 0 and 1.
    maps : array_like, shape (k, n, m)
        Probabilities with zero lag at the centre.
    titles : sequence of k str

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> figure = plot_sections_and_maps(np.eye(5)[None], np.ones((1, 5, 5)), ["diagonal"])
    >>> len(figure.axes)  # section, map, colour bar
    3
    """
    maps = np.asarray(maps)
    k = len(maps)
    figure, axes = plt.subplots(
        2, k, figsize=(2.6 * k + 0.9, 5.6), squeeze=False, layout="constrained"
    )
    for column, (section, values, title) in enumerate(zip(sections, maps, titles, strict=True)):
        _section_axes(axes[0, column], section, title)
        image = _map_axes(axes[1, column], values, vmax=maps.max())
    for ax in axes[:, 1:].flat:
        ax.set_ylabel("")
    figure.colorbar(image, ax=axes[1], label="probability")
    handles = [Patch(color=c, label=n) for c, n in zip(PHASE_COLOURS, PHASE_NAMES, strict=True)]
    figure.legend(handles=handles, loc="outside upper center", ncols=2, title="phase")
    plt.close(figure)
    return figure


def plot_maps(maps, titles, label="probability"):
    """Maps of two-point statistics side by side, each with its own colour bar.

    Parameters
    ----------
    maps : sequence of ndarray, shape (n, m)
        Zero lag at the centre.
    titles : sequence of str
    label : str
        What the colours mean.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> len(plot_maps(np.ones((2, 5, 5)), ["a", "b"]).axes)
    4
    """
    k = len(maps)
    figure, axes = plt.subplots(1, k, figsize=(3.2 * k, 2.9), squeeze=False, layout="constrained")
    for ax, values, title in zip(axes.flat, maps, titles, strict=True):
        image = _map_axes(ax, values, title, vmin=None)
        figure.colorbar(image, ax=ax, label=label, shrink=0.8)
    for ax in axes.flat[1:]:
        ax.set_ylabel("")
    plt.close(figure)
    return figure


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


def plot_sections(sections, titles, axes):
    """Two-phase sections in a grid.

    Parameters
    ----------
    sections : array_like, shape (k, h, w)
        Phases 0 and 1.
    titles : sequence of k str
    axes : sequence of str
        Names of the axes down and across, ``"yz"`` for rows along y and columns along z; one
        for every column of the grid.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> len(plot_sections(np.zeros((2, 5, 5)), ["a", "b"], axes=["yz", "xz"]).axes)
    2
    """
    columns = len(axes)
    rows = -(-len(sections) // columns)
    figure, grid = plt.subplots(
        rows, columns, figsize=(2.4 * columns, 2.7 * rows), squeeze=False, layout="constrained"
    )
    for i, (ax, section, title) in enumerate(zip(grid.flat, sections, titles, strict=True)):
        _section_axes(ax, section, title)
        down, across = axes[i % columns]
        ax.set(xlabel=f"{across} [voxels]", ylabel=f"{down} [voxels]")
    plt.close(figure)
    return figure


def plot_volumes(volumes, titles=None):
    """Three faces of two-phase volumes, drawn as cubes.

    Parameters
    ----------
    volumes : sequence of ndarray, each of shape (n, n, n)
        0 compliant, 1 stiff. The faces shown are the index-0 sections of x and y and the last
        section of z.
    titles : sequence of str or None
        One a volume. None: no titles.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> len(plot_volumes([np.zeros((3, 3, 3), int)]).axes)
    1
    """
    colours_of_phases = np.array([to_rgb(c) for c in PHASE_COLOURS])
    figure = plt.figure(figsize=(2.6 * len(volumes), 2.9), layout="constrained")
    for i, volume in enumerate(volumes):
        axis = figure.add_subplot(1, len(volumes), i + 1, projection="3d")
        n = len(volume)
        a, b = np.meshgrid(np.arange(n + 1), np.arange(n + 1), indexing="ij")
        low, high = np.zeros_like(a), np.full_like(a, n)
        faces = [(low, a, b, volume[0]), (a, low, b, volume[:, 0]), (a, b, high, volume[..., -1])]
        for x, y, z, values in faces:
            colours = colours_of_phases[values]
            axis.plot_surface(x, y, z, facecolors=colours, shade=False, rcount=n, ccount=n)
        axis.set(xlabel="x [voxels]", ylabel="y [voxels]", zlabel="z [voxels]")
        axis.set_title("" if titles is None else titles[i])
        axis.view_init(elev=25, azim=-135)
        axis.set_box_aspect((1, 1, 1), zoom=0.85)
    plt.close(figure)
    return figure


def plot_fields(section, fields):
    """A section of a volume beside fields computed on it, each with its own colour bar.

    Parameters
    ----------
    section : ndarray of 0 and 1, shape (n, n)
        Phases, x first.
    fields : mapping of str to ndarray, shape (n, n)
        Name with unit -> values. The colours leave out the lowest and highest half per cent.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> len(plot_fields(np.eye(3), {"stress [MPa]": np.eye(3)}).axes)  # with the colour bar
    3
    """
    k = 1 + len(fields)
    figure, axes = plt.subplots(1, k, figsize=(3.0 * k, 2.9), layout="constrained")
    _section_axes(axes[0], section.T, "phases (yellow: stiff)")
    for ax, (name, field) in zip(axes[1:], fields.items(), strict=True):
        low, high = np.percentile(field, [0.5, 99.5])
        image = ax.imshow(field.T, vmin=low, vmax=high)
        figure.colorbar(image, ax=ax, label=name, shrink=0.8, extend="both")
    for ax in axes:
        ax.set(xlabel="x [voxels]", ylabel="y [voxels]")
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
