"""The `vae` kind: a variational autoencoder (Kingma & Welling 2014) that draws from a mixture fitted to its posteriors.

The decoder is a style generator: the latent and the class make w, which starts the 4x4 map and modulates every octave,
so that styles can be truncated, mixed by layer and walked through. The encoder is published with it, for pictures that
come from outside. After training, a mixture of Gaussians shared by the classes, with each class's own weights, stands
in for the standard normal prior (a posterior is never quite that): samples then come from where pictures were.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from studio.core.kinds import DETAIL_SIDES, MODEL_KINDS, LatentModel, ModelKind
from studio.models import bounds
from studio.models.blocks import Modulation, UpConv3x3
from studio.models.classes import ClassEmbedding
from studio.models.mixture import COVARIANCES, Mixture, draw

LOG_VARIANCE = (-10.0, 4.0)
DECODER = (1, 1, 0.625, 0.375, 0.25, 0.125, 0.0625)  # widths of the maps of 4, 8, … 256 px, by `channels`


@dataclass(frozen=True)
class VaeConfig:
    """resolution in px; latent_dim: D, length of the posterior's mean; width: length of w; class_dim: length of a class
    embedding; channels: of the decoder's 4 and 8 px maps, fewer at each octave after; encoder_channels: of the
    encoder's 4 px map, halved at each octave before; components and covariance ("full", "diagonal"): of the prior."""

    resolution: int = 64
    latent_dim: int = 128
    width: int = 128
    class_dim: int = 32
    channels: int = 256
    encoder_channels: int = 160
    components: int = 10
    covariance: str = "full"

    def __post_init__(self) -> None:
        bounds.one_of("resolution", self.resolution, bounds.RESOLUTIONS)
        for name, low, high in (("latent_dim", 1, 512), ("width", 1, 1024), ("class_dim", 1, 512)):
            bounds.whole(name, getattr(self, name), low, high)
        bounds.whole("channels", self.channels, 16, 1024)
        bounds.whole("encoder_channels", self.encoder_channels, 16, 1024)
        bounds.whole("components", self.components, 1, 64)
        bounds.one_of("covariance", self.covariance, COVARIANCES)

    @property
    def octaves(self) -> int:
        """Doublings from 4 px to the resolution."""
        return int(math.log2(self.resolution)) - 2

    def decoder_width(self, octave: int) -> int:
        """Channels of the decoder's map of 4·2^octave px: a multiple of 8."""
        return max(round(self.channels * DECODER[octave] / 8) * 8, 8)

    def encoder_width(self, octave: int) -> int:
        """Channels of the encoder's map of 4·2^octave px, never under 16."""
        return max(self.encoder_channels >> octave, 16)


def initialise(module: nn.Module) -> None:
    """Variance-keeping weights (He et al. 2015) and no biases, but in modulations: torch's defaults shrink every layer.

    For ``Module.apply``; on pictures of 32 px it reached in 120 steps the loss that the defaults had after 200.
    """
    if isinstance(module, nn.Conv2d | nn.Linear):
        nn.init.kaiming_normal_(module.weight, nonlinearity="linear")
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, Modulation):
        nn.init.normal_(module.affine.weight, std=0.3 / module.affine.in_features**0.5)


class DecoderOctave(nn.Module):
    """Residual block of two modulated 3x3 convolutions, of which the first doubles the side.

    x: (B,I,H,W), w: (B,W) → (B,O,2H,2W).
    """

    def __init__(self, width: int, inputs: int, outputs: int) -> None:
        super().__init__()
        self.style_in, self.style_out = Modulation(width, inputs), Modulation(width, outputs)
        self.up = UpConv3x3(inputs, outputs)
        self.refine = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.skip = nn.Conv2d(inputs, outputs, 1, bias=False) if inputs != outputs else nn.Identity()

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        doubled = self.up(F.leaky_relu(self.style_in(x, w), 0.2))
        y: Tensor = self.refine(F.leaky_relu(self.style_out(doubled, w), 0.2))
        skipped: Tensor = self.skip(x)
        return y + F.interpolate(skipped, scale_factor=2.0, mode="nearest")


