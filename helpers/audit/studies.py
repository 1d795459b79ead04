"""The audits that the book shows: of the published superalloys and of the embedded volumes.

``python -m helpers.audit.studies`` computes them; interrupted, it goes on where it was.
`read_audit` reads them again.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from helpers.audit import findings
from helpers.audit.audit import audit, flagged
from helpers.audit.findings import ALLOYS, FRACTIONS, VOLUMES, volume_descriptors
from helpers.audit.tables import BY_SOURCE, SHUFFLED
from helpers.datasets import load_superalloys, load_two_phase
from helpers.encoders import load_encoder
from helpers.features import LIBRARIES as FEATURE_LIBRARIES
from helpers.features import extract_features
from helpers.io.results import Computation, read_results
from helpers.scores import LIBRARIES, PAPER_SEED
from helpers.superalloy_scores import TWO_POINT, superalloy_descriptors

INPUTS = ("superalloys", "data/two_phase.npz", "encoders/microvit")
PARTS = ("optimism", "source_accuracy", "differences", "intervals", "learning_curve")
MICROVIT = "MicroViT, segmented"
TWIN = "MicroViT (untrained), segmented"
RESNET = "ResNet-50 (untrained), segmented"
BY_SVR = (TWO_POINT, "clip-l14", "dinov2-l14", "sam-h", MICROVIT)
FEW_SEEDS = (PAPER_SEED, 0)
N_VOLUMES = 400


def audit_superalloys(data, model="lr", names=None, **options):
    """Audit of case study 2: every descriptor that can be had, against all controls.

    Parameters
    ----------
    data : helpers.io.superalloy_files.SuperalloyData
    model : str
        See `helpers.audit.audit.audit`.
    names : sequence of str, optional
        Descriptors. None: all of `helpers.superalloy_scores.superalloy_descriptors`, and MicroViT.
    **options
        Of `helpers.audit.audit.audit`.

    Returns
    -------
    helpers.audit.audit.Audit
        Networks that run here, and the control of size and grey levels, see the segmented
        micrographs; the published features are of the grey ones.
    """
    kinds = {MICROVIT: ("microvit", "pretrained"), TWIN: ("microvit", "random")}
    kinds[RESNET] = ("micronet-resnet50", "random")
    images, kept = data.binary_images, "superalloys-published"
    features = {n: extract_features(images, load_encoder(*k), name=kept) for n, k in kinds.items()}
    descriptors = {**superalloy_descriptors(data), MICROVIT: features.pop(MICROVIT)}
    return audit(
        {name: descriptors[name] for name in names or descriptors},
        data.hardness, data.groups, model,
        composition=data.composition, images=images, controls=features, **options,
    )  # fmt: skip


def audit_volumes(data):
    """Audit of case study 1, on volumes drawn at random, which have no sources.

    Second-order polynomial regression, sections concatenated.
    """
    rng = np.random.default_rng(0)
    rows = np.sort(rng.choice(len(data.modulus), N_VOLUMES, replace=False))
    descriptors = volume_descriptors(data, rows)
    controls = {name: descriptors.pop(name) for name in (FRACTIONS, "MicroViT (untrained)")}
    options = {"seeds": FEW_SEEDS, "shares": (0.25, 0.5), "controls": controls}
    return audit(descriptors, data.modulus[rows], model="pr", **options)


def read_audit(study, model):
    """One audit of the committed results.

    Parameters
    ----------
    study : str
        `helpers.audit.findings.ALLOYS` or `helpers.audit.findings.VOLUMES`.
    model : str
        ``"lr"`` or ``"svr"`` for the alloys, ``"pr"`` for the volumes.

    Returns
    -------
    helpers.audit.audit.Audit

    Examples
    --------
    >>> audited = read_audit(ALLOYS, "lr")
    >>> audited.table.query("folds == 'shuffled' and predictor == 'mean'")["shuffles"].item()
    5
    """
    parts = []
    for part in (None, *PARTS):
        table = read_results("audit/studies", part)
        rows = table[(table["study"] == study) & (table["model"] == model)]
        parts.append(rows.drop(columns=["study", "model"]).reset_index(drop=True))
    return flagged(*parts)


def audit_tables(audits):
    """Tables of audits, {(study, model): audit}, of all of them together, by part."""
    tables = {}
    for part in ("table", *PARTS):
        some = [
            getattr(audited, part).assign(study=study, model=model)
            for (study, model), audited in audits.items()
            if len(getattr(audited, part))  # an empty column would make numbers objects
        ]
        tables[part] = pd.concat(some, ignore_index=True)
    return tables


def main():
    """Compute audits and findings."""
    libraries = tuple(dict.fromkeys([*LIBRARIES, *FEATURE_LIBRARIES]))
    with Computation(__file__, INPUTS, libraries) as run:
        run.write(**compute_all())


def compute_all():
    """All tables by part."""
    alloys, volumes = load_superalloys("published"), load_two_phase("embedded")
    # Support vector regression takes up to a minute a run: fewer descriptors, shuffles and folds,
    # and no learning curve.
    few = {"seeds": FEW_SEEDS, "kinds": (SHUFFLED, BY_SOURCE), "shares": ()}
    audits = {
        (ALLOYS, "lr"): audit_superalloys(alloys),
        (VOLUMES, "pr"): audit_volumes(volumes),
        (ALLOYS, "svr"): audit_superalloys(alloys, "svr", BY_SVR, **few),
    }
    parts = [pd.DataFrame(findings.untrained_rows(alloys)), findings.alloy_findings(alloys)]
    numbers = pd.concat([*parts, findings.volume_findings(volumes)], ignore_index=True)
    return {**audit_tables(audits), "findings": numbers}


if __name__ == "__main__":
    main()
