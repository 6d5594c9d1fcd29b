"""What the stylizer is built of: convolutions whose result, and whose kernels, a style's code modulates."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from studio.style.encoder import VARIANCE_FLOOR, pad
from studio.style.gradients import modulated_norm


class Affine(nn.Module):
    """A linear function of the code, at one place or everywhere. (B,C) → (B,O,1,1), (B,C,h,w) → (B,O,h,w)."""

    def __init__(self, inputs: int, outputs: int, bias: float = 0.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) * 0.2 / inputs**0.5)
        self.bias = nn.Parameter(torch.full((outputs,), bias))

    def forward(self, code: Tensor) -> Tensor:
        with torch.autocast(code.device.type, enabled=False):  # little work, on which much depends
            if code.dim() == 2:
                return F.linear(code, self.weight, self.bias)[:, :, None, None]
            return F.conv2d(code, self.weight[:, :, None, None], self.bias)


def spread(values: Tensor, x: Tensor) -> Tensor:
    """Modulation values (B,O,h,w) brought to the size of the map x they act on; (B,O,1,1) stays."""
    if values.shape[-2:] in ((1, 1), x.shape[-2:]):
        return values
    return F.interpolate(values, size=x.shape[-2:], mode="bilinear", align_corners=False)


def resized(lane: Tensor, x: Tensor) -> Tensor:
    """A map (B,C,…,…) at the size of another."""
    return F.interpolate(lane, size=x.shape[-2:], mode="bilinear", align_corners=False)


def convolved_double(x: Tensor, weight: Tensor) -> Tensor:
    """A 3x3 convolution with reflection of what nearest-neighbour doubling makes of x. (B,I,H,W) → (B,O,2H,2W).

    As one transposed convolution: two of three taps on a side meet the same pixel, so they are added up beforehand,
    which leaves 4 products of 9. A reflection of doubled pixels is a repetition of single ones. weight: (O,I,3,3).
    """
    kernel = weight.transpose(0, 1)
    for side in (2, 3):
        first, middle, last = kernel.unbind(side)
        kernel = torch.stack([last, middle + last, first + middle, first], dim=side)
    kernel = kernel.contiguous(memory_format=torch.channels_last)
    with torch.autocast(x.device.type, enabled=False):
        x = F.pad(x, (1, 1, 1, 1), mode="replicate")
    return F.conv_transpose2d(x, kernel, stride=2, padding=3)


class Styled(nn.Module):
    """3x3 convolution, instance norm, scale and shift by the code.

    dilation: px from tap to tap. doubled: the map is first doubled in size, each pixel becoming four of its kind.
    kernels: added to the convolution's own in shares that the code says (Chen et al. 2020, Dynamic convolution,
    arXiv 1912.03458, eq. 2, without a softmax): scales and shifts alone give every style the same few strokes. Where
    the code varies from place to place the shares are those of its mean.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        condition: int,
        dilation: int = 1,
        doubled: bool = False,
        kernels: int = 0,
    ) -> None:
        super().__init__()
        self.dilation, self.doubled = dilation, doubled
        self.conv = nn.Conv2d(inputs, outputs, 3, bias=False, dilation=dilation)  # the norm would take a bias away
        self.affine = Affine(condition, 2 * outputs)
        self.kernels = nn.Parameter(torch.zeros(kernels * outputs, inputs, 3, 3)) if kernels else None
        self.shares = Affine(condition, kernels) if kernels else None

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        x = self._convolved(x, condition)
        scale, shift = spread(self.affine(condition), x).chunk(2, dim=1)
        if x.requires_grad and scale.shape[2:] == (1, 1):
            return modulated_norm(x, scale, shift, VARIANCE_FLOOR)
        x = F.group_norm(x, x.shape[1], eps=VARIANCE_FLOOR)  # a group is a channel; its moments are float32
        return torch.addcmul(shift.to(x), x, (1 + scale).to(x))

    def _convolved(self, x: Tensor, condition: Tensor) -> Tensor:
        if self.kernels is None or self.shares is None:
            return self._by(self.conv.weight, x)
        shares = self.shares(condition).mean(dim=(2, 3))
        if x.device.type != "cpu":
            return self._stacked(x, shares)
        with torch.autocast(x.device.type, enabled=False):
            more = torch.tensordot(shares, self.kernels.unflatten(0, (shares.shape[1], -1)), dims=1)
            weights = self.conv.weight + more
        each = zip(weights.expand(len(x), -1, -1, -1, -1), x.split(1), strict=True)
        return torch.cat([self._by(weight.contiguous(memory_format=torch.channels_last), one) for weight, one in each])

    def _stacked(self, x: Tensor, shares: Tensor) -> Tensor:
        """The same in another order: the maps of all kernels at once, then their sum in these shares (B,K).

        More arithmetic in fewer and larger pieces, which an accelerator prefers.
        """
        assert self.kernels is not None
        own, *others = self._by(torch.cat([self.conv.weight, self.kernels]), x).chunk(1 + shares.shape[1], dim=1)
        for index, other in enumerate(others):
            own = torch.addcmul(own, other, shares[:, index, None, None, None].to(other))
        return own

    def _by(self, weight: Tensor, x: Tensor) -> Tensor:
        return (
            convolved_double(x, weight)
            if self.doubled
            else F.conv2d(pad(x, self.dilation), weight, dilation=self.dilation)
        )


class StyledBlock(nn.Module):
    """Residual block: two styled convolutions, and a gate on what they add, almost shut at first in wide blocks."""

    def __init__(self, channels: int, condition: int, dilation: int = 1, kernels: int = 0) -> None:
        super().__init__()
        self.first, self.second = (Styled(channels, channels, condition, dilation, kernels=kernels) for _ in range(2))
        self.gate = Affine(condition, channels, bias=0.5 if dilation == 1 else 0.05)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        added = self.second(F.relu(self.first(x, condition)), condition)
        return x + spread(self.gate(condition), x).to(added) * added
