import doctest

import numpy as np
import pytest

from helpers.synthetic import families
from helpers.synthetic.families import FAMILIES, FRACTIONS, family_volume
from helpers.synthetic.volumes import sections_of


@pytest.fixture(scope="module", params=FAMILIES)
def drawn(request):
    """Twelve volumes of a family."""
    return request.param, [family_volume(request.param, 0, i, size=31) for i in range(12)]


def angles(size, periods=1):
    """Sines and cosines of the angles at voxel centres, which lie symmetrically about 0."""
    turns = 2 * np.pi * periods * (np.arange(size) + 0.5) / size
    return np.ix_(*[np.sin(turns)] * 3), np.ix_(*[np.cos(turns)] * 3)


def test_examples_in_docstrings():
    result = doctest.testmod(families)
    assert result.attempted > 0
    assert result.failed == 0


def test_volume_depends_on_family_seed_and_index_alone(drawn):
    family, volumes = drawn
    np.testing.assert_array_equal(volumes[3], family_volume(family, 0, 3, size=31))
    assert (volumes[3] != volumes[4]).any()
    assert (volumes[3] != family_volume(family, 1, 3, size=31)).any()


def test_volumes_and_their_sections_have_both_phases(drawn):
    family, volumes = drawn
    for volume in volumes:
        assert volume.dtype == np.uint8
        assert volume.shape == (31, 31, 31)
        assert set(np.unique(volume)) == {0, 1}
        assert (np.ptp(sections_of(volume), axis=(1, 2)) == 1).all()
    fractions = [volume.mean() for volume in volumes]
    assert np.ptp(fractions) > 0.4
    if family != "Voronoi cells":  # which stay whole
        assert FRACTIONS[0] - 1e-3 <= min(fractions)
        assert max(fractions) <= FRACTIONS[1] + 1e-3


@pytest.mark.parametrize("family", FAMILIES)
def test_volumes_are_periodic(family):
    """As drawn, no origin moved: phases change as often across a face as between other planes."""
    rng = np.random.default_rng(0)
    volumes = np.stack([FAMILIES[family](rng, 30) for _ in range(30)])
    for axis in (1, 2, 3):
        changes = (volumes != np.roll(volumes, 1, axis)).swapaxes(0, axis).mean((1, 2, 3))
        assert changes[0] < 1.25 * changes[1:].mean()


def test_one_sphere_across_the_corner_is_counted_exactly():
    distance, _ = families._nearest(np.array([[0.0, 0.0, 0.0]]), 16)
    x = np.arange(-8, 8) ** 2
    expected = (x[:, None, None] + x[:, None] + x <= 5.5**2).sum()
    assert (distance <= 5.5).sum() == expected
    assert families._largest(-distance, expected / 16**3).sum() == pytest.approx(expected, abs=24)


def test_one_ellipsoid_has_its_axes():
    distance, _ = families._nearest(np.full((1, 3), 20.0), 41, np.array([4, 1, 0.25]))
    inside = np.argwhere(distance < 4.01)
    np.testing.assert_array_equal(inside.min(0), [4, 16, 19])
    np.testing.assert_array_equal(inside.max(0), [36, 24, 21])


@pytest.mark.parametrize("axes", [(1, 1, 1), (2, 1, 0.5)])
def test_independent_bodies_cover_what_theory_says(axes):
    """1 - exp(-n v) for n bodies of volume v in a unit of volume."""
    rng = np.random.default_rng(0)
    covered = [
        (families._nearest(40 * rng.random((200, 3)), 40, axes)[0] < 4).mean() for _ in range(20)
    ]
    theory = 1 - np.exp(-200 * 4 / 3 * np.pi * 4**3 / 40**3)
    assert np.mean(covered) == pytest.approx(theory, abs=4 * np.std(covered) / np.sqrt(20))
    assert np.std(covered) < 0.03


