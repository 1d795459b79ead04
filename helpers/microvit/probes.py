"""Linear probes of frozen features, on data made for model selection and for nothing else.

The seeds are those of neither the embedded sets nor the pre-training. But the volumes are drawn by
the same law as those of case study 1, and the objective was chosen by the error of their moduli.
"""

from __future__ import annotations

import functools

import numpy as np
from sklearn.decomposition import PCA
from sklearn.linear_model import LinearRegression, RidgeCV
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

from helpers.microvit.statistics import mean_chord
from helpers.microvit.training_images import sample_batch
from helpers.synthetic.homogenization import youngs_modulus
from helpers.synthetic.volumes import sections_of, solve_volumes, two_phase_volume

SEED = 50521


@functools.cache
def probe_volumes(n=800):
    """Sections (n, 3, 51, 51) and moduli [GPa] like those of case study 1, solved once (5 min)."""
    sections = [sections_of(two_phase_volume(SEED, i).volume) for i in range(n)]
    return np.stack(sections), solve_volumes(SEED, n, [youngs_modulus])[:, 0]


def probe_images(n=900):
    """Held-out images of 49 x 49 pixels, binary and grey, with the microstructures below them."""
    return sample_batch(np.random.default_rng([SEED, 1]), n)


def shape_r2(features, batch):
    """R2 of linear probes for what tells microstructures apart, from features (n, d) of a batch.

    Volume fraction, where the image tells which phase is which; the logarithm of the mean chord
    length along y and along x, averaged over the phases; the logarithm of their ratio.
    """
    pair = batch.phases, 1 - batch.phases
    y, x = (sum(np.log(mean_chord(p, axis)) for p in pair) / 2 for axis in (1, 2))
    fraction = batch.phases.mean((1, 2))
    return [
        linear_r2(features[batch.known], fraction[batch.known]),
        *(linear_r2(features, target) for target in (y, x, x - y)),
    ]


def linear_r2(features, target):
    """Share of the variance that ridge regression explains: fitted on two thirds, then tested."""
    n = 2 * len(target) // 3
    model = make_pipeline(StandardScaler(), RidgeCV(np.logspace(-2, 5, 15)))
    return float(model.fit(features[:n], target[:n]).score(features[n:], target[n:]))


def modulus_mape(features, modulus):
    """Error [%] of the paper's model: principal components, second-order polynomial regression.

    Mean over five folds, with the best number of components.
    """
    model = make_pipeline(
        PCA(svd_solver="full"), StandardScaler(), PolynomialFeatures(2), LinearRegression()
    )
    search = GridSearchCV(
        model,
        {"pca__n_components": [4, 6, 8, 10, 12, 15]},
        scoring="neg_mean_absolute_percentage_error",
        cv=KFold(5, shuffle=True, random_state=0),
        refit=False,
    )
    return -100 * float(search.fit(features, modulus).best_score_)


def run_probes(encode):
    """All probes of one network, `encode`: images (n, h, w), float32, to features (n, d).

    A dict of ``r2_*``, see `shape_r2`; and ``mape_modulus`` [%] and ``r2_log_modulus`` of the
    sections of `probe_volumes`.
    """
    batch = probe_images()
    names = ("r2_fraction", "r2_chord_y", "r2_chord_x", "r2_anisotropy")
    result = dict(zip(names, shape_r2(encode(batch.images), batch), strict=True))
    sections, modulus = probe_volumes()
    n, _, h, w = sections.shape
    features = encode(sections.reshape(-1, h, w).astype(np.float32)).reshape(n, -1)
    result["mape_modulus"] = modulus_mape(features, modulus)
    return result | {"r2_log_modulus": linear_r2(features, np.log(modulus))}
