"""Errors of predictions."""

from __future__ import annotations

import numpy as np
from sklearn.metrics import mean_absolute_percentage_error


def mape(y_true, y_pred):
    """Mean absolute percentage error [%].

    Parameters
    ----------
    y_true, y_pred : array_like of float, shape (n,)
        Measured and predicted values; no measured value is zero.

    Raises
    ------
    ValueError
        A measured zero, for which the error is infinite.

    Examples
    --------
    >>> mape([100.0, 200.0], [110.0, 180.0])
    10.0
    """
    zeros = np.flatnonzero(np.asarray(y_true) == 0)
    if len(zeros):
        raise ValueError(
            f"y_true is 0 at position {zeros[0]} ({len(zeros)} in all): a percentage error needs "
            "targets other than zero; drop those rows or choose another error"
        )
    return 100 * float(mean_absolute_percentage_error(y_true, y_pred))
