"""A set of images, given in whatever form: as a list, its hashes, and what is wrong with it."""

from __future__ import annotations

import os
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from helpers.images.read import ImageError, image_digest, list_images
from helpers.preprocessing import input_rule, read_checked
from helpers.vit.forward import n_cores


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
