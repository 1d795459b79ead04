"""A few steps of the real pre-training, with a small network."""

import functools
import json
import shutil

import numpy as np
import pandas as pd
import pytest
import torch

from helpers.datasets import load_two_phase
from helpers.encoders import load_encoder
from helpers.io.results import read_results
from helpers.microvit import microstructures, pretraining, probes
from helpers.microvit import trainer as training
from helpers.microvit.measures import describers
from helpers.microvit.pretraining import train
from helpers.microvit.statistics import image_statistics, mean_chord
from helpers.microvit.trainer import Trainer
from helpers.microvit.training_images import sample_batch
from helpers.superalloy_scores import TWO_POINT
from helpers.synthetic import homogenization

TINY = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    """Images of one size, and one thread, so that a step is quick and sums have one order."""
    monkeypatch.setattr(training, "LARGE", (98,))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def tiny(seed=0):
    return Trainer(seed=seed, batch=16, architecture=TINY)


def losses(trainer, n, total=10):
    return [trainer.step(trainer.steps / total) for _ in range(n)]


def test_a_seed_gives_the_same_losses_twice():
    first, again = losses(tiny(), 3), losses(tiny(), 3)
    assert first == again
    assert first != losses(tiny(seed=1), 3)
    assert np.isfinite(first).all()


def test_resuming_is_the_same_as_going_on(tmp_path):
    whole = tiny()
    losses(whole, 2)
    whole.checkpoint(tmp_path / "c.pt")
    expected = losses(whole, 3)
    resumed = tiny()
    losses(resumed, 1)  # where it stood must not matter
    resumed.resume(tmp_path / "c.pt")
    assert losses(resumed, 3) == expected
    assert resumed.images == whole.images
    for (name, a), b in zip(
        whole.state_dict().items(), resumed.state_dict().values(), strict=True
    ):
        assert torch.equal(a, b), name


@pytest.mark.parametrize("other", [{"seed": 1}, {"lr": 1e-2}, {"batch": 8}, {"architecture": {}}])
def test_a_checkpoint_of_other_options_is_refused(other, tmp_path):
    tiny().checkpoint(tmp_path / "c.pt")
    options = {"seed": 0, "batch": 16, "architecture": TINY} | other
    with pytest.raises(ValueError, match=f"of a run with {next(iter(other))} = .*another folder"):
        Trainer(**options).resume(tmp_path / "c.pt")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "minutes is None, steps is None: expected one of the two"),
        (["--minutes", "1", "--steps", "2"], "steps is 2: expected one of the two"),
        (["--minutes", "-1"], "minutes is -1.0, steps is None: expected one of the two, and more"),
        (["--steps", "0"], "steps is 0: expected one of the two, and more"),
    ],
)
def test_arguments_are_looked_at_before_anything_is_computed(arguments, said, monkeypatch, capsys):
    monkeypatch.setattr(pretraining, "run_probes", None)
    with pytest.raises(SystemExit):
        pretraining.main(arguments)
    assert said in capsys.readouterr().err


def layers(rng, n, shape):
    """Straight stripes along either axis."""
    stripes = microstructures._stripes(rng, n, shape, rng.choice([0, np.pi / 2], n))
    return (stripes < rng.uniform(0.2, 0.8, (n, 1, 1))).astype(np.uint8)


@pytest.fixture(scope="module")
def learner():
    """A network after 120 steps on layers, for which that is enough, and its losses."""
    trainer = Trainer(batch=48, lr=2e-3, architecture=TINY)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "LARGE", training.SMALL)
        patch.setattr(microstructures, "FAMILIES", {"layers": (layers, 1.0, False)})
        return trainer, losses(trainer, 120, total=120)


def test_statistics_are_learned(learner):
    trainer, rows = learner
    assert np.mean(rows[-10:]) < 0.7 * np.mean(rows[:5])
    assert trainer.images > 120 * 36


def test_the_teacher_is_an_average_of_the_student():
    trainer = tiny()
    start = trainer.teacher.layernorm.weight.clone()
    losses(trainer, 4)
    student, teacher = trainer.student.layernorm.weight, trainer.teacher.layernorm.weight
    assert not torch.equal(teacher, start)
    assert not torch.equal(teacher, student)
    assert not any(p.requires_grad for p in trainer.teacher.parameters())


