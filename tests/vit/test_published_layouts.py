"""Checkpoints in the layouts of the published ones, loaded to the numbers of their weights.

The key names in `layouts/` are those of the published files, which are older than what
transformers writes today; the weights are random.
"""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from small_networks import published_state, read_layout, resnet50
from torch.nn import functional
from transformers import AutoConfig, SamModel

from helpers import UserError
from helpers.encoders import load_encoder

# Forward passes straight from the key names


def linear(x, state, name):
    return functional.linear(x, state[f"{name}.weight"], state[f"{name}.bias"])


def norm(x, state, name, eps):
    weights = state[f"{name}.weight"], state[f"{name}.bias"]
    return functional.layer_norm(x, x.shape[-1:], *weights, eps)


def attend(x, state, names, n_heads):
    """Softmax attention over all tokens; names of query, key, value and output."""
    q, k, v = (linear(x, state, n).unflatten(-1, (n_heads, -1)).transpose(1, 2) for n in names[:3])
    weights = (q @ k.mT / q.shape[-1] ** 0.5).softmax(-1)
    return linear((weights @ v).transpose(1, 2).flatten(2), state, names[3])


def dinov2(state, config, pixels):
    """The class token after the final norm, at the size of the position embeddings."""
    patches = {k: state[f"embeddings.patch_embeddings.projection.{k}"] for k in ("weight", "bias")}
    x = functional.conv2d(pixels, **patches, stride=14).flatten(2).mT
    x = torch.cat([state["embeddings.cls_token"].expand(len(x), -1, -1), x], 1)
    x = x + state["embeddings.position_embeddings"]
    for i in range(config["num_hidden_layers"]):
        head = f"encoder.layer.{i}"
        names = [f"{head}.attention.attention.{n}" for n in ("query", "key", "value")]
        names.append(f"{head}.attention.output.dense")
        y = attend(
            norm(x, state, f"{head}.norm1", 1e-6), state, names, config["num_attention_heads"]
        )
        x = x + state[f"{head}.layer_scale1.lambda1"] * y
        y = norm(x, state, f"{head}.norm2", 1e-6)
        if config["use_swiglu_ffn"]:
            gate, value = linear(y, state, f"{head}.mlp.weights_in").chunk(2, -1)
            y = linear(functional.silu(gate) * value, state, f"{head}.mlp.weights_out")
        else:
            y = linear(
                functional.gelu(linear(y, state, f"{head}.mlp.fc1")), state, f"{head}.mlp.fc2"
            )
        x = x + state[f"{head}.layer_scale2.lambda1"] * y
    return norm(x, state, "layernorm", 1e-6)[:, 0]


def clip(state, config, pixels):
    """The image part's class token after the final norm, before the projection."""
    vision = config["vision_config_dict"]
    embeddings = "vision_model.embeddings"
    patches = state[f"{embeddings}.patch_embedding.weight"]
    x = functional.conv2d(pixels, patches, stride=vision["patch_size"]).flatten(2).mT
    x = torch.cat([state[f"{embeddings}.class_embedding"].expand(len(x), 1, -1), x], 1)
    x = x + state[f"{embeddings}.position_embedding.weight"]
    x = norm(x, state, "vision_model.pre_layrnorm", 1e-5)
    for i in range(vision["num_hidden_layers"]):
        head = f"vision_model.encoder.layers.{i}"
        names = [f"{head}.self_attn.{n}_proj" for n in ("q", "k", "v", "out")]
        y = norm(x, state, f"{head}.layer_norm1", 1e-5)
        x = x + attend(y, state, names, vision["num_attention_heads"])
        y = linear(norm(x, state, f"{head}.layer_norm2", 1e-5), state, f"{head}.mlp.fc1")
        x = x + linear(y * torch.sigmoid(1.702 * y), state, f"{head}.mlp.fc2")
    return norm(x[:, 0], state, "vision_model.post_layernorm", 1e-5)


def sam(state, config, pixels):
    """Its mean over positions; SAM's names are still those that were published."""
    model = SamModel(AutoConfig.for_model(**config)).eval()
    model.load_state_dict(state)
    return model.vision_encoder(pixels).last_hidden_state.mean((2, 3))


NETWORKS = {
    "dinov2-s14": (dinov2, "cls", 518),
    "dinov2-giant-small": (dinov2, "cls", 518),
    "clip-small": (clip, "pooler", 224),
    "sam-small": (sam, "mean", 1024),
}

# Forms in which checkpoints are published


def as_safetensors(state, folder):
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})


def as_bin(state, folder):
    torch.save(state, folder / "pytorch_model.bin")


def as_legacy_bin(state, folder):
    torch.save(state, folder / "pytorch_model.bin", _use_new_zipfile_serialization=False)


def in_parts(state, folder, kind, save):
    files = [
        f"{kind}-0000{i}-of-00002{'.safetensors' if kind == 'model' else '.bin'}" for i in (1, 2)
    ]
    index = {key: files[i % 2] for i, key in enumerate(state)}
    for file in files:
        save({key: state[key] for key in state if index[key] == file}, folder / file)
    name = f"{kind}{files[0][len(kind) + 15 :]}.index.json"
    (folder / name).write_text(json.dumps({"metadata": {}, "weight_map": index}))


def as_parts(state, folder):
    def save(part, path):
        save_file(part, path, metadata={"format": "pt"})

    in_parts(state, folder, "model", save)


def as_bin_parts(state, folder):
    in_parts(state, folder, "pytorch_model", torch.save)


