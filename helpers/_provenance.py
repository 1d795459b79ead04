"""What a number was computed by: the code, the versions of libraries, the machine, the day."""

from __future__ import annotations

import ast
import datetime
import functools
import hashlib
import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path


@functools.cache
def code_digest(path):
    """Hash of a module's code, which changes with neither its comments nor its docstrings."""
    tree = ast.parse(Path(path).read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        documented = isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        if documented and ast.get_docstring(node) is not None:
            node.body = node.body[1:]
    return hashlib.sha256(ast.unparse(tree).encode()).hexdigest()[:16]


def code_digests(modules):
    """`code_digest` of helpers by name."""
    folder = Path(__file__).parent
    return {name: code_digest(folder / f"{name}.py") for name in modules}


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
