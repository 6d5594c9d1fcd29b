"""Descriptions kept on disk, so that the real images of a data set are described once."""

import hashlib
import json
from collections.abc import Generator
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from studio.core.files import atomic_write
from studio.evaluation.features import EVALUATION_SIZE, Description, FeatureNet, describe

VERSION = 1


def describe_cached(
    folder: Path | None, net: FeatureNet, images: Tensor, labels: Tensor, batch: int, diversity: bool = True
) -> Generator[int, None, Description]:
    """As describe(), read from `folder` where it holds these images described by these weights, else written there."""
    if folder is None:
        return (yield from describe(net, images, labels, batch, diversity))
    path = folder / f"{net.name}-{_key(net, images, labels, diversity)}.safetensors"
    known = _read(path, labels)
    if known is not None:
        yield len(images)
        return known
    description = yield from describe(net, images, labels, batch, diversity)
    _write(path, description)
    return description


def _key(net: FeatureNet, images: Tensor, labels: Tensor, diversity: bool) -> str:
    digest = hashlib.sha256(f"{VERSION} {net.fingerprint()} {EVALUATION_SIZE} {diversity} {images.shape}".encode())
    digest.update(images.contiguous().numpy().data)
    if diversity:  # pooled features alone do not depend on the classes
        digest.update(labels.contiguous().numpy().data)
    return digest.hexdigest()[:24]


def _write(path: Path, description: Description) -> None:
    numbers = {"diversity": description.diversity, "within": {str(k): v for k, v in description.within.items()}}
    with atomic_write(path) as temporary:
        save_file({"pooled": description.pooled.contiguous()}, temporary, {"description": json.dumps(numbers)})


def _read(path: Path, labels: Tensor) -> Description | None:
    """The description, or None where there is none or the file is damaged: it is then made anew."""
    try:
        with safe_open(path, "pt") as file:
            numbers = json.loads(file.metadata()["description"])
            pooled = file.get_tensor("pooled")
        within = {int(label): float(value) for label, value in numbers["within"].items()}
        diversity = float(numbers["diversity"])
    except (OSError, SafetensorError, ValueError, KeyError, TypeError, AttributeError):
        return None
    if pooled.dim() != 2 or len(pooled) != len(labels) or not bool(torch.isfinite(pooled).all()):
        return None
    return Description(pooled, labels, diversity, within)
