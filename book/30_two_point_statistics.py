# %% [markdown]
# # Two-point statistics
#
# A regression needs numbers, and a microstructure is an image of phases.
# **How do we turn an image of phases into numbers that a regression can use?**
#
# The pixel values themselves will not do. Shift the frame a little and every pixel
# changes, although the material is the same. Two-point statistics keep what does not
# depend on where the frame lies: how likely two points a given vector apart are to fall
# into given phases {cite}`torquato2002,jiao2007,niezgoda2013`. The paper uses them as the
# benchmark that its vision transformers have to beat {cite}`whitman2025`.

# %% tags=["remove-cell"]
# Only away from a clone of the book: take the # off the two lines below,
# run the cell, and restart the kernel.
# # !git clone https://github.com/microprop/microprop-book
# # %pip install -e "./microprop-book[book]"

# %%
import time

import numpy as np
from IPython.display import Markdown, display
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline

from helpers.datasets import badge, load_two_phase, paper_results
from helpers.plots import plot_lag_profiles
from helpers.plots_images import plot_maps, plot_sections_and_maps
from helpers.synthetic.volumes import two_phase_volume
from helpers.two_point import TwoPointStatistics, two_point_statistics

# %% tags=["parameters"]
data = "embedded"
n_timed = 3000

# %%
two_phase = load_two_phase(data)

# %% tags=["remove-input"]
badge(two_phase)

# %% [markdown]
# ## The definition
#
# Let $m^A(x)$ be the *indicator* of phase $A$: 1 where pixel $x$ lies in it, else 0.
# The two-point statistics of phases $A$ and $B$ are, for every lag $r$,
#
# $$
# S^{AB}(r) = \frac{1}{N(r)} \sum_{x} m^A(x)\, m^B(x + r),
# $$ (eq-two-point)
#
# where $N(r)$ is the number of pixel pairs $(x, x + r)$. Throw a vector $r$ at random
# onto the image: $S^{AB}(r)$ is the probability that it starts in $A$ and ends in $B$.
# With $B = A$ this is the *autocorrelation* of a phase, otherwise a *cross-correlation*.
#
# ## By hand
#
# Take 5 x 5 pixels and say that the image goes on periodically: what leaves at one
# edge comes back at the opposite one. Then every lag has 25 pairs, and the definition is
# four nested loops.

# %%
tiny = np.array(
    [[1, 1, 0, 0, 0],
     [1, 1, 0, 0, 0],
     [0, 0, 0, 1, 1],
     [0, 0, 0, 1, 1],
     [0, 0, 0, 0, 0]]
)  # fmt: skip
by_hand = np.zeros((5, 5))
for row_lag in range(-2, 3):
    for column_lag in range(-2, 3):
        for row in range(5):
            for column in range(5):
                start = tiny[row, column]
                end = tiny[(row + row_lag) % 5, (column + column_lag) % 5]
                by_hand[row_lag + 2, column_lag + 2] += start * end / tiny.size
by_hand.round(2)

# %% [markdown]
# Zero lag stands at the centre of the map. There the two points coincide, so the value is
# the area fraction of the phase.
#
# ## By Fourier transform
#
# The loops visit every pixel once for every lag. The sum is a correlation, and the Fourier
# transform $\mathcal{F}$ turns a correlation into a product:
#
# $$
# \sum_x m^A(x)\, m^B(x + r) = \mathcal{F}^{-1}\!\left[\overline{\mathcal{F}[m^A]}\;
# \mathcal{F}[m^B]\right](r).
# $$
#
# Two lines of NumPy give the same map {cite}`cecen2016`.

# %%
spectrum = np.fft.fft2(tiny)
by_fourier = np.fft.fftshift(np.fft.ifft2(spectrum.conj() * spectrum).real) / tiny.size
assert np.allclose(by_fourier, by_hand)

# %% [markdown]
# The helper does the same for a whole batch of sections. It uses that images are real, and
# rounds the sums of 0s and 1s back to integers, which they are.

# %%
assert np.allclose(two_point_statistics(tiny), by_hand)

# %% [markdown]
# ## Reading a map
#
# Three sections made for this page by the generator of the embedded data
# ([Making the two-phase data](91_two_phase_data.ipynb)), about half stiff, show what a map tells. Their noise was smoothed by
# Gaussian filters of known width: narrow, wide, and wide in one direction only.

