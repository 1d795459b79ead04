"""What the size of a pixel is worth: the embedded superalloys, whose pixel sizes are known.

``python -m helpers.evidence.scale`` computes the table; interrupted, it goes on where it was. What
it finds is a property of these synthetic alloys, in which each source has one magnification.
"""

from __future__ import annotations

import numpy as np
from skimage.transform import resize

from helpers.datasets import load_superalloys
from helpers.encoders import load_encoder
from helpers.evidence.cells import run_cells
from helpers.evidence.comparisons import compare, with_holm
from helpers.evidence.learning_curves import LIBRARIES
from helpers.evidence.rivals import ALLOY_LEARNERS, ALLOY_STUDIES, alloy_cell
from helpers.features import extract_features
from helpers.io.results import Computation

INPUTS = ("data/superalloys", "encoders/microvit")
AS_IS = "as they are"


def middle(image, nm_per_pixel, target, side=224):
    """The square middle of a micrograph (h, w), 0 to 255, at `target` nm a pixel: float32, 0 to 1.

    As much of it as the network takes unshrunk, `side` pixels, or what there is.

    Examples
    --------
    >>> middle(np.full((100, 120), 255, np.uint8), 2.0, 4.0).shape
    (50, 50)
    """
    scale = nm_per_pixel / target
    size = min(side, int(min(image.shape) * scale))
    cut = round(size / scale)
    top, left = ((n - cut) // 2 for n in image.shape)
    part = image[top : top + cut, left : left + cut] / np.float32(255)
    return resize(part, (size, size), anti_aliasing=scale < 1).astype(np.float32)


def scale_descriptors(data):
    """MicroViT's features of the alloys with and without what the size of a pixel tells."""
    nm = data.truth["nm_per_pixel"].to_numpy()
    images, encoder = data.images, load_encoder("microvit", device="cpu")

    def features(images):
        return extract_features(images, encoder, store=False)

    target = np.median(nm)
    plain = features(images)
    spread = np.sqrt(plain.var(axis=0).sum())
    size = (np.log(nm) - np.log(nm).mean()) / np.log(nm).std()
    return {
        AS_IS: plain,
        "their middle": features([middle(m, 1.0, 1.0) for m in images]),
        "at one pixel size": features(
            [middle(m, own, target) for m, own in zip(images, nm, strict=True)]
        ),
        # As much variance as all of the features together.
        "pixel size as one more feature": np.column_stack([plain / spread, size]),
    }


def main():
    """Compute the table, or what an interrupted run has not done."""
    data = load_superalloys("embedded")
    y, groups = data.hardness, data.groups
    with Computation(__file__, INPUTS, LIBRARIES) as run:
        cells = [
            {"study": study, "descriptor": name, "learner": learner, "X": X, "y": y,
             "groups": groups}
            for name, X in scale_descriptors(data).items()
            for study in ALLOY_STUDIES.values()
            for learner in ALLOY_LEARNERS
        ]  # fmt: skip
        found = run_cells(run.folder, alloy_cell, cells, ["X", "y", "groups"])
        errors = {}
        for row, predicted in found:
            by_descriptor = errors.setdefault((row["study"], row["learner"]), {})
            by_descriptor[row["descriptor"]] = 100 * np.abs(predicted / y - 1)
        tables = [
            compare(by_descriptor, AS_IS, groups).assign(study=study, learner=learner)
            for (study, learner), by_descriptor in errors.items()
        ]
        run.write(with_holm(tables, ["study"]))


if __name__ == "__main__":
    main()
