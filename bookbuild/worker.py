"""Execute one chapter in a process of its own, so that it can be ended with all it started.

The parent talks to it through one JSON file of orders and reads one JSON message a line from
its standard output: ``{"cell": i, "of": n}`` while it runs, then ``{"failed": text}`` on error.
It holds the other end of standard input, which closes when the parent ends in whatever way.
"""

import json
import os
import signal
import sys
import threading
import time
from pathlib import Path

import nbformat
import papermill
import psutil
from papermill.exceptions import PapermillExecutionError

from bookbuild.chapters import code_cells, notebook_of, tags

IMAGES = ("image/png", "image/svg+xml", "image/jpeg")


def main(orders_path: str) -> int:
    """Execute the chapter that the orders name; the exit status says whether all went well."""
    say = take_over_output()
    # A terminate signal becomes an exception, so that papermill shuts its kernel down.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    threading.Thread(target=end_with_parent, daemon=True).start()
    orders = json.loads(Path(orders_path).read_text(encoding="utf-8"))
    source, output = Path(orders["source"]), Path(orders["output"])
    notebook = notebook_of(source)
    try:
        execute(notebook, output, orders["parameters"], source.parent, say)
        executed = nbformat.read(output, as_version=4)
        check_alt_texts(executed)
    except Exception as error:
        say(failed=describe(error, notebook, source))
        return 1
    nbformat.write(tidy(executed), output)
    return 0


def take_over_output():
    """Give the function that sends a message; all else that is printed goes to the log.

    The kernel, and what it starts, inherit file descriptor 1: had it stayed the channel of
    messages, ``os.system("echo hi")`` in a chapter would send one that the parent cannot read.
    """
    messages = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return lambda **message: print(json.dumps(message), file=messages, flush=True)


def end_with_parent():
    """Wait until the parent is gone, then end this process and its kernel.

    A parent that ends in order ends its workers itself; one that is killed cannot.
    """
    os.read(0, 1)  # not sys.stdin, whose lock would be held when this process ends
    if os.name == "posix":
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(5)
    for child in psutil.Process().children(recursive=True):
        child.kill()
    os._exit(143)


def execute(notebook, output: Path, parameters: dict, folder: Path, say):
    """Run the notebook with papermill and ``say`` after each code cell how far it is.

    Raises
    ------
    RuntimeError
        Not all cells were executed.
    """
    cells = [cell for cell in code_cells(notebook) if cell.source.strip()]
    total, done = len(cells) + bool(parameters), 0

    def count(cell, execute_reply, **_):
        nonlocal done
        done += bool(execute_reply) and execute_reply["content"]["status"] == "ok"
        say(cell=done, of=total)

    unexecuted = output.with_suffix(".input.ipynb")
    nbformat.write(notebook, unexecuted)
    try:
        papermill.execute_notebook(
            unexecuted,
            output,
            parameters=parameters,
            kernel_name="python3",
            cwd=folder,
            progress_bar=False,
            on_cell_executed=count,
        )
    finally:
        unexecuted.unlink(missing_ok=True)
    if done < total:  # papermill returns without complaint when its kernel is shut down by others
        raise RuntimeError(f"the kernel was stopped after {done} of {total} code cells")


class MissingAltText(Exception):
    """A figure that a reader who cannot see it learns nothing about."""

    def __init__(self, cell):
        self.cell = cell
        super().__init__(
            "its figure has no alt text. Give the cell the metadata "
            'mystnb={"figure": {"caption": "..."}, "image": {"alt": "..."}}'
        )


def check_alt_texts(notebook: nbformat.NotebookNode):
    """Raise when a cell shows an image and its metadata holds no alt text."""
    for cell in code_cells(notebook):
        shown = any(kind in output.get("data", {}) for output in cell.outputs for kind in IMAGES)
        alt = cell.metadata.get("mystnb", {}).get("image", {}).get("alt", "")
        if shown and not str(alt).strip() and "remove-output" not in tags(cell):
            raise MissingAltText(cell)


def describe(error: Exception, notebook: nbformat.NotebookNode, source: Path) -> str:
    """Say in words where in the source an error arose and what it was."""
    text, message = None, f"{type(error).__name__}: {error}"
    if isinstance(error, PapermillExecutionError):
        text, message = error.source, f"{error.ename}: {error.evalue}"
    elif isinstance(error, MissingAltText):
        text, message = error.cell.source, str(error)
    cells = [cell.source for cell in code_cells(notebook)]
    if text not in cells:
        return message
    number, first = cells.index(text) + 1, text.strip().splitlines()[0]
    lines = source.read_text(encoding="utf-8").splitlines()
    line = f" (line {lines.index(first) + 1})" if first in lines else ""
    return f"code cell {number} of {len(cells)}{line}, which begins `{first}`\n{message}"


def tidy(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Take out what papermill noted about this run, so that equal results give equal files."""
    for part in (notebook, *notebook.cells):
        for noted in ("papermill", "execution"):
            part.metadata.pop(noted, None)
    return notebook


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
