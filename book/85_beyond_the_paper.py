# %% [markdown]
# # Beyond the paper
#
# **Do frozen features need fewer volumes than a network that is trained, and how much better can one
# do with the same three sections?**
#
# One benefit of frozen features, says the paper, is a modest need of training data
# {cite}`whitman2025`. Here they stand side by side with networks that are trained, on the same volumes. After this page you can
# improve a model by changing one thing at a time, and read a learning curve.
# Fourteen minutes to read, two minutes to run.

# %% tags=["remove-cell"]
# Only away from a clone of the book: take the # off the two lines below,
# run the cell, and restart the kernel.
# # !git clone https://github.com/microprop/microprop-book
# # %pip install -e "./microprop-book[book]"

# %%
import numpy as np
import pandas as pd
import seaborn as sns
from sklearn.compose import TransformedTargetRegressor
from sklearn.decomposition import PCA
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    PolynomialFeatures,
    StandardScaler,
)

from helpers import plots
from helpers.beyond.occlusion import occlusion_maps
from helpers.beyond.plots import plot_occlusion
from helpers.datasets import PHASE_MODULI, badge, load_two_phase
from helpers.encoders import load_encoder
from helpers.evidence.plots import plot_learning_curves, plot_ratios
from helpers.features import extract_features
from helpers.io.results import read_results
from helpers.regression import aggregate_sections, mape

# %% tags=["parameters"]
n_volumes = 1000

# %%
study = load_two_phase("embedded").first(n_volumes)
microvit = load_encoder("microvit")
y = study.modulus

# %% tags=["remove-input"]
badge(
    study,
    microvit.title,
    note="Tables: `data/results/evidence`, of all 5900 volumes.",
)

# %% [markdown]
# ## One change at a time
#
# The paper's learner is a second-order polynomial of principal components. We start from it, with
# MicroViT's features of a thousand volumes, which take half a minute:


# %%
def features_of(volumes):
    """Concatenated features of sections (n, 3, h, w)."""
    images = volumes.reshape(-1, *volumes.shape[2:])
    options = {"pipeline": "section", "store": False, "progress": False}
    features = extract_features(images, microvit, **options)
    return aggregate_sections(features.reshape(len(volumes), 3, -1))


X = features_of(study.sections)
unit = np.sqrt(X.var(axis=0).sum())  # one number for all features
X = X / unit
X.shape

# %% [markdown]
# Two changes. The *target*: a percentage error weighs 1 GPa at 4 GPa like 25 GPa at 100 GPa, and
# least squares does not. Fitted to the logarithm they nearly agree, and no prediction is negative. The
# *learner*: kernel ridge regression predicts from the similarity to known samples
# {cite}`rasmussen2006`.

# %%
pca = PCA(50, svd_solver="full")
polynomial = make_pipeline(
    pca,
    PolynomialFeatures(2),
    LinearRegression(),
)
kernel = make_pipeline(pca, KernelRidge(kernel="rbf", alpha=0.02))
logarithm = FunctionTransformer(np.log, np.exp, check_inverse=False)
target = make_pipeline(logarithm, StandardScaler())


def of_logarithm(model):
    return TransformedTargetRegressor(
        model,
        transformer=target,
        check_inverse=False,
    )


# %%
count = "pca__n_components"
searches = {
    "paper's polynomial": GridSearchCV(
        polynomial,
        {count: [5, 10, 15, 20]},
    ),
    "+ logarithm": GridSearchCV(
        of_logarithm(polynomial),
        {"regressor__" + count: [5, 10, 15, 20]},
    ),
    "+ kernel": GridSearchCV(
        of_logarithm(kernel),
        {"regressor__kernelridge__gamma": [0.03, 0.1, 0.3, 1.0]},
    ),
}

# %% [markdown]
# Each search chooses its option inside a fold, by percentage error, and is judged outside of it. This
# takes about a minute:

