# %% [markdown]
# # Making the two-phase data
#
# The published data of case study 1, 5900 volumes with moduli from finite elements
# {cite}`cecen2018`, is not ours to ship. So that this book runs anywhere, it brings a set of its
# own with the same form: as many volumes, the same phases, the same size, made by the same kind of
# recipe. One number was matched on purpose, the share of the variance in the first principal
# component of the autocorrelations ([Case study 1: stiffness of two-phase volumes](40_case_study_1.ipynb)). Whether the morphologies agree beyond
# that was not checked, because the published volumes were not at hand. This page makes a few of them from scratch, solves their elasticity problem in
# front of you, and checks the stored numbers. How far can the modulus be trusted?

# %% tags=["remove-cell"]
# Only away from a clone of the book: take the # off the two lines below,
# run the cell, and restart the kernel.
# # !git clone https://github.com/microprop/microprop-book
# # %pip install -e "./microprop-book[book]"

# %%
import time

import numpy as np
import torch
from IPython.display import Markdown, display

from helpers import plots, plots_images
from helpers.datasets import PHASE_MODULI, badge, load_two_phase
from helpers.synthetic.elastic_fields import solve_load_case
from helpers.synthetic.elasticity import (
    isotropic_stiffness,
    voigt_reuss_stiffness,
    young_from_stiffness,
)
from helpers.synthetic.homogenization import (
    effective_stiffness,
    youngs_modulus,
)
from helpers.synthetic.volumes import FILTER_WIDTHS, sections_of, two_phase_volume

# %% tags=["parameters"]
shown = [3, 21, 34]
n_checked = 6
n_refined = 3

# %%
study = load_two_phase("embedded")

# %% tags=["remove-input"]
badge(study)

# %% [markdown]
# ## A volume from noise
#
# A volume starts as white noise on a periodic grid of 51 voxels a side. A Gaussian filter smooths
# it, with a width (standard deviation) drawn for each axis by itself, so that some volumes come out equiaxed and
# others fibrous or layered. The voxels with the highest values, exactly as many as the drawn
# volume fraction asks for, become the stiff phase.
#
# Each volume depends on the seed of the set and its own number only. Number 4711 can be made
# without those before it, and comes out the same.

# %% mystnb={"figure": {"caption": "Three volumes of the set with their filter widths along x, y and z. Yellow: stiff phase.", "name": "fig-data-volumes"}, "image": {"alt": "Three cubes with blue and yellow regions on their faces, showing phases of different shape and amount."}}
samples = [two_phase_volume(study.seed, i) for i in shown]
titles = [
    f"number {i}\nwidths {', '.join(f'{w:.0f}' for w in s.filter_widths)} voxels"
    for i, s in zip(shown, samples, strict=True)
]
plots_images.plot_volumes([s.volume for s in samples], titles)

# %% [markdown]
# The stored sections are those of the volumes made just now:

# %%
for i, sample in zip(shown, samples, strict=True):
    assert np.array_equal(sections_of(sample.volume), study.sections[i])
    assert sample.volume_fraction == study.volume_fraction[i]

# %% [markdown]
# ## From a volume to its modulus
#
# Stretch the periodic volume by a mean strain $\bar\varepsilon_{xx}$ and let the other mean
# stresses vanish. The displacements $u$ and the free mean strains settle where the elastic energy
# is lowest, and the effective Young's modulus follows from that energy:
#
# $$E = \frac{1}{\bar\varepsilon_{xx}^2}\, \min_{u,\ \bar\varepsilon_{ij}\,(ij \neq xx)}
#   \left\langle \varepsilon : C(x) : \varepsilon \right\rangle ,
#   \qquad \varepsilon = \bar\varepsilon + \nabla^{\mathrm{s}} u .$$
#
# On a voxel grid this is a linear system with three unknowns a voxel. Conjugate gradients solve
# it, and a fast Fourier transform makes them fast: for a *homogeneous* material the system is
# solved exactly by the Green operator in Fourier space {cite}`moulinec1998`, which therefore
# serves as preconditioner {cite}`zeman2010,leute2022`. Strains are evaluated at the voxel
# centres by the rotated scheme {cite}`willot2015`.
#
# The reference material is the compliant phase. No point of the volume is softer, so the
# preconditioned residual bounds the remaining error of the energy from above, and iterating can
# stop at a *guaranteed* accuracy of the discrete problem. What the grid itself costs is another
# error, measured in check 4.

# %%
sample = samples[1]
uniaxial = [1.0, 0, 0, 0, 0, 0]  # mean strain along x; the other components are free
start = time.perf_counter()
case = solve_load_case(sample.volume[None], uniaxial, free=[1, 2, 3, 4, 5])
seconds = time.perf_counter() - start
print(
    f"E = {case.energy[0]:.3f} GPa, stored: {study.modulus[shown[1]]:.3f} GPa; "
    f"{case.iterations[0]} iterations, error bound {case.error_bound[0]:.0e}, {seconds:.2f} s"
)

# %% mystnb={"figure": {"caption": "Phases, strain and stress along x in the section normal to z at index 0. The load is along x (horizontal), the mean strain of the volume 0.1 %. Colours leave out the lowest and highest half per cent.", "name": "fig-data-fields"}, "image": {"alt": "Three panels of one section: the phases, the strain along x and the stress along x. The strain is high in compliant gaps between stiff regions and low inside the stiff ones; the stress is uneven along the phase boundaries."}}
strain, stress = (f[0, 0, :, :, 0].cpu().numpy() * 1e-3 for f in (case.strain, case.stress))
plots_images.plot_fields(
    sample.volume[:, :, 0],
    {"strain along x [%]": 100 * strain, "stress along x [MPa]": 1e3 * stress},
)

