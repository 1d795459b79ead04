# %% [markdown]
# # Two-point statistics
#
# **How do we turn an image of phases into numbers that a regression can use?**
#
# The pixel values will not do: shift the frame and they change, although the material is the same.
# The two-point statistics of a periodic section stay as they are. They are the benchmark that the
# paper's vision transformers have to beat {cite}`whitman2025`. After this page you can compute
# them, read them, and say what they leave out.
# Fifteen minutes to read, half a minute to run.

# %% tags=["remove-cell"]
# Only away from a clone of the book: take the # off the two lines below,
# run the cell, and restart the kernel.
# # !git clone https://github.com/microprop/microprop-book
# # %pip install -e "./microprop-book[book]"

# %%
import numpy as np
import pandas as pd
import seaborn as sns
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline

from helpers import plots, plots_images
from helpers.datasets import badge, load_two_phase
from helpers.synthetic.homogenization import youngs_modulus
from helpers.synthetic.volumes import two_phase_volume
from helpers.two_point import TwoPointStatistics, two_point_statistics

# %% tags=["parameters"]
data = "embedded"

# %%
two_phase = load_two_phase(data)

# %% tags=["remove-input"]
badge(two_phase)

# %% [markdown]
# ## Throw an arrow
#
# Take a section, about half of it stiff, from a periodic volume: what leaves at one edge comes back
# at the opposite one. We throw the same arrow, 4 pixels down and 8 to the right, at random onto it,
# many times. How often do *both* ends hit the stiff phase?

# %%
half = {"seed": 0, "volume_fractions": (0.5, 0.5)}
volume = two_phase_volume(index=9, filter_widths=(5, 5), **half).volume
section = volume[0]
lag = (4, 8)  # rows down, columns to the right

rng = np.random.default_rng(1)
start = rng.integers(0, 51, size=(20_000, 2))
end = (start + lag) % 51
hit = section[tuple(start.T)] * section[tuple(end.T)]

shown = [20, 200, 2_000, 20_000]
for n in shown:
    print(f"{n:6} arrows: {hit[:n].mean():.3f}")

# %% [markdown]
# An arrow can start at 51 x 51 pixels only, so we try them all: we lay the section onto a
# shifted copy of itself, and count.

# %%
shifted = np.roll(section, (-lag[0], -lag[1]), axis=(0, 1))
exact = (section * shifted).mean()
print(f"all {section.size} arrows: {exact:.3f}")

# %% [markdown]
# The figure below shows thirty arrows, and how the share of hits settles.

# %% mystnb={"figure": {"caption": "Left: thirty throws of one arrow, on the section in pale colours. Right: the share of hits among the first n arrows; dots as printed above, dashed line: all arrows.", "name": "fig-two-point-arrows"}, "image": {"alt": "Left, a section of large blue and yellow regions with thirty parallel arrows, some in orange that begin and end in the yellow phase. Right, a line that jumps about at first and ends close to the exact value."}} tags=["hide-input"]
figure, ((left, right),) = plots.panels(1, 2, 3.5)
left.imshow(section, cmap="cividis", alpha=0.35)
plots_images.frame(left, "orange: both ends in the stiff phase")
look = {"color": np.where(hit[:30], plots.COLOURS[1], "0.35")}
look |= {"angles": "xy", "scale_units": "xy", "scale": 1}
for copy in np.ndindex(2, 2):  # arrows come back at the other edge
    row, column = (start[:30] - 51 * np.array(copy)).T
    left.quiver(column, row, lag[1], lag[0], width=0.009, **look)
left.set(xlim=(-0.5, 50.5), ylim=(50.5, -0.5))
n = np.arange(1, len(hit) + 1)
right.plot(n, hit.cumsum() / n, rasterized=True)
right.plot(shown, [hit[:k].mean() for k in shown], "o", color="C0")
right.axhline(exact, color="black", lw=0.8, ls="--")
right.set(xscale="log", xlim=(5, 3e4), ylim=(0, 0.6))
right.set(xlabel="number of arrows", ylabel="share of hits")
right.xaxis.set_major_formatter("{x:g}")
figure

