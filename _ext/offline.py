"""Sphinx extension that keeps every request of the site on the site.

A plain jupyter-book page asks one host for MathJax and another for thebe. Here MathJax comes
along with its fonts, and thebe is left out.
"""

import shutil
from importlib.util import find_spec
from pathlib import Path

from sphinx.errors import ExtensionError

LOADER = "formulas.js"  # not in _static, whose scripts jupyter-book gives to every page
MATHJAX = "mathjax/tex-chtml-full.js"  # nothing to load later but fonts
FONTS = "mathjax/output/chtml/fonts/woff-v2"  # where it looks for them
# Excerpts below search results are fetched, which browsers refuse on pages opened from disk.
NO_EXCERPTS_FROM_DISK = (
    'if (location.protocol === "file:") DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;'
)


def drop_thebe(app, config):
    """Take out sphinx-thebe, which adds its scripts to every page, whether it is used or not.

    jupyter-book loads it on its own, so what it registered is taken back here.
    """
    for event in ("env-before-read-docs", "doctree-resolved"):
        for listener in list(app.events.listeners.get(event, [])):
            if listener.handler.__module__ == "sphinx_thebe":
                app.disconnect(listener.id)


def copy_mathjax(app, exception):
    """Copy MathJax beside the other static files, once the site is written."""
    if exception or app.builder.format != "html":
        return
    package = find_spec("sphinx-mathjax-offline")
    if package is None:
        raise ExtensionError("The package sphinx-mathjax-offline is missing; run `make setup`.")
    static, target = Path(package.origin).parent / "static", Path(app.outdir) / "_static"
    shutil.copytree(static / FONTS, target / FONTS)
    shutil.copyfile(static / MATHJAX, target / MATHJAX)
    shutil.copyfile(Path(__file__).with_name(LOADER), target / LOADER)


def setup(app):
    """Register the extension."""
    app.connect("config-inited", drop_thebe)
    app.connect("build-finished", copy_mathjax)
    app.add_js_file(None, body=NO_EXCERPTS_FROM_DISK)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
