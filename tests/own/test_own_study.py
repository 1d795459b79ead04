"""A user's own micrographs: lists, pixel sizes, tables, models and the command line."""

import doctest
import json
import re
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import openpyxl
import pandas as pd
import pytest
import tifffile
import typer
from PIL import Image
from sklearn.decomposition import PCA
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import PairwiseKernel
from sklearn.linear_model import LinearRegression
from sklearn.metrics.pairwise import paired_cosine_distances
from sklearn.pipeline import make_pipeline

from helpers import UserError
from helpers.beyond import choice
from helpers.extract import feature_tables, image_lists, scale
from helpers.extract.feature_tables import (
    COLUMNS,
    FeatureTable,
    extract_file,
    extract_table,
    read_feature_table,
    sample_matrix,
    write_feature_table,
)
from helpers.extract.image_lists import list_samples
from helpers.extract.scale import differences
from helpers.images import pixel_size
from helpers.images.pixel_size import (
    PixelSizeWarning,
    PreparedImage,
    pixel_size_um,
    prepare_images,
)
from helpers.images.read import ImageError, Reading
from helpers.io.results import read_results
from helpers.own import (
    citations,
    cli,
    doctor,
    messages,
    model_files,
    models,
    properties,
    report,
    study,
)
from helpers.own.model_files import OwnModel, load_model, save_model
from helpers.own.models import choose_folds, fit_property, join, predict_property
from helpers.own.properties import PropertyTable, read_properties

MODULES = [
    citations, doctor, feature_tables, image_lists, model_files, scale,
    models, study, pixel_size, properties, report,
]  # fmt: skip

pytestmark = pytest.mark.usefixtures("own_cache")


@pytest.fixture(scope="module")
def scans(tmp_path_factory):
    """Thirty small micrographs of spots, and an .xlsx of what goes with their number."""
    folder = tmp_path_factory.mktemp("scans")
    rng, rows = np.random.default_rng(0), []
    for i in range(30):
        image, count = np.full((70, 84), 60.0), 4 + i
        for y, x in rng.integers(0, 60, (count, 2)):
            image[y : y + 5, x : x + 5] = 200
        image += rng.normal(0, 5, image.shape)
        Image.fromarray(np.clip(image, 0, 255).astype(np.uint8)).save(folder / f"s{i:02}.png")
        rows.append(
            [f"s{i:02}", 200.0 + 5 * count, None if i == 3 else 2.0 + count, f"heat {i % 6}"]
        )
    book = openpyxl.Workbook()
    for row in [["sample", "hardness", "strength", "heat"], *rows]:
        book.active.append(row)
    book.save(folder / "alloys.xlsx")
    return folder


