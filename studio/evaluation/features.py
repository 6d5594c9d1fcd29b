"""What generators are judged on: features of frozen networks, by name, and the images described with them."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from studio.core.errors import InvalidRequest
from studio.core.registry import Registry
from studio.evaluation.metrics import Spread

EVALUATION_SIZE = 128  # every image, real or drawn, is brought to this side in pixels before it is described
LIKENESS_SIZE = (
    64  # and to this one before copies are looked for: blur and grain of a generator do not hide a copy then
)


@dataclass(frozen=True)
class Features:
    """A batch as a network sees it.

    pooled: (B,F) float32, one vector an image. maps: tensors (B,…) such that the squared distance of two images'
    entries, summed over all maps, is the perceptual distance of the two images.
    """

    pooled: Tensor
    maps: tuple[Tensor, ...]


class FeatureNet(nn.Module, ABC):
    """A frozen network to judge with. name: as in the metrics (kid-NAME). distance: how maps measure diversity."""

    name: str
    num_features: int  # F
    distance: str = "cosine"

    @abstractmethod
    def pooled_and_maps(self, x: Tensor) -> Features:
        """x: (B,3,S,S) in [0,1], S = EVALUATION_SIZE → features."""

    def likeness_of(self, x: Tensor) -> Tensor:
        """What a copy shares with its original. x: (B,3,S,S) in [0,1], S = LIKENESS_SIZE → (B,G), unit rows."""
        return F.normalize(self.pooled_and_maps(x).pooled, dim=1)

    def forward(self, images: Tensor) -> Features:
        """images: (B,3,H,W) uint8 of any side → features."""
        return self.pooled_and_maps(resized(images))

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.parameters()).device

    def fingerprint(self) -> str:
        """Twelve hex digits that change with the weights."""
        digest = hashlib.sha256(self.name.encode())
        for key, tensor in sorted(self.state_dict().items()):
            digest.update(key.encode())
            digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()[:12]


FEATURES: Registry[Callable[[Path | None], FeatureNet]] = Registry(
    "feature network", populate="studio.evaluation.networks"
)


def feature_net(spec: str, device: torch.device | str = "cpu") -> FeatureNet:
    """A feature network by name, or by name and weights file: "lite0", "vgg16=weights/vgg16.safetensors"."""
    name, separator, path = spec.partition("=")
    if separator and not path:
        raise InvalidRequest(f"The features {spec!r} name an empty path; write {name}=FILE, or {name} alone.")
    net = FEATURES[name](Path(path).expanduser() if path else None)
    return net.to(device).eval().requires_grad_(False)


def resized(images: Tensor, size: int = EVALUATION_SIZE) -> Tensor:
    """Bicubic with antialiasing, clamped. images: (B,3,H,W) uint8 → (B,3,size,size) float32 in [0,1]."""
    x = images.float().div(255)
    if x.shape[-2:] == (size, size):
        return x
    scaled: Tensor = F.interpolate(x, (size, size), mode="bicubic", antialias=True, align_corners=False)
    return scaled.clamp_(0, 1)


def unit_rows(pooled: Tensor) -> Tensor:
    """Rows scaled to length sqrt(1/2): their squared distance is one minus the cosine. (B,F) → (B,F)."""
    unit: Tensor = F.normalize(pooled, dim=1)
    return unit * 0.5**0.5


def training_features(provenance: Mapping[str, object]) -> tuple[str, ...]:
    """Names of the networks a checkpoint's own training used, from its provenance; none where it does not say."""
    names = provenance.get("training_features", ())
    if isinstance(names, str):
        names = (names,)
    return tuple(str(name) for name in names) if isinstance(names, Iterable) else ()


def refuse_own_judge(features: Iterable[str], trained_on: Iterable[str]) -> None:
    """A model is never judged on features its own training used, nor on a layer of that network (vgg16-relu3_3)."""
    trained = tuple(trained_on)
    for spec in features:
        name = spec.partition("=")[0]
        if any(own == name or own.startswith((f"{name}-", f"{name}.", f"{name}:")) for own in trained):
            raise InvalidRequest(
                f"This model was trained with {name} features and would flatter itself on them; judge it on others "
                f"(known: {', '.join(other for other in FEATURES if other not in trained)})."
            )


@dataclass(frozen=True)
class Description:
    """A set of images in features. pooled: (N,F) float32 on the CPU. labels: (N,) int64, -1 where there is none.

    diversity: mean perceptual distance over all pairs. within: the same in each class (label → value) of two or more.
    """

    pooled: Tensor
    labels: Tensor
    diversity: float
    within: Mapping[int, float]

    def of_class(self, label: int) -> Tensor:
        """Pooled features of one class, (n,F)."""
        return self.pooled[self.labels == label]


def describe(net: FeatureNet, images: Tensor, labels: Tensor, batch: int) -> Generator[int, None, Description]:
    """Describe images class by class; yields how many more are done. images: (N,3,H,W) uint8, labels: (N,) int64."""
    pooled = torch.zeros(len(images), net.num_features)
    total, within = Spread(), {}
    for label in torch.unique(labels).tolist():
        spread = Spread()
        for rows in torch.split((labels == label).nonzero().flatten(), batch):
            pooled[rows] = _describe_batch(net, images[rows], spread)
            yield len(rows)
        total.merge(spread)
        if label >= 0 and spread.count > 1:
            within[label] = spread.mean
    return Description(pooled, labels, total.mean, within)


@torch.no_grad()
def _describe_batch(net: FeatureNet, images: Tensor, spread: Spread) -> Tensor:
    features: Features = net(images.to(net.device))
    spread.add(features.maps)
    return features.pooled.float().cpu()


def likenesses(net: FeatureNet, images: Tensor, batch: int) -> Generator[int, None, Tensor]:
    """Likenesses of images, to tell copies; yields how many more are done. (N,3,H,W) uint8 → (N,G) float32, CPU."""
    found = []
    for part in torch.split(images, batch):
        found.append(_likeness_batch(net, part))
        yield len(part)
    return torch.cat(found)


@torch.no_grad()
def _likeness_batch(net: FeatureNet, images: Tensor) -> Tensor:
    return net.likeness_of(resized(images.to(net.device), LIKENESS_SIZE)).float().cpu()
