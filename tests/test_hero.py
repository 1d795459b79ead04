"""The picture that the landing page and README open with."""

import numpy as np
import pytest
from PIL import Image

from bookbuild import hero
from helpers.datasets import load_superalloys
from helpers.features import extract_features
from helpers.regression import mape


def pixels(path):
    """Colours of a picture, from 0 to 255."""
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"), float)


def test_the_picture_is_light_and_as_wide_as_the_column():
    assert hero.HERO.stat().st_size < 120_000
    assert pixels(hero.HERO).shape[1] == int(7.2 * 144)


@pytest.mark.slow
def test_the_picture_is_what_the_code_draws(tmp_path, monkeypatch):
    committed = pixels(hero.HERO)
    monkeypatch.setattr(hero, "HERO", tmp_path / "hero.webp")
    hero.main()
    assert np.abs(pixels(hero.HERO) - committed).mean() < 1, "run `python -m bookbuild.hero`"


@pytest.mark.slow
def test_known_sources_are_predicted_better_than_by_the_mean_and_new_ones_are_not():
    study = load_superalloys()
    features = extract_features(study.images, "microvit", name="superalloys-embedded")
    known, new = (mape(study.hardness, p) for p in hero.predictions(study, features).values())
    assert known < mape(study.hardness, np.full(len(features), study.hardness.mean())) < new
