"""The figure of an audit; as `helpers.plots`."""

import seaborn as sns

from helpers.audit.tables import BY_SOURCE, ONE_OUT, SHUFFLED
from helpers.plots import COLOURS, legend_above, panels, with_ranges

KINDS = (SHUFFLED, BY_SOURCE, ONE_OUT)
ROLES = {"descriptor": COLOURS[0], "control": COLOURS[1]}


def plot_audit(table, titles=None):
    """Error of every descriptor and control, a panel for each kind of folds.

    Parameters
    ----------
    table : pandas.DataFrame
        ``Audit.table`` of `helpers.audit.audit.audit`, or some rows of it.
    titles : mapping of str to str, optional
        Predictor -> what the axis calls it.

    Returns
    -------
    matplotlib.figure.Figure
        A row a predictor, in the order of the errors on the first kind of folds; the lines run
        from the lowest to the highest shuffle, the dashed one marks the mean.

    Examples
    --------
    >>> import pandas as pd
    >>> row = {"folds": "shuffled", "predictor": "mean", "role": "control", "mape_pooled": 17.0}
    >>> row |= {"pooled_low": 16.9, "pooled_high": 17.2}
    >>> len(plot_audit(pd.DataFrame([row])).axes)
    1
    """
    table = table.sort_values("mape_pooled").assign(row=table["predictor"].replace(titles or {}))
    parts = dict(list(table.groupby("folds", sort=False)))
    kinds = [kind for kind in KINDS if kind in parts]
    order = parts[kinds[0]]["row"].tolist()
    size = 1.3 + 0.26 * len(order)
    figure, (axes,) = panels(1, len(kinds), size, sharex=True, sharey=True)
    look = {"hue_order": ROLES, "palette": ROLES, "markers": ["o", "s"], "linestyle": "none"}
    for axis, kind in zip(axes, kinds, strict=True):
        part = parts[kind]
        ranges = with_ranges(part, ["row", "role"], "mape_pooled", "pooled_low", "pooled_high")
        look |= {"x": "at", "y": "row", "hue": "role", "order": order}
        sns.pointplot(**ranges, **look, markersize=5, err_kws={"linewidth": 1}, ax=axis)
        for mean in part[part["predictor"] == "mean"]["mape_pooled"]:
            axis.axvline(mean, color="0.3", lw=1, ls="--")
        axis.set(title=kind, xlabel="", ylabel="")
    figure.supxlabel("MAPE over all samples [%]")
    legend_above(figure, axes[0])
    return figure
