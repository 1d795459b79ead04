"""Feature extraction: against the plain loop, as a share of the machine's peak, and its memory.

Run with ``make bench``. All networks are full size with random weights, which cost as much as
trained ones. ``--write`` keeps the table that the book shows, and compares nothing.

The plain loop is what the paper's notebooks do: one image at a time, float32, gradients on, all
cores in each operation. Both sides preprocess the same 51 x 51 sections.
"""

import argparse
import datetime
import json
import os
import statistics
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch.utils.flop_counter import FlopCounterMode

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from benchmarks.bench_two_point import in_a_process, random_sections, resident_peak, timed
from helpers.encoders import ENCODERS, load_encoder
from helpers.features import extract
from helpers.io.results import Computation, read_results
from helpers.preprocessing import prepare, preprocess_section
from helpers.vit.forward import choose_batch_size, n_cores
from helpers.vit.networks import random_model, use_hub_positions

RATIO_TARGETS = {"dinov2-s14": 8, "dinov2-l14": 4, "clip-b16": 1.4}
LOOP_IMAGES = {"dinov2-s14": 96, "dinov2-l14": 16, "clip-b16": 12}
OUR_IMAGES = {"dinov2-s14": 1024, "dinov2-l14": 160, "clip-b16": 24}
TOLERANCE = 1e-4
MEMORY_SLACK_MB = 64
SECONDS = 15  # of measurement for one encoder


def plain_loop(sections, name, model):
    """Features (n, d), one image at a time, with a graph for gradients that nobody needs."""
    features = []
    for section in sections:
        pixels = torch.from_numpy(preprocess_section(section, name))[None]
        output = model(pixel_values=pixels)
        features.append(output.pooler_output.detach().numpy()[0])
    return np.array(features)


def ours(sections, encoder):
    return extract(sections, encoder, pipeline="section", store=False, progress=False).features


def compare_with_loop(name, repeats):
    """Print the ratio of the rates of alternating runs, and the largest relative difference."""
    encoder = load_encoder(name, "random", device="cpu")
    model = random_model(ENCODERS[name].config, seed=0).eval()  # as transformers gives it
    if ENCODERS[name].family == "dinov2":  # torch.hub's rule for positions on both sides
        use_hub_positions(model)
    n_loop, n_ours = LOOP_IMAGES[name], OUR_IMAGES[name]
    sections = random_sections(max(n_ours, 30))[:n_ours]
    expected = plain_loop(sections[:n_loop], name, model)
    found = ours(sections, encoder)[:n_loop]
    difference = np.abs(found - expected).max() / np.abs(expected).max()
    times = {"loop": [], "ours": []}
    for _ in range(repeats):
        times["loop"].append(timed(plain_loop, sections[:n_loop], name, model)[0] / n_loop)
        times["ours"].append(timed(ours, sections, encoder)[0] / n_ours)
    loop, own = (statistics.median(times[k]) for k in ("loop", "ours"))
    print(f"  {name}: plain loop {1 / loop:.2f} images/s, this book {1 / own:.2f} images/s")
    print(f"DIFFERENCE {name}_vs_loop {difference:.1e} target {TOLERANCE:.0e}")
    print(f"RATIO {name}_vs_loop {loop / own:.2f} target {RATIO_TARGETS[name]}")


def peak_flops(device, dtype):
    """Operations a second [GFLOP/s] of the best of several large matrix products.

    On a CPU all cores on one product, and one product a core.
    """
    on_gpu = device.type == "cuda"
    size = 8192 if on_gpu else 1536
    a, b = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))

    def rate(products):
        best = np.inf
        for _ in range(8):
            synchronize(device)
            start = time.perf_counter()
            products()
            synchronize(device)
            best = min(best, time.perf_counter() - start)
        return 2 * size**3 / best / 1e9

    peak = rate(lambda: a @ b)
    if on_gpu:
        return peak
    before, cores = torch.get_num_threads(), n_cores()
    options = {"initializer": torch.set_num_threads, "initargs": (1,)}
    with ThreadPoolExecutor(cores, **options) as pool:
        side_by_side = rate(lambda: list(pool.map(lambda _: a @ b, range(cores))))
    torch.set_num_threads(before)
    return max(peak, cores * side_by_side)


def synchronize(device):
    if device.type == "cuda":
        torch.cuda.synchronize()


def operations(encoder, pixels):
    """Floating-point operations [GFLOP] of one forward pass; a product and a sum are two."""
    with FlopCounterMode(display=False) as counter:
        encoder(pixels)
    return counter.get_total_flops() / len(pixels) / 1e9


