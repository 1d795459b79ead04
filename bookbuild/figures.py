"""Start-up file of the kernels that execute chapters: what figures bring along for the site.

`bookbuild.runner` copies it to where IPython looks for such files. The text that a notebook keeps
beside a figure tells its smallest lettering, which `bookbuild.outcome` reads, and charts lose
their background, so that the page can turn their colours where it is dark.
"""

from IPython import get_ipython


def prepared(figure):
    """Give the text that stands beside a figure, just before IPython makes the image."""
    from matplotlib.text import Text  # a chapter without figures does not wait for it

    figure.draw_without_rendering()  # ticks get their labels
    texts = [t for t in figure.findobj(Text) if t.get_visible() and t.get_text().strip()]
    smallest = min((text.get_fontsize() for text in texts), default=None)
    lettering = "no lettering" if smallest is None else f"lettering from {smallest:.2f} pt"
    pictures = any(axis.images or axis.name == "3d" for axis in figure.axes)
    if not pictures:
        for drawn in (figure, *figure.axes):
            drawn.patch.set_alpha(0)
    kind = "pictures" if pictures else "a chart"
    width, height = figure.get_size_inches()
    return {"text/plain": f"<Figure of {width:.2f} x {height:.2f} in, {kind}, {lettering}>"}


# Not with the formatter of plain text: IPython resets it when matplotlib is imported.
bundles = get_ipython().display_formatter.mimebundle_formatter
bundles.for_type_by_name("matplotlib.figure", "Figure", prepared)
