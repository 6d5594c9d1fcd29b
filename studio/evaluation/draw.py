"""Pictures to judge: seeds in order, classes in the proportions of the real images."""

from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from studio.core.dataset import ImageSet
from studio.core.errors import DataError, InvalidRequest
from studio.core.images import to_uint8
from studio.core.kinds import LatentModel
from studio.evaluation.config import EvaluationConfig
from studio.latent.seeds import noise
from studio.latent.truncation import class_mean, truncate


def apportion(count: int, labels: Tensor) -> dict[int, int]:
    """Split `count` over the labels in proportion to how often each occurs, by largest remainders. labels: (N,)."""
    values, frequencies = torch.unique(labels, return_counts=True)
    shares = frequencies.double() * count / len(labels)
    counts = shares.floor().long()
    order = (counts - shares).sort(stable=True).indices  # the largest remainder first
    counts[order[: count - int(counts.sum())]] += 1
    return {int(value): int(n) for value, n in zip(values, counts, strict=True)}


def class_labels(model: LatentModel, classes: Sequence[str], reference: ImageSet, count: int) -> Tensor:
    """The class of each picture to draw, as a place in reference.classes: (count,); −1 for a model without classes."""
    if not model.class_count:
        return torch.full((count,), -1)
    if len(classes) != model.class_count:
        raise InvalidRequest(
            f"The model has {model.class_count} classes, and {len(classes)} names were given for them."
        )
    if bool((reference.labels < 0).any()):
        unlabelled = int((reference.labels < 0).sum())
        raise DataError(
            f"{unlabelled} reference images have no class, and this model draws by class; give images sorted by class."
        )
    counts = apportion(count, reference.labels)
    unknown = [reference.classes[label] for label in counts if reference.classes[label] not in classes]
    if unknown:
        raise DataError(
            f"The model has no class {unknown[0]!r}, which the reference images have; "
            f"choose among its classes: {', '.join(classes)}."
        )
    return torch.tensor([label for label, n in counts.items() for _ in range(n)])


def draw(
    model: LatentModel,
    classes: Sequence[str],
    reference_classes: Sequence[str],
    labels: Tensor,
    config: EvaluationConfig,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Picture i has seed `config.seed` + i and class labels[i]. Yields rows (B,) and pictures (B,3,R,R) uint8."""
    own = torch.tensor([classes.index(name) if name in classes else -1 for name in reference_classes])
    for rows in torch.split(torch.arange(len(labels)), config.batch):
        seeds = [config.seed + row for row in rows.tolist()]
        weights = F.one_hot(own[labels[rows]], model.class_count).float() if model.class_count else None
        yield rows, draw_batch(model, noise(seeds, model.latent_dim), weights, config.truncation)


@torch.no_grad()
def draw_batch(model: LatentModel, z: Tensor, weights: Tensor | None, truncation: float) -> Tensor:
    """z: (B,Z), weights: (B,K) → (B,3,R,R) uint8 on the CPU. Truncated towards the class's own mean of w."""
    device = model.w_mean.device
    weights = None if weights is None else weights.to(device)
    w = model.mapping(z.to(device), weights)
    w = truncate(w, class_mean(model.w_mean, weights), truncation)
    return torch.from_numpy(to_uint8(model.synthesis(w).float().cpu())).permute(0, 3, 1, 2)
