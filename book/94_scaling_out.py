# %% [markdown]
# # Scaling out
#
# Features of a few thousand micrographs take minutes on a laptop. A detector that runs for a week, or a
# wafer that is mapped tile by tile, leaves ten million. **What does it take to describe ten million tiles: how
# many machines, how long, at what price, and how much disk?**

# %% tags=["remove-cell"]
# Only away from a clone of the book: take the # off the two lines below,
# run the cell, and restart the kernel.
# # !git clone https://github.com/microprop/microprop-book
# # %pip install -e "./microprop-book[book]"

# %%
import sys
import warnings

import numpy as np
import pandas as pd
from IPython.display import Markdown, display
from sklearn.metrics.pairwise import paired_cosine_distances

from helpers.datasets import DATA, badge
from helpers.extract.feature_tables import extract_table
from helpers.extract.plots import plot_scaling
from helpers.extract.ray_extract import PART_IMAGES
from helpers.images.pixel_size import PixelSizeWarning
from helpers.io.results import read_results

# %% tags=["parameters"]
n_tiles = 10_000_000
cores_per_node = 32
price_per_core_hour = 0.05

# %% tags=["remove-input"]
badge(
    "Synthetic data", "MicroViT", note="Rates are of one machine; the table names it and the date."
)

# %% [markdown]
# ## One command, several workers
#
# ```shell
# pip install "microprop[ray]"                    # where microprop is installed
# microprop extract scans/ --out features/ --engine ray
# microprop extract s3://bucket/scans --out features_of_bucket/ --engine ray --workers 64
# microprop fit features/ alloys.xlsx --property hardness --groups source --out model/
# microprop predict model/ features/ --out predictions.csv
# ```
#
# Ray is a library that starts processes on one machine or on many and hands work to them. Its module
# [Ray Data](https://docs.ray.io/en/latest/data/data.html) does so for long lists. Here the list is cut into
# *parts* of 1024 images. A *worker* is a process that holds the network: one on each GPU where there are any,
# otherwise one on each core. It reads the images of a part, computes their features and writes one
# parquet file, whole or not at all. That file is the only thing that has to survive:
#
# - A worker that is killed costs the part that it was at. Ray starts another one, which computes that part.
# - A job that was stopped goes on when the same command is given again: parts that are there stay.
# - Parts of two runs are never mixed. If the folder holds parts of other images, of another encoder, or with
#   other options or another size of the parts, the command stops and says so. One image added means a new folder.
# - A worker holds one part at a time, whatever the number of images. Fewer than 1024 images are one part, and
#   then only one worker runs. From Python `helpers.extract.ray_extract.extract_parts` takes another `part_images`.
# - The features are those of one process: same code, same batches.
#
# The folder of parts is a feature table like any other: `fit`, `predict` and `report` accept it in place of a file.
# `predict` has no `--engine`: extract first, then predict from the folder. These commands read all features into
# memory. Without `--engine ray` nothing of Ray is imported.
#
# ## Where the images may be, and on which machines
#
# Images may be in an object store (`s3://`, `gs://`, whatever
# [fsspec](https://filesystem-spec.readthedocs.io) opens). That needs one more package, which the extra `ray` does not
# bring: `pip install s3fs` for `s3://`, `pip install gcsfs` for `gs://`. `s3://` was tried with two workers on a local S3
# server (moto), and the features were equal to those of the same files on the disk. No store of a provider was tried.
#
# A cluster is a set of machines, its nodes. Start Ray on each and name the first in the environment
# variable [`RAY_ADDRESS`](https://docs.ray.io/en/latest/ray-core/starting-ray.html); nothing else changes:
#
# ```shell
# ray start --head                                # on the first node; it prints its address
# ray start --address=192.0.2.1:6379              # on every other node, with that address
# export RAY_ADDRESS=192.0.2.1:6379               # where you give the command, on one of the nodes
# microprop extract /shared/scans --out /shared/features --engine ray
# ```
#
# All nodes must see the images and the output folder under the same path, and need this package with the extra `ray`,
# and the weights. No cluster was measured for this page.
#
# The process that starts the job holds the list of all images: as a table, and once more cut into parts.

