"""Figures of a user's own study: with the micrographs themselves, on hover or as a row."""

from __future__ import annotations

import base64
import html
import io
import json
import textwrap

import altair as alt
import numpy as np
from IPython.display import HTML
from PIL import Image

from helpers.images.read import read_image
from helpers.plots import panels
from helpers.plots_images import frame

THUMBNAIL = 128  # pixels of the longer side
MOST = 500  # images in one page


def thumbnail(image):
    """A small grey PNG, as a ``data:`` address for HTML, of what `read_image` takes."""
    pixels = read_image(image)
    grey = pixels.mean(axis=2) if pixels.ndim == 3 else pixels
    image = Image.fromarray((255 * grey).astype(np.uint8))
    image.thumbnail((THUMBNAIL, THUMBNAIL))
    file = io.BytesIO()
    image.save(file, "PNG")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def thinned(table):
    """At most 500 rows of a table, evenly: more pictures would make a page slow to open."""
    return table.iloc[np.linspace(0, len(table) - 1, min(len(table), MOST)).astype(int)]


def hover_charts(table, name, interval):
    """Components and parity, side by side; a point shows its sample and micrograph on hover.

    Parameters
    ----------
    table : pandas.DataFrame
        A row a sample: ``sample``, ``component 1``, ``component 2``, ``measured``,
        ``predicted``, ``source`` and ``image`` (from `thumbnail`).
    name : str
        Property, with its unit where it has one.
    interval : float
        Half the width of the prediction interval, drawn beside the diagonal.

    Returns
    -------
    altair.HConcatChart
        Moving the mouse drags, the wheel zooms.
    """
    tips = ["sample", "source", alt.Tooltip("measured", format=".4g")]
    tips += [alt.Tooltip("predicted", format=".4g"), "image"]
    scale = alt.Scale(zero=False)
    points = alt.Chart(table).mark_circle(size=55, opacity=0.8).encode(tooltip=tips)
    colours = {"scale": alt.Scale(scheme="viridis"), "legend": alt.Legend(orient="top")}
    measured = alt.Color("measured", title=name, **colours)
    left = points.encode(
        x=alt.X("component 1:Q", scale=scale),
        y=alt.Y("component 2:Q", scale=scale),
        color=measured,
    )
    ends = [float(f(table[["measured", "predicted"]].to_numpy())) for f in (np.min, np.max)]
    lines = [
        {"x": end, "y": end + shift, "line": str(shift)}
        for shift in (-interval, 0, interval)
        for end in ends
    ]
    diagonal = alt.Chart(alt.Data(values=lines)).mark_line(color="gray", strokeDash=[4, 3]).encode(
        x="x:Q", y="y:Q", detail="line:N"
    )  # fmt: skip
    right = diagonal + points.encode(
        x=alt.X("measured:Q", title=f"measured {name}", scale=scale),
        y=alt.Y("predicted:Q", title=f"predicted {name}, out of fold", scale=scale),
        color=measured,
    )
    both = {"components": left, "parity": right}
    # Together as wide as the column of the page, with lettering of at least 8 pt.
    charts = (c.properties(width=260, height=260).interactive(name=n) for n, c in both.items())
    return alt.hconcat(*charts).configure(axis={"labelFontSize": 11}, legend={"labelFontSize": 11})


class _NoTags(json.JSONEncoder):
    """JSON that cannot end the script in which it stands: names of samples may hold anything."""

    def encode(self, o):
        return super().encode(o).replace("<", "\\u003c")


def plain(text):
    """Text for `Markdown` that is shown as it is: names come from files of anybody."""
    return "".join(f"&#{ord(c)};" if c in "&<>*_`[]\\$|{}#~\n" else c for c in str(text))


def framed(chart, alt_text, height=400):
    """A chart as an HTML frame that needs no network, for a notebook, the site or a report."""
    safe = {"cls": _NoTags}
    page = chart.to_html(inline=True, embed_options={"actions": False}, json_kwds=safe)
    label = html.escape(alt_text, quote=True)
    return HTML(
        f'<div><iframe sandbox="allow-scripts" srcdoc="{html.escape(page, quote=True)}" '
        f'title="{label}" aria-label="{label}" '
        f'style="width:100%;height:{height}px;border:0"></iframe></div>'
    )


def plot_worst(images, titles):
    """Micrographs in a row, each on its own grey scale.

    Parameters
    ----------
    images : sequence
        As `helpers.images.read.read_image` takes them.
    titles : sequence of str

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure, axes = panels(1, len(images), 2.4)
    for ax, image, title in zip(axes[0], images, titles, strict=True):
        ax.imshow(read_image(image), cmap="gray")
        lines = [textwrap.fill(line, 18) for line in title.splitlines()]
        frame(ax, "\n".join(lines))
    return figure
