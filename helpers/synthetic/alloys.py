"""Synthetic superalloys: the embedded stand-in for the data of case study 2, made from a seed.

``python -m helpers.synthetic.alloys`` writes ``data/superalloys``: 149 micrographs from 19
invented sources and a table with the columns of the published one. Nothing in it was measured.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from PIL import Image

from helpers import UserError
from helpers.io.atomic import atomic_write
from helpers.io.downloads import ROOT
from helpers.io.progress import progress_bar
from helpers.synthetic.hardness import (
    ELEMENTS,
    KGF_PER_MPA,
    Hardness,
    hardness_model,
    solvent_and_formers,
)
from helpers.synthetic.micrographs import gamma_prime_micrograph

FOLDER = ROOT / "data" / "superalloys"
SEED = 121217  # the article number of the paper
JPEG_QUALITY = 85


class Source(NamedTuple):
    """An invented source: `images` in series of `treatments`, one series per composition."""

    images: int
    treatments: int
    radius_nm: float  # after the shortest ageing
    alloy: str  # in at.%; the element without a number is the rest
    varied: str = ""  # lowest and highest at.%, over the series
    gpa: bool = False  # reports hardness in GPa


# The group sizes, and which groups report GPa, are those of the published table, in its order.
SOURCES = (
    Source(15, 3, 12, "Co Ni30 Cr12 Al7 W3 Ti3.5 Ta1 Hf0.1 C0.1", "Al 3 9 W 0 4", True),
    Source(7, 7, 65, "Co Ni10 Al6 Ti4 W2", gpa=True),
    Source(8, 8, 18, "Ni Al11.5 W2.2 Ta1.2 Ti1.3 Cr10.5 Mo1.3 Hf0.5 C0.4 Co9.8 B0.07"),
    Source(18, 2, 14, "Co Ni4 Al8 W7", "Al 2 9 Cr 0 16"),
    Source(4, 4, 30, "Ni Al10.6 W2.6 Ta1.3 Ti3.1 Cr9.8 Mo1.2 C0.5 Co10"),
    Source(8, 2, 12, "Ni Al8.6 W2.6 Ta1.1 Ti1.2 Cr11.9 Mo1.1 Hf0.3 C0.7 Co8.4 Nb0.7", "Ti 0 5"),
    Source(8, 1, 15, "Ni Al9 V4 Nb2.5", "Al 4 11 Nb 0.5 4"),
    Source(2, 2, 16, "Ni Cr21 Mo9 Al4 Ti1 Fe2"),
    Source(4, 4, 14, "Ni Al5.2 Ti3.1 Cr15.6 Mo3 Co9.9 Nb1.6"),
    Source(9, 3, 20, "Ni Cr15 Al6 Nb3.5", "Al 2 9 Nb 1 6"),
    Source(6, 6, 22, "Ni Al7.2 W0.8 Ta0.6 Ti4.1 Cr17.6 Mo1 C0.6 Co8.3 B0.05 Zr0.06 Cb0.6"),
    Source(6, 2, 42, "Co Ni20 Al10 W6", "W 0 8", True),
    Source(10, 2, 72, "Ni Al13 Cr6", "Al 7 16 Cr 0 20 Ce 0 0.4"),
    Source(1, 1, 13, "Ni Cr21 Al2 Ti7 Ta3.5 Mo11 Nb3.5 Si3.5 B2.5 C1"),
    Source(4, 4, 11, "Ni Al4.6 W1.3 Ti6 Cr17.8 Mo1.8 Co14.4 Fe1 Nb0.4 C0.07 B0.1 Zr0.03"),
    Source(16, 4, 22, "Ni Al12.6 W2.1 Ta2.2 Ti1.3 Cr7.6 Mo0.4 Co9.3 Re1", "Al 8 13 Ta 0.5 4.5"),
    Source(6, 1, 110, "Ni Al12.5 W2.1 Ta2 Ti1 Cr7.5 Mo0.4 Co9.8 C0.2", "Re 0 2 Ta 0 3.5"),
    Source(5, 5, 10, "Ni Al1.8 Ti1.3 Cr19.2 Fe18.6 Mo1.8 Nb3.4 Mn0.1 Si0.2 C0.2 S0.002 P0.01"),
    Source(12, 6, 9, "Ni Al5.2 W0.4 Ti6 Cr17.5 Mo1.8 Co14.4 C0.08 B0.06 Zr0.02 Cb0.4", "Ti 0 8"),
)
N_SAMPLES = sum(source.images for source in SOURCES)


class SyntheticSuperalloy(NamedTuple):
    """One synthetic micrograph, what a table would say of it, and the truth behind it."""

    image: np.ndarray
    precipitates: np.ndarray
    name: str
    group: int
    hardness: float
    in_gpa: bool
    composition: dict
    volume_fraction: float
    radius_nm: float
    nm_per_pixel: float
    model: Hardness


def synthetic_superalloy(seed, i):
    """Sample `i` of the synthetic data set: a micrograph, its truth, its hardness.

    Within a source precipitates coarsen from one ageing treatment to the next, r^3 growing
    linearly in time (Lifshitz and Slyozov, Wagner); in some sources a little of them dissolves.
    The volume fraction follows the composition by the lever rule. Magnification, contrast,
    noise, blur and shape belong to the source.

    Parameters
    ----------
    seed : int
        Of the data set; with `i` it fixes the sample, whatever else was made before.
    i : int
        Row of the table, 0 to 148.

    Returns
    -------
    SyntheticSuperalloy
        ``image`` (h, w) uint8, sides of 225 to 475 pixels; ``precipitates`` (h, w) uint8, 1 in
        a precipitate; ``name``, such as ``Synthetic03-07``: ``group``, the number of the source
        from 1, then a running number; ``hardness`` [kgf/mm2], ``model`` with an offset of the
        source (standard deviation 30) and the scatter of a measurement (2 %); ``in_gpa``, whether
        the source reports GPa; ``composition``, element to at.%, all of `ELEMENTS` in order;
        ``volume_fraction``, the area share in the image; ``radius_nm``, half the mean edge
        length; ``nm_per_pixel``, the hidden variable; ``model``, a `Hardness`.

    Raises
    ------
    ValueError
        `i` outside 0 to 148, or a negative seed.

    Examples
    --------
    >>> sample = synthetic_superalloy(seed=0, i=20)
    >>> sample.name, sample.image.dtype.name, round(sum(sample.composition.values()), 6)
    ('Synthetic02-06', 'uint8', 100.0)
    """
    if not (0 <= i < N_SAMPLES and seed >= 0):
        raise UserError(f"seed is {seed}, i is {i}: expected seed >= 0, i from 0 to 148")
    ends = np.cumsum([source.images for source in SOURCES])
    group = int(np.searchsorted(ends, i, side="right"))
    source, number = SOURCES[group], int(i - ends[group] + SOURCES[group].images)
    shared = np.random.default_rng([seed, 1, group])  # the same for a whole source
    own = np.random.default_rng([seed, 2, i])

    series, step = divmod(number, source.treatments)
    composition = _composition(shared, source, series)
    hours = np.geomspace(1, 1000, source.treatments)[step]
    growth, dissolved = shared.uniform(3.5, 5.2), shared.choice([0.0, 0.015])
    radius = source.radius_nm * (1 + (growth**3 - 1) * (hours - 1) / 999) ** (1 / 3)
    radius = float(radius * np.exp(own.normal(0, 0.05)))
    fraction = _volume_fraction(composition, 0.025 + dissolved * step / source.treatments)
    fraction = float(np.clip(fraction + own.normal(0, 0.01), 0.12, 0.72))

    options, nm_per_pixel = _imaging(shared, own, source, growth, radius, fraction)
    made = gamma_prime_micrograph([seed, 3, i], volume_fraction=fraction, **options)
    model = hardness_model(composition, made.volume_fraction, radius)
    offset = np.random.default_rng([seed, 4]).normal(0, 30, len(SOURCES))[group]
    hardness = (model.total + offset) * (1 + own.normal(0, 0.02))
    name = f"Synthetic{group + 1:02d}-{number + 1:02d}"
    return SyntheticSuperalloy(
        made.image, made.precipitates, name, group + 1, float(hardness), source.gpa,
        composition, made.volume_fraction, radius, nm_per_pixel, model,
    )  # fmt: skip


def _composition(rng, source, series):
    """Element -> at.%; what is varied takes other levels in each series of the source."""
    rest, *others = re.findall(r"([A-Z][a-z]?)([\d.]*)", source.alloy)
    contents = {element: float(value) for element, value in others}
    n_series = source.images // source.treatments
    for element, low, high in re.findall(r"([A-Z][a-z]?) ([\d.]+) ([\d.]+)", source.varied):
        levels = rng.permutation(np.linspace(float(low), float(high), n_series))
        contents[element] = round(float(levels[series]), 2)
    contents[rest[0]] = round(100 - sum(contents.values()), 3)
    return {element: contents.get(element, 0.0) for element in ELEMENTS}


def _volume_fraction(composition, solubility):
    """Lever rule: a quarter of gamma prime is formers; the matrix holds what it can dissolve."""
    content = sum(composition[element] for element in solvent_and_formers(composition)[1]) / 100
    return (content - solubility) / (0.25 - solubility)


def _imaging(shared, own, source, growth, radius, fraction):
    """Options of `gamma_prime_micrograph`, and the nanometres that a pixel covers."""
    options = {
        "exponent": shared.choice([2.0, 2.5, 3.5, 5.0, 8.0]),
        "size_scatter": shared.uniform(0.06, 0.28),
        "disorder": shared.uniform(0.03, 0.16),
        "fine_fraction": min(shared.choice([0.0, 0.01, 0.03]), fraction / 8),
        "fine_size": shared.uniform(3, 5),
        "polarity": shared.choice(["dark", "bright"]),
        "contrast": shared.uniform(0.16, 0.42) * own.uniform(0.9, 1.1),
        "brightness": shared.uniform(0.36, 0.62) + own.normal(0, 0.02),
        "edge": shared.uniform(0.0, 0.22),
        "illumination": shared.uniform(0.02, 0.18),
        "noise": shared.uniform(0.015, 0.06) * own.uniform(0.9, 1.1),
        "blur": shared.uniform(0.5, 1.6),
        "angle": np.clip(shared.uniform(-45, 45) + own.normal(0, 8), -90, 90),
    }
    sides = shared.uniform(250, 440, 2) * own.uniform(0.9, 1.08, 2)
    options["shape"] = tuple(int(side) for side in sides)
    # So many pixels that the smallest precipitates are seen and many of the largest fit in.
    aged = source.treatments > 1
    pixels = shared.uniform(7.5, 44 / growth) if aged else shared.uniform(14, 34)
    nm_per_pixel = round(2 * source.radius_nm / pixels, 2)
    options["size"] = 2 * radius / nm_per_pixel
    return options, nm_per_pixel


def make_superalloys(folder):
    """Write the micrographs as JPEG and ``table.csv``, and return this table.

    As in the published one, a hardness is given in one of its two columns and reads ``N/a`` in
    the other.
    """
    rows = []
    numbers = range(N_SAMPLES)
    for i in progress_bar("superalloys", "micrograph", N_SAMPLES, iterable=numbers):
        sample = synthetic_superalloy(SEED, i)
        with atomic_write(Path(folder) / f"{sample.name}.jpg") as file:
            Image.fromarray(sample.image).save(file, "JPEG", quality=JPEG_QUALITY)
        rows.append(_row(sample))
    table = pd.DataFrame(rows)
    with atomic_write(Path(folder) / "table.csv") as file:
        table.to_csv(file, index=False, lineterminator="\n")
    return table


def _row(sample):
    gpa = f"{sample.hardness / KGF_PER_MPA / 1000:.2f}" if sample.in_gpa else "N/a"
    return {
        "Image_Name": sample.name,
        "Vickers Hardness (GPa)": gpa,
        "Vickers Hardness (HV)": "N/a" if sample.in_gpa else f"{sample.hardness:.1f}",
        **{f"{element} (at.%)": value for element, value in sample.composition.items()},
        "volume_fraction": round(sample.volume_fraction, 4),
        "radius_nm": round(sample.radius_nm, 2),
        "nm_per_pixel": sample.nm_per_pixel,
        "hardness_model": round(sample.model.total, 2),
    }


def main(arguments=None):
    """Make the embedded, synthetic data set of case study 2."""
    parser = argparse.ArgumentParser(
        "python -m helpers.synthetic.alloys", description=main.__doc__
    )
    parser.add_argument("--folder", type=Path, default=FOLDER)
    options = parser.parse_args(arguments)
    make_superalloys(options.folder)
    size = sum(path.stat().st_size for path in options.folder.iterdir())
    print(f"wrote {options.folder} ({size / 1e6:.1f} MB)")


if __name__ == "__main__":
    main()
