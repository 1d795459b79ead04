"""The chapter "Your own micrographs" on a user's data, as one HTML page."""

from __future__ import annotations

import html
import re
import tempfile
import time
from pathlib import Path

import numpy as np

from helpers import UserError
from helpers.extract.feature_tables import digests, read_feature_table, sample_matrix
from helpers.extract.tables import first_few
from helpers.io.atomic import atomic_write
from helpers.io.downloads import ROOT
from helpers.io.optional import optional
from helpers.own.model_files import OF_SYSTEMS, check_place, load_model

CHAPTER = ROOT / "book" / "80_your_own_micrographs.ipynb"
# What says that a page is ours, and the files of its folder: nothing else is overwritten.
MARK = '<meta name="generator" content="microprop report" />'
EXPORTS = re.compile(r"property\d+_(audit|worst|out_of_fold)\.(svg|png|csv)")
NOT_HERE = "not-in-report"  # tag of cells


def write_report(model, features, out, *, chapter=CHAPTER):
    """Execute the chapter on a fitted model and its features, and write one HTML page.

    Parameters
    ----------
    model : path-like
        Folder of `helpers.own.study.fit_models`.
    features : path-like
        The feature table that it was fitted to; the images are read for small copies.
    out : path-like
        An ``.html`` file: figures and scripts inside, no network needed to read it.
    chapter : path-like
        Notebook to execute.

    Returns
    -------
    dict
        ``file`` and its ``size`` in MB.

    Raises
    ------
    UserError
        Another ending; a page or folder there that no report wrote; a model or table that cannot
        be read; features that the model was not fitted to; images that are gone or others; a cell
        that failed.
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
    for name in ("papermill", "nbconvert", "ipykernel", "altair"):
        optional(name, "book")
    table = read_feature_table(features)
    _check_same(load_model(model), table, model, features)
    _check_images(table.table, features)
    parameters = {
        "model": str(Path(model).resolve()),
        "features": str(Path(features).resolve()),
        "images_from": str(Path.cwd()),
        "exports": str(exports),
    }
    started = time.time()
    page = _page(chapter, parameters, f"Report on {Path(model).resolve().name}")
    page = page.replace("<head>", f"<head>\n{MARK}", 1)
    with atomic_write(out) as file:
        file.write(page.encode())
    ours = [path for path in exports.iterdir() if EXPORTS.fullmatch(path.name)]
    for path in ours:
        if path.stat().st_mtime < started:  # of an earlier report with more properties
            path.unlink()
    return {"file": str(out), "size": f"{len(page) / 1e6:.1f} MB"}


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


def _page(chapter, parameters, title):
    """The chapter, executed with parameters, as HTML."""
    import nbconvert
    import papermill

    with tempfile.TemporaryDirectory() as folder:
        executed = Path(folder, "report.ipynb")
        try:
            papermill.execute_notebook(
                str(chapter), str(executed), parameters, cwd=str(ROOT / "book"),
                kernel_name="python3", progress_bar=False, log_output=False,
                extra_arguments=["--log-level=ERROR"],
            )  # fmt: skip
        except papermill.PapermillExecutionError as error:
            raise UserError(
                f"cell {error.exec_count} of the report failed: {error.ename}: {error.evalue}"
            ) from error
        # Scripts that the page would ask the network for, and that it does not need.
        scripts = [n for n in nbconvert.HTMLExporter.class_trait_names() if n.endswith("_url")]
        exporter = nbconvert.HTMLExporter(
            exclude_input=True, exclude_input_prompt=True, exclude_output_prompt=True,
            embed_images=True, **dict.fromkeys(scripts, ""),
        )  # fmt: skip
        resources = {"metadata": {"name": title}}
        return exporter.from_notebook_node(_for_report(executed), resources=resources)[0]


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


def _for_report(path):
    """An executed notebook without what concerns the site alone, its figures with captions.

    nbconvert's template has no place for captions and alt text, so the images become HTML.
    """
    import nbformat

    notebook = nbformat.read(path, as_version=4)
    notebook.cells = [c for c in notebook.cells if NOT_HERE not in c.metadata.get("tags", ())]
    for cell in notebook.cells:
        said = cell.metadata.get("mystnb", {})
        for output in cell.get("outputs", ()) if said else ():
            if "image/png" in output.get("data", {}):
                alt, caption = said["image"]["alt"], said["figure"]["caption"]
                source = f"data:image/png;base64,{output.data['image/png']}"
                output.data["text/html"] = (
                    f'<figure><img alt="{html.escape(alt)}" src="{source}" '
                    f'style="max-width:100%"><figcaption>{html.escape(caption)}</figcaption>'
                    "</figure>"
                )
    return notebook
