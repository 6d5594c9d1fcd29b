"""The `style-codes` kind: styles by name, each a code for one stylizer, without the pictures they were made from."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from studio.core.checkpoint import Checkpoint
from studio.core.errors import CheckpointError, InvalidRequest
from studio.core.kinds import MODEL_KINDS, ModelKind

KIND = "style-codes"
LONGEST = 8192  # entries of a code: those of the widest stylizer with all maps matched, and some


@dataclass(frozen=True)
class CodesConfig:
    """length: entries of a code. stylizer: sha256 of the checkpoint whose codes they are ("" where it is not known)."""

    length: int = 256
    stylizer: str = ""

    def __post_init__(self) -> None:
        if not 1 <= self.length <= LONGEST:
            raise InvalidRequest(f"length must be from 1 to {LONGEST}; got {self.length}.")


class StyleCodes(nn.Module):
    """A table of codes (N,C); the names stand in the checkpoint's classes, in the same order."""

    def __init__(self, config: CodesConfig, names: int) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("codes", torch.zeros(names, config.length))
        self.codes: Tensor


def read_codes(opened: Checkpoint) -> dict[str, Tensor]:
    """Codes (C,) by name. Raises CheckpointError where the checkpoint holds none."""
    model = opened.build_module() if opened.kind == KIND else None
    if not isinstance(model, StyleCodes):
        raise CheckpointError(f"{opened.path.name} is of kind {opened.kind!r} and holds no style codes.")
    return dict(zip(opened.classes, model.codes, strict=True))


def blend(codes: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    """Several styles as one: the mean of their codes (…,C), weighted. Weights are ≥ 0 and not all 0."""
    total = sum(weights)
    if len(codes) != len(weights) or not codes:
        raise InvalidRequest(f"{len(codes)} styles need as many weights; got {len(weights)}.")
    if not (total > 0 and all(0 <= weight < float("inf") for weight in weights)):
        raise InvalidRequest("Style weights must be 0 or more, and one of them above 0.")
    return torch.stack([code * (weight / total) for code, weight in zip(codes, weights, strict=True)]).sum(dim=0)


MODEL_KINDS.add(KIND, ModelKind(KIND, CodesConfig, StyleCodes, "Styles by name for the stylizer", latent=False))
