"""One list of pins, one address, one set of commands."""

import os
import re
import shutil
import subprocess
import sys
import tomllib

import numpy as np
import pytest
import yaml
from PIL import Image

from bookbuild.chapters import ROOT


@pytest.fixture(scope="module")
def project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.fixture(scope="module")
def pins(project):
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    return [pin for group in groups for pin in group]


def test_every_direct_dependency_is_pinned_exactly_and_once(pins):
    assert [pin for pin in pins if not re.fullmatch(r"[\w.-]+==[\w.]+(; .+)?", pin)] == []
    names = [pin.split("==")[0].lower() for pin in pins]
    assert sorted(set(names)) == sorted(names)


def test_conda_environment_repeats_the_pins(project):
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    (pip,) = (entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict))
    extras = project["optional-dependencies"]
    assert pip == [*project["dependencies"], *extras["book"], *extras["dev"], "-e ."]


def test_makefile_sets_no_version():
    assert "==" not in (ROOT / "Makefile").read_text(encoding="utf-8")


def test_makefile_has_the_documented_targets():
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    listed = re.findall(r"^([a-z-]+):.*##", text, flags=re.MULTILINE)
    assert listed == [
        "help", "setup", "data", "results", "book", "test", "test-all", "check", "sync", "bench",
        "clean",
    ]  # fmt: skip


def test_readme_begins_with_the_two_commands():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    commands = re.findall(r"^make \w+", text, flags=re.MULTILINE)
    assert commands[:2] == ["make book", "make test"]


def test_repository_has_one_address(project):
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    assert project["urls"] == {"Repository": config["repository"]["url"]}
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    address = config["repository"]["url"]
    assert citation["repository-code"] == address
    cell = f"# !git clone {address}\n"  # of the frame of a chapter; tests/test_book.py compares it
    others = [
        path.name
        for path in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "pages").iterdir()]
        if address in path.read_text(encoding="utf-8").replace(cell, "")
    ]
    assert others == [], "the address belongs in _config.yml"


def test_citation_names_the_paper_and_this_version(project):
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == project["version"]
    assert citation["references"][0]["doi"] == "10.1016/j.actamat.2025.121217"


def test_the_wheel_holds_every_package():
    tool = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]
    inits = [p for room in ("bookbuild", "helpers") for p in (ROOT / room).rglob("__init__.py")]
    packages = [".".join(path.relative_to(ROOT).parts[:-1]) for path in inits]
    assert sorted(tool["setuptools"]["packages"]) == sorted([*packages, "helpers.shipped"])


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A folder that holds what `pip install .` installs, without what it depends on."""
    clone, folder = (tmp_path_factory.mktemp(name) for name in ("clone", "installed"))
    for name in ("LICENSE", "README.md", "pyproject.toml"):
        shutil.copy(ROOT / name, clone)
    for name in ("book", "bookbuild", "data", "helpers", "pages"):
        skipped = shutil.ignore_patterns("__pycache__", ".*")
        shutil.copytree(ROOT / name, clone / name, ignore=skipped)
    pip = [sys.executable, "-m", "pip", "-q", "--disable-pip-version-check"]
    build = [*pip, "wheel", "--no-build-isolation", "--no-deps", "--wheel-dir", str(clone), "."]
    subprocess.run(build, cwd=clone, check=True)
    (wheel,) = clone.glob("*.whl")
    install = [*pip, "install", "--no-index", "--no-deps", "--target", str(folder), str(wheel)]
    subprocess.run(install, cwd=clone, check=True)
    shutil.rmtree(clone)
    return folder


SESSION = """
import helpers
from helpers import datasets
from helpers.own.cli import main

print(helpers.__file__)
assert main(["doctor"]) == 0
assert main(["extract", "scans", "--out", "features.parquet"]) == 0
assert main(["cite", "features.parquet"]) == 0
for load in (datasets.load_superalloys, datasets.load_two_phase, datasets.paper_results):
    try:
        load()
    except FileNotFoundError as error:
        print(error)
"""


def test_the_wheel_holds_of_the_clone_what_is_listed(installed):
    tool = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]
    listed = tool["setuptools"]["package-data"]["helpers.shipped"]
    wanted = {path.relative_to(ROOT) for name in listed for path in ROOT.glob(name)}
    shipped = installed / "helpers" / "shipped"
    assert {path.relative_to(shipped) for path in shipped.rglob("*") if path.is_file()} == wanted
    assert len(wanted) >= len(listed)


def run_installed(installed, folder, *arguments):
    """Python in a folder, with the installed package and not with this clone; what it printed."""
    named = {"PYTHONPATH": str(installed), "MICROPROP_CACHE": str(folder / "cache")}
    command = [sys.executable, "-P", *arguments]
    done = subprocess.run(
        command, cwd=folder, env=os.environ | named, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_wheel_works_away_from_a_clone(installed, tmp_path):
    """In one process: most of the time goes into imports."""
    (tmp_path / "scans").mkdir()
    for i in range(2):
        pixels = np.random.default_rng(i).integers(0, 256, (60, 60), np.uint8)
        Image.fromarray(pixels).save(tmp_path / "scans" / f"{i}.png")
    where, *told = run_installed(installed, tmp_path, "-c", SESSION).splitlines()
    assert where.startswith(str(installed))
    told = "\n".join(told)
    assert re.search(r"MicroViT \(microvit\) +here", told)
    assert "images: 2" in told
    assert "10.1016/j.actamat.2025.121217" in told
    assert told.count("the embedded data sets are not in the installed package") == 3
    assert told.count("in the folder data of a clone of https://") == 3


@pytest.mark.slow
def test_the_commands_of_the_wheel_go_from_images_to_a_report(installed, tmp_path):
    """As `tests/own/test_report.py` does in the clone; each command a process of its own."""
    rng = np.random.default_rng(0)
    (tmp_path / "scans").mkdir()
    rows = ["sample,hardness"]
    for i in range(24):
        pixels = rng.integers(0, 60 + 6 * i, (60, 60), np.uint8)
        Image.fromarray(pixels).save(tmp_path / "scans" / f"a{i}.png")
        rows.append(f"a{i},{200 + 3 * i}")
    (tmp_path / "t.csv").write_text("\n".join(rows), encoding="utf-8")
    for line in (
        "doctor",
        "extract scans --out f.parquet",
        "fit f.parquet t.csv --out model",
        "report model f.parquet --out report.html",
        "predict model scans --out p.csv",
    ):
        run_installed(installed, tmp_path, "-m", "helpers", *line.split())
    assert "hardness" in (tmp_path / "report.html").read_text(encoding="utf-8")
