"""What the build knows about chapters: where they are, what they depend on, how they are paired.

A project is a folder with ``_toc.yml``, ``book/``, ``helpers/``, ``data/`` and
``pyproject.toml``. Nothing here executes a chapter.
"""

import ast
import hashlib
import json
import os
import platform
import re
import tomllib
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import jupytext
import nbformat
import yaml

from helpers.io.downloads import LOCAL_COPY, cache_folder

ROOT = Path(__file__).resolve().parent.parent
KERNELSPEC = {"display_name": "Python 3", "language": "python", "name": "python3"}
REGISTRY = "MICROPROP_REGISTRY"  # names the registry of downloads that helpers use instead


class BuildError(Exception):
    """A reason to stop the build that is told to the user without a traceback."""


@dataclass(frozen=True)
class Chapter:
    """One chapter: ``name`` is the stem that the .py source and the .ipynb share."""

    name: str
    source: Path


def toc_entries(root: Path) -> list[str]:
    """Give the files named in ``_toc.yml``, the root page first, in reading order.

    Raises
    ------
    BuildError
        There is no such file, it is not YAML, or an entry of it is not text.
    """
    path = root / "_toc.yml"
    try:
        toc = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BuildError(f"{path}, the table of contents, cannot be read: {error}") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where, what = (f", line {mark.line + 1}", error.problem) if mark else ("", error)
        raise BuildError(f"{path}{where} is not valid YAML: {what}") from error

    def walk(node):
        if isinstance(node, list):
            for item in node:
                yield from walk(item)
        elif isinstance(node, dict):
            yield from (node[key] for key in ("root", "file") if key in node)
            yield from walk(
                [node[key] for key in ("parts", "chapters", "sections") if key in node]
            )

    entries = list(walk(toc))
    for entry in entries:
        if not isinstance(entry, str):
            raise BuildError(f"{path} names the file {entry!r}; a path as text was expected.")
    return entries


def chapters_in_toc(root: Path) -> list[Chapter]:
    """Give the chapters of ``book/`` in the order of ``_toc.yml``."""
    entries = [Path(entry) for entry in toc_entries(root)]
    found = [
        Chapter(e.stem, root / "book" / f"{e.stem}.py") for e in entries if e.parts[0] == "book"
    ]
    for chapter in found:
        if not chapter.source.is_file():
            raise BuildError(
                f"_toc.yml names book/{chapter.name}, but {chapter.source} does not exist. "
                "Write the chapter or take its line out of _toc.yml."
            )
    return found


def notebook_of(source: Path) -> nbformat.NotebookNode:
    """Turn a percent source into the notebook that is committed beside it.

    Cell ids follow the position of the cell instead of chance, so that generating a notebook
    again gives the same bytes.
    """
    notebook = jupytext.read(source, fmt="py:percent")
    notebook.metadata = nbformat.from_dict({"kernelspec": KERNELSPEC})
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number:02d}"
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    return notebook


def notebook_text(source: Path) -> str:
    """Give the exact text of the committed notebook of ``source``."""
    return nbformat.writes(notebook_of(source)) + "\n"


