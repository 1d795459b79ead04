"""From an image to the pixels that a network takes: crop, split or resize, three channels.

Two pipelines, those of sections 3.1 and 3.2 of the paper (doi:10.1016/j.actamat.2025.121217):
``"section"`` for small two-phase sections, ``"micrograph"`` for everything a microscope gives.
"""

from __future__ import annotations

import os
import re
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image

from helpers import UserError, check_choice
from helpers.encoders import EncoderEntry, find_entry
from helpers.images.folders import list_images
from helpers.images.read import ImageError, Reading, image_digest
from helpers.vit.forward import n_cores


class InputRule(NamedTuple):
    """How an image of one size becomes the input of one encoder.

    `split` is the factor by which each pixel is repeated along both axes (1: not at all),
    `crop` the (height, width) kept at the top left after that, and `shape` the (height, width)
    of the input: another one than `crop` where the image is resized.
    """

    split: int
    crop: tuple[int, int]
    shape: tuple[int, int]


@dataclass(frozen=True)
class Preparation:
    """How images become inputs of an encoder, checked where it is made.

    `pipeline` and `normalize`: see `prepare`; a `UserError` names what is unknown or does not
    suit the encoder.
    """

    entry: EncoderEntry
    pipeline: str = "micrograph"
    normalize: str = "none"
    reading: Reading = field(default_factory=Reading)

    def __post_init__(self):
        check_choice("pipeline", self.pipeline, ("section", "micrograph"))
        check_choice("normalize", self.normalize, ("none", "encoder"))
        if self.normalize == "encoder" and self.entry.mean is None:
            raise UserError(
                f"normalize is 'encoder', but {self.entry.name} states no mean and standard "
                "deviation: use 'none', or add a preprocessor_config.json with image_mean and "
                "image_std to a folder of your own"
            )

    def facts(self):
        """What it does to the numbers, JSON-ready."""
        entry = self.entry
        return {
            "input": [self.pipeline, entry.crop, entry.input_size, entry.longest],
            "normalize": self.normalize,
            "mean_std": [entry.mean, entry.std] if self.normalize == "encoder" else None,
            "value_range": self.reading.value_range and list(self.reading.value_range),
            "max_pixels": self.reading.max_pixels,  # which images are skipped
        }

    def rule(self, shape):
        """The `InputRule` of images of one (height, width)."""
        entry, (height, width) = self.entry, shape
        side, size = min(shape), entry.input_size
        if side < entry.crop:
            raise ImageError(
                f"the image has {height} x {width} pixels, less than one patch of {entry.title} "
                f"({entry.crop} x {entry.crop}): use a larger image"
            )
        if size is None:  # any multiple of the patch
            scale = Fraction(1)
            if self.pipeline == "micrograph" and entry.longest and max(shape) > entry.longest:
                # Exact fractions: a float just below a whole number would cost a row of patches.
                # A narrow strip is shrunk no more than leaves one patch across.
                scale = min(Fraction(max(shape), entry.longest), Fraction(side, entry.crop))
            fit = tuple(int(n / scale) // entry.crop * entry.crop for n in shape)
            return InputRule(1, tuple(round(n * scale) for n in fit), fit)
        if self.pipeline == "micrograph":
            square = side - side % entry.crop
            return InputRule(1, (square, square), (size, size))
        if side > size:
            raise ImageError(
                f"the section has {height} x {width} pixels, more than the {size} x {size} that "
                f"{entry.title} takes, and would lose most of them: use pipeline='micrograph', "
                "which resizes"
            )
        return InputRule(-(-size // side), (size, size), (size, size))

    def read(self, image):
        """Pixels (h, w) or (h, w, 3) and their `InputRule`; an ImageError says what is wrong."""
        pixels = self.reading.pixels(image)
        if self.pipeline == "micrograph":
            low, high = (extreme(pixels, axis=(0, 1)) for extreme in (np.min, np.max))
            if np.array_equal(low, high):
                raise ImageError(f"all pixels are {low}: an image without any structure")
        return pixels, self.rule(pixels.shape[:2])

    def input(self, image):
        """What `prepare` gives."""
        pixels, rule = self.read(image)
        rows, columns = (-(-n // rule.split) for n in rule.crop)  # only as many as are kept
        pixels = np.atleast_3d(pixels[:rows, :columns]).transpose(2, 0, 1)
        if rule.split > 1:
            pixels = pixels.repeat(rule.split, axis=1).repeat(rule.split, axis=2)
        pixels = np.ascontiguousarray(pixels[:, : rule.crop[0], : rule.crop[1]])
        if rule.crop != rule.shape:
            pixels = torch.nn.functional.interpolate(
                torch.from_numpy(pixels)[None], rule.shape, mode="bilinear", antialias=True
            )[0].numpy()
        if self.normalize == "none":
            return pixels
        mean, std = (np.float32(v)[:, None, None] for v in (self.entry.mean, self.entry.std))
        return (pixels - mean) / std

    def batch(self, images):
        """The inputs of images of one input shape, (n, 1, H, W) or (n, 3, H, W)."""
        pixels = [self.input(image) for image in images]
        channels = max(map(len, pixels))
        return np.stack([np.broadcast_to(p, (channels, *p.shape[1:])) for p in pixels])


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
    return Preparation(find_entry(encoder), pipeline).rule(shape)


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


def prepare(image, encoder, pipeline="micrograph", normalize="none"):
    """Like the two functions above, but a grey image keeps one channel where that says it all.

    Parameters
    ----------
    image, encoder, normalize
        As in `preprocess_micrograph`.
    pipeline : str
        ``"section"`` or ``"micrograph"``.

    Returns
    -------
    ndarray of float32, shape (1, H, W) or (3, H, W)
    """
    return Preparation(find_entry(encoder), pipeline, normalize).input(image)


def _three_channels(pixels):
    return pixels.repeat(3 // len(pixels), axis=0)


def as_list(images):
    """The images as a list, one entry each."""
    if isinstance(images, str | os.PathLike):
        images = list_images(images) if Path(images).is_dir() else [images]
    if hasattr(images, "__array__") and not isinstance(images, Image.Image):
        images = np.asarray(images)
        colour = images.ndim == 4 and images.shape[-1] in (1, 3, 4)
        paths = images.ndim == 1 and images.dtype.kind in "OU"
        if not (images.ndim == 3 or colour or paths):
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


def check_images(images, indices, preparation):
    """Read images once: {index: (shape of its input, its brightest value)}, and {index: what is
    wrong with it}, without its name.
    """

    def look(index):
        try:
            pixels, rule = preparation.read(images[index])
        except (ImageError, OSError) as error:
            name = re.escape(name_of(images, index))
            return re.sub(f"^{name}:? | {name}", "", str(error))
        return rule.shape, float(pixels.max())

    with ThreadPoolExecutor(n_cores()) as pool:
        results = dict(zip(indices, pool.map(look, indices), strict=True))
    errors = {i: reason for i, reason in results.items() if isinstance(reason, str)}
    return {i: found for i, found in results.items() if i not in errors}, errors


def name_of(images, index):
    """What a message calls an image: the path of its file, or its number."""
    image = images[index]
    path = image if isinstance(image, str | os.PathLike) else getattr(image, "path", None)
    name = f"image {index}" if path is None else str(path)
    return name if name.isprintable() else repr(name)


def report_bad_images(skipped, images, on_error):
    """Tell of bad images: an error, or a warning."""
    if not skipped:
        return
    listed = "\n".join(f"  {name_of(images, i)}: {reason}" for i, reason in skipped.items())
    count = f"{len(skipped)} of {len(images)} images cannot be used"
    if on_error == "raise":
        raise ImageError(
            f"{count}, and nothing was computed:\n{listed}\nMend or remove them, or pass "
            "on_error='skip' to go on without them"
        )
    warnings.warn(f"{count} and are left out:\n{listed}", stacklevel=4)
