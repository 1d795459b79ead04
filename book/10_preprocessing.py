# %% [markdown]
# # Preprocessing
#
# A microscope gives images of any size, in grey, with 8 or 16 bits. A network that was trained on
# photographs takes colour images of a size it knows. **What must be done to an image before a
# network sees it, and what is lost on the way?**
#
# The paper answers with three steps: crop, resize where the network asks for it, and repeat the
# grey values as red, green and blue {cite}`whitman2025`. They look harmless. They decide what a
# feature can know: what is cut off or blurred away here, no network brings back.

# %% tags=["remove-cell"]
# Only away from a clone of the book: take the # off the two lines below,
# run the cell, and restart the kernel.
# # !git clone https://github.com/microprop/microprop-book
# # %pip install -e "./microprop-book[book]"

# %%
import numpy as np
import pandas as pd
from IPython.display import Markdown, display
from PIL import Image
from torch import from_numpy
from torch.nn.functional import interpolate

from helpers.datasets import badge, load_two_phase
from helpers.encoders import ENCODERS
from helpers.images.read import read_image
from helpers.io.downloads import fetch, registry
from helpers.plots_images import Step, plot_images, plot_pixel_values, plot_steps
from helpers.preprocessing import input_rule, preprocess_micrograph, preprocess_section
from helpers.synthetic.micrographs import gamma_prime_micrograph

# %% tags=["parameters"]
data = "embedded"

# %%
study = load_two_phase(data)
sections = study.sections.reshape(-1, *study.sections.shape[-2:])
down, across = ((np.diff(sections, axis=axis) != 0).sum((1, 2)) for axis in (1, 2))
section = sections[np.minimum(down, across).argmax()]  # one with much interface both ways
if data == "embedded":
    micrograph = read_image(gamma_prime_micrograph(0).image)
    kind = "synthetic"
    origin = "drawn by `helpers.synthetic.micrographs`; no microscope took it"
else:
    file = "micrographs/spot3_0d_3.tif"
    micrograph = read_image(fetch(file))
    fixture = registry()[file].get("fixture")
    kind = "test fixture" if fixture else "real"
    origin = (
        "made by a test"
        if fixture
        else "Ni-base superalloy, scanning electron microscope, Stuckner et al. 2022"
    )
rows, columns = micrograph.shape

# %% tags=["remove-input"]
note = f"Micrograph: {kind}, {rows} x {columns} pixels ({origin}). No network runs on this page."
badge(study, note=note)

# %% [markdown]
# ## What a network takes
#
# The input of every network in this book is an array of three channels, height and width, called
# a *tensor*. The channels are the red, green and blue of a photograph. A grey image has one value
# for each pixel, so it stands in the tensor three times. The values run from 0 (black) to 1
# (white).
#
# A vision transformer first cuts its input into square *patches*, say of 14 x 14 pixels, and turns
# each into a vector. It has no use for a part of a patch. This is why the sides must be multiples
# of the patch. It also learned, in training, which place in the image a patch has, as a table of
# places for one size of image. For CLIP {cite}`radford2021` and SAM {cite}`kirillov2023` we keep to
# that size, 224 x 224 and 1024 x 1024 pixels. DINOv2 {cite}`oquab2023` is used with any number of patches: its table of
# places is interpolated. So is that of MicroViT, the small network that ships with this book
# ([MicroViT: a vision transformer that has only seen microstructures](92_microvit.ipynb)). The ResNet, a convolutional network {cite}`stuckner2022`, has no patches.
#
# The table follows from the rules that the rest of this page goes through. *Kept* is the share of
# the image's area that reaches the network.


# %%
def describe(entry, shape, pipeline):
    """Size of the input, and the share of the image's area that reaches it."""
    rule = input_rule(entry, shape, pipeline)
    kept = np.prod(rule.crop) / np.prod(shape) / rule.split**2
    return f"{rule.shape[0]} x {rule.shape[1]}", f"{100 * kept:.0f} %"


