"""A tiny generator of two classes with its learner, features that need no weights, and artists to adapt to."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from studio.core.dataset import ImageSet
from studio.models.gan import GanConfig, GanGenerator
from studio.models.learner import Learner, LearnerConfig

TINY = GanConfig(resolution=32, latent_dim=8, embedding=4, capacity=0.1)
LEARNER = LearnerConfig(embedding=4, hidden=8, condition=8)
COLOURS = {"anna": (200, 40, 40), "berta": (40, 200, 40), "clara": (40, 40, 200), "dora": (200, 200, 40)}


class ToyLite0(nn.Module):
    """Four maps with Lite0's channels and strides from fixed random 1x1 convolutions."""

    channels = (24, 40, 112, 320)

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(7)
            self.convs = nn.ModuleList(nn.Conv2d(3, c, 1) for c in self.channels)
        self.requires_grad_(False)

    def forward(self, x: Tensor) -> list[Tensor]:
        return [conv(F.avg_pool2d(x, 4 << i)) for i, conv in enumerate(self.convs)]


def tiny(rates: int = 0) -> tuple[GanGenerator, Learner]:
    """Random weights, always the same."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        config = LearnerConfig(LEARNER.embedding, LEARNER.hidden, LEARNER.condition, rates)
        return GanGenerator(TINY, 2).eval(), Learner(config).eval()


def flat(colour: tuple[int, int, int], count: int) -> Tensor:
    """(count,3,32,32) uint8."""
    return torch.tensor(colour, dtype=torch.uint8).view(1, 3, 1, 1).expand(count, 3, 32, 32).contiguous()


def grainy(colour: tuple[int, int, int], count: int, seed: int) -> Tensor:
    """Flat pictures with grain, each another one."""
    grain = torch.randint(-30, 31, (count, 3, 32, 32), generator=torch.Generator().manual_seed(seed))
    return (flat(colour, count).long() + grain).clamp(0, 255).to(torch.uint8)


def artists(each: int = 10) -> ImageSet:
    """Four artists of one colour each, who paint in the genres "calm" and "wild" in turn; two works are by nobody."""
    images = [grainy(colour, each, seed) for seed, colour in enumerate(COLOURS.values())]
    names = [name for name in COLOURS for _ in range(each)] + ["", ""]
    count = len(names)
    pictures = torch.cat([*images, flat((9, 9, 9), 2)])
    labels = torch.arange(count) % 2
    files = tuple(f"{k}.png" for k in range(count))
    return ImageSet(pictures, labels, ("calm", "wild"), files, (), {"artist": tuple(names)})
