"""A feature network and generators so small that what they must come out at is known by hand."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from studio.core.dataset import ImageSet
from studio.core.kinds import LatentModel
from studio.evaluation.features import FEATURES, FeatureNet, Features

CLASSES = ("dark", "light")


class MeanColour(FeatureNet):
    """Pooled features: the mean colours of the picture's four quarters in [-2,2], 12-d. Its map is the same numbers."""

    name = "colour"
    num_features = 12
    distance = "euclidean"

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.full((1,), 4.0))

    def pooled_and_maps(self, x: Tensor) -> Features:
        pooled = (nn.functional.adaptive_avg_pool2d(x, 2).flatten(1) - 0.5) * self.gain
        return Features(pooled, (pooled,))


class Painter(LatentModel):
    """Paints four flat quarters whose colours are w; a class moves them by ±1/2. spread 0: always one picture."""

    def __init__(self, class_count: int = 2, resolution: int = 16, spread: float = 1.0) -> None:
        super().__init__()
        self.latent_dim = self.width = 12
        self.layers = 1
        self.resolution = resolution
        self.class_count = class_count
        self.spread = spread
        self.register_buffer("w_mean", torch.zeros(max(class_count, 1), 12))
        for row in range(class_count):
            self.w_mean[row] = row - 0.5

    def mapping(self, z: Tensor, weights: Tensor | None = None) -> Tensor:
        shift = 0.0 if weights is None else weights @ self.w_mean
        return (z * self.spread + shift)[:, None]

    def synthesis(self, w: Tensor) -> Tensor:
        quarters = torch.tanh(w[:, 0].view(-1, 3, 2, 2) / 2)
        half = self.resolution // 2
        return quarters.repeat_interleave(half, 2).repeat_interleave(half, 3)


@pytest.fixture(scope="session", autouse=True)
def _colour_features() -> None:
    if "colour" not in FEATURES:
        FEATURES.add("colour", lambda path: MeanColour())


@pytest.fixture
def net() -> MeanColour:
    return MeanColour().eval().requires_grad_(False)


@pytest.fixture
def painter() -> Callable[..., LatentModel]:
    return lambda **options: Painter(**options).eval()


@pytest.fixture
def real() -> Callable[..., ImageSet]:
    """real(count, seed) → that many pictures by an honest Painter, half of them dark and half light."""

    def build(count: int = 64, seed: int = 1000, classes: tuple[str, ...] = CLASSES) -> ImageSet:
        z = torch.randn(count, 12, generator=torch.Generator().manual_seed(seed))
        labels = torch.arange(count) % 2
        pictures = Painter().eval()(z, nn.functional.one_hot(labels, 2).float())
        images = pictures.add(1).mul(127.5).round().to(torch.uint8)
        if classes != CLASSES:
            labels = torch.full((count,), -1)
        return ImageSet(images, labels, classes, tuple(f"{i}.png" for i in range(count)))

    return build