# %%
percentage = "neg_mean_absolute_percentage_error"
predicted = {}
for name, search in searches.items():
    search.set_params(cv=4, scoring=percentage)
    predicted[name] = cross_val_predict(search, X, y, cv=5)
compliant = min(PHASE_MODULI)  # GPa; no volume can be below it
raised = np.maximum(predicted["paper's polynomial"], compliant)
predicted["paper's, no lower than a phase"] = raised

# %%
errors = {}
for name, values in predicted.items():
    rmse = np.sqrt(np.mean((values - y) ** 2))
    errors[name] = {"MAPE [%]": mape(y, values), "RMSE [GPa]": rmse}
steps = pd.DataFrame(errors).T
steps.round(1)

# %% [markdown]
# The logarithm takes more than a third off the percentage error, but misses by more gigapascals, for it
# weighs the stiff volumes less. The kernel brings that back down. Which of the two
# errors counts depends on what a prediction is for. The last row is a warning: part of the percentage
# error of that first learner comes from predictions that no material could have. Raised to the modulus
# of the compliant phase, the same model errs by a seventh less, without learning anything.
#
# ## How many volumes?
#
# Now that claim. Four frozen descriptors: MicroViT, its untrained twin (*MicroViT, random* in the figures),
# two-point statistics and counted statistics. None is fitted to the modulus, but MicroViT's task was chosen
# by that of such volumes. The validation part chooses a learner for each, one of the paper's two, or one of
# six on the logarithm, from a line to a kernel. And two networks whose every weight is trained on the
# modulus: a small convolutional network (CNN) that starts from nothing, and MicroViT, fine-tuned. All get
# the same volumes, of which a fifth chooses the learner, its options, or the epoch to stop at, and all
# meet the same 590 test volumes. The next figure shows means of three draws.
# They are lower than in [Case study 1](40_case_study_1.ipynb), whose learners are the paper's.

# %%
curves = read_results("evidence/learning_curves", "curves")
table = curves.pivot(index="method", columns="n", values="mape")
table.sort_values(5310).round(1)

# %% mystnb={"figure": {"caption": "Error against the number of volumes that a method gets, those of its validation part included. Means of three draws; bars: 95 % intervals over the test volumes.", "name": "fig-beyond-curves"}, "image": {"alt": "Six falling lines on logarithmic axes. The untrained network lies highest, then two-point statistics. Frozen MicroViT, counted statistics and the two trained networks lie close together from 500 volumes on."}} tags=["hide-input", "thumbnail"]
plot_learning_curves(curves)

# %% [markdown]
# Read it in pairs. *Trained or not*: at every size the untrained twin errs about twice as much as
# MicroViT. *Network or counts*: the counted statistics, lineal paths, chords and clusters, are what
# MicroViT was trained to tell; with few volumes they are too many, from 500 on they do as
# well. *Frozen or trained*: here is the surprise. The paper expects frozen features to lead where
# volumes are few. Do they?

# %%
cells = read_results("evidence/learning_curves")
draws = cells.pivot_table(
    index=["n", "draw"],
    columns="method",
    values="mape",
)
trained, frozen = draws["CNN from scratch"], draws["MicroViT"]
lead = 100 * (1 - frozen / trained).unstack()
width = 4.3 / np.sqrt(3)  # Student's t of three draws, 95 %
half = width * lead.std(axis=1)
lead.assign(mean=lead.mean(axis=1), half=half).round(0)

