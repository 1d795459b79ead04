"""What the readers of a user's own study must do with any file; run in the child of `fuzzing`."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from helpers import UserError
from helpers.extract.feature_tables import COLUMNS, read_feature_table
from helpers.extract.image_lists import list_samples
from helpers.images.read import ImageError
from helpers.own.properties import read_properties


class FeatureTables:
    """`read_feature_table`."""

    errors, warnings = UserError, ()

    @staticmethod
    def prepare():
        import pyarrow.parquet  # noqa: F401

    @staticmethod
    def run(path):
        found = read_feature_table(path)
        n = len(found.table)
        assert n > 0
        assert list(found.table.columns) == [*COLUMNS]
        assert found.features.shape[0] == n
        assert found.features.ndim == 2
        assert found.features.dtype == np.float32
        assert np.isfinite(found.features).all()
        assert found.table["image"].is_unique
        return repr((found.table.to_dict("list"), found.features.tolist(), found.facts))


class ImageLists:
    """`list_samples` of a table."""

    errors, warnings = (UserError, ImageError, FileNotFoundError), ()
    notes = "hidden (row|column)"
    ROWS = (("image", "alloy", "n"), ("a.png", "x", "1"), ("b.png", "x", ""),
            ("c d.png", "7", "3"), ("7", "y", "4"))  # fmt: skip
    prepare = FeatureTables.prepare

    @staticmethod
    def run(path, sample_column):
        folder = Path(path).parent
        found = list_samples(path, sample_column=sample_column)
        assert list(found.columns) == ["image", "sample", "pixel_size_um"]
        assert len(found) > 0
        assert found["image"].is_unique
        assert all(isinstance(name, str) and name.strip() for name in found["sample"])
        assert all(Path(image).is_file() for image in found["image"])
        return repr(found.to_dict("list")).replace(str(folder), "")


class Properties:
    """`read_properties`."""

    errors, warnings, notes = UserError, (), "hidden (row|column)|is taken as units"
    prepare = FeatureTables.prepare
    ROWS = (("sample", "hardness", "strength", "heat", "Ni (at.%)", "Al (at.%)"),
            ("a", "4.5", "1", "h1", "88", "12"), ("b", "3", "", "h1", "90", "10"),
            ("c", "3", "N/a", "h2", "90", "10"), ("7", "9", "3", "h3", "90", "10"))  # fmt: skip

    @staticmethod
    def run(path, options):
        found = read_properties(path, **options)
        values = found.values
        assert len(values) > 0
        assert values.index.is_unique
        assert all(isinstance(name, str) and name.strip() for name in values.index)
        numbers = values.to_numpy()
        assert numbers.dtype == float
        assert not np.isinf(numbers).any()
        return repr(values.to_dict("list"))