# %% [markdown]
# ## Check 1: a laminate, where the answer is known
#
# Layers of equal thickness, stacked along x and pulled across, share the stress. The confined
# modulus in that direction is the harmonic mean of the phases' confined moduli, which is exact.

# %%
layers = np.zeros((1, 8, 4, 4), dtype=np.uint8)
layers[:, :4] = 1
stiffness = effective_stiffness(layers, tolerance=1e-12, dtype=torch.float64)[0]
phases = isotropic_stiffness()[:, 0, 0].numpy()
exact = 1 / np.mean(1 / phases)
print(f"across the layers: {stiffness[0, 0]:.9f} GPa, exact: {exact:.9f} GPa")

# %% [markdown]
# ## Check 2: bounds
#
# Whatever the arrangement, the modulus lies between the bounds of Reuss (equal stress) and Voigt
# (equal strain) {cite}`hill1952`. Each stored value was held against them when it was made.

# %% mystnb={"figure": {"caption": "All stored Young's moduli between the bounds of Voigt and Reuss.", "name": "fig-data-bounds"}, "image": {"alt": "Scatter plot of Young's modulus against the stiff volume fraction; all points lie between a straight upper line and a strongly curved lower line."}}
fractions = np.linspace(0, 1, 201)
voigt, reuss = (young_from_stiffness(c) for c in voigt_reuss_stiffness(fractions))
plots.plot_modulus(
    study.volume_fraction,
    study.modulus,
    {"Voigt": (fractions, voigt), "Reuss": (fractions, reuss)},
    "Young's modulus",
)

# %% [markdown]
# ## Check 3: solve some again
#
# Samples drawn from the whole set are made again from their seeds and solved again, with a
# tolerance ten times tighter.

# %%
rows = np.random.default_rng(0).choice(len(study.modulus), n_checked, replace=False)
volumes = np.stack([two_phase_volume(study.seed, i).volume for i in rows])
tight = youngs_modulus(volumes, tolerance=1e-5)
deviation = 100 * np.abs(study.modulus[rows] / tight - 1)

# %% [markdown]
# ## Check 4: what the grid costs
#
# The same volumes with every voxel split into eight: the material is the same, the grid twice as
# fine. The change of the modulus tells how far 51 voxels a side are from the continuum.

# %%
fine = volumes[:n_refined].repeat(2, axis=1).repeat(2, axis=2).repeat(2, axis=3)
grid_error = 100 * (study.modulus[rows[:n_refined]] / youngs_modulus(fine) - 1)

# %% [markdown]
# Two more things to know about the set: how many sections show a single phase, and how far the
# moduli spread where both phases fill about half of the volume.

# %%
area = study.sections.mean(axis=(2, 3))
one_phase = (area == 0) | (area == 1)
middle = np.abs(study.volume_fraction - 0.5) < 0.02

# %% [markdown]
# ## What we saw

# %% tags=["remove-input"]
upper, lower = (young_from_stiffness(c) for c in voigt_reuss_stiffness(study.volume_fraction))
inside = (study.modulus <= upper * (1 + 1e-4)) & (study.modulus >= lower * (1 - 1e-4))
display(
    Markdown(f"""
- {inside.sum()} of {len(inside)} stored moduli lie between their bounds (to 0.01 %). The laminate
  is met to {abs(stiffness[0, 0] / exact - 1):.0e} of its exact value.
- The error that iterating leaves: {n_checked} samples solved again with a ten times tighter
  tolerance differ from the stored values by at most {deviation.max():.4f} %.
- The error of the grid is larger: on a grid twice as fine the moduli of {n_refined} of them change
  by at most {abs(grid_error).max():.1f} %.
- One modulus took {seconds:.1f} s here.
- With filters {FILTER_WIDTHS[0]:.0f} to {FILTER_WIDTHS[1]:.0f} voxels wide, many features are as large
  as the volume: {100 * one_phase.mean():.0f} % of the sections show one phase only, and
  {100 * one_phase.any(axis=1).mean():.0f} % of the volumes have at least one such section.
- Among the {middle.sum()} volumes with stiff fractions from 0.48 to 0.52 the moduli run from
  {study.modulus[middle].min():.0f} to {study.modulus[middle].max():.0f} GPa, with phases of
  {PHASE_MODULI[0]} and {PHASE_MODULI[1]:.0f} GPa. The amounts set the range, the arrangement decides
  where in it a volume lies. That is what the descriptors of [Case study 1: stiffness of two-phase volumes](40_case_study_1.ipynb) have to see
  in three sections.
- The paper's data come from finite elements on the published volumes {{cite}}`cecen2018`. Nothing on
  this page is computed from them.
""")
)

# %% [markdown]
# ```{admonition} Try it
# :class: tip
# 1. Rotate a volume by 90 degrees with `np.rot90(volume, axes=(0, 1))`. Which axis moduli swap?
# 2. Set `filter_widths=(0.6, 4.8)` in `two_phase_volume`: how does the spread at one volume
#    fraction change?
# ```
