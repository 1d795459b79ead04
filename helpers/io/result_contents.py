"""What a table of ``data/results`` must hold: noted with it, and looked for in it."""

from __future__ import annotations

import hashlib
import json

import pandas as pd

from helpers.io.downloads import ROOT

REGISTRY = ROOT / "data" / "registry.json"  # the book's own, also where tests read another
ENCODERS = "encoders/"  # what the names of encoders begin with in it
MOST_NAMES = 40  # distinct texts of a column that counts as one of names


def read_csv(path):
    """A table, in which names may read "none" or "NA"; what is missing is empty."""
    return pd.read_csv(path, keep_default_na=False, na_values=[""])


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "no file"


def describe(path):
    """What `read_results` holds a table against; texts of a few kinds count as names."""
    table = read_csv(path)
    columns = {}
    for column, values in table.items():
        names = sorted(values.dropna().astype(str).unique())
        if pd.api.types.is_numeric_dtype(values) and values.dtype != bool:
            columns[column] = "number"
        else:
            columns[column] = names if len(names) <= MOST_NAMES else "text"
    return {"sha256": sha256(path), "rows": len(table), "columns": columns}


def first_fault(table, described):
    """Where a table first differs from what was written; lines are counted as an editor does."""
    columns = described["columns"]
    if missing := [column for column in columns if column not in table]:
        return f"line 1: the column {missing[0]!r} is missing"
    for column, kind in columns.items():
        values = table[column].dropna()
        if kind == "number":
            wrong = values[pd.to_numeric(values, errors="coerce").isna()]
            expected = "a number"
        else:
            wrong = values[~values.astype(str).isin(kind)] if kind != "text" else values[:0]
            expected = f"one of {', '.join(kind)}"
        if len(wrong):
            row, value = next(iter(wrong.items()))
            return f"line {row + 2}: {column} is {value!r}, expected {expected}"
    now, then = len(table), described["rows"]
    rows = f"{now} rows instead of {then}" if now != then else "a value is another one"
    return f"lines 2 to {now + 1}: changed since they were computed: {rows}"


def encoder_fault(table, encoders):
    """Where a table holds rows of an encoder that the registry does not know so any more, or None.

    `encoders` are those of `encoders_in` when the table was written.
    """
    known = _encoders()
    for label, (name, n_features) in encoders.items():
        entry = known.get(name)
        if entry and entry["n_features"] == n_features:
            continue
        rows = (table == label).any(axis=1)
        if rows.any():
            now = f"gives {entry['n_features']} features" if entry else "is not there"
            return (
                f"line {rows.idxmax() + 2}: {label!r} was computed with the encoder {name!r} of "
                f"{n_features} features, which in data/registry.json {now}: mend that"
            )
    return None


def _encoders():
    entries = json.loads(REGISTRY.read_text(encoding="utf-8")).items()
    return {k.removeprefix(ENCODERS): entry for k, entry in entries if k.startswith(ENCODERS)}


def encoders_in(tables):
    """Texts that begin with a name or title of an encoder -> its name and length of features."""
    encoders = _encoders()
    names = {entry["title"]: name for name, entry in encoders.items()}
    names |= {name: name for name in encoders}
    found = {}
    for kind in (kind for table in tables.values() for kind in table["columns"].values()):
        for text in kind if isinstance(kind, list) else ():
            # "MicroViT + two-point" and "CLIP B16 (paper)" are of an encoder as well
            begun = [n for n in names if text == n or text.startswith((f"{n} ", f"{n},"))]
            if begun:
                name = names[max(begun, key=len)]
                found[text] = [name, encoders[name]["n_features"]]
    return found
