# %% [markdown]
# # What do these models know?
#
# The chapters before this one measured errors. An error alone does not say what a model has learned. A
# model with 14 % may read the hardness from the precipitates, or it may recognise whose microscope took
# the picture and recall what that laboratory's alloys are like. **Which of the results hold for a
# micrograph from a laboratory that the model has never seen, and which conclusions of the paper
# {cite}`whitman2025` stand?**
#
# This page does four things: it holds all descriptors against predictors that know little; it keeps a record
# of what a check of data and protocol turned up; it gives a verdict on each conclusion of the paper; and
# it says what that means for a study of your own. Its tool, `audit` of `helpers.audit.audit`, takes any matrix of descriptors.

# %% tags=["remove-cell"]
# Only away from a clone of the book: take the # off the two lines below,
# run the cell, and restart the kernel.
# # !git clone https://github.com/microprop/microprop-book
# # %pip install -e "./microprop-book[book]"

# %%
import numpy as np
import pandas as pd
from IPython.display import Markdown, display

from helpers.audit import plots, tables
from helpers.audit.audit import FOREST, GREY, LINEAR, audit
from helpers.audit.findings import ALLOYS, BEST, FRACTIONS, ORDERS, PARITY, VOLUMES, alloy_findings
from helpers.audit.studies import MAIN, MICROVIT, N_VOLUMES, TWIN, audit_superalloys, read_audit
from helpers.audit.tables import BY_SOURCE, ONE_OUT, SHUFFLED, difference, points
from helpers.audit.verdicts import TRANSFORMERS, claim_gaps, finding, verdict_table
from helpers.datasets import badge, load_superalloys, load_two_phase, paper_results
from helpers.encoders import ENCODERS, load_encoder
from helpers.features import extract_features
from helpers.io.results import read_results
from helpers.preprocessing import input_rule
from helpers.scores import N_FOLDS, PAPER_SEED
from helpers.superalloy_scores import TWO_POINT

# %% tags=["parameters"]
data = "embedded"
live_shuffles = 2

# %%
study = load_superalloys(data)
embedded = data == "embedded"
findings = read_results("audit/studies", "findings")
when, command = findings.attrs["date"], findings.attrs["command"]

# %% tags=["remove-input"]
note = (
    f"Results headed 'computed on {when}' ship with the book (`{command}`; a test recomputes a part), "
    "from the paper's data, from the embedded volumes, and from MicroViT. The others are computed on "
    "this page."
)
parts = ["MicroViT", "results on published data"] if embedded else ["published features"]
badge(study, *parts, note=note)

# %% [markdown]
# ## What a descriptor must beat
#
# A low error means little until it is clear what it takes to get it. So every descriptor stands beside
# *controls*, predictors that know little:
#
# - **mean, median** of the training samples: know the property and nothing else.
# - **mean of the source**: of the training samples from the same paper. Knows where a micrograph comes from
#   and no image. Where the source is unseen it falls back to the mean.
# - **composition** alone, with the book's linear regression and with a random forest.
# - **size and grey levels** of the image: what a file shows before anyone looks at a microstructure.
# - **random networks**: the architecture without any training.
# - **shuffled targets**: the descriptor itself, fitted to hardness values dealt to the wrong images.
#
# And it is tried on three kinds of *folds*. **Shuffled** folds mix the samples of a source, as the
# paper's do. Folds **by source** hold whole sources out, in the inner loop too; this is what a new laboratory
# would see. **Leave one source out** does so one by one. The issue is well known: where samples
# come in groups, shuffled folds answer another question than the one that is asked {cite}`meredig2018,kapoor2023`.
# What is lost between the two is the *optimism* of an error.
#
# How to read the numbers:
#
# - **Errors** are mean absolute percentage errors (MAPE), pooled over all samples, means over several shuffles of the folds.
#   A **difference** is the mean over *folds*, each counting alike, so it can differ a little from that of two pooled errors.
# - **Intervals** are of 95 %. On shuffled folds and on folds by source they are those of the corrected resampled t-test, which knows that
#   shuffles deal the same samples again {cite}`nadeau2003`. On shuffled folds they speak for more samples of *these* sources, not for
#   other sources. Where one source is left out, sources are the units {cite}`cameron2015`.
# - **Less, more, beyond chance** mean that such an interval excludes zero. Of twenty that are looked at, one does so by luck. Where this page counts
#   descriptors, it says in brackets how many are left when the intervals are widened to hold all together (Bonferroni).

# %% tags=["remove-output"]
lr, svr = read_audit(ALLOYS, "lr"), read_audit(ALLOYS, "svr")
volumes = read_audit(VOLUMES, "pr")
if not embedded:
    committed, lr = lr, audit_superalloys(study)

# %% [markdown]
# ## The superalloys of the paper

# %% tags=["remove-input"]
made = f"computed on {when}" if embedded else "computed on this page"
titles = {name: entry.title for name, entry in ENCODERS.items()}
titles |= {GREY: f"{GREY}, segmented"}
display(
    Markdown(
        f"**Published superalloys, linear regression: {made}.** The vectors of the paper are of grey "
        "micrographs, which were not published; what is called *segmented* was computed here from "
        "the published segmented ones. Lines run from the lowest to the highest shuffle."
    )
)


def without_mixed(table):
    """An audit's rows without those of shuffled targets, of which there is one a descriptor."""
    return table[~table["predictor"].str.endswith("shuffled targets")]


# %% mystnb={"figure": {"caption": "Error of all descriptors (above the dotted line) and controls on three kinds of folds; published superalloys, linear regression.", "name": "fig-audit-alloys"}, "image": {"alt": "Rows of points for all descriptors and controls. On shuffled folds CLIP and DINOv2 lie left of the mean, the mean of the source and the forest on the composition further left; on the other folds nearly all points lie at the mean or right of it."}} tags=["hide-input"]
plots.plot_audit(without_mixed(lr.table), titles)

