"""Where a run starts from: the weights of a checkpoint that is there already."""

from pathlib import Path
from typing import Any

import torch
from torch import nn

from studio.core import checkpoint
from studio.core.errors import TrainingError
from studio.models.gan import GanGenerator, without_classes


def initialise(model: nn.Module, path: Path, kind: str, classes: tuple[str, ...]) -> None:
    """Copy every tensor of the same name and shape from a checkpoint of the same kind.

    An unconditional generator starts from the even mix of those of a conditional one's classes that the data have.
    """
    source = checkpoint.load(path)
    if source.kind != kind:
        raise TrainingError(f"{source.path.name} is of kind {source.kind!r}; this recipe starts from kind {kind!r}.")
    tensors = source.tensors()
    if isinstance(model, GanGenerator) and source.classes and not model.class_count:
        shared = [name in classes for name in source.classes]
        mix = torch.tensor(shared if any(shared) else [True] * len(shared)).float()
        conditional = source.build()
        assert isinstance(conditional, GanGenerator)
        tensors = without_classes(conditional, mix / mix.sum()).state_dict()
    own = model.state_dict()
    fitting = {name: t for name, t in tensors.items() if name in own and own[name].shape == t.shape}
    if not fitting:
        raise TrainingError(f"No tensor of {source.path.name} fits this configuration; choose another --init.")
    model.load_state_dict(own | {name: t.to(own[name].dtype) for name, t in fitting.items()})


def lineage(path: Path) -> list[dict[str, Any]]:
    """What the checkpoint that a run started from says of itself, then of the one that it started from, and so on."""
    source = checkpoint.load(path)
    told = {name: source.provenance[name] for name in ("images_seen", "seconds", "stages") if name in source.provenance}
    earlier = source.provenance.get("init", [])
    return [{"sha256": source.sha256, "kind": source.kind, **told}, *(earlier if isinstance(earlier, list) else [])]
