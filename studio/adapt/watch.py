"""Whether an adaptation copies the pictures that it learns from, or paints one picture over and over."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from studio.adapt.distance import distances, spread
from studio.models.lite0 import Lite0Features

COPY = 0.8  # of a picture's distance to its own nearest neighbour; a sample nearer than that smells of copying
TOO_MANY = 0.2  # share of samples that smell of copying, at which to stop
TOO_ALIKE = 0.7  # diversity over that of the start, under which to stop
DEEP = 2 * sum(Lite0Features.channels[:2])  # where the features of the two deepest maps begin: what is where, not how


@dataclass(frozen=True)
class Watched:
    """novelty: median over the samples of the distance to the nearest picture, over that picture's own to its nearest
    neighbour; 1 where samples are as far as pictures are from each other. copies: share of samples below COPY. copied:
    the picture that most of those are nearest to, or None. diversity: over that of the start. nearest: (N,) for each
    sample the picture nearest to it."""

    novelty: float
    copies: float
    copied: int | None
    diversity: float
    nearest: tuple[int, ...]

    @property
    def verdict(self) -> str:
        """Why to stop, in plain words; "" to go on."""
        if self.copied is not None and self.copies >= TOO_MANY:
            return f"Stopped: the samples began to copy picture {self.copied + 1}."
        if self.diversity < TOO_ALIKE:
            return "Stopped: the samples began to look alike."
        return ""


class Watch:
    """Holds the pictures (N,F) and what the first samples (M,F) were like, as a set encoder normalises features."""

    def __init__(self, pictures: Tensor, first: Tensor) -> None:
        self.pictures = deep(pictures)
        between = distances(self.pictures, self.pictures)
        between.fill_diagonal_(torch.inf)
        own = between.min(dim=1).values
        usual = own[own.isfinite() & (own > 1e-3)]
        # A double has no neighbour to be measured by, and a single picture none at all: the usual distance, or that
        # of the first samples to it, stands in.
        fallback = usual.median() if len(usual) else distances(deep(first), self.pictures).median()
        self.own = torch.where(own.isfinite() & (own > 1e-3), own, fallback)
        self.spread = float(spread(deep(first)))

    def look(self, samples: Tensor) -> Watched:
        """Features of samples (M,F) → what they show."""
        samples = deep(samples)
        to = distances(samples, self.pictures)
        ratios = to / self.own
        nearest = ratios.argmin(dim=1)
        ratio = ratios.min(dim=1).values
        copying = ratio < COPY
        copied = int(nearest[copying].mode().values) if bool(copying.any()) else None
        return Watched(
            novelty=float(ratio.median()),
            copies=float(copying.float().mean()),
            copied=copied,
            diversity=float(spread(samples)) / max(self.spread, 1e-6),
            nearest=tuple(int(k) for k in nearest),
        )


def deep(features: Tensor) -> Tensor:
    """The part that tells what is where, as unit rows. (N,F) → (N,F')."""
    return F.normalize(features[:, DEEP:].float(), dim=1)
