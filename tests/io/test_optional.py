"""Packages of the extras: hidden, their tests are skipped and say what installs them."""

import doctest
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from bookbuild.chapters import ROOT
from helpers.io.optional import NotInstalled, PackageError, optional
from helpers.own import cli
from helpers.own.doctor import diagnose

EXTRAS = {"ray": "ray", "fsspec": "ray", "gudhi": "bench", "pymks": "bench", "muSpectre": "bench"}
HIDE = "import sys; sys.modules[{!r}] = None  # as if it were not installed\n"
BROKEN = {
    "an import error": "raise ImportError('undefined symbol: x')",
    "a package that it needs is missing": "import no_such_package",
    "another error": "raise AttributeError('module has no attribute y')",
}


def test_examples_in_docstrings():
    assert doctest.testmod(sys.modules[optional.__module__]).failed == 0


def imports(path, package):
    """Whether a source imports a package, by a statement, by `optional` or by the mark."""
    return re.search(rf'(import|from|optional\()\s*"?{package}\b', path.read_text("utf-8"))


def files_that_touch(package):
    """Test files that import a package, or a helper or benchmark that does."""
    modules = [path for room in ("helpers", "benchmarks") for path in (ROOT / room).rglob("*.py")]
    names = [package, *(path.stem for path in modules if imports(path, package))]
    wanted = re.compile(rf"\b({'|'.join(names)})\b")
    return [
        str(path)
        for path in sorted((ROOT / "tests").rglob("test_*.py"))
        if path != Path(__file__) and wanted.search(path.read_text("utf-8"))
    ]


def run_tests(files, folder, *options):
    """A run of tests in a process of its own, with the modules of a folder found first."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options, *files],
        cwd=ROOT,
        env=inherited | {"PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
    )


@pytest.mark.slow  # `make test` itself runs without them after `make setup`, and so it does in CI
@pytest.mark.long
@pytest.mark.parametrize("package", EXTRAS)
def test_without_a_package_its_tests_are_skipped_and_the_others_pass(package, tmp_path):
    files = files_that_touch(package)
    assert files
    (tmp_path / "hidden.py").write_text(HIDE.format(package), encoding="utf-8")
    every = "not network and not gpu and not browser"
    done = run_tests(files, tmp_path, "-p", "hidden", "-m", every)
    assert done.returncode == 0, done.stdout + done.stderr
    told = rf'SKIPPED .* {package} is not installed: pip install "microprop\[{EXTRAS[package]}\]"'
    assert re.search(told, done.stdout), done.stdout


def broken(folder, monkeypatch, source):
    """A package `ray` whose import fails, in the place of a good one."""
    (folder / "ray").mkdir()
    (folder / "ray" / "__init__.py").write_text(source, encoding="utf-8")
    monkeypatch.syspath_prepend(folder)
    for name in [n for n in sys.modules if n.partition(".")[0] == "ray"]:
        monkeypatch.delitem(sys.modules, name)


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_package_is_told_as_broken(kind, tmp_path, monkeypatch, capsys):
    broken(tmp_path, monkeypatch, BROKEN[kind])
    with pytest.raises(PackageError, match="ray is installed, but its import fails") as caught:
        optional("ray", "ray")
    assert not isinstance(caught.value, NotInstalled)
    assert 'pip uninstall ray, then pip install "microprop[ray]"' in str(caught.value)
    assert cli.main(["extract", "scans", "--out", "x", "--engine", "ray"]) == 1
    assert "Error: ray is installed, but its import fails" in capsys.readouterr().err
    (row,) = (row for row in diagnose() if row["what"] == "ray")
    assert row["state"].startswith("installed, but its import fails")


@pytest.mark.slow
def test_tests_of_a_broken_package_fail(tmp_path, monkeypatch):
    broken(tmp_path, monkeypatch, BROKEN["an import error"])
    done = run_tests(
        ["tests/extract/test_ray_extract.py"], tmp_path, "-m", "slow", "-k", "changed_file"
    )
    assert done.returncode == 1
    assert (
        "ray is installed, but its import fails (ImportError: undefined symbol: x)" in done.stdout
    )
