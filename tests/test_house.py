"""The order of the rooms of helpers, which `make check` holds, and what breaks it."""

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
    assert checked(house)[0] == 0


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
