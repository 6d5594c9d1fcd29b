"""Pairs to stylise: crops of photographs and of paintings, those unlike photographs more often."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from studio.style import losses
from studio.style.encoder import StyleEncoder
from studio.style.gradients import relative
from studio.training.data import crops

MEASURED_PHOTOGRAPHS = 256  # that stand for all of them where it is measured how unlike them a style is
LAYERS_MEASURED = 4  # of the encoder


@dataclass(frozen=True)
class Pairs:
    """Batches of content and style crops. contents, styles: (N,3,S,S) uint8. weights: (N,) of the styles, or None."""

    contents: Tensor
    styles: Tensor
    weights: Tensor | None
    batch: int
    side: int
    flip: bool
    zoom: float
    device: torch.device

    def draw(self, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        contents = self._cut(self.contents, None, generator)
        return contents, self._cut(self.styles, self.weights, generator)

    def _cut(self, pictures: Tensor, weights: Tensor | None, generator: torch.Generator) -> Tensor:
        drawn = crops(pictures, self.batch, self.side, generator, self.flip, self.zoom, weights)
        return drawn.to(self.device)


@torch.no_grad()
def unlikeness(encoder: StyleEncoder, contents: Tensor, styles: Tensor) -> Tensor:
    """How far the Gram matrices of styles are from the mean of photographs'. (N,3,S,S) uint8 each → (N_s,)."""
    device = next(encoder.parameters()).device

    def grams(pictures: Tensor) -> list[Tensor]:
        small = F.interpolate(pictures.to(device).float().div(127.5).sub(1), size=(64, 64), mode="area")
        return [losses.gram(maps) for maps in encoder(small, depth=LAYERS_MEASURED)]

    ordinary = [matrix.mean(dim=0, keepdim=True) for matrix in grams(contents[:MEASURED_PHOTOGRAPHS])]
    parts = []
    for chunk in styles.split(MEASURED_PHOTOGRAPHS):
        both = zip(grams(chunk), ordinary, strict=True)
        parts.append(torch.stack([relative(x, mean.expand_as(x)) for x, mean in both]).mean(dim=0).cpu())
    return torch.cat(parts)
