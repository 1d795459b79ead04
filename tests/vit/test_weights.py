"""Weights come from a local server that speaks like the Hugging Face hub."""

import dataclasses
import hashlib
import http.server
import json
import re
import threading
import urllib.parse

import pytest
import torch
from small_networks import SMALL, save, tiny_dinov2, torchvision_state

from helpers import encoders
from helpers.encoders import ENCODERS, load_encoder
from helpers.io.downloads import DownloadError
from helpers.own import cli, doctor
from helpers.vit.weights import fetch_weights, how_to_get, read_manifest, weights_at_hand

COMMIT = "c0ffee" + "0" * 34
HUB_ID = "someone/small-dinov2"


def git_blob(content):
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


class Hub(http.server.BaseHTTPRequestHandler):
    """Model info, and files of one repository."""

    def do_HEAD(self):
        self.answer(body=False)

    def do_GET(self):
        self.answer(body=True)

    def answer(self, body):
        server, path = self.server, urllib.parse.unquote(urllib.parse.urlparse(self.path).path)
        server.asked.append(path)
        if path.startswith(f"/api/models/{HUB_ID}/tree/"):
            tree = [
                {"type": "file", "path": f["rfilename"], "size": f["size"], "oid": f["blobId"]}
                for f in server.siblings()
            ]
            return self.send(json.dumps(tree).encode(), body)
        if path.startswith(f"/api/models/{HUB_ID}"):
            revision = path.rpartition("/revision/")[2] if "/revision/" in path else "main"
            if revision not in ("main", server.commit):
                return self.send_error(404)
            info = {"id": HUB_ID, "modelId": HUB_ID, "sha": server.commit}
            return self.send(json.dumps({**info, "siblings": server.siblings()}).encode(), body)
        name = path.rpartition("/")[2]
        content = server.files.get(name)
        if content is None or f"/resolve/{server.commit}/" not in path:
            return self.send_error(404)
        etag = hashlib.sha256(content).hexdigest()
        if body and name in server.broken:
            content = content[:-1] + b"\0"
        self.send(content, body, {"ETag": f'"{etag}"', "X-Repo-Commit": server.commit})

    def send(self, content, body, headers=()):
        self.send_response(200)
        for name, value in dict(headers).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if body:
            self.wfile.write(content)

    def log_message(self, *_):
        pass