# %% tags=["remove-input"]
names = lr.table.query("role == 'descriptor'")["predictor"].unique()


def error(found, name, folds=SHUFFLED):
    """Pooled MAPE [%] of a predictor."""
    rows = found.table.query("folds == @folds and predictor == @name")
    return float(rows["mape_pooled"].iloc[0])


def count(other, folds, found=lr):
    """How many descriptors err less than another predictor, and how many more, by their intervals."""
    gaps = [difference(found, name, other, folds) for name in names if name != other]
    shuffles = int(found.table.query("folds == @folds")["shuffles"].iloc[0])
    (less, more), (all_less, all_more) = (
        tables.sure(gaps),
        tables.sure(gaps, N_FOLDS * shuffles - 1),
    )
    return f"{less} ({all_less}) of {len(gaps)} err less, {more} ({all_more}) more"


# %% tags=["remove-input"]
lowest = {
    folds: min(names, key=lambda n: error(lr, n, folds))
    for folds in (SHUFFLED, BY_SOURCE, ONE_OUT)
}
best_of = {f: f"{titles.get(n, n)} {error(lr, n, f):.1f} %" for f, n in lowest.items()}
blind = [error(lr, f"{name}, shuffled targets") for name in names]
display(
    Markdown(f"""
- **Shuffled folds.** The mean errs by {error(lr, "mean"):.1f} %, the best descriptor is {best_of[SHUFFLED]}. Descriptors against the mean: {count("mean", SHUFFLED)}.
  But the mean of the source, which sees no image, errs by {error(lr, "mean of the source"):.1f} %; against it {count("mean of the source", SHUFFLED)}.
- **Folds by source.** The mean errs by {error(lr, "mean", BY_SOURCE):.1f} %, the best descriptor is {best_of[BY_SOURCE]}. Against the mean {count("mean", BY_SOURCE)}.
  With one source left out the mean errs by {error(lr, "mean", ONE_OUT):.1f} % and the best descriptor is {best_of[ONE_OUT]}.
- **Composition alone**, with a forest, errs by {error(lr, FOREST):.1f} % on shuffled folds and by {error(lr, FOREST, BY_SOURCE):.1f} % on unseen
  sources; with linear regression by {error(lr, LINEAR):.1f} and {error(lr, LINEAR, BY_SOURCE):.1f} %. A composition, too, tells where an alloy comes from.
- **Shuffled targets** bring all descriptors to {min(blind):.1f} to {max(blind):.1f} %, and would err less than the mean if the protocol let something through.
""")
)

# %% [markdown]
# ### What is lost where the source is unseen
#
# *Gain*: points of MAPE below the mean on shuffled folds. *Lost*: how many of them are gone on folds by
# source, where the mean has its own, larger error. A *leak* is called where the loss is beyond chance and, as measured,
# more than half of the gain (`helpers.audit.source_leak.lost_gain`). More can be lost than was gained: then the model
# errs more than the mean does. The rule does not say whether a model recognises the source or fails to carry over to others. The last
# column helps: how many samples of a source, on average over sources, a linear classifier assigns to the right one.

# %% tags=["remove-input"]
known = lr.source_accuracy.set_index("predictor")
shown = without_mixed(lr.optimism).set_index("predictor")
shown["gain"] = [f"{r.gain:+.1f}" for r in shown.itertuples()]
shown["lost, 95 % interval"] = [
    f"{r.lost:+.1f} ({r.low:+.1f} to {r.high:+.1f})" for r in shown.itertuples()
]
shown["leak"] = shown["leak"].map({True: "leak", False: ""})
shown["source recognised [%]"] = 100 * known["balanced_accuracy"]
shown = shown.rename(columns={"mape_seen": "shuffled", "mape_unseen": BY_SOURCE}, index=titles)
display(
    Markdown(
        f"**MAPE [%] and points of it, linear regression, published superalloys: {made}.** Sources of five samples or more, "
        f"of which there are {known['n_sources'].max()}, are recognised by chance in {100 * known['chance'].max():.0f} % of the cases."
    )
)
order = [SHUFFLED, BY_SOURCE, "gain", "lost, 95 % interval", "leak", "source recognised [%]"]
shown[order].rename_axis(index=None).style.format(precision=1, na_rep="")

# %% mystnb={"figure": {"caption": "DINOv2 L14, the descriptor of the paper's best model, minus each of the others; linear regression.", "name": "fig-audit-differences"}, "image": {"alt": "Points with horizontal intervals, for each descriptor and control and three kinds of folds, around a line at zero. On shuffled folds most intervals lie left of zero or touch it; on the other folds nearly all include it."}} tags=["hide-input"]
others = lr.differences
reversed_rows = others[others["other"] == BEST].assign(
    predictor=BEST, other=others["predictor"], difference=-others["difference"],
    low=-others["high"], high=-others["low"],
)  # fmt: skip
plots.plot_differences(pd.concat([reversed_rows, others]), BEST, titles)

# %% [markdown]
# ### Support vector regression, the paper's best model
#
# The same audit with SVR, for fewer descriptors and shuffles, since a run takes up to a minute.

# %% tags=["remove-input"]
wide = without_mixed(svr.table)
order = [wide[column].unique() for column in ("predictor", "folds")]
wide = wide.pivot(index="predictor", columns="folds", values="mape_pooled")
display(Markdown(f"**MAPE [%], SVR, published superalloys: computed on {when}**"))
wide = wide.loc[order[0], order[1]].rename(index=titles).rename_axis(index=None, columns=None)
wide.style.format(precision=1)

