"""The FFT solver side by side with muSpectre: same volumes, same moduli, seconds, memory.

Run with ``make bench``. Both use one thread and one load case for each Young's modulus, and the
same discretisation. Their tolerances mean different things (ours bounds the relative error of
the energy, muSpectre's is relative to the norm of its residual), so muSpectre is timed twice: at
the same number, and at the loosest tolerance that is still as accurate as ours.
"""

import argparse
import os
import statistics
import sys
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"  # before numpy and torch start their threads

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from benchmarks.bench_two_point import in_a_process, resident_peak, timed
from helpers.io.optional import PackageError, optional
from helpers.synthetic.elastic_fields import solve_load_case
from helpers.synthetic.homogenization import youngs_modulus
from helpers.synthetic.volumes import two_phase_volume

TARGET_RATIO = 3
TOLERANCE = 1e-4
LOOSER = (1e-1, 3e-2, 1e-2, 3e-3, 1e-3)


def median_time(function, volumes):
    """Median seconds a volume, and the moduli."""
    times, moduli = zip(*(timed(function, volume) for volume in volumes), strict=True)
    return statistics.median(times), np.array(moduli)


def ours(dtype):
    return lambda v: youngs_modulus(v[None], tolerance=TOLERANCE, dtype=dtype, device="cpu")[0]


def compare_with_muspectre(n_volumes):
    """Print moduli per second and errors of both."""
    try:
        optional("muSpectre", "bench")
    except PackageError as error:
        sys.exit(str(error))
    from benchmarks.muspectre_peer import youngs_modulus as peer

    volumes = [two_phase_volume(seed=1, index=i).volume for i in range(n_volumes)]
    exact = youngs_modulus(np.stack(volumes), tolerance=1e-10, dtype=torch.float64, device="cpu")

    def error(moduli):
        return np.abs(moduli / exact - 1).max()

    median_time(ours(torch.float32), volumes[:2])  # first calls allocate and plan
    single, moduli = median_time(ours(torch.float32), volumes)
    rows = [("this book, float32", TOLERANCE, single, error(moduli))]
    double, moduli = median_time(ours(torch.float64), volumes)
    rows.append(("this book, float64", TOLERANCE, double, error(moduli)))
    same, moduli = median_time(lambda v: peer(v, TOLERANCE), volumes)
    rows.append(("muSpectre, float64", TOLERANCE, same, error(moduli)))
    loose = same
    for tolerance in LOOSER:
        median, moduli = median_time(lambda v, t=tolerance: peer(v, t), volumes)
        if error(moduli) <= rows[0][3]:
            loose = median
            rows.append(("muSpectre, float64", tolerance, median, error(moduli)))
            break
    print(f"  {n_volumes} volumes of 51^3, contrast 50, one thread each")
    for name, tolerance, median, worst in rows:
        print(f"  {name}: tolerance {tolerance:.0e}, {median:.2f} s, largest error {worst:.1e}")
    print(f"RATIO solver_vs_muspectre_same_tolerance {same / single:.1f} target {TARGET_RATIO}")
    print(f"RATIO solver_float64_vs_muspectre {same / double:.1f} target {TARGET_RATIO}")
    print(f"RATIO solver_vs_muspectre_same_error {loose / single:.1f} target {TARGET_RATIO}")


def one_size(side):
    """Line with the seconds and the peak memory of a load case at one size, `in_a_process`."""
    torch.set_num_threads(1)
    load = {"mean_strain": [1, 0, 0, 0, 0, 0], "free": [1, 2, 3, 4, 5], "device": "cpu"}
    block = np.zeros((1, side, side, side), dtype=np.uint8)
    block[:, : side // 2, : side // 2] = 1
    before = resident_peak()
    solve_load_case(block, **load, max_iterations=3)  # every iteration needs the same memory
    peak = (resident_peak() - before) / 2**20
    volume = two_phase_volume(seed=1, index=0, size=side).volume[None]
    took, case = timed(solve_load_case, volume, **load)
    steps = int(case.iterations[0])
    return f"  {side}^3: {took:.2f} s a load case, {steps} iterations, {peak:.0f} MB"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--volumes", type=int, default=8)
    options = parser.parse_args()
    torch.set_num_threads(1)
    compare_with_muspectre(options.volumes)
    print("  float32, one thread, peak memory beyond start:")
    for side in (31, 51, 101):
        print(in_a_process(one_size, side))


if __name__ == "__main__":
    main()
