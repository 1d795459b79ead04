"""The generator of training images, and the statistics that are computed from them."""

import doctest

import numpy as np
import pytest
from scipy.ndimage import label

from helpers.microvit import microstructures, statistics, training_images
from helpers.microvit.microstructures import FAMILIES, SHEETS, field_laws
from helpers.microvit.statistics import LAGS, image_statistics, statistic_names
from helpers.microvit.training_images import crop, render, sample_batch
from helpers.synthetic.volumes import FILTER_WIDTHS
from helpers.two_point import two_point_statistics


@pytest.fixture(scope="module")
def batch():
    return sample_batch(np.random.default_rng(5), 96, (49, 56))


@pytest.mark.parametrize("module", [microstructures, training_images, statistics])
def test_examples_in_docstrings(module):
    result = doctest.testmod(module)
    assert result.attempted > 0
    assert result.failed == 0


def test_one_seed_gives_one_batch(batch):
    again = sample_batch(np.random.default_rng(5), 96, (49, 56))
    other = sample_batch(np.random.default_rng(6), 96, (49, 56))
    for one, two in zip(batch, again, strict=True):
        np.testing.assert_array_equal(one, two)
    assert (batch.phases != other.phases).mean() > 0.2


def test_images_are_what_networks_take(batch):
    assert batch.images.shape == batch.phases.shape == (96, 49, 56)
    assert batch.images.dtype == np.float32
    assert batch.images.min() >= 0
    assert batch.images.max() <= 1
    assert set(np.unique(batch.phases)) == {0, 1}
    assert set(batch.family) == set(FAMILIES)


@pytest.mark.parametrize("name", FAMILIES)
def test_families_are_two_phase_and_spread_over_fractions(name):
    phases = FAMILIES[name][0](np.random.default_rng(0), 60, (51, 44))
    fractions = phases.mean((1, 2))
    assert phases.shape == (60, 51, 44)
    assert phases.dtype == np.uint8
    assert set(np.unique(phases)) == {0, 1}
    assert fractions.std() > 0.1


@pytest.mark.parametrize("name", ["fields", "precipitates", "polycrystals"])
def test_frames_are_periodic(name):
    """Neighbours across the edge differ no more often than neighbours inside."""
    phases = FAMILIES[name][0](np.random.default_rng(1), 300, (51, 51))
    if name == "polycrystals":
        phases = phases[[i for i in range(300) if i % 3 < 2]]  # lamellae of colonies do not fit
    inside = (phases[:, 1:] != phases[:, :-1]).mean()
    across = (phases[:, 0] != phases[:, -1]).mean()
    assert across == pytest.approx(inside, rel=0.25)


def test_fields_cover_length_scales_and_directions():
    phases = microstructures.random_fields(np.random.default_rng(0), 500, (51, 51))
    mixed = phases[(phases.mean((1, 2)) > 0.3) & (phases.mean((1, 2)) < 0.7)]
    y, x = statistics.mean_chord(mixed, 1), statistics.mean_chord(mixed, 2)
    assert np.quantile(y, 0.05) < 4
    assert np.quantile(y, 0.9) > 15
    ratio = np.log(y / x)
    assert ratio.std() > 0.5
    assert abs(ratio.mean()) < 0.2


