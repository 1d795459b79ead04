"""The small pictures on the cards of the landing page."""

import base64
import io

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output
from PIL import Image

from bookbuild.thumbnails import SIZE, chosen_figure, thumbnail, write_thumbnails


def cell_with(colour, tags=()):
    """A cell that shows a figure of one colour."""
    data = io.BytesIO()
    Image.new("RGB", (96, 54), colour).save(data, "PNG")
    picture = {"image/png": base64.b64encode(data.getvalue()).decode()}
    outputs = [new_output("stream", text="two outputs"), new_output("display_data", picture)]
    return new_code_cell(outputs=outputs, metadata={"tags": [*tags]})


@pytest.mark.parametrize("tags, colour", [((), "red"), (("thumbnail",), "blue")])
def test_the_tagged_figure_is_shown_or_the_first(tags, colour):
    cells = [new_code_cell(), cell_with("red"), cell_with("blue", tags)]
    figure = chosen_figure(new_notebook(cells=cells))
    assert figure.getpixel((0, 0)) == Image.new("RGB", (1, 1), colour).getpixel((0, 0))


def test_a_high_figure_loses_its_foot_and_a_wide_one_nothing():
    width, height = SIZE
    high = Image.new("RGB", (width, 3 * height), "white")
    high.paste("red", (0, 0, width, height))
    assert thumbnail(high).getcolors() == [(width * height, (255, 0, 0))]
    wide = thumbnail(Image.new("RGB", (4 * width, height), "red"))
    assert wide.size == SIZE
    assert (
        wide.getpixel((0, height // 2)) == wide.getpixel((width - 1, height // 2)) == (255, 0, 0)
    )
    assert wide.getpixel((0, 0)) == (255, 255, 255)


def test_what_is_transparent_becomes_white():
    assert thumbnail(Image.new("RGBA", SIZE)).getpixel((0, 0)) == (255, 255, 255)


def test_a_chapter_without_a_figure_has_no_thumbnail(tmp_path):
    for name, cells in (("10_a", [cell_with("red")]), ("20_b", [new_code_cell()])):
        nbformat.write(new_notebook(cells=cells), tmp_path / f"{name}.ipynb")
    write_thumbnails(sorted(tmp_path.glob("*.ipynb")), tmp_path / "thumbnails")
    assert [path.name for path in (tmp_path / "thumbnails").iterdir()] == ["10_a.webp"]
