"""A model kind as small as can be, made like a real one, and checkpoints of it."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from studio.core import checkpoint
from studio.core.kinds import LatentModel, ModelKind

CLASSES = ("landscape", "portrait", "seascape")
SIDE = 16  # px


@dataclass(frozen=True)
class SketchConfig:
    layers: int = 4
    resolution: int = SIDE


class Sketch(LatentModel):
    """z and class → w; a 4x4 map from the first style, modulated at 4 and 8 px by the others; like a real one."""

    def __init__(self, config: SketchConfig, class_count: int) -> None:
        super().__init__()
        self.latent_dim, self.width, self.layers = 8, 12, config.layers
        self.resolution, self.class_count = config.resolution, class_count
        self.affine = nn.Linear(8 + class_count, 12)
        self.start = nn.Linear(12, 16 * 16)
        self.convs = nn.ModuleList(nn.Conv2d(16, 16, 3, padding=1) for _ in range(2))
        self.colour = nn.Conv2d(16, 3, 1)
        self.register_buffer("w_mean", torch.zeros(max(class_count, 1), 12))

    def mapping(self, z: Tensor, weights: Tensor | None = None) -> Tensor:
        row = z if weights is None else torch.cat([z, 3 * weights], 1)
        return F.leaky_relu(self.affine(row), 0.2)[:, None].expand(-1, self.layers, -1)

    def synthesis(self, w: Tensor) -> Tensor:
        x = self.start(w[:, 0]).view(-1, 16, 4, 4)
        for layer, conv in enumerate(self.convs, start=1):
            style = F.pad(w[:, min(layer, self.layers - 1)], (0, 4))
            x = F.interpolate(torch.sin(conv(x * (1 + style[:, :, None, None]))), scale_factor=2.0)
        return torch.tanh(2 * self.colour(x + w[:, -1].sum(1)[:, None, None, None] / 8))


KIND = ModelKind("sketch", SketchConfig, Sketch, "A model for tests.")


def write_model(path: Path, classes: tuple[str, ...] = CLASSES, seed: int = 0, layers: int = 4) -> Sketch:
    """A checkpoint with random weights, and the model that it holds."""
    torch.manual_seed(seed)
    config = SketchConfig(layers=layers)
    model = Sketch(config, len(classes)).eval()
    model.w_mean.normal_()
    path.parent.mkdir(parents=True, exist_ok=True)
    metrics = {"kid-vgg16": 0.5}
    checkpoint.save(path, model, kind="sketch", config=config, classes=classes, provenance={}, metrics=metrics)
    built = checkpoint.load(path).build()
    assert isinstance(built, Sketch)
    return built


def pixels(image: Image.Image) -> npt.NDArray[np.uint8]:
    """(H,W,3)"""
    return np.array(image)


def same(first: Image.Image, second: Image.Image) -> bool:
    """Whether two images are equal to the last bit."""
    return np.array_equal(pixels(first), pixels(second))
