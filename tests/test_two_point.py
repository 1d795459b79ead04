"""helpers.two_point against sums written out as loops, and against its own promises."""

import doctest
import itertools
import pickle
import sys

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline

import helpers.two_point
from benchmarks.bench_two_point import in_a_process, peak_memory
from helpers.two_point import TwoPointStatistics, two_point_statistics


def brute_force(a, b, lags, periodic=True, mask=None):
    """Mean of a(x) b(x + r) over the valid pairs, one pair at a time."""
    mask = np.ones(a.shape, bool) if mask is None else mask
    result = np.empty([len(axis) for axis in lags])
    for index in np.ndindex(*result.shape):
        lag = [axis[i] for axis, i in zip(lags, index, strict=True)]
        total, pairs = 0.0, 0
        for x in np.ndindex(*a.shape):
            y = tuple(i + r for i, r in zip(x, lag, strict=True))
            if periodic:
                y = tuple(i % n for i, n in zip(y, a.shape, strict=True))
            elif any(i < 0 or i >= n for i, n in zip(y, a.shape, strict=True)):
                continue
            if mask[x] and mask[y]:
                total += float(a[x]) * float(b[y])
                pairs += 1
        result[index] = total / pairs
    return result


def whole_map(shape):
    return [range(-(n // 2), n - n // 2) for n in shape]


def square_map(shape, cutoff):
    return [range(-cutoff, cutoff + 1)] * len(shape)


def binary(shape, seed=0):
    return np.random.default_rng(seed).integers(0, 2, shape, dtype=np.uint8)


SHAPES = [(5, 5), (6, 6), (5, 8), (7, 4), (1, 6), (4, 5, 3), (3, 4, 4)]


@pytest.mark.parametrize("fractional", [False, True])
@pytest.mark.parametrize("cross", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_periodic_map_equals_loops(shape, cross, fractional):
    rng = np.random.default_rng(1)
    a, b = rng.random((2, *shape)) if fractional else (binary(shape, 1), binary(shape, 2))
    found = two_point_statistics(a, b if cross else None, ndim=len(shape))
    expected = brute_force(a, b if cross else a, whole_map(shape))
    assert found.shape == shape
    np.testing.assert_allclose(found, expected, atol=1e-14)


@pytest.mark.parametrize("cross", [False, True])
@pytest.mark.parametrize("periodic", [True, False])
@pytest.mark.parametrize("shape", SHAPES)
def test_every_cutoff_equals_loops(shape, periodic, cross):
    a, b = binary(shape, 3), np.random.default_rng(4).random(shape)
    limit = (min(shape) - 1) // 2 if periodic else min(shape) - 1
    for cutoff in range(limit + 1):
        found = two_point_statistics(
            a, b if cross else None, periodic=periodic, cutoff=cutoff, ndim=len(shape)
        )
        expected = brute_force(a, b if cross else a, square_map(shape, cutoff), periodic)
        np.testing.assert_allclose(found, expected, atol=1e-14)


@pytest.mark.parametrize("shape, side", [((51, 51), 51), ((6, 9), 7), ((158, 170), 159)])
def test_default_cutoff_without_periodicity_is_half_the_shortest_side(shape, side):
    a = binary(shape)
    found = two_point_statistics(a, 1 - a, periodic=False)
    assert found.shape == (side, side)
    assert found[side // 2, side // 2] == 0  # no pixel lies in both phases


@pytest.mark.parametrize("cross", [False, True])
@pytest.mark.parametrize("periodic", [True, False])
@pytest.mark.parametrize("shape", [(6, 7), (3, 4, 4)])
def test_mask_equals_loops(shape, periodic, cross):
    rng = np.random.default_rng(5)
    a, b = rng.random((2, *shape))
    mask = rng.random(shape) < 0.8
    a[~mask] = np.nan  # what lies outside the mask does not matter
    found = two_point_statistics(
        a, b if cross else None, periodic=periodic, cutoff=1, mask=mask, ndim=len(shape)
    )
    a = np.nan_to_num(a)
    expected = brute_force(a, b if cross else a, square_map(shape, 1), periodic, mask)
    np.testing.assert_allclose(found, expected, atol=1e-14)


def test_one_mask_for_all_or_one_for_each_sample():
    a = binary((3, 8, 8))
    masks = np.random.default_rng(6).random(a.shape) < 0.9
    found = two_point_statistics(a, cutoff=2, mask=masks)
    for section, mask, row in zip(a, masks, found, strict=True):
        np.testing.assert_array_equal(two_point_statistics(section, cutoff=2, mask=mask), row)
    everywhere = two_point_statistics(a, mask=np.ones((8, 8)))
    np.testing.assert_array_equal(everywhere, two_point_statistics(a))


def test_sign_of_the_lag():
    # b lies one row below and two columns to the right of a, so r = (+1, +2).
    a, b = np.zeros((2, 7, 7))
    a[2, 2] = b[3, 4] = 1
    found = two_point_statistics(a, b)
    assert np.argwhere(found).tolist() == [[3 + 1, 3 + 2]]


def test_zero_lag_is_the_area_fraction():
    a = binary((4, 51, 51))
    np.testing.assert_array_equal(two_point_statistics(a)[:, 25, 25], a.mean(axis=(1, 2)))


@pytest.mark.parametrize("periodic", [True, False])
def test_four_correlations_of_two_phases_add_up_to_one(periodic):
    a = binary((12, 9))
    phases = [a, 1 - a]
    maps = [two_point_statistics(x, y, periodic=periodic)
            for x, y in itertools.product(phases, phases)]  # fmt: skip
    np.testing.assert_allclose(sum(maps), 1, atol=1e-15)


@pytest.mark.parametrize("periodic", [True, False])
def test_symmetry(periodic):
    a, b = binary((2, 9, 11))
    auto = two_point_statistics(a, periodic=periodic)
    np.testing.assert_array_equal(auto, auto[::-1, ::-1])
    ab = two_point_statistics(a, b, periodic=periodic)
    ba = two_point_statistics(b, a, periodic=periodic)
    np.testing.assert_array_equal(ab, ba[::-1, ::-1])


def test_batch_equals_loop_for_any_batch_size(monkeypatch):
    a = binary((2, 5, 20, 21))
    expected = np.stack([two_point_statistics(x) for x in a.reshape(10, 20, 21)])
    for batch_pixels in (1, 3 * 20 * 21, 10**6):
        monkeypatch.setattr(helpers.two_point, "BATCH_PIXELS", batch_pixels)
        for workers in (1, 3):
            found = two_point_statistics(a, workers=workers)
            np.testing.assert_array_equal(found, expected.reshape(2, 5, 20, 21))


@pytest.mark.parametrize("dtype", [bool, np.int64, np.float32, np.float16])
def test_type_of_the_input_does_not_matter(dtype):
    a = binary((3, 16, 16))
    np.testing.assert_array_equal(two_point_statistics(a.astype(dtype)), two_point_statistics(a))


def test_type_of_the_output():
    a = binary((3, 16, 16))
    single = two_point_statistics(a, dtype="float32")
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, two_point_statistics(a), atol=1e-7)


@pytest.mark.parametrize("fraction", [0.5, 0.99, 1.0])
def test_counts_are_exact_at_the_largest_single_precision_size(fraction):
    side = int(helpers.two_point.SINGLE_PRECISION_PIXELS**0.5)
    a = np.random.default_rng(7).random((side, side)) < fraction
    counts = two_point_statistics(a) * side**2
    spectrum = np.fft.rfft2(a.astype(np.float64))
    expected = np.fft.fftshift(np.fft.irfft2(abs(spectrum) ** 2, s=a.shape))
    np.testing.assert_allclose(counts, np.rint(expected), atol=1e-9)


@pytest.mark.parametrize("value", [0, 1])
def test_single_phase(value):
    a = np.full((2, 9, 9), value)
    np.testing.assert_array_equal(two_point_statistics(a), np.full((2, 9, 9), float(value)))


def nan_section():
    a = np.zeros((3, 8, 8))
    a[2, 1, 1] = np.nan
    return a


ONES = np.ones((8, 8))


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"a": np.zeros((0, 8, 8))}, r"a has shape \(0, 8, 8\).*none of length 0"),
        ({"a": np.zeros(8)}, r"a has shape \(8,\): expected at least 2 axes"),
        ({"a": ONES * 1j}, "a has dtype complex128: expected bool, integers or real floats"),
        ({"a": np.full((8, 8), "x")}, "a has dtype <U1"),
        ({"a": nan_section()}, r"a holds nan \(sample 2\).*values from 0 to 1"),
        ({"a": ONES * np.inf}, "a holds inf"),
        ({"a": np.full((8, 8), 255, np.uint8)}, r"a holds 255.*pass image == phase"),
        ({"a": -ONES}, r"a holds -1\.0"),
        ({"a": ONES, "b": ONES * 2}, r"b holds 2\.0"),
        ({"a": ONES, "b": np.ones((8, 9))}, r"b has shape \(8, 9\), a \(8, 8\)"),
        ({"a": ONES, "cutoff": 4}, r"cutoff is 4: .*between 0 and 3"),
        ({"a": ONES, "cutoff": 8, "periodic": False}, r"cutoff is 8: .*between 0 and 7"),
        ({"a": ONES, "cutoff": -1}, "cutoff is -1"),
        ({"a": ONES, "cutoff": 2.5}, r"cutoff is 2\.5: .*expected an integer"),
        ({"a": ONES, "mask": np.ones((4, 4))}, r"mask has shape \(4, 4\): expected \(8, 8\)"),
        ({"a": ONES, "mask": ONES / 2}, r"mask holds 0\.5"),
        ({"a": ONES, "mask": np.eye(8), "cutoff": 1}, r"no pair of valid pixels at lag \(-1, 0\)"),
        ({"a": ONES, "mask": ONES * 0}, "no pair of valid pixels at lag"),
        ({"a": ONES, "ndim": 1}, "ndim is 1: choose 2"),
        ({"a": ONES, "dtype": int}, "dtype is int64: choose float64 or float32"),
        ({"a": ONES, "workers": 0}, "workers must be greater than 0"),
    ],
)
def test_bad_input_is_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        two_point_statistics(**arguments)


