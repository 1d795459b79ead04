"""What must not pass for the network that a folder or an entry says it is."""

import dataclasses
import json
import re

import pytest
import torch
from safetensors.torch import save_file
from small_networks import (
    SMALL,
    change_weights,
    published_state,
    read_layout,
    realistic,
    save,
    tiny_clip,
    tiny_dinov2,
    tiny_sam,
)
from transformers import (
    Dinov2WithRegistersConfig,
    Dinov2WithRegistersModel,
    DINOv3ViTConfig,
    DINOv3ViTModel,
    SiglipVisionConfig,
    SiglipVisionModel,
    ViTConfig,
    ViTForImageClassification,
    ViTMAEConfig,
    ViTMAEModel,
    ViTModel,
)

from helpers import UserError
from helpers.encoders import ENCODERS, find_entry, load_encoder
from helpers.vit.checkpoints import NOT_ARCHITECTURE, config_facts, read_model

VIT = {**SMALL, "intermediate_size": 64, "image_size": 64, "patch_size": 16}


@pytest.fixture
def dinov2_folder(tmp_path):
    return save(tiny_dinov2(), tmp_path / "my-dinov2")


def change_config(folder, **changes):
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


# Other keys than the network's


def test_surplus_weights_are_named_and_the_command_told_strips_them(tmp_path):
    classifier = ViTForImageClassification(ViTConfig(**VIT)).eval()
    folder = save(classifier, tmp_path / "classifier")
    with pytest.raises(UserError, match=r"2 surplus weights \(classifier\.bias, class") as error:
        load_encoder(folder, pooling="cls")
    assert "random" not in str(error.value)
    exec(re.search(r'python -c "(.*?)"', str(error.value))[1], {})
    encoder = load_encoder(tmp_path / "classifier-stripped", pooling="cls")
    pixels = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        expected = classifier.vit(pixels).last_hidden_state[:, 0]
    torch.testing.assert_close(encoder(pixels), expected, rtol=1e-5, atol=1e-5)
    with pytest.raises(UserError, match=r"2 missing weights \(pooler\."):  # none was made up
        load_encoder(tmp_path / "classifier-stripped", pooling="pooler")


def test_a_pooler_that_nobody_asks_for_may_be_missing(tmp_path):
    backbone = save(ViTModel(ViTConfig(**VIT), add_pooling_layer=False), tmp_path / "backbone")
    first, second = (load_encoder(backbone, pooling="cls") for _ in range(2))
    assert first.fingerprint == second.fingerprint
    with pytest.raises(UserError, match=r"missing weights \(pooler.*partly random"):
        load_encoder(backbone, pooling="pooler")


@pytest.mark.parametrize("kind", ["other keys", "other shapes"])
def test_weights_of_another_architecture_are_named_as_such(dinov2_folder, tmp_path, kind):
    if kind == "other keys":
        save(ViTModel(ViTConfig(**VIT)), tmp_path / "vit")
        (tmp_path / "vit" / "model.safetensors").replace(dinov2_folder / "model.safetensors")
    else:
        change_weights(dinov2_folder, lambda s: s.update({"layernorm.weight": torch.ones(3)}))
    told = r"my-dinov2: the weights are of another architecture than dinov2 as configured: \d+ "
    with pytest.raises(UserError, match=told):
        load_encoder(dinov2_folder, pooling="cls")


# Code, quantised weights


@pytest.mark.parametrize("model_type", ["dinov2", "of my own"])
@pytest.mark.parametrize("inside", [False, True])
def test_code_of_a_folder_is_refused(dinov2_folder, model_type, inside, capfd):
    code = {"auto_map": {"AutoModel": "mine.Mine"}}
    change_config(
        dinov2_folder, model_type=model_type, **({"vision_config": code} if inside else code)
    )
    (dinov2_folder / "mine.py").write_text("print('code was run')")
    told = r"config\.json names code of its own \(auto_map: .*mine\.Mine.*never run"
    with pytest.raises(UserError, match=told):
        load_encoder(dinov2_folder, pooling="cls")
    assert "code was run" not in capfd.readouterr().out


def test_quantised_weights_are_refused_with_the_reason(dinov2_folder):
    name = "encoder.layer.0.mlp.fc1.weight"
    change_weights(dinov2_folder, lambda s: s.update({name: (99 * s[name]).to(torch.int8)}))
    told = rf"my-dinov2: {name} holds integers: the weights are quantised"
    with pytest.raises(UserError, match=told):  # transformers reads them as if they were weights
        load_encoder(dinov2_folder, pooling="cls")
    change_config(dinov2_folder, quantization_config={"quant_method": "bitsandbytes"})
    told = r"config\.json holds a quantization_config: the weights are.*save it in float32"
    with pytest.raises(UserError, match=told):
        load_encoder(dinov2_folder, pooling="cls")


def test_a_parameter_without_numbers_is_no_fault(tmp_path):
    """DINOv3 without registers has a parameter for none."""
    model = realistic(DINOv3ViTModel, DINOv3ViTConfig(**VIT, num_register_tokens=0))
    assert load_encoder(save(model, tmp_path / "dinov3"), pooling="mean").n_features == 32


