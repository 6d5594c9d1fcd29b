"""Losses of the stylizer, in the encoder's maps. Each gives one value for each picture of a batch: (B,)."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from studio.style.encoder import instance_normalised, moments_of

POSITIONS = 512  # of a map that stand for all of them in the sliced Wasserstein distance
TINY = 1e-8


def content_distance(maps: Sequence[Tensor], wanted: Sequence[Tensor]) -> Tensor:
    """Mean squared difference of instance-normalised maps, averaged over the layers.

    Normalised as in Li et al. 2017 (Demystifying) and MSG-Net, a layer says what stands where and not in which colours.
    """
    both = zip(maps, wanted, strict=True)
    layers = [(instance_normalised(x) - instance_normalised(y)).square().mean(dim=(1, 2, 3)) for x, y in both]
    return torch.stack(layers).mean(dim=0)


def relative(a: Tensor, b: Tensor) -> Tensor:
    """|a − b|² / (|a|² + |b|²), row by row: 0 for equal, at most 2. (B,…) → (B,)."""
    a, b = a.flatten(1), b.flatten(1)
    return (a - b).square().sum(dim=1) / (a.square().sum(dim=1) + b.square().sum(dim=1) + TINY)


def gram(maps: Tensor) -> Tensor:
    """(B,C,H,W) → (B,C,C), averaged over positions."""
    flat = maps.flatten(2)
    return flat @ flat.transpose(1, 2) / flat.shape[2]


def gram_distance(maps: Sequence[Tensor], wanted: Sequence[Tensor]) -> Tensor:
    """Gatys et al. 2016, eq. 3 to 5, relative to the matrices' size, averaged over the layers."""
    return torch.stack([relative(gram(x), gram(y)) for x, y in zip(maps, wanted, strict=True)]).mean(dim=0)


def moment_distance(maps: Sequence[Tensor], wanted: Sequence[Tensor]) -> Tensor:
    """Means and deviations of the channels (Huang & Belongie 2017, eq. 13), relative, averaged over the layers."""
    both = zip(maps, wanted, strict=True)
    layers = [relative(torch.cat(moments_of(x), dim=1), torch.cat(moments_of(y), dim=1)) for x, y in both]
    return torch.stack(layers).mean(dim=0)


def sliced_distance(
    maps: Sequence[Tensor], wanted: Sequence[Tensor], generator: torch.Generator, directions: int = 32
) -> Tensor:
    """Sliced Wasserstein distance (Heitz et al. 2021, eq. 3, 4) of random positions in random directions, relative."""
    layers = []
    for x, y in zip(maps, wanted, strict=True):
        ways = F.normalize(torch.randn(directions, x.shape[1], generator=generator), dim=1).to(x)
        first, second = (_projected(each, ways, generator) for each in (x, y))
        layers.append(relative(first, second))
    return torch.stack(layers).mean(dim=0)


def _projected(maps: Tensor, ways: Tensor, generator: torch.Generator) -> Tensor:
    """(B,C,H,W), (D,C) → (B,D,n), sorted."""
    flat = maps.flatten(2)
    if flat.shape[2] > POSITIONS:
        flat = flat[:, :, torch.randint(flat.shape[2], (POSITIONS,), generator=generator).to(flat.device)]
    return (ways @ flat).sort(dim=2).values


def variation(x: Tensor) -> Tensor:
    """Mean absolute difference of neighbours. (B,C,H,W) → (B,)."""
    across, down = (x[..., 1:] - x[..., :-1]).abs(), (x[..., 1:, :] - x[..., :-1, :]).abs()
    return across.mean(dim=(1, 2, 3)) + down.mean(dim=(1, 2, 3))


def excess(x: Tensor) -> Tensor:
    """How far pixels lie outside [-1,1], squared and averaged. (B,C,H,W) → (B,)."""
    return F.relu(x.abs() - 1).square().mean(dim=(1, 2, 3))


def contrast(codes: Tensor, styles: Tensor, temperature: float = 0.2) -> Tensor:
    """How hard it is to tell by its code which style of the batch a picture has (Chen et al. 2021, eq. 5, one way).

    codes: of the painted pictures (B,C); styles: of their styles (B,C). Cosine similarity.
    """
    likeness = F.normalize(codes, dim=1) @ F.normalize(styles, dim=1).T / temperature
    return F.cross_entropy(likeness, torch.arange(len(codes), device=codes.device), reduction="none")
