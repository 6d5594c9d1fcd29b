"""The metric of an encoder: by which linear maps its features come nearest to its teacher's, by least squares.

With F ≈ A f for teacher's features F and student's f, |F F'ᵀ|, |F| and every product of two teacher's features follow
from f and M = AᵀA alone. So the Gram matrices and distances of the teacher's hundreds of channels are measured in the
student's few, as those of M^½ f (a Mahalanobis metric), at the price of one small product for each position.
"""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor, nn

RIDGE = 1e-3  # of the features' mean square


class Network(Protocol):
    """Pictures (B,3,H,W) in [-1,1] → maps."""

    def __call__(self, x: Tensor) -> Sequence[Tensor]: ...


@torch.no_grad()
def fitted_metric(student: nn.Module, teacher: Network, pictures: Tensor, batch: int) -> list[Tensor]:
    """For each map the symmetric root M^½ (C,C), scaled so that the maps' mean square is 1. pictures: (N,3,H,W)."""
    own: list[Tensor] = []
    both: list[Tensor] = []
    count: list[int] = []
    for chunk in pictures.split(batch):
        for layer, (f, wanted) in enumerate(zip(student(chunk), teacher(chunk), strict=True)):
            rows, targets = _rows(f), _rows(wanted)
            rows = torch.cat([rows, torch.ones_like(rows[:, :1])], dim=1)  # a constant takes up what is no slope
            if layer == len(own):
                own, both, count = [*own, rows.T @ rows], [*both, rows.T @ targets], [*count, len(rows)]
            else:
                own[layer] += rows.T @ rows
                both[layer] += rows.T @ targets
                count[layer] += len(rows)
    return [_root(*sums) for sums in zip(own, both, count, strict=True)]


def _rows(maps: Tensor) -> Tensor:
    """(B,C,H,W) → (BHW,C), exact."""
    return maps.flatten(2).transpose(1, 2).flatten(0, 1).double()


def _root(own: Tensor, both: Tensor, count: int) -> Tensor:
    """Sums of products of (features, 1) with themselves and with the teacher's → (C,C)."""
    ridge = RIDGE * own.diagonal().mean() * torch.eye(len(own), dtype=own.dtype, device=own.device)
    slopes = torch.linalg.solve(own + ridge, both)[:-1]
    values, vectors = torch.linalg.eigh(slopes @ slopes.T)
    root = vectors * values.clamp_min(0).sqrt() @ vectors.T
    square = (root @ own[:-1, :-1] @ root).diagonal().mean() / count
    return (root / square.sqrt().clamp_min(1e-12)).float()