class EncoderOctave(nn.Module):
    """Residual block that halves the side. x: (B,I,2H,2W) → (B,O,H,W)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.wide = nn.Conv2d(inputs, inputs, 3, padding=1)
        self.down = nn.Conv2d(inputs, outputs, 4, 2, 1)
        self.skip = nn.Conv2d(inputs, outputs, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.down(F.leaky_relu(self.wide(F.leaky_relu(x, 0.2)), 0.2))
        return y + self.skip(F.avg_pool2d(x, 2))


class Encoder(nn.Module):
    """Picture and class → mean and log variance of the posterior."""

    def __init__(self, config: VaeConfig, class_width: int) -> None:
        super().__init__()
        top = config.octaves - 1  # half the resolution: the picture enters with its 2x2 pixels as channels
        self.stem = nn.Conv2d(12, config.encoder_width(top), 3, padding=1)
        self.octaves = nn.Sequential(
            *(EncoderOctave(config.encoder_width(i + 1), config.encoder_width(i)) for i in reversed(range(top)))
        )
        self.hidden = nn.Linear(config.encoder_width(0) * 16 + class_width, 256)
        self.head = nn.Linear(256, 2 * config.latent_dim)

    def forward(self, images: Tensor, classes: Tensor) -> tuple[Tensor, Tensor]:
        """images: (B,3,R,R) in [-1,1], classes: (B,E) → mean (B,D), log variance (B,D)."""
        x = self.octaves(self.stem(F.pixel_unshuffle(images, 2)))
        h = torch.cat([F.leaky_relu(x, 0.2).flatten(1), classes], dim=1)
        mean, log_variance = self.head(F.leaky_relu(self.hidden(h), 0.2)).chunk(2, dim=1)
        return mean, log_variance.clamp(*LOG_VARIANCE)


class Vae(LatentModel):
    """Noise → component and point of the prior → w → picture; and picture → posterior.

    Layers: one style for the 4x4 map, one an octave.
    """

    prior_log_weights: Tensor  # (max(K,1), C)
    prior_means: Tensor  # (C, D)
    prior_scale: Tensor  # (C, D, D) lower Cholesky factors, or (C, D)

    def __init__(self, config: VaeConfig, class_count: int = 0) -> None:
        super().__init__()
        self.config = config
        self.latent_dim = config.latent_dim + 1
        self.width, self.resolution, self.class_count = config.width, config.resolution, class_count
        self.layers = config.octaves + 1
        maps = ((config.decoder_width(octave), 4 << octave) for octave in range(self.layers))
        self.detail_shapes = tuple((channels, side) for channels, side in maps if side in DETAIL_SIDES)
        self.embedding = ClassEmbedding(class_count, config.class_dim)
        inward = config.latent_dim + self.embedding.width
        self.map_skip, self.map_in = nn.Linear(inward, config.width), nn.Linear(inward, config.width)
        self.map_out = nn.Linear(config.width, config.width)
        self.start = nn.Linear(config.width, config.decoder_width(0) * 16)
        widths = [config.decoder_width(i) for i in range(self.layers)]
        self.octaves = nn.ModuleList(DecoderOctave(config.width, a, b) for a, b in itertools.pairwise(widths))
        self.colour = nn.Conv2d(widths[-1], 3, 3, padding=1)
        self.encoder = Encoder(config, self.embedding.width)
        self.apply(initialise)
        self.colour.weight.data.mul_(0.3)  # pictures begin within the range of pixels
        for octave in self.octaves:
            octave.get_parameter("refine.weight").data.mul_(0.2)  # a block begins close to its skip
        self.encoder.head.weight.data.mul_(0.5)
        self._register_prior(config)

    def _register_prior(self, config: VaeConfig) -> None:
        """Buffers of the prior, first the standard normal that training assumes."""
        rows, parts, dim = max(self.class_count, 1), config.components, config.latent_dim
        unit = torch.eye(dim) if config.covariance == "full" else torch.ones(dim)
        self.register_buffer("prior_log_weights", torch.full((rows, parts), -math.log(parts)))
        self.register_buffer("prior_means", torch.zeros(parts, dim))
        self.register_buffer("prior_scale", unit.repeat(parts, *[1] * unit.ndim))
        self.register_buffer("w_mean", torch.zeros(rows, self.width))

    @property
    def prior(self) -> Mixture:
        """The mixture that samples are drawn from."""
        return Mixture(self.prior_log_weights, self.prior_means, self.prior_scale)

    @torch.no_grad()
    def set_prior(self, mixture: Mixture) -> None:
        """Draw from this mixture from now on; its shapes are those of the config."""
        self.prior_log_weights.copy_(mixture.log_weights)
        self.prior_means.copy_(mixture.means)
        self.prior_scale.copy_(mixture.scale)

    def encode(self, images: Tensor, weights: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """images: (B,3,R,R) in [-1,1], weights: (B,K) → posterior mean (B,D) and log variance (B,D)."""
        mean, log_variance = self.encoder(images, self.embedding(weights, like=images))
        return mean, log_variance

    def style(self, latent: Tensor, weights: Tensor | None = None) -> Tensor:
        """A point of the latent space (B,D) and class weights (B,K) → w: (B,L,W)."""
        h = torch.cat([latent, self.embedding(weights, like=latent)], dim=1)
        w: Tensor = self.map_skip(h) + self.map_out(F.leaky_relu(self.map_in(h), 0.2))
        return w[:, None].expand(-1, self.layers, -1)

    def mapping(self, z: Tensor, weights: Tensor | None = None) -> Tensor:
        """z: (B,D+1) standard normal, weights: (B,K) → w: (B,L,W). The first of z picks the prior's component."""
        chances = self.prior_log_weights.exp()
        chances = chances.expand(len(z), -1) if weights is None else weights.to(chances.dtype) @ chances
        return self.style(draw(self.prior, chances, z), weights)

    def synthesis(self, w: Tensor, details: Sequence[Tensor] = ()) -> Tensor:
        """w: (B,L,W), details: as in LatentModel → pictures (B,3,R,R) in [-1,1]; in training they may lie outside.

        A squashing function there saturates on the pure colours of paint, and L1 through it has no gradient left.
        """
        added = {detail.shape[3]: detail for detail in details}
        x = self.start(w[:, 0]).view(w.shape[0], -1, 4, 4).contiguous(memory_format=torch.channels_last)
        for layer, octave in enumerate(self.octaves, start=1):
            x = octave(x, w[:, layer])
            x = x + added[x.shape[3]] if x.shape[3] in added else x
        picture: Tensor = self.colour(F.leaky_relu(x, 0.2))
        return picture if self.training else picture.clamp(-1, 1)

    def style_weights(self) -> tuple[Tensor, ...]:
        """The start and the octaves' modulations: (O,W) for each layer."""
        names = ("style_in.affine.weight", "style_out.affine.weight")
        return (
            self.start.weight,
            *(torch.cat([octave.get_parameter(name) for name in names]) for octave in self.octaves),
        )

    def encoded(self, pictures: Tensor, weights: Tensor | None) -> Tensor:
        """The styles of the posterior's mean. pictures: (B,3,R,R) in [-1,1], weights: (B,K) → w (B,L,W)."""
        return self.style(self.encode(pictures, weights)[0], weights)

    def optimise_(self) -> None:
        """Keep the transposed kernels of the upsampling convolutions."""
        for module in self.modules():
            if isinstance(module, UpConv3x3):
                module.freeze_()


MODEL_KINDS.add(
    "vae",
    ModelKind("vae", VaeConfig, Vae, "Variational autoencoder with a style decoder and a fitted mixture prior"),
)
