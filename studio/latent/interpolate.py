"""Ways between points: straight, on the sphere, and smooth curves through any number of keys at an even speed."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from studio.core.errors import InvalidRequest
from studio.core.registry import Registry

PARALLEL = 1e-6  # sine of the angle under which two directions count as one, or as opposite
PIECES = 16  # straight pieces by which the length of a curve between two keys is measured

Curve = Callable[[Tensor, Tensor, Tensor, Tensor, Tensor], Tensor]
"""(before, start, end, after, t): four neighbouring keys (D) and places t (T,1) in [0,1] → (T,D), start at t = 0."""
CURVES: Registry[Curve] = Registry("curve")


def lerp(a: Tensor, b: Tensor, t: Tensor | float) -> Tensor:
    """The straight way: a at t = 0, b at t = 1."""
    return a + (b - a) * t


def slerp(a: Tensor, b: Tensor, t: Tensor | float) -> Tensor:
    """The way on the sphere (Shoemake 1985): directions turn evenly, lengths change linearly. Over the last axis.

    Parallel directions go straight; opposite ones turn through a fixed perpendicular direction; zero goes straight.
    """
    length_a, length_b = a.norm(dim=-1, keepdim=True), b.norm(dim=-1, keepdim=True)
    tiny = torch.finfo(a.dtype).tiny
    unit_a, unit_b = a / length_a.clamp_min(tiny), b / length_b.clamp_min(tiny)
    cosine = (unit_a * unit_b).sum(dim=-1, keepdim=True)
    across = unit_b - cosine * unit_a  # the part of b that is perpendicular to a
    sine = across.norm(dim=-1, keepdim=True)
    alike = sine < PARALLEL
    side = torch.where(alike, _perpendicular(unit_a), across / sine.clamp_min(tiny))
    angle = torch.atan2(torch.where(alike, torch.zeros_like(sine), sine), cosine)
    turned = unit_a * torch.cos(angle * t) + side * torch.sin(angle * t)
    straight = (alike & (cosine > 0)) | (length_a == 0) | (length_b == 0)
    way = torch.where(straight, lerp(a, b, t), turned * lerp(length_a, length_b, t))
    return torch.where(torch.as_tensor(t, device=a.device) == 0, a, way)


def _perpendicular(unit: Tensor) -> Tensor:
    """A unit vector at a right angle to each unit vector, the same for the same input. (…,D) → (…,D), D ≥ 2."""
    least = unit.abs().argmin(dim=-1, keepdim=True)
    axis = torch.zeros_like(unit).scatter(-1, least, 1.0)
    side = axis - (axis * unit).sum(dim=-1, keepdim=True) * unit
    return side / side.norm(dim=-1, keepdim=True).clamp_min(torch.finfo(unit.dtype).tiny)


def spline(before: Tensor, start: Tensor, end: Tensor, after: Tensor, t: Tensor) -> Tensor:
    """The uniform Catmull-Rom spline (Catmull & Rom 1974): through every key, without corners."""
    cubic = 3 * (start - end) + after - before
    square = 2 * before - 5 * start + 4 * end - after
    return start + 0.5 * t * ((end - before) + t * (square + t * cubic))


CURVES.add("spline", spline)
CURVES.add("slerp", lambda _before, start, end, _after, t: slerp(start, end, t))
CURVES.add("lerp", lambda _before, start, end, _after, t: lerp(start, end, t))


@dataclass(frozen=True)
class Schedule:
    """Where each frame of a walk lies: between key `segment` (F) and the next, at `t` (F) in [0,1)."""

    segment: Tensor
    t: Tensor
    loop: bool


def schedule(keys: Tensor, frames: int, curve: str, loop: bool) -> Schedule:
    """An even speed along the curve through keys (K,D), with every key a frame of its own; frame 0 is key 0.

    loop: the last key leads back to the first, which is not repeated at the end; otherwise the last frame is the
    last key. Speed is even within a segment, and among segments as far as whole frames allow.
    """
    count = len(keys)
    if count < 2 or frames < count:
        raise InvalidRequest(f"A walk needs at least 2 keys and as many frames; got {count} keys, {frames} frames.")
    segments = count if loop else count - 1
    places = [_even_places(keys, index, curve, loop) for index in range(segments)]
    shares = _share_out(frames if loop else frames - 1, [length for length, _ in places])
    index = [i for i, share in enumerate(shares) for _ in range(share)]
    t = [inverse(step / share) for (_, inverse), share in zip(places, shares, strict=True) for step in range(share)]
    if not loop:
        index, t = [*index, count - 1], [*t, 0.0]
    return Schedule(torch.tensor(index), torch.tensor(t, dtype=torch.float64), loop)


def follow(keys: Tensor, plan: Schedule, curve: str) -> Tensor:
    """The frames of a walk. keys: (K,…) → (F,…) of the same dtype; computed in float64."""
    flat = keys.flatten(1).double()
    way = CURVES[curve]
    frames = torch.empty(len(plan.segment), flat.shape[1], dtype=torch.float64)
    for segment in plan.segment.unique().tolist():
        rows = plan.segment == segment
        frames[rows] = way(*_around(flat, segment, plan.loop), plan.t[rows][:, None])
    return frames.to(keys.dtype).view(len(frames), *keys.shape[1:])


def path(keys: Tensor, frames: int, curve: str = "spline", loop: bool = True) -> Tensor:
    """A walk through the keys at an even speed: ``schedule``, then ``follow``. keys: (K,…) → (frames,…)."""
    return follow(keys, schedule(keys.flatten(1), frames, curve, loop), curve)


def _around(keys: Tensor, segment: int, loop: bool) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The keys before, at both ends of and after a segment; an open walk stands still beyond its ends."""
    last = len(keys) - 1
    indices = (segment - 1, segment, segment + 1, segment + 2)
    before, start, end, after = (i % (last + 1) if loop else min(max(i, 0), last) for i in indices)
    return keys[before], keys[start], keys[end], keys[after]


def _even_places(keys: Tensor, segment: int, curve: str, loop: bool) -> tuple[float, Callable[[float], float]]:
    """The length of a segment, and the map from the share of that length to the curve's own t."""
    ticks = torch.linspace(0, 1, PIECES + 1, dtype=torch.float64)
    points = CURVES[curve](*_around(keys.double(), segment, loop), ticks[:, None])
    pieces = points.diff(dim=0).norm(dim=1).tolist()
    length = math.fsum(pieces)

    def inverse(share: float) -> float:
        left = share * length
        for index, piece in enumerate(pieces):
            if left <= piece and piece > 0:
                return (index + left / piece) / PIECES
            left -= piece
        return share  # the keys are one point, or rounding has used the length up

    return length, inverse


def _share_out(total: int, lengths: list[float]) -> list[int]:
    """Whole numbers ≥ 1 that add up to the total, as near to proportional to the lengths as they can be."""
    whole = math.fsum(lengths)
    wanted = [total * (length / whole if whole > 0 else 1 / len(lengths)) for length in lengths]
    shares = [max(1, math.floor(want)) for want in wanted]
    for _ in range(abs(total - sum(shares))):
        sign = 1 if sum(shares) < total else -1
        gains = [
            sign * (want - share) if share + sign else -math.inf for want, share in zip(wanted, shares, strict=True)
        ]
        best = gains.index(max(gains))
        shares[best] += sign
    return shares
