"""The `classifier` kind: a compact CNN that says which class a picture is of, and where it sees that.

A VGG-like trunk (3x3 convolutions, ReLU, average pools) of five maps, which can begin as the perceptual encoder's; on
its last three maps, pooled to the last one's size (the earlier ones know more of the hand), residual blocks (He et al.
2016, with the normalisation before the convolutions: arXiv 1603.05027), which begin as the identity and use group norm
(Wu & He 2018), so that nothing depends on a batch's company; means and maxima over positions; one linear layer.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from studio.core.errors import InvalidRequest
from studio.core.kinds import MODEL_KINDS, ModelKind
from studio.models import bounds

STRIDE = 16  # px of the picture that a position of the last map stands for
SEEN = 3  # of the trunk's maps, that the top works on
LONGEST = 2  # of the long side over the short one; what is longer is squeezed to it
GROUPS = 16  # of the group norms


@dataclass(frozen=True)
class ClassifierConfig:
    """resolution: px of the short side to which every picture is scaled, a multiple of 16. widths: channels of the
    trunk's five maps. depths: convolutions before each of them. top: channels of each residual block, multiples of 16.
    dropout: of the pooled features, in training.
    """

    resolution: int = 128
    widths: tuple[int, int, int, int, int] = (16, 32, 64, 128, 128)
    depths: tuple[int, int, int, int, int] = (2, 2, 4, 4, 1)
    top: tuple[int, ...] = (256, 256)
    dropout: float = 0.3

    def __post_init__(self) -> None:
        _multiple("resolution", self.resolution, 32, 512)
        for width in self.widths:
            bounds.whole("widths", width, 1, 512)
        for depth in self.depths:
            bounds.whole("depths", depth, 1, 4)
        if not 1 <= len(self.top) <= 8:
            raise InvalidRequest(f"top names {len(self.top)} residual blocks; give from 1 to 8.")
        for channels in self.top:
            _multiple("top", channels, GROUPS, 1024)
        bounds.real("dropout", self.dropout, 0, 0.9)


class Residual(nn.Module):
    """x + f(x), f of two 3x3 convolutions, each after a group norm and ReLU. (B,I,H,W) → (B,O,H,W); f begins as 0."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        self.second = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.norms = nn.ModuleList((nn.GroupNorm(_groups(inputs), inputs), nn.GroupNorm(GROUPS, outputs)))
        self.skip = nn.Conv2d(inputs, outputs, 1, bias=False) if inputs != outputs else nn.Identity()
        nn.init.kaiming_normal_(self.first.weight, nonlinearity="relu")
        nn.init.zeros_(self.second.weight)
        nn.init.zeros_(self.second.bias)  # type: ignore[arg-type]  # it has one

    def forward(self, x: Tensor) -> Tensor:
        y = self.first(F.relu(self.norms[0](x)))
        return self.skip(x) + self.second(F.relu(self.norms[1](y)))


