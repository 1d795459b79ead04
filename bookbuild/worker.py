"""Execute one chapter in a process of its own, so that it can be ended with all it started.

The parent talks to it through one JSON file of orders and reads one JSON message a line from
its standard output: ``{"cell": i, "of": n}`` while it runs, then ``{"failed": text}`` on error.
It holds the other end of standard input, which closes when the parent ends in whatever way.
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

from bookbuild.chapters import COLOUR, cell_lines, code_cells, notebook_of, tags

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
        check_outputs(executed)
    except Exception as error:
        trace = plain_traceback(error)
        say(
            failed=describe(error, notebook, source, output)
            + last_frame(trace, source.parent.parent)
        )
        output.with_suffix(".txt").write_text(trace, encoding="utf-8")
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


def describe(error: Exception, notebook: nbformat.NotebookNode, source: Path, output: Path) -> str:
    """Say in words where in the source an error arose and what it was."""
    failed, message = None, f"{type(error).__name__}: {error}"
    if isinstance(error, PapermillExecutionError):
        failed, message = failed_cell(output), f"{error.ename}: {error.evalue}"
    elif isinstance(error, OutputError):
        failed, message = error.cell, str(error)
    cells = {cell.id: cell for cell in code_cells(notebook)}
    if failed is None or failed.id not in cells:  # such as the parameters that papermill adds
        return message
    number, first = list(cells).index(failed.id) + 1, failed.source.strip().splitlines()[0]
    line = cell_lines(source).get(failed.id)
    place = f" (line {line})" if line else ""
    return f"code cell {number} of {len(cells)}{place}, which begins `{first}`\n{message}"


def failed_cell(output: Path) -> nbformat.NotebookNode | None:
    """Give the cell of a half-executed notebook that raised."""
    executed = nbformat.read(output, as_version=4)
    return next(
        (c for c in code_cells(executed) if any(o.output_type == "error" for o in c.outputs)), None
    )


def tidy(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Take out what papermill noted about this run, so that equal results give equal files."""
    for part in (notebook, *notebook.cells):
        for noted in ("papermill", "execution"):
            part.metadata.pop(noted, None)
    return notebook


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
