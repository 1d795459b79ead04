"""Descriptors of volumes from their three sections."""

import doctest

import numpy as np
import pytest
import torch

from helpers.beyond import descriptors
from helpers.beyond.descriptors import (
    DESCRIPTORS,
    Describer,
    all_tokens,
    coarse_sections,
    descriptor_matrix,
    physics_features,
)
from helpers.datasets import load_two_phase
from helpers.encoders import load_encoder
from helpers.synthetic.elasticity import hashin_shtrikman
from helpers.synthetic.volumes import sections_of, two_phase_volume


@pytest.fixture(scope="module")
def sections():
    return np.stack([sections_of(two_phase_volume(3, i).volume) for i in range(6)])


@pytest.fixture(scope="module")
def describer(sections):
    return Describer(sections, np.arange(4))


def test_examples_in_docstrings():
    result = doctest.testmod(descriptors)
    assert result.attempted > 0
    assert result.failed == 0


@pytest.mark.parametrize("name", DESCRIPTORS)
def test_every_descriptor_is_finite_and_scaled_by_the_training_rows(name, describer):
    X = descriptor_matrix(describer, name)
    blocks = len(DESCRIPTORS[name](describer))
    assert len(X) == 6
    assert np.isfinite(X).all()
    assert X[:4].var(axis=0, dtype=float).sum() == pytest.approx(blocks, rel=1e-3)


def test_the_last_class_token_is_the_feature(describer):
    np.testing.assert_allclose(
        describer.tokens[:, :, -1, 0], describer.microvit(), atol=1e-4, rtol=1e-4
    )


def test_mean_patch_token(sections):
    encoder = load_encoder("microvit", pooling="mean", device="cpu")
    expected = encoder(torch.from_numpy(sections[:2, :1, :49, :49]).float())
    found = all_tokens(encoder, sections[:2, 0])[:, -1, 1]
    np.testing.assert_allclose(found, expected, atol=1e-4, rtol=1e-4)


def test_exchanging_y_and_z_changes_nothing_that_should_not_count(sections):
    volumes = [two_phase_volume(3, i).volume for i in range(6)]
    swapped = np.stack([sections_of(v.swapaxes(1, 2)) for v in volumes])
    ours, other = (Describer(s, np.arange(4)).symmetric() for s in (sections, swapped))
    np.testing.assert_allclose(other[:, 1:], ours[:, 1:], atol=1e-4)
    # The first section is turned and mirrored; mirrors change features of MicroViT a little.
    centred = [v - ours[:, 0].mean(0) for v in (ours[:, 0], other[:, 0])]
    cosine = (centred[0] * centred[1]).sum() / np.prod([np.linalg.norm(v) for v in centred])
    assert cosine > 0.9


def test_coarse_sections_are_averages_repeated():
    sections = np.random.default_rng(0).integers(0, 2, (2, 51, 51))
    coarse = coarse_sections(sections)
    assert coarse[1, 2, 3] == pytest.approx(sections[1, 6:9, 9:12].mean())
    np.testing.assert_array_equal(coarse[:, :17], coarse[:, 17:34])


def test_estimates_meet_the_modulus_of_a_full_section():
    estimates = np.exp(physics_features(np.ones((1, 3, 4, 4)))[0, 4:])
    np.testing.assert_allclose(estimates, 120)


def test_half_of_the_embedded_moduli_lie_outside_the_estimates():
    """They bound isotropic mixtures, which these volumes are not."""
    study = load_two_phase("embedded")
    low, high = hashin_shtrikman(study.volume_fraction).T
    outside = (study.modulus < low) | (study.modulus > high)
    assert 0.45 < outside.mean() < 0.55
