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
from bookbuild.runner import Run, Runner, locked, plan
from bookbuild.site import build_site

# Where data and weights come from; a chapter declares those that it uses.
PROFILES = {
    "embedded": {"data": "embedded", "weights": "embedded"},
    "paper": {"data": "published", "weights": "pretrained"},
}


class Report:
    """Tells how far the build is: one line that changes on a terminal, plain lines in a log."""

    def __init__(self, stream=sys.stdout):
        self.stream, self.live = stream, stream.isatty()
        self.progress: dict[str, str] = {}

    def line(self, text: str):
        """Print a line that stays."""
        print("\r\033[K" if self.live else "", text, sep="", file=self.stream, flush=True)

    def started(self, name: str):
        """A worker has begun a chapter."""
        self.line(f"{name}: executing")

    def cell(self, name: str, done: int, total: int):
        """A cell is done; a log gets every tenth, a terminal all."""
        self.progress[name] = f"{name}: cell {done} of {total}"
        if self.live:
            text = "\r\033[K" + " | ".join(self.progress.values())
            print(text, end="", file=self.stream, flush=True)
        elif done % 10 == 0:
            self.line(self.progress[name])

    def finished(self, name: str, seconds: float):
        """A chapter was executed to its end."""
        self.progress.pop(name, None)
        self.line(f"{name}: done in {seconds:.0f} s")


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
        One for each chapter, with the seconds that its execution took.

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
    output, report = root / "_build", Report()
    folder = output / "executed" / (f"{profile}-fixtures" if fixtures else profile)
    with locked(output):
        runs = plan(root, _choose(chapters_in_toc(root), names), PROFILES[profile], folder)
        Runner(root, output, jobs, report).execute([run for run in runs if not run.is_finished()])
        if site:
            start, target = time.monotonic(), site_folder(root, profile)
            report.line("site: building")
            notebooks = [run.executed for run in runs]
            if build_site(root, notebooks, output / "site" / profile, target):
                report.line(f"site: done in {time.monotonic() - start:.0f} s")
            else:
                report.line("site: up to date")
    return runs


def site_folder(root: Path, profile: str) -> Path:
    """Give the folder of a profile's site; what is published lies in the shorter one."""
    build_folder = root / "_build"
    return build_folder / "html" if profile == "embedded" else build_folder / profile / "html"


def _choose(chapters, names):
    unknown = sorted(set(names) - {chapter.name for chapter in chapters})
    if unknown:
        known = ", ".join(chapter.name for chapter in chapters)
        raise BuildError(f"No chapter {unknown[0]!r} in _toc.yml; there are {known}.")
    return [chapter for chapter in chapters if not names or chapter.name in names]


def tell_affected(root: Path, file: Path) -> int:
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
    return 0


def _heed_signals():
    """Make being ended, and a terminal that is closed, like Ctrl-C: no worker survives."""
    for name in ("SIGTERM", "SIGHUP"):  # Windows has no SIGHUP
        number = getattr(signal, name, None)
        if number and signal.getsignal(number) != signal.SIG_IGN:  # which nohup asks for
            signal.signal(number, _interrupt)


def _interrupt(*_):
    raise KeyboardInterrupt


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
            return tell_affected(root, options.affected)
        runs = build(root, options.profile, options.jobs, names=options.chapters, site=site)
    except BuildError as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted; unfinished chapters will be executed again.", file=sys.stderr)
        return 130
    for run in runs:
        print(f"{run.chapter.name:32} {run.seconds:6.1f} s{' (cached)' if run.cached else ''}")
    if site:
        print(f"The site is at {site_folder(root, options.profile) / 'index.html'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
