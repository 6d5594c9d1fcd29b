"""Operations with gradients of their own, for training.

Left to autograd they take half of a stylizer's training step on a CPU: it goes over a map once for every mean, product
and power, changes its memory format on the way, and torch's own group norm and sort are slow there.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

TINY = 1e-8


def described(x: Tensor, index: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
    """What a map is like, whatever stands where: Gram matrices (B,C,C) averaged over positions, means (B,C), and the
    values (B,C,n) at the positions `index` (n,), or at all of them. x: (B,C,H,W); the results are float32.
    """
    gram, mean, values = _Described.apply(x, index)
    return gram, mean, values.transpose(1, 2)


def instance_norm(x: Tensor, floor: float) -> Tensor:
    """Every channel of every picture to mean 0 and deviation 1 over its positions (Ulyanov et al. 2016, eq. 4).

    (B,C,H,W) → same. floor: added to the variance.
    """
    return _InstanceNorm.apply(x, floor)


def relative(a: Tensor, b: Tensor) -> Tensor:
    """|a − b|² / (|a|² + |b|²), row by row: 0 for equal, at most 2. (B,…) → (B,)."""
    return _Relative.apply(a.flatten(1), b.flatten(1))


def in_order(x: Tensor) -> Tensor:
    """The values of the last dimension in ascending order. On a CPU by numpy, whose sort is five times as fast."""
    if x.device.type != "cpu":
        return x.sort(dim=-1).values
    values = x.detach().numpy()
    if not x.requires_grad:
        return torch.from_numpy(np.sort(values, axis=-1))
    return x.gather(-1, torch.from_numpy(np.argsort(values, axis=-1)))


def _rows(x: Tensor) -> Tensor:
    """(B,C,H,W) → (B,H·W,C), without a copy where x is channels last."""
    return x.permute(0, 2, 3, 1).flatten(1, 2)


def _map(rows: Tensor, like: Tensor) -> Tensor:
    """(B,H·W,C) → (B,C,H,W), channels last, in the shape of another."""
    return rows.unflatten(1, like.shape[2:]).permute(0, 3, 1, 2)


class _Described(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, index: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        rows = _rows(x)
        ctx.save_for_backward(x, index)
        with torch.autocast(x.device.type, enabled=False):
            gram = (rows.transpose(1, 2) @ rows).float() / rows.shape[1]
        mean = rows.sum(dim=1).float() / rows.shape[1]
        return gram, mean, (rows if index is None else rows[:, index]).float()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, of_gram: Tensor, of_mean: Tensor, of_values: Tensor) -> tuple[Tensor, None]:
        x, index = ctx.saved_tensors
        rows = _rows(x)
        both = ((of_gram + of_gram.transpose(1, 2)) / rows.shape[1]).to(rows)
        level = (of_mean / rows.shape[1]).to(rows)[:, None].expand_as(rows)
        with torch.autocast(x.device.type, enabled=False):
            gradient = torch.baddbmm(level, rows, both)
        if index is None:
            gradient += of_values
        else:
            gradient.index_add_(1, index, of_values.to(rows))
        return _map(gradient, x), None


class _InstanceNorm(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, floor: float) -> Tensor:
        rows = _rows(x)
        centred = rows - rows.mean(dim=1, keepdim=True)  # a sum in bfloat16 is one in float32, rounded at its end
        rate = (centred.square().mean(dim=1, keepdim=True).float() + floor).rsqrt()
        normal = centred.mul_(rate.to(rows))
        ctx.save_for_backward(normal, rate)
        return _map(normal, x)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        normal, rate = ctx.saved_tensors
        rows = _rows(gradient)
        mean, slope = (each.mean(dim=1, keepdim=True) for each in (rows, rows * normal))
        return _map(torch.addcmul(rows - mean, normal, slope, value=-1).mul_(rate.to(normal)), gradient), None


class _Relative(Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor) -> Tensor:
        apart, first, second = (torch.linalg.vector_norm(x, dim=1).square() for x in (a - b, a, b))
        size = first + second + TINY
        distance = apart / size
        ctx.save_for_backward(a, b, size, distance)
        return distance

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None]:
        a, b, size, distance = ctx.saved_tensors
        rate, less = (2 * gradient / size)[:, None], (1 - distance)[:, None]
        of_a, of_b = (
            torch.addcmul(-y, x, less).mul_(rate) if needed else None
            for x, y, needed in zip((a, b), (b, a), ctx.needs_input_grad, strict=True)
        )
        return of_a, of_b
