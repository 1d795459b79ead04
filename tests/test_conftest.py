"""A run of the tests that is killed, or meets a full disk: no process is left, and it says why."""

import os
import shutil
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
import os, subprocess, sys, time
from pathlib import Path

import pytest

def test_with_a_program_that_goes_its_own_way(tmp_path):
    wait = [sys.executable, "-c", "import time; time.sleep(600)"]
    program = subprocess.Popen(wait, start_new_session=True)
    Path(__file__).with_name("pids").write_text(f"{os.getpid()} {program.pid}")
    {then}
"""


def start(folder, then, **limits):
    """A run of one test in a process of its own, with the project's conftest."""
    (folder / "test_it.py").write_text(TESTS.replace("{then}", then), encoding="utf-8")
    for name in ("conftest.py", "watchdog.py"):
        shutil.copy(Path(__file__).with_name(name), folder)
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")}
    return subprocess.Popen(
        [sys.executable, "-m", "pytest", "-n", "1", "test_it.py"],
        cwd=folder,
        env=inherited | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **limits,
    )


def started(folder, run):
    """Process ids of the worker and of the program, once they run."""
    file, until = folder / "pids", time.monotonic() + 60
    while not (file.is_file() and len(file.read_text().split()) == 2):
        assert run.poll() is None, run.communicate()
        assert time.monotonic() < until
        time.sleep(0.05)
    return list(map(int, file.read_text().split()))


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
    assert "Nothing of the run is left" in errors


def test_a_full_disk_is_said_and_leaves_no_process(tmp_path):
    import resource

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))

    then = "(tmp_path / 'file').write_bytes(bytes(10**4))"
    run = start(tmp_path, then, preexec_fn=limit)
    told, errors = run.communicate(timeout=120)
    assert run.returncode == 1
    assert "failed because a file could not be written: 1. The disk is full" in errors, told
    assert "INTERNALERROR" not in told + errors
    assert alive(list(map(int, (tmp_path / "pids").read_text().split()))) == []
