"""A discriminator from scratch: the generator's mirror without normalisation, and the zero-centred penalty."""

from itertools import pairwise

import torch
from torch import Tensor, nn

from studio.models.gan import CHANNELS, GanConfig


class Residual(nn.Module):
    """Two 3x3 convolutions beside a 1x1 one, then average pooling by two. (B,I,H,W) → (B,O,H/2,W/2)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.LeakyReLU(0.2),
            nn.Conv2d(inputs, outputs, 3, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(outputs, outputs, 3, padding=1),
            nn.AvgPool2d(2),
        )
        self.skip = nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(inputs, outputs, 1, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = (self.body(x) + self.skip(x)) * 0.5**0.5
        return y


class ScratchDiscriminator(nn.Module):
    """Pictures (B,3,R,R) in [-1,1] and labels (B,) → logits (B,), with a projection term for classes."""

    def __init__(self, config: GanConfig, class_count: int) -> None:
        super().__init__()
        sizes = [size for size in reversed(CHANNELS) if size <= config.resolution]
        self.stem = nn.Conv2d(3, config.channels(config.resolution), 3, padding=1)
        self.body = nn.Sequential(*(Residual(config.channels(a), config.channels(b)) for a, b in pairwise(sizes)))
        last = config.channels(4)
        self.final = nn.Sequential(nn.LeakyReLU(0.2), nn.Conv2d(last, last, 4), nn.Flatten(), nn.LeakyReLU(0.2))
        self.logit = nn.Linear(last, 1)
        self.classes = nn.Embedding(class_count, last) if class_count else None
        if self.classes is not None:
            nn.init.normal_(self.classes.weight, std=last**-0.5)

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        hidden = self.final(self.body(self.stem(x.contiguous(memory_format=torch.channels_last))))
        logits: Tensor = self.logit(hidden)[:, 0]
        if self.classes is not None and labels is not None:
            logits = logits + (hidden * self.classes(labels)).sum(1)
        return logits


def gradient_penalty(logits: Tensor, x: Tensor) -> Tensor:
    """E‖∇ₓD(x)‖² in fp32: R1 on real pictures, R2 on generated ones (Mescheder et al. 2018, eq. 9)."""
    (gradient,) = torch.autograd.grad(logits.float().sum(), x, create_graph=True)
    return gradient.float().square().sum(dim=(1, 2, 3)).mean()
