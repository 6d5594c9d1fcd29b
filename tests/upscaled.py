"""Upscalers of a few weights."""

from pathlib import Path

import torch

from studio.core import checkpoint
from studio.core.checkpoint import Checkpoint
from studio.models.upscaler import Upscaler, UpscalerConfig

TINY = UpscalerConfig(width=8, depth=1)


def upscaler(seed: int = 0) -> Upscaler:
    """One whose every weight matters, as if trained; in eval mode."""
    torch.manual_seed(seed)
    model = Upscaler(TINY)
    torch.nn.init.normal_(model.last.weight, std=0.05)
    return model.eval()


def write_upscaler(path: Path, seed: int = 0) -> Checkpoint:
    """A checkpoint of it."""
    return checkpoint.save(path, upscaler(seed), kind="upscaler", config=TINY, classes=(), provenance={}, metrics={})
