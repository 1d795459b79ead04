import doctest
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from helpers.audit import choices, findings, studies, tables
from helpers.audit.audit import audit
from helpers.audit.findings import ALLOYS, BEST, VOLUMES, component_rows
from helpers.audit.source_leak import clustered_interval
from helpers.audit.studies import (
    FEW_SEEDS,
    PARTS,
    audit_superalloys,
    read_audit,
)
from helpers.audit.tables import BY_SOURCE, difference, enough, needed_sources
from helpers.datasets import load_superalloys
from helpers.io.results import Computation, read_results

AUDITS = [(ALLOYS, "lr"), (ALLOYS, "svr"), (VOLUMES, "pr")]


@pytest.fixture(scope="module")
def published(shared_data):
    if not (shared_data / "superalloys").is_dir():
        pytest.skip(f"needs the published superalloys in {shared_data}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MICROPROP_DATA", str(shared_data))
        yield load_superalloys("published")


@pytest.fixture(scope="module")
def small():
    """An audit of a signal that every source shares, and of nothing."""
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(12), 6)
    X = rng.normal(size=(72, 4))
    y = 100 + 9 * X[:, 0] + rng.normal(size=72)
    descriptors = {"clear": X, "noise": rng.normal(size=(72, 4))}
    return audit(descriptors, y, groups, seeds=[0], shares=[0.5], store=False, progress=False)


@pytest.mark.parametrize("module", [findings, studies, tables])
def test_examples_in_docstrings(module):
    assert doctest.testmod(module).failed == 0


# Files


def test_what_is_written_is_read_again(small, results_folder):
    with Computation(studies.__file__, (), ()) as run:
        run.write(**studies.audit_tables({("a", "lr"): small, ("b", "lr"): small}))
    again = read_audit("b", "lr")
    for name in ("table", *PARTS):
        expected = getattr(small, name)
        pd.testing.assert_frame_equal(
            getattr(again, name), expected, check_dtype=False, atol=1e-4, rtol=0
        )
    assert len(again.flags) == len(small.flags) > 0


def test_committed_audits_hold_what_the_chapter_shows():
    for key in AUDITS:
        found = read_audit(*key)
        known = set(found.table["predictor"])
        assert {"mean", "median"} <= known
        assert found.table["mape_pooled"].notna().all()
        assert (found.table["pooled_low"] <= found.table["mape_pooled"] + 1e-4).all()
        descriptors = found.table.query("role == 'descriptor'")["predictor"].unique()
        assert all(f"{name}, shuffled targets" in known for name in descriptors)
    lr = read_audit(ALLOYS, "lr")
    assert set(lr.table["folds"]) == {"shuffled", "by source", "leave one source out"}
    described = lr.table.query("role == 'descriptor'")["predictor"].unique()
    assert len(described) == 11
    controls = {"mean of the source", "composition, linear", "composition, forest"}
    controls |= {"size and grey levels", studies.TWIN, studies.RESNET}
    assert controls <= set(lr.table.query("role == 'control'")["predictor"])
    assert len(lr.learning_curve) == 11 * (4 + 4 + 1)


# A part of the committed numbers, computed again


@pytest.mark.slow
@pytest.mark.long
def test_committed_scores_are_what_the_code_gives(published):
    # The smallest descriptor: all of them take half an hour.
    again = audit_superalloys(
        published, "lr", ["sam-h"], shares=[0.4], store=False, progress=False
    )
    theirs = read_audit(ALLOYS, "lr")
    numbers = {
        "table": (["folds"], ["mape_pooled", "mape_mean", "mae", "r2"]),
        "intervals": (["folds", "level"], ["coverage", "width"]),
        "optimism": (["unseen_folds"], ["mape_seen", "mape_unseen", "optimism", "gain"]),
        "source_accuracy": ([], ["balanced_accuracy", "chance"]),
        "differences": (["folds", "other"], ["difference", "low", "high"]),
        "learning_curve": (["folds", "share"], ["n_train", "mape_pooled"]),
    }
    for name, (keys, columns) in numbers.items():
        ours, file = getattr(again, name), getattr(theirs, name)
        both = ours.merge(file, on=[*keys, "predictor"], suffixes=("", " file"))
        assert len(both) == len(ours) > 0, name
        for column in columns:
            np.testing.assert_allclose(
                both[column], both[f"{column} file"], atol=0.02, err_msg=column
            )
    got, said = (difference(found, "sam-h", "mean", BY_SOURCE) for found in (again, theirs))
    np.testing.assert_allclose(got, said, atol=0.02)


@pytest.mark.slow
def test_committed_scores_of_svr_are_what_the_code_gives(published):
    again = audit(
        {"sam-h": published.features["sam-h"]}, published.hardness, published.groups, "svr",
        kinds=["shuffled"], seeds=FEW_SEEDS, shares=[], store=False, progress=False,
    ).table  # fmt: skip
    theirs = read_audit(ALLOYS, "svr").table.query("folds == 'shuffled'").set_index("predictor")
    for row in again.itertuples():
        assert row.mape_pooled == pytest.approx(theirs.loc[row.predictor, "mape_pooled"], abs=0.02)


