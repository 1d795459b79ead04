"""The chapters as files: pairing, order, shape of the cells. `make book` executes them."""

import ast
import difflib
import json
import re
import subprocess
import sys
import tomllib

import jupytext
import nbformat
import pytest
from lessons import frame_of_a_chapter

from bookbuild.chapters import (
    ROOT,
    chapters_in_toc,
    code_cells,
    declared_parameters,
    inputs,
    notebook_of,
    tags,
    toc_entries,
)
from bookbuild.sync import notebook_text

SOURCES = sorted((ROOT / "book").glob("*.py"))
LONGEST_CELL = 25  # lines
FIGURE = (
    'mystnb={"figure": {"caption": "What it shows.", "name": "fig-name"}, '
    '"image": {"alt": "What one sees."}}'
)


def each_source(function):
    return pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)(function)


def refuse(wrong, where, what, remedy):
    """Fail with what is `wrong`, a line each, where it is, and what to do."""
    if wrong:
        listed = "".join(f"\n  {line}" for line in wrong)
        pytest.fail(f"{where}: {what}:{listed}\n{remedy}", pytrace=False)


def committed(source):
    """The text of the notebook beside a chapter."""
    path = source.with_suffix(".ipynb")
    if not path.is_file():
        pytest.fail(f"{path.name} is missing; run `make sync`", pytrace=False)
    return path.read_text(encoding="utf-8")


def first_cell():
    """What a reader runs who has this notebook and no clone; commented, in a source twice."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    address = project["urls"]["Repository"]
    return (
        "# Only away from a clone of the book: take the # off the two lines below,\n"
        "# run the cell, and restart the kernel.\n"
        f"# !git clone {address}\n"
        f'# %pip install -e "./{address.rpartition("/")[2]}[book]"'
    )


def first_line(cell):
    return next((line for line in cell.source.splitlines() if line.strip()), "")


def test_chapters_and_notebooks_are_paired_by_stem():
    sources = {path.stem for path in SOURCES}
    notebooks = {path.stem for path in (ROOT / "book").glob("*.ipynb")}
    lacking = [f"{name}.ipynb" for name in sorted(sources - notebooks)]
    refuse(lacking, "book", "chapters without their notebook", "Run `make sync`.")
    left = [f"{name}.ipynb" for name in sorted(notebooks - sources)]
    remedy = "The .py beside a notebook is what one edits. Remove these, or bring back their .py."
    refuse(left, "book", "notebooks without a chapter", remedy)


def test_book_holds_chapters_only():
    names = {p.name for p in (ROOT / "book").iterdir() if not p.name.startswith((".", "__"))}
    wrong = sorted(n for n in names if not re.fullmatch(r"\d\d_[a-z0-9_]+\.(py|ipynb)", n))
    remedy = (
        "Name a chapter NN_name.py: two digits, then lower case, digits and _. Move helpers to "
        "helpers/, pages to pages/, data to data/."
    )
    refuse(wrong, "book", "files that are no chapters", remedy)


@each_source
def test_notebook_is_what_its_source_generates(source):
    if committed(source) != notebook_text(source):
        name = source.with_suffix(".ipynb").name
        pytest.fail(f"{name} is not what {source.name} generates; run `make sync`", pytrace=False)


@each_source
def test_notebook_holds_no_outputs(source):
    outputs = sorted(set(re.findall(r'"(?:output_type|image/png)"', committed(source))))
    refuse(outputs, source.stem + ".ipynb", "it holds outputs", "Run `make sync`: it drops them.")


def test_toc_and_folder_name_the_same_chapters():
    entries = chapters_in_toc(ROOT)  # tells an entry without a file, and one that is twice there
    lacking = [f"- file: book/{path.stem}" for path in SOURCES if path not in entries]
    remedy = "Put these lines there, at the place that the chapters have in the book."
    refuse(lacking, "_toc.yml", "chapters of book/ without an entry", remedy)
    assert sorted(entries) == SOURCES


def test_toc_names_existing_pages():
    pages = [entry for entry in toc_entries(ROOT) if not entry.startswith("book/")]
    dead = [page for page in pages if not (ROOT / "pages" / f"{page}.md").is_file()]
    remedy = (
        "Mend the name, or write pages/<name>.md; chapters are written book/NN_name, without .py."
    )
    refuse(dead, "_toc.yml", "entries without a file in pages/", remedy)


@each_source
def test_parameters_are_literals_of_one_cell(source):
    declared = declared_parameters(source)  # raises where a value is not a literal
    assert json.loads(json.dumps(declared)) == declared, "papermill passes what JSON can hold"


@each_source
def test_chapter_begins_with_its_title(source):
    first = notebook_of(source).cells[0]
    titled = first.cell_type == "markdown" and re.match(r"# \S", first.source)
    wrong = [] if titled else [f"{first_line(first)!r}, in a {first.cell_type} cell"]
    remedy = "Begin with a cell `# %% [markdown]` whose first line is the title, `# # Title`."
    refuse(wrong, source.name, "it begins without a title", remedy)


@each_source
def test_the_first_code_cell_installs_the_book(source):
    first = code_cells(notebook_of(source))[0]
    if first.source != first_cell() or tags(first) != ["remove-cell"]:
        lines = re.sub("^# ([!%])", r"# # \1", first_cell(), flags=re.MULTILINE)
        remedy = f'it should be\n\n# %% tags=["remove-cell"]\n{lines}'
        pytest.fail(f"{source.name}, the first code cell: {remedy}", pytrace=False)


@each_source
def test_source_is_what_jupytext_writes(source):
    """Or saving the chapter in JupyterLab would change more than what one edits."""
    old = source.read_text(encoding="utf-8")
    new = jupytext.writes(nbformat.reads(notebook_text(source), as_version=4), "py:percent")
    other = [*difflib.unified_diff(old.splitlines(), new.splitlines(), n=0, lineterm="")][2:]
    command = f"python -m jupytext --to py:percent book/{source.stem}.ipynb"
    remedy = f"Write the lines with + in place of those with -, or `make sync`, then `{command}`."
    refuse(other, source.name, "what JupyterLab would write otherwise", remedy)


def prose(source):
    """The text that readers of a chapter see: Markdown without formulas, and strings of code."""
    for cell in notebook_of(source).cells:
        if cell.cell_type == "markdown":
            yield re.sub(r"\$\$.+?\$\$|\$.+?\$", "", cell.source, flags=re.DOTALL)
        else:
            nodes = ast.walk(ast.parse(cell.source))
            yield from (n.value for n in nodes if isinstance(n, ast.Constant) and n.value)


@each_source
def test_links_lead_to_chapters(source):
    """In a clone, in JupyterLab and on the site, whose build looks for a #part."""
    text = "\n".join(part for part in prose(source) if isinstance(part, str))
    targets = re.findall(r"\]\(([^)\s]+)\)", text)
    there = {path.with_suffix(".ipynb").name for path in SOURCES}
    there |= {f"../_static/{path.name}" for path in (ROOT / "_static").iterdir()}  # drawings
    dead = [t for t in targets if "://" not in t and t.partition("#")[0] not in there]
    remedy = "Name the notebook of a chapter, [its title](NN_name.ipynb), or a full address."
    refuse(dead, source.name, "links that lead to no chapter", remedy)
    roles = re.findall(r"\{(?:doc|ref)\}`[^`]*`", text)
    remedy = "Write an ordinary link, [its title](NN_name.ipynb)."
    refuse(roles, source.name, "roles that JupyterLab does not follow", remedy)


