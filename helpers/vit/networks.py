"""Networks of transformers: with random weights, and how they are run here."""

from __future__ import annotations

import contextlib
import hashlib
import json
import types
import warnings

import torch

from helpers import UserError

with warnings.catch_warnings():
    # transformers imports it, and in notebooks without ipywidgets the first import warns.
    warnings.filterwarnings("ignore", message="IProgress not found")
    import tqdm.auto  # noqa: F401

FLEXIBLE = {"dinov2", "dinov2_with_registers", "dinov3_vit"}  # any multiple of the patch
CONVNEXTS = {"convnext", "dinov3_convnext"}  # any multiple of what one position stands for
ROWS = 256  # of an attention map at a time, so that it stays near the cache


def hub_positions(embeddings, tokens, height, width):
    """DINOv2's position embeddings for another image size, by torch.hub's rule.

    The grid of positions is scaled by (n + 0.1) / n_trained, bicubically, where n is the number
    of patches along a side. That samples at slightly other points than a resize to n does.
    Rule of facebookresearch/dinov2, ``interpolate_offset=0.1``, no antialiasing.
    """
    patch = embeddings.patch_size
    n_rows, n_columns = height // patch, width // patch
    positions = embeddings.position_embeddings  # (1, 1 + side * side, width): class token first
    side = round((positions.shape[1] - 1) ** 0.5)
    if n_rows == n_columns == side:
        return positions
    # As an image of `width` channels. Its new size is the old one times the scale, rounded down:
    # n, because of the 0.1; but pixels are taken from where the scale says, not from n / side.
    grid = positions[:, 1:].float().reshape(1, side, side, -1).permute(0, 3, 1, 2)
    scale = ((n_rows + 0.1) / side, (n_columns + 0.1) / side)
    grid = torch.nn.functional.interpolate(grid, scale_factor=scale, mode="bicubic")
    grid = grid.permute(0, 2, 3, 1).reshape(1, n_rows * n_columns, -1).to(positions.dtype)
    return torch.cat([positions[:, :1], grid], dim=1)


def use_hub_positions(model):
    """Let a DINOv2 network find its position embeddings by `hub_positions`."""
    embeddings = model.embeddings
    embeddings.interpolate_pos_encoding = types.MethodType(hub_positions, embeddings)


def compute_class_token_only(model):
    """Let the last layer of a DINOv2 or CLIP network compute its class token and no other.

    The patches' keys and values are needed, their outputs are not: features are the same, and
    most of one layer's work is saved. Other networks are left as they are.
    """
    kind = model.config.model_type
    if kind == "dinov2":
        last = model.encoder.layer[-1]
        before, attention, after = last.norm1, last.attention, last.norm2
        projection, scales = attention.o_proj, (last.layer_scale1, last.layer_scale2)
    elif kind == "clip_vision_model":
        last = model.encoder.layers[-1]
        before, attention, after = last.layer_norm1, last.self_attn, last.layer_norm2
        projection, scales = attention.out_proj, (torch.nn.Identity(), torch.nn.Identity())
    else:
        return

    def heads(linear, tokens):  # (n, n_heads, n_tokens, head_dim)
        return linear(tokens).unflatten(-1, (-1, attention.head_dim)).transpose(1, 2)

    def forward(hidden_states, *_, **__):
        tokens = before(hidden_states)
        mixed = torch.nn.functional.scaled_dot_product_attention(
            heads(attention.q_proj, tokens[:, :1]),
            heads(attention.k_proj, tokens),
            heads(attention.v_proj, tokens),
        )
        mixed = projection(mixed.transpose(1, 2).flatten(2))
        token = hidden_states[:, :1] + scales[0](mixed)
        return token + scales[1](last.mlp(after(token)))

    last.forward = forward