def test_a_crop_is_the_frame_moved_and_mirrored_and_never_turned():
    frame = np.arange(6 * 8).reshape(1, 6, 8)
    found = set()
    for seed in range(60):
        part = crop(np.random.default_rng(seed), frame, (6, 8))[0]
        whole = [np.roll(m, (i, j), (0, 1)) for m in (frame[0], frame[0][::-1], frame[0][:, ::-1],
                 frame[0][::-1, ::-1]) for i in range(6) for j in range(8)]  # fmt: skip
        matches = [k // 48 for k, w in enumerate(whole) if np.array_equal(w, part)]
        assert len(matches) == 1
        found.update(matches)
    assert found == {0, 1, 2, 3}


def test_binary_images_keep_their_phases_and_grey_ones_have_both_polarities():
    phases = np.zeros((200, 49, 49), np.uint8)
    phases[:, :, 20:] = 1
    binary = render(np.random.default_rng(0), phases, np.zeros(200, bool))
    assert (np.round(binary[:, :, 3:17]) == 0).all()
    assert (np.round(binary[:, :, 23:46]) == 1).all()
    assert 0.6 < (binary == phases).all((1, 2)).mean() < 0.9
    grey = render(np.random.default_rng(0), phases, np.ones(200, bool))
    step = grey[:, :, 25:45].mean((1, 2)) - grey[:, :, 5:17].mean((1, 2))
    assert 0.35 < (step > 0).mean() < 0.65
    assert not np.isin(grey[:, 20, 20], (0.0, 1.0)).all()


def test_phases_are_known_where_an_image_tells_them():
    grey = sample_batch(np.random.default_rng(0), 200, grey=1.0)
    precipitates = grey.family == "precipitates"
    assert not grey.known[~precipitates].any()
    assert 0.4 < grey.known[precipitates].mean() < 1  # some are inverted: the matrix is phase 1
    assert sample_batch(np.random.default_rng(0), 200, grey=0.0).known.all()


# Statistics


def columns(values, start, end=""):
    names = statistic_names()[0]
    return values[:, [i for i, n in enumerate(names) if n.startswith(start) and n.endswith(end)]]


def test_columns_have_names(batch):
    names, shared = statistic_names()
    values = image_statistics(batch.phases)
    assert values.shape == (96, len(names))
    assert len(set(names)) == len(names) == len(shared)
    assert np.isfinite(values).all()
    np.testing.assert_allclose(columns(values, "fraction")[:, 0], batch.phases.mean((1, 2)), 1e-6)


def test_autocovariance_is_that_of_two_point_statistics(batch):
    values = image_statistics(batch.phases)
    phases = batch.phases - batch.phases.mean((1, 2), keepdims=True)
    half = (phases + 1) / 2  # two_point_statistics takes 0 to 1; S of (p + 1)/2 knows that of p
    lag = 24
    maps = two_point_statistics(half, periodic=False, cutoff=lag)
    ones = two_point_statistics(half, np.ones_like(half), periodic=False, cutoff=lag)
    maps = 4 * maps - 2 * (ones + ones[:, ::-1, ::-1]) + 1
    r = np.array(LAGS)
    d = np.maximum(1, np.round(r / np.sqrt(2)).astype(int))
    np.testing.assert_allclose(columns(values, "C y"), maps[:, lag + r, lag], atol=2e-6)
    np.testing.assert_allclose(columns(values, "C x"), maps[:, lag, lag + r], atol=2e-6)
    up, down = maps[:, lag + d, lag + d], maps[:, lag + d, lag - d]
    np.testing.assert_allclose(columns(values, "C d"), (up + down) / 2, atol=2e-6)
    np.testing.assert_allclose(columns(values, "C |d|"), abs(up - down) / 2, atol=2e-6)


def runs(line):
    """Lengths of the runs of ones in a line."""
    lengths, n = [], 0
    for value in [*line, 0]:
        if value:
            n += 1
        elif n:
            lengths.append(n)
            n = 0
    return lengths


@pytest.mark.parametrize("axis", [1, 2])
def test_chords_and_lineal_paths_by_counting(batch, axis):
    for phase in batch.phases[:12]:
        lines = phase.T if axis == 1 else phase
        lengths = np.array([n for line in lines for n in runs(line)])
        chord = statistics.mean_chord(phase[None], axis)[0]
        assert chord == pytest.approx(lengths.mean() if len(lengths) else 1)
        for lag, found in zip(LAGS, statistics.lineal_path(phase[None], axis)[0], strict=True):
            places = lines.shape[0] * (lines.shape[1] - lag + 1)
            assert found == pytest.approx(np.maximum(0, lengths - lag + 1).sum() / places)


def test_clusters_of_a_known_image():
    phase = np.zeros((30, 40), np.uint8)
    phase[:, 5:8] = 1  # spans y
    phase[10:12, 20:26] = 1
    spans_y, spans_x, largest, density = statistics._clusters(phase)
    assert (spans_y, spans_x, largest) == (90 / 1200, 0, 90 / 1200)
    assert density == pytest.approx(np.log1p(1e4 * label(phase)[1] / 1200))
    assert statistics._clusters(phase.T)[:2] == (0, 90 / 1200)


def test_conductivity_of_layers_is_exact():
    layers = np.zeros((1, 64, 64), np.uint8)
    layers[:, :, ::4] = 1
    mean = [(3 + c) / 4 for c in statistics.CONTRASTS]
    harmonic = [4 / (3 + 1 / c) for c in statistics.CONTRASTS]
    for axis, expected in ((1, mean), (2, harmonic)):
        expected = np.log(expected) / np.log(statistics.CONTRASTS)
        found = statistics.conductivity_bounds(layers, axis)[0]
        np.testing.assert_allclose(found, [*expected, *expected], rtol=1e-5)


def test_conductivity_estimates_are_ordered(batch):
    for axis in (1, 2):
        found = statistics.conductivity_bounds(batch.phases, axis)
        assert (found[:, :2] <= found[:, 2:] + 1e-6).all()
        assert found[:, 2:].max() <= 1 + 1e-6
        assert found[:, :2].min() >= -1e-6


def test_swapping_the_phases_keeps_what_they_share_and_turns_the_rest(batch):
    shared = statistic_names()[1]
    one, two = image_statistics(batch.phases), image_statistics(1 - batch.phases)
    np.testing.assert_allclose(one[:, shared], two[:, shared], atol=1e-5)
    np.testing.assert_allclose(one[:, ~shared][:, 1:], -two[:, ~shared][:, 1:], atol=1e-5)
    np.testing.assert_allclose(one[:, 0], 1 - two[:, 0], atol=1e-6)
    assert shared.sum() > 50
    assert (one.std(0) > 0.01)[~shared].mean() > 0.9


def test_mirrors_keep_the_statistics_and_a_turn_exchanges_the_axes(batch):
    names = statistic_names()[0]
    square = batch.phases[:, :49, :49]
    some = [i for i, n in enumerate(names) if "conductivity" not in n]
    ratios = [i for i, n in enumerate(names) if "x/y" in n]
    one = image_statistics(square)
    for mirrored in (square[:, ::-1], square[:, :, ::-1]):
        np.testing.assert_allclose(one[:, some], image_statistics(mirrored)[:, some], atol=1e-5)
    turned = image_statistics(np.rot90(square, axes=(1, 2)))
    np.testing.assert_allclose(turned[:, ratios], -one[:, ratios], atol=1e-5)
    turned[:, ratios] = one[:, ratios]
    swapped = [n.translate(str.maketrans("xy", "yx")) if n.split()[0] != "log" or "chord" in n
               else n for n in names]  # fmt: skip
    order = [names.index(n) if n in names else i for i, n in enumerate(swapped)]
    np.testing.assert_allclose(turned[:, some], one[:, order][:, some], atol=1e-5)
    assert abs(turned - one).mean() > 0.01


def test_one_training_image_in_eight_follows_the_law_of_case_study_1_in_the_plane():
    """What the model card and the chapter say: training contains the law of the evaluation."""
    widths, turn, spectrum = field_laws(np.random.default_rng(0), 100_000, (51, 51))
    low, high = FILTER_WIDTHS
    fields = FAMILIES["fields"][1]
    assert fields == 0.55
    assert (low, high) == (5, 30)
    wide = (widths >= low).all(axis=0)
    assert widths.max() == pytest.approx(0.6 * 51, rel=1e-3)
    assert widths.max() > high
    # Half draw from 5 pixels on; some of the others are as wide by chance.
    chance = (np.log(0.6 * 51 / low) / np.log(0.6 * 51 / 0.5)) ** 3
    assert wide.mean() == pytest.approx(0.5 + 0.5 * chance, abs=0.01)
    within = ((widths[:2] >= low) & (widths[:2] <= high)).all(axis=0)
    like = within & (turn == 0) & (spectrum == 0)
    share = fields * (1 - SHEETS) * like.mean()
    assert 0.12 < share < 0.14
    other = field_laws(np.random.default_rng(0), 100_000, (69, 69))[0]  # 40 % of the frames
    assert ((other >= low) & (other <= high))[:2].all(axis=0).mean() < within.mean()


def test_fields_are_as_wide_as_their_law_says():
    """Along the axis with the wider filter the chords are longer."""
    phases = microstructures.random_fields(np.random.default_rng(4), 800, (51, 51))
    widths, turn, spectrum = field_laws(np.random.default_rng(4), 800, (51, 51))
    mean = phases.mean((1, 2))
    plain = (turn == 0) & (spectrum == 0) & (mean > 0.3) & (mean < 0.7)
    y, x = (np.log(statistics.mean_chord(phases[plain], axis)) for axis in (1, 2))
    ratio = np.log(widths[0] / widths[1])[plain]
    assert np.corrcoef(y - x, ratio)[0, 1] > 0.9
