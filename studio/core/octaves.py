"""How strong the finest detail of pictures is, octave by octave.

A Laplacian pyramid (Burt & Adelson 1983) parts a picture into octaves whose strength can be measured and set one by
one. Heeger & Bergen 1995 (Pyramid-based texture analysis and synthesis, section 3) match the histograms of all of
them; here it is the mean magnitude of the finest alone, in luminance and the two differences of colour.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

MOST = 3  # octaves: the smallest picture that is painted has as many
CHANNELS = 3  # luminance, blue and red difference
RED, BLUE = 0.299, 0.114  # shares of luminance (ITU-R BT.601)
FAINTEST = 1e-4  # magnitude, in [-1,1] units, below which an octave counts as empty


def strengths(x: Tensor, count: int) -> Tensor:
    """Logarithm of the mean magnitude in each of the `count` finest octaves. (B,3,H,W) in [-1,1] → (B,3·count), the
    finest first, luminance first."""
    with torch.autocast(x.device.type, enabled=False):
        parts, _ = parted(differences(x.float()), count)
        means = [octave.abs().mean(dim=(2, 3)) for octave in parts]
    return torch.cat(means, dim=1).clamp_min(FAINTEST).log() if means else x.new_zeros(len(x), 0)


def scaled(x: Tensor, gains: Tensor) -> Tensor:
    """Pictures with their finest octaves times gains. (B,3,H,W) in [-1,1], gains: (count,3), the finest first,
    luminance first → (B,3,H,W) float32, which may leave [-1,1]."""
    with torch.autocast(x.device.type, enabled=False):
        parts, rest = parted(differences(x.float()), len(gains))
        for octave, gain in zip(parts[::-1], gains.float().flip(0), strict=True):
            height, width = octave.shape[-2:]
            rest = resized(rest, (height, width)).addcmul(octave, gain[:, None, None])
        return colours(rest)


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


def differences(x: Tensor) -> Tensor:
    """R, G, B → luminance, and how far blue and red lie from it."""
    red, green, blue = x.unbind(1)
    luminance = RED * red + (1 - RED - BLUE) * green + BLUE * blue
    return torch.stack([luminance, (blue - luminance) / (2 - 2 * BLUE), (red - luminance) / (2 - 2 * RED)], dim=1)


def colours(x: Tensor) -> Tensor:
    """The way back."""
    luminance, blue, red = x.unbind(1)
    blue, red = luminance + (2 - 2 * BLUE) * blue, luminance + (2 - 2 * RED) * red
    return torch.stack([red, (luminance - RED * red - BLUE * blue) / (1 - RED - BLUE), blue], dim=1)