# %% [markdown]
# How much less the frozen features err than the CNN, in percent: three draws, their mean, and half of
# its 95 % interval. Up to 1 000 volumes the interval holds zero. With 2 000 the frozen features err about
# a tenth less, by this interval and by that of the test volumes. With all volumes the three draws are of
# the same volumes, so that they hold no luck of volumes, and the other interval holds a ratio of one.
#
# And a part of that lead is the protocol's. A learner is fitted anew to all volumes once it is
# chosen; a network keeps the weights of four fifths. From 1 000 volumes on, by the slope of its curve, that
# costs the CNN three or four percent of its error. Why might it need so little? It is small, and it is told
# what leaves a modulus alone: it sees each volume mirrored, shifted, and with y and z exchanged. Such
# knowledge may be worth volumes, and the frozen features were given none of it; whether that is the
# reason was not tried.
#
# Two warnings. With all volumes a network got ten minutes, and the best epoch of the CNN was among its last,
# as its schedule wants it; whether a longer one would help was not tried. And MicroViT's training contained
# such volumes ([MicroViT](92_microvit.ipynb)). Networks that have only seen photographs, as the paper's,
# were not run.
#
# What do the errors cost? The figure below sets the seconds of one core, to describe the volumes and
# to learn from them, against the error; each line begins at 100 volumes.

# %%
cells["cost"] = cells["seconds"] + cells["described_in"]
cost = cells.groupby(["method", "n"], as_index=False)
cost = cost[["cost", "mape"]].mean()

# %% mystnb={"figure": {"caption": "Error against the seconds of one core for describing the volumes and learning from them, tuning included. Each line runs from 100 to 5 310 volumes.", "name": "fig-beyond-cost"}, "image": {"alt": "Six lines. Frozen descriptors lie at one to a hundred seconds, trained networks at about sixty to six hundred, at similar errors."}} tags=["hide-input"]
figure, ((axis,),) = plots.panels(height=3.6)
order = table[5310].sort_values().index[::-1]
look = {"hue": "method", "hue_order": order}
sns.lineplot(
    cost.sort_values("n"),
    x="cost",
    y="mape",
    **look,
    marker="o",
    sort=False,
    errorbar=None,
    ax=axis,
)
axis.set(xscale="log", yscale="log", xlabel="time on one core [s]")
axis.set(ylabel="MAPE of the test part [%]")
ticks = [20, 30, 40, 60, 80]
axis.set_yticks(ticks, ticks)
axis.minorticks_off()
axis.legend(title=None)
figure

# %% [markdown]
# With the same volumes, frozen features cost about a seventh of the seconds of a trained network, or
# less. MicroViT's own training, once, is not counted: seventy minutes on two cores.
#
# ## Which descriptor, which learner?
#
# The same comparison with all volumes, of more descriptors and of each learner by itself. The classics
# of two-phase media {cite}`torquato2002` join in: how long the *chords* are that a line cuts off in a
# phase; how likely a segment of some length lies in one phase (*lineal path*); how likely two points
# lie in the same connected cluster (*cluster function*). A newer one, *persistent homology*, follows
# clusters and holes while a phase grows from its core. *Fractions and estimates* are the shares of the
# stiff phase and two textbook estimates of the modulus from them (Hashin-Shtrikman). *Noise* is the
# control: random numbers.
#
# Six learners are fitted to the logarithm: lines, second-order polynomials without and with a penalty
# (*ridge*), *boosted* trees, a *Gaussian process*, and kernel ridge regression. The figure below shows the
# error of each pair.

# %%
rivals = read_results("evidence/rivals")
volumes = rivals.query("study == 'case study 1'")
grid = volumes.pivot(
    index="descriptor",
    columns="learner",
    values="mape",
)
grid = grid.loc[grid.min(axis=1).sort_values().index]
grid = grid[volumes["learner"].unique()]  # in their order
names = ["linear", "2nd order", "log linear", "log 2nd order"]
names += ["log ridge", "log boosting", "log Gaussian", "log kernel"]
grid.columns = names

# %% mystnb={"figure": {"caption": "Test error [%] of each descriptor with each learner, 5310 volumes. The two learners on the left are the paper's; the best descriptors stand at the top.", "name": "fig-beyond-grid"}, "image": {"alt": "A heat map of fourteen descriptors by eight learners. Errors fall from 65 to 111 per cent in the linear column to 17 to 50 in the last one; noise, at the bottom, errs by 190 to 340."}} tags=["hide-input"]
figure, ((axis,),) = plots.panels(height=4.6)
look = {"annot": grid, "fmt": ".0f", "cbar": False}
look |= {"cmap": "viridis_r", "annot_kws": {"size": 9}}
sns.heatmap(np.log(grid), **look, ax=axis)
axis.set(xlabel="", ylabel="")
axis.tick_params(axis="x", rotation=30)
figure

