"""Chapters executed: one of profile embedded, and those of profile paper on small files."""

import hashlib
import json
import re
import shutil

import nbformat
import numpy as np
import pytest
import scipy.io
import tifffile
from small_networks import SMALL, save, tiny_clip, tiny_dinov2

from bookbuild.__main__ import build
from bookbuild.chapters import ROOT, BuildError
from helpers.datasets import PUBLISHED_TWO_PHASE, load_superalloys
from helpers.io.results import read_results
from helpers.io.superalloy_files import odd_sums
from helpers.scores import evaluate_descriptors, score_table
from helpers.superalloy_scores import outlier_table, score_superalloys
from helpers.synthetic.micrographs import gamma_prime_micrograph
from helpers.synthetic.volumes import two_phase_volume

# The chapters whose cell `parameters` takes the published data or weights.
CHAPTERS = [
    "30_two_point_statistics",
    "10_preprocessing",
    "20_features",
    "40_case_study_1",
]
KEYS = ["descriptor", "model", "composition", "seed"]
N_VOLUMES = 150  # enough for 50 components of the training part


def small_encoder(family, folder):
    """Save a small network in the published form; give what its entry says otherwise."""
    if family == "clip":
        model = tiny_clip(image_size=224)
        save(model, folder)
        config = {"model_type": "clip_vision_model", **SMALL, "patch_size": 16, "image_size": 224}
        config["intermediate_size"] = 64
    else:
        save(tiny_dinov2(), folder)
        config = {"model_type": "dinov2", **SMALL, "patch_size": 14, "image_size": 70}
    return {"config": config, "n_features": 32, "fixture": True}


def spare_encoder(entry, folder):
    """An encoder as a contributor adds one, like that of `entry` and not in the paper.

    Of a family with small networks it has weights in `folder`; of another one it has none here.
    """
    spare = {**entry, "title": f"Spare {entry['title']}", "n_features": 48, "in_paper": False}
    known = entry["family"] in ("clip", "dinov2")
    return spare | (small_encoder(entry["family"], folder) if known else {})


