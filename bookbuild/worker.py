"""Execute one chapter in a process of its own, so that it can be ended with all it started.

The parent holds the other end of standard input, which closes when it ends in whatever way, or
when it wants this process to end.
"""

import json
import os
import signal
import sys
import threading
import time
from pathlib import Path

import papermill
import psutil

from bookbuild.chapters import code_cells, notebook_of


def main(source: Path, output: Path, parameters: dict):
    """Run a chapter with papermill, which writes the notebook to ``output`` as it grows."""
    # A terminate signal becomes an exception, so that papermill shuts its kernel down.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    threading.Thread(target=end_with_parent, daemon=True).start()
    screen = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a kernel prints past Jupyter goes to the log
    notebook = notebook_of(source)
    numbers = {cell.id: number for number, cell in enumerate(code_cells(notebook), 1)}

    def tell(cell, **_):
        number = numbers.get(cell.id, 1)  # papermill's own cell of parameters has none
        if number % 10 == 0:
            print(f"{source.stem}: cell {number} of {len(numbers)}", file=screen, flush=True)

    papermill.execute_notebook(
        notebook,
        output,
        parameters=parameters,
        kernel_name="python3",
        cwd=source.parent,
        progress_bar=False,
        on_cell_executed=tell,
    )


def end_with_parent():
    """Wait until standard input closes, then end this process and its kernel."""
    os.read(0, 1)  # not sys.stdin, whose lock would be held when this process ends
    if os.name == "posix":
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(5)
    for child in psutil.Process().children(recursive=True):
        child.kill()
    os._exit(143)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), json.loads(sys.argv[3]))
