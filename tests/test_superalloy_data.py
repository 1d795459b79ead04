"""Data of case study 2: the published set where it is at hand, and small ones of its form."""

import doctest
import hashlib
import json
import shutil

import numpy as np
import openpyxl
import pandas as pd
import pytest
import scipy.io
from PIL import Image

from helpers import UserError, datasets, segmentation
from helpers.datasets import TRUTH, load_superalloys
from helpers.encoders import ENCODERS
from helpers.io import superalloy_files
from helpers.io.downloads import DownloadError
from helpers.io.superalloy_files import (
    NOT_STATED,
    SUFFIXES,
    merge_niobium,
    odd_sums,
    read_table,
)

COLUMNS = "Al W Ta Ti Cr Ni Mo Hf C Co B V Si Fe Nb Zr Re Cb Ce Mn S P"
ELEMENTS = COLUMNS.split()


@pytest.fixture(scope="module")
def published(shared_data):
    if not (shared_data / "superalloys").is_dir():
        pytest.skip(f"needs the published superalloys: no folder {shared_data / 'superalloys'}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MICROPROP_DATA", str(shared_data))
        patch.delenv("MICROPROP_REGISTRY", raising=False)
        return load_superalloys("published")


# The published set


def test_the_published_set_has_149_rows_in_the_order_of_the_table(published):
    assert len(published.names) == len(set(published.names)) == 149
    assert published.names[:2] == ["Paper1-6Al3W-12", "Paper1-6Al3W-600"]
    assert published.names[-1] == "Paper30-850-32"
    assert published.hardness.shape == (149,)
    assert published.hardness.dtype == np.float64
    assert published.hardness[0] == pytest.approx(5.24 * 1000 / 9.80665)  # given in GPa
    assert published.hardness[-1] == 463.16  # given in kgf/mm2
    assert published.kind == "Published data"
    assert "28 hardness values were given in GPa" in published.notice


def test_the_published_composition_is_that_of_the_table(published):
    composition = published.composition
    assert list(composition.columns) == ELEMENTS
    assert list(composition.index) == published.names
    assert composition.loc["Paper1-6Al3W-12", ["Al", "W", "Ni"]].tolist() == [6, 3, 30]
    assert published.composition_unit == NOT_STATED
    assert "does not state the unit of the composition" in published.notice
    assert published.merged_composition.shape == (149, 21)
    both = composition["Nb"] + composition["Cb"]
    assert (composition["Cb"] > 0).any()
    pd.testing.assert_series_equal(published.merged_composition["Nb"], both, check_names=False)


def test_17_published_compositions_do_not_sum_to_100(published):
    odd = odd_sums(published.composition)
    names = sorted(odd.index)
    assert len(odd) == 17
    assert names[0] == "Paper25-N0"
    assert all(name.startswith("Paper27-") for name in names[1:])
    assert odd["Paper25-N0"] == pytest.approx(117.1, abs=0.05)
    assert odd.drop("Paper25-N0").round(1).unique().tolist() == [73.1]


def test_the_published_groups_are_19_source_papers(published):
    numbers, sizes = np.unique(published.groups, return_counts=True)
    assert len(numbers) == 19
    assert (sizes.min(), sizes.max()) == (1, 18)
    assert published.groups[[0, -1]].tolist() == [1, 30]


def test_the_published_features_are_those_of_the_encoders(published):
    assert list(published.features) == list(SUFFIXES)
    for encoder, features in published.features.items():
        assert features.shape == (149, ENCODERS[encoder].n_features)
        assert features.dtype == np.float32
        assert np.isfinite(features).all()
        assert len(np.unique(features, axis=0)) > 140  # not one row again and again


def test_the_published_features_stand_in_the_order_of_the_table(published, shared_data):
    folder = shared_data / "superalloys" / "Features"
    for row in (0, 77, 148):
        saved = np.load(folder / f"{published.names[row]}_dino_l.npy")
        np.testing.assert_array_equal(published.features["dinov2-l14"][row], saved.ravel())


def test_the_published_micrographs_are_segmented_ones(published, shared_data):
    assert published.images is None
    assert published.truth is None
    assert len(published.binary_images) == 149
    for image in published.binary_images:
        assert image.ndim == 2
        assert image.dtype == np.uint8
        assert np.unique(image).tolist() == [0, 1]
    file = shared_data / "superalloys" / "Binary_Images" / f"{published.names[5]}.mat"
    np.testing.assert_array_equal(published.binary_images[5] * 255, scipy.io.loadmat(file)["a"])


def test_loading_writes_nothing_to_stderr(shared_data, published, monkeypatch, capfd, recwarn):
    """What a chapter writes there fails the build of the site; the odd sums are known."""
    monkeypatch.setenv("MICROPROP_DATA", str(shared_data))
    monkeypatch.delenv("MICROPROP_REGISTRY", raising=False)
    load_superalloys("published")
    assert capfd.readouterr() == ("", "")
    assert list(recwarn) == []


