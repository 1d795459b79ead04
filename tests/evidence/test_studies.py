"""Rivals, families, contrasts, scales and section counts, and their shipped tables."""

import doctest

import numpy as np
import pytest

from helpers.beyond.descriptors import DESCRIPTORS, NOISE, Describer, descriptor_matrix
from helpers.beyond.learner_scores import score_learner
from helpers.beyond.learners import LEARNERS
from helpers.cross_validation import nested_cv, nested_folds
from helpers.datasets import PHASE_MODULI, load_superalloys, load_two_phase
from helpers.evidence import contrast, families, plots, rivals, scale, section_count
from helpers.evidence.learning_curves import FROZEN, OURS
from helpers.evidence.rivals import ALLOY_STUDIES, alloy_cell, volume_cell
from helpers.evidence.section_count import CUTS, IN_3D, WHOLE, averaged
from helpers.intervals import nested_coverage
from helpers.io.results import read_results
from helpers.regression import holdout_rows, holdout_scores, mape
from helpers.synthetic.families import FAMILIES
from helpers.synthetic.volumes import sections_of, two_phase_volume


@pytest.fixture(scope="module")
def problem():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(160, 8))
    return X, np.exp(3 + X[:, 0] + 0.1 * rng.normal(size=160)), np.repeat(np.arange(20), 8)


@pytest.fixture(scope="module")
def volumes():
    study = load_two_phase("embedded")
    return study, Describer(study.sections, holdout_rows(len(study.modulus))[0])


@pytest.mark.parametrize("module", [plots, scale, section_count])
def test_examples_in_docstrings(module):
    assert doctest.testmod(module).attempted > 0
    assert doctest.testmod(module).failed == 0


def test_a_row_of_alloys_is_pooled_and_heeds_sources(problem):
    X, y, groups = problem
    row, predicted = alloy_cell(ALLOY_STUDIES["shuffled"], "d", "svr", X, y, groups)
    book = nested_cv(nested_folds(X), y, "svr")
    assert row["mape"] == book.mean
    assert row["coverage"] == nested_coverage(book, y).coverage
    np.testing.assert_array_equal(predicted, book.y_pred)
    _, by_source = alloy_cell(ALLOY_STUDIES["source"], "d", "svr", X, y, groups)
    assert not np.allclose(by_source, predicted)
    better, _ = alloy_cell(ALLOY_STUDIES["shuffled"], "d", "log ridge pr", X, y, groups)
    assert better["mape"] < row["mape"]


def test_pure_noise_does_not_win(problem):
    X, y, _ = problem
    noise = np.random.default_rng(1).standard_normal(X.shape)
    rows, predicted = zip(volume_cell("d", X, y), volume_cell(NOISE, noise, y), strict=True)
    ours, theirs = (min(r["val_mape"] for r in table) for table in rows)
    assert ours < 0.4 * theirs
    assert predicted[0].shape == (len(LEARNERS), 16)


def test_a_constant_descriptor_is_refused(problem):
    _, y, _ = problem
    with pytest.raises(ValueError, match="X is the same in all 115 rows of the training part"):
        volume_cell("constant", np.ones((160, 3)), y)


def test_moved_volumes_are_flagged_and_like_ones_are_not():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 60))
    X[300:350, 1] += 30
    y = np.exp(3 + 0.3 * X[:, 0])
    rows = {"far": np.arange(300, 350), "near": np.arange(350, 400)}
    told = {
        name: families.transferred_cell(name, "d", X, y, of, 300)[1] for name, of in rows.items()
    }
    assert told["far"]["flagged"] == 100
    assert told["near"]["flagged"] < 20


def test_the_middle_of_a_micrograph_is_cut_and_brought_to_scale():
    image = np.zeros((120, 160), np.uint8)
    image[40:80, 60:100] = 255
    assert scale.middle(image, 1.0, 1.0, side=40).min() == 1
    coarse = scale.middle(image, 1.0, 4.0)
    assert coarse.shape == (30, 30)
    assert coarse.mean() == pytest.approx(40**2 / 120**2, abs=0.01)


def test_sections_of_volumes_are_those_of_the_data(volumes):
    study, _ = volumes
    cubes = np.stack([two_phase_volume(study.seed, i).volume for i in range(2)])
    found = averaged(lambda flat: flat, cubes, CUTS["3 sections"]).reshape(2, 3, 51, 51)
    np.testing.assert_array_equal(found, study.sections[:2])
    np.testing.assert_array_equal(found[0], sections_of(cubes[0]))
    every = averaged(lambda flat: flat.mean((1, 2)), cubes, CUTS["153 sections"])
    np.testing.assert_allclose(every, study.volume_fraction[:2, None].repeat(3, axis=1))
    one = averaged(lambda flat: flat, cubes, CUTS["1 section along the load"])
    np.testing.assert_array_equal(one.reshape(2, 51, 51), study.sections[:2, 1])


@pytest.mark.slow  # solves 300 volumes
def test_a_row_of_the_shipped_families_is_what_the_code_computes():
    blocks = range(0, families.N_VOLUMES, families.BLOCK)
    solved = [families.solved_cell("fine noise", first) for first in blocks]
    sections, y = map(np.concatenate, zip(*solved, strict=True))
    X = descriptor_matrix(Describer(sections, np.arange(len(y))), OURS)
    errors = families.refitted_cell("fine noise", OURS, X, y)
    table = read_results("evidence/families").set_index(["protocol", "data", "descriptor"])
    row = table.loc["refitted", "fine noise", OURS]
    # Scaled by these volumes, not by the embedded ones.
    assert row["mape"] == pytest.approx(errors.mean(), rel=0.01)


