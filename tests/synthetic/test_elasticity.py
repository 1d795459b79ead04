"""Bounds of Young's modulus."""

import numpy as np
import pytest

from helpers.synthetic.elasticity import (
    hashin_shtrikman,
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


def test_hashin_shtrikman_by_hand():
    """Pores of vanishing stiffness: the upper bound for nu = 0.2, where E = E1 f / (2 - f)."""
    _, high = hashin_shtrikman(np.array(0.6), (1e-9, 100.0), 0.2)
    assert high == pytest.approx(100 * 0.6 / 1.4)


def test_equal_phases_and_nonsense():
    np.testing.assert_allclose(hashin_shtrikman(np.array([0.3]), (5.0, 5.0)), 5.0)
    with pytest.raises(ValueError, match="moduli are"):
        hashin_shtrikman(np.array([0.3]), (5.0, -1.0))