# %%
recipes = {"fine": (1, (1.5, 1.5)), "coarse": (9, (5, 5)), "elongated": (53, (1.2, 9))}
half = {"seed": 0, "volume_fractions": (0.5, 0.5)}
made = [two_phase_volume(index=i, filter_widths=w, **half) for i, w in recipes.values()]
examples = np.stack([sample.volume[0] for sample in made])  # normal to x: rows y, columns z
maps = two_point_statistics(examples)
centre = maps.shape[-1] // 2
titles = [
    f"{name}\nfilters {sample.filter_widths[1]:.1f} by {sample.filter_widths[2]:.1f} pixels"
    for name, sample in zip(recipes, made, strict=True)
]

# %% mystnb={"figure": {"caption": "Three sections (top) and the autocorrelation of their stiff phase (bottom). The probability is highest at zero lag, in the centre. The width of the peak follows the size of the features, and its shape follows theirs.", "name": "fig-two-point-maps"}, "image": {"alt": "Three two-phase sections with fine, coarse and horizontally elongated features above their autocorrelation maps: a narrow, a broad and a horizontally stretched central peak."}} tags=["hide-input"]
plot_sections_and_maps(examples, maps, titles)

# %% [markdown]
# Four things can be read off such a map.
#
# - **Its centre** is the area fraction $f$.
# - **Far from the centre** the two points no longer know of each other. If the image is much
#   larger than its features, the probability tends to $f^2$. A section with only a few
#   features offers no lag that is far enough: its curve overshoots and does not settle.
# - **The width of the peak** is the size of the features. Its slope at zero lag measures how
#   much interface there is {cite}`torquato2002`.
# - **The shape of the peak** is the shape of the features: elongated ones give an elongated peak.
#
# {numref}`fig-two-point-profiles` shows the same three maps along the two axes.

# %% mystnb={"figure": {"caption": "Autocorrelations of the same three sections along the vertical and the horizontal axis. Solid grey line: area fraction f. Dotted line: its square, the value for two points that do not know of each other.", "name": "fig-two-point-profiles"}, "image": {"alt": "Three line plots of probability against lag. Each starts at the area fraction f and falls to about f squared, within a few pixels for the fine section and more slowly for the coarse one. For the elongated section the curve along the rows falls more slowly than the other."}} tags=["hide-input"]
plot_lag_profiles(maps, list(recipes))

# %% [markdown]
# Two facts hold exactly in a periodic section: the value at zero lag is the area fraction $f$,
# and the *mean of the whole map is $f^2$*, because over all lags each pixel of the phase is paired
# with every pixel of the phase, itself included, exactly once. The mean of a map carries the area
# fraction and nothing else. We shall meet it again in the first principal component. Here are
# 500 sections of the data set:

# %%
sections = two_phase.sections.reshape(-1, *two_phase.sections.shape[-2:])
fractions = sections.mean(axis=(1, 2))
all_maps = two_point_statistics(sections[:500])
assert np.allclose(all_maps[:, centre, centre], fractions[:500])
assert np.allclose(all_maps.mean(axis=(1, 2)), fractions[:500] ** 2)

# %% [markdown]
# ## One map gives the other three
#
# Two phases have four two-point statistics. They are not independent: a vector that starts
# anywhere and ends anywhere does so with probability 1, and one that starts in $A$ and ends
# anywhere does so with probability $f$. In a periodic section one autocorrelation therefore
# determines the other three {cite}`niezgoda2013`.

# %%
stiff = examples[0]
compliant = 1 - stiff
f = stiff.mean()
auto = two_point_statistics(stiff)
cross = two_point_statistics(stiff, compliant)
cross_back = two_point_statistics(compliant, stiff)
auto_compliant = two_point_statistics(compliant)

assert np.allclose(auto + cross + cross_back + auto_compliant, 1)
assert np.allclose(cross, f - auto)
assert np.allclose(cross_back, cross)
assert np.allclose(auto_compliant, 1 - 2 * f + auto)

# %% mystnb={"figure": {"caption": "Autocorrelation of the stiff phase, cross-correlation and autocorrelation of the compliant phase of the fine section. Each is one and the same pattern, turned over or shifted in value.", "name": "fig-two-point-redundancy"}, "image": {"alt": "Three correlation maps of one section. The two autocorrelations show the same central peak; the cross-correlation shows it as a trough that reaches zero at the centre."}} tags=["hide-input"]
plot_maps(
    [auto, cross, auto_compliant],
    ["stiff with stiff", "stiff with compliant", "compliant with compliant"],
)

