"""From an empty folder with thirty micrographs and an .xlsx to a report and predictions."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import openpyxl
import pandas as pd
import pytest
from browsing import Watched
from PIL import Image

from helpers import UserError
from helpers.extract.feature_tables import FeatureTable, read_feature_table, write_feature_table
from helpers.own import cli, plots
from helpers.own.model_files import load_model
from helpers.own.report import write_report

COMMANDS = (
    ["extract", "scans", "--out", "features.parquet"],
    ["fit", "features.parquet", "alloys.xlsx", "--groups", "source", "--out", "model"],
    ["report", "model", "features.parquet", "--out", "report.html"],
    ["predict", "model", "scans", "--out", "predictions.csv"],
)


@pytest.fixture(scope="module")
def walked(tmp_path_factory):
    """What a user has, and what the four commands of the README make of it."""
    folder = tmp_path_factory.mktemp("walk")
    rng = np.random.default_rng(5)
    book = openpyxl.Workbook()
    book.active.append(["sample", "hardness", "source"])
    (folder / "scans").mkdir()
    for i in range(30):
        image = np.full((96, 120), 70.0)
        for y, x in rng.integers(0, 90, (5 + 2 * i, 2)):
            image[y : y + 6, x : x + 6] = 190
        image += rng.normal(0, 6, image.shape)
        pixels = np.clip(image, 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / "scans" / f"alloy {i}.png")
        book.active.append([f"alloy {i}", 250 + 3.0 * i, f"laboratory {i % 5}"])
    book.save(folder / "alloys.xlsx")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("MICROPROP_CACHE", str(tmp_path_factory.mktemp("cache")))
        for line in COMMANDS:
            assert cli.main(line) == 0
    return folder


def test_the_walk_leaves_a_report_figures_tables_and_predictions(walked):
    names = {path.name for path in walked.iterdir()}
    assert names == {
        "scans", "alloys.xlsx", "features.parquet", "model", "report.html", "report_files",
        "predictions.csv",
    }  # fmt: skip
    files = {path.name for path in (walked / "report_files").iterdir()}
    assert {"property1_audit.svg", "property1_audit.png", "property1_worst.svg"} <= files
    assert {"property1_out_of_fold.csv", "property1_audit.csv"} <= files
    page = (walked / "report.html").read_text()
    assert "folds by source (5 sources)" in page
    assert ">Your micrographs, MicroViT</summary>" in page
    assert "Synthetic data" not in page
    assert "<title>Report on model</title>" in page
    table = pd.read_csv(walked / "predictions.csv")
    assert table["sample"].tolist() == sorted(f"alloy {i}" for i in range(30))
    assert len(pd.read_csv(walked / "report_files" / "property1_out_of_fold.csv")) == 30


def _contents(folder):
    """What the commands wrote, without dates, durations and the random names in an HTML page."""
    found = read_feature_table(folder / "features.parquet")
    model = load_model(folder / "model").properties["hardness"]
    yield found.table, found.features
    yield model.out_of_fold, np.append(model.training, model.half_width)
    for path in sorted((folder / "report_files").glob("*.csv")):
        yield pd.read_csv(path), np.zeros(0)
    yield pd.read_csv(folder / "predictions.csv"), np.zeros(0)


@pytest.mark.slow
def test_commands_that_are_killed_go_on_and_end_the_same(walked, tmp_path, seed):
    """Each in a process of its own, killed at a moment that is another one every time."""
    rng = np.random.default_rng(seed)
    shutil.copytree(walked / "scans", tmp_path / "scans")
    shutil.copy(walked / "alloys.xlsx", tmp_path)
    environment = os.environ | {"MICROPROP_CACHE": str(tmp_path / "cache")}
    for line in COMMANDS:
        command = [sys.executable, "-m", "helpers", *line]
        run = subprocess.Popen(
            command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        with contextlib.suppress(subprocess.TimeoutExpired):
            run.communicate(timeout=rng.uniform(2, 9))
        with contextlib.suppress(ProcessLookupError):
            os.killpg(run.pid, signal.SIGKILL)
        run.communicate()
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        assert "Traceback" not in done.stderr
    names = {path.name for path in tmp_path.iterdir()} - {"cache"}
    left = [n for n in names - {path.name for path in walked.iterdir()} if n[0] != "."]
    assert left == []
    pairs = list(zip(_contents(tmp_path), _contents(walked), strict=True))
    assert len(pairs) >= 5
    for (table, numbers), (other, others) in pairs:
        pd.testing.assert_frame_equal(table, other)
        np.testing.assert_array_equal(numbers, others)


def test_reports_are_refused_before_anything_is_computed(walked, tmp_path, monkeypatch, capsys):
    paths = walked / "model", walked / "features.parquet"
    with pytest.raises(UserError, match=r"ends in \.html"):
        write_report(*paths, tmp_path / "r.pdf")
    monkeypatch.chdir(tmp_path)
    code = cli.main(["report", *map(str, paths), "--out", "r.html"])
    assert code == 1
    assert "30 images are not those that" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_features_of_another_study_are_refused(walked, tmp_path, monkeypatch):
    monkeypatch.chdir(walked)
    found = read_feature_table("features.parquet")
    few = FeatureTable(found.table[3:], found.features[3:], found.facts)
    write_feature_table(tmp_path / "few.parquet", few)
    with pytest.raises(UserError, match="fitted to: it lacks alloy 0, alloy 1, alloy 10"):
        write_report("model", tmp_path / "few.parquet", tmp_path / "r.html")
    write_feature_table(tmp_path / "o.parquet", found._replace(features=1 + found.features))
    with pytest.raises(UserError, match="fitted to: its features are others"):
        write_report("model", tmp_path / "o.parquet", tmp_path / "r.html")


def test_a_chart_holds_a_picture_of_at_most_500_samples():
    n, rng = 600, np.random.default_rng(0)
    table = pd.DataFrame({"sample": [f"s{i}" for i in range(n)], "measured": 1.0})
    table["predicted"] = 1 + rng.random(n)
    one = SimpleNamespace(
        name="</script>", out_of_fold=table, training=rng.random((n, 3)), half_width=0.5
    )
    pictures = dict.fromkeys(table["sample"], np.zeros((300, 200)))
    page = plots.sample_chart(one, pictures).data
    assert page.count("data:image/png") == plots.MOST
    assert "&lt;/script&gt;&quot;" not in page


@pytest.mark.browser
def test_the_report_in_a_browser(walked, browser):
    watched = Watched(browser, walked.as_uri() + "/")
    watched.open("report.html")
    assert watched.troubles == []
    assert watched.page.locator("img:not([alt])").count() == 0
    assert "No description" not in watched.page.content()
    watched.page.locator("iframe").first.scroll_into_view_if_needed()
    frame = watched.page.frame_locator("iframe").first
    shown = frame.locator("svg image")
    shown.wait_for(timeout=20_000)
    before, box = shown.get_attribute("href"), frame.locator("svg").first.bounding_box()
    for x, y in ((100, 300), (250, 120), (450, 300), (600, 120)):
        watched.page.mouse.move(box["x"] + x, box["y"] + y)
        watched.page.wait_for_timeout(300)
        if shown.get_attribute("href") != before:
            break
    else:
        pytest.fail("another sample shows the same micrograph")
    inner, outer = shown.bounding_box(), watched.page.locator("iframe").first.bounding_box()
    assert inner["y"] + inner["height"] < outer["y"] + outer["height"]
    assert watched.troubles == []
    watched.page.close()
