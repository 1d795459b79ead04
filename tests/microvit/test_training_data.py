"""Nothing of what MicroViT is evaluated on is among what it was trained or chosen on.

The seeds differ, so the generators cannot give the same numbers; this looks at the images.
"""

import numpy as np
import pytest

from helpers.datasets import load_superalloys, load_two_phase
from helpers.microvit import probes, trainer
from helpers.segmentation import segment
from helpers.synthetic import alloys as superalloys
from helpers.synthetic.volumes import sections_of, two_phase_volume

SIDE = 49  # of the smallest training images: what coincides would show in such a window
FEW, ALL = 1 / 12, 1.0  # of the volumes, of the steps
ROWS, COLUMNS = np.random.default_rng(0).integers(1, 2**63, (2, SIDE), dtype=np.uint64)
UNIFORM = np.outer(ROWS, COLUMNS).sum()


def hashes_of(images):
    """Hashes (n, rows, columns) of all 49 x 49 windows of images (n, h, w) of 0 and 1."""
    x = images.astype(np.uint64)
    height, width = (n - SIDE + 1 for n in x.shape[1:])
    x = sum(k * x[:, i : i + height] for i, k in enumerate(ROWS))
    return sum(k * x[:, :, i : i + width] for i, k in enumerate(COLUMNS))


def telling_windows(images):
    """Windows (n, 49, 49) at every seventh place, but those that say nothing of their origin.

    One phase, straight layers along an axis and a few pixels at a border come out the same from
    any generator; so each window must have interface of some length along both axes.
    """
    windows = np.lib.stride_tricks.sliding_window_view(images, (SIDE, SIDE), (1, 2))
    windows = windows[:, ::7, ::7].reshape(-1, SIDE, SIDE)
    along = [(np.diff(windows, axis=axis) != 0).sum((1, 2)) for axis in (1, 2)]
    return windows[np.minimum(*along) >= 15]


def shared(images, evaluated):
    """How many telling windows of `images` are in `evaluated`, maybe mirrored or inverted."""
    windows, found = telling_windows(images), 0
    for up in (1, -1):
        for left in (1, -1):
            hashes = hashes_of(windows[:, ::up, ::left]).ravel()
            for wanted in (hashes, UNIFORM - hashes):
                places = np.searchsorted(evaluated, wanted).clip(max=len(evaluated) - 1)
                found += np.count_nonzero(evaluated[places] == wanted)
    return found


@pytest.fixture(
    scope="module",
    params=[pytest.param(FEW, id="part"), pytest.param(ALL, id="all", marks=pytest.mark.slow)],
)
def share(request):
    """How much is compared: a part of it, and in `make test-all` all."""
    return request.param


@pytest.fixture(scope="module")
def evaluated(share):
    """Hashes of the embedded sections and of the segmented embedded superalloys, sorted."""
    study, alloys = load_two_phase("embedded"), load_superalloys("embedded")
    sections = study.sections[: round(share * len(study.sections))]
    parts = list(np.array_split(sections.reshape(-1, *sections.shape[2:]), 20))
    images = alloys.images[: round(share * len(alloys.images))]
    parts += [segment(image, method="paper")[None] for image in images]
    return np.unique(np.concatenate([hashes_of(part).ravel() for part in parts]))


@pytest.fixture(scope="module")
def drawn(share):
    """Microstructures of the first steps of the real run, drawn by its own code."""
    batches = []
    draw = trainer.sample_batch

    def draw_and_keep(*arguments, **options):
        batch = draw(*arguments, **options)
        batches.append(batch.phases)
        return batch

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trainer, "sample_batch", draw_and_keep)
        patch.setattr(
            trainer.Trainer,
            "_loss",
            lambda self, *_: sum(0 * p.sum() for p in self.student.parameters()),
        )
        small = {"hidden_size": 64, "num_hidden_layers": 1, "num_attention_heads": 1}
        run = trainer.Trainer(seed=0, architecture=small)
        for _ in range(round(60 * share)):
            run.step(0.5)
    return batches


def test_the_comparison_finds_what_was_planted(evaluated):
    sections = load_two_phase("embedded").sections[:300, 1]
    planted = np.zeros((len(sections), 70, 60), np.uint8)
    planted[:, 12:63, 5:56] = sections[:, ::-1]
    assert shared(planted, evaluated) > 100
    micrograph = segment(load_superalloys("embedded").images[5], method="paper")
    assert shared(1 - micrograph[None, 3:, 2:], evaluated) > 100
    noise = np.random.default_rng(0).integers(0, 2, planted.shape)
    assert shared(noise, evaluated) == 0


def test_no_training_image_shows_a_part_of_an_evaluated_one(evaluated, drawn, share):
    small = [batch for batch in drawn if max(batch.shape[1:]) <= 56]
    assert sum(map(len, small)) > 1500 * share
    assert sum(len(telling_windows(batch)) for batch in small) > 1500 * share
    assert sum(shared(batch, evaluated) for batch in drawn) == 0


def test_no_section_of_the_probes_is_an_evaluated_one(evaluated, share):
    assert probes.SEED not in (load_two_phase("embedded").seed, superalloys.SEED)
    volumes = [two_phase_volume(probes.SEED, i).volume for i in range(round(800 * share))]
    sections = np.concatenate([sections_of(volume) for volume in volumes])
    assert len(telling_windows(sections)) > 1000 * share
    assert shared(sections, evaluated) == 0
    images = probes.probe_images()[0]
    binary = images[np.isin(images, (0, 1)).all((1, 2))].astype(np.uint8)
    assert len(telling_windows(binary)) > 200
    assert shared(binary, evaluated) == 0
