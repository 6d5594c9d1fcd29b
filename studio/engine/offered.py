"""The pictures that an artist offers to be learned from: looked at one by one, and brought to one size."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from studio.adapt.job import FEWEST, MOST
from studio.core.errors import InvalidRequest
from studio.core.images import square, to_tensor
from studio.engine.adapt_requests import AdaptRequest
from studio.engine.adapted import Verdict
from studio.engine.pictures import opaque, wanted
from studio.models.adapter import MAX_PICTURES, AdapterConfig

SMALLEST = 64  # px, short side of a picture that is learned from
FLAT = 2.0  # grey levels of deviation under which a picture shows nothing


@dataclass(frozen=True)
class Offered:
    """The pictures of a request as they are learned from: (N,3,R,R) uint8, and what is to be said of each."""

    pictures: Tensor
    verdicts: tuple[Verdict, ...]


def offer(request: AdaptRequest, pictures: Mapping[str, Image.Image], side: int) -> Offered:
    """Look the pictures up, leave out what cannot be learned from, and bound their number. Raises InvalidRequest."""
    used: dict[str, Tensor] = {}
    verdicts = []
    for name in request.pictures:
        image = opaque(wanted(pictures, name, "uploaded"))
        text = unfit(image, name in used)
        if not text and len(used) == MOST:
            text = f"Left out: at most {MOST} pictures are learned from."
        if not text:
            used[name] = to_tensor(square(image, side)).add(1).mul(127.5).round().to(torch.uint8)
        verdicts.append(Verdict(name, text, not text))
    if len(used) < FEWEST:
        left_out = len(verdicts) - len(used)
        reason = f" ({left_out} left out: {next(v.text for v in verdicts if v.text)[:60]})" if left_out else ""
        raise InvalidRequest(f"Adaptation needs at least {FEWEST} different pictures; got {len(used)}{reason}.")
    return Offered(torch.stack(list(used.values())), tuple(verdicts))


def unfit(image: Image.Image, known: bool) -> str:
    """Why a picture is left out, or ""."""
    if known:
        return "Left out: it is the same as another one."
    if min(image.size) < SMALLEST:
        return f"Left out: {image.width}x{image.height} is too small; {SMALLEST} px a side are needed."
    deviation = float(to_tensor(image.resize((32, 32))).mul(127.5).std())
    return "Left out: it shows one flat colour." if deviation < FLAT else ""


def small(offered: Offered, request: AdaptRequest) -> Tensor | None:
    """The copies that the adapter carries, (N,3,s,s) in [-1,1]."""
    if not request.keep_pictures:
        return None
    pictures = offered.pictures[:MAX_PICTURES].float().div(127.5).sub(1)
    return F.interpolate(pictures, size=(AdapterConfig().side,) * 2, mode="area")
