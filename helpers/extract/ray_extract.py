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
import pyarrow.parquet as pq

from helpers import UserError
from helpers.encoders import load_encoder
from helpers.extract.feature_tables import PARTS, extract_listed, read_facts, write_feature_table
from helpers.extract.remote_images import list_anywhere, local_copies, named_as
from helpers.extract.scale import check_alike, field_of
from helpers.images.read import ImageError, Reading
from helpers.io.atomic import atomic_write
from helpers.io.optional import optional
from helpers.io.progress import progress_bar
from helpers.preprocessing import Preparation

PART_IMAGES = 1024
SHUTDOWN_SECONDS = 5
TOLD = 5  # parts whose bad images a message lists


def extract_parts(
    source,
    out,
    encoder="microvit",
    *,
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
    encoder : str or path-like
        See `helpers.encoders.load_encoder`; a folder must be there on all machines.
    dtype : str or torch.dtype, optional
        See there.
    workers : int, optional
        Actors. None: one a GPU where Ray sees any, else one a core. Fewer share the cores.
    part_images : int
        Images a part: what a worker holds, and what a failure costs.
    image_column, sample_column
        See `helpers.extract.image_lists.list_samples`.
    on_error : str
        ``"raise"``: parts with bad images are not written, the others are; then the bad images
        are named. ``"skip"``: bad images are left out.
    progress : bool
    **options
        Of `helpers.extract.feature_tables.extract_listed`.

    Returns
    -------
    dict
        ``folder``, ``images`` (all), ``parts``, ``computed`` (images in this run), ``workers``
        and ``skipped`` (image: reason).

    Raises
    ------
    ImageError
        Bad images; the good parts are kept.
    ValueError
        Parts of another run in the folder; an option that is unknown; Ray is not installed, or
        broken.
    UserError, FileNotFoundError, DownloadError, OSError
        As `helpers.extract.feature_tables.extract_table`.

    Notes
    -----
    A cluster is used where the environment variable ``RAY_ADDRESS`` names one; else Ray is started
    on this machine for the time of the call.
    """
    ray = optional("ray", "ray")
    optional("ray.data", "ray")
    _check(on_error, workers, part_images)
    asked = ("crop_bottom", "target_um", "value_range")
    Reading(**{name: options[name] for name in asked if name in options})
    loaded = load_encoder(encoder, dtype=dtype)
    Preparation(
        loaded.entry, options.get("pipeline", "micrograph"), options.get("normalize", "none")
    )
    listed = list_anywhere(source, image_column=image_column, sample_column=sample_column)
    field = field_of(loaded, options.get("pipeline", "micrograph"), options.get("target_um"))
    plan = {"encoder": loaded.provenance(), "field": field, **options}
    parts = _parts(listed, plan, part_images)
    out = Path(out).resolve()
    _refuse_others(out, parts)
    with atomic_write(out / PARTS) as file:  # so that a reader sees what is still missing
        file.write(json.dumps([part["name"] for part in parts], indent=1).encode())
    todo = [part for part in parts if not (out / part["name"]).is_file()]
    result = {"folder": str(out), "images": len(listed), "parts": len(parts), "computed": 0}
    with _started(ray) if todo else contextlib.nullcontext():
        rows = _run(ray, todo, out, (str(encoder), dtype), workers, on_error, options, progress)
    result["computed"] = sum(row["images"] for row in rows)
    errors = [row["error"] for row in rows if row["error"]]
    if errors:
        told = "\n".join(errors[:TOLD])
        raise ImageError(
            f"{len(errors)} of {len(parts)} parts hold bad images and were not written. Mend "
            "these and run again, or skip them with on_error='skip': the other parts stay. "
            "Without the files it would be another run, into a new folder. The first "
            f"{min(TOLD, len(errors))} parts:\n{told}"
        )
    facts = (read_facts(out / part["name"]) for part in parts)
    skipped = {image: why for one in facts for image, why in one["skipped"].items()}
    if skipped and on_error == "raise":
        raise ImageError(
            f"{len(skipped)} images were skipped by an earlier run into {out}, such as "
            f"{next(iter(skipped))}: pass on_error='skip' again, or mend them and choose a new "
            "folder"
        )
    _check_alike([out / part["name"] for part in parts])
    return result | {"workers": rows[0]["workers"] if rows else 0, "skipped": skipped}


@contextlib.contextmanager
def _started(ray):
    """Ray for the time of a call, and none of its processes afterwards."""
    if ray.is_initialized():
        yield
        return
    here = psutil.Process()
    before = set(here.children(recursive=True))
    try:
        ray.init(log_to_driver=False, include_dashboard=False, logging_level="ERROR")
        yield
    finally:
        own = set(here.children(recursive=True)) - before
        ray.shutdown()
        _, left = psutil.wait_procs(own, timeout=SHUTDOWN_SECONDS)
        for process in left:  # of a start that was interrupted
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()


def _check_alike(parts):
    """What `extract_listed` says of pixel sizes, of all parts: an actor sees one at a time."""
    columns = ["image", "pixel_size_um", "scale"]
    new = [part for part in parts if "scale" in pq.read_schema(part).names]
    if new:
        found = pd.concat([pd.read_parquet(part, columns=columns) for part in new])
        check_alike(*(found[column].to_numpy() for column in columns))


def _check(on_error, workers, part_images):
    if on_error not in ("raise", "skip"):
        raise UserError(f"on_error is {on_error!r}: expected 'raise' or 'skip'")
    for name, value in (("workers", workers), ("part_images", part_images)):
        if value is not None and value < 1:
            raise UserError(f"{name} is {value}: expected at least 1")


def _parts(listed, plan, part_images):
    """Consecutive images in parts, whose names change when anything does that the numbers need."""
    seed = json.dumps(plan, sort_keys=True, default=str)
    found = []
    for start in range(0, len(listed), part_images):
        rows = listed.iloc[start : start + part_images]
        digest = hashlib.sha256((seed + rows.to_json(orient="values")).encode()).hexdigest()
        name = f"part-{len(found):06d}-{digest[:12]}.parquet"
        found.append({"name": name} | {c: rows[c].tolist() for c in ("image", "sample")})
    return found


def _refuse_others(out, parts):
    if out.exists() and not out.is_dir():
        raise UserError(f"{out} is a file: expected a folder for the parts")
    others = sorted({p.name for p in out.glob("*.parquet")} - {part["name"] for part in parts})
    if others:
        raise UserError(
            f"{out} holds parts of another run, such as {others[0]} (other images, encoder, "
            "options or size of the parts): choose another folder, or delete it"
        )


def _run(ray, todo, out, encoder, workers, on_error, options, progress):
    """Compute parts with a pool of actors; a row for each."""
    if not todo:
        return []
    gpus = int(ray.cluster_resources().get("GPU", 0))
    cpus = int(ray.cluster_resources().get("CPU", 1))
    workers = min(workers or gpus or cpus, len(todo))
    largest = max(node["Resources"].get("CPU", 1) for node in ray.nodes() if node["Alive"])
    cores = max(1, min(cpus // workers, int(largest)))  # an actor lives on one machine
    ray.data.DataContext.get_current().enable_progress_bars = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    dataset = ray.data.from_items(todo, override_num_blocks=len(todo)).map_batches(
        PartWriter,
        fn_constructor_args=(str(out), encoder, cores, on_error, options),
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

    def __init__(self, out, encoder, cores, on_error, options):  # encoder: name and dtype
        os.environ["OMP_NUM_THREADS"] = str(cores)  # what `n_cores` counts in this process
        name, dtype = encoder
        self.encoder = load_encoder(name, dtype=dtype)
        self.out = Path(out)
        self.options = {"on_error": on_error, "store": False, "progress": False, **options}
        self.options["workers"] = cores

    def __call__(self, batch):
        """Write the parts of a batch; a row each with ``images`` and ``error``."""
        return pd.DataFrame([self._write(part) for part in batch.to_dict("records")])

    def _write(self, part):
        listed = pd.DataFrame({c: list(part[c]) for c in ("image", "sample")})
        try:
            with local_copies(listed) as copies:
                found = extract_listed(copies, self.encoder, **self.options)
                found = named_as(found, copies, listed)
        except ImageError as error:  # told by the driver, when all other parts are done
            return {"images": 0, "error": str(error)}
        write_feature_table(self.out / part["name"], found)
        return {"images": len(found.table), "error": ""}