# %% [markdown]
# From left to right most rows fall by half or more. MicroViT's best error lies two fifths below that with
# the better of the paper's two learners. The learner matters, and so does the descriptor. And simple counts do well.
# Lineal path and cluster function, a few lines of NumPy and SciPy each, cannot be told from MicroViT, and
# nobody had to train them. The bottom row is what knowing nothing costs.
#
# The learners were compared on the test part here, for all to see. For a fair number the validation part
# chooses. By the paper's protocol it picks two-point statistics or MicroViT, with one of the paper's two
# learners (*pr*: second-order polynomial). In this book's it picks a learner for MicroViT. How do the
# two compare?

# %%
pair = read_results("evidence/rivals", "pair")
for role in ("paper", "ours"):
    miss = pair[role] - pair["modulus"]
    percent = 100 * (miss / pair["modulus"]).abs().mean()
    print(f"{pair[f'{role}_row'][0]:27} MAPE {percent:.1f} %", end="")
    print(f", RMSE {np.sqrt((miss**2).mean()):.2f} GPa")

# %% [markdown]
# As with a thousand volumes, the error falls much in percent and stays as it was in gigapascals. All this is
# on embedded volumes.
#
# And on micrographs? The figure below sets all against MicroViT in both case studies: case study 1
# with the learner that the validation part chooses, and the published superalloys with support vector
# regression, on folds by source. The counts are of the *segmented* alloys; networks marked *grey* saw the
# micrographs, as the paper published their features.

# %%
ratios = read_results("evidence/rivals", "ratios")
one = ratios[ratios["study"] == "case study 1"]
two = ratios[ratios["study"].str.contains("source")]
some = pd.concat([one, two[two["learner"] == "svr"]])
some = some[some["descriptor"].isin(two["descriptor"])]
some = some.dropna(subset="p").query("ratio < 5").sort_values("ratio")

# %% mystnb={"figure": {"caption": "Error over that of MicroViT, with 95 % intervals over the volumes, and over the sources of the alloys, each of which counts alike. Noise errs eleven times as much on the volumes and is left out there.", "name": "fig-beyond-rivals"}, "image": {"alt": "Eleven rows. On the volumes the points of counted statistics, cluster function and lineal path lie at 1, chord lengths, two-point statistics and persistent homology at 1.3 to 1.5, the untrained network near 2. On the alloys all points, noise among them, lie at 1 with intervals that hold it."}}
plot_ratios(some, "descriptor", "study", "MAPE over that of MicroViT")

# %% [markdown]
# On the volumes three counts cannot be told from MicroViT, and three others err by a third to a half
# more. On alloys of sources that no model has seen, nothing is told from MicroViT, not even random numbers,
# with this learner or three others. On shuffled folds, as in the paper, DINOv2 L14 on grey images errs up to
# a quarter less than MicroViT on segmented ones, beyond chance with two of four learners.
#
# ## How many sections?
#
# A volume is more than three sections. Made again from its seed it can be cut more often. The figure
# below shows what more sections are worth: a thousand volumes, the sections of one direction averaged
# and the three directions side by side. Dashed, for comparison: two-point statistics of the whole
# volume in three dimensions, and its volume fraction alone.

# %%
sections = read_results("evidence/section_count")
cuts = sections[sections["cut"] != "whole volume"]
whole = sections[sections["cut"] == "whole volume"]
whole = whole.set_index("descriptor")["mape"]
whole.round(1)

# %%
named = {"1 section across the load": "1, across the load"}
named |= {"1 section along the load": "1, along it"}
cuts = cuts.replace({"cut": named})

