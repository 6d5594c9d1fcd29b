"""Descriptions kept on disk, so that the real images of a data set are described once."""

import hashlib
import json
from collections.abc import Generator
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from studio.core.files import atomic_write
from studio.evaluation.features import EVALUATION_SIZE, LIKENESS_SIZE, Description, FeatureNet, describe, likenesses

VERSION = 2  # raise it when the same images and weights come to be described in another way


def describe_cached(
    folder: Path | None, net: FeatureNet, images: Tensor, labels: Tensor, batch: int
) -> Generator[int, None, Description]:
    """As describe(), read from `folder` where it holds these images described by these weights, else written there."""
    if folder is None:
        return (yield from describe(net, images, labels, batch))
    path = folder / f"{net.name}-description-{_key(net, EVALUATION_SIZE, images, labels)}.safetensors"
    known = _read(path, len(images))
    if known is not None:
        yield len(images)
        rows, numbers = known
        within = {int(label): float(value) for label, value in numbers["within"].items()}
        return Description(rows, labels, float(numbers["diversity"]), within)
    made = yield from describe(net, images, labels, batch)
    _write(path, made.pooled, {"diversity": made.diversity, "within": dict(made.within)})
    return made


def likenesses_cached(folder: Path | None, net: FeatureNet, images: Tensor, batch: int) -> Generator[int, None, Tensor]:
    """As likenesses(), read from `folder` where it holds these images seen by these weights, else written there."""
    if folder is None:
        return (yield from likenesses(net, images, batch))
    path = folder / f"{net.name}-likeness-{_key(net, LIKENESS_SIZE, images)}.safetensors"
    known = _read(path, len(images))
    if known is not None:
        yield len(images)
        return known[0]
    made = yield from likenesses(net, images, batch)
    _write(path, made, {})
    return made


def _key(net: FeatureNet, size: int, *tensors: Tensor) -> str:
    digest = hashlib.sha256(f"{VERSION} {net.fingerprint()} {size}".encode())
    for tensor in tensors:
        digest.update(str(tuple(tensor.shape)).encode())
        digest.update(tensor.contiguous().numpy().data)
    return digest.hexdigest()[:24]


def _write(path: Path, rows: Tensor, numbers: dict[str, object]) -> None:
    with atomic_write(path) as temporary:
        save_file({"rows": rows.contiguous()}, temporary, {"numbers": json.dumps(numbers)})


def _read(path: Path, count: int) -> tuple[Tensor, dict[str, Any]] | None:
    """Rows and numbers, or None where there is no file or it is damaged: it is then made anew."""
    try:
        with safe_open(path, "pt") as file:
            numbers = json.loads(file.metadata()["numbers"])
            rows: Tensor = file.get_tensor("rows")
    except (OSError, SafetensorError, ValueError, KeyError, TypeError):
        return None
    if rows.dim() != 2 or len(rows) != count or not bool(torch.isfinite(rows).all()):
        return None
    return rows, numbers
