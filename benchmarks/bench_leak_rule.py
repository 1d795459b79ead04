"""How often `helpers.audit.source_leak.lost_gain` finds a leak, on data with known answers.

``python benchmarks/bench_leak_rule.py [design ...]`` makes 100 data sets of each design: 149
samples in 19 sources, as many in each as in the published table, and 30 features. Linear
regression, two shuffles. Takes half a minute a design on a core.
"""

import sys
from pathlib import Path

import numpy as np
from sklearn.model_selection import GroupKFold, KFold

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from helpers.audit.source_leak import lost_gain
from helpers.cross_validation import nested_cv, nested_folds
from helpers.scores import blind_predictions

SIZES = (15, 7, 8, 18, 4, 8, 8, 2, 4, 9, 6, 6, 10, 1, 4, 16, 6, 5, 12)
# What the property hangs on, beside noise; whether that is a leak.
DESIGNS = {
    "clean": ("the features", False),
    "noisy": ("the features, with as much noise as signal", False),
    "shifted": ("the features, which differ more between sources than within", False),
    "offset": ("the features, and the source, which the features do not know", False),
    "unknown": ("the source, which the features do not know", False),
    "leak": ("the source, which the features know", True),
    "mixed": ("the source, which the features know, and what varies within", True),
}
TARGETS = {False: ("DIFFERENCE", 5), True: ("RATIO", 75)}  # percent flagged


def made(design, seed, sizes=SIZES, n_features=30):
    """Features (n, n_features), property (n,) about 100, and sources (n,) of one data set."""
    rng = np.random.default_rng([seed, 7])
    groups = np.repeat(np.arange(len(sizes)), sizes)
    own = rng.normal(size=(len(groups), n_features))
    centre = rng.normal(size=(len(sizes), n_features))[groups]
    source, noise = rng.normal(size=len(sizes))[groups], rng.normal(size=len(groups))
    slope = rng.normal(size=n_features) / np.sqrt(n_features)
    signal = own @ slope
    shifted = own + 2 * centre
    return *{
        "clean": (own, 100 + 15 * signal + 5 * noise),
        "noisy": (own, 100 + 10 * signal + 10 * noise),
        "shifted": (shifted, 100 + 15 * shifted @ slope / np.sqrt(5) + 5 * noise),
        "offset": (own, 100 + 10 * signal + 10 * source + 5 * noise),
        "unknown": (own, 100 + 15 * source + 5 * noise),
        "leak": (centre + 0.3 * own, 100 + 15 * source + 5 * noise),
        "mixed": (centre + own, 100 + 10 * signal + 10 * source + 5 * noise),
    }[design], groups


def judged(X, y, groups, shuffles=2):
    """What `lost_gain` says of one data set."""
    errors = []
    for given, splitter in ((None, KFold), (groups, GroupKFold)):
        model, mean = [], []
        for seed in range(shuffles):
            outer = splitter(10, shuffle=True, random_state=seed)
            folds = nested_folds(X, groups=given, outer=outer, max_components=X.shape[1])
            blind = blind_predictions(y, [(split.train, split.test) for split in folds.outer])
            model.append(100 * np.abs(nested_cv(folds, y).y_pred / y - 1))
            mean.append(100 * np.abs(blind["mean"] / y - 1))
        errors.append((np.mean(model, axis=0), np.mean(mean, axis=0)))
    (seen, mean_seen), (unseen, mean_unseen) = errors
    return lost_gain(seen, unseen, mean_seen, mean_unseen, groups)


def main(designs, count=100):
    """Print how many data sets of each design are flagged, and by how many steps of the rule."""
    for design in designs or DESIGNS:
        what, leaks = DESIGNS[design]
        found = [judged(*made(design, seed)) for seed in range(count)]
        flagged, beyond = ([getattr(f, k) for f in found] for k in ("leak", "low"))
        print(
            f"{design}: the property hangs on {what}. Flagged {np.sum(flagged)} of {count}; loss "
            f"beyond its interval in {np.sum(np.array(beyond) > 0)}; mean gain "
            f"{np.mean([f.gain for f in found]):.1f}, lost {np.mean([f.lost for f in found]):.1f}"
        )
        kind, target = TARGETS[leaks]
        print(f"{kind} flagged_{design} {100 * np.mean(flagged):.0f} target {target}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
