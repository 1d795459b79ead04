"""Archives come from a local server that can serve them well, in pieces, or badly."""

import contextlib
import errno
import hashlib
import http.server
import io
import json
import re
import shutil
import subprocess
import sys
import threading
import warnings
import zipfile

import numpy as np
import pytest
from tqdm import tqdm

from bookbuild.chapters import ROOT
from helpers.io import downloads
from helpers.io.downloads import DownloadError, fetch

TOP, INNER = "Repo-89ddf9c", "case"
NOISE = np.random.default_rng(0).bytes(300_000)  # does not compress
FILES = {"data.csv": b"a,b\n1,2\n", "Images/one.bin": NOISE, "Images/two.bin": b"2" * 1000}


def zipped(files, method=zipfile.ZIP_DEFLATED):
    """An archive of full member names, or of `ZipInfo`, and their contents."""
    file = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(file, "w", method) as archive:
        warnings.simplefilter("ignore")  # one test wants a name twice
        for name, content in files.items():
            archive.writestr(name, content)
    return file.getvalue()


def published(changes=()):
    """The members of a good archive, as GitHub lays it out, with some changed; None: left out."""
    members = {f"{TOP}/README.md": b"read me", f"{TOP}/{INNER}/not listed.txt": b"x"}
    members |= {f"{TOP}/data.csv": b"not this one"}
    members |= {f"{TOP}/{INNER}/{name}": content for name, content in FILES.items()}
    members |= dict(changes)
    return {name: content for name, content in members.items() if content is not None}


