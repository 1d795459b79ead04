# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Your own micrographs
#
# A folder of micrographs and a table of what was measured: **does the microstructure in the pictures predict
# the property, how sure is that, and what can be said about a new picture?**

# %%
from pathlib import Path

import numpy as np
import pandas as pd
from IPython.display import Markdown, display

from helpers import plots_audit, plots_own
from helpers._provenance import versions
from helpers.citations import references
from helpers.datasets import DATA, load_superalloys
from helpers.feature_tables import extract_table, read_feature_table, sample_matrix
from helpers.model_files import LIBRARIES, OwnModel, load_model
from helpers.own_models import fit_property, join, predict_property
from helpers.own_study import summary
from helpers.property_tables import PropertyTable

# %% tags=["parameters"]
model = ""
features = ""
images_from = ""
exports = ""

# %% [markdown]
# On your own machine four commands do what this page does (`microprop --help`):
#
# ```shell
# microprop extract scans/ --out features.parquet
# microprop fit features.parquet alloys.xlsx --property hardness --groups source --out model/
# microprop report model/ features.parquet --out report.html
# microprop predict model/ new_scans/ --out predictions.csv
# ```
#
# The table has a row a sample: its name, which is the name of the image file without ending, the property, and
# where the sample comes from (a heat, a laboratory, a paper). If a sample has several images, a table of
# images says which (`--sample-column`).

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
files = [str(Path(images_from) / first[s]) for s in samples]

# %% tags=["hide-input"]
sizes = found.table["pixel_size_um"].dropna()
told = f"{sizes.min():g} to {sizes.max():g} µm" if len(sizes) else "not stated in the files"
where = (
    "this page's own run"
    if model
    else "**embedded set**, synthetic micrographs made for this book"
)
display(
    Markdown(f"""
**Data:** {where}; {len(found.table)} images of {len(samples)} samples, {found.table["width"].min()} to
{found.table["width"].max()} pixels wide; pixel size: {told}; {len(found.facts["skipped"])} images skipped.
**Encoder:** {found.facts["title"]} ({found.facts["weights"]} weights, {found.features.shape[1]} features), images of a
sample: {own.aggregate}. Rows cut below: {found.facts["crop_bottom"] or "none"}.
""")
)
if len(sizes) and sizes.max() > 1.05 * sizes.min() and not found.facts["target_um"]:
    display(
        Markdown("**Pixel sizes differ.** The network sees magnification beside microstructure.")
    )

# %% [markdown]
# ## How good are the predictions?
#
# Every prediction here is of a sample that the model had not seen; where sources are given, of a source that it
# had not seen. The error is the mean absolute percentage error (MAPE). The model must beat the *controls*, which know
# little or nothing of the picture; a *flag* of the audit says where it does not.

# %% tags=["hide-input"]
for name, one in own.properties.items():
    display(Markdown("\n".join([f"### {name}", "", *(f"- {line}" for line in summary(one))])))


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
# Error of the descriptor (above the dotted line) and of the controls, on each kind of folds:

# %% mystnb={"figure": {"caption": "Error of the features (above the dotted line) and of the controls on each kind of folds."}, "image": {"alt": "Rows of points, the features above and the controls below, for each kind of folds."}} tags=["hide-input"]
for name, one in own.properties.items():
    shown = one.audit.table
    shown = shown[~shown["predictor"].str.endswith("shuffled targets")]
    display(
        Markdown(f"**{name}**"), keep(plots_audit.plot_audit(shown), f"{numbered(name)}_audit")
    )

# %% [markdown]
# ## Look at single samples
#
# Left: the first two principal components of the features. Samples that lie together look alike to the network. Right:
# predictions out of fold against measured values; dashed lines are the diagonal and the 90 % interval. **Point at a
# sample to see its micrograph.** Drag to move, turn the wheel to zoom.

# %% tags=["hide-input"]
rows = {s: i for i, s in enumerate(samples)}
for name, one in own.properties.items():
    components = np.pad(one.scores, ((0, 0), (0, 1)))
    table = one.out_of_fold.assign(**{f"component {i + 1}": components[:, i] for i in (0, 1)})
    table = plots_own.thinned(table)
    at = [rows[s] for s in table["sample"]]
    table["source"] = table.get("group", "not given")
    table["image"] = [plots_own.thumbnail(files[i]) for i in at]
    text = f"Two scatter plots of {name}: components, and predicted against measured values."
    display(plots_own.framed(plots_own.hover_charts(table, name, one.half_width), text))

# %% [markdown]
# The samples with the largest errors. Is it a banner, another magnification, a different etch, a wrong row in the
# table?

# %% mystnb={"figure": {"caption": "The samples with the largest errors, each on its own grey scale."}, "image": {"alt": "A row of five micrographs with measured and predicted values above."}} tags=["hide-input"]
for name, one in own.properties.items():
    off = (one.out_of_fold["predicted"] / one.out_of_fold["measured"] - 1).abs()
    worst = one.out_of_fold.loc[off.nlargest(5).index]
    titles = [
        f"{r.sample}\n{r.measured:.4g}, predicted {r.predicted:.4g}" for r in worst.itertuples()
    ]
    figure = plots_own.plot_worst([files[rows[s]] for s in worst["sample"]], titles)
    display(Markdown(f"**{name}**"), keep(figure, f"{numbered(name)}_worst"))

# %% [markdown]
# ## New pictures
#
# `microprop predict` gives each a prediction with a 90 % interval, and a *flag* where the picture is unlike those
# that the model was fitted to: farther from its nearest neighbour in component space than 95 % of the fitted
# samples are from theirs. Neither prediction nor interval can be trusted there. Here for the first sample, and for
# its features turned upside down, which no picture gives:

# %% tags=["hide-input"]
for name, one in own.properties.items():
    shown = predict_property(one, np.stack([X[0], 2 * X.mean(axis=0) - 3 * X[0]]))
    shown.insert(0, "sample", [samples[0], "nonsense"])
    display(Markdown(f"**{name}**"), shown.style.format(precision=3).hide(axis="index"))

# %% tags=["hide-input"]
if exports:
    for name, one in own.properties.items():
        one.out_of_fold.to_csv(Path(exports, f"{numbered(name)}_out_of_fold.csv"), index=False)
        one.audit.table.to_csv(Path(exports, f"{numbered(name)}_audit.csv"), index=False)
    display(Markdown(f"Figures (SVG, PNG) and tables (CSV) of this page: `{Path(exports).name}`."))

# %% [markdown]
# ## What to cite

# %% tags=["hide-input"]
used = [features, model] if model else []
display(Markdown("\n".join(f"- {entry['text']}" for entry in references(used))))

# %% [markdown]
# ## What we saw

# %% tags=["hide-input"]
lines = []
for name, one in own.properties.items():
    gain = one.facts["mape_mean"] - one.facts["mape"]
    kind = (
        "samples of unseen sources"
        if one.facts["n_groups"]
        else "unseen samples (no sources were given)"
    )
    lines.append(
        f"- **{name}**: an error of {one.facts['mape']:.1f} % on {kind}, {abs(gain):.1f} points "
        f"{'less' if gain > 0 else 'more'} than the mean; {len(one.audit.flags)} flags of the audit."
    )
display(Markdown("\n".join(lines)))
