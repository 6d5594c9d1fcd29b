"""Soft labels from a frozen teacher: what a linear probe on its features thinks of every picture.

The probe is a ridge regression to the classes, in which every class has the same weight. Each picture's label comes
from the probe fitted to all others (leave-one-out, in closed form: Rifkin & Lippert 2007, Notes on regularized least
squares, section 4), so that it says what the picture looks like and not what its label was.
"""

import hashlib
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from studio.core.dataset import ImageSet
from studio.core.files import atomic_write

CHUNK = 64  # pictures looked at together
SEEN = 3  # of the teacher's maps, the deepest
RIDGE = 1.0  # times the mean weight of a picture
SHARPNESS = torch.arange(1, 41) * 0.5  # that are tried on the probe's values before the softmax
LEAST_DEVIATION = 1e-3


@torch.no_grad()
def described(teacher: nn.Module, images: Tensor, device: torch.device, half: bool = False) -> Tensor:
    """Means, maxima and deviations of a teacher's deepest maps, the mean of each picture and its mirror image.

    images: (N,3,S,S) uint8 → (N,D) float32 on the CPU. half: look in bfloat16.
    """
    rows = []
    for chunk in images.split(CHUNK):
        x = chunk.to(device).float().div(127.5).sub(1)
        with torch.autocast(device.type, torch.bfloat16, enabled=half):
            maps = [[m.float() for m in teacher(view)[-SEEN:]] for view in (x, x.flip(3))]
        views = [torch.cat([s for m in each for s in _statistics(m)], dim=1) for each in maps]
        rows.append(((views[0] + views[1]) / 2).cpu())
    return torch.cat(rows)


def _statistics(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(B,C,H,W) → (B,C) each."""
    return x.mean(dim=(2, 3)), x.amax(dim=(2, 3)), x.std(dim=(2, 3))


@torch.no_grad()
def left_out(features: Tensor, labels: Tensor, class_count: int, ridge: float = RIDGE) -> Tensor:
    """Probabilities (N,K) of each row's classes by the probe fitted to all others. features: (N,D), labels: (N,).

    ridge: the weight of the penalty, for each row. The values of the probe become probabilities by a softmax whose
    sharpness makes the true labels likeliest, class by class.
    """
    weights = 1 / torch.bincount(labels, minlength=class_count).clamp_min(1).float()
    rows = weights[labels]
    rows = (rows / rows.mean())[:, None]
    x = features.float()
    x = (x - (x * rows).mean(dim=0)) / x.std(dim=0).clamp_min(LEAST_DEVIATION)
    wanted = F.one_hot(labels, class_count).float()
    wanted = wanted - (wanted * rows).mean(dim=0)
    others = predicted_by_others(x, wanted, rows, ridge * len(x))
    doubt = torch.stack([F.cross_entropy(others * sharp, labels, weights) for sharp in SHARPNESS])
    return torch.softmax(others * SHARPNESS[doubt.argmin()], dim=1)


def predicted_by_others(x: Tensor, y: Tensor, rows: Tensor, penalty: float) -> Tensor:
    """Each row's value by the weighted ridge regression of all other rows: y − (y − ŷ) / (1 − leverage).

    x: (N,D), y: (N,K), rows: (N,1), the weights → (N,K).
    """
    values, vectors = torch.linalg.eigh((x.T @ (x * rows)).double())
    across, shrunk = x @ vectors.to(x), 1 / (values.to(x).clamp_min(0) + penalty)
    predicted = (across * shrunk) @ (across.T @ (y * rows))
    leverage = (across.square() @ shrunk[:, None]) * rows
    return y - (y - predicted) / (1 - leverage).clamp_min(LEAST_DEVIATION)


def soft_labels(teacher: nn.Module, data: ImageSet, device: torch.device, half: bool, kept: Path) -> Tensor:
    """`left_out` of a data set's pictures (N,K), from the file `kept` where it holds those, or made and kept there."""
    names = hashlib.sha256("\n".join((*data.classes, *data.files)).encode()).hexdigest()
    try:
        known = load_file(kept)
    except (OSError, SafetensorError):
        known = {}
    if names in known and known[names].shape == (len(data), len(data.classes)):
        return known[names]
    found = left_out(described(teacher, data.images, device, half), data.labels, len(data.classes))
    with atomic_write(kept) as beside:
        save_file({names: found}, beside)
    return found
