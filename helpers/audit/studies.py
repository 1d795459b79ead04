"""The audits that the book shows: of the published superalloys and of the embedded volumes.

``python -m helpers.audit.studies --write data/results_audit.csv`` computes them; interrupted,
it goes on where it was. `read_audit` reads them again.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from helpers.audit import findings
from helpers.audit.audit import audit, flagged
from helpers.audit.findings import ALLOYS, FRACTIONS, VOLUMES, volume_descriptors
from helpers.audit.tables import BY_SOURCE, SHUFFLED
from helpers.datasets import DATA, load_superalloys, load_two_phase
from helpers.encoders import load_encoder
from helpers.features import LIBRARIES as FEATURE_LIBRARIES
from helpers.features import extract_features
from helpers.io.atomic import write_table
from helpers.io.provenance import run_facts
from helpers.scores import LIBRARIES, PAPER_SEED
from helpers.superalloy_scores import TWO_POINT, superalloy_descriptors

RESULTS = DATA / "results_audit.csv"
TABLES = ("table", "optimism", "source_accuracy", "differences", "intervals", "learning_curve")
MICROVIT = "MicroViT, segmented"
TWIN = "MicroViT (untrained), segmented"
RESNET = "ResNet-50 (untrained), segmented"
BY_SVR = (TWO_POINT, "clip-l14", "dinov2-l14", "sam-h", MICROVIT)
MAIN = (TWO_POINT, "clip-l14", "dinov2-l14", "sam-h", "micronet-resnet50", MICROVIT)
FEW_SEEDS = (PAPER_SEED, 0)
N_VOLUMES = 400


def audit_superalloys(data, model="lr", names=None, **options):
    """Audit of case study 2: every descriptor that can be had, against all controls.

    Parameters
    ----------
    data : helpers.datasets.SuperalloyData
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


def read_audit(study, model, path=RESULTS):
    """One audit of the results file.

    Parameters
    ----------
    study : str
        `helpers.audit.findings.ALLOYS` or `helpers.audit.findings.VOLUMES`.
    model : str
        ``"lr"`` or ``"svr"`` for the alloys, ``"pr"`` for the volumes.
    path : path-like
        As written by `write_audits`.

    Returns
    -------
    helpers.audit.audit.Audit
        Without the columns of provenance.

    Examples
    --------
    >>> audited = read_audit(ALLOYS, "lr")
    >>> audited.table.query("folds == 'shuffled' and predictor == 'mean'")["shuffles"].item()
    5
    """
    parts = []
    for name in TABLES:
        table = pd.read_csv(_path(path, name))
        rows = table[(table["study"] == study) & (table["model"] == model)]
        parts.append(rows.loc[:, :"study"].iloc[:, :-1].reset_index(drop=True))
    return flagged(*parts)


def write_audits(audits, path, facts):
    """Write audits, {(study, model): audit}, a file a table, with `facts` of their provenance.

    ``Audit.table`` goes to `path`; the others stand beside it, with their names appended.
    """
    for name in TABLES:
        parts = [
            getattr(audited, name).assign(study=study, model=model)
            for (study, model), audited in audits.items()
            if len(getattr(audited, name))  # an empty column would make numbers objects
        ]
        write_table(pd.concat(parts, ignore_index=True).assign(**facts), _path(path, name))


def _path(path, name):
    path = Path(path)
    return path if name == "table" else path.with_name(f"{path.stem}_{name}{path.suffix}")


def main():
    """Compute audits and findings and write them with their provenance."""
    parser = argparse.ArgumentParser(prog="python -m helpers.audit.studies", description=__doc__)
    parser.add_argument("--write", type=Path, metavar="CSV", required=True, help="table of scores")
    path = parser.parse_args().write
    libraries = dict.fromkeys([*LIBRARIES, *FEATURE_LIBRARIES])
    facts = run_facts(f"{parser.prog} --write {path.as_posix()}", libraries)
    facts["microvit"] = load_encoder("microvit").fingerprint[:16]
    alloys, volumes = load_superalloys("published"), load_two_phase("embedded")
    # Support vector regression takes up to a minute a run: fewer descriptors, shuffles and folds,
    # and no learning curve.
    few = {"seeds": FEW_SEEDS, "kinds": (SHUFFLED, BY_SOURCE), "shares": ()}
    audits = {
        (ALLOYS, "lr"): audit_superalloys(alloys),
        (VOLUMES, "pr"): audit_volumes(volumes),
        (ALLOYS, "svr"): audit_superalloys(alloys, "svr", BY_SVR, **few),
    }
    write_audits(audits, path, facts)
    rows = findings.untrained_rows(alloys)
    rows += findings.normalisation_rows(load_superalloys("embedded"))
    parts = [pd.DataFrame(rows), findings.alloy_findings(alloys)]
    numbers = pd.concat([*parts, findings.volume_findings(volumes)], ignore_index=True)
    write_table(numbers.assign(**facts), _path(path, "findings"))


if __name__ == "__main__":
    main()
