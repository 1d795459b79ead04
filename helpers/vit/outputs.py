"""From what a network returns to features, and the proofs that these are what they are called."""

from __future__ import annotations

import math
import re

import torch

from helpers import UserError

# Learned tokens that stand before those of the patches, as transformers' networks call them.
CLASS_TOKEN = re.compile(r"(^|\.)(cls_token|class_token|class_embedding|cls_register_token)$")
OTHER_TOKENS = re.compile(r"(^|\.)(distillation_token|register_tokens)$")
# Shares of the largest feature: by which calls may differ, batches in half precision, and by which
# two images must.
TOLERANCE, HALF, DIFFERENT = 1e-3, 0.05, 1e-5


def n_learned_tokens(model, names):
    """How many tokens before the patches a network learns as parameters with such `names`."""
    found = [p.shape for name, p in model.named_parameters() if names.search(name)]
    return sum(shape[-2] if len(shape) > 1 else 1 for shape in found)


def n_special_tokens(model, model_type):
    """How many tokens of a network stand for no patch: class, distillation, registers."""
    first = int(model_type == "dinov3_convnext")  # the mean of the patches: not learned
    return first + sum(n_learned_tokens(model, names) for names in (CLASS_TOKEN, OTHER_TOKENS))


def pool(output, entry, shape, n_special):
    """Features (n, d) from a network's output.

    Parameters
    ----------
    output : transformers.utils.ModelOutput
    entry : helpers.encoders.EncoderEntry
        Of which `pooling` and `patch` count.
    shape : tuple of int
        (height, width) of the images [pixels].
    n_special : int
        From `n_special_tokens`.

    Returns
    -------
    torch.Tensor, shape (n, d)
    """
    if entry.pooling == "pooler":
        return output.pooler_output.flatten(1)
    tokens = output.last_hidden_state
    if tokens.ndim == 4:
        first, last = _channel_axes(tokens, shape)
        return tokens.mean((1, 2) if last and not first else (2, 3))
    if entry.pooling == "cls":
        return tokens[:, 0]
    bare = tokens.shape[1] == _n_patches(shape, entry.patch)
    return tokens[:, 0 if bare else n_special :].mean(1)


def _n_patches(shape, patch):
    return (shape[0] // patch) * (shape[1] // patch) if patch else None


def _channel_axes(maps, shape):
    """Whether the channels of `maps` can be axis 1, and axis 3: the others have the image's form.

    SAM 2 and others of its kind return (n, rows, columns, channels).
    """
    (height, width), (_, a, b, c) = shape, maps.shape
    return height * c == width * b, height * b == width * a


def probe(encoder, side):
    """Length of the features of a loaded network, proved on images of `side` x `side` pixels.

    Parameters
    ----------
    encoder : helpers.encoders.Encoder
    side : int

    Returns
    -------
    int

    Raises
    ------
    UserError
        The pooling does not exist in the network, or would mix tokens of other things with those
        of the patches; features are not finite, differ from call to call, depend on the other
        images of a batch, or do not depend on the image.
    Exception
        Of any kind, from a network that takes no such images.
    """
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(2, 3, side, side, generator=generator)
    images[1] *= torch.linspace(0, 1, side)
    output = encoder.output(images)
    _prove_pooling(output, encoder, side)
    both = pool(output, encoder.entry, (side, side), encoder.n_special).float().cpu()
    one, again = encoder(images[:1]), encoder(images[:1])
    if not both.isfinite().all():
        raise UserError("its features are not finite")
    largest = both.abs().max()
    if (one - again).abs().max() > TOLERANCE * largest:
        raise UserError("two calls with one image differ: it draws random numbers")
    batch = TOLERANCE if encoder.dtype is torch.float32 else HALF
    if (one - both[:1]).abs().max() > batch * largest:
        raise UserError("the features of an image depend on the others of its batch")
    if (both[0] - both[1]).abs().max() < DIFFERENT * largest:
        raise UserError("two different images have the same features")
    return both.shape[1]


def _prove_pooling(output, encoder, side):
    """Raise a UserError where `output` has not what the pooling says."""
    how, patch = encoder.entry.pooling, encoder.entry.patch
    if how == "pooler":
        if getattr(output, "pooler_output", None) is None:
            raise UserError("it has no pooled output")
        return
    tokens = getattr(output, "last_hidden_state", None)
    if tokens is None or tokens.ndim not in (3, 4) or len(tokens) != 2:
        raise UserError("it returns no patches of each image")
    if hasattr(output, "encoder_last_hidden_state"):
        raise UserError("its last layer is of objects that it looks for, not of patches")
    if tokens.ndim == 4:
        axes = _channel_axes(tokens, (side, side))
        if sum(axes) != 1:
            raise UserError(f"which axis of its output {tuple(tokens.shape)} is channels, is open")
        n_before = 0
    else:
        n_before = _tokens_before_patches(tokens.shape[1], encoder, _n_patches((side,) * 2, patch))
    if how == "cls" and not (n_before and n_learned_tokens(encoder.model, CLASS_TOKEN)):
        raise UserError("it has no class token")


def _tokens_before_patches(n_tokens, encoder, n_patches):
    """How many of `n_tokens` are not of patches; an error where they cannot be told apart."""
    if n_tokens == n_patches:
        return 0
    n_left = n_tokens - encoder.n_special
    # Fewer than the patches of the first layer: merged by later ones, still in a square.
    merged = n_patches is None or n_tokens < n_patches
    if n_left < 1 or n_left != (math.isqrt(n_left) ** 2 if merged else n_patches):
        raise UserError(
            f"of its {n_tokens} tokens {encoder.n_special} are known to be no patches; the others "
            f"are not {n_patches or 'a square'}"
        )
    return encoder.n_special
