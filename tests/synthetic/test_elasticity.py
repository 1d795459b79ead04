"""Bounds of Young's modulus."""

import numpy as np
import pytest

from helpers.datasets import PHASE_MODULI
from helpers.synthetic.elasticity import (
    POISSON,
    hashin_shtrikman,
    isotropic_stiffness,
    voigt_reuss_stiffness,
    young_from_stiffness,
)


def test_hashin_shtrikman_lies_between_voigt_and_reuss():
    fraction = np.linspace(0.05, 0.95, 19)
    low, high = hashin_shtrikman(fraction).T
    voigt, reuss = (young_from_stiffness(c) for c in voigt_reuss_stiffness(fraction))
    assert (reuss < low).all()
    assert (low < high).all()
    assert (high < voigt).all()


def test_hashin_shtrikman_as_a_mean_of_reciprocals():
    """Another form of the same bounds: Berryman (1995), a mean with a shift of the reference."""
    fraction, shares = 0.6, np.array([0.4, 0.6])
    young = np.array(PHASE_MODULI)
    bulk, shear = young / (3 * (1 - 2 * POISSON)), young / (2 * (1 + POISSON))

    def mean(moduli, shift):
        return 1 / (shares / (moduli + shift)).sum() - shift

    expected = []
    for k, g in zip(bulk, shear, strict=True):
        mean_k = mean(bulk, 4 / 3 * g)
        mean_g = mean(shear, g * (9 * k + 8 * g) / (6 * (k + 2 * g)))
        expected.append(9 * mean_k * mean_g / (3 * mean_k + mean_g))
    np.testing.assert_allclose(hashin_shtrikman(fraction), expected, rtol=1e-12)


def test_a_fraction_may_have_any_shape():
    assert hashin_shtrikman(np.full((2, 3), 0.3)).shape == (2, 3, 2)


def test_moduli_of_the_phases_are_in_their_stiffness():
    young = young_from_stiffness(isotropic_stiffness((3, 1500)).numpy())
    np.testing.assert_allclose(young, [3, 1500], rtol=1e-12)


@pytest.mark.parametrize(
    "moduli",
    [
        (1,),
        (1, 2, 3),
        (0, 1),
        (1, -5),
        (1, np.nan),
        (np.inf, 1),
        ("a", 1),
        None,
        5,
        [[1, 2]],
        [(1,), 2],
    ],
)
def test_bad_moduli_are_named(moduli):
    with pytest.raises(ValueError, match=r"moduli are .*expected two positive, finite numbers"):
        voigt_reuss_stiffness([0.5], moduli)