def test_mask_without_a_pair_names_the_sample():
    masks = np.ones((3, 8, 8))
    masks[1] = np.eye(8)
    with pytest.raises(ValueError, match="mask of sample 1 leaves no pair"):
        two_point_statistics(np.ones((3, 8, 8)), mask=masks, cutoff=1)


def test_transformer_in_a_pipeline():
    sections = binary((12, 9, 9))
    fractions = sections.mean(axis=(1, 2))
    model = make_pipeline(TwoPointStatistics(cutoff=3), PCA(3), LinearRegression())
    predicted = model.fit(sections, fractions).predict(sections)
    assert predicted.shape == fractions.shape
    model.set_params(twopointstatistics__cutoff=2)
    assert clone(model)[0].get_params() == model[0].get_params()


def test_transformer_needs_no_fit_and_survives_clone_and_pickle():
    sections = binary((4, 6, 5))
    transformer = TwoPointStatistics(periodic=False, cutoff=2, dtype=np.float32)
    expected = two_point_statistics(sections, periodic=False, cutoff=2).reshape(4, -1)
    for copy in (transformer, clone(transformer), pickle.loads(pickle.dumps(transformer))):
        found = copy.transform(sections)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected, atol=1e-7)


def test_transformer_refuses_anything_but_a_batch_of_sections():
    with pytest.raises(ValueError, match=r"X has shape \(9, 9\): expected sections"):
        TwoPointStatistics().transform(binary((9, 9)))


def test_examples_in_docstrings():
    namespace = {"np": np, **vars(helpers.two_point)}
    failed, attempted = doctest.testmod(helpers.two_point, extraglobs=namespace)
    assert attempted > 0
    assert failed == 0


@pytest.mark.optional("pymks", "bench")
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("periodic", [True, False])
def test_same_numbers_as_pymks(periodic):
    import pymks

    a, b = binary((2, 20, 51, 51))
    for other in (a, b):
        expected = pymks.two_point_stats(
            a.astype(float), other.astype(float), periodic_boundary=periodic, cutoff=25
        )
        found = two_point_statistics(a, other, periodic=periodic, cutoff=25)
        np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.skipif(sys.platform == "win32", reason="peak memory is read from Linux or macOS")
@pytest.mark.parametrize(
    "numbers", [(2000, 6000), pytest.param((5000, 20000), marks=pytest.mark.slow)]
)
def test_peak_memory_does_not_grow_with_the_number_of_sections(numbers):
    peaks = [in_a_process(peak_memory, n, 2) for n in numbers]
    assert abs(peaks[1] - peaks[0]) < 32  # MB; the output alone grows by 80 or 300
