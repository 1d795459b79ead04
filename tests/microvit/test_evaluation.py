"""The measures of MicroViT's evaluation on small cases, and the committed table."""

import doctest
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats
from transformers import AutoModel

from helpers.datasets import DATA, load_two_phase
from helpers.encoders import load_encoder
from helpers.intervals import paired_interval, ratio_interval
from helpers.io.results import read_results
from helpers.microvit import attention, evaluation, measures, probes
from helpers.microvit.attention import class_token_attention
from helpers.microvit.evaluation import case_study_1, case_study_2
from helpers.microvit.measures import (
    LEAST_R2,
    OURS,
    RANDOM,
    centred_cosine,
    changes,
    describers,
    invariance,
    meets,
    sensitivity,
    twins,
)
from helpers.microvit.statistics import mean_chord
from helpers.microvit.trainer import Trainer
from helpers.preprocessing import input_rule
from helpers.scores import evaluate_descriptors, guess_without_image
from helpers.superalloy_scores import TWO_POINT
from helpers.vit.networks import quiet_transformers


@pytest.fixture(scope="module")
def table():
    rows = read_results("microvit/evaluation")
    return rows.assign(target=rows["target"].fillna(""))


@pytest.fixture(scope="module")
def microvit():
    return load_encoder("microvit", device="cpu")


@pytest.mark.parametrize("module", [measures, attention])
def test_examples_in_docstrings(module):
    result = doctest.testmod(module)
    assert result.attempted > 0
    assert result.failed == 0


def test_interval_of_equal_differences_is_a_point():
    assert paired_interval(np.full((20, 10), -1.5)) == (-1.5, (-1.5, -1.5))


def test_interval_is_the_usual_one_with_the_overlap_added():
    differences = np.random.default_rng(0).normal(-1, 2, (20, 10))
    mean, (low, high) = paired_interval(differences)
    usual = stats.sem(differences.ravel()) * stats.t.ppf(0.975, 199)
    assert mean == pytest.approx(differences.mean())
    assert mean - low == pytest.approx(high - mean)
    assert (high - mean) / usual == pytest.approx(np.sqrt(1 + 200 / 9))
    repeated = paired_interval(np.tile(differences, (10, 1)))[1]  # nothing new was measured
    assert repeated[1] - repeated[0] > 0.95 * (high - low)


def test_interval_of_a_ratio():
    rng = np.random.default_rng(0)
    common, own = rng.gamma(2, 1, 590), rng.gamma(2, 0.1, 590)
    ratio, (low, high) = ratio_interval(0.5 * common + own, common)
    assert low < ratio < high
    assert ratio == pytest.approx((0.5 * common + own).mean() / common.mean())
    alone = ratio_interval(0.5 * common + own, rng.permutation(common))[1]
    assert high - low < 0.7 * (alone[1] - alone[0])  # the same samples are drawn for both


def test_cosine_ignores_what_all_images_share():
    features = np.array([[1.0, 0, 1e6], [-1, 0, 1e6], [0, 1, 1e6], [0, -1, 1e6]])
    np.testing.assert_allclose(centred_cosine(features, features), 1)
    np.testing.assert_allclose(centred_cosine(features, features[[1, 0, 3, 2]]), -1)
    np.testing.assert_allclose(centred_cosine(features, features[[2, 2, 0, 0]]), 0, atol=1e-12)


def test_changes_change_what_they_say():
    images = np.random.default_rng(0).integers(0, 2, (5, 12, 12)).astype(np.float32)
    changed = dict(changes(images, np.random.default_rng(1)))
    assert all(c.shape == images.shape for c in changed.values())
    np.testing.assert_array_equal(changed["mirror up-down"], images[:, ::-1])
    np.testing.assert_array_equal(changed["mirror left-right"], images[:, :, ::-1])
    np.testing.assert_array_equal(changed["polarity"], 1 - images)
    np.testing.assert_array_equal(changed["90-degree turn"][0], np.rot90(images[0]))
    spectra = [np.abs(np.fft.fft2(x)) for x in (images, changed["translation"])]
    np.testing.assert_allclose(*spectra, atol=1e-4)
    assert not np.array_equal(changed["translation"], images)
    assert 0 < np.abs(changed["noise"] - images).mean() < 0.1


