"""Measured properties of any generator."""

import torch

from studio.core.kinds import LatentModel


@torch.no_grad()
def measure_w_mean(model: LatentModel, count: int = 4096, seed: int = 0) -> None:
    """Set model.w_mean from `count` draws a class (Karras et al. 2019, section B: the centre of truncation)."""
    generator = torch.Generator().manual_seed(seed)
    device = model.w_mean.device
    z = torch.randn(count, model.latent_dim, generator=generator).to(device)
    for row in range(max(model.class_count, 1)):
        weights = None
        if model.class_count:
            weights = torch.zeros(count, model.class_count, device=device)
            weights[:, row] = 1.0
        model.w_mean[row] = model.mapping(z, weights).mean(dim=(0, 1))