def test_radius_of_spheres_comes_out_near_what_is_drawn():
    """The mean chord of the spheres' outside depends on radius and fraction alone."""
    for seed in range(6):
        volume = families.overlapping_spheres(np.random.default_rng(seed), 51)
        rng = np.random.default_rng(seed)
        share, radius = rng.uniform(*FRACTIONS), rng.uniform(3, 9)
        rate = 3 / (4 * radius) * -np.log(1 - share)  # exits of the matrix per voxel of it
        crossings = np.mean([(volume != np.roll(volume, 1, a)).mean() for a in range(3)]) / 2
        assert crossings == pytest.approx(rate * (1 - share), rel=0.2)


def test_voronoi_cells_are_whole_and_nearest():
    centres = 12 * np.random.default_rng(0).random((9, 3))
    _, cells = families._nearest(centres, 12)
    gaps = np.abs(np.indices((12,) * 3)[..., None] - centres.T[:, None, None, None])
    squared = (np.minimum(gaps, 12 - gaps) ** 2).sum(0)
    np.testing.assert_array_equal(cells, squared.argmin(-1))
    for share in (0.001, 0.5, 0.999):  # as few cells as one, or all but one
        stiff = families._largest(cells, share)
        kinds = [np.unique(stiff[cells == cell]).tolist() for cell in range(9)]
        assert sorted(map(str, kinds))[0] == "[False]"
        assert sorted(map(str, kinds))[-1] == "[True]"
        assert all(len(kind) == 1 for kind in kinds)


def test_fine_noise_forgets_itself_within_a_few_voxels():
    for index in range(4):
        volume = family_volume("fine noise", 0, index).astype(float)
        spectrum = np.abs(np.fft.fftn(volume - volume.mean())) ** 2
        correlation = np.fft.ifftn(spectrum).real / (volume.size * volume.var())
        assert correlation[0, 0, 0] == pytest.approx(1)
        for axis in range(3):
            along = np.moveaxis(correlation, axis, 0)[:, 0, 0]
            assert np.abs(along[10:42]).max() < 0.05


@pytest.mark.parametrize("surface", [families.gyroid, families.schwarz_d])
def test_inversion_swaps_the_sides_of_a_surface_at_half_fraction(surface):
    volume = families._largest(surface(*angles(30)), 0.5)
    assert volume.mean() == pytest.approx(0.5, abs=0.01)
    assert (volume[::-1, ::-1, ::-1] == ~volume).mean() > 0.99


def test_half_a_period_swaps_the_sides_of_schwarz_p_at_half_fraction():
    volume = families._largest(families.schwarz_p(*angles(30)), 0.5)
    assert (np.roll(volume, 15, (0, 1, 2)) == ~volume).mean() > 0.99


def test_gyroid_keeps_its_cubic_symmetry_and_its_periods():
    volume = families._largest(families.gyroid(*angles(30, periods=3)), 0.3)
    assert (volume == volume.transpose(1, 2, 0)).mean() > 0.99
    assert (volume == np.roll(volume, 10, 1)).mean() > 0.99
    assert (volume != volume.transpose(1, 0, 2)).mean() > 0.05  # it has a hand


def test_an_unknown_family_is_named():
    with pytest.raises(ValueError, match=r"family is 'foam': expected one of .*'fine noise'"):
        family_volume("foam", 0, 0)


def test_a_volume_without_both_phases_is_named(monkeypatch):
    monkeypatch.setitem(FAMILIES, "ellipsoids", lambda rng, size: np.ones((size,) * 3, bool))
    message = "family 'ellipsoids', seed 5, index 7: no section normal to axis 0 holds both"
    with pytest.raises(ValueError, match=message):
        family_volume("ellipsoids", 5, 7)


def test_layers_that_a_section_cannot_show_are_named(monkeypatch):
    layers = np.zeros((8, 8, 8))
    layers[:, :4] = 1
    monkeypatch.setitem(FAMILIES, "ellipsoids", lambda rng, size: layers)
    with pytest.raises(ValueError, match="normal to axis 1"):
        family_volume("ellipsoids", 0, 0)
