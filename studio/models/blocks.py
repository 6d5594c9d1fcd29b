"""Building blocks of the generators. Every spatial block keeps channels_last where its input has it."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def _spread() -> Tensor:
    """The linear map from a 3x3 kernel to its flip convolved with 2x2 ones: (9,16)."""
    spread = torch.zeros(3, 3, 4, 4)
    for i in range(3):
        for j in range(3):
            spread[i, j, 2 - i : 4 - i, 2 - j : 4 - j] = 1
    return spread.reshape(9, 16)


class UpConv3x3(nn.Module):
    """Nearest upsampling by two and a 3x3 convolution, in one transposed convolution. (B,I,H,W) → (B,O,2H,2W).

    The stored weight is the 3x3 kernel. Both steps are linear, so they are exactly one transposed convolution of
    stride 2 with the 4x4 kernel (3x3 ⊛ 2x2 of ones): 4 multiplications an output pixel for 9, twice as fast on a CPU.
    """

    spread: Tensor

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs, 3, 3))
        self.bias = nn.Parameter(torch.zeros(outputs))
        nn.init.kaiming_normal_(self.weight, nonlinearity="linear")
        self.register_buffer("spread", _spread(), persistent=False)
        self._kernel: Tensor | None = None

    def kernel(self) -> Tensor:
        """The 4x4 kernel of the transposed convolution: (I,O,4,4)."""
        return self.spread_out(self.weight)

    def spread_out(self, weight: Tensor) -> Tensor:
        """As kernel, of another weight (O,I,3,3): one matrix product with the fixed 9x16 spread."""
        kernel = (weight.flatten(2) @ self.spread).unflatten(2, (4, 4)).transpose(0, 1)
        return kernel.contiguous(memory_format=torch.channels_last)

    def freeze_(self) -> None:
        """Keep the 4x4 kernel for inference instead of making it at every call."""
        self._kernel = self.kernel().detach()

    def forward(self, x: Tensor) -> Tensor:
        return self.by(x, self.kernel() if self._kernel is None else self._kernel, self.bias)

    def by(self, x: Tensor, kernel: Tensor, bias: Tensor) -> Tensor:
        """As forward, with a 4x4 kernel and a bias that are given."""
        if torch.is_grad_enabled() and bias.requires_grad:
            y = F.conv_transpose2d(x, kernel, stride=2, padding=1)
            return y + bias.to(y.dtype)[:, None, None]  # whose gradient a CPU's transposed convolution is slow at
        return F.conv_transpose2d(x, kernel, bias, stride=2, padding=1)


class Modulation(nn.Module):
    """Feature-wise linear modulation by a style (FiLM, Perez et al. 2018). x: (B,C,H,W), w: (B,W) → (B,C,H,W).

    An optional gate (B,C,1,1) multiplies x as well, at no further pass over it.
    """

    def __init__(self, width: int, channels: int) -> None:
        super().__init__()
        self.affine = nn.Linear(width, 2 * channels)
        nn.init.normal_(self.affine.weight, std=0.3 / width**0.5)
        nn.init.zeros_(self.affine.bias)

    def forward(self, x: Tensor, w: Tensor, gate: Tensor | None = None) -> Tensor:
        scale, shift = self.affine(w)[:, :, None, None].chunk(2, dim=1)
        scale = 1 + scale if gate is None else gate * (1 + scale)
        return torch.addcmul(shift, x, scale)


class Excitation(nn.Module):
    """Skip-layer excitation (Liu et al. 2021, eq. 1): a small early map gates the channels of a late one.

    low: (B,I,h,w) with h, w ≥ 4 → gate (B,O,1,1) in (0,1).
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(inputs, outputs, 4)
        self.expand = nn.Conv2d(outputs, outputs, 1)

    def forward(self, low: Tensor) -> Tensor:
        squeeze = (
            self.squeeze
        )  # as large as its map: one product, for which a CPU's convolution takes ten times as long
        squeezed = F.linear(F.adaptive_avg_pool2d(low, 4).flatten(1), squeeze.weight.flatten(1), squeeze.bias)
        return torch.sigmoid(self.expand(F.silu(squeezed)[:, :, None, None]))


class Noise(nn.Module):
    """Adds weighted noise: drawn anew in training, a fixed map at inference, so that a picture depends on w alone.

    generator: where training draws from; the training loop sets it.
    """

    fixed: Tensor
    generator: torch.Generator | None

    def __init__(self, size: int) -> None:
        super().__init__()
        self.generator = None
        self.weight = nn.Parameter(torch.zeros(1))
        generator = torch.Generator().manual_seed(size)
        self.register_buffer("fixed", torch.randn(1, 1, size, size, generator=generator))

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            noise = torch.randn(x.shape[0], 1, *x.shape[2:], generator=self.generator).to(x.device, x.dtype)
        else:
            noise = self.fixed
        return x + self.weight * noise


def convolved_and_normed(conv: nn.Conv2d | UpConv3x3, norm: nn.BatchNorm2d, x: Tensor) -> Tensor:
    """norm(conv(x)) of a batch norm in eval mode as one convolution, whose weight and bias the gradients go through.

    In fine-tuning it spares a pass over the map forwards and more of them backwards.
    """
    scale, shift = _affine_of(norm)
    bias = shift if conv.bias is None else shift + conv.bias * scale
    weight = conv.weight * scale.view(-1, 1, 1, 1)
    if isinstance(conv, UpConv3x3):
        return conv.by(x, conv.spread_out(weight), bias)
    return F.conv2d(x, weight, bias, conv.stride, conv.padding)


def _affine_of(norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Scale and shift (C,) that a batch norm in eval mode is."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = torch.rsqrt(norm.running_var + norm.eps)
    if not norm.affine:
        return scale, -norm.running_mean * scale
    scale = scale * norm.weight
    return scale, norm.bias - norm.running_mean * scale


def fold_batch_norm_(conv: nn.Conv2d | UpConv3x3, norm: nn.BatchNorm2d) -> None:
    """Fold a batch norm in eval mode into the convolution before it, in place; the norm is to be dropped after."""
    scale, shift = _affine_of(norm)
    bias = torch.zeros_like(shift) if conv.bias is None else conv.bias
    with torch.no_grad():
        folded = nn.Parameter((shift + bias * scale).detach())
        conv.weight.mul_(scale.view(-1, 1, 1, 1))
    conv.bias = folded
