"""Feature matrices: right, once, and never lost."""

import dataclasses
import doctest
import json
import os
import random
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.numpy import load_file, save_file
from sklearn.base import clone
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline

from helpers import features
from helpers.encoders import ENCODERS, Encoder, load_encoder
from helpers.features import ViTFeatures, extract, extract_features
from helpers.images.read import ImageError
from helpers.preprocessing import preprocess_micrograph, preprocess_section
from helpers.vit import forward, store

pytestmark = pytest.mark.usefixtures("own_cache")


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Small networks of three families, each saved in a folder."""
    # Here, since the processes that are killed below do without transformers.
    from small_networks import save, tiny_clip, tiny_dinov2, tiny_sam

    root = tmp_path_factory.mktemp("models")
    return {
        "dinov2": save(tiny_dinov2(), root / "dinov2"),
        "clip": save(tiny_clip(), root / "clip"),
        "sam": save(tiny_sam(), root / "sam"),
    }


POOLING = {"dinov2": "cls", "clip": "pooler", "sam": "mean"}


@pytest.fixture
def dinov2(folders):
    return load_encoder(folders["dinov2"], pooling="cls")


def sections(n, seed=0):
    return np.random.default_rng(seed).integers(0, 2, (n, 51, 51), dtype=np.uint8)


def micrographs(n, seed=0):
    """Grey images of several sizes."""
    rng = np.random.default_rng(seed)
    sizes = [(70, 84), (84, 70), (100, 90)]
    return [rng.integers(0, 256, sizes[i % 3], dtype=np.uint8) for i in range(n)]


def plain_loop(images, encoder, folder, preprocess, normalize="none"):
    """One image at a time, float32, gradients on: what the paper's notebooks do."""
    from transformers import AutoModel

    model, how = AutoModel.from_pretrained(folder), encoder.entry.pooling
    model = getattr(model, "vision_model", getattr(model, "vision_encoder", model)).eval()
    result = []
    for image in images:
        pixels = torch.from_numpy(preprocess(image, encoder, normalize))[None]
        output = model(pixel_values=pixels)
        if how == "pooler":
            result.append(output.pooler_output)
        elif how == "cls":
            result.append(output.last_hidden_state[:, 0])
        else:
            result.append(output.last_hidden_state.mean((2, 3)))
    return torch.cat(result).detach().numpy()


@pytest.mark.parametrize("module", [features])
def test_examples_in_docstrings(module):
    result = doctest.testmod(module)
    assert result.attempted > 0
    assert result.failed == 0


@pytest.mark.parametrize("normalize", ["none", "encoder"])
@pytest.mark.parametrize("family", ["dinov2", "clip", "sam"])
def test_features_equal_the_plain_loop(folders, family, normalize):
    folder = folders[family]
    (folder / "preprocessor_config.json").write_text(
        json.dumps({"image_mean": [0.4, 0.5, 0.6], "image_std": [0.2, 0.3, 0.4]})
    )
    rule = {"interpolation": "hf"} if family == "dinov2" else {}
    encoder = load_encoder(folder, pooling=POOLING[family], **rule)
    for pipeline, preprocess, images in [
        ("section", preprocess_section, list(sections(30))),
        ("micrograph", preprocess_micrograph, micrographs(30)),
    ]:
        found = extract_features(images, encoder, pipeline=pipeline, normalize=normalize)
        expected = plain_loop(images, encoder, folder, preprocess, normalize)
        assert found.dtype == np.float32
        difference = np.abs(found - expected).max() / np.abs(expected).max()
        assert difference <= 1e-5


def test_a_folder_of_mixed_files(dinov2, tmp_path):
    images = micrographs(6)
    for i, image in enumerate(images):
        Image.fromarray(image).save(tmp_path / f"{i}.{['png', 'tif'][i % 2]}")
    (tmp_path / "notes.txt").write_text("not an image")
    found = extract(tmp_path, dinov2, name="mixed")
    np.testing.assert_allclose(found.features, extract_features(images, dinov2), rtol=1e-5)
    assert found.path.parent.name == "mixed"