# %% tags=["remove-input"]
leaks, told = {}, []
for model, found in {"LR": lr, "SVR": svr}.items():
    leaks[model] = found.optimism.query("leak and role == 'descriptor'")["predictor"].tolist()
    real = [n for n in leaks[model] if difference(found, n, "mean")[2] < 0]
    rest = [titles.get(n, n) for n in leaks[model] if n not in real]
    listed = ", ".join(titles.get(n, n) for n in real) or "none"
    listed += f"; flagged too, but with no gain beyond chance to lose: {', '.join(rest)}" * bool(
        rest
    )
    told.append(
        f"- **{model}, leaks:** {listed}. DINOv2 L14 minus the mean: {points(*difference(found, BEST, 'mean'))} on "
        f"shuffled folds, {points(*difference(found, BEST, 'mean', BY_SOURCE))} by source."
    )
display(Markdown("\n".join(told)))

# %% [markdown]
# ### How sure is a prediction?
#
# A number without a range is of little use to a designer. *Conformal* intervals {cite}`vovk2015` take their
# width from the errors on samples that the model did not see, and so hold what they promise, 90 % here, as long as
# new samples are like the old ones. Micrographs of new sources are not; on folds by source the errors are
# those of unseen sources, and what must be alike is sources {cite}`dunn2023`. With 19 of them the coverage is
# reported, not judged.

# %% mystnb={"figure": {"caption": "90 % prediction intervals: samples that they held (left, lines from the lowest to the highest shuffle) and their mean width (right); published superalloys, linear regression.", "name": "fig-audit-intervals"}, "image": {"alt": "Two panels with a row for each descriptor. Left, coverage scatters around 90 per cent; right, the widths are several hundred kgf/mm\u00b2, wider on folds by source than on shuffled ones."}} tags=["hide-input"]
plots.plot_intervals(lr.intervals, "kgf/mm²", titles)

# %% tags=["remove-input"]
of_best = lr.intervals.query("predictor == @BEST").set_index("folds")
display(
    Markdown(
        f"DINOv2 L14: {of_best.loc[SHUFFLED, 'coverage']:.0f} % of the samples lie inside intervals "
        f"{of_best.loc[SHUFFLED, 'width']:.0f} kgf/mm² wide on shuffled folds, {of_best.loc[BY_SOURCE, 'coverage']:.0f} % inside "
        f"{of_best.loc[BY_SOURCE, 'width']:.0f} kgf/mm² on folds by source."
    )
)

# %% mystnb={"figure": {"caption": "Error against the number of training samples; on folds by source whole sources are left out of the training parts. Bands: lowest to highest shuffle. Published superalloys, linear regression.", "name": "fig-audit-curves"}, "image": {"alt": "Six panels, one for each of the main descriptors, with a curve on shuffled folds, which falls for CLIP and DINOv2, and a higher and noisier one on folds by source, which stays near or above 19 per cent."}} tags=["hide-input"]
some = lr.learning_curve[lr.learning_curve["predictor"].isin(MAIN)]
plots.plot_learning_curve(some, titles)

# %% [markdown]
# ## The two-phase volumes
#
# Case study 1 has no sources: every volume is made by itself, so shuffled folds are the right ones. Here the
# audit asks, on a part of the embedded volumes, what the descriptors gain over the stiff fraction of the sections and over a network
# without training. With all of them the errors are lower, and MicroViT errs less than two-point statistics
# ([the page on MicroViT](92_microvit.ipynb)): what sets the two apart needs more samples than these.

# %% mystnb={"figure": {"caption": "Case study 1, a part of the embedded volumes, polynomial regression on concatenated sections: descriptors above the dotted line, controls below.", "name": "fig-audit-volumes"}, "image": {"alt": "Rows of points for the descriptors and controls. The mean and the median err by far more than all that look at the sections."}} tags=["hide-input"]
plots.plot_audit(without_mixed(volumes.table))

# %% tags=["remove-input"]
lines, described = [], volumes.table.query("role == 'descriptor'")["predictor"].tolist()
for name in described:
    gap = difference(volumes, name, FRACTIONS)
    steps = volumes.learning_curve.query("predictor == @name").sort_values("n_train")
    first, last = steps.iloc[0], steps.iloc[-1]
    inside = volumes.intervals.set_index("predictor").loc[name]
    lines.append(
        f"- **{name}** minus the stiff fractions: {points(*gap)}. From {first['n_train']:.0f} to "
        f"{last['n_train']:.0f} training volumes its error goes from {first['mape_pooled']:.0f} to {last['mape_pooled']:.0f} %. "
        f"{inside['coverage']:.0f} % of the volumes lie inside its {inside['level']:.0f} % intervals, {inside['width']:.0f} GPa wide."
    )
lines.append(f"- {' minus '.join(described)}: {points(*difference(volumes, *described))}.")
on_volumes = ", ".join(f"{n} {error(volumes, n):.0f} %" for n in (*described, FRACTIONS, "mean"))
head = f"**{N_VOLUMES} of {len(load_two_phase('embedded').modulus)} embedded volumes: computed on {when}**"
display(Markdown("\n".join([head, "", *lines])))

# %% [markdown]
# ## The same audit, live
#
# What needs no file: one call, here for MicroViT on the grey micrographs of the embedded set (in profile paper for all of
# the above). Any matrix with a row a sample will do, and any list of sources.

# %% tags=["remove-output"]
if embedded:
    networks = [load_encoder("microvit", kind) for kind in ("pretrained", "random")]
    trained, untrained = (
        {n.title: extract_features(study.images, n, name="superalloys-embedded")} for n in networks
    )
    live = audit(
        trained, study.hardness, study.groups, composition=study.composition,
        images=study.images, controls=untrained, seeds=range(live_shuffles), shares=[],
    )  # fmt: skip
else:
    live = lr

# %% mystnb={"figure": {"caption": "The audit of this page's own data: descriptors above the dotted line, controls below; linear regression.", "name": "fig-audit-live"}, "image": {"alt": "A row of points for each descriptor, above, and control, below, on three kinds of folds."}} tags=["hide-input"]
plots.plot_audit(without_mixed(live.table), {**titles, GREY: GREY})

