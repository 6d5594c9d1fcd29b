"""The pictures that an artist offers to be learned from: looked at one by one, and brought to one size."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from studio.adapt.job import FEWEST, MOST
from studio.core.errors import InvalidRequest
from studio.core.images import reflected, square, to_tensor
from studio.engine.adapt_requests import AdaptRequest
from studio.engine.adapted import Verdict
from studio.engine.pictures import opaque, wanted
from studio.models.adapter import MAX_PICTURES, AdapterConfig

SMALLEST = 64  # px, short side of a picture that is learned from
FLAT = 2.0  # grey levels of deviation under which a picture shows nothing
TINY = 16  # px, the side at which pictures are compared
ALIKE = 1.0  # grey levels of mean difference under which two files show the same picture


@dataclass(frozen=True)
class Offered:
    """The pictures of a request as they are learned from: (N,3,R,R) uint8, and what is to be said of each."""

    pictures: Tensor
    verdicts: tuple[Verdict, ...]


def offer(request: AdaptRequest, pictures: Mapping[str, Image.Image], side: int) -> Offered:
    """Look the pictures up, leave out what cannot be learned from, and bound their number. Raises InvalidRequest."""
    verdicts = judged(request.pictures, pictures)
    used = [verdict.reference for verdict in verdicts if verdict.used]
    if len(used) < FEWEST:
        left_out = len(verdicts) - len(used)
        reason = f" ({left_out} left out: {next(v.text for v in verdicts if v.text)[:60]})" if left_out else ""
        raise InvalidRequest(f"Adaptation needs at least {FEWEST} different pictures; got {len(used)}{reason}.")
    fit = square if request.crop == "square" else reflected
    tensors = [to_tensor(fit(opaque(wanted(pictures, name, "uploaded")), side)) for name in used]
    return Offered(torch.stack(tensors).add(1).mul(127.5).round().to(torch.uint8), verdicts)


def judged(names: Sequence[str], pictures: Mapping[str, Image.Image]) -> tuple[Verdict, ...]:
    """What is to be said of each picture; the first MOST that can be learned from are used."""
    used: dict[str, Tensor] = {}
    verdicts = []
    for name in names:
        image = opaque(wanted(pictures, name, "uploaded"))
        tiny = to_tensor(image.resize((TINY, TINY), Image.Resampling.BOX)).mul(127.5)
        text = unfit(image, tiny, used.values())
        if not text and len(used) == MOST:
            text = f"Left out: at most {MOST} pictures are learned from."
        if not text:
            used[name] = tiny
        verdicts.append(Verdict(name, text, not text))
    return tuple(verdicts)


def unfit(image: Image.Image, tiny: Tensor, others: Iterable[Tensor]) -> str:
    """Why a picture is left out, or "". tiny: (3,TINY,TINY) in grey levels, of it and of those already taken."""
    if any(float((tiny - other).abs().mean()) < ALIKE for other in others):
        return "Left out: it is the same as another one."
    if min(image.size) < SMALLEST:
        return f"Left out: {image.width}x{image.height} is too small; {SMALLEST} px a side are needed."
    return "Left out: it shows one flat colour." if float(tiny.std(dim=(1, 2)).max()) < FLAT else ""


def small(offered: Offered, request: AdaptRequest) -> Tensor | None:
    """The copies that the adapter carries, (N,3,s,s) in [-1,1]."""
    if not request.keep_pictures:
        return None
    pictures = offered.pictures[:MAX_PICTURES].float().div(127.5).sub(1)
    return F.interpolate(pictures, size=(AdapterConfig().side,) * 2, mode="area")
