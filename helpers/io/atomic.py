"""Writing files so that a reader never meets a half-written one."""

from __future__ import annotations

import contextlib
import os
import threading
from pathlib import Path


def write_table(table, path):
    """Write a DataFrame of results as a CSV file, numbers with four decimals or digits."""

    def rounded(value):
        return f"{value:.4g}" if 0 < abs(value) < 0.1 else f"{value:.4f}"

    with atomic_write(path) as file:
        file.write(table.to_csv(index=False, float_format=rounded, lineterminator="\n").encode())


@contextlib.contextmanager
def atomic_write(path):
    """Open a temporary binary file beside `path`; it takes its place once all is written.

    Raises
    ------
    OSError
        Names `path` where the folder cannot be written or the disk is full. What stood at
        `path` before is untouched then, and the temporary file is gone.
    """
    path = Path(path)
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # mkstemp, and so tempfile, would give the file to this user alone
        temporary = path.with_name(f".{path.name}-{os.getpid()}-{threading.get_ident()}")
        with temporary.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise OSError(
            error.errno,
            f"could not write {path} ({error.strerror or error}); the old file, if any, is "
            "unchanged. Free some space or choose a folder that can be written",
        ) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
