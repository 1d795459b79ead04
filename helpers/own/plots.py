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
    worst = table.loc[table["error"].idxmax(), "sample"]
    nearest = alt.selection_point(
        "nearest", fields=["sample"], on="pointerover", nearest=True, clear=False,
        value=[{"sample": worst}],
    )  # fmt: skip
    look = {"filled": True, "size": 55, "opacity": 0.8}
    points = alt.Chart(table).mark_point(**look)
    ring = alt.Chart(table).mark_point(size=160, strokeWidth=2.5, color=COLOURS[1])
    ring = ring.transform_filter(nearest)
    places = (
        ("x", "first component", "y", "second component"),
        ("measured", f"measured {name}", "predicted", "predicted, out of fold"),
    )
    scale, charts = alt.Scale(zero=False), []
    for x, across, y, up in places:
        at = {"x": alt.X(x, type="quantitative", title=across, scale=scale)}
        at["y"] = alt.Y(y, type="quantitative", title=up, scale=scale)
        legend = alt.Legend(orient="top", gradientLength=240)
        colour = alt.Color("measured:Q", title=name, legend=legend, scale={"scheme": SCHEME})
        charts.append(points.encode(color=colour, **at) + ring.encode(**at))
    ends = table[["measured", "predicted"]].to_numpy()
    lines = [
        {"x": float(end), "y": float(end + shift), "line": shift}
        for shift in (-one.half_width, 0, one.half_width)
        for end in (ends.min(), ends.max())
    ]
    dashes = alt.Chart(alt.Data(values=lines)).mark_line(color="gray", strokeDash=[4, 3])
    charts[1] += dashes.encode(x="x:Q", y="y:Q", detail="line:N")
    shown = alt.Chart(table).transform_filter(nearest)
    image = shown.mark_image(width=THUMBNAIL, height=THUMBNAIL, align="left", baseline="top")
    words = (
        "[datum.sample, 'source: ' + datum.source, 'measured ' + format(datum.measured, '.4g'), "
        "'predicted ' + format(datum.predicted, '.4g') + ', out of fold']"
    )
    text = shown.transform_calculate(words=words).mark_text(
        align="left", baseline="top", fontSize=13, lineHeight=20
    )
    below = image.encode(url="image", x=alt.value(0), y=alt.value(0))
    below += text.encode(text="words:N", x=alt.value(THUMBNAIL + 16), y=alt.value(4))
    above = alt.hconcat(*(chart.properties(width=255, height=255) for chart in charts))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Automatically deduplicated")  # both share it: so meant
        above = above.add_params(nearest)  # in the first layer of each, the points
        page = alt.vconcat(above, below.properties(width=560, height=THUMBNAIL))
    axis = {"labelFontSize": 11, "titleFontSize": 12}
    page = page.configure(axis=axis, legend=axis, background="transparent")
    page = page.configure_view(stroke=None)
    return framed(page, f"Two scatter plots of {name}, and the micrograph of one sample.")


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
