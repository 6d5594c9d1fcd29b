"""Pictures in tiles: windows with overlap whose cores cover every pixel once.

A core's features are those of the whole picture where the halo around it is as wide as the encoder's reach, and a
picture's own edges have no halo. So statistics gathered over all cores are the whole picture's, and the gradients
that each window gives for its core, halo included, add up to the whole picture's: no seam is there to be hidden.
"""

from dataclasses import dataclass

from torch import Tensor

from studio.core.errors import InvalidRequest

ALIGNMENT = 16  # pixels: the encoder's largest stride, so that all windows share one grid of features


@dataclass(frozen=True)
class Span:
    """A stretch of one side in pixels: the window [start, stop) and within it the core [first, last)."""

    start: int
    stop: int
    first: int
    last: int


@dataclass(frozen=True)
class Tile:
    """A window of a picture, and the core in it that this tile answers for."""

    rows: Span
    columns: Span

    def window(self, picture: Tensor) -> Tensor:
        """(…,H,W) → the window's pixels, as a view."""
        return picture[..., self.rows.start : self.rows.stop, self.columns.start : self.columns.stop]

    def core(self, features: Tensor, stride: int) -> Tensor:
        """A window's features at a stride, (…,C,h,w) → those of the core (…,C,N)."""
        rows = _places(self.rows, features.shape[-2], stride)
        columns = _places(self.columns, features.shape[-1], stride)
        return features[..., rows, columns].flatten(-2)


def _places(span: Span, size: int, stride: int) -> slice:
    """Where the core lies in the window's features; the last core takes what is left over."""
    first = (span.first - span.start) // stride
    return slice(first, size if span.last == span.stop else (span.last - span.start) // stride)


def spans(length: int, tile: int, halo: int) -> tuple[Span, ...]:
    """A side of `length` pixels in as few and as equal cores of at most `tile` pixels as the alignment allows."""
    if tile < ALIGNMENT or tile % ALIGNMENT or halo < 0 or halo % ALIGNMENT:
        raise InvalidRequest(f"A tile of {tile} and a halo of {halo} pixels must both be multiples of {ALIGNMENT}.")
    count = -(-length // tile)
    core = -(-length // (count * ALIGNMENT)) * ALIGNMENT
    starts = range(0, length, core)
    ends = [min(start + core, length) for start in starts]
    return tuple(
        Span(max(first - halo, 0), min(last + halo, length), first, last)
        for first, last in zip(starts, ends, strict=True)
    )


def tiles(height: int, width: int, tile: int, halo: int) -> tuple[Tile, ...]:
    """A picture of height x width pixels in tiles, row by row."""
    columns = spans(width, tile, halo)
    return tuple(Tile(row, column) for row in spans(height, tile, halo) for column in columns)


def whole(height: int, width: int) -> tuple[Tile, ...]:
    """A picture as the one tile that it is."""
    return (Tile(Span(0, height, 0, height), Span(0, width, 0, width)),)
