"""Generate ``book/*.ipynb`` from ``book/*.py``: ``python -m bookbuild.sync`` or ``make sync``."""

from pathlib import Path

from bookbuild.chapters import ROOT, notebook_text


def sync(root: Path = ROOT) -> list[Path]:
    """Write the notebooks that are missing or differ from their source.

    Parameters
    ----------
    root : pathlib.Path
        The project's folder.

    Returns
    -------
    list of pathlib.Path
        The notebooks that were written; empty when all were up to date.
    """
    written = []
    for source in sorted((root / "book").glob("*.py")):
        notebook, text = source.with_suffix(".ipynb"), notebook_text(source)
        if not notebook.is_file() or notebook.read_text(encoding="utf-8") != text:
            notebook.write_text(text, encoding="utf-8", newline="\n")
            written.append(notebook)
    return written


if __name__ == "__main__":
    for path in sync():
        print("wrote", path.relative_to(ROOT))
