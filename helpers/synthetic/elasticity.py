"""Elastic constants of the two phases, and bounds that hold for every arrangement of them.

Components stand in the order xx, yy, zz, yz, xz, xy with engineering shear strains.
"""

from __future__ import annotations

import numpy as np
import torch

from helpers import UserError
from helpers.datasets import PHASE_MODULI

POISSON = 0.3  # of both phases, as Cecen et al. 2018


def _check_moduli(moduli):
    """Return Young's moduli of phases 0 and 1 as an array (2,), or say what is wrong."""
    try:
        young = np.array(moduli, dtype=float)
    except (TypeError, ValueError):
        young = np.empty(0)
    if young.shape != (2,) or not (np.isfinite(young) & (young > 0)).all():
        raise UserError(
            f"moduli are {moduli!r}: expected two positive, finite numbers, Young's moduli [GPa] "
            f"of phases 0 and 1, as {PHASE_MODULI}"
        )
    return young


def isotropic_stiffness(moduli=PHASE_MODULI):
    """Stiffness of the two isotropic phases.

    Parameters
    ----------
    moduli : pair of float
        Young's moduli [GPa] of phases 0 and 1.

    Returns
    -------
    torch.Tensor of float64, shape (2, 6, 6)
        Stiffness [GPa] of phases 0 and 1, from `moduli` and `POISSON`.

    Raises
    ------
    ValueError
        `moduli` that are not two positive, finite numbers.

    Examples
    --------
    >>> [round(float(c), 2) for c in isotropic_stiffness()[1, 0, :2]]
    [161.54, 69.23]
    """
    young = torch.from_numpy(_check_moduli(moduli))
    lame = young * POISSON / ((1 + POISSON) * (1 - 2 * POISSON))
    diagonal = torch.tensor([2, 2, 2, 1, 1, 1], dtype=torch.float64)
    stiffness = torch.diag_embed(diagonal * (young / (2 * (1 + POISSON)))[:, None])
    stiffness[:, :3, :3] += lame[:, None, None]
    return stiffness


def voigt_reuss_stiffness(volume_fraction, moduli=PHASE_MODULI):
    """Bounds on the effective stiffness that hold for every arrangement of the phases.

    Parameters
    ----------
    volume_fraction : array_like of float, shape (n,)
        Share of phase 1, 0 to 1.
    moduli : pair of float
        See `isotropic_stiffness`.

    Returns
    -------
    voigt, reuss : ndarray of float64, shape (n, 6, 6)
        Upper and lower bound [GPa]: mean of the stiffnesses, and inverse of the mean of the
        compliances (Hill 1952, doi:10.1088/0370-1298/65/5/307).

    Examples
    --------
    >>> voigt, reuss = voigt_reuss_stiffness([0.5])
    >>> [float(young_from_stiffness(c)[0].round(2)) for c in (voigt, reuss)]
    [61.2, 4.71]
    """
    soft, stiff = (c.numpy() for c in isotropic_stiffness(moduli))
    f = np.asarray(volume_fraction, dtype=float)[:, None, None]
    voigt = (1 - f) * soft + f * stiff
    reuss = np.linalg.inv((1 - f) * np.linalg.inv(soft) + f * np.linalg.inv(stiff))
    return voigt, reuss


def young_from_stiffness(stiffness, axis=0):
    """Young's modulus (n,) [GPa] along `axis` of stiffnesses (n, 6, 6) [GPa].

    Examples
    --------
    >>> voigt, _ = voigt_reuss_stiffness([1.0])
    >>> float(young_from_stiffness(voigt)[0].round(6))
    120.0
    """
    return 1 / np.linalg.inv(stiffness)[:, axis, axis]


def hashin_shtrikman(volume_fraction):
    """Hashin-Shtrikman bounds (..., 2) [GPa] of Young's modulus of an isotropic mixture.

    `volume_fraction` of phase 1, of any shape. Hashin and Shtrikman 1963,
    doi:10.1016/0022-5096(63)90060-7, for bulk and shear modulus; Young's modulus, which grows with
    both, from the two lower and the two upper ones.

    Examples
    --------
    >>> hashin_shtrikman(np.array([0.0, 1.0])).round(6).tolist()
    [[2.4, 2.4], [120.0, 120.0]]
    """
    fraction, young = np.asarray(volume_fraction, float), np.array(PHASE_MODULI)
    bulk, shear = young / (3 * (1 - 2 * POISSON)), young / (2 + 2 * POISSON)
    bounds = []
    for matrix, other, share in ((0, 1, fraction), (1, 0, 1 - fraction)):
        k, g = bulk[matrix], shear[matrix]
        more_k, more_g = bulk[other] - k, shear[other] - g
        pull_k = 3 / (3 * k + 4 * g)
        pull_g = 6 * (k + 2 * g) / (5 * g * (3 * k + 4 * g))
        k_all = k + share * more_k / (1 + (1 - share) * more_k * pull_k)
        g_all = g + share * more_g / (1 + (1 - share) * more_g * pull_g)
        bounds.append(9 * k_all * g_all / (3 * k_all + g_all))
    return np.stack(bounds, axis=-1)
