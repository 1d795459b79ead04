"""Occlusion on predictions whose reasons are known."""

import doctest

import numpy as np
import pytest

from helpers.beyond import occlusion
from helpers.beyond.occlusion import occlusion_maps


def test_examples_in_docstrings():
    result = doctest.testmod(occlusion)
    assert result.attempted > 0
    assert result.failed == 0


def test_only_the_patch_that_counts_changes_the_prediction():
    sections = np.zeros((3, 15, 15), np.uint8)
    sections[2, 7:14, :7] = 1
    maps = occlusion_maps(lambda s: 10 + s[:, 2, 7:14, :7].mean((1, 2)), sections)
    assert maps.shape == (3, 2, 2)
    expected = np.zeros((3, 2, 2))
    expected[2, 1, 0] = 100 * ((10 + sections[2].mean()) / 11 - 1)
    np.testing.assert_allclose(maps, expected, atol=1e-4)
    assert sections.sum() == 49, "the sections themselves stay as they are"


def test_a_patch_larger_than_the_section():
    with pytest.raises(ValueError, match="patch is 9: expected at most 5"):
        occlusion_maps(lambda s: s, np.zeros((1, 5, 6)), patch=9)
