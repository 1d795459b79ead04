"""Sphinx extension that lets a page load what it uses, and not what others use.

Extensions add their files to every page, and Sphinx gives MathJax to a page without formulas if
one below it has some.
"""

import re

# A part of a file's name, and a pattern of what needs the file in the text of a page.
NEEDED_BY = {
    "formulas.js": r'class="[^"]*\bmath\b',
    "mystnb": 'class="cell',
    "copybutton": 'class="highlight',
    "clipboard": 'class="highlight',
    "sphinx-design": r"\bsd-",
    "design-tabs": "sd-tab",
    "togglebutton": "dropdown|toggle",
    "thebe": "thebe",
}


def drop_unused(app, pagename, templatename, context, doctree):
    """Take scripts and styles out of a page that has no use for them."""
    text = context.get("body", "")
    unused = [name for name, needs in NEEDED_BY.items() if not re.search(needs, text)]
    for files in (context["script_files"], context["css_files"]):
        files[:] = [f for f in files if not any(name in str(f.filename) for name in unused)]


def setup(app):
    """Register the extension."""
    app.connect("html-page-context", drop_unused, priority=900)  # after all have added theirs
    return {"parallel_read_safe": True, "parallel_write_safe": True}
