"""An encoder of the user's own, in a folder: each command takes it, and no other in its place."""

import contextlib
import json
import pickle
import shutil
import types
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from small_networks import SMALL, change_weights, realistic, save, tiny_dinov2, tiny_sam
from transformers import ViTConfig, ViTModel

from helpers import UserError
from helpers.extract import ray_extract
from helpers.extract.feature_tables import read_feature_table
from helpers.own import cli
from helpers.own.model_files import load_model, save_model

RAY = [pytest.mark.optional("ray", "ray"), pytest.mark.optional("fsspec", "ray")]


def tiny_vit():
    return realistic(
        ViTModel, ViTConfig(**SMALL, intermediate_size=64, image_size=64, patch_size=16)
    )


def lay_out(folder):
    """What a user has: micrographs, a table, and a network that this book has no name for."""
    rng, rows = np.random.default_rng(5), ["sample,hardness,source"]
    (folder / "scans").mkdir()
    for i in range(24):
        image = rng.normal(70, 6, (70, 84))
        for y, x in rng.integers(0, 64, (5 + 2 * i, 2)):
            image[y : y + 6, x : x + 6] = 190
        Image.fromarray(np.clip(image, 0, 255).astype(np.uint8)).save(
            folder / "scans" / f"a{i}.png"
        )
        rows.append(f"a{i},{250 + 3 * i},heat {i % 5}")
    (folder / "alloys.csv").write_text("\n".join(rows))
    save(tiny_vit(), folder / "networks" / "vit")


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MICROPROP_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


