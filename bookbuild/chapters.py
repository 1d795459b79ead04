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
from collections.abc import Iterable
from pathlib import Path

import jupytext
import nbformat
import yaml
from sphinx_external_toc.parsing import MalformedError, parse_toc_yaml

from helpers.io import provenance
from helpers.io.downloads import LOCAL_COPY, REGISTRY, cache_folder
from helpers.io.provenance import imported, syntax_tree

ROOT = Path(__file__).resolve().parent.parent
KERNELSPEC = {"display_name": "Python 3", "language": "python", "name": "python3"}
CLOSED = {"hide-input", "hide-cell", "remove-input"}  # tags of cells whose code JupyterLab folds
# What makes, executes and judges a notebook; an edit of it executes all chapters again.
EXECUTION = [Path(__file__)]
EXECUTION += [
    Path(__file__).with_name(f"{name}.py") for name in ("runner", "worker", "outcome", "kernel")
]


class BuildError(Exception):
    """A reason to stop the build that is told to the user without a traceback."""


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
    """Turn a percent source into a notebook without outputs.

    Code that the site hides is closed in JupyterLab as well. Cell ids follow the position of the
    cell instead of chance, so that generating a notebook again gives the same bytes.
    """
    notebook = jupytext.read(source, fmt="py:percent")
    notebook.metadata = nbformat.from_dict({"kernelspec": KERNELSPEC})
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number:02d}"
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
            if CLOSED & set(tags(cell)):
                cell.metadata.jupyter = {"source_hidden": True}
    return notebook


def cell_lines(source: Path) -> dict[str, int]:
    """Give the line of ``source`` that each cell of its notebook begins at, by the cell's id."""
    lines = enumerate(source.read_text(encoding="utf-8").splitlines(), 1)
    starts = [number + 1 for number, line in lines if line.startswith("# %%")]
    return {f"cell-{n:02d}": start for n, start in enumerate(starts)}


def code_cells(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    """Give the code cells of a notebook."""
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def tags(cell: nbformat.NotebookNode) -> list[str]:
    """Give the tags of a cell."""
    return cell.metadata.get("tags", [])


def declared_parameters(source: Path) -> dict:
    """Read the literals that the cell tagged ``parameters`` assigns."""
    syntax_tree(source)  # tells the line of an error anywhere in the chapter
    cells = [c.source for c in code_cells(notebook_of(source)) if "parameters" in tags(c)]
    if len(cells) > 1:  # papermill's values would come before the later ones, and lose
        raise BuildError(f"{source.name} has {len(cells)} cells tagged 'parameters'; keep one.")
    values = {}
    for statement in ast.parse("\n".join(cells)).body:
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

    That is its files (`inputs`), its parameters, and the pretrained weights on this machine if
    it asks for them.
    """
    weights = weights_here() if parameters.get("weights") == "pretrained" else None
    return key_of(root, inputs(root, source), parameters=parameters, weights=weights)


def key_of(root: Path, files: Iterable[Path], **facts) -> str:
    """Hash files, other facts, the pins, the versions really installed, and Python's own."""
    facts["files"] = {_within(root, path): digest(path) for path in files}
    facts["versions"] = [*versions(root), platform.python_version()]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _within(root: Path, path: Path) -> str:
    """Name a file so that a project that is moved keeps its results."""
    return (path.relative_to(root) if path.is_relative_to(root) else path).as_posix()


def inputs(root: Path, source: Path) -> list[Path]:
    """Give the files that a chapter is computed from.

    Those are its source, the helpers it imports, what executes and judges it, the registry of
    downloads that is used instead, and ``data/``, but of the results there those alone that one
    of them reads, as ``read_results("audit/studies", ...)``.
    """
    code = [source, *imported(root, source)]
    read = set().union(*(_results_in(syntax_tree(path), path) for path in code))
    files = [*code, *EXECUTION, Path(os.environ.get(REGISTRY, ""))]
    results = root / "data" / "results"
    for path in sorted((root / "data").rglob("[!.]*")):  # hidden ones are still being written
        name = path.relative_to(results).as_posix() if path.is_relative_to(results) else ""
        if not name or any(name.startswith((f"{r}.", f"{r}_")) for r in read):
            files.append(path)
    return [path for path in files if path.is_file()]


@functools.lru_cache(maxsize=512)  # as the trees themselves
def _results_in(tree: ast.Module, path: Path) -> set[str]:
    """Give the names of the results that a module reads."""
    names = set()
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name(id="read_results"), args=[ast.Constant(value=name), *_]):
                names.add(name)
            case ast.Call(func=ast.Name(id="read_results")):
                raise BuildError(
                    f"{path}, line {node.lineno}: {ast.unparse(node)} must name its result in "
                    "quotes, so that the build sees what the chapter depends on."
                )
    return names


