"""Figures of pictures: sections, volumes, maps, micrographs and what networks get of them.

Made as in `helpers.plots`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from matplotlib.colors import ListedColormap, to_rgb
from matplotlib.patches import Patch, Rectangle

from helpers.plots import COLOURS, WIDTH, panels

PATCH_COLOUR, KEPT_COLOUR = COLOURS[4:6]
PHASE_COLOURS = ("#00306f", "#fee838")  # a dark and the brightest colour of cividis
PHASE_NAMES = ("compliant (0)", "stiff (1)")


def frame(ax, title=""):
    """Set a thin frame and a title around a picture, whose pixels are no quantity to read off."""
    ax.set(xticks=[], yticks=[])
    ax.set_title(title, parse_math=False)
    ax.spines[:].set(visible=True, color="0.6", lw=0.5)


def _section_axes(ax, section, title=""):
    """Draw one two-phase section (h, w), values 0 and 1, into ax."""
    ax.imshow(section, cmap=ListedColormap(PHASE_COLOURS), vmin=0, vmax=1)
    frame(ax, title)


def _map_axes(ax, correlation_map, title="", vmin=0.0, vmax=None):
    """Draw one map of two-point statistics (n, m) into ax, axes in lags; return the image."""
    h, w = correlation_map.shape
    # Zero lag stands at index size // 2; pixels are centred on their lag.
    top, left = -(h // 2) - 0.5, -(w // 2) - 0.5
    extent = (left, left + w, top + h, top)
    image = ax.imshow(correlation_map, vmin=vmin, vmax=vmax, extent=extent)
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

    Examples
    --------
    >>> figure = plot_sections_and_maps(np.eye(5)[None], np.ones((1, 5, 5)), ["diagonal"])
    >>> len(figure.axes)  # section, map, colour bar
    3
    """
    maps = np.asarray(maps)
    k = len(maps)
    width = min(WIDTH, 2.5 * k + 0.9)
    figure, axes = panels(2, k, 2 * (width - 0.6) / k + 1.6, width)
    for column, (section, values, title) in enumerate(zip(sections, maps, titles, strict=True)):
        _section_axes(axes[0, column], section, title)
        image = _map_axes(axes[1, column], values, vmax=maps.max())
    for ax in axes[1, 1:]:
        ax.set_ylabel("")
    # Below, not beside: the bar takes no width, and maps stay as wide as the sections.
    figure.colorbar(image, ax=axes[1], label="probability", location="bottom", aspect=40)
    handles = [Patch(color=c, label=n) for c, n in zip(PHASE_COLOURS, PHASE_NAMES, strict=True)]
    figure.legend(handles=handles, loc="outside upper center", ncols=2, title="phase")
    return figure


def plot_maps(maps, titles, *, same_scale=False):
    """Maps of two-point statistics side by side.

    Parameters
    ----------
    maps : sequence of ndarray, shape (n, m)
        Zero lag at the centre.
    titles : sequence of str
    same_scale : bool
        True: one colour bar for all, from zero on. False: every map has its own.

    Examples
    --------
    >>> len(plot_maps(np.ones((2, 5, 5)), ["a", "b"]).axes)
    4
    >>> len(plot_maps(np.ones((2, 5, 5)), ["a", "b"], same_scale=True).axes)
    3
    """
    k = len(maps)
    figure, axes = panels(1, k, WIDTH / k + 0.9)
    limits = (0, np.max(maps)) if same_scale else (None, None)
    bar = {"label": "probability", "location": "bottom"}
    for ax, values, title in zip(axes.flat, maps, titles, strict=True):
        image = _map_axes(ax, values, title, *limits)
        if not same_scale:
            figure.colorbar(image, ax=ax, **bar)
    if same_scale:
        figure.colorbar(image, ax=axes, aspect=40, **bar)
    for ax in axes.flat[1:]:
        ax.set_ylabel("")
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

    Examples
    --------
    >>> len(plot_sections(np.zeros((2, 5, 5)), ["a", "b"], axes=["yz", "xz"]).axes)
    2
    """
    columns = len(axes)
    rows = -(-len(sections) // columns)
    figure, grid = panels(rows, columns, 2.4 * rows, min(WIDTH, 2.4 * columns))
    for i, (ax, section, title) in enumerate(zip(grid.flat, sections, titles, strict=True)):
        _section_axes(ax, section, title)
        down, across = axes[i % columns]
        ax.set(xlabel=across, ylabel=down)
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

    Examples
    --------
    >>> len(plot_volumes([np.zeros((3, 3, 3), int)]).axes)
    1
    """
    colours_of_phases = np.array([to_rgb(c) for c in PHASE_COLOURS])
    cubes = {"subplot_kw": {"projection": "3d"}}
    figure, axes = panels(1, len(volumes), 2.7, min(WIDTH, 2.6 * len(volumes)), **cubes)
    for i, (axis, volume) in enumerate(zip(axes[0], volumes, strict=True)):
        n = len(volume)
        a, b = np.meshgrid(np.arange(n + 1), np.arange(n + 1), indexing="ij")
        low, high = np.zeros_like(a), np.full_like(a, n)
        faces = [(low, a, b, volume[0]), (a, low, b, volume[:, 0]), (a, b, high, volume[..., -1])]
        for x, y, z, values in faces:
            colours = colours_of_phases[values]
            axis.plot_surface(x, y, z, facecolors=colours, shade=False, rcount=n, ccount=n)
        ends = {f"{name}ticks": [0, n] for name in "xyz"}
        axis.set(xlabel="x", ylabel="y", zlabel="z [voxels]", **ends)
        axis.set_title("" if titles is None else titles[i])
        axis.view_init(elev=25, azim=-135)
        axis.set_box_aspect((1, 1, 1), zoom=0.75)
    return figure


