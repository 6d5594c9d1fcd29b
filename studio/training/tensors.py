"""Small help that several recipes share."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn


def sum_of(terms: Iterable[Tensor]) -> Tensor:
    """Sum of scalars as a tensor."""
    return torch.stack(list(terms)).sum()


def freeze(parameters: list[nn.Parameter], frozen: bool) -> None:
    """Switch the gradients of parameters off or on."""
    for parameter in parameters:
        parameter.requires_grad_(not frozen)