# %% mystnb={"figure": {"caption": "Error on 100 test volumes against the sections that are cut from a volume. Dashed: two-point statistics of the whole volume, and its volume fraction.", "name": "fig-beyond-sections"}, "image": {"alt": "Two falling lines, MicroViT below two-point statistics. One section across the load errs above 100 per cent, one along it near 56, three 16 to 27, nine 8 to 12, all 153 5 to 8. Dashed lines at 10, two-point statistics in 3-D, and at 82, the volume fraction."}} tags=["hide-input"]
figure, ((axis,),) = plots.panels(height=3.2)
look = {"x": "cut", "y": "mape"}
look |= {"hue": "descriptor", "style": "descriptor"}
sns.lineplot(cuts, **look, markers=True, dashes=False, ax=axis)
for name, error in whole.items():
    axis.axhline(error, color="0.3", lw=0.8, ls="--")
    axis.text(1.5, error, name, va="bottom", ha="center")
axis.set(xlabel="sections", ylabel="MAPE [%]", yscale="log")
axis.set_yticks([5, 10, 20, 50, 100], [5, 10, 20, 50, 100])
axis.minorticks_off()
axis.legend(title=None, loc="lower left")
figure

# %% [markdown]
# Half of what three sections miss, nine of them see: the error of MicroViT falls from 16 to 8 %. All 153
# leave a third of it. So in this experiment about two thirds of the error went when more sections were
# cut; 100 test volumes carry no finer statement. And one section *along* the load errs half as much as one
# across it.
#
# ## How different the phases are
#
# The stiff phase is fifty times as stiff as the compliant one. A small experiment: the moduli of a
# thousand volumes, solved again with contrasts of 5 and 500.

# %% mystnb={"figure": {"caption": "Error against the contrast of the phases, kernel ridge regression of the logarithm in nested folds.", "name": "fig-beyond-contrast"}, "image": {"alt": "Five rising lines on logarithmic axes. MicroViT and counted statistics lie lowest and together, at 6 per cent, 20 and 56 to 60; two-point statistics a little above; the untrained network and fractions highest, from 10 to nearly 200."}} tags=["hide-input"]
contrasts = read_results("evidence/contrast")
figure, ((axis,),) = plots.panels(height=3.2)
look = {"x": "contrast", "y": "mape"}
look |= {"hue": "descriptor", "style": "descriptor"}
sns.lineplot(contrasts, **look, markers=True, dashes=False, ax=axis)
axis.set(xscale="log", yscale="log", ylabel="MAPE [%]")
axis.set_xticks([5, 50, 500], [5, 50, 500])
axis.set_yticks([5, 10, 20, 50, 100, 200], [5, 10, 20, 50, 100, 200])
axis.minorticks_off()
axis.legend(title=None)
figure

# %% [markdown]
# All err more where the phases differ more. MicroViT and counted statistics cannot be told apart at any
# contrast. *Fractions and estimates* and the untrained network fall back: they err less than twice as much as MicroViT at
# a contrast of 5, and about three times as much at 500.
#
# ## The size of a pixel
#
# A network sees pixels, not nanometres. The embedded superalloys have known pixel sizes, from 1 to
# 19 nm. We compare errors by source ([What do these models know?](70_what_models_know.ipynb)) with four
# inputs: the micrographs as they are, only their middle, the middle at one pixel size, and the pixel
# size as one more feature.

# %%
scale = read_results("evidence/scale")
by_source = scale[scale["study"].str.contains("source")]
by_source = by_source.dropna(subset="p")  # what is compared with
learners = {"svr": "support vectors", "log ridge pr": "log ridge"}
learners |= {"log gp": "log Gaussian", "log kernel ridge": "log kernel"}
by_source = by_source.replace({"learner": learners})

