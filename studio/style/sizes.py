"""Sizes at which pictures are looked at."""

import torch.nn.functional as F
from torch import Tensor

MIN_SIDE = 32  # pixels: two features at the deepest stride
MAX_ENLARGEMENT = 2.0  # of a style picture, beyond which its strokes would only blur


def style_size(style: Tensor, long_side: int, scale: float) -> tuple[int, int]:
    """Height and width at which a style picture is looked at: its long side is `scale` times the picture's."""
    height, width = style.shape[-2:]
    factor = min(long_side * scale / max(height, width), MAX_ENLARGEMENT)
    return max(MIN_SIDE, round(height * factor)), max(MIN_SIDE, round(width * factor))


def resize(picture: Tensor, size: tuple[int, int]) -> Tensor:
    """(3,H,W) → (3,*size), bicubic, without aliasing; the same picture where the size is the same."""
    if tuple(picture.shape[-2:]) == size:
        return picture
    return F.interpolate(picture[None], size=size, mode="bicubic", antialias=True)[0].contiguous()