def test_images_of_unknown_polarity_are_asked_for_what_phases_share_alone():
    torch.manual_seed(0)
    head = training.Statistics(8)
    data = sample_batch(np.random.default_rng(0), 16, (49, 49), grey=0.0)
    token = torch.zeros(16, 8)
    for known, same in ((np.zeros(16, bool), True), (np.ones(16, bool), False)):
        one, two = (head.loss(token, p, known).item() for p in (data.phases, 1 - data.phases))
        assert (one == pytest.approx(two, rel=1e-4)) is same


def test_targets_are_standardised_and_conductivities_and_chords_count_more():
    head = training.Statistics(8)
    data = sample_batch(np.random.default_rng(9), 400, (49, 49))
    values = torch.from_numpy(image_statistics(data.phases))
    spread = ((values - head.mean) / head.scale).std(0)
    assert ((spread - 1).abs() < 0.35).float().mean() > 0.9
    assert set(head.weight.tolist()) == {1.0, 3.0}
    assert (head.weight == 3).sum() == 16 + 6


def test_a_missing_or_impossible_budget_is_told(tmp_path):
    wrong = ({}, {"minutes": 1, "steps": 1}, {"minutes": -1}, {"steps": 0}, {"minutes": np.nan})
    for budget in wrong:
        with pytest.raises(ValueError, match="expected one of the two, and more than 0"):
            train(tmp_path, **budget)


