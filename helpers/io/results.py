"""Tables of ``data/results``: what computed them, and whether they are still that.

A result has the name of the script that computes it, with the folders below ``helpers``:
``helpers/audit/studies.py`` writes ``audit/studies.csv``, further tables as
``audit/studies_findings.csv``, and one ``audit/studies.json``, which says how all were made.

``python -m helpers.io.results`` computes those whose code or data have changed since, and
``--check`` only names them. Names compute those results alone.
"""

from __future__ import annotations

import argparse
import datetime
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd

from helpers import UserError
from helpers.io.atomic import atomic_write, write_table
from helpers.io.downloads import ROOT, registry
from helpers.io.provenance import code_digest, versions

RESULTS = ROOT / "data" / "results"
PARTIAL = ROOT / "_build" / "results"  # what an interrupted computation has done
REGISTRY = ROOT / "data" / "registry.json"  # the book's own, also where tests read another
ENCODERS = "encoders/"  # what the names of encoders begin with in it
CHANGES = "+changes"  # after a commit: the code had changes that were not committed


def read_results(name, part=None):
    """A table of ``data/results``, checked against what its script wrote and the registry.

    Parameters
    ----------
    name : str
        Of the result, such as ``"audit/studies"``.
    part : str, optional
        Of a further table: ``"findings"`` is ``audit/studies_findings.csv``.

    Returns
    -------
    pandas.DataFrame
        ``data/results/README.md`` says which chapter shows it; the attribute ``attrs`` holds the
        provenance.

    Raises
    ------
    UserError
        No such table, one that is not what its script wrote, or one of an encoder that the
        registry does not know so any more: with the file and the command that mends it.

    Examples
    --------
    >>> read_results("superalloy_scores")["descriptor"].nunique()
    12
    """
    facts, path = provenance(name), _table_path(name, part)
    if path.name not in facts["tables"] or not path.is_file():
        raise UserError(f"There is no table {path}. {_remedy(facts)}")
    if _sha256(path) != facts["tables"][path.name]:
        raise UserError(f"{path} was changed since it was computed. {_remedy(facts)}")
    table = _read_csv(path)
    if fault := _encoder_fault(table, facts["encoders"]):
        raise UserError(f"{path}, {fault}. {_remedy(facts)}")
    table.attrs = {key: value for key, value in facts.items() if key not in ("tables", "encoders")}
    return table


def provenance(name):
    """What the JSON file of a result says; UserError where there is none."""
    path = RESULTS / f"{name}.json"
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(
            f"There is no result {name!r} in {RESULTS}: there are {', '.join(result_names())}"
        ) from None
    except ValueError as error:
        raise UserError(f"{path} cannot be read ({error}): take it from git again") from error


def result_names():
    """Names of all results."""
    paths = (path.relative_to(RESULTS) for path in RESULTS.rglob("*.json"))
    return sorted(path.with_suffix("").as_posix() for path in paths)


def _table_path(name, part=None):
    return RESULTS / f"{name}_{part}.csv" if part else RESULTS / f"{name}.csv"


def _remedy(facts):
    name = _name(facts["script"])
    again = f", or compute it: make results NAME={name}" if facts["command"] else ""
    return f"Take it from git again{again}"


def _name(script):
    """Name of the result of a script, a path in the project."""
    return Path(script).with_suffix("").as_posix().removeprefix("helpers/")


class Computation:
    """One run of a script that computes a result: its clock, its unfinished work, its tables.

    Use it in a ``with`` statement. What is laid in `folder` is still there when the script is
    started again after an interruption, unless its code or its data have changed meanwhile.

    Parameters
    ----------
    script : path-like
        The file of the script, ``__file__``.
    inputs : sequence of str
        What the numbers depend on beside the code: names of the registry of downloads, or files
        and folders of ``data`` such as ``"data/two_phase.npz"``.
    libraries : sequence of str
        Whose versions are noted.
    options : str
        Of the script, with which it makes the result again.
    alone : bool
        True for what is only computed where it is named, never with all others.

    Attributes
    ----------
    name : str
        Of the result.
    folder : pathlib.Path
        For unfinished work.
    """

    def __init__(self, script, inputs, libraries, *, options="", alone=False):
        path = Path(script).resolve().relative_to(ROOT)
        self.name = _name(path)
        module = ".".join(path.with_suffix("").parts)
        self.facts = {
            "command": f"python -m {module} {options}".strip(),
            "alone": alone,
            "script": path.as_posix(),
            "commit": _commit(),
            "hardware": f"CPU, {os.cpu_count()} cores",
            "processor": platform.processor() or platform.machine(),
            "threads": os.environ.get("OMP_NUM_THREADS", "all"),
            "versions": versions(libraries),
            "code": code_digest(ROOT / path, ROOT),
            "inputs": {name: input_hash(name) for name in inputs},
        }
        self.folder = PARTIAL / self.name

    def __enter__(self):
        done = self._state()
        self.before = 0.0
        if done and all(done[key] == self.facts[key] for key in ("code", "inputs", "versions")):
            self.before = done["seconds"]
            print(f"{self.name}: goes on after {self.before:.0f} s", flush=True)
        else:
            shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True, exist_ok=True)
        if self.facts["commit"].endswith(CHANGES):
            print(f"{self.name}: the code has changes that are not committed", flush=True)
        self.start = time.monotonic()
        self._note()
        return self

    def __exit__(self, kind, error, trace):
        if error is None:
            shutil.rmtree(self.folder)
            return
        self._note()
        stopped = f"{self.name}: stopped after {self.seconds:.0f} s; started again, it goes on"
        if isinstance(error, (UserError, KeyboardInterrupt)):  # no traceback helps there
            raise SystemExit(f"{error}\n{stopped}".strip()) from None
        print(stopped, file=sys.stderr)

    @property
    def seconds(self):
        """Of this run and of those before it that were interrupted."""
        return self.before + time.monotonic() - self.start

    def _state(self):
        try:
            return json.loads((self.folder / "run.json").read_text())
        except (OSError, ValueError):
            return None

    def _note(self):
        with atomic_write(self.folder / "run.json") as file:
            file.write(json.dumps({**self.facts, "seconds": self.seconds}).encode())

    def write(self, table, **parts):
        """Write the tables and what they were made by."""
        tables = {_table_path(self.name, part): t for part, t in {None: table, **parts}.items()}
        for path, content in tables.items():
            write_table(content, path)
        facts = {
            **self.facts,
            "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
            "seconds": round(self.seconds, 1),
            "encoders": _encoders_in(tables.values()),
            "tables": {path.name: _sha256(path) for path in tables},
        }
        with atomic_write(RESULTS / f"{self.name}.json") as file:
            file.write((json.dumps(facts, indent=1, ensure_ascii=False) + "\n").encode())
        print(f"{self.name}: written to {RESULTS}", flush=True)


