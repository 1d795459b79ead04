"""Execute one chapter in a process of its own, so that it can be ended with all it started.

The parent holds the other end of standard input, which closes when it ends in whatever way.
"""

import json
import os
import re
import signal
import sys
import threading
import time
import traceback
from pathlib import Path

import nbformat
import papermill
import psutil
from papermill.exceptions import PapermillExecutionError

from bookbuild.chapters import COLOUR, TRACEBACK, cell_lines, code_cells, notebook_of, tags

IMAGES = ("image/png", "image/svg+xml", "image/jpeg")


def main(source: Path, output: Path, failure: Path, parameters: dict) -> int:
    """Execute a chapter; on failure a file says why, and the exit status is 1."""
    # A terminate signal becomes an exception, so that papermill shuts its kernel down.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    threading.Thread(target=end_with_parent, daemon=True).start()
    try:
        executed = execute(source, output, parameters)
        check_outputs(executed)
    except Exception as error:
        trace = plain_traceback(error)
        message = describe(error, source) + last_frame(trace, source.parent.parent)
        failure.write_text(message + TRACEBACK + trace, encoding="utf-8")
        return 1
    nbformat.write(tidy(executed), output)
    return 0


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


def execute(source: Path, output: Path, parameters: dict) -> nbformat.NotebookNode:
    """Run a chapter with papermill, which writes the notebook to ``output`` as it grows."""
    screen = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a kernel prints past Jupyter goes to the log
    notebook = notebook_of(source)
    total = len([cell for cell in code_cells(notebook) if cell.source.strip()]) + bool(parameters)
    done = 0

    def count(execute_reply, **_):
        nonlocal done
        done += bool(execute_reply) and execute_reply["content"]["status"] == "ok"
        if done % 10 == 0:
            print(f"{source.stem}: cell {done} of {total}", file=screen, flush=True)

    executed = papermill.execute_notebook(
        notebook,
        output,
        parameters=parameters,
        kernel_name="python3",
        cwd=source.parent,
        progress_bar=False,
        on_cell_executed=count,
    )
    if done < total:  # papermill says nothing when its kernel is shut down by others
        raise RuntimeError(f"the kernel was stopped after {done} of {total} code cells")
    return executed


class OutputError(Exception):
    """What a cell shows is not fit for the site; the message says what to do."""

    def __init__(self, cell, message):
        self.cell = cell
        super().__init__(message)


def check_outputs(notebook: nbformat.NotebookNode):
    """Raise where the site would warn, or a reader who cannot see a figure learns nothing.

    Raises
    ------
    OutputError
        Text on stderr, a figure that shows twice, or one without alt text.
    """
    for cell in code_cells(notebook):
        if {"remove-output", "remove-cell"} & set(tags(cell)):
            continue
        said = "".join(o.text for o in cell.outputs if o.get("name") == "stderr")
        if said and "remove-stderr" not in tags(cell):
            raise OutputError(cell, f"it wrote to stderr: {said.strip()[-1000:]}")
        images = sum(any(kind in o.get("data", {}) for kind in IMAGES) for o in cell.outputs)
        options = cell.metadata.get("mystnb", {})
        if images > 1 and "figure" in options:
            raise OutputError(
                cell,
                f"its figure shows {images} times. Close a figure for pyplot in the function that "
                "draws it, `plt.close(figure)`, and let the cell end with it",
            )
        if images and not str(options.get("image", {}).get("alt", "")).strip():
            raise OutputError(
                cell,
                "its figure has no alt text. Give the cell the metadata "
                'mystnb={"figure": {"caption": "..."}, "image": {"alt": "..."}}',
            )


def plain_traceback(error: Exception) -> str:
    """Give the traceback of a cell, or of this process, without colours."""
    if isinstance(error, PapermillExecutionError):
        return COLOUR.sub("", "\n".join(error.traceback)) + "\n"
    return "".join(traceback.format_exception(error))


def last_frame(trace: str, root: Path) -> str:
    """Say which line of the project's own modules an error went through last, if any."""
    frames = re.findall(r"^\s*File (.+?):(\d+)(?:, in ([\w.<>]+))?", trace, re.MULTILINE)
    for file, line, function in reversed(frames):
        path = Path(file).expanduser()  # IPython writes the home folder as ~
        if path.is_relative_to(root) and "site-packages" not in path.parts:
            within = f", in {function}" if function else ""
            return f"\nin {path.relative_to(root).as_posix()}, line {line}{within}"
    return ""


def describe(error: Exception, source: Path) -> str:
    """Say in words where in the source an error arose and what it was."""
    cells = notebook_of(source).cells
    if isinstance(error, PapermillExecutionError):
        # papermill counts its cell of parameters as well, if there is one before this.
        places = cells[max(error.cell_index - 1, 0) : error.cell_index + 1]
        cell = next((c for c in reversed(places) if c.source == error.source), None)
        message = f"{error.ename}: {error.evalue}"
    else:
        cell = getattr(error, "cell", None)
        message = str(error) if cell else f"{type(error).__name__}: {error}"
    ids = [c.id for c in cells if c.cell_type == "code"]
    if cell is None or cell.id not in ids:  # such as the parameters that papermill adds
        return message
    number, first = ids.index(cell.id) + 1, cell.source.strip().splitlines()[0]
    line = cell_lines(source).get(cell.id)
    place = f" (line {line})" if line else ""
    return f"code cell {number} of {len(ids)}{place}, which begins `{first}`\n{message}"


def tidy(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Take out what papermill noted about this run, so that equal results give equal files."""
    for part in (notebook, *notebook.cells):
        for noted in ("papermill", "execution"):
            part.metadata.pop(noted, None)
    return notebook


if __name__ == "__main__":
    sys.exit(main(*map(Path, sys.argv[1:4]), json.loads(sys.argv[4])))
