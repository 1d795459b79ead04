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

# %%
import time

import numpy as np
from IPython.display import Markdown, display
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline

from helpers.datasets import load_two_phase
from helpers.plots import plot_lag_profiles, plot_maps, plot_sections_and_maps
from helpers.two_point import TwoPointStatistics, two_point_statistics

# %% tags=["parameters"]
data = "embedded"
n_timed = 3000

# %% tags=["hide-input"]
two_phase = load_two_phase(data)
display(Markdown(two_phase.notice))

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
# We now take sections of the data set that are about half stiff, and pick three by the width
# of their autocorrelation: the finest in both directions, the coarsest in both, and the one whose
# two widths differ most. The width is the first lag at which the map has fallen half-way from its
# value at zero lag to its mean.

# %%
sections = two_phase.sections.reshape(-1, *two_phase.sections.shape[-2:])
fractions = sections.mean(axis=(1, 2))
half_stiff = sections[np.argsort(abs(fractions - 0.5), kind="stable")[:300]]
half_stiff_maps = two_point_statistics(half_stiff)


def half_width(profiles):
    """First lag below half-way from the first value to the map's mean, else the last lag."""
    low = profiles < (profiles[:, :1] + half_stiff_maps.mean(axis=(1, 2))[:, None]) / 2
    return np.where(low.any(axis=1), low.argmax(axis=1), low.shape[1] - 1)


centre = sections.shape[-1] // 2
row_width = half_width(half_stiff_maps[:, centre:, centre])
column_width = half_width(half_stiff_maps[:, centre, centre:])
picks = {
    "fine": np.maximum(row_width, column_width).argmin(),
    "coarse": np.minimum(row_width, column_width).argmax(),
    "elongated": abs(np.log(row_width / column_width)).argmax(),
}

# %% mystnb={"figure": {"caption": "Three sections (top) and the autocorrelation of their stiff phase (bottom). The probability is highest at zero lag, in the centre. The width of the peak follows the size of the features, and its shape follows theirs.", "name": "fig-two-point-maps"}, "image": {"alt": "Three two-phase sections with fine, coarse and elongated features above their autocorrelation maps: a narrow, a broad and a stretched central peak."}} tags=["hide-input"]
chosen = list(picks.values())
plot_sections_and_maps(half_stiff[chosen], half_stiff_maps[chosen], list(picks))

# %% [markdown]
# Four things can be read off such a map.
#
# - **Its centre** is the area fraction $f$.
# - **Far from the centre** the two points no longer know of each other. If the image is much
#   larger than its features, the probability tends to $f^2$. A coarse section offers no lag
#   that is far enough: its curve passes $f^2$ and does not settle.
# - **The width of the peak** is the size of the features. Its slope at zero lag measures how
#   much interface there is {cite}`torquato2002`.
# - **The shape of the peak** is the shape of the features: elongated ones give an elongated peak.
#
# {numref}`fig-two-point-profiles` shows the same three maps along the two axes.

# %% mystnb={"figure": {"caption": "Autocorrelations of the same three sections along the vertical and the horizontal axis. Solid grey line: area fraction f. Dotted line: its square, the value for two points that do not know of each other.", "name": "fig-two-point-profiles"}, "image": {"alt": "Three line plots of probability against lag. Each starts at the area fraction f and falls towards f squared, quickly for the fine section and slowly for the coarse one; for the elongated section the two directions differ."}} tags=["hide-input"]
plot_lag_profiles(half_stiff_maps[chosen], list(picks))

# %% [markdown]
# Two facts hold exactly in a periodic section: the value at zero lag is the area fraction $f$,
# and the *mean of the whole map is $f^2$*, because each pixel of the phase is paired with every
# other one once. So most of what differs between the maps of a data set with all area fractions
# is the area fraction itself. We shall meet this again in the first principal component.

# %%
all_maps = two_point_statistics(sections[:500])
assert np.allclose(all_maps[:, centre, centre], fractions[:500])
assert np.allclose(all_maps.mean(axis=(1, 2)), fractions[:500] ** 2)

# %% [markdown]
# ## One map says it all
#
# Two phases have four two-point statistics. They are not independent: a vector that starts
# anywhere and ends anywhere does so with probability 1, and one that starts in $A$ and ends
# anywhere does so with probability $f$. In a periodic section one autocorrelation therefore
# determines the other three {cite}`niezgoda2013`.

# %%
stiff = half_stiff[picks["fine"]]
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
# Case study 1 of the paper takes the autocorrelation of the stiff phase. Case study 2 takes the
# cross-correlation, for a good reason: it stays the same when the phases swap names, and in
# micrographs from many sources the precipitates are sometimes the dark phase and sometimes the
# bright one {cite}`whitman2025`.
#
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

