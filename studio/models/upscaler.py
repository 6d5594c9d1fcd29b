"""The `upscaler` kind: twice the size in one pass, so that what a generator paints at 128 px can hang at 512.

Residual 3x3 convolutions at the small size, a sub-pixel convolution (Shi et al. 2016, arXiv 1609.05158), two at the
large size, and the bicubic enlargement added: the network paints what that lacks. There is no normalisation (Lim et
al. 2017, EDSR, section 3.1), so a part is enlarged as it is within the whole, but for the reach of the convolutions.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from studio.core.errors import InvalidRequest
from studio.core.kinds import MODEL_KINDS, ModelKind
from studio.models import bounds

FACTOR = 2
SLOPE = 0.2  # of the leaky ReLU


@dataclass(frozen=True)
class UpscalerConfig:
    """width: channels at the small size, a multiple of 4; half as many at the large one. depth: residual blocks."""

    width: int = 48
    depth: int = 4

    def __post_init__(self) -> None:
        bounds.whole("width", self.width, 8, 256)
        bounds.whole("depth", self.depth, 1, 32)
        if self.width % 4:
            raise InvalidRequest(f"width must be a multiple of 4; got {self.width}.")


class Residual(nn.Module):
    """x + f(x), f of two 3x3 convolutions with a leaky ReLU between; f begins small. (B,C,H,W) → same."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first, self.second = _convolution(width, width), _convolution(width, width, gain=0.1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(_leaky(self.first(x)))


class Upscaler(nn.Module):
    """(B,3,H,W) in [-1,1] → (B,3,2H,2W), clipped to [-1,1] in eval mode. Begins as the bicubic enlargement."""

    def __init__(self, config: UpscalerConfig) -> None:
        super().__init__()
        self.config = config
        width, fine = config.width, config.width // 2
        self.first = _convolution(3, width)
        self.body = nn.Sequential(*(Residual(width) for _ in range(config.depth)))
        self.up = _convolution(width, fine * FACTOR**2)
        self.fine = _convolution(fine, fine)
        self.last = _convolution(fine, 3, gain=0)

    @property
    def reach(self) -> int:
        """Pixels of the small picture around a part that its enlargement depends on; the bicubic one depends on 2."""
        return 2 * self.config.depth + 3  # as many convolutions and two; the two at the large size see one small pixel

    def forward(self, x: Tensor) -> Tensor:
        first = _leaky(self.first(x))
        fine = _leaky(F.pixel_shuffle(self.up(first + self.body(first)), FACTOR))
        painted = self.last(_leaky(self.fine(fine)))
        enlarged = bicubic(x.float()) + painted.float()
        return enlarged if self.training else enlarged.clamp(-1, 1)


def bicubic(x: Tensor) -> Tensor:
    """Twice the size. (B,3,H,W) → (B,3,2H,2W)."""
    return F.interpolate(x, scale_factor=FACTOR, mode="bicubic", align_corners=False)


def _convolution(inputs: int, outputs: int, gain: float = 1.0) -> nn.Conv2d:
    convolution = nn.Conv2d(inputs, outputs, 3, padding=1, padding_mode="replicate")
    nn.init.kaiming_normal_(convolution.weight, SLOPE, nonlinearity="leaky_relu")
    with torch.no_grad():
        convolution.weight.mul_(gain)
    nn.init.zeros_(convolution.bias)  # type: ignore[arg-type]  # it has one
    return convolution


def _leaky(x: Tensor) -> Tensor:
    return F.leaky_relu(x, SLOPE)


def _build(config: UpscalerConfig, class_count: int) -> Upscaler:
    del class_count
    return Upscaler(config)


MODEL_KINDS.add(
    "upscaler", ModelKind("upscaler", UpscalerConfig, _build, "paintings at twice the size in one pass", latent=False)
)
