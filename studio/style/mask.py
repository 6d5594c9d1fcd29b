"""A strength mask: the styled picture where it is white, the content where it is black, a mix in between."""

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from studio.core.errors import InvalidRequest
from studio.core.images import to_tensor

TOLERANCE = 0.02  # by which the aspect of a mask may differ, a share
ROUNDING = 1e-5  # of sums of weights
MAX_FEATHER = 0.5  # of the short side


def strength_mask(mask: Image.Image, height: int, width: int, feather: float = 0.0) -> Tensor:
    """A greyscale picture → strengths (1,H,W) in [0,1]; transparent parts of the mask count as black.

    feather: standard deviation of the blur of its edges, as a share of the short side, at most 0.5.
    """
    if not 0 <= feather <= MAX_FEATHER:
        raise InvalidRequest(f"The feather must be a number from 0 to {MAX_FEATHER:g}; got {feather}.")
    ratio = (mask.width * height) / (mask.height * width)
    if abs(ratio - 1) > TOLERANCE + 1 / min(*mask.size, height, width):  # a side is rounded to whole pixels
        raise InvalidRequest(
            f"The mask is {mask.width}x{mask.height} pixels, of another shape than the picture's {width}x{height}; "
            "give a mask with the same ratio of width to height."
        )
    grey = mask.convert("RGBA")
    grey = Image.composite(grey, Image.new("RGBA", grey.size, (0, 0, 0, 255)), grey.getchannel("A")).convert("L")
    strengths = to_tensor(grey)[:1].add(1).div(2)
    if strengths.shape[-2:] != (height, width):
        strengths = F.interpolate(strengths[None], size=(height, width), mode="bilinear", antialias=True)[0]
    return _blur(strengths, feather * min(height, width)).clamp(0, 1)


def apply_mask(styled: Tensor, content: Tensor, mask: Tensor) -> Tensor:
    """styled, content: (3,H,W), mask: (1,H,W) in [0,1] → (3,H,W); exact at 0 and 1."""
    return torch.where(mask == 1, styled, torch.lerp(content, styled, mask))


def _blur(strengths: Tensor, deviation: float) -> Tensor:
    """Gaussian, separable, edges continued. (1,H,W) → (1,H,W)."""
    radius = int(3 * deviation)
    if radius == 0:
        return strengths
    offsets = torch.arange(-radius, radius + 1, dtype=strengths.dtype)
    kernel = torch.exp(-0.5 * (offsets / deviation).square())
    kernel = kernel / kernel.sum()
    padded = F.pad(strengths[None], (radius, radius, radius, radius), mode="replicate")
    down = F.conv2d(padded, kernel.view(1, 1, -1, 1))
    blurred = F.conv2d(down, kernel.view(1, 1, 1, -1))[0]
    return (blurred - ROUNDING) / (1 - 2 * ROUNDING)  # so that black and white come out exact, clamped