def test_committed_findings_are_what_the_code_gives(published):
    table = read_results("audit/studies", "findings").set_index(["finding", "quantity", "of"])[
        "value"
    ]
    rows = findings._odd_rows(published)
    share = np.array([image.mean() for image in published.binary_images])
    some = {name: published.features[name] for name in (BEST, "sam-h")}
    rows += component_rows(some, share, ALLOYS, published.groups)
    for row in rows:
        theirs = table[row["finding"], row["quantity"], row["of"]]
        assert row["value"] == pytest.approx(theirs, abs=0.02)
    alike = np.corrcoef(published.features["micronet-resnet50"])[np.triu_indices(149, 1)].mean()
    theirs = table["untrained", "correlation", "ResNet-50 (MicroNet), published"]
    assert alike == pytest.approx(theirs, abs=1e-4)


@pytest.mark.slow
def test_committed_choices_are_what_the_code_gives(published, tmp_path, monkeypatch):
    monkeypatch.setenv("MICROPROP_CACHE", str(tmp_path))
    some = {"sam-h": published.features["sam-h"]}
    rows = choices.choice_rows(some, published.hardness, published.groups)
    again = pd.DataFrame(rows).query("finding == 'hardness'")
    theirs = read_results("audit/choices").query("of == 'sam-h'")
    ends = ["value", "low", "high"]
    np.testing.assert_allclose(again[ends], theirs[ends], atol=0.02)


# What the findings mean


def test_published_resnet_is_among_random_networks_and_the_others_are_not():
    """Facts: 0.9995; random ones 0.999."""
    table = read_results("audit/studies", "findings").query(
        "finding == 'untrained' and quantity == 'correlation'"
    )
    table = table.set_index("of")["value"]
    random = table[table.index.str.contains("untrained")]
    assert len(random) >= 3
    assert random.min() > 0.99
    published = table[table.index.str.endswith("published")]
    assert published.pop("ResNet-50 (MicroNet), published") > 0.999
    assert published.max() < 0.9


def test_a_fraction_is_recognised_in_a_first_component():
    rng = np.random.default_rng(0)
    fraction = rng.uniform(size=60)
    X = np.outer(fraction, [9.0, 1.0]) + 0.01 * rng.normal(size=(60, 2))
    for groups in (None, np.repeat(np.arange(12), 5)):
        share, r = component_rows({"x": X}, fraction, "made", groups)
        assert share["value"] > 99
        assert r["low"] > 0.99
        assert r["low"] <= r["value"] <= r["high"] <= 1


def test_differences_can_be_read_either_way(small):
    value, low, high = difference(small, "clear", "noise", BY_SOURCE)
    assert low <= value <= high < 0
    assert difference(small, "noise", "clear", BY_SOURCE) == (-value, -high, -low)
    with pytest.raises(ValueError, match="no difference of 'clear' and 'x' on folds 'shuffled'"):
        difference(small, "clear", "x")


def test_how_much_is_enough(small):
    n = small.learning_curve.query("folds == 'by source'")["n_train"].min()
    assert enough(small, "clear", BY_SOURCE) == n
    assert enough(small, "noise", BY_SOURCE) is None
    # The half width of an interval over sources shrinks with the root of their number.
    assert needed_sources(small, "clear", 1.0) == 4 * needed_sources(small, "clear", 2.0)
    _, low, high = difference(small, "clear", "mean", tables.ONE_OUT)
    assert needed_sources(small, "clear", (high - low) / 2) == pytest.approx(2 * 12, rel=0.03)


def test_needed_sources_see_a_difference_in_four_of_five_studies():
    """By simulation; with half of the sources it is seen in every second study."""
    rng, G = np.random.default_rng(0), 100
    half = stats.t.ppf(0.975, G - 1) / np.sqrt(G)  # of sources of standard deviation 1
    pair = {"folds": tables.ONE_OUT, "predictor": "a", "other": "mean", "difference": 0}
    rows = pd.DataFrame([{**pair, "low": -half, "high": half}])
    curve = pd.DataFrame({"folds": [tables.ONE_OUT], "n_sources": [G - 1.0]})
    plan = SimpleNamespace(differences=rows, learning_curve=curve)
    n = round(needed_sources(plan, "a", 0.2))
    for sources, power in ((n, 0.8), (n // 2, 0.5)):
        studies = rng.normal(0.2, 1, (1000, sources))
        lows = [clustered_interval(study, np.arange(sources))[1][0] for study in studies]
        assert np.mean(np.array(lows) > 0) == pytest.approx(power, abs=0.05)
