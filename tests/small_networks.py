"""Small networks of the families of encoders, saved as those that are published."""

import json
import math
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from transformers import CLIPConfig, CLIPModel, Dinov2Config, Dinov2Model, SamConfig, SamModel

from helpers.vit import networks

LAYOUTS = Path(__file__).parent / "vit" / "layouts"
SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
SAM = {
    **SMALL,
    "mlp_dim": 64,
    "image_size": 64,
    "patch_size": 16,
    "output_channels": 8,
    "global_attn_indexes": [1],
    "window_size": 2,
}


def realistic(kind, config):
    """The same network each time, its weights spread so that activations are not tiny."""
    torch.manual_seed(0)
    model = kind(config)
    for parameter in model.parameters():
        parameter.data += 0.05 * torch.randn(parameter.shape)
    return model.eval()


def save(model, folder):
    with networks.quiet_transformers():
        model.save_pretrained(folder)
    return folder


def tiny_clip(**changes):
    vision = {**SMALL, "intermediate_size": 64, "image_size": 64, "patch_size": 16, **changes}
    text = {**SMALL, "intermediate_size": 64, "vocab_size": 99, "bos_token_id": 1}
    return realistic(CLIPModel, CLIPConfig(vision_config=vision, text_config=text))


def tiny_dinov2(**changes):
    return realistic(Dinov2Model, Dinov2Config(**SMALL, image_size=70, patch_size=14, **changes))


def tiny_sam():
    return realistic(SamModel, SamConfig(vision_config=SAM))


def change_weights(folder, change):
    path = folder / "model.safetensors"
    state = load_file(path)
    change(state)
    save_file(state, path, metadata={"format": "pt"})


def read_layout(name):
    """Key names, shapes and config of a published checkpoint."""
    return json.loads((LAYOUTS / f"{name}.json").read_text(encoding="utf-8"))


def published_state(name, seed=0):
    """Weights under the key names of a published checkpoint, of sizes that keep activations so."""
    generator = torch.Generator().manual_seed(seed)
    state = {}
    for key, shape in read_layout(name)["keys"].items():
        noise = torch.randn(shape, generator=generator)
        if key.endswith("position_ids"):
            state[key] = torch.arange(shape[1])[None]
        elif key.endswith("num_batches_tracked"):
            state[key] = torch.tensor(7)
        elif len(shape) == 1:  # around 1 for what multiplies, around 0 for what is added
            around = key.endswith(("weight", "running_var", "lambda1"))
            state[key] = around + 0.1 * (noise.abs() if key.endswith("running_var") else noise)
        elif ("embed" in key and "projection" not in key) or "token" in key:
            state[key] = 0.3 * noise
        else:
            state[key] = noise * (2 / max(1, math.prod(shape[1:]))) ** 0.5
    return state


def torchvision_state(seed=0):
    """A ResNet-50 state with torchvision's key names, from the published architecture."""
    return published_state("micronet-resnet50", seed)


def resnet50(state, x):
    """ResNet-50 up to the global average pool, straight from torchvision's names."""

    def conv(x, name, **options):
        return torch.nn.functional.conv2d(x, state[name + ".weight"], **options)

    def norm(x, name):
        s = {k: state[f"{name}.{k}"] for k in ("running_mean", "running_var", "weight", "bias")}
        return torch.nn.functional.batch_norm(x, **s, training=False, eps=1e-5)

    x = torch.relu(norm(conv(x, "conv1", stride=2, padding=3), "bn1"))
    x = torch.nn.functional.max_pool2d(x, 3, 2, 1)
    for stage, depth in enumerate((3, 4, 6, 3), 1):
        for layer in range(depth):
            head, stride = f"layer{stage}.{layer}", 2 if stage > 1 and layer == 0 else 1
            y = torch.relu(norm(conv(x, head + ".conv1"), head + ".bn1"))
            y = conv(y, head + ".conv2", stride=stride, padding=1)
            y = norm(conv(torch.relu(norm(y, head + ".bn2")), head + ".conv3"), head + ".bn3")
            if layer == 0:
                x = norm(conv(x, head + ".downsample.0", stride=stride), head + ".downsample.1")
            x = torch.relu(x + y)
    return x.mean((2, 3))
