"""The projected discriminator (Sauer et al. 2021, arXiv 2111.01007): small heads on frozen, randomly mixed features.

One more head, our own addition, sees the pixels: the features' first convolution has a stride of 2, so what repeats
every pixel or two is hidden from them, and a generator leaves a lattice there.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from studio.models.lite0 import Lite0Features

MIXED = (64, 96, 128, 192)  # channels after mixing, at strides 4, 8, 16, 32
PIXEL_CHANNELS = (32, 64, 128, 128, 128)
SIZE = 128  # px: pictures are scaled to it before the features


class RandomMixing(nn.Module):
    """Fixed random 1x1 convolutions, then fixed random 3x3 ones from deep to shallow (sections 3.2, CCM and CSM)."""

    def __init__(self, inputs: tuple[int, ...], outputs: tuple[int, ...] = MIXED) -> None:
        super().__init__()
        self.across = nn.ModuleList(nn.Conv2d(i, o, 1, bias=False) for i, o in zip(inputs, outputs, strict=True))
        deeper = (*outputs[1:], None)
        self.down = nn.ModuleList(
            nn.Identity() if d is None else nn.Conv2d(d, o, 1, bias=False) for o, d in zip(outputs, deeper, strict=True)
        )
        for conv in self.modules():
            if isinstance(conv, nn.Conv2d):
                nn.init.kaiming_normal_(conv.weight, nonlinearity="linear")
        self.requires_grad_(False)

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        mixed = [conv(x) for conv, x in zip(self.across, maps, strict=True)]
        for i in reversed(range(len(mixed) - 1)):
            above = F.interpolate(self.down[i](mixed[i + 1]), size=mixed[i].shape[-2:], mode="nearest")
            mixed[i] = (mixed[i] + above) * 0.5**0.5
        return mixed


class Head(nn.Module):
    """Logit map of one feature map; with a condition, a projection term (Miyato & Koyama 2018) is added.

    x: (B,C,h,w), labels: (B,), or (B,N) where the condition is a vector → logits (B,·), the term scaled by
    `class_weight`.
    """

    def __init__(self, inputs: int, size: int, class_count: int, condition: int = 0, channels: int = 128) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        while size > 4:
            layers += [spectral_norm(nn.Conv2d(inputs, channels, 4, 2, 1)), nn.LeakyReLU(0.2)]
            inputs, size = channels, size // 2
        layers += [spectral_norm(nn.Conv2d(inputs, channels, 3, padding=1)), nn.LeakyReLU(0.2)]
        self.trunk = nn.Sequential(*layers)
        self.logit = spectral_norm(nn.Conv2d(channels, 1, 1))
        self.classes: nn.Module | None = None
        if class_count:
            self.classes = spectral_norm(nn.Embedding(class_count, channels))
        elif condition:
            self.classes = spectral_norm(nn.Linear(condition, channels, bias=False))

    def forward(self, x: Tensor, labels: Tensor | None, class_weight: float) -> Tensor:
        hidden = self.trunk(x)
        logits: Tensor = self.logit(hidden)
        if self.classes is not None and labels is not None and class_weight > 0:
            logits = logits + class_weight * (hidden * self.classes(labels)[:, :, None, None]).sum(1, keepdim=True)
        return logits.flatten(1)


class PixelHead(nn.Module):
    """Logits of overlapping patches of the picture itself (Isola et al. 2017, section 3.2.2): of 10, 22, 46 or 94 px.

    depth: 2 to 5 convolutions of stride 2. x: (B,3,H,W) → (B,H/2^depth · W/2^depth); it takes the arguments of `Head`
    and has no class term.
    """

    def __init__(self, depth: int = 3) -> None:
        super().__init__()
        self.depth = depth
        channels = PIXEL_CHANNELS[:depth]
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise((3, *channels)):
            layers += [spectral_norm(nn.Conv2d(inputs, outputs, 4, 2, 1)), nn.LeakyReLU(0.2)]
        self.layers = nn.Sequential(*layers, spectral_norm(nn.Conv2d(channels[-1], 1, 1)))

    def forward(self, x: Tensor, labels: Tensor | None, class_weight: float) -> Tensor:
        del labels, class_weight
        return self.layers(x).flatten(1)


class ProjectedDiscriminator(nn.Module):
    """Four heads on Lite0's features, and some on the pixels.

    The class enters the two deepest heads of features; a condition, a vector of so many entries, enters all four.
    pixels: depth of each head on the pixels. With one of 3, patches of 22 px, longer training leaves rings and weaves
    of about that size; one of 5 sees those too.
    """

    def __init__(
        self,
        class_count: int,
        features: Callable[[], nn.Module] = Lite0Features,
        condition: int = 0,
        pixels: Sequence[int] = (3,),
    ) -> None:
        super().__init__()
        self.features = features()
        self.mixing = RandomMixing(self.features.channels)  # type: ignore[arg-type]
        count = len(MIXED)
        self.heads = nn.ModuleList(
            Head(channels, SIZE // 4 >> i, class_count if i >= count - 2 else 0, condition)
            for i, channels in enumerate(MIXED)
        )
        self.heads.extend(PixelHead(depth) for depth in pixels)

    def project(self, x: Tensor) -> list[Tensor]:
        """x: (B,3,H,W) in [-1,1] → mixed feature maps, shallow to deep, and x for each head on the pixels;
        differentiable with respect to x."""
        picture = x.contiguous(memory_format=torch.channels_last)
        return [*self.mixing(self.features(self.scaled(x))), *[picture] * (len(self.heads) - len(MIXED))]

    def scaled(self, x: Tensor) -> Tensor:
        """Pictures at the size at which features are read."""
        if x.shape[-1] != SIZE:
            x = F.interpolate(x, size=(SIZE, SIZE), mode="bilinear", align_corners=False, antialias=x.shape[-1] > SIZE)
        return x.contiguous(memory_format=torch.channels_last)

    def judge(self, maps: list[Tensor], labels: Tensor | None, class_weight: float = 1.0) -> list[Tensor]:
        """Mixed maps → one row of logits (B,·) a head."""
        return [head(x, labels, class_weight) for head, x in zip(self.heads, maps, strict=True)]

    def compare(
        self, real: list[Tensor], fake: list[Tensor], labels: Tensor | None, class_weight: float = 1.0
    ) -> tuple[list[Tensor], list[Tensor]]:
        """As judge, of both at once, so that the heads' weights are made ready once; nothing goes back to the fake.

        The labels are those of either.
        """
        both = [torch.cat([x, y.detach()]) for x, y in zip(real, fake, strict=True)]
        logits = self.judge(both, None if labels is None else torch.cat([labels, labels]), class_weight)
        count = len(real[0])
        return [x[:count] for x in logits], [x[count:] for x in logits]

    def forward(self, x: Tensor, labels: Tensor | None, class_weight: float = 1.0) -> list[Tensor]:
        return self.judge(self.project(x), labels, class_weight)
