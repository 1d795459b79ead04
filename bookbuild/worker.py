"""Execute one chapter in a process of its own, so that it can be ended with all it started.

The parent holds the other end of standard input, which closes when it ends in whatever way, or
when it wants this process to end.
"""

import ast
import json
import os
import re
import signal
import sys
import threading
import time
from pathlib import Path

import papermill
import psutil

from bookbuild.chapters import code_cells, notebook_of, tags


def main(source: Path, output: Path, parameters: dict):
    """Run a chapter with papermill, which writes the notebook to ``output`` as it grows."""
    # A terminate signal becomes an exception, so that papermill shuts its kernel down.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    threading.Thread(target=end_with_parent, daemon=True).start()
    screen = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a kernel prints past Jupyter goes to the log
    notebook = notebook_of(source)
    numbers = {cell.id: number for number, cell in enumerate(code_cells(notebook), 1)}
    plain = {}  # what a checked cell holds, while the kernel has it softened

    def soften(cell, **_):
        if parameters and "checked" in tags(cell):  # takeaways are about the declared values
            plain[cell.id], cell.source = cell.source, softened(cell.source)

    def tell(cell, **_):
        cell.source = plain.get(cell.id, cell.source)
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
        on_cell_execute=soften,
        on_cell_executed=tell,
    )


def takeaways(source: str) -> list[tuple[ast.Assert, int]]:
    """Give the assertions of a cell that end with a takeaway's number, as ``assert ...  # 1``."""
    lines, numbered = source.splitlines(), []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Assert):
            rest = lines[node.end_lineno - 1].encode()[node.end_col_offset :].decode()
            if number := re.match(r" *# *(\d+)", rest):
                numbered.append((node, int(number[1])))
    return sorted(numbered, key=lambda pair: pair[0].lineno)


def softened(source: str) -> str:
    """Let the assertions of takeaways print which one differs; each line stays where it is."""
    for node, number in reversed(takeaways(source)):
        whole, test = (ast.get_source_segment(source, part) for part in (node, node.test))
        lines = source.splitlines(keepends=True)
        start = source.index(whole, len("".join(lines[: node.lineno - 1])))
        test += "\n" * (whole.count("\n") - test.count("\n"))
        told = f"print('takeaway {number} differs here') if not ({test}) else None"
        source = source[:start] + told + source[start + len(whole) :]
    return source


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
