"""Draw the picture that the landing page and README open with: from a micrograph to a prediction.

``python -m bookbuild.hero`` computes it from the embedded superalloys and MicroViT, in under a
minute, and writes ``_static/hero.webp``.
"""

from matplotlib.patches import Rectangle
from sklearn.decomposition import PCA
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GroupKFold, KFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import scale

from bookbuild.chapters import ROOT
from helpers.datasets import load_superalloys
from helpers.encoders import ENCODERS
from helpers.features import extract_features
from helpers.plots import COLOURS, panels
from helpers.preprocessing import preprocess_micrograph

HERO = ROOT / "_static" / "hero.webp"
SHOWN = 87  # the sample whose micrograph is shown
NEAR = 6  # patches a side of the corner that is enlarged


def main():
    """Compute the picture and write it."""
    study = load_superalloys()
    features = extract_features(study.images, "microvit", name="superalloys-embedded")
    figure = draw_hero(study, features, predictions(study, features))
    figure.savefig(HERO, pil_kwargs={"quality": 90})


def predictions(study, features):
    """Hardness of every alloy by a model that was fitted without it, or without its source."""
    model = make_pipeline(PCA(20), LinearRegression())
    return {
        f"{sources} sources": cross_val_predict(
            model,
            features,
            study.hardness,
            groups=groups,
            cv=kind(10, shuffle=True, random_state=42),
        )
        for sources, kind, groups in (("known", KFold, None), ("new", GroupKFold, study.groups))
    }


def draw_hero(study, features, predicted):
    """Give the figure: a micrograph, patches of it, its features, predictions of all alloys."""
    figure, (axes,) = panels(1, 5, 2.0, width_ratios=[1, 1, 0.12, 1, 1])
    figure.get_layout_engine().set(w_pad=0.12)
    picture, patches, vector, *parities = axes
    image, _, _ = preprocess_micrograph(study.images[SHOWN], "microvit")  # as the network gets it
    side, near = ENCODERS["microvit"].patch, NEAR * ENCODERS["microvit"].patch
    picture.imshow(image[:, : len(image)], cmap="gray")
    look = {"ec": COLOURS[5], "lw": 2, "fill": False, "clip_on": False}
    picture.add_patch(Rectangle((-0.5, -0.5), near, near, **look))
    patches.imshow(image[:near, :near], cmap="gray")
    for border in range(side, near, side):
        patches.axvline(border - 0.5, color="white", lw=2.5)
        patches.axhline(border - 0.5, color="white", lw=2.5)
    patches.add_patch(Rectangle((-0.5, -0.5), near, near, **look))
    values = scale(features.astype(float))[SHOWN]
    vector.imshow(values[:, None], aspect="auto", vmin=-2, vmax=2)
    vector.set_box_aspect(1 / 0.12)  # as high as the pictures
    for axis, title in zip(axes, ("micrograph", "patches", "features"), strict=False):
        axis.set(xticks=[], yticks=[], title=title)
        axis.spines[:].set_visible(False)
        arrow = {"arrowstyle": "<|-", "color": "0.3", "shrinkA": 0, "shrinkB": 3}
        place = {"xy": (1, 0.5), "xycoords": "axes fraction", "annotation_clip": False}
        place |= {"xytext": (14, 0), "textcoords": "offset points"}
        axis.annotate("", **place, arrowprops=arrow).set_in_layout(False)
    for axis, (title, values), colour in zip(parities, predicted.items(), COLOURS, strict=False):
        axis.scatter(study.hardness, values, s=7, alpha=0.8, linewidths=0, color=colour)
        axis.axline((400, 400), slope=1, color="0.4", lw=0.8)
        axis.set(xlabel="measured [kgf/mm²]", title=title, aspect="equal")
        axis.set(xlim=(200, 680), ylim=(200, 680), xticks=[300, 500], yticks=[300, 500])
    parities[0].set_ylabel("predicted hardness")
    return figure


if __name__ == "__main__":
    main()
