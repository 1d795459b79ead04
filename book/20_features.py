# %% [markdown]
# # Features from vision transformers
#
# The idea of the paper fits in one sentence: send an image through a network that others have
# trained on photographs, change nothing in the network, and use what comes out as a description
# of the microstructure {cite}`whitman2025`. **What comes out, what does it cost, and how can one be
# sure that it is what one thinks it is?**
#
# This page assumes that you know what a matrix product is, and nothing about transformers.

# %% tags=["remove-cell"]
# Only away from a clone of the book: take the # off the two lines below,
# run the cell, and restart the kernel.
# # !git clone https://github.com/microprop/microprop-book
# # %pip install -e "./microprop-book[book]"

# %%
import tempfile

import numpy as np
import pandas as pd
import torch
from IPython.display import Markdown, display
from sklearn.decomposition import PCA
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline

from helpers import plots, plots_images
from helpers.datasets import badge, load_two_phase, paper_results
from helpers.encoders import ENCODERS, load_encoder
from helpers.features import ViTFeatures, extract, extract_features
from helpers.io.results import read_results
from helpers.preprocessing import input_rule, preprocess_section
from helpers.vit.weights import how_to_get, weights_at_hand

# %% tags=["parameters"]
data = "embedded"
weights = "embedded"

# %%
study = load_two_phase(data)
sections = study.sections.reshape(-1, *study.sections.shape[-2:])
small = ENCODERS["dinov2-s14"]  # the smallest one of the paper
of_paper = weights == "pretrained" and weights_at_hand(small) is not None
name = small.name if of_paper else "microvit"
encoder = load_encoder(name)

# %% tags=["remove-input"]
note = (
    "MicroViT ships with the book and learned from synthetic microstructures. The paper's smallest "
    f"network is {small.title}. For its weights, {how_to_get(small)}; then `make book PROFILE=paper` "
    "shows it here."
)
badge(study, encoder.title, note="" if of_paper else note)

# %% [markdown]
# ## The encoders
#
# An *encoder* is such a network, frozen: its weights stay as they are. The paper compares eight
# vision transformers of three families and, as a network made for microscopy, a ResNet-50
# with, according to the paper, weights trained on micrographs (MicroNet). The families differ in
# what they were trained for:
#
# - **CLIP** {cite}`radford2021` saw pairs of images and captions, and learned which belong together.
# - **DINOv2** {cite}`oquab2023` saw images without captions, and learned to describe two crops of
#   one image alike and to fill in patches that were hidden.
# - **SAM** {cite}`kirillov2023` learned to outline the objects in an image.
# - **MicroNet** {cite}`stuckner2022` is a convolutional network that learned to sort micrographs
#   into classes.
#
# The letter is the size (S small, B base, L large, G giant, H huge), the number the side of a
# patch in pixels. The first eight rows are those of Fig. 1 of the paper, with what one needs to know
# to use them; the second ResNet is not in the paper. Neither is **MicroViT**, which ships with this
# book: a small network of DINOv2's form that saw no photograph, only synthetic microstructures
# ([MicroViT: a vision transformer that has only seen microstructures](92_microvit.ipynb)). The table is made from the registry in `data/registry.json`, from which the
# encoders are loaded.


