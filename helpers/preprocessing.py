"""From an image to the pixels that a network takes: crop, split or resize, three channels.

Two pipelines, those of sections 3.1 and 3.2 of the paper (doi:10.1016/j.actamat.2025.121217):
``"section"`` for small two-phase sections, ``"micrograph"`` for everything a microscope gives.
"""

from __future__ import annotations

import os
import warnings
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image

from helpers import UserError
from helpers.encoders import find_entry
from helpers.images.read import MAX_PIXELS, ImageError, image_digest, list_images, read_image
from helpers.vit.forward import n_cores

PIPELINES = ("section", "micrograph")
NORMALIZATIONS = ("none", "encoder")


class InputRule(NamedTuple):
    """How an image of one size becomes the input of one encoder.

    `split` is the factor by which each pixel is repeated along both axes (1: not at all),
    `crop` the (height, width) kept at the top left after that, and `shape` the (height, width)
    of the input: another one than `crop` where the image is resized.
    """

    split: int
    crop: tuple[int, int]
    shape: tuple[int, int]


def input_rule(encoder, shape, pipeline="micrograph"):
    """What is cropped, split and resized, from the size of an image alone.

    Parameters
    ----------
    encoder : str, path-like, EncoderEntry or Encoder
        See `helpers.encoders.find_entry`.
    shape : tuple of int
        (height, width) of the image [pixels].
    pipeline : str
        ``"section"`` or ``"micrograph"``.

    Returns
    -------
    InputRule

    Raises
    ------
    ImageError
        An image smaller than one patch, or a section larger than the encoder's input.

    Examples
    --------
    >>> input_rule("clip-b16", (51, 51), "section")
    InputRule(split=5, crop=(224, 224), shape=(224, 224))
    >>> input_rule("dinov2-s14", (662, 731))
    InputRule(split=1, crop=(658, 728), shape=(658, 728))
    >>> input_rule("microvit", (662, 731))
    InputRule(split=1, crop=(640, 731), shape=(196, 224))
    """
    entry = find_entry(encoder)
    check_options(entry, pipeline, "none")
    height, width = shape
    side, size = min(shape), entry.input_size
    if side < entry.crop:
        raise ImageError(
            f"the image has {height} x {width} pixels, less than one patch of {entry.title} "
            f"({entry.crop} x {entry.crop}): use a larger image"
        )
    if size is None:  # any multiple of the patch
        scale = Fraction(1)
        if pipeline == "micrograph" and entry.longest and max(shape) > entry.longest:
            # of a narrow strip no more than leaves one patch across
            scale = min(Fraction(max(shape), entry.longest), Fraction(side, entry.crop))
        fit = tuple(int(n / scale) // entry.crop * entry.crop for n in (height, width))
        return InputRule(1, tuple(round(n * scale) for n in fit), fit)
    if pipeline == "micrograph":
        square = side - side % entry.crop
        return InputRule(1, (square, square), (size, size))
    if side > size:
        raise ImageError(
            f"the section has {height} x {width} pixels, more than the {size} x {size} that "
            f"{entry.title} takes, and would lose most of them: use pipeline='micrograph', "
            "which resizes"
        )
    return InputRule(-(-size // side), (size, size), (size, size))


def preprocess_section(section, encoder, normalize="none"):
    """Input pixels of a two-phase section: cropped, or each pixel split into a square of pixels.

    Parameters
    ----------
    section : array_like, shape (h, w)
        Phases 0 and 1, or local states between them.
    encoder : str, path-like, EncoderEntry or Encoder
        See `helpers.encoders.find_entry`.
    normalize : str
        ``"none"``: 0 and 1 stay 0 and 1, as in the paper. ``"encoder"``: minus the mean, divided
        by the standard deviation that the network was trained with.

    Returns
    -------
    ndarray of float32, shape (3, H, W)

    Raises
    ------
    ImageError
        Values outside 0 to 1, or a size that does not suit the encoder.

    Notes
    -----
    51 x 51 pixels become 42 x 42 for DINOv2 and 49 x 49 for MicroViT (the top-left multiple of
    its patch), 224 of 255 for CLIP and the ResNet (each pixel 5 x 5), 1024 of 1071 for SAM (each
    pixel 21 x 21). The paper's text swaps the last two factors.

    Examples
    --------
    >>> preprocess_section(np.eye(51), "sam-h").shape
    (3, 1024, 1024)
    """
    return _three_channels(prepare(section, encoder, "section", normalize))


def preprocess_micrograph(image, encoder, normalize="none"):
    """Input pixels of a micrograph: cropped at the top left, and resized if the encoder needs it.

    Parameters
    ----------
    image : path-like, PIL.Image.Image or array_like
        See `helpers.images.read.read_image`.
    encoder, normalize
        As in `preprocess_section`.

    Returns
    -------
    ndarray of float32, shape (3, H, W)

    Raises
    ------
    ImageError
        Not an image, all pixels equal, or smaller than one patch.

    Notes
    -----
    DINOv2 gets each side cut to a multiple of 14. MicroViT gets multiples of 7: as they are up
    to 224 pixels; where the longer side has more, it is brought to 224 and the other one in
    proportion. The others get the largest square at the top left whose side is a multiple of the
    patch (SAM: of 14, as in the paper, although its patch is 16; ResNet: any), resized to their
    input. All resizing is bilinear, with antialiasing.

    Examples
    --------
    >>> image = np.linspace(0, 1, 662 * 731).reshape(662, 731)
    >>> preprocess_micrograph(image, "dinov2-s14").shape
    (3, 658, 728)
    """
    return _three_channels(prepare(image, encoder, "micrograph", normalize))


def prepare(
    image,
    encoder,
    pipeline="micrograph",
    normalize="none",
    *,
    value_range=None,
    max_pixels=MAX_PIXELS,
):
    """Like the two functions above, but a grey image keeps one channel where that says it all.

    Parameters
    ----------
    image, encoder, normalize
        As in `preprocess_micrograph`.
    pipeline : str
        ``"section"`` or ``"micrograph"``.
    value_range, max_pixels
        As in `helpers.images.read.read_image`.

    Returns
    -------
    ndarray of float32, shape (1, H, W) or (3, H, W)
    """
    entry = find_entry(encoder)
    check_options(entry, pipeline, normalize)
    pixels, rule = read_checked(image, entry, pipeline, value_range, max_pixels)
    pixels = pixels.reshape(*pixels.shape[:2], -1).transpose(2, 0, 1)
    return _normalized(_fit(pixels[None], rule), entry, normalize)[0]


def prepare_batch(images, encoder, pipeline="micrograph", normalize="none", **reading):
    """The inputs of several images of one input shape, as one array.

    Parameters
    ----------
    images : sequence
        See `prepare`; small two-phase sections (uint8) are handled all at once.
    encoder, pipeline, normalize, **reading
        As in `prepare`.

    Returns
    -------
    ndarray of float32, shape (n, 1, H, W) or (n, 3, H, W)

    Examples
    --------
    >>> prepare_batch([np.eye(51), np.ones((51, 51))], "clip-b16", "section").shape
    (2, 1, 224, 224)
    """
    entry = find_entry(encoder)
    arrays = pipeline == "section" and all(isinstance(image, np.ndarray) for image in images)
    if arrays and len({(i.dtype, i.shape) for i in images}) == 1 and images[0].dtype == np.uint8:
        stack = np.stack(images)
        if stack.ndim == 3 and stack.max() <= 1 and not reading.get("value_range"):
            rule = input_rule(entry, stack.shape[1:], pipeline)
            pixels = _fit(stack[:, None].astype(np.float32), rule)
            return _normalized(pixels, entry, normalize)
    pixels = [prepare(image, entry, pipeline, normalize, **reading) for image in images]
    channels = max(len(p) for p in pixels)
    return np.stack([np.broadcast_to(p, (channels, *p.shape[1:])) for p in pixels])


def _fit(pixels, rule):
    """Pixels (n, c, h, w) split, cropped at the top left, and resized."""
    if rule.split > 1:  # only as many pixels as are kept
        rows, columns = (-(-n // rule.split) for n in rule.crop)
        pixels = pixels[..., :rows, :columns].repeat(rule.split, axis=2).repeat(rule.split, axis=3)
    pixels = np.ascontiguousarray(pixels[..., : rule.crop[0], : rule.crop[1]])
    if rule.crop == rule.shape:
        return pixels
    return torch.nn.functional.interpolate(
        torch.from_numpy(pixels), rule.shape, mode="bilinear", antialias=True
    ).numpy()


def _normalized(pixels, entry, normalize):
    if normalize == "none":
        return pixels
    mean, std = (np.float32(v)[:, None, None] for v in (entry.mean, entry.std))
    return (pixels - mean) / std


def check_options(entry, pipeline, normalize):
    """Raise a UserError that names an option which is unknown or does not suit the encoder."""
    if pipeline not in PIPELINES:
        raise UserError(f"pipeline is {pipeline!r}: expected one of {PIPELINES}")
    if normalize not in NORMALIZATIONS:
        raise UserError(f"normalize is {normalize!r}: expected one of {NORMALIZATIONS}")
    if normalize == "encoder" and entry.mean is None:
        raise UserError(
            f"normalize is 'encoder', but {entry.name} states no mean and standard deviation: use "
            "'none', or add a preprocessor_config.json with image_mean and image_std to a folder"
            " of your own"
        )


def read_checked(image, encoder, pipeline, value_range=None, max_pixels=MAX_PIXELS):
    """The pixels of an image, (h, w) or (h, w, 3), and its `InputRule`, or what is wrong with it.

    Raises
    ------
    ImageError
        See `preprocess_section` and `preprocess_micrograph`.
    """
    pixels = read_image(image, value_range=value_range, max_pixels=max_pixels)
    if pipeline == "micrograph":
        low, high = (extreme(pixels, axis=(0, 1)) for extreme in (np.min, np.max))
        if np.array_equal(low, high):
            raise ImageError(f"all pixels are {low}: an image without any structure")
    return pixels, input_rule(encoder, pixels.shape[:2], pipeline)


def _three_channels(pixels):
    return np.ascontiguousarray(np.broadcast_to(pixels, (3, *pixels.shape[1:])))


def as_list(images, grouped=False):
    """The images as a list, one entry each (or one a sample)."""
    if isinstance(images, str | os.PathLike):
        images = list_images(images) if Path(images).is_dir() else [images]
    if hasattr(images, "__array__") and not isinstance(images, Image.Image):
        images = np.asarray(images)
        colour = images.ndim == 4 and images.shape[-1] in (1, 3, 4)
        paths = images.ndim <= 1 + grouped and images.dtype.kind in "OU"
        if not (images.ndim == 3 or colour or paths or (grouped and images.ndim == 4)):
            raise ImageError(
                f"the array of images has shape {images.shape}: expected (n, h, w) or "
                "(n, h, w, 3); write image[None] for one, volume.reshape(-1, h, w) for sections"
            )
    images = list(images)
    if not images:
        raise ImageError("there are no images: expected at least one")
    return images


def digest_or_error(image):
    """Hash of an image; for one that cannot be read, what is wrong with it."""
    try:
        return image_digest(image)
    except (ImageError, OSError, TypeError) as error:
        return f"unreadable: {error}"


def _name(image, index):
    return str(image) if isinstance(image, str | os.PathLike) else f"image {index}"


def check_images(images, indices, entry, options):
    """Read every image once: {index: input shape}, and {index: what is wrong}."""
    pipeline, limits = options["pipeline"], (options["value_range"], options["max_pixels"])

    def look(index):
        try:
            if _cannot_be_wrong(images[index], options):
                return input_rule(entry, images[index].shape, pipeline).shape, None
            return read_checked(images[index], entry, pipeline, *limits)[1].shape, None
        except (ImageError, OSError) as error:
            return None, str(error)

    with ThreadPoolExecutor(n_cores()) as pool:
        results = dict(zip(indices, pool.map(look, indices), strict=True))
    return (
        {i: shape for i, (shape, error) in results.items() if error is None},
        {i: error for i, (shape, error) in results.items() if error is not None},
    )


def _cannot_be_wrong(image, options):
    """Whether every pixel is valid for its type alone, as in thousands of small sections."""
    return (
        options["pipeline"] == "section"
        and isinstance(image, np.ndarray)
        and image.dtype == np.uint8
        and image.ndim == 2
        and options["value_range"] is None
        and image.size <= options["max_pixels"]
    )


def report_bad_images(skipped, images, on_error):
    """Tell of bad images: an error, or a warning."""
    if not skipped:
        return
    listed = "\n".join(f"  {_name(images[i], i)}: {reason}" for i, reason in skipped.items())
    count = f"{len(skipped)} of {len(images)} images cannot be used"
    if on_error == "raise":
        raise ImageError(
            f"{count}, and nothing was computed:\n{listed}\nMend or remove them, or pass "
            "on_error='skip' to go on without them"
        )
    warnings.warn(f"{count} and are left out:\n{listed}", stacklevel=4)
