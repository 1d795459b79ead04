"""Writing files so that a reader never meets a half-written one."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path


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
        with tempfile.NamedTemporaryFile(
            dir=path.parent, prefix=f".{path.name}-", delete=False
        ) as file:
            temporary = Path(file.name)
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    except OSError as error:
        raise OSError(
            error.errno,
            f"could not write {path} ({error.strerror}); the old file, if any, is unchanged. "
            "Free some space or choose a folder that can be written",
        ) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask
