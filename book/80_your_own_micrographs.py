# %% [markdown]
# # Your own micrographs
#
# A folder of micrographs and a table of what was measured: **does the microstructure in the pictures predict
# the property, how sure is that, and what can be said about a new picture?**

# %% tags=["remove-cell"]
# Only away from a clone of the book: take the # off the two lines below,
# run the cell, and restart the kernel.
# # !git clone https://github.com/microprop/microprop-book
# # %pip install -e "./microprop-book[book]"

# %%
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
from IPython.display import Markdown, display
from sklearn.decomposition import PCA

from helpers.audit.plots import plot_audit
from helpers.datasets import DATA, badge, load_superalloys
from helpers.extract.feature_tables import extract_table, read_feature_table, sample_matrix
from helpers.extract.scale import differences, in_words, span
from helpers.images.pixel_size import PreparedImage
from helpers.images.read import Reading
from helpers.io.provenance import versions
from helpers.own import plots
from helpers.own.citations import references
from helpers.own.model_files import LIBRARIES, OwnModel, load_model
from helpers.own.models import fit_property, join, left_out_in_words, predict_property
from helpers.own.properties import PropertyTable
from helpers.own.study import summary

# %% tags=["parameters"]
model = ""
features = ""
images_from = ""
exports = ""

# %% [markdown] tags=["not-in-report"]
# On your own machine four commands do what this page does (`microprop --help`):
#
# ```shell
# microprop extract scans/ --out features.parquet
# microprop fit features.parquet alloys.xlsx --property hardness --groups source --out model/
# microprop report model/ features.parquet --out report.html
# microprop predict model/ new_scans/ --out predictions.csv
# ```
#
# The table has a row a sample: its name under the heading `sample`, the property, and where it comes from (a heat, a
# laboratory, a paper), which this book calls its *source*. It may be a workbook or text whose cells are separated by
# commas, semicolons or tabs; a row of units below the headings and merged cells are understood, rows that are hidden or
# filtered out are not used, and a note says so. A sample is named like its image file without ending. If a sample has
# several images, the first command gets a table instead of the folder, with the columns `image` and `sample`.

# %% tags=["remove-output"]
if model:
    own, found = load_model(model), read_feature_table(features)
else:  # the embedded micrographs, as a user would have them
    found = extract_table(DATA / "superalloys", "microvit", progress=False)
    study = load_superalloys("embedded")
    hardness = pd.DataFrame({"hardness [kgf/mm²]": study.hardness}, study.names)
    sources = pd.Series([f"source {g}" for g in study.groups], study.names)
    table = PropertyTable(hardness, sources, None, None)
    samples, X, _ = join(found, table)
    fitted = {
        n: fit_property(n, samples, X, table, seeds=[42], progress=False) for n in table.values
    }
    own = OwnModel(fitted, found.facts, "mean", 1, versions(LIBRARIES))
samples, X = sample_matrix(found, own.aggregate)
first = found.table.groupby("sample", sort=False)["image"].first()
reading = Reading(found.facts["value_range"], crop_bottom=found.facts["crop_bottom"])
pictures = [PreparedImage(Path(images_from) / first[s], reading) for s in samples]

# %% tags=["remove-input"]
badge("Your micrographs" if model else study, found.facts["title"])

# %% tags=["remove-input"]
where = ""
if model:
    names = (plots.plain(Path(path).name) for path in (model, features))
    where = "model {}, features {}, page of {}; ".format(*names, date.today())
ends = found.table["width"].min(), found.table["width"].max()
display(
    Markdown(f"""
**Data:** {where}{len(found.table)} images of {len(samples)} samples, {span(*ends, " pixels", "d")} wide; pixel size:
{in_words(found)}; {len(found.facts["skipped"])} images skipped.
**Encoder:** {found.facts["title"]} ({found.facts["weights"]} weights, {found.features.shape[1]} features), images of a
sample: {own.aggregate}. Rows cut below: {found.facts["crop_bottom"] or "none"}.
""")
)
names = [Path(image).name for image in found.table["image"]]
told = differences(names, found.table["pixel_size_um"], found.table["scale"])
left_out = left_out_in_words(own.features.get("left_out", {}))
told += [f"left out: {line}" for line in left_out]
if told:
    display(Markdown("\n\n".join(f"**Note:** {plots.plain(text)}." for text in told)))

# %% [markdown]
# ## How good are the predictions?
#
# The error is the mean absolute percentage error (MAPE) of samples that the model had not seen: the samples are divided
# into *folds*, and each fold is predicted by a model that was fitted to the others. On *shuffled* folds the model may know
# other samples of the same source; on folds *by source* it does not, and where sources are given, that error stands
# first. The model must beat the *controls*, which know little or nothing of the picture. A *flag* of the audit says where
# it does not: its numbers are the error of the features minus that of the control, with a 95 % interval, so
# above zero is bad. *Shuffled targets* are the same features with the measured values dealt out at random.
#
# With `--model best` the learner is chosen in folds inside each fold, so that its error is again that of samples
# which no part of the choice has seen. What the choice promised inside is lower than that: the best of many is also
# the luckiest. The error of plain linear regression on the same folds says whether choosing was worth it; where the
# interval of the difference holds zero, that is not shown.

# %% tags=["remove-input"]
for name, one in own.properties.items():
    listed = [f"- {plots.plain(line)}" for line in summary(one)]
    display(Markdown("\n".join([f"### {plots.plain(name)}", "", *listed])))


# %% tags=["hide-input"]
def keep(figure, name):
    """Save a figure as SVG and PNG where exports are wanted; gives it back."""
    if exports:
        Path(exports).mkdir(parents=True, exist_ok=True)
        for kind in ("svg", "png"):
            figure.savefig(Path(exports, f"{name}.{kind}"))
    return figure