class Classifier(nn.Module):
    """Pictures of any size → a logit for each class."""

    def __init__(self, config: ClassifierConfig, class_count: int) -> None:
        super().__init__()
        self.config, self.class_count = config, class_count
        inputs = (3, *config.widths[:-1])
        self.trunk = nn.ModuleList(
            nn.Sequential(*(_convolution(i if n == 0 else o, o) for n in range(depth)))
            for i, o, depth in zip(inputs, config.widths, config.depths, strict=True)
        )
        pairs = zip((sum(config.widths[-SEEN:]), *config.top), config.top, strict=False)
        self.top = nn.Sequential(*(Residual(i, o) for i, o in pairs), nn.GroupNorm(GROUPS, config.top[-1]), nn.ReLU())
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(2 * config.top[-1], class_count)
        nn.init.zeros_(self.head.bias)

    def fitted(self, x: Tensor) -> Tensor:
        """Scaled to the size that is looked at (`fitted_size`), bicubic. x: (B,3,H,W) in [-1,1] → (B,3,h,w) there."""
        width, height = fitted_size((x.shape[3], x.shape[2]), self.config.resolution)
        if x.shape[2:] != (height, width):
            x = F.interpolate(x, (height, width), mode="bicubic", antialias=True, align_corners=False).clamp(-1, 1)
        return x

    def maps(self, x: Tensor) -> Tensor:
        """x: (B,3,h,w) in [-1,1], as `fitted` gives → the last maps (B,C,h/16,w/16), before they are pooled."""
        seen: list[Tensor] = []
        for index, block in enumerate(self.trunk):
            x = block(F.avg_pool2d(x, 2) if index else x)
            seen.append(x)
        return self.top(
            torch.cat([F.adaptive_avg_pool2d(each, (x.shape[2], x.shape[3])) for each in seen[-SEEN:]], dim=1)
        )

    def judge(self, maps: Tensor) -> Tensor:
        """The last maps (B,C,h,w) → logits (B,K)."""
        pooled = torch.cat([maps.mean(dim=(2, 3)), maps.amax(dim=(2, 3))], dim=1)
        return self.head(self.dropout(pooled))

    def forward(self, x: Tensor) -> Tensor:
        """x: (B,3,H,W) in [-1,1], of any size → logits (B,K)."""
        return self.judge(self.maps(self.fitted(x)))

    @torch.no_grad()
    def probabilities(self, x: Tensor) -> Tensor:
        """The mean of what a picture and its mirror image look like. x: (B,3,H,W) in [-1,1] → (B,K), rows sum to 1."""
        x = self.fitted(x)
        both = torch.stack([self(x).float(), self(x.flip(3)).float()])
        return torch.softmax(both, dim=2).mean(dim=0)

    def saliency(self, x: Tensor, label: int) -> Tensor:
        """Where a class is seen, by Grad-CAM (Selvaraju et al. 2017, eq. 1 and 2): the last maps, weighted by the mean
        gradient of the class's logit, negative parts dropped. x: (1,3,H,W) in [-1,1] → (h/16,w/16) ≥ 0.
        """
        with torch.enable_grad():
            maps = self.maps(self.fitted(x)).detach().requires_grad_(True)
            (gradient,) = torch.autograd.grad(self.judge(maps)[0, label], maps)
        weights = gradient.mean(dim=(2, 3), keepdim=True)
        return F.relu((weights * maps.detach()).sum(dim=1))[0]


def fitted_size(size: tuple[int, int], resolution: int) -> tuple[int, int]:
    """(width, height) in px → that to which a picture is brought: the short side as in training, the long one in
    proportion, but at most twice as long, and both multiples of 16."""
    width, height = size
    short = min(width, height)

    def scaled(side: int) -> int:
        return STRIDE * max(1, round(min(side / short, LONGEST) * resolution / STRIDE))

    return scaled(width), scaled(height)


def trunk_convolutions(model: Classifier) -> Sequence[nn.Conv2d]:
    """The trunk's convolutions in order."""
    return [module for module in model.trunk.modules() if isinstance(module, nn.Conv2d)]


def _multiple(name: str, value: int, low: int, high: int) -> None:
    bounds.whole(name, value, low, high)
    if value % 16:
        raise InvalidRequest(f"{name} is {value}; it must be a multiple of 16.")


def _convolution(inputs: int, outputs: int) -> nn.Module:
    conv = nn.Conv2d(inputs, outputs, 3, padding=1)  # of zeros: reflections took a third of a step's time
    nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
    nn.init.zeros_(conv.bias)  # type: ignore[arg-type]  # it has one
    return nn.Sequential(conv, nn.ReLU(inplace=True))


def _groups(channels: int) -> int:
    """The largest number of groups up to GROUPS that divides the channels."""
    return next(count for count in range(min(GROUPS, channels), 0, -1) if channels % count == 0)


def _build(config: ClassifierConfig, class_count: int) -> Classifier:
    if class_count < 2:
        raise InvalidRequest(f"A classifier tells at least 2 classes apart; got {class_count}.")
    return Classifier(config, class_count)


MODEL_KINDS.add(
    "classifier",
    ModelKind("classifier", ClassifierConfig, _build, "Compact classifier of pictures, the critic", latent=False),
)
