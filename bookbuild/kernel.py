"""Start-up file of the kernels that execute chapters: what a page cannot show is told.

`bookbuild.runner` names it as ``PYTHONSTARTUP``. What it writes to the error stream keeps a
chapter from the site. Charts lose their background, so that the page can turn their colours where
it is dark; figures with pictures or scales of colour keep it: turned, they would mislead.
"""

import sys as _sys

from IPython import get_ipython as _shell

_WIDTH, _LETTERING = 7.2, 8  # inches of the text column, and points that are still legible


def _prepare(figure):
    """Look at a figure just before IPython makes the image; adds nothing to what is shown."""
    from matplotlib.collections import QuadMesh  # a chapter without figures does not wait for it
    from matplotlib.text import Text

    figure.draw_without_rendering()  # ticks get their labels
    texts = [t for t in figure.findobj(Text) if t.get_visible() and t.get_text().strip()]
    smallest = min((text.get_fontsize() for text in texts), default=_LETTERING)
    if round(figure.get_figwidth(), 1) > _WIDTH:
        width = f"{figure.get_figwidth():.1f} in wide, the column of the page {_WIDTH}"
        print(f"The figure is {width}: draw it on `helpers.plots.panels`.", file=_sys.stderr)
    if smallest < _LETTERING:
        size = f"{smallest:g} pt, expected at least {_LETTERING}"
        remedy = "leave out `fontsize`, or wrap text that does not fit"
        print(f"The figure has lettering of {size}: {remedy}.", file=_sys.stderr)
    pictures = any(axis.images or axis.name == "3d" for axis in figure.axes)
    if not pictures and not figure.findobj(QuadMesh):  # heat maps, and bars of colour
        for drawn in (figure, *figure.axes):
            drawn.patch.set_alpha(0)
    return {}


# Not with the formatter of plain text: IPython resets it when matplotlib is imported.
_bundles = _shell().display_formatter.mimebundle_formatter
_bundles.for_type_by_name("matplotlib.figure", "Figure", _prepare)
