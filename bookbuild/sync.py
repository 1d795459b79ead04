"""Generate ``book/*.ipynb`` from ``book/*.py``: ``python -m bookbuild.sync`` or ``make sync``.

A notebook remembers which cells were generated. So one whose source has changed since is told
from one that was edited itself, in an editor that knows nothing of the pair: edits are refused,
never overwritten.
"""

import hashlib
import json
import sys
from pathlib import Path

import jupytext
import nbformat

from bookbuild.chapters import ROOT, BuildError, notebook_of

# The pair as jupytext understands it, in the notebook itself: a server that was started in book/
# sees no pyproject.toml, which says the same to the command line.
PAIR = {
    "formats": "ipynb,py:percent",
    "notebook_metadata_filter": "-all",
    # What JupyterLab and others note in cells. To name those that stay instead, tags and mystnb,
    # would write an empty list of tags, which JupyterLab leaves in cells whose panel was open.
    "cell_metadata_filter": "-jupyter,-editable,-deletable,-slideshow,-raw_mimetype,"
    "-jp-MarkdownHeadingCollapsed,-user_expressions,-papermill,-vscode",
}


def notebook_text(source: Path) -> str:
    """Give the exact text of the committed notebook of ``source``."""
    notebook = notebook_of(source)
    generated = [_mark(cell) for cell in _cells(notebook)]
    notebook.metadata.update(jupytext=dict(PAIR), microprop={"generated": generated})
    return nbformat.writes(notebook) + "\n"


def sync(root: Path = ROOT, sources: list[Path] | None = None) -> list[Path]:
    """Write the notebooks that are missing or differ from their source, and tell which.

    Parameters
    ----------
    root : pathlib.Path
        The project's folder.
    sources : list of pathlib.Path, optional
        The chapters whose notebooks are written; all by default.

    Returns
    -------
    list of pathlib.Path
        The notebooks that were written; empty when all were up to date.

    Raises
    ------
    BuildError
        Notebooks with cells that their sources did not generate. They stay as they are; all
        others are written before.
    """
    written, refused = [], []
    for source in sources or sorted((root / "book").glob("*.py")):
        notebook, text = source.with_suffix(".ipynb"), notebook_text(source)
        old = notebook.read_text(encoding="utf-8") if notebook.is_file() else ""
        if old == text:
            continue
        name = notebook.relative_to(root)
        try:
            stale = _changed_cells(name, old, text) if old else ""
        except BuildError as error:
            refused.append(str(error))
            continue
        notebook.write_text(text, encoding="utf-8", newline="\n")
        print(f"wrote {name}{stale}", flush=True)
        written.append(notebook)
    if refused:
        raise BuildError("\n\n".join(refused))
    return written


def _changed_cells(name: Path, old: str, new: str) -> str:
    """Say which cells of a source are new to its notebook; raise if the notebook was edited."""
    try:
        notebook = nbformat.reads(old, as_version=4)
    except (nbformat.reader.NotJSONError, ValueError, KeyError) as error:
        raise BuildError(
            f"{name} cannot be read as a notebook: {str(error)[:80]}. "
            "Delete it and run `make sync`."
        ) from error
    fresh = nbformat.reads(new, as_version=4)
    own, source = _cells(notebook), [_mark(cell) for cell in _cells(fresh)]
    marks = [_mark(cell) for cell in own]
    generated = notebook.metadata.get("microprop", {}).get("generated", source)
    changed = [str(n) for n, mark in enumerate(source, 1) if mark not in generated]
    if marks not in (source, generated):
        edited = [
            f"  cell {n} of {len(own)}, which begins `{_first_line(cell)}`"
            for n, (cell, mark) in enumerate(zip(own, marks, strict=True), 1)
            if mark not in generated
        ]
        raise BuildError(_refusal(name, edited, changed if generated != source else None))
    return f", new in its source: cell {', '.join(changed)} of {len(source)}" if changed else ""


def _refusal(name: Path, edited: list[str], changed: list[str] | None) -> str:
    """Say how edits of a notebook are taken over, also where its source has edits of its own."""
    source, command = name.with_suffix(".py"), "python -m jupytext --to py:percent"
    told = [f"{name} was edited, and {source} was not:"]
    told += edited or ["  cells were taken out, or are in another order"]
    take = f"`{command} {name}`, `python -m ruff format {source}`, then `make sync`"
    if changed is not None:
        where = f"cell {', '.join(changed)}" if changed else "by cells that went or moved"
        told[0] = f"{name} and {source} were both edited since `make sync`:"
        told += [f"  the source has changed as well: {where}"]
        copy = f"_build/{source.name}"
        take = f"`{command} --output {copy} {name}`; copy what you want from {copy} into {source}"
        take += f", delete {name}, then `make sync`"
    told += [f"To take the edits over: {take}."]
    told += [f"To drop them: delete {name}, then `make sync`."]
    return "\n".join(told)


def _cells(notebook: nbformat.NotebookNode) -> list[tuple]:
    """Give what a percent source would hold of a notebook: no outputs, and no empty cells."""
    bare = nbformat.v4.new_notebook(cells=notebook.cells, metadata={"jupytext": dict(PAIR)})
    cells = jupytext.reads(jupytext.writes(bare, "py:percent"), "py:percent").cells
    options = [{k: c.metadata[k] for k in ("tags", "mystnb") if c.metadata.get(k)} for c in cells]
    pairs = zip(cells, options, strict=True)
    return [(c.cell_type, c.source.rstrip(), kept) for c, kept in pairs if c.source.strip()]


def _mark(cell: tuple) -> str:
    """Give a short digest of a cell."""
    return hashlib.sha256(json.dumps(cell, sort_keys=True).encode()).hexdigest()[:12]


def _first_line(cell: tuple) -> str:
    return cell[1].strip().splitlines()[0]


def main(root: Path = ROOT) -> int:
    """Write the notebooks and report; the exit status is 0 when none was refused."""
    try:
        sync(root)
    except BuildError as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
