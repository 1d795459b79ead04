"""What steps of a scikit-learn ``Pipeline`` that take images have in common."""

from __future__ import annotations

from sklearn.base import BaseEstimator, TransformerMixin


class ImageStep(TransformerMixin, BaseEstimator):
    """A step that takes images, (n, h, w), and fits nothing."""

    def fit(self, X, y=None):
        """Do nothing but return self, as a ``Pipeline`` expects."""
        return self

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.input_tags.three_d_array = True
        tags.input_tags.two_d_array = False
        return tags
