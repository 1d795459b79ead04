"""The pair of a chapter: written from the source, edited in Jupyter, taken over, never lost."""

import difflib
import os
import re
import shutil
import subprocess
import sys

import jupytext
import nbformat
import pytest

import bookbuild.__main__ as build
from bookbuild.chapters import ROOT, BuildError, notebook_of
from bookbuild.sync import sync

SOURCES = sorted((ROOT / "book").glob("*.py"))
A = """\
# %% [markdown]
# # A chapter

# %%
import numpy as np

# %% tags=["hide-input"]
lags = np.arange(3)
lags
"""
B = "# %% [markdown]\n# # Another\n\n# %%\nx = 1\n"
# What JupyterLab 4.6 leaves in a cell whose panel of properties was open, and others leave.
NOTED = {
    "editable": True,
    "deletable": True,
    "slideshow": {"slide_type": ""},
    "trusted": True,
    "scrolled": True,
    "execution": {"iopub.execute_input": "2026"},
    "vscode": {"languageId": "python"},
    "jp-MarkdownHeadingCollapsed": True,
}


@pytest.fixture
def project(tmp_path):
    """Give a project of two chapters with their notebooks."""
    (tmp_path / "book").mkdir()
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    toc = "format: jb-book\nroot: index\nchapters:\n- file: book/10_a\n- file: book/20_b\n"
    (tmp_path / "_toc.yml").write_text(toc, encoding="utf-8")
    for name, text in {"10_a": A, "20_b": B}.items():
        (tmp_path / "book" / f"{name}.py").write_text(text, encoding="utf-8")
    sync(tmp_path)
    return tmp_path


@pytest.fixture
def edit(project):
    """Give a function that changes the notebook 10_a as an editor would that knows no pair."""
    path = project / "book/10_a.ipynb"

    def edited(change):
        notebook = nbformat.read(path, as_version=4)
        change(notebook.cells)
        nbformat.write(notebook, path)

    return edited


def execute(notebook):
    """Leave what running all cells in JupyterLab leaves."""
    notebook.metadata["language_info"] = {"name": "python", "version": "3.11"}
    for cell in notebook.cells:
        cell.metadata.setdefault("tags", [])
        cell.metadata.update(nbformat.from_dict(NOTED))
        if cell.cell_type == "code":
            cell.outputs = [nbformat.v4.new_output("stream", text="printed\n")]
            cell.execution_count = 1


def in_jupyter(start, path, change=lambda notebook: None):
    """Open a notebook through jupytext's contents manager, run it, change it and save it."""
    manager = jupytext.TextFileContentsManager()
    manager.root_dir = str(start)
    model = manager.get(path.relative_to(start).as_posix())
    execute(model["content"])
    change(model["content"])
    manager.save(model, path.relative_to(start).as_posix())


def test_code_that_the_site_hides_is_closed(project):
    closed = [c.metadata.get("jupyter") for c in notebook_of(project / "book/10_a.py").cells]
    assert closed == [None, None, {"source_hidden": True}]


@pytest.mark.filterwarnings("ignore::Warning")  # of the server's libraries
@pytest.mark.parametrize("start", ["", "book"])
@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_a_chapter_that_is_run_and_saved_in_jupyter_keeps_its_source(tmp_path, source, start):
    """Wherever the server was started, and though `make sync` wrote the notebook last."""
    (tmp_path / "book").mkdir()
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    pair = [shutil.copy(source.with_suffix(kind), tmp_path / "book") for kind in (".py", ".ipynb")]
    before = source.read_bytes()
    copy, notebook = (tmp_path / "book" / os.path.basename(path) for path in pair)
    os.utime(copy, (1, 1))
    in_jupyter(tmp_path / start, notebook)
    assert copy.read_bytes() == before
    assert "printed" in notebook.read_text(encoding="utf-8")

    def change(opened):
        opened.cells[1].source += "\nedited = True"

    in_jupyter(tmp_path / start, notebook, change)
    old, new = (text.decode().splitlines() for text in (before, copy.read_bytes()))
    changed = [line for line in difflib.ndiff(old, new) if line[0] in "+-"]
    assert changed == ["+ edited = True"]


