"""Sphinx extension that gives the tables of results the theme's look, numbers to the right.

The theme knows them by the class ``dataframe``, which a table of pandas' ``style`` lacks. Style
sheets cannot tell words from numbers, so columns of words are marked here, heads included.
"""

import itertools
import re

from bs4 import BeautifulSoup
from docutils import nodes

NUMBER = re.compile(r"[-+−±≤<]?\s?\d")  # how a cell with a number begins; its unit may follow
TABLE = "dataframe"
WORDS = "words"


def marked(html):
    """Mark the tables in the HTML of an output of pandas."""
    page = BeautifulSoup(html, "html.parser")
    for table in page.find_all("table"):
        add_class(table, TABLE)
        body = [row.find_all("td") for row in table.select("tbody tr")]
        words = [is_words(column) for column in zip(*body, strict=False)]
        heads = [heads_of(row, len(words)) for row in table.select("thead tr")]
        for row in heads + body:
            for cell in itertools.compress(row, words):
                add_class(cell, WORDS)
    return str(page)


def is_words(cells):
    """Tell whether most of the cells of a column, of those that are filled, are no numbers."""
    filled = list(filter(None, (cell.get_text().strip() for cell in cells)))
    return sum(bool(NUMBER.match(cell)) for cell in filled) < len(filled) / 2


def heads_of(row, n_columns):
    """Give the head of each column; one over several belongs to all, and the index has more."""
    heads = [cell for cell in row.find_all("th") for _ in range(int(cell.get("colspan", 1)))]
    return heads[-n_columns:]


def add_class(tag, name):
    """Add a class to a tag."""
    tag["class"] = list(dict.fromkeys([*tag.get("class", []), name]))


def mark_tables(app, doctree, docname):
    """Mark the tables of a page; only outputs are raw HTML."""
    for node in list(doctree.findall(nodes.raw)):
        if "html" in node.get("format", "") and "<table" in node.astext():
            node.replace_self(nodes.raw("", marked(node.astext()), format="html"))


def setup(app):
    """Register the extension."""
    app.connect("doctree-resolved", mark_tables)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