def made(n=60, d=6, seed=0, groups=None):
    """Features, and a property that follows the first."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d)) * [3, 2, 1, 1, 1, 1][:d]
    y = 100 + 5 * X[:, 0] + rng.normal(size=n)
    names = [f"s{i}" for i in range(n)]
    values = pd.DataFrame({"y": y}, index=names)
    return names, X, PropertyTable(values, groups, None, None)


@pytest.mark.parametrize("module", MODULES)
def test_examples_in_docstrings(module):
    assert doctest.testmod(module).failed == 0


# Lists of images


def test_folder_pattern_and_table_name_the_same_images(scans, tmp_path):
    folder = list_samples(scans)
    assert folder["sample"].tolist() == [f"s{i:02}" for i in range(30)]
    pd.testing.assert_frame_equal(list_samples(f"{scans}/s*.png"), folder)
    table = pd.DataFrame({"image": folder["image"], "alloy": ["a", "b", "c"] * 10})
    table.to_csv(scans / "list.csv", index=False)
    found = list_samples(scans / "list.csv", sample_column="alloy")
    assert found["sample"].tolist() == ["a", "b", "c"] * 10
    table.to_parquet(tmp_path / "list.parquet")
    pd.testing.assert_frame_equal(
        list_samples(tmp_path / "list.parquet", sample_column="alloy"), found
    )
    table.rename(columns={"alloy": "sample"}).to_csv(scans / "list.csv", index=False)
    assert list_samples(scans / "list.csv")["sample"].tolist() == ["a", "b", "c"] * 10
    (scans / "list.csv").unlink()


@pytest.mark.parametrize(
    ("rows", "error", "said"),
    [
        ("image\nnone.png\n", FileNotFoundError, r"row 2 \(.*none.png\)"),
        ("file\na.png\n", UserError, "no column 'image', its headings are 'file'"),
        ("image\ns00.png\ns00.png\n", ImageError, "1 images stand twice"),
        ("image,x\ns00.png,1\n,2\n", UserError, "'image' is empty in row 3"),
        ("image,image\ns00.png,1\n", UserError, "image stands in several columns"),
        ("image\n", UserError, "holds no row below"),
    ],
)
def test_bad_lists_are_refused(scans, rows, error, said):
    path = scans / "bad.csv"
    path.write_text(rows)
    try:
        with pytest.raises(error, match=said):
            list_samples(path)
    finally:
        path.unlink()


def test_images_of_one_name_need_a_sample_column(tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        Image.new("L", (9, 9)).save(tmp_path / folder / "one.png")
    with pytest.raises(ImageError, match="several files would be sample one"):
        list_samples(f"{tmp_path}/*/*.png")
    with pytest.raises(ImageError, match="holds no image"):
        list_samples(f"{tmp_path}/*/*.tif")


# Pixel sizes


@pytest.mark.parametrize(
    ("options", "size"),
    [
        ({"resolution": (20000, 20000), "resolutionunit": "CENTIMETER"}, 0.5),
        ({"resolution": (300, 300), "resolutionunit": "INCH"}, None),
        ({"resolution": (20000, 10000), "resolutionunit": "CENTIMETER"}, None),
        ({}, None),
        ({"imagej": True, "resolution": (4, 4), "metadata": {"unit": "um"}}, 0.25),
        ({"imagej": True, "resolution": (1, 1), "metadata": {"unit": "nm"}}, 0.001),
        ({"ome": True, "metadata": {"PhysicalSizeX": 0.3, "PhysicalSizeY": 0.3}}, 0.3),
    ],
)
def test_pixel_size_of_a_tiff(tmp_path, options, size):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.zeros((20, 30), np.uint8), **options)
    assert pixel_size_um(path) == size


@pytest.mark.parametrize(
    ("tag", "text", "size"),
    [
        (34682, "[User]\n[Scan]\nPixelWidth=2e-08\nPixelHeight=2e-08\n", 0.02),
        (34118, "\r\n0\r\nAP_IMAGE_PIXEL_SIZE\r\nImage Pixel Size = 25.0 nm\r\n", 0.025),
    ],
)
def test_pixel_size_of_microscopes(tmp_path, tag, text, size):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.zeros((20, 30), np.uint8), extratags=[(tag, "s", 0, text, True)])
    assert pixel_size_um(path) == size


def test_images_are_cut_and_brought_to_one_pixel_size(tmp_path):
    files = []
    for name, side, centimetre in (("a", 40, 20000), ("b", 80, 40000)):
        pixels = np.zeros((side, side), np.uint8)
        pixels[:, side // 2 :] = 255
        files.append(tmp_path / f"{name}.tif")
        tifffile.imwrite(
            files[-1], pixels, resolution=(centimetre, centimetre), resolutionunit="CENTIMETER"
        )
    images, stated = prepare_images(files, Reading())
    with pytest.warns(PixelSizeWarning, match=r"0\.25 µm .*b\.tif.* to 0\.5 µm .*a\.tif"):
        extract_table(tmp_path, store=False, progress=False)
    assert images == [str(f) for f in files]
    assert stated == [0.5, 0.25]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        images, _ = prepare_images(files, Reading(crop_bottom="25%", target_um=0.5))
    one, two = map(np.asarray, images)
    assert one.shape == two.shape == (30, 40)
    assert one.dtype == np.float32
    images, _ = prepare_images(files, Reading((-255, 255), target_um=0.5))
    assert [np.asarray(image).min() for image in images] == pytest.approx([0.5, 0.5], abs=0.02)
    np.testing.assert_allclose(one[:, ::39], two[:, ::39], atol=1e-6)
    Image.new("L", (40, 40)).save(tmp_path / "c.png")
    told = differences("abc", [0.5, np.nan, 0.5], np.ones(3))
    assert told[0].startswith("1 of 3 images state no pixel size, such as b; the others do")
    with pytest.raises(ImageError, match=r"1 of 3 images state no pixel size.*c\.png"):
        prepare_images([*files, tmp_path / "c.png"], Reading(target_um=0.5))
    with pytest.raises(ImageError, match="more than 16 times"):
        prepare_images(files, Reading(target_um=100))
    for bad, said in (("x", "expected pixels"), ("95%", "leaves 2 of 40 rows"), (-3, "expected")):
        with pytest.raises(ValueError, match=said):
            Reading(crop_bottom=bad).size(files[0])


def test_prepared_images_give_the_features_of_prepared_pixels(scans):
    files = sorted(scans.glob("*.png"))[:4]
    found = extract_table(f"{scans}/s0[0-3].png", "microvit", crop_bottom=14, progress=False)
    cut = [np.asarray(PreparedImage(f, Reading(crop_bottom=14))) for f in files]
    assert cut[0].shape == (56, 84)
    expected = feature_tables.extract(cut, "microvit", store=False, progress=False).features
    np.testing.assert_allclose(found.features, expected, atol=1e-6)
    assert found.table["height"].tolist() == [70] * 4
    assert found.facts["crop_bottom"] == 14


# Feature tables


@pytest.fixture
def table():
    rows = [["b.png", "s", 4, 5, 0.5, 1.0, "0", "8-bit", 0.9]]
    rows.append(["a.png", "t", 4, 5, np.nan, 0.5, "1", "16-bit", 1.0])
    features = np.arange(6, dtype=np.float32).reshape(2, 3)
    return FeatureTable(pd.DataFrame(rows, columns=COLUMNS), features, {"encoder": "x"})


def test_a_feature_table_is_read_as_it_was_written(table, tmp_path):
    path = tmp_path / "f.parquet"
    write_feature_table(path, table)
    found = read_feature_table(path)
    pd.testing.assert_frame_equal(found.table[[*COLUMNS]], table.table, check_dtype=False)
    np.testing.assert_array_equal(found.features, table.features)
    folder = tmp_path / "parts"
    folder.mkdir()
    for i in range(2):
        part = table._replace(table=table.table.iloc[[i]], features=table.features[[i]])
        write_feature_table(folder / f"{i}.parquet", part)
    found = read_feature_table(folder)
    assert found.table["image"].tolist() == ["a.png", "b.png"]
    np.testing.assert_array_equal(found.features, table.features[::-1])


def test_bad_feature_tables_are_refused(table, tmp_path):
    path = tmp_path / "f.parquet"
    with pytest.raises(UserError, match="there is no feature table"):
        read_feature_table(path)
    with pytest.raises(ValueError, match=r"ends in \.parquet"):
        extract_file(tmp_path, tmp_path / "f.csv")
    path.write_bytes(b"PAR1 nonsense")
    with pytest.raises(UserError, match="cannot be read as parquet"):
        read_feature_table(path)
    pd.DataFrame({"image": ["a"]}).to_parquet(path)
    with pytest.raises(UserError, match="is no feature table"):
        read_feature_table(path)
    write_feature_table(path, table._replace(features=np.full((2, 3), np.nan)))
    with pytest.raises(UserError, match=r"features of b\.png, a\.png are no numbers"):
        read_feature_table(path)
    twice = table.table.assign(image="a.png")
    write_feature_table(path, table._replace(table=twice))
    with pytest.raises(UserError, match="1 images stand twice"):
        read_feature_table(path)


def test_images_of_a_sample_become_one_descriptor(table):
    same = table._replace(table=table.table.assign(sample="s"))
    assert sample_matrix(same)[1].tolist() == [[1.5, 2.5, 3.5]]
    assert sample_matrix(same, "concat")[1].tolist() == [[0, 1, 2, 3, 4, 5]]
    three = pd.concat([table.table, table.table.iloc[:1]], ignore_index=True)
    uneven = FeatureTable(three, np.zeros((3, 3)), {})
    with pytest.raises(ValueError, match=r"samples have \[1, 2\] images \('t' has 1\)"):
        sample_matrix(uneven, "concat")


# Tables of properties


@pytest.mark.parametrize(
    ("text", "options", "said"),
    [
        ("sample,h\na,1\na,2\n", {}, "samples a stand twice"),
        (
            "sample,h\na,hard\nb,2\n",
            {"properties": ["h"]},
            r"'h' holds no number in row 2 \('hard'\)",
        ),
        (
            "sample,h\na,1\n",
            {"properties": ["x"]},
            "no column 'x', its headings are 'sample', 'h'",
        ),
        ("sample,h,Al\na,1,5\n", {}, "unit of Al is not stated"),
        ("sample,h,Al (at.%),Ni (wt.%)\na,1,5,5\n", {}, r"\['at.%', 'wt.%'\]"),
        ("sample,h,Al (at.%)\na,1,\n", {}, r"'Al \(at.%\)' holds no number in row 2"),
        ("sample,h,Al\na,1,5\n", {"composition_unit": "%"}, "composition_unit is '%'"),
        ("sample,name\na,b\n", {}, "no column of numbers"),
        ("sample,h,lab\na,1,\n", {"group_column": "lab"}, "'lab' is empty in row 2"),
    ],
)
def test_bad_properties_are_refused(tmp_path, text, options, said):
    path = tmp_path / "t.csv"
    path.write_text(text)
    with pytest.raises(UserError, match=said):
        read_properties(path, **options)


def test_a_property_may_be_called_like_an_element(tmp_path):
    (tmp_path / "t.csv").write_text("sample,H,V,Al (wt.%)\na,210,x,5\nb,220,y,6\n")
    found = read_properties(tmp_path / "t.csv", ["H"], group_column="V")
    assert found.values["H"].tolist() == [210, 220]
    assert found.groups.tolist() == ["x", "y"]
    assert list(found.composition) == ["Al"]
    with pytest.raises(UserError, match="'V' already names the samples or their source"):
        read_properties(tmp_path / "t.csv", ["H", "V"], group_column="V")


def test_properties_may_be_missing_and_names_may_be_numbers(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("sample,h,Rp,lab,Al\n1,250,N/a,A,5\n2,,300,B,6\n")
    found = read_properties(path, group_column="lab", composition_unit="wt.%")
    assert found.values.index.tolist() == ["1", "2"]
    assert list(found.values) == ["h", "Rp"]
    assert found.values["Rp"].isna().tolist() == [True, False]
    assert found.composition["Al"].tolist() == [5, 6]
    assert found.unit == "wt.%"
    assert found.groups["2"] == "B"


def test_a_sheet_may_be_chosen_and_the_first_of_several_is_named(tmp_path):
    path = tmp_path / "t.xlsx"
    with pd.ExcelWriter(path) as book:
        for name, hardness in (("2019", 210.0), ("2024", 450.0)):
            pd.DataFrame({"sample": ["a"], "h": [hardness]}).to_excel(book, sheet_name=name)
    with pytest.warns(
        UserWarning, match="has 2 sheets, and the first that is shown, '2019', is read"
    ):
        assert read_properties(path, ["h"]).values["h"].tolist() == [210]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_properties(path, ["h"], sheet="2024").values["h"].tolist() == [450]
    with pytest.raises(UserError, match="no sheet '2023': its sheets are '2019', '2024'"):
        read_properties(path, sheet="2023")
    (tmp_path / "t.csv").write_text("sample,h\na,1\n")
    with pytest.raises(UserError, match="without sheets, and sheet is '2024'"):
        read_properties(tmp_path / "t.csv", sheet="2024")


# Models


def test_a_model_finds_a_signal_and_says_how_sure_it_is():
    names, X, known = made(120)
    model = fit_property("y", names[:80], X[:80], known, seeds=[0], progress=False)
    assert model.facts["mape"] < 0.4 * model.facts["mape_mean"]
    found = predict_property(model, X[80:])
    truth = known.values["y"].to_numpy()[80:]
    assert ((found["lower"] <= truth) & (truth <= found["upper"])).mean() > 0.75
    assert found["unlike"].mean() < 0.2
    assert predict_property(model, X[80:] + 40)["unlike"].all()


def test_what_the_components_of_a_model_do_not_see_is_new_as_well():
    names, X, known = made(80)
    model = fit_property("y", names, X, known, seeds=[0], progress=False)
    one = model._replace(pipeline=_one_component(X, known.values["y"]))
    strange = X[:5].copy()
    strange[:, 5] += 12  # at right angles to the only component
    assert predict_property(one, strange)["unlike"].all()
    assert not predict_property(one, X[:5])["unlike"].any()


def _one_component(X, y):
    return make_pipeline(PCA(1), LinearRegression()).fit(X, y)


def test_a_property_of_zero_is_named():
    names, X, known = made(30)
    known.values.loc["s7", "y"] = 0
    with pytest.raises(ValueError, match="'y' is 0 for s7: a percentage error is undefined"):
        fit_property("y", names, X, known, seeds=[0], progress=False)


@pytest.mark.parametrize("sets", [3, pytest.param(12, marks=pytest.mark.slow)])
def test_intervals_hold_what_they_promise_and_few_alike_samples_are_flagged(sets):
    inside, flagged = [], []
    for seed in range(sets):
        names, X, known = made(160, seed=seed)
        model = fit_property("y", names[:60], X[:60], known, seeds=[0], progress=False)
        found = predict_property(model, X[60:])
        truth = known.values["y"].to_numpy()[60:]
        inside.append(((found["lower"] <= truth) & (truth <= found["upper"])).mean())
        flagged.append(found["unlike"].mean())
    assert 0.86 <= np.mean(inside) <= 0.96
    assert np.mean(flagged) <= 0.10


def test_too_few_samples_or_sources_are_refused():
    names, X, known = made(19)
    with pytest.raises(ValueError, match=r"'y' has 19 samples.*at least 20"):
        fit_property("y", names, X, known)
    with pytest.raises(ValueError, match="3 sources: at least 4"):
        choose_folds(30, np.repeat(["a", "b", "c"], 10))
    assert choose_folds(30, np.repeat(["a", "b", "c", "d"], 8)) == {"outer": 4, "inner": 3}
    other = FeatureTable(
        pd.DataFrame([["x", "x", 1, 1, 1.0, 1.0, "0", "8-bit", 1.0]], columns=COLUMNS), X[:1], {}
    )
    with pytest.raises(ValueError, match=r"no sample of the images \(x\) stands in the table"):
        join(other, known)


@pytest.mark.parametrize("kind", ["lr", "pr", "svr", "best"])
def test_a_model_is_read_as_it_was_written(kind, tmp_path, monkeypatch):
    monkeypatch.setattr(choice, "COUNTS", (2,))
    gaussian = {name: one for name, one in choice.LEARNERS.items() if "Gauss" in name}
    monkeypatch.setattr(choice, "LEARNERS", gaussian)  # the one whose kernels skops does not know
    names, X, known = made(40)
    model = fit_property("y", names, X, known, kind=kind, seeds=[0], progress=False)
    save_model(tmp_path / "m", OwnModel({"y": model}, {"encoder": "x"}, "mean", 1, versions()))
    found = load_model(tmp_path / "m")
    again = found.properties["y"]
    pd.testing.assert_frame_equal(predict_property(again, X), predict_property(model, X))
    assert again.audit.flags == model.audit.flags
    pd.testing.assert_frame_equal(again.out_of_fold, model.out_of_fold)
    for name in model_files._AUDIT:
        tables = getattr(again.audit, name), getattr(model.audit, name)
        pd.testing.assert_frame_equal(*tables, check_dtype=False, rtol=0, atol=0)
    assert again.facts == model.facts
    save_model(tmp_path / "m", found)  # replaces itself
    assert sorted(p.name for p in tmp_path.glob("*m*")) == ["m"]


def test_a_choice_needs_samples_and_the_words_say_what_it_cost(monkeypatch):
    monkeypatch.setattr(choice, "COUNTS", (1, 2))
    names, X, known = made(40)
    options = {"kind": "best", "seeds": [0], "progress": False}
    with pytest.raises(UserError, match="at least 40 are needed for kind='best'") as error:
        fit_property("y", names[:39], X[:39], known, **options)
    assert messages.in_options(str(error.value)).endswith("for --model best; measure more")
    with pytest.raises(UserError, match="kind is 'forest': expected one of lr, pr, svr, best"):
        fit_property("y", names, X, known, kind="forest")
    known.values["y"] = np.exp(3 + X[:, 0] / 3)
    model = fit_property("y", names, X, known, **options)
    facts, words = model.facts["choice"], study.summary(model)
    assert facts["learner"].endswith(choice.OF_THE_LOGARITHM)
    assert words[0].split("; ")[1].startswith(facts["learner"])
    assert words[1].startswith("chosen among 12 learners; in the outer folds: ")
    assert facts["mape_folds"] < facts["mape_folds_linear"]
    assert f"linear regression {facts['mape_folds_linear']:.1f} %" in words[2]
    y, predicted = (model.out_of_fold[name] for name in ("measured", "predicted"))
    assert model.facts["mape"] == pytest.approx(100 * abs(predicted / y - 1).mean())
    rows = model.audit.differences.query("predictor == 'descriptor'").set_index("other")
    assert rows.loc["mean", "errs"] == "less"
    known.values["y"] = X[:, 0]
    assert "among 6 learners" in study.summary(fit_property("y", names, X, known, **options))[1]


def versions():
    from helpers.io.provenance import versions as installed

    return installed(model_files.LIBRARIES)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    names, X, known = made(30)
    model = fit_property("y", names, X, known, seeds=[0], progress=False)
    folder = tmp_path_factory.mktemp("models") / "m"
    save_model(folder, OwnModel({"y": model}, {"encoder": "x"}, "mean", 1, versions()))
    return folder


def test_every_changed_byte_is_noticed(saved, tmp_path):
    for path in sorted(saved.iterdir()):
        whole = path.read_bytes()
        for at in {0, len(whole) // 2, len(whole) - 1} if whole else ():
            path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
            with pytest.raises(UserError, match=r"changed|damaged"):
                load_model(saved)
        path.unlink()
        with pytest.raises(UserError, match=r"missing|no model folder"):
            load_model(saved)
        path.write_bytes(whole)
    (saved / "more.txt").touch()
    with pytest.raises(UserError, match=r"more\.txt does not belong there"):
        load_model(saved)
    (saved / "more.txt").unlink()
    load_model(saved)


def test_code_in_a_model_is_refused(saved, tmp_path):
    """Also where somebody made the hashes fit."""
    import skops.io
    from sklearn.preprocessing import FunctionTransformer

    folder = tmp_path / "m"
    shutil.copytree(saved, folder)
    for code, said in (
        (FunctionTransformer(subprocess.run), r"subprocess\.run"),
        (GaussianProcessRegressor(PairwiseKernel(metric=subprocess.run)), "PairwiseKernel|run"),
    ):
        check_refused(folder, skops.io.dumps(code), said)


def check_refused(folder, data, said):
    (folder / "fitted.skops").write_bytes(data)
    facts = json.loads((folder / "model.json").read_text())
    del facts["digest"]
    facts["digest"] = model_files._digest(facts, data)
    (folder / "model.json").write_text(json.dumps(facts))
    with pytest.raises(UserError, match=said):
        load_model(folder)


def test_what_is_no_model_is_not_overwritten(tmp_path):
    (tmp_path / "thesis.txt").touch()
    with pytest.raises(UserError, match="is no model folder: choose another name"):
        save_model(tmp_path, None)
    with pytest.raises(UserError, match="is no model folder: `microprop fit`"):
        load_model(tmp_path / "none")


def test_what_a_killed_process_left_is_no_model_and_is_removed(saved, tmp_path):
    code = (
        "import os, sys; from helpers.own import model_files\n"
        "def stop(*_): os._exit(9)\n"
        "model = model_files.load_model(sys.argv[1])\n"
        "write = model_files.atomic_write\n"
        "model_files.atomic_write = lambda p: stop() if p.name == 'model.json' else write(p)\n"
        "model_files.save_model(sys.argv[2], model)\n"
    )
    command = [sys.executable, "-c", code, str(saved), str(tmp_path / "m")]
    root = Path(__file__).parents[2]
    assert subprocess.run(command, cwd=root, check=False).returncode == 9
    (left,) = tmp_path.iterdir()
    with pytest.raises(UserError, match="is no model folder"):
        load_model(left)
    save_model(tmp_path / "m", load_model(saved))
    assert [path.name for path in tmp_path.iterdir()] == ["m"]


@pytest.mark.parametrize("left", [["model.json"], []])
def test_a_model_whose_removal_was_killed_can_be_written_again(saved, tmp_path, left):
    shutil.copytree(saved, tmp_path / "m")
    for path in (tmp_path / "m").iterdir():
        if path.name not in left:
            path.unlink()
    with pytest.raises(UserError, match=r"fitted\.skops is missing|is no model folder"):
        load_model(tmp_path / "m")
    save_model(tmp_path / "m", load_model(saved))
    assert list(load_model(tmp_path / "m").properties) == list(load_model(saved).properties)


# The command line


def test_from_a_folder_and_a_table_to_predictions(scans, tmp_path, capsys, run):
    features, model, out = tmp_path / "f.parquet", tmp_path / "m", tmp_path / "p.csv"
    assert run("extract", scans, "--out", features) == 0
    assert "images: 30" in capsys.readouterr().out
    code = run(
        "fit", features, scans / "alloys.xlsx", "--groups", "heat", "--out", model, "--json"
    )
    assert code == 0
    told = json.loads(capsys.readouterr().out)
    assert told["samples"] == 30
    hardness, strength = (told["properties"][name] for name in ("hardness", "strength"))
    assert (hardness["n_samples"], hardness["missing"], hardness["n_groups"]) == (30, 0, 6)
    assert (strength["n_samples"], strength["missing"]) == (29, 1)
    assert "folds by source (6 sources)" in hardness["in words"][1]
    assert run("predict", model, scans, "--out", out) == 0
    table = pd.read_csv(out)
    assert len(table) == 60
    assert set(table["property"]) == {"hardness", "strength"}
    measured = pd.read_excel(scans / "alloys.xlsx").set_index("sample")["hardness"]
    some = table[table["property"] == "hardness"].set_index("sample")
    assert np.corrcoef(some["predicted"], measured[some.index])[0, 1] > 0.9
    assert run("predict", model, features, "--out", tmp_path / "q.csv") == 0
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "q.csv"), table, atol=1e-3)
    capsys.readouterr()
    assert run("cite", features, model, "--bibtex") == 0
    said = capsys.readouterr().out
    assert re.findall(r"@\w+\{(\w+)", said) == [
        "microprop", "whitman2025", "vovk2015", "laxhammar2015",
    ]  # fmt: skip
    other = tmp_path / "cut.parquet"
    assert run("extract", scans, "--out", other, "--pixel-size-um", 1, "--stated-um", 0.9) == 0
    assert run("predict", model, other, "--out", tmp_path / "r.csv") == 1
    said = capsys.readouterr().err
    assert (
        "do not go together: encoder 'microvit' and 'microvit'; --pixel-size-um is None and 1.0"
        in said
    )
    assert not (tmp_path / "r.csv").exists()


def twelve_bits(scans, folder, size=None):
    """The scans as 12 bits in 16-bit TIFF files, of a pixel size [micrometres] or of none."""
    folder.mkdir()
    options = {"resolution": (1e4 / size,) * 2, "resolutionunit": "CENTIMETER"} if size else {}
    for path in sorted(scans.glob("*.png")):
        pixels = np.asarray(Image.open(path)).astype(np.uint16)
        tifffile.imwrite(folder / f"{path.stem}.tif", 16 * pixels, **options)
    return folder


def test_the_range_of_twelve_bits_is_asked_for_and_kept(scans, tmp_path, capsys, run):
    tiffs, plain = twelve_bits(scans, tmp_path / "t"), tmp_path / "p.parquet"
    cut = ("--crop-bottom", "6", "--dtype", "float32")
    assert run("extract", scans, "--out", plain, *cut) == 0
    assert "brightest" not in capsys.readouterr().err
    full = tmp_path / "f.parquet"
    assert run("extract", tiffs, "--out", full) == 0
    assert "brightest pixel is at 5" in capsys.readouterr().err
    assert run("extract", tiffs, "--out", full, *cut, "--value-range", 0, 4080) == 0
    assert "brightest" not in capsys.readouterr().err
    one, two = read_feature_table(plain), read_feature_table(full)
    assert two.facts["value_range"] == [0, 4080]
    np.testing.assert_allclose(one.features, two.features, atol=1e-4)
    model = tmp_path / "m"
    assert run("fit", full, scans / "alloys.xlsx", "--property", "hardness", "--out", model) == 0
    for source in (tiffs, full):  # new images are read as those of the model were
        assert run("predict", model, source, "--out", tmp_path / f"{source.stem}.csv") == 0
    tables = [pd.read_csv(tmp_path / f"{name}.csv")["predicted"] for name in ("t", "f")]
    np.testing.assert_allclose(*tables, rtol=1e-5)


def test_another_magnification_than_that_of_the_model_is_told(scans, tmp_path, capsys, run):
    near, far = (twelve_bits(scans, tmp_path / f"t{size}", size) for size in (0.5, 0.2))
    features, model, out = tmp_path / "f.parquet", tmp_path / "m", tmp_path / "p.csv"
    assert run("extract", near, "--out", features, "--value-range", 0, 4080) == 0
    assert run("fit", features, scans / "alloys.xlsx", "--out", model) == 0
    capsys.readouterr()
    assert run("predict", model, near, "--out", out) == 0
    assert "pixel size" not in capsys.readouterr().err
    assert run("predict", model, far, "--out", out) == 0
    told = "30 of 30 images have other pixel sizes at the network (0.2 µm) than those of"
    assert told in capsys.readouterr().err


def test_a_model_of_bfloat16_predicts_in_bfloat16(scans, tmp_path, capsys, run):
    half, full, model = tmp_path / "half.parquet", tmp_path / "full.parquet", tmp_path / "m"
    assert run("extract", scans, "--out", half, "--dtype", "bfloat16") == 0
    assert run("extract", scans, "--out", full) == 0
    half_table, full_table = read_feature_table(half), read_feature_table(full)
    assert half_table.facts["dtype"] == "bfloat16"
    distance = paired_cosine_distances(half_table.features, full_table.features)
    assert 0 < distance.max() < 1e-3
    options = ("--property", "hardness", "--out", model)
    assert run("fit", half, scans / "alloys.xlsx", *options) == 0
    for source, name in ((scans, "images.csv"), (half, "table.csv")):
        assert run("predict", model, source, "--out", tmp_path / name) == 0
    same = [pd.read_csv(tmp_path / name)["predicted"] for name in ("images.csv", "table.csv")]
    np.testing.assert_allclose(*same, rtol=1e-5)
    assert run("extract", scans, "--out", half, "--dtype", "half") == 2
    assert "'half' is not one of 'float32', 'bfloat16'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["extract", "nowhere", "--out", "f.parquet"], 1, "Error: there is no folder nowhere"),
        (["extract", "nowhere", "--out", "f.csv"], 1, "ends in .parquet"),
        (["extract", "nowhere"], 2, "Missing option '--out'"),
        (["fit", "f.parquet", "t.csv", "--out", "m"], 1, "there is no file t.csv"),
        (["predict", "m", ".", "--out", "p.csv"], 1, "m is no model folder"),
        (["predict", "m", ".", "--out", "p.txt"], 1, "ends in .csv"),
        (["fetch", "dino"], 1, "'dino' is neither an encoder (clip-b16"),
        (["cite", "x"], 1, "there is no feature table x"),
        (["nonsense"], 2, "No such command 'nonsense'"),
    ],
)
def test_mistakes_are_told_without_a_traceback(
    arguments, code, said, capsys, monkeypatch, tmp_path, run
):
    monkeypatch.chdir(tmp_path)
    assert run(*arguments) == code
    found = capsys.readouterr()
    assert said in found.err
    assert "Traceback" not in found.err
    assert list(tmp_path.iterdir()) == []


def test_arguments_in_messages_are_told_as_options(tmp_path, capsys, run):
    table = tmp_path / "t.csv"
    table.write_text("sample,h,Al\na,1,5\n")
    options = ("--out", tmp_path / "m", "--composition-unit", "%")
    assert run("fit", tmp_path / "f.parquet", table, *options) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert error == "Error: --composition-unit is '%': expected one of at.%, wt.%"


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ("skip them with on_error='skip': the rest", "skip them with --on-error skip: the rest"),
        ("pass value_range=(0, 4095) or (1, 2)", "pass --value-range 0 4095 or (1, 2)"),
        ("target_um is -1.0: expected more", "--pixel-size-um is -1.0: expected more"),
        ("sheet is 'x': leave the sheet out", "--sheet is 'x': leave the sheet out"),
        ("there is no file a/value_range.csv", "there is no file a/value_range.csv"),
        ("there is no column 'crop_bottom'", "there is no column 'crop_bottom'"),
        ("there is no folder target_um: mend it", "there is no folder target_um: mend it"),
        (r"no C:\\data\\target_um is 'x'", r"no C:\\data\\target_um is 'x'"),
        ("the sheet is empty", "the sheet is empty"),
        ("workers is 0: expected", "--workers is 0: expected"),
        ("crop_bottom is None and '8%'", "--crop-bottom is None and '8%'"),
        ("state it, as stated_um=0.05 or", "state it, as --stated-um 0.05 or"),
        ("stated_um is nan: expected", "--stated-um is nan: expected"),
        ("expected target_um=0.2 or less", "expected --pixel-size-um 0.2 or less"),
        ("more than max_pixels=100: crop it", "more than max_pixels=100: crop it"),
    ],
)
def test_arguments_are_translated_and_names_of_the_user_are_not(message, told):
    assert messages.in_options(message) == told


def test_the_table_of_options_holds_options():
    commands = typer.main.get_command(cli.app).commands.values()
    assert set(messages.OPTIONS.values()) <= {
        o for c in commands for p in c.params for o in p.opts
    }


def test_errors_that_a_user_can_mend_are_told(monkeypatch, capsys, run):
    def fail():
        raise UserError("mend this")

    monkeypatch.setattr(doctor, "diagnose", fail)
    assert run("doctor") == 1
    assert capsys.readouterr().err == "Error: mend this\n"


def test_slips_of_the_code_keep_their_traceback(monkeypatch, scans, tmp_path, run):
    def slip(*_, **__):
        return int("x")

    monkeypatch.setattr(feature_tables, "extract_table", slip)
    with pytest.raises(ValueError, match="invalid literal"):
        run("extract", scans, "--out", tmp_path / "f.parquet")


def test_an_interrupt_is_told(monkeypatch, scans, tmp_path, capsys, run):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(feature_tables, "extract_table", stop)
    assert run("extract", scans, "--out", tmp_path / "f.parquet") == 130
    assert "goes on from here" in capsys.readouterr().err


def test_doctor_knows_what_is_here(capsys, run):
    assert run("doctor", "--json") == 0
    rows = {row["what"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["MicroViT (microvit)"]["state"].startswith("here")
    assert rows["CLIP B16 (clip-b16)"]["do"] == "microprop fetch clip-b16"
    assert rows["torch"]["state"].startswith("2.13.0")
    assert run("doctor") == 0
    told = [line for line in capsys.readouterr().out.splitlines() if "->" not in line]
    (at,) = {line.index(rows[line.split("  ")[0].rstrip()]["state"], 11) for line in told[2:9]}
    assert all(line[at - 1] == " " and line[at] != " " for line in told)


def test_extract_says_what_the_committed_scores_say_of_microvit(scans, tmp_path, capsys, run):
    scores = read_results("audit/studies").query("study == 'published superalloys'")
    scores = scores.query("model == 'lr'").set_index(["folds", "predictor"])["mape_pooled"]
    assert run("extract", scans, "--out", tmp_path / "f.parquet") == 0
    (told,) = [n for n in capsys.readouterr().err.splitlines() if "MicroViT needs" in n]
    assert told.endswith("microprop fetch dinov2-s14, then --encoder dinov2-s14")
    for folds in ("shuffled", "by source"):
        small, other = scores[folds, "MicroViT, segmented"], scores[folds, "dinov2-s14"]
        mean = scores[folds, "mean"]
        assert f"{small:.1f}, {other:.1f} and {mean:.1f} % on folds {folds}" in told


def test_help_has_examples():
    found = subprocess.run(
        [sys.executable, "-m", "helpers", "fit", "--help"],
        cwd=Path(__file__).parents[1], capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert "Example: microprop fit features.parquet alloys.xlsx" in found
