"""Nested cross-validation side by side with a grid search over a pipeline of scikit-learn.

Run with ``make bench``, or ``python benchmarks/bench_nested_cv.py``; it needs the published data
of case study 2. Both sides follow the paper's protocol with the full SVD and two processes or
threads, and must give the same result. `GridSearchCV` over ``Pipeline(PCA, model)`` is what the
paper's public notebook builds; it decomposes the training part anew for each number of
components. That takes so long that it runs a few of the ten outer folds (``--folds``), and the
times are compared per fold.

For support vector regression the fits themselves set a floor: the same fits on ready component
scores, and nothing else. The ratio is printed beside the one that this floor allows.
"""

import argparse
import os
import statistics
import sys
from pathlib import Path

import joblib
import numpy as np
from sklearn.decomposition import PCA
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures
from sklearn.svm import SVR
from threadpoolctl import threadpool_limits

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from benchmarks.bench_two_point import timed
from helpers.cross_validation import MOST_COMPONENTS, nested_cv, nested_folds
from helpers.datasets import load_superalloys
from helpers.io.downloads import DownloadError
from helpers.regression import mape
from helpers.superalloy_scores import TWO_POINT, superalloy_descriptors

STEPS = {
    "lr": [LinearRegression()],
    "pr": [PolynomialFeatures(2), LinearRegression()],
    "svr": [SVR(kernel="linear")],
}
# (descriptor, model) -> how many times as fast at least; None: reported only
TARGETS = {
    (TWO_POINT, "lr"): 20,
    (TWO_POINT, "pr"): 20,
    (TWO_POINT, "svr"): None,
    ("dinov2-l14", "lr"): 10,
    ("dinov2-l14", "pr"): 10,
    ("dinov2-l14", "svr"): None,
}
TOLERANCE = 1e-8
JOBS = min(os.cpu_count() or 1, 2)
OUTER, INNER = (KFold(k, shuffle=True, random_state=42) for k in (10, 5))
FOLDS = {TWO_POINT: 1, "dinov2-l14": 3}  # of scikit-learn's side


def theirs(X, y, model, folds):
    """Error and chosen number of components of every fold, by scikit-learn."""
    found = []
    for train, test in folds:
        search = GridSearchCV(
            make_pipeline(PCA(svd_solver="full"), *STEPS[model]),
            {"pca__n_components": range(1, MOST_COMPONENTS[model] + 1)},
            scoring="neg_mean_absolute_percentage_error",
            cv=INNER,
            n_jobs=JOBS,
        ).fit(X[train], y[train])
        chosen = search.best_params_["pca__n_components"]
        found.append((mape(y[test], search.predict(X[test])), chosen))
    return np.array(found)


def only_the_fits(folds, y):
    """The support vector fits of a nested cross-validation, on scores that are ready."""

    def fit(split, counts):
        scores, target = split.scores[split.train], y[split.train]
        for k in counts:
            SVR(kernel="linear").fit(scores[:, :k], target)

    tasks = [(s, range(1, folds.n_components + 1)) for inner in folds.inner for s in inner]
    tasks += [(s, [folds.n_components]) for s in folds.outer]
    with threadpool_limits(1):
        joblib.Parallel(JOBS, prefer="threads")(joblib.delayed(fit)(*task) for task in tasks)


def compare(X, y, name, model, count, repeats):
    """Print the ratio and the largest difference of one descriptor and model."""

    def ours():
        return nested_cv(X, y, model, n_jobs=JOBS)

    ours()  # what loads lazily
    runs = [timed(ours) for _ in range(repeats)]
    our_time, result = statistics.median(t for t, _ in runs) / 10, runs[-1][1]
    their_time, found = timed(theirs, X, y, model, list(OUTER.split(X))[:count])
    their_time /= count
    difference = np.abs(result.fold_mape[:count] - found[:, 0]).max()
    others = (result.fold_n_components[:count] != found[:, 1]).sum()
    print(
        f"  {name}, {model}: ours {our_time:.3f} s a fold (of 10), scikit-learn "
        f"{their_time:.1f} s (of {count}); largest difference {difference:.1e} % MAPE",
        flush=True,
    )
    ratio, target = their_time / our_time, TARGETS[name, model]
    label = f"{name.split()[0].replace('-', '_')}_{model}"
    if target is None:
        floor, _ = timed(only_the_fits, nested_folds(X), y)
        print(f"  {ratio:.1f} times as fast; the fits alone take {floor / 10:.3f} s a fold, which "
              f"would allow {10 * their_time / floor:.1f} times")  # fmt: skip
    else:
        print(f"RATIO nested_cv_{label} {ratio:.1f} target {target}")
    print(f"DIFFERENCE nested_cv_{label} {difference:.2e} target {TOLERANCE:.0e}")
    print(f"DIFFERENCE n_components_{label} {others} target 0", flush=True)


def main():
    """Compare both descriptors with all models."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folds", type=int, help="outer folds of scikit-learn's side, 1 to 10")
    parser.add_argument("--repeats", type=int, default=3, help="of our side; the median counts")
    options = parser.parse_args()
    try:
        data = load_superalloys("published")
    except DownloadError as error:
        sys.exit(f"needs the published superalloys: {error}")
    took, descriptors = timed(superalloy_descriptors, data)
    print(
        f"{len(data.names)} cross-correlations in {took:.1f} s; {JOBS} processes or threads each"
    )
    print(f"SECONDS cross_correlations {took:.1f} target 15")
    for name, model in TARGETS:
        X = descriptors[name].astype(np.float64)
        count = options.folds or FOLDS[name]
        compare(X, data.hardness, name, model, count, options.repeats)


if __name__ == "__main__":
    main()
