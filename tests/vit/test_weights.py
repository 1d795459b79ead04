"""Weights come from a local server that speaks like the Hugging Face hub."""

import dataclasses
import hashlib
import http.server
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.parse

import pytest
import torch
from small_networks import SMALL, save, tiny_dinov2, torchvision_state

from bookbuild.chapters import ROOT
from helpers import UserError, encoders
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
        server.ranges.append(self.headers.get("Range"))
        token = self.headers.get("Authorization")
        private = server.private and "/resolve/" in path
        if token not in (None, server.token) or (private and token is None):
            return self.send_error(401)
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
        start = int((self.headers.get("Range") or "bytes=0-")[6:-1])
        self.send_response(206 if start else 200)
        if start:
            span = f"bytes {start}-{len(content) - 1}/{len(content)}"
            self.send_header("Content-Range", span)
        for name, value in dict(headers).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        if body:
            cut = self.server.stall_at
            self.wfile.write(content[start : cut or None])
            if cut and len(content) > cut:
                self.wfile.flush()
                time.sleep(60)

    def log_message(self, *_):
        pass


class HubServer(http.server.ThreadingHTTPServer):
    daemon_threads = True
    token, private, stall_at = "Bearer hf_right", False, None

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.asked, self.ranges = [], []

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
    server.broken, server.commit = set(), COMMIT
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("MICROPROP_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("MICROPROP_DATA", raising=False)
    monkeypatch.setenv("HF_TOKEN_PATH", str(tmp_path / "no token"))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    entry = dataclasses.replace(
        ENCODERS["dinov2-s14"],
        name="small",
        title="Small",
        hub_id=HUB_ID,
        url=f"https://hub.example/{HUB_ID}",
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
    mirror = f"http://127.0.0.1:{hub.server_port}/{HUB_ID}"  # which is really asked
    assert f"downloading Small: 123 MB from {mirror}\n" in printed.out
    assert f"from {mirror})" in how_to_get(hub.entry)
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


@pytest.mark.parametrize("damage", ["changed", "gone"])
def test_a_file_that_is_changed_or_gone_is_fetched_again_and_no_other(hub, capsys, damage):
    folder = fetch_weights(hub.entry)
    path = folder / "model.safetensors"
    right = path.read_bytes()
    path.write_bytes(right[:-1] + b"\0") if damage == "changed" else path.unlink()
    before = len(downloads(hub))
    assert load_encoder("small").n_features == 32
    assert {path.rpartition("/")[2] for path in downloads(hub)[before:]} == {"model.safetensors"}
    assert path.read_bytes() == right
    told = rf"{path} .* has the sha256 hash .*put aside as {path}\.wrong"
    assert bool(re.search(told, capsys.readouterr().out)) == (damage == "changed")
    assert path.with_name("model.safetensors.wrong").exists() == (damage == "changed")


def test_a_changed_file_of_a_local_copy_is_refused(hub, tmp_path, monkeypatch):
    copy = tmp_path / "local" / "encoders" / "small"
    shutil.copytree(fetch_weights(hub.entry), copy)
    monkeypatch.setenv("MICROPROP_DATA", str(tmp_path / "local"))
    (copy / "model.safetensors").write_bytes(b"?")
    told = r"model\.safetensors .* but manifest\.json has .*deleted, `microprop fetch small`"
    with pytest.raises(DownloadError, match=told):
        load_encoder("small")


def test_weights_are_at_hand_once_they_have_loaded(hub, tmp_path):
    """The hub has, whole and with the right hash, another network than the registry says."""
    other = dataclasses.replace(hub.entry, config={**hub.entry.config, "hidden_act": "relu"})
    for _ in range(2):
        with pytest.raises(DownloadError, match=r"hidden_act is gelu, expected relu.*begin anew"):
            fetch_weights(other)
    assert weights_at_hand(other) is None
    assert len(downloads(hub)) == 2  # both files once: a second download would be the same
    assert fetch_weights(hub.entry) == weights_at_hand(hub.entry)
    assert len(downloads(hub)) == 2


def test_a_cache_that_cannot_be_written_is_told(hub, tmp_path, monkeypatch):
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("MICROPROP_CACHE", str(tmp_path / "file"))
    with pytest.raises(DownloadError, match=r"file.*could not write .*choose a folder"):
        fetch_weights(hub.entry)


def test_too_little_space_is_told_before_the_first_byte_of_a_file(hub, tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)._replace(free=10_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(
        DownloadError, match=r"are needed, and the disk of .*small has 0\.0 MB free"
    ):
        fetch_weights(hub.entry)
    assert not list((tmp_path / "cache").rglob("*model.safetensors*part*"))


@pytest.mark.parametrize("token", ["hf_wrong", "hf_\u00e9"])
def test_with_a_bad_token_public_files_are_had_without(hub, monkeypatch, capsys, token):
    monkeypatch.setenv("HF_TOKEN", token)
    assert load_encoder("small").n_features == 32
    assert (
        "the token in HF_TOKEN or of `hf auth login` is refused: going on without"
        in capsys.readouterr().out
    )


def test_a_good_token_goes_with_the_files_and_access_is_asked_for_without(hub, monkeypatch):
    hub.private = True
    told = rf"401 .*ask for access at {hub.entry.url}, then put a token .* HF_TOKEN"
    with pytest.raises(DownloadError, match=told):
        fetch_weights(hub.entry)
    monkeypatch.setenv("HF_TOKEN", "hf_right")
    assert load_encoder("small").n_features == 32


def start_fetch(hub, tmp_path, stall_at):
    """``microprop fetch small`` in a process of its own, stopped in the midst of the weights."""
    row = dataclasses.asdict(hub.entry)
    row = {k: v for k, v in row.items() if k not in ("name", "folder")}
    (tmp_path / "registry.json").write_text(json.dumps({"encoders/small": row}))
    hub.stall_at = stall_at
    process = subprocess.Popen(
        [sys.executable, "-m", "helpers", "fetch", "small", "--yes"],
        cwd=ROOT,
        env={**os.environ, "MICROPROP_REGISTRY": str(tmp_path / "registry.json")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    part = tmp_path / "cache" / "encoders" / "small" / ".model.safetensors.part"
    while not (part.exists() and part.stat().st_size > stall_at - 2**15):
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.05)
    return process, part


@pytest.mark.slow
def test_an_interrupted_or_killed_download_goes_on(hub, tmp_path):
    process, part = start_fetch(hub, tmp_path, 60_000)
    process.send_signal(signal.SIGINT)
    since = time.monotonic()
    told = process.communicate(timeout=10)[1]
    assert time.monotonic() - since < 5  # the server would keep it waiting for a minute
    assert process.returncode == 130
    assert "Interrupted: the same command goes on from here." in told
    assert "Traceback" not in told
    kept = part.stat().st_size
    process, part = start_fetch(hub, tmp_path, 120_000)
    process.kill()
    process.communicate()
    assert part.stat().st_size > kept
    hub.stall_at, again = None, part.stat().st_size
    folder = fetch_weights(hub.entry)
    assert [r for r in hub.ranges if r] == [f"bytes={kept}-", f"bytes={again}-"]
    assert (folder / "model.safetensors").read_bytes() == hub.files["model.safetensors"]
    assert not list(folder.glob(".*"))


def test_what_killed_downloads_left_is_removed(hub, tmp_path):
    folder = tmp_path / "cache" / "encoders" / "small"
    (folder / ".cache" / "huggingface").mkdir(parents=True)
    left = [folder / ".cache" / "huggingface" / "a.incomplete", folder / ".old.pth.tar.part"]
    for path in left:
        path.write_bytes(b"begun")
    fetch_weights(hub.entry)
    assert {p.name for p in folder.iterdir()} == {
        "config.json",
        "model.safetensors",
        "manifest.json",
    }


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
            self.send(self.server.page or (tmp_path / "micronet.pth.tar").read_bytes(), body)

    server = HubServer(("127.0.0.1", 0), Handler)
    server.page = None
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
    load_encoder("micronet-resnet50")
    assert len(micronet.asked) == 2
    assert (folder / "micronet.pth.tar").read_bytes() == content
    assert (folder / "micronet.pth.tar.wrong").read_bytes() == content + b"?"


@pytest.mark.parametrize("known", ["reported", "recorded"])
def test_a_file_with_another_hash_than_known_is_told_and_kept(micronet, tmp_path, capsys, known):
    first = "sha256:" + hashlib.sha256((tmp_path / "micronet.pth.tar").read_bytes()).hexdigest()
    entry = dataclasses.replace(micronet.entry, reported_hash=first)
    if known == "recorded":
        fetch_weights(micronet.entry)
        (tmp_path / "cache" / "encoders" / entry.name / "micronet.pth.tar").unlink()
        entry = dataclasses.replace(entry, reported_hash=None)
    torch.save(torchvision_state(seed=1), tmp_path / "micronet.pth.tar")
    capsys.readouterr()
    folder = fetch_weights(entry)
    assert f"where {first} was known" in capsys.readouterr().out
    assert fetch_weights(entry) == folder
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("page", [b"<html>log in first</html>", b"<html>" + bytes(100_000_000)])
def test_a_page_in_the_place_of_weights_is_refused_and_put_aside(micronet, tmp_path, capsys, page):
    """It comes with 200, and nobody states a hash: it has another length, or does not load."""
    micronet.page = page
    folder = tmp_path / "cache" / "encoders" / "micronet-resnet50"
    reason = "has 25 bytes, expected about 102,546,991" if len(page) < 99 else "are damaged"
    told = rf"{folder}.* {reason}.*`microprop fetch micronet-resnet50` downloads it again"
    with pytest.raises(UserError, match=f"(?s){told}"):
        load_encoder("micronet-resnet50")
    assert weights_at_hand(micronet.entry) is None
    assert f"put aside as {folder / 'micronet.pth.tar'}.wrong" in capsys.readouterr().out
    micronet.page = None
    assert load_encoder("micronet-resnet50").n_features == 2048
    # What is known of the page says nothing of the weights.
    assert hashlib.sha256(page).hexdigest() not in capsys.readouterr().out
    assert weights_at_hand(micronet.entry) == folder


def test_the_published_addresses_of_micronet():
    """Version 1.1 exists of the plain one alone, by the rule of NASA's own loader."""
    names = {n: ENCODERS[n].url.rpartition("/")[2] for n in ENCODERS if "micronet" in n}
    assert names == {
        "micronet-resnet50": "resnet50_pretrained_microscopynet_v1.1.pth.tar",
        "imagenet-micronet-resnet50": "resnet50_pretrained_imagenet-microscopynet_v1.0.pth.tar",
    }


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
