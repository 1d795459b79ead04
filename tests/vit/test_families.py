"""Families of vision models: right, or refused with a reason; the table says which."""

import csv

import pytest
from families import TABLE, TRIED, row_of, try_family, vision_families

REWRITE = "`python tests/families.py` rewrites the table"


def table():
    with TABLE.open(encoding="utf-8") as file:
        return {row["family"]: row for row in csv.DictReader(file)}


@pytest.mark.parametrize("family", TRIED)
def test_a_family_is_right_or_refused_as_the_table_says(family, tmp_path):
    assert row_of(family, tmp_path) == table()[family], REWRITE
    refused = TRIED[family][1] is None and family != "yolos"  # of which the pooler is right
    assert (table()[family]["state"] == "refused") == refused


@pytest.mark.parametrize(
    "family", ["swin", "swinv2", "focalnet", "hiera", "levit", "sam3_vision_model"]
)
def test_a_refusal_names_the_poolings_that_work(family, tmp_path):
    encoders, refused = try_family(family, tmp_path / family)
    assert "it has no class token" in refused["cls"]
    assert all(f"pooling={name!r}" in refused["cls"].split("choose")[1] for name in encoders)


@pytest.mark.slow
def test_the_table_has_every_family_that_transformers_has(tmp_path):
    assert list(table()) == vision_families(), REWRITE
    for family in table().keys() - TRIED.keys():
        assert table()[family] == row_of(family, tmp_path), REWRITE