def test_grey_and_colour_in_one_batch(dinov2):
    grey = np.random.default_rng(0).random((42, 42), dtype=np.float32)
    colour = np.random.default_rng(1).random((42, 42, 3), dtype=np.float32)
    together = extract_features([grey, colour], dinov2)
    apart = [extract_features([image], dinov2)[0] for image in (grey, colour)]
    np.testing.assert_allclose(together, apart, rtol=1e-4, atol=1e-6)


def counting(encoder, monkeypatch):
    """Count the images that go through the network."""
    counted = []
    forward_pass = type(encoder).__call__
    monkeypatch.setattr(
        type(encoder), "__call__", lambda s, x: counted.append(len(x)) or forward_pass(s, x)
    )
    return counted


def test_equal_images_are_computed_once(dinov2, monkeypatch):
    counted = counting(dinov2, monkeypatch)
    images = np.concatenate([sections(5), sections(5), sections(2, seed=1)])
    found = extract(images, dinov2, pipeline="section")
    assert sum(counted) == 7
    assert found.provenance["n_computed"] == 7
    np.testing.assert_array_equal(found.features[:5], found.features[5:10])


def test_the_second_time_comes_from_the_store(dinov2, monkeypatch):
    first = extract(sections(20), dinov2, pipeline="section")
    counted = counting(dinov2, monkeypatch)
    second = extract(sections(20), dinov2, pipeline="section")
    assert counted == []
    np.testing.assert_array_equal(first.features, second.features)
    assert first.provenance == second.provenance
    assert first.path == second.path


def test_the_provenance_says_what_was_computed(dinov2):
    found = extract(sections(3), dinov2, pipeline="section", name="case1")
    stored = json.loads(found.path.with_suffix(".json").read_text())
    assert stored == json.loads(json.dumps(found.provenance))
    assert stored["fingerprint"] == dinov2.fingerprint
    assert stored["dtype"] == "float32"
    assert stored["normalize"] == "none"
    assert stored["interpolation"] == "hub"
    assert stored["n_images"] == 3
    assert set(stored["versions"]) >= {"torch", "transformers", "numpy"}
    assert {"revision", "data", "date", "weights", "device", "config"} <= stored.keys()


def test_whatever_changes_the_numbers_changes_the_key(folders, monkeypatch):
    encoder = load_encoder(folders["dinov2"], pooling="cls")
    images = sections(4)
    paths = {extract(images, encoder).path}
    paths.add(extract(images, encoder, pipeline="section").path)
    paths.add(extract(images, encoder, value_range=(0, 2)).path)
    paths.add(extract(images[::-1], encoder).path)
    for options in (
        {"pooling": "mean"},
        {"pooling": "cls", "interpolation": "hf"},
        {"pooling": "cls", "dtype": torch.bfloat16},
        {"pooling": "cls", "weights": "random"},
        {"pooling": "cls", "weights": "random", "seed": 1},
    ):
        paths.add(extract(images, load_encoder(folders["dinov2"], **options)).path)
    monkeypatch.setattr(
        features, "versions", lambda libraries: dict.fromkeys(libraries, "another")
    )
    paths.add(extract(images, encoder).path)
    assert len(paths) == 10


def test_what_does_not_change_the_numbers_leaves_the_key(dinov2):
    paths = {
        extract(sections(9), dinov2, batch_size=b, workers=w).path
        for b, w in [(None, None), (2, 1), (4, 2)]
    }
    assert len(paths) == 1


def test_no_store_writes_nothing(dinov2, tmp_path):
    assert extract(sections(3), dinov2, store=False).path is None
    assert not (tmp_path / "cache").exists()


