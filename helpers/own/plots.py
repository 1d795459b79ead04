"""Figures of a user's own study: with the micrographs themselves, pointed at or as a row."""

from __future__ import annotations

import base64
import html
import io
import json
import textwrap
import warnings

import altair as alt
import numpy as np
from IPython.display import HTML
from PIL import Image
from sklearn.decomposition import PCA

from helpers.images.read import read_image
from helpers.plots import COLOURS, panels
from helpers.plots_images import frame

THUMBNAIL = 128  # pixels of the longer side
MOST = 500  # images in one page
# A frame is dark where the page around it is, in browsers that tell it so.
LOOK = """<style>
:root { color-scheme: light dark }
body { margin: 0; background: #fff }
@media (prefers-color-scheme: dark) {
  body { background: #14181e }
  svg text { fill: #ddd }
  svg .role-axis-grid line { stroke: #333 }
}
</style>"""
SCHEME = alt.SchemeParams("viridis", extent=[0.2, 0.9])  # its middle shows on white and on black


def thumbnail(image):
    """A small grey PNG, as a ``data:`` address for HTML, of what `read_image` takes."""
    pixels = read_image(image)
    grey = pixels.mean(axis=2) if pixels.ndim == 3 else pixels
    image = Image.fromarray((255 * grey).astype(np.uint8))
    image.thumbnail((THUMBNAIL, THUMBNAIL))
    file = io.BytesIO()
    image.save(file, "PNG")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def sample_chart(one, pictures):
    """Components and predictions of all samples; the one pointed at shows its micrograph.

    Parameters
    ----------
    one : helpers.own.models.PropertyModel
    pictures : mapping of str to path-like or ndarray
        Sample -> an image of it, as `helpers.images.read.read_image` takes it.

    Returns
    -------
    IPython.display.HTML
        Two scatter plots, and below them the sample that is nearest to the mouse, at first that
        of the largest relative error: its micrograph, source, measured and predicted value out of
        fold. Dashed lines are the diagonal and the prediction interval. At most 500 samples,
        evenly: more pictures would make a page slow to open. It needs no network.
    """
    table, name = one.out_of_fold, one.name
    x, y = PCA(2).fit_transform(one.training).T
    error = abs(table["predicted"] / table["measured"] - 1)
    table = table.assign(x=x, y=y, error=error, source=table.get("group", "not given"))
    table = table.iloc[np.linspace(0, len(table) - 1, min(len(table), MOST)).astype(int)]
    table = table.assign(image=[thumbnail(pictures[sample]) for sample in table["sample"]])
    first = [{"sample": table.loc[table["error"].idxmax(), "sample"]}]
    options = {"on": "pointerover", "nearest": True, "clear": False, "value": first}
    nearest = alt.selection_point("nearest", fields=["sample"], **options)
    left = _points(table, nearest, name, ("x", "first component"), ("y", "second component"))
    across, up = ("measured", f"measured {name}"), ("predicted", "predicted, out of fold")
    right = _points(table, nearest, name, across, up) + _diagonals(table, one.half_width)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Automatically deduplicated")  # both share it: so meant
        above = alt.hconcat(left, right).add_params(nearest)  # in the first layers, the points
        page = alt.vconcat(above, _shown(table, nearest))
    axis = {"labelFontSize": 11, "titleFontSize": 12}
    page = page.configure(axis=axis, legend=axis, background="transparent")
    page = page.configure_view(stroke=None)
    return framed(page, f"Two scatter plots of {name}, and the micrograph of one sample.")


def _points(table, nearest, name, across, up):
    """A scatter plot of two columns, each with its title, and a ring around the chosen sample."""
    at = {
        axis: kind(column, type="quantitative", title=title, scale=alt.Scale(zero=False))
        for axis, kind, (column, title) in (("x", alt.X, across), ("y", alt.Y, up))
    }
    legend = alt.Legend(orient="top", gradientLength=240)
    colour = alt.Color("measured:Q", title=name, legend=legend, scale={"scheme": SCHEME})
    points = alt.Chart(table, width=255, height=255).mark_point(filled=True, size=55, opacity=0.8)
    ring = alt.Chart(table).mark_point(size=160, strokeWidth=2.5, color=COLOURS[1])
    return points.encode(color=colour, **at) + ring.encode(**at).transform_filter(nearest)


def _diagonals(table, half_width):
    """The diagonal, and the interval beside it."""
    ends = table[["measured", "predicted"]].to_numpy()
    lines = [
        {"x": float(end), "y": float(end + shift), "line": shift}
        for shift in (-half_width, 0, half_width)
        for end in (ends.min(), ends.max())
    ]
    chart = alt.Chart(alt.Data(values=lines)).mark_line(color="gray", strokeDash=[4, 3])
    return chart.encode(x="x:Q", y="y:Q", detail="line:N")


def _shown(table, nearest):
    """The micrograph of the chosen sample, and what is known of it."""
    words = (
        "[datum.sample, 'source: ' + datum.source, 'measured ' + format(datum.measured, '.4g'), "
        "'predicted ' + format(datum.predicted, '.4g') + ', out of fold']"
    )
    chosen = alt.Chart(table, width=560, height=THUMBNAIL).transform_filter(nearest)
    place = {"align": "left", "baseline": "top"}
    image = chosen.mark_image(width=THUMBNAIL, height=THUMBNAIL, **place)
    text = chosen.transform_calculate(words=words).mark_text(fontSize=13, lineHeight=20, **place)
    beside = text.encode(text="words:N", x=alt.value(THUMBNAIL + 16), y=alt.value(4))
    return image.encode(url="image", x=alt.value(0), y=alt.value(0)) + beside


class _NoTags(json.JSONEncoder):
    """JSON that cannot end the script in which it stands: names of samples may hold anything."""

    def encode(self, o):
        return super().encode(o).replace("<", "\\u003c")


def framed(chart, alt_text, height=520):
    """A chart as an HTML frame that needs no network, for a notebook, the site or a report."""
    options = {"actions": False, "renderer": "svg"}
    page = chart.to_html(inline=True, embed_options=options, json_kwds={"cls": _NoTags})
    page = page.replace("<head>", f"<head>{LOOK}", 1)
    label = html.escape(alt_text, quote=True)
    return HTML(
        f'<div><iframe sandbox="allow-scripts" srcdoc="{html.escape(page, quote=True)}" '
        f'title="{label}" aria-label="{label}" '
        f'style="width:100%;height:{height}px;border:0"></iframe></div>'
    )


def plot_worst(one, pictures, count=5):
    """The samples with the largest relative errors, each on its own grey scale.

    Parameters
    ----------
    one : helpers.own.models.PropertyModel
    pictures : mapping of str to path-like or ndarray
        Sample -> an image of it, as `helpers.images.read.read_image` takes it.
    count : int

    Returns
    -------
    matplotlib.figure.Figure
    """
    error = abs(one.out_of_fold["predicted"] / one.out_of_fold["measured"] - 1)
    worst = one.out_of_fold.loc[error.nlargest(count).index]
    figure, axes = panels(1, len(worst), 2.4)
    for ax, row in zip(axes[0], worst.itertuples(), strict=True):
        ax.imshow(read_image(pictures[row.sample]), cmap="gray")
        lines = [*textwrap.wrap(row.sample, 18), f"{row.measured:.4g},"]
        frame(ax, "\n".join([*lines, f"predicted {row.predicted:.4g}"]))
    return figure
