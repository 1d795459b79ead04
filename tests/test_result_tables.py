"""Tables of pandas on the site: which are told to the theme, which of their columns are words."""

import importlib.util

import pandas as pd
import pytest
from bs4 import BeautifulSoup

from bookbuild.chapters import ROOT

SPEC = importlib.util.spec_from_file_location("result_tables", ROOT / "_ext" / "result_tables.py")
tables = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(tables)
TABLE = pd.DataFrame(
    {
        "model": ["LR", "SVR"],
        "MAPE": [13.7, -2.0],
        "interval": ["+0.6 (-1.9 to +3.0)", "≤ 4"],
        "paper": ["24.1 (24)", "not in the paper"],
        "said": ["figure only", ""],
        "chosen": ["", ""],
    },
    index=pd.Index(["CLIP B16", "14 x 14"], name="descriptor"),
)


def left(html):
    """The text of what is marked as words, by the row it stands in."""
    page = BeautifulSoup(tables.marked(html), "html.parser")
    rows = [[c.get_text() for c in row.select(".words")] for row in page.select("tr")]
    return page.table, [row for row in rows if row]


@pytest.mark.parametrize("write", [pd.DataFrame.to_html, lambda table: table.style.to_html()])
def test_columns_of_words_are_marked_with_their_heads(write):
    table, rows = left(write(TABLE.rename_axis(index=None)))
    assert table["class"] == ["dataframe"]
    assert rows == [["model", "said"], ["LR", "figure only"], ["SVR", ""]]


def test_without_an_index_heads_stay_with_their_columns():
    wide = TABLE.reset_index(drop=True).assign(kind=["network", "control"])
    _, rows = left(wide.style.hide(axis="index").to_html())
    assert rows[0] == ["model", "said", "kind"]
    assert rows[1] == ["LR", "figure only", "network"]


def test_heads_over_several_columns_are_counted():
    wide = TABLE[["MAPE", "model"]]
    wide.columns = pd.MultiIndex.from_tuples([("shuffled", "error"), ("shuffled", "by")])
    _, rows = left(wide.style.to_html())
    assert [row[-1] for row in rows if row[-1].strip()] == ["shuffled", "by", "LR", "SVR"]


def test_what_is_no_table_of_results_stays():
    for html in ("<p>Said &amp; done</p>", "<table></table>"):
        assert "words" not in tables.marked(html)
