"""Elastic fields of periodic two-phase volumes by an FFT-preconditioned solver in torch.

The displacement field that minimises the elastic energy is found by conjugate gradients,
preconditioned with the Green operator of a homogeneous reference medium (one forward and one
inverse FFT of three components per iteration). Strains are taken at voxel centres from the
eight surrounding nodes, which is the rotated finite-difference scheme of Willot (2015),
doi:10.1016/j.crme.2014.12.005; the minimisation over displacements follows the view of
Leute et al. (2022), doi:10.1016/j.jcp.2021.110931.

Components stand in the order xx, yy, zz, yz, xz, xy with engineering shear strains.
"""

from __future__ import annotations

import copy
import functools
from typing import NamedTuple

import numpy as np
import scipy.fft
import torch

from helpers import UserError, check_choice
from helpers.datasets import PHASE_MODULI
from helpers.synthetic.elasticity import isotropic_stiffness

# u_x, u_y, u_z by d_x, d_y, d_z: which strain component each displacement derivative feeds
_STRAIN_OF = torch.tensor([[0, 5, 4], [5, 1, 3], [4, 3, 2]])


def check_volumes(volumes):
    """Return `volumes` as uint8 (n, X, Y, Z) of phases 0 and 1, or say what is wrong."""
    array = np.asarray(volumes)
    if array.ndim != 4:
        raise UserError(
            f"volumes have shape {array.shape}: expected (n, X, Y, Z), voxel values of "
            "3-D volumes; write volume[None] for a single one"
        )
    if array.size == 0:
        raise UserError(f"volumes are empty (shape {array.shape}): expected at least one voxel")
    binary = (array == 0) | (array == 1)
    if not binary.all():
        n, *voxel = (int(i) for i in np.argwhere(~binary)[0])
        raise UserError(
            f"volume {n} holds {array[n, *voxel]} at voxel {tuple(voxel)}: expected phase 0 "
            "(compliant) or 1 (stiff) everywhere; threshold the volume first"
        )
    return array.astype(np.uint8)


class LoadCase(NamedTuple):
    """Solution of one load case for every volume of a batch."""

    strain: torch.Tensor
    stress: torch.Tensor
    error_bound: torch.Tensor
    iterations: torch.Tensor

    @property
    def energy(self):
        """Mean of strain times stress (n,) [GPa], twice the elastic energy per volume."""
        return _dot(self.strain, self.stress) / self.strain[0, 0].numel()


def default_device(device=None):
    """`device`, or the CUDA device where there is one, else the CPU."""
    return torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))


def _sum(a, dim, shift=-1):
    """Each value plus its periodic neighbour along `dim`: the next, or with 1 the one before."""
    return a.roll(shift, dim).add_(a)


def _difference(a, dim, shift=-1):
    """Periodic neighbour of each value minus the value; see `_sum`."""
    return a.roll(shift, dim).sub_(a)


def _strain(u):
    """Strain (B, 6, X, Y, Z) at voxel centres of nodal displacements (B, 3, X, Y, Z)."""
    u = u * 0.25
    along_z = _sum(u, -1)
    gx = _difference(_sum(along_z, -2), -3)
    gy = _sum(_difference(along_z, -2), -3)
    gz = _sum(_sum(_difference(u, -1), -2), -3)
    strain = u.new_empty(u.shape[0], 6, *u.shape[2:])
    for i, g in enumerate((gx, gy, gz)):
        strain[:, i] = g[:, i]
    torch.add(gy[:, 2], gz[:, 1], out=strain[:, 3])
    torch.add(gx[:, 2], gz[:, 0], out=strain[:, 4])
    torch.add(gx[:, 1], gy[:, 0], out=strain[:, 5])
    return strain


def _nodal_forces(stress):
    """Adjoint of `_strain`: nodal forces (B, 3, X, Y, Z) of stresses (B, 6, X, Y, Z)."""
    tx, ty, tz = (stress[:, row] for row in _STRAIN_OF)
    yz = _sum(_difference(tx, -3, 1), -2, 1).add_(_difference(_sum(ty, -3, 1), -2, 1))
    z = _difference(_sum(_sum(tz, -3, 1), -2, 1), -1, 1)
    return z.add_(_sum(yz, -1, 1)).mul_(0.25)


def _fft(a):
    if a.device.type != "cpu":
        return torch.fft.rfftn(a, dim=(-3, -2, -1))
    # On the CPU scipy's pocketfft takes half the time of torch's MKL at 51 = 3 * 17 a side.
    threads = torch.get_num_threads()
    return torch.from_numpy(scipy.fft.rfftn(a.numpy(), axes=(-3, -2, -1), workers=threads))


def _inverse_fft(f, shape):
    if f.device.type != "cpu":
        return torch.fft.irfftn(f, s=shape, dim=(-3, -2, -1))
    threads = torch.get_num_threads()
    a = scipy.fft.irfftn(f.numpy(), shape, (-3, -2, -1), overwrite_x=True, workers=threads)
    return torch.from_numpy(a)


