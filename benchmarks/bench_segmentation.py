"""Segmentation against hand-made masks: both workflows, on micrographs seen and not seen before.

Run with ``make bench``; ``--write`` keeps the table that the book shows. The micrographs are those
of Stuckner et al. 2022 (doi:10.1038/s41524-022-00878-5), fetched once. In all of them the
precipitates are darker than the channels between them.
"""

import argparse
import functools
import sys
import timeit
from pathlib import Path

import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from helpers.images.read import read_image
from helpers.io.downloads import fetch
from helpers.io.results import Computation
from helpers.segmentation import METHODS, read_mask, score_segmentation, segment

LIBRARIES = ("opencv-python-headless", "scikit-image", "scipy", "numpy")
TUNED, SAME, OTHER = "tuned on", "same alloy", "other alloys"
# The numbers of "edges" were chosen on the first four; all of `Super1` show one alloy.
MICROGRAPHS = {
    TUNED: ("spot3_0d_3", "spot4_180d_2", "spot5_0d_0", "spot7_180d_3"),
    SAME: (
        "spot1_0d_0",
        "spot1_0d_1",
        "spot1_180d_5",
        "spot1_180d_6",
        "spot2_0d_0",
        "spot2_0d_4",
        "spot2_180d_3",
        "spot2_180d_5",
        "spot3_180d_2",
        "spot4_0d_3",
        "spot5_180d_2",
        "spot6_0d_2",
        "spot6_180d_7",
        "spot7_0d_5",
    ),
    OTHER: (
        "45kx_SE_15kV-etched_0",
        "SE_15kv_50kx_precip",
        "lshr_15kx_3kv_0",
        "me3_15kx_3kv_2",
        "pt2_15kx_3kv_7",
    ),
}
FASTER = 2  # at least, "edges" than the paper's workflow


def score(kind, methods=METHODS):
    """A row for each micrograph of a kind and method, with the shortest of three times [s]."""
    rows = []
    for name in MICROGRAPHS[kind]:
        image = read_image(fetch(f"micrographs/{name}.tif"))
        truth = read_mask(fetch(f"micrographs/{name}_mask.tif"))
        for method in methods:
            call = functools.partial(segment, image, method, precipitates="dark")
            row = {"micrographs": kind, "micrograph": name, "method": method}
            row |= score_segmentation(call(), truth)
            rows.append(row | {"seconds": min(timeit.repeat(call, number=1, repeat=3))})
    return pd.DataFrame(rows)


def main():
    """Print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="keep the table in data/results")
    write = parser.parse_args().write
    names = [name for kind in MICROGRAPHS.values() for name in kind]
    inputs = [f"micrographs/{name}{end}.tif" for name in names for end in ("", "_mask")]
    with Computation(__file__, inputs, LIBRARIES, options="--write") as run:
        table = pd.concat([score(kind) for kind in MICROGRAPHS], ignore_index=True)
        if write:
            run.write(table)
    means = table.groupby(["micrographs", "method"], sort=False)[["iou", "two_point_error"]]
    print(means.mean().round(3).to_string())
    seconds = table.groupby("method")["seconds"].median()
    print(f"RATIO edges_vs_paper {seconds['paper'] / seconds['edges']:.2f} target {FASTER}")


if __name__ == "__main__":
    main()
