"""Extraction with Ray: the same numbers, every row once, whatever is killed."""

import doctest
import os
import shutil
import signal
import threading
import time

import numpy as np
import pandas as pd
import psutil
import pytest
from PIL import Image

from helpers import UserError
from helpers.extract import remote_images
from helpers.extract.feature_tables import extract_table, read_feature_table
from helpers.extract.ray_extract import PartWriter, extract_parts
from helpers.extract.remote_images import list_anywhere, local_copies
from helpers.images.read import ImageError
from helpers.own import cli

pytestmark = [
    pytest.mark.slow,
    pytest.mark.optional("ray", "ray"),
    pytest.mark.optional("fsspec", "ray"),
]
PART = 5


def test_examples_in_docstrings():
    assert doctest.testmod(remote_images).failed == 0


@pytest.fixture(scope="module")
def cluster():
    import ray

    ray.init(num_cpus=2, log_to_driver=False, include_dashboard=False, logging_level="ERROR")
    yield ray
    ray.shutdown()


@pytest.fixture(scope="module")
def scans(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scans")
    rng = np.random.default_rng(0)
    for i in range(23):
        pixels = rng.integers(0, 256, (90 + i % 3, 120), np.uint8)
        Image.fromarray(pixels).save(folder / f"scan {i:02d}.png")
    return folder


@pytest.fixture(scope="module")
def plain(scans):
    return extract_table(scans, store=False, progress=False)


def _same(folder, plain, names=str):
    """Every image once, with the features of one process."""
    found = read_feature_table(folder)
    assert found.table["image"].tolist() == [names(i) for i in sorted(plain.table["image"])]
    order = plain.table["image"].argsort().to_numpy()
    scale = np.abs(plain.features).max()
    np.testing.assert_allclose(found.features, plain.features[order], rtol=0, atol=1e-5 * scale)
    columns = ["sample", "height", "width", "pixel_size_um"]
    pd.testing.assert_frame_equal(
        found.table[columns], plain.table.iloc[order][columns].reset_index(drop=True)
    )
    return found


def test_two_workers_give_the_numbers_of_one_process_and_go_on(cluster, scans, plain, tmp_path):
    out = tmp_path / "features"
    told = extract_parts(scans, out, workers=2, part_images=PART, progress=False)
    assert (told["images"], told["parts"], told["computed"]) == (23, 5, 23)
    assert told["workers"] == 2
    _same(out, plain)
    parts = sorted(out.glob("*.parquet"))
    kept = [p.stat().st_mtime_ns for p in parts]
    parts[2].unlink()
    with pytest.raises(UserError, match="lacks 1 of 5 parts: the extraction has not ended"):
        read_feature_table(out)
    told = extract_parts(scans, out, workers=2, part_images=PART, progress=False)
    assert told["computed"] == PART
    now = [p.stat().st_mtime_ns for p in sorted(out.glob("*.parquet"))]
    assert [a == b for a, b in zip(kept, now, strict=True)] == [True, True, False, True, True]
    _same(out, plain)
    with pytest.raises(ValueError, match="holds parts of another run"):
        extract_parts(scans, out, part_images=PART, crop_bottom=8, progress=False)


def test_addresses_of_a_store_are_read_like_files(cluster, scans, plain, tmp_path):
    out = tmp_path / "features"
    extract_parts(scans.as_uri(), out, part_images=12, progress=False)
    _same(out, plain, names=lambda i: f"file://{i}")
    with pytest.raises(FileNotFoundError, match="there is no folder file:"):
        extract_parts((scans / "x").as_uri(), out)
    with pytest.raises(ValueError, match="cannot be opened by fsspec"):
        extract_parts("nowhere://a/b", out)
    addresses = pd.DataFrame({"image": [(scans / "scan 03.png").as_uri()], "alloy": ["a"]})
    addresses["image"] = addresses["image"].str.replace("%20", " ")
    addresses.to_parquet(tmp_path / "list.parquet")
    extract_parts(tmp_path / "list.parquet", tmp_path / "one", sample_column="alloy")
    found = read_feature_table(tmp_path / "one")
    assert found.table["sample"].tolist() == ["a"]
    np.testing.assert_allclose(found.features[0], plain.features[3], atol=1e-5)


def test_errors_of_a_store_are_told(scans, monkeypatch):
    from fsspec.implementations.local import LocalFileSystem

    class NoCredentials(Exception):
        """As the packages of stores have them."""

    def refuse(*_, **__):
        raise NoCredentials("who are you?")

    listed = list_anywhere(scans.as_uri())
    monkeypatch.setattr(LocalFileSystem, "get_file", refuse)
    with pytest.raises(ImageError, match=r"scan 00\.png cannot be copied: who are you\?"):
        local_copies(listed).__enter__()
    monkeypatch.setattr(LocalFileSystem, "ls", refuse)
    with pytest.raises(ValueError, match=r"file:.* cannot be listed: who are you\?"):
        list_anywhere(scans.as_uri())


def test_a_changed_file_of_a_store_is_another(tmp_path):
    image = tmp_path / "a.png"
    image.write_bytes(b"1234")
    os.utime(image, ns=(0, 1))
    before = list_anywhere(tmp_path.as_uri())["stamp"][0]
    os.utime(image, ns=(0, 10**9))
    assert list_anywhere(tmp_path.as_uri())["stamp"][0] != before


def test_bad_images_cost_their_part_and_are_named(cluster, scans, tmp_path):
    folder, out = tmp_path / "scans", tmp_path / "features"
    folder.mkdir()
    for path in sorted(scans.iterdir())[:6]:
        os.link(path, folder / path.name)
    (folder / "scan 01.png").unlink()
    (folder / "scan 01.png").write_bytes(b"no image")
    for source, name in ((folder, folder / "scan 01.png"), (folder.as_uri(), "scan 01.png")):
        with pytest.raises(ImageError, match=r"(?s)1 of 3 parts .*scan 01\.png"):
            extract_parts(source, out, part_images=2, progress=False)
        assert len(list(out.glob("*.parquet"))) == 2
        with pytest.raises(UserError, match="lacks 1 of 3 parts"):
            read_feature_table(out)
        for computed in (1, 0):  # the other parts stay
            told = extract_parts(source, out, part_images=2, on_error="skip", progress=False)
            assert told["computed"] == computed
            assert [str(name) in key for key in told["skipped"]] == [True]
        assert len(read_feature_table(out).table) == 5
        with pytest.raises(ImageError, match="1 images were skipped by an earlier run"):
            extract_parts(source, out, part_images=2, progress=False)
        shutil.rmtree(out)


def _workers():
    found = []
    for process in psutil.process_iter(["cmdline", "name"]):
        line = " ".join(process.info["cmdline"] or [])
        if line.startswith("ray::") and PartWriter.__name__ in line:
            found.append(process.pid)
    return found


def test_a_worker_killed_in_the_middle_loses_nothing(cluster, scans, tmp_path):
    folder, out = tmp_path / "scans", tmp_path / "features"
    folder.mkdir()
    for copy in range(8):
        for path in scans.iterdir():
            os.link(path, folder / f"{copy} {path.name}")
    told = []
    run = threading.Thread(
        target=lambda: told.append(
            extract_parts(folder, out, workers=2, part_images=4, progress=False)
        )
    )
    run.start()
    killed = set()
    while run.is_alive():
        done = len(list(out.glob("*.parquet"))) if out.is_dir() else 0
        if len(killed) < 2 and done > 4 * len(killed):
            for pid in _workers()[:1]:
                os.kill(pid, signal.SIGKILL)
                killed.add(pid)
        time.sleep(0.02)
    run.join()
    assert len(killed) == 2
    assert told[0]["computed"] == 8 * 23
    _same(out, extract_table(folder, store=False, progress=False))


def test_from_the_command_line(cluster, scans, plain, tmp_path, capsys, monkeypatch):
    out = tmp_path / "features"
    assert cli.main(["extract", str(scans), "--out", str(out), "--engine", "ray"]) == 0
    assert "images: 23" in capsys.readouterr().out
    _same(out, plain)
    half = ["extract", str(scans), "--out", str(tmp_path / "half"), "--dtype", "bfloat16"]
    assert cli.main([*half, "--engine", "ray"]) == 0
    half[half.index("--out") + 1] = str(out)
    assert cli.main([*half, "--engine", "ray"]) == 1
    assert "holds parts of another run" in capsys.readouterr().err
    assert read_feature_table(tmp_path / "half").facts["dtype"] == "bfloat16"
    assert cli.main(["extract", str(scans), "--out", "x.parquet", "--engine", "dask"]) == 2
    assert "'dask' is not one of 'local', 'ray'" in capsys.readouterr().err
    with pytest.raises(ValueError, match="workers is 0: expected at least 1"):
        extract_parts(scans, out, workers=0)
