"""Two-point statistics side by side with PyMKS: same numbers, time, peak memory.

Run with ``make bench``, or ``python benchmarks/bench_two_point.py`` where PyMKS is
installed. Both compute the periodic autocorrelation of the same 17 700 sections of
51 x 51 pixels (case study 1 has three for each of 5900 volumes) with the same number
of threads and return float64. PyMKS gets Dask arrays in chunks, the way its
documentation asks for parallel runs; chunks of 100 sections were its fastest of 50,
100, 250, 1000 and 2000 on the machine where this was written.
"""

import argparse
import os
import statistics
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from helpers.io.optional import PackageError, optional
from helpers.two_point import two_point_statistics

TARGET_RATIO = 8
TOLERANCE = 1e-6
# Scratch memory of a few batches and threads, whatever the number of sections.
MEMORY_SLACK_MB = 32
PYMKS_CHUNK = 100
# Repeats before the clock counts: on a virtual machine memory is slow when first touched.
WARM_UP = 2
SIDE = 51


def random_sections(n, seed=0):
    """Periodic two-phase sections (n, 51, 51) uint8 of mixed feature size and fraction."""
    rng = np.random.default_rng(seed)
    sections = np.empty((n, SIDE, SIDE), np.uint8)
    for rows in np.array_split(np.arange(n), 30):
        sigma = rng.uniform(0.6, 6.0, size=2)
        noise = rng.standard_normal((len(rows), SIDE, SIDE), dtype=np.float32)
        field = gaussian_filter(noise, (0, *sigma), mode="wrap").reshape(len(rows), -1)
        field /= field.std(axis=1, keepdims=True)
        level = rng.uniform(-1.5, 1.5, size=(len(rows), 1))
        sections[rows] = (field > level).reshape(-1, SIDE, SIDE)
    return sections


def timed(function, *arguments, **options):
    """Wall time of a call, and its result."""
    start = time.perf_counter()
    result = function(*arguments, **options)
    return time.perf_counter() - start, result


def in_a_process(function, *arguments):
    """Result of a call in a fresh process, for a peak of memory is one of a whole process."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def compare_with_pymks(n, repeats, threads):
    """Print times and differences of alternating runs."""
    try:
        pymks, da = optional("pymks", "bench"), optional("dask.array", "bench")
    except PackageError as error:
        sys.exit(str(error))
    sections = random_sections(n)

    def ours():
        return two_point_statistics(sections, workers=threads)

    def theirs():
        chunked = da.from_array(sections, chunks=(PYMKS_CHUNK, SIDE, SIDE))
        return pymks.two_point_stats(chunked, chunked).compute(
            scheduler="threads", num_workers=threads
        )

    print(f"{n} sections of {SIDE} x {SIDE}, {threads} threads each, PyMKS {pymks.__version__}")
    times = {"ours": [], "PyMKS": []}
    for repeat in range(-WARM_UP, repeats):
        our_time, our_maps = timed(ours)
        their_time, their_maps = timed(theirs)
        if repeat == -WARM_UP:
            # Section by section: a difference of the whole arrays would double the memory.
            difference = max(
                np.abs(x - y).max() for x, y in zip(our_maps, their_maps, strict=True)
            )
        if repeat < 0:
            continue
        times["ours"].append(our_time)
        times["PyMKS"].append(their_time)
        del our_maps, their_maps
    for name, values in times.items():
        runs = ", ".join(f"{value:.2f}" for value in values)
        print(f"  {name:6s} median {statistics.median(values):.2f} s of ({runs})")
    ratio = statistics.median(times["PyMKS"]) / statistics.median(times["ours"])
    fastest = min(times["PyMKS"]) / min(times["ours"])
    print(f"  ratio of the fastest runs (least disturbed by other work): {fastest:.1f}")
    print(f"DIFFERENCE two_point_vs_pymks {difference:.2e} target {TOLERANCE:.0e}")
    print(f"RATIO two_point_vs_pymks {ratio:.1f} target {TARGET_RATIO}")


def resident_peak():
    """Highest resident memory of this process so far, in bytes."""
    if sys.platform == "linux":
        # ru_maxrss of a child starts at the memory of its parent; VmHWM does not.
        status = Path("/proc/self/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) * 1024
    import resource  # not on Windows

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def peak_memory(n, threads):
    """Peak memory in MB of one call beyond its input and its output, `in_a_process`."""
    sections = np.zeros((n, SIDE, SIDE), np.uint8)
    sections[:, ::2] = 1  # touches every page, so that the input is resident
    two_point_statistics(sections[:1], workers=threads)  # loads what loads lazily
    before = resident_peak()
    maps = two_point_statistics(sections, workers=threads)
    return (resident_peak() - before - maps.nbytes) / 2**20


def compare_memory(counts, threads):
    """Print the peak memory for each number of sections, each in a fresh process."""
    peaks = [in_a_process(peak_memory, n, threads) for n in counts]
    for n, peak in zip(counts, peaks, strict=True):
        output = n * SIDE * SIDE * 8 / 2**20
        print(f"  {n} sections: output {output:.0f} MB, {peak:.1f} MB beyond input and output")
    growth = max(peaks) - min(peaks)
    print(f"MEMORY two_point_growth_mb {growth:.1f} target {MEMORY_SLACK_MB}")


def main():
    """Run the whole comparison."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sections", type=int, default=17_700)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--threads", type=int, default=min(os.cpu_count() or 1, 8))
    options = parser.parse_args()
    compare_with_pymks(options.sections, options.repeats, options.threads)
    compare_memory((17_700, 50_000), options.threads)


if __name__ == "__main__":
    main()
