"""The Sphinx extensions of the site, where a whole site would be too much to try them on."""

import importlib.util
from types import SimpleNamespace

import pytest
from docutils import nodes
from docutils.core import publish_doctree

from bookbuild.chapters import ROOT


def extension(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / "_ext" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def page(text):
    """A page with a title, as Sphinx has it."""
    settings = {"doctitle_xform": False}
    return publish_doctree(f"Title\n=====\n\n{text}", settings_overrides=settings)


LONG = "word " * 60


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Micrographs vary. **What is lost?**\n\nMore.", "What is lost?"),
        (".. note:: Mind.\n\nThe text\ngoes on.", "The text goes on."),
        (LONG, ("word " * 31).strip() + " …"),
        (".. note:: Mind.", ""),
    ],
)
def test_a_description_is_what_a_page_says_first(text, expected):
    assert extension("descriptions").description(page(text)) == expected


@pytest.mark.parametrize(
    ("text", "linked"),
    [
        ("A fold, and more folds.", ["fold"]),
        ("Volumes and their volume\nfraction.", ["Volumes", "volume\nfraction"]),
        ("Patches; a *fold*, ``fold``, fold_ of it.\n\n.. _fold: x", ["Patches"]),
        ("Manifold, two-fold, fold 4.\n\n- In a list: fold", ["fold"]),
        ("Nothing.", []),
    ],
)
def test_a_term_is_linked_at_its_first_use(text, linked):
    terms = {("term", name): ("glossary", f"term-{name}") for name in ("Fold", "Patch", "Volume")}
    terms["term", "Volume fraction"] = ("glossary", "term-Volume-fraction")
    app = SimpleNamespace(
        env=SimpleNamespace(get_domain=lambda _: SimpleNamespace(objects=terms)),
        builder=SimpleNamespace(get_relative_uri=lambda here, page: f"../{page}.html"),
    )
    chapter = page(text)
    before = chapter.astext()
    extension("glossary").link_terms(app, chapter, "book/10_a")
    links = [r for r in chapter.findall(nodes.reference) if r["classes"] == ["glossary-term"]]
    assert [link.astext() for link in links] == linked
    assert chapter.astext() == before
    assert all(link["refuri"].startswith("../glossary.html#term-") for link in links)
