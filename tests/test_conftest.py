"""A run of the tests that is killed, or meets a full disk: no process is left, and it says why."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from bookbuild.chapters import ROOT

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals and limits of POSIX")

TESTS = """
import os, subprocess, time
from pathlib import Path

import pytest

@pytest.mark.parametrize("number", range(2))
def test_with_a_program_that_goes_its_own_way(number, tmp_path):
    program = subprocess.Popen(["sleep", "600"], start_new_session=True)
    Path(__file__).with_name(f"pids{number}").write_text(f"{os.getpid()} {program.pid}")
    {then}
"""


def start(folder, then, *options, **limits):
    """A run of two tests side by side, with the project's conftest."""
    (folder / "test_it.py").write_text(TESTS.replace("{then}", then), encoding="utf-8")
    configured = ["-p", "conftest", "-c", str(ROOT / "pyproject.toml"), "-n", "2", *options]
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")}
    return subprocess.Popen(
        [sys.executable, "-m", "pytest", *configured, str(folder / "test_it.py")],
        cwd=ROOT,
        env=inherited | {"PYTHONPATH": str(Path(__file__).parent)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **limits,
    )


def started(folder, run):
    """Process ids of the two workers and the two programs, once they run."""
    files = [folder / "pids0", folder / "pids1"]
    until = time.monotonic() + 60
    while not all(f.is_file() and len(f.read_text().split()) == 2 for f in files):
        assert run.poll() is None, run.communicate()
        assert time.monotonic() < until
        time.sleep(0.05)
    return [int(pid) for f in files for pid in f.read_text().split()]


def alive(pids):
    """Those of them that run: one that ended may wait for its parent to take note of it."""
    running = [process for process in psutil.process_iter(["status"]) if process.pid in pids]
    return [p.pid for p in running if p.info["status"] != psutil.STATUS_ZOMBIE]


def test_a_killed_run_leaves_no_process(tmp_path):
    run = start(tmp_path, "time.sleep(600)")
    pids = started(tmp_path, run)
    run.send_signal(signal.SIGKILL)
    errors = run.communicate(timeout=60)[1]  # until the last of them closes its end
    assert alive(pids) == []
    assert "pytest was killed" in errors
    assert "Nothing of it runs any more" in errors


def test_a_full_disk_is_said_and_leaves_no_process(tmp_path):
    import resource

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))

    then = "program.kill(); program.wait(); (tmp_path / 'file').write_bytes(bytes(10**4))"
    run = start(tmp_path, then, preexec_fn=limit)
    told, errors = run.communicate(timeout=120)
    assert run.returncode == 1
    assert "2 tests failed because a file could not be written: the disk is full" in told, told
    assert "INTERNALERROR" not in told + errors
    pids = [int(pid) for i in range(2) for pid in (tmp_path / f"pids{i}").read_text().split()]
    assert alive(pids) == []
