# %% [markdown]
# # Preprocessing
#
# **What must be done to an image before a network sees it, and what is lost on the way?**
#
# A microscope gives grey images of any size; a network that was trained on photographs takes colour
# images of a size it knows. After this page you can turn a section or a micrograph into the input
# of any network in this book, and avoid mistakes that no network can undo.
# Ten minutes to read, twenty seconds to run.

# %% tags=["remove-cell"]
# Only away from a clone of the book: take the # off the two lines below,
# run the cell, and restart the kernel.
# # !git clone https://github.com/microprop/microprop-book
# # %pip install -e "./microprop-book[book]"

# %%
import numpy as np
import pandas as pd
import torch

from helpers import plots, plots_images
from helpers.datasets import badge, load_two_phase
from helpers.encoders import ENCODERS
from helpers.images.read import read_image
from helpers.io.downloads import fetch, registry
from helpers.preprocessing import (
    input_rule,
    preprocess_micrograph,
    preprocess_section,
)
from helpers.synthetic.micrographs import gamma_prime_micrograph

# %% tags=["parameters"]
data = "embedded"

# %%
study = load_two_phase(data)
sections = study.sections.reshape(-1, *study.sections.shape[-2:])
down = (np.diff(sections, axis=1) != 0).sum((1, 2))
across = (np.diff(sections, axis=2) != 0).sum((1, 2))
section = sections[np.minimum(down, across).argmax()]  # most interface

file = "micrographs/spot3_0d_3.tif"  # published; else we draw one
drawn = gamma_prime_micrograph(0).image
micrograph = read_image(drawn if data == "embedded" else fetch(file))

# %% tags=["remove-input"]
real = "test fixture" if registry()[file].get("fixture") else "real"
shape = " x ".join(map(str, micrograph.shape))
kind = "synthetic" if data == "embedded" else real
badge(study, note=f"Micrograph: {kind}, {shape} pixels. No network runs on this page.")

# %% [markdown]
# Three steps make an image an input: crop, split or resize where the network asks for it, and
# repeat the grey values as red, green and blue {cite}`whitman2025`. The figure below shows the
# crops of four networks: CLIP, DINOv2 and SAM, which others trained on photographs, and the book's
# own MicroViT (more in [Features from vision transformers](20_features.ipynb)). A network never
# sees what lies outside its frame. In the drawn micrograph the precipitates are the *dark* phase;
# in those of the page before they were the bright one.


# %%
def seen(encoder, image, pipeline):
    """Height and width that a network sees, in pixels of the image."""
    rule = input_rule(encoder, image.shape, pipeline)
    return [side / rule.split for side in rule.crop]  # see below


pictures = {"section": section, "micrograph": micrograph}
print("CLIP B16:", seen("clip-b16", section, "section"))

# %% mystnb={"figure": {"caption": "What four networks get of a section (left) and of a micrograph (right). Every crop begins at the top left; below each name stands the height x width of its frame, in pixels of the image.", "name": "fig-preprocessing-crops"}, "image": {"alt": "A section with four frames that share the top left corner: DINOv2 has the smallest, then CLIP; those of SAM and MicroViT nearly reach the edges. Beside it a micrograph, wider than high: the frames of CLIP and SAM are squares that leave out a strip at the right, those of DINOv2 and MicroViT are nearly the whole."}} tags=["hide-input"]
looks = {"dinov2-s14": "C0-", "clip-b16": "C1-", "microvit": "C2-"}
figure, (axes,) = plots.panels(1, 2, 2.45)
for ax, (what, image) in zip(axes, pictures.items(), strict=True):
    h, w = image.shape
    ax.imshow(image, "gray", vmin=-1, vmax=1.1, extent=(0, w, h, 0))
    for i, (name, look) in enumerate({**looks, "sam-h": "k--"}.items()):
        y, x = seen(name, image, what)
        at, colour = h * (0.13 + 0.24 * i), look.strip("-")
        ax.plot([0, x, x], [y, y, 0], look, lw=1.6, clip_on=False)
        ax.plot([x, 1.04 * w], [at, at], colour, lw=0.9, clip_on=False)
        ax.plot(x, at, f"{colour}o", ms=4, clip_on=False)
        text = f"{ENCODERS[name].title}\n{y:.3g} x {x:.3g}"
        ax.text(1.06 * w, at, text, va="center", color=colour)
    ax.set(xlim=(0, w), ylim=(h, 0))
    plots_images.frame(ax, f"{what}, {h} x {w} pixels")