@functools.lru_cache(maxsize=4)
def _wave_vectors(shape, dtype, device):
    """Unit wave vectors of the rotated scheme, and 1 / k^2, on the half grid of a real FFT."""
    half = [torch.pi * torch.fft.fftfreq(n, dtype=torch.float64) for n in shape]
    half[2] = torch.pi * torch.fft.rfftfreq(shape[2], dtype=torch.float64)
    sine = torch.meshgrid(*[h.sin() for h in half], indexing="ij")
    cosine = torch.meshgrid(*[h.cos() for h in half], indexing="ij")
    k = torch.stack([2 * sine[i] * cosine[i - 1] * cosine[i - 2] for i in range(3)])
    k2 = (k**2).sum(0)
    # k = 0: the mean and, on even grids, the modes that strain no voxel centre
    moves = k2 > 1e-12
    k2 = torch.where(moves, k2, 1.0)
    inverse = torch.where(moves, 1 / k2, 0.0)
    return (k / k2.sqrt()).to(device, dtype), inverse.to(device, dtype)


class _Medium:
    """Isotropic stiffness in every voxel, and the Green operator of a compliant reference."""

    def __init__(self, volumes, moduli, dtype, device):
        stiffness = isotropic_stiffness(moduli)
        lame, shear = stiffness[:, 0, 1], stiffness[:, 3, 3]
        phase = torch.as_tensor(volumes, device=device).long()
        self.lame = lame.to(device, dtype)[phase]
        self.two_shear = 2 * shear.to(device, dtype)[phase]
        self.n_voxels = phase[0].numel()
        # The reference is the compliant phase. No voxel is softer, so that the preconditioned
        # residual bounds the energy error from above: the stopping rule is a guarantee.
        softer = int(shear.argmin())
        self.reference = stiffness[softer]
        lame0, self.shear0 = float(lame[softer]), float(shear[softer])
        self.coupling = (lame0 + self.shear0) / (lame0 + 2 * self.shear0)
        self.direction, self.compliance = _wave_vectors(tuple(phase.shape[1:]), dtype, device)

    def stress_of(self, strain):
        """Stress (B, 6, ...) of a strain (B, 6, ...)."""
        pressure = strain[:, :3].sum(1).mul_(self.lame)
        stress = strain * self.two_shear[:, None]
        stress[:, 3:].mul_(0.5)
        stress[:, :3].add_(pressure[:, None])
        return stress

    def green(self, forces):
        """Displacements (B, 3, ...) that nodal forces cause in the reference medium."""
        f = _fft(forces)
        along = (f * self.direction).sum(1, keepdim=True).mul_(self.coupling)
        f.sub_(along * self.direction).mul_(self.compliance / self.shear0)
        return _inverse_fft(f, forces.shape[-3:])

    def rows(self, chosen):
        """The same medium for some of the volumes."""
        part = copy.copy(self)
        part.lame, part.two_shear = self.lame[chosen], self.two_shear[chosen]
        return part


def _dot(a, b):
    # A matrix product would be faster, but loses three digits in float32 over 10^6 terms.
    return (a * b).flatten(1).sum(1).double()


def _mean_preconditioner(medium, free):
    """What the reference medium answers to mean stresses of the free components, (6, 6)."""
    inverse = torch.zeros(6, 6, dtype=torch.float64)
    if free:
        block = np.ix_(free, free)
        inverse[block] = torch.linalg.inv(medium.reference[block]) / medium.n_voxels
    return inverse


def _everywhere(values):
    """Values (B, k) of whole volumes as a field (B, k, 1, 1, 1)."""
    return values[..., None, None, None]


def _uniform_start(medium, mean):
    """The load case with uniform strain, before any step."""
    shape = (len(mean), 6, *medium.lame.shape[1:])
    strain = _everywhere(mean).expand(shape).contiguous()
    bound, iterations = mean.new_zeros(2, len(mean), dtype=torch.float64)
    return LoadCase(strain, medium.stress_of(strain), bound, iterations.long())


