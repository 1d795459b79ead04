"""The command line ``microprop``: each command is a call of a helper that can be used from Python.

Exit codes: 0 done; 1 something is wrong with the input, and the message says what; 2 the command
itself is wrong; 130 interrupted.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import warnings
from pathlib import Path
from typing import Annotated, Literal

import typer

from helpers import UserError
from helpers.own.messages import in_options

INTERRUPTED = 130  # as shells count it
NO_COMPOSITION = "none found in the headings, such as 'Al (wt.%)'"

app = typer.Typer(
    name="microprop",
    help="Material properties from micrographs: from a folder and a table to predictions.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def Help(text):
    """An option with its help."""
    return typer.Option(help=text)


Source = Annotated[
    str, typer.Argument(help="Folder, image, pattern in quotes, or table (csv, xlsx, parquet).")
]
Model = Annotated[Path, typer.Argument(help="Folder from `microprop fit`.")]
OnError = Annotated[Literal["raise", "skip"], Help("What to do with bad images.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
ImageColumn = Annotated[str, Help("Column of a table: path of each image.")]
SampleColumn = Annotated[
    str | None, Help("Column of a table: the sample of each image; 'sample' where there is one.")
]
CropBottom = Annotated[str | None, Help("Rows to cut below: 60, 8%, or auto, as files state.")]
StatedSize = Annotated[float | None, Help("Pixel size [µm] of files that state none.")]
PixelSize = Annotated[float | None, Help("Bring images to this pixel size [µm], cut to fit.")]
ValueRange = Annotated[tuple[float, float] | None, Help("Black and white, such as 0 4095.")]
Pooling = Annotated[
    Literal["cls", "mean", "pooler"] | None,
    Help("Class token, mean of patches or the network's own; left out: its family's or model's."),
]
Pipeline = Annotated[Literal["micrograph", "section"], Help("Preprocessing of a case study.")]
Normalize = Annotated[Literal["none", "encoder"], Help("Grey levels: the paper's or network's.")]
Dtype = Annotated[Literal["float32", "bfloat16"] | None, Help("bfloat16 may be faster.")]
Engine = Annotated[
    Literal["local", "ray"], Help("ray: several processes or machines, --out a folder.")
]
Workers = Annotated[int | None, Help("Of ray; all cores or GPUs if left out.")]
Property = typer.Option("--property", help="Column to predict; may be repeated.")
Groups = Annotated[str | None, Help("Column with the source of each sample: heat, lab, paper.")]
Unit = Annotated[str | None, Help("at.% or wt.%, where the headings do not say it.")]
Aggregate = Annotated[Literal["mean", "concat"], Help("How images of a sample become one row.")]
Kind = Annotated[Literal["lr", "pr", "svr", "best"], Help("best: what inner folds choose.")]


def _show(result, as_json):
    """Print what a command found: lines for people, or one JSON object."""
    if as_json:
        print(json.dumps(result, indent=1, default=str))
        return
    for key, value in result.items():
        if isinstance(value, dict):
            value = [f"{k}: {v}" for k, v in value.items()]
        text = "\n  ".join(["", *map(str, value)]) if isinstance(value, list) else value
        if value not in (None, [], {}):
            print(f"{key}: {text}")


@app.command(epilog="Example: microprop extract scans/ --out features.parquet --crop-bottom 8%")
def extract(
    images: Source,
    out: Annotated[Path, Help("File to write, ends in .parquet; ray: a folder.")],
    encoder: Annotated[str, Help("Name, see `microprop doctor`, or folder.")] = "microvit",
    pooling: Pooling = None,
    image_column: ImageColumn = "image",
    sample_column: SampleColumn = None,
    crop_bottom: CropBottom = None,
    pixel_size_um: PixelSize = None,
    stated_um: StatedSize = None,
    value_range: ValueRange = None,
    pipeline: Pipeline = "micrograph",
    normalize: Normalize = "none",
    dtype: Dtype = None,
    on_error: OnError = "raise",
    engine: Engine = "local",
    workers: Workers = None,
    as_json: Json = False,
):
    """Features of images by a frozen network, kept in a file."""
    if encoder == "microvit":
        from helpers.own.doctor import say_what_microvit_is_worth

        say_what_microvit_is_worth()
    options = {
        "image_column": image_column, "sample_column": sample_column, "crop_bottom": crop_bottom,
        "target_um": pixel_size_um, "stated_um": stated_um, "value_range": value_range,
        "pipeline": pipeline, "normalize": normalize, "pooling": pooling, "dtype": dtype,
        "on_error": on_error, "progress": not as_json,
    }  # fmt: skip
    if engine == "ray":
        from helpers.extract.ray_extract import extract_parts

        _show(extract_parts(images, out, encoder, workers=workers, **options), as_json)
    elif workers is not None:
        raise typer.BadParameter("--workers goes with --engine ray; local uses all cores")
    else:
        from helpers.extract.feature_tables import extract_file

        _show(extract_file(images, out, encoder, **options), as_json)


@app.command(
    epilog="Example: microprop fit features.parquet alloys.xlsx --property hardness "
    "--groups source --out model/"
)
def fit(
    features: Annotated[Path, typer.Argument(help="From `microprop extract`.")],
    table: Annotated[Path, typer.Argument(help="Properties: csv or xlsx, a row a sample.")],
    out: Annotated[Path, Help("Folder to write.")],
    properties: Annotated[list[str] | None, Property] = None,
    sample_column: Annotated[str, Help("Column with the name of each sample.")] = "sample",
    groups: Groups = None,
    composition_unit: Unit = None,
    sheet: Annotated[str | None, Help("Sheet of an .xlsx table; the first if left out.")] = None,
    aggregate: Aggregate = "mean",
    model: Kind = "lr",
    as_json: Json = False,
):
    """A model of each property, with honest validation: the audit of the book."""
    from helpers.own.study import fit_models

    if groups is None:
        print(
            "No --groups: samples are taken as independent. If several come from one heat, "
            "laboratory or paper, name that column, or the scores will flatter.",
            file=sys.stderr,
        )
    result = fit_models(
        features, table, out, properties=properties, sample_column=sample_column,
        group_column=groups, composition_unit=composition_unit, sheet=sheet, aggregate=aggregate,
        kind=model, progress=not as_json,
    )  # fmt: skip
    if not as_json:
        result["composition"] = result["composition"] or NO_COMPOSITION
        result |= {name: one["in words"] for name, one in result.pop("properties").items()}
    _show(result, as_json)


@app.command(epilog="Example: microprop predict model/ new_scans/ --out predictions.csv")
def predict(
    model: Model,
    images: Annotated[str, typer.Argument(help="Images as in `extract`, or a feature table.")],
    out: Annotated[Path, Help("CSV file to write.")],
    encoder: Annotated[str | None, Help("Folder that the model's encoder lies in now.")] = None,
    pooling: Pooling = None,
    image_column: ImageColumn = "image",
    sample_column: SampleColumn = None,
    crop_bottom: CropBottom = None,
    stated_um: StatedSize = None,
    value_range: ValueRange = None,
    on_error: OnError = "raise",
    as_json: Json = False,
):
    """Predictions with 90 % intervals; flags images unlike those that the model was fitted to."""
    from helpers.own.study import predict_table

    result = predict_table(
        model, images, out, encoder=encoder, pooling=pooling, value_range=value_range,
        crop_bottom=crop_bottom, stated_um=stated_um, image_column=image_column,
        sample_column=sample_column, on_error=on_error, progress=not as_json,
    )  # fmt: skip
    _show(result, as_json)


@app.command(epilog="Example: microprop report model/ features.parquet --out report.html")
def report(
    model: Model,
    features: Annotated[Path, typer.Argument(help="The feature table that it was fitted to.")],
    out: Annotated[Path, Help("HTML file to write.")],
    as_json: Json = False,
):
    """Errors, controls and single samples of a model, as one page."""
    from helpers.own.report import write_report

    _show(write_report(model, features, out), as_json)


@app.command(epilog="Example: microprop doctor")
def doctor(as_json: Json = False):
    """What is installed and cached here, and what to do about what is not."""
    from helpers.own.doctor import diagnose

    rows = diagnose()
    if as_json:
        return _show(rows, as_json)
    width = max(len(row["what"]) for row in rows) + 1
    for row in rows:
        do = f"\n{'':{width}}-> {row['do']}" * bool(row["do"])
        print(f"{row['what']:{width}}{row['state']}{do}")


@app.command(epilog="Example: microprop fetch dinov2-s14")
def fetch(
    names: Annotated[list[str], typer.Argument(help="Encoders or data, see `microprop doctor`.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before the download.")] = False,
    as_json: Json = False,
):
    """Download weights or data; shows the sizes first."""
    from helpers.own.doctor import fetch_all, size_in_words, sizes

    wanted = sizes(names)
    for name, (size, here) in wanted.items():
        print(f"{name}: {size_in_words(size, here)}", file=sys.stderr)
    if not yes and not all(here for _, here in wanted.values()):
        typer.confirm("Download what is not here?", abort=True, err=True)
    _show(fetch_all(names), as_json)


@app.command(epilog="Example: microprop cite features.parquet --bibtex")
def cite(
    used: Annotated[
        list[Path] | None, typer.Argument(help="Feature tables or models; none: the book alone.")
    ] = None,
    bibtex: Annotated[bool, typer.Option("--bibtex", help="As BibTeX.")] = False,
    as_json: Json = False,
):
    """References of what was used: encoder, methods, paper, this book."""
    from helpers.own.citations import references

    found = references(used or [])
    if as_json:
        return _show(found, as_json)
    print("\n\n".join(entry["bibtex" if bibtex else "text"] for entry in found))


def main(arguments=None):
    """Run the command line; gives the exit code."""
    warnings.showwarning = _note
    try:
        code = app(arguments, standalone_mode=False) or 0
        if code == INTERRUPTED:
            print("Interrupted: the same command goes on from here.", file=sys.stderr)
        return code
    except typer.Abort:  # of a question
        print("Stopped: nothing was done.", file=sys.stderr)
        return 1
    except BrokenPipeError:  # whoever reads our lines has seen enough
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 (closed at exit)
        return 0
    except (UserError, OSError) as error:
        print(f"Error: {in_options(str(error))}", file=sys.stderr)
        return 1
    except Exception as error:
        if not hasattr(error, "show"):  # what typer has to say about the command
            raise
        error.show()
        return error.exit_code


def _note(message, *_, **__):
    """A warning, as a line for people."""
    print(f"Note: {in_options(str(message))}", file=sys.stderr)


def run():
    """Entry point of the installed command."""
    # From batch systems and containers; as with Ctrl-C what is computed is kept.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # signs that a terminal does not have
    sys.exit(main())
