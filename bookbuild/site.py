"""Turn executed chapters and the site's own pages into a website with jupyter-book."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from bookbuild.chapters import COLOUR, BuildError, cell_lines, digest, versions

# Files and folders of the project that the site is made of, and where they go in its source.
# The pages move to the top, so that their addresses are short.
PARTS = {"_config.yml": "", "_toc.yml": "", "_ext": "_ext", "_static": "_static", "pages": ""}


def build_site(root: Path, notebooks: list[Path], work: Path, target: Path) -> bool:
    """Build the site in ``work`` and put it at ``target`` once it is complete.

    Returns
    -------
    bool
        False when the site at ``target`` was up to date and nothing was done.

    Raises
    ------
    BuildError
        jupyter-book failed or warned, or the new site cannot be moved to ``target``; the old
        site stays where it was.
    """
    source, stamp = work / "source", work / "site.json"
    assemble(root, notebooks, source)
    key = site_key(root, source)
    if _read(stamp) == {"key": key, "files": sizes(target)}:
        return False
    stamp.unlink(missing_ok=True)
    run_jupyter_book(root, source, work)
    put_in_place(work / "_build" / "html", target)
    stamp.write_text(json.dumps({"key": key, "files": sizes(target)}), encoding="utf-8")
    return True


def assemble(root: Path, notebooks: list[Path], source: Path):
    """Copy what the site is made of to the folder ``source``, and delete all else there."""
    shutil.rmtree(source, ignore_errors=True)
    wanted = {Path("book") / notebook.name: notebook for notebook in notebooks}
    for part, place in PARTS.items():
        origin = root / part
        if origin.is_file():
            wanted[Path(place) / origin.name] = origin
        for path in sorted(origin.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                wanted[Path(place) / path.relative_to(origin)] = path
    for relative, path in wanted.items():
        copy = source / relative
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)


def site_key(root: Path, source: Path) -> str:
    """Hash the site's source, the docstrings it documents and the tools that build it."""
    files = [path for path in source.rglob("*") if path.is_file() and path.suffix != ".pyc"]
    files += (root / "helpers").rglob("*.py")
    facts = {path.as_posix(): digest(path) for path in files}
    facts["versions"] = versions(root)
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def sizes(folder: Path) -> dict[str, int]:
    """Give the size in bytes of each file of a site, so that one that is lost or cut is seen."""
    paths = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {path.relative_to(folder).as_posix(): path.stat().st_size for path in paths}


def run_jupyter_book(root: Path, source: Path, work: Path):
    """Run jupyter-book with warnings as errors; its messages go to a log file."""
    log = work / "jupyter-book.log"
    # Sphinx warns only about pages that it reads again, and leaves the navigation of the others
    # as it was: after a failed build, the same pages would pass, with old titles.
    shutil.rmtree(work / "_build", ignore_errors=True)
    command = [sys.executable, "-c", "from jupyter_book.cli.main import main; main()", "build"]
    command += [str(source), "--path-output", str(work), "--warningiserror", "--keep-going"]
    # The reference page documents the helpers of this folder, wherever others are installed.
    environment = {**os.environ, "PYTHONUTF8": "1", "NO_COLOR": "1", "PYTHONPATH": str(root)}
    with log.open("w", encoding="utf-8") as stream:
        outcome = subprocess.run(
            command, stdout=stream, stderr=subprocess.STDOUT, cwd=source, env=environment
        )
    if outcome.returncode:
        lines = COLOUR.sub("", log.read_text(encoding="utf-8")).splitlines()
        told = [line for line in lines if "WARNING" in line or "ERROR" in line] or lines[-15:]
        told = [in_source(line, root, source) for line in told]
        raise BuildError("\n".join([f"jupyter-book failed; all it said is in {log}", *told]))


def in_source(message: str, root: Path, source: Path) -> str:
    """Let a warning about an executed notebook name the line of the chapter's ``.py`` source.

    myst-nb and docutils count what begins at line 3 of the second cell as 20004. Cells keep their
    ids where papermill adds one of its own.
    """
    found = re.match(r".*?book/(\w+)\.ipynb:(\d+)(?=:)", message)
    if not found or int(found[2]) < 10_000:
        return message
    name, (cell, line) = found[1], divmod(int(found[2]), 10_000)
    notebook = json.loads((source / "book" / f"{name}.ipynb").read_text(encoding="utf-8"))
    start = cell_lines(root / "book" / f"{name}.py").get(notebook["cells"][cell - 1].get("id"))
    if start is None:
        return message
    return f"book/{name}.py:{start + max(line - 2, 0)}{message[found.end() :]}"


def put_in_place(built: Path, target: Path):
    """Replace the folder ``target`` by a copy of ``built``.

    The copy is made beside it and then takes its name. Between the two renames there is no
    site for a moment; when either of them fails, the old site is there again.
    """
    new, old = target.with_name(f".{target.name}.new"), target.with_name(f".{target.name}.old")
    for leftover in (new, old):
        shutil.rmtree(leftover, ignore_errors=True)
    new.parent.mkdir(parents=True, exist_ok=True)
    shutil.copytree(built, new, ignore=shutil.ignore_patterns(".buildinfo*", ".doctrees"))
    try:
        if target.exists():
            target.rename(old)
        new.rename(target)
    except OSError as error:
        if old.exists():
            old.rename(target)
        shutil.rmtree(new, ignore_errors=True)
        raise BuildError(
            f"The new site could not be moved to {target}: {error}. What was there before is "
            "there again; close the programs that use the folder and build once more."
        ) from error
    shutil.rmtree(old, ignore_errors=True)


def _read(stamp: Path) -> dict | None:
    try:
        return json.loads(stamp.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
