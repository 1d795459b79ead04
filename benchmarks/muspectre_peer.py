"""Young's modulus of one volume by muSpectre, for the benchmark and the tests that compare."""

import muSpectre
import numpy as np
from muFFT import Stencils3D
from muSpectre import Verbosity, cell, material, solvers

from helpers.datasets import PHASE_MODULI
from helpers.synthetic.elasticity import POISSON


def youngs_modulus(volume, tolerance):
    """Young's modulus [GPa] along x: one load case, mean stress prescribed, double precision.

    `volume` (X, Y, Z) holds phases 0 and 1; `tolerance` is that of muSpectre's conjugate
    gradients, relative to the norm of the residual. The gradient is the rotated scheme, as in
    `helpers.synthetic.elastic_fields`, so that both discretise the same problem.
    """
    data = cell.CellData.make(list(volume.shape), [float(n) for n in volume.shape])
    data.nb_quad_pts = 1
    phases = [
        material.MaterialLinearElastic1_3d.make(data, f"phase {i}", young, POISSON)
        for i, young in enumerate(PHASE_MODULI)
    ]
    for pixel, phase in enumerate(volume.ravel(order="F")):
        phases[phase].add_pixel(pixel)
    krylov = solvers.KrylovSolverCG(tolerance, 2000, Verbosity.Silent)
    solver = solvers.SolverNewtonCG(
        data,
        krylov,
        Verbosity.Silent,
        tolerance,
        tolerance,
        20,
        list(Stencils3D.averaged_upwind),
        [1.0],
        solvers.MeanControl.stress_control,
    )
    solver.formulation = muSpectre.Formulation.small_strain
    solver.initialise_cell()
    stress = np.zeros((3, 3))
    stress[0, 0] = 1.0
    solution = solver.solve_load_increment(stress)
    return 1.0 / np.asarray(solution.grad)[0].mean()
