"""The embedded volumes at other contrasts of their phases: which descriptor suffers?

``python -m helpers.evidence.contrast`` computes the table; interrupted, it goes on where it was.
"""

from __future__ import annotations

import numpy as np

from helpers.beyond.descriptors import Describer, descriptor_matrix
from helpers.datasets import PHASE_MODULI, load_two_phase
from helpers.evidence.cells import run_cells
from helpers.evidence.comparisons import compare, with_holm
from helpers.evidence.families import BLOCK, refitted_cell
from helpers.evidence.learning_curves import FROZEN, INPUTS, LIBRARIES, OURS
from helpers.io.results import Computation
from helpers.synthetic.homogenization import youngs_modulus
from helpers.synthetic.volumes import two_phase_volume

N_VOLUMES = 1000
CONTRASTS = (5, 50, 500)  # of the stiff phase's modulus, which stays, to the compliant one's
DESCRIPTORS = (*FROZEN, "fractions and estimates")


def modulus_cell(contrast, seed, first):
    """Moduli (BLOCK,) [GPa] of embedded volumes whose compliant phase has another modulus."""
    stiff = PHASE_MODULI[1]
    volumes = (two_phase_volume(seed, i).volume for i in range(first, first + BLOCK))
    moduli = (stiff / contrast, stiff)
    return np.array([youngs_modulus(volume[None], moduli=moduli)[0] for volume in volumes])


def main():
    """Compute the table, or what an interrupted run has not done."""
    study = load_two_phase("embedded").first(N_VOLUMES)
    blocks = [
        {"contrast": contrast, "seed": study.seed, "first": first}
        for contrast in CONTRASTS
        for first in range(0, N_VOLUMES, BLOCK)
    ]
    with Computation(__file__, INPUTS, LIBRARIES) as run:
        moduli = np.reshape(run_cells(run.folder, modulus_cell, blocks), (len(CONTRASTS), -1))
        describer = Describer(study.sections, np.arange(N_VOLUMES))
        cells = [
            {"data": contrast, "descriptor": name, "X": descriptor_matrix(describer, name), "y": y}
            for name in DESCRIPTORS
            for contrast, y in zip(CONTRASTS, moduli, strict=True)
        ]
        found = run_cells(run.folder, refitted_cell, cells, ["X", "y"])
        errors = {(c["data"], c["descriptor"]): e for c, e in zip(cells, found, strict=True)}
        tables = [
            compare({d: errors[contrast, d] for d in DESCRIPTORS}, OURS).assign(contrast=contrast)
            for contrast in CONTRASTS
        ]
        run.write(with_holm(tables, ["contrast"]))


if __name__ == "__main__":
    main()
