"""The `style-moments` kind: styles by name as the second moments of their features, without the pictures.

What Gram matrices, means, deviations and covariances of a painting's features are made from, so that a refinement can
go towards a painting that is not there. One encoder's moments mean nothing to another.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from studio.core.checkpoint import Checkpoint
from studio.core.errors import CheckpointError, InvalidRequest
from studio.core.kinds import MODEL_KINDS, ModelKind
from studio.style.similarity import moments

KIND = "style-moments"


@dataclass(frozen=True)
class Moments:
    """A style as a refinement sees it: for each of the encoder's layers the moments (C+1,C+1)."""

    layers: tuple[Tensor, ...]


@dataclass(frozen=True)
class MomentsConfig:
    """widths: of the encoder's maps. encoder: sha256 of its checkpoint ("" where it is not known)."""

    widths: tuple[int, int, int, int, int] = (16, 32, 64, 128, 128)
    encoder: str = ""

    def __post_init__(self) -> None:
        if not all(1 <= width <= 512 for width in self.widths):
            raise InvalidRequest(f"widths must each be from 1 to 512; got {', '.join(map(str, self.widths))}.")


class StyleMoments(nn.Module):
    """For each layer the upper triangles (N,D) of the moments, over their largest entry (N)."""

    def __init__(self, config: MomentsConfig, names: int) -> None:
        super().__init__()
        self.config = config
        for layer, width in enumerate(config.widths):
            self.register_buffer(f"triangle{layer}", torch.zeros(names, (width + 1) * (width + 2) // 2))
            self.register_buffer(f"largest{layer}", torch.ones(names))

    def put(self, index: int, style: Moments) -> None:
        """Keep a style's moments at a place in the table."""
        for layer, matrix in enumerate(style.layers):
            rows, columns = torch.triu_indices(*matrix.shape)
            largest = matrix.abs().max().clamp_min(1e-6)
            self.get_buffer(f"triangle{layer}")[index] = matrix[rows, columns] / largest
            self.get_buffer(f"largest{layer}")[index] = largest

    def get(self, index: int) -> Moments:
        """A style's moments, symmetric."""
        layers = []
        for layer, width in enumerate(self.config.widths):
            rows, columns = torch.triu_indices(width + 1, width + 1)
            matrix = torch.zeros(width + 1, width + 1)
            matrix[rows, columns] = (
                self.get_buffer(f"triangle{layer}")[index] * self.get_buffer(f"largest{layer}")[index]
            )
            layers.append(torch.triu(matrix) + torch.triu(matrix, 1).T)
        return Moments(tuple(layers))


@torch.no_grad()
def moments_of(encoder: nn.Module, picture: Tensor) -> Moments:
    """A style picture (3,H,W) in [-1,1], at the size at which its strokes count → its moments at every layer."""
    return Moments(tuple(moments(layer[0].flatten(1)) for layer in encoder(picture[None])))


def table(encoder: nn.Module, pictures: Sequence[Tensor], config: MomentsConfig) -> StyleMoments:
    """Moments of several style pictures, to be saved with their names as classes."""
    result = StyleMoments(config, len(pictures))
    for index, picture in enumerate(pictures):
        result.put(index, moments_of(encoder, picture))
    return result


def read_moments(opened: Checkpoint) -> dict[str, Moments]:
    """Moments by name. Raises CheckpointError where the checkpoint holds none."""
    model = opened.build_module() if opened.kind == KIND else None
    if not isinstance(model, StyleMoments):
        raise CheckpointError(f"{opened.path.name} is of kind {opened.kind!r} and holds no moments of styles.")
    return {name: model.get(index) for index, name in enumerate(opened.classes)}


MODEL_KINDS.add(KIND, ModelKind(KIND, MomentsConfig, StyleMoments, "Styles by name for refinement", latent=False))
