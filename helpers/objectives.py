"""What MicroViT is trained to do: predict statistics of the phases, or agree with its own average.

None needs a label. `helpers.pretraining` puts them behind one training loop.
"""

from __future__ import annotations

import functools

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from helpers.image_statistics import image_statistics, statistic_names
from helpers.training_images import sample_batch


class Statistics(nn.Module):
    """Head that predicts the statistics of the phases from the class token.

    Statistics are standardised; conductivities, in which the others come together, and chord
    lengths, in which phases and directions differ most, count more. The head is linear, so that
    what it needs lies open to other linear models. Where an image does not tell which phase is
    which, it is asked for what does not depend on it.

    Parameters
    ----------
    width : int
        Length of the class token.
    emphasis : float
        Weight of the standard deviation of conductivities and chord lengths; that of all others
        is 1.
    """

    def __init__(self, width, emphasis=3.0):
        super().__init__()
        names, shared = statistic_names()
        mean, spread = _moments()
        more = [any(word in name for word in ("conductivity", "chord")) for name in names]
        weight = [emphasis if m else 1.0 for m in more]
        self.register_buffer("mean", mean.clone())
        self.register_buffer("scale", spread + 1e-4)
        self.register_buffer("weight", torch.tensor(weight))
        self.register_buffer("shared", torch.from_numpy(shared))
        self.predict = nn.Linear(width, len(names))

    def loss(self, token, phases, known):
        """Mean squared error (Huber's beyond one) of tokens (n, width) of images of `phases`."""
        values = torch.from_numpy(image_statistics(phases)).to(token.device)
        target = ((values - self.mean) / self.scale).clamp(-6, 6) * self.weight
        error = F.smooth_l1_loss(self.predict(token.float()), target, reduction="none")
        asked = self.shared | torch.from_numpy(known).to(token.device)[:, None]
        return (error * asked).sum() / asked.sum()


@functools.cache
def _moments(n=2000):
    """Mean and standard deviation of each statistic over images of 49 x 49 pixels."""
    values = image_statistics(sample_batch(np.random.default_rng(1), n).phases)
    return torch.from_numpy(values.mean(0)), torch.from_numpy(values.std(0))


class Prototypes(nn.Module):
    """Projection of tokens onto prototypes, as in DINO."""

    def __init__(self, width, n=512):
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(width, 512), nn.GELU(), nn.Linear(512, 128))
        self.prototypes = nn.Parameter(torch.randn(n, 128))

    def forward(self, tokens):
        return F.normalize(self.mlp(tokens), dim=-1) @ F.normalize(self.prototypes, dim=-1).T


@torch.no_grad()
def sinkhorn(scores, temperature=0.05, rounds=3):
    """Assignments (n, k) of tokens to prototypes, all prototypes used alike.

    Caron et al. 2020, arXiv:2006.09882; rows sum to one.
    """
    q = torch.exp((scores.float() - scores.max()) / temperature)
    for _ in range(rounds):
        q = q / q.sum(0, keepdim=True).clamp(min=1e-12)
        q = q / q.sum(1, keepdim=True)
    return q


def cross_entropy(scores, target, temperature=0.1):
    """Mean over rows of the cross-entropy of assignments and scores (n, k)."""
    return -(target * F.log_softmax(scores.float() / temperature, 1)).sum(1).mean()
