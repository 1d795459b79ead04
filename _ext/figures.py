"""Sphinx extension for images: room for them on the page, and charts that follow dark mode."""

from pathlib import Path

from docutils import nodes
from PIL import Image


def visit_image(translator, node):
    """Write an image as the theme does, with its size, so that no text moves when it arrives.

    All but the first of a page are loaded when the reader comes near. A chart is an image without
    background, which bookbuild/kernel.py takes away; _static/book.css goes by its class.
    """
    size, path = "", Path(translator.builder.srcdir, node["uri"])
    if path.suffix in (".png", ".webp") and path.is_file():
        with Image.open(path) as image:
            finer = max(1, image.info.get("dpi", (96, 96))[0] / 96)
            size = 'width="{:.0f}" height="{:.0f}"'.format(*(n / finer for n in image.size))
            if image.convert("RGBA").getpixel((0, 0))[3] < 255:
                node["classes"] += ["chart", "dark-light"]  # the theme leaves alone the second
    if "height" in node:  # from a notebook, and as a style, which on a phone would hold
        del node["width"], node["height"]
    if node is not next(translator.document.findall(nodes.image)):
        node["loading"] = "lazy"
    type(translator).visit_image(translator, node)
    translator.body[-1] = translator.body[-1].replace("<img ", f"<img {size} ", 1)


def setup(app):
    """Register the extension."""
    app.add_node(nodes.image, override=True, html=(visit_image, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
