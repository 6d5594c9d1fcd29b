"""The moving average of a model's weights (Karras et al. 2018), with a half-life in pictures."""

import copy

import torch
from torch import nn


class Average:
    """Holds an averaged copy of a model. Early on the half-life is a fifth of what was seen, so it warms up fast."""

    def __init__(self, model: nn.Module, half_life: int) -> None:
        self.model = copy.deepcopy(model).eval().requires_grad_(False)
        self.half_life = half_life

    @torch.no_grad()
    def update(self, model: nn.Module, images: int, batch: int) -> None:
        """Move towards the model's weights by one step of `batch` pictures; buffers are copied."""
        keep = 0.5 ** (batch / max(min(self.half_life, images * 0.2), 1))
        torch._foreach_lerp_(list(self.model.parameters()), list(model.parameters()), 1 - keep)
        for mine, theirs in zip(self.model.buffers(), model.buffers(), strict=True):
            mine.copy_(theirs)