class HubServer(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def siblings(self):
        large = {"lfs": {"sha256": "", "size": 0, "pointerSize": 0}}
        return [
            {
                "rfilename": name,
                "size": len(content),
                "blobId": git_blob(content),
                **(
                    {
                        "lfs": {
                            **large["lfs"],
                            "sha256": hashlib.sha256(content).hexdigest(),
                            "size": len(content),
                        }
                    }
                    if name.endswith(("safetensors", "bin"))
                    else {}
                ),
            }
            for name, content in self.files.items()
        ]


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A hub with one small DINOv2, which the table of encoders knows as ``small``."""
    folder = save(tiny_dinov2(), tmp_path / "published")
    server = HubServer(("127.0.0.1", 0), Hub)
    server.files = {path.name: path.read_bytes() for path in folder.iterdir()}
    server.files |= {"README.md": b"read me", "flax_model.msgpack": b"x" * 1000}
    server.asked, server.broken, server.commit = [], set(), COMMIT
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("MICROPROP_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("MICROPROP_DATA", raising=False)
    entry = dataclasses.replace(
        ENCODERS["dinov2-s14"],
        name="small",
        title="Small",
        hub_id=HUB_ID,
        url=f"http://127.0.0.1:{server.server_port}/{HUB_ID}",
        size=123_000_000,
        n_features=32,
        config={"model_type": "dinov2", **SMALL, "image_size": 70},
        fixture=True,
    )
    monkeypatch.setattr(encoders, "ENCODERS", {**ENCODERS, "small": entry})
    server.entry = entry
    yield server
    server.shutdown()
    server.server_close()


def downloads(server):
    return [path for path in server.asked if "/resolve/" in path]


def test_weights_are_downloaded_once_and_recorded(hub, tmp_path, capfd):
    encoder = load_encoder("small")
    assert encoder(torch.rand(1, 3, 42, 42)).shape == (1, 32)
    assert encoder.revision == COMMIT
    assert encoder.provenance()["revision"] == COMMIT
    folder = tmp_path / "cache" / "encoders" / "small"
    manifest = read_manifest(folder)
    assert manifest["revision"] == COMMIT
    assert set(manifest["files"]) == {"config.json", "model.safetensors"}
    assert not any("msgpack" in path or "README" in path for path in downloads(hub))
    printed = capfd.readouterr()
    assert "downloading Small: 123 MB from http" in printed.out
    assert printed.err == ""
    before = len(hub.asked)
    assert load_encoder("small").fingerprint == encoder.fingerprint
    assert len(hub.asked) == before


def test_the_first_revision_is_held_to(hub):
    load_encoder("small")
    hub.commit = "beef" + "0" * 36
    assert load_encoder("small").revision == COMMIT


def test_an_interrupted_download_goes_on_with_the_revision_it_began_with(hub, tmp_path):
    hub.broken = {"model.safetensors"}
    with pytest.raises(DownloadError, match="not on this machine and could not be downloaded"):
        fetch_weights(hub.entry)
    assert weights_at_hand(hub.entry) is None
    assert read_manifest(tmp_path / "cache" / "encoders" / "small")["revision"] == COMMIT
    hub.broken = set()
    assert fetch_weights(hub.entry) == weights_at_hand(hub.entry)


def test_a_pinned_revision_is_asked_for(hub):
    pinned = dataclasses.replace(hub.entry, revision="dead" + "0" * 36)
    with pytest.raises(DownloadError, match="could not be downloaded"):
        fetch_weights(pinned)
    right = dataclasses.replace(hub.entry, revision=COMMIT)
    assert fetch_weights(right) == weights_at_hand(right)
    assert weights_at_hand(pinned) is None


def test_plain_weights_serve_where_there_are_no_safetensors(hub, tmp_path):
    from safetensors.torch import load

    state = load(hub.files.pop("model.safetensors"))
    torch.save(state, tmp_path / "pytorch_model.bin")
    hub.files["pytorch_model.bin"] = (tmp_path / "pytorch_model.bin").read_bytes()
    assert load_encoder("small").n_features == 32


def test_a_repository_without_weights_is_told(hub):
    del hub.files["model.safetensors"]
    with pytest.raises(DownloadError, match="holds no weights that can be loaded, only"):
        fetch_weights(hub.entry)


def test_a_changed_file_is_refused(hub):
    folder = fetch_weights(hub.entry)
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"\0")
    told = r"model\.safetensors .* has the sha256 hash .* deleted, `microprop fetch small`"
    with pytest.raises(DownloadError, match=told):
        load_encoder("small")
    path.unlink()
    before = len(downloads(hub))
    load_encoder("small")  # fetches this file again, and no other
    assert {path.rpartition("/")[2] for path in downloads(hub)[before:]} == {"model.safetensors"}


def test_without_a_network_the_command_and_the_size_are_told(hub, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(DownloadError) as caught:
        load_encoder("small")
    for part in ("microprop fetch small", "123 MB", "MICROPROP_DATA"):
        assert part in str(caught.value)


def test_a_damaged_manifest_is_told(hub, tmp_path):
    folder = fetch_weights(hub.entry)
    (folder / "manifest.json").write_text("{")
    with pytest.raises(DownloadError, match=r"manifest\.json is damaged"):
        fetch_weights(hub.entry)


# Weights at a plain address, without a published hash


@pytest.fixture
def micronet(tmp_path, monkeypatch):
    torch.save(torchvision_state(), tmp_path / "micronet.pth.tar")

    class Handler(Hub):
        def answer(self, body):
            self.server.asked.append(self.path)
            self.send((tmp_path / "micronet.pth.tar").read_bytes(), body)

    server = HubServer(("127.0.0.1", 0), Handler)
    server.asked = []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/micronet.pth.tar"
    server.entry = dataclasses.replace(ENCODERS["micronet-resnet50"], url=url)
    monkeypatch.setattr(encoders, "ENCODERS", {"micronet-resnet50": server.entry})
    monkeypatch.setenv("MICROPROP_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("MICROPROP_DATA", raising=False)
    yield server
    server.shutdown()
    server.server_close()


def test_the_hash_of_the_first_download_is_recorded_and_held_to(micronet, tmp_path):
    assert load_encoder("micronet-resnet50").n_features == 2048
    folder = tmp_path / "cache" / "encoders" / "micronet-resnet50"
    content = (tmp_path / "micronet.pth.tar").read_bytes()
    recorded = f"sha256:{hashlib.sha256(content).hexdigest()}"
    assert read_manifest(folder)["files"] == {"micronet.pth.tar": recorded}
    load_encoder("micronet-resnet50")
    assert len(micronet.asked) == 1
    (folder / "micronet.pth.tar").write_bytes(content + b"?")
    with pytest.raises(DownloadError, match="has the sha256 hash"):
        load_encoder("micronet-resnet50")


# The command


def test_the_command_lists_and_fetches(hub, capsys, monkeypatch):
    monkeypatch.setattr(doctor, "ENCODERS", encoders.ENCODERS)
    assert cli.main(["doctor"]) == 0
    assert re.search(r"Small \(small\) +not here, 123\.0 MB\n", capsys.readouterr().out)
    assert cli.main(["fetch", "small", "--yes"]) == 0
    assert cli.main(["doctor"]) == 0
    assert re.search(r"Small \(small\) +here, 123\.0 MB\n", capsys.readouterr().out)
    assert cli.main(["fetch", "smal", "--yes"]) == 1
    assert "'smal' is neither an encoder (clip-b16" in capsys.readouterr().err


def test_the_command_fetches_the_rest_where_one_cannot_be_had(hub, capsys, monkeypatch):
    broken = dataclasses.replace(hub.entry, name="broken", hub_id="no/where")
    monkeypatch.setattr(doctor, "ENCODERS", {"broken": broken, "small": hub.entry})
    assert cli.main(["fetch", "broken", "small", "--yes"]) == 1
    assert "the weights of broken are not on this machine" in capsys.readouterr().err
    assert downloads(hub)


def test_every_encoder_says_how_to_get_it():
    for entry in ENCODERS.values():
        download = f"`microprop fetch {entry.name}` downloads them"
        restore = f"`git checkout -- data/{entry.shipped}` restores them"
        assert (restore if entry.shipped else download) in how_to_get(entry)
