"""Losses of the stylizer, in the encoder's maps. Each gives one value for each picture of a batch: (B,)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from studio.style.encoder import VARIANCE_FLOOR
from studio.style.gradients import described, in_order, instance_norm, relative, unit_distance
from studio.style.sight import View, content_of

PREFIXES = ("", "fine_", "second_")  # of the terms of a view: from a step back, close by, and by a second judge
POSITIONS = 512  # of a map that stand for all of them in the sliced Wasserstein distance


def content_distance(maps: Sequence[Tensor], wanted: Sequence[Tensor]) -> Tensor:
    """Mean squared difference of instance-normalised maps, averaged over the layers.

    Normalised as in Li et al. 2017 (Demystifying) and MSG-Net, a layer says what stands where and not in which colours.
    """
    both = zip(maps, wanted, strict=True)
    pairs = ((instance_norm(x, VARIANCE_FLOOR), instance_norm(y, VARIANCE_FLOOR)) for x, y in both)
    layers = [(x - y).square().mean(dim=(1, 2, 3)).float() for x, y in pairs]
    return torch.stack(layers).mean(dim=0)


def perceptual_distance(maps: Sequence[Tensor], wanted: Sequence[Tensor]) -> Tensor:
    """Squared difference of maps of unit length over the channels at every place, averaged over places and layers
    (Zhang et al. 2018, eq. 1, without weights of channels): unlike `content_distance`, sensitive to the finest detail.
    """
    layers = [unit_distance(x, y) for x, y in zip(maps, wanted, strict=True)]
    return torch.stack(layers).mean(dim=0)


def gram(maps: Tensor) -> Tensor:
    """(B,C,H,W) → (B,C,C), averaged over positions."""
    flat = maps.flatten(2)
    return flat @ flat.transpose(1, 2) / flat.shape[2]


@dataclass(frozen=True)
class Hand:
    """What tells a style, map by map: Gram matrices (B,C,C), means (B,C), and samples (B,C,n) of the positions.

    The deviations follow from the first two, so that large maps are read twice and not five times.
    """

    grams: tuple[Tensor, ...]
    means: tuple[Tensor, ...]
    samples: tuple[Tensor, ...]

    @classmethod
    def of(cls, maps: Sequence[Tensor], generator: torch.Generator) -> "Hand":
        """Maps (B,C_l,…) → their hand, in full precision."""
        grams, means, samples = zip(*(described(x, positions(x, generator)) for x in maps), strict=True)
        return cls(grams, means, samples)

    def rows(self, index: Tensor) -> "Hand":
        """Those of some pictures, in the order given."""
        return Hand(*(tuple(x[index] for x in each) for each in (self.grams, self.means, self.samples)))


def gram_distance(hand: Hand, wanted: Hand) -> Tensor:
    """Gatys et al. 2016, eq. 3 to 5, relative to the matrices' size, averaged over the layers."""
    return torch.stack([relative(x, y) for x, y in zip(hand.grams, wanted.grams, strict=True)]).mean(dim=0)


def moment_distance(hand: Hand, wanted: Hand) -> Tensor:
    """Means and deviations of the channels (Huang & Belongie 2017, eq. 13), relative, averaged over the layers."""
    both = zip(_moments(hand), _moments(wanted), strict=True)
    return torch.stack([relative(x, y) for x, y in both]).mean(dim=0)


def _moments(hand: Hand) -> list[Tensor]:
    """(B,2C) for each layer."""
    moments = []
    for matrix, mean in zip(hand.grams, hand.means, strict=True):
        variance = (matrix.diagonal(dim1=1, dim2=2) - mean.square()).clamp_min(0)
        moments.append(torch.cat([mean, (variance + VARIANCE_FLOOR).sqrt()], dim=1))
    return moments


def sliced_distance(hand: Hand, wanted: Hand, generator: torch.Generator, directions: int = 32) -> Tensor:
    """Sliced Wasserstein distance (Heitz et al. 2021, eq. 3, 4) of the samples in random directions, relative.

    Where the one has more samples than the other, the wanted ones' quantiles are read at as many places as it takes.
    """
    layers = []
    for x, y in zip(hand.samples, wanted.samples, strict=True):
        ways = torch.randn(directions, x.shape[1], generator=generator, device=generator.device)
        ways = F.normalize(ways, dim=1).to(x)
        first, second = (in_order(ways @ each) for each in (x, y))
        if second.shape[2] != first.shape[2]:
            second = F.interpolate(second, size=first.shape[2], mode="linear", align_corners=True)
        layers.append(relative(first, second))
    return torch.stack(layers).mean(dim=0)