def test_a_changed_local_file_is_named(shared_data, published, monkeypatch, tmp_path):
    shutil.copytree(shared_data / "superalloys", tmp_path / "superalloys")
    changed = tmp_path / "superalloys" / "Features" / "Paper30-850-32_sam.npy"
    content = bytearray(changed.read_bytes())
    content[-1] ^= 1
    changed.unlink()
    changed.write_bytes(content)
    monkeypatch.setenv("MICROPROP_DATA", str(tmp_path))
    monkeypatch.delenv("MICROPROP_REGISTRY", raising=False)
    with pytest.raises(DownloadError, match=r"Paper30-850-32_sam\.npy .*has the sha256 hash"):
        load_superalloys("published")


# A small set of the published form


class Small:
    """Three alloys of the published form, with a registry that lists whatever is there."""

    names = ("Paper2-b", "Paper1-a", "Paper1-c")

    def __init__(self, folder, registry):
        self.folder, self.registry = folder, registry
        book = openpyxl.Workbook()
        book.active.append(
            ["Image_Name", "Vickers Hardness (Gpa) ", "Vickers Hardness (HV)", *ELEMENTS]
        )
        for i, name in enumerate(self.names):
            parts = [100.0 if element == "Ni" else 0.0 for element in ELEMENTS]
            book.active.append([name, "N/a", 300 + i, *parts])
        (folder / "Features").mkdir(parents=True)
        (folder / "Binary_Images").mkdir()
        book.save(folder / "data.xlsx")
        for i, name in enumerate(self.names):
            for suffix in SUFFIXES.values():
                row = np.full((1, 4) if suffix.startswith("dino") else 4, i, np.float32)
                np.save(folder / "Features" / f"{name}_{suffix}.npy", row)
            pixels = np.eye(5 + i, 6, dtype=np.uint8) * 255
            scipy.io.savemat(folder / "Binary_Images" / f"{name}.mat", {"a": pixels, "label": 1})

    def load(self):
        files = sorted(p for p in self.folder.rglob("*") if p.is_file())
        lines = [
            f"{hashlib.sha256(p.read_bytes()).hexdigest()}  {p.relative_to(self.folder)}\n"
            for p in files
        ]
        hash_list = self.registry.with_name("small.sha256")
        hash_list.write_text("".join(lines))
        entry = {
            "url": "http://127.0.0.1:9",
            "folder": "x",
            "hashes": hash_list.name,
            "hash": f"sha256:{hashlib.sha256(hash_list.read_bytes()).hexdigest()}",
            "citation": "made by this test",
            "fixture": True,
        }
        self.registry.write_text(json.dumps({"superalloys": entry}))
        return load_superalloys("published")


