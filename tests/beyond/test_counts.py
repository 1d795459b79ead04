"""Counted descriptors: known answers of laminates, random pixels, discs and constant images."""

import doctest

import numpy as np
import pytest

from helpers import UserError
from helpers.beyond import counts
from helpers.beyond.counts import (
    LAGS,
    chord_lengths,
    cluster_function,
    lineal_path,
    persistent_homology,
)
from helpers.microvit import statistics

GUDHI = pytest.mark.optional("gudhi", "bench")
COUNTS = [chord_lengths, lineal_path, cluster_function]
ALL = [*COUNTS, pytest.param(persistent_homology, marks=GUDHI)]
BINS = [1, 2, 3, 4, 6, 7, 9, 12, 15, 20, 25]  # first lengths, at 25 lags


def by_phase_and_axis(describe, image, *args):
    """Of one image: (2 phases, columns and rows, k)."""
    (row,) = describe(np.asarray(image)[None], *args)
    return row.reshape(2, 2, -1)


@pytest.fixture(scope="module")
def laminate():
    """Layers of 4 pixels of phase 1 and 6 of phase 0 that follow each other along x."""
    return np.tile([1] * 4 + [0] * 6, (50, 5))


@pytest.fixture(scope="module")
def random_pixels():
    return (np.random.default_rng(0).random((40, 60, 60)) < 0.6).astype(np.uint8)


@pytest.mark.parametrize("describe", ALL)
def test_examples_in_docstrings(describe):
    (example,) = doctest.DocTestFinder().find(describe, globs=vars(counts).copy())
    assert doctest.DocTestRunner().run(example) == (0, len(example.examples))
    assert example.examples


def test_chords_of_a_laminate_are_as_long_as_its_layers(laminate):
    shares = by_phase_and_axis(chord_lengths, laminate)
    expected = np.zeros_like(shares)
    expected[:, 0, -1] = 1  # along the layers: from edge to edge
    expected[1, 1, BINS.index(4)] = expected[0, 1, BINS.index(6)] = 1
    np.testing.assert_array_equal(shares, expected)


def test_lineal_path_of_a_laminate_is_linear(laminate):
    r = np.arange(1, LAGS + 1)
    path = by_phase_and_axis(lineal_path, laminate)
    for phase, thickness in ((1, 4), (0, 6)):
        np.testing.assert_allclose(path[phase, 0], thickness / 10, rtol=1e-6)
        held = 5 * np.maximum(thickness - r + 1, 0) / (50 - r + 1)
        np.testing.assert_allclose(path[phase, 1], held, rtol=1e-6)


def test_random_pixels(random_pixels):
    f, r = random_pixels.mean(), np.arange(1, 9)
    path = lineal_path(random_pixels).mean(0).reshape(2, 2, -1)[..., :8]
    np.testing.assert_allclose(path[1], np.tile(f**r, (2, 1)), atol=0.01)
    np.testing.assert_allclose(path[0], np.tile((1 - f) ** r, (2, 1)), atol=0.01)
    # A pixel of the phase lies in a chord of r with probability r (1 - f)^2 f^(r - 1): chords are
    # geometric, but for those that the edge cuts.
    shares = chord_lengths(random_pixels).mean(0).reshape(2, 2, -1)[1]
    r = np.arange(1, 200)
    expected = np.add.reduceat(r * (1 - f) ** 2 * f ** (r - 1), np.array(BINS) - 1)
    np.testing.assert_allclose(shares, np.tile(expected, (2, 1)), atol=0.015)


def test_lineal_path_is_that_of_the_statistics_of_microvit(random_pixels):
    images = random_pixels[:5, :51]
    path = lineal_path(images).reshape(5, 2, 2, -1)[..., np.array(statistics.LAGS) - 1]
    for phase in (0, 1):
        for axis in (1, 2):
            expected = statistics.lineal_path((images == phase).astype(np.uint8), axis)
            np.testing.assert_allclose(path[:, phase, axis - 1], expected, rtol=1e-6)