# %% tags=["remove-input"]
def tokens(entry, shape=(51, 51)):
    """Patches of a section, as this encoder gets it."""
    height, width = input_rule(entry, shape, "section").shape
    return (height // entry.patch) * (width // entry.patch) if entry.patch else None


kinds = {"cls": "class token", "pooler": "class token", "mean": "mean of the patch tokens"}

# %% tags=["remove-input"]
table = {
    e.title: {
        "features": e.n_features,
        "patch": "none" if e.patch is None else f"{e.patch} x {e.patch}",
        "input": f"multiples of {e.crop}"
        if e.input_size is None
        else f"{e.input_size} x {e.input_size}",
        "patches of a section": tokens(e) or "none",
        "feature": "mean over the image" if e.family == "resnet" else kinds[e.pooling],
        "weights [MB]": f"{e.size / 1e6:,.0f}" + ", shipped" * bool(e.shipped),
        "licence": e.licence,
    }
    for e in ENCODERS.values()
}
pd.DataFrame(table).T.rename_axis("encoder").reset_index().style.hide(axis="index")

# %% [markdown]
# ## From pixels to tokens
#
# **Patches.** A vision transformer {cite}`dosovitskiy2021` looks at the pixels only once: it cuts the
# image into patches, turns each into one vector, and from then on works with these vectors, as a
# language model works with words {cite}`vaswani2017`. A section of 51 x 51 pixels is first cut to whole
# patches ([Preprocessing](10_preprocessing.ipynb)).

# %% mystnb={"figure": {"caption": "A section as the network of this page gets it (left), and the nine patches at its top left. Inside the network each patch becomes one vector.", "name": "fig-features-patches"}, "image": {"alt": "Left: a black and white section with lines that divide it into squares. Right: nine of the squares, those at its top left, drawn apart in three rows."}} tags=["hide-input"]
down, across = ((np.diff(sections, axis=axis) != 0).sum((1, 2)) for axis in (1, 2))
section = sections[np.minimum(down, across).argmax()]  # one with much interface both ways
pixels = preprocess_section(section, name)
side = ENCODERS[name].patch
starts = range(0, 3 * side, side)
chains = {}
for row, label in zip(starts, ("", " ", "  "), strict=True):
    first = plots_images.Step(pixels[0], "input", patch=side) if row == 0 else None
    chains[label] = [first] + [
        plots_images.Step(
            pixels[0, row : row + side, column : column + side],
            f"row {row // side + 1}, column {column // side + 1}",
        )
        for column in starts
    ]
plots_images.plot_steps(chains)

# %% [markdown]
# **Tokens.** The pixels of a patch, three values each, are multiplied by a matrix of learned
# weights. The result, a vector, is called a *token*; how long it is for this network is printed below. To
# each token a second learned vector is added that says where in the image the patch was: the
# *position embedding*. Without it, the patches could be shuffled and nothing would change.
#
# **The class token.** One more token is put in front that belongs to no patch. It is the same for
# every image at first. While it passes through the network it collects what matters about the
# whole image, because in training it had to stand for the whole image.

# %%
model = encoder.model
with torch.inference_mode():
    batch = torch.from_numpy(pixels)[None]
    patch_tokens = model.embeddings.patch_embeddings(batch)
    all_tokens = model.embeddings(batch)
print("pixels of the batch:      ", tuple(batch.shape), "images, channels, rows, columns")
print("tokens of the patches:    ", tuple(patch_tokens.shape), "images, patches, numbers")
print("with the class token:     ", tuple(all_tokens.shape))
print(
    "layers and heads:         ", model.config.num_hidden_layers, model.config.num_attention_heads
)

# %% [markdown]
# **Attention.** Now the tokens talk to each other. In each layer, every token
# $i$ asks a question (its *query* $q_i$), every token $j$ shows a label (its *key* $k_j$) and has
# something to tell (its *value* $v_j$); all three are products of the token and learned matrices.
# How well label $j$ answers question $i$ decides how large a share of value $j$ token $i$ takes over:
#
# $$
# \text{token}_i \leftarrow \text{token}_i + W \sum_j a_{ij} v_j ,
# \qquad a_{ij} = \frac{\exp(q_i \cdot k_j / \sqrt{d})}{\sum_l \exp(q_i \cdot k_l / \sqrt{d})} .
# $$
#
# Here $d$ is the length of $q_i$, and $W$ one more learned matrix. The *shares* $a_{ij}$ of one token
# sum to one. A layer does this several times side by side, in several *heads*. Then a small network
# (two matrix products) is applied to each token by itself, its output is added to the token, and
# the next layer begins. We leave out that tokens are rescaled before each of the two steps.
#
# In DINOv2, MicroViT and CLIP any two patches can exchange information in a single layer, however far apart
# they are. The price: the number of shares $a_{ij}$ grows with the square of the number of tokens.
# SAM has so many patches that most of its layers look only within windows of 14 x 14 of them.
#
# **The feature.** After the last layer we keep one vector an image:
#
# - DINOv2, MicroViT and CLIP: the class token, rescaled a last time.
# - SAM has no class token. Its tokens of 1280 numbers pass two last convolutions (the *neck*), which
#   leave 256 numbers at each position of the image; these are averaged over all positions.
# - The ResNet has no tokens at all; its last maps are averaged over the image.
#
# In code all of that is one call.

# %%
features = encoder(torch.from_numpy(pixels)[None])
print(features.shape, features.dtype)
print(features[0, :5].numpy())

# %% [markdown]
# ## A matrix of features
#
# `extract_features` takes a stack of images, or a folder of files, and gives the matrix that every
# later chapter starts from: one row per image. It cuts the work into batches, uses all cores (or
# the GPU), and computes equal images once. Here are the first 300 sections.

# %%
some = sections[:300]
store = tempfile.TemporaryDirectory()  # so that this page leaves nothing behind
X = extract_features(some, encoder, pipeline="section", store=store.name)
X.shape, X.dtype

# %% [markdown]
# Is it the same as sending the images through the network one by one, without any batches?

# %%
one_by_one = np.concatenate(
    [encoder(torch.from_numpy(preprocess_section(s, encoder))[None]).numpy() for s in some[:20]]
)
difference = np.abs(X[:20] - one_by_one).max() / np.abs(one_by_one).max()
print(f"largest difference, relative to the largest feature: {difference:.0e}")

# %% [markdown]
# (The tests of this book also hold features against the unmodified networks of the library
# transformers, with small weights of every family. On a GPU the computation is done in half
# precision, bfloat16, and agrees less closely.)
#
# What is in such a matrix? Its first two principal components, coloured by what each section has
# of the stiff phase, give a first impression.

# %% mystnb={"figure": {"caption": "The features of 300 sections in the plane of their first two principal components, coloured by the stiff area fraction. Which weights made them is said at the top of the page.", "name": "fig-features-components"}, "image": {"alt": "Scatter plot of 300 points, the first against the second principal component of the features; the colour, the stiff area fraction, changes mostly along the first."}} tags=["hide-input", "thumbnail"]
plane = PCA(2, svd_solver="full").fit_transform(X)
plots.plot_components(plane, some.mean(axis=(1, 2)), "stiff area fraction of the section")

# %% [markdown]
# ```{admonition} Position embeddings: two rules
# :class: note
# DINOv2 learned the places of 37 x 37 patches, an image of 518 x 518 pixels (MicroViT: 7 x 7 patches,
# 49 x 49 pixels). For other sizes its
# table of places is resized, and there are two ways to do it. The authors' own code, with which
# the paper's features were made, scales by $(n + 0.1)/37$ for $n$ patches a side; the version on
# the Hugging Face website resizes to $n$ exactly. They sample the table at different points.
# `load_encoder(..., interpolation="hub")`, the default, is the rule of the authors' code, which
# PyTorch's hub distributes; `interpolation="hf"` is Hugging Face's.
# ```

# %%
other = load_encoder(name, interpolation="hf")
cut = some[:, :42, :42]  # a size for which either network must interpolate
hub, hf = (
    extract_features(cut, e, pipeline="section", store=store.name) for e in (encoder, other)
)
rules_differ = np.linalg.norm(hub - hf) / np.linalg.norm(hub)
print(f"relative difference of the features of {len(cut)} sections: {rules_differ:.0e}")

# %% [markdown]
# ## Computed once
#
# Features are expensive and never change, so they are kept. `extract` returns them with their
# *provenance*: everything that the numbers depend on. It is stored with the matrix, and a hash of
# it is part of the file's name. Another image, another preprocessing, other weights or another
# version of a library make another file; nothing is ever mixed up.

# %%
again = extract(some, encoder, pipeline="section", store=store.name)
facts = ["encoder", "weights", "fingerprint", "revision", "interpolation", "normalize", "dtype"]
for fact in facts:
    print(f"{fact:14}", again.provenance[fact])
assert np.array_equal(again.features, X)  # read, not computed

# %% [markdown]
# - The **fingerprint** is a hash of all weights. It tells a trained network from a random one and
#   one version from the next.
# - While a matrix is computed, finished rows are written several times a minute. If the process is
#   stopped or killed, the next call goes on where it was.
# - Without the argument `store`, everything goes to the folder that `MICROPROP_CACHE` names, or to
#   the cache of your user account.
#
# ```{admonition} A network with random weights gives features too
# :class: warning
# They look like features, have the right shape, and a regression on them may even work a little.
# It happens: the paper's public notebooks download the MicroNet weights and never load them into
# the network. So the loader of this book refuses weights that are incomplete or do not fit, and
# never falls back to random ones on its own. Who asks for them with `weights="random"`, as the case
# studies do for their control, gets "untrained" in every title.
# ```

# %%
first, second = (load_encoder(name, "random", seed=seed) for seed in (0, 1))
print(first.title, first.fingerprint[:12])
print(second.title, second.fingerprint[:12])

# %% [markdown]
# ## In a scikit-learn pipeline
#
# `ViTFeatures` is the same as a step of a scikit-learn pipeline. (scikit-learn calls such a step a
# "transformer"; it has nothing to do with vision transformers.) It takes one image per sample, or
# several, whose features it aggregates. Everything that is fitted comes after it, so a pipeline
# with it can be cross-validated as usual.

# %%
volumes = study.sections[:100]  # three sections each
descriptor = ViTFeatures(name, "concat", pipeline="section", store=store.name)
pipeline = make_pipeline(descriptor, PCA(5, svd_solver="full"), LinearRegression())
pipeline.fit(volumes, study.modulus[:100])
print("descriptor:", descriptor.transform(volumes).shape)
print("fitted moduli [GPa]:", pipeline.predict(volumes[:3]).round(1))
print("true moduli [GPa]:  ", study.modulus[:3].round(1))

# %% [markdown]
# ## Your own encoder
#
# Any vision model that the library transformers knows, saved in a folder, is an encoder:
#
# ```python
# encoder = load_encoder("my-models/dinov3", pooling="cls")
# X = extract_features("my-micrographs", encoder)
# ```
#
# `pooling` says what becomes the feature: the class token (`"cls"`), the mean of the patch tokens
# (`"mean"`) or the model's own pooled output (`"pooler"`). To give an encoder a name, add an entry
# to the registry; CONTRIBUTING says how.
#
# ## What it costs
#
# A forward pass is nearly all matrix products, so its cost can be counted, in GFLOP: billions of
# multiplications and additions. The times below are projected from measured rates to all sections
# of the paper's case study 1, three for each of 5900 volumes. The networks were full size, with
# random weights, which cost as much as trained ones.

# %% tags=["remove-input"]
rates = read_results("benchmarks/bench_features")
rates["title"] = [ENCODERS[n].title for n in rates["encoder"]]
rates["hours"] = 3 * 5900 / rates["images_per_s"] / 3600


def in_words(hours):
    """A time in the unit that one would say."""
    if hours < 1:
        return f"{60 * hours:.1f} min"
    return f"{hours:.1f} h" if hours < 48 else f"{hours / 24:.1f} days"


table = rates.assign(time=rates["hours"].map(in_words), share=100 * rates["share_of_peak"])
table["images_per_s"] = table["images_per_s"].map("{:.3g}".format)
shown = {"title": "encoder", "input": "input", "gflop_per_image": "GFLOP per image"}
shown |= {"images": "images timed", "images_per_s": "images/s", "share": "share of peak [%]"}
shown |= {"peak_memory_mb": "peak memory [MB]", "time": "all sections"}
shown |= {"dtype": "type", "hardware": "hardware"}
table[list(shown)].rename(columns=shown).style.format(precision=1).format(
    precision=0, subset=["share of peak [%]"]
).hide(axis="index")

# %% tags=["remove-input"]
times = paper_results().query("quantity == 'extraction_time'").set_index("descriptor")["value"]
cpu = rates[rates["hardware"].str.startswith("CPU")].set_index("encoder")
cpu = cpu[[ENCODERS[name].in_paper for name in cpu.index]]
transformers = cpu.drop("sam-h")[~cpu.drop("sam-h").index.str.contains("resnet")]
quickest, slowest = transformers["hours"].idxmin(), transformers["hours"].idxmax()
facts = rates.attrs
display(
    Markdown(f"""
*Peak* is the rate of a large matrix product on the same machine in the same minute. The machine is
shared, so it varied from {cpu["peak_gflops"].min():.0f} to {cpu["peak_gflops"].max():.0f} GFLOP/s. Measured on {facts["date"]} on
{facts["hardware"]}, PyTorch {facts["versions"]["torch"]}, by `{facts["command"]}` (commit {facts["commit"]}).

The paper reports {times.iloc[0]:.0f} minutes to {times.iloc[1] / 60:.0f} hours for CLIP and DINOv2 and
{times["sam-h"] / 60:.0f} hours for SAM, on a laptop. Here the quickest of these
({ENCODERS[quickest].title}) would take {in_words(cpu.loc[quickest, "hours"])}, the slowest
({ENCODERS[slowest].title}) {in_words(cpu.loc[slowest, "hours"])}, and SAM
{in_words(cpu.loc["sam-h", "hours"])}. By the operations counted here, the paper's time for SAM means about
{17_700 * cpu.loc["sam-h", "gflop_per_image"] / times["sam-h"] / 60:.0f} GFLOP/s: that laptop computes faster
than the machine of this table.
""")
)

# %% [markdown]
# ## What we saw

# %% tags=["remove-input"]
store.cleanup()
lightest, heaviest = cpu["gflop_per_image"].min(), cpu["gflop_per_image"].max()
display(
    Markdown(f"""
- **The paper's encoders turn an image into {cpu["n_features"].min()} to {cpu["n_features"].max()} numbers**: the
  class token for CLIP and DINOv2, a mean over the image for SAM and the ResNet.
- **Batches change nothing but the time**: features differ from those of single images by
  {difference:.0e} of the largest one.
- **The cost of these spans a factor of about {round(heaviest / lightest, -3):,.0f}**, from {lightest:.1f} to
  {heaviest:,.0f} GFLOP per section. A section makes {tokens(ENCODERS["dinov2-s14"])} patches for DINOv2 and
  {tokens(ENCODERS["sam-h"]):,} for SAM.
- **Which features predict a property** is the question of [Case study 1: stiffness of two-phase volumes](40_case_study_1.ipynb).
""")
)

# %% [markdown]
# ```{admonition} Try it
# :class: tip
# 1. Replace `some` by five sections that are all the same. How many images does the network see?
#    (Look at `n_computed` in the provenance.)
# 2. Load the encoder with `pooling="mean"`. Do features of a section and of its mirror image come
#    closer to each other than with the class token?
# 3. Compute the features with `dtype=torch.bfloat16`. By how much do they change?
# ```
