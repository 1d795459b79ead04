import dataclasses
import doctest
import errno
import hashlib
import http.server
import json
import os
import re
import threading

import numpy as np
import pytest
import scipy.io

from helpers import datasets
from helpers.datasets import (
    PUBLISHED_TWO_PHASE,
    badge,
    load_two_phase,
    paper_results,
    save_two_phase,
)
from helpers.io import atomic, downloads
from helpers.io.atomic import atomic_write
from helpers.io.downloads import DownloadError, fetch, registry, verify
from helpers.synthetic.volumes import two_phase_volume


def git_blob(content):
    return "git-blob:" + hashlib.sha1(f"blob {len(content)}\0".encode() + content).hexdigest()


@pytest.fixture(scope="module")
def mat_content(tmp_path_factory):
    """A dataset.mat of the published form: nine volumes, samples along the last axis."""
    volumes = np.stack([two_phase_volume(1, i, size=7).volume for i in range(9)])
    path = tmp_path_factory.mktemp("mat") / "dataset.mat"
    flat = volumes.transpose(1, 2, 3, 0).reshape(-1, 9)
    scipy.io.savemat(path, {"data": flat, "label": np.linspace(3, 119, 9)}, do_compression=True)
    return path.read_bytes(), volumes


class Server(http.server.ThreadingHTTPServer):
    """Serves one file well, cut short, as an error, or breaking off in the middle."""

    content, mode, asked = b"", "good", 0


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked += 1
        content, mode = self.server.content, self.server.mode
        if mode == "error":
            self.send_error(503)
            return
        sent = content[: len(content) // 2] if mode in ("truncated", "interrupted") else content
        announced = len(content) if mode == "interrupted" else len(sent)
        self.send_response(200)
        self.send_header("Content-Length", str(announced))
        self.end_headers()
        self.wfile.write(sent)

    def log_message(self, *_):
        pass


@pytest.fixture
def published(tmp_path, monkeypatch, mat_content):
    """A local server in the place of the public one, with a registry that points to it."""
    server = Server(("127.0.0.1", 0), Handler)
    server.content = mat_content[0]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    entry = {
        "url": f"http://127.0.0.1:{server.server_port}/dataset.mat",
        "hash": git_blob(mat_content[0]),
        "size": len(mat_content[0]),
        "citation": "made by this test",
        "fixture": True,
    }
    (tmp_path / "registry.json").write_text(json.dumps({PUBLISHED_TWO_PHASE: entry}))
    monkeypatch.setenv("MICROPROP_REGISTRY", str(tmp_path / "registry.json"))
    monkeypatch.setenv("MICROPROP_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("MICROPROP_DATA", raising=False)
    yield server
    server.shutdown()
    server.server_close()


def files_below(folder):
    """Files that count: what an interrupted download has left begins with a dot."""
    return [p for p in folder.rglob("[!.]*") if p.is_file()]


@pytest.mark.parametrize("module", [datasets, downloads])
def test_examples_in_docstrings(module):
    result = doctest.testmod(module)
    assert result.attempted > 0
    assert result.failed == 0


def test_published_data_is_downloaded_once_and_converted(published, tmp_path, mat_content):
    data = load_two_phase("published")
    _, volumes = mat_content
    assert data.sections.shape == (9, 3, 7, 7)
    np.testing.assert_array_equal(data.sections[:, 0], volumes[:, 0])
    np.testing.assert_array_equal(data.sections[:, 1], volumes[:, :, 0])
    np.testing.assert_array_equal(data.sections[:, 2], volumes[:, :, :, 0])
    np.testing.assert_allclose(data.volume_fraction, volumes.mean((1, 2, 3)))
    np.testing.assert_allclose(data.modulus, np.linspace(3, 119, 9))
    assert data.modulus_kind == "Young's modulus"
    assert data.kind == "Test fixture, not the published set"
    assert data.notice == "9 two-phase volumes (made by this test)."
    load_two_phase("published")
    assert published.asked == 1


def test_labels_beyond_the_stiff_phase_are_confined_moduli(tmp_path, mat_content):
    arrays = {
        "sections": np.zeros((2, 3, 4, 4), np.uint8),
        "modulus": np.array([3.0, 161.5]),
        "volume_fraction": np.zeros(2),
    }
    save_two_phase(tmp_path / "a.npz", arrays)
    arrays = datasets._read_two_phase(tmp_path / "a.npz", "")
    assert arrays["modulus_kind"] == "confined modulus C11"


def test_a_local_copy_serves_instead(published, tmp_path, monkeypatch, mat_content):
    copy = tmp_path / "copy" / PUBLISHED_TWO_PHASE
    copy.parent.mkdir(parents=True)
    copy.write_bytes(mat_content[0])
    monkeypatch.setenv("MICROPROP_DATA", str(tmp_path / "copy"))
    assert fetch(PUBLISHED_TWO_PHASE) == copy
    copy.write_bytes(mat_content[0][:-1])
    with pytest.raises(DownloadError, match=r"dataset\.mat .*has the git-blob hash"):
        fetch(PUBLISHED_TWO_PHASE)
    assert published.asked == 0


@pytest.mark.parametrize(
    "mode, message",
    [
        ("error", "503"),
        ("truncated", "damaged, cut short or another version"),
        ("interrupted", r"could not download two_phase/dataset\.mat"),
    ],
)
def test_a_download_that_fails_leaves_no_file_that_counts(published, tmp_path, mode, message):
    published.mode = mode
    with pytest.raises(DownloadError, match=message) as error:
        fetch(PUBLISHED_TWO_PHASE)
    assert "MICROPROP_DATA" in str(error.value)  # what to do
    assert files_below(tmp_path / "cache") == []
    published.mode = "good"
    assert fetch(PUBLISHED_TWO_PHASE).is_file()


def test_another_content_of_the_same_length_is_refused(published, tmp_path, mat_content):
    published.content = bytes(reversed(mat_content[0]))
    with pytest.raises(DownloadError, match="damaged, cut short or another version"):
        fetch(PUBLISHED_TWO_PHASE)
    assert files_below(tmp_path / "cache") == []


def test_a_stopped_download_leaves_no_file_that_counts(published, tmp_path, monkeypatch):
    def stopped(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(downloads, "verify", stopped)
    with pytest.raises(KeyboardInterrupt):
        fetch(PUBLISHED_TWO_PHASE)
    assert files_below(tmp_path / "cache") == []


def test_a_full_disk_is_told_with_the_folder(published, tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(downloads, "progress_bar", full)
    with pytest.raises(DownloadError, match=r"(?s)No space left.*MICROPROP_CACHE"):
        fetch(PUBLISHED_TWO_PHASE)
    assert files_below(tmp_path / "cache") == []


def test_a_local_copy_that_is_not_there_is_told(published, tmp_path, monkeypatch):
    monkeypatch.setenv("MICROPROP_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(DownloadError, match=r"MICROPROP_DATA is '.*nowhere', which is no folder"):
        fetch(PUBLISHED_TWO_PHASE)
    assert published.asked == 0


def test_a_missing_registry_is_told(monkeypatch, tmp_path):
    monkeypatch.setenv("MICROPROP_REGISTRY", str(tmp_path / "none.json"))
    with pytest.raises(FileNotFoundError, match=r"none\.json"):
        registry()


def test_downloading_writes_nothing_to_stderr(published, capfd):
    """What a chapter writes there fails the build of the site."""
    fetch(PUBLISHED_TWO_PHASE)
    told = capfd.readouterr()
    assert told.err == ""
    assert "downloading two_phase/dataset.mat" in told.out


def test_no_server_is_a_clear_error(published, tmp_path):
    published.shutdown()
    published.server_close()
    with pytest.raises(DownloadError, match=r"could not download .*put it at"):
        fetch(PUBLISHED_TWO_PHASE)


def test_unknown_names_are_listed(published):
    with pytest.raises(KeyError, match=r"two_phase/dataset\.mat"):
        fetch("no such file")
    with pytest.raises(ValueError, match="source is 'publised'"):
        load_two_phase("publised")


def test_hashes_are_those_of_git_and_sha256(tmp_path):
    path = tmp_path / "hello"
    path.write_bytes(b"hello\n")
    verify(path, "git-blob:ce013625030ba8dba906f756967f9e9ca394464a")  # git hash-object
    verify(path, f"sha256:{hashlib.sha256(b'hello' + bytes([10])).hexdigest()}")
    with pytest.raises(DownloadError, match=r"none is missing"):
        verify(tmp_path / "none", "sha256:0")


def test_shipped_registry_names_hash_licence_and_citation(monkeypatch):
    monkeypatch.delenv("MICROPROP_REGISTRY", raising=False)
    for name, entry in registry().items():
        lacking = {"url", "hash", "size", "licence", "citation"} - set(entry)
        assert not lacking, f"data/registry.json, {name}: add {sorted(lacking)}, or null"
        # The hash of weights is taken from the hub, or recorded at the first download.
        form = r"sha256:[0-9a-f]{64}|git-blob:[0-9a-f]{40}"
        assert re.fullmatch(form, entry["hash"] or "") or name.startswith("encoders/"), name
        # What ships is not downloaded, and its manifest holds its hashes.
        assert entry.get("shipped") or str(entry["url"]).startswith("https://"), (
            f"data/registry.json, {name}: `url` is {entry['url']}; expected https://..."
        )
        assert "fixture" not in entry, name


@pytest.mark.parametrize("damage", ["empty", "truncated", "flipped", "other keys"])
def test_a_damaged_data_file_is_named(tmp_path, monkeypatch, damage):
    content = bytearray(datasets.EMBEDDED_TWO_PHASE.read_bytes())
    if damage == "truncated":
        content = content[: len(content) // 2]
    elif damage == "flipped":
        for i in range(2000, 4000):
            content[i] ^= 0xFF
    path = tmp_path / "two_phase.npz"
    path.write_bytes(b"" if damage == "empty" else content)
    if damage == "other keys":
        np.savez(path.open("wb"), a=1)
    monkeypatch.setattr(datasets, "EMBEDDED_TWO_PHASE", path)
    with pytest.raises(ValueError, match=r"two_phase\.npz is damaged .* make data"):
        load_two_phase()


def test_a_missing_data_file_says_how_to_make_it(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets, "EMBEDDED_TWO_PHASE", tmp_path / "two_phase.npz")
    with pytest.raises(FileNotFoundError, match=r"two_phase\.npz is missing: run `make data`"):
        load_two_phase()


def test_sections_survive_packing(tmp_path):
    rng = np.random.default_rng(0)
    arrays = {
        "sections": rng.integers(0, 2, (5, 3, 7, 9), dtype=np.uint8),
        "modulus": rng.random(5),
        "volume_fraction": rng.random(5),
    }
    save_two_phase(tmp_path / "a.npz", arrays, seed=4)
    read = datasets._read_two_phase(tmp_path / "a.npz", "")
    for name, values in arrays.items():
        np.testing.assert_array_equal(read[name], values)


def test_paper_results_name_their_place():
    table = paper_results()
    assert table["where"].str.contains("Section|Fig").all()
    stated = table.dropna(subset="value")
    assert not stated["where"].str.fullmatch(r"Fig\. \d\w?").any()  # none read off a figure


def test_a_folder_that_cannot_be_written_is_named(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(atomic.Path, "open", refuse)
    with (
        pytest.raises(PermissionError, match=r"could not write .*x\.npz \(Permission denied"),
        atomic_write(tmp_path / "x.npz"),
    ):
        pass


def test_a_write_that_breaks_off_leaves_the_old_file(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(b"old")

    def break_off():
        with atomic_write(path) as file:
            file.write(b"half of the n")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        break_off()

    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["x"]
    with atomic_write(path) as file:
        file.write(b"new")
    assert path.read_bytes() == b"new"


@pytest.mark.network
@pytest.mark.slow
def test_the_public_file_is_the_registered_one(monkeypatch, tmp_path):
    monkeypatch.setenv("MICROPROP_CACHE", str(tmp_path))
    assert load_two_phase("published").sections.shape == (5900, 3, 51, 51)


def test_the_first_volumes_are_those_of_the_whole_set():
    whole = load_two_phase("embedded")
    few = whole.first(3)
    np.testing.assert_array_equal(few.sections, whole.sections[:3])
    for name in ("modulus", "volume_fraction", "confined_modulus", "filter_widths"):
        np.testing.assert_array_equal(getattr(few, name), getattr(whole, name)[:3])
    assert few.notice == f"{whole.notice} Here: the first 3."
    for n in (0, 5901):
        with pytest.raises(ValueError, match=f"n is {n}: expected 1 to 5900 volumes"):
            whole.first(n)


# The badge


def test_a_badge_says_whose_data_and_networks_a_page_shows():
    data = load_two_phase("embedded").first(3)
    shown = badge(data, "MicroViT", note="Fitted by `a < b`.")
    page = shown._repr_html_()
    assert '<details class="data-badge">' in page
    assert ">Synthetic data, MicroViT</summary>" in page
    assert "Here: the first 3. Fitted by <code>a &lt; b</code>.</p>" in page
    assert repr(shown) == f"Synthetic data, MicroViT. {shown.note}"
    assert "Takeaways" not in page


def test_a_badge_counts_many_networks_and_lists_them_in_its_note():
    shown = badge(load_two_phase("embedded"), "CLIP B16", "SAM H", "MicroViT")
    assert shown.label == "Synthetic data, 3 networks"
    assert shown.note.endswith("Networks: CLIP B16, SAM H, MicroViT.")


def test_a_badge_of_other_data_says_what_takeaways_are_about(published):
    shown = badge(load_two_phase("published"), "DINOv2 B14")
    assert shown.label == "Test fixture, not the published set, DINOv2 B14"
    assert shown.note.endswith("written into the page describe its run on the synthetic data.")
    page = dataclasses.replace(shown, kind="Published data")._repr_html_()
    colours = [re.search("background: (#[0-9a-f]+)", p)[1] for p in (page, shown._repr_html_())]
    assert len({*colours, re.search("#[0-9a-f]+", badge("Synthetic data")._repr_html_())[0]}) == 3


def test_a_badge_of_own_data_is_named_in_words_and_safe():
    shown = badge("Your micrographs", "<b>net</b>", note="Read on Monday.")
    assert shown.note == "Read on Monday."
    assert "Your micrographs, &lt;b&gt;net&lt;/b&gt;" in shown._repr_html_()
