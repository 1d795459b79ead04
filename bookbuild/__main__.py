"""Build the book: execute the chapters that changed, then the site.

``python -m bookbuild --profile embedded --jobs 2`` is what ``make book`` runs. Results lie
under ``_build/``: executed notebooks, logs, the half-executed notebook of a chapter that failed,
and the site.
"""

import argparse
import os
import sys
import time
from pathlib import Path

from filelock import FileLock, Timeout

from bookbuild.chapters import ROOT, BuildError, affected, chapters_in_toc
from bookbuild.runner import Run, execute, plan
from bookbuild.site import build_site
from bookbuild.sync import sync
from helpers.io.downloads import REGISTRY

# Where data and weights come from; a chapter declares those that it uses.
PROFILES = {
    "embedded": {"data": "embedded", "weights": "embedded"},
    "paper": {"data": "published", "weights": "pretrained"},
}


def build(root: Path, profile: str, jobs: int, *, names=(), site: bool = True) -> list[Run]:
    """Execute what changed and build the site.

    Parameters
    ----------
    root : pathlib.Path
        The project's folder.
    profile : str
        A key of `PROFILES`.
    jobs : int
        How many chapters are executed at a time, at least 1.
    names : sequence of str
        Stems of the chapters to execute; empty means all.
    site : bool
        False leaves the site as it is.

    Returns
    -------
    list of Run
        One for each chapter.

    Raises
    ------
    BuildError
        An unknown chapter, a notebook that was edited, a chapter that fails, a site that cannot
        be built, another build at work in the same folder.
    """
    fixtures = bool(os.environ.get(REGISTRY))
    if fixtures and site:
        raise BuildError(
            f"{REGISTRY} is set, so downloads are test fixtures, and results of fixtures never "
            f"reach the site. Unset {REGISTRY}, or add --no-site to execute the chapters alone."
        )
    output = root / "_build"
    folder = output / "executed" / (f"{profile}-fixtures" if fixtures else profile)
    try:  # two at once would take away each other's files
        lock = FileLock(output / "build.lock").acquire(timeout=0)
    except Timeout:
        message = f"Another build is at work in {output}; wait for it or end it."
        raise BuildError(message) from None
    with lock:
        chapters = _choose(chapters_in_toc(root), names)
        sync(root, chapters)
        runs = plan(root, chapters, PROFILES[profile], folder)
        for run in runs:
            if run.cached:
                print(f"{run.name}: up to date")
        execute(root, output, jobs, [run for run in runs if not run.cached])
        if site:
            print("site: building", flush=True)
            # What is published lies in the shorter folder.
            target = (output if profile == "embedded" else output / profile) / "html"
            start = time.monotonic()
            work, notebooks = output / "site" / profile, [run.executed for run in runs]
            new = build_site(root, notebooks, work, target)
            print("site:", f"done in {time.monotonic() - start:.0f} s" if new else "up to date")
            print(f"The site is at {target / 'index.html'}")
    return runs


def _choose(chapters: list[Path], names) -> list[Path]:
    known = {source.stem: source for source in chapters}
    unknown = sorted(set(names) - set(known))
    if unknown:
        raise BuildError(
            f"No chapter {unknown[0]!r} in _toc.yml; there are {', '.join(known)}. A new one "
            f"needs the line `- file: book/{unknown[0]}` there."
        )
    return [source for name, source in known.items() if not names or name in names]


def tell_affected(root: Path, file: Path):
    """Print commands that execute the chapters and run the tests that a file concerns."""
    chapters, tests = affected(root, file)
    if chapters:
        print("python -m bookbuild", *chapters)
    else:
        print(f"No chapter depends on {file}.")
    if tests:
        print("python -m pytest -n logical", *tests)
    elif file.suffix == ".py":
        print(f"No test imports {file}.")
    else:
        print("Which tests read a file is not followed: make test")


def main(arguments: list[str] | None = None) -> int:
    """Parse the command line, build, and report; the exit status is 0 when all went well."""
    parser = argparse.ArgumentParser(prog="python -m bookbuild", description=__doc__)
    parser.add_argument("chapters", nargs="*", help="execute only these and no site")
    parser.add_argument("--profile", default="embedded", choices=PROFILES)
    parser.add_argument("--jobs", type=int, default=2, help="chapters executed at a time")
    parser.add_argument("--no-site", action="store_true", help="execute the chapters only")
    parser.add_argument(
        "--affected", type=Path, metavar="FILE", help="only name the chapters and tests of a file"
    )
    parser.add_argument("--root", type=Path, default=ROOT, help="the project's folder")
    options = parser.parse_args(arguments)
    if options.jobs < 1:
        parser.error(f"--jobs is {options.jobs}; at least one chapter is executed at a time")
    root, site = options.root.resolve(), not (options.no_site or options.chapters)
    try:
        if options.affected:
            tell_affected(root, options.affected)
        else:
            build(root, options.profile, options.jobs, names=options.chapters, site=site)
    except BuildError as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    except SyntaxError as error:  # of a chapter or a helper, which are parsed before they run
        place = f"{error.filename}, line {error.lineno}"
        print(f"\n{place} cannot be parsed: {error.msg}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted; unfinished chapters will be executed again.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
