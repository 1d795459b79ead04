import doctest

import numpy as np
import pandas as pd
import pytest

from helpers.audit import choices
from helpers.audit.choices import choice_rows, dealt_within, repeated_rows


@pytest.fixture(autouse=True)
def keep_nothing(monkeypatch, tmp_path):
    monkeypatch.setenv("MICROPROP_CACHE", str(tmp_path))


def numbers(rows):
    return {(r["quantity"], r["of"]): (r["value"], r["low"], r["high"]) for r in rows}


def test_examples_in_docstrings():
    assert doctest.testmod(choices).failed == 0


def test_a_group_keeps_its_values():
    rng = np.random.default_rng(0)
    y, groups = rng.normal(size=90), rng.integers(0, 9, 90)
    dealt = dealt_within(y, groups, 0)
    assert (dealt != y).sum() > 60
    for group in range(9):
        assert sorted(dealt[groups == group]) == sorted(y[groups == group])


def test_dealing_anew_costs_what_a_descriptor_knows_beyond_the_source():
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(12), 10)
    source, own = 20 * rng.normal(size=12)[groups], 10 * rng.normal(size=120)
    y = 200 + source + own
    descriptors = {"source": np.eye(12)[groups], "both": np.column_stack([source, own])}
    found = numbers(choice_rows(descriptors, y, groups, seeds=[0, 1]))
    only = [found[q, "source"][0] for q in ("measured", "dealt within sources")]
    assert only[0] == pytest.approx(only[1], rel=0.15)
    assert found["measured", "both"][2] < 0.01
    assert found["dealt within sources", "both"][1] > 0.8 * only[0]


def test_a_choice_is_paid_for_where_it_is_made_inside():
    """Of twenty descriptors of nothing one errs least by luck; a single one is no choice."""
    rng = np.random.default_rng(0)
    y, noise = 100 + 9 * rng.normal(size=60), dict(enumerate(rng.normal(size=(20, 60, 8))))
    for descriptors, least, most in ((noise, 0.5, 3), ({0: y[:, None]}, 0, 0)):
        of = f"{len(descriptors)} descriptors, lr"
        found = numbers(choice_rows(descriptors, y, np.arange(60), seeds=[0, 1, 2]))
        gap = found["chosen inside", of][0] - found["lowest afterwards", of][0]
        assert least <= round(gap, 9) <= most


def test_the_lowest_is_scored_again_on_other_shuffles():
    rows = [("a", "lr", 42, 9.0), ("a", "lr", 0, 1.0), ("b", "lr", 42, 8.0), ("b", "svr", 0, 2.0)]
    rows += [("b", "lr", 0, 10.0), ("b", "lr", 1, 12.0), ("mean of all", "none", 42, 1.0)]
    scores = pd.DataFrame(rows, columns=["descriptor", "model", "seed", "mape_mean"])
    found = [*numbers(repeated_rows(scores.assign(composition="no"))).values()]
    assert found == [(8, 8, 8), (11, 10, 12)]