def code_cells(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    """Give the code cells of a notebook."""
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def tags(cell: nbformat.NotebookNode) -> list[str]:
    """Give the tags of a cell."""
    return cell.metadata.get("tags", [])


def declared_parameters(source: Path) -> dict:
    """Read the literals that the cell tagged ``parameters`` assigns.

    Raises
    ------
    BuildError
        More than one such cell, one that holds anything but ``name = literal``, or a syntax
        error anywhere in the chapter.
    """
    _parse(source)
    cells = [c for c in code_cells(notebook_of(source)) if "parameters" in tags(c)]
    if not cells:
        return {}
    if len(cells) > 1:
        raise BuildError(f"{source.name} has {len(cells)} cells tagged 'parameters'; keep one.")
    values = {}
    for statement in _parse(source, cells[0].source).body:
        try:
            (target,) = statement.targets
            values[target.id] = ast.literal_eval(statement.value)
        except (AttributeError, ValueError) as error:
            line = ast.unparse(statement).splitlines()[0]
            raise BuildError(
                f"{source.name}: the cell tagged 'parameters' holds {line!r}; papermill can only "
                "replace lines of the form `name = literal`. Move it to another cell."
            ) from error
    return values


def imported_helpers(root: Path, source: Path) -> list[Path]:
    """Give the helper modules that ``source`` imports, those that they import, and so on.

    The ``__init__.py`` of every package on the way counts, for Python runs it as well.
    """
    found = set(_modules(root, ["helpers"]))
    waiting = [source, *found]
    while waiting:
        path = waiting.pop()
        for name in _imports(_parse(path), _package_of(root, path)):
            for module in _modules(root, name):
                if module not in found:
                    found.add(module)
                    waiting.append(module)
    return sorted(found)


def _package_of(root: Path, path: Path) -> list[str]:
    """Names of the packages that a module lies in, outermost first; of a chapter none."""
    parts = path.relative_to(root).parts[:-1]
    return list(parts) if parts[:1] == ("helpers",) else []


def _modules(root: Path, name: list[str]):
    """Yield the files that an import of a dotted name runs; its last part may be no module."""
    if name[:1] == ["helpers"]:
        places = [root.joinpath(*name[: n + 1]) for n in range(len(name))]
        files = [place / "__init__.py" for place in places] + [places[-1].with_suffix(".py")]
        yield from (path for path in files if path.is_file())


def _parse(path: Path, cell: str | None = None) -> ast.Module:
    """Parse a module, or one ``cell`` of it; an error tells where."""
    try:
        return ast.parse(path.read_text(encoding="utf-8") if cell is None else cell)
    except (SyntaxError, ValueError) as error:  # ValueError: zero bytes, or not UTF-8
        part = "" if cell is None else " of the cell tagged 'parameters'"
        where = f", line {error.lineno}{part}" if isinstance(error, SyntaxError) else part
        message = error.msg if isinstance(error, SyntaxError) else error
        raise BuildError(f"{path}{where} cannot be parsed: {message}") from error


def _imports(tree: ast.AST, package: list[str]):
    """Yield dotted names that may be modules; relative ones count from ``package``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".") for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level <= len(package):
            base = package[: len(package) - node.level + 1] if node.level else []
            base = [*base, *(node.module or "").split(".")] if node.module else base
            yield base
            yield from ([*base, alias.name] for alias in node.names)


def chapter_key(root: Path, chapter: Chapter, parameters: dict) -> str:
    """Hash everything that a chapter's result depends on.

    That is its source, its parameters, the helpers it imports, every file under ``data/``,
    ``book/matplotlibrc``, the registry of downloads in use, the pretrained weights on this
    machine if it asks for them, the pins, the versions that are really installed, Python's own,
    and the worker, which checks and tidies what it executed.
    A module imported by a computed name escapes, so helpers do not do that.
    """
    files = [
        chapter.source,
        *imported_helpers(root, chapter.source),
        chapter.source.with_name("matplotlibrc"),
    ]
    data = sorted((root / "data").rglob("[!.]*"))  # hidden ones are still being written
    files += [path for path in data if path.is_file()]
    registry = Path(os.environ.get(REGISTRY) or root / "data" / "registry.json")
    facts = {
        "parameters": parameters,
        "weights": weights_here() if parameters.get("weights") == "pretrained" else None,
        "registry": digest(registry) if registry.is_file() else None,
        "worker": digest(Path(__file__).with_name("worker.py")),
        "files": {p.relative_to(root).as_posix(): digest(p) for p in files if p.is_file()},
        "versions": versions(root),
        "python": platform.python_version(),
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def weights_here() -> list[str]:
    """Give the files of pretrained weights on this machine: chapters use those that are there."""
    folders = [cache_folder(), *filter(None, [os.environ.get(LOCAL_COPY)])]
    files = [path for folder in folders for path in Path(folder).glob("encoders/*/*")]
    return sorted(f"{p} {p.stat().st_size} {p.stat().st_mtime_ns}" for p in files if p.is_file())


def versions(root: Path) -> list[str]:
    """Give each pin that can change a page, with the version that is really installed.

    Those are the pins of the library and of the build, not those of the tests.
    """
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    pins = project.get("dependencies", []) + project.get("optional-dependencies", {}).get(
        "book", []
    )
    return [f"{pin} {_installed(re.split(r'[=<>!~; ]', pin)[0])}" for pin in pins]


def _installed(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "missing"


def digest(path: Path) -> str:
    """Give the SHA-256 of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