def input_hash(name):
    """Hash of what a result is computed from, see `Computation`."""
    if not name.startswith("data/"):
        entry = registry()[name]
        if "shipped" not in entry:
            return entry["hash"]
        name = f"data/{entry['shipped']}/model.safetensors"
    files = [ROOT / name]
    if files[0].is_dir():
        files = sorted(path for path in files[0].iterdir() if path.suffix != ".md")
    hashes = [f"{path.name} {_sha256(path)}" for path in files]
    return "sha256:" + hashlib.sha256("\n".join(hashes).encode()).hexdigest()


def changes_since(name):
    """What has changed since a result was computed: ``"its code"``, inputs, tables, or nothing."""
    facts = provenance(name)
    script = ROOT / facts["script"]
    if not script.is_file():
        return ["its script"]
    same = code_digest(script, ROOT) == facts["code"] and not facts["commit"].endswith(CHANGES)
    changed = [] if same else ["its code"]
    changed += [key for key, value in facts["inputs"].items() if input_hash(key) != value]
    folder = (RESULTS / name).parent
    return changed + [f for f, digest in facts["tables"].items() if _sha256(folder / f) != digest]


def _read_csv(path):
    """A table, in which names may read "none" or "NA"; what is missing is empty."""
    return pd.read_csv(path, keep_default_na=False, na_values=[""])


def _sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "no file"


def _encoder_fault(table, encoders):
    """Where a table holds rows of an encoder that the registry does not know so any more, or None.

    `encoders` are those of `_encoders_in` when the table was written.
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


def _encoders_in(tables):
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


def _again(facts):
    if not facts["command"]:
        return "only by the code of that commit"
    again = f"again: make results NAME={_name(facts['script'])}"
    return again + ", by this name alone" * facts["alone"]


def _commit():
    """The commit that computes, marked where the code differs from it."""

    def git(*arguments):
        options = {"cwd": ROOT, "capture_output": True, "text": True, "check": False}
        return subprocess.run(["git", *arguments], **options).stdout.strip()

    changed = git("status", "--porcelain", "--", "helpers", "benchmarks")
    return (git("rev-parse", "--short", "HEAD") or "unknown") + (CHANGES if changed else "")


def main(arguments=None):
    """Compute results whose code or data changed, or only name them."""
    parser = argparse.ArgumentParser("python -m helpers.io.results", description=main.__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="of these results alone")
    parser.add_argument("--check", action="store_true", help="only name those that changed")
    options = parser.parse_args(arguments)
    failed = []
    try:
        for name in options.names or result_names():
            facts, changed = provenance(name), changes_since(name)
            if changed and options.check:
                print(
                    f"{name}: computed before {', '.join(changed)} changed, at commit "
                    f"{facts['commit']}: a note, and no failure; {_again(facts)}"
                )
            elif changed and (not facts["command"] or (facts["alone"] and not options.names)):
                print(f"{name}: left as it is; {_again(facts)}")
            elif changed:
                print(f"{name}: {facts['command']}", flush=True)
                command = [sys.executable, *facts["command"].split()[1:]]
                environment = dict(os.environ)
                if facts["threads"] != "all":  # as many as before, unless told
                    environment.setdefault("OMP_NUM_THREADS", facts["threads"])
                done = subprocess.run(command, cwd=ROOT, env=environment, check=False)
                failed += [name] if done.returncode else []
            elif not options.check:
                print(f"{name}: nothing has changed")
    except UserError as error:
        parser.error(str(error))
    except KeyboardInterrupt:
        print("Interrupted; the same command goes on.", file=sys.stderr)
        return 130
    if failed:
        print(f"Not computed, for the reasons above: {', '.join(failed)}", file=sys.stderr)
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