figure

# %% [markdown]
# ## What a network takes
#
# The input is a *tensor*, an array of three channels, height and width. The channels are red, green
# and blue; a grey image stands there three times. Values run from 0 (black) to 1 (white).
#
# A vision transformer cuts its input into square *patches* and turns each into a vector. It has no
# use for a part of a patch, so the sides must be multiples of the patch. CLIP {cite}`radford2021`
# and SAM {cite}`kirillov2023` also ask for one size, 224 x 224 and 1024 x 1024 pixels. DINOv2
# {cite}`oquab2023` and [MicroViT](92_microvit.ipynb), the book's own small network, do not.
#
# ## A section, by hand
#
# We follow one network, CLIP B16. A *section*, a cut through a volume of two phases, has only 51 x
# 51 pixels: 1 in the stiff phase (white), 0 in the compliant one. It must grow. So each pixel is
# *split* into 5 x 5 equal ones, the fewest that reach 224. The rest is cut off at the bottom
# and at the right: 224 / 5 = 44.8 pixels of the section remain.

# %%
split = np.kron(section, np.ones((5, 5)))  # 51 becomes 255
tensor = np.stack([split[:224, :224]] * 3)  # red, green, blue
assert np.array_equal(tensor, preprocess_section(section, "clip-b16"))
print(section.shape, split.shape, tensor.shape)

# %% [markdown]
# SAM does the same with 21 x 21. For DINOv2 and MicroViT a crop is enough, to a multiple of their
# patches of 14 and 7 pixels.
#
# Why not resize a section like a photograph? Bilinear interpolation mixes neighbours, which makes
# greys of neither phase, as the figure below shows.


# %%
def resize(image, size, antialias=True):
    """Resize an image (h, w) to size x size pixels, bilinearly."""
    batch = torch.tensor(image, dtype=torch.float32)[None, None]
    return torch.nn.functional.interpolate(
        batch, (size, size), mode="bilinear", antialias=antialias
    )[0, 0].numpy()


blurred = resize(section[:48, :48], 224)
grey = ((blurred > 0) & (blurred < 1)).mean()
print(f"pixels of neither phase, resized: {grey:.0%}")
details = [split[:120, :120], blurred[:112, :112]]

# %% mystnb={"figure": {"caption": "The same 24 x 24 pixels of a section, split (left) and resized bilinearly (right).", "name": "fig-preprocessing-split"}, "image": {"alt": "Two enlarged details of a section. On the left the border between black and white runs in sharp steps; on the right the steps are blurred by greys."}} tags=["hide-input"]
plots_images.plot_images(details, ["split", "resized"])

# %% [markdown]
# ## What the crop costs
#
# How far does the crop move the area fraction of the stiff phase? We compare what each network sees
# with the whole, for all sections of the data set, in percentage points.

# %%
shifts = {}
for name in ("dinov2-s14", "clip-b16", "sam-h", "microvit"):
    side, _ = seen(name, section, "section")
    # the share of each row that is kept
    part = np.clip(side - np.arange(len(section)), 0, 1)
    kept = np.einsum("nij,i,j->n", sections, part, part) / side**2
    shift = 100 * np.abs(kept - sections.mean((1, 2)))
    shifts[name] = shift.mean()
    largest = shift.max()
    print(f"{name:10} mean {shifts[name]:.1f}, largest {largest:4.1f}")

# %% [markdown]
# DINOv2 pays most: about four percentage points on average, and up to eighteen.
#
# ## A micrograph, by hand
#
# A micrograph is large and, unless segmented, grey: there are no sharp phases to spoil. CLIP B16,
# whose patches have 16 x 16 pixels, gets the largest square of whole patches, resized to 224 x
# 224.

# %%
side = min(micrograph.shape) // 16 * 16
by_hand = resize(micrograph[:side, :side], 224)
tensor = preprocess_micrograph(micrograph, "clip-b16")
assert np.allclose(tensor, by_hand, atol=1e-6)

# %% [markdown]
# The table below gives the rules of all networks, and which share of the area each keeps. MicroViT
# shrinks images above 224 pixels in proportion. The ResNet, a convolutional network
# {cite}`stuckner2022`, has no patches. For SAM the crop counts in 14 pixels, as in the paper.

# %% tags=["remove-input"]
lines = []
for entry in ENCODERS.values():
    lines.append({"encoder": entry.title, "patch": entry.patch or "none"})
    for what, image in pictures.items():
        size = "{} x {}".format(*input_rule(entry, image.shape, what).shape)
        share = np.prod(seen(entry, image, what)) / image.size
        lines[-1] |= {f"{what} to": size, f"{what} kept": f"{share:.0%}"}
