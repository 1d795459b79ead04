"""The leaderboards: rows are kept, and those that ship are what the code computes."""

import doctest

import numpy as np
import pandas as pd
import pytest
from sklearn.cross_decomposition import PLSRegression

from helpers.beyond import leaderboard, plots, section_count, studies
from helpers.beyond.descriptors import DESCRIPTORS, Describer, descriptor_matrix
from helpers.beyond.leaderboard import KEYS, Leaderboard, compute, nested_components
from helpers.beyond.learner_scores import score_learner
from helpers.beyond.learners import LEARNERS
from helpers.beyond.section_count import CUTS, averaged
from helpers.beyond.studies import FOLDS, STUDY, nested_row
from helpers.cross_validation import nested_cv, nested_folds
from helpers.datasets import DATA, load_two_phase
from helpers.encoders import load_encoder
from helpers.intervals import nested_coverage
from helpers.regression import holdout_rows, holdout_scores
from helpers.synthetic.volumes import sections_of, two_phase_volume

BOARD = DATA / "results_beyond.csv"


@pytest.fixture(scope="module")
def problem():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 8))
    return X, np.exp(3 + X[:, 0] + 0.1 * rng.normal(size=200))


@pytest.mark.parametrize("module", [studies, leaderboard, plots, section_count])
def test_examples_in_docstrings(module):
    assert doctest.testmod(module).failed == 0


def test_rows_that_a_file_holds_are_not_computed_again(problem, tmp_path):
    X, y = problem
    path, asked = tmp_path / "board.csv", []

    def descriptors():
        asked.append(1)
        return X

    compute(Leaderboard(path, "a command"), "s", "d", descriptors, y, ["lr"])
    board = Leaderboard(path, "another command")
    compute(board, "s", "d", descriptors, y, ["lr", "log lr"], reductions=("PCA", "PLS"))
    compute(board, "s", "d", descriptors, y, ["lr", "log lr"], reductions=("PCA", "PLS"))
    table = pd.read_csv(path)
    assert table[KEYS[2:]].values.tolist() == [
        ["PCA", "lr"], ["PCA", "log lr"], ["PLS", "lr"], ["PLS", "log lr"],
    ]  # fmt: skip
    assert table["command"].tolist() == ["a command"] + 3 * ["another command"]
    assert len(asked) == 3
    assert (table["mape"] > 0).all()


def test_nested_rows_are_pooled(problem):
    X, y = problem
    folds = nested_folds(X[:80], outer=4, inner=3)
    (found, _), book = nested_row(folds, y[:80], "svr"), nested_cv(folds, y[:80], "svr")
    assert found["mape"] == book.mean
    assert found["coverage"] == nested_coverage(book, y[:80]).coverage
    assert nested_row(folds, y[:80], "log ridge pr")[0]["mape"] < found["mape"]


def test_components_come_from_training_rows_alone(problem):
    X, y = problem[0][:60], problem[1][:60]
    folds = nested_folds(X, outer=2, inner=2)
    found = nested_components(X, y, "PLS", outer=2, inner=2)
    split = found.outer[0]
    other = y.copy()
    other[split.test] *= 50
    again = nested_components(X, other, "PLS", outer=2, inner=2)
    np.testing.assert_array_equal(again.outer[0].scores, split.scores)
    np.testing.assert_array_equal(split.train, folds.outer[0].train)
    book = PLSRegression(found.n_components, scale=False)
    book.fit(X[split.train], np.log(y[split.train]))
    np.testing.assert_allclose(split.scores, book.transform(X))
    assert abs(np.corrcoef(split.scores[split.test, 0], np.log(y[split.test]))[0, 1]) > 0.7


def test_sections_of_volumes_are_those_of_the_data():
    study = load_two_phase("embedded")
    volumes = np.stack([two_phase_volume(study.seed, i).volume for i in range(2)])
    found = averaged(lambda flat: flat, volumes, CUTS["3 sections"]).reshape(2, 3, 51, 51)
    np.testing.assert_array_equal(found, study.sections[:2])
    np.testing.assert_array_equal(found[0], sections_of(volumes[0]))
    every = averaged(lambda flat: flat.mean((1, 2)), volumes, CUTS["153 sections"])
    np.testing.assert_allclose(every, study.volume_fraction[:2, None].repeat(3, axis=1))
    one = averaged(lambda flat: flat, volumes, CUTS["1 section along the load"])
    np.testing.assert_array_equal(one.reshape(2, 51, 51), study.sections[:2, 1])


@pytest.mark.parametrize("name", ["beyond", "sections", "networks"])
def test_shipped_rows_are_unique_and_of_the_shipped_weights(name):
    table = pd.read_csv(DATA / f"results_{name}.csv")
    assert not table.duplicated(KEYS).any()
    assert set(table["weights"]) == {load_encoder("microvit", device="cpu").fingerprint[:16]}


def test_the_shipped_board_holds_known_descriptors_and_learners():
    table = pd.read_csv(BOARD)
    assert set(table["study"]) <= {STUDY, *FOLDS.values()}
    assert set(table.loc[table["study"] == STUDY, "descriptor"]) <= set(DESCRIPTORS)
    assert set(table["learner"]) <= {*LEARNERS, "svr"}


@pytest.mark.parametrize("learner", ["lr", "pr", "log ridge pr"])
def test_a_row_of_the_shipped_board_is_what_the_code_computes(learner):
    study = load_two_phase("embedded")
    describer = Describer(study.sections, holdout_rows(len(study.modulus))[0])
    X = descriptor_matrix(describer, "fractions and bounds")
    found, _ = score_learner(holdout_scores(X, X.shape[1]), study.modulus, learner)
    row = pd.read_csv(BOARD).set_index(KEYS).loc[STUDY, "fractions and bounds", "PCA", learner]
    for name in ("val_mape", "mape", "r2", "mae", "coverage", "width"):
        assert row[name] == pytest.approx(found[name], rel=2e-3), name


def test_the_committed_pair_says_the_command_that_writes_it():
    (command,) = pd.read_csv(DATA / "results_beyond_test.csv")["command"].unique()
    assert command.endswith("--pair data/results_beyond_test.csv")
