"""Small networks of the families of encoders, saved as those that are published."""

import torch
from safetensors.torch import load_file, save_file
from transformers import CLIPConfig, CLIPModel, Dinov2Config, Dinov2Model, SamConfig, SamModel

from helpers.vit import networks

SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}


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
    vision = {
        **SMALL,
        "mlp_dim": 64,
        "image_size": 64,
        "patch_size": 16,
        "output_channels": 8,
        "global_attn_indexes": [1],
        "window_size": 2,
    }
    return realistic(SamModel, SamConfig(vision_config=vision))


def change_weights(folder, change):
    path = folder / "model.safetensors"
    state = load_file(path)
    change(state)
    save_file(state, path, metadata={"format": "pt"})


def torchvision_state(seed=0):
    """A ResNet-50 state with torchvision's key names, from the published architecture."""
    generator = torch.Generator().manual_seed(seed)
    state = {}

    def conv(name, n_out, n_in, kernel):
        scale = (2 / (n_out * kernel**2)) ** 0.5
        state[name + ".weight"] = scale * torch.randn(
            n_out, n_in, kernel, kernel, generator=generator
        )

    def norm(name, n):
        state[name + ".weight"] = 1 + 0.1 * torch.randn(n, generator=generator)
        state[name + ".bias"] = 0.1 * torch.randn(n, generator=generator)
        state[name + ".running_mean"] = 0.1 * torch.randn(n, generator=generator)
        state[name + ".running_var"] = 1 + 0.1 * torch.rand(n, generator=generator)
        state[name + ".num_batches_tracked"] = torch.tensor(7)

    conv("conv1", 64, 3, 7)
    norm("bn1", 64)
    n_in = 64
    for stage, (depth, width) in enumerate(zip((3, 4, 6, 3), (64, 128, 256, 512), strict=True), 1):
        for layer in range(depth):
            head = f"layer{stage}.{layer}"
            for k, (a, b, size) in enumerate(
                [(width, n_in, 1), (width, width, 3), (4 * width, width, 1)], 1
            ):
                conv(f"{head}.conv{k}", a, b, size)
                norm(f"{head}.bn{k}", a)
            if layer == 0:
                conv(f"{head}.downsample.0", 4 * width, n_in, 1)
                norm(f"{head}.downsample.1", 4 * width)
            n_in = 4 * width
    state["fc.weight"] = torch.randn(54, 2048, generator=generator)
    state["fc.bias"] = torch.zeros(54)
    return state
