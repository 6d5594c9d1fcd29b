"""The table of model kinds, and what every generator offers: noise → w → picture, in two steps to work between."""

from abc import ABC, abstractmethod
from collections.abc import Callable
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

    @abstractmethod
    def mapping(self, z: Tensor, weights: Tensor | None = None) -> Tensor:
        """z: (B,Z) standard normal, weights: (B,K) rows on the simplex (None: no classes) → w: (B,L,W)."""

    @abstractmethod
    def synthesis(self, w: Tensor) -> Tensor:
        """w: (B,L,W) → pictures (B,3,R,R) in [-1,1]."""

    def forward(self, z: Tensor, weights: Tensor | None = None) -> Tensor:
        """(B,Z), (B,K) → (B,3,R,R) in [-1,1]."""
        return self.synthesis(self.mapping(z, weights))

    def optimise_(self) -> None:
        """Fold what can be folded for inference, in place (e.g. batch norm into convolutions). Call after eval()."""


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


MODEL_KINDS: Registry[ModelKind] = Registry("model kind", populate=("studio.models", "studio.style"))