# %% tags=["remove-input"]
sample = [f"tile-{i:08d}" for i in range(100_000)]
listed = pd.DataFrame(
    {"image": [f"/shared/scans/{name}.png" for name in sample], "sample": sample}
)
listed["stamp"] = [f"262144 {10**18 + i}" for i in range(len(sample))]  # size and time of the file
parts = sum(sys.getsizeof(text) for text in [*listed["image"], *listed["sample"]])
each = (listed.memory_usage(deep=True).sum() + parts) / len(listed)
display(
    Markdown(
        f"With paths such as `{listed['image'][0]}` that is {each:.0f} bytes an image, so "
        f"{n_tiles * each / 1e9:.1f} GB for {n_tiles / 1e6:.0f} million. Ray and the building of the list "
        "need more for a while: reserve twice as much."
    )
)

# %% [markdown]
# ## What was measured

# %% tags=["remove-input"]
table = read_results("benchmarks/bench_extract")
facts = table.attrs
versions = " ".join(f"{k} {v}" for k, v in facts["versions"].items())
rate = table.groupby(["what", "workers"])["images_per_s"].first()
network = rate["network alone"].iloc[0]
one = rate["one process"].iloc[0]
as_it_comes, pipeline, half_pipeline = (
    rate[f"pipeline of transformers, {kind}"].iloc[0]
    for kind in ("as it comes", "float32", "bfloat16")
)
most = rate["products alone"].iloc[0]
display(
    Markdown(
        f"Generated micrographs of 512 x 512 pixels as PNG files, MicroViT, on {facts['hardware']} "
        f"({facts['processor']}), {facts['date']}, {versions}. "
        f"`{facts['command']}` measures again. The column *images* says how many each rate rests on. "
        "*Network alone*: images in memory, resized already, the same several times. "
        "*Products alone*: matrix products of float32 with as many multiplications as the images take, "
        "and nothing else. "
        "*Pipeline*: `image-feature-extraction` of transformers with the same weights; as it comes it "
        "computes in float16, the numbers of the file of weights. "
        "*start*: seconds until Ray has done the first two images; they are taken off."
    )
)

# %% tags=["remove-input"]
table[["what", "workers", "images", "seconds", "start", "images_per_s"]].style.format(
    {"seconds": "{:.1f}", "start": "{:.1f}", "images_per_s": "{:.1f}"}
).hide()

# %% tags=["remove-input"]
ray = rate["Ray"]
gain = ray[2] / one
told = (
    "So Ray brings nothing on one machine; it is for several."
    if gain <= 1
    else "So Ray is worth it on one machine, too."
)
display(
    Markdown(
        f"From files to the stored table one process reaches {100 * one / network:.0f} % of the rate "
        f"of the network alone, {one / as_it_comes:.1f} times that of the pipeline as it comes, and "
        f"{one / pipeline:.1f} times that of the pipeline in float32. In float32 no more than "
        f"{most / pipeline:.1f} times can be had on this machine: so fast are the matrix products alone. "
        f"Decoding alone would run at {rate['decoding alone'].iloc[0]:.0f} images a second. Two workers of Ray are "
        f"{ray[2] / ray[1]:.2f} times as fast as one, and {gain:.2f} times as fast as the one process, "
        f"which uses both cores as well. {told}"
    )
)

# %% tags=["remove-input"]
measured = table[(table["what"] == "Ray") & (table["workers"] == 2)].iloc[0]
per_core = ray[2] / 2
display(
    Markdown(
        f"The plan below rests on a short run: {measured['images']} images in "
        f"{measured['seconds'] - measured['start']:.0f} seconds, in parts of {measured['part_images']:.0f} so that both workers "
        f"had several. With parts of {PART_IMAGES} a core is at one for {PART_IMAGES / per_core / 60:.1f} "
        "minutes. That is also how long the others may wait for the last one."
    )
)

# %% tags=["remove-input"]
memory = read_results("benchmarks/bench_ray_memory")
few, many = memory.iloc[0], memory.iloc[-1]
display(
    Markdown(
        f"Memory hardly depends on the number of images: a worker held at most {few['worker_mb']:.0f} MB for "
        f"{few['images']:.0f} images and {many['worker_mb']:.0f} MB for {many['images']:.0f}, the process that "
        f"started the job {few['driver_mb']:.0f} and {many['driver_mb']:.0f} MB (`{memory.attrs['command']}`)."
    )
)

# %% mystnb={"figure": {"caption": "Rates measured on one machine, and a projection at the mean rate of its cores, which nobody has measured."}, "image": {"alt": "Images a second over workers: two measured points and a dashed projection to 64 workers."}} tags=["hide-input"]
plot_scaling(table)

