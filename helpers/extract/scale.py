"""The pixel size at the network: what is left of magnification when an image has become an input.

Encoders with an input of one size, and those with a longest side, shrink larger micrographs
(`helpers.preprocessing.input_rule`). So the size of the frame counts beside its pixel size.
"""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd

from helpers import UserError
from helpers.encoders import find_entry
from helpers.images.pixel_size import SAME_SIZE, PixelSizeWarning, PreparedImage
from helpers.images.read import ImageError, image_size
from helpers.preprocessing import input_rule

FAR_SIZE = 1000  # factor from the median beyond which a pixel size is a slip
SHRUNK = 0.25  # scale below which shrinking is worth a word
SAME_FRAME = 1.25  # factor up to which the sides of inputs count as the same


def field_of(encoder, pipeline="micrograph", target_um=None):
    """Longest side that an encoder takes as it is, to which images of one pixel size are cut.

    None: all of an image is taken, as it is without a `target_um` to which images are brought.

    Examples
    --------
    >>> field_of("microvit", target_um=0.1), field_of("dinov2-s14", target_um=0.1)
    (224, None)
    """
    entry = find_entry(encoder)
    if target_um is None or pipeline != "micrograph":
        return None
    return entry.input_size or entry.longest


def network_scales(images, encoder, pipeline="micrograph"):
    """Pixels of the input that a pixel of each file becomes, along one side, shape (n,).

    The pixel size of a file, divided by this, is that at the network. NaN: an image that cannot
    be read or is too small, which `helpers.features.extract` tells.
    """
    entry, scales = find_entry(encoder), []
    for image in images:
        prepared = isinstance(image, PreparedImage)
        try:
            own, size = (image.scale, image.size) if prepared else (1.0, image_size(image))
            rule = input_rule(entry, size, pipeline)
            scales.append(own * rule.split * max(rule.shape) / max(rule.crop))
        except (ImageError, OSError):
            scales.append(np.nan)
    return np.array(scales)


def check_field(images, encoder, target_um):
    """Refuse prepared images with less than an encoder of one input size needs, naming the field
    that is needed and a `target_um` that would do; warn of what others lose.
    """
    entry, sides, shares = find_entry(encoder), {}, []
    for image in images:
        try:
            sides[str(image.path)] = min(image.resampled)
            shares.append(np.prod(image.size) / np.prod(image.resampled))
        except (ImageError, OSError):
            continue
    field = images[0].field
    small = [name for name, side in sides.items() if side < field]
    fits = min(sides.values(), default=0) * target_um / field
    if entry.input_size and small:
        raise ImageError(
            f"{entry.title} takes {field} x {field} pixels, which are {field * target_um:.4g} µm "
            f"a side where target_um is {target_um:g}. {len(small)} of {len(images)} images show "
            f"less, such as {small[0]} ({sides[small[0]] * target_um:.4g} µm): expected "
            f"target_um={_floor(fits):g} or less for all, or larger images"
        )
    cut = [share for share in shares if share < 1]
    if cut:
        part = span(100 * min(cut), 100 * max(cut), " %", ".0f")
        tell(
            f"{entry.title} takes {field} pixels a side, {field * target_um:.4g} µm at "
            f"{target_um:g} µm a pixel: of {len(cut)} of {len(images)} images the middle is used, "
            f"{part} of the area. Larger pixels use more"
        )
    if small and min(field, max(sides.values())) > SAME_FRAME * min(sides.values()):
        tell(
            f"{len(small)} of {len(images)} images show less than {field} pixels a side at "
            f"{target_um:g} µm a pixel, such as {small[0]}, and are taken whole: features may "
            "follow the size of the frame. Smaller pixels make all alike (at most "
            f"{_floor(fits):g} µm)"
        )


