"""What the build knows about chapters: where they are, what they depend on, how they are paired.

A project is a folder with ``_toc.yml``, ``book/``, ``helpers/``, ``data/`` and
``pyproject.toml``. Nothing here executes a chapter.
"""

import ast
import functools
import hashlib
import json
import os
import platform
import re
import tomllib
from dataclasses import dataclass
from fnmatch import fnmatch
from importlib import metadata
from pathlib import Path

import jupytext
import nbformat
import yaml

from helpers.io.downloads import LOCAL_COPY, cache_folder

ROOT = Path(__file__).resolve().parent.parent
KERNELSPEC = {"display_name": "Python 3", "language": "python", "name": "python3"}
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
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


def cell_lines(source: Path) -> dict[str, int]:
    """Give the line of ``source`` that each cell of its notebook begins at, by the cell's id."""
    lines, starts, place = source.read_text(encoding="utf-8").splitlines(), {}, 0
    for cell in notebook_of(source).cells:
        first = cell.source.split("\n", 1)[0]
        first = first if cell.cell_type == "code" else f"# {first}".rstrip()
        if first in lines[place:]:
            starts[cell.id] = lines.index(first, place) + 1
            place = starts[cell.id] + cell.source.count("\n")
    return starts


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


def imported(root: Path, source: Path, packages: tuple[str, ...] = ("helpers",)) -> list[Path]:
    """Give the modules that ``source`` imports, those that they import, and so on.

    Parameters
    ----------
    root, source : pathlib.Path
        The project's folder, and a Python file in it.
    packages : tuple of str
        Folders of ``root`` whose modules count; those of ``tests`` go by their names alone.

    Returns
    -------
    list of pathlib.Path
        With the ``__init__.py`` of every package on the way, for Python runs it as well.
    """
    found, waiting = set(), [source]
    while waiting:
        path = waiting.pop()
        for name in _imports(_parse(path), _package_of(root, path)):
            for module in _modules(root, name, packages):
                if module not in found:
                    found.add(module)
                    waiting.append(module)
    return sorted(found)


def _package_of(root: Path, path: Path) -> tuple[str, ...]:
    """Names of the packages that a module lies in, outermost first; of a chapter none."""
    parts = path.relative_to(root).parts[:-1]
    return parts if parts[:1] == ("helpers",) else ()


def _modules(root: Path, name: list[str], packages: tuple[str, ...]):
    """Yield the files that an import of a dotted name runs; its last part may be no module."""
    files = []
    if name[0] in packages:
        places = [root.joinpath(*name[: n + 1]) for n in range(len(name))]
        files = [place / "__init__.py" for place in places] + [places[-1].with_suffix(".py")]
    elif "tests" in packages:
        files = (root / "tests").rglob(f"{name[0]}.py")
    yield from (path for path in files if path.is_file())


def _parse(path: Path, cell: str | None = None) -> ast.Module:
    """Parse a module, or one ``cell`` of it; an error tells where."""
    try:
        return _tree(path.read_text(encoding="utf-8") if cell is None else cell)
    except (SyntaxError, ValueError) as error:  # ValueError: zero bytes, or not UTF-8
        part = "" if cell is None else " of the cell tagged 'parameters'"
        where = f", line {error.lineno}{part}" if isinstance(error, SyntaxError) else part
        message = error.msg if isinstance(error, SyntaxError) else error
        raise BuildError(f"{path}{where} cannot be parsed: {message}") from error


@functools.lru_cache(maxsize=512)  # chapters share most of their helpers
def _tree(text: str) -> ast.Module:
    return ast.parse(text)


@functools.lru_cache(maxsize=512)
def _imports(tree: ast.Module, package: tuple[str, ...]) -> list[list[str]]:
    """Give dotted names that may be modules; relative ones count from ``package``."""
    names = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name.split(".") for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level <= len(package):
            base = list(package[: len(package) - node.level + 1]) if node.level else []
            base += node.module.split(".") if node.module else []
            names += [base, *([*base, alias.name] for alias in node.names)]
    return names


