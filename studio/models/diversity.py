"""A generator that paints one picture over and over is held against real pairs."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

LEAST_DISTANCE = 1e-6  # between real pairs; below it they are the same picture


def lack_of_diversity(real_maps: Sequence[Tensor], fake_maps: Sequence[Tensor]) -> Tensor:
    """How much more alike the layouts of generated pairs of one class are: Σ over maps of max(0, 1 − d_fake / d_real).

    d is the mean absolute difference of the maps of row i and row i + B/2, each less its spatial mean, so that another
    colour is not yet another picture. The mode-seeking term of Mao et al. 2019 (arXiv 1903.05628, eq. 3) without its
    pull to ever more: real pairs set the goal; where those are all alike there is none. Maps: (B,C,h,w) → scalar.
    """
    lacks = []
    for real, fake in zip(real_maps, fake_maps, strict=True):
        goal = pair_distance(real)
        lack = F.relu(1 - pair_distance(fake) / goal.clamp_min(LEAST_DISTANCE))
        lacks.append(torch.where(goal > LEAST_DISTANCE, lack, torch.zeros_like(lack)))
    return torch.stack(lacks).sum()


def pair_distance(maps: Tensor) -> Tensor:
    """Mean absolute difference between row i and row i + B/2 of (B,C,h,w), spatial means removed."""
    half = len(maps) // 2
    difference = maps[:half] - maps[half : 2 * half]
    return (difference - difference.mean(dim=(2, 3), keepdim=True)).abs().mean()
