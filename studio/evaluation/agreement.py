"""How far two networks agree on which pictures are alike: rank correlation of their distances over all pairs.

Two distances: of style, the relative distance of Gram matrices (Gatys et al. 2016, eq. 3 and 4), and of content, the
squared distance of channel-unit features (Zhang et al. 2018, eq. 1, unweighted).
"""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

Maps = Sequence[Tensor]
CHUNK = 8  # pictures at once through a network


def grams(maps: Tensor) -> Tensor:
    """(N,C,H,W) → (N,C,C), averaged over positions."""
    flat = maps.flatten(2)
    return flat @ flat.transpose(1, 2) / flat.shape[2]


def gram_distances(maps: Tensor) -> Tensor:
    """|G − G'|² / (|G|² + |G'|²) of every two pictures. (N,C,H,W) → (N,N)."""
    rows = grams(maps).flatten(1)
    squares, products = rows.square().sum(dim=1), rows @ rows.T
    sums = squares[:, None] + squares[None]
    return (sums - 2 * products).clamp_min(0) / (sums + 1e-12)


def content_distances(maps: Tensor) -> Tensor:
    """Mean over positions of the squared distance of unit vectors, of every two pictures. (N,C,H,W) → (N,N)."""
    unit = maps * torch.rsqrt(maps.square().sum(dim=1, keepdim=True) + 1e-8)
    rows = unit.flatten(1)
    squares = rows.square().sum(dim=1)
    squared = squares[:, None] + squares[None] - 2 * rows @ rows.T
    return squared.clamp_min(0) / maps[0, 0].numel()


def pairs(distances: Tensor) -> Tensor:
    """(N,N) → the N(N − 1)/2 values above the diagonal."""
    row, column = torch.triu_indices(len(distances), len(distances), 1)
    return distances[row, column]


def pearson(a: Tensor, b: Tensor) -> Tensor:
    """Correlation of two vectors, differentiable."""
    a, b = a - a.mean(), b - b.mean()
    return F.cosine_similarity(a, b, dim=0)


def spearman(a: Tensor, b: Tensor) -> float:
    """Correlation of the ranks of two vectors (ties in order of place)."""
    first, second = (x.argsort(stable=True).argsort().double() for x in (a, b))
    return float(pearson(first, second))


def signature(maps: Maps) -> dict[str, Tensor]:
    """Both distances of every two pictures, averaged over the layers. Maps (N,C_l,H_l,W_l) → two of (N,N)."""
    return {
        "gram": torch.stack([gram_distances(x) for x in maps]).mean(dim=0),
        "content": torch.stack([content_distances(x) for x in maps]).mean(dim=0),
    }


@torch.no_grad()
def signature_of(network: Callable[[Tensor], Maps], images: Tensor) -> dict[str, Tensor]:
    """As signature, of pictures (N,3,S,S) that go through the network a few at a time."""
    parts = [network(chunk) for chunk in images.split(CHUNK)]
    return signature([torch.cat(layer) for layer in zip(*parts, strict=True)])


def agreement(found: dict[str, Tensor], wanted: dict[str, Tensor]) -> dict[str, float]:
    """Spearman correlation of each distance over all pairs, named spearman_gram and spearman_content."""
    return {f"spearman_{name}": spearman(pairs(found[name]), pairs(wanted[name])) for name in wanted}
