"""One list of pins, one address, one set of commands."""

import json
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
        "help", "setup", "data", "book", "test", "test-all", "check", "sync", "bench", "clean",
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
    others = [
        path.name
        for path in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "pages").iterdir()]
        if address in path.read_text(encoding="utf-8")
    ]
    assert others == [], "the address belongs in _config.yml"


def test_citation_names_the_paper_and_this_version(project):
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == project["version"]
    assert citation["references"][0]["doi"] == "10.1016/j.actamat.2025.121217"


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


def run_installed(installed, cwd, *arguments):
    """Python with the installed package and not with this clone."""
    return subprocess.run(
        [sys.executable, "-P", *arguments],
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
    )


def test_the_wheel_works_away_from_a_clone(installed, tmp_path):
    where = run_installed(installed, tmp_path, "-c", "import helpers; print(helpers.__file__)")
    assert where.stdout.startswith(str(installed)), where
    (tmp_path / "scans").mkdir()
    for i in range(2):
        pixels = np.random.default_rng(i).integers(0, 256, (60, 60), np.uint8)
        Image.fromarray(pixels).save(tmp_path / "scans" / f"{i}.png")
    doctor = run_installed(installed, tmp_path, "-m", "helpers", "doctor")
    assert doctor.returncode == 0, doctor.stderr
    assert re.search(r"MicroViT \(microvit\) +here", doctor.stdout)
    line = ["-m", "helpers", "extract", "scans", "--out", "features.parquet", "--json"]
    extract = run_installed(installed, tmp_path, *line)
    assert extract.returncode == 0, extract.stderr
    assert json.loads(extract.stdout)["images"] == 2
    cite = run_installed(installed, tmp_path, "-m", "helpers", "cite", "features.parquet")
    assert cite.returncode == 0, cite.stderr
    assert "10.1016/j.actamat.2025.121217" in cite.stdout


def test_the_wheel_says_where_the_embedded_data_is(installed, tmp_path):
    code = "from helpers import datasets as d; d.load_{}()"
    for name in ("superalloys", "two_phase"):
        done = run_installed(installed, tmp_path, "-c", code.format(name))
        assert "FileNotFoundError: the embedded data sets are not in the installed" in done.stderr
        assert "in the folder data of a clone of https://" in done.stderr
