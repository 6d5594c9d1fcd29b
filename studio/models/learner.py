"""The `learner` kind: what a generator that has seen many artists brings to a few pictures of a new one.

A set encoder turns a handful of pictures into a class embedding at once, without a step of training: the mean over the
pictures of a function of each one's features, as in Deep Sets (Zaheer et al. 2017, eq. 2). The discriminator is
projected and conditioned on the same set (IC-GAN, Casanova et al. 2021, conditions both players on one picture's
features), so that its heads know what to look for before the first step towards a new artist.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from studio.core.errors import InvalidRequest
from studio.core.kinds import MODEL_KINDS, ModelKind
from studio.models import bounds
from studio.models.lite0 import Lite0Features
from studio.models.projected import (
    MIXED,
    PIXEL_CHANNELS,
    SIZE,
    Head,
    PixelHead,
    ProjectedDiscriminator,
    RandomMixing,
)

FEATURES = 2 * sum(Lite0Features.channels)  # mean and deviation of every channel of Lite0's four maps
FARTHEST = 6.0  # standard deviations to which unusual features are clipped
DEVIATION_FLOOR = 1e-4


@dataclass(frozen=True)
class LearnerConfig:
    """embedding: length of a class embedding of the generator. hidden: width of the set encoder. condition: length of
    what the discriminator knows of a set. rates: for so many tensors it has learned how fast each is to be adapted, 0
    where it has not. generator: sha256 of the checkpoint that it learned with, "" where that is not known. pixels:
    depth of each of the discriminator's heads on the pixels."""

    embedding: int = 64
    hidden: int = 256
    condition: int = 64
    rates: int = 0
    generator: str = ""
    pixels: tuple[int, ...] = (3,)

    def __post_init__(self) -> None:
        for name, low, high in (
            ("embedding", 1, 1024),
            ("hidden", 1, 4096),
            ("condition", 1, 1024),
            ("rates", 0, 4096),
        ):
            bounds.whole(name, getattr(self, name), low, high)
        for depth in self.pixels:
            bounds.whole("pixels", depth, 2, len(PIXEL_CHANNELS))


class SetEncoder(nn.Module):
    """Features of a set of pictures → its class embedding. (…,k,F) → (…,E), whatever the order of the k."""

    def __init__(self, config: LearnerConfig) -> None:
        super().__init__()
        self.register_buffer("centre", torch.zeros(FEATURES))
        self.register_buffer("scale", torch.ones(FEATURES))
        self.centre: Tensor
        self.scale: Tensor
        self.linear = nn.Linear(FEATURES, config.embedding)
        self.hidden = nn.Linear(FEATURES, config.hidden)
        self.out = nn.Linear(config.hidden, config.embedding)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def unit(self, features: Tensor) -> Tensor:
        """Features (…,F) in standard deviations from what is usual."""
        return ((features - self.centre) / self.scale).clamp(-FARTHEST, FARTHEST)

    def forward(self, features: Tensor) -> Tensor:
        unit = self.unit(features)
        each: Tensor = self.linear(unit) + self.out(F.silu(self.hidden(unit)))
        return each.mean(dim=-2)


class SetHeads(nn.Module):
    """A discriminator conditioned on sets, without the frozen features that it is projected on."""

    mixing: RandomMixing

    def __init__(self, config: LearnerConfig) -> None:
        super().__init__()
        self.look = nn.Linear(FEATURES, config.condition)
        self.mixing = RandomMixing(Lite0Features.channels)
        self.heads = nn.ModuleList(
            [
                *(Head(channels, SIZE // 4 >> i, 0, config.condition) for i, channels in enumerate(MIXED)),
                *(PixelHead(depth) for depth in config.pixels),
            ]
        )

    def condition(self, unit: Tensor) -> Tensor:
        """Normalised features of sets (…,k,F) → (…,N) on the sphere of radius √N/4."""
        seen = self.look(unit.mean(dim=-2))
        return F.normalize(seen, dim=-1) * (seen.shape[-1] ** 0.5 / 4)


class SetDiscriminator(ProjectedDiscriminator):
    """`SetHeads` at work on Lite0's features."""

    def __init__(self, parts: SetHeads, features: Callable[[], nn.Module] = Lite0Features) -> None:
        nn.Module.__init__(self)
        self.features = features()
        self.parts = [parts]  # a list, so that the heads are not registered here as well
        self.mixing, self.heads = parts.mixing, parts.heads

    def describe(self, x: Tensor) -> Tensor:
        """What a set encoder sees of pictures. x: (B,3,H,W) in [-1,1] → (B,F)."""
        return statistics(self.features(self.scaled(x)))


class Learner(nn.Module):
    """The set encoder and the discriminator's heads.

    log_rates: (rates,) natural logarithms of the factors on the rates of adaptation, a tensor of the players each
    (Meta-SGD, Li et al. 2017, eq. 2); the order is that of `studio.adapt.student.rate_names`.
    """

    def __init__(self, config: LearnerConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = SetEncoder(config)
        self.judge = SetHeads(config)
        self.log_rates = nn.Parameter(torch.zeros(config.rates)) if config.rates else None


def statistics(maps: list[Tensor]) -> Tensor:
    """Mean and standard deviation over positions of every channel. Maps (B,C_l,…) → (B,2ΣC_l)."""
    parts = []
    for each in maps:
        values = each.float()
        mean = values.mean(dim=(2, 3), keepdim=True)
        variance = (values - mean).square().mean(dim=(2, 3))
        parts += [mean[:, :, 0, 0], (variance + DEVIATION_FLOOR).sqrt()]
    return torch.cat(parts, dim=1)


def _build(config: LearnerConfig, names: int) -> Learner:
    if names:
        raise InvalidRequest(f"A learner has no classes; got {names}.")
    if torch.get_default_device().type != "meta":
        return Learner(config)
    # Spectral norms make their first estimates as they are built, which takes 2 s on the meta device and 0.1 s here.
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        return Learner(config)


MODEL_KINDS.add(
    "learner",
    ModelKind("learner", LearnerConfig, _build, "What adaptation to a few pictures starts from", latent=False),
)