def attend_by_products(model):
    """Let a DINOv2 or CLIP network attend by plain matrix products, some rows at a time.

    For bfloat16 on a CPU: PyTorch 2.13 multiplies matrices there with the processor's own
    instructions, about four times as fast as in float32, but its fused attention does not.
    Other networks are left as they are.
    """
    from transformers import AttentionInterface

    if model.config.model_type in ("dinov2", "clip_vision_model"):
        AttentionInterface.register("products", _attention)
        model.set_attn_implementation("products")


def _attention(module, query, key, value, attention_mask=None, *, scaling, **_):
    """Attention without a mask, as transformers calls it; heads come second, then last but one."""
    result = torch.empty_like(query)
    for start in range(0, query.shape[2], ROWS):
        rows = slice(start, start + ROWS)
        weights = ((query[:, :, rows] * scaling) @ key.mT).softmax(-1)
        result[:, :, rows] = weights @ value
    return result.transpose(1, 2).contiguous(), None


@contextlib.contextmanager
def quiet_transformers():
    """Its bars and reports are not wanted: what they would tell is raised as an error here."""
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity(logging.CRITICAL)
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def random_model(config, seed):
    """A network of an architecture with weights as its authors initialise them."""
    from transformers import AutoConfig, AutoModel

    with quiet_transformers(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return vision_part(AutoModel.from_config(AutoConfig.for_model(**config)))


def vision_part(model):
    """The image encoder of a model that has other parts as well, with all patches seen."""
    part = getattr(model, "vision_model", getattr(model, "vision_encoder", model))
    if any(weight.ndim == 5 for weight in part.parameters()):
        raise UserError(f"{part.config.model_type} networks take videos: choose one of images")
    if hasattr(part.config, "mask_ratio"):  # masked autoencoders hide patches in training alone
        part.config.mask_ratio = 0.0
    return part


def fingerprint_of(model):
    """SHA-256 of a network's weights: names, shapes and values in single precision."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name}{tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().float().contiguous().cpu().numpy().data)
    return digest.hexdigest()


def sizes(config, folder):
    """`patch`, `crop` and `input_size` of an `EncoderEntry`, as a folder's config states them."""
    kind = config.model_type
    if kind in CONVNEXTS:  # each stage after the first halves the rows and columns
        crop = getattr(config, "patch_size", 4) * 2 ** (len(config.depths) - 1)
        return {"patch": None, "crop": crop, "input_size": None}
    if not hasattr(config, "image_size"):  # as in SAM 2
        config = getattr(config, "backbone_config", None) or config
    # Networks of convolutions state none, for they take any; most were trained with 224.
    size = _one_number(getattr(config, "image_size", 224))
    patch = _one_number(getattr(config, "patch_size", None))
    patch = patch if isinstance(patch, int) else None
    if kind in FLEXIBLE:
        size = None
    elif not isinstance(size, int) or size < 1:
        raise UserError(
            f"{folder / 'config.json'}: image_size is {size}; expected one number, square images"
        )
    return {"patch": patch, "crop": patch or 1, "input_size": size}


def _one_number(size):
    same = isinstance(size, list | tuple) and len(set(size)) == 1
    return size[0] if same else size


def pixel_statistics(folder):
    """`mean` and `std` of an `EncoderEntry`, as a folder states them, or None twice."""
    # Since its version 5 transformers saves the second, with the parts for texts beside it.
    names = ("preprocessor_config.json", "processor_config.json")
    path = next((folder / name for name in names if (folder / name).is_file()), None)
    try:
        stated = json.loads(path.read_text(encoding="utf-8")) if path else {}
        stated = stated.get("image_processor", stated)
        mean, std = (stated.get(name) for name in ("image_mean", "image_std"))
        if mean is None or std is None:
            return {"mean": None, "std": None}
        mean, std = ([float(value) for value in values] for values in (mean, std))
    except (ValueError, TypeError, AttributeError) as error:
        raise UserError(f"{path} cannot be read: {error}") from error
    if not (len(mean) == len(std) == 3 and min(std) > 0):
        raise UserError(f"{path}: image_mean is {mean}, image_std {std}; expected three, std > 0")
    return {"mean": mean, "std": std}
