"""What the build knows about chapters: where they are, what they depend on, how they are paired.

A project is a folder with ``_toc.yml``, ``book/``, ``helpers/``, ``data/`` and
``pyproject.toml``. Nothing here executes a chapter.
"""

import ast
import contextlib
import functools
import hashlib
import json
import os
import platform
import re
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import jupytext
import nbformat
import yaml
from sphinx_external_toc.parsing import MalformedError, parse_toc_yaml

from helpers.io import provenance
from helpers.io.downloads import LOCAL_COPY, cache_folder
from helpers.io.provenance import imported, syntax_tree

ROOT = Path(__file__).resolve().parent.parent
KERNELSPEC = {"display_name": "Python 3", "language": "python", "name": "python3"}
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
TRACEBACK = "\n\nTraceback:\n"  # follows the message in the file of a failed chapter
REGISTRY = "MICROPROP_REGISTRY"  # names the registry of downloads that helpers use instead


class BuildError(Exception):
    """A reason to stop the build that is told to the user without a traceback."""


@contextlib.contextmanager
def telling_syntax_errors():
    """Let a file that cannot be parsed stop the build with its line."""
    try:
        yield
    except SyntaxError as error:
        place = f"{error.filename}, line {error.lineno}"
        raise BuildError(f"{place} cannot be parsed: {error.msg}") from error


def toc_entries(root: Path) -> list[str]:
    """Give the files named in ``_toc.yml``, the root page first, in reading order."""
    path = root / "_toc.yml"
    try:
        return list(parse_toc_yaml(path))
    except (OSError, yaml.YAMLError, MalformedError) as error:
        raise BuildError(f"{path}, the table of contents, cannot be read: {error}") from error


def chapters_in_toc(root: Path) -> list[Path]:
    """Give the sources of the chapters in the order of ``_toc.yml``."""
    sources = [root / f"{e}.py" for e in toc_entries(root) if e.startswith("book/")]
    for source in sources:
        if not source.is_file():
            raise BuildError(
                f"_toc.yml names book/{source.stem}, but {source} does not exist. "
                "Write the chapter or take its line out of _toc.yml."
            )
    return sources


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


@telling_syntax_errors()
def declared_parameters(source: Path) -> dict:
    """Read the literals that the cell tagged ``parameters`` assigns."""
    syntax_tree(source)  # tells the line of an error anywhere in the chapter
    cells = [c.source for c in code_cells(notebook_of(source)) if "parameters" in tags(c)]
    if len(cells) > 1:  # papermill's values would come before the later ones, and lose
        raise BuildError(f"{source.name} has {len(cells)} cells tagged 'parameters'; keep one.")
    place, values = f"{source}, the cell tagged 'parameters'", {}
    for statement in ast.parse("\n".join(cells), place).body:
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


def chapter_key(root: Path, source: Path, parameters: dict) -> str:
    """Hash everything that a chapter's result depends on.

    That is its files (`inputs`), its parameters, the registry of downloads in use, the pretrained
    weights on this machine if it asks for them, the pins, the versions that are really installed,
    Python's own, and the worker, which checks and tidies what it executed.
    """
    registry = Path(os.environ.get(REGISTRY) or root / "data" / "registry.json")
    facts = {
        "parameters": parameters,
        "weights": weights_here() if parameters.get("weights") == "pretrained" else None,
        "registry": digest(registry) if registry.is_file() else None,
        "worker": digest(Path(__file__).with_name("worker.py")),
        "files": {p.relative_to(root).as_posix(): digest(p) for p in inputs(root, source)},
        "versions": versions(root),
        "python": platform.python_version(),
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


@telling_syntax_errors()
def inputs(root: Path, source: Path) -> list[Path]:
    """Give the files of the project that a chapter is computed from.

    Those are its source, the helpers it imports, and of ``data/`` the tables that one of them
    names, as ``"results_beyond.csv"``, with those whose names begin like it
    (``results_beyond_test.csv``), and whatever is no table.
    """
    code = [source, *imported(root, source)]
    named = set().union(*(_tables_in(syntax_tree(path)) for path in code))
    files = list(code)
    for path in sorted((root / "data").rglob("[!.]*")):  # hidden ones are still being written
        is_table = path.parent == root / "data" and path.suffix == ".csv"
        if not is_table or any(fnmatch(path.name, pattern) for pattern in named):
            files.append(path)
    return [path for path in files if path.is_file()]


@functools.lru_cache(maxsize=512)  # as the trees themselves
def _tables_in(tree: ast.Module) -> set[str]:
    """Give patterns of the tables that a module names, ``*`` where it computes a name."""
    patterns, done = set(), set()  # a node is met after the one that holds it
    for node in ast.walk(tree):
        match node:
            case ast.Expr(value=ast.Constant()):  # a docstring
                done.add(node.value)
            case ast.BinOp(left=ast.Name(id="DATA"), right=ast.Constant()):
                done.add(node.left)
                patterns.add(f"{node.right.value}*")
            case _ if node in done:
                pass
            case ast.Name(id="DATA", ctx=ast.Load()) | ast.Attribute(attr="DATA"):
                patterns.add("*")
            case ast.Constant(value=str(text)) if text.endswith(".csv"):
                name = text.rpartition("/")[2]
                patterns |= {name, name.removesuffix(".csv") + "_*.csv"}
    return patterns


@telling_syntax_errors()
def affected(root: Path, file: Path) -> tuple[list[str], list[str]]:
    """Give the names of the chapters, and the paths of the tests, that a file concerns.

    Imports are followed as far as they go; what a test runs as a command of its own, or reads
    from ``data/``, is not seen.
    """
    places = (place.resolve() for place in (file, root / file))
    path = next((p for p in places if p.is_file() and p.is_relative_to(root)), None)
    if path is None:
        raise BuildError(f"There is no file {file} in {root}.")
    every = path.relative_to(root).as_posix() in ("pyproject.toml", "bookbuild/worker.py")
    chapters = [c.stem for c in chapters_in_toc(root) if every or path in inputs(root, c)]
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
    pins = [*project["dependencies"], *project.get("optional-dependencies", {}).get("book", [])]
    installed = provenance.versions(re.split(r"[=<>!~; ]", pin)[0] for pin in pins)
    return [f"{pin} {version}" for pin, version in zip(pins, installed.values(), strict=True)]


def digest(path: Path) -> str:
    """Give the SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def is_current(result: Path, key: str) -> bool:
    """Tell whether a file or folder is complete, and was made from the inputs of ``key``."""
    try:
        return json.loads(stamp_of(result).read_bytes()) == {"key": key, "files": sizes(result)}
    except (OSError, ValueError):  # no stamp, or a broken one
        return False


def write_stamp(result: Path, key: str):
    """Say that a file or folder is complete, and what it was made from."""
    facts = {"key": key, "files": sizes(result)}
    stamp_of(result).write_text(json.dumps(facts), encoding="utf-8")


def stamp_of(result: Path) -> Path:
    """Give the file beside a result that says from which inputs it is; it is written last."""
    return result.with_suffix(".json")


def sizes(result: Path) -> dict[str, int]:
    """Give the size in bytes of a file, or each in a folder: one that is lost or cut is seen."""
    paths = (path for path in sorted([result, *result.rglob("*")]) if path.is_file())
    return {path.relative_to(result.parent).as_posix(): path.stat().st_size for path in paths}