# %% [markdown]
# It does not give the section itself. Whether the stiff phase connects from side to side, which
# matters at a contrast of 50, is not in it: swap the phases, and the map gains a constant only.
#
# Case study 1 of the paper takes the autocorrelation of the stiff phase. Case study 2 takes the
# cross-correlation, because in micrographs from many sources the precipitates are sometimes the
# dark phase and sometimes the bright one {cite}`whitman2025`. Swapping the names of the phases
# leaves a periodic cross-correlation as it is, and turns one that is not periodic by 180 degrees:
# $S^{BA}(r) = S^{AB}(-r)$.

# %%
one_way = two_point_statistics(stiff, compliant, periodic=False)
assert np.allclose(two_point_statistics(compliant, stiff, periodic=False), one_way[::-1, ::-1])

# %% [markdown]
# Every autocorrelation also repeats itself, $S(r) = S(-r)$: the vector may be thrown the other
# way round.

# %%
assert np.array_equal(auto, auto[::-1, ::-1])

# %% [markdown]
# ## Edges, cut-off and masks
#
# The sections of case study 1 are cut from periodic volumes, so they may be continued
# periodically. A micrograph may not: what lies beyond its edge is unknown. Then only pairs
# inside the image count, and $N(r)$ in {eq}`eq-two-point` falls with the lag. Along one axis of
# $n$ pixels $n - |r|$ pairs are left. Probabilities at large lags rest on few pairs, so the map
# is cut off: by default at half the shorter side.

# %%
inside = two_point_statistics(stiff, periodic=False)
around = two_point_statistics(stiff)
assert inside.shape == (2 * centre + 1, 2 * centre + 1)

# %% mystnb={"figure": {"caption": "Autocorrelation of the fine section, continued periodically and with its own pixels only, on one scale.", "name": "fig-two-point-edges"}, "image": {"alt": "Two similar autocorrelation maps with a narrow central peak, periodic on the left and not periodic on the right; the right one varies more towards its corners."}} tags=["hide-input"]
plot_sections_and_maps([stiff, stiff], [around, inside], ["periodic", "not periodic"])

# %% tags=["remove-input"]
gap = abs(inside - around)
near = gap[centre - 5 : centre + 6, centre - 5 : centre + 6].max()
display(
    Markdown(
        f"At zero lag the two are equal. Up to a lag of 5 pixels they differ by at most {near:.3f}, "
        f"anywhere in the map by at most {gap.max():.3f}."
    )
)

# %% [markdown]
# Real micrographs carry scale bars and labels. A **mask** says which pixels are valid; a pair
# counts if both its pixels are. Here we stamp the same bright label onto each of the 300 sections
# of the data set that are closest to half stiff, and compare with the clean ones.

# %%
half_stiff = sections[np.argsort(abs(fractions - 0.5), kind="stable")[:300]]
stamped = half_stiff.copy()
stamped[:, :10, :20] = 1
valid = np.ones(stiff.shape, bool)
valid[:10, :20] = False

options = {"periodic": False, "cutoff": 15}
clean = two_point_statistics(half_stiff, **options)
with_label = two_point_statistics(stamped, **options)
masked = two_point_statistics(stamped, mask=valid, **options)
label_bias, mask_bias = (with_label - clean).mean(), (masked - clean).mean()

# %% tags=["remove-input"]
display(
    Markdown(
        f"On average the label shifts the probabilities by {label_bias:+.3f}, and with the mask the "
        f"shift is {mask_bias:+.3f}: masking removes the bias. A single map still differs from the "
        f"clean one by {abs(masked - clean).mean():.3f} on average (with the label counted: "
        f"{abs(with_label - clean).mean():.3f}). The pixels under the label are lost, and the "
        "features of these sections are as large as the label."
    )
)

# %% [markdown]
# ## From maps to a descriptor
#
# A regression wants a matrix with a row for every sample. `TwoPointStatistics` computes the maps
# and flattens them, as a step of a scikit-learn pipeline. Nothing in it is fitted. The principal
# component analysis after it is, and must see the training part only.

