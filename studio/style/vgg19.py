"""torchvision's VGG19 as a perceptual encoder: heavier than ours, its weights fetched once (Simonyan & Zisserman 2015).

Maps after relu1_1, relu2_1, relu3_1, relu4_1 and relu5_1, the layers of Gatys et al. 2016, with average pooling.
"""

import hashlib
import urllib.request
from collections.abc import Generator
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from studio.core.errors import MissingPackage
from studio.core.files import atomic_write
from studio.core.progress import Progress

PLACES = (0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28)  # of the convolutions among torchvision's layers
WIDTHS = (64, 64, 128, 128, 256, 256, 256, 256, 512, 512, 512, 512, 512)
TAPS = (0, 5, 10, 19, 28)  # torchvision's numbers of relu1_1 … relu5_1's convolutions
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
CHUNK = 4 << 20  # bytes
OFFLINE = "The VGG19 weights could not be fetched; connect to the network once, or use the built-in encoder (builtin)."


class Vgg19(nn.Module):
    """Pictures of any size from 16 px a side → five maps at strides 1 to 16."""

    def __init__(self) -> None:
        super().__init__()
        shapes = zip(PLACES, (3, *WIDTHS), WIDTHS, strict=False)
        self.features = nn.ModuleDict({str(place): nn.Conv2d(i, o, 3, padding=1) for place, i, o in shapes})
        self.register_buffer("mean", torch.tensor(MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(STD).view(1, 3, 1, 1), persistent=False)
        self.mean: Tensor
        self.std: Tensor

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """x: (B,3,H,W) in [-1,1] → maps (B,C,H/2^l,W/2^l), l = 0 to 4, sides rounded down."""
        x, maps = (x / 2 + 0.5 - self.mean) / self.std, []
        for place in PLACES:
            x = F.relu(self.features[str(place)](F.avg_pool2d(x, 2) if place in TAPS[1:] else x))
            if place in TAPS:
                maps.append(x)
        return tuple(maps)


def weights_file() -> Path:
    """Where torchvision keeps the weights."""
    return Path(torch.hub.get_dir()) / "checkpoints" / Path(_address()).name


def fetch() -> Generator[Progress[Any], None, None]:
    """Fetch the weights, where they are not there yet. step, total: in bytes. Raises MissingPackage offline."""
    target = weights_file()
    if target.exists():
        return
    digest, done = hashlib.sha256(), 0
    with _asked(_address()) as answer, atomic_write(target) as temporary, temporary.open("wb") as file:
        total = int(answer.headers.get("Content-Length") or 0) or None
        while chunk := _next(answer):
            file.write(chunk)
            digest.update(chunk)
            done += len(chunk)
            yield Progress(done, total, note="Fetching VGG19's weights, once")
        if not digest.hexdigest().startswith(target.stem.rpartition("-")[2]):
            raise MissingPackage(OFFLINE.replace("could not be fetched", "arrived damaged"))


def _asked(address: str) -> Any:
    try:
        return urllib.request.urlopen(address, timeout=30)
    except OSError:
        raise MissingPackage(OFFLINE) from None


def _next(answer: Any) -> bytes:
    try:
        chunk: bytes = answer.read(CHUNK)
    except OSError:
        raise MissingPackage(OFFLINE) from None
    return chunk


def build() -> Vgg19:
    """The network with the fetched weights."""
    try:
        stored = torch.load(weights_file(), map_location="cpu", weights_only=True)
    except OSError:
        raise MissingPackage(OFFLINE) from None
    net = Vgg19()
    net.load_state_dict({name: tensor for name, tensor in stored.items() if name in net.state_dict()}, strict=True)
    return net


def _address() -> str:
    from torchvision.models import VGG19_Weights

    return str(VGG19_Weights.IMAGENET1K_V1.url)