def plot_fields(section, fields):
    """A section of a volume beside fields computed on it, each with its own colour bar.

    Parameters
    ----------
    section : ndarray of 0 and 1, shape (n, n)
        Phases, x first.
    fields : mapping of str to ndarray, shape (n, n)
        Name with unit -> values. The colours leave out the lowest and highest half per cent.

    Examples
    --------
    >>> len(plot_fields(np.eye(3), {"stress [MPa]": np.eye(3)}).axes)  # with the colour bar
    3
    """
    k = 1 + len(fields)
    figure, (axes,) = panels(1, k, WIDTH / k + 0.65)
    _section_axes(axes[0], section.T, "phases (yellow: stiff)")
    for ax, (name, field) in zip(axes[1:], fields.items(), strict=True):
        low, high = np.percentile(field, [0.5, 99.5])
        image = ax.imshow(field.T, vmin=low, vmax=high)
        figure.colorbar(image, ax=ax, label=name, location="bottom", extend="both")
        frame(ax)
    for ax in axes:
        ax.set(xlabel="x", ylabel="y")
    return figure


class Step(NamedTuple):
    """One image of a chain of steps: its title, and what the next step keeps of it.

    `kept` is the (height, width) [pixels] that stays of the top left corner; None where
    nothing is cut. `patch` is the side [pixels] of the patches that are drawn; None: none.
    """

    image: np.ndarray
    title: str
    kept: tuple[int, int] | None = None
    patch: int | None = None


def _image_axes(ax, image, title):
    """Draw one image (h, w) or (h, w, 3), values in [0, 1], into ax."""
    # Images with more pixels than the figure would alias on the page; small ones keep theirs.
    how = "nearest" if max(np.shape(image)) <= 256 else "auto"
    ax.imshow(image, cmap="gray", vmin=0, vmax=1, interpolation=how)
    frame(ax, title)


def plot_images(images, titles):
    """Grey or RGB images side by side.

    Parameters
    ----------
    images : sequence of ndarray, shape (h, w) or (h, w, 3)
        Values in [0, 1].
    titles : sequence of str

    Examples
    --------
    >>> len(plot_images(np.zeros((3, 4, 5)), ["a", "b", "c"]).axes)
    3
    """
    k = len(images)
    width = min(WIDTH, 3.0 * k)
    figure, axes = panels(1, k, width / k + 0.3, width)
    for ax, image, title in zip(axes.flat, images, titles, strict=True):
        _image_axes(ax, image, title)
        ax.set_anchor("N")
    return figure


def plot_sheet(rows, *, titles=None):
    """Images in rows with a name each, on one grey scale.

    Parameters
    ----------
    rows : mapping of str to sequence of ndarray, shape (h, w)
        Values in [0, 1]; as many images in each row.
    titles : mapping of str to sequence of str, optional
        What stands above the images of a row.

    Examples
    --------
    >>> len(plot_sheet({"a": np.zeros((3, 5, 5)), "b": np.ones((3, 5, 5))}).axes)
    6
    """
    columns, titles = len(next(iter(rows.values()))), titles or {}
    figure, grid = panels(len(rows), columns, (1.05 if titles else 0.85) * len(rows))
    for axes, (name, images) in zip(grid, rows.items(), strict=True):
        for i, (ax, image) in enumerate(zip(axes, images, strict=True)):
            _image_axes(ax, image, titles[name][i] if name in titles else "")
        axes[0].set_ylabel(name.replace("_", " "), rotation=0, ha="right", va="center")
    return figure


def plot_steps(chains):
    """From an image to the input of a network: a row for each network, a column for each step.

    A rectangle marks what the next step keeps.

    Parameters
    ----------
    chains : mapping of str to sequence of Step
        Name of a row -> its steps, the same number in all rows.

    Examples
    --------
    >>> steps = [Step(np.eye(5), "section", kept=(4, 4)), Step(np.eye(4), "input")]
    >>> len(plot_steps({"DINOv2": steps}).axes)
    2
    """
    columns = len(next(iter(chains.values())))
    figure, grid = panels(len(chains), columns, (min(WIDTH / columns, 2) + 0.3) * len(chains))
    for axes, (name, steps) in zip(grid, chains.items(), strict=True):
        axes[0].set_ylabel(name)
        for ax, step in zip(axes, steps, strict=True):
            _image_axes(ax, step.image, step.title)
            _mark(ax, step)
    return figure


def _mark(ax, step):
    """Draw what is kept and the borders of the patches."""
    if step.kept is not None:
        h, w = step.kept
        frame = {"fill": False, "ec": KEPT_COLOUR, "lw": 2, "clip_on": False}
        ax.add_patch(Rectangle((-0.5, -0.5), w, h, **frame))
    if step.patch is not None:
        h, w = np.shape(step.image)[:2]
        lines = {"colors": PATCH_COLOUR, "lw": 0.6}
        ax.vlines(np.arange(step.patch, w, step.patch) - 0.5, -0.5, h - 0.5, **lines)
        ax.hlines(np.arange(step.patch, h, step.patch) - 0.5, -0.5, w - 0.5, **lines)
