"""Execute chapters side by side, and only those whose inputs changed."""

import importlib
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import joblib
import nbformat
from ipykernel import kernelspec

from bookbuild.chapters import (
    ROOT,
    BuildError,
    chapter_key,
    declared_parameters,
    is_current,
    write_stamp,
)
from bookbuild.outcome import error_in, fault_in, tidy
from helpers.io.downloads import CACHE, LOCAL_COPY, REGISTRY

PATH_VARIABLES = (LOCAL_COPY, CACHE, REGISTRY)


@dataclass
class Run:
    """One chapter with the values of a profile, and where its result goes."""

    source: Path
    parameters: dict
    key: str
    executed: Path
    cached: bool

    @property
    def name(self) -> str:
        """What the source and the notebook of the chapter share."""
        return self.source.stem

    def keep(self, notebook: nbformat.NotebookNode):
        """Write the result, then its stamp: in between, nothing counts as done."""
        nbformat.write(tidy(notebook), self.executed)
        write_stamp(self.executed, self.key)


def plan(root: Path, chapters: list[Path], profile: dict, folder: Path) -> list[Run]:
    """Decide what each chapter is executed with, and whether it was already.

    A profile sets only what a chapter declares, and papermill gets only what differs from the
    declared value: the cell that it injects then always tells the reader something.
    """
    folder.mkdir(parents=True, exist_ok=True)
    runs = []
    for source in chapters:
        declared, executed = declared_parameters(source), folder / f"{source.stem}.ipynb"
        values = {name: profile.get(name, value) for name, value in declared.items()}
        parameters = {name: v for name, v in values.items() if v != declared[name]}
        key = chapter_key(root, source, values)
        runs.append(Run(source, parameters, key, executed, is_current(executed, key)))
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
                _finish(run, build, worker.returncode)
                print(f"{run.name}: done in {time.monotonic() - start:.0f} s", flush=True)
    finally:
        for worker in running:
            worker.stdin.close()  # at which it ends itself and its kernel
        for worker in running:
            worker.wait()


def _files_of(run: Run, build: Path) -> tuple[Path, Path, Path]:
    """Give where the notebook grows, and stays if it fails, its traceback, and the log."""
    failed = build / "failed" / f"{run.name}.ipynb"
    return failed, failed.with_suffix(".txt"), build / "logs" / f"{run.name}.log"


def _start(run: Run, build: Path, environment: dict) -> subprocess.Popen:
    """Start a worker, which writes the notebook as it grows where it stays if it fails."""
    failed, traceback, log = _files_of(run, build)
    for old in (failed, traceback):
        old.unlink(missing_ok=True)
    orders = [str(run.source), str(failed), json.dumps(run.parameters)]
    with log.open("w", encoding="utf-8") as stream:
        return subprocess.Popen(
            [sys.executable, "-m", "bookbuild.worker", *orders],
            stdin=subprocess.PIPE,  # nothing is written: its end is that of this process
            stderr=stream,
            env=environment,
            cwd=ROOT,  # where its own modules lie; the chapter runs in its folder
            start_new_session=True,  # Ctrl-C reaches the parent alone, which ends this
        )


def _finish(run: Run, build: Path, status: int):
    """Keep what a worker made, or say why the chapter failed."""
    failed, traceback, log = _files_of(run, build)
    notebook = nbformat.v4.new_notebook()
    if status in (0, 1) and failed.is_file():  # another status: it may have been ended in a write
        notebook = nbformat.read(failed, as_version=4)
    reason, trace = error_in(notebook, run.source)
    if trace:
        traceback.write_text(trace, encoding="utf-8")
        reason += f"\nThe traceback is kept at {traceback}"
    elif status:
        last = log.read_text(encoding="utf-8").strip().rpartition("\n")[2]
        reason = f"the process ended with status {status}: {last}; its messages are in {log}"
    else:
        reason = fault_in(notebook, run.source)
    if not reason:
        run.keep(notebook)
        failed.unlink()
        return
    if failed.is_file():
        reason += f"\nThe half-executed notebook is kept at {failed}"
    raise BuildError(f"Chapter book/{run.name}.py failed: {reason}")


def _environment(root: Path, build: Path, threads: int) -> dict:
    """Give workers this interpreter's kernel and their share of cores."""
    kernelspec.install(prefix=str(build))
    named = {name: os.environ[name] for name in PATH_VARIABLES if os.environ.get(name)}
    return {
        **os.environ,
        "OMP_NUM_THREADS": str(threads),
        "JUPYTER_PATH": str(build / "share" / "jupyter"),  # before kernels registered elsewhere
        "IPYTHONDIR": str(build / "ipython"),  # no start-up file of the user
        "PYTHONSTARTUP": str(ROOT / "bookbuild" / "kernel.py"),
        "PYTHONPATH": str(root),
        "PYTHONUTF8": "1",
        "TQDM_DISABLE": "1",  # on a slow machine bars would become part of a page
        # A kernel runs in the chapter's folder, where a relative path leads elsewhere.
        **{name: str(Path(path).absolute()) for name, path in named.items()},
    }
