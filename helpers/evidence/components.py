"""Numbers that verdicts need beside the audits: controls of first components, two regressions.

``python -m helpers.evidence.components`` computes them. The columns are those of
`helpers.audit.findings`.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from helpers.audit.findings import ALLOYS, VOLUMES, component_rows, row, volume_descriptors
from helpers.datasets import load_superalloys, load_two_phase
from helpers.encoders import load_encoder
from helpers.features import LIBRARIES, extract_features
from helpers.intervals import ratio_interval
from helpers.io.results import Computation
from helpers.regression import holdout, holdout_scores
from helpers.superalloy_scores import TWO_POINT
from helpers.two_point import micrograph_descriptor

INPUTS = ("superalloys", "data/two_phase.npz", "encoders/microvit")
AMOUNTS = f"{TWO_POINT} with f(1 - f)"  # f: segmented fraction


def segmented_rows(data):
    """First components of what sees the *segmented* superalloys, and what they follow.

    The features that the paper published are of the grey micrographs, while the fraction and the
    two-point statistics are of the segmented ones: only these descriptors see what the fraction
    is counted in. Published superalloys `data`, rows of `helpers.audit.findings.component_rows`.
    """
    images = data.binary_images
    share = np.array([image.mean() for image in images])
    described = {}
    for weights in ("pretrained", "random"):
        encoder = load_encoder("microvit", weights)
        X = extract_features(images, encoder, name="superalloys-published")
        described[f"{encoder.title}, segmented"] = X
    rows = component_rows(described, share, ALLOYS, data.groups)
    maps = {AMOUNTS: np.stack([micrograph_descriptor(image) for image in images])}
    return rows + component_rows(maps, share * (1 - share), ALLOYS, data.groups)


def regression_rows(data):
    """Test errors of second-order over linear regression, the paper's protocol of case study 1."""
    rows = []
    for how in ("concat", "mean"):
        descriptors = volume_descriptors(data, how=how)
        for name in (TWO_POINT, "MicroViT"):
            scores = holdout_scores(descriptors[name], 50)
            two = (holdout(scores, data.modulus, model) for model in ("pr", "lr"))
            ratio, ends = ratio_interval(*(np.abs(r.y_pred / r.y_test - 1) for r in two))
            rows.append(row("modulus", "pr over lr", f"{name}, {how}", VOLUMES, ratio, *ends))
    return rows


def main():
    """Compute the numbers."""
    with Computation(__file__, INPUTS, (*LIBRARIES, "scikit-learn", "scipy")) as run:
        rows = segmented_rows(load_superalloys("published"))
        run.write(pd.DataFrame(rows + regression_rows(load_two_phase("embedded"))))


if __name__ == "__main__":
    main()