def stated_sizes(listed, stated_um=None):
    """Pixel sizes that a user states [micrometres], shape (n,): those of the list, else
    `stated_um`, which a `UserError` refuses where it is none; NaN: none.
    """
    if stated_um is None:
        return listed["pixel_size_um"]
    if not 0 < stated_um < np.inf:
        raise UserError(f"stated_um is {stated_um}: expected micrometres above 0")
    return listed["pixel_size_um"].fillna(stated_um)


def check_alike(names, stated, scales):
    """Warn of each of `differences`; an `ImageError` refuses sizes far from all others."""
    sizes = pd.Series(np.asarray(stated, float), list(names)).dropna()
    middle = sizes.quantile(interpolation="lower")
    far = sizes[~sizes.between(middle / FAR_SIZE, middle * FAR_SIZE)]
    if len(far):
        raise ImageError(
            f"{len(far)} of {len(sizes)} pixel sizes are more than {FAR_SIZE} times off the "
            f"others, such as {far.iloc[0]:g} µm of {far.index[0]} where the median is "
            f"{middle:g} µm: correct it, or leave the image out"
        )
    for text in differences(names, stated, scales):
        tell(text)


def differences(names, stated, scales):
    """How the pixel sizes differ at which images reach the network.

    Parameters
    ----------
    names : sequence of path-like
    stated, scales : array_like of float, shape (n,)
        Pixel sizes [micrometres], NaN where not stated, and `network_scales`.

    Returns
    -------
    list of str
        Some images state no pixel size and others do; those at the network differ by more than
        5 %; images that state none are shrunk by different factors. Empty: nothing of these.

    Examples
    --------
    >>> differences(["a.tif", "b.tif"], [0.1, 0.1], [1, 0.5])[0][:58]
    'pixel sizes differ from 0.1 µm (a.tif) to 0.2 µm (b.tif) a'
    """
    names, (stated, scales) = list(names), (np.asarray(v, float) for v in (stated, scales))
    silent = np.flatnonzero(np.isfinite(scales) & np.isnan(stated))
    known, told = stated / scales, []
    if len(silent) and np.isfinite(known).any():
        told.append(
            f"{len(silent)} of {np.isfinite(scales).sum()} images state no pixel size, such as "
            f"{names[silent[0]]}; the others do: make sure that it is the same"
        )
    if _differ(known):
        low, high = np.nanargmin(known), np.nanargmax(known)
        told.append(
            f"pixel sizes differ from {known[low]:.4g} µm ({names[low]}) to {known[high]:.4g} µm "
            f"({names[high]}) at the network, whose input may be smaller than an image: it sees "
            "magnification beside microstructure. Bring them to one pixel size "
            "(extract --pixel-size-um), or make sure that it does not go with the property"
        )
    if _differ(scales[silent]):
        low, high = silent[np.argmax(scales[silent])], silent[np.argmin(scales[silent])]
        told.append(
            "images of different size are scaled by different factors: a pixel at the network is "
            f"{1 / scales[low]:.3g} ({names[low]}) to {1 / scales[high]:.3g} ({names[high]}) of "
            "theirs, whose size is not stated. It sees magnification beside microstructure: cut "
            "all to one size, or state it (stated_um=0.05, where it is 0.05 µm)"
        )
    return told


def scale_facts(table, field=None):
    """Lowest and highest scales, pixel sizes at the network and sides of a feature table.

    None for what its images do not state.
    """
    columns = {"scales": table["scale"], "network_um": table["pixel_size_um"] / table["scale"]}
    columns["sides"] = _sides(table, field)
    ends = {name: values.dropna().agg(["min", "max"]).tolist() for name, values in columns.items()}
    return {name: v if np.isfinite(v).all() else None for name, v in ends.items()}