FORMS = {f.__name__: f for f in (as_safetensors, as_bin, as_legacy_bin, as_parts, as_bin_parts)}
CASES = [(name, form, torch.float32) for name in ("dinov2-s14", "clip-small") for form in FORMS]
CASES += [
    ("dinov2-giant-small", "as_safetensors", torch.float32),
    ("sam-small", "as_bin", torch.float32),
]
CASES += [("dinov2-s14", "as_safetensors", torch.float16), ("clip-small", "as_bin", torch.float16)]


def publish(name, state, folder, form="as_safetensors"):
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(read_layout(name)["config"]))
    FORMS[form](state, folder)
    return folder


def rounded(state, dtype):
    return {k: v.to(dtype) if v.is_floating_point() else v for k, v in state.items()}


@pytest.mark.parametrize(("name", "form", "dtype"), CASES)
def test_a_published_layout_gives_the_numbers_of_its_weights(tmp_path, name, form, dtype):
    forward, pooling, side = NETWORKS[name]
    state = rounded(published_state(name), dtype)
    options = {"interpolation": "hub"} if forward is dinov2 else {}
    folder = publish(name, state, tmp_path / "published", form)
    encoder = load_encoder(folder, pooling=pooling, **options)
    pixels = torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = forward(rounded(state, torch.float32), read_layout(name)["config"], pixels)
    found = encoder(pixels)
    assert found.std() > 0.01  # no constant
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


SHARED = ["prompt_encoder.shared_embedding", "shared_image_embedding"]


@pytest.mark.parametrize("left_out", SHARED)
@pytest.mark.parametrize("form", ["as_safetensors", "as_bin"])
def test_sams_shared_embedding_may_be_stored_once(tmp_path, left_out, form):
    state = published_state("sam-small")
    twice, once = (f"{name}.positional_embedding" for name in SHARED)
    state[twice] = state[once].clone()
    whole = load_encoder(publish("sam-small", state, tmp_path / "twice", form), pooling="mean")
    del state[f"{left_out}.positional_embedding"]
    part = load_encoder(publish("sam-small", state, tmp_path / "once", form), pooling="mean")
    assert part.fingerprint == whole.fingerprint


# MicroNet: torchvision's names


@pytest.fixture
def micronet(tmp_path, monkeypatch):
    folder = tmp_path / "data" / "encoders" / "micronet-resnet50"
    folder.mkdir(parents=True)
    monkeypatch.setenv("MICROPROP_DATA", str(tmp_path / "data"))
    return folder / "resnet50_pretrained_microscopynet_v1.1.pth.tar"


MICRONET_FORMS = {
    "flat": lambda s: s,
    "wrapped": lambda s: {"epoch": 9, "arch": "resnet50", "state_dict": s},
    "parallel": lambda s: {"state_dict": {f"module.{k}": v for k, v in s.items()}},
    "half": lambda s: s,
    "54 classes": lambda s: s | {"fc.weight": s["fc.weight"][:54], "fc.bias": s["fc.bias"][:54]},
    "no fc": lambda s: {k: v for k, v in s.items() if not k.startswith("fc.")},
    "not counted": lambda s: {k: v for k, v in s.items() if "num_batches" not in k},
}


@pytest.mark.parametrize("form", MICRONET_FORMS)
@pytest.mark.parametrize("as_zip", [True, False])
def test_micronet_has_the_weights_of_the_checkpoint(micronet, form, as_zip):
    state = rounded(
        published_state("micronet-resnet50"), torch.half if form == "half" else torch.float
    )
    torch.save(MICRONET_FORMS[form](state), micronet, _use_new_zipfile_serialization=as_zip)
    encoder = load_encoder("micronet-resnet50")
    pixels = torch.rand(1, 3, 64, 64)
    assert encoder.title == "ResNet-50 (MicroNet)"
    found, expected = encoder(pixels), resnet50(rounded(state, torch.float32), pixels)
    assert found.shape == (1, 2048)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3 * float(expected.abs().max()))


def change_micronet(kind, state):
    if kind == "missing":
        del state["layer3.2.conv2.weight"]
    elif kind == "unknown":
        state["layer3.9.conv2.weight"] = torch.zeros(1)
    elif kind == "a head":
        state = {f"module.{k}": v for k, v in {**state, "classifier.bias": torch.zeros(3)}.items()}
    elif kind == "another network":
        state["layer1.0.conv1.weight"] = torch.zeros(64, 64, 3, 3)
    elif kind == "no weights":
        state = {"epoch": 3, "optimizer": {}}
    else:
        state = [1, 2]
    return state


@pytest.mark.parametrize(
    ("kind", "message"),
    {
        "missing": r'Missing key.* "encoder\.stages\.2\.layers\.2\.layer\.1\.convolution\.weight"',
        "unknown": r'Unexpected key.* "encoder\.stages\.2\.layers\.9\.layer\.1\.convolution',
        "a head": r'Unexpected key.* "classifier\.bias"',
        "another network": r"size mismatch for encoder\.stages\.0\.layers\.0\.layer\.0\.conv",
        "no weights": "Missing key",
        "a list": "no attribute",
    }.items(),
)
def test_what_is_no_micronet_is_told(micronet, kind, message):
    torch.save(change_micronet(kind, published_state("micronet-resnet50")), micronet)
    told = rf"v1\.1\.pth\.tar holds no ResNet-50 under torchvision's names .*{message}"
    with pytest.raises(UserError, match=told):
        load_encoder("micronet-resnet50")


class Bomb:
    def __reduce__(self):
        return print, ("code was run",)


def test_micronet_refuses_code(micronet, capfd):
    torch.save({**published_state("micronet-resnet50"), "bomb": Bomb()}, micronet)
    with pytest.raises(ValueError, match="could run code"):
        load_encoder("micronet-resnet50")
    assert "code was run" not in capfd.readouterr().out