def _conjugate_gradients(medium, mean, free, tolerance, max_iterations):
    """Solve one load case per row of `mean`; a row leaves the batch once it has converged.

    The unknowns are the periodic displacements u and those mean strains m that are `free` (their
    mean stress is zero). Twice the energy is a quadratic form in (u, m) with the operator
    A (u, m) = (nodal forces, summed stress), and the solution is where it is least. Preconditioned
    conjugate gradients as in Shewchuk (1994), each vector in two parts:

    - r, the residual: minus the gradient, what is out of balance;
    - z, the correction that the reference medium would make for r;
    - p, the direction of the next step, conjugate to those before it.
    """
    fixed = [i for i in range(6) if i not in free]
    inverse = _mean_preconditioner(medium, free).to(mean)
    out = _uniform_start(medium, mean)
    energy = _dot(out.strain, out.stress)
    u, m = torch.zeros_like(out.strain[:, :3]), mean.clone()
    r_u, r_m = _nodal_forces(out.stress).neg_(), -out.stress.sum((-3, -2, -1))
    z_u, z_m = medium.green(r_u), r_m @ inverse
    p_u, p_m = z_u, z_m
    rz = _dot(r_u, z_u) + _dot(r_m, z_m)
    row = torch.arange(len(mean), device=mean.device)  # in the batch as it was at first
    for iteration in range(max_iterations + 1):
        # As A is at least the reference, r.z is at least twice the energy that is still to go.
        bound = rz / energy.clamp_min(torch.finfo(torch.float64).tiny)
        done = (bound <= tolerance) | ~torch.isfinite(bound) | (iteration == max_iterations)
        if done.any():
            rows = row[done]
            final = _strain(u[done]).add_(_everywhere(m[done]))
            out.strain[rows], out.stress[rows] = final, medium.rows(done).stress_of(final)
            out.error_bound[rows], out.iterations[rows] = bound[done], iteration
            if done.all():
                break
            left = ~done
            medium = medium.rows(left)
            u, m, r_u, r_m, p_u, p_m = (x[left] for x in (u, m, r_u, r_m, p_u, p_m))
            rz, energy, row = rz[left], energy[left], row[left]
        stress = medium.stress_of(_strain(p_u).add_(_everywhere(p_m)))
        a_u, a_m = _nodal_forces(stress), stress.sum((-3, -2, -1))  # A p
        a_m[:, fixed] = 0
        step = rz / (_dot(p_u, a_u) + _dot(p_m, a_m))  # to where the energy along p is least
        energy = energy - step * rz
        step = step.to(mean)[:, None]
        u.addcmul_(_everywhere(step), p_u)
        r_u.addcmul_(_everywhere(step), a_u, value=-1)
        m, r_m = m + step * p_m, r_m - step * a_m
        z_u, z_m = medium.green(r_u), r_m @ inverse
        rz_before, rz = rz, _dot(r_u, z_u) + _dot(r_m, z_m)
        turn = (rz / rz_before).to(mean)[:, None]  # keeps the next p conjugate to the last
        p_u, p_m = torch.addcmul(z_u, _everywhere(turn), p_u), z_m + turn * p_m
    return out


def solve_load_case(
    volumes,
    mean_strain,
    free=(),
    *,
    moduli=PHASE_MODULI,
    tolerance=1e-4,
    max_iterations=1000,
    dtype=torch.float32,
    device=None,
):
    """Strain and stress fields of periodic volumes under one mean load, as one batch.

    Parameters
    ----------
    volumes : array_like of 0 and 1, shape (n, X, Y, Z)
        Phase of every voxel.
    mean_strain : array_like of float, shape (6,) or (n, 6)
        Prescribed mean strain, order xx yy zz yz xz xy, engineering shear. Components in
        `free` are only a starting value.
    free : sequence of int
        Components whose mean *stress* is held at zero instead of the mean strain.
    moduli : pair of float
        Young's moduli [GPa] of phases 0 and 1, as
        `helpers.synthetic.elasticity.isotropic_stiffness` takes them.
    tolerance : float
        Bound on the relative error that iterating leaves in the elastic energy, and so in a
        modulus. Guaranteed in exact arithmetic; float32 adds about 1e-6.
    max_iterations : int
        Conjugate-gradient steps after which a volume counts as failed.
    dtype : torch.dtype
        torch.float32 or torch.float64.
    device : str or torch.device or None
        None: the CUDA device where there is one, else the CPU.

    Returns
    -------
    LoadCase
        ``strain`` and ``stress`` [GPa], tensors (n, 6, X, Y, Z); ``error_bound`` (n,), the
        bound reached, above `tolerance` for a volume that failed; ``iterations`` (n,).

    Raises
    ------
    ValueError
        Volumes that are not binary, not 3-D or empty; `moduli` that are not two positive,
        finite numbers; `tolerance` out of range; another `dtype`.

    Examples
    --------
    >>> import numpy as np
    >>> laminate = np.zeros((1, 4, 1, 1), dtype=np.uint8)
    >>> laminate[:, :2] = 1
    >>> case = solve_load_case(laminate, [1, 0, 0, 0, 0, 0], dtype=torch.float64)
    >>> bool(np.ptp(case.stress[0, 0].numpy()) < 1e-6)  # uniform across the layers
    True
    """
    volumes = check_volumes(volumes)
    if not 0 < tolerance < 1:
        raise UserError(f"tolerance is {tolerance}: expected a value between 0 and 1, as 1e-4")
    check_choice("dtype", dtype, (torch.float32, torch.float64))
    device = default_device(device)
    mean = torch.as_tensor(mean_strain, dtype=dtype, device=device).expand(len(volumes), 6)
    medium = _Medium(volumes, moduli, dtype, device)
    return _conjugate_gradients(medium, mean, list(free), tolerance, max_iterations)