# %% tags=["remove-input"]
if embedded:
    head = (
        "In the embedded set composition matters by construction, and every source has its own magnification "
        "and an offset of its hardness. What the audit finds to say:"
    )
    display(Markdown(head + "\n\n" + "\n".join(f"- {flag}" for flag in live.flags)))
else:
    keys = ["folds", "predictor"]
    both = lr.table.merge(committed.table, on=keys, suffixes=("", " file"))
    gap = (both["mape_pooled"] - both["mape_pooled file"]).abs().max()
    display(Markdown(f"Largest difference to the file that ships: {gap:.4f} points."))

# %% [markdown]
# ## Record of findings
#
# What a careful reader of data, notebooks and text comes across. Each is a number that code computed, not an
# opinion. None of them says that anyone meant harm: most are slips that any of us makes, and they can
# be found because the authors published what they had.
#
# ### Features of a network that look untrained
#
# The row *ResNet-50 (MicroNet)* is meant to be a network trained on micrographs {cite}`stuckner2022`. The public notebook
# downloads its weights and does not load them. Do the published vectors show it?

# %% tags=["remove-output"]
if not embedded:
    kept = findings[~findings["data"].eq(ALLOYS) | findings["finding"].eq("untrained")]
    findings = pd.concat([alloy_findings(study), kept], ignore_index=True)
committed_scores = read_results("superalloy_scores")

# %% tags=["remove-input"]
untrained = findings.query("finding == 'untrained'")
untrained = untrained.pivot(index="of", columns="quantity", values="value").loc[
    untrained["of"].unique()
]
untrained = untrained[["mean", "standard deviation", "zeros", "correlation"]]
display(Markdown(f"**Statistics of features: computed on {when}**"))
untrained.rename(
    columns={"zeros": "zeros [%]", "correlation": "correlation of two images"}
).rename_axis(index=None, columns=None).style.format(precision=2).format(
    precision=4, subset=["correlation of two images"]
)

# %% tags=["remove-input"]
published = untrained.loc["ResNet-50 (MicroNet), published"]
random = untrained[untrained.index.str.contains("untrained")]
trained = untrained[untrained.index.str.endswith("published")].drop(published.name)
loaded = untrained[untrained.index.str.endswith("loaded, segmented")]
then = (
    f"MicroNet itself, loaded: {loaded['correlation'].iloc[0]:.4f}."
    if len(loaded)
    else "MicroNet itself could not be loaded here; with its weights on the machine, the command above adds its row. It "
    "would be the better yardstick, for the other features come from networks of another kind."
)
spans = ", ".join(
    f"{what} {published[what]:.1f} (random {random[what].min():.1f} to {random[what].max():.1f})"
    for what in ("mean", "standard deviation", "zeros")
)
display(
    Markdown(
        f"Two images have a correlation of {published['correlation']:.4f} in the published ResNet-50 vectors and of "
        f"{random['correlation'].min():.4f} to {random['correlation'].max():.4f} in {len(random)} networks with random weights, against "
        f"{trained['correlation'].min():.2f} to {trained['correlation'].max():.2f} in the other published features. Further: {spans}; the "
        "random networks saw the segmented images, not the grey ones. **The vectors are consistent with untrained weights.** If that is "
        f"what they are, the paper's comparison with a domain-specific network says nothing about one. {then}"
    )
)

# %% [markdown]
# ### Two swapped factors, an inverted unit, a patch size
#
# Section 3.1 splits each pixel of a section of 51 pixels a side into "5 x 5 for SAM and 21 x 21 for CLIP". Section 3.2 writes
# 1 kgf/mm² = 10³/g GPa. Section 2 gives SAM patches of 14 pixels.

# %%
side, gravity = load_two_phase("embedded").sections.shape[-1], 9.80665
for name in ("clip-b16", "sam-h"):
    size = ENCODERS[name].input_size
    print(
        f"{ENCODERS[name].title} takes {size} pixels: {side} need a factor of {-(-size // side)}"
    )
print(f"1 kgf/mm2 is {gravity / 1000:.6f} GPa; as printed it would be {1000 / gravity:.0f} GPa")
print(f"SAM's patch: {ENCODERS['sam-h'].patch} pixels (as published by its authors)")
crop = input_rule("sam-h", (662, 731)).crop
print(f"a micrograph of 662 x 731 is cropped to {crop} for SAM; multiples of 16 would give 656")

# %% [markdown]
# The factors stand in each other's place. The published hardness values
# are converted the right way ([Case study 2: hardness of superalloys](50_case_study_2.ipynb)), so the formula is a misprint. The patch size only changes which
# few pixels at the rim are cut before the image is resized.
#
# ### Niobium twice, odd sums, silicon

# %% tags=["remove-input"]
sums = read_results("superalloy_scores", "sums")["sum"]
outlier = read_results("superalloy_scores", "outlier").set_index("element").loc["Si"]
limit = paper_results().query("quantity == 'largest_silicon_of_other_alloys'")["value"].iloc[0]
nb, cb = (finding(findings, "niobium", "alloys with", k)[0] for k in ("Nb", "Cb"))
once = findings.query("finding == 'niobium' and quantity == 'once minus twice'")
others = f"the {len(study.names) - len(sums)} other alloys"
odd = finding(findings, "odd sums", "with them minus without", others)
apart = ((once["low"] > 0) | (once["high"] < 0)).sum()
change = f"{once['value'].min():+.1f} to {once['value'].max():+.1f} points ({apart} of {len(once)} intervals exclude zero)"
display(
    Markdown(f"""
- **Niobium stands in two columns**, Nb ({nb:.0f} alloys) and Cb, its old name ({cb:.0f}). Change of the error of three descriptors with composition
  when they are summed up: {change}.
- **{len(sums)} compositions do not sum to about 100 %** ({sums.min():.1f} to {sums.max():.1f}, [Case study 2: hardness of superalloys](50_case_study_2.ipynb)). With them in the table,
  the error of a linear model of the composition alone on the *other* alloys changes by {points(*odd)}.
- **Silicon.** The paper says that all alloys but one hold less than {limit:.1f} % of it; {outlier["whose"]} holds {outlier["largest_other"]:.1f}
  ([Adding composition](60_composition.ipynb)).
""")
)

