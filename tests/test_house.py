"""The order of the rooms of helpers, which `make check` holds, and that of the tests."""

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bookbuild.chapters import ROOT

LINT = Path(sys.executable).with_name("lint-imports")


@pytest.fixture
def house(tmp_path):
    """A copy of the package and of its contracts."""
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "helpers", tmp_path / "helpers", ignore=ignored)
    shutil.copyfile(ROOT / "pyproject.toml", tmp_path / "pyproject.toml")
    return tmp_path


def checked(house):
    """Exit status and words of the check."""
    command = [LINT, "--no-cache", "--no-logo"]
    run = subprocess.run(command, cwd=house, capture_output=True, text=True, check=False)
    return run.returncode, re.sub(r"\s+", " ", run.stdout)


def add(house, module, line):
    path = house / "helpers" / module
    path.write_text((path.read_text("utf-8") if path.exists() else "") + f"\n{line}\n", "utf-8")


def test_the_house_is_in_order(house):
    status, words = checked(house)
    assert status == 0, words


def test_rooms_are_small():
    """At most ten modules a room, thirteen in the core: what is more becomes a room, or goes."""
    for folder in [ROOT / "helpers", *(p.parent for p in ROOT.glob("helpers/*/__init__.py"))]:
        modules = {path.stem for path in folder.glob("*.py")} - {"__init__", "__main__"}
        limit = 13 if folder.name == "helpers" else 10
        assert len(modules) <= limit, f"{folder.name}: {len(modules)} modules, at most {limit}"


@pytest.mark.parametrize("room", sorted(p.parent.name for p in ROOT.glob("helpers/*/__init__.py")))
def test_the_docstring_of_a_room_lists_its_modules(room):
    folder = ROOT / "helpers" / room
    words = ast.get_docstring(ast.parse((folder / "__init__.py").read_text("utf-8")))
    listed = set(re.findall(r"(?m)^(\w+) {2,}\S", words))
    assert listed == {path.stem for path in folder.glob("*.py")} - {"__init__"}


@pytest.mark.parametrize(
    "module, line, named",
    [
        (
            "io/atomic.py",
            "from helpers.own import study",
            "helpers.io.atomic -> helpers.own.study",
        ),
        ("vit/store.py", "from helpers import encoders", "helpers.vit.store -> helpers.encoders"),
        (
            "datasets.py",
            "def f():\n    from helpers.synthetic import elasticity\n",
            "helpers.datasets -> helpers.synthetic.elasticity",
        ),
        ("lonely.py", "x = 1", "not listed as layers: - helpers.lonely"),
        (
            "own/study.py",
            "from helpers.images import _tiff_sizes",
            "helpers.own.study -> helpers.images._tiff_sizes",
        ),
        (
            "regression.py",
            "from helpers import cross_validation",
            "No cycles are allowed in helpers. .* - .regression -> .cross_validation",
        ),
    ],
    ids=["upward", "into the core", "a lazy import", "no room", "private", "a circle"],
)
def test_what_breaks_the_order_is_named(house, module, line, named):
    add(house, module, line)
    status, words = checked(house)
    assert status == 1, words
    assert re.search(named, words), words


# The tests


def imports_of_tests(folder):
    """Where a module below a folder imports one of tests: file, line and what it imports."""
    for path in sorted(folder.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import | ast.ImportFrom):
                modules = [getattr(node, "module", None), *(alias.name for alias in node.names)]
                parts = ".".join(filter(None, modules)).split(".")
                for name in (part for part in parts if part.startswith("test_")):
                    yield f"{path.relative_to(folder.parent).as_posix()}:{node.lineno}: {name}"


def test_no_test_imports_another():
    """What several need is a fixture of a conftest.py, or stands in a module without tests."""
    assert list(imports_of_tests(ROOT / "tests")) == []


def test_tests_that_are_imported_are_named(tmp_path):
    lines = [
        "import os, test_a",
        "from test_b import x",
        "from . import test_c",
        "import own.test_d",
    ]
    lines += ["def f():", "    from tests.test_e import x", "from helpers.testing import y"]
    (tmp_path / "tests" / "own").mkdir(parents=True)
    (tmp_path / "tests" / "own" / "test_f.py").write_text("\n".join(lines), "utf-8")
    assert list(imports_of_tests(tmp_path / "tests")) == [
        f"tests/own/test_f.py:{line}: test_{name}"
        for line, name in [(1, "a"), (2, "b"), (3, "c"), (4, "d"), (6, "e")]
    ]
