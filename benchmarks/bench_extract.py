"""From PNG files to a feature table: against the network alone, against a pipeline, and with Ray.

Run with ``make bench``. The micrographs are generated (two phases of a thresholded random field,
with noise), 512 x 512 pixels, as PNG on the disk. ``--write`` keeps the table that the
page "Scaling out" shows.

The network alone gets pixels that are decoded and resized already; it is timed in turn with the
whole, for the speed of a machine drifts. The pipeline is the ``image-feature-extraction`` of
transformers with the same weights and size of input, at the batch size that is faster for it, 1
or 8. As it comes it computes in the numbers of the file of weights, float16; it is also told to
take float32, as we do, and bfloat16, which pays where the processor has instructions for it. In
float32 there is a ceiling, measured here too as "products alone": matrix products with as many
multiplications as the images take, and nothing else. Ray gets a quarter of the images with one
and with two workers, a core each; starting the actors is timed apart, on two images, and taken
off.
"""

import argparse
import shutil
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image
from scipy import ndimage
from sklearn.metrics.pairwise import paired_cosine_distances
from torch.utils.flop_counter import FlopCounterMode

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from benchmarks.bench_two_point import timed
from helpers.encoders import load_encoder
from helpers.extract.feature_tables import extract_table, read_feature_table, write_feature_table
from helpers.images.read import read_image
from helpers.io.optional import optional
from helpers.io.results import Computation
from helpers.preprocessing import prepare
from helpers.vit.forward import DTYPES, choose_batch_size, choose_workers, forward_batches, n_cores
from helpers.vit.networks import attend_by_products
from helpers.vit.weights import weights_at_hand

INPUTS = ("encoders/microvit",)
SIDE, IMAGES = 512, 2000
COLUMNS = ("what", "workers", "images", "seconds", "start", "images_per_s", "part_images")
TOLERANCE = 1e-5
MOST_TURNED = 1e-3  # one minus the cosine between features in bfloat16 and in float32
QUARTERS = 4
PRODUCT = 1024  # side of the matrices that show how fast the machine multiplies
PART = 25  # images: 20 parts of a quarter, so that two workers end at about the same time
AS_IT_COMES = "as it comes"
PIPELINES = {dtype: f"pipeline of transformers, {dtype}" for dtype in (AS_IT_COMES, *DTYPES)}
SOME = 128  # images of the measurements that need no more: in memory, decoding, pipeline


def generate(folder, count):
    """Micrographs in `QUARTERS` folders: crops of one large field, each with noise of its own."""
    rng = np.random.default_rng(0)
    field = ndimage.gaussian_filter(rng.normal(size=(4 * SIDE, 4 * SIDE)), 6, mode="wrap")
    grey = np.where(field > 0.3 * field.std(), 170.0, 80.0)
    for i in range(count):
        y, x = rng.integers(0, 3 * SIDE, 2)
        pixels = grey[y : y + SIDE, x : x + SIDE] + rng.normal(0, 8, (SIDE, SIDE))
        target = folder / f"quarter{i % QUARTERS}"
        target.mkdir(exist_ok=True)
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(target / f"scan{i:05d}.png")


def in_memory(encoder, files):
    """Seconds that the network alone takes for images which are in memory, resized."""
    pixels = [prepare(file, encoder.name) for file in files]
    size = choose_batch_size(encoder, pixels[0].shape[1:])
    workers = choose_workers(encoder, pixels[0].shape[1:], size)
    batches = [pixels[i : i + size] for i in range(0, len(pixels), size)]
    seconds, _ = timed(list, forward_batches(encoder, np.stack, batches, workers=workers))
    return seconds


def end_to_end(folder, encoder, store, out):
    """Decode, preprocess, encode, store: what ``microprop extract`` does."""
    found = extract_table(folder, encoder, store=store, progress=False)
    write_feature_table(out, found)
    return found


def pipeline_seconds(files, batch_size, dtype):
    """Seconds of the pipeline of transformers."""
    from transformers import AutoModel, ViTImageProcessorPil, pipeline

    model = AutoModel.from_pretrained(weights_at_hand(load_encoder("microvit").entry))
    model = model if dtype == AS_IT_COMES else model.to(DTYPES[dtype])
    processor = ViTImageProcessorPil(size={"height": 224, "width": 224}, do_normalize=False)
    extractor = pipeline("image-feature-extraction", model=model, image_processor=processor)
    names = [str(file) for file in files]
    extractor(names[:2], pool=True)  # warm
    return timed(extractor, names, batch_size=batch_size, pool=True)[0]


def product_seconds(images):
    """Seconds of float32 matrix products with as many multiplications as `images` take."""
    encoder = load_encoder("microvit")
    attend_by_products(encoder.model)  # the counter does not know the fused attention
    with FlopCounterMode(display=False) as counted:
        encoder(torch.rand(1, 3, 224, 224))
    times = round(images * counted.get_total_flops() / (2 * PRODUCT**3) / n_cores())

    def multiply(_):
        a = torch.rand(PRODUCT, PRODUCT)
        for _ in range(times):
            torch.mm(a, a)

    with ThreadPoolExecutor(n_cores(), initializer=torch.set_num_threads, initargs=(1,)) as pool:
        return timed(list, pool.map(multiply, range(n_cores())))[0]