# %% [markdown]
# ### The order of rows, the place of PCA
#
# The folds are dealt by position in the table, and shuffling its rows gives as good a table. Scaling and PCA belong inside
# the folds; fitted on all samples first, they have seen the ones that are held out, though not their hardness.

# %% tags=["remove-input"]
lines = []
for name in findings.query("finding == 'order'")["of"].unique():
    before, _, _ = finding(findings, "order", "as in the table", name)
    _, low, high = finding(findings, "order", "other orders", name)
    lines.append(
        f"- **Row order**, {titles.get(name, name)}, linear regression, the paper's seed: {before:.1f} % in the order of the "
        f"table, {low:.1f} to {high:.1f} % in {ORDERS} others."
    )
outside = findings.query("finding == 'outside'").set_index("of")
largest = outside["value"].abs().idxmax()
chance = ((outside["low"] > 0) | (outside["high"] < 0)).sum()
lines.append(
    f"- **Scaling and PCA on all samples** change the error by {outside['value'].min():+.2f} to {outside['value'].max():+.2f} points, {chance} of "
    f"{len(outside)} times beyond chance; most for {ENCODERS[largest.split(',')[0]].title},{largest.split(',')[1]} "
    f"({points(*outside.loc[largest, ['value', 'low', 'high']])})."
)
display(Markdown("\n".join(lines)))

# %% [markdown]
# ### Pixels that are not normalised
#
# The paper's pixels go in from 0 to 1, while CLIP, DINOv2, SAM and ResNet expect them centred and scaled
# ([Preprocessing](10_preprocessing.ipynb)). The grey micrographs of the paper are not public, so this is from the embedded ones; *untrained* says
# that the trained weights were not at hand, and then only the size of the change counts. MicroViT has no such step.

# %% tags=["remove-input"]
lines = []
for name in findings.query("finding == 'normalisation'")["of"].unique():
    cosine, _, _ = finding(findings, "normalisation", "cosine", name)
    change = finding(findings, "normalisation", "normalised minus not", name)
    lines.append(
        f"- {name}: features with and without have a mean cosine of {cosine:.2f}; the error of the hardness changes by {points(*change)}."
    )
display(Markdown(f"**Embedded grey micrographs: computed on {when}**\n\n" + "\n".join(lines)))

# %% [markdown]
# ### A bar and two parity plots
#
# The notebook that draws the bars without composition passes SAM's *linear* scores for its SVR bar. The parity plots of
# Figs. 8b and 9b show one split, mostly of fitted points, the second one from features that were not standardised although the
# text says so ([Case study 2: hardness of superalloys](50_case_study_2.ipynb) and [Adding composition](60_composition.ipynb) draw them).

# %% tags=["remove-input"]
scores = committed_scores.query(f"composition == 'no' and seed == {PAPER_SEED}")
scores = scores.set_index(["descriptor", "model"])["mape_mean"]
split = findings.query("finding == 'parity'").pivot(index="of", columns="quantity", values="value")
listed = "; ".join(
    f"{of}: {r['MAPE of fitted points']:.1f} % of the fitted, {r['MAPE of test points']:.1f} % of the test points"
    for of, r in split.iterrows()
)
display(
    Markdown(f"""
- **SAM**: {scores["sam-h", "lr"]:.1f} % with linear regression, {scores["sam-h", "svr"]:.1f} % with SVR, so the bar differs from its SVR score by {scores["sam-h", "lr"] - scores["sam-h", "svr"]:+.1f} points.
- **The split of the parity plots**, DINOv2 L14 with SVR, {" and ".join(map(str, PARITY.values()))} components, MAPE. {listed}. Out of fold it
  is {scores[BEST, "svr"]:.1f} % without composition.
""")
)

# %% [markdown]
# ## Verdicts
#
# The eight conclusions of the paper's section 5, numbered as there (case study, conclusion), and four claims of its
# section 4. Verdicts are given by rule (`helpers.audit.verdicts`), not by taste:
#
# - *Holds*: the 95 % interval excludes the opposite, and every one of them does where the claim is about several cases.
# - *Fails*: at least one interval excludes what is claimed.
# - *Not decided*: tested, and the interval is too wide. This is no verdict against a claim; the numbers beside it tell which
#   way they point.
# - *Cannot be tested here*: data or weights are missing.
#
# "About the same" is an interval within 2 points, about half of what the best descriptors gain over the mean. The last claim is
# judged by hours on two machines, without an interval.
#
# ### Case study 1
#
# The paper's volumes and the features of its networks are not at hand. The embedded volumes and MicroViT stand in for
# them. They can judge what is claimed of descriptors at large, and only show a direction where a network is claimed by name. Intervals
# hold the luck of the test volumes, not that of the fitted ones.