# %% [markdown]
# ## The definition
#
# Let $m^A(x)$ be the *indicator* of phase $A$: 1 where pixel $x$ lies in it, else 0. An arrow is
# called a *lag* $r$. The two-point statistics of phases $A$ and $B$ are, for every lag,
#
# $$
# S^{AB}(r) = \frac{1}{N(r)} \sum_{x} m^A(x)\, m^B(x + r),
# $$ (eq-two-point)
#
# where $N(r)$ is the number of pixel pairs $(x, x + r)$
# {cite}`torquato2002,jiao2007,niezgoda2013`. It is the probability that the arrow starts in $A$
# and ends in $B$. With $B = A$ this is the *autocorrelation* of a phase, otherwise a
# *cross-correlation*.
#
# ## By hand
#
# On 5 x 5 periodic pixels every lag has 25 pairs, and the definition is four nested loops.

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
                to = (row + row_lag) % 5, (column + column_lag) % 5
                both = tiny[row, column] * tiny[to]
                by_hand[row_lag + 2, column_lag + 2] += both / 25
by_hand.round(2)

# %% [markdown]
# The result is a map of lags, zero lag at its centre. There both ends coincide, so the value is
# the area fraction of the phase, 8 of 25 pixels.
#
# ## By Fourier transform
#
# The loops visit every pixel for every lag. The Fourier transform $\mathcal{F}$ turns such a sum
# into a product:
#
# $$
# \sum_x m^A(x)\, m^B(x + r) = \mathcal{F}^{-1}\!\left[\overline{\mathcal{F}[m^A]}\;
# \mathcal{F}[m^B]\right](r).
# $$
#
# In NumPy {cite}`cecen2016`:

# %%
spectrum = np.fft.fft2(tiny)
counts = np.fft.ifft2(spectrum.conj() * spectrum).real
by_fourier = np.fft.fftshift(counts) / tiny.size
assert np.allclose(by_fourier, by_hand)

# %% [markdown]
# The helper does the same for a stack of sections. The transform is exact to many digits only; a
# count is a whole number, so the helper rounds it.

# %%
assert np.allclose(two_point_statistics(tiny), by_hand)
at_lag = two_point_statistics(section)[25 + 4, 25 + 8]
assert np.isclose(at_lag, exact)

# %% [markdown]
# ## Reading a map
#
# We put two sections beside the first, which is the coarse one, in the middle of the figure below.
# All are made like the book's own data ([Making the two-phase data](91_two_phase_data.ipynb)):
# noise, smoothed by a filter and cut at a threshold. The filter is narrow, wide, or wide in one
# direction only.

# %%
recipes = {
    "fine": {"index": 1, "filter_widths": (1.5, 1.5)},
    "coarse": {"index": 9, "filter_widths": (5, 5)},
    "elongated": {"index": 53, "filter_widths": (1.2, 9)},
}
made = [two_phase_volume(**r, **half) for r in recipes.values()]
examples = np.stack([sample.volume[0] for sample in made])
maps = two_point_statistics(examples)
centre = maps.shape[-1] // 2  # zero lag

# %% mystnb={"figure": {"caption": "Three sections (top) and the autocorrelation of their stiff phase (bottom).", "name": "fig-two-point-maps"}, "image": {"alt": "Three two-phase sections with fine, coarse and horizontally elongated features above their autocorrelation maps: a narrow, a broad and a horizontally stretched central peak."}} tags=["hide-input", "thumbnail"]
plots_images.plot_sections_and_maps(examples, maps, list(recipes))

# %% [markdown]
# Four things can be read off such a map.
#
# - **Its centre** is the area fraction $f$.
# - **Far from the centre** the two ends no longer know of each other, and the probability tends
#   to $f^2$. A section with only a few features offers no lag that is far enough: its curve does
#   not settle.
# - **The width of the peak** is the size of the features. Its slope at zero lag measures how
#   much interface there is {cite}`torquato2002`.
# - **The shape of the peak** is the shape of the features: elongated ones give an elongated peak.
#
# The next figure cuts the same three maps along their two axes.

# %% mystnb={"figure": {"caption": "Autocorrelations of the same three sections along the vertical and the horizontal axis. Solid grey line: area fraction f. Dotted line: its square, the value for two points that do not know of each other.", "name": "fig-two-point-profiles"}, "image": {"alt": "Three line plots of probability against lag. Each starts at the area fraction f. Those of the fine section fall to about f squared within a few pixels; a coarse curve stays above it. For the elongated section the horizontal curve falls more slowly than the vertical one."}} tags=["hide-input"]
plots.plot_lag_profiles(maps, list(recipes))

