# %% [markdown]
# # Scaling out
#
# **When is one machine enough for your micrographs, and what do several take?** After this page you
# can say how long a number of images will take and how much disk it needs, start the extraction
# on one machine or on many with Ray, and know what was measured and what was not. Five minutes to
# read, half a minute to run.

# %% tags=["remove-cell"]
# Only away from a clone of the book: take the # off the two lines below,
# run the cell, and restart the kernel.
# # !git clone https://github.com/microprop/microprop-book
# # %pip install -e "./microprop-book[book]"

# %%
import warnings

import numpy as np
import pandas as pd
import seaborn as sns
from sklearn.metrics.pairwise import paired_cosine_distances

from helpers import plots
from helpers.datasets import DATA, badge
from helpers.extract.feature_tables import extract_table
from helpers.images.pixel_size import PixelSizeWarning
from helpers.io.results import read_results

# %% tags=["parameters"]
n_tiles = 10_000_000
cores = 32  # of one machine of yours
price = 0.05  # of a core hour, in your currency

# %% tags=["remove-input"]
badge("Synthetic data", "MicroViT", note="Rates were measured on one machine.")

# %% [markdown]
# ## How long on one machine?
#
# The book's own rates, in images a second: generated micrographs of 512 x 512 pixels in PNG files,
# MicroViT, two cores without a GPU, in the figure below. `python -m benchmarks.bench_extract`
# measures them again, on your machine.

# %%
table = read_results("benchmarks/bench_extract")
print(table.attrs["hardware"], table.attrs["date"])
rate = table.set_index(["what", "workers"])["images_per_s"]
print(f"decoding alone: {rate['decoding alone', 2]:.0f} a second")

# %% mystnb={"figure": {"caption": "Rates that were measured on two cores. Light: in 16 bits.", "name": "fig-scaling-rates"}, "image": {"alt": "Six bars ordered by rate, from one process in bfloat16 down to Ray with one worker. One process and the network alone lie close together; Ray with two workers is a little below, the pipeline of transformers lower, Ray with one worker at about half."}} tags=["hide-input"]
pipeline = "pipeline of transformers, float32"
wanted = ["one process", "one process, bfloat16", "Ray"]
wanted += ["network alone", pipeline]
bars = table[table["what"].isin(wanted)].copy()
one_worker = bars["workers"] == 1
bars.loc[one_worker, "what"] += ", one worker"
bars["half"] = bars["what"].str.contains("bfloat16")
bars = bars.sort_values("images_per_s", ascending=False)
figure, ((ax,),) = plots.panels(height=3)
look = {"hue": "half", "palette": ["C0", "C4"], "legend": False}
sns.barplot(bars, x="images_per_s", y="what", **look, ax=ax)
ax.set(xlabel="images a second", ylabel="")
figure

# %% [markdown]
# *Network alone* has its images in memory; *one process* reads the files and stores the features.
# The two are close: reading does not hold the network up. *Pipeline* is
# `image-feature-extraction` of transformers with the same weights and numbers of 32 bits.
#
# How many hours is that for a hundred thousand tiles, and for ten million?

# %%
one = rate["one process", 2]
for images in (10_000, 100_000, 1_000_000, n_tiles):
    print(f"{images:10,} images: {images / one / 3600:7.1f} h")

# %% [markdown]
# A hundred thousand images are done over lunch. One machine is enough, with one command:
#
# ```shell
# microprop extract scans/ --out features.parquet
# ```
#
# A larger network changes the rate and not the plan: the rates of all encoders are in
# [Features from vision transformers](20_features.ipynb). A GPU may change more; none was measured
# for this page.
#
# ## First halve the bits
#
# `--dtype bfloat16` computes in numbers of 16 bits. It pays where the processor has instructions
# for them, and costs one word. How far does it move the features of one micrograph of each source?

# %%
firsts = str(DATA / "superalloys" / "*-01.jpg")
options = {"store": False, "progress": False}
with warnings.catch_warnings():
    # their sizes differ, which does not matter here
    warnings.simplefilter("ignore", PixelSizeWarning)
    full = extract_table(firsts, dtype="float32", **options)
    half = extract_table(firsts, dtype="bfloat16", **options)
moved = paired_cosine_distances(full.features, half.features)
faster = rate["one process, bfloat16", 2] / one
print(f"largest cosine distance: {moved.max():.0e}")
print(f"times as fast on that machine: {faster:.1f}")