# %%
pipeline = make_pipeline(TwoPointStatistics(), PCA(5, svd_solver="full"))
first_sections = two_phase.sections[:1500, 0]
scores = pipeline.fit_transform(first_sections)
explained = pipeline[-1].explained_variance_ratio_
area = first_sections.mean(axis=(1, 2))
link, link_square = (abs(np.corrcoef(scores[:, 0], a)[0, 1]) for a in (area, area**2))

# %% tags=["remove-input"]
display(
    Markdown(
        f"{len(first_sections)} sections give {pipeline[0].transform(first_sections[:1]).shape[1]} "
        f"values each. The first five principal components hold "
        f"{', '.join(f'{100 * share:.1f}' for share in explained)} % of the variance. The first "
        f"one is the mean of the map, the square of the area fraction: |r| = {link_square:.6f} with "
        f"that square, and so {link:.3f} with the area fraction itself."
    )
)

# %% [markdown]
# ## What it costs
#
# The Fourier route needs of the order of $N \log N$ operations for a section of $N$ pixels, the
# loops $N^2$. We time both here and now, on one section with loops that NumPy runs (one shifted
# copy for each lag), and on a batch with the helper.

# %%
start = time.perf_counter()
shifts = [
    (stiff * np.roll(stiff, (-row_lag, -column_lag), axis=(0, 1))).mean()
    for row_lag in range(-centre, centre + 1)
    for column_lag in range(-centre, centre + 1)
]
loop_seconds = time.perf_counter() - start
assert np.allclose(np.reshape(shifts, auto.shape), auto)

many = np.resize(sections, (n_timed, *sections.shape[1:]))
start = time.perf_counter()
two_point_statistics(many, workers=1)
batch_seconds = (time.perf_counter() - start) / len(many)

# %% tags=["remove-input"]
display(
    Markdown(
        f"Shifted copies: {1e3 * loop_seconds:.0f} ms a section. The helper: "
        f"{1e3 * batch_seconds:.3f} ms a section, {loop_seconds / batch_seconds:.0f} times as fast on one thread."
    )
)

# %% [markdown]
# `make bench` compares the helper with PyMKS {cite}`brough2017`, the established package for this task.
#
# ## Exercises
#
# 1. What is the autocorrelation of a checkerboard whose fields are one pixel wide? Write down
#    the four values that surround the centre before you compute them.
# 2. Shift a section by a few pixels (periodically), turn it by 90 degrees, or swap its
#    phases. Which of these change the autocorrelation, and how?
#
# ````{dropdown} Solution of 1
# The four neighbours are of the other colour, the next ones on the diagonals of the same.
#
# ```python
# checkerboard = np.indices((6, 6)).sum(axis=0) % 2
# around_centre = two_point_statistics(checkerboard, cutoff=1)
# assert np.allclose(
#     around_centre, [[0.5, 0, 0.5], [0, 0.5, 0], [0.5, 0, 0.5]]
# )
# ```
# ````
#
# ````{dropdown} Solution of 2
# ```python
# shifted = np.roll(stiff, (7, -3), axis=(0, 1))
# assert np.array_equal(two_point_statistics(shifted), auto)  # no change
# turned = np.rot90(stiff)  # the map turns along
# assert np.array_equal(two_point_statistics(turned), np.rot90(auto))
# swapped = two_point_statistics(1 - stiff)  # a constant is added
# assert np.allclose(swapped, auto + 1 - 2 * f)
# ```
# ````

# %% [markdown]
# ## What we saw

# %% tags=["remove-input"]
paper = paper_results().query("case_study == 1 and quantity == 'first_component_variance'")
stated = paper.query("descriptor == 'two-point statistics'")["value"].item()
display(
    Markdown(f"""
- Two-point statistics count pairs of pixels. By Fourier transform a section takes
  {1e3 * batch_seconds:.3f} ms on one thread, and the result equals that of the loops.
- The map holds the area fraction (centre) and the size and shape of the features (width and
  shape of the peak). It does not hold the section: connectivity is not in it.
- For two phases one periodic autocorrelation determines all four maps, and half of it
  determines the other half: of {auto.size} values {auto.size // 2 + 1} are distinct.
- The first principal component of single sections holds {100 * explained[0]:.0f} % of the variance
  and is the square of the area fraction. The paper states {stated:.0f} % for its two-point
  statistics, and does not say whether of single or of three concatenated sections
  {{cite}}`whitman2025`; [Case study 1: stiffness of two-phase volumes](40_case_study_1.ipynb) shows both.
""")
)