@pytest.fixture
def fixture_data(tmp_path, monkeypatch):
    """A local copy of the published file in its form: volumes with made-up moduli."""
    volumes = np.stack([two_phase_volume(2, i).volume for i in range(N_VOLUMES)])
    noise = np.random.default_rng(0).uniform(0.8, 1.2, N_VOLUMES)
    moduli = (2.4 + 90 * volumes.mean((1, 2, 3)) ** 2) * noise
    path = tmp_path / "data" / PUBLISHED_TWO_PHASE
    path.parent.mkdir(parents=True)
    flat = volumes.transpose(1, 2, 3, 0).reshape(-1, N_VOLUMES)
    scipy.io.savemat(path, {"data": flat, "label": moduli})
    content = path.read_bytes()
    entry = {
        "url": "http://127.0.0.1:1/never-asked",
        "hash": "git-blob:"
        + hashlib.sha1(f"blob {len(content)}\0".encode() + content).hexdigest(),
        "size": len(content),
        "citation": "made by this test",
        "fixture": True,
    }
    entries = json.loads((ROOT / "data" / "registry.json").read_text(encoding="utf-8"))
    entries[PUBLISHED_TWO_PHASE] = entry
    folder = tmp_path / "data" / "encoders"
    for name in ("dinov2-s14", "clip-b16"):
        entry = entries[f"encoders/{name}"]
        entries[f"encoders/spare-{name}"] = spare_encoder(entry, folder / f"spare-{name}")
        entry |= small_encoder(entry["family"], folder / name)
    name = "micrographs/spot3_0d_3.tif"
    image = gamma_prime_micrograph(0, shape=(512, 512)).image
    (tmp_path / "data" / "micrographs").mkdir()
    tifffile.imwrite(tmp_path / "data" / name, image)
    digest = hashlib.sha256((tmp_path / "data" / name).read_bytes()).hexdigest()
    entries[name] |= {"hash": f"sha256:{digest}", "fixture": True}
    entries["superalloys"]["url"] = "http://127.0.0.1:1/never-asked"
    shutil.copy(ROOT / "data" / "superalloys.sha256", tmp_path)
    registry = tmp_path / "registry.json"
    registry.write_text(json.dumps(entries), encoding="utf-8")
    monkeypatch.setenv("MICROPROP_REGISTRY", str(registry))
    monkeypatch.setenv("MICROPROP_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("MICROPROP_CACHE", str(tmp_path / "cache"))


def test_a_chapter_is_executed_from_its_source_to_its_figures(project):
    (run,) = build(project, "embedded", 1, names=[CHAPTERS[0]], site=False)
    cells = nbformat.read(run.executed, 4).cells
    shown = [output for cell in cells for output in cell.get("outputs", [])]
    assert [output for output in shown if output.get("name") == "stderr"] == []
    assert sum("image/png" in output.get("data", {}) for output in shown) >= 3
    assert "Synthetic data</summary><p>5900 two-phase volumes" in str(shown)


@pytest.mark.slow
def test_chapters_run_on_published_data_and_say_that_it_is_a_fixture(project, fixture_data):
    for run in build(project, "paper", 2, names=CHAPTERS, site=False):
        cells = nbformat.read(run.executed, 4).cells
        shown = [output.get("data", {}) for cell in cells for output in cell.get("outputs", [])]
        text = "\n".join(data.get("text/html", "") for data in shown)
        assert ">Test fixture, not the published set" in text
        assert "embedded set" not in text
        assert ">Synthetic data" not in text
        assert "Takeaways written into the page describe its run on the synthetic data." in text
        assert any("image/png" in data for data in shown)
        if run.name == "10_preprocessing":
            assert "Micrograph: test fixture, 512 x 512 pixels" in text
        if run.name == "20_features":
            assert ">Test fixture, not the published set, DINOv2 S14 (test fixture)<" in text
        if run.name == "40_case_study_1":
            assert "Networks: CLIP B16 (test fixture), DINOv2 S14 (test fixture)" in text
            printed = "".join(o.get("text", "") for c in cells for o in c.get("outputs", []))
            # An encoder that somebody added runs beside those of the paper, under its own name.
            for title in ("DINOv2 S14", "Spare CLIP B16", "Spare DINOv2 S14"):
                assert f"{title} (test fixture)" in text
                assert re.search(rf"^{title} \(test fixture\): [\d.]+ %", printed, re.MULTILINE)


# Chapter 40 lists none in profile embedded: it runs with those of `fixture_data`.
LISTING = [p.stem for p in sorted((ROOT / "book").glob("*.py")) if "ENCODERS" in p.read_text()]
LISTING.remove("40_case_study_1")


@pytest.mark.slow
def test_a_new_encoder_of_any_family_breaks_no_chapter_that_lists_encoders(
    project, tmp_path, monkeypatch
):
    entries = json.loads((ROOT / "data" / "registry.json").read_text(encoding="utf-8"))
    for like in ("clip-b16", "dinov2-s14", "sam-h", "micronet-resnet50"):
        folder = tmp_path / "data" / "encoders" / f"spare-{like}"
        entries[f"encoders/spare-{like}"] = spare_encoder(entries[f"encoders/{like}"], folder)
    registry = tmp_path / "registry.json"
    registry.write_text(json.dumps(entries), encoding="utf-8")
    monkeypatch.setenv("MICROPROP_REGISTRY", str(registry))
    monkeypatch.setenv("MICROPROP_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("MICROPROP_CACHE", str(tmp_path / "cache"))
    shown = {}
    for run in build(project, "embedded", 1, names=LISTING, site=False):
        shown[run.name] = run.executed.read_text(encoding="utf-8")
    assert len(shown) == len(LISTING) >= 5
    for title in ("CLIP B16", "DINOv2 S14", "SAM H", "ResNet-50 (MicroNet)"):
        for name in ("10_preprocessing", "20_features"):
            assert f"Spare {title}" in shown[name]


@pytest.fixture(scope="session")
def superalloys(shared_data, tmp_path_factory):
    """The real published data of case study 2, and a cache that keeps what is computed."""
    if not (shared_data / "superalloys").is_dir():
        pytest.skip(f"needs the published superalloys in {shared_data}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MICROPROP_DATA", str(shared_data))
        patch.setenv("MICROPROP_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.delenv("MICROPROP_REGISTRY", raising=False)
        yield


@pytest.mark.slow
def test_a_part_of_the_committed_scores_is_what_the_code_gives(superalloys):
    data = load_superalloys("published")
    committed = read_results("superalloy_scores").set_index(KEYS)
    for label, composition in (("no", None), ("yes", data.composition)):
        some = {"sam-h": data.features["sam-h"]}
        results = evaluate_descriptors(some, data.hardness, composition=composition, store=False)
        table = score_table(results, label).set_index(KEYS)
        assert len(table) == 3
        for column in ("mape_mean", "mape_std"):
            np.testing.assert_allclose(
                table[column], committed.loc[table.index, column], atol=2e-3
            )


@pytest.mark.slow
@pytest.mark.long
def test_committed_scores_of_the_published_superalloys_are_what_the_code_gives(superalloys):
    data = load_superalloys("published")
    table = score_superalloys(data).set_index(KEYS)
    committed = read_results("superalloy_scores").set_index(KEYS)
    assert len(table) == len(committed) == 142
    table = table.loc[committed.index]
    # libsvm stops at a tolerance, and where depends on the last bits of its input.
    for column in ("mape_mean", "mape_std"):
        np.testing.assert_allclose(table[column], committed[column], atol=2e-3)
    same = table["fold_n_components"] == committed["fold_n_components"]
    assert same.mean() > 0.98
    outlier = read_results("superalloy_scores", "outlier")
    again = outlier_table(data.features["sam-h"], data)
    assert again["element"].tolist() == outlier["element"].tolist()
    sums = read_results("superalloy_scores", "sums").set_index("Image_Name")["sum"]
    np.testing.assert_allclose(odd_sums(data.composition)[sums.index], sums, atol=1e-4)
    assert len(odd_sums(data.composition)) == len(sums) == 17
    numbers = ["content", "largest_fitted", "largest_other", "deviations", "mape", "predicted"]
    numbers += ["std", "std_without"]
    np.testing.assert_allclose(again[numbers], outlier[numbers], rtol=1e-3)


def words_of(data):
    """What an output says, as text or as a badge."""
    return data.get("text/markdown", data.get("text/html", ""))


@pytest.mark.slow
@pytest.mark.long
def test_case_study_2_runs_on_the_published_superalloys(project, superalloys):
    """After the test above, which has left the scores in the cache."""
    names = ["50_case_study_2", "60_composition"]
    for run in build(project, "paper", 2, names=names, site=False):
        cells = nbformat.read(run.executed, 4).cells
        shown = [output.get("data", {}) for cell in cells for output in cell.get("outputs", [])]
        text = " ".join(" ".join(words_of(data).split()) for data in shown)
        assert "Published data, published features</summary><p>149 superalloys" in text
        assert sum("image/png" in data for data in shown) >= 3
        errors = [
            o for cell in cells for o in cell.get("outputs", []) if o.get("name") == "stderr"
        ]
        assert errors == []


@pytest.mark.slow
@pytest.mark.long
def test_the_controls_run_on_the_published_superalloys(project, superalloys):
    (run,) = build(project, "paper", 1, names=["70_what_models_know"], site=False)
    cells = nbformat.read(run.executed, 4).cells
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    assert [o for o in outputs if o.get("name") == "stderr"] == []
    text = " ".join(words_of(o.get("data", {})) for o in outputs)
    assert "Published data, MicroViT, results on published data</summary><p>149" in text
    assert sum("image/png" in o.get("data", {}) for o in outputs) == 2
    # On black and white pictures MicroViT gains nothing over the mean.
    assert "takeaway 1 differs here" in "".join(o.get("text", "") for o in outputs)


def test_results_of_fixtures_never_reach_the_site(project, fixture_data):
    with pytest.raises(BuildError, match="never reach the site"):
        build(project, "paper", 1)


LESSONS = ["00_quick_start", *sorted(CHAPTERS)]
DATA = {"00_quick_start": "superalloys"}  # what a chapter asks for first


@pytest.mark.slow
@pytest.mark.parametrize("name", LESSONS)
def test_without_the_published_data_a_chapter_says_what_is_missing_at_its_top(
    project, fixture_data, monkeypatch, tmp_path, name
):
    (tmp_path / "empty").mkdir()
    monkeypatch.setenv("MICROPROP_DATA", str(tmp_path / "empty"))
    wanted = DATA.get(name, r"two_phase/dataset\.mat")
    with pytest.raises(BuildError) as error:
        build(project, "paper", 1, names=[name], site=False)
    assert re.search(
        rf"{name}.*code cell [1-5] .*{wanted}.*MICROPROP_DATA", str(error.value), re.S
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", ["00_quick_start", "20_features", "40_case_study_1"])
def test_without_the_weights_of_microvit_a_chapter_says_so_at_its_top(
    project, monkeypatch, tmp_path, name
):
    entries = json.loads((ROOT / "data" / "registry.json").read_text(encoding="utf-8"))
    entries["encoders/microvit"]["shipped"] = "gone"
    registry = tmp_path / "registry.json"
    registry.write_text(json.dumps(entries), encoding="utf-8")
    monkeypatch.setenv("MICROPROP_REGISTRY", str(registry))
    with pytest.raises(BuildError, match=rf"(?s){name}.*code cell [1-5] .*gone.* is missing"):
        build(project, "embedded", 1, names=[name], site=False)
