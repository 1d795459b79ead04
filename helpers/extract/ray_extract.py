"""Features of very many images with Ray Data: on several cores, GPUs or machines, part by part.

The images are cut into parts. An actor that holds the network reads a part, computes its features
and writes them as one parquet file, whole or not at all. What is written is not computed again:
so a worker that dies costs its part, and a run that was stopped goes on. The folder of parts is a
feature table (`helpers.extract.feature_tables.read_feature_table`).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
from pathlib import Path

import pandas as pd
import psutil

from helpers import UserError
from helpers.encoders import load_encoder
from helpers.extract.depth import check_headers, check_kinds, check_levels, read_headers
from helpers.extract.feature_tables import PARTS, extract_listed, read_facts, write_feature_table
from helpers.extract.remote_images import list_anywhere, local_copies, named_as
from helpers.extract.scale import at_network, check_alike, field_of, stated_sizes
from helpers.features import check_run
from helpers.images.read import ImageError, Reading
from helpers.io.atomic import atomic_write
from helpers.io.optional import optional
from helpers.io.progress import progress_bar
from helpers.preprocessing import Preparation

PART_IMAGES = 1024
LISTED = ("image", "sample", "pixel_size_um")  # columns of a list that an actor needs
STARTS = 3  # tries
SHUTDOWN_SECONDS = 5
TOLD = 5  # parts whose bad images a message lists


def extract_parts(
    source,
    out,
    encoder="microvit",
    *,
    pooling=None,
    dtype=None,
    workers=None,
    part_images=PART_IMAGES,
    image_column="image",
    sample_column=None,
    on_error="raise",
    progress=True,
    **options,
):
    """Features of images in a folder of parquet files, computed by actors of Ray.

    Parameters
    ----------
    source : path-like or str
        See `helpers.extract.image_lists.list_samples`; or a folder of an object store, such as
        ``"s3://bucket/scans"``, and tables with such paths: whatever fsspec can open.
    out : path-like
        Folder for the parts; all machines must see it.
    encoder, pooling, dtype
        See `helpers.encoders.load_encoder`; a folder must be there on all machines.
    workers : int, optional
        Actors. None: one a GPU where Ray sees any, else one a core. Fewer share the cores.
    part_images : int
        Images a part: what a worker holds, and what a failure costs.
    image_column, sample_column
        See `helpers.extract.image_lists.list_samples`.
    on_error : str
        ``"raise"``: parts with bad images are not written, the others are; then the bad images
        are named. ``"skip"``: bad images are left out.
    **options
        Of `helpers.extract.feature_tables.extract_listed`.

    Returns
    -------
    dict
        ``folder``, ``encoder``, ``pooling``, ``images`` (all), ``parts``, ``computed`` (images in
        this run), ``workers``, ``images reach the network`` (at which scale) and ``skipped``
        (image: reason).

    Raises
    ------
    ImageError
        Bad images; the good parts are kept. Mixed bit depth: of files before any work, of a store
        when all parts are done.
    UserError
        Parts of another run in the folder; Ray is not installed, or broken.
    ValueError, OSError
        As `helpers.extract.feature_tables.extract_table`.

    Notes
    -----
    A cluster is used where the environment variable ``RAY_ADDRESS`` names one; else Ray is started
    on this machine for the time of the call.
    """
    ray = optional("ray", "ray")
    optional("ray.data", "ray")
    check_run(on_error, workers=workers, part_images=part_images)
    loaded, plan = _plan(encoder, pooling, dtype, options)
    listed = list_anywhere(source, image_column=image_column, sample_column=sample_column)
    listed["pixel_size_um"] = stated_sizes(listed, options.pop("stated_um", None))
    parts, out = _parts(listed, plan, part_images), Path(out).resolve()
    _refuse_others(out, parts)
    todo, rows = [part for part in parts if not (out / part["name"]).is_file()], []
    if todo:
        local = [file for file in listed["image"] if "://" not in file]
        check_headers(read_headers(local), plan["value_range"], plan["crop_bottom"])
    with atomic_write(out / PARTS) as file:  # so that a reader sees what is still missing
        file.write(json.dumps([part["name"] for part in parts], indent=1).encode())
    if todo:
        writer = str(out), _for_actors(loaded, dtype), {"on_error": on_error, **options}
        with _started(ray):
            rows = _run(ray, todo, writer, workers, progress)
    _refuse_bad([row["error"] for row in rows if row["error"]], len(parts))
    skipped, reached = _checked([out / part["name"] for part in parts], on_error, plan)
    return {
        "folder": str(out),
        "encoder": loaded.title,
        "pooling": loaded.entry.pooling,
        "images": len(listed),
        "parts": len(parts),
        "computed": sum(row["images"] for row in rows),
        "workers": rows[0]["workers"] if rows else 0,
        "images reach the network": reached,
        "skipped": skipped,
    }


def _plan(encoder, pooling, dtype, options):
    """The encoder, and what the numbers depend on beside the images; options are checked first."""
    asked = {name: options.get(name) for name in ("value_range", "crop_bottom", "target_um")}
    reading = Reading(**asked)
    loaded = load_encoder(encoder, pooling=pooling, dtype=dtype)
    pipeline = options.get("pipeline", "micrograph")
    Preparation(loaded.entry, pipeline, options.get("normalize", "none"), reading)
    field = field_of(loaded, pipeline, reading.target_um)
    return loaded, {"encoder": loaded.provenance(), "field": field, **options, **asked}


def _for_actors(loaded, dtype):
    """What `PartWriter` loads the same encoder by, wherever it starts, without a note."""
    place = loaded.entry.folder.resolve() if loaded.entry.folder else loaded.name
    return str(place), {"pooling": loaded.entry.pooling, "dtype": dtype}


def _refuse_bad(errors, count):
    if not errors:
        return
    raise ImageError(
        f"{len(errors)} of {count} parts hold bad images and were not written. Mend these and run "
        "again, or skip them with on_error='skip': the other parts stay. Without the files it "
        "would be another run, into a new folder. The first parts:\n" + "\n".join(errors[:TOLD])
    )


def _checked(paths, on_error, plan):
    """The skipped images of all parts and their scale at the network; tells and refuses of all
    what `extract_listed` does of an actor's part.
    """
    skipped = {image: why for path in paths for image, why in read_facts(path)["skipped"].items()}
    if skipped and on_error == "raise":
        raise ImageError(
            f"{len(skipped)} images were skipped by an earlier run into {paths[0].parent}, such "
            f"as {next(iter(skipped))}: pass on_error='skip' again, or mend them and choose a new "
            "folder"
        )
    columns = ["image", "pixel_size_um", "scale", "height", "width", "kind", "brightest"]
    table = pd.concat([pd.read_parquet(p, columns=columns) for p in paths], ignore_index=True)
    check_alike(*(table[column].to_numpy() for column in columns[:3]))
    check_kinds(dict(zip(table["image"], table["kind"], strict=True)), plan["value_range"])
    if plan["value_range"] is None:
        check_levels(table)
    return skipped, at_network(table)


def _start(ray):
    """Start Ray; on a busy machine one of its processes may take longer than the others wait."""
    for n_left in reversed(range(STARTS)):
        try:
            return ray.init(log_to_driver=False, include_dashboard=False, logging_level="ERROR")
        except Exception as error:  # what it raises then is of no one kind
            ray.shutdown()
            if not n_left:
                raise UserError(
                    f"Ray did not start in {STARTS} tries ({error}). Where the machine is busy, "
                    "wait until it is not; or extract without Ray"
                ) from error


@contextlib.contextmanager
def _started(ray):
    """Ray for the time of a call, and none of its processes afterwards."""
    if ray.is_initialized():
        yield
        return
    here = psutil.Process()
    before = set(here.children(recursive=True))
    try:
        _start(ray)
        yield
    finally:
        own = set(here.children(recursive=True)) - before
        ray.shutdown()
        _, left = psutil.wait_procs(own, timeout=SHUTDOWN_SECONDS)
        for process in left:  # of a start that was interrupted
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()


def _parts(listed, plan, part_images):
    """Consecutive images in parts, whose names change when anything does that the numbers need."""
    seed = json.dumps(plan, sort_keys=True, default=str)
    parts = []
    for start in range(0, len(listed), part_images):
        rows = listed.iloc[start : start + part_images]
        digest = hashlib.sha256((seed + rows.to_json(orient="values")).encode()).hexdigest()
        name = f"part-{len(parts):06d}-{digest[:12]}.parquet"
        parts.append({"name": name} | {c: rows[c].tolist() for c in LISTED})
    return parts


def _refuse_others(out, parts):
    others = sorted({p.name for p in out.glob("*.parquet")} - {part["name"] for part in parts})
    if others:
        raise UserError(
            f"{out} holds parts of another run, such as {others[0]} (other images, encoder, "
            "options or size of the parts): choose another folder, or delete it"
        )


def _run(ray, todo, writer, workers, progress):
    """Compute parts with a pool of actors (`PartWriter` of `writer`); a row for each."""
    gpus = int(ray.cluster_resources().get("GPU", 0))
    cpus = int(ray.cluster_resources().get("CPU", 1))
    workers = min(workers or gpus or cpus, len(todo))
    largest = max(node["Resources"].get("CPU", 1) for node in ray.nodes() if node["Alive"])
    cores = max(1, min(cpus // workers, int(largest)))  # an actor lives on one machine
    ray.data.DataContext.get_current().enable_progress_bars = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    dataset = ray.data.from_items(todo, override_num_blocks=len(todo)).map_batches(
        PartWriter,
        fn_constructor_args=(*writer, cores),
        batch_size=1,
        batch_format="pandas",
        compute=ray.data.ActorPoolStrategy(size=workers),
        num_cpus=cores,
        num_gpus=1 if gpus else 0,
    )
    rows = []
    total = sum(len(part["image"]) for part in todo)
    with progress_bar("Features", "image", total, progress=progress) as bar:
        for row in dataset.iter_rows():
            rows.append(row | {"workers": workers})
            bar.update(row["images"])
    return rows


class PartWriter:
    """What an actor does: hold a network, and turn a part of the list into a parquet file."""

    def __init__(self, out, encoder, options, cores):  # encoder: name or folder, and options
        os.environ["OMP_NUM_THREADS"] = str(cores)  # what `n_cores` counts in this process
        place, chosen = encoder
        self.encoder = load_encoder(place, **chosen)
        self.out = Path(out)
        self.options = {"store": False, "progress": False, **options, "workers": cores}

    def __call__(self, batch):
        """Write the parts of a batch; a row each with ``images`` and ``error``."""
        return pd.DataFrame([self._write(part) for part in batch.to_dict("records")])

    def _write(self, part):
        listed = pd.DataFrame({c: list(part[c]) for c in LISTED})
        try:
            with local_copies(listed) as copies:
                found = extract_listed(copies, self.encoder, **self.options)
                found = named_as(found, copies, listed)
        except ImageError as error:  # told by the driver, when all other parts are done
            return {"images": 0, "error": str(error)}
        write_feature_table(self.out / part["name"], found)
        return {"images": len(found.table), "error": ""}
