"""What every generator kind offers: noise → w → picture, in two steps that latent tools can work between."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

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
    """A row of the table of model kinds. build(config, class_count) → LatentModel in train mode, seeded by torch."""

    name: str
    config: type[Any]  # a frozen dataclass whose fields have defaults
    build: Callable[[Any, int], LatentModel]
    summary: str


MODEL_KINDS: Registry[ModelKind] = Registry("model kind", populate="studio.models")
