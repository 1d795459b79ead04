"""A child process in which `test_fuzz.py` reads damaged files.

The child sees to it that a reader keeps its promises: the documented errors only, in time, in
bounded memory, without a warning, a word on stderr or a file written. It may die of a case; the
parent then says of which.
"""

from __future__ import annotations

import contextlib
import faulthandler
import multiprocessing
import os
import re
import sys
import traceback
import warnings
from pathlib import Path

import psutil

MEMORY = 2**29  # bytes that a case may take beyond what the child holds when it starts
SECONDS = 20  # for one case; all take milliseconds, but the machine may be busy
LONGEST_MESSAGE = 10_000
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_TRUNC
FORBIDDEN = {  # audit events of whatever changes files, starts programs or asks a network
    "os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.link", "os.symlink", "os.truncate",
    "os.chmod", "os.system", "os.posix_spawn", "os.exec", "os.fork", "subprocess.Popen",
    "socket.connect", "shutil.rmtree", "tempfile.mkstemp", "tempfile.mkdtemp",
}  # fmt: skip


class Child:
    """Runs `target(path, *arguments)` on the files it is given, one after the other."""

    def __init__(self, target, folder):
        self.target, self.folder, self.process = target, Path(folder), None

    def read(self, suffix, content, *arguments):
        """What the target returned, or the (type, message) of the error that it may raise.

        AssertionError where it did what it must not do.
        """
        if self.process is None:
            self._start()
        path = self.folder / f"case{suffix}"
        path.write_bytes(content)
        with contextlib.suppress(BrokenPipeError):
            self.pipe.send((str(path), arguments))
        try:
            answered = self.pipe.poll(SECONDS)
            kind, answer = self.pipe.recv() if answered else (None, None)
        except (EOFError, ConnectionResetError):
            self.process.join()
            raise AssertionError(
                f"the interpreter died (exit code {self.process.exitcode}): {self._last_words()}"
            ) from None
        finally:
            if not self.process.is_alive():
                self.process = None
        if not answered:
            self.close()
            raise AssertionError(f"no answer within {SECONDS} s")
        assert kind != "broken", answer
        return answer

    def close(self):
        if self.process is not None:
            self.process.kill()
            self.process.join()
            self.process = None

    def _start(self):
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.words = self.folder / "stderr.txt"
        self.process = context.Process(
            target=_serve, args=(theirs, self.target, str(self.words)), daemon=True
        )
        self.process.start()
        theirs.close()
        assert self.pipe.poll(120), "the child did not start"
        self.pipe.recv()

    def _last_words(self):
        return self.words.read_text(errors="replace")[-3000:]


def _serve(pipe, target, words):
    stderr = os.open(words, os.O_CREAT | os.O_RDWR | os.O_TRUNC)
    os.dup2(stderr, 2)  # C libraries write there
    faulthandler.enable()
    target.prepare()
    _limit_memory()
    acts, reading = [], False
    sys.addaudithook(lambda event, args: acts.append((event, args)) if reading else None)
    pipe.send("ready")
    while True:
        path, arguments = pipe.recv()
        before = os.fstat(stderr).st_size
        acts.clear()
        reading = True
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            outcome = _outcome(target, path, arguments)
        reading = False
        broken = [f"it did {act}" for act in acts if _is_forbidden(*act)]
        broken += [
            f"it warned: {warning.message!r}"
            for warning in caught
            if warning.category.__name__ not in target.warnings
            and not re.search(getattr(target, "notes", "(?!)"), str(warning.message))
        ]
        if os.fstat(stderr).st_size > before:
            broken.append("it wrote to stderr: " + Path(words).read_text(errors="replace")[-500:])
        if outcome[0] != "broken" and broken:
            outcome = "broken", "; ".join(broken)
        pipe.send(outcome)


def _outcome(target, path, arguments):
    try:
        return "value", target.run(path, *arguments)
    except target.errors as error:
        message, name = str(error), Path(path).name
        if name not in message or len(message) < len(name) + 20:
            return "broken", f"an error that does not say what is wrong: {error!r}"
        if len(message) > LONGEST_MESSAGE:
            return "broken", f"a message of {len(message)} characters: {message[:300]}"
        return "value", (type(error).__name__, message)
    except BaseException:
        return "broken", traceback.format_exc()[-3000:]


def _limit_memory():
    with contextlib.suppress(ImportError):  # not on Windows
        import resource

        used = psutil.Process().memory_info().vms
        resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))


def _is_forbidden(event, args):
    if event == "open":
        _path, mode, flags = args
        return bool((flags or 0) & WRITING) or any(c in (mode or "") for c in "wax+")
    return event in FORBIDDEN
