"""Augmentation that makes new tasks, not new pictures: one drawn transformation for the whole of an episode.

Support and query change alike, so that what is learned from the one still holds for the other, and the same painter in
another palette is one more painter (task augmentation: Ni et al. 2021, Data augmentation for meta-learning, section 3).
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from studio.core.errors import InvalidRequest

PLAIN = (0, 1, 2)  # the channels in their own order


@dataclass(frozen=True)
class TaskAugmentation:
    """How tasks are varied.

    flip: probability of mirroring left and right. recolour: probability of another palette, so that true ones are seen
    as well; in it, permute and invert are the probabilities of the colour channels in a random order and of the
    negative, hue is the greatest turn of the colour circle, in degrees to either side, and saturation the least and
    the greatest factor.
    """

    flip: float = 0.5
    recolour: float = 0.5
    permute: float = 0.3
    invert: float = 0.05
    hue: float = 180.0
    saturation: tuple[float, float] = (0.6, 1.4)

    def __post_init__(self) -> None:
        for name in ("flip", "recolour", "permute", "invert"):
            if not 0 <= getattr(self, name) <= 1:
                raise InvalidRequest(f"{name} is a probability, from 0 to 1; got {getattr(self, name)}.")
        if not 0 <= self.hue <= 180:
            raise InvalidRequest(f"hue must be from 0 to 180 degrees; got {self.hue}.")
        low, high = self.saturation
        if not 0 <= low <= high <= 4:
            raise InvalidRequest(f"saturation must be two factors from 0 to 4, the lesser first; got {low} and {high}.")


@dataclass(frozen=True)
class TaskTransform:
    """One drawn transformation. channels: which channel becomes red, green and blue. hue: degrees."""

    channels: tuple[int, int, int] = PLAIN
    hue: float = 0.0
    saturation: float = 1.0
    inverted: bool = False
    mirrored: bool = False

    @property
    def recolours(self) -> bool:
        return (self.channels, self.hue, self.saturation, self.inverted) != (PLAIN, 0.0, 1.0, False)


def draw_transform(augmentation: TaskAugmentation, generator: torch.Generator) -> TaskTransform:
    """One transformation for a whole episode. The count of draws is always the same, whatever comes of them."""
    mirror, recolour, permute, invert, turn, fade = torch.rand(6, generator=generator, dtype=torch.float64).tolist()
    red, green, blue = torch.randperm(3, generator=generator).tolist()
    mirrored = mirror < augmentation.flip
    if recolour >= augmentation.recolour:
        return TaskTransform(mirrored=mirrored)
    low, high = augmentation.saturation
    return TaskTransform(
        channels=(red, green, blue) if permute < augmentation.permute else PLAIN,
        hue=augmentation.hue * (2 * turn - 1),
        saturation=low + (high - low) * fade,
        inverted=invert < augmentation.invert,
        mirrored=mirrored,
    )


def palette(transform: TaskTransform) -> Tensor:
    """The colours' change as one matrix (3,3) on RGB in [-1,1], in float64; mid-grey (0,0,0) stays.

    First the order of channels, then the turn about the axis of greys (Rodrigues' formula), which keeps the mean of
    the channels; then the distance from grey, and the sign.
    """
    order = torch.eye(3, dtype=torch.float64)[list(transform.channels)]
    grey = torch.full((3, 3), 1 / 3, dtype=torch.float64)
    angle = math.radians(transform.hue)
    cross = torch.tensor([[0, -1, 1], [1, 0, -1], [-1, 1, 0]], dtype=torch.float64) / math.sqrt(3)
    colour = torch.eye(3, dtype=torch.float64) - grey
    turned = grey + transform.saturation * (math.cos(angle) * colour + math.sin(angle) * cross)
    return (-1 if transform.inverted else 1) * turned @ order


def transform_pictures(images: Tensor, transform: TaskTransform) -> Tensor:
    """Apply one transformation to every picture. (B,3,H,W), uint8 or floats in [-1,1] → the same type and range.

    Colours that leave the range are clipped.
    """
    if transform.mirrored:
        images = images.flip(3)
    if not transform.recolours:
        return images
    signed = images if images.is_floating_point() else images.float().div(127.5).sub(1)
    matrix = palette(transform).to(signed.device, signed.dtype)
    changed = torch.einsum("dc,bchw->bdhw", matrix, signed).clamp(-1, 1)
    return changed if images.is_floating_point() else changed.add(1).mul(127.5).round().to(images.dtype)
