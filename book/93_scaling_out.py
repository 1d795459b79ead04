# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Scaling out
#
# Features of a few thousand micrographs take minutes on a laptop. A detector that runs for a week, or a
# wafer that is mapped tile by tile, leaves ten million. **What does it take to describe ten million tiles: how
# many machines, how long, at what price, and how much disk?**

# %%
import numpy as np
import pandas as pd
from IPython.display import Markdown, display

from helpers.datasets import DATA
from helpers.plots_scaling import plot_scaling

# %% tags=["parameters"]
n_tiles = 10_000_000
cores_per_node = 32
price_per_core_hour = 0.05

# %% [markdown]
# ## One command, several workers
#
# ```shell
# pip install -e ".[ray]"
# microprop extract scans/ --out features/ --engine ray
# microprop extract s3://bucket/scans --out features/ --engine ray --workers 64
# microprop fit features/ alloys.xlsx --property hardness --groups source --out model/
# ```
#
# Ray Data hands the images out in parts of 1024. A worker is a process that holds the network: one on each GPU
# where there are any, otherwise one on each core. It reads the images of a part, computes their features and writes one
# parquet file, whole or not at all. That file is the only thing that has to survive:
#
# - A worker that is killed costs the part that it was at. Ray starts another one, which computes that part.
# - A job that was stopped goes on when the same command is given again: parts that are there stay. Their
#   names change with the images, the encoder and the options, so parts of two studies are never mixed.
# - A worker holds one part at a time, whatever the number of images.
# - The features are those of one process: same code, same batches.
#
# The folder of parts is a feature table like any other. The list of the images is held by the process that
# starts the job, about a gigabyte for ten million. Images may lie in an object store (`s3://`, `gs://`, whatever
# [fsspec](https://filesystem-spec.readthedocs.io) opens); the output folder must be one that all machines see. On a
# cluster, start Ray there and set `RAY_ADDRESS`; nothing else changes. Without `--engine ray` nothing of
# this is imported.

# %% [markdown]
# ## What was measured

# %% tags=["hide-input"]
table = pd.read_csv(DATA / "results_scaling.csv")
facts = table.iloc[0]
rate = table.groupby(["what", "workers"])["images_per_s"].first()
network = rate["network alone"].iloc[0]
one = rate["one process"].iloc[0]
display(
    Markdown(
        f"{table['images'].max()} generated micrographs of 512 x 512 pixels as PNG files, MicroViT, "
        f"on {facts['hardware']} ({facts['processor']}), {facts['date']}, {facts['versions']}. "
        f"`{facts['command']}` measures again. *Network alone*: images in memory, resized already. "
        "*Pipeline*: `image-feature-extraction` of transformers with the same weights."
    )
)
table[["what", "workers", "images", "seconds", "start", "images_per_s"]].style.format(
    {"seconds": "{:.1f}", "start": "{:.1f}", "images_per_s": "{:.1f}"}
).hide()

# %% tags=["hide-input"]
ray = rate["Ray"]
display(
    Markdown(
        f"From files to the stored table one process reaches {100 * one / network:.0f} % of the rate "
        f"of the network alone, and {one / rate['pipeline of transformers'].iloc[0]:.1f} times that of "
        f"the pipeline. Decoding alone would run at {rate['decoding alone'].iloc[0]:.0f} images a "
        f"second. Two workers of Ray are {ray[2] / ray[1]:.2f} times as fast as one, "
        f"and reach {100 * ray[2] / one:.0f} % of the one process that uses both cores (100 % or less: on one "
        f"machine Ray gains nothing). `start` are the seconds until the first images were done; they are taken off."
    )
)

# %% mystnb={"figure": {"caption": "Measured rates on one machine of two cores, and their straight continuation, which nobody has measured."}, "image": {"alt": "Images a second over workers: two measured points and a dashed projection to 64 workers."}} tags=["hide-input"]
plot_scaling(table)

# %% [markdown]
# The dashed line assumes that each further core brings as much as the second one did. Two things can stop it, and
# neither was measured here: storage that cannot deliver the images, and cores that share memory channels. Before you
# order machines, run one node with 1, 2, 4, ... workers on some thousand tiles of your own and put your numbers in.

# %% [markdown]
# ## A plan for ten million tiles

# %% tags=["hide-input"]
hours = n_tiles / (ray[2] / 2) / 3600
image_mb = 512 * 512 / 1e6  # 8-bit grey, not compressed
nodes = np.array([1, 4, 16])
plan = pd.DataFrame(
    {
        "nodes": nodes,
        "cores": nodes * cores_per_node,
        "hours": hours / (nodes * cores_per_node),
        "images to read [MB/s]": nodes * cores_per_node * ray[2] / 2 * image_mb,
        "price": hours * price_per_core_hour,
    }
)
plan.style.format({"hours": "{:.1f}", "images to read [MB/s]": "{:.0f}", "price": "{:.0f}"}).hide()

# %% tags=["hide-input"]
display(
    Markdown(
        f"**Projection, not measured.** {n_tiles / 1e6:.0f} million tiles at {ray[2] / 2:.1f} "
        f"images a second and core are {hours:,.0f} core hours; at {price_per_core_hour} a core "
        f"hour (an assumption; put in your own) that costs {hours * price_per_core_hour:,.0f}, however "
        "many machines share the work. "
        f"On the disk: {n_tiles * 192 * 4 / 1e9:.1f} GB of features (192 numbers of 4 bytes a tile), "
        f"and at most {n_tiles * image_mb / 1e3:,.0f} GB of images of 512 x 512 pixels (8-bit grey, not compressed)."
    )
)

# %% [markdown]
# The price does not depend on the number of nodes as long as they are kept busy, so take as many as the storage can
# feed: the fifth column is what it has to deliver. Larger networks change the scale and not the plan: the rates of all encoders
# are in {doc}`30_features`. A GPU is worth it from the middle-sized ones on; no GPU was measured for this page.
#
# ## Try it
#
# - Set `cores_per_node` and `price_per_core_hour` to those of your machines.
# - Run `python benchmarks/bench_extract.py --images 200` and replace the rate.