def test_a_folder_of_timm_as_the_hub_has_it_is_refused(tmp_path):
    """It names no model type, and its configuration alone needs timm."""
    stated = {"architecture": "vit_tiny_patch16_224", "num_classes": 9, "num_features": 192}
    stated["pretrained_cfg"] = {"input_size": [3, 224, 224], "mean": [0.5, 0.5, 0.5]}
    (tmp_path / "config.json").write_text(json.dumps(stated))
    save_file({"cls_token": torch.zeros(1, 1, 192)}, tmp_path / "model.safetensors")
    with pytest.raises(UserError, match=r"another library computes|cannot be read"):
        load_encoder(tmp_path, pooling="cls")


# Another architecture than that of the entry


def tiny_vit():
    return realistic(ViTModel, ViTConfig(**VIT))


def tiny_siglip():
    return realistic(SiglipVisionModel, SiglipVisionConfig(**VIT))


def tiny_registers():
    config = Dinov2WithRegistersConfig(**SMALL, image_size=70, patch_size=14)
    return realistic(Dinov2WithRegistersModel, config)


def tiny_autoencoder():
    return realistic(ViTMAEModel, ViTMAEConfig(**VIT))


CHANGES = [
    (tiny_dinov2, {"hidden_act": "relu"}),
    (tiny_dinov2, {"layer_norm_eps": 1e-3}),
    (tiny_dinov2, {"num_attention_heads": 4}),
    (tiny_registers, {"hidden_act": "relu"}),
    (tiny_clip, {"hidden_act": "gelu"}),
    (tiny_clip, {"layer_norm_eps": 1e-3}),
    (tiny_sam, {"hidden_act": "relu"}),
    (tiny_sam, {"layer_norm_eps": 1e-3}),
    (tiny_vit, {"layer_norm_eps": 1e-3}),
    (tiny_siglip, {"hidden_act": "gelu"}),
    (tiny_autoencoder, {"layer_norm_eps": 1e-3}),
]


def entry_of(model, name="small"):
    """An entry as the registry has it: model type, and what is not the family's default."""
    config = getattr(model.config, "vision_config", model.config)
    default, stated = config_facts(type(config)()), config_facts(config)
    facts = {
        k: v
        for k, v in stated.items()
        if v != default.get(k) and not NOT_ARCHITECTURE.fullmatch(k)
    }
    facts["model_type"] = config.model_type
    return dataclasses.replace(
        ENCODERS["dinov2-s14"], name=name, title="Small", config=facts, pooling="mean"
    )


@pytest.mark.parametrize(("make", "change"), CHANGES)
def test_whatever_changes_numbers_is_compared(tmp_path, make, change):
    model = make()
    folder = save(model, tmp_path / "small")
    entry = entry_of(model)
    read_model(folder, entry)
    if hasattr(model.config, "vision_config"):
        stated = json.loads((folder / "config.json").read_text())["vision_config"]
        change_config(folder, vision_config={**stated, **change})
    else:
        change_config(folder, **change)
    ((name, value),) = change.items()
    with pytest.raises(UserError, match=rf"small is no Small: {name} is {value}, expected "):
        read_model(folder, entry)


LAYOUTS = {"clip-small": "clip-l14", "sam-small": "sam-h", "dinov2-s14": "dinov2-s14"}


@pytest.mark.parametrize("layout", [*LAYOUTS, "dinov2-giant-small"])
def test_the_published_configs_are_those_of_their_entries(tmp_path, layout):
    """The many facts of old configs: what the registry leaves out is the family's default."""
    (tmp_path / "config.json").write_text(json.dumps(read_layout(layout)["config"]))
    save_file(published_state(layout), tmp_path / "model.safetensors", metadata={"format": "pt"})
    entry = ENCODERS[LAYOUTS.get(layout, "dinov2-g14")]
    size = (
        "hidden_size",
        "intermediate_size",
        "mlp_dim",
        "num_hidden_layers",
        "num_attention_heads",
    )
    size += ("global_attn_indexes", "output_channels")
    config = read_layout(layout)["config"]
    part = config.get("vision_config") or config.get("vision_config_dict") or config
    small = {name: part[name] for name in size if name in part}
    entry = dataclasses.replace(entry, config={**entry.config, **small})
    read_model(tmp_path, entry)


def test_the_activation_of_clip_is_in_the_registry():
    acts = {ENCODERS[name].config.get("hidden_act") for name in ENCODERS if "clip" in name}
    assert acts == {"quick_gelu"}


# Names of the hub


def test_another_repository_is_answered_with_how_to_get_a_folder(
    monkeypatch, tmp_path, dinov2_folder
):
    told = "`hf download OWNER/NAME --local-dir FOLDER` makes one of a repository"
    with pytest.raises(UserError, match=f"'owner/net': expected one of .*{told}"):
        load_encoder("owner/net", pooling="cls")
    monkeypatch.chdir(tmp_path.parent)
    assert find_entry(f"{tmp_path.name}/my-dinov2").name == "my-dinov2"  # a folder comes first
