"""The table of model kinds, and what every generator offers: noise → w → picture, in two steps to work between."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from studio.core.errors import CheckpointError
from studio.core.registry import Registry


class LatentModel(nn.Module, ABC):
    """A published generator.

    latent_dim: Z, length of the standard normal noise z. width: W, length of one style vector. layers: L, style
    vectors a picture (1 where the architecture has no layer-wise styles). resolution: R, side in pixels.
    class_count: K, 0 for an unconditional model.
    """

    latent_dim: int
    width: int
    layers: int
    resolution: int
    class_count: int
    w_mean: Tensor  # (max(K, 1), W), mean of mapping(z, c) over z for each class; set after training
    # (C,S) of the maps in which a picture from outside may differ from what styles say; they are added to the map
    detail_shapes: tuple[tuple[int, int], ...] = ()

    @abstractmethod
    def mapping(self, z: Tensor, weights: Tensor | None = None) -> Tensor:
        """z: (B,Z) standard normal, weights: (B,K) rows on the simplex (None: no classes) → w: (B,L,W)."""

    @abstractmethod
    def synthesis(self, w: Tensor, details: Sequence[Tensor] = ()) -> Tensor:
        """w: (B,L,W), details: none, or one (B,C,S,S) for each of detail_shapes → pictures (B,3,R,R) in [-1,1]."""

    def forward(self, z: Tensor, weights: Tensor | None = None) -> Tensor:
        """(B,Z), (B,K) → (B,3,R,R) in [-1,1]."""
        return self.synthesis(self.mapping(z, weights))

    def paint(self, rows: Tensor) -> Tensor:
        """As synthesis. rows: (B,L,W), or (B,L+D,W), of which the rows past L hold the details."""
        w, details = self.parted(rows)
        return self.synthesis(w, details) if details else self.synthesis(w)

    def parted(self, rows: Tensor) -> tuple[Tensor, list[Tensor]]:
        """What paint is given as what synthesis is given: w (B,L,W) and the details, if any."""
        if rows.shape[1] == self.layers:
            return rows, []
        flat, details, start = rows[:, self.layers :].flatten(1), [], 0
        for channels, side in self.detail_shapes:
            stop = start + channels * side * side
            details.append(flat[:, start:stop].unflatten(1, (channels, side, side)))
            start = stop
        return rows[:, : self.layers], details

    @property
    def detail_rows(self) -> int:
        """D, rows of width W that hold the details, the last one filled up with zeros."""
        return math.ceil(sum(channels * side * side for channels, side in self.detail_shapes) / self.width)

    def style_weights(self) -> tuple[Tensor, ...]:
        """The linear layers that read the styles: a matrix (O,W) for each of the L layers, or none."""
        return ()

    def encoded(self, pictures: Tensor, weights: Tensor | None) -> Tensor | None:
        """What the model's own encoder makes of pictures (B,3,R,R) and classes (B,K): w (B,L,W); None without one."""
        del pictures, weights
        return None

    def optimise_(self) -> None:
        """Fold what can be folded for inference, in place (e.g. batch norm into convolutions). Call after eval()."""


DETAIL_SIDES = (16, 32)  # px: coarse enough that styles still colour and shade what is added


@dataclass(frozen=True)
class ModelKind:
    """A row of the table of model kinds. build(config, count of names) → a module in train mode, seeded by torch.

    latent: whether it builds a LatentModel, which samples, walks and mixes; the others serve style transfer or
    criticise.
    """

    name: str
    config: type[Any]  # a frozen dataclass whose fields have defaults
    build: Callable[[Any, int], nn.Module]
    summary: str
    latent: bool = True

    def generator(self, config: Any, class_count: int) -> LatentModel:
        """As build, of a latent kind. Raises CheckpointError where this kind is none."""
        model = self.build(config, class_count) if self.latent else None
        if not isinstance(model, LatentModel):
            raise CheckpointError(f"A model of kind {self.name!r} paints no pictures from seeds; choose a generator.")
        return model


MODEL_KINDS: Registry[ModelKind] = Registry("model kind", populate=("studio.models", "studio.style", "studio.latent"))
