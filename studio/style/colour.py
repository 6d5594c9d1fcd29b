"""Whose colours a picture wears: a table of ways to give one picture the colours of another (Gatys et al. 2016b,
"Preserving color in neural artistic style transfer"), and alpha carried over.

To keep the content's colours, either recolour the style pictures with the content's before the transfer, or recolour
the result with the content's after it; "luminance" is for the second.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from studio.core.errors import InvalidRequest
from studio.core.registry import Registry

_YIQ = torch.tensor([[0.299, 0.587, 0.114], [0.595716, -0.274453, -0.321263], [0.211456, -0.522591, 0.311135]])
_NOISE = 1e-5  # variance added to a colour space in which a picture may be flat; a thousandth of the range, squared

Recolour = Callable[[Tensor, Tensor], Tensor]
"""(picture (3,H,W), colours (3,h,w)), both in [-1,1] → (3,H,W), which may leave [-1,1]."""


@dataclass(frozen=True)
class Colouring:
    """A way to recolour. formula, source: for people. aligned: needs a picture of the same scene for the colours."""

    name: str
    formula: str
    source: str
    aligned: bool
    recolour: Recolour


COLOURINGS: Registry[Colouring] = Registry("colouring")


def recolour(picture: Tensor, colours: Tensor, method: str, strength: float = 1.0) -> Tensor:
    """The picture in the colours of another. (3,H,W), (3,h,w) in [-1,1] → (3,H,W) in [-1,1].

    strength: 0 leaves the picture as it is, 1 recolours it fully.
    """
    way = COLOURINGS[method]
    if not 0 <= strength <= 1:
        raise InvalidRequest(f"The strength of the colours must be a number from 0 to 1; got {strength}.")
    return torch.lerp(picture, way.recolour(picture, colours).clamp(-1, 1), strength)


def keep_alpha(picture: Image.Image, content: Image.Image) -> Image.Image:
    """The picture with the content's transparency, resized to it; unchanged where the content has none."""
    if "A" not in content.getbands():
        return picture
    alpha = content.getchannel("A")
    if alpha.size != picture.size:
        alpha = alpha.resize(picture.size, Image.Resampling.LANCZOS)
    result = picture.convert("RGB")
    result.putalpha(alpha)
    return result


def to_yiq(picture: Tensor) -> Tensor:
    """RGB → luma Y and the chroma I, Q (NTSC 1953). (3,H,W) → (3,H,W)."""
    return torch.einsum("ij,jhw->ihw", _YIQ.to(picture), picture)


def from_yiq(picture: Tensor) -> Tensor:
    """The inverse of to_yiq. (3,H,W) → (3,H,W)."""
    return torch.einsum("ij,jhw->ihw", torch.linalg.inv(_YIQ.double()).to(picture), picture)


def _luminance(picture: Tensor, colours: Tensor) -> Tensor:
    """Luma of the picture, chroma of the other, resized to it; section 4 of the paper."""
    if colours.shape != picture.shape:
        size = (picture.shape[-2], picture.shape[-1])
        colours = F.interpolate(colours[None], size=size, mode="bicubic", antialias=True)[0].clamp(-1, 1)
    return from_yiq(torch.cat([to_yiq(picture)[:1], to_yiq(colours)[1:]]))


def _histogram(picture: Tensor, colours: Tensor) -> Tensor:
    """Each channel's values take those of the same rank in the other picture; equal values stay equal."""
    return torch.stack([_match_ranks(a.flatten(), b.flatten()) for a, b in zip(picture, colours, strict=True)]).view_as(
        picture
    )


def _match_ranks(values: Tensor, wanted: Tensor) -> Tensor:
    """(N), (M) → (N), monotone."""
    _, inverse, counts = values.unique(return_inverse=True, return_counts=True)
    middle = (counts.cumsum(0).double() - counts.double() / 2) / len(values) * len(wanted) - 0.5  # rank of each value
    middle = middle.clamp(0, len(wanted) - 1)
    ordered = wanted.sort().values.double()
    below = middle.floor().long()
    above = (below + 1).clamp_max(len(wanted) - 1)
    return torch.lerp(ordered[below], ordered[above], middle - below)[inverse].to(values.dtype)


def _linear(picture: Tensor, colours: Tensor) -> Tensor:
    """x ← A x + b with which mean and covariance become the other's: A = Σ_c^½ Σ_p^−½, section 3, eq. 3 to 5.

    The same as CORAL (Sun, Feng & Saenko 2016) on three channels.
    """
    mean, covariance = _gaussian(picture)
    wanted_mean, wanted = _gaussian(colours)
    matrix = _power(wanted, 0.5) @ _power(covariance, -0.5)
    flat = matrix @ (picture.flatten(1).double() - mean) + wanted_mean
    return flat.view(picture.shape).to(picture.dtype)


def _gaussian(picture: Tensor) -> tuple[Tensor, Tensor]:
    """Mean (3,1) and covariance (3,3) of the colours, in float64."""
    flat = picture.flatten(1).double()
    mean = flat.mean(dim=1, keepdim=True)
    centred = flat - mean
    floor = _NOISE * torch.eye(3, dtype=flat.dtype, device=flat.device)
    return mean, centred @ centred.T / flat.shape[1] + floor


def _power(matrix: Tensor, exponent: float) -> Tensor:
    """Of a symmetric positive definite matrix."""
    values, vectors = torch.linalg.eigh(matrix)
    return (vectors * values**exponent) @ vectors.T


def _add(name: str, formula: str, source: str, aligned: bool, way: Recolour) -> None:
    COLOURINGS.add(name, Colouring(name, formula, source, aligned, way))


_add("luminance", "Y of the picture, I and Q of the colours", "Gatys et al. 2016b, section 4", True, _luminance)
_add("histogram", "each channel by rank", "Gatys et al. 2016b, section 3; Hertzmann 2001", False, _histogram)
_add("linear", "Σ_c^½ Σ_p^−½ (x − μ_p) + μ_c", "Gatys et al. 2016b, eq. 3 to 5; CORAL", False, _linear)
