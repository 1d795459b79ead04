import doctest
import errno
import os

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from helpers.synthetic import alloys
from helpers.synthetic import hardness as strengthening
from helpers.synthetic.alloys import (
    FOLDER,
    N_SAMPLES,
    SEED,
    make_superalloys,
    synthetic_superalloy,
)
from helpers.synthetic.hardness import ELEMENTS, KGF_PER_MPA, hardness_model

COMPOSITION = [f"{element} (at.%)" for element in ELEMENTS]
ALLOY = {"Ni": 67, "Cr": 16, "Al": 10, "Ti": 4, "Mo": 3}
# The group sizes of the published table, in the order of its rows.
SIZES = [15, 7, 8, 18, 4, 8, 8, 2, 4, 9, 6, 6, 10, 1, 4, 16, 6, 5, 12]


@pytest.fixture(scope="module")
def table():
    return pd.read_csv(FOLDER / "table.csv", keep_default_na=False)


@pytest.fixture(scope="module")
def hardness(table):
    """Hardness of all rows [kgf/mm2], whatever unit their source chose."""
    hv = pd.to_numeric(table["Vickers Hardness (HV)"], errors="coerce")
    gpa = pd.to_numeric(table["Vickers Hardness (GPa)"], errors="coerce")
    return hv.fillna(gpa * 1000 / 9.80665).to_numpy()


@pytest.fixture(scope="module")
def groups(table):
    return table["Image_Name"].str.extract(r"Synthetic(\d+)-")[0].astype(int).to_numpy()


def explained(x, y):
    """R2 of the ordinary least-squares fit of `y` on the columns of `x`, in sample."""
    x = np.column_stack([np.ones(len(y)), *x])
    residual = y - x @ np.linalg.lstsq(x, y)[0]
    return 1 - residual @ residual / ((y - y.mean()) @ (y - y.mean()))


@pytest.mark.parametrize("module", [strengthening, alloys])
def test_examples_in_docstrings(module):
    result = doctest.testmod(module)
    assert result.attempted > 0
    assert result.failed == 0


def test_same_seed_same_sample():
    sample = synthetic_superalloy(3, 40)
    synthetic_superalloy(3, 39)
    again, other = synthetic_superalloy(3, 40), synthetic_superalloy(4, 40)
    np.testing.assert_array_equal(sample.image, again.image)
    np.testing.assert_array_equal(sample.precipitates, again.precipitates)
    assert sample[2:] == again[2:]
    assert sample.hardness != other.hardness
    assert sample.nm_per_pixel != other.nm_per_pixel


@pytest.mark.parametrize("i", [0, 21, 104, 105, 148])
def test_what_ships_can_be_made_again(table, i):
    """Seeded samples, to the rounding of the table and the loss of JPEG.

    JPEG loses part of the noise: 4.5 grey values (root mean square) on average, 5.6 at most, and
    decoders differ by one. Two micrographs of one source differ by 29 or more, and a change of
    brightness of 1 would show in the mean.
    """
    sample, row = synthetic_superalloy(SEED, i), table.iloc[i]
    assert row["Image_Name"] == sample.name
    column, value, room = ("HV", sample.hardness, 0.051)
    if sample.in_gpa:
        column, value, room = ("GPa", sample.hardness * 9.80665 / 1000, 0.0051)
    assert float(row[f"Vickers Hardness ({column})"]) == pytest.approx(value, abs=room)
    np.testing.assert_allclose(row[COMPOSITION].astype(float), [*sample.composition.values()])
    truth = row[["volume_fraction", "radius_nm", "nm_per_pixel", "hardness_model"]].astype(float)
    expected = [sample.volume_fraction, sample.radius_nm, sample.nm_per_pixel, sample.model.total]
    np.testing.assert_allclose(truth, expected, atol=0.0051)

    with Image.open(FOLDER / f"{sample.name}.jpg") as file:
        assert file.mode == "L"
        shipped = np.asarray(file, dtype=float)
    assert np.sqrt(((shipped - sample.image) ** 2).mean()) < 8
    assert abs((shipped - sample.image).mean()) < 0.5


def test_groups_names_and_files(table, groups):
    assert len(table) == N_SAMPLES == 149
    assert table["Image_Name"].is_unique
    assert np.bincount(groups)[1:].tolist() == SIZES
    running = table["Image_Name"].str.extract(r"Synthetic\d\d-(\d\d)$")[0].astype(int)
    assert running.tolist() == [n + 1 for size in SIZES for n in range(size)]
    images = {path.stem for path in FOLDER.glob("*.jpg")}
    assert images == set(table["Image_Name"])
    assert "synthetic" in (FOLDER / "README.md").read_text(encoding="utf-8").lower()
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) <= 5.5e6


