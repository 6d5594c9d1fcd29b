"""Where a network's maps lead: gradients of style and content losses with respect to the picture.

A network can agree with its teacher on every photograph and still lead an optimiser astray, since the optimiser goes
where no photograph is. So the student's gradients are taught as well (Czarnecki et al. 2017, Sobolev training, eq. 1),
at pictures which the student itself has led to (Ross et al. 2011, DAgger).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from studio.style.losses import gram, relative

CONTENT_LAYERS = slice(1, 4)  # strides 2, 4 and 8
SCALES = (1, 2, 4, 8)  # px over which gradients are averaged before they are compared
PACE = 0.04  # root mean square of a step, in the units of pixels in [-1,1]
DIM = 1e-3  # of a map's mean square, under the length of its vectors: dim places have no direction


@dataclass(frozen=True)
class Goal:
    """What pictures are led towards, in one network's maps: content vectors of length 1, Gram matrices, and for each
    picture whether its content (1) or its style (0) counts."""

    content: tuple[Tensor, ...]
    grams: tuple[Tensor, ...]
    share: Tensor

    @classmethod
    def of(cls, maps: Sequence[Tensor], share: Tensor) -> "Goal":
        """Every picture of a batch led towards its own content and the style of the one before it."""
        return cls(
            tuple(unit(x).detach() for x in maps[CONTENT_LAYERS]),
            tuple(gram(x).float().detach().roll(1, 0) for x in maps),
            share,
        )

    def distance(self, maps: Sequence[Tensor]) -> Tensor:
        """(B,)."""
        style = torch.stack([relative(gram(x).float(), y) for x, y in zip(maps, self.grams, strict=True)]).mean(dim=0)
        both = zip(maps[CONTENT_LAYERS], self.content, strict=True)
        content = torch.stack([(unit(x) - y).square().sum(dim=1).mean(dim=(1, 2)) for x, y in both]).mean(dim=0)
        return torch.where(self.share.bool(), content, style)


def unit(maps: Tensor) -> Tensor:
    """The vector at every place at length 1, shorter where dim. (B,C,H,W) → same, in full precision."""
    squares = maps.float().square().sum(dim=1, keepdim=True)
    return maps.float() * torch.rsqrt(squares + DIM * squares.mean(dim=(2, 3), keepdim=True) + 1e-12)


def slope(network: nn.Module, x: Tensor, goal: Goal, learn: bool = False) -> Tensor:
    """Gradient of the distance to the goal at pictures (B,3,H,W). learn: so that it can be differentiated itself."""
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(goal.distance(network(x)).sum(), x, create_graph=learn)
    return gradient


def led(network: nn.Module, x: Tensor, goal: Goal, steps: int) -> Tensor:
    """Pictures after so many steps of one length down the network's slope."""
    for _ in range(steps):
        gradient = slope(network, x, goal)
        size = gradient.square().mean(dim=(1, 2, 3), keepdim=True).sqrt()
        x = (x - PACE * gradient / (size + 1e-20)).clamp(-1, 1)
    return x


def alignment(a: Tensor, b: Tensor) -> Tensor:
    """Cosine of gradients (B,3,H,W), averaged over SCALES: 1 where they point the same way. (B,)."""
    pooled = ((F.avg_pool2d(a, scale).flatten(1), F.avg_pool2d(b, scale).flatten(1)) for scale in SCALES)
    return torch.stack([F.cosine_similarity(x, y, eps=1e-20) for x, y in pooled]).mean(dim=0)
