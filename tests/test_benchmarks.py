"""The committed tables of benchmarks: what can be computed of them without measuring again."""

import numpy as np
import pandas as pd
import pytest
import torch

from benchmarks import bench_extract, bench_ray_memory
from benchmarks.bench_features import operations
from benchmarks.bench_two_point import random_sections
from helpers.encoders import ENCODERS, load_encoder
from helpers.io.results import read_results
from helpers.preprocessing import prepare


@pytest.mark.parametrize("name", ["microvit", "dinov2-s14", "micronet-resnet50"])
def test_operations_of_the_committed_rates_are_counted_again(name):
    rows = read_results("benchmarks/bench_features").set_index("encoder").loc[[name]]
    encoder = load_encoder(name, "random", device="cpu")
    shape = prepare(random_sections(30)[0], encoder, "section").shape[1:]
    counted = operations(encoder, torch.rand(1, 1, *shape))
    for row in rows.itertuples():
        assert row.input == f"{shape[0]} x {shape[1]}"
        assert row.gflop_per_image == pytest.approx(counted, abs=1e-3)


def test_committed_rates_agree_with_their_operations():
    table = read_results("benchmarks/bench_features")
    for row in table.itertuples():
        assert row.n_features == ENCODERS[row.encoder].n_features
    np.testing.assert_allclose(
        table["gflops"], table["images_per_s"] * table["gflop_per_image"], rtol=0.02
    )
    np.testing.assert_allclose(
        table["share_of_peak"], table["gflops"] / table["peak_gflops"], rtol=0.02
    )
    # The peak is measured before and after, on a machine that others use as well.
    assert table["share_of_peak"].between(0, 1.15).all()


def test_committed_rates_of_files_agree_with_their_seconds():
    table = read_results("benchmarks/bench_extract")
    assert table.columns.tolist() == list(bench_extract.COLUMNS)
    rates = table["images"] / (table["seconds"] - table["start"])
    np.testing.assert_allclose(rates, table["images_per_s"], rtol=5e-3)


def test_committed_memory_is_of_as_many_parts_as_the_benchmark_makes():
    table = read_results("benchmarks/bench_ray_memory")
    assert tuple(table["images"]) == bench_ray_memory.COUNTS
    assert table["parts"].tolist() == [-(-n // bench_ray_memory.PART) for n in table["images"]]
    assert (table["workers"] == bench_ray_memory.WORKERS).all()
    assert pd.Series(table["worker_mb"]).gt(50).all()
