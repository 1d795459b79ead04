"""Sphinx extension that links the words of the glossary where a chapter first uses them.

Words in headings, captions, code, tables and emphasis, and what is a link already, stay as they
are.
"""

import re

from docutils import nodes


def link_terms(app, doctree, docname):
    """Link each term once, in the running text of a chapter."""
    if not docname.startswith("book/"):
        return
    objects = app.env.get_domain("std").objects
    places = {name.lower(): at for (kind, name), at in objects.items() if kind == "term"}
    for text in [text for text in doctree.findall(nodes.Text) if _is_running(text)]:
        parts, end = [], 0
        for word in _words(places, text.astext()) if places else ():
            term = " ".join(word[1].lower().split())
            if term in places:  # not linked yet
                page, anchor = places.pop(term)
                address = f"{app.builder.get_relative_uri(docname, page)}#{anchor}"
                link = nodes.reference("", word[0], internal=True, refuri=address)
                link["classes"].append("glossary-term")
                parts += [nodes.Text(text[end : word.start()]), link]
                end = word.end()
        text.parent.replace(text, [*parts, nodes.Text(text[end:])])


def _words(terms, text):
    """Find terms, or their plurals; not "section 4", nor "phase" in "two-phase"."""
    longest_first = sorted(map(re.escape, terms), key=len, reverse=True)
    names = "|".join(longest_first).replace(r"\ ", r"\s+")
    return re.finditer(rf"(?<![\w-])({names})(?:e?s)?(?![\w-]|\s\d)", text, re.IGNORECASE)


def _is_running(text) -> bool:
    paragraph = text.parent
    return isinstance(paragraph, nodes.paragraph) and isinstance(
        paragraph.parent, nodes.section | nodes.list_item
    )


def setup(app):
    """Register the extension."""
    app.connect("doctree-resolved", link_terms)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
