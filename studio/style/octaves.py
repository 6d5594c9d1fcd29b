"""Bringing the finest octaves of a picture to a style's strength.

The stylizer's strokes do not know how sharp the picture will be on which they lie: left alone they draw a fifth more
fine detail than the style has, which shows as hatching in skies. A few numbers of a style, the strength of its finest
octaves (`studio.core.octaves`), are enough to set that right, and leave to the strokes where detail lies.
"""

import torch
from torch import Tensor

from studio.core.octaves import CHANNELS, FAINTEST, colours, differences, parted, resized
from studio.style.styled import spread

LEAST, GREATEST = 0.4, 1.5  # gain of an octave


def brought(x: Tensor, wanted: Tensor, presence: Tensor) -> Tensor:
    """A picture whose finest octaves are as strong as asked. (B,3,H,W) → same.

    wanted: (B,3·count,h,w), the logarithms at every place of a coarse map, or (B,3·count,1,1). presence: (B,1,h,w),
    0 to 1, how much of this happens where; 0 leaves a place as it is. Every octave has one gain in a channel, from its
    strength where it is present, for what a flat sky lacks is not to be made up there.
    """
    count = wanted.shape[1] // CHANNELS
    with torch.autocast(x.device.type, enabled=False):
        parts, rest = parted(differences(x.float()), count)
        even = presence.shape[-2:] == (1, 1)
        weight = presence / presence.mean(dim=(2, 3), keepdim=True).clamp_min(1e-6)
        for octave, asked in zip(parts[::-1], wanted.split(CHANNELS, dim=1)[::-1], strict=True):
            size = octave.abs() if even else octave.abs() * spread(weight, octave)
            target = (asked.exp() * weight).mean(dim=(2, 3), keepdim=True)
            gain = (target / size.mean(dim=(2, 3), keepdim=True).clamp_min(FAINTEST)).clamp(LEAST, GREATEST) - 1
            height, width = octave.shape[-2:]
            rest = resized(rest, (height, width)).addcmul(octave, 1 + spread(presence, octave) * gain)
        return colours(rest)