# %% [markdown]
# ## Then several workers
#
# Ray is a library that starts processes, on one machine or on many, and hands work to them. Its
# module [Ray Data](https://docs.ray.io/en/latest/data/data.html) does so for long lists.
#
# ```shell
# pip install "microprop[ray]"
# microprop extract scans/ --out features/ --engine ray
# microprop fit features/ alloys.xlsx --property hardness \
#     --groups source --out model/
# microprop predict model/ features/ --out predictions.csv
# ```
#
# The list of images is cut into *parts* of 1024. A *worker* is a process that holds the network:
# one on each GPU, or one on each core where there is none. It computes a part and writes it into
# the folder as one parquet file, whole or not at all. So a worker that is killed costs one part, and
# a job that was stopped goes on when the same command is given again. A folder holds the parts of
# one run: with other images or options the command stops and says so. `fit`, `predict` and `report`
# take the folder as a table, and read it into memory.
#
# What does Ray cost? On two cores, against the one process that uses both of them:

# %%
ray = table[table["what"] == "Ray"].set_index("workers")
two, single = rate["Ray", 2], rate["Ray", 1]
print(f"two workers / one process: {two / one:.2f}")
print(f"two workers / one worker: {two / single:.2f}")
print(f"seconds to start: {ray.loc[2, 'start']:.0f}")
read_results("benchmarks/bench_ray_memory")

# %% [markdown]
# Memory, in MB of a worker and of the process that started the job (the *driver*), hardly grows
# with the number of images. On one machine Ray brings nothing. It is for several.
#
# ## On a cluster
#
# Start Ray on each machine, name the first in
# [`RAY_ADDRESS`](https://docs.ray.io/en/latest/ray-core/starting-ray.html), and give the same
# command:
#
# ```shell
# ray start --head                          # first machine
# ray start --address=192.0.2.1:6379        # all others
# export RAY_ADDRESS=192.0.2.1:6379
# microprop extract /shared/scans --out /shared/features \
#     --engine ray
# ```
#
# All machines need this package with the extra `ray` and the weights, and must see images and
# output under the same path. Images may lie in a store (`s3://`, `gs://`); that takes `pip install
# s3fs` or `gcsfs`. `s3://` was tried with two workers on a local server, a store of a provider was
# not, and no cluster was measured for this page.
#
# ## A plan
#
# Before you order machines: how many hours, how much reading, at what price? The plan below takes
# the mean rate of the two cores for every core, which is a projection that nobody measured.

# %%
per_core = two / 2
core_hours = n_tiles / per_core / 3600
image = 512 * 512 / 1e6  # MB, 8-bit grey, not compressed
machines = np.array([1, 4, 16])
plan = pd.DataFrame({"machines": machines})
plan["hours"] = core_hours / (machines * cores)
plan["MB/s to read"] = machines * cores * per_core * image
plan["price"] = core_hours * price
features = n_tiles * 192 * 4 / 1e9
pixels = n_tiles * image / 1e3
print(f"features {features:.1f} GB, images {pixels:.0f} GB")
plan.round(1)

# %% [markdown]
# The price does not depend on the number of machines as long as they are kept busy: take as many as
# the storage can feed. Two things may slow them, slow storage and cores that share memory, and the
# second core already brought a little less than the first. Run one machine with 1, 2, 4 and more
# workers on some thousand tiles of your own, and put your rate in.
#
# ## What we saw
#
# 1. **One machine is enough for a hundred thousand images:** two cores take less than two hours.
# 2. **Fewer bits come before more machines:** bfloat16 about doubles the rate of this processor, and
#    hardly moves the features.
# 3. **Ray brings nothing on one machine,** where one process already uses all cores. What it brings
#    on several was not measured here.
#
# *Checked*: if one of these no longer held, the next cell would fail, and somebody would rewrite it.

# %% tags=["checked"]
assert 1 < 100_000 / one / 3600 < 2  # 1
assert one > 0.85 * rate["network alone", 2]  # 1, reading is no burden
assert 1.8 < faster < 2.6  # 2
assert 0 < moved.max() < 1e-3  # 2
assert 0.8 < two / one <= 1  # 3

# %% [markdown]
# ## Exercises
#
# 1. Two workers gave less than twice the rate of one. If every further core brought only as much as
#    the second, how many hours would one machine take?
# 2. From how many images on is the start of Ray less than a hundredth of its time, with two workers?
# 3. Run `python -m benchmarks.bench_extract --images 200` and put your rates into the plan.
#
# ````{dropdown} Solution of 1
# ```python
# all_cores = single + (cores - 1) * (two - single)
# print(f"{n_tiles / all_cores / 3600:.1f} h")
# ```
# ````
#
# ````{dropdown} Solution of 2
# ```python
# print(f"{99 * ray.loc[2, 'start'] * two:,.0f} images")
# ```
# The start is the same for ten images and for ten million.
# ````
#
# Next: [Your own micrographs](80_your_own_micrographs.ipynb), the commands on one machine.
