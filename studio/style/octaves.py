"""How strong the finest detail of a picture is, octave by octave, and bringing it to another's.

The stylizer's strokes do not know how sharp the picture will be on which they lie: left alone they draw a fifth more
fine detail than the style has, which shows as hatching in skies. A Laplacian pyramid (Burt & Adelson 1983) parts a
picture into octaves whose strength can be set one by one; Heeger & Bergen 1995 (Pyramid-based texture analysis and
synthesis, section 3) set the histograms of all of them, here it is the mean magnitude of the finest alone, in luminance
and the two differences of colour, which needs nine numbers of a style and leaves to the strokes where detail lies.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from studio.style.styled import spread

MOST = 3  # octaves: the smallest picture that is painted has as many
CHANNELS = 3  # luminance, blue and red difference
RED, BLUE = 0.299, 0.114  # shares of luminance (ITU-R BT.601)
FAINTEST = 1e-4  # magnitude, in [-1,1] units, below which an octave counts as empty
LEAST, GREATEST = 0.4, 1.5  # gain of an octave


def strengths(x: Tensor, count: int) -> Tensor:
    """Logarithm of the mean magnitude in each of the `count` finest octaves. (B,3,H,W) in [-1,1] → (B,3·count), the
    finest first, luminance first."""
    with torch.autocast(x.device.type, enabled=False):
        parts, _ = parted(_differences(x.float()), count)
        means = [octave.abs().mean(dim=(2, 3)) for octave in parts]
    return torch.cat(means, dim=1).clamp_min(FAINTEST).log() if means else x.new_zeros(len(x), 0)


def brought(x: Tensor, wanted: Tensor, presence: Tensor) -> Tensor:
    """A picture whose finest octaves are as strong as asked. (B,3,H,W) → same.

    wanted: (B,3·count,h,w), the logarithms at every place of a coarse map, or (B,3·count,1,1). presence: (B,1,h,w),
    0 to 1, how much of this happens where; 0 leaves a place as it is. Every octave has one gain in a channel, from its
    strength where it is present, for what a flat sky lacks is not to be made up there.
    """
    count = wanted.shape[1] // CHANNELS
    with torch.autocast(x.device.type, enabled=False):
        parts, rest = parted(_differences(x.float()), count)
        even = presence.shape[-2:] == (1, 1)
        weight = presence / presence.mean(dim=(2, 3), keepdim=True).clamp_min(1e-6)
        for octave, asked in zip(parts[::-1], wanted.split(CHANNELS, dim=1)[::-1], strict=True):
            size = octave.abs() if even else octave.abs() * spread(weight, octave)
            target = (asked.exp() * weight).mean(dim=(2, 3), keepdim=True)
            gain = (target / size.mean(dim=(2, 3), keepdim=True).clamp_min(FAINTEST)).clamp(LEAST, GREATEST) - 1
            height, width = octave.shape[-2:]
            rest = resized(rest, (height, width)).addcmul(octave, 1 + spread(presence, octave) * gain)
        return _colours(rest)


def parted(x: Tensor, count: int) -> tuple[list[Tensor], Tensor]:
    """The finest octaves, from the finest on, and what is left at 2^-count of the size."""
    parts = []
    for _ in range(count):
        height, width = x.shape[-2:]
        small = resized(x, ((height + 1) // 2, (width + 1) // 2))
        parts.append(x - resized(small, (height, width)))
        x = small
    return parts, x


def resized(x: Tensor, size: tuple[int, int]) -> Tensor:
    """By Catmull and Rom's cubic, up and down: softer filters leave a part of an octave in the next."""
    return F.interpolate(x, size=size, mode="bicubic", antialias=True, align_corners=False)


def _differences(x: Tensor) -> Tensor:
    """R, G, B → luminance, and how far blue and red lie from it."""
    red, green, blue = x.unbind(1)
    luminance = RED * red + (1 - RED - BLUE) * green + BLUE * blue
    return torch.stack([luminance, (blue - luminance) / (2 - 2 * BLUE), (red - luminance) / (2 - 2 * RED)], dim=1)


def _colours(x: Tensor) -> Tensor:
    """The way back."""
    luminance, blue, red = x.unbind(1)
    blue, red = luminance + (2 - 2 * BLUE) * blue, luminance + (2 - 2 * RED) * red
    return torch.stack([red, (luminance - RED * red - BLUE * blue) / (1 - RED - BLUE), blue], dim=1)