def test_two_point_statistics_do_not_see_translations_but_turns():
    images = np.zeros((4, 20, 20), np.float32)
    for i in range(4):
        images[i, : 3 + 2 * i] = 1
    rows = invariance(images, describers({}), "stripes")
    found = {r["quantity"]: r["value"] for r in rows}
    assert found["translation"] == pytest.approx(1)
    assert found["mirror left-right"] == pytest.approx(1)
    assert found["90-degree turn"] < 0.9


def test_chords_of_stripes():
    stripes = np.zeros((1, 24, 30), np.uint8)
    stripes[:, (np.arange(24) % 8) < 3] = 1  # three rows of one phase, five of the other
    np.testing.assert_allclose(mean_chord(stripes, 1), 3)
    np.testing.assert_allclose(mean_chord(1 - stripes, 1), 5)
    np.testing.assert_allclose(mean_chord(stripes, 2), 30)


def test_sensitivity_of_features_that_hold_the_answer():
    def answer(images):
        phases = (images > 0.5).astype(np.uint8)
        pair = phases, 1 - phases
        chords = [sum(np.log(mean_chord(p, axis)) for p in pair) / 2 for axis in (1, 2)]
        return np.stack([phases.mean((1, 2)), *chords], axis=1)

    nothing = np.random.default_rng(0).normal
    rows = sensitivity({OURS: answer, RANDOM: lambda x: nothing(size=(len(x), 3))}, n=150)
    found = {(r["data"], r["descriptor"], r["quantity"]): r for r in rows}
    for quantity in LEAST_R2:
        assert found["generated, binary", OURS, quantity]["value"] > 0.9
        assert found["generated, binary", RANDOM, quantity]["value"] < 0.2
    targets = {key for key, r in found.items() if r["target"]}
    assert targets == {("generated, binary", OURS, quantity) for quantity in LEAST_R2}


def test_case_study_1_compares_polynomials_of_concatenated_features():
    rng = np.random.default_rng(0)
    sections = rng.integers(0, 2, (120, 3, 26, 26)).astype(np.uint8)
    good = rng.normal(size=(360, 2))
    modulus = 10 + good.reshape(120, 6).sum(axis=1)
    features = {OURS: good, RANDOM: rng.normal(size=(360, 2))}
    rows = pd.DataFrame(case_study_1(sections, modulus, features))
    error = rows[rows["quantity"] == "MAPE"].set_index(["descriptor", "protocol"])["value"]
    assert error[OURS, "PR, concat"] < 1e-6 < error[RANDOM, "PR, concat"]
    assert len(error) == 20
    assert [meets(r) for r in rows.to_dict("records") if r["target"]] == [True, True]


def test_case_study_2_pairs_the_folds(monkeypatch):
    monkeypatch.setattr(evaluation, "micrograph_descriptor", lambda image: image.ravel())
    rng = np.random.default_rng(0)
    good, groups = rng.normal(size=(150, 2)), np.arange(150) % 15
    alloys = SimpleNamespace(
        hardness=400 + 40 * good[:, 0], groups=groups, binary_images=rng.random((150, 2, 2))
    )
    features = {OURS: 50 * good, RANDOM: rng.normal(size=(150, 3))}
    monkeypatch.setattr("helpers.cross_validation.MOST_COMPONENTS", {"lr": 2, "pr": 2, "svr": 2})
    rows = case_study_2(alloys, features, "small", shuffles=2, store=False)
    rows = pd.DataFrame(rows).set_index(["quantity", "descriptor", "protocol"])
    means = rows.loc["MAPE"]["value"].droplevel("protocol")
    assert set(means.index) == {OURS, RANDOM, TWO_POINT, "mean of all", "mean of the source"}
    seeds = range(2)
    again = evaluate_descriptors({OURS: features[OURS]}, alloys.hardness, ["svr"], seeds=seeds,
                                 store=False)  # fmt: skip
    blind = [guess_without_image(alloys.hardness, groups, seed)["mean of all"] for seed in seeds]
    difference = np.array([again[OURS, "svr", s].fold_mape for s in seeds]) - blind
    ends = rows.loc["MAPE minus that of mean of all", OURS, "SVR"][["low", "high"]]
    np.testing.assert_allclose(ends.astype(float), paired_interval(difference)[1])
    for other in means.index.drop(OURS):
        difference = rows.loc[f"MAPE minus that of {other}", OURS, "SVR"]
        assert difference["value"] == pytest.approx(means[OURS] - means[other])
        assert difference["low"] < difference["value"] < difference["high"]
        assert meets(difference) is (True if other in (RANDOM, TWO_POINT) else None)


