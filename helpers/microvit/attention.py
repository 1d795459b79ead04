"""Attention maps: where the class token of a vision transformer looks."""

from __future__ import annotations

import torch

from helpers import UserError


@torch.inference_mode()
def class_token_attention(encoder, pixels):
    """Attention of the class token to each patch, in the last layer.

    Parameters
    ----------
    encoder : helpers.encoders.Encoder
        Of the DINOv2 family, without registers.
    pixels : ndarray of float32, shape (c, H, W)
        One image as `helpers.preprocessing` gives it.

    Returns
    -------
    ndarray of float32, shape (n_heads, H // patch, W // patch)
        Weights; with that of the class token itself those of a head sum to one.

    Raises
    ------
    ValueError
        Another family.

    Examples
    --------
    >>> import numpy as np
    >>> from helpers.encoders import load_encoder
    >>> encoder = load_encoder("dinov2-s14", "random")
    >>> class_token_attention(encoder, np.zeros((3, 42, 56), np.float32)).shape
    (6, 3, 4)
    """
    if encoder.entry.config["model_type"] != "dinov2":
        raise UserError(f"{encoder.name} is no DINOv2: its layers are named otherwise")
    pixels = torch.from_numpy(pixels)[None].expand(-1, 3, -1, -1)
    pixels = pixels.to(encoder.device, encoder.dtype)
    before = encoder.model(pixel_values=pixels, output_hidden_states=True).hidden_states[-2]
    last = encoder.model.encoder.layer[-1]
    tokens, attention = last.norm1(before), last.attention
    query, key = (
        linear(x).unflatten(-1, (-1, attention.head_dim)).transpose(1, 2)
        for linear, x in ((attention.q_proj, tokens[:, :1]), (attention.k_proj, tokens))
    )
    weights = (query @ key.mT / attention.head_dim**0.5).softmax(-1)[0, :, 0, 1:]
    rows, columns = (side // encoder.entry.patch for side in pixels.shape[-2:])
    return weights.reshape(len(weights), rows, columns).float().cpu().numpy()
