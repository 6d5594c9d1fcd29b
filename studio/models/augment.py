"""Differentiable augmentation of real and generated pictures alike (Zhao et al. 2020, arXiv 2006.10738)."""

import torch
import torch.nn.functional as F
from torch import Tensor

COLOUR_CHANNEL_MEAN = 1  # dimension


def _uniform(x: Tensor, generator: torch.Generator, low: float, high: float) -> Tensor:
    draw = _paired(torch.rand(-(-x.shape[0] // 2), 1, 1, 1, generator=generator), x.shape[0])
    return (low + (high - low) * draw).to(x.device, x.dtype)


def _paired(draw: Tensor, batch: int) -> Tensor:
    """One draw for row i and row i + B/2, so that comparing the two compares pictures and not augmentations."""
    return torch.cat([draw, draw])[:batch]


def jitter_colour(x: Tensor, generator: torch.Generator) -> Tensor:
    """Random brightness (± 0.5), saturation (0 to 2) and contrast (0.5 to 1.5) a picture. (B,3,H,W) → same."""
    x = x + _uniform(x, generator, -0.5, 0.5)
    grey = x.mean(dim=COLOUR_CHANNEL_MEAN, keepdim=True)
    x = grey + (x - grey) * _uniform(x, generator, 0.0, 2.0)
    mean = x.mean(dim=(1, 2, 3), keepdim=True)
    return mean + (x - mean) * _uniform(x, generator, 0.5, 1.5)


def translate(x: Tensor, generator: torch.Generator, ratio: float = 0.125) -> Tensor:
    """Shift each picture by whole pixels, up to `ratio` of the side, zeros moving in. (B,C,H,W) → same."""
    batch, _, height, width = x.shape
    rows = _shifted(batch, height, ratio, generator).to(x.device)
    columns = _shifted(batch, width, ratio, generator).to(x.device)
    padded = F.pad(x, (1, 1, 1, 1)).permute(0, 2, 3, 1)  # channels last: one gather of whole pixels
    index = torch.arange(batch, device=x.device)[:, None, None]
    return padded[index, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def _shifted(batch: int, size: int, ratio: float, generator: torch.Generator) -> Tensor:
    """Indices (B,size) into a side padded by one zero each end; out of the picture → the zero."""
    reach = round(size * ratio)
    shift = _paired(torch.randint(-reach, reach + 1, (-(-batch // 2), 1), generator=generator), batch)
    return (torch.arange(size) + shift + 1).clamp(0, size + 1)


def cut_out(x: Tensor, generator: torch.Generator, ratio: float = 0.4) -> Tensor:
    """Blank a random square of side `ratio` in each picture. (B,C,H,W) → same."""
    batch, _, height, width = x.shape
    half = -(-batch // 2)
    top = _paired(torch.randint(0, height, (half, 1, 1), generator=generator), batch)
    left = _paired(torch.randint(0, width, (half, 1, 1), generator=generator), batch)
    half_height, half_width = height * ratio / 2, width * ratio / 2
    rows = (torch.arange(height)[None, :, None] - top).abs() < half_height
    columns = (torch.arange(width)[None, None, :] - left).abs() < half_width
    return x * (~(rows & columns))[:, None].to(x.device, x.dtype)


AUGMENTATIONS = {"colour": jitter_colour, "translation": translate, "cutout": cut_out}


def augment(x: Tensor, policy: tuple[str, ...], generator: torch.Generator) -> Tensor:
    """Apply the named augmentations in turn. x: (B,3,H,W) in [-1,1] → (B,3,H,W)."""
    for name in policy:
        x = AUGMENTATIONS[name](x, generator)
    return x
