"""Cells are kept one by one, and errors are held against each other in pairs."""

import doctest
import os

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats

from helpers.evidence import cells, comparisons
from helpers.evidence.cells import run_cells
from helpers.evidence.comparisons import compare, with_holm


def noted(folder, n, X):
    """Leave a file a call; refuse three."""
    if n == 3:
        raise RuntimeError("killed")
    (folder / f"{n}-{os.getpid()}-{torch.get_num_threads()}").touch()
    return n * X.sum()


@pytest.mark.parametrize("module", [cells, comparisons])
def test_examples_in_docstrings(module):
    assert doctest.testmod(module).attempted > 0
    assert doctest.testmod(module).failed == 0


def test_what_was_computed_before_an_interruption_is_kept(tmp_path):
    calls = tmp_path / "calls"
    calls.mkdir()
    one, two, three = ({"folder": calls, "n": n, "X": np.ones(2)} for n in (1, 2, 3))
    assert run_cells(tmp_path, noted, [one], ["X"]) == [2]
    with pytest.raises(RuntimeError, match="killed"):
        run_cells(tmp_path, noted, [one, three], ["X"])
    assert run_cells(tmp_path, noted, [two, one], ["X"]) == [4, 2]
    names = sorted(path.name for path in calls.iterdir())
    assert [name[0] for name in names] == ["1", "2"]
    assert all(name.endswith("-1") for name in names)  # one thread each


def test_a_comparison_pairs_samples_or_groups():
    rng = np.random.default_rng(0)
    ours = rng.uniform(5, 15, 40)
    errors = {"ours": ours, "worse": ours * 1.2, "noise": rng.permutation(ours)}
    table = compare(errors, "ours").set_index("descriptor")
    assert table.loc["worse", ["ratio", "low", "high"]].tolist() == pytest.approx([1.2] * 3)
    assert table.loc["worse", "p"] == stats.ttest_rel(1.2 * ours, ours).pvalue
    assert table.loc["noise", "low"] < 1 < table.loc["noise", "high"]
    assert np.isnan(table.loc["ours", "p"])
    groups = np.repeat(np.arange(8), 5)
    by_group = compare(errors, "ours", groups).set_index("descriptor")
    means = pd.Series(ours).groupby(groups).mean()
    assert by_group.loc["ours", "mape"] == pytest.approx(means.mean())
    assert by_group.loc["noise", "p"] > 0.05


def test_corrections_are_made_inside_a_family():
    tables = [
        pd.DataFrame({"descriptor": ["base", "a", "b"], "p": [np.nan, 0.02, 0.03]}).assign(of=of)
        for of in (1, 2)
    ]
    found = with_holm(tables, ["of"])["p_holm"]
    assert found.tolist() == pytest.approx([np.nan, 0.04, 0.04] * 2, nan_ok=True)
