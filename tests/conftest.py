"""What all tests share: threads, processes, data, a cache, a browser, optional packages."""

import errno
import os

# Tests run side by side, a process a core: several processes with all their threads fight for the
# cores. It has to be said before NumPy and PyTorch are imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import secrets
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from helpers.io.optional import NotInstalled, optional

ROOT = Path(__file__).resolve().parent.parent
RUN = "MICROPROP_TEST_RUN"  # in the environment of all that a run starts
SEED = "MICROPROP_TEST_SEED"
NO_SPACE = ("ENOSPC", "EFBIG", "EDQUOT")
FULL = [os.strerror(getattr(errno, name)) for name in NO_SPACE if hasattr(errno, name)]
# Tests that share what takes long to make run one after the other, in one process.
TOGETHER = {
    "tests/test_profiles.py::test_committed_scores": "scores",
    "tests/test_profiles.py::test_case_study_2": "scores",
    "tests/own/test_report.py": "walk",
    "tests/own/test_own_encoder.py": "own encoder",
    "tests/microvit/test_training_data.py": "hashes",
    "tests/microvit/test_pretraining.py::test_a_quarter_turn": "learner",
    "tests/microvit/test_pretraining.py::test_statistics": "learner",
}
# Options of Chromium: it asks for nothing by itself.
QUIET = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-component-update"]
QUIET += ["--disable-background-networking", "--disable-sync"]
WANTING = []  # tests
WATCHDOG = pytest.StashKey[subprocess.Popen]()


def pytest_configure(config):
    """Start what ends the processes of tests, should this one be killed."""
    if hasattr(config, "workerinput"):  # of pytest-xdist: started by a run that has a watchdog
        return
    value = secrets.token_hex(8)
    config.stash[WATCHDOG] = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("watchdog.py")), RUN, value],
        stdin=subprocess.PIPE,
        env={k: v for k, v in os.environ.items() if k != RUN},  # of a run that has started this
        start_new_session=True,  # what is killed with this process's group leaves it alone
    )
    os.environ[RUN] = value


def pytest_unconfigure(config):
    """The run ended in order; say at its very end if the disk is full."""
    if WATCHDOG not in config.stash:
        return
    config.stash[WATCHDOG].communicate(b"ended")
    if WANTING:
        print(
            f"\nTests that failed because a file could not be written: {len(WANTING)}. The disk "
            "is full, or files are limited in size (`ulimit -f`). Free some space, or set TMPDIR "
            "to a folder with a few GB, and run the tests again.",
            file=sys.stderr,
        )


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Give every test to the process that is free, but for those that run together.

    The marks of pytest-xdist 3.8 for this do nothing with pytest 9.2.
    """
    from xdist.scheduler import LoadScopeScheduling

    class Scheduling(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            groups = (group for start, group in TOGETHER.items() if nodeid.startswith(start))
            return next(groups, nodeid)

    return Scheduling(config, log)


@pytest.hookimpl(tryfirst=True)  # before fixtures that need the package
def pytest_runtest_setup(item):
    """Skip tests of optional packages that are not installed; one that is broken is an error."""
    for mark in item.iter_markers("optional"):
        try:
            optional(*mark.args)
        except NotInstalled as error:
            pytest.skip(str(error))


def pytest_runtest_logreport(report):
    """Note what failed for want of space, in the process that tells."""
    if report.failed and any(text in _message(report) for text in FULL):
        WANTING.append(report.nodeid)


pytest_collectreport = pytest_runtest_logreport  # a file may not even be read


def _message(report):
    crash = getattr(report.longrepr, "reprcrash", None)
    return crash.message if crash else str(report.longrepr)


@pytest.fixture
def seed():
    """A seed that is another one every time, and printed where a test fails."""
    value = int(os.environ.get(SEED) or secrets.randbelow(2**32))
    print(f"The seed of this test; to run it again: {SEED}={value}")
    return value


@pytest.fixture
def results_folder(tmp_path, monkeypatch) -> Path:
    """Give an empty folder in the place of data/results."""
    monkeypatch.setattr("helpers.io.results.RESULTS", tmp_path / "results")
    monkeypatch.setattr("helpers.io.results.PARTIAL", tmp_path / "partial")
    monkeypatch.setattr("helpers.io.results._commit", lambda: "1234567")
    return tmp_path / "results"


@pytest.fixture
def project(tmp_path) -> Path:
    """A copy of what a build reads, so that nothing of it lands in this one."""
    root = tmp_path / "project"
    for folder in ("book", "helpers", "data"):
        shutil.copytree(ROOT / folder, root / folder, ignore=shutil.ignore_patterns("__pycache__"))
    (root / "pages").mkdir()
    for name in ("_toc.yml", "pyproject.toml", "pages/references.bib"):
        shutil.copy(ROOT / name, root / name)
    return root


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Give the folder of published data, or skip the test where there is none."""
    named = os.environ.get("MICROPROP_DATA")
    folder = Path(named) if named else ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"needs the published data: no folder {folder}; set MICROPROP_DATA")
    return folder


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    """Keep what a test computes apart from what others have computed, in `tmp_path`."""
    monkeypatch.setenv("MICROPROP_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def browser():
    """Start Chromium, the one that MICROPROP_CHROMIUM names or the first on the path."""
    from playwright import sync_api as playwright

    path = os.environ.get("MICROPROP_CHROMIUM") or shutil.which("chromium")
    if path is None:
        pytest.fail("No Chromium: install it, or set MICROPROP_CHROMIUM to its path.")
    with playwright.sync_playwright() as tools:
        chromium = tools.chromium.launch(executable_path=path, args=QUIET)
        yield chromium
        chromium.close()
