"""The `gan` kind: a light generator after FastGAN (Liu et al. 2021, arXiv 2101.04775) with layer-wise styles.

Kept from FastGAN: convolutions with batch norm, noise and gated linear units, and skip-layer excitation from early
to late maps. Changed: the style w is noise and class embedding side by side (as in BigGAN, Brock et al. 2019) and
modulates the input of every octave, so that styles can be truncated, mixed by layer and walked through; upsampling and
convolution are one transposed convolution. With classes it is the conditional GAN; a mixture of classes is the
weighted sum of embeddings. The 4x4 map is a linear function of the noise alone, without a bias: layout comes from the
noise, and the class only modulates channels. A mapping network before w, and a 4x4 map that knew the class, were both
tried: each class kept one layout and the noise changed its colours only.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from studio.core.errors import InvalidRequest
from studio.core.kinds import DETAIL_SIDES, MODEL_KINDS, LatentModel, ModelKind
from studio.core.octaves import scaled
from studio.models.blocks import Excitation, Modulation, Noise, UpConv3x3, convolved_and_normed, fold_batch_norm_

RESOLUTIONS = (32, 64, 128, 256)
CHANNELS = {4: 256, 8: 192, 16: 128, 32: 64, 64: 64, 128: 32, 256: 16}  # at capacity 1
DOUBLE_CONVOLUTION_UP_TO = 32  # px; above it one convolution an octave, as in FastGAN's plain blocks
NOISE_UP_TO = 32  # px
EXCITATION = {64: 4, 128: 8, 256: 16}  # px: the map that gates ← the map that it comes from


@dataclass(frozen=True)
class GanConfig:
    """resolution in px; latent_dim: length of z; embedding: length of a class embedding; capacity: factor on the
    channel counts."""

    resolution: int = 128
    latent_dim: int = 128
    embedding: int = 64
    capacity: float = 1.0

    def __post_init__(self) -> None:
        if self.resolution not in RESOLUTIONS:
            raise InvalidRequest(f"resolution must be one of {RESOLUTIONS}; got {self.resolution}.")
        for name, low, high in (("latent_dim", 1, 1024), ("embedding", 1, 1024)):
            if not low <= getattr(self, name) <= high:
                raise InvalidRequest(f"{name} must be from {low} to {high}; got {getattr(self, name)}.")
        if not 0.05 <= self.capacity <= 4:
            raise InvalidRequest(f"capacity must be from 0.05 to 4; got {self.capacity}.")

    def width(self, class_count: int) -> int:
        """Length of w."""
        return self.latent_dim + (self.embedding if class_count else 0)

    def channels(self, size: int) -> int:
        """Channels of the map of `size` px: a multiple of 8."""
        return max(8, round(CHANNELS[size] * self.capacity / 8) * 8)


def gated_linear_unit(x: Tensor) -> Tensor:
    """(B,2C,H,W) → (B,C,H,W). On a CPU F.glu is the faster forward, but its backward is 2.7 times slower.

    The gate is copied first: the sigmoid of a few channels between others takes a CPU seven times as long in bfloat16.
    """
    if not x.requires_grad:
        return F.glu(x, dim=1)
    value, gate = x.chunk(2, dim=1)
    return value * torch.sigmoid(gate.contiguous(memory_format=torch.channels_last))


class Gated(nn.Module):
    """Convolution, batch norm, gated linear unit. (B,I,H,W) → (B,O,H,W), or (B,O,2H,2W) where `up`."""

    def __init__(self, inputs: int, outputs: int, up: bool = False) -> None:
        super().__init__()
        self.conv: nn.Conv2d | UpConv3x3
        self.conv = UpConv3x3(inputs, 2 * outputs) if up else nn.Conv2d(inputs, 2 * outputs, 3, padding=1)
        self.norm: nn.BatchNorm2d | nn.Identity = nn.BatchNorm2d(2 * outputs)

    def forward(self, x: Tensor) -> Tensor:
        norm = self.norm
        if isinstance(norm, nn.BatchNorm2d) and not norm.training and torch.is_grad_enabled():
            return gated_linear_unit(convolved_and_normed(self.conv, norm, x))
        return gated_linear_unit(norm(self.conv(x)))

    def optimise_(self) -> None:
        if isinstance(self.norm, nn.BatchNorm2d):
            fold_batch_norm_(self.conv, self.norm)
            self.norm = nn.Identity()
        if isinstance(self.conv, UpConv3x3):
            self.conv.freeze_()


class Octave(nn.Module):
    """Modulate at the low resolution, then double it. x: (B,I,H,W), w: (B,W) → (B,O,2H,2W)."""

    def __init__(self, config: GanConfig, size: int, width: int) -> None:
        super().__init__()
        inputs, outputs = config.channels(size // 2), config.channels(size)
        self.modulation = Modulation(width, inputs)
        self.up = Gated(inputs, outputs, up=True)
        self.noise = Noise(size) if size <= NOISE_UP_TO else None
        self.refine = Gated(outputs, outputs) if size <= DOUBLE_CONVOLUTION_UP_TO else None

    def forward(self, x: Tensor, w: Tensor, gate: Tensor | None) -> Tensor:
        x = self.up(self.modulation(x, w, gate))
        if self.noise is not None:
            x = self.noise(x)
        return x if self.refine is None else self.refine(x)


class GanGenerator(LatentModel):
    """Noise and class → w → picture. Layers: one style for the 4x4 map, one an octave, one for the colours.

    gains: (n,3) on the n finest octaves of what is painted (`studio.core.octaves`); None, as in every file, for none.
    """

    gains: Tensor | None

    def __init__(self, config: GanConfig, class_count: int) -> None:
        super().__init__()
        self.config = config
        self.latent_dim, self.width, self.resolution = config.latent_dim, config.width(class_count), config.resolution
        self.class_count = class_count
        self.sizes = [size for size in CHANNELS if 8 <= size <= config.resolution]
        self.layers = len(self.sizes) + 2
        self.detail_shapes = tuple((config.channels(size), size) for size in self.sizes if size in DETAIL_SIDES)
        self.embedding = nn.Parameter(torch.randn(class_count, config.embedding)) if class_count else None
        self.start = nn.Linear(config.latent_dim, 2 * config.channels(4) * 16, bias=False)
        self.start_norm = nn.BatchNorm2d(2 * config.channels(4))
        self.octaves = nn.ModuleList(Octave(config, size, self.width) for size in self.sizes)
        self.excitations = nn.ModuleDict(
            {
                str(size): Excitation(config.channels(EXCITATION[size]), config.channels(size))
                for size in self.sizes
                if size in EXCITATION
            }
        )
        self.colour_modulation = Modulation(self.width, config.channels(config.resolution))
        self.colour = nn.Conv2d(config.channels(config.resolution), 3, 3, padding=1)
        self.register_buffer("w_mean", torch.zeros(max(class_count, 1), self.width))
        self.register_buffer("gains", None, persistent=False)

    def mapping(self, z: Tensor, weights: Tensor | None = None) -> Tensor:
        """z: (B,Z), weights: (B,K) on the simplex → w: (B,L,W). z is first normalised to the sphere."""
        z = z * torch.rsqrt(z.square().mean(dim=1, keepdim=True) + 1e-8)
        if self.embedding is not None:
            if weights is None:
                raise InvalidRequest(f"This model needs class weights; it has {self.class_count} classes.")
            z = torch.cat([z, weights @ self.embedding], dim=1)
        return z[:, None].expand(-1, self.layers, -1)

    def synthesis(self, w: Tensor, details: Sequence[Tensor] = ()) -> Tensor:
        """w: (B,L,W), details: none, or (B,C,S,S) for each of detail_shapes → (B,3,R,R) in [-1,1]."""
        added = {detail.shape[3]: detail for detail in details}
        x = self.start(w[:, 0, : self.latent_dim]).view(w.shape[0], -1, 4, 4)
        x = x.contiguous(memory_format=torch.channels_last)
        x = gated_linear_unit(self.start_norm(x))
        maps, gate = {4: x}, None
        for layer, (size, octave) in enumerate(zip(self.sizes, self.octaves, strict=True), start=1):
            x = octave(x, w[:, layer], gate)
            x = x + added[size] if size in added else x
            gate = self.excitations[str(size)](maps[EXCITATION[size]]) if size in EXCITATION else None
            maps[size] = x
        return finished(torch.tanh(self.colour(self.colour_modulation(x, w[:, -1], gate))), self.gains)

    def style_weights(self) -> tuple[Tensor, ...]:
        """The start, which reads the noise alone, the octaves' modulations and the colours': (O,W) for each layer."""
        start = F.pad(self.start.weight, (0, self.width - self.latent_dim))
        octaves = [octave.get_parameter("modulation.affine.weight") for octave in self.octaves]
        return (start, *octaves, self.colour_modulation.affine.weight)

    def optimise_(self) -> None:
        for module in self.modules():
            if isinstance(module, Gated):
                module.optimise_()


def finished(painted: Tensor, gains: Tensor | None) -> Tensor:
    """(B,3,R,R) in [-1,1] with its finest octaves times gains."""
    return painted if gains is None else scaled(painted, gains).clamp(-1, 1)


@torch.no_grad()
def without_classes(model: GanGenerator, weights: Tensor) -> GanGenerator:
    """The unconditional generator that equals `model` at one fixed mix of classes. weights: (K,) on the simplex.

    The class part of every modulation is a constant then, which moves into its bias.
    """
    assert model.embedding is not None
    plain = GanGenerator(model.config, 0)
    constant = weights @ model.embedding
    state = dict(model.state_dict())
    for name, module in model.named_modules():
        if isinstance(module, Modulation):
            weight = state[f"{name}.affine.weight"]
            state[f"{name}.affine.bias"] = state[f"{name}.affine.bias"] + weight[:, model.latent_dim :] @ constant
            state[f"{name}.affine.weight"] = weight[:, : model.latent_dim]
    state["w_mean"] = plain.w_mean
    state.pop("embedding")
    plain.load_state_dict(state)
    return plain


MODEL_KINDS.add(
    "gan",
    ModelKind(
        name="gan",
        config=GanConfig,
        build=GanGenerator,
        summary="FastGAN-like generator with layer-wise styles; with classes, the conditional GAN",
    ),
)
