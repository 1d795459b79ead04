"""Figures of images as they are and as networks get them; made as in `helpers.plots`."""

from __future__ import annotations

from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import Rectangle

KEPT_COLOUR = "#E69F00"
PATCH_COLOUR = "#56B4E9"


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
    ax.set(xlabel="column [pixels]", ylabel="row [pixels]", title=title)


def plot_images(images, titles, *, same_scale=False):
    """Grey or RGB images side by side, with pixels on the axes.

    Parameters
    ----------
    images : sequence of ndarray, shape (h, w) or (h, w, 3)
        Values in [0, 1].
    titles : sequence of str
    same_scale : bool
        True: one pixel has the same size everywhere, so that images show how large they are.
        False: every image fills its axes.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> len(plot_images(np.zeros((3, 4, 5)), ["a", "b", "c"]).axes)
    3
    """
    k = len(images)
    shapes = np.array([np.shape(image)[:2] for image in images])
    size, widths = (3.0 * k, 3.1), None
    if same_scale:  # high enough that the widths alone decide
        size, widths = (
            (3.0 * k, 3.0 * k * shapes[:, 0].max() / shapes[:, 1].sum() + 0.3),
            shapes[:, 1],
        )
    figure, axes = plt.subplots(
        1, k, figsize=size, squeeze=False, layout="constrained", width_ratios=widths
    )
    for ax, image, title in zip(axes.flat, images, titles, strict=True):
        _image_axes(ax, image, title)
        ax.set_anchor("N")
    for ax in axes.flat[1:]:
        ax.set_ylabel("")
    plt.close(figure)
    return figure


def plot_steps(chains):
    """From an image to the input of a network: a row for each network, a column for each step.

    A rectangle marks what the next step keeps.

    Parameters
    ----------
    chains : mapping of str to sequence of Step
        Name of a row -> its steps, the same number in all rows; None leaves a place empty.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> steps = [Step(np.eye(5), "section", kept=(4, 4)), Step(np.eye(4), "input")]
    >>> len(plot_steps({"DINOv2": steps}).axes)
    2
    """
    columns = len(next(iter(chains.values())))
    figure, grid = plt.subplots(
        len(chains),
        columns,
        figsize=(2.7 * columns, 2.8 * len(chains)),
        squeeze=False,
        layout="constrained",
    )
    for axes, (name, steps) in zip(grid, chains.items(), strict=True):
        for i, (ax, step) in enumerate(zip(axes, steps, strict=True)):
            if step is None:
                ax.remove()
                continue
            _image_axes(ax, step.image, step.title)
            ax.set_ylabel(f"{name}\nrow [pixels]" if i == 0 else "")
            _mark(ax, step)
    plt.close(figure)
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


def plot_pixel_values(tensors, bins=80):
    """Histograms of the values in input tensors, a curve for each channel.

    Parameters
    ----------
    tensors : mapping of str to ndarray, shape (3, H, W)
        Title -> pixels as a network gets them.
    bins : int
        Of each histogram, over the range of all values of a tensor.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> len(plot_pixel_values({"none": np.zeros((3, 2, 2)), "encoder": np.ones((3, 2, 2))}).axes)
    2
    """
    figure, axes = plt.subplots(
        1, len(tensors), figsize=(3.6 * len(tensors), 3.0), squeeze=False, layout="constrained"
    )
    looks = [("red", "#D55E00", "-"), ("green", "#009E73", "--"), ("blue", "#0072B2", ":")]
    for ax, (title, tensor) in zip(axes.flat, tensors.items(), strict=True):
        edges = np.linspace(tensor.min(), tensor.max() + 1e-6, bins + 1)
        for channel, (name, colour, style) in zip(tensor, looks, strict=True):
            counts, _ = np.histogram(channel, edges)
            share = 100 * counts / channel.size
            ax.step(edges[:-1], share, where="post", color=colour, ls=style, label=name)
        ax.set(xlabel="value in the tensor [-]", title=title)
    axes.flat[0].set_ylabel("share of the pixels [%]")
    figure.legend(*axes.flat[0].get_legend_handles_labels(), loc="outside upper center", ncols=3)
    plt.close(figure)
    return figure