# %% [markdown]
# **Embedded volumes, from the tables that ship**
#
# | claim | verdict | effect, 95 % interval |
# | :--- | :--- | :--- |
# | 1.1 The modulus is predicted from three sections with about 25 % error | cannot be tested here | MicroViT 30 (27 to 34) %, two-point statistics 41 (36 to 46) % |
# | 1.2 Concatenating the sections consistently beats averaging them | not decided | error concatenated over averaged, below 1 beyond chance in 3 of 4: two-point statistics, LR 0.92 (0.85 to 0.99); two-point statistics, PR 0.57 (0.51 to 0.65); MicroViT, LR 0.92 (0.84 to 1.01); MicroViT, PR 0.47 (0.41 to 0.54) |
# | 1.3 SAM is the best transformer, two-point statistics are best of all | cannot be tested here | paper: SAM 25.1, two-point statistics 24.1 %. Error of MicroViT over that of two-point statistics: 0.73 (0.66 to 0.81) |
# | 1.4 The first component of a transformer carries less variance and follows the phase fraction less than that of two-point statistics | cannot be tested here | MicroViT, whose training asks for the fraction: share 20 %, correlation 0.930 (intervals 0.927 to 0.934); two-point statistics 76 %, 0.916 (0.913 to 0.920) |
#
# ### Case study 2 and the discussion
#
# Conclusions 2.3 and 2.4 claim two things each and have two rows. Effects of a composition are those of five shuffles with LR and
# of two with SVR. The last two columns ask the same for sources that no model has seen, which the
# paper does not claim.
#
# **Published superalloys, from the tables that ship**
#
# | claim | verdict | effect, 95 % interval | on unseen sources | effect on unseen sources |
# | :--- | :--- | :--- | :--- | :--- |
# | 2.1 Transformers beat two-point statistics in all scenarios | not decided | lower error in 46 of 48 cases (24 of 24 without composition), beyond chance in 25; higher: SAM H LR with composition +3.9 points (-16.7 to +24.5), SAM H SVR with composition +1.5 points (-13.1 to +16.1) | not decided | LR: -1.5 to +2.6 points, 0 of 8 beyond chance |
# | 2.2 Needing no segmentation is what helps | cannot be tested here | that none is needed is plain; the grey micrographs are not public. On four others segmentation shifts the statistics by 18 %. MicroViT on the same segmented images minus two-point statistics: +0.6 points (-1.9 to +3.0) | cannot be tested here | +0.1 points (-1.4 to +1.6) |
# | 2.3a Of 30 pairs of descriptor and model DINOv2 L14 with SVR errs least | not decided | 13.4 %; minus -6.2 to -0.5 points, 13 of 29 beyond chance | not decided | SVR: -2.8 to +0.5 points, 0 of 4 beyond chance |
# | 2.3b It errs less than two-point statistics and a domain-specific network | holds | minus two-point statistics: -4.2 points (-6.3 to -2.1); minus the ResNet-50 that stands for one: -4.4 points (-7.8 to -0.9) | not decided | two-point: -0.8 points (-3.7 to +2.1) |
# | 2.4a Appending the composition leaves the errors about the same overall | not decided | DINOv2 L14 SVR -0.0 points (-1.2 to +1.1); CLIP L14 LR -0.3 points (-1.2 to +0.5); DINOv2 L14 LR -1.0 points (-2.0 to +0.1); SAM H LR +3.8 points (-6.5 to +14.1) | not decided | DINOv2 L14 SVR +0.1 points (-3.5 to +3.8); CLIP L14 LR +0.8 points (-1.1 to +2.6); DINOv2 L14 LR +0.1 points (-1.5 to +1.6); SAM H LR +1.5 points (-0.0 to +3.0) |
# | 2.4b It lowers the error of the best model | not decided | -0.0 points (-1.2 to +1.1); paper -0.9 | not decided | +0.1 points (-3.5 to +3.8) |
# | 4.a The first component of a transformer carries less variance and follows the phase fraction less (here: of the superalloys) | holds | share 17 to 66 %, correlation 0.18 to 0.32 (intervals 0.01 to 0.57); two-point statistics 88 %, 0.82 (0.68 to 0.90) |  |  |
# | 4.b The micrograph alone may be enough, without the composition | not decided | DINOv2 L14, LR, minus LR on the composition alone: -0.6 points (-4.1 to +2.9); a forest on it: +4.1 points (+2.2 to +5.9) | not decided | -0.4 points (-5.2 to +4.3); a forest on it: -1.4 points (-8.0 to +5.2) |
# | 4.c Small training sets suffice (here: to be told from the mean) | holds | DINOv2 L14, LR, minus the mean: -4.0 points (-6.3 to -1.7) with all samples; below the mean from 54 on | not decided | +1.5 points (-2.4 to +5.4) with all samples; never surely below |
# | 4.d Features cost less than training a network (except SAM) | holds | one minute to a few hours for 7 networks on this processor, SAM a week or more; training on a GPU took 48 h (paper) |  |  |
#
# **Of 14 rows, on data and folds like the paper's: not decided: 6 (1.2, 2.1, 2.3a, 2.4a, 2.4b, 4.b); cannot be tested here: 4 (1.1, 1.3, 1.4, 2.2);
# holds: 4 (2.3b, 4.a, 4.c, 4.d). On unseen sources: not decided: 7; cannot be tested here: 1.** The 3 errors of case study 2 that the paper's text
# states come out again to 0.6 points, if SVR is meant where it does not name the model (two-point statistics and ResNet).
# What stays open is the step from there to alloys of other sources. A set with more of them could settle it.
#
# These sentences are written by hand. The next cells hold them against the tables and stop the page where the two differ (in profile
# paper, which computes the numbers again, they print what differs).


# %% tags=["hide-input"]
def check(said, computed):
    """Stop where the tables say something else than the page, or print it in profile paper."""
    for key, words in said.items():
        assert words == computed[key] or not embedded, (key, words, computed[key])
        if words != computed[key]:
            print(f"{key}: the page says {words}, the numbers of this run {computed[key]}")