# %% mystnb={"figure": {"caption": "Error over that with the micrographs as they are, 95 % intervals over 19 sources; embedded superalloys, folds by source.", "name": "fig-beyond-scale"}, "image": {"alt": "Four learners, three points each. One pixel size lies near 0.8 with all learners, the middle alone near 1; most intervals reach the line at 1."}}
label = "MAPE over that of the images as they are"
plot_ratios(by_source, "learner", "descriptor", label)

# %% [markdown]
# With one pixel size each of the four learners errs less, by about a fifth. With 19 sources that is not
# shown: none of the twelve differences is beyond chance once all are judged together. On shuffled
# folds the pixel size seems to do wonders for kernels, because each of these sources has a magnification of its own:
# it names the source. This is a property of synthetic alloys.
#
# ## Which parts of a section matter
#
# Hide one patch after the other behind the mean grey of its section {cite}`zeiler2014`, and see how
# the prediction changes. One volume, by the kernel model of the thousand:

# %%
model = searches["+ kernel"].fit(X, y).best_estimator_


def predict(volumes):
    return model.predict(features_of(volumes) / unit)


share = study.sections.mean(axis=(2, 3))
shown = np.argmin(abs(share - 0.5).max(axis=1))
changes = occlusion_maps(predict, study.sections[shown])
print(f"computed modulus: {y[shown]:.0f} GPa")
print(f"largest change: {abs(changes).max():.0f} %")

# %% mystnb={"figure": {"caption": "The volume whose three sections come closest to half of each phase. Above: its sections, white is stiff; the load is along x, vertical in the last two. Below: change of the predicted modulus where a patch is hidden. Blue: it falls, so the model took what was there for a sign of stiffness.", "name": "fig-beyond-occlusion"}, "image": {"alt": "Three sections of a volume above three maps of seven by seven patches in red and blue."}}
plot_occlusion(study.sections[shown], changes)

# %% [markdown]
# Nearly all of the change lies in the section across the load, on the left, although alone it tells
# least, as we saw. Hide a piece of its stiff part,
# and the prediction falls by up to four percent. One volume is an example, not a rule.
#
# ## What we saw
#
# 1. **Two lines of scikit-learn take two fifths off the percentage error** of the paper's learner on the
#    embedded volumes, the logarithm of the target and a kernel; the error in gigapascals stays.
# 2. **Frozen features are not shown to need fewer volumes than a small network that is trained**: the two
#    are told apart at one size only, 2 000 volumes, where the frozen features err about a tenth less.
# 3. **Counts do as well from 500 volumes on**, with all volumes even one of them, lineal path or cluster
#    function. A network has to be held against them before it is praised. On alloys of unseen sources
#    nothing here, random numbers included, is told from MicroViT.
# 4. **It is the training, not the architecture**: the untrained twin needs 5 310 volumes for what
#    MicroViT does with fewer than 200.
#
# | What the paper says | What we saw |
# | --- | --- |
# | Frozen features: small training sets suffice | MicroViT errs by about a quarter with 200 to 500 volumes, of a kind that it was trained on; the paper's networks were not run |
# | Trained networks need larger ones | Not shown, of this small CNN |
# | Fine-tuning could improve the features | With 100 volumes it errs an eighth less, with 2 000 a little more; judged together, not decided |
#
# *Checked*: if one of these no longer held, the next cell would fail.

# %% tags=["checked"]
percent = steps["MAPE [%]"]
assert percent["+ kernel"] < 0.65 * percent["paper's polynomial"]  # 1
raised = steps.loc["paper's, no lower than a phase"]
assert 0.8 < raised["MAPE [%]"] / percent["paper's polynomial"] < 0.9
rmse = steps["RMSE [GPa]"]
assert abs(rmse["+ kernel"] / rmse["paper's polynomial"] - 1) < 0.1  # 1
assert rmse["+ logarithm"] > 1.3 * rmse["+ kernel"]
bounds = curves.pivot(index="method", columns="n")
lowest = bounds["ratio_low"]
few, many = lead.mean(axis=1).loc[:1000], lead.mean(axis=1).loc[2000:]
assert (few.abs() < half.loc[:1000]).all()  # 2
assert half[2000] < many[2000] < 20  # 2
cnn = lowest.loc["CNN from scratch"]
assert cnn[2000] > 1 > cnn[5310]  # 2
price = cost.pivot(index="n", columns="method", values="cost")
assert (price["MicroViT"] < 0.15 * price["CNN from scratch"]).all()
counts = "counted statistics"
assert (lowest.loc[counts, 500:] < 1).all()  # 3
twin = table.loc["MicroViT, random"]
assert twin[5310] > table.loc["MicroViT", 200]  # 4

