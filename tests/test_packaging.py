"""One list of pins, one address, one set of commands."""

import re
import tomllib

import pytest
import yaml

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
    listed = re.findall(r"^([a-z]+):.*##", text, flags=re.MULTILINE)
    assert listed == ["help", "setup", "data", "book", "test", "check", "sync", "bench", "clean"]


def test_readme_begins_with_the_two_commands():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    commands = re.findall(r"^make \w+", text, flags=re.MULTILINE)
    assert commands[:2] == ["make book", "make test"]


def test_repository_has_one_address():
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
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
