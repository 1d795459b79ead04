"""Occlusion maps: which parts of its sections a prediction hangs on."""

from __future__ import annotations

import numpy as np

from helpers import UserError


def occlusion_maps(predict, sections, patch=7):
    """Change of a prediction when one patch after the other is hidden.

    Parameters
    ----------
    predict : callable
        Sections (n, k, h, w) of volumes, 0 to 1 -> property (n,), not zero.
    sections : ndarray, shape (k, h, w)
        Of one volume.
    patch : int
        Side of the patches [pixels]; what is left over at the right and the bottom stays.

    Returns
    -------
    ndarray, shape (k, h // patch, w // patch)
        Relative change [%]: prediction with the patch hidden, over that of the whole, minus one.

    Raises
    ------
    ValueError
        A patch that is larger than the sections.

    Notes
    -----
    A hidden patch takes the mean of its section, a grey between the phases, which hides
    where the phases are and not how much there is of each on average. After Zeiler and Fergus
    2014, doi:10.1007/978-3-319-10590-1_53.

    Examples
    --------
    >>> sections = np.zeros((1, 4, 4))
    >>> sections[0, 0, 0] = 1
    >>> occlusion_maps(lambda s: 1 + s[:, 0, 0, 0], sections, patch=2)[0].round().tolist()
    [[-47.0, 0.0], [0.0, 0.0]]
    """
    k, h, w = sections.shape
    rows, columns = h // patch, w // patch
    if not rows * columns:
        raise UserError(f"patch is {patch}: expected at most {min(h, w)} pixels, the section")
    changed = np.repeat(sections[None].astype(np.float32), 1 + k * rows * columns, axis=0)
    places = np.ndindex(k, rows, columns)
    for image, (section, i, j) in zip(changed[1:], places, strict=True):
        hidden = image[section, i * patch : (i + 1) * patch, j * patch : (j + 1) * patch]
        hidden[...] = sections[section].mean()
    whole, *values = predict(changed)
    return 100 * (np.reshape(values, (k, rows, columns)) / whole - 1)
