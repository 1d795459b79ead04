"""Sizes and pixels of the two pipelines, against computations by other means."""

import dataclasses
import doctest

import numpy as np
import pytest
import torch
from PIL import Image

from helpers import preprocessing
from helpers.encoders import ENCODERS
from helpers.images.read import ImageError
from helpers.preprocessing import (
    input_rule,
    prepare,
    preprocess_micrograph,
    preprocess_section,
)

SECTION = np.random.default_rng(0).integers(0, 2, (51, 51), dtype=np.uint8)
COLOUR = np.full((99, 99, 3), (10, 20, 30), np.uint8)
GREY = np.random.default_rng(1).integers(0, 256, (662, 731), dtype=np.uint8)
# Of the paper's text and of facts on its files: what is kept of 51 x 51 and of 662 x 731. Other
# encoders need no line here: `section_of` and `micrograph_of` follow from their entries.
SECTIONS = {"dinov2": (1, 42, 42), "clip": (5, 224, 224), "resnet": (5, 224, 224)}
SECTIONS |= {"sam": (21, 1024, 1024)}
SECTIONS |= {"microvit": (1, 49, 49)}
MICROGRAPHS = {
    "microvit": (640, 731, (196, 224)),
    "clip-b16": (656, 656, 224),
    "clip-b32": (640, 640, 224),
    "clip-l14": (658, 658, 224),
    "sam-h": (658, 658, 1024),
    "micronet-resnet50": (662, 662, 224),
    "imagenet-micronet-resnet50": (662, 662, 224),
} | {f"dinov2-{size}14": (658, 728, None) for size in "sblg"}


def section_of(entry):
    """Split and kept (height, width) of a section, by the rule for the fields of an entry."""
    if entry.input_size is None:
        return 1, 51 - 51 % entry.crop, 51 - 51 % entry.crop
    return int(np.ceil(entry.input_size / 51)), entry.input_size, entry.input_size


