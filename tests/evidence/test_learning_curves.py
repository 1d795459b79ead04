"""Learning curves: parts that are drawn, errors, and the shipped table."""

import doctest

import numpy as np
import pandas as pd
import pytest

from helpers.beyond.descriptors import Describer, descriptor_matrix
from helpers.datasets import load_two_phase
from helpers.evidence import learning_curves
from helpers.evidence.learning_curves import (
    DRAWS,
    FROZEN,
    OURS,
    SIZES,
    curves,
    drawn_parts,
    frozen_cell,
    main,
    network_cell,
)
from helpers.io.results import read_results
from helpers.regression import holdout_rows


def test_examples_in_docstrings():
    assert doctest.testmod(learning_curves).failed == 0


def test_drawn_parts_leave_the_test_part_alone():
    *_, test = holdout_rows(5900)
    seen = [np.concatenate(drawn_parts(5900, n, draw)[:2]) for n in SIZES for draw in (0, 1)]
    assert [len(set(rows)) for rows in seen] == [n for n in SIZES for _ in (0, 1)]
    assert not any(set(rows) & set(test) for rows in seen)
    assert set(seen[0]) != set(seen[1])
    np.testing.assert_array_equal(drawn_parts(5900, 100, 0)[2], test)


def test_a_size_beyond_the_data_is_refused_before_any_work():
    with pytest.raises(ValueError, match="n is 5311: expected 20 to 5310 volumes"):
        main((100, 5311))


def test_nothing_is_chosen_by_the_test_part():
    study = load_two_phase("embedded")
    X = study.sections.mean((2, 3))
    errors, row = frozen_cell("fractions", 100, 0, X, study.modulus)
    *_, test = holdout_rows(5900)
    spoilt = study.modulus.copy()
    spoilt[test] *= 3
    again, other = frozen_cell("fractions", 100, 0, X, spoilt)
    assert [row[k] for k in ("learner", "options", "val_mape")] == [
        other[k] for k in ("learner", "options", "val_mape")
    ]
    assert errors.mean() == pytest.approx(row["mape"])
    assert not np.allclose(again, errors)
    assert other["mape"] != row["mape"]


def test_curves_pair_test_volumes():
    rng = np.random.default_rng(0)
    cells = pd.DataFrame(
        [{"method": m, "n": n, "draw": d} for m in (OURS, "CNN") for n in (9, 99) for d in (0, 1)]
    )
    ours = rng.uniform(5, 15, (4, 30))
    table = curves(cells, np.concatenate([ours, 2 * ours])).set_index(["method", "n"])
    assert table.loc[("CNN", 9), ["ratio", "ratio_low", "ratio_high"]].tolist() == [2, 2, 2]
    assert table.loc[(OURS, 99), "mape"] == pytest.approx(ours[2:].mean())
    assert (table["low"] < table["mape"]).all()


@pytest.mark.slow
def test_a_cell_of_a_network_forgets_its_checkpoint(tmp_path, monkeypatch):
    quick = learning_curves.NETWORKS["CNN from scratch"]._replace(epochs=1, steps=3)
    monkeypatch.setitem(learning_curves.NETWORKS, "CNN from scratch", quick)
    errors, row = network_cell("CNN from scratch", 100, 0, tmp_path)
    assert len(errors) == 590
    assert row["options"] == "epoch 1 of 1"
    assert not list(tmp_path.iterdir())


def test_the_shipped_table_holds_all_draws():
    cells = read_results("evidence/learning_curves")
    found = cells.groupby(["method", "n"]).size()
    assert set(found) == {DRAWS}
    assert set(found.index) == {
        (m, n) for m in (*FROZEN, *learning_curves.NETWORKS) for n in SIZES
    }
    points = read_results("evidence/learning_curves", "curves").set_index(["method", "n"])
    mean = cells.groupby(["method", "n"])["mape"].mean()
    np.testing.assert_allclose(points["mape"].sort_index(), mean.sort_index(), rtol=1e-4)


@pytest.mark.slow
def test_a_cell_of_the_shipped_table_is_what_the_code_computes():
    study = load_two_phase("embedded")
    describer = Describer(study.sections, holdout_rows(len(study.modulus))[0])
    X = descriptor_matrix(describer, "counted statistics")
    _, row = frozen_cell("counted statistics", 200, 1, X, study.modulus)
    table = read_results("evidence/learning_curves").set_index(["method", "n", "draw"])
    shipped = table.loc["counted statistics", 200, 1]
    assert shipped["learner"] == row["learner"]
    assert shipped[["val_mape", "mape"]].tolist() == pytest.approx(
        [row["val_mape"], row["mape"]], rel=2e-2
    )