# %% [markdown]
# Two facts hold exactly in a periodic section: the value at zero lag is $f$, and the *mean of the
# whole map is $f^2$*, because over all lags each pixel of the phase is paired with every pixel of
# the phase, itself included, exactly once. We try 500 sections of the data set:

# %%
sections = np.concatenate(two_phase.sections)
fractions = sections.mean(axis=(1, 2))
all_maps = two_point_statistics(sections[:500])
assert np.allclose(all_maps[:, centre, centre], fractions[:500])
assert np.allclose(all_maps.mean(axis=(1, 2)), fractions[:500] ** 2)

# %% [markdown]
# ## One map gives the other three
#
# Two phases have four two-point statistics. They are not independent: an arrow that starts
# anywhere and ends anywhere does so with probability 1, and one that starts in $A$ and ends
# anywhere does so with probability $f$. In a periodic section one autocorrelation therefore
# gives the other three {cite}`niezgoda2013`.

# %%
stiff = examples[0]
compliant = 1 - stiff
f = stiff.mean()
auto = two_point_statistics(stiff)
cross = two_point_statistics(stiff, compliant)
auto_compliant = two_point_statistics(compliant)

assert np.allclose(cross, f - auto)
assert np.allclose(two_point_statistics(compliant, stiff), cross)
assert np.allclose(auto_compliant, 1 - 2 * f + auto)

# %% [markdown]
# Each map also repeats itself, $S(r) = S(-r)$: an arrow may be thrown the other way round. The
# figure below shows one pattern three times, once with high and low exchanged.

# %% mystnb={"figure": {"caption": "Autocorrelation of the stiff phase, cross-correlation and autocorrelation of the compliant phase of the fine section, on one scale.", "name": "fig-two-point-redundancy"}, "image": {"alt": "Three correlation maps of one section in the same colours. The two autocorrelations show the same bright central peak; the cross-correlation shows it as a dark trough that reaches zero at the centre."}} tags=["hide-input"]
plots_images.plot_maps(
    [auto, cross, auto_compliant],
    ["stiff, stiff", "stiff, compliant", "compliant, compliant"],
    same_scale=True,
)

# %% [markdown]
# Case study 1 of the paper takes the autocorrelation of the stiff phase. Case study 2 takes the
# cross-correlation, because in its micrographs the precipitates are sometimes the dark phase and
# sometimes the bright one.
#
# ## What the map does not tell
#
# Two phases share one map, but for a constant. So the map cannot tell which is the matrix. Take
# stiff discs that fill half of a compliant matrix, and swap the phases.

# %%
row, column = np.indices((51, 51))
radius = np.hypot(row % 17 - 8, column % 17 - 8)
discs = (radius <= 6.8).astype(np.uint8)
swapped = 1 - discs

gap = two_point_statistics(discs) - two_point_statistics(swapped)
moduli = youngs_modulus(np.stack([discs, swapped])[..., None])
print(f"largest difference of the maps: {abs(gap).max():.4f}")
print("stiff discs, stiff matrix [GPa]:", moduli.round(1))

# %% [markdown]
# The maps agree: the small difference is the constant, for the discs fill a little more than half.
# And the moduli are far apart: a stiff matrix carries load from side to side, stiff discs do not
# touch. So ask more of the arrow: not its ends alone, **its whole length** must lie in the phase.
# That probability is the *lineal path* {cite}`torquato2002`.


# %%
def lineal_path(phase, longest):
    """Probability that 1 + r pixels in a row lie in the phase."""
    inside = phase.copy()
    path = [inside.mean()]
    for r in range(1, longest + 1):
        inside = inside * np.roll(phase, -r, axis=1)
        path.append(inside.mean())
    return np.array(path)


statistics = two_point_statistics(discs)[centre, centre:]
paths = {
    "lineal path of the matrix": lineal_path(swapped, centre),
    "lineal path of the discs": lineal_path(discs, centre),
    "two-point statistics of either": statistics,
}

# %% [markdown]
# At lags 0 and 1 an arrow has no pixels but its ends, so nothing changes. The figure below shows
# the rest.

