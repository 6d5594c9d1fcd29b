"""Roughness of a picture."""

import torch
from torch import Tensor


@torch.enable_grad()
def total_variation(picture: Tensor) -> tuple[float, Tensor]:
    """Mean squared difference of neighbours, down plus across, and its gradient. (3,H,W) → scalar, (3,H,W)."""
    x = picture.detach().requires_grad_()
    loss = x.diff(dim=-2).square().mean() + x.diff(dim=-1).square().mean()
    (gradient,) = torch.autograd.grad(loss, x)
    return float(loss.detach()), gradient
