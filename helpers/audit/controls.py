"""Controls: predictors that know little, which every model of micrographs must beat."""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.ensemble import RandomForestRegressor

from helpers import UserError
from helpers.regression import check_descriptors

PERCENTILES = (5, 25, 50, 75, 95)


def forest_predictions(X, y, splits, seed=0):
    """Out-of-fold predictions (n,) of a random forest, for example of the composition alone.

    scikit-learn's, not tuned. `splits`: rows (train, test) of folds that hold each row out once.

    Examples
    --------
    >>> X = np.repeat([[0.0], [1.0]], 10, axis=0)
    >>> rows = np.arange(20)
    >>> forest_predictions(X, 5 + X[:, 0], [(rows[::2], rows[1::2]), (rows[1::2], rows[::2])])[:1]
    array([5.])
    """
    X, y = check_descriptors(X), np.asarray(y, float)
    predicted = np.empty(len(y))
    for train, test in splits:
        forest = RandomForestRegressor(random_state=seed).fit(X[train], y[train])
        predicted[test] = forest.predict(X[test])
    return predicted


def grey_level_statistics(images):
    """Size and grey levels of images: what can be known without seeing a microstructure.

    Parameters
    ----------
    images : sequence of ndarray, shape (h, w) or (h, w, 3)
        Grey levels of any scale, the same for all; segmented images count as levels 0 and 1.

    Returns
    -------
    pandas.DataFrame, shape (n, 9)
        ``height`` and ``width`` [pixels], ``mean`` and ``std`` of the levels, and their 5th, 25th,
        50th, 75th and 95th percentiles, ``p5`` to ``p95``. Of colour images the channels are
        averaged.

    Raises
    ------
    ValueError
        An image with another number of axes, without pixels, or with NaN.

    Examples
    --------
    >>> grey_level_statistics([np.eye(2), np.ones((3, 4))])[["height", "width", "mean"]].to_numpy()
    array([[2. , 2. , 0.5],
           [3. , 4. , 1. ]])
    """
    rows = []
    for i, image in enumerate(images):
        pixels = np.asarray(image, float)
        if pixels.ndim == 3:
            pixels = pixels.mean(axis=2)
        if pixels.ndim != 2 or not pixels.size or not np.isfinite(pixels).all():
            raise UserError(
                f"image {i} has shape {np.shape(image)}, {np.isnan(pixels).sum()} NaN: expected "
                "(h, w) or (h, w, 3) numbers; convert it or leave it out"
            )
        levels = np.percentile(pixels, PERCENTILES)
        rows.append([*pixels.shape, pixels.mean(), pixels.std(), *levels])
    names = ["height", "width", "mean", "std", *(f"p{level}" for level in PERCENTILES)]
    return pd.DataFrame(rows, columns=names, dtype=float)
