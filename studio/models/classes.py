"""Classes as points of a simplex: a mix of classes is the weighted sum of their embeddings."""

import torch
from torch import Tensor, nn

from studio.core.errors import InvalidRequest


def check_weights(weights: Tensor | None, class_count: int) -> None:
    """Raise InvalidRequest unless weights is (B,K) with K = class_count, or None where there are no classes."""
    if weights is None:
        if class_count:
            raise InvalidRequest(f"The model has {class_count} classes; give a weight for each.")
        return
    if weights.ndim != 2 or weights.shape[1] != class_count:
        raise InvalidRequest(f"The model has {class_count} classes; the weights have shape {tuple(weights.shape)}.")


class ClassEmbedding(nn.Module):
    """A vector a class, as a matrix (K,E). With K = 0 it is empty and returns (B,0)."""

    def __init__(self, class_count: int, width: int, std: float = 1.0) -> None:
        super().__init__()
        self.class_count = class_count
        self.width = width if class_count else 0
        self.weight = nn.Parameter(torch.randn(class_count, self.width) * std) if class_count else None

    def forward(self, weights: Tensor | None, like: Tensor) -> Tensor:
        """weights: (B,K) rows on the simplex, like: (B,…) for the batch size where there are no classes → (B,E)."""
        check_weights(weights, self.class_count)
        if self.weight is None or weights is None:
            return like.new_zeros(like.shape[0], 0)
        return weights.to(self.weight.dtype) @ self.weight
