"""Where computed features are kept: whole matrices, and the shards of unfinished ones.

A matrix is a safetensors file with a JSON file of the same name that says what it was computed
from. While it is computed, finished rows wait as shards in a folder beside it. Every file is
written whole or not at all, so that neither a killed process nor a second one does any harm.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import uuid
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from helpers._files import atomic_write
from helpers.downloads import cache_folder


def store_folder(store=None):
    """The folder of a feature store. None: ``features`` in the cache of `helpers.downloads`."""
    return Path(store) if store is not None else cache_folder() / "features"


class StoredFeatures:
    """One feature matrix in the store, finished or not.

    Parameters
    ----------
    folder : path-like
        Of the data set in the store.
    name : str
        Of the encoder.
    key : dict
        Everything that changes the numbers, JSON-ready: another value is another matrix.
    """

    def __init__(self, folder, name, key):
        self.facts = key
        digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()
        self.path = Path(folder) / f"{name}-{digest[:16]}.safetensors"
        self.parts = self.path.with_suffix(".parts")

    def read(self):
        """The finished matrix (n, n_features) and its provenance, or None.

        Raises
        ------
        ValueError
            The files are damaged.
        """
        try:
            provenance = json.loads(self.path.with_suffix(".json").read_text(encoding="utf-8"))
            content = self.path.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except ValueError as error:
            raise ValueError(f"{self.path.with_suffix('.json')} is damaged: delete it") from error
        if hashlib.sha256(content).hexdigest() != provenance["sha256"]:
            raise ValueError(f"{self.path} is damaged: delete it and compute the features again")
        return load(content)["features"], provenance

    def write(self, features, provenance):
        """Write the finished matrix and its provenance, then drop the shards."""
        content = save({"features": np.ascontiguousarray(features, np.float32)})
        provenance = {**provenance, "sha256": hashlib.sha256(content).hexdigest()}
        with atomic_write(self.path.with_suffix(".json")) as file:
            file.write(json.dumps(provenance, indent=1).encode())
        with atomic_write(self.path) as file:  # the matrix last: where it is, its JSON is too
            file.write(content)
        shutil.rmtree(self.parts, ignore_errors=True)
        return provenance

    def begin(self):
        """Note what is being computed, so that a store that cannot be written is told now."""
        with atomic_write(self.parts / "computing.json") as file:
            file.write(json.dumps(self.facts, indent=1).encode())

    def read_shards(self):
        """Rows that an unfinished computation left: {row: features}."""
        rows = {}
        for path in sorted(self.parts.glob("*.safetensors")):
            with contextlib.suppress(FileNotFoundError, SafetensorError, KeyError):
                shard = load(path.read_bytes())
                rows |= dict(zip(shard["rows"].tolist(), shard["features"], strict=True))
        return rows

    def write_shard(self, rows):
        """Write finished rows, {row: features}, under a name that no other process uses.

        Raises
        ------
        OSError
            The shard cannot be written; those written before stay.
        """
        if not rows:
            return
        content = {
            "rows": np.array(list(rows), np.int64),
            "features": np.array(list(rows.values()), np.float32),
        }
        with atomic_write(self.parts / f"{os.getpid()}-{uuid.uuid4().hex}.safetensors") as file:
            file.write(save(content))
