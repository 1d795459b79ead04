"""Names, units, folds and files of an own study stay together: each test holds off one slip."""

import numpy as np
import pandas as pd
import pytest
import tifffile
from PIL import Image

from helpers import UserError
from helpers.audit.audit import LINEAR
from helpers.encoders import load_encoder
from helpers.extract.feature_tables import (
    MUST_AGREE,
    FeatureTable,
    check_comparable,
    extract_table,
)
from helpers.extract.ray_extract import _parts
from helpers.images.pixel_size import PreparedImage, pixel_size_um
from helpers.images.read import Reading
from helpers.own import model_files
from helpers.own.model_files import OwnModel, load_model, save_model
from helpers.own.models import fit_property, join
from helpers.own.properties import PropertyTable, read_properties
from helpers.own.study import _encoder_of, fit_models, predict_table
from helpers.preprocessing import Preparation


def test_rows_of_a_table_go_by_name_and_not_by_place(tmp_path, save_features):
    order = np.random.default_rng(1).permutation(30)
    lines = [f"s{i:02},{100 + i},heat {i // 5},{i}" for i in order]
    table = tmp_path / "t.csv"
    table.write_text("\n".join(["sample,hardness,heat,Al (wt.%)", *lines]))
    fit_models(
        save_features(tmp_path / "f.parquet"), table, tmp_path / "m", group_column="heat",
        properties=["hardness"], progress=False,
    )  # fmt: skip
    model = load_model(tmp_path / "m").properties["hardness"]
    errors = model.audit.table.set_index("predictor")["mape_pooled"]
    assert errors[LINEAR].max() < 1  # the composition says it all
    found = model.out_of_fold
    numbers = found["sample"].str[1:].astype(int)
    np.testing.assert_array_equal(found["measured"], 100 + numbers)
    assert (found["group"] == "heat " + (numbers // 5).astype(str)).all()
    np.testing.assert_allclose(found["predicted"], found["measured"], rtol=0.02)
    known = read_properties(table, ["hardness"])
    assert known.composition.loc[[f"s{i:02}" for i in order], "Al"].tolist() == list(order)
    other = save_features(tmp_path / "o.parquet", order=order[::-1])
    predict_table(tmp_path / "m", other, tmp_path / "p.csv")
    told = pd.read_csv(tmp_path / "p.csv")
    np.testing.assert_allclose(
        told["predicted"], 100 + told["sample"].str[1:].astype(int), rtol=0.02
    )


def test_skipped_images_do_not_shift_the_others(tmp_path):
    rng = np.random.default_rng(0)
    for name in "abcd":
        Image.fromarray(rng.integers(0, 256, (60, 70), np.uint8)).save(tmp_path / f"{name}.png")
    whole = extract_table(tmp_path, store=False, progress=False)
    (tmp_path / "b.png").write_bytes(b"no image")
    with pytest.warns(UserWarning, match="left out"):
        rest = extract_table(tmp_path, store=False, progress=False, on_error="skip")
    assert rest.table["sample"].tolist() == ["a", "c", "d"]
    np.testing.assert_allclose(rest.features, whole.features[[0, 2, 3]], atol=1e-5)


def test_sources_are_never_on_both_sides():
    rng = np.random.default_rng(0)
    groups = np.repeat([f"g{i}" for i in range(12)], 5)
    X = np.repeat(rng.normal(size=(12, 8)), 5, axis=0) + 0.01 * rng.normal(size=(60, 8))
    y = 100 + np.repeat(rng.normal(0, 10, 12), 5)  # of the source alone: nothing to be learned
    names = [f"s{i}" for i in range(60)]
    values = pd.DataFrame({"y": y}, names)
    known = PropertyTable(values, pd.Series(groups, names), None, None)
    found = fit_property("y", names, X, known, seeds=[0], progress=False)
    assert (found.out_of_fold.groupby("group")["fold"].nunique() == 1).all()
    open_ = fit_property("y", names, X, known._replace(groups=None), seeds=[0], progress=False)
    assert open_.half_width < 0.5 * found.half_width  # shuffled folds flatter
    assert found.facts["n_components"] < open_.facts["n_components"]


def test_intervals_come_from_samples_that_were_not_fitted():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 30))
    names = [f"s{i}" for i in range(40)]
    y = 100 + X @ rng.normal(0, 1, 30) + rng.normal(0, 1, 40)
    known = PropertyTable(pd.DataFrame({"y": y}, names), None, None, None)
    found = fit_property("y", names, X, known, seeds=[0], progress=False)
    inside = np.abs(y - found.pipeline.predict(X))
    assert found.half_width > 1.5 * np.quantile(inside, 0.9)


