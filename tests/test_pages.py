"""The pages beside the chapters: what they quote from the code is in the code."""

import ast
import re

import pytest

from bookbuild.chapters import ROOT, toc_entries

PAGES = ROOT / "pages"
TROUBLES = (PAGES / "troubleshooting.md").read_text(encoding="utf-8")
SOURCES = [*(ROOT / "helpers").rglob("*.py"), *(ROOT / "bookbuild").glob("*.py")]
QUOTED = re.findall(r"^:::\{dropdown\} `([^`]*(?:`[^`]*)?)`\n\S", TROUBLES, re.MULTILINE)


def _text(node):
    """A text of the source, with three dots where a value is put in."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(
            _text(part) if isinstance(part, ast.Constant) else "…" for part in node.values
        )
    return None


@pytest.fixture(scope="module")
def texts():
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in SOURCES]
    found = (_text(node) for tree in trees for node in ast.walk(tree))
    return [" ".join(text.split()) for text in found if text]


def test_there_are_messages_of_every_group():
    groups = re.split(r"^## ", TROUBLES, flags=re.MULTILINE)[1:8]
    assert [g.splitlines()[0] for g in groups] == [
        "Images", "Tables", "Weights and downloads", "Features and memory",
        "Models and validation", "Your own micrographs", "Building the book",
    ]  # fmt: skip
    assert all(group.count("\n:::{dropdown} `") >= 3 for group in groups)
    assert len(QUOTED) == sum(group.count("\n:::{dropdown} `") for group in groups)


@pytest.mark.parametrize("message", QUOTED)
def test_a_quoted_message_is_in_the_source(texts, message):
    parts = [re.escape(part.strip()) for part in message.split("…")]
    pattern = re.compile(r"\s*…\s*".join(parts))
    assert any(pattern.search(text) for text in texts), "no code says this any more"


def test_environment_variables_exist():
    code = "\n".join(
        path.read_text(encoding="utf-8")
        for path in [*SOURCES, *(ROOT / "tests").glob("test_site.py")]
    )
    named = set(re.findall(r"MICROPROP_[A-Z]+", TROUBLES))
    assert named == set(re.findall(r"\bMICROPROP_[A-Z]+", code))


def test_glossary_links_every_entry_to_a_chapter_or_a_source():
    text = (PAGES / "glossary.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```\{glossary\}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert len(blocks) == 2
    terms = []
    for block in blocks:
        entries = dict(re.findall(r"^(\S.*)\n((?:  .*\n?)+)", block, re.MULTILINE))
        assert list(entries) == sorted(entries, key=str.lower)
        terms += entries
        bare = [t for t, said in entries.items() if "](book/" not in said and "{cite}" not in said]
        assert bare == []
    assert len(terms) > 30
    referred = {re.sub(r"\s+", " ", t) for t in re.findall(r"\{term\}`([^`]+)`", text)}
    targets = {re.sub(r".*<(.*)>", r"\1", t) for t in referred}
    assert targets - set(terms) == set()
    links = set(re.findall(r"\]\((book/\w+)\)", text))
    assert links - set(toc_entries(ROOT)) == set()
