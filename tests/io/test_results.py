"""The tables of data/results: what made them, what is read of them, and what is refused."""

import ast
import json
import re

import numpy as np
import pandas as pd
import pytest

from bookbuild.chapters import chapters_in_toc
from helpers import UserError
from helpers.audit.studies import PARTS
from helpers.io import results
from helpers.io.downloads import ROOT, registry
from helpers.io.results import (
    RESULTS,
    Computation,
    changes_since,
    input_hash,
    provenance,
    read_results,
    result_names,
)

SCRIPT = ROOT / "helpers" / "segmentation.py"  # any that is there
TABLE = pd.DataFrame(
    {"encoder": ["clip-b16", "microvit"], "mape": [12.3456789, 0.01234567], "note": ["NA", None]}
)
COLUMNS = ("file", "what", "command", "needs", "minutes", "chapter")


def write(table=TABLE, **parts):
    with Computation(SCRIPT, ("data/two_phase.npz",), ("numpy",)) as run:
        run.write(table, **parts)


# What a script writes is read again


def test_a_table_is_read_as_it_was_written(results_folder):
    write(part=TABLE.assign(mape=1.0))
    table = read_results("segmentation")
    assert table["mape"].tolist() == [12.3457, 0.01235]
    assert table["note"].tolist()[0] == "NA"
    assert pd.isna(table["note"][1])
    assert read_results("segmentation", "part")["mape"].tolist() == [1.0, 1.0]
    assert result_names() == ["segmentation"]
    facts = table.attrs
    assert facts["command"] == "python -m helpers.segmentation"
    assert set(facts) >= {"commit", "date", "seconds", "hardware", "versions", "inputs", "code"}
    assert facts["versions"] == {"numpy": np.__version__}
    assert changes_since("segmentation") == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"encoder,mape", b"encoder,error"),
        (b"12.3457", b"13.3457"),
        (b"microvit,0.01235,\n", b""),
        (b"microvit", b"\xff"),
    ],
)
def test_a_table_that_was_changed_is_told(results_folder, old, new):
    write()
    path = results_folder / "segmentation.csv"
    content = path.read_bytes()
    assert content.count(old) == 1
    path.write_bytes(content.replace(old, new))
    with pytest.raises(UserError, match="was changed since it was computed") as error:
        read_results("segmentation")
    assert str(path) in str(error.value)
    assert "compute it: make results NAME=segmentation" in str(error.value)


@pytest.mark.parametrize(
    "change",
    [
        lambda known: known.pop("encoders/clip-b16"),
        lambda known: known["encoders/clip-b16"].update(n_features=9),
    ],
)
def test_rows_of_an_encoder_that_the_registry_does_not_know_so_are_told(
    results_folder, tmp_path, monkeypatch, change
):
    write(TABLE.replace("clip-b16", "CLIP B16 (paper)"))
    known = registry()
    change(known)
    (tmp_path / "registry.json").write_text(json.dumps(known))
    monkeypatch.setattr(results, "REGISTRY", tmp_path / "registry.json")
    with pytest.raises(ValueError, match=r"768 features: .*json holds none, mend that") as error:
        read_results("segmentation")
    assert "segmentation.csv, line 2: 'CLIP B16 (paper)' was computed" in str(error.value)


def test_what_is_not_there_is_told(results_folder):
    write()
    with pytest.raises(ValueError, match=r"no result 'x' in .* there are segmentation"):
        read_results("x")
    with pytest.raises(ValueError, match=r"no table .*segmentation_x\.csv"):
        read_results("segmentation", "x")
    (results_folder / "segmentation.csv").unlink()
    with pytest.raises(ValueError, match=r"no table .*segmentation\.csv"):
        read_results("segmentation")
    (results_folder / "segmentation.json").write_text("{")
    with pytest.raises(ValueError, match=r"segmentation\.json cannot be read"):
        read_results("segmentation")


# Interruptions and changes


def test_unfinished_work_is_there_again_unless_its_code_changed(results_folder, monkeypatch):
    def run(stop):
        with Computation(SCRIPT, (), ("numpy",)) as computation:
            kept = computation.folder / "kept"
            before, seconds = kept.exists(), computation.seconds
            kept.touch()
            computation.before += 5
            if stop:
                raise KeyboardInterrupt
        return before, seconds, computation.folder.exists()

    for _ in range(2):
        with pytest.raises(SystemExit, match=r"stopped after \d+ s; started again, it goes on"):
            run(stop=True)
    before, seconds, left = run(stop=False)
    assert (before, left) == (True, False)
    assert seconds >= 10
    with pytest.raises(SystemExit):
        run(stop=True)
    monkeypatch.setattr(results, "code_digest", lambda *_: "other")
    assert run(stop=False)[0] is False


def test_results_whose_code_or_data_changed_are_named_and_computed(
    results_folder, monkeypatch, capfd
):
    write()
    path = results_folder / "segmentation.json"
    facts = json.loads(path.read_text())
    capfd.readouterr()
    assert results.main(["--check"]) == 0
    assert capfd.readouterr().out == ""
    assert results.main([]) == 0
    assert capfd.readouterr().out == "segmentation: nothing has changed\n"
    facts["code"], facts["inputs"] = "old", {"data/two_phase.npz": "old"}
    facts["command"] = "python -c print('computing')"
    path.write_text(json.dumps(facts))
    assert results.main(["--check"]) == 0
    told = capfd.readouterr().out
    assert "computed before its code, data/two_phase.npz changed" in told
    assert "again: make results NAME=segmentation" in told
    assert results.main([]) == 0
    assert capfd.readouterr().out.endswith("computing\n")
    path.write_text(json.dumps({**facts, "alone": True}))
    assert results.main([]) == 0
    assert "left as it is" in capfd.readouterr().out
    assert results.main(["segmentation"]) == 0
    assert capfd.readouterr().out.endswith("computing\n")
    path.write_text(json.dumps({**facts, "command": "python -c raise(SystemExit(3))"}))
    assert results.main([]) == 1
    assert "Not computed, for the reasons above: segmentation" in capfd.readouterr().err
    with pytest.raises(SystemExit):
        results.main(["nothing"])
    assert "there are segmentation" in capfd.readouterr().err


