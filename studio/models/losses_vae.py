"""Losses of the variational autoencoder. Pictures are (B,3,R,R) in [-1,1]; every loss is a scalar unless said."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


def laplacian_pyramid(x: Tensor, levels: int) -> list[Tensor]:
    """Burt & Adelson 1983, with 2x2 means for the low pass: `levels` maps, from fine details to the coarse rest.

    Each level is what the mean and nearest upsampling lose; the sides must divide by 2^(levels − 1).
    """
    bands = []
    for _ in range(levels - 1):
        low = F.avg_pool2d(x, 2)
        bands.append(x - F.interpolate(low, scale_factor=2.0, mode="nearest"))
        x = low
    return [*bands, x]


def pyramid_l1(a: Tensor, b: Tensor, levels: int = 1) -> Tensor:
    """Sum over the Laplacian levels of the mean absolute difference; with one level, plain L1."""
    return torch.stack([band.abs().mean() for band in laplacian_pyramid(a - b, levels)]).sum()


def feature_distance(a: Sequence[Tensor], b: Sequence[Tensor]) -> Tensor:
    """Mean over the layers of the squared distance of channel-unit vectors (Zhang et al. 2018, eq. 1, unweighted).

    a, b: the feature maps of two batches, layer by layer, each (B,C,h,w).
    """
    pairs = zip(a, b, strict=True)
    layers = [(F.normalize(x, dim=1) - F.normalize(y, dim=1)).square().sum(dim=1).mean() for x, y in pairs]
    return torch.stack(layers).mean()


def sample_posterior(mean: Tensor, log_variance: Tensor, noise: Tensor) -> Tensor:
    """The reparameterisation of Kingma & Welling 2014: mean + σ · noise; all (B,D)."""
    return mean + torch.exp(0.5 * log_variance) * noise


def divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL of N(mean, σ²) from the standard normal in each dimension, in nats: (B,D) → (B,D)."""
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance)


def free_divergence(mean: Tensor, log_variance: Tensor, free: float) -> Tensor:
    """KL summed over the dimensions, of which each has `free` nats for nothing (Kingma et al. 2016, eq. 15)."""
    return divergence(mean, log_variance).mean(dim=0).clamp_min(free).sum()
