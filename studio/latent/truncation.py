"""Truncation: nearer to the mean means safer and less varied."""

import torch
from torch import Tensor


def truncate(w: Tensor, mean: Tensor, psi: float) -> Tensor:
    """mean + ψ (w − mean) (Karras et al. 2019, section B). ψ = 1 returns w itself, bit for bit.

    w: (B,L,W), mean: (W) or (B,1,W) → (B,L,W). psi: 0 the mean, 1 no truncation, above 1 away from the mean.
    """
    return w if psi == 1 else torch.lerp(mean.expand_as(w), w, psi)


def class_mean(means: Tensor, weights: Tensor | None) -> Tensor:
    """The centre of truncation of a mix of classes: the weighted sum of the class-wise means.

    means: (max(K,1), W), weights: (B,K) rows on the simplex, or None without classes → (B,1,W) or (1,1,W).
    """
    centre = means[:1] if weights is None else (weights[:, :, None] * means).sum(dim=1)
    return centre[:, None]
