"""The encoders of a table of ``data/results``: noted with it, and looked for in the registry."""

from __future__ import annotations

import hashlib
import json

import pandas as pd

from helpers.io.downloads import ROOT

REGISTRY = ROOT / "data" / "registry.json"  # the book's own, also where tests read another
ENCODERS = "encoders/"  # what the names of encoders begin with in it


def read_csv(path):
    """A table, in which names may read "none" or "NA"; what is missing is empty."""
    return pd.read_csv(path, keep_default_na=False, na_values=[""])


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "no file"


def encoder_fault(table, encoders):
    """Where a table holds rows of an encoder that the registry does not know so any more, or None.

    `encoders` are those of `encoders_in` when the table was written.
    """
    known = _encoders()
    for label, (name, n_features) in encoders.items():
        rows = (table == label).any(axis=1)
        if rows.any() and known.get(name, {}).get("n_features") != n_features:
            return (
                f"line {rows.idxmax() + 2}: {label!r} was computed with the encoder {name!r} of "
                f"{n_features} features: data/registry.json holds none, mend that"
            )
    return None


def _encoders():
    entries = json.loads(REGISTRY.read_text(encoding="utf-8")).items()
    return {k.removeprefix(ENCODERS): entry for k, entry in entries if k.startswith(ENCODERS)}


def encoders_in(tables):
    """Texts in tables that begin with a name or title of an encoder -> its name and length of
    features.
    """
    encoders = _encoders()
    names = {entry["title"]: name for name, entry in encoders.items()}
    names |= {name: name for name in encoders}
    found = {}
    columns = [table[name] for table in tables for name in table.select_dtypes(exclude="number")]
    for text in sorted({str(value) for column in columns for value in column.dropna()}):
        # "MicroViT + two-point" and "CLIP B16 (paper)" are of an encoder as well
        begun = [n for n in names if text == n or text.startswith((f"{n} ", f"{n},"))]
        if begun:
            name = names[max(begun, key=len)]
            found[text] = [name, encoders[name]["n_features"]]
    return found
