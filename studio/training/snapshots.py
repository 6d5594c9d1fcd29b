"""The fixed grid that shows a run's progress."""

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from PIL import Image

from studio.core.dataset import ImageSet
from studio.core.images import to_image
from studio.core.kinds import LatentModel
from studio.core.sheet import tile
from studio.training.options import TrainOptions

COLUMNS = 8
CHUNK = 16


class SnapshotGrid:
    """Always the same seeds: classes x 8 where there are classes (at most 16 rows), else 8 x 8."""

    def __init__(self, model: LatentModel, conditional: bool, seed: int) -> None:
        rows = min(model.class_count, 16) if conditional else COLUMNS
        generator = torch.Generator().manual_seed(seed + 1)
        self.z = torch.randn(rows * COLUMNS, model.latent_dim, generator=generator)
        self.weights = None
        if conditional:
            labels = torch.arange(rows).repeat_interleave(COLUMNS)
            self.weights = F.one_hot(labels, model.class_count).float()

    @torch.no_grad()
    def draw(self, model: LatentModel) -> Image.Image:
        """The model's pictures of the fixed seeds, one row a class."""
        device = next(model.parameters()).device
        pictures = []
        for start in range(0, len(self.z), CHUNK):
            weights = None if self.weights is None else self.weights[start : start + CHUNK].to(device)
            batch = model(self.z[start : start + CHUNK].to(device), weights).float().cpu()
            pictures += [to_image(picture) for picture in batch]
        return tile(pictures, COLUMNS)

    def measure(self, model: LatentModel) -> Mapping[str, float]:  # noqa: ARG002 - the signature of a showcase
        """Nothing: generators are judged by ``studio evaluate``."""
        return {}


def seeded_grid(trainer: Any, conditional: bool, data: ImageSet, options: TrainOptions) -> SnapshotGrid:  # noqa: ARG001
    """What generators show."""
    return SnapshotGrid(trainer.model, conditional, options.seed)
