"""DCGAN (Radford, Metz & Chintala 2015): transposed convolutions and batch norm, with the activations to choose.

Departures from the paper: any resolution that is a power of two from 32 to 256 (the paper has 64), any registered
activation in either network, and, with classes, an embedding beside z and a projection in the discriminator
(Miyato & Koyama 2018).
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from studio.core.activations import ACTIVATIONS, activation
from studio.core.errors import InvalidRequest
from studio.core.kinds import DETAIL_SIDES, MODEL_KINDS, LatentModel, ModelKind
from studio.models import bounds
from studio.models.classes import ClassEmbedding, check_weights


@dataclass(frozen=True)
class DcganConfig:
    """resolution: side in pixels. channels: width of the 4x4 map, halved at each doubling of the side.

    class_dim: width of a class's embedding (unused without classes). Activations: names of the table, or several
    joined by commas, which share a network's blocks evenly in the order of computation ("relu,prelu": late ones PReLU).
    """

    resolution: int = 64
    latent_dim: int = 128
    channels: int = 512
    class_dim: int = 32
    generator_activation: str = "relu"
    discriminator_activation: str = "leaky_relu"

    def __post_init__(self) -> None:
        bounds.one_of("resolution", self.resolution, bounds.RESOLUTIONS)
        bounds.whole("latent_dim", self.latent_dim, 1, 1024)
        bounds.whole("channels", self.channels, 16, 1024)
        bounds.whole("class_dim", self.class_dim, 1, 512)
        for names in (self.generator_activation, self.discriminator_activation):
            self.by_depth(names)

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels of the maps of 4, 8, … R/2 pixels: halved at each octave, never under 8."""
        octaves = int(math.log2(self.resolution)) - 2
        return tuple(max(self.channels >> octave, 8) for octave in range(octaves))

    def by_depth(self, names: str) -> tuple[str, ...]:
        """The activation of each block, in the order of computation: of n names over B blocks, block i has ⌊i·n/B⌋."""
        known, blocks = names.split(","), len(self.widths)
        for name in known:
            ACTIVATIONS[name]
        if len(known) > blocks:
            raise InvalidRequest(f"{names[:80]!r} names {len(known)} activations for {blocks} blocks; name fewer.")
        return tuple(known[block * len(known) // blocks] for block in range(blocks))


def up_block(inward: int, outward: int, act: str, first: bool = False) -> nn.Sequential:
    """(B,inward,S,S) → (B,outward,2S,2S), the first 1x1 → 4x4: transposed convolution, batch norm, activation."""
    stride, padding = (1, 0) if first else (2, 1)
    convolution = nn.ConvTranspose2d(inward, outward, 4, stride, padding, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outward), activation(act))


def down_block(inward: int, outward: int, act: str, normed: bool) -> nn.Sequential:
    """(B,inward,S,S) → (B,outward,S/2,S/2): strided convolution, batch norm (not at the picture), activation."""
    convolution = nn.Conv2d(inward, outward, 4, 2, 1, bias=not normed)
    norm = nn.BatchNorm2d(outward) if normed else nn.Identity()
    return nn.Sequential(convolution, norm, activation(act))


def initialise(module: nn.Module) -> None:
    """Weights of the paper: convolutions N(0, 0.02), batch norm N(1, 0.02), biases 0. For ``Module.apply``."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.BatchNorm2d) and module.bias is not None:
        nn.init.zeros_(module.bias)


@torch.no_grad()
def fold_norm_(block: nn.Sequential) -> None:
    """Write the running statistics of block[1] into the transposed convolution block[0], in place."""
    convolution, norm = block[0], block[1]
    if not isinstance(convolution, nn.ConvTranspose2d) or not isinstance(norm, nn.BatchNorm2d):
        return
    if norm.running_mean is None or norm.running_var is None:
        return
    scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    convolution.weight.mul_(scale[None, :, None, None])
    convolution.bias = nn.Parameter(norm.bias - norm.running_mean * scale)
    block[1] = nn.Identity()


class Dcgan(LatentModel):
    """The generator. w is z with the class embedding beside it, the same for every layer: L = 1."""

    layers = 1

    def __init__(self, config: DcganConfig, class_count: int = 0) -> None:
        super().__init__()
        self.latent_dim, self.resolution, self.class_count = config.latent_dim, config.resolution, class_count
        self.embedding = ClassEmbedding(class_count, config.class_dim)
        self.width = config.latent_dim + self.embedding.width
        widths = config.widths
        self.detail_shapes = tuple((c, 4 << i) for i, c in enumerate(widths) if 4 << i in DETAIL_SIDES)
        first, *later = config.by_depth(config.generator_activation)
        blocks = [up_block(self.width, widths[0], first, first=True)]
        blocks += [up_block(a, b, act) for (a, b), act in zip(itertools.pairwise(widths), later, strict=True)]
        self.blocks = nn.Sequential(*blocks)
        self.to_rgb = nn.ConvTranspose2d(widths[-1], 3, 4, 2, 1)
        self.register_buffer("w_mean", torch.zeros(max(class_count, 1), self.width))
        self.apply(initialise)

    def mapping(self, z: Tensor, weights: Tensor | None = None) -> Tensor:
        """z: (B,Z) standard normal, weights: (B,K) rows on the simplex → w: (B,1,W)."""
        return torch.cat([z, self.embedding(weights, like=z)], dim=1)[:, None]

    def synthesis(self, w: Tensor, details: Sequence[Tensor] = ()) -> Tensor:
        """w: (B,1,W), details: as in LatentModel → pictures (B,3,R,R) in [-1,1]."""
        added = {detail.shape[3]: detail for detail in details}
        x = w[:, 0, :, None, None]
        for block in self.blocks:
            x = block(x)
            x = x + added[x.shape[3]] if x.shape[3] in added else x
        picture: Tensor = torch.tanh(self.to_rgb(x))
        return picture

    def style_weights(self) -> tuple[Tensor, ...]:
        """The first transposed convolution, whose map of 4x4 is linear in w: one matrix (16C,W)."""
        return (self.blocks[0].get_parameter("0.weight").flatten(1).T,)

    def optimise_(self) -> None:
        """Fold batch norm into the transposed convolutions, in place; only meaningful in eval mode."""
        for block in self.blocks:
            if isinstance(block, nn.Sequential):
                fold_norm_(block)


class DcganDiscriminator(nn.Module):
    """The mirror of the generator, for training only: pictures → one logit each."""

    def __init__(self, config: DcganConfig, class_count: int = 0) -> None:
        super().__init__()
        self.class_count = class_count
        widths = (3, *reversed(config.widths))
        acts = config.by_depth(config.discriminator_activation)
        pairs = zip(itertools.pairwise(widths), acts, strict=True)
        blocks = [down_block(a, b, act, normed=i > 0) for i, ((a, b), act) in enumerate(pairs)]
        self.blocks = nn.Sequential(*blocks)
        self.to_logit = nn.Conv2d(widths[-1], 1, 4)
        self.projection = ClassEmbedding(class_count, widths[-1], std=0.02)
        self.apply(initialise)

    def forward(self, pictures: Tensor, weights: Tensor | None = None) -> Tensor:
        """pictures: (B,3,R,R) in [-1,1], weights: (B,K) → logits (B,), high for real.

        With classes, the inner product of the class's vector and the pooled features is added (Miyato & Koyama 2018).
        """
        check_weights(weights, self.class_count)
        features = self.blocks(pictures)
        logits: Tensor = self.to_logit(features).flatten()
        if self.class_count:
            pooled = features.sum(dim=(2, 3))
            logits = logits + (self.projection(weights, like=pooled) * pooled).sum(dim=1)
        return logits


MODEL_KINDS.add(
    "dcgan",
    ModelKind("dcgan", DcganConfig, Dcgan, "DCGAN of Radford et al. 2015, with the activations to choose"),
)
