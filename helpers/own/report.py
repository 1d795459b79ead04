"""What is known of a fitted model and its samples, as one HTML page."""

from __future__ import annotations

import base64
import re
import time
from datetime import date
from pathlib import Path

import numpy as np

from helpers import UserError
from helpers.audit.plots import plot_audit
from helpers.datasets import badge
from helpers.extract.feature_tables import digests, read_feature_table, sample_matrix
from helpers.extract.scale import differences, in_words, span
from helpers.extract.tables import first_few
from helpers.images.pixel_size import PreparedImage
from helpers.images.read import Reading
from helpers.io.atomic import atomic_write
from helpers.io.optional import optional
from helpers.own.citations import references
from helpers.own.model_files import OF_SYSTEMS, check_place, load_model
from helpers.own.models import BEST, left_out_in_words
from helpers.own.study import summary

TEMPLATE = Path(__file__).with_name("report.html")
# What says that a page is ours, and the files of its folder: nothing else is overwritten.
MARK = '<meta name="generator" content="microprop report" />'
EXPORTS = re.compile(r"property\d+_(audit|worst|out_of_fold)\.(svg|png|csv)")


def write_report(model, features, out):
    """Write what is known of a fitted model and its samples as one HTML page.

    Parameters
    ----------
    model : path-like
        Folder of `helpers.own.study.fit_models`.
    features : path-like
        The feature table that it was fitted to; the images are read for small copies.
    out : path-like
        An ``.html`` file: figures and scripts inside, no network needed to read it.

    Returns
    -------
    dict
        ``file`` and its ``size`` in MB.

    Raises
    ------
    UserError
        Another ending; a page or folder there that no report wrote; a model or table that cannot
        be read; features that the model was not fitted to; images that are gone or others.
    PackageError
        The extra ``book`` is not installed, or a package of it is broken.

    Notes
    -----
    It is also a folder beside `out`: ``<name>_files`` holds every figure as SVG and PNG, and every
    table as CSV.
    """
    check_place(out, ".html", model)
    out = Path(out).resolve()
    exports = out.with_name(out.stem + "_files")
    _check_ours(out, exports)
    for name in ("altair", "jinja2"):
        optional(name, "book")
    own, found = load_model(model), read_feature_table(features)
    _check_same(own, found, model, features)
    _check_images(found.table, features)
    started = time.time()
    exports.mkdir(parents=True, exist_ok=True)
    pictures = _pictures(found)
    parts = [
        _property(name, one, pictures, exports / f"property{i}")
        for i, (name, one) in enumerate(own.properties.items(), 1)
    ]
    page = _page(own, found, parts, Path(model).resolve(), Path(features), exports)
    with atomic_write(out) as file:
        file.write(page.encode())
    for path in filter(lambda path: EXPORTS.fullmatch(path.name), exports.iterdir()):
        if path.stat().st_mtime < started:  # of an earlier report with more properties
            path.unlink()
    return {"file": str(out), "size": f"{len(page) / 1e6:.1f} MB"}


def _pictures(found):
    """The first image of each sample, prepared as it was for the network."""
    reading = Reading(found.facts["value_range"], crop_bottom=found.facts["crop_bottom"])
    first = found.table.groupby("sample", sort=False)["image"].first()
    return {sample: PreparedImage(Path(image), reading) for sample, image in first.items()}


def _property(name, one, pictures, stem):
    """What the template says of one property; its figures and tables are files as well."""
    from helpers.own.plots import plot_worst, sample_chart

    shown = one.audit.table
    shown = shown[~shown["predictor"].str.endswith("shuffled targets")]
    titles = {"descriptor": "features, chosen learner"} if one.kind == BEST else None
    one.out_of_fold.to_csv(f"{stem}_out_of_fold.csv", index=False)
    one.audit.table.to_csv(f"{stem}_audit.csv", index=False)
    return {
        "name": name,
        "lines": summary(one),
        "audit": _kept(plot_audit(shown, titles), f"{stem}_audit", "Errors by folds."),
        "chart": sample_chart(one, pictures),
        "worst": _kept(plot_worst(one, pictures), f"{stem}_worst", "Micrographs in a row."),
    }


def _kept(figure, stem, alt):
    """A figure as SVG and PNG files, and as HTML."""
    for kind in ("svg", "png"):
        figure.savefig(f"{stem}.{kind}")
    source = base64.b64encode(Path(f"{stem}.png").read_bytes()).decode()
    return f'<img alt="{alt}" src="data:image/png;base64,{source}">'


def _page(own, found, parts, model, features, exports):
    """The template with all that it shows; names come from files of anybody, and are escaped."""
    from jinja2 import Template

    table, facts = found.table, found.facts
    names = [Path(image).name for image in table["image"]]
    notes = differences(names, table["pixel_size_um"], table["scale"])
    left_out = left_out_in_words(own.features.get("left_out", {}))
    label = badge("Your micrographs", facts["title"])
    return Template(TEMPLATE.read_text(encoding="utf-8"), autoescape=True).render(
        mark=MARK, badge=label._repr_html_(), model=model.name,
        features=features.name, date=date.today(), table=table, facts=facts,
        samples=table["sample"].nunique(), n_features=found.features.shape[1],
        width=span(table["width"].min(), table["width"].max(), " pixels", "d"),
        pixel_size=in_words(found), aggregate=own.aggregate, properties=parts,
        notes=notes + [f"left out: {line}" for line in left_out],
        chosen=any(one.kind == BEST for one in own.properties.values()),
        references=references([features, model]), exports=exports.name,
    )  # fmt: skip


def _check_ours(out, exports):
    """Raise a UserError where a report would overwrite what none wrote."""
    there = [out, *(exports.iterdir() if exports.is_dir() else [exports])]
    for path in (path for path in there if path.exists() and path.name not in OF_SYSTEMS):
        page = path == out and path.is_file() and MARK.encode() in path.read_bytes()[:500]
        if not page and not (path.parent == exports and EXPORTS.fullmatch(path.name)):
            raise UserError(
                f"{path} was not written by a report, which would overwrite it or put its figures "
                "beside it: move it away, or choose another name"
            )


def _check_same(model, table, model_path, table_path):
    """Raise a UserError unless a model was fitted to a feature table."""
    samples, X = sample_matrix(table, model.aggregate)
    row = {name: i for i, name in enumerate(samples)}
    for one in model.properties.values():
        fitted = one.out_of_fold["sample"]
        gone = [name for name in fitted if name not in row]
        same = not gone and one.training.shape[1] == X.shape[1]
        if not same or not np.allclose(one.training, X[[row[n] for n in fitted]], atol=1e-4):
            why = f"it lacks {first_few(gone, 3)}" if gone else "its features are others"
            raise UserError(
                f"{table_path} is not the feature table that {model_path} was fitted to: {why}. "
                "Give that one, or fit again"
            )


def _check_images(table, path):
    """Raise a UserError where files are not those that features were computed from."""
    other = [file for file in table["image"] if not Path(file).is_file()]
    other = other or table.loc[table["digest"] != digests(table["image"]), "image"].tolist()
    if other:
        raise UserError(
            f"{len(other)} images are not those that {path} was computed from, or gone: "
            f"{first_few(other)}. Run the command in the folder from which `microprop extract` "
            "ran; where files were replaced, extract and fit again"
        )
