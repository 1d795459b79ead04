"""Memory of an extraction with Ray: does it grow with the number of images?

Run with ``make bench``. Two extractions in parts of the same size, one with eight times the
images of the other, two workers each. The memory of a process is what it holds in RAM (resident
set size), looked at twice a second. ``--write`` keeps the table that the page "Scaling out" shows.
"""

import argparse
import sys
import tempfile
import threading
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from helpers.extract.ray_extract import extract_parts
from helpers.io.optional import optional
from helpers.io.results import Computation

SIDE, PART, WORKERS = 224, 64, 2
COUNTS = (300, 2400)
MOST = 1.1  # times the memory for eight times the images


def generate(folder, count):
    """Images of noise."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    for i in range(count):
        pixels = rng.integers(0, 256, (SIDE, SIDE), np.uint8)
        Image.fromarray(pixels).save(folder / f"scan{i:05d}.png")


class Watch(threading.Thread):
    """Largest memory of a worker, and of the process that starts the job [bytes]."""

    def __init__(self):
        super().__init__(daemon=True)
        self.worker, self.driver, self.over = 0, 0, threading.Event()

    def run(self):
        """Look until `over`."""
        while not self.over.wait(0.5):
            self.driver = max(self.driver, psutil.Process().memory_info().rss)
            for process in psutil.process_iter(["cmdline", "memory_info"]):
                if "MapWorker" in " ".join(process.info["cmdline"] or []):
                    self.worker = max(self.worker, process.info["memory_info"].rss)


def measure(folder, count):
    """A row of the table."""
    generate(folder / "scans", count)
    watch = Watch()
    watch.start()
    found = extract_parts(
        folder / "scans", folder / "out", workers=WORKERS, part_images=PART, progress=False
    )
    watch.over.set()
    watch.join()
    if not watch.worker:
        raise RuntimeError("no process of a worker was seen: what Ray calls it has changed")
    row = {"images": found["computed"], "parts": found["parts"], "workers": found["workers"]}
    row |= {"worker_mb": watch.worker / 1e6, "driver_mb": watch.driver / 1e6}
    print(row, flush=True)
    return row


def main():
    """Print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="keep the table in data/results")
    write = parser.parse_args().write
    with Computation(__file__, (), ("torch", "ray"), options="--write") as run:
        table = pd.DataFrame(measured())
        if write:
            run.write(table.round(1))
    memory = table[["worker_mb", "driver_mb"]]
    growth = memory.max() / memory.iloc[0]
    for name, ratio in growth.items():
        print(f"MEMORY {name.removesuffix('_mb')}_of_8_times_the_images {ratio:.3f} target {MOST}")


def measured():
    """A row for each of `COUNTS`."""
    ray = optional("ray", "ray")
    rows = []
    for count in COUNTS:
        with tempfile.TemporaryDirectory() as folder:
            ray.init(
                num_cpus=WORKERS,
                log_to_driver=False,
                include_dashboard=False,
                logging_level="ERROR",
            )
            rows.append(measure(Path(folder), count))
            ray.shutdown()
    return rows


if __name__ == "__main__":
    main()
