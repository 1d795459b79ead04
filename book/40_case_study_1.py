# %% [markdown]
# # Case study 1: stiffness of two-phase volumes
#
# Can the stiffness of a three-dimensional, two-phase material be predicted from three flat
# sections through it? That is the first question of the paper {cite}`whitman2025`. It matters
# because sections are what a microscope gives; the third dimension is expensive.
#
# The steps are always the same, and every descriptor of this book goes through them:
#
# 1. **Sections.** Three sections of each volume, one normal to each axis.
# 2. **Features.** Each section becomes a vector of numbers: its two-point statistics, or what a
#    frozen vision transformer makes of it.
# 3. **Aggregation.** The three vectors are put side by side (*concat*) or averaged (*mean*).
# 4. **Reduction.** Principal component analysis (PCA) keeps a few numbers a volume.
# 5. **Regression.** A linear (LR) or second-order polynomial (PR) model maps them to the
#    modulus.

# %% tags=["remove-cell"]
# Only away from a clone of the book: take the # off the two lines below,
# run the cell, and restart the kernel.
# # !git clone https://github.com/microprop/microprop-book
# # %pip install -e "./microprop-book[book]"

# %%
import numpy as np
import pandas as pd
from IPython.display import Markdown, display

from helpers import plots, plots_images
from helpers.datasets import badge, load_two_phase, paper_results
from helpers.encoders import ENCODERS, load_encoder
from helpers.features import extract_features
from helpers.regression import MODELS, aggregate_sections, fit_pca, holdout, holdout_scores
from helpers.synthetic.elasticity import voigt_reuss_stiffness, young_from_stiffness
from helpers.two_point import TwoPointStatistics
from helpers.vit.weights import how_to_get, weights_at_hand

# %% tags=["parameters"]
data = "embedded"
weights = "embedded"
max_components = 50
n_volumes = 3000  # of the embedded set; of the published one all

# %%
study = load_two_phase(data)
if data == "embedded":
    study = study.first(n_volumes)
pretrained = weights == "pretrained"
usable = {n: e for n, e in ENCODERS.items() if pretrained or e.shipped}
at_hand = {n: e for n, e in usable.items() if e.shipped or weights_at_hand(e) is not None}

# %% tags=["remove-input"]
titles = [e.title + " (test fixture)" * e.fixture for e in at_hand.values()]
badge(study, *titles, note="The control has random weights, and says so.")

# %% [markdown]
# ## The data
#
# A volume is a cube of voxels, each of a stiff phase (120 GPa) or a compliant one (2.4 GPa),
# both with Poisson's ratio 0.3 {cite}`cecen2018`. The contrast of 50 is what makes the problem
# hard: it leaves wide room between the stiffest and the most compliant arrangement of the *same*
# amounts of the two phases. How the embedded volumes and their moduli were made is told in
# [Making the two-phase data](91_two_phase_data.ipynb).
#
# In profile embedded this page takes the first 3 000 of the 5 900 volumes, to run within a minute. With
# all of them ([the page on MicroViT](92_microvit.ipynb)) the errors are similar and in the same order.
#
# The property is the modulus along x, the first axis. The section normal to x is perpendicular to
# the load; the other two contain its direction. (For the published file this is an assumption:
# nothing in it names the axis of the load.)