def test_a_damaged_store_is_told(dinov2):
    path = extract(sections(3), dinov2).path
    content = path.read_bytes()
    path.write_bytes(content[:-4])
    with pytest.raises(ValueError, match="is damaged: delete it"):
        extract(sections(3), dinov2)
    path.unlink()
    assert extract(sections(3), dinov2).path == path
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(ValueError, match="is damaged: delete it"):
        extract(sections(3), dinov2)


@pytest.fixture
def two_cores(monkeypatch):
    """Two threads, which the run of the tests gives to no process by itself."""
    monkeypatch.setattr(forward, "n_cores", lambda: 2)
    monkeypatch.setattr(features, "n_cores", lambda: 2)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_the_callers_threads_stay_as_they_were(dinov2, two_cores):
    expected = extract_features(sections(30), dinov2, workers=1, store=False)
    found = extract_features(sections(30), dinov2, store=False)
    assert torch.get_num_threads() == 2
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_batches_follow_the_shape_only(dinov2, folders, two_cores):
    assert forward.choose_batch_size(dinov2, (42, 42)) == forward.CPU_TOKENS // 10
    assert forward.choose_batch_size(dinov2, (10_000, 10_000)) == 1
    assert forward.choose_workers(dinov2, (42, 42), 64) == 2
    assert forward.choose_workers(dinov2, (30_000, 30_000), 64) == 1


# Interrupted, and two at once


def test_interrupted_work_is_kept(dinov2, monkeypatch):
    expected = extract_features(sections(200), dinov2, batch_size=10, workers=1, store=False)
    counted, forward_pass = [], type(dinov2).__call__

    def stop(self, pixels):
        counted.append(len(pixels))
        if len(counted) == 8:
            raise KeyboardInterrupt
        return forward_pass(self, pixels)

    monkeypatch.setattr(type(dinov2), "__call__", stop)
    with pytest.raises(KeyboardInterrupt):
        extract(sections(200), dinov2, batch_size=10, workers=1)
    found = extract(sections(200), dinov2, batch_size=10, workers=1)
    assert sum(counted) <= 200 + 4 * 10
    np.testing.assert_array_equal(found.features, expected)
    assert list(found.path.parent.glob("*.parts")) == []


def many_sections():
    return sections(800, seed=7)