def positions(maps: Tensor, generator: torch.Generator) -> Tensor | None:
    """Those of a map (B,C,H,W) that stand for all: POSITIONS drawn at random, or None where there are no more."""
    count = maps.shape[2] * maps.shape[3]
    if count <= POSITIONS:
        return None
    return torch.randint(count, (POSITIONS,), generator=generator, device=generator.device).to(maps.device)


def style_terms(hand: Hand, wanted: Hand, generator: torch.Generator) -> dict[str, Tensor]:
    """Distances (B,) of style."""
    return {
        "gram": gram_distance(hand, wanted),
        "moments": moment_distance(hand, wanted),
        "sliced": sliced_distance(hand, wanted, generator),
    }


def terms(
    painted: Tensor,
    views: Sequence[View],
    wanted: Sequence[Tensor],
    hands: Sequence[Hand],
    generator: torch.Generator,
    contents: Sequence[View] = (),
) -> dict[str, Tensor]:
    """Every term of the loss, (B,) each. painted: (B,3,H,W) float32, and its views. wanted: `content_of` the contents.
    hands: of the styles' views. contents: of the contents, view by view, where their detail is compared too."""
    own = [Hand.of(view, generator) for view in views]
    with torch.autocast(painted.device.type, enabled=False):
        of_style: dict[str, Tensor] = {}
        for prefix, (one, asked) in zip(PREFIXES, zip(own, hands, strict=True), strict=False):
            of_style |= {prefix + name: term for name, term in style_terms(one, asked, generator).items()}
        both = zip(from_afar(views), contents, strict=True) if contents else ()
        detail = [perceptual_distance(x[1:], y[1:]) for x, y in both]
        return {
            "content": content_distance(content_of(views[0]), wanted),
            **({"detail": torch.stack(detail).mean(dim=0)} if detail else {}),
            **of_style,
            "variation": variation(painted),
            "excess": excess(painted),
        }


def from_afar(views: Sequence[View]) -> list[View]:
    """All but the close one."""
    return [view for prefix, view in zip(PREFIXES, views, strict=False) if prefix != "fine_"]


@dataclass(frozen=True)
class Weights:
    """Of the terms. content: in the middle of its range, whose ends are `content_range` times less and more. detail:
    over content. gram, moments, sliced: of style, as a judge from a step back sees it; fine and second: of the same
    close by and by a second judge, over those. variation: of smoothness."""

    content: float = 0.1
    content_range: float = 5.0
    detail: float = 6.0
    gram: float = 6.0
    moments: float = 3.0
    sliced: float = 4.0
    fine: float = 0.3
    second: float = 0.7
    variation: float = 0.02

    def at(self, weight: Tensor) -> dict[str, Tensor | float]:
        """Of every term by its name. weight: (B,) 0 to 1, that of the content."""
        style = {"gram": self.gram, "moments": self.moments, "sliced": self.sliced}
        content = self.content * self.content_range ** (2 * weight - 1)
        return {
            "content": content,
            "detail": self.detail * content,
            **style,
            **{f"fine_{name}": self.fine * value for name, value in style.items()},
            **{f"second_{name}": self.second * value for name, value in style.items()},
            "variation": self.variation,
            "excess": 1.0,
        }


def weighed(terms: Mapping[str, Tensor], weights: Mapping[str, Tensor | float]) -> Tensor:
    """The mean over the batch of the terms by their weights."""
    return torch.stack([(weights[name] * term).mean() for name, term in terms.items()]).sum()


def variation(x: Tensor) -> Tensor:
    """Mean absolute difference of neighbours. (B,C,H,W) → (B,)."""
    across, down = (x[..., 1:] - x[..., :-1]).abs(), (x[..., 1:, :] - x[..., :-1, :]).abs()
    return across.mean(dim=(1, 2, 3)) + down.mean(dim=(1, 2, 3))


def excess(x: Tensor) -> Tensor:
    """How far pixels lie outside [-1,1], squared and averaged. (B,C,H,W) → (B,)."""
    return F.relu(x.abs() - 1).square().mean(dim=(1, 2, 3))
