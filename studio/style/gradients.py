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
SHORTEST = 1e-4  # length of a vector that a direction is read of


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


def modulated_norm(x: Tensor, scale: Tensor, shift: Tensor, floor: float) -> Tensor:
    """As instance_norm, then times 1 + scale, plus shift, in fewer passes. x: (B,C,H,W), the others (B,C,1,1) → x's."""
    return _ModulatedNorm.apply(x, scale, shift, floor)


def relative(a: Tensor, b: Tensor) -> Tensor:
    """|a − b|² / (|a|² + |b|²), row by row: 0 for equal, at most 2. (B,…) → (B,)."""
    return _Relative.apply(a.flatten(1), b.flatten(1))


def unit_distance(x: Tensor, y: Tensor) -> Tensor:
    """Mean over the places of the squared distance between x and y (B,C,H,W), each of unit length over its channels:
    2 − 2 cos. → (B,) float32. No gradient goes to y."""
    return _UnitDistance.apply(x, y)


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
        return gram, _mean(rows)[:, 0].float(), (rows if index is None else rows[:, index]).float()

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


def _mean(rows: Tensor) -> Tensor:
    """(B,N,C) → (B,1,C). Sums in bfloat16 are made in float32; `mean` would write all of it in float32 first."""
    return rows.sum(dim=1, keepdim=True) / rows.shape[1]


def _centred(x: Tensor, floor: float) -> tuple[Tensor, Tensor]:
    """(B,C,H,W) → rows (B,N,C) less their means, and one over their deviations (B,1,C) in float32."""
    rows = _rows(x)
    centred = rows - _mean(rows)
    return centred, (_mean(centred.square()).float() + floor).rsqrt()


class _InstanceNorm(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, floor: float) -> Tensor:
        centred, rate = _centred(x, floor)
        normal = centred.mul_(rate.to(x))
        ctx.save_for_backward(normal, rate)
        return _map(normal, x)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        normal, rate = ctx.saved_tensors
        rows = _rows(gradient)
        mean, slope = _mean(rows), _mean(rows * normal)
        return _map(torch.addcmul(rows - mean, normal, slope, value=-1).mul_(rate.to(normal)), gradient), None


class _ModulatedNorm(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: Tensor, shift: Tensor, floor: float) -> Tensor:
        centred, rate = _centred(x, floor)
        gain = rate * (1 + _rows(scale))
        ctx.save_for_backward(centred, rate, gain)
        return _map(torch.addcmul(_rows(shift).to(x), centred, gain.to(x)), x)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        centred, rate, gain = ctx.saved_tensors
        rows = _rows(gradient)
        mean, slope = _mean(rows), _mean(rows * centred)
        less = (-rate.square() * slope).to(centred)
        of_x = torch.addcmul(rows - mean, centred, less).mul_(gain.to(centred))
        of_scale, of_shift = (
            (each.float() * rows.shape[1]).transpose(1, 2)[..., None] for each in (slope * rate, mean)
        )
        return _map(of_x, gradient), of_scale, of_shift, None


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


class _UnitDistance(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, y: Tensor) -> Tensor:
        first, second = _rows(x), _rows(y)
        exact = torch.promote_types(x.dtype, torch.float32)
        sizes = [torch.linalg.vector_norm(rows, dim=2, keepdim=True, dtype=exact) for rows in (first, second)]
        rate, other = (1 / size.clamp_min(SHORTEST) for size in sizes)
        cosine = (first * second).sum(dim=2, keepdim=True, dtype=exact) * rate * other
        ctx.save_for_backward(x, y, rate, other, cosine)
        return (2 - 2 * cosine.mean(dim=(1, 2))).float()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        x, y, rate, other, cosine = ctx.saved_tensors
        step = gradient[:, None, None] * (-2 / rate.shape[1]) * rate
        towards, back = (step * other).to(x), (-step * rate * cosine).to(x)
        return _map(torch.addcmul(_rows(y) * towards, _rows(x), back), x), None