class Toy(torch.nn.Module):
    """The least that gives tokens: loading a real network would take most of the time."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.patches = torch.nn.Conv2d(3, 8, 14, 14)

    def forward(self, pixel_values):
        tokens = torch.tanh(self.patches(pixel_values)).flatten(2).transpose(1, 2)
        return SimpleNamespace(last_hidden_state=tokens)


def toy_encoder():
    entry = dataclasses.replace(ENCODERS["dinov2-s14"], n_features=8, pooling="mean")
    cpu = torch.device("cpu")
    return Encoder(entry, Toy().eval(), "random", None, cpu, torch.float32, "toy", None)


def extract_slowly():
    """What the killed process does: small batches, shards every few of them."""
    features.SHARD_SECONDS = 0.05
    fast = Encoder.__call__
    Encoder.__call__ = lambda self, pixels: (time.sleep(0.02), fast(self, pixels))[1]
    print("started", flush=True)
    extract(many_sections(), toy_encoder(), batch_size=8, name="kill", progress=False)


def start():
    script = "import test_features; test_features.extract_slowly()"
    process = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, cwd=Path(__file__).parent
    )
    assert process.stdout.readline().strip() == b"started"
    return process


def shards_in(folder):
    return list((folder / "cache").rglob("*.parts/[!.]*.safetensors"))


def test_killed_in_the_middle_the_rest_is_computed(tmp_path):
    process = start()
    while not (shards := shards_in(tmp_path)):
        assert process.poll() is None
        time.sleep(0.01)
    process.kill()
    process.wait()
    done = {row for path in shards for row in load_file(path)["rows"].tolist()}
    assert 0 < len(done) < 800
    counted, encoder = [], toy_encoder()
    encoder.model.register_forward_hook(
        lambda _, __, found: counted.append(len(found.last_hidden_state))
    )
    found = extract(many_sections(), encoder, batch_size=8, name="kill")
    assert 0 < sum(counted) <= 800 - len(done)
    expected = extract_features(many_sections(), toy_encoder(), batch_size=8, store=False)
    np.testing.assert_array_equal(found.features, expected)


@pytest.mark.slow
def test_killed_ten_times_at_random_the_matrix_is_the_same(tmp_path):
    expected = extract_features(many_sections(), toy_encoder(), batch_size=8, store=False)
    times, done = random.Random(0), []
    for _ in range(10):
        process, before = start(), len(shards_in(tmp_path))
        while process.poll() is None and len(shards_in(tmp_path)) <= before:
            time.sleep(0.01)  # however busy the machine is
        time.sleep(times.uniform(0, 0.5))
        process.kill()
        process.wait()
        shards = shards_in(tmp_path)
        rows = {row for path in shards for row in load_file(path)["rows"].tolist()}
        # On a fast machine the last of the ten find the matrix finished, and no shards.
        whole = list((tmp_path / "cache" / "features" / "kill").glob("*.safetensors"))
        done.append(800 if whole else len(rows))
    assert done == sorted(done)  # nothing that was finished is lost
    assert len({count for count in done if 0 < count < 800}) > 1  # killed in the middle
    assert start().wait() == 0
    (matrix,) = (tmp_path / "cache" / "features" / "kill").glob("*.safetensors")
    found = extract(many_sections(), toy_encoder(), name="kill")
    assert found.path == matrix
    np.testing.assert_array_equal(found.features, expected)


@pytest.mark.slow
def test_two_processes_at_once_do_no_harm():
    both = [start() for _ in range(2)]
    assert [process.wait() for process in both] == [0, 0]
    found = extract(many_sections(), toy_encoder(), name="kill")
    expected = extract_features(many_sections(), toy_encoder(), batch_size=8, store=False)
    np.testing.assert_array_equal(found.features, expected)
    assert list(found.path.parent.glob("*.parts")) == []


def test_two_threads_at_once_do_no_harm(dinov2):
    with ThreadPoolExecutor(2) as pool:
        a, b = pool.map(lambda _: extract_features(sections(100), dinov2), range(2))
    np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("seconds", [0.0, 20.0])  # shards on the way, or none before the end
def test_a_full_disk_loses_nothing(dinov2, monkeypatch, seconds):
    """The last write fails; the rows wait in shards, and nothing is computed twice."""
    monkeypatch.setattr(features, "SHARD_SECONDS", seconds)
    write = store.StoredFeatures.write

    def full(self, *_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(store.StoredFeatures, "write", full)
    with pytest.raises(OSError, match="No space left"):
        extract(sections(40), dinov2, batch_size=8)
    monkeypatch.setattr(store.StoredFeatures, "write", write)
    counted = counting(dinov2, monkeypatch)
    extract(sections(40), dinov2, batch_size=8)
    assert counted == []


@pytest.mark.skipif(os.geteuid() == 0 if hasattr(os, "geteuid") else True, reason="root may write")
def test_a_store_that_cannot_be_written_is_told_before_any_work(dinov2, tmp_path, monkeypatch):
    (tmp_path / "locked").mkdir(mode=0o500)
    counted = counting(dinov2, monkeypatch)
    with pytest.raises(OSError, match="could not write"):
        extract(sections(3), dinov2, store=tmp_path / "locked")
    assert counted == []


def test_a_store_that_is_a_file_is_told_before_any_work(dinov2, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    counted = counting(dinov2, monkeypatch)
    with pytest.raises(OSError, match="could not write"):
        extract(sections(3), dinov2, store=tmp_path / "file")
    assert counted == []


# Bad input


@pytest.fixture
def bad_folder(tmp_path):
    """A thousand small images, three of them no images."""
    folder = tmp_path / "images"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for i in range(1000):
        Image.fromarray(rng.integers(0, 256, (20, 20), dtype=np.uint8)).save(
            folder / f"{i:04}.png"
        )
    (folder / "0003.png").write_bytes(b"")
    (folder / "0500.png").write_text("this is no image")
    content = (folder / "0900.png").read_bytes()
    (folder / "0900.png").write_bytes(content[: len(content) // 2])
    return folder


def test_bad_files_are_all_named_before_anything_is_computed(dinov2, bad_folder, monkeypatch):
    counted = counting(dinov2, monkeypatch)
    with pytest.raises(ImageError, match="3 of 1000 images cannot be used") as caught:
        extract_features(bad_folder, dinov2)
    for name in ("0003.png", "0500.png", "0900.png", "nothing was computed", "on_error='skip'"):
        assert name in str(caught.value)
    assert counted == []


def test_bad_files_can_be_skipped_and_are_reported(dinov2, bad_folder):
    with pytest.warns(UserWarning, match="3 of 1000 images cannot be used"):
        found = extract(bad_folder, dinov2, on_error="skip")
    assert sorted(found.skipped) == [3, 500, 900]
    assert np.isnan(found.features[3]).all()
    assert np.isfinite(np.delete(found.features, [3, 500, 900], axis=0)).all()
    with pytest.warns(UserWarning, match="3 of 1000"):
        again = extract(bad_folder, dinov2, on_error="skip")
    assert again.skipped == found.skipped
    with pytest.raises(ImageError, match="3 of 1000 images cannot be used"):
        extract(bad_folder, dinov2)


def nan_image():
    image = np.full((42, 42), 0.5)
    image[3, 4] = np.nan
    return image


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((42, 42)), "all pixels are"),
        (nan_image(), r"\(3, 4\)|row 3"),
        (np.full((42, 42), 7.5), "7.5"),
        (np.random.default_rng(0).random((10, 42)), "less than one patch"),
        (np.zeros((0, 42)), "empty|shape"),
        (np.array([["a"]]), "dtype|type"),
    ],
)
def test_bad_arrays_are_named(dinov2, image, message):
    good = np.random.default_rng(0).random((42, 42))
    with pytest.raises(ImageError, match=message) as caught:
        extract_features([good, image], dinov2)
    assert "image 1" in str(caught.value)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        ([], "there are no images"),
        (np.zeros((42, 42)), r"shape \(42, 42\)"),
        (np.zeros((2, 3, 51, 51)), r"shape \(2, 3, 51, 51\).*reshape"),
        ("no/such/file.png", r"no/such/file\.png"),
    ],
)
def test_what_is_no_set_of_images_is_told(dinov2, images, message):
    with pytest.raises((ImageError, FileNotFoundError), match=message):
        extract_features(images, dinov2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pipeline": "grey"}, "pipeline is 'grey'"),
        ({"normalize": "imagenet"}, "normalize is 'imagenet'"),
        ({"on_error": "ignore"}, "on_error is 'ignore'"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"workers": 0}, "workers is 0"),
        ({"value_range": (1, 0)}, "value_range"),
    ],
)
def test_unknown_options_are_named(dinov2, options, message):
    with pytest.raises(ValueError, match=message):
        extract_features(sections(2), dinov2, **options)


# The transformer


def transformer(folders, aggregate="concat"):
    return ViTFeatures(str(folders["dinov2"]), aggregate, pooling="cls", pipeline="section")


def test_the_transformer_aggregates_over_sections(folders, dinov2):
    X = sections(12).reshape(4, 3, 51, 51)
    each = extract_features(X.reshape(12, 51, 51), dinov2, pipeline="section").reshape(4, 3, -1)
    np.testing.assert_allclose(transformer(folders).fit_transform(X), each.reshape(4, -1))
    mean = transformer(folders, "mean").transform(X)
    np.testing.assert_allclose(mean, each.mean(axis=1), rtol=1e-5)
    np.testing.assert_allclose(transformer(folders).transform(X[:, 0]), each[:, 0])


def test_the_transformer_takes_files(folders, dinov2, tmp_path):
    for i, image in enumerate(micrographs(4)):
        Image.fromarray(image).save(tmp_path / f"{i}.png")
    files = sorted(tmp_path.glob("*.png"))
    vit = ViTFeatures(folders["dinov2"], pooling="cls")
    expected = extract_features(files, dinov2)
    np.testing.assert_allclose(vit.transform(files), expected, rtol=1e-5)
    pairs = vit.transform([files[:2], files[2:]])
    np.testing.assert_allclose(pairs, expected.reshape(2, -1), rtol=1e-5)
    with pytest.raises(ValueError, match=r"samples have \[1, 3\] images"):
        vit.transform([files[:1], files[1:]])


def test_the_transformer_works_in_a_pipeline_clones_and_pickles(folders):
    import pickle

    X, y = sections(12).reshape(4, 3, 51, 51), np.arange(4.0)
    pipeline = make_pipeline(transformer(folders), LinearRegression()).fit(X, y)
    copies = [clone(pipeline).fit(X, y), pickle.loads(pickle.dumps(pipeline))]
    for copy in copies:
        np.testing.assert_allclose(copy.predict(X), pipeline.predict(X))
    assert len(pickle.dumps(pipeline[0])) < 2000
    assert clone(pipeline[0]).get_params() == pipeline[0].get_params()


def test_the_transformer_reads_the_store(folders, dinov2, monkeypatch):
    X = sections(12).reshape(4, 3, 51, 51)
    expected = transformer(folders).transform(X)
    counted = counting(dinov2, monkeypatch)
    np.testing.assert_array_equal(transformer(folders).transform(X), expected)
    assert counted == []


@pytest.mark.gpu
def test_gpu_features_agree(folders):
    if not torch.cuda.is_available():
        pytest.skip("no GPU")
    cpu = extract_features(
        sections(64), load_encoder(folders["dinov2"], pooling="cls", device="cpu")
    )
    gpu = extract_features(sections(64), load_encoder(folders["dinov2"], pooling="cls"))
    cosine = (cpu * gpu).sum(1) / np.linalg.norm(cpu, axis=1) / np.linalg.norm(gpu, axis=1)
    assert cosine.min() >= 0.999


def test_a_larger_limit_gives_what_a_smaller_one_skipped(dinov2):
    images = [np.random.default_rng(i).random((s, s)) for i, s in enumerate((42, 140))]
    with pytest.warns(UserWarning, match="more than the 10000 that are read"):
        first = extract(images, dinov2, on_error="skip", max_pixels=10_000)
    assert list(first.skipped) == [1]
    assert np.isfinite(extract(images, dinov2).features).all()


def test_a_shard_outlives_another_process_that_drops_the_folder(tmp_path, monkeypatch):
    stored = store.StoredFeatures(tmp_path, "name", {})
    replace, dropped = Path.replace, []

    def drop_first(self, target):
        if not dropped:
            dropped.append(shutil.rmtree(stored.parts))
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", drop_first)
    stored.write_shard([3], np.ones((1, 4), np.float32))
    ((rows, values),) = stored.begin()
    assert (rows.tolist(), values.sum()) == ([3], 4)


def test_the_transformer_follows_its_folder(folders, tmp_path):
    folder = shutil.copytree(folders["dinov2"], tmp_path / "model")
    vit = ViTFeatures(folder, pooling="cls", pipeline="section", store=False)
    first = vit.transform(sections(3))
    state = load_file(folder / "model.safetensors")
    state["layernorm.bias"] = state["layernorm.bias"] + 1
    save_file(state, folder / "model.safetensors", {"format": "pt"})
    np.testing.assert_allclose(vit.transform(sections(3)), first + 1, rtol=1e-4, atol=1e-5)


def test_a_moved_folder_is_the_same_network(folders, dinov2, tmp_path):
    moved = load_encoder(shutil.copytree(folders["dinov2"], tmp_path / "dinov2"), pooling="cls")
    assert extract(sections(3), moved).path == extract(sections(3), dinov2).path
