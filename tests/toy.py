"""A tiny random encoder with the interface of the real one, and pictures for it."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class ToyEncoder(nn.Module):
    """One 3x3 convolution and ReLU at each of the strides 1, 2, 4, 8, 16; its reach is under 48 pixels."""

    def __init__(self, widths: tuple[int, ...] = (4, 6, 8, 8, 8), seed: int = 0) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        inputs = (3, *widths[:-1])
        self.kernels = [
            torch.randn(o, i, 3, 3, generator=generator) / (3 * i**0.5) for i, o in zip(inputs, widths, strict=True)
        ]

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """(B,3,H,W) → maps at strides 1, 2, 4, 8, 16."""
        maps: list[Tensor] = []
        for kernel in self.kernels:
            x = F.avg_pool2d(x, 2) if maps else x
            x = F.relu(F.conv2d(F.pad(x, (1, 1, 1, 1), mode="reflect"), kernel.to(x)) + 0.1)
            maps.append(x)
        return tuple(maps)


def picture(height: int, width: int, seed: int, smooth: int = 4) -> Tensor:
    """Random soft blobs of colour. (3,height,width) in [-1,1]."""
    generator = torch.Generator().manual_seed(seed)
    size = (max(2, height // smooth), max(2, width // smooth))
    noise = torch.randn(1, 3, *size, generator=generator) + 0.5 * torch.randn(1, 3, 1, 1, generator=generator)
    return F.interpolate(noise, size=(height, width), mode="bicubic")[0].mul(0.5).clamp(-1, 1).contiguous()