def measure(name, device):
    """One encoder, `in_a_process`: rate, share of the peak, memory; as a dict."""
    load, encoder = timed(load_encoder, name, "random", device=device)
    peak = peak_flops(encoder.device, encoder.dtype)
    shape = prepare(random_sections(30)[0], encoder, "section").shape[1:]
    batch = choose_batch_size(encoder, shape)
    gflop = operations(encoder, torch.rand(1, 1, *shape))
    # Enough for some seconds, judged by what the peak would do, and for every core.
    n = int(np.clip(0.7 * peak / gflop * SECONDS, 2 * batch, 17_700))
    n = max(n_cores(), n) if name == "sam-h" else n
    sections = random_sections(max(n, 30))[:n]
    if name != "sam-h":
        ours(sections[: 2 * batch], encoder)  # first calls allocate
    synchronize(encoder.device)
    seconds, features = timed(ours, sections, encoder)
    rate = n / seconds
    peak = max(peak, peak_flops(encoder.device, encoder.dtype))  # the machine is not alone
    on_gpu = encoder.device.type == "cuda"
    memory = torch.cuda.max_memory_allocated() if on_gpu else resident_peak()
    return {
        "encoder": name,
        "n_features": features.shape[1],
        "input": f"{shape[0]} x {shape[1]}",
        "images": n,
        "images_per_s": float(f"{rate:.4g}"),
        "gflop_per_image": round(gflop, 3),
        "gflops": round(rate * gflop, 1),
        "peak_gflops": round(peak, 1),
        "share_of_peak": round(rate * gflop / peak, 3),
        "peak_memory_mb": round(memory / 2**20),
        "load_s": round(load, 1),
        "dtype": str(encoder.dtype).removeprefix("torch."),
        "hardware": torch.cuda.get_device_name() if on_gpu else f"CPU, {n_cores()} cores",
    }


def half_precision(name, device, n=4):
    """Smallest cosine between features in float32 and in bfloat16, of n sections."""
    sections = random_sections(30)[:n]
    found = [
        ours(sections, load_encoder(name, "random", device=device, dtype=dtype)).astype(float)
        for dtype in (torch.float32, torch.bfloat16)
    ]
    full, half = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in found)
    return float((full * half).sum(axis=1).min())


def growth(name, n):
    """Peak memory [MB] of one extraction beyond its input and its output."""
    encoder = load_encoder(name, "random", device="cpu")
    sections = random_sections(n)
    ours(sections[:256], encoder)
    before = resident_peak()
    features = ours(sections, encoder)
    return (resident_peak() - before - features.nbytes) / 2**20


def table(names, device, folder):
    """Measure every encoder and print a row for each; give the rows, which `folder` keeps."""
    rows = []
    print(f"  {'encoder':28}{'images/s':>9}{'GFLOP':>9}{'GFLOP/s':>9}{'of peak':>9}{'MB':>8}")
    for name in names:
        kept = folder / f"{name}_{device}.json"
        if not kept.is_file():
            kept.write_text(json.dumps(in_a_process(measure, name, device)))
        row = json.loads(kept.read_text())
        rows.append(row)
        print(
            f"  {name:28}{row['images_per_s']:9.2f}{row['gflop_per_image']:9.1f}"
            f"{row['gflops']:9.1f}{row['share_of_peak']:9.0%}{row['peak_memory_mb']:8.0f}",
            flush=True,
        )
        expected = ENCODERS[name].n_features
        if row["n_features"] != expected:
            sys.exit(f"{name} gave {row['n_features']} features, expected {expected}")
    return rows


def with_others(rows):
    """The rows, and those of the committed table of other encoders or measured elsewhere."""
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    results = pd.concat(
        [read_results("benchmarks/bench_features"), pd.DataFrame(rows).assign(date=today)]
    )
    return results.drop_duplicates(["encoder", "hardware"], keep="last")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--encoders", nargs="*", default=list(ENCODERS), choices=list(ENCODERS))
    parser.add_argument("--write", action="store_true", help="keep the rows, and compare nothing")
    options = parser.parse_args()
    print(f"  {n_cores()} cores, {os.uname().machine}, torch {torch.__version__}")
    with Computation(__file__, (), ("torch", "transformers"), options="--write") as run:
        rows = table(options.encoders, options.device, run.folder)
        if options.write:
            if set(options.encoders) != set(ENCODERS):  # the others are not measured again
                run.before += read_results("benchmarks/bench_features").attrs["seconds"]
            run.write(with_others(rows))
            return
    for name in RATIO_TARGETS:
        if name in options.encoders:
            compare_with_loop(name, options.repeats)
    for name in options.encoders:
        # Without hardware for bfloat16 the largest two would take the better part of an hour.
        if options.device != "cpu" or name not in ("dinov2-g14", "sam-h"):
            cosine = in_a_process(half_precision, name, options.device)
            print(f"DIFFERENCE {name}_bfloat16_1-cosine {1 - cosine:.1e} target 1e-03", flush=True)
    few, many = (in_a_process(growth, "dinov2-s14", n) for n in (1500, 6000))
    print(f"  peak beyond input and output: {few:.0f} MB for 1500 images, {many:.0f} for 6000")
    print(f"MEMORY extraction_growth_mb {max(0.0, many - few):.1f} target {MEMORY_SLACK_MB}")


if __name__ == "__main__":
    main()
