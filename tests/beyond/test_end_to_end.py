"""Networks trained on the three sections of a volume."""

import numpy as np
import pytest
import torch
from torch import nn

from helpers.beyond import end_to_end
from helpers.beyond.end_to_end import (
    FineTuned,
    SectionNetwork,
    SmallCNN,
    equivalent,
    learn_network,
    predict,
    train_on_sections,
)
from helpers.encoders import load_encoder
from helpers.synthetic.volumes import sections_of, two_phase_volume


class Mean(nn.Module):
    """Area fraction and its square: what a network may learn from in a test."""

    n_features = 2

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, sections):
        mean = self.scale * sections.mean((1, 2, 3))
        return torch.stack([mean, mean**2], dim=1)


@pytest.fixture(scope="module")
def volumes():
    sections = np.stack([sections_of(two_phase_volume(4, i, size=21).volume) for i in range(120)])
    return sections, np.exp(1 + 3 * sections.mean((1, 2, 3)))


def test_equivalent_volumes_keep_what_the_modulus_along_x_depends_on():
    rng = np.random.default_rng(0)
    sections = rng.integers(0, 2, (200, 3, 9, 9)).astype(np.uint8)
    changed = equivalent(sections, np.random.default_rng(1))
    np.testing.assert_array_equal(changed[:, 0].sum((1, 2)), sections[:, 0].sum((1, 2)))

    def rows(images):  # x is their first axis and stays it: sums along the others, in any order
        return np.sort(images.sum(axis=2), axis=1)

    def same(one, two):
        return (rows(one) == rows(two)).all(axis=1)

    (y, z), (new_y, new_z) = sections[:, 1:].swapaxes(0, 1), changed[:, 1:].swapaxes(0, 1)
    kept, swapped = same(new_y, y) & same(new_z, z), same(new_y, z) & same(new_z, y)
    assert (kept ^ swapped).all()
    assert 60 < kept.sum() < 140
    assert not np.array_equal(changed, sections)


def test_a_network_learns_and_predicts(volumes, tmp_path):
    sections, y = volumes
    train, val = np.arange(80), np.arange(80, 100)
    raw, history = train_on_sections(
        Mean, sections, y, train, val, tmp_path / "c.pt", epochs=40, lr=0.02
    )
    predicted = np.exp(raw)
    assert history[-1]["loss"] < 0.3 * history[0]["loss"]
    test = np.arange(100, 120)
    error = np.abs(predicted[test] / y[test] - 1).mean()
    assert error < 0.5 * np.abs(y[train].mean() / y[test] - 1).mean()


def test_an_interrupted_training_ends_as_one_that_was_not(volumes, tmp_path, monkeypatch):
    sections, y = volumes
    options = {"epochs": 4, "batch": 16, "seed": 1}
    rows = np.arange(60), np.arange(60, 80)
    whole, history = train_on_sections(
        SmallCNN, sections, y, *rows, tmp_path / "whole.pt", **options
    )
    write = end_to_end.predict

    def killed(net, some, **k):
        if len(some) == 20 and killed.count == 2:
            raise KeyboardInterrupt
        killed.count += len(some) == 20
        return write(net, some, **k)

    killed.count = 0
    path = tmp_path / "c.pt"
    with monkeypatch.context() as patch:
        patch.setattr(end_to_end, "predict", killed)
        with pytest.raises(KeyboardInterrupt):
            train_on_sections(SmallCNN, sections, y, *rows, path, **options)
    again, later = train_on_sections(SmallCNN, sections, y, *rows, path, **options)
    np.testing.assert_allclose(again, whole, rtol=1e-5)
    assert [h["epoch"] for h in later] == [0, 1, 2, 3]
    assert [h["loss"] for h in later] == pytest.approx([h["loss"] for h in history])
    with pytest.raises(ValueError, match="of a run with seed = 1, not 2"):
        train_on_sections(SmallCNN, sections, y, *rows, path, **{**options, "seed": 2})


def test_few_volumes_are_seen_more_often(volumes, tmp_path, monkeypatch):
    sections, y = volumes
    training = end_to_end.Training(Mean, 0.02, batch=16, epochs=2, steps=12)
    monkeypatch.setitem(end_to_end.NETWORKS, "mean", training)
    rows = np.arange(60), np.arange(60, 80)
    predicted, history = learn_network("mean", sections, y, *rows, tmp_path / "c.pt")
    assert len(history) == 3  # of four updates each
    raw, _ = train_on_sections(
        Mean, sections, y, *rows, tmp_path / "d.pt", epochs=3, batch=16, lr=0.02
    )
    np.testing.assert_array_equal(predicted, np.exp(raw))


def test_mirrors_give_one_prediction(volumes):
    network = SectionNetwork(SmallCNN())
    sections = volumes[0][:5]
    np.testing.assert_allclose(
        predict(network, sections), predict(network, sections[..., ::-1, ::-1]), atol=1e-5
    )


def test_fine_tuning_starts_from_the_shipped_features():
    encoder = load_encoder("microvit", device="cpu")
    images = torch.rand(2, 1, 51, 51)
    expected = encoder(images[..., :49, :49])
    network = FineTuned()
    torch.testing.assert_close(network(images).detach(), expected, atol=1e-4, rtol=1e-4)
    network(images).sum().backward()
    trained = {n for n, p in network.named_parameters() if p.grad is not None and p.grad.any()}
    assert "model.embeddings.patch_embeddings.projection.weight" in trained
    assert "model.layernorm.weight" in trained