def test_a_folder_is_evaluated_like_the_model_that_ships():
    rules = [
        [input_rule(e.entry, (324, 294)) for e in twins(model).values()]
        for model in ("microvit", DATA / "microvit")
    ]
    assert rules[0] == rules[1]
    assert rules[0][0].shape == (224, 203)


def test_attention_is_that_of_the_whole_network(microvit):
    pixels = load_two_phase().sections[5, :1, :49, :49].astype(np.float32)
    with quiet_transformers():
        whole = AutoModel.from_pretrained(DATA / "microvit", attn_implementation="eager").float()
    inputs = torch.from_numpy(pixels)[None].expand(-1, 3, -1, -1)
    expected = whole(pixel_values=inputs, output_attentions=True).attentions[-1][0, :, 0, 1:]
    maps = class_token_attention(microvit, pixels)
    np.testing.assert_allclose(maps.reshape(3, 49), expected.detach(), atol=1e-5)
    with pytest.raises(ValueError, match="clip-b32 is no DINOv2"):
        class_token_attention(load_encoder("clip-b32", "random"), pixels)


def test_committed_logs_begin_with_seed_0_and_end_with_the_shipped_weights(microvit, monkeypatch):
    log, first = read_results("microvit/pretraining"), read_results("microvit/pretraining_first")
    assert log["step"].max() != first["step"].max()
    study = load_two_phase("embedded")  # in the place of the probe volumes, which take minutes
    monkeypatch.setattr(probes, "probe_volumes", lambda: (study.sections[:60], study.modulus[:60]))

    def shipped(images):
        h, w = (side - side % 7 for side in images.shape[1:])
        return microvit(torch.from_numpy(images[:, None, :h, :w])).numpy()

    begun, ended = probes.run_probes(Trainer(seed=0).encode), probes.run_probes(shipped)
    for table, step, again in (
        (first, 0, begun),
        (log, 0, begun),
        (log, log["step"].max(), ended),
    ):
        rows = table[(table["step"] == step) & (table["curve"] != "loss")]
        said = rows.set_index("curve")["value"]
        assert set(said.index) == set(again)
        for curve in ("r2_fraction", "r2_chord_y", "r2_chord_x", "r2_anisotropy"):
            assert again[curve] == pytest.approx(said[curve], abs=2e-3), curve


def test_committed_table_is_whole(table):
    """Every target of the evaluation is in it."""
    counts = table["part"].value_counts().to_dict()
    assert counts == {
        "case study 1": 32,
        "case study 2": 35,
        "invariance": 30,
        "sensitivity": 24,
        "speed": 4,
    }
    asked = table[table["target"] != ""]
    assert asked["part"].value_counts().to_dict() == {
        "case study 1": 2,
        "case study 2": 4,
        "sensitivity": 4,
    }
    assert table[["value"]].notna().all(axis=None)
    assert (table["low"].isna() | (table["low"] <= table["value"])).all()


def computed_again(rows, table):
    """Absolute differences between rows and those of the table."""
    both = pd.DataFrame(rows).merge(table, on=["part", "quantity", "data", "descriptor"])
    assert len(both) == len(rows)
    return (both["value_x"] - both["value_y"]).abs()


def test_invariance_of_the_table_on_some_of_the_sections(table):
    describe = {OURS: describers(twins())[OURS]}
    sections = load_two_phase().sections.reshape(-1, 51, 51)
    mixed = sections[sections.any((1, 2)) & ~sections.all((1, 2))][:100].astype(np.float32)
    rows = invariance(mixed, describe, "sections", skip=["polarity"])  # a sixth of all
    assert len(rows) == 5
    assert computed_again(rows, table).max() < 0.15


@pytest.mark.slow
def test_sensitivity_of_the_table_computed_again(table):
    rows = sensitivity({OURS: describers(twins())[OURS]})
    assert len(rows) == 8
    assert computed_again(rows, table).max() < 0.01