def affected(root: Path, file: Path) -> tuple[list[str], list[str]]:
    """Give the names of the chapters, and the paths of the tests, that a file concerns.

    Imports are followed as far as they go, those of a test with those of every ``conftest.py``
    that it takes fixtures from; what a test runs as a command of its own, or reads from
    ``data/``, is not seen.
    """
    places = (place.resolve() for place in (file, root / file))
    path = next((p for p in places if p.is_file() and p.is_relative_to(root)), None)
    if path is None:
        raise BuildError(f"There is no file {file} in {root}.")
    of_every_chapter = root / "pyproject.toml"
    sources, tests = chapters_in_toc(root), sorted((root / "tests").rglob("test_*.py"))
    return (
        [s.stem for s in sources if path in (of_every_chapter, *inputs(root, s))],
        [t.relative_to(root).as_posix() for t in tests if path in _files_of_test(root, t)],
    )


def _files_of_test(root: Path, test: Path) -> set[Path]:
    """Give a test, the ``conftest.py`` of its folder and of those above, and what they import."""
    folders = [f for f in test.parents if f.is_relative_to(root / "tests")]
    files = [test, *(f / "conftest.py" for f in folders if (f / "conftest.py").is_file())]
    packages = ("helpers", "bookbuild", "benchmarks", "tests")
    return {*files, *(path for file in files for path in imported(root, file, packages))}


def weights_here() -> list[str]:
    """Give the files of pretrained weights on this machine: chapters use those that are there."""
    folders = [cache_folder(), *filter(None, [os.environ.get(LOCAL_COPY)])]
    files = [path for folder in folders for path in Path(folder).glob("encoders/*/*")]
    return sorted(f"{p} {p.stat().st_size} {p.stat().st_mtime_ns}" for p in files if p.is_file())


def versions(root: Path) -> list[str]:
    """Give the pins that can change a page, and the versions that are really installed.

    Those are the pins of the library and of the build, not those of the tests.
    """
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    pins = [*project["dependencies"], *project.get("optional-dependencies", {}).get("book", [])]
    names = (re.split(r"[=<>!~; ]", pin)[0] for pin in pins)
    return [*pins, *provenance.versions(names).values()]


def digest(path: Path) -> str:
    """Give the SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def is_current(result: Path, key: str) -> bool:
    """Tell whether a file or folder is as it was made, and made from the inputs of ``key``."""
    try:
        return json.loads(_stamp(result).read_bytes()) == _stamp_of(result, key)
    except (OSError, ValueError):  # no stamp, or a broken one
        return False


def write_stamp(result: Path, key: str):
    """Say that a file or folder is complete, and what it was made from."""
    _stamp(result).write_text(json.dumps(_stamp_of(result, key)), encoding="utf-8")


def _stamp(result: Path) -> Path:
    """Give the file beside a result that says from which inputs it is."""
    return result.with_suffix(".json")


def _stamp_of(result: Path, key: str) -> dict:
    """Give what a stamp holds: a file that is lost, cut or exchanged later does not fit it."""
    paths = [path for path in (result, *result.rglob("*")) if path.is_file()]
    return {"key": key, "files": {str(p.relative_to(result.parent)): digest(p) for p in paths}}
