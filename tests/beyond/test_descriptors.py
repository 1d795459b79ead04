"""Descriptors of volumes from their three sections."""

import doctest

import numpy as np
import pytest
import torch

from helpers.beyond import descriptors
from helpers.beyond.descriptors import (
    DESCRIPTORS,
    Describer,
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


PEERS = {"persistent homology": pytest.mark.optional("gudhi", "bench")}


@pytest.mark.parametrize("name", [pytest.param(d, marks=PEERS.get(d, ())) for d in DESCRIPTORS])
def test_every_descriptor_is_finite_and_scaled_by_the_training_rows(name, describer):
    X = descriptor_matrix(describer, name)
    blocks = len(DESCRIPTORS[name](describer))
    assert len(X) == 6
    assert np.isfinite(X).all()
    assert X[:4].var(axis=0, dtype=float).sum() == pytest.approx(blocks, rel=1e-3)


def test_microvit_sees_each_section_by_itself(sections, describer):
    encoder = load_encoder("microvit", device="cpu")
    expected = encoder(torch.from_numpy(sections[:2, 1:2, :49, :49]).float())
    np.testing.assert_allclose(describer.microvit()[:2, 1], expected, atol=1e-4, rtol=1e-4)
    assert not np.allclose(describer.microvit("random")[:2, 1], expected, atol=0.1)


def test_estimates_meet_the_modulus_of_a_full_section():
    estimates = np.exp(physics_features(np.ones((1, 3, 4, 4)))[0, 4:])
    np.testing.assert_allclose(estimates, 120)


def test_half_of_the_embedded_moduli_lie_outside_the_estimates():
    """They bound isotropic mixtures, which these volumes are not."""
    study = load_two_phase("embedded")
    low, high = hashin_shtrikman(study.volume_fraction).T
    outside = (study.modulus < low) | (study.modulus > high)
    assert 0.45 < outside.mean() < 0.55