@pytest.fixture
def small(tmp_path, monkeypatch):
    monkeypatch.setenv("MICROPROP_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("MICROPROP_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("MICROPROP_REGISTRY", str(tmp_path / "registry.json"))
    return Small(tmp_path / "data" / "superalloys", tmp_path / "registry.json")


def test_a_small_set_in_its_place_is_called_a_test_fixture(small):
    data = small.load()
    assert data.names == list(small.names)
    assert data.hardness.tolist() == [300, 301, 302]
    assert data.groups.tolist() == [2, 1, 1]
    assert [image.shape for image in data.binary_images] == [(5, 6), (6, 6), (7, 6)]
    assert data.features["sam-h"].tolist() == [[0] * 4, [1] * 4, [2] * 4]
    assert data.features["dinov2-s14"].tolist() == [[0] * 4, [1] * 4, [2] * 4]
    assert data.kind == "Test fixture, not the published set"
    assert data.notice.startswith("3 superalloys")


def test_without_the_set_a_local_folder_leads_to_the_download(small, monkeypatch, tmp_path):
    small.load()
    (tmp_path / "other" / "two_phase").mkdir(parents=True)
    monkeypatch.setenv("MICROPROP_DATA", str(tmp_path / "other"))
    with pytest.raises(
        DownloadError, match=r"could not download superalloys .* from http://127\.0\.0\.1"
    ):
        load_superalloys("published")


# The embedded set


@pytest.fixture
def embedded(tmp_path, monkeypatch):
    """A folder of the embedded form: three squares on a dark ground."""
    folder = tmp_path / "superalloys"
    folder.mkdir()
    rows = []
    for i, name in enumerate(["Synthetic03-07", "Synthetic01-00", "Synthetic03-01"]):
        pixels = np.full((40 + i, 50), 40, np.uint8)
        pixels[10:20, 10:30] = 200 - i
        Image.fromarray(pixels).save(folder / f"{name}.jpg", "PNG")  # to know every pixel
        parts = [100.0 if element == "Ni" else 0.0 for element in ELEMENTS]
        rows.append([name, 4.0 + i, None, *parts, 0.1, 50.0, 5.0, 350.0 + i])
    hardness = ["Vickers Hardness (GPa)", "Vickers Hardness (HV)"]
    columns = ["Image_Name", *hardness, *(f"{e} (at.%)" for e in ELEMENTS), *TRUTH]
    pd.DataFrame(rows, columns=columns).to_csv(folder / "table.csv", index=False)
    monkeypatch.setattr(datasets, "EMBEDDED_SUPERALLOYS", folder)
    return folder


def test_the_embedded_set(embedded):
    data = load_superalloys()
    assert data.names == ["Synthetic03-07", "Synthetic01-00", "Synthetic03-01"]
    assert data.groups.tolist() == [3, 1, 3]
    np.testing.assert_allclose(data.hardness, np.array([4, 5, 6]) / 9.80665e-3)
    assert list(data.composition.columns) == ELEMENTS
    assert data.composition_unit == "at.%"
    assert data.merged_composition.shape == (3, 21)
    assert [image.shape for image in data.images] == [(40, 50), (41, 50), (42, 50)]
    assert [image.max() for image in data.images] == [200, 199, 198]
    assert all(image.dtype == np.uint8 for image in data.images)
    assert data.features == {}
    assert list(data.truth.columns) == TRUTH
    assert data.truth["hardness_model"].tolist() == [350, 351, 352]
    assert list(data.truth.index) == data.names
    assert data.kind == "Synthetic data"
    assert data.notice.startswith("3 invented alloys")
    assert data.notice.endswith("The composition is in at.%.")


def test_the_embedded_set_that_ships_has_the_form_of_the_published_one():
    data = load_superalloys()
    assert data.hardness.shape == (149,)
    assert list(data.composition.columns) == ELEMENTS
    assert len(data.images) == len(data.truth) == 149
    assert len(np.unique(data.groups)) == 19
    assert data.composition_unit == "at.%"


def test_embedded_micrographs_are_segmented_once_when_asked_for(embedded, monkeypatch):
    segment, calls = segmentation.segment, []

    def counted(image, method):
        calls.append(method)
        return segment(image, method)

    monkeypatch.setattr(datasets, "segment", counted)
    data = load_superalloys()
    assert calls == []
    first = data.binary_images
    assert data.binary_images is first
    assert calls == ["paper"] * 3
    for image, binary in zip(data.images, first, strict=True):
        np.testing.assert_array_equal(binary, segment(image, "paper"))
        assert binary.dtype == np.uint8
        assert set(np.unique(binary)) <= {0, 1}


def test_an_embedded_folder_that_is_not_whole_is_told(embedded):
    (embedded / "Synthetic01-00.jpg").unlink()
    with pytest.raises(FileNotFoundError, match=r"Synthetic01-00\.jpg.* `make data`"):
        load_superalloys()
    shutil.rmtree(embedded)
    with pytest.raises(FileNotFoundError, match=r"table\.csv.* `make data`"):
        load_superalloys()


def test_another_source_is_refused():
    with pytest.raises(
        ValueError, match=r"source is 'publised': expected one of \('embedded', 'published'\)"
    ):
        load_superalloys("publised")


# Sums, niobium, the table


def test_examples_in_docstrings():
    assert doctest.testmod(superalloy_files).failed == 0


def test_odd_sums_are_those_beyond_98_and_102():
    composition = pd.DataFrame({"Ni": [97.7, 80.5, 103], "Al": [0.3, 0.1, 0]}, ["a", "b", "c"])
    assert odd_sums(composition).to_dict() == {"b": 80.6, "c": 103}
    assert odd_sums(composition, low=99, high=99.5).index.tolist() == ["a", "b", "c"]


def test_niobium_is_summed_under_its_present_name():
    table = pd.DataFrame({"Nb": [1.0, 2], "Al": [3.0, 4], "Cb": [0.5, 0]}, ["a", "b"])
    merged = merge_niobium(table)
    assert merged.to_dict("list") == {"Nb": [1.5, 2], "Al": [3, 4]}
    assert table.columns.tolist() == ["Nb", "Al", "Cb"]  # untouched
    assert merge_niobium(table[["Al", "Cb"]]).to_dict("list") == {"Al": [3, 4], "Nb": [0.5, 0]}
    assert merge_niobium(table[["Al"]]).columns.tolist() == ["Al"]


@pytest.mark.parametrize(
    ("column", "value"),
    [("Image_Name", "Synthetic01-00"), ("Vickers Hardness (GPa)", None), ("Ni (at.%)", -1.0)],
)
def test_a_row_that_no_calculation_can_use_is_refused(embedded, column, value):
    table = pd.read_csv(embedded / "table.csv")
    table.loc[0, column] = value
    table.to_csv(embedded / "table.csv", index=False)
    with pytest.raises(UserError, match=r"table\.csv holds a name twice, no hardness, or no comp"):
        read_table(embedded / "table.csv")