@each_source
def test_cells_are_short(source):
    long = [
        f"{len(cell.source.splitlines())} lines in the cell that begins with {first_line(cell)!r}"
        for cell in code_cells(notebook_of(source))
        if len(cell.source.splitlines()) > LONGEST_CELL
    ]
    what = f"code cells of more than {LONGEST_CELL} lines"
    refuse(long, source.name, what, "Split them by `# %%`, or move code to helpers/.")


def imports(nodes):
    return [ast.unparse(node) for node in nodes if isinstance(node, ast.Import | ast.ImportFrom)]


@each_source
def test_imports_come_first(source):
    _, first, *others = code_cells(notebook_of(source))
    remedy = "Put all imports into the code cell after the one that installs the book."
    without = [] if imports(ast.parse(first.source).body) else [repr(first_line(first))]
    refuse(without, source.name, "the second code cell imports nothing", remedy)
    late = [
        f"in the cell that begins with {first_line(cell)!r}: {'; '.join(lines)}"
        for cell in others
        if (lines := imports(ast.walk(ast.parse(cell.source))))
    ]
    refuse(late, source.name, "imports after the second code cell", remedy)


@each_source
def test_the_landing_page_has_a_card_of_the_chapter(source):
    page = (ROOT / "pages" / "index.md").read_text(encoding="utf-8")
    card = rf"""
:::\{{grid-item-card\}} \[\]\(book/{source.stem}\)
:img-top: _static/thumbnails/{source.stem}\.webp
:img-alt: \S.+
\S.+\?
\+\+\+
Read (\d+) min, run \d+ min
:::
"""
    minutes = re.search(card, page)
    assert minutes, (
        f"pages/index.md: a card of book/{source.stem} is missing, or a line of it: copy that of "
        "another chapter, with its question and minutes"
    )
    words = sum(len(cell.source.split()) for cell in notebook_of(source).cells)
    assert int(minutes[1]) == pytest.approx(words / 200, abs=3), (
        f"pages/index.md: at 200 words a minute {source.stem} takes {words / 200:.0f} minutes"
    )


