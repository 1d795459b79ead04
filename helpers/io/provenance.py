"""What a number was computed by: the code, the versions of libraries, the machine, the day."""

from __future__ import annotations

import ast
import datetime
import functools
import hashlib
import importlib.util
import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path


def code_digest(modules):
    """Hash of what the code of modules does.

    It changes with neither comments and docstrings nor with where the modules of the package lie,
    so that a module that is moved or renamed keeps what it has computed. What they import counts.

    Parameters
    ----------
    modules : sequence of str
        Dotted names, as ``"helpers.vit.forward"``.

    Returns
    -------
    str

    Raises
    ------
    ModuleNotFoundError
        There is no module of such a name.
    """
    return hashlib.sha256("".join(sorted(map(_digest, modules))).encode()).hexdigest()[:16]


class _Bare(ast.NodeTransformer):
    """Takes docstrings out of code, and of imports from its own package where that module lies."""

    def __init__(self, package):
        self.package = package

    def visit_ImportFrom(self, node):
        if node.level or node.module.partition(".")[0] == self.package:
            node.level, node.module = 0, self.package
        return node

    def visit_documented(self, node):
        if ast.get_docstring(node) is not None:
            node.body = node.body[1:]
        return self.generic_visit(node)

    visit_Module = visit_ClassDef = visit_FunctionDef = visit_documented


@functools.cache
def _digest(module):
    spec = importlib.util.find_spec(module)
    if spec is None:
        raise ModuleNotFoundError(f"no module {module}: the key of results names it", name=module)
    tree = ast.parse(Path(spec.origin).read_text(encoding="utf-8"))
    return hashlib.sha256(
        ast.unparse(_Bare(module.partition(".")[0]).visit(tree)).encode()
    ).hexdigest()


def versions(libraries):
    """Installed version of each library."""
    return {name: metadata.version(name) for name in libraries}


def run_facts(command, libraries=()):
    """Columns that say where the rows of a results file come from.

    Parameters
    ----------
    command : str
        What computes the file again.
    libraries : sequence of str
        Whose versions count.

    Returns
    -------
    dict of str to str
    """
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
    ).stdout.strip()
    return {
        "hardware": f"CPU, {os.cpu_count()} cores",
        "processor": platform.processor() or platform.machine(),
        "versions": " ".join(f"{k} {v}" for k, v in versions(libraries).items()),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "commit": commit or "unknown",
        "command": command,
    }
