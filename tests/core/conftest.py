"""A model kind as small as can be, so that tests of core depend on no real one."""

from dataclasses import dataclass
from typing import Literal

import pytest
import torch
from torch import Tensor, nn

from studio.core.errors import InvalidRequest
from studio.core.kinds import MODEL_KINDS, LatentModel, ModelKind


@dataclass(frozen=True)
class TinyConfig:
    resolution: int = 4
    latent_dim: int = 3
    width: int = 5
    slope: float = 0.2
    mode: Literal["plain", "normed"] = "normed"
    extra: tuple[int, ...] = ()
    note: str | None = None

    def __post_init__(self) -> None:
        if self.resolution not in (4, 8):
            raise InvalidRequest(f"resolution is {self.resolution}; it must be 4 or 8.")
        if not 1 <= self.latent_dim <= 64 or not 1 <= self.width <= 64:
            raise ValueError("latent_dim and width must be between 1 and 64.")
        if any(not 1 <= item <= 64 for item in self.extra):
            raise ValueError("extra layers must have between 1 and 64 channels.")


class Tiny(LatentModel):
    """z → linear → w → batch norm → linear → tanh."""

    def __init__(self, config: TinyConfig, class_count: int) -> None:
        super().__init__()
        self.latent_dim, self.width, self.layers = config.latent_dim, config.width, 1
        self.resolution, self.class_count = config.resolution, class_count
        self.affine = nn.Linear(config.latent_dim + class_count, config.width)
        self.norm = nn.BatchNorm1d(config.width) if config.mode == "normed" else nn.Identity()
        self.deep = nn.ModuleList(nn.Linear(config.width, channels) for channels in config.extra)
        self.draw = nn.Linear(config.width, 3 * config.resolution**2)
        self.register_buffer("w_mean", torch.zeros(max(class_count, 1), config.width))

    def mapping(self, z: Tensor, weights: Tensor | None = None) -> Tensor:
        row = z if weights is None else torch.cat([z, weights], 1)
        return self.norm(self.affine(row))[:, None]

    def synthesis(self, w: Tensor) -> Tensor:
        return torch.tanh(self.draw(w[:, 0])).view(-1, 3, self.resolution, self.resolution)


@pytest.fixture
def tiny_kind(monkeypatch: pytest.MonkeyPatch) -> ModelKind:
    """The only kind in the table while the test runs: "tiny"."""
    kind = ModelKind("tiny", TinyConfig, Tiny, "A model for tests.")
    monkeypatch.setattr(MODEL_KINDS, "_populate", None)
    monkeypatch.setattr(MODEL_KINDS, "_entries", {"tiny": kind})
    return kind
