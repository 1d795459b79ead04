"""A figure of what a prediction hangs on; as `helpers.plots`."""

import numpy as np

from helpers.plots import panels
from helpers.plots_images import frame


def plot_occlusion(sections, changes):
    """Sections of one volume, and what hiding each patch does to its prediction.

    Parameters
    ----------
    sections : ndarray, shape (3, h, w)
        Normal to x, y and z; white is stiff.
    changes : ndarray, shape (3, rows, columns)
        See `helpers.beyond.occlusion.occlusion_maps` [%].

    Examples
    --------
    >>> len(plot_occlusion(np.zeros((3, 9, 9)), np.ones((3, 1, 1))).axes)
    7
    """
    figure, grid = panels(2, 3, 4.6)
    reach, (h, w), (rows, columns) = np.abs(changes).max(), sections.shape[1:], changes.shape[1:]
    seen = (0, w - w % columns, h - h % rows, 0)
    scale = {"cmap": "RdBu_r", "vmin": -reach, "vmax": reach, "extent": seen}
    for above, below, section, change, normal in zip(*grid, sections, changes, "xyz", strict=True):
        above.imshow(section, cmap="gray", vmin=0, vmax=1, extent=(0, w, h, 0))
        shown = below.imshow(change, **scale)
        frame(above, f"normal to {normal}")
        frame(below)
    figure.colorbar(shown, ax=grid[1].tolist(), label="change [%]")
    return figure