@pytest.mark.filterwarnings("ignore::Warning")
def test_outputs_and_notes_of_an_editor_are_no_edits(project, capsys):
    in_jupyter(project, project / "book/10_a.ipynb")
    assert [path.name for path in sync(project)] == ["10_a.ipynb"]
    assert capsys.readouterr().out.endswith("wrote book/10_a.ipynb\n")
    assert "printed" not in (project / "book/10_a.ipynb").read_text(encoding="utf-8")
    assert sync(project) == []


def test_empty_cells_are_no_edits(project, edit):
    edit(lambda cells: cells.append(nbformat.v4.new_code_cell("")))
    edit(lambda cells: cells[1].update(source=cells[1].source + "\n\n"))
    assert [path.name for path in sync(project)] == ["10_a.ipynb"]


def test_a_stale_notebook_is_written_and_its_cells_are_named(project, capsys):
    source = project / "book/10_a.py"
    source.write_text(A.replace("arange(3)", "arange(5)") + "\n# %%\nnew = 1\n", encoding="utf-8")
    assert [path.name for path in sync(project)] == ["10_a.ipynb"]
    told = capsys.readouterr().out
    assert told.endswith("wrote book/10_a.ipynb, new in its source: cell 3, 4 of 4\n")
    source.write_text(A.replace("lags = np.arange(3)\n", ""), encoding="utf-8")
    assert len(sync(project)) == 1


def change_code(cells):
    cells[2].source = "lags = np.arange(7)\nlags"


@pytest.mark.parametrize(
    "change, told",
    [
        (change_code, "  cell 3 of 3, which begins `lags = np.arange(7)`\nTo"),
        (lambda cells: cells[0].update(source="# Mine"), "  cell 1 of 3, which begins `# Mine`\n"),
        (
            lambda cells: cells[1].metadata.update(tags=["a"]),
            "  cell 2 of 3, which begins `import",
        ),
        (
            lambda cells: cells.insert(1, nbformat.v4.new_code_cell("\nnote = 1")),
            "  cell 2 of 4, which begins `note = 1`\nTo",
        ),
        (lambda cells: cells.pop(1), "  without cell 2 of 3, which begins `import numpy as np`\n"),
        (lambda cells: cells.insert(1, cells.pop()), "  the same cells in another order\n"),
    ],
)
def test_edits_of_a_notebook_are_refused_and_others_written(project, edit, change, told):
    edit(change)
    path = project / "book/10_a.ipynb"
    before = path.read_bytes()
    (project / "book/20_b.py").write_text(B + "y = 2\n", encoding="utf-8")
    with pytest.raises(BuildError) as caught:
        sync(project)
    message = str(caught.value)
    start = "book/10_a.ipynb was edited, and its source book/10_a.py does not hold the edits:\n"
    assert message.startswith(start + told)
    assert "either" not in message
    assert path.read_bytes() == before
    assert "y = 2" in (project / "book/20_b.ipynb").read_text(encoding="utf-8")


