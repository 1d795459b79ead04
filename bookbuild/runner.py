"""Execute chapters side by side, and only those whose inputs changed."""

import contextlib
import importlib
import json
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

import psutil
from filelock import FileLock, Timeout

from bookbuild.chapters import (
    KERNELSPEC,
    REGISTRY,
    ROOT,
    BuildError,
    Chapter,
    chapter_key,
    declared_parameters,
    digest,
)

THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
PATH_VARIABLES = ("MICROPROP_DATA", "MICROPROP_CACHE", REGISTRY)


@contextlib.contextmanager
def locked(folder: Path):
    """Keep other builds out of ``folder``, and clear away what a killed one left there.

    Two at once would take away each other's files. The system takes the lock from a process that
    ends in whatever way.

    Raises
    ------
    BuildError
        Another build holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / "build.lock", timeout=0):
            for leftover in folder.glob("executed/*/.*.unfinished.*"):
                leftover.unlink(missing_ok=True)
            yield
    except Timeout:
        raise BuildError(f"Another build is at work in {folder}; wait for it or end it.") from None


@dataclass
class Run:
    """One chapter with the values of a profile, and where its result goes."""

    chapter: Chapter
    parameters: dict
    key: str
    executed: Path
    seconds: float = 0.0
    cached: bool = False

    @property
    def stamp(self) -> Path:
        """The file that says that ``executed`` is complete, and from which inputs."""
        return self.executed.with_suffix(".json")

    def is_finished(self) -> bool:
        """Tell whether an earlier run left a complete result of the same inputs."""
        try:
            stamp = json.loads(self.stamp.read_text(encoding="utf-8"))
            if (stamp["key"], stamp["notebook"]) != (self.key, digest(self.executed)):
                return False
            self.seconds, self.cached = float(stamp["seconds"]), True
        except (OSError, ValueError, KeyError, TypeError):  # no stamp, or a broken one
            return False
        return True

    def finish(self, unfinished: Path, seconds: float):
        """Move the result to its place, then the stamp: in between, nothing counts as done."""
        self.stamp.unlink(missing_ok=True)
        unfinished.replace(self.executed)
        self.seconds = seconds
        stamp = {"key": self.key, "notebook": digest(self.executed), "seconds": seconds}
        temporary = self.stamp.with_suffix(".tmp")
        temporary.write_text(json.dumps(stamp), encoding="utf-8")
        temporary.replace(self.stamp)


def plan(root: Path, chapters: list[Chapter], profile: dict, folder: Path) -> list[Run]:
    """Decide what each chapter is executed with.

    A profile sets only what a chapter declares, and papermill gets only what differs from the
    declared value: the cell that it injects then always tells the reader something.
    """
    folder.mkdir(parents=True, exist_ok=True)
    runs = []
    for chapter in chapters:
        declared = declared_parameters(chapter.source)
        values = {name: profile.get(name, value) for name, value in declared.items()}
        parameters = {name: v for name, v in values.items() if v != declared[name]}
        key = chapter_key(root, chapter, values)
        executed = folder / f"{chapter.name}.ipynb"
        runs.append(Run(chapter, parameters, key, executed))
    return runs


class Runner:
    """Executes planned runs, ``jobs`` at a time, each in a process of its own."""

    def __init__(self, root: Path, build: Path, jobs: int, report):
        self.root, self.build, self.jobs, self.report = root, build, jobs, report
        self.workers: set[subprocess.Popen] = set()
        self.lock, self.stopping = threading.Lock(), False

    def execute(self, runs: list[Run]):
        """Execute all ``runs``; the first failure and Ctrl-C end the others."""
        if not runs:
            return
        # A font cache that is still missing is built now: a chapter would warn of it.
        importlib.import_module("matplotlib.font_manager")
        jobs = min(self.jobs, len(runs))
        environment = self._environment(max(1, _cores() // jobs))
        with ThreadPoolExecutor(jobs) as pool:
            futures = [pool.submit(self._execute_one, run, environment) for run in runs]
            try:
                finished, _ = wait(futures, return_when=FIRST_EXCEPTION)
                for future in finished:
                    future.result()
            finally:
                self._stop()
                pool.shutdown(cancel_futures=True)

    def _execute_one(self, run: Run, environment: dict):
        name, start = run.chapter.name, time.monotonic()
        unfinished = run.executed.with_name(f".{name}.unfinished.ipynb")
        orders = unfinished.with_suffix(".json")
        orders.write_text(
            json.dumps(
                {
                    "source": str(run.chapter.source),
                    "output": str(unfinished),
                    "parameters": run.parameters,
                }
            ),
            encoding="utf-8",
        )
        log = self.build / "logs" / f"{name}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        try:
            failure = self._watch(name, orders, log, environment)
            if failure is None and not self.stopping:
                run.finish(unfinished, time.monotonic() - start)
                for kept in (".ipynb", ".txt"):
                    self._failed(name).with_suffix(kept).unlink(missing_ok=True)
                self.report.finished(name, run.seconds)
            elif not self.stopping:
                raise BuildError(self._explain(name, failure, unfinished))
        finally:
            orders.unlink(missing_ok=True)
            unfinished.unlink(missing_ok=True)
            unfinished.with_suffix(".txt").unlink(missing_ok=True)

    def _watch(self, name: str, orders: Path, log: Path, environment: dict) -> str | None:
        """Follow a worker to its end; give None on success, otherwise what went wrong."""
        failure = None
        with log.open("w", encoding="utf-8") as stderr:
            with self.lock:
                if self.stopping:
                    return "not started"
                worker = subprocess.Popen(
                    [sys.executable, "-m", "bookbuild.worker", str(orders)],
                    stdin=subprocess.PIPE,  # nothing is written: its end is that of this process
                    stdout=subprocess.PIPE,
                    stderr=stderr,
                    text=True,
                    encoding="utf-8",
                    env=environment,
                    cwd=ROOT,  # where its own modules lie; the chapter runs in its folder
                    start_new_session=True,  # Ctrl-C reaches the parent alone, which ends this
                )
                self.workers.add(worker)
            self.report.started(name)
            with worker:
                for line in worker.stdout:
                    message = json.loads(line)
                    failure = message.get("failed", failure)
                    if "cell" in message:
                        self.report.cell(name, message["cell"], message["of"])
                status = worker.wait()
        with self.lock:
            self.workers.discard(worker)
        if status == 0:
            return None
        return failure or f"the process ended with status {status}; its messages are in {log}"

    def _explain(self, name: str, failure: str, unfinished: Path) -> str:
        text = f"Chapter book/{name}.py failed: {failure}"
        self._failed(name).parent.mkdir(parents=True, exist_ok=True)
        for ending, what in ((".ipynb", "half-executed notebook"), (".txt", "traceback")):
            if unfinished.with_suffix(ending).is_file():
                kept = self._failed(name).with_suffix(ending)
                unfinished.with_suffix(ending).replace(kept)
                text += f"\nThe {what} is kept at {kept}"
        return text

    def _failed(self, name: str) -> Path:
        return self.build / "failed" / f"{name}.ipynb"

    def _stop(self):
        """End every worker and the kernels it started; ask first, then insist."""
        with self.lock:
            self.stopping = True
            workers = list(self.workers)
        processes = []
        for worker in workers:
            try:
                parent = psutil.Process(worker.pid)
                processes += [parent, *parent.children(recursive=True)]
                parent.terminate()
            except psutil.NoSuchProcess:
                continue
        _, alive = psutil.wait_procs(processes, timeout=5)
        for process in alive:
            process.kill()

    def _environment(self, threads: int) -> dict:
        """Give workers this interpreter's kernel, the book's style and their share of cores."""
        kernel = self.build / "jupyter" / "kernels" / "python3" / "kernel.json"
        kernel.parent.mkdir(parents=True, exist_ok=True)
        argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        spec = {**KERNELSPEC, "argv": argv, "env": {"PYTHONPATH": str(self.root)}}
        kernel.write_text(json.dumps(spec), encoding="utf-8")
        named = {name: os.environ[name] for name in PATH_VARIABLES if os.environ.get(name)}
        return {
            **os.environ,
            **dict.fromkeys(THREAD_VARIABLES, str(threads)),
            "JUPYTER_PATH": str(self.build / "jupyter"),  # before kernels registered elsewhere
            "IPYTHONDIR": str(self.build / "ipython"),  # no start-up file of the user
            "PYTHONUTF8": "1",
            # A kernel runs in the chapter's folder, where a relative path leads elsewhere.
            **{name: str(Path(path).absolute()) for name, path in named.items()},
        }


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
