"""The chapters as files: pairing, order, shape of the cells. `make book` executes them."""

import ast
import json
import re

import pytest

from bookbuild.chapters import (
    ROOT,
    chapters_in_toc,
    code_cells,
    declared_parameters,
    notebook_of,
    notebook_text,
    tags,
    toc_entries,
)

SOURCES = sorted((ROOT / "book").glob("*.py"))
LONGEST_CELL = 25


def each_source(function):
    return pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)(function)


def test_chapters_and_notebooks_are_paired_by_stem():
    notebooks = {path.stem for path in (ROOT / "book").glob("*.ipynb")}
    assert {path.stem for path in SOURCES} == notebooks, "run `make sync`"


def test_book_holds_chapters_only():
    names = {p.name for p in (ROOT / "book").iterdir() if not p.name.startswith((".", "__"))}
    assert [n for n in names if not re.fullmatch(r"\d\d_[a-z0-9_]+\.(py|ipynb)", n)] == []


@each_source
def test_notebook_is_what_its_source_generates(source):
    committed = source.with_suffix(".ipynb").read_text(encoding="utf-8")
    assert committed == notebook_text(source), f"{source.stem}.ipynb is stale; run `make sync`"


@each_source
def test_notebook_holds_no_outputs(source):
    text = source.with_suffix(".ipynb").read_text(encoding="utf-8")
    assert re.findall(r'"(?:output_type|image/png)"', text) == []


def test_toc_and_folder_name_the_same_chapters():
    assert sorted(chapters_in_toc(ROOT)) == SOURCES


def test_toc_names_existing_pages():
    pages = [entry for entry in toc_entries(ROOT) if not entry.startswith("book/")]
    assert [page for page in pages if not (ROOT / "pages" / f"{page}.md").is_file()] == []


@each_source
def test_parameters_are_literals_of_one_cell(source):
    declared = declared_parameters(source)  # raises where a value is not a literal
    assert json.loads(json.dumps(declared)) == declared, "papermill passes what JSON can hold"


@each_source
def test_chapter_begins_with_its_title(source):
    first = notebook_of(source).cells[0]
    assert first.cell_type == "markdown"
    assert re.match(r"# \S", first.source)


@each_source
def test_cells_are_short(source):
    long = {
        cell.source.splitlines()[0]: len(cell.source.splitlines())
        for cell in code_cells(notebook_of(source))
        if len(cell.source.splitlines()) > LONGEST_CELL
    }
    assert long == {}


@each_source
def test_imports_come_first(source):
    first, *others = [ast.parse(cell.source) for cell in code_cells(notebook_of(source))]
    assert any(isinstance(node, (ast.Import, ast.ImportFrom)) for node in first.body)
    late = [
        ast.unparse(node)
        for tree in others
        for node in ast.walk(tree)
        if isinstance(node, (ast.Import, ast.ImportFrom))
    ]
    assert late == []


@each_source
def test_a_cell_that_plots_has_caption_and_alt_text(source):
    """The build checks every image; this finds the usual ones without executing anything."""
    bare = []
    for cell in code_cells(notebook_of(source)):
        options = cell.metadata.get("mystnb", {})
        complete = options.get("figure", {}).get("caption") and options.get("image", {}).get("alt")
        if _shows_a_plot(cell.source) and not complete and "remove-output" not in tags(cell):
            bare.append(cell.source.splitlines()[0])
    assert bare == []


def _shows_a_plot(code: str) -> bool:
    body = ast.parse(code).body
    return bool(body) and ast.unparse(body[-1]).startswith(("plot", "fig", "plt.show"))


def test_reference_names_every_public_helper():
    paths = (path.relative_to(ROOT).with_suffix("") for path in (ROOT / "helpers").rglob("*.py"))
    modules = {".".join(path.parts) for path in paths if not path.name.startswith("_")}
    modules |= {f"helpers.{path.parent.name}" for path in (ROOT / "helpers").glob("*/__init__.py")}
    text = (ROOT / "pages" / "reference.md").read_text(encoding="utf-8")
    assert set(re.findall(r"automodule:: (helpers\.[\w.]+)", text)) == modules


def test_every_citation_has_an_entry():
    entries = set(re.findall(r"@\w+\{(\w+),", (ROOT / "pages/references.bib").read_text("utf-8")))
    texts = [
        path.read_text(encoding="utf-8") for path in [*SOURCES, *(ROOT / "pages").glob("*.md")]
    ]
    cited = re.findall(r"\{cite(?::\w+)?\}`([^`]+)`", "\n".join(texts))
    assert {key.strip() for keys in cited for key in keys.split(",")} - entries == set()
