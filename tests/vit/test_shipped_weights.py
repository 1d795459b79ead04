"""MicroViT, which ships with the book: it loads like any other encoder, or says what is wrong."""

import shutil
import socket
from pathlib import Path

import pandas as pd
import pytest
import torch
from small_networks import change_weights, save, tiny_dinov2

from bookbuild.chapters import ROOT
from helpers.encoders import ENCODERS, load_encoder
from helpers.io.downloads import DownloadError
from helpers.io.results import read_results
from helpers.microvit import pretraining
from helpers.vit import networks, weights


@pytest.fixture
def shipped(monkeypatch, tmp_path):
    """A copy of the folder of weights, which a test may damage; no other place is looked at."""
    monkeypatch.setenv("MICROPROP_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("MICROPROP_DATA", raising=False)
    monkeypatch.setattr(weights, "SHIPPED", tmp_path / "data")
    return Path(shutil.copytree(ROOT / "data" / "microvit", tmp_path / "data" / "microvit"))


def test_the_shipped_network_loads_without_a_network(shipped, monkeypatch):
    def connect(*_, **__):
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", connect)
    encoder, twin = (load_encoder("microvit", kind) for kind in ("pretrained", "random"))
    assert (encoder.title, twin.title) == ("MicroViT", "MicroViT (untrained)")
    assert encoder.fingerprint != twin.fingerprint
    assert all(torch.isfinite(p).all() for p in encoder.model.parameters())
    for size in ((49, 49), (7, 224), (154, 203)):
        images = torch.rand(3, 1, *size)
        assert encoder(images).shape == twin(images).shape == (3, 192)
    assert encoder.provenance()["source"] == "book"
    assert not (shipped.parents[1] / "cache").exists()


def test_the_shipped_folder_is_small_and_holds_nothing_else(shipped):
    assert {path.name for path in shipped.iterdir()} >= {*weights.SHIPPED_FILES, "manifest.json"}
    assert sum(path.stat().st_size for path in shipped.iterdir()) <= 12e6


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "manifest.json"])
def test_a_shipped_file_that_was_deleted_is_named(shipped, name):
    (shipped / name).unlink()
    with pytest.raises(DownloadError, match=rf"{name} is missing.*git checkout -- data/microvit"):
        load_encoder("microvit")
    load_encoder("microvit", "random")  # needs none of them


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
@pytest.mark.parametrize("damage", [lambda b: b[:-1] + b"?", lambda b: b[:100], lambda b: b""])
def test_a_shipped_file_that_was_changed_is_named(shipped, name, damage):
    (shipped / name).write_bytes(damage((shipped / name).read_bytes()))
    with pytest.raises(DownloadError, match=rf"(?s){name} .*hash.*manifest.*git checkout"):
        load_encoder("microvit")


def test_a_new_model_takes_the_place_of_the_shipped_one(shipped, tmp_path, results_folder):
    old = load_encoder("microvit").fingerprint
    new = networks.random_model(ENCODERS["microvit"].config, seed=1)
    new.half().save_pretrained(tmp_path / "model")
    log = pd.DataFrame({"step": [0, 50], "minutes": [0.0, 1.5], "images": [0, 99]})
    log.assign(r2_x=[0.1, None], loss=[None, 3.0]).to_csv(tmp_path / "log.csv", index=False)
    pretraining.main(["--ship", str(tmp_path)])
    encoder = load_encoder("microvit")
    assert old != encoder.fingerprint == networks.fingerprint_of(new)
    log = read_results("microvit/pretraining")
    assert log["curve"].tolist() == ["r2_x", "loss"]
    assert log.attrs["seconds"] == pytest.approx(90, abs=5)
    assert log.attrs["command"] == "python -m helpers.microvit.pretraining --minutes 2"


def test_no_other_network_is_shipped_as_microvit(shipped, tmp_path):
    with pytest.raises(ValueError, match="is no MicroViT: hidden_size is 32, expected 192"):
        pretraining.ship(save(tiny_dinov2(), tmp_path / "tiny" / "model").parent)
    changes = {
        "missing": lambda state: state.pop("layernorm.weight"),
        "surplus": lambda state: state.update(head=torch.ones(3)),
    }
    for kind, change in changes.items():
        folder = tmp_path / kind
        change_weights(shutil.copytree(shipped, folder / "model"), change)
        with pytest.raises(ValueError, match=f"1 {kind} weights"):
            pretraining.ship(folder)
    assert load_encoder("microvit").title == "MicroViT"
