import doctest

import numpy as np
import pytest
from scipy.ndimage import find_objects, label

from helpers.synthetic import micrographs
from helpers.synthetic.micrographs import gamma_prime_micrograph

SHAPE = (200, 230)


def mean_chord(precipitates):
    """Mean length [pixels] of the runs of ones along the rows."""
    starts = np.diff(precipitates.astype(int), axis=1, prepend=0) == 1
    return precipitates.sum() / starts.sum()


def test_examples_in_docstrings():
    result = doctest.testmod(micrographs)
    assert result.attempted > 0
    assert result.failed == 0


def test_shape_and_dtype():
    sample = gamma_prime_micrograph(0)
    assert sample.image.shape == sample.precipitates.shape == (662, 731)
    assert sample.image.dtype == sample.precipitates.dtype == np.uint8
    assert set(np.unique(sample.precipitates)) == {0, 1}
    assert np.ptp(sample.image) > 50


def test_seed_fixes_the_micrograph_and_nothing_else_does():
    options = {"shape": SHAPE, "size": 30}
    sample = gamma_prime_micrograph([3, 1], **options)
    np.random.default_rng(0).normal(size=10)
    again = gamma_prime_micrograph([3, 1], **options)
    np.testing.assert_array_equal(sample.image, again.image)
    np.testing.assert_array_equal(sample.precipitates, again.precipitates)
    for other in (3, [3, 2], [4, 1]):
        assert (gamma_prime_micrograph(other, **options).precipitates != sample.precipitates).any()


def test_imaging_does_not_move_the_precipitates():
    options = {"shape": SHAPE, "size": 30}
    plain = gamma_prime_micrograph(5, **options)
    imaged = {"polarity": "bright", "contrast": 0.5, "brightness": 0.4, "edge": 0.2}
    imaged |= {"illumination": 0.3, "noise": 0.1, "blur": 2.0}
    other = gamma_prime_micrograph(5, **options, **imaged)
    np.testing.assert_array_equal(plain.precipitates, other.precipitates)
    assert (plain.image != other.image).mean() > 0.9


@pytest.mark.parametrize("fraction", [0.1, 0.37, 0.6, 0.9])
@pytest.mark.parametrize("fine_fraction", [0.0, 0.05])
def test_area_fraction_is_met_to_a_pixel(fraction, fine_fraction):
    sample = gamma_prime_micrograph(
        1, shape=SHAPE, size=25, volume_fraction=fraction, fine_fraction=fine_fraction
    )
    assert sample.precipitates.sum() == round(fraction * sample.precipitates.size)
    assert sample.volume_fraction == sample.precipitates.mean()


@pytest.mark.parametrize("polarity, sign", [("dark", -1), ("bright", 1)])
def test_polarity_and_contrast(polarity, sign):
    sample = gamma_prime_micrograph(
        2, shape=SHAPE, size=30, polarity=polarity, contrast=0.3, edge=0, illumination=0, blur=0
    )
    inside = sample.precipitates == 1
    step = sample.image[inside].mean() - sample.image[~inside].mean()
    assert sign * step / 255 == pytest.approx(0.3, abs=0.02)


def test_brightness_noise_and_illumination_are_shares_of_the_grey_range():
    still = {"shape": SHAPE, "size": 30, "contrast": 0.02, "edge": 0, "noise": 0}
    flat = gamma_prime_micrograph(0, **still, illumination=0, brightness=0.4).image / 255
    assert flat.mean() == pytest.approx(0.4, abs=0.01)
    noisy = gamma_prime_micrograph(0, **still | {"noise": 0.1}, illumination=0).image / 255
    assert noisy.std() == pytest.approx(0.1, rel=0.1)
    drift = gamma_prime_micrograph(0, **still, illumination=0.4).image / 255
    assert 0.39 < np.ptp(drift) < 0.62


@pytest.mark.parametrize("volume_fraction", [0.3, 0.6])
def test_size_sets_the_length_scale(volume_fraction):
    chords = [
        mean_chord(
            gamma_prime_micrograph(
                7, size=size, volume_fraction=volume_fraction, fine_fraction=0, angle=0
            ).precipitates
        )
        for size in (20, 40, 80)
    ]
    np.testing.assert_allclose(np.divide(chords, (20, 40, 80)), 1, atol=0.2)


def test_fine_precipitates_are_fine_and_in_the_channels():
    options = {"shape": SHAPE, "size": 40, "volume_fraction": 0.5}
    none = gamma_prime_micrograph(4, fine_fraction=0, **options).precipitates
    some = gamma_prime_micrograph(4, fine_fraction=0.05, fine_size=4, **options).precipitates
    assert mean_chord(some) < 0.7 * mean_chord(none)


def test_exponent_fills_the_corners():
    """The share of its bounding box that a precipitate fills: pi / 4 for a disc, then more."""
    upright = {"shape": (160, 160), "size": 40, "volume_fraction": 0.3, "fine_fraction": 0}
    upright |= {"size_scatter": 0, "disorder": 0, "angle": 0}
    filled = []
    for exponent in (2, 4, 12):
        found, _ = label(gamma_prime_micrograph(0, exponent=exponent, **upright).precipitates)
        one = found == found[80, 80]
        filled.append(one.sum() / one[find_objects(one.astype(int))[0]].size)
    assert filled[0] == pytest.approx(np.pi / 4, abs=0.05)
    assert filled[0] + 0.05 < filled[1] < filled[2]