def test_micrographs_of_one_source_share_what_the_reader_does_not_know(table, groups):
    per_group = table["nm_per_pixel"].groupby(groups)
    assert (per_group.nunique() == 1).all()
    assert per_group.first().is_unique
    sides = [Image.open(FOLDER / f"{name}.jpg").size for name in table["Image_Name"]]
    assert np.min(sides) >= 220
    assert np.max(sides) <= 480


def test_columns_are_those_of_the_published_table(table):
    names = ["Image_Name", "Vickers Hardness (GPa)", "Vickers Hardness (HV)", *COMPOSITION]
    assert list(table)[:25] == names
    assert list(table)[25:] == ["volume_fraction", "radius_nm", "nm_per_pixel", "hardness_model"]
    in_gpa = table["Vickers Hardness (HV)"] == "N/a"
    assert in_gpa.sum() == 28
    assert ((table["Vickers Hardness (GPa)"] == "N/a") != in_gpa).all()


def test_compositions(table):
    contents = table[COMPOSITION]
    np.testing.assert_allclose(contents.sum(axis=1), 100, atol=1e-6)
    assert (contents >= 0).all(axis=None)
    assert (contents[["Ni (at.%)", "Co (at.%)"]].max(axis=1) > 40).all()
    cobalt = contents["Co (at.%)"] > contents["Ni (at.%)"]
    assert 30 < cobalt.sum() < 75
    niobium, columbium = contents["Nb (at.%)"] > 0, contents["Cb (at.%)"] > 0
    assert niobium.sum() > 10
    assert columbium.sum() > 10
    assert not (niobium & columbium).any()


def test_hardness_resembles_the_published_one(hardness, groups):
    """Published: 184 to 713 kgf/mm2, mean 416, standard deviation 88, source paper 61 %."""
    assert 180 < hardness.min() < 280
    assert 560 < hardness.max() < 720
    assert hardness.mean() == pytest.approx(400, abs=30)
    assert hardness.std() == pytest.approx(90, abs=25)
    means = pd.Series(hardness).groupby(groups).transform("mean").to_numpy()
    assert 0.5 < explained([means], hardness) < 0.75


def test_microstructure_matters_and_pixels_alone_say_less(table, hardness):
    """The magnification is what a model of images does not get to see."""
    fraction, radius = table["volume_fraction"], np.log(table["radius_nm"])
    pixels = np.log(table["radius_nm"] / table["nm_per_pixel"])
    truth = explained([fraction, radius], hardness)
    assert truth > 0.3
    assert truth > explained([fraction, pixels], hardness) + 0.05
    assert truth > explained([fraction], hardness) + 0.1
    assert truth > explained([radius], hardness) + 0.1
    assert explained([table["hardness_model"]], hardness) > truth + 0.2


def test_precipitates_coarsen_within_a_series(table, groups):
    """Source 2: one alloy, seven ageing times; r^3 is linear in time."""
    aged = table[groups == 2]
    assert (aged[COMPOSITION].nunique() == 1).all()
    hours = np.geomspace(1, 1000, 7)
    assert np.corrcoef(hours, aged["radius_nm"] ** 3)[0, 1] > 0.98
    assert np.ptp(aged["volume_fraction"]) < 0.08


@pytest.mark.parametrize("i", range(0, 149, 12))
def test_area_fraction_is_the_volume_fraction_and_size_is_the_radius(i):
    sample = synthetic_superalloy(1, i)
    assert sample.image.shape == sample.precipitates.shape
    assert sample.image.dtype == sample.precipitates.dtype == np.uint8
    assert sample.precipitates.mean() == pytest.approx(sample.volume_fraction, abs=1e-6)
    # Mean chord of a disc 0.79, of a square 1 (along its edges) down to 0.7 of its width.
    inside = sample.precipitates.astype(int)
    chord = inside.sum() / (np.diff(inside, axis=1, prepend=0) == 1).sum()
    width = 2 * sample.radius_nm / sample.nm_per_pixel
    assert 0.4 < chord / width < 1.7