def chapter_key(root: Path, chapter: Chapter, parameters: dict) -> str:
    """Hash everything that a chapter's result depends on.

    That is its files (`inputs`), its parameters, the registry of downloads in use, the pretrained
    weights on this machine if it asks for them, the pins, the versions that are really installed,
    Python's own, and the worker, which checks and tidies what it executed.
    """
    files = inputs(root, chapter.source)
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


def inputs(root: Path, source: Path) -> list[Path]:
    """Give the files of the project that a chapter is computed from.

    Those are its source, the helpers it imports, ``book/matplotlibrc``, and of ``data/`` the
    tables that one of them names, as ``"results_beyond.csv"``, with those whose names begin like
    it (``results_beyond_test.csv``), and whatever is no table.
    A module imported by a computed name escapes, so helpers do not do that.
    """
    code = [source, *imported(root, source)]
    named = set().union(*(_tables_in(_parse(path)) for path in code))
    data = sorted((root / "data").rglob("[!.]*"))  # hidden ones are still being written
    tables = set((root / "data").glob("*.csv"))
    unnamed = {t for t in tables if not any(_begins(t.name, pattern) for pattern in named)}
    data = [path for path in data if path.is_file() and path not in unnamed]
    return [*code, source.with_name("matplotlibrc"), *data]


@functools.lru_cache(maxsize=512)
def _tables_in(tree: ast.Module) -> set[str]:
    """Give the names of tables in a module; ``*`` where it goes on from ``DATA`` by no literal."""
    names, documentation, literal = set(), set(), set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr):
            documentation.add(id(node.value))
        elif isinstance(node, ast.BinOp) and isinstance(node.right, ast.Constant):
            literal.add(id(node.left))
            if _is_data(node.left):
                names.add(f"{node.right.value}*")
        elif _is_data(node) and id(node) not in literal:
            names.add("*")
        elif isinstance(node, ast.Constant) and str(node.value).endswith(".csv"):
            names.add("" if id(node) in documentation else node.value.rpartition("/")[2])
    return names


def _is_data(node: ast.AST) -> bool:
    """Whether code reads the name of the folder ``data``."""
    name = getattr(node, "id", getattr(node, "attr", None))
    return name == "DATA" and isinstance(node.ctx, ast.Load)


def _begins(name: str, pattern: str) -> bool:
    """Whether a table has a name, or was written beside the one that has it."""
    return fnmatch(name, pattern) or fnmatch(name, pattern.removesuffix(".csv") + "_*.csv")


def affected(root: Path, file: Path) -> tuple[list[str], list[str]]:
    """Give the chapters and the tests that a module or a data file concerns.

    Parameters
    ----------
    root : pathlib.Path
        The project's folder.
    file : pathlib.Path
        A file in it, from here or from ``root``. Imports are followed as far as they go; what a
        test runs as a command of its own, or reads from ``data/``, is not seen.

    Returns
    -------
    chapters, tests : list of str
        Names of chapters, and paths of test files from ``root``.

    Raises
    ------
    BuildError
        There is no such file in the project.
    """
    places = (place.resolve() for place in (file, root / file))
    path = next((p for p in places if p.is_file() and p.is_relative_to(root)), None)
    if path is None:
        raise BuildError(f"There is no file {file} in {root}.")
    every = path.relative_to(root).as_posix() in ("pyproject.toml", "bookbuild/worker.py")
    chapters = [c.name for c in chapters_in_toc(root) if every or path in inputs(root, c.source)]
    packages = ("helpers", "bookbuild", "benchmarks", "tests")
    tests = sorted((root / "tests").rglob("test_*.py"))
    if path != root / "tests" / "conftest.py":
        tests = [test for test in tests if path in (test, *imported(root, test, packages))]
    return chapters, [test.relative_to(root).as_posix() for test in tests]


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
