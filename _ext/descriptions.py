"""Sphinx extension that gives each page a description for search engines: what it says first.

That is the question in bold of the page's first paragraph, or else the paragraph's beginning.
"""

import textwrap
from html import escape

from docutils import nodes

LENGTH = 160  # characters, about what a search engine shows


def description(doctree) -> str:
    """Give the description of a page, which may be empty."""
    paragraph = next(doctree.findall(_is_text), None) if doctree else None
    if paragraph is None:
        return ""
    words = next(paragraph.findall(nodes.strong), paragraph)
    return textwrap.shorten(words.astext(), LENGTH, placeholder=" …")


def _is_text(node) -> bool:
    return isinstance(node, nodes.paragraph) and isinstance(node.parent, nodes.section)


def describe(app, pagename, templatename, context, doctree):
    """Add the description to the head of a page that does not give its own by ``html_meta``."""
    tags = context.get("metatags", "")
    if 'name="description"' not in tags:
        words = description(doctree) or app.config.html_title  # as of the index, which has no text
        context["metatags"] = f'{tags}<meta name="description" content="{escape(words)}">\n'


def setup(app):
    """Register the extension."""
    app.connect("html-page-context", describe)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