def extract_and_fit(folder, features="f.parquet", *options):
    extract = ["extract", "scans", "--encoder", "networks/vit", "--pooling", "cls"]
    fit = ["fit", features, "alloys.csv", "--groups", "source", "--out", "model"]
    with contextlib.chdir(folder):
        assert cli.main([*extract, "--out", features, *options]) == 0
        assert cli.main(fit) == 0


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Features by relative paths, and a model of them."""
    folder = tmp_path_factory.mktemp("study")
    lay_out(folder)
    extract_and_fit(folder)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(
    ("features", "options"),
    [
        pytest.param("f.parquet", [], id="local"),
        pytest.param("parts", ["--engine", "ray", "--workers", "2"], id="ray", marks=RAY),
    ],
)
def test_the_walk_from_extract_to_a_report(features, options, tmp_path, monkeypatch, run):
    lay_out(tmp_path)
    extract_and_fit(tmp_path, features, *options)
    monkeypatch.chdir(tmp_path)
    assert run("predict", "model", "scans", "--out", "p.csv") == 0
    assert run("predict", "model", features, "--out", "q.csv") == 0
    images, table = (pd.read_csv(f"{name}.csv").sort_values("sample") for name in "pq")
    np.testing.assert_allclose(images["predicted"], table["predicted"], rtol=1e-4)
    assert run("report", "model", features, "--out", "report.html") == 0
    page = Path("report.html").read_text()
    assert ">Your micrographs, vit</summary>" in page
    assert "vit: a network of your own; cite its source" in page


def test_actors_get_the_network_its_pooling_and_a_place_that_does_not_move(
    study, tmp_path, monkeypatch, capsys, run
):
    """The way through Ray without Ray: what goes to an actor is pickled, and works elsewhere."""

    def actor(ray, todo, writer, *_):
        writer = pickle.loads(pickle.dumps(writer))
        with contextlib.chdir(tmp_path):
            found = ray_extract.PartWriter(*writer, 1)(pd.DataFrame(todo))
        return (found.assign(workers=1)).to_dict("records")

    monkeypatch.setattr(ray_extract, "optional", lambda *_: None)
    monkeypatch.setattr(ray_extract, "_started", contextlib.nullcontext)
    monkeypatch.setattr(ray_extract, "_run", actor)
    monkeypatch.chdir(study)
    scans = study / "scans"
    line = ["extract", scans, "--encoder", "networks/vit", "--engine", "ray", "--json"]
    for pooling in ("cls", "mean"):
        out = tmp_path / pooling
        assert run(*line, "--out", out, "--pooling", pooling) == 0
        told = json.loads(capsys.readouterr().out)
        assert (told["encoder"], told["pooling"], told["computed"]) == ("vit", pooling, 24)
        assert read_feature_table(out).facts["pooling"] == pooling
    one, two = (read_feature_table(p) for p in (study / "f.parquet", tmp_path / "cls"))
    assert one.facts["folder"] == two.facts["folder"] == str(study / "networks" / "vit")
    order = one.table["image"].argsort()
    np.testing.assert_allclose(two.features, one.features[order], atol=1e-5)
    assert run("predict", "model", tmp_path / "mean", "--out", tmp_path / "p.csv") == 1
    assert "--pooling is 'cls' and 'mean'" in capsys.readouterr().err
    assert run(*line, "--out", tmp_path / "none") == 1
    assert "choose --pooling cls or --pooling mean" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("failures", [2, 3])
def test_ray_is_started_again_where_a_busy_machine_was_too_slow(failures):
    calls = []

    def init(**_):
        calls.append("init")
        if calls.count("init") <= failures:
            raise RuntimeError("timed out")

    ray = types.SimpleNamespace(init=init, shutdown=lambda: calls.append("shutdown"))
    if failures < ray_extract.STARTS:
        ray_extract._start(ray)
    else:
        with pytest.raises(UserError, match=r"did not start in 3 tries \(timed out\)"):
            ray_extract._start(ray)
    assert calls == [*["init", "shutdown"] * failures, "init"][: 2 * ray_extract.STARTS]


def test_a_network_that_has_moved_is_asked_for_and_taken_from_its_new_place(
    study, tmp_path, monkeypatch, capsys, run
):
    monkeypatch.chdir(tmp_path)  # the model knows where its encoder is
    line = ["predict", study / "model", study / "scans", "--out"]
    assert run(*line, "before.csv") == 0
    home = study / "networks" / "vit"
    shutil.move(home, "renamed")
    try:
        assert run(*line, "none.csv") == 1
        told = f"was in {home}, which is no folder any more: say with --encoder FOLDER where"
        assert told in capsys.readouterr().err
        assert run(*line, "after.csv", "--encoder", "renamed", "--pooling", "cls") == 0
    finally:
        shutil.move("renamed", home)
    before, after = (pd.read_csv(name) for name in ("before.csv", "after.csv"))
    pd.testing.assert_frame_equal(before, after)
    assert not Path("none.csv").exists()


def test_a_model_of_before_folders_were_kept_asks_for_its_encoder(study, tmp_path, capsys, run):
    fitted, model = load_model(study / "model"), tmp_path / "model"
    del fitted.features["folder"]
    save_model(model, fitted)
    assert run("predict", model, study / "scans", "--out", tmp_path / "p.csv") == 1
    assert "say with --encoder FOLDER where" in capsys.readouterr().err


def changed(change):
    def make(folder):
        change_weights(save(tiny_vit(), folder), change)

    return make


def with_config(**words):
    def make(folder):
        path = save(tiny_vit(), folder) / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | words))

    return make


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (changed(lambda s: s["layernorm.bias"].add_(1)), "are not those that"),
        (with_config(hidden_act="relu"), "config hidden_act is 'gelu' and 'relu'"),
        (lambda folder: save(tiny_dinov2(), folder), "config model_type is 'vit' and 'dinov2'"),
        (lambda folder: None, "or a folder that holds a model"),
        (lambda folder: folder.mkdir(), "has no config.json"),
    ],
)
def test_another_network_is_refused_before_images_are_looked_at(
    make, said, study, tmp_path, capsys, run
):
    make(tmp_path / "other")
    line = ["predict", study / "model", "nowhere", "--out", tmp_path / "p.csv"]
    assert run(*line, "--encoder", tmp_path / "other") == 1
    told = capsys.readouterr().err
    assert said in told
    assert len(told.splitlines()) == 1


def test_what_pixels_become_must_be_the_same(tmp_path, capsys, run):
    """Statistics of pixels lie in a file beside the weights, and change the input alone."""
    lay_out(tmp_path)
    statistics = tmp_path / "networks" / "vit" / "preprocessor_config.json"
    statistics.write_text('{"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}')
    extract_and_fit(tmp_path, "f.parquet", "--normalize", "encoder")
    statistics.write_text('{"image_mean": [0.4, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}')
    assert run("predict", tmp_path / "model", "nowhere", "--out", tmp_path / "p.csv") == 1
    assert "mean_std is [[0.5, 0.5, 0.5]" in capsys.readouterr().err


def test_options_that_a_model_does_not_take_are_refused(study, tmp_path, capsys, run):
    line = ["predict", study / "model"]
    out = ["--out", tmp_path / "p.csv"]
    assert run(*line, "nowhere", *out, "--pooling", "mean") == 1
    assert "--pooling is 'mean', and" in capsys.readouterr().err
    assert run(*line, study / "f.parquet", *out, "--encoder", study / "networks" / "vit") == 1
    assert "holds features already: leave it out" in capsys.readouterr().err


@pytest.mark.parametrize("make", [tiny_dinov2, tiny_sam])
def test_the_pooling_of_a_known_family_is_chosen_and_told(
    make, study, tmp_path, monkeypatch, capsys, run
):
    monkeypatch.chdir(tmp_path)
    save(make(), tmp_path / "own")
    usual = {tiny_dinov2: "cls", tiny_sam: "mean"}[make]
    line = ["extract", study / "scans", "--encoder", "own", "--out"]
    assert run(*line, "a.parquet", "--json") == 0
    told = capsys.readouterr()
    assert json.loads(told.out)["pooling"] == usual
    assert f"Note: own: --pooling {usual}, as its family has it" in told.err
    assert run(*line, "b.parquet", "--pooling", usual) == 0
    told = capsys.readouterr()
    assert f"pooling: {usual}" in told.out
    assert "Note" not in told.err
    one, two = (read_feature_table(name).features for name in ("a.parquet", "b.parquet"))
    np.testing.assert_array_equal(one, two)
    assert run(*line, "c.parquet", "--pooling", "max") == 2


def test_a_pooling_that_does_not_work_is_told_with_those_that_do(study, tmp_path, capsys, run):
    save(tiny_sam(), tmp_path / "sam")
    bad = tmp_path / "bad"
    bad.mkdir()
    (bad / "a.png").write_bytes(b"no image")
    line = ["extract", bad, "--out", tmp_path / "f.parquet", "--encoder"]
    assert run(*line, tmp_path / "sam", "--pooling", "pooler") == 1
    assert "choose --pooling mean\n" in capsys.readouterr().err
    assert run(*line, study / "networks" / "vit") == 1
    assert "choose --pooling cls or --pooling mean or --pooling pooler" in capsys.readouterr().err


def test_a_named_encoder_takes_another_pooling(study, tmp_path, run):
    line = ["extract", study / "scans", "--pooling", "mean", "--out", tmp_path / "f.parquet"]
    assert run(*line) == 0
    facts = read_feature_table(tmp_path / "f.parquet").facts
    assert (facts["encoder"], facts["pooling"], facts["folder"]) == ("microvit", "mean", None)
    with contextlib.chdir(study):
        assert run("fit", tmp_path / "f.parquet", "alloys.csv", "--out", tmp_path / "m") == 0
    assert run("predict", tmp_path / "m", study / "scans", "--out", tmp_path / "p.csv") == 0


def test_the_place_is_not_that_of_an_earlier_run(study, tmp_path, run):
    """Features of the same images and weights come from the store."""
    copy = shutil.copytree(study / "networks" / "vit", tmp_path / "vit")
    options = ("--pooling", "cls", "--out", tmp_path / "f.parquet")
    assert run("extract", study / "scans", "--encoder", copy, *options) == 0
    one, two = (read_feature_table(path / "f.parquet").facts for path in (study, tmp_path))
    assert one["date"] == two["date"]
    assert two["folder"] == str(copy)
    assert load_model(study / "model").features["folder"] == one["folder"] != two["folder"]


def test_a_folder_may_be_called_like_a_named_encoder(study, tmp_path, capsys, run):
    own = shutil.copytree(study / "networks" / "vit", tmp_path / "microvit")
    features, model = tmp_path / "f.parquet", tmp_path / "model"
    options = ("--encoder", own, "--pooling", "cls", "--out", features)
    assert run("extract", study / "scans", *options) == 0
    assert run("fit", features, study / "alloys.csv", "--out", model) == 0
    assert run("predict", model, study / "scans", "--out", tmp_path / "p.csv") == 0
    capsys.readouterr()
    assert run("cite", features) == 0
    assert "microvit: a network of your own" in capsys.readouterr().out


def test_fetch_has_a_folder_already_and_refuses_what_is_none(study, capsys, run):
    assert run("fetch", study / "networks" / "vit") == 0
    told = capsys.readouterr()
    assert "here, " in told.err
    assert str(study / "networks" / "vit") in told.out
    extract = ["extract", study / "scans", "--out", "x.parquet", "--encoder"]
    for line in (["fetch"], extract):
        assert run(*line, "someone/network") == 1
        assert "'someone/network': expected" in capsys.readouterr().err
