"""Learning material properties from micrographs: what the chapters of the book share.

The core, ``helpers/*.py``, is what the chapters on the paper need, in the order of its reading:

=================  ==============================================================================
datasets           the data of the two case studies, embedded or published
preprocessing      an image as the pixels that a network takes
encoders           frozen networks, by name or from a folder
features           images through an encoder, computed once and kept
two_point          two-point statistics, the descriptor of the field
segmentation       a micrograph as an image of two phases
regression         components of descriptors, regression on them, the split of case study 1
cross_validation   nested cross-validation, as in case study 2
scores             many descriptors and models by it; superalloy_scores: those of case study 2
intervals          of a difference of errors, of a ratio, of a prediction
plots              figures of numbers; plots_images: figures of pictures
=================  ==============================================================================

Everything else lies in rooms. A room imports from those above it in this list, never from one
below it, and what starts with ``_`` is used inside its own room alone; ``make check`` holds both:

=================  ==============================================================================
io                 files: downloads, tables, writing, what made a result
images             reading micrographs, and the size of their pixels
vit                networks, their weights, a forward pass, the store of features
the core           the paper
synthetic          how the embedded data were made
microvit           the small network that ships with the book: training, and what it is worth
audit              what descriptors know, beside controls; verdicts on what the paper says
beyond             other learners and descriptors, networks trained end to end
extract            features of your own images, on one machine or several
own                models of your own images: properties, report, the command line ``microprop``
=================  ==============================================================================
"""


class UserError(ValueError):
    """What a user can mend: the message names the value, what was expected and what to do.

    The command line prints it as it is; every other `ValueError` is a slip of the code.
    """
