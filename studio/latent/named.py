"""The `directions` kind: directions by name that an artist has kept, and the model whose they are."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from studio.core import checkpoint
from studio.core.checkpoint import Checkpoint
from studio.core.errors import CheckpointError, InvalidRequest
from studio.core.kinds import MODEL_KINDS, ModelKind
from studio.latent.directions import Direction

KIND = "directions"


@dataclass(frozen=True)
class NamedConfig:
    """layers: rows of each direction. width: W. model: sha256 of the checkpoint whose directions they are."""

    layers: int = 1
    width: int = 128
    model: str = ""

    def __post_init__(self) -> None:
        for name, value, high in (("layers", self.layers, 64), ("width", self.width, 4096)):
            if not 1 <= value <= high:
                raise InvalidRequest(f"{name} must be from 1 to {high}; got {value}.")


class NamedDirections(nn.Module):
    """A table of directions (N,L,W) and their deviations (N); the names stand in the checkpoint's classes."""

    def __init__(self, config: NamedConfig, names: int) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("vectors", torch.zeros(names, config.layers, config.width))
        self.register_buffer("sigmas", torch.zeros(names))
        self.vectors: Tensor
        self.sigmas: Tensor


def read_directions(opened: Checkpoint, model: str) -> dict[str, Direction]:
    """Directions by name. model: sha256 of the model they are wanted for. Raises CheckpointError for another's."""
    table = opened.build_module() if opened.kind == KIND else None
    if not isinstance(table, NamedDirections):
        raise CheckpointError(f"{opened.path.name} is of kind {opened.kind!r} and holds no directions.")
    if table.config.model != model:
        raise CheckpointError(f"{opened.path.name} holds directions of another model; find them again in this one.")
    return {
        name: Direction(vector[0] if len(vector) == 1 else vector, float(sigma))
        for name, vector, sigma in zip(opened.classes, table.vectors, table.sigmas, strict=True)
    }


def save_directions(path: Path, directions: Mapping[str, Direction], layers: int, model: str) -> Checkpoint:
    """Write directions by name. layers: of the model, to which (W) vectors are spread where others are (L,W)."""
    vectors = [direction.vector for direction in directions.values()]
    if any(vector.ndim == 2 for vector in vectors):
        vectors = [vector if vector.ndim == 2 else vector.expand(layers, -1) for vector in vectors]
    stacked = torch.stack([vector if vector.ndim == 2 else vector[None] for vector in vectors])
    config = NamedConfig(stacked.shape[1], stacked.shape[2], model)
    table = NamedDirections(config, len(directions))
    table.vectors.copy_(stacked)
    table.sigmas.copy_(torch.tensor([direction.sigma for direction in directions.values()]))
    return checkpoint.save(path, table, kind=KIND, config=config, classes=tuple(directions), provenance={}, metrics={})


MODEL_KINDS.add(KIND, ModelKind(KIND, NamedConfig, NamedDirections, "Directions by name for a generator", latent=False))