# %% tags=["checked"]
ends = one.set_index("descriptor")[["low", "high"]]
equal = ["lineal path", "cluster function", counts]
worse = ["chord lengths", "two-point statistics", "persistent homology"]
assert (ends["low"][equal] < 1).all()  # 3
assert (ends["high"][equal] > 1).all()  # 3
assert (ends["low"][worse] > 1).all()  # 3
assert two["p_holm"].min() > 0.5  # 3
apart = contrasts.set_index(["descriptor", "contrast"])["ratio"]
behind = ["fractions and estimates", "MicroViT, random"]
assert all(apart[name, 5] < 2 < 3 < apart[name, 500] for name in behind)
sized = by_source[by_source["descriptor"] == "at one pixel size"]
assert sized["ratio"].between(0.7, 0.9).all()
assert by_source["p_holm"].min() > 0.2
largest = abs(changes).max(axis=(1, 2))
assert largest[0] > 2 * largest[1:].max()
errs = cuts.pivot(index="cut", columns="descriptor", values="mape")
errs = errs["MicroViT"]
assert errs["9 sections"] < 0.55 * errs["3 sections"]
assert 0.6 < 1 - errs["153 sections"] / errs["3 sections"] < 0.75

# %% [markdown]
# ## Exercises
#
# 1. Fit the kernel to the modulus itself. Which of the two errors grows?
# 2. How many volumes does each method need for an error of 30 %?
# 3. Which learner does the validation part choose, with few volumes and with many?
# 4. A small study: put two-point statistics in the place of MicroViT's features in the first part of
#    this page. Does the kernel help them as much?
#
# ````{dropdown} Solution of 1
# ```python
# plain = TransformedTargetRegressor(
#     kernel, transformer=StandardScaler()
# )
# gammas = {"regressor__kernelridge__gamma": [0.03, 0.1, 0.3, 1.0]}
# search = GridSearchCV(plain, gammas, cv=4, scoring=percentage)
# predicted = cross_val_predict(search, X, y, cv=5)
# print(f"MAPE {mape(y, predicted):.1f} %")
# print(f"RMSE {np.sqrt(np.mean((predicted - y) ** 2)):.1f} GPa")
# ```
# The percentage error grows by more than two fifths, from 21 to 30 %, and the error in gigapascals falls by a gigapascal.
# ````
#
# ````{dropdown} Solution of 2
# ```python
# sizes = np.log(table.columns.to_numpy(float))
# for method, row in np.log(table).iterrows():
#     falling = row[::-1].to_numpy(), sizes[::-1]
#     n = np.exp(np.interp(np.log(30), *falling))
#     print(f"{method}: about {n:.0f}")
# ```
# Where a curve never rises to 30 %, or never falls below it, the first or last size is printed.
# ````
#
# ````{dropdown} Solution of 3
# ```python
# counts = cells.groupby("n")["learner"].value_counts()
# print(counts.unstack(fill_value=0))
# ```
# ````
#
# ## Where to go next
#
# - [What do these models know?](70_what_models_know.ipynb): what an error says once the source is new.
# - [MicroViT](92_microvit.ipynb): what it was trained on, and what not.
# - [Your own micrographs](80_your_own_micrographs.ipynb): `microprop fit --model best` chooses among
#   such learners inside the folds.