def with_ray(folder, few, out, workers):
    """Seconds of two images (starting the actors), and of all; the features."""
    from helpers.extract.ray_extract import extract_parts

    options = {"workers": workers, "progress": False}
    start, _ = timed(extract_parts, few, out / "few", part_images=1, **options)
    seconds, _ = timed(extract_parts, folder, out / "all", part_images=PART, **options)
    return start, seconds, read_feature_table(out / "all").features


def measure(folder, count):
    """Rows of the table, and what Ray and bfloat16 change in the features at most.

    Of Ray the largest relative difference, of bfloat16 one minus the smallest cosine.
    """
    ray = optional("ray", "ray")

    scans, few = folder / "scans", folder / "few"
    for target in (scans, few):
        target.mkdir()
    generate(scans, count)
    quarters = sorted(scans.iterdir())
    files = sorted(quarters[0].iterdir())
    for file in files[:2]:
        shutil.copy(file, few)
    encoder, some = load_encoder("microvit"), files[:SOME]
    rows, whole, plain = [], [], []

    def add(what, workers, images, seconds, start=0.0, part=None):
        rate = images / (seconds - start)
        row = (what, workers, images, seconds, start, rate, part)
        rows.append(dict(zip(COLUMNS, row, strict=True)))
        print(f"{what:36}{workers} workers  {rate:7.2f} images/s", flush=True)

    alone = [in_memory(encoder, some)]
    for quarter in quarters:  # in turn with the network alone: the speed of the machine drifts
        target = folder / "f.parquet"
        seconds, found = timed(end_to_end, quarter, encoder, folder / "store", target)
        whole.append(seconds)
        plain.append(found.features)
        alone.append(in_memory(encoder, some))
    add("network alone", n_cores(), len(some) * len(alone), sum(alone))
    add("one process", n_cores(), count, sum(whole))
    with ThreadPoolExecutor(n_cores()) as pool:
        seconds, _ = timed(lambda: list(pool.map(read_image, some)))
    add("decoding alone", n_cores(), len(some), seconds)
    half = load_encoder("microvit", dtype="bfloat16")
    seconds, found = timed(end_to_end, quarters[0], half, folder / "store", folder / "h.parquet")
    add("one process, bfloat16", n_cores(), len(files), seconds)
    turned = float(paired_cosine_distances(found.features, plain[0]).max())
    add("products alone", n_cores(), len(some), product_seconds(len(some)))
    for dtype, name in PIPELINES.items():
        seconds = min(pipeline_seconds(some, size, dtype) for size in (1, 8))
        add(name, n_cores(), len(some), seconds)
    worst = 0.0
    for workers in (1, 2):
        ray.init(
            num_cpus=workers, log_to_driver=False, include_dashboard=False, logging_level="ERROR"
        )
        start, seconds, found = with_ray(quarters[0], few, folder / f"ray{workers}", workers)
        add("Ray", workers, len(files), seconds, start, PART)
        worst = max(worst, np.abs(found - plain[0]).max() / np.abs(plain[0]).max())
        ray.shutdown()
    return pd.DataFrame(rows), worst, turned


def main():
    """Print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=IMAGES)
    parser.add_argument("--write", action="store_true", help="keep the table in data/results")
    arguments = parser.parse_args()
    libraries, options = ("torch", "transformers", "ray"), f"--images {arguments.images} --write"
    with Computation(__file__, INPUTS, libraries, options=options) as run:
        with tempfile.TemporaryDirectory() as folder:
            table, worst, turned = measure(Path(folder), arguments.images)
        if arguments.write:
            run.write(table.round(3))
    rate = table.groupby("what")["images_per_s"].max()
    full, half = rate["one process"], rate["one process, bfloat16"]
    like, like_half = rate[PIPELINES["float32"]], rate[PIPELINES["bfloat16"]]
    ratios = {
        "extract_of_network": (full / rate["network alone"], 0.9),
        "extract_over_pipeline_as_it_comes": (full / rate[PIPELINES[AS_IT_COMES]], 2.0),
        "extract_over_pipeline_in_float32": (full / like, 2.0),
        "bfloat16_over_pipeline_in_float32": (half / like, 2.0),
        "bfloat16_over_pipeline_in_bfloat16": (half / like_half, 1.0),
        "ray_2_over_one_process": (rate["Ray"] / full, 0.7),
    }
    for name, (ratio, target) in ratios.items():
        print(f"RATIO {name} {ratio:.3f} target {target}")
    print(f"DIFFERENCE ray_to_one_process {worst:.1e} target {TOLERANCE}")
    print(f"DIFFERENCE cosine_of_bfloat16 {turned:.1e} target {MOST_TURNED}")


if __name__ == "__main__":
    main()