def test_all_refusals_are_told_at_once_and_the_status_is_1(project, edit):
    edit(change_code)
    (project / "book/20_b.ipynb").write_text("<<<<<<< HEAD\n", encoding="utf-8")
    script = "import sys; from pathlib import Path; from bookbuild.sync import main; "
    script += "sys.exit(main(Path(sys.argv[1])))"
    done = subprocess.run(
        [sys.executable, "-c", script, str(project)], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "cell 3 of 3, which begins `lags = np.arange(7)`" in done.stderr
    assert "book/20_b.ipynb cannot be read as a notebook" in done.stderr


def run_commands_of(message, project):
    """Run the commands that a message quotes."""
    for command in re.findall(r"`python (-m [^`]+)`", message):
        subprocess.run([sys.executable, *command.split()], cwd=project, check=True)


def test_edits_are_taken_over_as_the_message_says(project, edit):
    edit(change_code)
    edit(lambda cells: cells.append(nbformat.v4.new_markdown_cell("## More")))
    edit(lambda cells: cells.append(nbformat.v4.new_code_cell("def f(x):\n    return x")))
    edit(lambda cells: cells.append(nbformat.v4.new_code_cell("f(1)")))
    with pytest.raises(BuildError) as caught:
        sync(project)
    run_commands_of(str(caught.value), project)
    source = project / "book/10_a.py"
    more = "\n\n# %% [markdown]\n# ## More\n\n\n# %%\ndef f(x):\n    return x\n\n\n# %%\nf(1)\n"
    assert source.read_text(encoding="utf-8") == A.replace("arange(3)", "arange(7)") + more
    for check in (["check"], ["format", "--check"]):
        subprocess.run([sys.executable, "-m", "ruff", *check, str(source)], check=True)
    sync(project)
    assert sync(project) == []


@pytest.mark.filterwarnings("ignore::Warning")
def test_a_source_that_is_edited_after_both_were_saved_is_the_newer_one(project):
    in_jupyter(project, project / "book/10_a.ipynb", lambda opened: change_code(opened.cells))
    source = project / "book/10_a.py"
    text = source.read_text(encoding="utf-8")
    assert "arange(7)" in text
    source.write_text(text.replace("# # A chapter", "# # A lesson"), encoding="utf-8")
    assert len(sync(project)) == 1


def test_cells_that_are_equal_are_told_apart(project, edit, capsys):
    twice = B + "\n# %%\nx\n\n# %%\nx\n"
    (project / "book/10_a.py").write_text(twice, encoding="utf-8")
    assert len(sync(project)) == 1
    assert capsys.readouterr().out.endswith("cell 1, 2, 3, 4 of 4\n")
    edit(lambda cells: cells.pop())
    with pytest.raises(BuildError, match="without cell 4 of 4, which begins `x`"):
        sync(project)


def test_equal_cells_stay_equal_when_another_is_written_before_them(project):
    source = project / "book/10_a.py"
    source.write_text(A + "\n# %%\nx\n\n# %%\nx\n", encoding="utf-8")
    sync(project)
    source.write_text(source.read_text().replace("# %%\nx\n", "# %%\ny\n\n# %%\nx\n", 1))
    in_jupyter(project, project / "book/10_a.ipynb")
    assert sync(project) == [project / "book/10_a.ipynb"]


def test_where_both_were_edited_the_source_is_not_overwritten(project, edit):
    edit(change_code)
    source = project / "book/10_a.py"
    other = A.replace("# # A chapter", "# # A lesson")
    source.write_text(other, encoding="utf-8")
    with pytest.raises(BuildError, match=r"10_a\.py is not the one that .* either") as caught:
        sync(project)
    assert "cell 3 of 3, which begins `lags = np.arange(7)`" in str(caught.value)
    (project / "_build").mkdir()
    run_commands_of(str(caught.value), project)
    assert source.read_text(encoding="utf-8") == other
    taken = (project / "_build/10_a.py").read_text(encoding="utf-8")
    assert taken == A.replace("arange(3)", "arange(7)")
    source.write_text(other.replace("arange(3)", "arange(7)"), encoding="utf-8")
    (project / "book/10_a.ipynb").unlink()
    assert len(sync(project)) == 1


def test_a_notebook_from_elsewhere_is_held_against_its_source(project):
    """As one from before notebooks remembered their cells."""
    path = project / "book/10_a.ipynb"
    notebook = notebook_of(project / "book/10_a.py")
    nbformat.write(notebook, path)
    assert len(sync(project)) == 1, "it holds the same cells"
    change_code(notebook.cells)
    nbformat.write(notebook, path)
    with pytest.raises(BuildError, match=r"cell 3 of 3(?s:.*) either") as caught:
        sync(project)
    assert "cell 2" not in str(caught.value)


def test_edits_are_dropped_as_the_message_says(project, edit):
    edit(change_code)
    (project / "book/10_a.ipynb").unlink()
    assert [path.name for path in sync(project)] == ["10_a.ipynb"]


def test_the_build_names_edited_cells_before_it_executes(project, edit, capsys):
    edit(change_code)
    assert build.main(["--root", str(project), "--no-site"]) == 1
    told = capsys.readouterr()
    assert "book/10_a.ipynb was edited" in told.err
    assert "cell 3 of 3, which begins `lags = np.arange(7)`" in told.err
    assert "executing" not in told.out


def test_the_build_minds_the_chapters_that_it_executes(project, edit, monkeypatch):
    edit(change_code)
    monkeypatch.setattr(build, "execute", lambda *_: None)
    (project / "book/20_b.py").write_text(B + "y = 2\n", encoding="utf-8")
    assert build.main(["--root", str(project), "20_b"]) == 0
    assert "y = 2" in (project / "book/20_b.ipynb").read_text(encoding="utf-8")
