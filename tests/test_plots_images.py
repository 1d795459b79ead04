import doctest

import numpy as np
import pytest

from helpers import plots_images
from helpers.plots_images import Step, plot_images, plot_pixel_values, plot_steps


def pixel_sizes(figure):
    """Height and width [inches] that each pixel of each image takes on the figure."""
    figure.draw_without_rendering()
    sizes = []
    for ax in figure.axes:
        box = ax.get_window_extent()
        h, w = ax.images[0].get_array().shape[:2]
        sizes.append((box.height / h / figure.dpi, box.width / w / figure.dpi))
    return np.array(sizes)


def test_examples_in_docstrings():
    result = doctest.testmod(plots_images)
    assert result.attempted > 0
    assert result.failed == 0


@pytest.mark.parametrize("shapes", [[(662, 731), (658, 728), (224, 224), (1024, 1024)],
                                    [(100, 400), (400, 100)]])  # fmt: skip
def test_pixels_have_one_size_where_asked_for(shapes):
    images = [np.zeros(shape) for shape in shapes]
    sizes = pixel_sizes(plot_images(images, [""] * len(images), same_scale=True))
    np.testing.assert_allclose(sizes, sizes[0, 0], rtol=0.01)


def test_a_grey_value_looks_the_same_in_every_image():
    axes = plot_images([np.full((3, 3), 0.4), np.full((3, 3, 3), 0.4)], ["grey", "RGB"]).axes
    assert axes[0].images[0].get_clim() == (0, 1)
    assert [ax.get_title() for ax in axes] == ["grey", "RGB"]


def test_steps_show_what_is_kept_and_the_patches():
    section = np.eye(6)
    steps = [Step(section, "section", kept=(4, 5)), Step(section[:4, :5], "input", patch=2)]
    figure = plot_steps({"A": steps, "B": [steps[0], None]})
    first, second, third = figure.axes
    (frame,) = first.patches
    assert (frame.get_xy(), frame.get_width(), frame.get_height()) == ((-0.5, -0.5), 5, 4)
    verticals, horizontals = second.collections
    assert [line[0, 0] for line in verticals.get_segments()] == [1.5, 3.5]
    assert [line[0, 1] for line in horizontals.get_segments()] == [1.5]
    assert third.get_ylabel().startswith("B")


def test_histograms_count_every_pixel():
    tensor = np.random.default_rng(0).normal(size=(3, 20, 30))
    (ax,) = plot_pixel_values({"noise": tensor}, bins=10).axes
    for line in ax.lines:
        assert line.get_ydata().sum() == pytest.approx(100)
