"""Pairs to stylise: crops of photographs and of paintings, those unlike photographs more often."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from studio.meta.augment import TaskAugmentation, draw_transform, transform_pictures
from studio.style import losses
from studio.style.encoder import StyleEncoder
from studio.style.gradients import relative
from studio.training.data import crops

MEASURED_PHOTOGRAPHS = 256  # that stand for all of them where it is measured how unlike them a style is
LAYERS_MEASURED = 4  # of the encoder


@dataclass(frozen=True)
class Pairs:
    """Batches of content and style crops. contents, styles: (N,3,S,S) uint8. weights: (N,) of the styles, or None.
    side, style_side: px of the crops. palettes: probability of other colours for a style."""

    contents: Tensor
    styles: Tensor
    weights: Tensor | None
    batch: int
    side: int
    style_side: int
    flip: bool
    zoom: float
    device: torch.device
    palettes: float = 0.0

    def draw(self, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        contents = self._cut(self.contents, self.side, None, generator)
        styles = self._cut(self.styles, self.style_side, self.weights, generator)
        return contents, self._recoloured(styles, generator) if self.palettes else styles

    def _recoloured(self, styles: Tensor, generator: torch.Generator) -> Tensor:
        """A painting in another palette is one more style, and paintings are few beside all the styles there are."""
        change = TaskAugmentation(flip=0.0, recolour=self.palettes)
        return torch.cat([transform_pictures(style, draw_transform(change, generator)) for style in styles.split(1)])

    def _cut(self, pictures: Tensor, side: int, weights: Tensor | None, generator: torch.Generator) -> Tensor:
        drawn = crops(pictures, self.batch, side, generator, self.flip, self.zoom, weights)
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