table = pd.DataFrame(
    [
        (
            entry.title,
            f"{entry.patch} x {entry.patch}" if entry.patch else "none",
            *describe(entry, section.shape, "section"),
            *describe(entry, micrograph.shape, "micrograph"),
        )
        for entry in ENCODERS.values()
    ],
    columns=["encoder", "patch", "section to", "kept", "micrograph to", "kept "],
)
table.style.hide(axis="index")

# %% [markdown]
# ```{note}
# The paper gives SAM a patch of 14 x 14 pixels and crops micrographs for it to multiples of 14.
# SAM's real patch is 16 x 16. The crop comes before an image is resized to 1024 x 1024, so either
# number works. This book keeps 14 *for the crop*, to give SAM the same pixels as the paper did.
# ```
#
# ## A section, by hand
#
# A section is small, 51 x 51 pixels, and holds nothing but 0 and 1. For DINOv2 and MicroViT it is cut
# to the largest multiple of the patch. For the others it must grow. Interpolation would put greys between
# the phases, so instead each pixel is *split* into a square of equal pixels: by the smallest whole
# number that reaches the size of the input. What is too much is cut off at the bottom and at the
# right. For the ResNet the paper does not say how sections were prepared; this book treats them as for
# CLIP, whose input has the same size.

# %%
h, w = section.shape
by_hand = {
    "dinov2-s14": section[: h - h % 14, : w - w % 14],
    "microvit": section[: h - h % 7, : w - w % 7],
    "clip-b16": np.kron(section, np.ones((5, 5)))[:224, :224],
    "micronet-resnet50": np.kron(section, np.ones((5, 5)))[:224, :224],
    "sam-h": np.kron(section, np.ones((21, 21)))[:1024, :1024],
}
for name, pixels in by_hand.items():
    tensor = preprocess_section(section, name)
    assert np.array_equal(tensor, np.stack([pixels, pixels, pixels]))
    assert tensor.dtype == np.float32
    print(f"{ENCODERS[name].title:20} {tensor.shape}")

# %% mystnb={"figure": {"caption": "A section on its way into four networks (the form of Fig. 2 of the paper). White: stiff phase. The frame marks what is kept, the thin lines the patches of DINOv2, MicroViT and CLIP B16.", "name": "fig-preprocessing-section"}, "image": {"alt": "Four rows of images. DINOv2: a section of 51 x 51 pixels and its top-left 42 x 42 pixels, divided into three by three patches. MicroViT: the section and its top-left 49 x 49 pixels, divided into seven by seven patches. CLIP: the section, the section split to 255 x 255 pixels with a frame at 224, and the input divided into 14 by 14 patches. SAM: the section, 1071 x 1071 pixels with a frame at 1024, and the input. The phases look the same at all sizes."}} tags=["hide-input"]
chains = {}
for name in ("dinov2-s14", "microvit", "clip-b16", "sam-h"):
    entry, rule = ENCODERS[name], input_rule(name, section.shape, "section")
    large = np.kron(section, np.ones((rule.split, rule.split)))
    tensor = preprocess_section(section, name)
    whole = Step(section, f"section\n{h} x {w}", rule.crop if rule.split == 1 else None)
    split = Step(
        large, f"split {rule.split} x {rule.split}\n{len(large)} x {len(large)}", rule.crop
    )
    final = Step(
        tensor.transpose(1, 2, 0),
        f"input\n{' x '.join(map(str, tensor.shape))}",
        patch=entry.patch if entry.family != "sam" else None,
    )
    chains[entry.title] = [whole, split if rule.split > 1 else None, final]
plot_steps(chains)

# %% [markdown]
# ```{admonition} Two points where this book departs from what was printed or published
# :class: note
# - The paper's text says "5 x 5 for SAM and 21 x 21 for CLIP". The names are swapped: 5 is the
#   factor that reaches 224, the size of CLIP, and 21 the one that reaches 1024, the size of SAM.
#   The next sentence gives 255 x 255 and 1071 x 1071 pixels, which are 5 and 21 times 51.
# - The paper's public notebook does something else with sections: it crops them to a multiple of
#   the patch and then resizes them bilinearly. This book follows the text.
# ```
#
# What would the notebook's way do to a section? Here it is, for CLIP B16.

