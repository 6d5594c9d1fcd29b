"""The critic at work on one picture: what it is of, and where that is seen."""

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from studio.core.decode import Source
from studio.core.errors import CheckpointError, UnknownName
from studio.core.images import open_image, to_image, to_tensor
from studio.engine.library import Library
from studio.engine.pictures import opaque
from studio.evaluation.critic import NAME, Critic, open_critic
from studio.models.classifier import fitted_size

SHOWN = 1024  # px, long side of a saliency picture at most
DIM = 0.35  # of the light that is left where a class is not seen
TINT = 0.5  # of the heat's colour where it is seen most
HEAT = ((0.35, 0.05, 0.45), (0.90, 0.25, 0.20), (1.00, 0.90, 0.30))  # RGB at 0, 1/2 and 1: violet, red, yellow
GREY = (0.299, 0.587, 0.114)  # weights of luma, Rec. 601


class Critics:
    """Finds the critic beside the other models and loads it once, and again where its file has changed."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self._loaded: dict[str, Critic] = {}  # by sha256, one at most

    @property
    def there(self) -> bool:
        """Whether a critic's file is there."""
        return self._library.part(NAME) is not None

    @property
    def classes(self) -> tuple[str, ...]:
        """Those that it tells apart; none where it is not there."""
        opened = self._library.part(NAME)
        return () if opened is None else opened.classes

    def load(self, device: torch.device) -> Critic:
        """Raises CheckpointError where there is none, or where its file cannot be used."""
        opened = self._library.part(NAME)
        if opened is None:
            raise CheckpointError(
                f"The critic needs {NAME}.safetensors beside the other models; train it with: studio train {NAME}."
            )
        if opened.sha256 not in self._loaded:
            self._loaded = {opened.sha256: open_critic(opened, device)}
        return self._loaded[opened.sha256]


def pictured(image: Image.Image | Source) -> Image.Image:
    """A picture, or a file through the door, as mode RGB; transparent parts over white. Raises ImageError."""
    return opaque(image).convert("RGB") if isinstance(image, Image.Image) else open_image(image)


def classify(critic: Critic, image: Image.Image) -> dict[str, float]:
    """{class: probability}, the likeliest first; they sum to 1."""
    row = critic.model.probabilities(_looked_at(critic, image))[0].double()
    row = row / row.sum()
    order = row.argsort(descending=True, stable=True).tolist()
    return {critic.classes[k]: float(row[k]) for k in order}


def saliency(critic: Critic, image: Image.Image, class_name: str | None = None) -> Image.Image:
    """The picture with what speaks for a class in heat colours and the rest dimmed; the likeliest class by default.

    At most 1,024 px a side. Raises UnknownName.
    """
    name = next(iter(classify(critic, image))) if class_name is None else class_name
    if name not in critic.classes:
        raise UnknownName("class", name, critic.classes)
    heat = critic.model.saliency(_looked_at(critic, image), critic.classes.index(name)).cpu()
    shown = image.copy()
    shown.thumbnail((SHOWN, SHOWN), Image.Resampling.LANCZOS)
    return overlay(shown, heat)


def overlay(image: Image.Image, heat: Tensor) -> Image.Image:
    """heat: (h,w) ≥ 0, scaled so that its largest value is 1; all zeros dim the whole picture."""
    heat = heat / heat.max().clamp_min(1e-8)
    heat = F.interpolate(heat[None, None], size=(image.height, image.width), mode="bicubic", align_corners=False)[0]
    heat = heat.clamp(0, 1)  # (1,H,W)
    picture = to_tensor(image).add(1).div(2)
    grey = (picture * torch.tensor(GREY).view(3, 1, 1)).sum(dim=0, keepdim=True) * DIM
    lit = torch.lerp(picture, _colours(heat), TINT * heat)
    return to_image(torch.lerp(grey.expand_as(picture), lit, heat.sqrt()).mul(2).sub(1))


def _colours(heat: Tensor) -> Tensor:
    """(1,H,W) in [0,1] → RGB (3,H,W) in [0,1]: straight lines between the colours of HEAT."""
    low, middle, high = (torch.tensor(colour).view(3, 1, 1) for colour in HEAT)
    first, second = (2 * heat).clamp(0, 1), (2 * heat - 1).clamp(0, 1)
    return torch.lerp(torch.lerp(low.expand(-1, *heat.shape[1:]), middle, first), high, second)


def _looked_at(critic: Critic, image: Image.Image) -> Tensor:
    """The picture at the size that the critic looks at, (1,3,h,w) in [-1,1] on its device."""
    size = fitted_size(image.size, critic.model.config.resolution)
    sized = image if image.size == size else image.resize(size, Image.Resampling.LANCZOS)
    return to_tensor(sized)[None].to(critic.device)
