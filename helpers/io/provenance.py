"""What a number was computed by: the code, and the versions of libraries."""

from __future__ import annotations

import ast
import functools
import hashlib
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).parents[2]  # the folder that holds the package
# Modules that move files and tell of it, and compute nothing.
PLUMBING = [f"helpers/io/{name}.py" for name in ("atomic", "downloads", "optional", "progress")]
PLUMBING += ["helpers/io/provenance.py", "helpers/io/results.py"]
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef)


@functools.cache
def code_digest(file, root=ROOT):
    """Hash of what a module, named by its file, does with all that it imports of the project.

    It changes with neither comments and docstrings nor with where the modules of the package lie,
    so that a module that is moved or renamed keeps what it has computed; nor with `PLUMBING`.
    """
    packages = {"helpers", Path(file).relative_to(root).parts[0]}
    files = Path(file), *imported(root, file, tuple(packages))
    codes = {_bare(p, packages) for p in files if p.relative_to(root).as_posix() not in PLUMBING}
    return hashlib.sha256("".join(sorted(codes)).encode()).hexdigest()[:16]


def _bare(path, packages):
    """Code without docstrings, its imports from the packages without where that module lies."""
    module = ast.parse(path.read_bytes())
    for node in ast.walk(module):
        if isinstance(node, ast.ImportFrom):
            if node.level or node.module.partition(".")[0] in packages:
                node.level, node.module = 0, "helpers"
        elif isinstance(node, DOCUMENTED) and ast.get_docstring(node) is not None:
            del node.body[0]
    return ast.unparse(module)


def imported(root, source, packages=("helpers",)):
    """Modules that a file of the project in `root` imports, those that they import, and so on.

    A list of paths, with the ``__init__.py`` of every package on the way, for Python runs it as
    well. Modules of `packages` count; those of ``tests`` go by their names alone, and a module
    imported by a computed name escapes. A SyntaxError names a file that cannot be parsed.
    """
    root, modules, waiting = Path(root), set(), [Path(source)]
    while waiting:
        path = waiting.pop()
        for name in _imports(syntax_tree(path), path.relative_to(root).parts[:-1]):
            new = {module for module in _files(root, name, packages) if module.is_file()} - modules
            modules |= new
            waiting += new
    return sorted(modules)


def syntax_tree(path):
    """The parsed file; the same object for the same content."""
    return _parsed(path.read_bytes(), str(path))


@functools.lru_cache(maxsize=512)  # the chapters of the book share most of their modules
def _parsed(code, path):
    try:
        return ast.parse(code, path)
    except ValueError as error:  # zero bytes
        raise SyntaxError(str(error), (path, 1, 0, None)) from error


@functools.lru_cache(maxsize=512)
def _imports(tree, package):
    """Dotted names, in parts, that may be modules; relative ones count from `package`."""
    names = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name.split(".") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = list(package[: len(package) - node.level + 1]) if node.level else []
            base += node.module.split(".") if node.module else []
            names += [base, *([*base, alias.name] for alias in node.names)]
    return [name for name in names if name]


def _files(root, name, packages):
    """Files that an import of a name may run; its last part may be no module."""
    if name[0] in packages:
        places = [root.joinpath(*name[: n + 1]) for n in range(len(name))]
        return [*(place / "__init__.py" for place in places), places[-1].with_suffix(".py")]
    return (root / "tests").rglob(f"{name[0]}.py") if "tests" in packages else []


def versions(libraries):
    """Installed version of each library, by its name."""
    return {name: metadata.version(name) for name in libraries}
