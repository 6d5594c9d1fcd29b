"""Classifiers so small, or so plain, that what they say is known by hand."""

from pathlib import Path
from typing import Any

import torch

from studio.core import checkpoint
from studio.models.classifier import Classifier, ClassifierConfig

TINY = ClassifierConfig(resolution=32, widths=(4, 4, 8, 8, 8), depths=(1, 1, 1, 1, 1), top=(16,), dropout=0)


def tiny(classes: int = 2, seed: int = 0) -> Classifier:
    torch.manual_seed(seed)
    return Classifier(TINY, classes).eval()


@torch.no_grad()
def by_colour() -> Classifier:
    """Says "blue" (0) of pictures with more blue than red, and "red" (1) of the others, by passing the two on.

    A channel each of the trunk carries (1 + blue)/2 and (1 + red)/2; the residual blocks stay at nothing.
    """
    model = tiny()
    for index, conv in enumerate(m for m in model.trunk.modules() if isinstance(m, torch.nn.Conv2d)):
        conv.weight.zero_()
        conv.bias.zero_()  # type: ignore[union-attr]
        for channel, source in ((0, 2), (1, 0)):
            conv.weight[channel, source if index == 0 else channel, 1, 1] = 0.5 if index == 0 else 1
            conv.bias[channel] = 0.5 if index == 0 else 0  # type: ignore[index]
    block = model.top[0]
    block.skip.weight.zero_()  # type: ignore[union-attr, operator]
    for channel in (0, 1):  # one group of the norm sees one channel: 16 groups of 16
        block.skip.weight[channel, channel] = 1  # type: ignore[union-attr, operator, index]
    model.top[1] = torch.nn.Identity()  # no norm: what is looked at is the share of the colour itself
    model.head.weight.zero_()
    model.head.weight[0, 0] = model.head.weight[1, 1] = 20
    return model


def write_classifier(path: Path, model: Classifier | None = None, **provenance: Any) -> Path:
    """A checkpoint of a tiny classifier of "blue" and "red"."""
    path.parent.mkdir(parents=True, exist_ok=True)
    checkpoint.save(
        path, model or tiny(), kind="classifier", config=TINY, classes=("blue", "red"), provenance=provenance,
        metrics={},
    )  # fmt: skip
    return path
