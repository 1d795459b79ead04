"""Turn executed chapters and the site's own pages into a website with jupyter-book."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from bookbuild.chapters import BuildError, cell_lines, is_current, key_of, write_stamp
from bookbuild.outcome import COLOUR
from bookbuild.thumbnails import write_thumbnails


def build_site(root: Path, notebooks: list[Path], work: Path, target: Path) -> bool:
    """Build the site in ``work`` and put it at ``target`` once it is complete.

    False means that the site there was up to date. If jupyter-book fails or warns, or the new
    site cannot be moved, the old one stays.
    """
    source = work / "source"
    assemble(root, notebooks, source)
    key = site_key(root, source)
    if is_current(target, key):
        return False
    run_jupyter_book(root, source, work)
    put_in_place(work / "_build" / "html", target)
    write_stamp(target, key)
    return True


def assemble(root: Path, notebooks: list[Path], source: Path):
    """Copy what the site is made of to the folder ``source``, and delete all else there."""
    shutil.rmtree(source, ignore_errors=True)
    shutil.copytree(root / "pages", source)  # to the top, so that their addresses are short
    for folder in ("_ext", "_static"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(root / folder, source / folder, ignore=ignored)
    (source / "book").mkdir()
    for notebook in notebooks:
        shutil.copy(notebook, source / "book")
    write_thumbnails(notebooks, source / "_static" / "thumbnails")
    for file in ("_config.yml", "_toc.yml"):
        shutil.copy(root / file, source)


def site_key(root: Path, source: Path) -> str:
    """Hash the site's source, the docstrings it documents and the tools that build it."""
    files = [*source.rglob("*"), *(root / "helpers").rglob("*.py")]
    return key_of(root, [path for path in files if path.is_file()])


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
        reasons = [line for line in lines if "WARNING" in line or "ERROR" in line] or lines[-15:]
        reasons = [in_source(line, root, source) for line in reasons]
        raise BuildError("\n".join([f"jupyter-book failed; all it said is in {log}", *reasons]))


def in_source(message: str, root: Path, source: Path) -> str:
    """Let a warning about an executed notebook name the line of the chapter's ``.py`` source.

    myst-nb and docutils count what begins at line 3 of the second cell as 20004. Cells keep their
    ids where papermill adds one of its own.
    """
    place = re.match(r".*?book/(\w+)\.ipynb:(\d+)(?=:)", message)
    if not place or int(place[2]) < 10_000:
        return message
    name, (cell, line) = place[1], divmod(int(place[2]), 10_000)
    notebook = json.loads((source / "book" / f"{name}.ipynb").read_text(encoding="utf-8"))
    start = cell_lines(root / "book" / f"{name}.py").get(notebook["cells"][cell - 1].get("id"))
    if start is None:
        return message
    return f"book/{name}.py:{start + max(line - 2, 0)}{message[place.end() :]}"


def put_in_place(built: Path, target: Path):
    """Move a folder to ``target``; if that fails, what was there before is there again."""
    old = built.with_name("old")
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        if target.exists():
            target.rename(old)
        built.rename(target)
    except OSError as error:
        if old.exists():
            old.rename(target)
        raise BuildError(
            f"The new site could not be moved to {target}: {error}. What was there before is "
            "there again; close the programs that use the folder and build once more."
        ) from error
    shutil.rmtree(old, ignore_errors=True)