# %% tags=["hide-input"]
gaps = claim_gaps(lr, svr, findings, committed_scores)
verdicts = verdict_table(gaps).round(1).T.to_dict("list")
check(
    {
        ("1.2", SHUFFLED): ["not decided", 4, 4, 3, -0.5, -0.1],
        ("2.1", SHUFFLED): ["not decided", 48, 46, 25, -5.7, 3.9],
        ("2.1", BY_SOURCE): ["not decided", 8, 2, 0, -1.5, 2.6],
        ("2.3a", SHUFFLED): ["not decided", 29, 29, 13, -6.2, -0.5],
        ("2.3a", BY_SOURCE): ["not decided", 4, 3, 0, -2.8, 0.5],
        ("2.3b", SHUFFLED): ["holds", 2, 2, 2, -4.4, -4.2],
        ("2.3b", BY_SOURCE): ["not decided", 1, 1, 0, -0.8, -0.8],
        ("2.4a", SHUFFLED): ["not decided", 4, 3, 0, -1.0, 3.8],
        ("2.4a", BY_SOURCE): ["not decided", 4, 0, 0, 0.1, 1.5],
        ("2.4b", SHUFFLED): ["not decided", 1, 1, 0, 0.0, 0.0],
        ("2.4b", BY_SOURCE): ["not decided", 1, 0, 0, 0.1, 0.1],
        ("4.a", SHUFFLED): ["holds", 16, 16, 16, -70.9, -0.5],
        ("4.b", SHUFFLED): ["not decided", 1, 1, 0, -0.6, -0.6],
        ("4.b", BY_SOURCE): ["not decided", 1, 1, 0, -0.4, -0.4],
        ("4.c", SHUFFLED): ["holds", 1, 1, 1, -4.0, -4.0],
        ("4.c", BY_SOURCE): ["not decided", 1, 0, 0, 1.5, 1.5],
    },
    verdicts,
)

# %% tags=["hide-input"]
gaps["2.1", "higher"] = [gap for gap in gaps["2.1", SHUFFLED] if gap[0] > 0]
for folds in (SHUFFLED, BY_SOURCE):
    gaps["2.2", folds] = [difference(lr, MICROVIT, TWO_POINT, folds)]
    gaps["4.b", folds].append(difference(lr, BEST, FOREST, folds))
composed = "-0.0 (-1.2 to +1.1), -0.3 (-1.2 to +0.5), -1.0 (-2.0 to +0.1), +3.8 (-6.5 to +14.1)"
unseen = "+0.1 (-3.5 to +3.8), +0.8 (-1.1 to +2.6), +0.1 (-1.5 to +1.6), +1.5 (-0.0 to +3.0)"
check(
    {
        ("2.1", "higher"): "+3.9 (-16.7 to +24.5), +1.5 (-13.1 to +16.1)",
        ("2.2", SHUFFLED): "+0.6 (-1.9 to +3.0)",
        ("2.2", BY_SOURCE): "+0.1 (-1.4 to +1.6)",
        ("2.3b", SHUFFLED): "-4.2 (-6.3 to -2.1), -4.4 (-7.8 to -0.9)",
        ("2.3b", BY_SOURCE): "-0.8 (-3.7 to +2.1)",
        ("2.4a", SHUFFLED): composed,
        ("2.4a", BY_SOURCE): unseen,
        ("4.b", SHUFFLED): "-0.6 (-4.1 to +2.9), +4.1 (+2.2 to +5.9)",
        ("4.b", BY_SOURCE): "-0.4 (-5.2 to +4.3), -1.4 (-8.0 to +5.2)",
        ("4.c", SHUFFLED): "-4.0 (-6.3 to -1.7)",
        ("4.c", BY_SOURCE): "+1.5 (-2.4 to +5.4)",
    },
    {k: ", ".join(points(*g).replace(" points", "") for g in v) for k, v in gaps.items()},
)

# %% tags=["hide-input"]
rates = read_results("benchmarks/bench_features").drop_duplicates("encoder")
rates = rates.set_index("encoder")["images_per_s"][TRANSFORMERS]
hours = (3 * 5900 / rates / 3600).sort_values()  # all sections of case study 1
assert hours.iloc[-2] < 48 < hours["sam-h"], "4.d"
assert 60 * hours.iloc[0] < 2, "4.d: one minute"
assert 2 < hours.iloc[-2] < 9, "4.d: a few hours"
assert hours["sam-h"] / 24 > 6.5, "4.d: a week or more"
shift = read_results("benchmarks/bench_segmentation")
shift = shift.query("method == 'paper' and micrographs == 'tuned on'")
said = paper_results().query("quantity == 'cv_mape_mean' and composition == 'no'")
far = (scores - said.set_index(["descriptor", "model"])["value"]).abs().dropna()
of_modulus = findings[findings["finding"] == "modulus"].set_index("of")["value"].round()
check(
    {"1.1": [30, 41], "2.2": 18, "2.3a": 13.4, "4.c": [54, None]}
    | {"errors that the paper states": [3, 0.6]},
    {
        "1.1": of_modulus[["MicroViT, concat, pr", f"{TWO_POINT}, concat, pr"]].tolist(),
        "2.2": round(shift["two_point_error"].mean()),
        "2.3a": round(scores[BEST, "svr"], 1),
        "4.c": [tables.enough(lr, BEST, folds) for folds in (SHUFFLED, BY_SOURCE)],
        "errors that the paper states": [len(far), round(far.max(), 1)],
    },
)

# %% [markdown]
# ## For your own study
#
# **How many samples, how many sources?** The first two columns give the point of the learning curve from which on every
# shuffle errs less than the mean does; the smallest that was tried is marked ≤. That is the luck of the dealing only, so take it as the least.
# The third is the difference to the mean with one source left out. From the width of its interval, which shrinks with the
# root of the number of sources, the last says about how many it takes until a descriptor that errs 2 points less than the mean on unseen
# sources is told from it in every second study. It supposes that new sources scatter as these do.

