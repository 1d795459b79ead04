"""Generate ``book/*.ipynb`` from ``book/*.py``: ``python -m bookbuild.sync`` or ``make sync``.

A notebook remembers which cells were generated. So one whose source has changed since is told
from one that was edited itself, in an editor that knows nothing of the pair: edits are refused,
never overwritten.
"""

import hashlib
import json
import sys
import tomllib
from pathlib import Path

import jupytext
import nbformat

from bookbuild.chapters import ROOT, BuildError, notebook_of

# What makes a pair of the two, which stands in the notebook as well: a server that was started in
# book/ sees no pyproject.toml.
PAIR = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["jupytext"]


def notebook_text(source: Path) -> str:
    """Give the exact text of the committed notebook of ``source``."""
    notebook = notebook_of(source)
    notebook.metadata["jupytext"] = dict(PAIR)
    notebook.metadata["microprop"] = {"generated": list(_cells(notebook))}
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
            news = _news(name, old, text) if old else ""
        except BuildError as error:
            refused.append(str(error))
            continue
        notebook.write_text(text, encoding="utf-8", newline="\n")
        print(f"wrote {name}{news}", flush=True)
        written.append(notebook)
    if refused:
        raise BuildError("\n\n".join(refused))
    return written


def _news(name: Path, old: str, new: str) -> str:
    """Say which cells of a source are new to its notebook; raise if the notebook was edited."""
    try:
        notebook = nbformat.reads(old, as_version=4)
    except (ValueError, nbformat.ValidationError) as error:  # marks of a conflict, for instance
        raise BuildError(
            f"{name} cannot be read as a notebook: {str(error)[:80]}. "
            "Delete it and run `make sync`."
        ) from error
    own, source = _cells(notebook), _cells(nbformat.reads(new, as_version=4))
    generated = notebook.metadata.get("microprop", {}).get("generated", [])
    edits = [_place(own, mark) for mark in own if mark not in (*generated, *source)]
    old = [mark for mark in generated if mark in source]
    kept = [mark for mark in own if mark in old]
    if not edits and kept not in (old, [mark for mark in source if mark in old]):
        gone = [f"without {_place(source, mark)}" for mark in old if mark not in own]
        edits = gone or ["the same cells in another order"]
    if edits:
        raise BuildError(_refusal(name, edits, source_too=generated != list(source)))
    fresh = [str(n) for n, mark in enumerate(source, 1) if mark not in own]
    return f", new in its source: cell {', '.join(fresh)} of {len(source)}" if fresh else ""


def _place(cells: dict[str, str], mark: str) -> str:
    """Say which of a notebook's cells has a mark."""
    place = f"cell {list(cells).index(mark) + 1} of {len(cells)}"
    return f"{place}, which begins `{cells[mark].strip().splitlines()[0]}`"


def _refusal(name: Path, edits: list[str], source_too: bool) -> str:
    """Say how edits of a notebook are taken over, also where its source may have its own."""
    source, command = name.with_suffix(".py"), "python -m jupytext --to py:percent"
    lines = [f"{name} was edited, and its source {source} does not hold the edits:"]
    lines += [f"  {edit}" for edit in edits]
    take = f"`{command} {name}`, `python -m ruff format {source}`, then `make sync`"
    if source_too:
        copy = f"_build/{source.name}"
        lines += [f"{source} is not the one that the notebook was written from either."]
        take = f"`{command} --output {copy} {name}`; copy what you want from {copy} into {source}"
        take += f", delete {name}, then `make sync`"
    lines += [f"To take the edits over: {take}."]
    lines += [f"To drop them: delete {name}, then `make sync`."]
    return "\n".join(lines)


def _cells(notebook: nbformat.NotebookNode) -> dict[str, str]:
    """Give the text of each cell that a source would hold, by a mark made from all it holds.

    A source holds no outputs; empty cells do not count.
    """
    bare = nbformat.v4.new_notebook(cells=notebook.cells, metadata={"jupytext": dict(PAIR)})
    cells = {}
    for cell in jupytext.reads(jupytext.writes(bare, "py:percent"), "py:percent").cells:
        if text := cell.source.rstrip():
            options = [cell.metadata.get(name) or None for name in ("tags", "mystnb")]
            held = json.dumps([cell.cell_type, text, *options], sort_keys=True)
            mark = hashlib.sha256(held.encode()).hexdigest()[:12]
            while mark in cells:
                mark += "+"  # an equal cell stands before it
            cells[mark] = text
    return cells


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
