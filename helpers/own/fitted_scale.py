"""The pixel sizes and frames that a model was fitted to, and whether new images have the same."""

from __future__ import annotations

import numpy as np

from helpers.extract.scale import SAME_FRAME, span, tell
from helpers.images.pixel_size import SAME_SIZE


def scale_facts(table, field=None):
    """Lowest and highest pixel sizes, scales and sides of a feature table; None if not stated."""
    columns = {"pixel_sizes_um": table["pixel_size_um"], "scales": table["scale"]}
    columns["network_um"] = table["pixel_size_um"] / table["scale"]
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
    """Pixel sizes of a feature table, in the files and at the network, for people.

    Parameters
    ----------
    found : helpers.extract.feature_tables.FeatureTable

    Returns
    -------
    str
    """
    stated, target = found.table["pixel_size_um"], found.facts.get("target_um")
    silent = int(stated.isna().sum())
    if silent == len(stated):
        return "not stated in the files"
    text = span(stated.min(), stated.max(), " µm") + " in the files"
    text += f" (not stated by {silent})" if silent else ""
    text += f", brought to {target:g} µm" if target else ""
    field = found.facts.get("field")
    text += f" and cut in the middle to at most {field} pixels a side" if field else ""
    network = (stated / found.table["scale"]).dropna()
    if len(network):
        text += f", {span(network.min(), network.max(), ' µm')} at the network"
    return text
