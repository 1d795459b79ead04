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
from helpers.datasets import load_two_phase
from helpers.intervals import nested_coverage
from helpers.io.results import read_results
from helpers.regression import holdout_rows, holdout_scores, mape
from helpers.synthetic.volumes import sections_of, two_phase_volume


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

    compute(Leaderboard(path), "s", "d", descriptors, y, ["lr"])
    board = Leaderboard(path)
    compute(board, "s", "d", descriptors, y, ["lr", "log lr"], reductions=("PCA", "PLS"))
    compute(board, "s", "d", descriptors, y, ["lr", "log lr"], reductions=("PCA", "PLS"))
    table = pd.read_csv(path)
    assert table[KEYS[2:]].values.tolist() == [
        ["PCA", "lr"], ["PCA", "log lr"], ["PLS", "lr"], ["PLS", "log lr"],
    ]  # fmt: skip
    pd.testing.assert_frame_equal(Leaderboard(path).table, table)
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


@pytest.mark.parametrize("name", ["studies", "section_count", "end_to_end"])
def test_shipped_rows_are_unique(name):
    assert not read_results(f"beyond/{name}").duplicated(KEYS).any()


def test_the_shipped_board_holds_known_descriptors_and_learners():
    table = read_results("beyond/studies")
    assert set(table["study"]) <= {STUDY, *FOLDS.values()}
    assert set(table.loc[table["study"] == STUDY, "descriptor"]) <= set(DESCRIPTORS)
    assert set(table["learner"]) <= {*LEARNERS, "svr"}


@pytest.mark.parametrize("learner", ["lr", "pr", "log ridge pr"])
def test_a_row_of_the_shipped_board_is_what_the_code_computes(learner):
    study = load_two_phase("embedded")
    describer = Describer(study.sections, holdout_rows(len(study.modulus))[0])
    X = descriptor_matrix(describer, "fractions and bounds")
    found, _ = score_learner(holdout_scores(X, X.shape[1]), study.modulus, learner)
    row = (
        read_results("beyond/studies")
        .set_index(KEYS)
        .loc[STUDY, "fractions and bounds", "PCA", learner]
    )
    for name in ("val_mape", "mape", "r2", "mae", "coverage", "width"):
        assert row[name] == pytest.approx(found[name], rel=2e-3), name


def test_the_shipped_pair_is_of_the_two_best_rows():
    pair, y = read_results("beyond/studies", "pair"), load_two_phase("embedded").modulus
    test = holdout_rows(len(y))[2]
    assert pair["volume"].tolist() == test.tolist()
    np.testing.assert_allclose(pair["modulus"], y[test], atol=1e-4)
    table = read_results("beyond/studies")
    for role, row in zip(("paper", "best"), studies.paper_and_best(table), strict=True):
        assert pair[f"{role}_row"].unique().tolist() == [" | ".join(row[KEYS[1:]])]
        assert mape(pair["modulus"], pair[role]) == pytest.approx(row["mape"], rel=1e-3)


@pytest.mark.slow
def test_rows_of_the_shipped_section_counts_are_what_the_code_computes():
    study = load_two_phase("embedded")
    n = section_count.N_VOLUMES
    volumes = np.stack([two_phase_volume(study.seed, i).volume for i in range(n)])
    X = volumes.mean((1, 2, 3))[:, None]
    table = read_results("beyond/section_count").set_index(KEYS)
    for learner in ("lr", "log ridge pr"):
        found, _ = score_learner(holdout_scores(X, 1), study.modulus[:n], learner)
        row = table.loc[section_count.WHOLE, "volume fraction", "PCA", learner]
        for name in ("val_mape", "mape", "r2", "coverage", "width"):
            assert row[name] == pytest.approx(found[name], rel=2e-3), (learner, name)
