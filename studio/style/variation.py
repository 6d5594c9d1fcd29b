"""Roughness of a picture."""

import torch
from torch import Tensor


def total_variation(picture: Tensor) -> tuple[float, Tensor]:
    """Mean squared difference of neighbours, down plus across, and its gradient. (3,H,W) → scalar, (3,H,W).

    The gradient is written down, not traced: a large picture has no room for copies of itself.
    """
    gradient = torch.zeros_like(picture)
    value = 0.0
    for axis in (-2, -1):
        length = picture.shape[axis]
        if length < 2:
            continue
        step = picture.diff(dim=axis)
        value += float(step.square().mean())
        step.mul_(2 / step.numel())
        gradient.narrow(axis, 1, length - 1).add_(step)
        gradient.narrow(axis, 0, length - 1).sub_(step)
    return value, gradient
