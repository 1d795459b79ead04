"""Where computed features are kept: whole matrices, and the shards of unfinished ones.

A matrix is a safetensors file that says in its header what it was computed from; a JSON file of
the same name repeats it for readers. While it is computed, finished rows wait as shards in a
folder beside it. Every file is written whole or not at all, so that neither a killed process nor
a second one does any harm.
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
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load, save

from helpers import UserError
from helpers.io.atomic import atomic_write


class StoredFeatures:
    """The feature matrix of an encoder's `name` in the `folder` of a data set, finished or not.

    `key` is a JSON-ready dict of everything that changes the numbers: another value is another
    matrix.
    """

    def __init__(self, folder, name, key):
        self.facts = key
        digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()
        self.path = Path(folder) / f"{name}-{digest[:16]}.safetensors"
        self.parts = self.path.with_suffix(".parts")

    def read(self):
        """The finished matrix (n, n_features) and its provenance, or None."""
        if not self.path.is_file():
            return None
        try:
            with safe_open(self.path, "numpy") as file:
                features = file.get_tensor("features")
                provenance = json.loads(file.metadata()["provenance"])
            intact = provenance["sha256"] == hashlib.sha256(features.data).hexdigest()
        except (SafetensorError, LookupError, TypeError, ValueError):
            intact = False
        if not intact:
            raise UserError(f"{self.path} is damaged: delete it and compute the features again")
        return features, provenance

    def write(self, features, provenance):
        """Write the finished matrix with its provenance, and that as JSON; drop the shards."""
        provenance = {**provenance, "sha256": hashlib.sha256(features.data).hexdigest()}
        text = json.dumps(provenance, indent=1)
        with atomic_write(self.path.with_suffix(".json")) as file:
            file.write(text.encode())
        # The matrix holds it too: one file, so that two processes cannot mix up theirs.
        with atomic_write(self.path) as file:
            file.write(save({"features": features}, {"provenance": text}))
        shutil.rmtree(self.parts, ignore_errors=True)
        return provenance

    def begin(self):
        """Yield what an unfinished computation left: rows (k,) and features (k, n_features)."""
        # What is computed now; and so a store that cannot be written is told before any work.
        self._write_part("computing.json", json.dumps(self.facts, indent=1).encode())
        for path in sorted(self.parts.glob("*.safetensors")):
            # Another process may have finished the matrix and dropped the shards meanwhile.
            with contextlib.suppress(FileNotFoundError, SafetensorError, KeyError):
                shard = load(path.read_bytes())
                yield shard["rows"], shard["features"]

    def write_shard(self, rows, features):
        """Write finished rows (k,) and features (k, n_features) under a name of their own."""
        if not len(rows):
            return
        content = {"rows": np.asarray(rows, np.int64), "features": features}
        self._write_part(f"{os.getpid()}-{uuid.uuid4().hex}.safetensors", save(content))

    def _write_part(self, name, content):
        for attempt in range(3):
            try:
                with atomic_write(self.parts / name) as file:
                    file.write(content)
            except FileNotFoundError:  # another process has finished, and dropped the folder
                if attempt == 2:
                    raise
            else:
                return