# %%
cropped = section[: h - h % 16, : w - w % 16].astype(np.float32)
bilinear = interpolate(
    from_numpy(cropped)[None, None], size=(224, 224), mode="bilinear", antialias=True
)[0, 0].numpy()
clip = preprocess_section(section, "clip-b16")[0]
between = ((bilinear > 0) & (bilinear < 1)).mean()
assert np.isin(clip, (0, 1)).all()

# %% tags=["remove-input"]
display(
    Markdown(
        f"Resized bilinearly, {100 * between:.0f} % of the pixels of this section belong to neither phase. After "
        "splitting none does."
    )
)

# %% mystnb={"figure": {"caption": "The top left of the section as CLIP gets it: each pixel split (left) and resized bilinearly (right).", "name": "fig-preprocessing-split"}, "image": {"alt": "Two enlarged details of a section. On the left the border between black and white runs in sharp steps; on the right the steps are blurred by greys."}} tags=["hide-input"]
plot_images([clip[:112, :112], bilinear[:112, :112]], ["split", "bilinear"])

# %% [markdown]
# ### What the crop costs
#
# A crop throws away area, and with it a part of what a section says about its volume. How much
# does the stiff fraction change? We compare what each network gets with the whole section, for
# all sections of the data set.

# %%
whole_fraction = sections.mean(axis=(1, 2))
cost = {}
for name in ("dinov2-s14", "microvit", "clip-b16", "sam-h"):
    rule = input_rule(name, (h, w), "section")
    # How many of the pixels into which a row (or column) is split are kept.
    seen = [
        np.bincount(np.arange(c) // rule.split, minlength=n)
        for c, n in zip(rule.crop, (h, w), strict=True)
    ]
    kept = np.einsum("nij,i,j->n", sections, *seen, optimize=True) / np.prod(rule.crop)
    assert np.isclose(kept[0], preprocess_section(sections[0], name).mean(), atol=1e-5)
    change = 100 * abs(kept - whole_fraction)
    cost[name] = np.prod(rule.crop) / rule.split**2 / (h * w), change.mean(), change.max()

# %% tags=["remove-input"]
pd.DataFrame(
    [(ENCODERS[n].title, 100 * share, mean, worst) for n, (share, mean, worst) in cost.items()],
    columns=[
        "encoder",
        "area kept [%]",
        "mean absolute change of the stiff fraction [percentage points]",
        "largest change [percentage points]",
    ],
).style.format(precision=1).hide(axis="index")

# %% [markdown]
# The paper calls the loss of pixels for CLIP and SAM minor; the table says how much area it is. For
# DINOv2 it is larger, since 42 is the last multiple of 14 below 51. For MicroViT it is small: 49 is a
# multiple of 7. A cropped section is no longer
# periodic either.
#
# ## A micrograph, by hand
#
# A micrograph is large and grey, and its phases have no sharp edges that interpolation could
# spoil. (The published micrographs of the second case study are segmented, black and white; they
# go the same way.) DINOv2 gets it at its own scale: each side is cut to the largest multiple of 14.
# MicroViT has seen images of up to 224 pixels. What is larger is made smaller, in proportion, until the
# longer side has 224; both sides are cut so that multiples of 7 remain. CLIP, SAM and the ResNet get the largest square at the top left (its side a
# multiple of the patch for CLIP, of 14 for SAM, of any length for the ResNet), resized bilinearly to
# the size they know.

# %%
side = min(rows, columns) // 16 * 16
square = from_numpy(micrograph[:side, :side].copy())[None, None]
by_hand = interpolate(square, size=(224, 224), mode="bilinear", antialias=True)[0, 0].numpy()
assert np.allclose(preprocess_micrograph(micrograph, "clip-b16"), by_hand, atol=1e-6)

factor = max(rows, columns) / 224
fit = [int(n / factor) // 7 * 7 for n in (rows, columns)]
kept = micrograph[: round(fit[0] * factor), : round(fit[1] * factor)]
kept = from_numpy(kept.copy())[None, None]
by_hand = interpolate(kept, size=fit, mode="bilinear", antialias=True)[0, 0].numpy()
assert np.allclose(preprocess_micrograph(micrograph, "microvit"), by_hand, atol=1e-6)

by_hand = micrograph[: rows - rows % 14, : columns - columns % 14]
assert np.array_equal(preprocess_micrograph(micrograph, "dinov2-b14")[0], by_hand)

# %% [markdown]
# The rule alone gives the sizes of the paper's example, an image of 662 x 731 pixels.

# %%
example = (662, 731)
assert input_rule("dinov2-l14", example).crop == (658, 728)
assert input_rule("clip-b16", example).crop == (656, 656)
assert input_rule("sam-h", example).crop == (658, 658)
assert input_rule("microvit", example).shape == (196, 224)  # not in the paper

# %% tags=["hide-input"]
shown = ["dinov2-s14", "clip-b16", "sam-h", "micronet-resnet50", "microvit"]
tensors = {name: preprocess_micrograph(micrograph, name) for name in shown}
rules = {name: input_rule(name, (rows, columns)) for name in shown}
display(
    Markdown(
        f"The {kind} micrograph of this page has {rows} x {columns} pixels. "
        + " ".join(
            f"{ENCODERS[name].title} gets {rules[name].crop[0]} x {rules[name].crop[1]} of them"
            + (
                f", resized to {tensor.shape[1]} x {tensor.shape[2]}."
                if tensor.shape[1:] != rules[name].crop
                else ", as they are."
            )
            for name, tensor in tensors.items()
        )
    )
)

# %% mystnb={"figure": {"caption": "A micrograph on its way into five networks. The frame marks what is kept. Which micrograph this is, synthetic or real, is said at the top of the page.", "name": "fig-preprocessing-micrograph"}, "image": {"alt": "Five rows of images, for DINOv2, CLIP, SAM, the ResNet and MicroViT: a grey micrograph of precipitates with a frame, what is kept of it, and the input. All show the same precipitates; the inputs of CLIP, the ResNet and MicroViT are coarser."}} tags=["hide-input"]
chains = {}
for name, tensor in tensors.items():
    crop = rules[name].crop
    chains[ENCODERS[name].title] = [
        Step(micrograph, f"{kind} micrograph\n{rows} x {columns}", crop),
        Step(micrograph[: crop[0], : crop[1]], f"cropped\n{crop[0]} x {crop[1]}"),
        Step(tensor.transpose(1, 2, 0), f"input\n{' x '.join(map(str, tensor.shape))}"),
    ]
plot_steps(chains)

# %% mystnb={"figure": {"caption": "The original and the inputs, every pixel drawn at one size (the form of Fig. 7 of the paper; whose micrograph it is, is said at the top). So large is what each network works on.", "name": "fig-preprocessing-sizes"}, "image": {"alt": "Four images at one scale: the original and the input of DINOv2 of nearly the same size, the small input of CLIP, and the large input of SAM."}} tags=["hide-input"]
names = ["original", *(ENCODERS[name].title for name in shown[:3])]
images = [micrograph, *(tensors[name][0] for name in shown[:3])]
plot_images(
    images,
    [
        f"{name}\n{image.shape[0]} x {image.shape[1]}"
        for name, image in zip(names, images, strict=True)
    ],
    same_scale=True,
)

# %% [markdown]
# ## What is lost: scale
#
# A pixel of a micrograph stands for so many nanometres. After resizing it stands for more or for
# fewer, and the factor depends on the *size of the image*: the same alloy, taken at the same
# magnification, comes out coarser or finer when the image is cropped. Below is one micrograph,
# whole and its top-left quarter, as CLIP gets them.

# %%
quarter = micrograph[: rows // 2, : columns // 2]
pair = {"whole": micrograph, "quarter": quarter}
inputs = [preprocess_micrograph(image, "clip-b16")[0] for image in pair.values()]
factors = [
    rule.crop[0] / rule.shape[0]
    for rule in (input_rule("clip-b16", image.shape) for image in pair.values())
]

# %% mystnb={"figure": {"caption": "One micrograph, whole and its top-left quarter, as CLIP gets them. The magnification under the microscope is the same, the size of the precipitates in the input is not.", "name": "fig-preprocessing-scale"}, "image": {"alt": "Two inputs of CLIP, both 224 by 224 pixels. In the right one the precipitates are twice as large as in the left one."}} tags=["hide-input", "thumbnail"]
plot_images(
    inputs,
    [
        f"{name}\n1 input pixel = {factor:.2f} micrograph pixels"
        for name, factor in zip(pair, factors, strict=True)
    ],
)

# %% tags=["remove-input"]
sizes = (256, 512, 1024, 2048)
pd.DataFrame(
    [
        (
            ENCODERS[name].title,
            *(r.crop[0] / r.shape[0] for r in (input_rule(name, (n, n)) for n in sizes)),
        )
        for name in shown
    ],
    columns=["pixels of the image in one of the input", *(f"{n} x {n}" for n in sizes)],
).style.format(precision=2).hide(axis="index")

# %% [markdown]
# ```{admonition} Caution
# :class: warning
# Where images differ in size, every row but DINOv2's compares unequal scales; where they differ in
# magnification, all rows do. Micrographs from several sources, as in the paper's second case
# study, may differ in both. The size of a precipitate in the input then tells about the image as well
# as about the alloy. The paper does not mention a correction. If you know how many nanometres a
# pixel of your images is, resample them to one value and cut them to one size first.
# ```
#
# Enlarging, as for SAM here, adds pixels and no information.
#
# ## What is lost: fine detail
#
# Making an image smaller must throw detail away. There are two ways. Plain bilinear interpolation
# looks at the four pixels around each new one and ignores the others. With *antialiasing* it
# takes a weighted mean over a neighbourhood that grows with the new pixel. The difference shows
# best on lamellae that are closer together than two new pixels.

# %%
side = input_rule("clip-b16", example).crop[0]
lamellae = np.tile((np.arange(side) % 3 < 1).astype(np.float32), (side, 1))


def shrink(image, antialias):
    """Bilinear interpolation of an image (h, w) to 224 x 224 pixels."""
    batch = from_numpy(np.array(image, dtype=np.float32))[None, None]
    return interpolate(batch, size=(224, 224), mode="bilinear", antialias=antialias)[0, 0].numpy()


plain, smooth = shrink(lamellae, False), shrink(lamellae, True)
there = np.abs(np.fft.rfft(lamellae[0] - lamellae[0].mean())).argmax()
seen = np.abs(np.fft.rfft(plain[0] - plain[0].mean())).argmax()

# %% mystnb={"figure": {"caption": "Lamellae three pixels apart, drawn for this page (left: a detail), made smaller without and with antialiasing. The broad bands in the middle are not in the specimen.", "name": "fig-preprocessing-aliasing"}, "image": {"alt": "Left: fine vertical lamellae. Middle: a few broad vertical bands of black and grey, an artefact. Right: an almost uniform grey."}} tags=["hide-input"]
plot_images(
    [lamellae[:60, :60], plain, smooth],
    ["lamellae (60 x 60 pixels)", "without antialiasing", "with antialiasing"],
)

# %% tags=["remove-input"]
display(
    Markdown(
        f"There are {there} lamellae. Without antialiasing the input shows about {seen} bands: a "
        f"false microstructure. With it the greys vary by {smooth.std():.3f} (standard deviation; "
        f"without: {plain.std():.3f}): the lamellae are gone, but nothing has taken their place."
    )
)

# %% [markdown]
# On a micrograph the effect is quieter. We look at a square of 448 x 448 pixels, where each new
# pixel covers exactly 2 x 2 old ones, and hold both ways against the mean of these four.

# %%
square = micrograph[:448, :448]
covered = square.reshape(224, 2, 224, 2).mean(axis=(1, 3))
versions = {
    "without antialiasing": shrink(square, False),
    "with antialiasing": shrink(square, True),
}


def rms(a, b):
    """Root mean square difference in grey levels, of which black to white has 255."""
    return 255 * np.sqrt(np.mean((a - b) ** 2))


between = rms(*versions.values())
errors = {name: rms(image, covered) for name, image in versions.items()}
spread = {name: 255 * image.std() for name, image in versions.items()}

# SAM's input is larger than the image: then antialiasing changes nothing.
large = [
    interpolate(from_numpy(square.copy())[None, None], 1024, mode="bilinear", antialias=a)
    for a in (False, True)
]
assert rms(*(image.numpy() for image in large)) < 0.001

# %% tags=["remove-input"]
display(
    Markdown(
        f"The two differ by {between:.1f} grey levels (root mean square; the input itself varies by "
        f"{spread['with antialiasing']:.1f}; of 255 from black to white). From the mean of the covered pixels the plain way is "
        f"{errors['without antialiasing']:.1f} levels away, antialiasing "
        f"{errors['with antialiasing']:.1f}. Enlarged to 1024 x 1024 pixels, as for SAM, the two ways "
        "give the same."
    )
)

# %% mystnb={"figure": {"caption": "A detail of the CLIP input, made without and with antialiasing, and the difference of the two; contrast stretched. Without antialiasing more of the noise comes through.", "name": "fig-preprocessing-detail"}, "image": {"alt": "Two details of one micrograph; the left one is noisier. The third image, their difference, is mostly fine noise."}} tags=["hide-input"]
details = [image[:80, :80] for image in versions.values()]
difference = details[0] - details[1]
low, high = min(d.min() for d in details), max(d.max() for d in details)
details = [(d - low) / (high - low) for d in details]
most = abs(difference).max()
details.append(0.5 + difference / (2 * most))
plot_images(details, [*versions, f"difference (±{255 * most:.0f} levels)"])

# %% [markdown]
# The paper says "bilinear", and that it was PyTorch's resize function. The book uses antialiasing
# throughout, as the paper's public notebook does.
#
# ## Normalisation
#
# Each network was trained on images from which a mean was subtracted, and which were divided by a
# standard deviation, for each channel. The paper does not mention this step, and its public
# notebooks leave it out. This book offers both ways and says which one a result used:
# `normalize="none"`, as in the paper, or `normalize="encoder"`. MicroViT was trained on values from 0
# to 1 as they are, so for it there is nothing to normalise.

# %%
normalised = {
    f"{ENCODERS[name].title}, {way}": preprocess_micrograph(micrograph, name, normalize=way)
    for name in ("clip-b16", "dinov2-s14")
    for way in ("none", "encoder")
}
ranges = pd.DataFrame(
    [
        (title, channel, values.min(), values.mean(), values.max(), values.std())
        for title, tensor in normalised.items()
        for channel, values in zip(("red", "green", "blue"), tensor, strict=True)
    ],
    columns=["input", "channel", "lowest", "mean", "highest", "standard deviation"],
)
ranges.style.format(precision=2).hide(axis="index")

# %% mystnb={"figure": {"caption": "Values in the input of CLIP B16, as the paper gave them (left) and normalised (right).", "name": "fig-preprocessing-values"}, "image": {"alt": "Two histograms. Left: the curves of red, green and blue lie on top of each other between 0 and 1. Right: three curves of the same shape, shifted against each other, reaching below 0."}} tags=["hide-input"]
plot_pixel_values({title: t for title, t in normalised.items() if title.startswith("CLIP")})

# %% [markdown]
# Normalisation changes range and centre. And it makes the three channels differ, although the image
# is grey: mean and standard deviation are those of coloured photographs. What it does to
# the features is for the chapters that use them to ask.
#
# ## Reading files
#
# Before all this an image must be read, and here too something can go wrong without a word.
# Numbers with 8 or 16 bits are divided by the largest one of their type. Where a camera used only
# 12 of 16 bits, `value_range` says so; without it the image would come out nearly black. An alpha
# channel (transparency) is dropped, and grey that was saved as colour becomes grey again. A note
# in the file that it is to be turned (EXIF orientation) is obeyed. A few lines show it.

# %%
grey = np.round(255 * micrograph).astype(np.uint8)
sixteen = grey.astype(np.uint16) * 257  # 255 becomes 65535
twelve = sixteen // 16
transparent = np.dstack([grey, grey, grey, np.full_like(grey, 128)])
turned = Image.fromarray(np.rot90(grey))  # a quarter turn anticlockwise
turned.getexif()[0x0112] = 6  # "turn me clockwise"

assert np.allclose(read_image(sixteen), micrograph, atol=1e-6)
assert np.allclose(read_image(twelve, value_range=(0, 4095)), micrograph, atol=1 / 4095)
assert np.array_equal(read_image(transparent), micrograph)
assert np.array_equal(read_image(turned), micrograph)
print(f"12 bits, read without value_range: {read_image(twelve).max():.3f} is the brightest value")

# %% [markdown]
# ## What we saw

# %% tags=["remove-input"]
kept = {name: np.prod(rule.crop) / (rows * columns) for name, rule in rules.items()}
display(
    Markdown(f"""
- **Sections are cropped or split, never blurred.** DINOv2 gets {100 * cost["dinov2-s14"][0]:.0f} % of a
  section's area, MicroViT {100 * cost["microvit"][0]:.0f} %, CLIP {100 * cost["clip-b16"][0]:.0f} %, SAM
  {100 * cost["sam-h"][0]:.0f} %. The stiff fraction changes by {cost["dinov2-s14"][1]:.1f},
  {cost["microvit"][1]:.1f}, {cost["clip-b16"][1]:.1f} and {cost["sam-h"][1]:.1f} percentage points on average.
- **Of this micrograph** DINOv2 gets {100 * kept["dinov2-s14"]:.0f} %, CLIP B16
  {100 * kept["clip-b16"]:.0f} %, SAM {100 * kept["sam-h"]:.0f} %, MicroViT {100 * kept["microvit"]:.0f} % of the area.
- **Only DINOv2 keeps the scale** of every image; MicroViT does up to {ENCODERS["microvit"].longest} pixels. In CLIP's input one pixel stands for {factors[0]:.2f} pixels of the
  whole micrograph, and for {factors[1]:.2f} of its quarter. Precipitates of one size come out in two.
- **Antialiasing matters when an image is made smaller.** Without it {there} lamellae became {seen} bands.
  On the {kind} micrograph it changed the input by {between:.1f} grey levels of 255.
- **The paper's notebooks do not normalise.** For CLIP B16 this micrograph then has values from
  {ranges["lowest"][0]:.2f} to {ranges["highest"][0]:.2f}, where the network's own normalisation gives
  {ranges["lowest"][3:6].min():.2f} to {ranges["highest"][3:6].max():.2f}.
""")
)

# %% [markdown]
# ```{admonition} Try it
# :class: tip
# 1. Put your own image in: `micrograph = read_image("my_micrograph.tif")` below the cell that
#    loads the data (for a colour image, take one channel). Is the data bar of the microscope still
#    in the input? Crop it away first, or it becomes a part of the features.
# 2. How large must a precipitate be, in pixels of the micrograph, to fill one patch of CLIP B32?
#    And one of DINOv2? Compute it from the factors.
# 3. Change the lamellae's spacing from 3 to 8 pixels. From which spacing on do the two ways of
#    making the image smaller agree?
# ```