def test_code_that_was_not_committed_is_told_before_and_after(results_folder, monkeypatch, capsys):
    monkeypatch.setattr(results, "_commit", lambda: "1234567+changes")
    write()
    assert "segmentation: the code has changes that are not committed" in capsys.readouterr().out
    assert changes_since("segmentation") == ["its code"]


def test_an_input_is_known_by_its_content(tmp_path, monkeypatch):
    monkeypatch.setattr(results, "ROOT", tmp_path)
    for path, text in {
        "data/a.csv": "1",
        "data/set/b.csv": "2",
        "data/set/README.md": "3",
    }.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    hashes = [input_hash(name) for name in ("data/a.csv", "data/set")]
    (tmp_path / "data/set/README.md").write_text("4")
    assert [input_hash(name) for name in ("data/a.csv", "data/set")] == hashes
    (tmp_path / "data/set/b.csv").write_text("5")
    assert input_hash("data/set") != hashes[1]
    assert input_hash("superalloys").startswith("sha256:")


# The folder that ships


@pytest.mark.parametrize("name", result_names())
def test_shipped_results_are_whole(name):
    """Of the data and weights that ship, by a command that is there."""
    facts = provenance(name)
    folder, _, stem = name.rpartition("/")
    script = ROOT / facts["script"]
    assert script.is_file()
    assert stem == script.stem or stem.startswith(f"{script.stem}_")
    assert script.relative_to(ROOT).parent.as_posix().removeprefix("helpers").strip("/") == folder
    for file in facts["tables"]:
        part = file.removesuffix(".csv").removeprefix(stem).removeprefix("_")
        assert len(read_results(name, part or None)) > 0
    inputs = [change for change in changes_since(name) if change != "its code"]
    assert not inputs, f"computed before {inputs} changed; again: {facts['command']}"
    assert re.fullmatch(r"[0-9a-f]{7,}", facts["commit"]), "compute it from committed code"
    if facts["command"]:
        module = facts["command"].split()[2].replace(".", "/")
        assert f"{module}.py" == facts["script"]
        assert re.fullmatch(r"\d{4}-\d\d-\d\d", facts["date"])
        assert facts["hardware"]
        assert facts["versions"]


def test_the_folder_holds_nothing_else():
    files = {p.relative_to(RESULTS).as_posix() for p in RESULTS.rglob("*") if p.is_file()}
    for name in result_names():
        folder = name.rpartition("/")[0]
        files -= {
            f"{name}.json",
            *(f"{folder}/{t}".strip("/") for t in provenance(name)["tables"]),
        }
    assert files == {"README.md"}


def readme():
    """The rows of the table of data/results/README.md, by the file that each is about."""
    rows = {}
    for line in (RESULTS / "README.md").read_text(encoding="utf-8").splitlines():
        if line.startswith("| ["):
            row = dict(zip(COLUMNS, line.strip("| ").split(" | "), strict=True))
            row["file"] = re.fullmatch(r"\[(.+)\]\(\1\)", row["file"]).group(1)
            rows[row["file"]] = row
    return rows


def expected_rows():
    """What the rows must hold, but for the column that says what a table holds."""
    shown = {}
    for source in chapters_in_toc(ROOT):
        for result in results_read(source):
            shown.setdefault(result, {})[source.stem[:2]] = True
    for name in result_names():
        facts, (folder, _, stem) = provenance(name), name.rpartition("/")
        minutes = str(max(1, round((facts["seconds"] or 0) / 60)))
        published = any(not i.startswith(("data/", "encoders/")) for i in facts["inputs"])
        again = f"`make results NAME={name}`"
        for table in facts["tables"]:
            part = table.removeprefix(stem).removesuffix(".csv").removeprefix("_") or None
            yield (
                f"{folder}/{table}".strip("/"),
                {
                    "command": again if facts["command"] else f"code of commit {facts['commit']}",
                    "needs": "published data" if published else None,
                    "minutes": minutes if facts["seconds"] else "not measured",
                    "chapter": ", ".join(shown.get((name, part), ["no chapter reads it"])),
                },
            )


def results_read(source):
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        called = ast.unparse(node.func).split(".")[-1] if isinstance(node, ast.Call) else ""
        if called == "read_results":
            yield (*[ast.literal_eval(argument) for argument in node.args], None)[:2]
        elif called == "read_audit":
            yield from (("audit/studies", part) for part in (None, *PARTS))


def test_the_readme_has_a_row_for_each_table():
    rows, wrong = readme(), []
    for file, expected in expected_rows():
        if file not in rows:
            cells = {"needs": "nothing", **{k: v for k, v in expected.items() if v}}
            cells = [f"[{file}]({file})", "WHAT IT HOLDS", *(cells[c] for c in COLUMNS[2:])]
            wrong.append(f"add the row | {' | '.join(cells)} |")
            continue
        row = rows.pop(file)
        for column, value in expected.items():
            if value and row[column] != value:
                wrong.append(f"{file}: {column} is {row[column]!r}, expected {value!r}")
            elif not value and "published" in row[column]:
                wrong.append(f"{file}: needs no published data")
    wrong += [f"{file}: no such table, take the row out" for file in rows]
    if wrong:
        pytest.fail("data/results/README.md:\n  " + "\n  ".join(wrong), pytrace=False)
