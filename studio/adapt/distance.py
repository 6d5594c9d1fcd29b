"""How far samples of feature vectors are from each other."""

import torch
from torch import Tensor


def distances(a: Tensor, b: Tensor) -> Tensor:
    """Euclidean, (N,F), (M,F) → (N,M)."""
    return torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist")


def spread(rows: Tensor) -> Tensor:
    """Mean distance over pairs of different rows, (); 0 for a single one."""
    count = len(rows)
    return distances(rows, rows).sum() / max(count * (count - 1), 1)


def energy_distance(a: Tensor, b: Tensor) -> Tensor:
    """2 E|X-Y| - E|X-X'| - E|Y-Y'| of two samples (N,F), (M,F), the means over different rows, so that it has no bias
    and may be below 0 (Székely & Rizzo 2013, eq. 1). () with gradients. A single row has no pairs, whose term is then
    left out, as it is the same for all that are compared with it."""
    return 2 * distances(a, b).mean() - spread(a) - spread(b)
