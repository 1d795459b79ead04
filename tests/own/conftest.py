"""What tests of own studies share: the commands, and tables of features that need no network."""

import numpy as np
import pandas as pd
import pytest

from helpers.extract.feature_tables import MUST_AGREE, FeatureTable, write_feature_table
from helpers.own import cli


@pytest.fixture(scope="session")
def run():
    """Run a command of `microprop`; gives its exit status."""
    return lambda *arguments: cli.main([str(a) for a in arguments])


@pytest.fixture
def facts():
    """What a table says about how its features were made."""
    return dict.fromkeys([*MUST_AGREE, "value_range", "crop_bottom"]) | {
        "encoder": "microvit",
        "skipped": {},
    }


@pytest.fixture
def save_features(facts):
    """Write a feature table whose first feature is the number of the sample."""

    def save(path, n=30, order=None, images=1):
        numbers = np.repeat(np.arange(n) if order is None else order, images)
        names = [f"s{i:02}" for i in numbers]
        files = [f"{name}-{k}.png" for k, name in enumerate(names)]
        table = pd.DataFrame({"image": files, "sample": names, "height": 4, "width": 4})
        table = table.assign(
            pixel_size_um=np.nan, scale=1.0, digest="0", kind="8-bit", brightest=1.0
        )
        rng = np.random.default_rng(0)
        values = np.column_stack([numbers, 0.01 * rng.normal(size=(len(numbers), 3))])
        write_feature_table(path, FeatureTable(table, values.astype(np.float32), facts))
        return path

    return save