table = pd.DataFrame(lines).sort_values("section kept", ascending=False, kind="stable")
same = table.groupby([*table.columns[1:]], sort=False)["encoder"].agg(", ".join)
same.reset_index()[table.columns].style.hide(axis="index")

# %% [markdown]
# ## Resizing changes the scale
#
# CLIP brings every micrograph to 224 pixels. The figure below shows what that does to a micrograph
# and to its own top-left quarter, in which the precipitates are the same.

# %%
h, w = micrograph.shape
pair = {"whole": micrograph, "quarter": micrograph[: h // 2, : w // 2]}
inputs, spans = [], {}
for name, image in pair.items():
    rule = input_rule("clip-b16", image.shape)
    spans[name] = rule.crop[0] / rule.shape[0]
    inputs.append(preprocess_micrograph(image, "clip-b16")[0])

# %% mystnb={"figure": {"caption": "One micrograph, whole and its top-left quarter, as CLIP gets them.", "name": "fig-preprocessing-scale"}, "image": {"alt": "Two inputs of CLIP, both 224 by 224 pixels. In the right one the precipitates are twice as large as in the left one."}} tags=["hide-input", "thumbnail"]
says = "{}\none input pixel: {:.2f} image pixels"
titles = [says.format(*item) for item in spans.items()]
plots_images.plot_images(inputs, titles)

# %% [markdown]
# ```{admonition} Caution
# :class: warning
# Where images differ in size, only DINOv2 and DINOv3 keep one scale for all; where they differ in
# magnification, no network does. If you know how many nanometres a pixel of yours is, resample
# them to one value, and cut them to one size.
# ```
#
# ## Why antialiasing
#
# Where an image shrinks, plain bilinear interpolation looks at the four pixels around each new one
# and skips those in between. *Antialiasing* takes a weighted mean over all that the new pixel
# covers. A fair test moves the frame by one pixel, which says nothing about the specimen: how
# much does the input change? We take the micrograph, and lamellae three pixels apart, which is
# about one pixel of the input.

# %%
bright = np.arange(657) % 3 < 1
lamellae = np.tile(bright, (657, 1))
images = {"lamellae": lamellae, "micrograph": micrograph}
inputs, changes, ways = {}, {}, ("antialiased", "plain")
for name, image in images.items():
    side = (min(image.shape) - 1) // 16 * 16
    here, moved = (image[:side, x : side + x] for x in (0, 1))
    for way in ways:
        smooth = way == "antialiased"
        a, b = (resize(frame, 224, smooth) for frame in (here, moved))
        change = 255 * np.sqrt(np.mean((a - b) ** 2))
        inputs[name, way], changes[name, way] = (a, b), change
        print(f"{name:10} {way:11} {change:5.1f} of 255 grey levels")

# %% [markdown]
# On the micrograph antialiasing about halves the change. The figure below shows the lamellae. Plain
# interpolation invents broad bands, which jump when the frame moves. Antialiased, the lamellae are
# gone, but nothing false takes their place.

# %% mystnb={"figure": {"caption": "Lamellae three pixels apart (left: a detail) as inputs of CLIP. The broad bands are not in the specimen.", "name": "fig-preprocessing-aliasing"}, "image": {"alt": "Left: fine vertical lamellae. Then two images with a few broad vertical bands, at other places in the second. Right: two images of an almost uniform grey."}} tags=["hide-input"]
shown, titles = [lamellae[:48, :48]], ["lamellae\n48 x 48 pixels"]
for way in ("plain", "antialiased"):
    shown += inputs["lamellae", way]
    titles += [f"{way}\nas is", f"{way}\nmoved by a pixel"]
plots_images.plot_images(shown, titles)

# %% [markdown]
# ## Normalisation
#
# The paper's networks were trained on images minus a mean, divided by a standard deviation, channel
# by channel. Its features were made without this step, as here by default; `normalize="encoder"`
# adds it ([what it changes](90_checking_the_paper.ipynb)). The values that CLIP B16 then gets:

# %%
clip = ENCODERS["clip-b16"]
mean, std = (np.reshape(v, (3, 1, 1)) for v in (clip.mean, clip.std))
by_hand = (tensor - mean) / std
for way, values in {"none": tensor, "encoder": by_hand}.items():
    print(f"{way:7} from {values.min():5.2f} to {values.max():.2f}")

# %% [markdown]
# ## Reading 12 bits as 16
#
# Before all this a file must be read. `read_image` divides numbers of 8 or 16 bits by the largest
# of their type. Many cameras use only 12 of 16 bits; then say so by `value_range`.

# %%
twelve = np.round(4095 * micrograph).astype(np.uint16)
dark = read_image(twelve)
right = read_image(twelve, value_range=(0, 4095))
print(f"brightest value: {dark.max():.3f}")
print(f"with value_range: {right.max():.3f}")

# %% [markdown]
# ## What we saw
#
# 1. **Sections are cropped or split, never blurred.** DINOv2 loses almost a third of the area, and
#    the area fraction moves with it.
# 2. **Resizing changes the scale.** CLIP gets the precipitates of a quarter image twice as large as
#    those of the whole.
# 3. **Antialiasing keeps false structures out.** Without it fine lamellae turn into bands that
#    depend on where the frame lies.
# 4. **Twelve bits read as sixteen are nearly black.**
#
# | What the paper says | What we saw |
# | --- | --- |
# | CLIP and SAM lose few pixels of a section | SAM does; CLIP loses almost a quarter |
# | Micrographs are largely preserved | Shapes are; scales depend on the size of the image |
#
# *Checked*: if one of these no longer held, this cell would fail, and somebody would rewrite it.

# %% tags=["checked"]
for name in ENCODERS:
    phases = preprocess_section(section, name)
    assert np.isin(phases, (0, 1)).all()  # 1
dino = np.prod(seen("dinov2-s14", section, "section"))
assert 2 / 3 < dino / section.size < 0.7  # 1
clip = np.prod(seen("clip-b16", section, "section"))
assert 0.75 < clip / section.size < 0.8  # 1
assert shifts["dinov2-s14"] > 3 > 1.5 > shifts["sam-h"]  # 1
assert 1.8 < spans["whole"] / spans["quarter"] < 2.2  # 2
assert inputs["lamellae", "plain"][0].std() > 0.2  # 3
assert inputs["lamellae", "antialiased"][0].std() < 0.05  # 3
assert changes["lamellae", "plain"] > 100  # 3
smooth, plain = (changes["micrograph", w] for w in ways)
assert 0.4 < smooth / plain < 0.65  # 3
assert dark.max() < 0.1 < 0.5 < right.max()  # 4

# %% [markdown]
# ## Exercises
#
# 1. Set the lamellae 6, 9 and 12 pixels apart. How far do the two ways of resizing differ now?
# 2. Every crop keeps the top left. Would the centre keep the area fraction better?
# 3. Two microscopes look at one specimen, the second with pixels twice as large, and give images of
#    one size. Make the inputs comparable.
# 4. Read a micrograph of your own. Is the microscope's data bar still in the input? Crop it away.
#
# ````{dropdown} Solution of 1
# ```python
# for spacing in (3, 6, 9, 12):
#     row = np.arange(656) % spacing < spacing / 3
#     image = np.tile(row, (656, 1))
#     gap = resize(image, 224, antialias=False) - resize(image, 224)
#     print(f"{spacing:2} pixels: rms {255 * gap.std():.0f} grey levels")
# ```
# The difference falls, but slowly: sharp edges stay finer than any pixel.
# ````
#
# ````{dropdown} Solution of 2
# ```python
# whole = sections.mean((1, 2))
# for start in (0, 4):
#     part = sections[:, start : start + 42, start : start + 42]
#     shift = 100 * np.abs(part.mean((1, 2)) - whole).mean()
#     print(f"from pixel {start}: {shift:.1f} points")
# ```
# No: these sections are periodic, what leaves at one edge comes back at the other. So no place in
# them is the centre.
# ````
#
# ````{dropdown} Solution of 3
# Shrink the finer image to the larger pixels, and cut the other one to its field of view. Then the
# inputs are nearly the same.
#
# ```python
# n = min(micrograph.shape) // 4
# fine = micrograph[: 2 * n, : 2 * n]
# coarse = resize(micrograph[: 4 * n, : 4 * n], 2 * n)
# pairs = {"as is": (fine, coarse)}
# pairs["mended"] = resize(fine, n), coarse[:n, :n]
# for name, (a, b) in pairs.items():
#     gap = resize(a, 224) - resize(b, 224)
#     print(f"{name:7} rms {255 * gap.std():.1f} grey levels")
# ```
# ````
#
# Next: [Features from vision transformers](20_features.ipynb), what a network makes of the tensor.