def test_models_of_several_images_want_as_many(tmp_path, save_features):
    lines = [f"s{i:02},{100 + i}" for i in range(30)]
    (tmp_path / "t.csv").write_text("\n".join(["sample,hardness", *lines]))
    two = save_features(tmp_path / "two.parquet", images=2)
    fit_models(two, tmp_path / "t.csv", tmp_path / "m", aggregate="concat", progress=False)
    three = save_features(tmp_path / "three.parquet", images=3)
    with pytest.raises(ValueError, match="samples have 3 images each, those of the model 2"):
        predict_table(tmp_path / "m", three, tmp_path / "p.csv")


@pytest.mark.parametrize("name", MUST_AGREE)
def test_what_must_agree_is_compared(name, facts):
    with pytest.raises(ValueError, match=f"do not go together.*{name} is "):
        check_comparable(facts, facts | {name: "another"}, "two tables")


def test_the_lower_edge_is_cut(tmp_path):
    pixels = np.repeat(np.arange(0, 200, 10, dtype=np.uint8)[:, None], 30, axis=1)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    kept = np.asarray(PreparedImage(tmp_path / "a.png", Reading(crop_bottom=5)))
    np.testing.assert_allclose(255 * kept[:, 0], pixels[:15, 0])


@pytest.mark.parametrize(
    ("unit", "imagej", "side"),
    [("INCH", None, None), ("CENTIMETER", None, 10.0), (None, "mm", 1.0), (None, "nm", 1e-6)],
)
def test_units_of_length(tmp_path, unit, imagej, side):
    """A thousand pixels an inch (a printer's), a centimetre or an ImageJ unit, in micrometres."""
    options = {"resolution": (1000, 1000), "resolutionunit": unit} if unit else {}
    if imagej:
        options = {"imagej": True, "resolution": (1000, 1000), "metadata": {"unit": imagej}}
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((9, 9), np.uint8), **options)
    assert pixel_size_um(tmp_path / "a.tif") == (side and pytest.approx(side))


def test_names_of_parts_change_with_the_files():
    listed = pd.DataFrame({"image": ["a", "b"], "sample": ["a", "b"], "stamp": ["1", "2"]})
    listed["pixel_size_um"] = np.nan
    names = [part["name"] for part in _parts(listed, {}, 1)]
    changed = [part["name"] for part in _parts(listed.assign(stamp=["1", "3"]), {}, 1)]
    assert names[0] == changed[0]
    assert names[1] != changed[1]


def test_numbers_keep_their_sign(tmp_path):
    (tmp_path / "t.csv").write_text("sample,y\na,-3\nb,1e-2\n")
    assert read_properties(tmp_path / "t.csv").values["y"].tolist() == [-3, 0.01]


def test_other_weights_than_those_of_the_model_are_refused():
    encoder = load_encoder("microvit")
    facts = encoder.provenance() | Preparation(encoder.entry).facts()
    facts |= {"pipeline": "micrograph", "fingerprint": "0" * 64}
    with pytest.raises(ValueError, match="are not those that m was fitted with"):
        _encoder_of(facts, None, "m")


def test_an_encoder_is_what_it_computes_and_not_what_it_is_called(facts):
    """Words of the architecture that both state are compared; others are of another version."""
    facts |= {"config": {"width": 32, "act": "gelu", "architectures": None}}
    same = {"width": 32, "new": 1, "architectures": ["ViTModel"]}
    check_comparable(facts, facts | {"encoder": "b", "config": same}, "these")
    with pytest.raises(
        UserError, match=r"go together: encoder .*; config act is 'gelu' and 'relu'"
    ):
        check_comparable(facts, facts | {"config": {"width": 32, "act": "relu"}}, "these")


@pytest.fixture
def saved(tmp_path, facts):
    rng = np.random.default_rng(0)
    X, names = rng.normal(size=(30, 4)), [f"s{i}" for i in range(30)]
    known = PropertyTable(pd.DataFrame({"y": 100 + X[:, 0]}, names), None, None, None)
    table = pd.DataFrame({"sample": names})
    samples, X, _ = join(FeatureTable(table, X, facts), known)
    fitted = {"y": fit_property("y", samples, X, known, seeds=[0], progress=False)}
    model = OwnModel(fitted, facts, "mean", 1, model_files.versions(("scikit-learn",)))
    save_model(tmp_path / "m", model)
    return tmp_path / "m", model


def test_another_scikit_learn_is_refused(saved, monkeypatch):
    monkeypatch.setattr(model_files, "versions", lambda _: {"scikit-learn": "0.1"})
    with pytest.raises(UserError, match=r"here is 0\.1: fit again"):
        load_model(saved[0])


def test_a_model_stays_until_the_next_is_written(saved, monkeypatch):
    def full(*_):
        raise OSError("disk full")

    monkeypatch.setattr(model_files, "atomic_write", full)
    with pytest.raises(OSError, match="disk full"):
        save_model(*saved)
    monkeypatch.undo()
    assert list(load_model(saved[0]).properties) == ["y"]
