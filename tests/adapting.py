"""A tiny generator of kind `gan`, and adapters of it."""

from pathlib import Path

import torch
from torch import Tensor

from studio.core import checkpoint
from studio.core.checkpoint import Checkpoint
from studio.models.adapter import Adapter, compress
from studio.models.base import measure_w_mean
from studio.models.gan import GanConfig, GanGenerator

TINY = GanConfig(resolution=32, latent_dim=8, embedding=4, capacity=0.1)
OLD = ("landscape", "portrait")
MINE = "mine"


def tiny_base(classes: int = 2, seed: int = 0) -> GanGenerator:
    """Random weights, strong enough that seeds differ; all of them numbers that float16 holds."""
    torch.manual_seed(seed)
    model = GanGenerator(TINY, classes).eval()
    for parameter in model.parameters():
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=0.25)
    measure_w_mean(model, count=16)
    model.load_state_dict({name: value.half().float() for name, value in model.state_dict().items()})
    return model


def save_base(path: Path, classes: tuple[str, ...] = OLD, seed: int = 0) -> Checkpoint:
    """A base's file."""
    model = tiny_base(len(classes), seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    return checkpoint.save(path, model, kind="gan", config=TINY, classes=classes, provenance={}, metrics={})


def tuned(base: GanGenerator, seed: int = 1) -> dict[str, Tensor]:
    """The base's parameters, each a little elsewhere."""
    generator = torch.Generator().manual_seed(seed)
    return {name: p + 0.2 * torch.randn(p.shape, generator=generator) for name, p in base.named_parameters()}


def adapter_of(opened: Checkpoint, pictures: int = 2, seed: int = 1) -> Adapter:
    """An adapter of a base's file, with small pictures of one grey each: -1, then lighter."""
    base = opened.build()
    assert isinstance(base, GanGenerator)
    shots = torch.linspace(-1, 1, max(pictures, 1))[:pictures].view(-1, 1, 1, 1).expand(-1, 3, 16, 16)
    rows = (torch.zeros(TINY.embedding), torch.ones(TINY.embedding)) if opened.classes else None
    return compress(
        base,
        tuned(base, seed),
        base_sha256=opened.sha256,
        base_name=opened.path.stem,
        embedding=rows,
        pictures=shots,
        rank=4,
    )


def save_adapter(path: Path, opened: Checkpoint, name: str = MINE, seed: int = 1) -> Checkpoint:
    """An adapter's file."""
    adapter = adapter_of(opened, seed=seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    return checkpoint.save(
        path, adapter, kind="adapter", config=adapter.config, classes=[name], provenance={}, metrics={}
    )
