"""Learning material properties from micrographs: what the chapters of the book share.

The core, ``helpers/*.py``, holds the methods of the paper, in the order of its reading:

=================  ======================================================================
datasets           the data of the two case studies, embedded or published
preprocessing      an image as the pixels that a network takes
encoders           frozen networks, by name or from a folder
features           images through an encoder, computed once and kept
two_point          two-point statistics, the descriptor of the field
segmentation       a micrograph as an image of two phases
regression         components of descriptors, regression on them, the paper's split
cross_validation   nested cross-validation, as in case study 2
scores             many descriptors and models by it, kept between runs
superalloy_scores  the scores of case study 2
intervals          of a difference, of a ratio, of a prediction; for the rooms as well
plots              the theme of figures, and those of numbers: errors, predictions
plots_images       figures of pictures: sections, maps, micrographs
=================  ======================================================================

Everything else lies in rooms, which the docstring of each explains. A room imports only from those
that stand under it in this list, and a module that starts with ``_`` is used inside its own room
alone; ``make check`` holds both:

=========  ======================================================================
own        models of your own images: properties, report, the commands
extract    features of your own images, on one machine or several
evidence   tables that go beyond the paper, a script each
beyond     other learners and descriptors, networks trained end to end
audit      what descriptors know, beside controls; verdicts on the paper
microvit   the network that ships with the book: training, its worth
synthetic  how the embedded data were made; elasticity of two phases
the core   the paper
vit        networks, their weights, a forward pass, the store of features
images     reading micrographs, and the size of their pixels
io         files: downloads, tables, writing, what made a result
=========  ======================================================================

Chapters on the paper take from the core, and beside it an example from `synthetic`, its bounds of
elasticity, or a reader from below.
"""


class UserError(ValueError):
    """What a user can mend: the message names the value, what was expected and what to do.

    The command line prints it as it is; every other `ValueError` is a slip of the code.
    """


def check_choice(name, value, choices):
    """Raise a `UserError` where an argument is none of its choices."""
    if value not in choices:
        raise UserError(f"{name} is {value!r}: expected one of {choices}")