@pytest.mark.slow
def test_a_row_of_the_shipped_scales_is_what_the_code_computes():
    data = load_superalloys("embedded")
    X = scale.scale_descriptors(data)["at one pixel size"]
    study = ALLOY_STUDIES["source"]
    _, predicted = alloy_cell(study, "", "svr", X, data.hardness, data.groups)
    errors = 100 * np.abs(predicted / data.hardness - 1)
    mean = np.mean([errors[data.groups == g].mean() for g in np.unique(data.groups)])
    table = read_results("evidence/scale").set_index(["study", "learner", "descriptor"])
    assert table.loc[study, "svr", "at one pixel size"]["mape"] == pytest.approx(mean, rel=1e-2)


def test_shipped_rivals_hold_all_descriptors_and_learners():
    table = read_results("evidence/rivals")
    assert not table.duplicated(["study", "descriptor", "learner"]).any()
    first = table[table["study"] == rivals.VOLUME_STUDY]
    assert set(first["descriptor"]) == set(DESCRIPTORS)
    assert set(first["learner"]) == set(LEARNERS)
    second = table[table["study"] != rivals.VOLUME_STUDY]
    assert set(second["study"]) == set(ALLOY_STUDIES.values())
    assert set(second["learner"]) == set(rivals.ALLOY_LEARNERS)
    ratios = read_results("evidence/rivals", "ratios")
    noise = ratios[(ratios["study"] == rivals.VOLUME_STUDY) & (ratios["descriptor"] == NOISE)]
    assert noise["low"].min() > 2


@pytest.mark.parametrize("learner", ["lr", "log ridge pr"])
def test_a_row_of_shipped_rivals_is_what_the_code_computes(volumes, learner):
    study, describer = volumes
    X = descriptor_matrix(describer, "fractions and estimates")
    found, _ = score_learner(holdout_scores(X, X.shape[1]), study.modulus, learner)
    table = read_results("evidence/rivals").set_index(["study", "descriptor", "learner"])
    row = table.loc[rivals.VOLUME_STUDY, "fractions and estimates", learner]
    for name in ("val_mape", "mape", "r2", "mae", "coverage", "width"):
        assert row[name] == pytest.approx(found[name], rel=2e-3), name


def test_the_shipped_pair_is_of_two_rows(volumes):
    y = volumes[0].modulus
    pair, test = read_results("evidence/rivals", "pair"), holdout_rows(len(y))[2]
    assert pair["volume"].tolist() == test.tolist()
    np.testing.assert_allclose(pair["modulus"], y[test], atol=1e-4)
    table = read_results("evidence/rivals").set_index(["descriptor", "learner"])
    table = table[table["study"] == rivals.VOLUME_STUDY]
    for role in ("paper", "ours"):
        (name,) = pair[f"{role}_row"].unique()
        row = table.loc[tuple(name.split(" | "))]
        assert mape(pair["modulus"], pair[role]) == pytest.approx(row["mape"], rel=1e-3)


def test_the_shipped_families_are_all_there():
    table = read_results("evidence/families")
    moved = table[table["protocol"] == "transferred"]
    assert set(moved["data"]) == {families.HERE, *FAMILIES}
    assert set(moved["descriptor"]) == set(FROZEN)
    own = moved[(moved["data"] == families.HERE) & (moved["descriptor"] == OURS)].iloc[0]
    assert own["flagged"] < 10
    assert own["coverage"] > 80


def test_the_shipped_contrasts_agree_with_the_embedded_moduli(volumes):
    study, _ = volumes
    table = read_results("evidence/contrast").set_index(["contrast", "descriptor"])
    some, describer = study.first(contrast.N_VOLUMES), volumes[1]
    X = descriptor_matrix(describer, "fractions and estimates")[: contrast.N_VOLUMES]
    errors = families.refitted_cell(50, "fractions and estimates", X, some.modulus)
    assert table.loc[(50, "fractions and estimates"), "mape"] == pytest.approx(
        errors.mean(), rel=0.02
    )


@pytest.mark.slow
def test_a_row_of_the_shipped_section_counts_is_what_the_code_computes():
    found = section_count.count_cell(WHOLE, "volume fraction")
    table = read_results("evidence/section_count").set_index(["cut", "descriptor"])
    row = table.loc[WHOLE, "volume fraction"]
    assert row["learner"] == found["learner"]
    assert row["mape"] == pytest.approx(found["mape"], rel=2e-3)
    assert {IN_3D, OURS} < set(table.index.get_level_values(1))


def test_the_figures_of_the_review_are_those_of_the_shipped_rivals(volumes):
    """MAPE and RMSE of the paper's learner, of predictions raised to 2.4 GPa, and of the best."""
    table = read_results("evidence/rivals").query("study == @rivals.VOLUME_STUDY")
    mapes = table.set_index(["descriptor", "learner"])["mape"]
    said = {("MicroViT", "pr"): 30.2, ("two-point statistics", "pr"): 41.3}
    said |= {("two-point statistics", "log boosting"): 24.7}
    said |= {("counted statistics", "log kernel ridge"): 16.9}
    for row, value in said.items():
        assert round(mapes[row], 1) == value, row
    pair = read_results("evidence/rivals", "pair")
    y, paper = pair["modulus"], pair["paper"]
    assert np.sqrt(np.mean((paper - y) ** 2)) == pytest.approx(7.02, abs=5e-3)
    assert mape(y, np.maximum(paper, min(PHASE_MODULI))) == pytest.approx(28.5, abs=0.05)
    # The review's 17.3 % and 7.06 GPa were of symmetric features, which the book has no more.
    assert np.sqrt(np.mean((pair["ours"] - y) ** 2)) == pytest.approx(7.08, abs=5e-3)
