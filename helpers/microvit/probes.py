"""Linear probes of frozen features, on data made for model selection and for nothing else.

The seeds are those of neither the embedded sets nor the pre-training.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from sklearn.decomposition import PCA
from sklearn.linear_model import LinearRegression, RidgeCV
from sklearn.model_selection import KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

from helpers.io.atomic import atomic_write
from helpers.io.downloads import ROOT
from helpers.microvit.statistics import mean_chord
from helpers.microvit.training_images import sample_batch
from helpers.regression import mape
from helpers.synthetic.homogenization import youngs_modulus
from helpers.synthetic.volumes import sections_of, two_phase_volume

SEED = 50521
PROBE_FILE = ROOT / "_build" / "microvit_probe.npz"


def probe_volumes(path=PROBE_FILE, n=800):
    """Sections and moduli of volumes like those of case study 1, computed once (5 minutes).

    Returns
    -------
    sections : ndarray of uint8, shape (n, 3, 51, 51)
    modulus : ndarray, shape (n,)
        Young's modulus along the first axis [GPa].
    """
    if not Path(path).is_file():
        volumes = [two_phase_volume(SEED, i).volume for i in range(n)]
        modulus = np.concatenate([youngs_modulus(v[None]) for v in volumes])
        sections = np.stack([sections_of(v) for v in volumes])
        with atomic_write(path) as file:
            np.savez_compressed(file, sections=sections, modulus=modulus)
    with np.load(path, allow_pickle=False) as file:
        return file["sections"][:n], file["modulus"][:n]


def probe_images(n=900, shape=(49, 49)):
    """Held-out images, binary and grey, with what a linear probe is asked for.

    Returns
    -------
    images : ndarray of float32, shape (n, h, w)
    targets : dict of ndarray, shape (n,)
        ``fraction``; ``chord_y``, ``chord_x``: logarithm of the mean chord length, averaged over
        the phases; ``anisotropy``: logarithm of the ratio of the two.
    known : ndarray of bool, shape (n,)
        See `helpers.microvit.training_images.Batch`.
    """
    batch = sample_batch(np.random.default_rng([SEED, 1]), n, shape)
    chords = [
        sum(np.log(mean_chord(phase, axis)) for phase in (batch.phases, 1 - batch.phases)) / 2
        for axis in (1, 2)
    ]
    targets = {
        "fraction": batch.phases.mean((1, 2)),
        "chord_y": chords[0],
        "chord_x": chords[1],
        "anisotropy": chords[1] - chords[0],
    }
    return batch.images, targets, batch.known


def linear_r2(features, target):
    """Share of the variance that ridge regression explains: fitted on two thirds, then tested.

    Parameters
    ----------
    features : ndarray, shape (n, d)
    target : ndarray, shape (n,)
    """
    n = 2 * len(target) // 3
    model = make_pipeline(StandardScaler(), RidgeCV(np.logspace(-2, 5, 15)))
    return float(model.fit(features[:n], target[:n]).score(features[n:], target[n:]))


def modulus_mape(features, modulus, n_components=(4, 6, 8, 10, 12, 15)):
    """Error of the paper's model on concatenated features, and R2 of a linear probe.

    PCA, then second-order polynomial regression, in five folds; the best number of components.

    Returns
    -------
    mape : float
        [%]
    r2 : float
        Of ridge regression for the logarithm of the modulus.
    """
    errors = []
    folds = list(KFold(5, shuffle=True, random_state=0).split(features))
    scores = []
    for train, test in folds:
        pca = PCA(max(n_components), svd_solver="full").fit(features[train])
        scores.append((pca.transform(features[train]), pca.transform(features[test])))
    for k in n_components:
        model = make_pipeline(StandardScaler(), PolynomialFeatures(2), LinearRegression())
        errors.append(
            np.mean(
                [
                    mape(modulus[test], model.fit(a[:, :k], modulus[train]).predict(b[:, :k]))
                    for (train, test), (a, b) in zip(folds, scores, strict=True)
                ]
            )
        )
    return float(min(errors)), linear_r2(features, np.log(modulus))


def run_probes(encode, sections=None, modulus=None):
    """All probes of one network.

    Parameters
    ----------
    encode : callable
        Images (n, h, w), float32, to features (n, d).
    sections, modulus : ndarray or None
        Of `probe_volumes`. None: the probes that need no elasticity.

    Returns
    -------
    dict of str to float
        ``r2_*`` and, with volumes, ``mape_modulus`` [%] and ``r2_log_modulus``.
    """
    images, targets, known = probe_images()
    features = encode(images)
    rows = {name: known if name == "fraction" else slice(None) for name in targets}
    result = {f"r2_{k}": linear_r2(features[rows[k]], t[rows[k]]) for k, t in targets.items()}
    if sections is not None:
        n, k, h, w = sections.shape
        flat = encode(sections.reshape(n * k, h, w).astype(np.float32)).reshape(n, -1)
        result["mape_modulus"], result["r2_log_modulus"] = modulus_mape(flat, modulus)
    return result
