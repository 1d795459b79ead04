"""Checks of user input that more than one helper needs."""

from __future__ import annotations

import numpy as np


def check_volumes(volumes):
    """Return `volumes` as uint8 (n, X, Y, Z) of phases 0 and 1, or say what is wrong.

    Raises
    ------
    ValueError
        Names the first volume or value that is not as expected.
    """
    if not hasattr(volumes, "shape"):
        shapes = [np.shape(v) for v in volumes]
        for i, shape in enumerate(shapes):
            if shape != shapes[0]:
                raise ValueError(
                    f"volume {i} has shape {shape} but volume 0 has {shapes[0]}: "
                    "volumes of one batch share one shape; call once for each shape"
                )
    array = np.asarray(volumes)
    if array.ndim != 4:
        raise ValueError(
            f"volumes have shape {array.shape}: expected (n, X, Y, Z), voxel values of "
            "3-D volumes; write volume[None] for a single one"
        )
    if array.size == 0:
        raise ValueError(f"volumes are empty (shape {array.shape}): expected at least one voxel")
    binary = (array == 0) | (array == 1)
    if not binary.all():
        n, *voxel = (int(i) for i in np.argwhere(~binary)[0])
        raise ValueError(
            f"volume {n} holds {array[n, *voxel]} at voxel {tuple(voxel)}: expected phase 0 "
            "(compliant) or 1 (stiff) everywhere; threshold the volume first"
        )
    return array.astype(np.uint8)