def numbered(name):
    """A file name for a property."""
    return f"property{list(own.properties).index(name) + 1}"


# %% [markdown]
# Error of the descriptor and of the controls, on each kind of folds; the dashed line is the mean:

# %% mystnb={"figure": {"caption": "Error of the features and of the controls on each kind of folds. Dashed: the mean."}, "image": {"alt": "A panel for each kind of folds with a row of points for the features and each control."}} tags=["hide-input"]
for name, one in own.properties.items():
    shown = one.audit.table
    shown = shown[~shown["predictor"].str.endswith("shuffled targets")]
    chosen = {"descriptor": "features, chosen learner"} if one.kind == "best" else None
    figure = plot_audit(shown, chosen)
    figure.axes[0].set_ylabel(name, parse_math=False)
    display(keep(figure, f"{numbered(name)}_audit"))

# %% [markdown]
# ## Look at single samples
#
# Left: the first two principal components of the features. Samples that lie together look alike to the network. Right:
# predictions out of fold against measured values; dashed lines are the diagonal and the 90 % interval. **Point at a
# sample to see its micrograph.** Drag to move, turn the wheel to zoom.

# %% tags=["hide-input"]
rows = {s: i for i, s in enumerate(samples)}
for name, one in own.properties.items():
    components = PCA(2).fit_transform(one.training)
    table = one.out_of_fold.assign(**{f"component {i + 1}": components[:, i] for i in (0, 1)})
    table = plots.thinned(table)
    at = [rows[s] for s in table["sample"]]
    table["source"] = table.get("group", "not given")
    table["image"] = [plots.thumbnail(pictures[i]) for i in at]
    text = f"Two scatter plots of {name}: components, and predicted against measured values."
    display(plots.framed(plots.hover_charts(table, name, one.half_width), text))

# %% [markdown]
# The samples with the largest errors. Is it a banner, another magnification, a different etch, a wrong row in the
# table?

# %% mystnb={"figure": {"caption": "The samples with the largest errors, each on its own grey scale. Of a sample with several images the first is shown, although the prediction comes from all."}, "image": {"alt": "A row of five micrographs with measured and predicted values above."}} tags=["hide-input", "thumbnail"]
for name, one in own.properties.items():
    off = (one.out_of_fold["predicted"] / one.out_of_fold["measured"] - 1).abs()
    worst = one.out_of_fold.loc[off.nlargest(5).index]
    titles = [
        f"{r.sample}\n{r.measured:.4g},\npredicted {r.predicted:.4g}" for r in worst.itertuples()
    ]
    figure = plots.plot_worst([pictures[rows[s]] for s in worst["sample"]], titles)
    figure.suptitle(name, parse_math=False)
    display(keep(figure, f"{numbered(name)}_worst"))

# %% [markdown]
# ## New pictures
#
# `microprop predict` gives each a prediction with a 90 % interval, and says whether the picture is *unlike* those
# that the model was fitted to: farther from its nearest neighbour, in all features, than 95 % of the fitted
# samples are from theirs (*typicality* below 0.05); where sources are given, from theirs in other sources. Of new samples that are
# alike, about one in twenty is flagged too, more with fewer than about 40 fitted ones. Neither prediction nor interval can be trusted
# where the picture shows something else. The reverse
# does not hold: a picture of something else can look alike to the network. Here for the first sample, as if it
# were not among the others, and for features as far on the other side of their mean, which no picture gives:

# %% tags=["hide-input"]
for name, one in own.properties.items():
    away = one._replace(training=one.training[1:])
    turned = 4 * one.training.mean(axis=0) - 3 * one.training[0]
    shown = predict_property(away, np.stack([one.training[0], turned]))
    shown.insert(0, "sample", [one.out_of_fold["sample"][0], "nonsense"])
    shown.loc[0, ["predicted", "lower", "upper"]] += (
        one.out_of_fold["predicted"][0] - shown["predicted"][0]
    )
    shown = shown.style.format(precision=3, escape="html").hide(axis="index")
    display(Markdown(f"**{plots.plain(name)}**"), shown)

# %% tags=["remove-input"]
if exports:
    for name, one in own.properties.items():
        one.out_of_fold.to_csv(Path(exports, f"{numbered(name)}_out_of_fold.csv"), index=False)
        one.audit.table.to_csv(Path(exports, f"{numbered(name)}_audit.csv"), index=False)
    display(
        Markdown(
            f"Figures (SVG, PNG) and tables (CSV) of this page: {plots.plain(Path(exports).name)}."
        )
    )

# %% [markdown]
# ## What to cite

# %% tags=["remove-input"]
used = [features, model] if model else []
display(Markdown("\n".join(f"- {entry['text']}" for entry in references(used))))

# %% [markdown]
# ## What we saw

# %% tags=["remove-input"]
lines = []
for name, one in own.properties.items():
    sources = one.facts["n_groups"]
    kind = "samples of unseen sources" if sources else "unseen samples (no sources were given)"
    rule = min(("mean", "median"), key=lambda n: one.facts[f"mape_{n}"])  # the harder to beat
    row = one.audit.differences.query("other == @rule").drop_duplicates("folds").set_index("folds")
    row = row.loc["by source" if sources else "shuffled"]
    verdict = {
        "less": "**less** than",
        "more": "**more** than",
        "open": "not shown to be less than",
    }
    lines.append(
        f"- **{plots.plain(name)}**: an error of {one.facts['mape']:.1f} % on {kind}, {verdict[row['errs']]} that of "
        f"always saying the {rule} ({row['difference']:+.1f} points, 95 % interval {row['low']:.1f} to "
        f"{row['high']:.1f}); {len(one.audit.flags)} flags of the audit."
    )
display(Markdown("\n".join(lines)))