def check_as_fitted(table, facts, model):
    """Warn where new images reach the network unlike those of a model, whose facts are given.

    Their pixel sizes there lie outside the model's by more than 5 %, or are not stated (where the
    model knows none: their scales do); or their shorter sides by more than a quarter.
    """
    by_size = bool(facts["network_um"])
    sizes = table["pixel_size_um"] / table["scale"] if by_size else 1 / table["scale"]
    ends = facts["network_um"] if by_size else [1 / k for k in reversed(facts["scales"])]
    far = ~sizes.between(ends[0] / SAME_SIZE, ends[1] * SAME_SIZE)
    if not far.any():
        _warn_frames(table, facts, model)
        return
    unit = " µm" if by_size else " pixels of the file"
    told = sizes[far].dropna()
    other = span(told.min(), told.max(), unit) if len(told) else "not stated"
    tell(
        f"{far.sum()} of {len(sizes)} images have other pixel sizes at the network ({other}) than "
        f"those of {model} ({span(*ends, unit)}): it sees magnification beside microstructure, "
        "and the predictions may be wrong. Fit with one pixel size for all "
        "(extract --pixel-size-um), or take images like the fitted ones"
    )


def _warn_frames(table, facts, model):
    """Warn where the frames of new images hold fewer or more pixels than those of a model."""
    low, high = facts["sides"]
    sides = _sides(table, facts.get("field"))
    far = ~sides.between(low / SAME_FRAME, high * SAME_FRAME)
    if far.any():
        tell(
            f"{far.sum()} of {len(sides)} images have other sizes at the network (shorter side "
            f"{span(sides[far].min(), sides[far].max(), ' pixels', '.0f')}) than those of {model} "
            f"({span(low, high, ' pixels', '.0f')}): features follow the size of the frame, and "
            "the predictions may be wrong. Take images that show as much"
        )


def _sides(table, field):
    """Shorter side of each input [pixels], as if no banner had been cut."""
    sides = table[["height", "width"]].min(axis=1) * table["scale"]
    return sides.clip(upper=field)


def in_words(found):
    """Pixel sizes of a `helpers.extract.feature_tables.FeatureTable`, for people."""
    stated, field = found.table["pixel_size_um"], found.facts.get("field")
    if stated.isna().all():
        return "not stated in the files"
    network = stated / found.table["scale"]
    text = f"{span(stated.min(), stated.max(), ' µm')} in the files, "
    text += f"cut in the middle to at most {field} pixels a side, " if field else ""
    return text + f"{span(network.min(), network.max(), ' µm')} at the network"


def at_network(table):
    """How much smaller images of a feature table reach the network, for people.

    Examples
    --------
    >>> at_network(pd.DataFrame({"height": [400], "width": [500], "scale": [0.448]}))
    'at 0.448 of their size (500 x 400 -> 224 x 179)'
    """
    low, high = table["scale"].min(), table["scale"].max()
    width, height = table.loc[table["scale"].idxmin(), ["width", "height"]].astype(int)
    text = f"at {span(low, high)} of their size ({'such as ' if low < high else ''}"
    text += f"{width} x {height} -> {width * low:.0f} x {height * low:.0f})"
    if low < SHRUNK:
        text += (
            f". What is smaller than {1 / low:.0f} pixels of a file is lost: to keep it, cut the "
            "images into crops, or take their middle with --pixel-size-um"
        )
    return text


def span(low, high, unit="", form=".3g"):
    """Two numbers as a range, or as one where they read the same.

    Examples
    --------
    >>> span(0.1, 0.1, " µm"), span(0.05, 0.1, " µm")
    ('0.1 µm', '0.05 to 0.1 µm')
    """
    low, high = format(low, form), format(high, form)
    return f"{low}{unit}" if low == high else f"{low} to {high}{unit}"


def _differ(values):
    values = values[np.isfinite(values)]
    return len(values) > 0 and values.max() > SAME_SIZE * values.min()


def _floor(value):
    """A number rounded down to three digits."""
    step = 10.0 ** (np.floor(np.log10(value)) - 2)
    return float(f"{np.floor(value / step * (1 + 1e-9)) * step:.3g}")


def tell(text):
    """Warn of pixel sizes, in the name of the function that calls the caller."""
    warnings.warn(text, PixelSizeWarning, stacklevel=3)