# From the training to the encoders


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run that was interrupted after seven of ten steps, and one that was not."""
    threads, folders = torch.get_num_threads(), []
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "LARGE", (98,))
        patch.setattr(pretraining, "run_probes", lambda encode: {"r2_fraction": 0.5})
        patch.setattr(pretraining, "SAVE_SECONDS", -1.0)
        patch.setattr(pretraining, "LOG_STEPS", 2)
        options = {"steps": 10, "batch": 16, "architecture": TINY}
        for stop in (None, 7):
            folders.append(tmp_path_factory.mktemp("run"))
            step = Trainer.step
            if stop:

                def killed(self, progress, step=step, stop=stop):
                    if self.steps == stop:
                        raise KeyboardInterrupt
                    return step(self, progress)

                patch.setattr(Trainer, "step", killed)
                with pytest.raises(KeyboardInterrupt):
                    train(folders[-1], **options)
                patch.setattr(Trainer, "step", step)
            train(folders[-1], **options)
    torch.set_num_threads(threads)
    return folders


def test_an_interrupted_run_ends_as_one_that_was_not(finished):
    logs = [pd.read_csv(folder / "log.csv").drop(columns="minutes") for folder in finished]
    pd.testing.assert_frame_equal(*logs)
    assert logs[0].loc[logs[0]["loss"].notna(), "step"].tolist() == [2, 4, 6, 8, 10]
    assert logs[0].loc[logs[0]["r2_fraction"].notna(), "step"].tolist() == [0, 10]
    one, two = ((folder / "model" / "model.safetensors").read_bytes() for folder in finished)
    assert one == two


def test_a_model_folder_that_was_cut_short_is_written_again(finished, tmp_path, monkeypatch):
    folder = shutil.copytree(finished[0], tmp_path / "run")
    whole = (folder / "model" / "model.safetensors").read_bytes()
    (folder / "model" / "model.safetensors").write_bytes(whole[:99])
    monkeypatch.setattr(pretraining, "run_probes", None)  # they were done
    options = {"steps": 10, "batch": 16, "architecture": TINY}
    train(folder, **options)
    assert (folder / "model" / "model.safetensors").read_bytes() == whole


def test_the_model_loads_as_an_encoder(finished):
    folder = finished[0] / "model"
    encoder = load_encoder(folder, pooling="cls", device="cpu")
    assert (encoder.entry.patch, encoder.entry.input_size, encoder.n_features) == (7, None, 64)
    assert json.loads((folder / "config.json").read_text())["model_type"] == "dinov2"
    data = sample_batch(np.random.default_rng(3), 4, (49, 49))
    small = torch.from_numpy(data.images)[:, None]
    assert encoder(small).shape == (4, 64)
    assert encoder(torch.rand(1, 1, 294, 399)).shape == (1, 64)
    trainer = Trainer(batch=16, architecture=TINY)
    trainer.resume(finished[0] / "checkpoint.pt")
    for shape in ((49, 49), (98, 70)):  # as in training, apart from half precision
        images = sample_batch(np.random.default_rng(3), 4, shape).images
        found = encoder(torch.from_numpy(images)[:, None]).numpy()
        np.testing.assert_allclose(found, trainer.encode(images), atol=0.02)


def test_sections_and_micrographs_of_other_sizes_give_features(finished):
    from helpers.features import extract_features

    rng, options = np.random.default_rng(0), {"store": False, "progress": False}
    encoder = load_encoder(finished[0] / "model", pooling="cls", device="cpu")
    sections = rng.integers(0, 2, (3, 51, 51), dtype=np.uint8)
    assert extract_features(sections, encoder, pipeline="section", **options).shape == (3, 64)
    micrograph = rng.integers(0, 255, (1, 300, 400), dtype=np.uint8)
    features = extract_features(micrograph, encoder, pipeline="micrograph", **options)
    assert np.isfinite(features).all()


def test_a_quarter_turn_changes_features_more_than_a_mirror_does(learner):
    trainer, _ = learner
    images = layers(np.random.default_rng(2), 90, (49, 49)).astype(np.float32)
    features = trainer.encode(images)

    def change(other):
        return np.linalg.norm(trainer.encode(other.copy()) - features, axis=1).mean()

    turned, mirrored = change(np.rot90(images, axes=(1, 2))), change(images[:, ::-1])
    assert turned > np.linalg.norm(features.std(0))
    assert turned > 5 * mirrored


# Probes


def test_probes_find_what_features_hold_and_nothing_else():
    batch = probes.probe_images(300)
    np.testing.assert_array_equal(batch.images, probes.probe_images(300).images)
    assert 0.5 < batch.known.mean() < 1
    noise = np.random.default_rng(0).standard_normal((300, 8))
    pair = batch.phases, 1 - batch.phases
    chord_x = sum(np.log(mean_chord(phase, 2)) for phase in pair) / 2
    r2 = probes.shape_r2(np.column_stack([noise, chord_x]), batch)
    assert r2[2] > 0.99
    assert max(r2[:2]) < 0.9
    assert max(probes.shape_r2(noise, batch)) < 0.1


def test_probe_volumes_are_solved_once(tmp_path, monkeypatch):
    monkeypatch.setattr(
        probes, "solve_volumes", functools.partial(probes.solve_volumes, shards=tmp_path)
    )
    sections, modulus = probes.probe_volumes.__wrapped__(2)
    assert sections.shape == (2, 3, 51, 51)
    assert ((modulus > 2.3) & (modulus < 120.1)).all()
    monkeypatch.setattr(homogenization, "solve_load_case", None)
    again = probes.probe_volumes.__wrapped__(2)
    np.testing.assert_array_equal(again[0], sections)
    np.testing.assert_array_equal(again[1], modulus)


def test_modulus_probe_prefers_features_that_tell_the_modulus():
    rng = np.random.default_rng(0)
    modulus = np.exp(rng.normal(3, 0.5, 200))
    noise = rng.standard_normal((200, 20))
    telling = np.column_stack([5 * modulus / modulus.std(), noise])
    assert probes.modulus_mape(telling, modulus) < 10
    assert probes.modulus_mape(noise, modulus) > 20


def test_probes_give_what_the_committed_comparison_of_objectives_says(monkeypatch):
    study = load_two_phase("embedded")
    monkeypatch.setattr(probes, "probe_volumes", lambda: (study.sections[:60], study.modulus[:60]))
    again = probes.run_probes(describers({})[TWO_POINT])
    table = read_results("microvit/pretraining_objectives").set_index("features")
    assert list(again) == list(table)[2:]
    shape = ["r2_fraction", "r2_chord_y", "r2_chord_x", "r2_anisotropy"]  # not of the volumes
    found = [again[name] for name in shape]
    np.testing.assert_allclose(found, table.loc[TWO_POINT, shape].astype(float), atol=1e-3)
