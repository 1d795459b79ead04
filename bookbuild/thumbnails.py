"""Small pictures of the chapters for the cards of the landing page."""

import base64
import io
from pathlib import Path

import nbformat
from PIL import Image, ImageOps

from bookbuild.chapters import code_cells, tags

SIZE = (432, 243)  # pixels: a card's width on a dense screen


def write_thumbnails(notebooks: list[Path], folder: Path):
    """Write one picture a notebook, ``<stem>.webp``; a chapter without a figure gets none."""
    folder.mkdir()
    for notebook in notebooks:
        figure = chosen_figure(nbformat.read(notebook, as_version=4))
        if figure is not None:
            thumbnail(figure).save(folder / f"{notebook.stem}.webp", quality=50)


def chosen_figure(notebook: nbformat.NotebookNode) -> Image.Image | None:
    """Give the first figure of the cell tagged ``thumbnail``, or of the whole notebook."""
    cells = code_cells(notebook)
    for cell in [*(cell for cell in cells if "thumbnail" in tags(cell)), *cells]:
        for output in cell.outputs:
            if "image/png" in output.get("data", {}):
                return Image.open(io.BytesIO(base64.b64decode(output.data["image/png"])))
    return None


def thumbnail(figure: Image.Image) -> Image.Image:
    """Bring a figure to `SIZE` on white: the top of a high one, all of a wide one."""
    figure = figure.convert("RGBA")
    page = Image.new("RGBA", figure.size, "white")
    page = Image.alpha_composite(page, figure).convert("RGB")
    if page.width * SIZE[1] > page.height * SIZE[0]:
        return ImageOps.pad(page, SIZE, color="white")
    return ImageOps.fit(page, SIZE, centering=(0.5, 0))