def test_hardness_is_model_offset_and_scatter():
    """The offset belongs to the source; what is left scatters by 2 %."""
    for first, count in ((0, 15), (22, 8)):
        samples = [synthetic_superalloy(5, i) for i in range(first, first + count)]
        difference = [s.hardness - s.model.total for s in samples]
        assert np.std(difference) < 0.04 * np.mean([s.hardness for s in samples])
        assert np.std(difference) > 1
    offsets = [synthetic_superalloy(seed, 0) for seed in range(24)]
    assert 18 < np.std([s.hardness - s.model.total for s in offsets]) < 45


def test_parts_of_the_hardness_sum_up():
    for radius in (3, 20, 300):
        total, *parts = hardness_model(ALLOY, 0.5, radius)
        assert total == pytest.approx(sum(parts))
        assert min(parts) > 0
    pure = hardness_model({"Ni": 100}, 0, 10)
    assert pure.solid_solution == pure.precipitation == 0
    assert pure.total == pure.base == pytest.approx(1500 / 9.80665)


def test_hardness_grows_with_the_fraction():
    for radius in (15, 40, 200):
        totals = [hardness_model(ALLOY, f, radius).total for f in (0.1, 0.2, 0.35, 0.5)]
        assert (np.diff(totals) > 0).all()


def test_hardness_peaks_at_tens_of_nanometres():
    radii = np.geomspace(2, 500, 200)
    for fraction in (0.2, 0.5):
        parts = np.array([hardness_model(ALLOY, fraction, r).precipitation for r in radii])
        peak = parts.argmax()
        assert 8 < radii[peak] < 40
        assert (np.diff(parts[: peak + 1]) >= 0).all()
        assert (np.diff(parts[peak:]) <= 0).all()
        # Coarse precipitates: r^(-1/2), from the root of the second formula.
        coarse = [hardness_model(ALLOY, fraction, r).precipitation for r in (2000, 8000)]
        assert coarse[0] / coarse[1] == pytest.approx(2, rel=0.02)


def test_solid_solution_by_hand():
    """Gypen and Deruyttere: one solute gives k c^(1/2), several the root of the squares."""
    mo = hardness_model({"Ni": 90, "Mo": 10}, 0, 10).solid_solution
    assert mo == pytest.approx(3 * KGF_PER_MPA * 1015 * 0.1**0.5)
    cr = hardness_model({"Ni": 84, "Cr": 16}, 0, 10).solid_solution
    both = hardness_model({"Ni": 74, "Mo": 10, "Cr": 16}, 0, 10).solid_solution
    assert both == pytest.approx(np.hypot(mo, cr))
    named = [hardness_model({"Ni": 96, name: 4}, 0.1, 10) for name in ("Nb", "Cb")]
    assert named[0] == named[1]  # columbium is niobium
    # Solutes that gamma prime takes up no longer harden the matrix.
    al = [hardness_model({"Ni": 85, "Al": 15}, f, 10).solid_solution for f in (0, 0.3, 0.6)]
    assert al[0] > al[1] > al[2] == 0


def test_titanium_raises_the_antiphase_boundary_energy():
    lean = hardness_model({"Ni": 87, "Al": 13}, 0.5, 30)
    rich = hardness_model({"Ni": 87, "Al": 9, "Ti": 4}, 0.5, 30)
    assert rich.precipitation > lean.precipitation


@pytest.mark.parametrize("seed, i", [(0, 149), (0, -1), (-1, 0)])
def test_bad_samples_are_named(seed, i):
    with pytest.raises(ValueError, match=f"seed is {seed}, i is {i}: expected"):
        synthetic_superalloy(seed, i)


@pytest.fixture
def three_samples(monkeypatch):
    monkeypatch.setattr(alloys, "N_SAMPLES", 3)


def test_making_writes_images_and_table(tmp_path, three_samples, table, capsys):
    alloys.main(["--folder", str(tmp_path / "new")])
    names = table["Image_Name"][:3].tolist()
    made, shipped = (
        (f / "table.csv").read_text().splitlines() for f in (tmp_path / "new", FOLDER)
    )
    assert made == shipped[:4]
    files = sorted(path.name for path in (tmp_path / "new").iterdir())
    assert files == [f"{name}.jpg" for name in names] + ["table.csv"]
    assert "wrote" in capsys.readouterr().out


def test_full_disk_leaves_the_old_table(tmp_path, three_samples, monkeypatch):
    (tmp_path / "table.csv").write_bytes(b"old")

    def full(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(pd.DataFrame, "to_csv", full)
    with pytest.raises(OSError, match=r"could not write .*table\.csv"):
        make_superalloys(tmp_path)
    assert (tmp_path / "table.csv").read_bytes() == b"old"
