"""Comparing descriptors: paired errors with an interval."""

from __future__ import annotations

import numpy as np
from scipy import stats


def paired_interval(differences, level=0.95):
    """Mean of paired differences of a repeated cross-validation, with a corrected interval.

    Parameters
    ----------
    differences : array_like, shape (n_shuffles, n_folds)
        Error of one descriptor minus that of another on the same fold.
    level : float
        Of confidence, 0 to 1.

    Returns
    -------
    mean : float
    interval : tuple of float
        Lower and upper end.

    Notes
    -----
    Shuffles deal the same samples again, and training parts overlap: neither shuffles nor folds
    are independent, and the usual standard error would shrink to nothing with more shuffles.
    Nadeau and Bengio (2003, doi:10.1023/A:1024068626366) therefore add the ratio of test to
    training samples to 1/n in the variance of the mean; Bouckaert and Frank (2004,
    doi:10.1007/978-3-540-24775-3_3) do so for repeated cross-validation. The interval is then
    one for other samples of the same kind. Percentiles over shuffles are narrower and hold only
    the luck of the dealing.

    Examples
    --------
    >>> mean, interval = paired_interval([[1.0, 2.0], [2.0, 1.0]])
    >>> mean, [round(end, 2) for end in interval]
    (1.5, [-0.55, 3.55])
    """
    d = np.asarray(differences, float)
    spread = np.sqrt((1 / d.size + 1 / (d.shape[1] - 1)) * d.var(ddof=1))
    half = stats.t.ppf((1 + level) / 2, d.size - 1) * spread
    return float(d.mean()), (float(d.mean() - half), float(d.mean() + half))
