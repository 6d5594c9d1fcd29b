"""The `encoder` kind: a compact VGG-like network whose maps measure content and style.

Blocks of 3x3 convolutions and ReLU with reflect padding, an average pool between them (Gatys et al. 2016, section 2:
averages give smoother results than maxima). `studio train encoder` distils it from VGG16. Its metric, where it has one,
makes distances and Gram matrices of its maps more like VGG16's; a refinement looks through it (`Perception`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from studio.core.errors import InvalidRequest
from studio.core.kinds import MODEL_KINDS, ModelKind

LAYERS = 5  # maps, at strides 1, 2, 4, 8 and 16
SMALLEST = 16  # px, side of the smallest picture that has a map at every stride
VARIANCE_FLOOR = 1e-5  # under the square root of a deviation


@dataclass(frozen=True)
class EncoderConfig:
    """widths: channels of the five maps. depths: convolutions before each of them, from 1 to 4. metric: whether there
    is one."""

    widths: tuple[int, int, int, int, int] = (16, 32, 64, 128, 128)
    depths: tuple[int, int, int, int, int] = (2, 2, 3, 3, 2)
    metric: bool = False

    def __post_init__(self) -> None:
        for name, values, high in (("widths", self.widths, 512), ("depths", self.depths, 4)):
            if not all(1 <= value <= high for value in values):
                raise InvalidRequest(f"{name} must each be from 1 to {high}; got {', '.join(map(str, values))}.")

    @property
    def statistics(self) -> int:
        """Length of a row of statistics: mean and deviation of every channel of the picture and the maps."""
        return 2 * (3 + sum(self.widths))


class Layer(nn.Module):
    """3x3 convolution, normalisation (in training alone, then folded away), ReLU. (B,I,H,W) → (B,O,H,W)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3)
        self.norm: nn.Module = nn.Identity()
        nn.init.kaiming_normal_(self.conv.weight, nonlinearity="relu")
        nn.init.zeros_(self.conv.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.norm(self.conv(pad(x))))


class StyleEncoder(nn.Module):
    """Pictures of any size from 16 px a side → five maps."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.config, self.widths = config, config.widths
        inputs = (3, *config.widths[:-1])
        self.blocks = nn.ModuleList(
            nn.Sequential(*(Layer(i if n == 0 else o, o) for n in range(depth)))
            for i, o, depth in zip(inputs, config.widths, config.depths, strict=True)
        )
        if config.metric:
            for index, width in enumerate(config.widths):
                self.register_buffer(f"metric{index}", torch.eye(width))

    def forward(self, x: Tensor, depth: int = LAYERS) -> tuple[Tensor, ...]:
        """x: (B,3,H,W) in [-1,1] → maps after ReLU, (B,widths[l],H/2^l,W/2^l) for l < depth, sides rounded down."""
        if min(x.shape[-2:]) < SMALLEST:
            raise InvalidRequest(f"The encoder needs pictures of {SMALLEST} px a side; got {x.shape[3]}x{x.shape[2]}.")
        maps: list[Tensor] = []
        for block in self.blocks[:depth]:
            if maps:
                x = F.avg_pool2d(x, 2)
            x = block(x)
            maps.append(x)
        return tuple(maps)


class Perception(nn.Module):
    """An encoder's maps under its metric. Same shapes."""

    def __init__(self, encoder: StyleEncoder) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        maps = self.encoder(x)
        if not self.encoder.config.metric:
            return maps
        metrics = (self.encoder.get_buffer(f"metric{index}") for index in range(LAYERS))
        return tuple(F.conv2d(each, metric[:, :, None, None]) for each, metric in zip(maps, metrics, strict=True))


def statistics_of(maps: Sequence[Tensor]) -> Tensor:
    """Mean and standard deviation over positions. Maps (B,C_l,…,…) → (B,2ΣC): means, then deviations, map by map."""
    return torch.cat([part for each in maps for part in moments_of(each)], dim=1)


def moments_of(each: Tensor) -> tuple[Tensor, Tensor]:
    """(B,C,H,W) → mean and standard deviation over positions, both (B,C) float32; smooth where a channel does not vary.

    Means of squares: torch.var_mean takes ten times as long on a CPU.
    """
    each = each.float()
    mean = each.mean(dim=(2, 3), keepdim=True)
    variance = (each - mean).square().mean(dim=(2, 3))
    return mean[:, :, 0, 0], (variance + VARIANCE_FLOOR).sqrt()


def pad(x: Tensor, margin: int = 1) -> Tensor:
    """`margin` pixels of reflection on each side; a side too short to reflect repeats its edge.

    Autocast would do this in float32, there and back, though it only copies.
    """
    with torch.autocast(x.device.type, enabled=False):
        return F.pad(x, (margin,) * 4, mode="reflect" if min(x.shape[-2:]) > margin else "replicate")


def _build(config: EncoderConfig, names: int) -> StyleEncoder:
    if names:
        raise InvalidRequest(f"An encoder has no classes; got {names}.")
    return StyleEncoder(config)


MODEL_KINDS.add(
    "encoder",
    ModelKind("encoder", EncoderConfig, _build, "Compact perceptual encoder for style transfer", latent=False),
)
