"""One build at a time: two at once would take away each other's files."""

import os
from contextlib import contextmanager
from pathlib import Path

import psutil

from bookbuild.chapters import BuildError


@contextmanager
def locked(folder: Path):
    """Keep other builds out of ``folder``, and clear away what a killed one left there.

    The lock is the file ``build.pid`` with the number of the process that holds it.

    Raises
    ------
    BuildError
        Another build holds it and is alive.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = folder / "build.pid"
    _take(lock)
    try:
        for leftover in folder.glob("executed/*/.*.unfinished.*"):
            leftover.unlink(missing_ok=True)
        yield
    finally:
        lock.unlink(missing_ok=True)


def _take(lock: Path):
    """Create the file, which fails where there is one; one whose owner is gone is replaced."""
    for last in (False, True):
        try:
            descriptor = os.open(lock, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
        except FileExistsError:
            owner = _owner(lock)
            if owner or last:
                raise BuildError(
                    f"Another build (process {owner or 'unknown'}) is at work in _build; "
                    "wait for it or end it."
                ) from None
            lock.unlink(missing_ok=True)
        else:
            os.write(descriptor, str(os.getpid()).encode())
            os.close(descriptor)
            return


def _owner(lock: Path) -> int | None:
    """Give the process that holds the lock, None where it is gone.

    A process that started after the lock was written only has the number of the one that
    wrote it: numbers are used again, in a container at once.
    """
    try:
        pid, written = int(lock.read_text(encoding="utf-8")), lock.stat().st_mtime
        return pid if psutil.Process(pid).create_time() < written + 1 else None
    except psutil.AccessDenied:
        return pid
    except (OSError, ValueError, psutil.NoSuchProcess):
        return None