# %% mystnb={"figure": {"caption": "Three volumes, seen as their three sections normal to x, y and z. Yellow: stiff phase. The load is along x: out of the plane in the left column, vertical in the others.", "name": "fig-case1-sections"}, "image": {"alt": "Grid of nine two-phase images: a row for each of three volumes of low, medium and high stiff fraction, a column for each section normal to x, y and z. The three sections of one volume look very different."}} tags=["hide-input"]
order = np.argsort(study.volume_fraction)
shown = order[[len(order) // 5, len(order) // 2, 4 * len(order) // 5]]
titles = [
    f"stiff: {100 * study.volume_fraction[i]:.0f} %, {study.modulus[i]:.0f} GPa\nnormal to {axis}"
    for i in shown
    for axis in "xyz"
]
plots_images.plot_sections(
    study.sections[shown].reshape(-1, *study.sections.shape[2:]), titles, axes=["yz", "xz", "xy"]
)

# %% mystnb={"figure": {"caption": "Modulus against stiff fraction, with the bounds of Voigt and Reuss. The spread at one fraction is what arrangement does, and what a descriptor has to see.", "name": "fig-case1-data"}, "image": {"alt": "Scatter plot of modulus against volume fraction of the stiff phase, between a straight upper and a strongly curved lower bound. In gigapascal the cloud is widest at high fractions; many points lie along its upper and lower edge."}} tags=["hide-input"]
fractions = np.linspace(0, 1, 201)
young = study.modulus_kind == "Young's modulus"
bounds = [
    (fractions, young_from_stiffness(c) if young else c[:, 0, 0])
    for c in voigt_reuss_stiffness(fractions)
]
plots.plot_modulus(
    study.volume_fraction,
    study.modulus,
    dict(zip(("Voigt", "Reuss"), bounds, strict=True)),
    study.modulus_kind,
)

# %% [markdown]
# ## Features
#
# The two-point autocorrelation of the stiff phase ([Two-point statistics](30_two_point_statistics.ipynb)) of every
# section: for each lag, the probability that two voxels that far apart are both stiff. The
# sections are periodic, so no edge correction is needed. Beside it stands a baseline that the
# paper does not have: the stiff area fraction of each section and nothing else. What two-point
# statistics gain over it, they gain from the arrangement. Another descriptor is another entry of
# this dictionary, and nothing below changes.

# %%
n, n_sections, *shape = study.sections.shape
autocorrelation = TwoPointStatistics(periodic=True)
descriptors = {
    "two-point statistics": autocorrelation.fit_transform(
        study.sections.reshape(-1, *shape)
    ).reshape(n, n_sections, -1),
    "area fraction": study.sections.mean(axis=(2, 3))[:, :, None],
}

# %% [markdown]
# The encoders ([Features from vision transformers](20_features.ipynb)) see the same sections, preprocessed as in [Preprocessing](10_preprocessing.ipynb).
# One of them ships with the book: MicroViT, a small vision transformer that was trained to predict
# statistics of synthetic microstructures ([MicroViT: a vision transformer that has only seen microstructures](92_microvit.ipynb)), made from other seeds than the data on this
# page. No property was among them, but estimates of the conductivity along each axis were, and these are
# akin to a modulus. In profile paper all other encoders whose weights are on this machine are run as well. One
# more row is a control that the paper does not have: MicroViT with *random* weights. It has never
# seen an image. What the trained MicroViT gains over it, it gains from its training.

# %% tags=["remove-output"]
sections = study.sections.reshape(-1, *shape)
control = load_encoder("microvit", "random")
for encoder in [control, *at_hand]:
    name = encoder if encoder in at_hand else control.title
    features = extract_features(sections, encoder, pipeline="section", name=f"two-phase-{data}")
    descriptors[name] = features.reshape(n, n_sections, -1)

# %%
{name: features.shape for name, features in descriptors.items()}

# %% [markdown]
# ## Protocol
#
# The paper's protocol, with the seeds of its public notebooks: 10 % of the volumes are held out
# as a test part; 20 % of the rest are the validation part that chooses the number of principal
# components, from 1 to 50, by the lowest error. The chosen model is then fitted on training and
# validation part together and scored once on the test part. PCA only ever sees the part that its
# model is fitted on. The error is the mean absolute percentage error,
#
# $$\mathrm{MAPE} = \frac{100\,\%}{n} \sum_{i=1}^{n}
#   \left| \frac{E_i - \hat{E}_i}{E_i} \right| ,$$
#
# which weighs a miss of 1 GPa at 4 GPa as much as one of 25 GPa at 100 GPa.

# %%
results, scores = {}, {}
for name, features in descriptors.items():
    for aggregate in ("concat", "mean"):
        X = aggregate_sections(features, aggregate)
        scores[name, aggregate] = holdout_scores(X, min(max_components, X.shape[1]))
        for model in MODELS:
            key = name, aggregate, model
            results[key] = holdout(scores[name, aggregate], study.modulus, model)

# %% [markdown]
# ## Results
#
# ```{note}
# The last column is the paper's test error on *its* data set, with its number of components.
# "Figure only" means that the paper shows the value as a bar; its text says no more than that
# linear models lie above 30 % and most polynomial ones with concatenation below. We do not read
# numbers off figures.
# ```

# %% tags=["remove-input"]
table = pd.DataFrame(
    [(*key, r.n_components, r.val_mape.min(), r.test_mape) for key, r in results.items()],
    columns=["descriptor", "aggregate", "model", "n_components", "val_mape", "test_mape"],
)
keys = ["descriptor", "aggregate", "model"]
stated = paper_results().query("case_study == 1 and quantity == 'test_mape'").set_index(keys)


def paper_says(row):
    """The paper's number for a row of the table, in words where there is none."""
    if tuple(row[keys]) not in stated.index:
        return "not in the paper"
    value, n_components = stated.loc[tuple(row[keys]), ["value", "n_components"]]
    return "figure only" if np.isnan(value) else f"{value:.1f} ({n_components:.0f})"


# %% tags=["remove-input"]
missing = [
    {"descriptor": name, "aggregate": "concat", "model": "pr", "test_mape": "–"}
    for name in ENCODERS
    if name not in at_hand
]
rows = pd.concat([table.astype({"test_mape": object}), pd.DataFrame(missing)], ignore_index=True)
rows["paper"] = rows.apply(paper_says, axis=1)
rows["descriptor"] = [ENCODERS[n].title if n in ENCODERS else n for n in rows["descriptor"]]
rows["model"] = rows["model"].str.upper()
names = {"n_components": "components", "val_mape": "validation MAPE [%]"}
names |= {"test_mape": "test MAPE [%]", "paper": "paper: test MAPE [%] (components)"}
rows.rename(columns=names).style.format(precision=1, na_rep="").format(
    precision=0, na_rep="", subset=["components"]
).hide(axis="index")

# %% tags=["remove-input"]
if missing:
    example = ENCODERS[missing[0]["descriptor"]]
    size = sum(ENCODERS[row["descriptor"]].size for row in missing) / 1e9
    display(
        Markdown(
            f"{len(missing)} encoders have a row without a result, because this page did not "
            f"use their trained weights ({size:.1f} GB in all). For {example.title}, {how_to_get(example)}. "
            "`make book PROFILE=paper` then computes the row."
        )
    )

# %% mystnb={"figure": {"caption": "Error of the test part by model and aggregation (the form of Fig. 3 of the paper).", "name": "fig-case1-bars"}, "image": {"alt": "Bar chart of the test MAPE of two-point statistics, of the area fraction alone and of each network, trained or not, for linear and polynomial regression, each with concatenated and with averaged sections."}} tags=["hide-input"]
named = {n: e.title for n, e in ENCODERS.items()}
bars = table.assign(model=table["model"].map(MODELS))
bars = bars.replace({"descriptor": named}).rename(columns={"aggregate": "sections"})
plots.plot_bars(bars, "test_mape", "sections", "MAPE of the test part [%]", panel="model")

# %% mystnb={"figure": {"caption": "Validation error of two-point statistics against the number of components; the dot marks the chosen number.", "name": "fig-case1-validation"}, "image": {"alt": "Line plot of validation MAPE against one to fifty principal components, a line for each model and aggregation, with the minimum of each marked."}} tags=["hide-input"]
two_point_results = {
    f"{m.upper()}, {a}": r for (d, a, m), r in results.items() if d == "two-point statistics"
}
plots.plot_validation_curves(two_point_results)

# %% mystnb={"figure": {"caption": "Predicted against true modulus, concatenated sections (the form of Fig. 4 of the paper).", "name": "fig-case1-parity"}, "image": {"alt": "Two parity plots, linear and polynomial regression: points of the fitted and the test part scatter around the diagonal, less widely for the polynomial. At low moduli some predictions are negative; the linear model levels off at high moduli."}} tags=["hide-input", "thumbnail"]
best_name = table.loc[table["val_mape"].idxmin(), "descriptor"]
panels = {}
for m in MODELS:
    r = results[best_name, "concat", m]
    panels[f"{m.upper()}, {named.get(best_name, best_name)}"] = {
        "train + validation": (r.y_fit, r.y_fit_pred),
        "test": (r.y_test, r.y_pred),
    }
plots.plot_predictions(panels, study.modulus_kind, "GPa")

# %% [markdown]
# ## What the components see
#
# To understand the features better, the paper looks at their first components. If the first one
# merely repeats the volume fraction, much of the variance describes what a single number could
# say, and subtler details of the arrangement may be overlooked.

# %% mystnb={"figure": {"caption": "Volumes in the plane of the first two components of the concatenated autocorrelations, coloured by the stiff phase's volume fraction (the form of Fig. 5a).", "name": "fig-case1-components"}, "image": {"alt": "Scatter plot of the first two principal components; the colour, the volume fraction, changes steadily along the first component."}} tags=["hide-input"]
two_point = scores["two-point statistics", "concat"]
plots.plot_components(
    two_point.tuning, study.volume_fraction, "volume fraction of the stiff phase"
)

# %% mystnb={"figure": {"caption": "Variance explained by the components of the training part, each (left) and summed up (right; the form of Fig. 5b).", "name": "fig-case1-scree"}, "image": {"alt": "Two scree plots over thirty components for the concatenated, the averaged and the single-section autocorrelations and for MicroViT, trained and untrained; the first component dominates each of the autocorrelations."}} tags=["hide-input"]
single = fit_pca(descriptors["two-point statistics"][two_point.train, 0], max_components)
shares = {
    "autocorrelation, concat": two_point.explained_variance_ratio,
    "MicroViT, concat": scores["microvit", "concat"].explained_variance_ratio,
    f"{control.title}, concat": scores[control.title, "concat"].explained_variance_ratio,
    "autocorrelation, mean": scores["two-point statistics", "mean"].explained_variance_ratio,
    "autocorrelation, one section": single.explained_variance_ratio_,
}
plots.plot_scree(shares)

# %% [markdown]
# How closely does the first component follow the volume fraction, and what else could it be? The
# mean of a periodic autocorrelation is the square of the section's area fraction
# ([Two-point statistics](30_two_point_statistics.ipynb)).

# %%
first = two_point.tuning[:, 0]
squares = (study.sections.mean(axis=(2, 3)) ** 2).mean(axis=1)
with_volume, with_squares = (
    abs(np.corrcoef(first, values)[0, 1]) for values in (study.volume_fraction, squares)
)
print(f"|r| with the volume fraction: {with_volume:.2f}; with the mean square: {with_squares:.4f}")

# %% [markdown]
# ## What we saw

# %% tags=["remove-input"]
errors = table.set_index(keys)["test_mape"].unstack("descriptor")
two, area = errors["two-point statistics"], errors["area fraction"]
gain = two["mean"] - two["concat"]
gains = (errors.xs("mean") - errors.xs("concat")).to_numpy().round(1)
better, pairs = (gains > 0).sum(), gains.size
paper = paper_results().query("case_study == 1 and aggregate == 'concat' and model == 'pr'")
best = paper.set_index("descriptor")["value"]
display(
    Markdown(f"""
- **For two-point statistics, concatenating the sections {"beats" if (gain > 0).all() else "does not always beat"} averaging
  them**, by {gain["lr"]:.1f} points of MAPE with the linear and {gain["pr"]:.1f} points with the
  polynomial model. Over all descriptors and models of this page it is better in {better} of {pairs}
  cases; the paper reports almost all. Averaging
  forgets which section is perpendicular to the load, and the modulus is a directional property.
- **With concatenated two-point statistics the polynomial model errs by {two["concat", "pr"]:.1f} %, the
  linear one by {two["concat", "lr"]:.1f} %.** The area fractions alone give {area["concat", "pr"]:.1f} and
  {area["concat", "lr"]:.1f} %: the difference is what the arrangement of the phases adds.
- **In the paper two-point statistics gave the lowest error of this case study**,
  {best["two-point statistics"]:.1f} %, just below the best transformer, SAM, with
  {best["sam-h"]:.1f} %. Whose volumes the errors on this page belong to is said at its top.
""")
)

# %% tags=["remove-input"]
untrained = errors[control.title]
ours = errors["microvit"]["concat", "pr"]


def against(other):
    """How the trained MicroViT compares with another descriptor (concatenated, polynomial)."""
    theirs = errors[other]["concat", "pr"]
    return f"{'better' if ours < theirs else 'worse'} than the {theirs:.1f} % of"


trained = {ENCODERS[n].title: errors[n]["concat", "pr"] for n in at_hand if n != "microvit"}
others = "; ".join(f"{title}, trained: {error:.1f} %" for title, error in trained.items())
display(
    Markdown(f"""
- **MicroViT errs by {ours:.1f} %** (concatenated, polynomial): {against(control.title)} the
  same network with random weights, {against("two-point statistics")} two-point statistics and
  {against("area fraction")} the area fraction. It learned from other images, but filtered noise like that of these
  volumes was among them, and it learned to predict, among other statistics, estimates of a conductivity, which are akin to
  the modulus. A network trained on photographs has no such advantages. {others}
- **Training is {"what makes" if ours < untrained["concat", "pr"] else "not what makes"} the features.** A network that was never
  trained gives {untrained["concat", "pr"]:.1f} %, the mark that a trained one has to beat.
""")
)

# %% tags=["remove-input"]
r = results["two-point statistics", "concat", "pr"]
errs, soft = abs(r.y_pred - r.y_test), r.y_test < 10
display(
    Markdown(f"""
- **A mean percentage error is decided by the compliant volumes.** Those below 10 GPa are
  {100 * soft.mean():.0f} % of the test part and make {100 * (errs / r.y_test)[soft].sum() / (errs / r.y_test).sum():.0f} %
  of the error of the polynomial model on concatenated two-point statistics. Its median error is {100 * np.median(errs / r.y_test):.0f} %, its mean
  absolute error {errs.mean():.1f} GPa. {(r.y_pred < 0).sum()} of {len(errs)} predictions are negative,
  which no modulus can be.
""")
)

# %% tags=["remove-input"]
share = paper_results().query("quantity == 'first_component_variance'")
share, sam = share.set_index("descriptor")["value"][["two-point statistics", "sam-h"]]
kinds = {(1, 1): "both", (1, 0): "the first of them", (0, 1): "the second of them"}
first_of = {}
for label, name in (("MicroViT", "microvit"), (control.title, control.title)):
    along = abs(np.corrcoef(scores[name, "concat"].tuning[:, 0], study.volume_fraction)[0, 1])
    of = shares[f"{label}, concat"][0]
    smaller = of < shares["autocorrelation, concat"][0]
    shown = kinds.get((int(smaller), int(along < with_volume - 0.1)), "neither")
    first_of[label] = of, along, shown
(of, along, shown), (of_random, along_random, shown_random) = first_of.values()

# %% tags=["remove-input"]
made = ""
if data == "embedded":
    made = (
        "The filters of the embedded set were chosen so that the first of the two comes out near "
    )
    made += "the paper's, so this agreement is no result."
display(
    Markdown(f"""
- **The first component carries {100 * shares["autocorrelation, concat"][0]:.0f} %** of the variance of
  the concatenated autocorrelations and {100 * shares["autocorrelation, one section"][0]:.0f} % of those of a
  single section. The paper states {share:.0f} % and does not say which of the two it means. {made}
- **The first component of MicroViT carries {100 * of:.0f} %** of the variance of its concatenated features,
  that of the untrained network {100 * of_random:.0f} % (|r| with the volume fraction: {along:.2f} and
  {along_random:.2f}; of the autocorrelations: {with_volume:.2f}). The paper counts two things in favour of
  transformers: a smaller first component (about {sam:.0f} % for SAM), and one that follows the volume
  fraction less. MicroViT shows {shown}, the network without any training {shown_random}.
- **That component of the autocorrelations is the mean squared area fraction of the sections** (|r| = {with_squares:.4f}). With
  the volume fraction it correlates as well as three sections represent their volume
  (|r| = {with_volume:.2f}). The paper warns that such a component may overlook the morphology.
""")
)

# %% [markdown]
# ```{admonition} Try it
# :class: tip
# 1. Set `max_components = 10` in the parameters cell. Which row suffers most, and why?
# 2. Replace `study.modulus` by `np.log(study.modulus)` in the protocol cell. The errors printed
#    are then those of the logarithm. Turn the predictions back before you compare.
# ```
