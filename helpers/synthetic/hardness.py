"""Hardness of gamma/gamma-prime alloys from a physical model, for synthetic data."""

from __future__ import annotations

import math
from typing import NamedTuple

KGF_PER_MPA = 1 / 9.80665  # kgf/mm2 in one MPa
# In the order of the published table; columbium (Cb) is niobium.
ELEMENTS = (
    "Al", "W", "Ta", "Ti", "Cr", "Ni", "Mo", "Hf", "C", "Co", "B",
    "V", "Si", "Fe", "Nb", "Zr", "Re", "Cb", "Ce", "Mn", "S", "P",
)  # fmt: skip
FORMERS = ("Al", "Ti", "Ta", "Nb", "Cb", "V", "Hf")  # fill a quarter of the gamma-prime sites
# Solid-solution coefficients in nickel [MPa per root of atomic fraction]; see `hardness_model`.
COEFFICIENTS = {
    "Al": 225, "Si": 275, "Ti": 775, "V": 408, "Cr": 337, "Mn": 448, "Fe": 153, "Co": 39.4,
    "Zr": 2359, "Nb": 1183, "Cb": 1183, "Mo": 1015, "Hf": 1401, "Ta": 1191, "W": 977, "C": 1061,
}  # fmt: skip


class Hardness(NamedTuple):
    """Vickers hardness and its parts [kgf/mm2]; `total` is the sum of the other three."""

    total: float
    base: float
    solid_solution: float
    precipitation: float


def hardness_model(composition, volume_fraction, radius_nm):
    r"""Vickers hardness of a gamma/gamma-prime alloy from its composition and precipitates.

    Parameters
    ----------
    composition : mapping
        Element, one of `ELEMENTS`, to content [at.%], together 100; what is left out is zero.
    volume_fraction : float
        Of the gamma-prime precipitates, between 0 and 1.
    radius_nm : float
        Their radius, for cuboids half the edge length [nm].

    Returns
    -------
    Hardness
        ``total``, ``base``, ``solid_solution``, ``precipitation`` [kgf/mm2].

    Notes
    -----
    Each part is a stress, and Tabor's relation, hardness = 3 stress, makes it a hardness.

    Solid solution, Gypen and Deruyttere (1977): :math:`(1 - f) (\sum_i k_i^2 c_i)^{1/2}`, with
    atomic fractions in the matrix. Coefficients of Mishima et al. (1986), Trans. JIM 27, 656,
    for nickel, as collected by Roth, Davis and Thomson (1997), Metall. Mater. Trans. A 28, 1329.
    They are quoted from memory: the papers were out of reach where this was written. The solvent
    does not count, nor do Ni, B, Re, Ce, S and P, for which there is no coefficient.

    Precipitation: the lower of the stresses at which weakly and strongly coupled dislocation
    pairs cut the precipitates, Reed (2006), The Superalloys, chapter 2, after Brown and Ham
    (1971) and Hüther and Reppich (1978), times Taylor's factor 3.06:

    .. math:: \tau_w = \frac{\gamma}{2b} \left[\left(\frac{6 \gamma f r}{\pi T}\right)^{1/2}
       - f\right], \quad \tau_s = \sqrt{\frac{3}{2}} \frac{G b}{r} \frac{f^{1/2}}{\pi^{3/2}}
       \left(\frac{2 \pi \gamma r}{G b^2} - 1\right)^{1/2}, \quad T = \frac{G b^2}{2}

    Choices of this book, not of those sources: the base, 500 MPa (friction, grain boundaries,
    work hardening below the indenter); G = 80 GPa, b = 0.25 nm; the coefficients for nickel serve
    for cobalt; the formers of gamma prime (with W where Co is the solvent) fill a quarter of its
    sites and all else stays in the matrix; antiphase boundary energy gamma = 0.19 + 0.12 s
    [J/m2], s being the share of Ti, Ta and Nb, which raise it, in the formers.

    Examples
    --------
    >>> alloy = {"Ni": 70, "Cr": 16, "Al": 10, "Ti": 4}
    >>> [round(hardness_model(alloy, 0.5, r).total) for r in (5, 20, 200)]
    [249, 498, 293]
    """
    f, r = float(volume_fraction), 1e-9 * radius_nm
    c = {element: value / 100 for element, value in composition.items()}
    solvent, formers = solvent_and_formers(composition)
    total = sum(c.get(element, 0) for element in formers)
    left = max(total - f / 4, 0) / total if total else 0.0  # share of the formers in the matrix
    squares = sum(
        COEFFICIENTS.get(element, 0) ** 2 * value * (left if element in formers else 1)
        for element, value in c.items()
        if element != solvent
    )
    raising = sum(c.get(element, 0) for element in ("Ti", "Ta", "Nb", "Cb"))
    energy = 0.19 + (0.12 * raising / total if total else 0.0)
    g, b = 80e9, 0.25e-9
    weak = energy / (2 * b) * (math.sqrt(6 * energy * f * r / (math.pi * g * b**2 / 2)) - f)
    x = 2 * math.pi * energy * r / (g * b**2)
    # Below x = 2, its maximum, the second formula does not hold, and the first is the lower one.
    strong = math.inf
    if x > 2:
        strong = math.sqrt(1.5 * f * (x - 1)) * g * b / r / math.pi**1.5
    # In the matrix the contents are those of the alloy, divided by 1 - f.
    stresses = 500.0, math.sqrt((1 - f) * squares), 3.06e-6 * max(min(weak, strong), 0.0)
    parts = [3 * KGF_PER_MPA * stress for stress in stresses]
    return Hardness(sum(parts), *parts)


def solvent_and_formers(composition):
    """The element that the others are dissolved in, and those that form gamma prime."""
    cobalt = composition.get("Co", 0) > composition.get("Ni", 0)
    return ("Co", (*FORMERS, "W")) if cobalt else ("Ni", FORMERS)