# %% mystnb={"figure": {"caption": "Left: the discs (yellow: stiff). Right: lineal path of discs and matrix along the rows, and the two-point statistics that both share.", "name": "fig-two-point-lineal-path"}, "image": {"alt": "Left, nine discs. Right, three curves that start at one half together. The lineal path of the discs falls to zero at the diameter, 13 pixels. That of the matrix levels off near a quarter. The two-point statistics fall and rise again at the distance of the next disc."}} tags=["hide-input"]
figure, ((left, right),) = plots.panels(1, 2, 3.4)
cmap = list(plots_images.PHASE_COLOURS)
sns.heatmap(discs, cmap=cmap, cbar=False, ax=left)
left.set(aspect="equal", xticks=[], yticks=[])
sns.lineplot(pd.DataFrame(paths), legend=False, ax=right)
places = (11, 0.2), (13.3, 0.02), (8, 0.52)
for i, name in enumerate(paths):
    right.text(*places[i], name, color=f"C{i}")
right.set(xlabel="lag [pixels]", ylabel="probability", ylim=(0, 0.56))
figure

# %% [markdown]
# No line longer than its diameter fits into a disc. About a quarter of all pixels lie in
# horizontal channels of the matrix, which have no end. The lineal path has its limit, too: a
# connection may bend.
#
# ## From maps to a descriptor
#
# A regression wants a row for every sample. `TwoPointStatistics` computes the maps and flattens
# them, as a step of a scikit-learn pipeline that fits nothing. The principal component analysis
# (PCA) after it is fitted, and must see the training part only. Here we predict nothing, and fit it
# to all.

# %%
pca = PCA(5, svd_solver="full")
pipeline = make_pipeline(TwoPointStatistics(), pca)
first = two_phase.sections[:1500, 0]
scores = pipeline.fit_transform(first)
explained = pca.explained_variance_ratio_

area = first.mean(axis=(1, 2))
with_area = abs(np.corrcoef(scores[:, 0], area)[0, 1])
with_square = abs(np.corrcoef(scores[:, 0], area**2)[0, 1])
print("values a section:", pca.n_features_in_)
print("share of the variance [%]:", (100 * explained).round(1))
print(f"first component and area fraction: |r| = {with_area:.3f}")
print(f"first component and its square:    |r| = {with_square:.6f}")

# %% [markdown]
# The first component holds nearly all of the variance. It is the mean of the map, $f^2$, that we
# met above. Size and shape of the features are in the rest.
#
# ## Edges, cut-off and masks
#
# The sections of case study 1 may be continued periodically. A micrograph may not: what lies
# beyond its edge is unknown. Then only pairs inside the image count, and $N(r)$ in
# {eq}`eq-two-point` falls with the lag. Large lags rest on few pairs, so the map is cut off: by
# default at half the shorter side.

# %%
inside = two_point_statistics(stiff, periodic=False)
difference = inside - auto
largest = abs(difference).max()
print(f"largest difference: {largest:.3f}")

# %% [markdown]
# The figure below shows where it lies: far from the centre, where pairs are few.

# %% mystnb={"figure": {"caption": "Autocorrelation of the fine section from pairs inside the image only, minus the periodic one.", "name": "fig-two-point-edges"}, "image": {"alt": "A map of differences, white at zero lag, pale around it, with strong blue and red patches in the corners."}} tags=["hide-input"]
figure, ((axis,),) = plots.panels(1, 1, 3.6, 4.8)
span = (-centre - 0.5, centre + 0.5)
look = {"cmap": "RdBu_r", "vmin": -largest, "vmax": largest}
image = axis.imshow(difference, extent=(*span, *span[::-1]), **look)
figure.colorbar(image, label="difference of the probability")
axis.set(xlabel="column lag [pixels]", ylabel="row lag [pixels]")
figure

# %% [markdown]
# Real micrographs carry scale bars and labels. A **mask** says which pixels are valid; a pair
# counts if both its pixels are. We stamp a bright label onto the 300 sections of the data set that
# are closest to half stiff.

# %%
order = np.argsort(abs(fractions - 0.5), kind="stable")
half_stiff = sections[order[:300]]
stamped = half_stiff.copy()
stamped[:, :10, :20] = 1
valid = np.ones(stiff.shape, bool)
valid[:10, :20] = False

options = {"periodic": False, "cutoff": 15}
clean = two_point_statistics(half_stiff, **options)
counted = two_point_statistics(stamped, **options)
masked = two_point_statistics(stamped, mask=valid, **options)
errors = {
    "label counted": counted - clean,
    "label masked": masked - clean,
}
for name, error in errors.items():
    size = abs(error).mean()
    print(f"{name}: bias {error.mean():+.3f}, mean size {size:.3f}")

