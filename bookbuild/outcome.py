"""What an executed notebook shows: where it failed, and whether it is fit for the site."""

import re
from pathlib import Path

import nbformat

from bookbuild.chapters import cell_lines, code_cells, notebook_of, tags

COLOUR = re.compile(r"\x1b\[[0-9;]*m")
IMAGES = ("image/png", "image/svg+xml", "image/jpeg")


def error_in(notebook: nbformat.NotebookNode, source: Path) -> tuple[str, str]:
    """Say which cell raised what, and give its traceback without colours; empty if none did."""
    for cell in code_cells(notebook):
        for output in cell.outputs:
            if output.output_type == "error":
                trace = COLOUR.sub("", "\n".join(output.traceback))
                error = f"{output.ename}: {output.evalue}"
                frame = _last_frame(trace, source.parent.parent)
                return f"{_place(cell, source)}{_line(cell, trace)}\n{error}{frame}", trace
    return "", ""


def fault_in(notebook: nbformat.NotebookNode, source: Path) -> str:
    """Say what keeps a chapter that went through from the site; empty if nothing does."""
    cells = [cell for cell in code_cells(notebook) if cell.source.strip()]
    done = sum(cell.execution_count is not None for cell in cells)
    if done < len(cells):  # papermill says nothing when its kernel is shut down by others
        return f"the kernel was stopped after {done} of {len(cells)} code cells"
    for cell in cells:
        if fault := fault_of(cell):
            return f"{_place(cell, source)}\n{fault}"
    return ""


def fault_of(cell: nbformat.NotebookNode) -> str:
    """Say where the site would warn, or a reader who cannot see a figure learns nothing."""
    if {"remove-output", "remove-cell"} & set(tags(cell)):
        return ""
    warned = "".join(o.text for o in cell.outputs if o.get("name") == "stderr")
    if warned and "remove-stderr" not in tags(cell):
        return f"it wrote to stderr: {warned.strip()[-1000:]}"
    images = sum(any(kind in o.get("data", {}) for kind in IMAGES) for o in cell.outputs)
    options = cell.metadata.get("mystnb", {})
    if images > 1 and "figure" in options:
        return (
            f"its figure shows {images} times. Draw it on axes of `helpers.plots.panels`, which "
            "pyplot does not show as well, and let the cell end with the figure"
        )
    texts = [("caption", "figure", "caption"), ("alt text", "image", "alt")]
    lacking = [n for n, part, key in texts if not str(options.get(part, {}).get(key, "")).strip()]
    if images and lacking:
        return (
            f"its figure has no {' and no '.join(lacking)}. Give the cell the metadata "
            'mystnb={"figure": {"caption": "..."}, "image": {"alt": "..."}}'
        )
    return ""


def _place(cell: nbformat.NotebookNode, source: Path) -> str:
    """Say where in the source a cell stands."""
    lines, first = cell_lines(source), cell.source.strip().splitlines()[0]
    ids = [c.id for c in code_cells(notebook_of(source))]
    place = f"code cell {ids.index(cell.id) + 1} of {len(ids)} (line {lines[cell.id]})"
    return f"{place}, which begins `{first}`"


def _line(cell: nbformat.NotebookNode, trace: str) -> str:
    """Quote the line of a cell that an error came from: of an assertion all there is to say."""
    numbers = re.findall(r"^Cell In\[\d+\], line (\d+)", trace, re.MULTILINE)
    lines = cell.source.splitlines()
    return f"\nat `{lines[int(numbers[0]) - 1].strip()}`" if numbers else ""


def _last_frame(trace: str, root: Path) -> str:
    """Say which line of the project's own modules an error went through last, if any."""
    frames = re.findall(r"^\s*File (.+?):(\d+)(?:, in ([\w.<>]+))?", trace, re.MULTILINE)
    for file, line, function in reversed(frames):
        path = Path(file).expanduser()  # IPython writes the home folder as ~
        if path.is_relative_to(root) and "site-packages" not in path.parts:
            within = f", in {function}" if function else ""
            return f"\nin {path.relative_to(root).as_posix()}, line {line}{within}"
    return ""


def tidy(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Take out what papermill noted about this run, so that equal results give equal files."""
    for part in (notebook, *notebook.cells):
        for noted in ("papermill", "execution"):
            part.metadata.pop(noted, None)
    return notebook
