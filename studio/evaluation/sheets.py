"""Pictures of an evaluation: what was drawn, and drawn pictures beside what they are nearest to."""

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from studio.core.images import tile
from studio.evaluation.features import EVALUATION_SIZE
from studio.evaluation.metrics import Novelty

PER_ROW = 8
PAIRS = 18
PAIRS_PER_ROW = 3


def picture(image: Tensor) -> Image.Image:
    """(3,H,W) uint8 → an image in mode RGB."""
    return Image.fromarray(np.ascontiguousarray(image.permute(1, 2, 0).numpy()))


def samples_sheet(images: Tensor, labels: Tensor, classes: Sequence[str]) -> Image.Image:
    """A row of eight pictures for each class, or eight rows of eight where there are none. images: (N,3,R,R) uint8."""
    present = [label for label in torch.unique(labels).tolist() if label >= 0]
    if not present:
        return tile([picture(image) for image in images[: PER_ROW * PER_ROW]], PER_ROW)
    rows, names = [], []
    for label in present:
        own = images[labels == label][:PER_ROW]
        blank = [Image.new("RGB", (1, 1), (255, 255, 255))] * (PER_ROW - len(own))
        rows += [picture(image) for image in own] + blank
        names.append(classes[label])
    return tile(rows, PER_ROW, row_labels=names)


def nearest_sheet(samples: Tensor, training: Tensor, novelty: Novelty) -> Image.Image:
    """Pairs drawn | nearest training image, the closest first, each with its novelty. (N,3,R,R), (M,3,S,S) uint8."""
    pairs = []
    for row in novelty.ratios.argsort()[:PAIRS].tolist():
        both = [picture(samples[row]), picture(training[int(novelty.rows[row])])]
        sized = [image.resize((EVALUATION_SIZE, EVALUATION_SIZE), Image.Resampling.BICUBIC) for image in both]
        pairs.append(tile(sized, 2, row_labels=[f"{float(novelty.ratios[row]):.2f}"]))
    return tile(pairs, PAIRS_PER_ROW, gap=8)