def test_two_clusters_are_not_connected():
    image = np.zeros((30, 40), int)
    image[10:20, 5:15] = image[10:20, 18:28] = 1  # 3 pixels apart along x
    function = by_phase_and_axis(cluster_function, image)
    r = np.arange(LAGS + 1)
    held = 2 * 10 * np.maximum(10 - r, 0)
    np.testing.assert_allclose(function[1, 1], held / (30 * (40 - r)), rtol=1e-6)
    np.testing.assert_allclose(function[1, 0], held / (40 * (30 - r)), rtol=1e-6)
    pairs = [(image[:, k:] == 0) & (image[:, : 40 - k] == 0) for k in r]  # one cluster
    np.testing.assert_allclose(function[0, 1], [p.mean() for p in pairs], rtol=1e-6)
    image[15, 15:18] = 1
    bridged = by_phase_and_axis(cluster_function, image)
    assert bridged[1, 1, 13] == pytest.approx((10 * 10 + 2) / (30 * 27), abs=3 / (30 * 27))


def test_clusters_end_at_the_image():
    image = np.zeros((4, 6), int)
    image[:, :2] = 1
    alone = cluster_function(image[None], 3)
    np.testing.assert_array_equal(cluster_function(np.stack([image, image]), 3)[1:], alone)


@pytest.mark.parametrize("phase", [0, 1])
def test_constant_images(phase):
    image = np.full((52, 51), phase)
    for describe in (lineal_path, cluster_function):
        values = by_phase_and_axis(describe, image)
        np.testing.assert_array_equal(values[phase], 1)
        np.testing.assert_array_equal(values[1 - phase], 0)
    shares = by_phase_and_axis(chord_lengths, image)
    np.testing.assert_array_equal(shares[phase, :, -1], 1)
    assert shares.sum() == 2


@GUDHI
def test_landscapes_of_discs():
    y, x = np.mgrid[:60, :60]
    discs = [(y - 15) ** 2 + (x - 15) ** 2 < 64, (y - 15) ** 2 + (x - 45) ** 2 < 64]
    images = np.stack([discs[0], discs[0] | discs[1], np.zeros((60, 60)), np.ones((60, 60))])
    found = persistent_homology(images).reshape(4, 2, 2, 2, counts.LANDSCAPES, -1)
    assert np.isfinite(found).all()
    clusters = found[:, 1, :, 0].max(-1) > 0  # of phase 1, in both directions
    np.testing.assert_array_equal(clusters[0], [[True, False, False]] * 2)
    np.testing.assert_array_equal(clusters[1], [[True, True, False]] * 2)
    loops = found[:, 0, :, 1].max(-1) > 0  # phase 0 around the discs
    np.testing.assert_array_equal(loops[:2], clusters[:2] * [True, True, False])
    np.testing.assert_array_equal(found[2], found[3, ::-1])  # constant, with phases exchanged
    turned = persistent_homology(images.swapaxes(1, 2)).reshape(found.shape)
    np.testing.assert_array_equal(turned, found[:, :, ::-1])  # and so are the directions


@pytest.mark.parametrize("describe", ALL)
@pytest.mark.parametrize(
    "images, message",
    [
        (np.eye(30), r"shape \(30, 30\)"),
        (np.zeros((0, 30, 30)), r"shape \(0, 30, 30\)"),
        (np.full((1, 30, 30), "1"), "type <U1"),
        (np.full((1, 30, 30), 255), "hold 255: expected 0 and 1; segment"),
        (np.full((1, 30, 30), np.nan), "hold nan"),
    ],
)
def test_other_images_are_refused(describe, images, message):
    with pytest.raises(UserError, match=message):
        describe(images)


@pytest.mark.parametrize("describe", COUNTS)
@pytest.mark.parametrize("lags", [0, 20, 2.5])
def test_lags_beyond_the_image_are_refused(describe, lags):
    with pytest.raises(UserError, match=f"lags is {lags}: .* between 1 and 19"):
        describe(np.ones((1, 30, 20), int), lags)
