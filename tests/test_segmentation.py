"""helpers.segmentation against OpenCV called directly, known phases and hand-made masks."""

import doctest
import re

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from benchmarks.bench_segmentation import MICROGRAPHS, OTHER, SAME, TUNED, score
from helpers import segmentation
from helpers.images.read import ImageError
from helpers.io.downloads import LOCAL_COPY
from helpers.io.results import read_results
from helpers.segmentation import (
    METHODS,
    read_mask,
    score_segmentation,
    segment,
)
from helpers.synthetic.micrographs import gamma_prime_micrograph
from helpers.two_point import two_point_statistics

SAMPLE = gamma_prime_micrograph(0, shape=(220, 301), size=30)


def test_examples_in_docstrings():
    result = doctest.testmod(segmentation, extraglobs=vars(segmentation))
    assert result.attempted > 0
    assert result.failed == 0


# Half of 220 is 110, made odd 111; half of 301 rounded down is 150, 151; 62 gives 31 as it is.
@pytest.mark.parametrize("shape, window", [((220, 301), 111), ((310, 301), 151), ((62, 90), 31)])
def test_paper_is_the_two_calls_of_opencv(shape, window):
    image = gamma_prime_micrograph(1, shape=shape, size=15).image
    smooth = cv2.fastNlMeansDenoising(image, None, 10, 7, 21)
    expected = cv2.adaptiveThreshold(
        smooth, 255, cv2.ADAPTIVE_THRESH_MEAN_C, cv2.THRESH_BINARY, window, 5
    )
    found = segment(image)
    assert found.dtype == np.uint8
    assert 0.1 < found.mean() < 0.9
    np.testing.assert_array_equal(found, expected // 255)


@pytest.mark.parametrize("method", METHODS)
def test_ones_are_bright_or_dark(method):
    bright = segment(SAMPLE.image, method)
    np.testing.assert_array_equal(segment(SAMPLE.image, method, precipitates="dark"), 1 - bright)
    assert SAMPLE.image[bright == 1].mean() > SAMPLE.image[bright == 0].mean() + 20


@pytest.mark.parametrize("method", METHODS)
def test_the_same_grey_values_in_other_types(method, tmp_path):
    image = SAMPLE.image
    expected = segment(image, method)
    tifffile.imwrite(tmp_path / "deep.tif", image.astype(np.uint16) * 257)
    same = [
        image.astype(np.uint16) * 257,
        image.astype(np.float32) / 255,
        image / 255,
        np.repeat(image[..., None], 3, axis=2),
        Image.fromarray(image),
        tmp_path / "deep.tif",
    ]
    for other in same:
        np.testing.assert_array_equal(segment(other, method), expected)
    counts = image.astype(np.int32) * 4 - 100
    found = segment(counts, method, value_range=(-100, 920))
    np.testing.assert_array_equal(found, expected)


def test_12_bits_in_a_16_bit_file():
    deep = SAMPLE.image.astype(np.uint16) * 16
    deep.flat[:2] = 0, 4095  # all that 12 bits can hold
    with pytest.raises(
        ImageError, match=r"fills 17 of 256 grey levels, from 0 to 16.*\(0, 4095\)"
    ):
        segment(deep)
    told = segment(deep, value_range=(0, 4095))
    # 16 times the level is 0.4 % below 4095/255 times, so a few pixels round to the next level.
    assert (told == segment(SAMPLE.image)).mean() > 0.99
    assert (segment(deep, "edges") == segment(SAMPLE.image, "edges")).mean() > 0.999


def test_edges_need_neither_range_nor_contrast():
    expected = segment(SAMPLE.image, "edges")
    faint = 0.4 + SAMPLE.image / 255 * 0.01
    assert (segment(faint, "edges") == expected).mean() > 0.9999  # float32: round-off
    negative = segment(255 - SAMPLE.image, "edges", precipitates="dark")
    # Otsu's threshold is the middle of a bin of 1/256 of the range, whose pixels change sides.
    assert (negative == expected).mean() > 0.996


APPEARANCES = [
    {"polarity": "dark"},
    {"polarity": "bright"},
    {"edge": 0.0},
    {"edge": 0.2, "illumination": 0.4},
    {"contrast": 0.05, "noise": 0.02},
    {"size": 20, "blur": 0.8},
    {"volume_fraction": 0.25},
]


@pytest.mark.parametrize("appearance", APPEARANCES)
def test_edges_find_known_precipitates(appearance):
    options = {"shape": (300, 320), "size": 40, "polarity": "dark"} | appearance
    sample = gamma_prime_micrograph(7, **options)
    found = segment(sample.image, "edges", precipitates=options["polarity"])
    # Blur and rim move an interface by up to half a pixel: all round cuboids of 20 pixels that is
    # a tenth of their area, 6 points at this area fraction.
    score = score_segmentation(found, sample.precipitates)
    assert score["iou"] > 0.88
    assert abs(score["area_fraction_error"]) < 4
    assert score["two_point_error"] < 6


def test_edges_see_through_a_rim_where_a_threshold_fails():
    # Channels as grey as the precipitates but for the rim along each interface.
    options = {"shape": (300, 320), "size": 60, "volume_fraction": 0.3, "fine_fraction": 0.0}
    sample = gamma_prime_micrograph(3, **options, contrast=0.02, edge=0.1, noise=0.02)
    ious = {
        method: score_segmentation(
            segment(sample.image, method, precipitates="dark"), sample.precipitates
        )["iou"]
        for method in METHODS
    }
    assert ious["edges"] > 0.9
    assert ious["paper"] < 0.7


def test_dust_does_not_hide_the_precipitates():
    image = SAMPLE.image.copy()
    image[100:120, 100:130] = 255
    image[150:170, 200:230] = 0
    clean = np.ones(image.shape, bool)
    clean[95:125, 95:135] = clean[145:175, 195:235] = False
    same = segment(image, "edges") == segment(SAMPLE.image, "edges")
    assert same[clean].mean() > 0.99


def test_two_grey_values_are_their_own_phases():
    # Most pixels alike: the robust standard deviation is 0, and nothing is clipped.
    phases = np.zeros((60, 70), np.uint8)
    phases[20:40, 25:45] = 1
    assert (segment(phases, "edges") != phases).sum() <= 4  # corners are rounded


@pytest.mark.parametrize("method", METHODS)
def test_smallest_image(method):
    side = segmentation.MIN_SIDE
    image = np.full((side, side), 50, np.uint8)
    image[:, side // 2 :] = 200
    found = segment(image, method)
    # Far from a step both methods may call a flat image bright: 6 columns a side are near it.
    np.testing.assert_array_equal(found[:, 7:19], np.repeat([[0, 1]], 6, axis=1).repeat(side, 0))
    with pytest.raises(ImageError, match=r"shape \(26, 27\): expected at least 27 pixels a side"):
        segment(image[1:], method)


@pytest.mark.parametrize("method", METHODS)
def test_what_cannot_be_segmented_is_named(method, tmp_path):
    with pytest.raises(ImageError, match=r"the image is 0\.2 everywhere"):
        segment(np.full((40, 40), 51, np.uint8), method)
    colour = np.repeat(SAMPLE.image[..., None], 3, axis=2)
    colour[3, 4] = 1, 2, 3
    with pytest.raises(ImageError, match=r"in colour, its channels differ.*read_mask"):
        segment(colour, method)
    with pytest.raises(ImageError, match="nan at row 0, column 0"):
        segment(np.full((40, 40), np.nan), method)
    with pytest.raises(FileNotFoundError):
        segment(tmp_path / "none.tif", method)


def test_unknown_words_are_named():
    with pytest.raises(
        ValueError, match=r"method is 'otsu': expected one of \('paper', 'edges'\)"
    ):
        segment(SAMPLE.image, "otsu")
    with pytest.raises(
        ValueError, match=r"precipitates is 'grey': expected one of \('bright', 'dark'\)"
    ):
        segment(SAMPLE.image, precipitates="grey")


def test_image_without_an_interface_is_refused():
    hot_pixel = np.full((80, 80), 100, np.uint8)
    hot_pixel[30, 40] = 250
    with pytest.raises(ImageError, match="no interface of more than 30 connected pixels"):
        segment(hot_pixel, "edges")


def painted():
    mask = np.full((3, 4, 3), 90, np.uint8)
    mask[0, 0] = 0, 0, 255
    mask[1, 2:] = 255, 0, 0
    mask[2] = [[0, 0, 254], [255, 0, 1], [255, 0, 255], [255, 255, 255]]  # none of them pure
    return mask


def test_mask_is_blue_or_red(tmp_path):
    expected = [[1, 0, 0, 0], [0, 0, 1, 1], [0, 0, 0, 0]]
    alpha = np.full((3, 4, 1), 255, np.uint8)
    tifffile.imwrite(tmp_path / "mask.tif", np.dstack([painted(), alpha]), photometric="rgb")
    for source in (painted(), Image.fromarray(painted()), tmp_path / "mask.tif"):
        found = read_mask(source)
        assert found.dtype == np.uint8
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("image", [SAMPLE.image, painted()[2:], np.zeros((2, 2, 3), np.uint8)])
def test_image_that_is_no_mask(image, tmp_path):
    with pytest.raises(ImageError, match="the ndarray holds no pure blue"):
        read_mask(image)
    tifffile.imwrite(tmp_path / "grey.tif", image)
    with pytest.raises(ImageError, match=rf"{re.escape(str(tmp_path))}.*no pure blue"):
        read_mask(tmp_path / "grey.tif")


def test_scores_by_hand():
    rng = np.random.default_rng(0)
    binary, truth = (rng.random((2, 170, 180)) < [[[0.4]], [[0.5]]]).astype(np.uint8)
    score = score_segmentation(binary, truth)
    inside = [set(np.flatnonzero(x)) for x in (binary, truth)]
    assert score["iou"] == len(inside[0] & inside[1]) / len(inside[0] | inside[1])
    assert score["area_fraction"] == len(inside[0]) / truth.size
    assert score["area_fraction_true"] == len(inside[1]) / truth.size
    expected = 100 * (len(inside[0]) - len(inside[1])) / truth.size
    assert score["area_fraction_error"] == pytest.approx(expected)
    # The centre of the whole map, whose cut-off is half the shorter side (171 lags).
    whole = [two_point_statistics(x, 1 - x, periodic=False) for x in (binary, truth)]
    found, true = (x[6:165, 6:165] for x in whole)
    expected = 100 * ((found - true) ** 2).sum() ** 0.5 / (true**2).sum() ** 0.5
    assert score["two_point_error"] == pytest.approx(expected)
    perfect = score_segmentation(truth, truth)
    assert (perfect["iou"], perfect["area_fraction_error"], perfect["two_point_error"]) == (
        1,
        0,
        0,
    )
    empty = score_segmentation(np.zeros_like(truth), truth)
    assert (empty["iou"], empty["two_point_error"]) == (0, 100)


BINARY = np.tile([0, 1], (160, 80))


@pytest.mark.parametrize(
    "binary, truth, message",
    [
        (BINARY, BINARY[:, 1:], r"binary has shape \(160, 160\), truth \(160, 159\)"),
        (BINARY, BINARY * 0, "truth is 0 everywhere: expected both phases"),
        (BINARY, BINARY * 255, "holds 255: expected 0"),
        (BINARY / 2, BINARY, r"holds 0\.5: expected 0"),
        (BINARY[:157], BINARY[:157], "size is 159.*between 1 and 157"),
        (BINARY[0], BINARY[0], r"shape \(160,\)"),
    ],
)
def test_what_cannot_be_scored_is_named(binary, truth, message):
    with pytest.raises(ValueError, match=message):
        score_segmentation(binary, truth)


def committed():
    return read_results("benchmarks/bench_segmentation")


def test_committed_table_is_whole():
    rows = committed()[["micrographs", "micrograph", "method"]].itertuples(index=False)
    assert [tuple(row) for row in rows] == [
        (kind, name, method) for kind, n in MICROGRAPHS.items() for name in n for method in METHODS
    ]
    assert committed()["seconds"].between(0, 60, inclusive="neither").all()


@pytest.fixture
def published(shared_data, monkeypatch):
    if not (shared_data / "micrographs" / f"{MICROGRAPHS[TUNED][0]}_mask.tif").exists():
        pytest.skip(f"needs the micrographs and their masks in {shared_data}")
    monkeypatch.setenv(LOCAL_COPY, str(shared_data))
    return shared_data / "micrographs"


@pytest.mark.parametrize("kind", MICROGRAPHS)
def test_committed_table_is_what_the_code_gives(kind, published):
    lacking = [n for n in MICROGRAPHS[kind] if not (published / f"{n}_mask.tif").exists()]
    if lacking:
        pytest.skip(f"needs {len(lacking)} more micrographs in {published}")
    found = score(kind)
    rows = committed().query("micrographs == @kind").reset_index(drop=True)
    assert len(found) == len(rows) == 2 * len(MICROGRAPHS[kind])
    # 2e-4 is some 50 of 262 144 pixels: what round-off and another processor's vector
    # instructions may move across a threshold; the table holds four decimals.
    tolerances = {"iou": 3e-4, "area_fraction": 3e-4, "area_fraction_true": 6e-5}
    tolerances |= {"area_fraction_error": 0.02, "two_point_error": 0.02}
    for name, tolerance in tolerances.items():
        np.testing.assert_allclose(found[name], rows[name], atol=tolerance, rtol=0)


def test_edges_beat_the_paper_on_every_micrograph_of_one_alloy_and_on_most_of_others():
    wide = committed().pivot(index=["micrographs", "micrograph"], columns="method")
    for kind in (TUNED, SAME):
        iou = wide.loc[kind]["iou"]
        assert iou["paper"].between(0.35, 0.65).all()
        assert iou["edges"].min() > 0.9
        for name in ("area_fraction_error", "two_point_error"):
            errors = wide.loc[kind][name].abs().mean()
            assert errors["edges"] < errors["paper"] / 5
    others = wide.loc[OTHER]["iou"]
    assert (others["edges"] > others["paper"]).sum() == 4
    assert others["edges"].mean() < 0.8


@pytest.mark.parametrize(
    "name, values",
    [
        ("SMOOTHING", (0.7, 1.5, 2.0)),
        ("NOISE_PIXELS", (0, 60)),
        ("REACH", (0.1, 0.5)),
        ("CLIP", (3, 50)),
    ],
)
def test_little_hangs_on_the_numbers_of_edges(name, values, published, monkeypatch):
    for value in values:
        monkeypatch.setattr(segmentation, name, value)
        table = score(TUNED, methods=["edges"])
        assert table["iou"].mean() > 0.92
        assert table["two_point_error"].max() < 4.5


def test_masks_are_read_without_a_word_on_stderr(published, capfd):
    phase = read_mask(published / "spot3_0d_3_mask.tif")
    assert phase.shape == (512, 512)
    assert phase.mean() == pytest.approx(0.4944, abs=5e-5)  # 0.4753 primary, 0.0191 secondary
    assert capfd.readouterr().err == ""
