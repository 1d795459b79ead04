"""Effective elastic moduli of periodic two-phase volumes, and the bounds they must keep.

Every modulus comes from the energy of a solved load case (`helpers.synthetic.elastic_fields`) and
is held against the Voigt and Reuss bounds of its volume before it is returned.

Components stand in the order xx, yy, zz, yz, xz, xy with engineering shear strains.
"""

from __future__ import annotations

import functools

import numpy as np
import torch

from helpers import check_choice
from helpers.datasets import PHASE_MODULI
from helpers.synthetic.elastic_fields import check_volumes, default_device, solve_load_case
from helpers.synthetic.elasticity import voigt_reuss_stiffness, young_from_stiffness

# On a CPU one volume at a time is fastest; a GPU wants many.
VOXELS_AT_ONCE = {"cpu": 51**3, "gpu": 256 * 51**3}


def effective_stiffness(volumes, **options):
    """Effective stiffness of periodic volumes from six load cases each.

    Parameters
    ----------
    volumes : array_like of 0 and 1, shape (n, X, Y, Z)
        Phase of every voxel, 1 the stiff one.
    **options
        `moduli`, `tolerance`, `max_iterations`, `dtype`, `device` of `solve_load_case`.

    Returns
    -------
    ndarray of float64, shape (n, 6, 6)
        Stiffness [GPa], order xx yy zz yz xz xy, engineering shear; symmetric.

    Raises
    ------
    ValueError
        See `solve_load_case`.
    RuntimeError
        A volume that does not converge even in double precision, or leaves its bounds.

    Notes
    -----
    Entry (I, J) is the mean of strain I times stress J, so that errors of the fields enter
    squared (Hill 1963, doi:10.1016/0022-5096(63)90036-X: macro-homogeneity).

    Examples
    --------
    >>> import numpy as np
    >>> C = effective_stiffness(np.ones((1, 3, 3, 3)))  # stiff phase only
    >>> [round(float(c), 2) for c in (C[0, 0, 0], C[0, 0, 1], C[0, 3, 3])]
    [161.54, 69.23, 46.15]
    """

    def stiffness(chunk, **kwargs):
        loads = torch.eye(6).repeat(len(chunk), 1)
        case = solve_load_case(np.repeat(chunk, 6, axis=0), loads, **kwargs)
        shape = (len(chunk), 6, -1)
        strain, stress = (f.reshape(shape).double() for f in (case.strain, case.stress))
        values = strain @ stress.mT / chunk[0].size
        return (values + values.mT).cpu().numpy() / 2, case.error_bound.reshape(-1, 6).amax(1)

    return _solve_checked(stiffness, lambda c: c, volumes, options)


def youngs_modulus(volumes, axis=0, **options):
    """Young's modulus along one axis of periodic volumes: one load case under mixed control.

    The mean strain along `axis` is prescribed and every other mean stress is zero.

    Parameters
    ----------
    volumes : array_like of 0 and 1, shape (n, X, Y, Z)
        Phase of every voxel, 1 the stiff one.
    axis : int
        0, 1 or 2.
    **options
        See `effective_stiffness`.

    Returns
    -------
    ndarray of float64, shape (n,)
        Young's modulus [GPa].

    Raises
    ------
    ValueError, RuntimeError
        See `effective_stiffness`; an `axis` other than 0, 1, 2.

    Examples
    --------
    >>> import numpy as np
    >>> layers = np.zeros((1, 2, 1, 1))
    >>> layers[:, 0] = 1  # half stiff, half compliant, stacked along x
    >>> float(youngs_modulus(layers, axis=1)[0].round(1))  # along the layers: about the mean
    61.2
    """
    free = [i for i in range(6) if i != axis]
    bound = functools.partial(young_from_stiffness, axis=axis)
    return _axis_modulus(volumes, axis, free, bound, options)


def confined_modulus(volumes, axis=0, **options):
    """Confined modulus along one axis (C11 for axis 0): all other mean strains are zero.

    Parameters, Returns and Raises as in `youngs_modulus`.

    Examples
    --------
    >>> import numpy as np
    >>> float(confined_modulus(np.ones((1, 3, 3, 3)))[0].round(2))
    161.54
    """
    return _axis_modulus(volumes, axis, [], lambda c: c[:, axis, axis], options)


def _axis_modulus(volumes, axis, free, bound, options):
    check_choice("axis", axis, (0, 1, 2))

    def modulus(chunk, **kwargs):
        case = solve_load_case(chunk, torch.eye(6)[axis], free, **kwargs)
        return case.energy.cpu().numpy(), case.error_bound

    return _solve_checked(modulus, bound, volumes, options)


def _solve_checked(solve, bound_of, volumes, options):
    """Solve in batches; what fails or leaves its bounds is solved again in double precision."""
    volumes = check_volumes(volumes)
    cpu = default_device(options.get("device")).type == "cpu"
    size = max(1, VOXELS_AT_ONCE["cpu" if cpu else "gpu"] // volumes[0].size)
    results = []
    for start in range(0, len(volumes), size):
        chunk = volumes[start : start + size]
        values, error = solve(chunk, **options)
        for i in np.flatnonzero(_suspect(values, error, bound_of, chunk, options)):
            again = chunk[i : i + 1]
            values[i : i + 1], error = solve(again, **(options | {"dtype": torch.float64}))
            if _suspect(values[i : i + 1], error, bound_of, again, options).any():
                raise RuntimeError(
                    f"volume {start + i} did not converge in double precision: error bound "
                    f"{float(error[0]):.1e}, or a value outside the Voigt and Reuss bounds; "
                    "raise max_iterations"
                )
        results.append(values)
    return np.concatenate(results)


def _suspect(values, error, bound_of, volumes, options):
    """Which volumes missed the tolerance or lie outside their bounds."""
    tolerance = options.get("tolerance", 1e-4)
    moduli, fractions = options.get("moduli", PHASE_MODULI), volumes.mean((1, 2, 3))
    voigt, reuss = (bound_of(c) for c in voigt_reuss_stiffness(fractions, moduli))
    # A single phase meets both bounds exactly: leave room for rounding, and above for the
    # error that iterating leaves.
    room = 1e-5 + tolerance
    gaps = [(1 + room) * voigt - values, values - (1 - room) * reuss]
    if values.ndim == 3:
        gaps = [np.linalg.eigvalsh(np.nan_to_num(g, nan=-1.0)).min(1) for g in gaps]
    inside = (gaps[0] >= 0) & (gaps[1] >= 0)
    return ~(inside & (error.cpu().numpy() <= tolerance))
