"""Convolutions for inference on a CPU: weights packed once, activation and product inside.

`F.conv2d` reorders its weights into oneDNN's layout at every call, which for a small map takes longer than the
arithmetic, and each activation after it is one more pass over memory. The operators here are those that torch.compile
emits for a CPU; called directly they need neither a compiler nor a minute of compiling.
"""

from typing import Any

import torch
from torch import Tensor

NEEDED = (
    "_convolution_pointwise",
    "_convolution_transpose_pointwise",
    "_reorder_convolution_weight",
    "_reorder_convolution_transpose_weight",
)


def available() -> bool:
    """Whether this torch has the operators."""
    return torch.backends.mkldnn.is_available() and all(hasattr(torch.ops.mkldnn, name) for name in NEEDED)


class PackedConvolution:
    """A convolution with fixed weights. (B,I,H,W) → (B,O,H',W'), channels last both.

    weight: (O,I,k,k); bias: (O). side: H and W of the maps to come; others are computed too, but slower. activation: of
    the result, by oneDNN's names: none, relu, sigmoid, tanh, swish. bytes: memory of the weights.
    """

    def __init__(
        self,
        weight: Tensor,
        bias: Tensor,
        side: int,
        dtype: torch.dtype,
        *,
        stride: int = 1,
        padding: int = 0,
        activation: str = "none",
    ) -> None:
        weight = weight.to(dtype, copy=True, memory_format=torch.channels_last)
        settings = ([padding] * 2, [stride] * 2, [1, 1], 1)
        shape = [1, weight.shape[1], side, side]
        packed = torch.ops.mkldnn._reorder_convolution_weight(weight, *settings, shape)
        self._run = torch.ops.mkldnn._convolution_pointwise.default
        self._rest: tuple[Any, ...] = (packed, bias.to(dtype, copy=True), *settings, activation, [], "")
        self.bytes = weight.nbytes

    def __call__(self, x: Tensor) -> Tensor:
        made: Tensor = self._run(x, *self._rest)
        return made


class PackedUpsampling(PackedConvolution):
    """A transposed convolution of stride 2 with fixed weights. (B,I,H,W) → (B,O,2H,2W), channels last both.

    kernel: (I,O,4,4). The rest as for PackedConvolution.
    """

    def __init__(
        self, kernel: Tensor, bias: Tensor, side: int, dtype: torch.dtype, *, activation: str = "none"
    ) -> None:
        kernel = kernel.to(dtype, copy=True, memory_format=torch.channels_last)
        settings = ([1, 1], [0, 0], [2, 2], [1, 1], 1)
        shape = [1, kernel.shape[0], side, side]
        packed = torch.ops.mkldnn._reorder_convolution_transpose_weight(kernel, *settings, shape)
        self._run = torch.ops.mkldnn._convolution_transpose_pointwise.default
        self._rest = (packed, bias.to(dtype, copy=True), *settings, activation, [], "")
        self.bytes = kernel.nbytes
