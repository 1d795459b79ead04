"""What the probe of a loaded network proves, and what it refuses."""

import json

import pytest
import torch
from small_networks import SMALL, realistic, save, tiny_dinov2, tiny_sam
from transformers import (
    ConvNextConfig,
    ConvNextModel,
    Dinov2WithRegistersConfig,
    Dinov2WithRegistersModel,
    SamConfig,
    SamModel,
    ViTConfig,
    ViTModel,
)

from helpers import UserError, encoders
from helpers.encoders import ENCODERS, find_entry, load_encoder
from helpers.vit import checkpoints


def tiny_vit(folder, **changes):
    config = ViTConfig(**SMALL, intermediate_size=64, **{"image_size": 64, **changes})
    return save(realistic(ViTModel, config), folder)


def draw(images):
    return images + torch.rand_like(images)


def mix(images):
    return images - images.mean(0)


def lose(images):
    return torch.zeros_like(images)


def overflow(images):
    return images / 0


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (draw, "two calls with one image differ"),
        (mix, "depend on the others of its batch"),
        (lose, "two different images have the same features"),
        (overflow, "are not finite"),
    ],
)
def test_a_network_that_fails_a_proof_is_refused(tmp_path, monkeypatch, change, told):
    read = checkpoints.read_model

    def changed(folder, entry):
        model = read(folder, entry)

        def take(module, _, named):
            return (), {"pixel_values": change(named["pixel_values"])}

        model.register_forward_pre_hook(take, with_kwargs=True)
        return model

    tiny_vit(tmp_path / "vit")
    monkeypatch.setattr(checkpoints, "read_model", changed)
    with pytest.raises(UserError, match=rf"vit gives no features .*{told}.*no pooling works"):
        load_encoder(tmp_path / "vit", pooling="mean")


def test_maps_that_can_be_read_two_ways_are_refused(tmp_path):
    vision = tiny_sam().config.vision_config.to_dict() | {"output_channels": 4}
    save(realistic(SamModel, SamConfig(vision_config=vision)), tmp_path / "sam")
    with pytest.raises(UserError, match=r"which axis of its output \(2, 4, 4, 4\)"):
        load_encoder(tmp_path / "sam", pooling="mean")


def test_convnext_takes_any_multiple_of_32_pixels(tmp_path):
    config = ConvNextConfig(hidden_sizes=[4, 6, 8, 2], depths=[1, 1, 1, 1])
    model = realistic(ConvNextModel, config)
    encoder = load_encoder(save(model, tmp_path / "convnext"), pooling="mean")
    assert (encoder.entry.patch, encoder.entry.crop, encoder.entry.input_size) == (None, 32, None)
    images = torch.rand(2, 3, 64, 96)
    with torch.no_grad():
        maps = model(pixel_values=images).last_hidden_state
    assert maps.shape == (2, 2, 2, 3)  # (n, channels, rows, columns): channels as many as rows
    torch.testing.assert_close(encoder(images), maps.mean((2, 3)))


def test_registers_do_not_enter_the_mean_of_patches(tmp_path):
    config = Dinov2WithRegistersConfig(**SMALL, image_size=70, patch_size=14)
    model = realistic(Dinov2WithRegistersModel, config)
    encoder = load_encoder(save(model, tmp_path / "registers"), pooling="mean")
    images = torch.rand(2, 3, 42, 56)
    with torch.no_grad():
        tokens = model(pixel_values=images).last_hidden_state
    assert tokens.shape[1] == 1 + 4 + 3 * 4
    torch.testing.assert_close(encoder(images), tokens[:, 5:].mean(1))


def test_an_image_of_one_patch_has_a_class_token(tmp_path):
    encoder = load_encoder(save(tiny_dinov2(), tmp_path / "dinov2"), pooling="cls")
    images = torch.rand(2, 3, 14, 14)
    with torch.no_grad():
        tokens = tiny_dinov2()(pixel_values=images).last_hidden_state
    # torch.hub's rule and transformers' give the same positions for one patch.
    networks_own = load_encoder(tmp_path / "dinov2", pooling="cls", interpolation="hf")
    torch.testing.assert_close(networks_own(images), tokens[:, 0])
    assert encoder(images).shape == (2, 32)


@pytest.mark.parametrize("size", [None, [64, 32], "64"])
def test_a_size_that_is_no_number_is_told(tmp_path, size):
    config = json.loads((tiny_vit(tmp_path / "vit") / "config.json").read_text())
    (tmp_path / "vit" / "config.json").write_text(json.dumps(config | {"image_size": size}))
    with pytest.raises(UserError, match=r"config\.json.*image_size.* expected"):
        find_entry(tmp_path / "vit")


def test_pixel_statistics_of_a_processor_are_read(tmp_path):
    stated = {"image_mean": [0.1, 0.2, 0.3], "image_std": [0.5, 0.5, 0.5]}
    path = tiny_vit(tmp_path / "vit") / "processor_config.json"
    path.write_text(json.dumps({"image_processor": stated, "processor_class": "ViTProcessor"}))
    assert find_entry(tmp_path / "vit").mean == [0.1, 0.2, 0.3]


@pytest.mark.parametrize("name", ["dinov2-s14-reg", "dinov3-s16", "siglip2-b16"])
def test_a_new_encoder_passes_the_proofs(name, monkeypatch):
    entry = ENCODERS[name]
    small = entry.config | {"num_hidden_layers": 1}
    monkeypatch.setattr(
        encoders, "ENCODERS", {name: encoders.dataclasses.replace(entry, config=small)}
    )
    encoder = load_encoder(name, "random", pooling="mean")  # another one than is known
    side = entry.input_size or 4 * entry.crop
    assert encoder(torch.rand(1, 3, side, side)).shape == (1, entry.n_features)
