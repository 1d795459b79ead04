"""What the commands must never do: delete or overwrite what is not theirs, run what they read."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import altair as alt
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from helpers import UserError
from helpers import features as features_module
from helpers.extract.feature_tables import extract_table
from helpers.extract.image_lists import list_samples
from helpers.images.read import ImageError
from helpers.own import cli, model_files, plots
from helpers.own.model_files import OwnModel, load_model, save_model
from helpers.own.models import fit_property
from helpers.own.properties import PropertyTable


@pytest.fixture
def model():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(30, 4))
    names = ["NA", "None", "nan", *(f"s{i}" for i in range(27))]  # as samples may be called
    values = pd.DataFrame({"y": 100 + 5 * X[:, 0] + rng.normal(size=30)}, names)
    known = PropertyTable(values, pd.Series((["null", "b", "c", "d", "e"] * 6), names), None, None)
    one = fit_property("y", names, X, known, seeds=[0], progress=False)
    used = model_files.versions(model_files.LIBRARIES)
    return OwnModel({"y": one}, {"encoder": "x"}, "mean", 1, used)


def test_names_that_look_like_no_value_stay_names(model, tmp_path):
    save_model(tmp_path / "m", model)
    found = load_model(tmp_path / "m").properties["y"].out_of_fold
    pd.testing.assert_frame_equal(found, model.properties["y"].out_of_fold)
    assert {"NA", "None", "nan"} <= set(found["sample"])
    assert "null" in set(found["group"])


def test_a_folder_with_anything_else_is_never_replaced(model, tmp_path, monkeypatch):
    project = tmp_path / "project"
    project.mkdir()
    (project / "thesis.tex").write_text("years")
    (project / "fitted.skops").touch()
    for content in ('{"my": "model"}', "[]", '{"digest": "x"}'):
        (project / "model.json").write_text(content)
        with pytest.raises(UserError, match=r"is no model folder|holds thesis\.tex"):
            save_model(project, model)
        assert (project / "thesis.tex").read_text() == "years"
    save_model(tmp_path / "m", model)
    (tmp_path / "m" / ".DS_Store").touch()  # of a file manager
    load_model(tmp_path / "m")
    (tmp_path / "m" / "report.html").write_text("page")
    with pytest.raises(UserError, match=r"holds report\.html, .* would be deleted: move it away"):
        save_model(tmp_path / "m", model)
    with pytest.raises(UserError, match=r"report\.html does not belong there: move it away"):
        load_model(tmp_path / "m")
    (tmp_path / "m" / "report.html").unlink()
    monkeypatch.chdir(tmp_path / "m")
    save_model(".", model)  # a model folder may be given by where one stands
    monkeypatch.chdir(tmp_path)
    load_model("m")


@pytest.mark.parametrize(
    "change",
    [
        {"properties": []},
        {"aggregate": "evil"},
        {"features": []},
        {"versions": None},
        {"property": {"tables": None}},
        {"n_images": 1, "more": 2},
        {"property": {"half_width": "1"}},
        {"property": {"kind": "x"}},
    ],
)
def test_a_description_that_was_signed_again_is_checked(model, tmp_path, change):
    save_model(tmp_path / "m", model)
    path = tmp_path / "m" / "model.json"
    facts = json.loads(path.read_text())
    facts["properties"]["y"] |= change.pop("property", {})
    facts |= change
    del facts["digest"]
    fitted = (tmp_path / "m" / "fitted.skops").read_bytes()
    path.write_text(json.dumps(facts | {"digest": model_files._digest(facts, fitted)}))
    with pytest.raises(UserError, match="does not describe a model"):
        load_model(tmp_path / "m")


def test_a_link_in_a_model_is_refused(model, tmp_path):
    save_model(tmp_path / "m", model)
    path = tmp_path / "m" / "fitted.skops"
    shutil.move(path, tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UserError, match=r"fitted\.skops is a link"):
        load_model(tmp_path / "m")


def test_an_image_that_is_replaced_while_it_is_read_is_no_result(tmp_path, monkeypatch):
    for i in range(3):
        pixels = np.random.default_rng(i).integers(0, 256, (40, 40), np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{i}.png")
    kept, check = (tmp_path / "2.png").read_bytes(), features_module.check_images

    def late(*arguments):
        found = check(*arguments)
        shutil.copy(tmp_path / "0.png", tmp_path / "2.png")  # after hashing, before reading
        return found

    store = tmp_path / "store"
    monkeypatch.setattr(features_module, "check_images", late)
    with pytest.raises(ImageError, match=r"2\.png was changed while it was read: run again"):
        extract_table(tmp_path, store=store, progress=False)
    monkeypatch.undo()
    (tmp_path / "2.png").write_bytes(kept)
    right = extract_table(tmp_path, store=False, progress=False).features
    stored = extract_table(tmp_path, store=store, progress=False).features
    np.testing.assert_array_equal(stored, right)


def test_names_are_text_in_a_page():
    name = "</script><script>alert(1)</script>"
    table = pd.DataFrame({"sample": [name], "x": [1.0]})
    page = plots.framed(alt.Chart(table).mark_point().encode(x="x"), name).data
    assert 'sandbox="allow-scripts"' in page
    assert "alert(1)" in page  # the name is still there
    assert "&lt;/script&gt;&lt;script&gt;alert" not in page.split("title=")[0]


def test_outputs_replace_nothing_but_their_own_kind(model, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    save_model(tmp_path / "m", model)
    Path("alloys.csv").write_text("sample,hardness\na,1\n")
    Path("dir.csv").mkdir()
    Path("dir.html").mkdir()
    Path("thesis.html").write_text("<html><head></head>years</html>")
    Path("new_files").mkdir()
    Path("new_files/property1_notes.txt").write_text("years")
    Path("old_files").write_text("a file")
    pd.DataFrame({"image": ["a.png"]}).to_parquet("images.parquet")
    before = {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()}
    for command, said in (
        (["predict", "m", ".", "--out", "alloys.csv"], "alloys.csv exists and holds no predict"),
        (
            ["predict", "m", ".", "--out", "dir.csv"],
            "dir.csv, a folder or inside that of the model",
        ),
        (["predict", "m", ".", "--out", "m/p.csv"], "inside that of the model"),
        (["extract", "images.parquet", "--out", "images.parquet"], "holds no features"),
        (["report", "m", "f.parquet", "--out", "m/r.html"], "inside that of the model"),
        (["report", "m", "f.parquet", "--out", "dir.html"], "a folder or inside"),
        (["report", "m", "f.parquet", "--out", "thesis.html"], "thesis.html was not written by"),
        (["report", "m", "f.parquet", "--out", "new.html"], "notes.txt was not written by"),
        (["report", "m", "f.parquet", "--out", "old.html"], "old_files was not written by"),
    ):
        assert cli.main(command) == 1
        assert said in capsys.readouterr().err
    assert {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()} == before


@pytest.mark.skipif(os.name != "posix", reason="no such files")
def test_pipes_devices_and_names_that_are_no_text_are_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "endless.csv").symlink_to("/dev/zero")
    for name in ("pipe.csv", "endless.csv"):
        with pytest.raises(UserError, match=f"there is no file .*{name}"):
            list_samples(tmp_path / name)
    odd = os.fsdecode(os.fsencode(tmp_path) + b"/l\xdfx.png")
    Image.fromarray(np.eye(40, dtype=np.uint8)).save(tmp_path / "a.png")
    shutil.copy(tmp_path / "a.png", odd)
    with pytest.raises(ImageError, match=r"1 file names are not UTF-8: .*l\\udcdfx\.png"):
        extract_table(tmp_path, progress=False)


@pytest.mark.skipif(os.name != "posix", reason="no such signals")
def test_a_signal_to_end_keeps_what_was_computed(tmp_path):
    (tmp_path / "scans").mkdir()
    for i in range(200):
        pixels = np.random.default_rng(i).integers(0, 256, (224, 224), np.uint8)
        Image.fromarray(pixels).save(tmp_path / "scans" / f"{i}.png")
    command = [sys.executable, "-m", "helpers", "extract", "scans", "--out", "f.parquet"]
    environment = os.environ | {"MICROPROP_CACHE": str(tmp_path / "cache")}
    run = subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE)
    begun = time.monotonic()
    while not list((tmp_path / "cache").rglob("computing.json")):
        assert run.poll() is None
        assert time.monotonic() - begun < 60
        time.sleep(0.1)
    time.sleep(2)
    run.send_signal(signal.SIGTERM)
    told = run.communicate(timeout=60)[1].decode()
    assert run.returncode == 130
    assert told.endswith("Interrupted: the same command goes on from here.\n")
    assert list((tmp_path / "cache").rglob("*.safetensors"))  # a shard of what was done
    assert not (tmp_path / "f.parquet").exists()
