"""Build the book: execute the chapters that changed, then the site.

``python -m bookbuild --profile embedded --jobs 2`` is what ``make book`` runs. Results lie
under ``_build/``: executed notebooks, logs, the half-executed notebook of a chapter that failed,
and the site.
"""

import argparse
import os
import signal
import sys
import time
from pathlib import Path

from bookbuild.chapters import REGISTRY, ROOT, BuildError, affected, chapters_in_toc
from bookbuild.runner import Run, execute, locked, plan
from bookbuild.site import build_site

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
        An unknown profile or chapter, a chapter that fails, a site that cannot be built,
        another build at work in the same folder.
    """
    if profile not in PROFILES:
        raise BuildError(f"Unknown profile {profile!r}; choose one of {', '.join(PROFILES)}.")
    if jobs < 1:
        raise BuildError(f"--jobs is {jobs}; at least one chapter must be executed at a time.")
    fixtures = bool(os.environ.get(REGISTRY))
    if fixtures and site:
        raise BuildError(
            f"{REGISTRY} is set, so downloads are test fixtures, and results of fixtures never "
            f"reach the site. Unset {REGISTRY}, or add --no-site to execute the chapters alone."
        )
    output = root / "_build"
    folder = output / "executed" / (f"{profile}-fixtures" if fixtures else profile)
    with locked(output):
        runs = plan(root, _choose(chapters_in_toc(root), names), PROFILES[profile], folder)
        for run in runs:
            if run.cached:
                print(f"{run.name}: up to date")
        execute(root, output, jobs, [run for run in runs if not run.cached])
        if site:
            print("site: building", flush=True)
            start, target = time.monotonic(), site_folder(root, profile)
            work, notebooks = output / "site" / profile, [run.executed for run in runs]
            new = build_site(root, notebooks, work, target)
            print("site:", f"done in {time.monotonic() - start:.0f} s" if new else "up to date")
            print(f"The site is at {target / 'index.html'}")
    return runs


def site_folder(root: Path, profile: str) -> Path:
    """Give the folder of a profile's site; what is published lies in the shorter one."""
    build_folder = root / "_build"
    return build_folder / "html" if profile == "embedded" else build_folder / profile / "html"


def _choose(chapters: list[Path], names) -> list[Path]:
    known = {source.stem: source for source in chapters}
    unknown = sorted(set(names) - set(known))
    if unknown:
        raise BuildError(f"No chapter {unknown[0]!r} in _toc.yml; there are {', '.join(known)}.")
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


def _interrupt(*_):
    raise KeyboardInterrupt


def _heed_signals():
    """Make being ended, and a terminal that is closed, like Ctrl-C: no worker survives."""
    for name in ("SIGTERM", "SIGHUP"):  # Windows has no SIGHUP
        number = getattr(signal, name, None)
        if number and signal.getsignal(number) != signal.SIG_IGN:  # which nohup asks for
            signal.signal(number, _interrupt)


def main(arguments: list[str] | None = None) -> int:
    """Parse the command line, build, and report; the exit status is 0 when all went well."""
    parser = argparse.ArgumentParser(prog="python -m bookbuild", description=__doc__)
    parser.add_argument("chapters", nargs="*", help="execute only these and no site")
    parser.add_argument("--profile", default="embedded", help=" or ".join(PROFILES))
    parser.add_argument("--jobs", type=int, default=2, help="chapters executed at a time")
    parser.add_argument("--no-site", action="store_true", help="execute the chapters only")
    parser.add_argument(
        "--affected", type=Path, metavar="FILE", help="only name the chapters and tests of a file"
    )
    parser.add_argument("--root", type=Path, default=ROOT, help="the project's folder")
    options = parser.parse_args(arguments)
    root, site = options.root.resolve(), not (options.no_site or options.chapters)
    _heed_signals()
    try:
        if options.affected:
            tell_affected(root, options.affected)
        else:
            build(root, options.profile, options.jobs, names=options.chapters, site=site)
    except BuildError as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted; unfinished chapters will be executed again.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
