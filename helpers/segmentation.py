"""Micrographs to phases: the workflow of the paper, one that follows interfaces, their scores."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from scipy.fft import dctn, idctn
from scipy.ndimage import gaussian_filter, sobel
from skimage.filters import threshold_otsu
from skimage.morphology import remove_small_objects

from helpers import UserError, check_choice
from helpers.images.read import ImageError, read_image
from helpers.two_point import micrograph_descriptor

METHODS = ("paper", "edges")
MIN_SIDE = 27  # pixels that the denoising of one pixel looks at: search 21 and template 7
MIN_LEVELS = 18  # of 256: 12 bits in a 16-bit file fill 17, which h = 10 would wipe out
# Of "edges"; tests/test_segmentation.py shows how little hangs on them.
CLIP = 4  # robust standard deviations; carbides and dust lie beyond
SMOOTHING = 1.0  # standard deviation, pixels
NOISE_PIXELS = 30  # edges of at most so many connected pixels are noise
REACH = 0.2  # of the shorter side, over which errors of the integration die out


def segment(image, method="paper", *, precipitates="bright", value_range=None):
    """Phases of one grey micrograph: 1 in the precipitates, 0 in the channels between them.

    Parameters
    ----------
    image : path-like, PIL.Image.Image or array_like
        What `helpers.images.read.read_image` takes, grey or with equal channels, at least 27
        pixels a side.
    method : {"paper", "edges"}
        ``"paper"``: non-local means (h = 10, template 7, search 21), then the mean of the
        neighbourhood less 5 as threshold; the window is half the shorter side, plus 1 if even.
        ``"edges"``: the strong grey steps alone are kept, the grey values rebuilt from them, and
        split by Otsu's threshold.
    precipitates : {"bright", "dark"}
        What the ones are. ``"bright"``, as in the paper's workflow: brighter than the
        neighbourhood. ``"dark"``: the other pixels.
    value_range : pair of float, optional
        (low, high) of the stored numbers that are black and white, as in `read_image`.

    Returns
    -------
    ndarray of uint8, shape (h, w)
        0 and 1.

    Raises
    ------
    ValueError
        Another method or polarity.
    ImageError
        What `read_image` refuses; colour, too few pixels, one grey value everywhere; for
        ``"paper"`` fewer than 18 of 256 levels in use, for ``"edges"`` no interface.

    Notes
    -----
    ``"paper"`` is section 3.2 of the paper; its numbers 10 and 5 are levels of 8 bits, all that
    OpenCV denoises. Other types are scaled from their full range, or from `value_range`, to 0 to
    255 and rounded; contrast is never stretched. So a 12-bit image in a 16-bit file is refused
    unless ``value_range=(0, 4095)`` is passed, and 14 bits need (0, 16383) though they pass.
    ``"edges"`` keeps the full depth; neither range nor contrast matters to it.

    ``"edges"`` needs no training. Channels can be as grey as the precipitates but for a rim, so
    that no threshold tells them apart; every interface is still a step. Small gradients are
    dropped and the rest integrated: lightness, Horn 1974, doi:10.1016/0146-664X(74)90022-7.
    Precipitates a few pixels wide may get lost, and dark inclusions count as dark precipitates.

    Examples
    --------
    >>> from helpers.synthetic.micrographs import gamma_prime_micrograph
    >>> sample = gamma_prime_micrograph(0, shape=(200, 220), volume_fraction=0.5, polarity="dark")
    >>> phases = segment(sample.image, "edges", precipitates="dark")
    >>> phases.shape, phases.dtype.name, round(float(phases.mean()), 1)
    ((200, 220), 'uint8', 0.5)
    """
    check_choice("method", method, METHODS)
    check_choice("precipitates", precipitates, ("bright", "dark"))
    grey = read_image(image, value_range=value_range)
    if grey.ndim == 3:
        raise ImageError(
            "the image is in colour, its channels differ: expected a grey micrograph; pass one "
            "channel, as read_image(image)[..., 0], or a mean of them, and a mask to read_mask"
        )
    if min(grey.shape) < MIN_SIDE:
        raise ImageError(
            f"the image has shape {grey.shape}: expected at least {MIN_SIDE} pixels a side; pass "
            "a larger one"
        )
    if grey.min() == grey.max():
        raise ImageError(
            f"the image is {grey.flat[0]:g} everywhere (of 0 to 1): it shows no phases to separate"
        )
    bright = _brighter_than_around(grey) if method == "paper" else _bright_side_of_edges(grey)
    return (bright if precipitates == "bright" else ~bright).astype(np.uint8)


def _brighter_than_around(grey):
    levels = np.rint(255 * grey).astype(np.uint8)
    used = int(np.ptp(levels)) + 1
    if used < MIN_LEVELS:
        raise ImageError(
            f"the image fills {used} of 256 grey levels, from {levels.min()} to {levels.max()}: "
            "the paper's workflow would smooth them away; pass the range that the microscope "
            "used, such as value_range=(0, 4095) for 12 bits, or choose method='edges'"
        )
    smooth = cv2.fastNlMeansDenoising(levels, h=10, templateWindowSize=7, searchWindowSize=21)
    window = min(levels.shape) // 2 // 2 * 2 + 1
    options = cv2.ADAPTIVE_THRESH_MEAN_C, cv2.THRESH_BINARY, window, 5
    return cv2.adaptiveThreshold(smooth, 1, *options) == 1


def _bright_side_of_edges(grey):
    grey = grey.astype(np.float64) - np.median(grey)
    limit = CLIP * 1.4826 * np.median(abs(grey)) or np.inf  # 0 where one value prevails
    grey = gaussian_filter(grey.clip(-limit, limit), SMOOTHING)
    steepness = np.hypot(sobel(grey, 0), sobel(grey, 1))
    edges = remove_small_objects(steepness > threshold_otsu(steepness), max_size=NOISE_PIXELS)
    if not edges.any():
        raise ImageError(
            f"the image shows no interface of more than {NOISE_PIXELS} connected pixels: expected "
            "precipitates that stand out of the noise; smooth the image or choose method='paper'"
        )
    steps = [np.diff(grey, axis=i, append=grey.take([-1], i)) * edges for i in (0, 1)]
    levels = _integrate(steps, 1 / (REACH * min(grey.shape)))
    return levels > threshold_otsu(levels)


def _integrate(steps, decay):
    """Values u (h, w) that minimise the sum of |steps(u) - steps|^2 + (decay u)^2.

    `steps` lead down and to the right, with none across the border: the cosine transform solves
    it. An error dies out over 1/decay pixels.
    """
    divergence = sum(np.diff(step, axis=i, prepend=0) for i, step in enumerate(steps))
    waves = [2 * np.cos(np.pi * np.arange(n) / n) - 2 for n in divergence.shape]
    return idctn(dctn(divergence) / (np.add.outer(*waves) - decay**2))


def read_mask(image):
    """Gamma-prime phase of a hand-made mask (h, w): 1 where it is pure blue or pure red, else 0.

    Blue (0, 0, 255) is primary, red (255, 0, 0) secondary gamma-prime, as in ``Super1`` of
    Stuckner et al. 2022; anything else, such as the micrograph that shows through, is gamma.
    Raises ImageError as `helpers.images.read.read_image` does, or where there is neither.

    Examples
    --------
    >>> read_mask(np.array([[[0, 0, 255], [255, 0, 0], [90, 90, 90]]], np.uint8))
    array([[1, 1, 0]], dtype=uint8)
    """
    pixels = np.atleast_3d(read_image(image))  # grey equals neither of the two
    phase = (pixels == [0, 0, 1]).all(axis=2) | (pixels == [1, 0, 0]).all(axis=2)
    if not phase.any():
        name = image if isinstance(image, str | Path) else f"the {type(image).__name__}"
        raise ImageError(
            f"{name} holds no pure blue (0, 0, 255) and no pure red (255, 0, 0): expected a mask "
            "whose precipitates are painted so; was the micrograph itself passed?"
        )
    return phase.astype(np.uint8)


def score_segmentation(binary, truth):
    """Compare a segmentation with the true phases.

    Parameters
    ----------
    binary, truth : array_like of 0 and 1, shape (h, w), at least 158 a side
        1 in the precipitates; `truth` holds both phases.

    Returns
    -------
    dict of str to float
        ``iou``: pixels that are 1 in both over those that are 1 in either, 0 to 1.
        ``area_fraction``, ``area_fraction_true``: share of ones.
        ``area_fraction_error``: their difference in percentage points, positive where there are
        too many ones.
        ``two_point_error``: with d the descriptor of case study 2, the 25 281 cross-correlations
        of `helpers.two_point.micrograph_descriptor`, the length of d(binary) - d(truth) over
        that of d(truth), in percent. One phase everywhere gives 100.

    Raises
    ------
    ValueError
        Other values or shapes, a truth of one phase.

    Examples
    --------
    >>> truth = np.tile([0, 0, 1, 1], (160, 40))
    >>> score = score_segmentation(np.tile([0, 1, 1, 1], (160, 40)), truth)
    >>> round(score["iou"], 2), score["area_fraction_error"]
    (0.67, 25.0)
    """
    binary, truth = np.asarray(binary), np.asarray(truth)
    if binary.shape != truth.shape:
        raise UserError(
            f"binary has shape {binary.shape}, truth {truth.shape}: expected the same (h, w)"
        )
    descriptors = [micrograph_descriptor(phases) for phases in (binary, truth)]
    if truth.min() == truth.max():
        raise UserError(f"truth is {truth.flat[0]} everywhere: expected both phases")
    area, true_area = float(binary.mean()), float(truth.mean())
    error = np.linalg.norm(np.subtract(*descriptors)) / np.linalg.norm(descriptors[1])
    return {
        "iou": float(np.logical_and(binary, truth).sum() / np.logical_or(binary, truth).sum()),
        "area_fraction": area,
        "area_fraction_true": true_area,
        "area_fraction_error": 100 * (area - true_area),
        "two_point_error": float(100 * error),
    }