def test_the_frame_of_contributing_is_a_chapter(tmp_path):
    path = tmp_path / "45_frame.py"
    path.write_text(frame_of_a_chapter(), encoding="utf-8")
    assert declared_parameters(path) == {"data": "embedded"}
    assert code_cells(notebook_of(path))[0].source == first_cell(), "CONTRIBUTING.md"
    check = [sys.executable, "-m", "ruff", "check", "--config", str(ROOT / "pyproject.toml")]
    done = subprocess.run([*check, "--ignore=INP,N999", str(path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@each_source
def test_results_are_read_by_their_names(source):
    inputs(ROOT, source)  # says which line hides a name from the build


@each_source
def test_a_cell_that_plots_has_caption_and_alt_text(source):
    """The build checks every image; this finds the usual ones without executing anything."""
    bare = []
    for cell in code_cells(notebook_of(source)):
        options = cell.metadata.get("mystnb", {})
        complete = options.get("figure", {}).get("caption") and options.get("image", {}).get("alt")
        if _shows_a_plot(cell.source) and not complete and "remove-output" not in tags(cell):
            bare.append(first_line(cell))
    remedy = f"Begin each cell with such a line:\n# %% {FIGURE}"
    refuse(bare, source.name, "cells that plot without a caption or an alt text", remedy)


def _shows_a_plot(code: str) -> bool:
    body = ast.parse(code).body
    return bool(body) and ast.unparse(body[-1]).startswith(("plot", "fig", "plt.show"))


REFERENCE = (ROOT / "pages" / "reference.md").read_text(encoding="utf-8")


def test_reference_names_every_public_helper():
    paths = (path.relative_to(ROOT).with_suffix("") for path in (ROOT / "helpers").rglob("*.py"))
    modules = {".".join(path.parts) for path in paths if not path.name.startswith("_")}
    rooms = {path.parent.name for path in (ROOT / "helpers").glob("*/__init__.py")}
    modules |= {"helpers", *(f"helpers.{room}" for room in rooms)}
    listed = set(re.findall(r"^   (helpers[\w.]*)$", REFERENCE, re.MULTILINE))
    remedy = "Put each under its room, in the list below `.. autosummary::`: it gets a page so."
    refuse(sorted(modules - listed), "pages/reference.md", "modules that it does not name", remedy)
    dead = sorted(listed - modules)
    refuse(dead, "pages/reference.md", "modules that are not there", "Mend or remove these lines.")


@each_source
def test_one_badge_near_the_top_says_whose_data_and_networks(source):
    cells = code_cells(notebook_of(source))
    calls = [cell for cell in cells if re.search(r"(?m)^badge\(", cell.source)]
    near = cells[:5]  # imports, parameters, what loads the data
    own = [c for c in calls if not re.search(r'badge\(\s*"Published data"', c.source)]
    wrong = [] if len(own) == 1 else [f"{len(own)} cells that end in badge(...)"]
    wrong += [f"badge not in {len(near)} cells" for cell in own if cell not in near]
    wrong += ["badge not tagged remove-input" for c in calls if tags(c) != ["remove-input"]]
    remedy = (
        "A cell tagged remove-input, after the one that loads the data, ends in a call of "
        "helpers.datasets.badge. Further ones stand above tables of published data, and say so."
    )
    refuse(wrong, source.name, "a chapter has one badge near its top", remedy)


@pytest.mark.parametrize(
    ("module", "name", "chapter"),
    re.findall(r"`~(helpers[\w.]*)\.(\w+)` \|.*\(book/(\w+)\) \|", REFERENCE),
)
def test_reference_tells_where_a_function_is_used(module, name, chapter):
    nodes = ast.walk(ast.parse((ROOT / "book" / f"{chapter}.py").read_text(encoding="utf-8")))
    taken = [n for n in nodes if isinstance(n, ast.ImportFrom) and n.module == module]
    assert name in {alias.name for node in taken for alias in node.names}


def test_every_citation_has_an_entry():
    entries = set(re.findall(r"@\w+\{(\w+),", (ROOT / "pages/references.bib").read_text("utf-8")))
    unknown = [
        f"{key.strip()}, cited by {path.relative_to(ROOT)}"
        for path in [*SOURCES, *(ROOT / "pages").glob("*.md")]
        for keys in re.findall(r"\{cite(?::\w+)?\}`([^`]+)`", path.read_text(encoding="utf-8"))
        for key in keys.split(",")
        if key.strip() not in entries
    ]
    remedy = "Add the entry, @article{key, ...}, or mend the key."
    refuse(unknown, "pages/references.bib", "citations without an entry", remedy)