def micrograph_of(entry):
    """Kept height and width of a micrograph, and the size that it is brought to."""
    if entry.input_size is not None:
        return 662 - 662 % entry.crop, 662 - 662 % entry.crop, entry.input_size
    if entry.longest is None or entry.longest >= 731:
        return 662 - 662 % entry.crop, 731 - 731 % entry.crop, None
    size = tuple(n * entry.longest // 731 // entry.crop * entry.crop for n in (662, 731))
    return *(round(n * 731 / entry.longest) for n in size), size


def test_known_answers_follow_from_the_entries():
    for name, kept in MICROGRAPHS.items():
        entry = ENCODERS[name]
        assert micrograph_of(entry) == kept, name
        assert section_of(entry) == (SECTIONS.get(name) or SECTIONS[entry.family]), name


@pytest.mark.parametrize("module", [preprocessing])
def test_examples_in_docstrings(module):
    result = doctest.testmod(module)
    assert result.attempted > 0
    assert result.failed == 0


@pytest.mark.parametrize("name", ENCODERS)
def test_sections_are_cropped_or_split(name):
    split, height, width = section_of(ENCODERS[name])
    expected = np.kron(SECTION, np.ones((split, split)))[:height, :width]
    found = preprocess_section(SECTION, name)
    assert (found.dtype, found.shape) == (np.float32, (3, height, width))
    for channel in found:
        np.testing.assert_array_equal(channel, expected)


@pytest.mark.parametrize("name", ENCODERS)
def test_micrographs_are_cropped_at_the_top_left_and_resized(name):
    height, width, size = micrograph_of(ENCODERS[name])
    found = preprocess_micrograph(GREY, name)
    cropped = GREY[:height, :width].astype(np.float32) / np.float32(255)
    if size is None:
        assert found.shape == (3, height, width)
        np.testing.assert_allclose(found, np.stack([cropped] * 3), atol=1e-7)
        return
    # Pillow's bilinear filter is antialiased as well, and was written by others.
    rows, columns = size if isinstance(size, tuple) else (size, size)
    expected = Image.fromarray(cropped).resize((columns, rows), Image.Resampling.BILINEAR)
    assert (found.dtype, found.shape) == (np.float32, (3, rows, columns))
    atol = 1e-5 if name in MICROGRAPHS else 1e-4  # both round, less or more with the size
    for channel in found:
        np.testing.assert_allclose(channel, np.asarray(expected), atol=atol)


def test_a_longest_side_leaves_small_micrographs_as_they_are():
    for shape, kept in [((160, 200), (154, 196)), ((224, 7), (224, 7)), ((221, 224), (217, 224))]:
        assert input_rule("microvit", shape) == (1, kept, kept)
    assert input_rule("microvit", (300, 251), "section") == (1, (294, 245), (294, 245))


@pytest.mark.parametrize("longer", [225, 300, 511, 731, 1100])
def test_larger_micrographs_come_to_the_longest_side_without_distortion(longer):
    for shorter in {31 * longer // 224 + 1, longer // 3, longer - 1, longer}:
        for shape in ((longer, shorter), (shorter, longer)):
            split, crop, fit = input_rule("microvit", shape)
            assert (split, max(fit), max(crop)) == (1, 224, longer)
            assert [side % 7 for side in fit] == [0, 0]
            for n, kept, side in zip(shape, crop, fit, strict=True):
                assert kept == round(side * longer / 224) <= n < (side + 7) * longer / 224 + 1


def test_a_narrow_strip_keeps_one_patch_across_and_its_proportions():
    assert input_rule("microvit", (1100, 20)) == (1, (1100, 20), (385, 7))
    assert input_rule("microvit", (7, 3000)) == (1, (7, 2996), (7, 2996))


def test_a_longest_side_is_a_field_of_any_encoder():
    entry = dataclasses.replace(ENCODERS["dinov2-s14"], longest=280)
    assert input_rule(entry, (560, 300)) == (1, (560, 280), (280, 140))
    assert ENCODERS["dinov2-s14"].longest is None


@pytest.mark.parametrize("preprocess", [preprocess_section, preprocess_micrograph])
@pytest.mark.parametrize("name", ["dinov2-b14", "clip-l14", "micronet-resnet50"])
def test_normalisation_is_the_encoders_own(preprocess, name):
    entry, image = ENCODERS[name], SECTION
    plain, normal = (preprocess(image, name, n) for n in ("none", "encoder"))
    mean, std = (np.array(v)[:, None, None] for v in (entry.mean, entry.std))
    np.testing.assert_allclose(normal, (plain - mean) / std, rtol=1e-5, atol=1e-6)
    assert normal.dtype == np.float32


def test_colour_stays_colour():
    colour = np.random.default_rng(0).integers(0, 256, (50, 60, 3), dtype=np.uint8)
    found = preprocess_micrograph(colour, "dinov2-s14")
    np.testing.assert_allclose(found, colour[:42, :56].transpose(2, 0, 1) / 255, atol=1e-7)


def test_one_channel_is_kept_where_it_says_it_all():
    assert prepare(GREY, "dinov2-s14").shape == (1, 658, 728)
    assert prepare(GREY, "dinov2-s14", normalize="encoder").shape == (3, 658, 728)


def test_bit_depth_does_not_matter():
    deep = preprocess_micrograph(GREY.astype(np.uint16) * 257, "clip-b16")
    np.testing.assert_allclose(deep, preprocess_micrograph(GREY, "clip-b16"), atol=1e-6)


def test_a_file_is_its_pixels(tmp_path):
    Image.fromarray(GREY).save(tmp_path / "a.png")
    np.testing.assert_array_equal(
        preprocess_micrograph(tmp_path / "a.png", "sam-h"), preprocess_micrograph(GREY, "sam-h")
    )


def test_sections_of_one_phase_are_sections():
    assert preprocess_section(np.zeros((51, 51), np.uint8), "clip-b16").max() == 0
    assert preprocess_section(np.ones((51, 51), bool), "clip-b16").min() == 1


def test_sections_of_other_sizes_are_split_by_the_smallest_factor():
    assert input_rule("clip-b16", (100, 120), "section").split == 3
    assert input_rule("sam-h", (1024, 1024), "section").split == 1
    assert input_rule("dinov2-s14", (300, 200), "section").crop == (294, 196)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: preprocess_section(np.zeros((13, 51)), "dinov2-s14"), "13 x 51.*one patch"),
        (lambda: preprocess_section(np.zeros((6, 51)), "microvit"), "6 x 51.*MicroViT .7 x 7"),
        (lambda: preprocess_micrograph(GREY[:6], "microvit"), "6 x 731.*one patch"),
        (lambda: preprocess_section(np.zeros((225, 225)), "clip-b16"), "225 x 225.*'micrograph'"),
        (lambda: preprocess_section(np.full((51, 51), 2.0), "clip-b16"), "2.0"),
        (lambda: preprocess_section(np.full((51, 51), np.nan), "clip-b16"), "nan"),
        (lambda: preprocess_micrograph(np.zeros((99, 99)), "clip-b16"), "all pixels are"),
        (lambda: preprocess_micrograph(COLOUR, "clip-b16"), "all pixels are"),
        (lambda: preprocess_micrograph(GREY[:15], "clip-b16"), "15 x 731.*16 x 16"),
        (lambda: preprocess_micrograph(GREY.astype(float), "clip-b16"), "value_range"),
    ],
)
def test_bad_images_are_told(call, message):
    with pytest.raises(ImageError, match=f"(?s){message}"):
        call()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: preprocess_section(SECTION, "dinov2"), "encoder 'dinov2'"),
        (lambda: preprocess_section(SECTION, "clip-b16", "imagenet"), "normalize is 'imagenet'"),
        (lambda: input_rule("clip-b16", (51, 51), "slice"), "pipeline is 'slice'"),
    ],
)
def test_unknown_options_are_told(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_an_encoder_without_statistics_cannot_normalise(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "dinov2", "patch_size": 7}')
    with pytest.raises(ValueError, match=r"preprocessor_config\.json"):
        preprocess_section(SECTION, tmp_path, "encoder")
    with pytest.raises(ValueError, match="microvit states no mean"):
        preprocess_section(SECTION, "microvit", "encoder")
    assert preprocess_section(SECTION, tmp_path).shape == (3, 49, 49)


def test_inputs_can_be_changed_by_the_caller():
    found = preprocess_section(SECTION, "dinov2-s14")
    found[:] = 7
    assert torch.from_numpy(found).sum() > 0
    assert SECTION.max() == 1
