import doctest

import numpy as np

from helpers import plots_images
from helpers.plots_images import Step, plot_images, plot_steps


def test_examples_in_docstrings():
    result = doctest.testmod(plots_images)
    assert result.attempted > 0
    assert result.failed == 0


def test_a_grey_value_looks_the_same_in_every_image():
    axes = plot_images([np.full((3, 3), 0.4), np.full((3, 3, 3), 0.4)], ["grey", "RGB"]).axes
    assert axes[0].images[0].get_clim() == (0, 1)
    assert [ax.get_title() for ax in axes] == ["grey", "RGB"]


def test_steps_show_what_is_kept_and_the_patches():
    section = np.eye(6)
    steps = [Step(section, "section", kept=(4, 5)), Step(section[:4, :5], "input", patch=2)]
    figure = plot_steps({"A": steps, "B": steps})
    first, second, third, _ = figure.axes
    (frame,) = first.patches
    assert (frame.get_xy(), frame.get_width(), frame.get_height()) == ((-0.5, -0.5), 5, 4)
    verticals, horizontals = second.collections
    assert [line[0, 0] for line in verticals.get_segments()] == [1.5, 3.5]
    assert [line[0, 1] for line in horizontals.get_segments()] == [1.5]
    assert third.get_ylabel().startswith("B")