CUT = zipped(published())[:-200]


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    content, mode, tag, ranges = zipped(published()), "good", '"v1"', True
    cut = None  # break off after this many bytes of an answer


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        server = self.server
        server.asked.append(dict(self.headers))
        if server.mode == "503":
            return self.send_error(503)
        content, start = server.content, 0
        match = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if match and server.ranges and self.headers.get("If-Range") == server.tag:
            start = int(match[1])
            if start >= len(content):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(content)}")
                self.send_header("Content-Length", "0")
                return self.end_headers()
        self.send_response(206 if start else 200)
        if start:
            span = f"{start + (server.mode == 'shifted')}-{len(content) - 1}/{len(content)}"
            self.send_header("Content-Range", f"bytes {span}")
        if server.tag:
            self.send_header("ETag", server.tag)
        if server.mode != "no length":
            self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        sent = content[start:][: server.cut]
        server.sent.append(len(sent))
        self.wfile.write(sent)

    def log_message(self, *_):
        pass


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A local server in the place of the public one, with a registry that points to it."""
    server = Server(("127.0.0.1", 0), Handler)
    server.asked, server.sent = [], []
    threading.Thread(target=server.serve_forever, args=[0.02], daemon=True).start()
    lines = [f"{hashlib.sha256(c).hexdigest()}  {name}\n" for name, c in FILES.items()]
    (tmp_path / "set.sha256").write_text("".join(lines))
    entry = {
        "url": f"http://127.0.0.1:{server.server_port}/archive.zip",
        "folder": INNER,
        "hashes": "set.sha256",
        "hash": f"sha256:{hashlib.sha256((tmp_path / 'set.sha256').read_bytes()).hexdigest()}",
        "citation": "made by this test",
    }
    (tmp_path / "registry.json").write_text(json.dumps({"set": entry}))
    monkeypatch.setenv("MICROPROP_REGISTRY", str(tmp_path / "registry.json"))
    monkeypatch.setenv("MICROPROP_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("MICROPROP_DATA", raising=False)
    yield server
    server.shutdown()
    server.server_close()


def files_below(folder):
    """Name -> content of every file, but for the lock."""
    files = {p.relative_to(folder).as_posix(): p for p in folder.rglob("*") if p.is_file()}
    return {name: p.read_bytes() for name, p in files.items() if not name.endswith(".lock")}


def part_of(tmp_path):
    (part,) = (tmp_path / "cache").glob(".*.part")
    return part.stat().st_size


# Good transfers


def test_only_the_listed_files_come_out_and_only_once(server, tmp_path, capfd):
    folder = fetch("set")
    digest = hashlib.sha256((tmp_path / "set.sha256").read_bytes()).hexdigest()
    assert folder == tmp_path / "cache" / f"set-{digest[:12]}"
    assert files_below(tmp_path / "cache") == {f"{folder.name}/{n}": c for n, c in FILES.items()}
    told = capfd.readouterr()
    assert told.err == ""  # what a chapter writes there fails the build of the site
    assert told.out == f"downloading set from http://127.0.0.1:{server.server_port}/archive.zip\n"
    assert fetch("set") == folder
    assert len(server.asked) == 1
    assert capfd.readouterr().out == ""


def test_a_terminal_shows_bars(server, monkeypatch, capfd):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    fetch("set")
    told = capfd.readouterr().err
    assert re.search(r"set: 100%.*B/s", told)
    assert re.search(r"unpacking: 100%.*3/3", told)


def test_a_server_that_tells_no_length(server):
    server.mode, server.tag = "no length", None
    assert files_below(fetch("set")) == FILES


def test_a_file_that_is_gone_or_changed_is_fetched_again_and_no_other(server):
    folder = fetch("set")
    (folder / "Images" / "one.bin").write_bytes(b"changed")
    (folder / "data.csv").unlink()
    kept = (folder / "Images" / "two.bin").stat().st_mtime_ns
    assert files_below(fetch("set")) == FILES
    assert (folder / "Images" / "two.bin").stat().st_mtime_ns == kept


def test_two_processes_may_fetch_at_once(server):
    code = "from helpers.io.downloads import fetch; fetch('set')"
    two = [
        subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stderr=subprocess.PIPE)
        for _ in range(2)
    ]
    for process in two:
        assert process.communicate(timeout=120) == (None, b"")
        assert process.returncode == 0
    assert files_below(fetch("set")) == FILES
    assert server.sent == [len(server.content)]


# Transfers that are cut


def test_a_cut_transfer_goes_on_where_it_was_cut(server, tmp_path):
    server.cut = 100_000
    with pytest.raises(
        DownloadError, match=r"could not download set .* Try again \(what is there"
    ):
        fetch("set")
    kept = part_of(tmp_path)
    assert 100_000 - downloads.BLOCK <= kept <= 100_000
    server.cut = None
    assert files_below(fetch("set")) == FILES
    assert server.asked[1]["Range"] == f"bytes={kept}-"
    assert server.asked[1]["If-Range"] == '"v1"'
    assert server.asked[1]["Accept-Encoding"] == "identity"
    assert server.sent[1] == len(server.content) - kept
    assert not list((tmp_path / "cache").glob(".*.part"))


def test_it_may_be_cut_again_and_again(server):
    server.cut, done = 70_000, False
    while not done:
        assert len(server.asked) < 10
        with contextlib.suppress(DownloadError):
            done = files_below(fetch("set")) == FILES
    assert len(server.asked) > 4
    assert sum(server.sent) < len(server.content) + len(server.sent) * downloads.BLOCK


@pytest.mark.parametrize("ranges, tag", [(False, '"v1"'), (True, None), (True, 'W/"v1"')])
def test_a_transfer_begins_anew_where_the_server_cannot_go_on(server, tmp_path, ranges, tag):
    server.ranges, server.tag, server.cut = ranges, tag, 100_000
    with pytest.raises(DownloadError, match="could not download set"):
        fetch("set")
    server.cut = None
    assert files_below(fetch("set")) == FILES
    assert ("Range" in server.asked[1]) == (tag == '"v1"')
    assert server.sent[1] == len(server.content)


@pytest.mark.parametrize("change", ["another version", "shifted", "longer than the whole"])
def test_what_was_kept_is_dropped_where_it_does_not_fit(server, tmp_path, change):
    server.cut = 100_000
    with pytest.raises(DownloadError):
        fetch("set")
    server.cut = None
    if change == "another version":
        server.tag = '"v2"'
        server.content = zipped(published(), zipfile.ZIP_STORED)
    elif change == "shifted":
        server.mode = "shifted"
    else:
        (part,) = (tmp_path / "cache").glob(".*.part")
        part.write_bytes(bytes(len(server.content) + 1))
    assert files_below(fetch("set")) == FILES
    assert len(server.content) in server.sent[1:]  # the threads of two answers may overtake


def test_a_server_that_refuses_or_is_not_there_is_told(server, tmp_path):
    server.mode = "503"
    with pytest.raises(
        DownloadError, match=r"503 .*MICROPROP_CACHE.*set in a folder .*MICROPROP_DATA"
    ):
        fetch("set")
    server.shutdown()
    server.server_close()
    with pytest.raises(
        DownloadError, match=f"could not download set .* from .*{server.server_port}"
    ):
        fetch("set")
    assert files_below(tmp_path / "cache") == {}


def test_a_refusal_does_not_cost_what_was_kept(server, tmp_path):
    server.cut = 100_000
    with pytest.raises(DownloadError):
        fetch("set")
    kept = part_of(tmp_path)
    server.mode = "503"
    with pytest.raises(DownloadError, match="503"):
        fetch("set")
    assert part_of(tmp_path) == kept


def test_too_little_space_is_told_before_the_first_byte(server, tmp_path, monkeypatch):
    size = len(server.content)
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=size - 1))
    told = rf"could not download set .* {size / 1e6:.1f} MB are needed, .*MICROPROP_CACHE"
    with pytest.raises(DownloadError, match=told):
        fetch("set")
    assert files_below(tmp_path / "cache") == {}
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=size))
    server.cut = 100_000
    with pytest.raises(DownloadError, match=r"transfer was cut|Connection broken"):
        fetch("set")
    server.cut = None
    # What is there of it need not be found room for again.
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=size - 50_000))
    assert files_below(fetch("set")) == FILES


# Archives that are not the published one


def link(name, target):
    member = zipfile.ZipInfo(name)
    member.external_attr = 0o120777 << 16
    return {member: target}


NOT_LISTED = {
    "climbs": {f"{TOP}/{INNER}/../../../../gone.txt": b"x"},
    "climbs first": {"../gone.txt": b"x"},
    "absolute": {"/tmp/gone.txt": b"x"},
    "drive": {"C:/gone.txt": b"x"},
    "backslashes": {f"{TOP}\\..\\gone.txt": b"x"},
    "link": link(f"{TOP}/{INNER}/Images", b"/tmp"),
}


@pytest.mark.parametrize("bad", NOT_LISTED)
def test_a_member_that_is_not_listed_leads_nowhere(server, tmp_path, bad):
    server.content = zipped(NOT_LISTED[bad] | published())
    before = {*tmp_path.parent.iterdir(), *tmp_path.iterdir()}
    folder = fetch("set")
    assert files_below(tmp_path / "cache") == {f"{folder.name}/{n}": c for n, c in FILES.items()}
    assert {*tmp_path.parent.iterdir(), *tmp_path.iterdir()} - before == {tmp_path / "cache"}


BAD_MEMBERS = {
    "link that is listed": (
        link(f"{TOP}/{INNER}/data.csv", b"/etc/passwd"),
        r"its data\.csv has sha256:",
    ),
    "missing": ({f"{TOP}/{INNER}/Images/one.bin": None}, r"lacks case/Images/one\.bin \(1 such"),
    "changed": (
        {f"{TOP}/{INNER}/Images/one.bin": NOISE[::-1]},
        r"its Images/one\.bin has sha256:\w+ but the list has sha256:\w+",
    ),
    "bomb": ({f"{TOP}/{INNER}/Images/one.bin": bytes(2_000_000)}, "unpacks to more than 1000000"),
}


@pytest.mark.parametrize("bad", BAD_MEMBERS)
def test_an_archive_with_a_bad_member_is_refused_and_deleted(server, tmp_path, monkeypatch, bad):
    changes, message = BAD_MEMBERS[bad]
    monkeypatch.setattr(downloads, "MAX_MEMBER", 1_000_000)
    server.content = zipped(published(changes))
    before = {*tmp_path.parent.iterdir(), *tmp_path.iterdir()}
    with pytest.raises(DownloadError, match=message) as error:
        fetch("set")
    assert "not the published one, and was deleted" in str(error.value)
    written = files_below(tmp_path / "cache")
    allowed = {"data.csv"} if bad in ("changed", "bomb") else set()  # stood before, and right
    assert {name.partition("/")[2] for name in written} == allowed
    assert {*tmp_path.parent.iterdir(), *tmp_path.iterdir()} - before == {tmp_path / "cache"}
    server.content = zipped(published())
    assert files_below(fetch("set")) == FILES
    assert len(server.asked) == 2
    assert "Range" not in server.asked[1]


def test_a_bomb_with_a_false_size_is_refused(server, tmp_path, monkeypatch):
    name = f"{TOP}/{INNER}/Images/two.bin"
    content = zipped(published({name: bytes(50_000_000)}))
    size = (50_000_000).to_bytes(4, "little")
    assert content.count(size) == 2  # in both headers of the member
    server.content = content.replace(size, (1000).to_bytes(4, "little"))
    with pytest.raises(DownloadError, match="archive is damaged"):
        fetch("set")
    assert "Images/two.bin" not in str(files_below(tmp_path / "cache").keys())


@pytest.mark.parametrize("content", [b"", b"<html>log in first</html>", CUT])
def test_what_is_no_whole_archive_is_deleted(server, tmp_path, content):
    """Where a server tells no length, a cut transfer looks like a whole one."""
    server.mode, server.tag = "no length", None
    server.content = content
    with pytest.raises(DownloadError, match=r"archive is damaged .*deleted: File is not a zip"):
        fetch("set")
    assert files_below(tmp_path / "cache") == {}


def test_damage_anywhere_is_a_clear_error_and_leaves_no_archive(server, tmp_path):
    good, rng, refused = zipped(published()), np.random.default_rng(1), 0
    places = [*range(-600, -1, 7), *rng.integers(len(good), size=20)]
    for place in places:  # the directory at the end above all
        damaged = bytearray(good)
        damaged[place] ^= 1 << rng.integers(8)
        server.content = bytes(damaged)
        try:
            folder = fetch("set")
        except DownloadError:
            refused += 1
        else:
            assert files_below(folder) == FILES
        assert not list((tmp_path / "cache").glob(".*.zip"))
        for path in (tmp_path / "cache").rglob("*.*"):
            if path.is_file():
                path.unlink()
    assert refused > len(places) // 2


# Interruptions


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(errno.ENOSPC, "No space left")])
def test_interrupted_unpacking_goes_on_without_a_download(server, tmp_path, monkeypatch, error):
    write, written = downloads.atomic_write, []

    def stopping(path):
        if len(written) == 1:
            raise error
        written.append(path.name)
        return write(path)

    monkeypatch.setattr(downloads, "atomic_write", stopping)
    with pytest.raises(
        KeyboardInterrupt if isinstance(error, KeyboardInterrupt) else DownloadError
    ):
        fetch("set")
    assert written == ["data.csv"]
    monkeypatch.setattr(
        downloads, "atomic_write", lambda path: written.append(path.name) or write(path)
    )
    assert files_below(fetch("set")) == FILES
    assert written == ["data.csv", "one.bin", "two.bin"]
    assert len(server.asked) == 1
    assert set(files_below(tmp_path / "cache")) == {
        f"{fetch('set').name}/{name}" for name in FILES
    }


def test_an_interrupted_transfer_is_kept(server, tmp_path, monkeypatch):
    class Stopping(tqdm):
        def update(self, n=1):
            if self.n > 50_000:
                raise KeyboardInterrupt
            self.n += n

    def stopping(*_, **__):
        return Stopping(disable=False, file=io.StringIO())

    with monkeypatch.context() as patch:
        patch.setattr(downloads, "progress_bar", stopping)
        with pytest.raises(KeyboardInterrupt):
            fetch("set")
    kept = part_of(tmp_path)
    assert kept > 50_000
    assert files_below(fetch("set")) == FILES
    assert server.asked[1]["Range"] == f"bytes={kept}-"


# Local copies and the registry


@pytest.fixture
def copy(server, tmp_path, monkeypatch):
    for name, content in FILES.items():
        path = tmp_path / "local" / "set" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    monkeypatch.setenv("MICROPROP_DATA", str(tmp_path / "local"))
    return tmp_path / "local" / "set"


def test_a_local_copy_serves_instead(server, copy):
    assert fetch("set") == copy
    assert server.asked == []


def test_a_local_copy_that_is_wrong_is_an_error_and_no_download(server, copy):
    (copy / "Images" / "two.bin").write_bytes(b"2" * 999 + b"3")
    told = r"1 files missing or wrong of 3: .*two\.bin \(1000 bytes\) has the sha256 hash"
    with pytest.raises(DownloadError, match=told):
        fetch("set")
    (copy / "data.csv").unlink()
    told = r"2 files missing or wrong of 3: .*data\.csv is missing\. Mend .*unset MICROPROP_DATA"
    with pytest.raises(DownloadError, match=told):
        fetch("set")
    assert server.asked == []


def test_a_local_folder_without_this_set_means_a_download(server, copy, tmp_path):
    copy.rename(tmp_path / "local" / "another")
    assert fetch("set").parent == tmp_path / "cache"
    assert len(server.asked) == 1


def test_a_local_folder_that_is_not_there_is_told(server, tmp_path, monkeypatch):
    monkeypatch.setenv("MICROPROP_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(DownloadError, match=r"MICROPROP_DATA is .*nowhere', which is no folder"):
        fetch("set")


def test_a_changed_or_missing_list_of_hashes_is_told(server, tmp_path):
    path = tmp_path / "set.sha256"
    path.write_bytes(path.read_bytes() + b"0" * 64 + b"  more.txt\n")
    with pytest.raises(DownloadError, match=r"set\.sha256 .* has the sha256 hash .* damaged"):
        fetch("set")
    path.unlink()
    with pytest.raises(DownloadError, match=r"set\.sha256 is missing"):
        fetch("set")
    assert server.asked == []


def test_the_shipped_list_is_the_registered_one(monkeypatch):
    monkeypatch.delenv("MICROPROP_REGISTRY", raising=False)
    entry = downloads.registry()["superalloys"]
    downloads.verify(ROOT / "data" / entry["hashes"], entry["hash"])
    lines = (ROOT / "data" / entry["hashes"]).read_text().splitlines()
    assert len(lines) == 1 + 149 + 9 * 149
    assert all(re.fullmatch(r"[0-9a-f]{64}  [\w-]+(/[\w.-]+)?(\.\w+)?", line) for line in lines)
    assert not any(".." in line for line in lines)
    assert re.search(r"/archive/[0-9a-f]{40}\.zip$", entry["url"])  # a commit, no branch


@pytest.mark.network
@pytest.mark.slow
def test_the_public_archive_holds_the_listed_files(monkeypatch, tmp_path):
    monkeypatch.setenv("MICROPROP_CACHE", str(tmp_path))
    monkeypatch.delenv("MICROPROP_DATA", raising=False)
    assert (fetch("superalloys") / "data.xlsx").is_file()
