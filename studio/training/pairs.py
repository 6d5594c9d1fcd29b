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
    """Batches of content and style crops. contents, styles: (N,3,S,S) uint8. weights: (N,) of the styles, or None.
    palette: share of the styles whose colours are changed."""

    contents: Tensor
    styles: Tensor
    weights: Tensor | None
    batch: int
    side: int
    flip: bool
    zoom: float
    palette: float
    device: torch.device

    def draw(self, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        contents = self._cut(self.contents, None, generator)
        styles = self._cut(self.styles, self.weights, generator)
        return contents, recoloured(styles, self.palette, generator) if self.palette else styles

    def _cut(self, pictures: Tensor, weights: Tensor | None, generator: torch.Generator) -> Tensor:
        drawn = crops(pictures, self.batch, self.side, generator, self.flip, self.zoom, weights)
        return drawn.to(self.device)


def recoloured(pictures: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """Some of the pictures (B,3,H,W) in [-1,1] in other colours: channels in another order, colours from greyer to
    half as strong again, and lights and darks closer or further apart.

    Paintings at large are of few colours; those whose hand is asked for are often of strong ones.
    """
    count = len(pictures)
    order = torch.rand(count, 3, generator=generator).argsort(dim=1)
    strength, contrast = (0.6 + 0.9 * torch.rand(count, 1, 1, generator=generator) for _ in range(2))
    grey = torch.full((3, 3), 1 / 3)
    matrix = contrast * (grey + strength * (F.one_hot(order, 3) - grey))
    chosen = torch.rand(count, 1, 1, generator=generator) < share
    matrix = torch.where(chosen, matrix, torch.eye(3)).to(pictures)
    middle = pictures.mean(dim=(1, 2, 3), keepdim=True)
    return (torch.einsum("bij,bjhw->bihw", matrix, pictures - middle) + middle).clamp(-1, 1)


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
