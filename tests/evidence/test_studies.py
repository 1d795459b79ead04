"""Rivals, families, contrasts, scales and section counts, and their shipped tables."""

import doctest

import numpy as np
import pytest

from helpers.beyond.descriptors import NOISE, Describer, descriptor_matrix
from helpers.beyond.learners import LEARNERS
from helpers.cross_validation import nested_cv, nested_folds
from helpers.datasets import load_superalloys, load_two_phase
from helpers.evidence import families, plots, scale, section_count
from helpers.evidence.rivals import ALLOY_STUDIES, alloy_cell, volume_cell
from helpers.evidence.section_count import CUTS, averaged
from helpers.intervals import nested_coverage
from helpers.io.results import read_results
from helpers.regression import holdout_rows
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


@pytest.mark.slow
def test_a_block_of_the_shipped_families_is_what_the_code_computes():
    sections, moduli = families.solved_cell("minimal surfaces", 0)
    assert sections.shape == (families.BLOCK, 3, 51, 51)
    X = descriptor_matrix(Describer(sections, np.arange(len(sections))), "counted statistics")
    assert np.isfinite(X).all()
    assert (moduli > 2.4).all()
    assert (moduli < 120).all()


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