# %% [markdown]
# The mask removes the bias, but not the scatter: a single map is even further off. The pixels under
# the label are lost, and the features are as large as the label.
#
# ## What we saw
#
# 1. **Two-point statistics tell how often both ends of an arrow hit.** Loops and Fourier transform give the
#    same values; thrown arrows come close.
# 2. **A map shows how much, how large and which way**: area fraction in the centre, size and
#    direction of the features in the width and shape of the peak.
# 3. **It does not show which phase is connected.** Swap discs and matrix, and the map gains a
#    constant only, while the stiffness rises about fivefold. The lineal path tells them apart.
# 4. **The first principal component is the area fraction squared**, and holds more than nine
#    tenths of the variance of single sections.
#
# | What the paper says | What we saw |
# | --- | --- |
# | A section becomes a vector of 2601 values. | So it does, and half of them repeat the other half. |
# | The first component holds 75 % of the variance and follows the volume fraction. | It follows the area fraction, and holds more of single sections. Exercise 4 takes three side by side. |
#
# *Checked*: the next cell fails if one of these no longer holds.

# %% tags=["checked"]
fraction = maps[:, centre, centre]
down, across = maps[:, centre + 5, centre], maps[:, centre, centre + 5]
fine, coarse, elongated = np.stack([down, across], axis=1)

assert np.allclose(by_fourier, by_hand)  # 1
assert abs(hit.mean() - exact) < 0.02  # 1
assert np.allclose(fraction, examples.mean(axis=(1, 2)))  # 2
assert (1.3 * fine < coarse).all()  # 2
assert elongated[0] < 0.8 * elongated[1]  # 2
assert np.ptp(gap) < 1e-9  # 3
assert 4 < moduli[1] / moduli[0] < 6  # 3
assert paths["lineal path of the discs"][-1] == 0  # 3
assert paths["lineal path of the matrix"][-1] > 0.2  # 3
assert explained[0] > 0.9  # 4
assert with_square > 0.99  # 4
assert np.array_equal(auto, auto[::-1, ::-1])  # the table

# %% [markdown]
# ## Exercises
#
# 1. What is the autocorrelation of a checkerboard whose fields are one pixel wide? Write down
#    the four values that surround the centre before you compute them.
# 2. Shift a section periodically, turn it by 90 degrees, or swap its phases. Which of these
#    change the autocorrelation, and how?
# 3. A *chord* is a run of pixels of one phase along a row. Collect the lengths of all chords of
#    the discs. Then find their mean from $S(0)$ and $S(1)$ alone: every chord has one end.
# 4. Put the maps of the three sections of a volume side by side and repeat the PCA. Which share
#    of the variance is left to the first component, and why?
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
# A shift changes nothing. A turn turns the map along. Swapping the phases adds a constant to it.
#
# ```python
# moved = np.roll(stiff, (7, -3), axis=(0, 1))
# assert np.array_equal(two_point_statistics(moved), auto)  # no change
# turned = np.rot90(stiff)  # the map turns along
# assert np.array_equal(two_point_statistics(turned), np.rot90(auto))
# other = two_point_statistics(1 - stiff)  # a constant is added
# assert np.allclose(other, auto + 1 - 2 * f)
# ```
# ````
#
# ````{dropdown} Solution of 3
# A chord ends where the phase is left on the way to the next pixel, which has the probability
# $S(0) - S(1)$. So many chords share the area $S(0)$: both ways give a mean of about 11 pixels.
#
# ```python
# padded = np.pad(discs.astype(int), ((0, 0), (1, 1)))
# step = np.diff(padded, axis=1)  # 1 where a chord begins, -1 after it
# chords = np.argwhere(step == -1)[:, 1] - np.argwhere(step == 1)[:, 1]
# print(np.unique(chords, return_counts=True))
# print(chords.mean(), statistics[0] / (statistics[0] - statistics[1]))
# ```
# ````
#
# ````{dropdown} Solution of 4
# Three sections of a volume differ in their area fractions. One component cannot follow all of
# them, and holds about three quarters.
#
# ```python
# rows = two_point_statistics(two_phase.sections[:500])
# pca.fit(rows.reshape(500, -1))
# print((100 * pca.explained_variance_ratio_).round(1))
# ```
# ````
#
# ## Where to go next
#
# [Case study 1: stiffness of two-phase volumes](40_case_study_1.ipynb) predicts moduli from these
# maps. [Case study 2](50_case_study_2.ipynb) needs phases from grey micrographs first.
