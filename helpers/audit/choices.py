"""What the best of many is worth, and what a model knows beyond the source; published superalloys.

``python -m helpers.audit.choices`` computes both. Errors are MAPE [%], means over the outer folds,
as in the paper.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from helpers.datasets import load_superalloys
from helpers.io.results import Computation, read_results
from helpers.scores import LIBRARIES, PAPER_SEED, evaluate_descriptors
from helpers.superalloy_scores import superalloy_descriptors

SEEDS = (PAPER_SEED, 0, 1, 2, 3)
INPUTS = ("superalloys", "data/results/superalloy_scores.csv")


def dealt_within(y, groups, seed):
    """Values (n,) dealt anew among the samples of each group: the groups keep theirs.

    Examples
    --------
    >>> dealt_within(np.array([1.0, 2.0, 3.0, 9.0]), np.array([0, 0, 0, 1]), 3).tolist()
    [3.0, 2.0, 1.0, 9.0]
    """
    rng = np.random.default_rng(seed)
    return pd.Series(y).groupby(groups).transform(rng.permutation).to_numpy()


def evaluate(descriptors, y, seed):
    """Linear regression on one shuffle of the folds: descriptor -> `NestedCV`."""
    results = evaluate_descriptors(descriptors, y, ["lr"], seeds=[seed], progress=False)
    return {name: result for (name, *_), result in results.items()}


def spread(finding, quantity, of, errors):
    """A row: the mean of errors, one a shuffle, with the lowest and the highest."""
    ends = {"value": np.mean(errors), "low": min(errors), "high": max(errors)}
    return {"finding": finding, "quantity": quantity, "of": of, **ends}


def choice_rows(descriptors, y, groups, seeds=SEEDS):
    """Errors as measured, with hardness dealt anew within each source, and after a choice.

    A model that only recognises the source errs as much with the hardness of another alloy of
    it. The choice: the lowest of all descriptors afterwards, against the one that the inner
    errors of each outer fold choose, which has not seen what it is scored on.
    """
    measured, dealt = ({name: [] for name in descriptors} for _ in range(2))
    lowest, inside = [], []
    for seed in seeds:
        runs = evaluate(descriptors, y, seed)
        mixed = evaluate(descriptors, dealt_within(y, groups, seed), seed)
        for name in descriptors:
            measured[name].append(runs[name].mean)
            dealt[name].append(mixed[name].mean)
        chosen = np.argmin([run.inner_mape.min(axis=1) for run in runs.values()], axis=0)
        inside.append(np.choose(chosen, [run.fold_mape for run in runs.values()]).mean())
        lowest.append(min(run.mean for run in runs.values()))
    rows = [
        spread("hardness", quantity, name, errors[name])
        for quantity, errors in (("measured", measured), ("dealt within sources", dealt))
        for name in descriptors
    ]
    of = f"{len(descriptors)} descriptors, lr"
    rows.append(spread("choice", "lowest afterwards", of, lowest))
    return [*rows, spread("choice", "chosen inside", of, inside)]


def repeated_rows(scores):
    """The lowest of all descriptors and models on the paper's folds, and on other shuffles.

    `scores` is the table of `helpers.superalloy_scores`.
    """
    scores = scores.query("composition == 'no' and model != 'none'")
    paper = scores[scores["seed"] == PAPER_SEED].nsmallest(1, "mape_mean")
    again = scores.merge(paper[["descriptor", "model"]]).query("seed != @PAPER_SEED")
    cases = {"lowest on the paper's folds": paper, "the same on other shuffles": again}
    of = "all descriptors and models"
    return [spread("choice", quantity, of, t["mape_mean"]) for quantity, t in cases.items()]


def main():
    """Compute the numbers."""
    with Computation(__file__, INPUTS, LIBRARIES) as run:
        data = load_superalloys("published")
        rows = choice_rows(superalloy_descriptors(data), data.hardness, data.groups)
        run.write(pd.DataFrame(rows + repeated_rows(read_results("superalloy_scores"))))


if __name__ == "__main__":
    main()
