"""Execute chapters side by side, and only those whose inputs changed."""

import contextlib
import importlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import joblib
import psutil
from filelock import FileLock, Timeout
from ipykernel import kernelspec

from bookbuild.chapters import (
    REGISTRY,
    ROOT,
    TRACEBACK,
    BuildError,
    chapter_key,
    declared_parameters,
    is_current,
    stamp_of,
    write_stamp,
)

THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
PATH_VARIABLES = ("MICROPROP_DATA", "MICROPROP_CACHE", REGISTRY)


@contextlib.contextmanager
def locked(folder: Path):
    """Keep other builds out of ``folder``, and clear away what this or a killed one left there.

    Two at once would take away each other's files. The system takes the lock from a process that
    ends in whatever way.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / "build.lock", timeout=0):
            _clear(folder)
            try:
                yield
            finally:
                _clear(folder)
    except Timeout:
        raise BuildError(f"Another build is at work in {folder}; wait for it or end it.") from None


def _clear(folder: Path):
    for leftover in folder.glob("executed/*/.*.unfinished.*"):
        leftover.unlink(missing_ok=True)


@dataclass
class Run:
    """One chapter with the values of a profile, and where its result goes."""

    source: Path
    parameters: dict
    key: str
    executed: Path
    cached: bool = False

    @property
    def name(self) -> str:
        """What the source and the notebook of the chapter share."""
        return self.source.stem

    @property
    def unfinished(self) -> Path:
        """Where the notebook grows; what begins with a point is no result."""
        return self.executed.with_name(f".{self.name}.unfinished.ipynb")

    def finish(self):
        """Move the result to its place, then the stamp: in between, nothing counts as done."""
        stamp_of(self.executed).unlink(missing_ok=True)
        self.unfinished.replace(self.executed)
        write_stamp(self.executed, self.key)


def plan(root: Path, chapters: list[Path], profile: dict, folder: Path) -> list[Run]:
    """Decide what each chapter is executed with, and whether it was already.

    A profile sets only what a chapter declares, and papermill gets only what differs from the
    declared value: the cell that it injects then always tells the reader something.
    """
    folder.mkdir(parents=True, exist_ok=True)
    runs = []
    for source in chapters:
        declared = declared_parameters(source)
        values = {name: profile.get(name, value) for name, value in declared.items()}
        parameters = {name: v for name, v in values.items() if v != declared[name]}
        key = chapter_key(root, source, values)
        run = Run(source, parameters, key, folder / f"{source.stem}.ipynb")
        run.cached = is_current(run.executed, key)
        runs.append(run)
    return runs


def execute(root: Path, build: Path, jobs: int, runs: list[Run]):
    """Execute ``runs``, ``jobs`` at a time; the first failure and Ctrl-C end the others."""
    if not runs:
        return
    # A font cache that is still missing is built now: a chapter would warn of it.
    importlib.import_module("matplotlib.font_manager")
    for folder in ("logs", "failed"):
        (build / folder).mkdir(exist_ok=True)
    environment = _environment(root, build, max(1, joblib.cpu_count() // min(jobs, len(runs))))
    waiting, running = list(runs), {}
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                run = waiting.pop(0)
                print(f"{run.name}: executing", flush=True)
                running[_start(run, build, environment)] = run, time.monotonic()
            time.sleep(0.1)
            for worker in [worker for worker in running if worker.poll() is not None]:
                run, start = running.pop(worker)
                if worker.returncode:
                    raise BuildError(_explain(run, build, worker.returncode))
                run.finish()
                print(f"{run.name}: done in {time.monotonic() - start:.0f} s", flush=True)
    finally:
        _end(running)


def _start(run: Run, build: Path, environment: dict) -> subprocess.Popen:
    failure = build / "failed" / f"{run.name}.txt"
    for old in (failure, failure.with_suffix(".ipynb")):
        old.unlink(missing_ok=True)
    orders = [run.source, run.unfinished, failure, json.dumps(run.parameters)]
    with (build / "logs" / f"{run.name}.log").open("w", encoding="utf-8") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "bookbuild.worker", *map(str, orders)],
            stdin=subprocess.PIPE,  # nothing is written: its end is that of this process
            stderr=log,
            env=environment,
            cwd=ROOT,  # where its own modules lie; the chapter runs in its folder
            start_new_session=True,  # Ctrl-C reaches the parent alone, which ends this
        )


def _explain(run: Run, build: Path, status: int) -> str:
    """Say why a chapter failed, and keep its notebook as far as it came."""
    failure = build / "failed" / f"{run.name}.txt"
    text = f"Chapter book/{run.name}.py failed: "
    if failure.is_file():
        text += failure.read_text(encoding="utf-8").partition(TRACEBACK)[0]
        text += f"\nThe traceback is kept at {failure}"
    else:
        log = build / "logs" / f"{run.name}.log"
        text += f"the process ended with status {status}; its messages are in {log}"
    if run.unfinished.is_file():
        run.unfinished.replace(failure.with_suffix(".ipynb"))
        text += f"\nThe half-executed notebook is kept at {failure.with_suffix('.ipynb')}"
    return text


def _end(workers: Iterable[subprocess.Popen]):
    """End workers and the kernels they started; ask first, then insist."""
    processes = []
    for worker in workers:
        with contextlib.suppress(psutil.NoSuchProcess):
            parent = psutil.Process(worker.pid)
            processes += [parent, *parent.children(recursive=True)]
            parent.terminate()
    for process in psutil.wait_procs(processes, timeout=5)[1]:
        process.kill()


def _environment(root: Path, build: Path, threads: int) -> dict:
    """Give workers this interpreter's kernel, the book's style and their share of cores."""
    kernelspec.install(prefix=str(build))
    named = {name: os.environ[name] for name in PATH_VARIABLES if os.environ.get(name)}
    return {
        **os.environ,
        **dict.fromkeys(THREAD_VARIABLES, str(threads)),
        "JUPYTER_PATH": str(build / "share" / "jupyter"),  # before kernels registered elsewhere
        "IPYTHONDIR": str(build / "ipython"),  # no start-up file of the user
        "PYTHONPATH": str(root),
        "PYTHONUTF8": "1",
        "TQDM_DISABLE": "1",  # on a slow machine bars would become part of a page
        # A kernel runs in the chapter's folder, where a relative path leads elsewhere.
        **{name: str(Path(path).absolute()) for name, path in named.items()},
    }