# %% mystnb={"figure": {"caption": "The fine section continued periodically, with its own pixels only, and the difference. The two agree at small lags and part towards the edge of the map, where fewer pairs are left.", "name": "fig-two-point-edges"}, "image": {"alt": "Two similar autocorrelation maps, periodic and not periodic, and their difference, which is zero at the centre and grows towards the corners."}} tags=["hide-input"]
plot_maps(
    [around, inside, inside - around],
    ["periodic", "not periodic", "difference"],
)

# %% [markdown]
# Real micrographs carry scale bars and labels. A **mask** says which pixels are valid; a pair
# counts if both its pixels are. Here we stamp the same bright label onto each of the sections
# from above and compare with the clean ones.

# %%
stamped = half_stiff.copy()
stamped[:, :10, :20] = 1
valid = np.ones(stiff.shape, bool)
valid[:10, :20] = False

options = {"periodic": False, "cutoff": 15}
clean = two_point_statistics(half_stiff, **options)
with_label = two_point_statistics(stamped, **options)
masked = two_point_statistics(stamped, mask=valid, **options)
label_bias, mask_bias = (with_label - clean).mean(), (masked - clean).mean()

# %% tags=["hide-input"]
display(
    Markdown(
        f"Averaged over the sections and lags, the probabilities are off by {label_bias:+.3f} with "
        f"the label taken for the stiff phase and by {mask_bias:+.3f} with the label masked. The "
        "mask cannot bring back what the label hides, but it stops the label from being counted."
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
link = np.corrcoef(scores[:, 0], first_sections.mean(axis=(1, 2)))[0, 1]

# %% tags=["hide-input"]
display(
    Markdown(
        f"{len(first_sections)} sections give {pipeline[0].transform(first_sections[:1]).shape[1]} "
        f"values each. The first five principal components hold "
        f"{', '.join(f'{100 * share:.1f}' for share in explained)} % of the variance. The first "
        f"one correlates with the area fraction: |r| = {abs(link):.3f}."
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
two_point_statistics(many)
batch_seconds = (time.perf_counter() - start) / len(many)

# %% tags=["hide-input"]
display(
    Markdown(
        f"Shifted copies: {1e3 * loop_seconds:.0f} ms a section. The helper: "
        f"{1e3 * batch_seconds:.3f} ms a section, {loop_seconds / batch_seconds:.0f} times as fast."
    )
)

# %% [markdown]
# `make bench` compares the helper with PyMKS {cite}`brough2017`, the established package for this task.
#
# ## Exercises
#
# **1.** What is the autocorrelation of a checkerboard whose fields are one pixel wide? Write down
# the four values that surround the centre before you compute them.

# %% tags=["hide-cell"]
checkerboard = np.indices((6, 6)).sum(axis=0) % 2
two_point_statistics(checkerboard, cutoff=1)

# %% [markdown]
# **2.** Shift a section by a few pixels (periodically), turn it by 90 degrees, or swap its
# phases. Which of these change the autocorrelation, and how?

# %% tags=["hide-cell"]
shifted = np.roll(stiff, (7, -3), axis=(0, 1))
turned = np.rot90(stiff)
assert np.array_equal(two_point_statistics(shifted), auto)  # no change
assert np.array_equal(two_point_statistics(turned), np.rot90(auto))  # the map turns along
assert np.allclose(two_point_statistics(1 - stiff), auto + 1 - 2 * f)  # a constant is added

# %% [markdown]
# ## What we saw

# %% tags=["hide-input"]
widths = {name: (row_width[i], column_width[i]) for name, i in picks.items()}
display(
    Markdown(f"""
- Two-point statistics count pairs of pixels. By Fourier transform a section takes
  {1e3 * batch_seconds:.3f} ms, and the result equals that of the loops.
- The map holds the area fraction (centre), the feature size (width: {widths["fine"][0]} and
  {widths["fine"][1]} pixels in the fine section, {widths["coarse"][0]} and
  {widths["coarse"][1]} in the coarse one) and the feature shape ({widths["elongated"][0]} by
  {widths["elongated"][1]} in the elongated one).
- For two phases one periodic autocorrelation determines all four maps, and half of it
  determines the other half: of {auto.size} values {auto.size // 2 + 1} are distinct.
- The first principal component holds {100 * explained[0]:.0f} % of the variance and follows the
  area fraction (|r| = {abs(link):.3f}). What is left for the arrangement of the phases is the
  rest. Section 4 of the paper makes the same point {{cite}}`whitman2025`; the next chapters
  test what it costs a regression.
""")
)