# %% tags=["remove-input"]
second = ray[2] - ray[1]
slower = (
    f" If every core brought no more than the second, hours and price below would be "
    f"{per_core / second:.1f} times as high."
    if 0 < second < per_core
    else ""
)
display(
    Markdown(
        f"The dashed line and the plan assume that every core brings the mean of the two measured, "
        f"{per_core:.1f} images a second. The first brought {ray[1]:.1f}, the second added {second:.1f}.{slower}"
    )
)

# %% [markdown]
# Two more things can slow it down, and neither was measured here: storage that cannot deliver the images, and cores
# that share memory channels. Before you order machines, run one node with 1, 2, 4, ... workers on some thousand tiles
# of your own and put your numbers in.

# %% [markdown]
# ## Half the bits
#
# `microprop extract --dtype bfloat16` computes in numbers of 16 bits. It pays where the processor has instructions for
# them. The default stays float32 on a CPU (on a GPU it is bfloat16). `predict` computes new images as the model's
# were. What it changes in the features of some embedded micrographs:

# %% tags=["hide-input"]
firsts = str(DATA / "superalloys" / "*-01.jpg")  # one micrograph of each source
with warnings.catch_warnings():
    warnings.simplefilter("ignore", PixelSizeWarning)  # their sizes differ, which matters not here
    full, half = (
        extract_table(firsts, dtype=dtype, store=False, progress=False).features
        for dtype in ("float32", "bfloat16")
    )
turned = paired_cosine_distances(full, half).max()
moved = np.linalg.norm(full - half, axis=1) / np.linalg.norm(full, axis=1)
display(
    Markdown(
        f"{len(full)} micrographs: the cosine distance between the two kinds of features is at most "
        f"{turned:.0e}, their difference at most {100 * moved.max():.1g} % of the length of the features."
    )
)

# %% tags=["remove-input"]
fast = rate["one process, bfloat16"].iloc[0]
display(
    Markdown(
        f"On this processor `--dtype bfloat16` reaches {fast / one:.1f} times the rate of float32, "
        f"{fast / pipeline:.1f} times that of the pipeline in float32, and {fast / half_pipeline:.1f} times "
        "that of the pipeline in bfloat16."
    )
)

# %% [markdown]
# ## A plan for ten million tiles

# %% tags=["hide-input"]
hours = n_tiles / per_core / 3600
image_mb = 512 * 512 / 1e6  # 8-bit grey, not compressed
nodes = np.array([1, 4, 16])
plan = pd.DataFrame(
    {
        "nodes": nodes,
        "cores": nodes * cores_per_node,
        "hours": hours / (nodes * cores_per_node),
        "images to read [MB/s]": nodes * cores_per_node * per_core * image_mb,
        "price [your currency]": hours * price_per_core_hour,
    }
)
plan.style.format(
    {"hours": "{:.1f}", "images to read [MB/s]": "{:.0f}", "price [your currency]": "{:.0f}"}
).hide()

# %% tags=["remove-input"]
display(
    Markdown(
        f"**Projection, not measured.** {n_tiles / 1e6:.0f} million tiles at {per_core:.1f} "
        f"images a second and core, in float32, are {hours:,.0f} core hours. At "
        f"{price_per_core_hour} a core hour in your currency (an assumption; put in your own) that costs "
        f"{hours * price_per_core_hour:,.0f}, however many machines share the work. "
        f"On the disk: {n_tiles * 192 * 4 / 1e9:.1f} GB of features (192 numbers of 4 bytes a tile), "
        f"and at most {n_tiles * image_mb / 1e3:,.0f} GB of images of 512 x 512 pixels (8-bit grey, not "
        "compressed). `fit` and `predict` need more memory than those features take."
    )
)

# %% [markdown]
# The price does not depend on the number of nodes as long as they are kept busy, so take as many as the storage can
# feed. The column *images to read* is what it has to deliver. Larger networks change the scale and not the plan: the rates of all encoders
# are in [Features from vision transformers](20_features.ipynb). Whether a GPU pays depends on the network; none was measured for this page.
#
# ## Try it
#
# - Set `cores_per_node` and `price_per_core_hour` to those of your machines.
# - Run `python benchmarks/bench_extract.py --images 200` and replace the rate.
