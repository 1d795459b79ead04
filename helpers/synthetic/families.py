"""Periodic two-phase volumes of five families of shapes, to try what was learnt from other ones.

Each function of `FAMILIES` draws one volume (size, size, size) from an `rng`, True where stiff.
Volume fractions are drawn uniformly from 0.05 to 0.95 and kept by a quantile of a field, so that
both phases are there; Voronoi cells stay whole. Lengths are in voxels.
"""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from helpers import UserError, check_choice
from helpers.synthetic.volumes import two_phase_volume

FRACTIONS = (0.05, 0.95)


def _largest(field, share):
    """True in about `share` of voxels, where `field` is largest; equal values stay together."""
    below_top = field[field < field.max()].max(initial=field.min())
    return field > min(np.quantile(field, 1 - share), below_top)


def _nearest(centres, size, axes=(1, 1, 1)):
    """Distance to the nearest periodic centre in units of `axes`, and which it is, per voxel."""
    voxels = np.indices((size,) * 3).reshape(3, -1).T
    tree = cKDTree(centres / axes, boxsize=size / np.array(axes))
    return [values.reshape((size,) * 3) for values in tree.query(voxels / axes)]


def _bodies(rng, size, axes):
    """Equal bodies at independent places, of 3 to 9 voxels' mean radius; `axes` multiply to 1."""
    share, radius = rng.uniform(*FRACTIONS), rng.uniform(3, 9)
    # Independent bodies cover 1 - exp(-count * volume of one); the quantile then mends the radius.
    count = max(1, round(-np.log(1 - share) * size**3 / (4 / 3 * np.pi * radius**3)))
    distance, _ = _nearest(size * rng.random((count, 3)), size, axes)
    return _largest(-distance, share) ^ (rng.random() < 0.5)  # or the matrix is the stiff phase


def overlapping_spheres(rng, size):
    """Spheres of one radius at independent places, stiff or compliant."""
    return _bodies(rng, size, np.ones(3))


def ellipsoids(rng, size):
    """Needles or plates along one axis of the volume, of one aspect ratio, 2 to 4."""
    along = np.eye(3)[rng.integers(3)] - 1 / 3
    return _bodies(rng, size, rng.uniform(2, 4) ** (along * rng.choice([-1, 1])))


def voronoi_cells(rng, size):
    """20 to 1000 Voronoi cells, each of one phase."""
    count = round(np.exp(rng.uniform(*np.log([20, 1000]))))
    _, cells = _nearest(size * rng.random((count, 3)), size)
    return _largest(cells, rng.uniform(*FRACTIONS))


def fine_noise(rng, size):
    """Thresholded noise, filtered by 0.5 to 1.5 voxels along each axis."""
    ranges = {"filter_widths": (0.5, 1.5), "volume_fractions": FRACTIONS}
    return two_phase_volume(rng.integers(2**32), 0, size=size, **ranges).volume == 1


def gyroid(s, c):
    """Level function of the gyroid, of the sines and cosines of three angles."""
    return s[0] * c[1] + s[1] * c[2] + s[2] * c[0]


def schwarz_p(_, c):
    """Level function of Schwarz' primitive surface; see `gyroid`."""
    return c[0] + c[1] + c[2]


def schwarz_d(s, c):
    """Level function of Schwarz' diamond surface; see `gyroid`."""
    mixed = s[0] * c[1] * c[2] + c[0] * s[1] * c[2] + c[0] * c[1] * s[2]
    return s[0] * s[1] * s[2] + mixed


def minimal_surfaces(rng, size):
    """One side of a minimal surface of 1 to 4 periods, or a sheet along it, or all but a sheet."""
    turns = rng.integers(1, 5) * np.arange(size) / size + rng.random((3, 1))
    s, c = (np.ix_(*of(2 * np.pi * turns)) for of in (np.sin, np.cos))
    field = (gyroid, schwarz_p, schwarz_d)[rng.integers(3)](s, c).transpose(rng.permutation(3))
    if rng.random() < 0.5:
        field = np.abs(field)
    return _largest(field * rng.choice([-1, 1]), rng.uniform(*FRACTIONS))


FAMILIES = {
    "overlapping spheres": overlapping_spheres,
    "ellipsoids": ellipsoids,
    "Voronoi cells": voronoi_cells,
    "fine noise": fine_noise,
    "minimal surfaces": minimal_surfaces,
}


def family_volume(family, seed, index, size=51):
    """Periodic two-phase volume of one family of shapes.

    The origin is drawn among those for which each of the three index-0 sections cuts both phases:
    a section of one phase would say nothing about the shapes.

    Parameters
    ----------
    family : str
        A key of `FAMILIES`.
    seed, index : int
        With the family they fix the volume, whatever else was made before.
    size : int
        Voxels a side.

    Returns
    -------
    ndarray of uint8, shape (size, size, size)
        Phase of every voxel, 1 the stiff one.

    Raises
    ------
    ValueError
        An unknown family, or a volume that no three sections with both phases can be cut from.

    Notes
    -----
    Torquato (2002), Random Heterogeneous Materials, for spheres, ellipsoids and cells; level
    functions of minimal surfaces: Wohlgemuth et al. (2001), doi:10.1021/ma0019499.

    Examples
    --------
    >>> volume = family_volume("minimal surfaces", seed=0, index=3, size=20)
    >>> volume.shape, volume.dtype.name, bool(0 < volume.mean() < 1)
    ((20, 20, 20), 'uint8', True)
    """
    check_choice("family", family, tuple(FAMILIES))
    rng = np.random.default_rng([seed, index, list(FAMILIES).index(family)])
    volume = FAMILIES[family](rng, size).astype(np.uint8)
    for axis in range(3):
        shares = volume.mean(tuple({0, 1, 2} - {axis}))
        mixed = np.flatnonzero((shares > 0) & (shares < 1))
        if len(mixed) == 0:
            raise UserError(
                f"family {family!r}, seed {seed}, index {index}: no section normal to axis {axis} "
                f"holds both phases at size {size}; take another index, or a larger size"
            )
        volume = np.roll(volume, -rng.choice(mixed), axis)
    return volume
