"""What an inversion has found, as rows for a model to paint and as bytes for a recipe to carry.

The bytes: one for each detail, its rank; w as 16-bit floats; then for each detail, of its channels and then of its
places, a 16-bit scale for each row and the rows as signed bytes. They come back as a stranger's: the model's shapes
alone say how long they are.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from studio.core.errors import InvalidRequest
from studio.core.kinds import LatentModel

MAX_RANK = 64
MAX_ENTRY = 1000.0  # of w; those of trained models stay under 20
MAX_SCALE = 100.0  # of a row of a detail


@dataclass(frozen=True)
class Detail:
    """A map of low rank. channels: (r,C). places: (r,S,S)."""

    channels: Tensor
    places: Tensor

    def map(self) -> Tensor:
        """(1,C,S,S), the sum over the ranks of channels ⊗ places."""
        return torch.einsum("rc,rxy->cxy", self.channels, self.places)[None]

    def detached(self) -> "Detail":
        """Without gradients."""
        return Detail(self.channels.detach(), self.places.detach())


def rows_of(w: Tensor, details: Sequence[Detail]) -> Tensor:
    """(1,L,W) and details → (1,L,W), or (1,L+D,W), the last row filled up with zeros; see LatentModel.paint."""
    if not details:
        return w
    flat = torch.cat([detail.map().flatten() for detail in details])
    width = w.shape[2]
    filled = torch.nn.functional.pad(flat, (0, -len(flat) % width))
    return torch.cat([w, filled.view(1, -1, width)], dim=1)


def pack(w: Tensor, details: Sequence[Detail]) -> bytes:
    """w (1,L,W) and details → bytes. Entries past the bounds of `unpack` are cut to them."""
    floats = w.detach().cpu().float().clamp(-MAX_ENTRY, MAX_ENTRY).numpy().astype("<f2").tobytes()
    ranks = bytes(len(detail.channels) for detail in details)
    return ranks + floats + b"".join(_bytes(part) for each in details for part in (each.channels, each.places))


def _bytes(rows: Tensor) -> bytes:
    flat = rows.detach().cpu().float().flatten(1)
    scale = (flat.abs().amax(dim=1, keepdim=True) / 127).clamp(2**-14, MAX_SCALE).half()
    numbers = (flat / scale.float()).round().clamp(-127, 127)
    return scale.numpy().astype("<f2").tobytes() + numbers.to(torch.int8).numpy().tobytes()


def unpack(data: bytes, model: LatentModel) -> tuple[Tensor, tuple[Detail, ...]]:
    """w (1,L,W) and details on the CPU from untrusted bytes. Raises InvalidRequest where they are not for this model.

    The model may be one without weights: its shapes are all that counts.
    """
    size = 2 * model.layers * model.width
    shapes = model.detail_shapes if len(data) > size else ()
    ranks, start = data[: len(shapes)], len(shapes)
    parts = [
        (rank, length)
        for rank, (channels, side) in zip(ranks, shapes, strict=False)
        for length in (channels, side * side)
    ]
    wanted = start + size + sum(rank * (2 + length) for rank, length in parts)
    if len(data) != wanted or not all(1 <= rank <= MAX_RANK for rank in ranks):
        raise InvalidRequest("The own picture was found in another model; invert it again in this one.")
    w = torch.from_numpy(np.frombuffer(data, "<f2", size // 2, start).astype(np.float32))
    if not bool((w.abs() <= MAX_ENTRY).all()):  # false for what is not a number
        raise InvalidRequest(f"The own picture's styles hold numbers past {MAX_ENTRY:g}, so its recipe is damaged.")
    start += size
    factors = []
    for rank, length in parts:
        factors.append(_rows(data, start, rank, length))
        start += rank * (2 + length)
    pairs = zip(factors[::2], factors[1::2], shapes, strict=True)
    details = tuple(Detail(a, b.unflatten(1, (side, side))) for a, b, (_, side) in pairs)
    return w.view(1, model.layers, model.width), details


def _rows(data: bytes, start: int, rank: int, length: int) -> Tensor:
    scale = torch.from_numpy(np.frombuffer(data, "<f2", rank, start).astype(np.float32))
    if not bool(((scale >= 0) & (scale <= MAX_SCALE)).all()):
        raise InvalidRequest(f"The own picture's details are past {MAX_SCALE:g}, so its recipe is damaged.")
    numbers = np.frombuffer(data, np.int8, rank * length, start + 2 * rank).astype(np.float32)
    return torch.from_numpy(numbers).view(rank, length) * scale[:, None]


def longest(model: LatentModel) -> int:
    """Bytes that the largest picture found in a model takes."""
    details = sum(MAX_RANK * (4 + channels + side * side) for channels, side in model.detail_shapes)
    return math.ceil(2 * model.layers * model.width + details + len(model.detail_shapes))