# %% tags=["remove-input"]
smallest = lr.learning_curve.groupby("folds")["n_train"].min()
rows = []
for name in names:
    row = {"descriptor": titles.get(name, name)}
    for folds in (SHUFFLED, BY_SOURCE):
        from_ = tables.enough(lr, name, folds)
        mark = "≤ " if from_ is not None and from_ < smallest[folds] + 1 else ""
        row[f"samples, {folds}"] = f"{mark}{from_:.0f}" if from_ else "more than here"
    row["minus the mean, one source left out"] = points(*difference(lr, name, "mean", ONE_OUT))
    row["sources for 2 points, about"] = f"{tables.needed_sources(lr, name, 2):.0f}"
    rows.append(row)
display(
    Markdown(f"**To be told from the mean, linear regression, published superalloys: {made}**")
)
pd.DataFrame(rows).style.hide(axis="index")

# %% [markdown]
# **What error is left to the measurement?** Vickers hardness is 1.8544 *F*/*d*², with the load *F* in kgf and the mean diagonal *d* of
# the indent in mm {cite}`astme92`. A relative error of the diagonal counts twice. When 24 laboratories measured the same
# indents, their values differed the more the smaller the indents were {cite}`vandervoort1989`. Here is what a diagonal misread by half a micrometre or by
# one, which are assumptions, makes at the mean hardness of this page's data. Scatter from one indent to the next, of a microstructure
# that is coarse beside them, comes on top; repeated indents on your own material tell.

# %%
loads = np.array([0.1, 0.3, 0.5, 1, 5, 10])  # kgf
diagonal = 1000 * np.sqrt(1.8544 * loads / study.hardness.mean())  # micrometres
share = 100 * 2 / diagonal  # percent of the hardness for each micrometre
columns = {"load [kgf]": loads, "diagonal [µm]": diagonal}
columns |= {"0.5 µm misread [%]": share / 2, "1 µm misread [%]": share}
pd.DataFrame(columns).style.hide(axis="index").format(precision=1)

# %% tags=["remove-input"]
worst, of_model = share.max(), error(lr, lowest[SHUFFLED])
display(
    Markdown(f"""
The table of the paper gives no loads and no repeated indents, so its measurement error is unknown. As a rough guide: standard deviations of
errors that have nothing to do with each other add in squares, and for errors of normal shape so do mean absolute errors. Were the largest of the
above, {worst:.1f} %, a standard deviation, its mean absolute error would be {worst * np.sqrt(2 / np.pi):.1f} %, and a model that errs by {of_model:.1f} % would err by
{np.sqrt(of_model**2 - worst**2 * 2 / np.pi):.1f} % without it.

**Which folds?** By source, if anyone is to use the model on micrographs of their own. Report the shuffled ones beside them; the gap is
a result.

**Which descriptor first?** Fit the mean, the mean of the source and the composition first: they take seconds. For known sources {best_of[SHUFFLED]} is
lowest here. For new ones, against the mean {count("mean", BY_SOURCE)}; {best_of[BY_SOURCE]} is lowest by source, {best_of[ONE_OUT]} with one left out. Of
descriptors that their intervals do not tell apart take the cheapest.

**Which claims?** A difference with an interval over paired folds, not two means with their standard deviations; a count of descriptors with
intervals that hold together; and more sources rather than more images of the same ones.
""")
)

# %% [markdown]
# ## What we saw

# %% tags=["remove-input"]
optimism = lr.optimism.set_index("predictor")["optimism"][list(names)]
value, low, high = difference(lr, BEST, "mean", BY_SOURCE)
on_best = known.loc[BEST]
twins = f"{points(*difference(lr, MICROVIT, TWIN))} on shuffled folds, {points(*difference(lr, MICROVIT, TWIN, BY_SOURCE))} by source"

# %% tags=["remove-input"]
display(
    Markdown(f"""
- **Shuffled folds, published superalloys:** against the mean {count("mean", SHUFFLED)} descriptors; against the mean of the source, which sees no image and
  errs by {error(lr, "mean of the source"):.1f} %, {count("mean of the source", SHUFFLED)}; against a forest on the composition alone, {error(lr, FOREST):.1f} %, {count(FOREST, SHUFFLED)}.
  DINOv2 L14 errs by {error(lr, BEST):.1f} % (LR; SVR on the paper's folds: {scores[BEST, "svr"]:.1f} %).
- **Unseen sources:** against the mean {count("mean", BY_SOURCE)} (LR). Errors are {optimism.min():.1f} to {optimism.max():.1f} points higher than on shuffled folds, and
  {len(leaks["LR"])} of {len(names)} descriptors are flagged as leaks. A linear classifier recognises the source from DINOv2 L14 in {100 * on_best["balanced_accuracy"]:.0f} % of the cases (chance {100 * on_best["chance"]:.0f} %).
- **What training brings**, like with like: MicroViT minus its untrained twin, both on the segmented micrographs, {twins}.
- **This does not show that micrographs tell nothing about hardness.** With 19 sources, unknown scale bars and many heat treatments an effect
  would have to be large to be seen: the interval of DINOv2 L14 against the mean, by source, runs from {low:+.1f} to {high:+.1f} points. It says that these data
  cannot tell reading the microstructure from recognising the source.
- **Verdicts:** not decided: 1.2, 2.1, 2.3a, 2.4a, 2.4b, 4.b; cannot be tested here: 1.1, 1.3, 1.4, 2.2; holds: 2.3b, 4.a, 4.c, 4.d.
- **Case study 1 has no sources, so its shuffled folds are the right ones.** Errors on {N_VOLUMES} embedded volumes, polynomial regression: {on_volumes}; with all
  of them they are lower and further apart ([the page on MicroViT](92_microvit.ipynb)).
""")
)

# %% [markdown]
# ```{admonition} Try it
# :class: tip
# 1. Read your own table and micrographs, and call `audit` with `groups` as in the live part. Which flags do you get?
# 2. Set `live_shuffles = 5` in the parameters. Do the flags change?
# 3. Pass `model="svr"` to the live audit. Which rows gain?
# ```
