"""The networks that an encoder is distilled from, frozen. Their weights are given as files and never shipped."""

from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from studio.core.errors import CheckpointError, InvalidRequest
from studio.evaluation.networks import TAPS, build_vgg16
from studio.style.encoder import EncoderConfig, Layer, StyleEncoder, pad

CD16_CONFIG = EncoderConfig(widths=(16, 32, 64, 128, 128), depths=(2, 2, 4, 4, 1))
CD16_BLOCKS = (("11", "12"), ("21", "22"), ("31", "32", "33", "34"), ("41", "42", "43", "44"), ("51",))


class Vgg16Teacher(nn.Module):
    """VGG16's last map of each of its first `depth` blocks. x: (B,3,H,W) in [-1,1] → maps after ReLU."""

    widths = tuple(TAPS.values())

    def __init__(self, path: Path | None, depth: int = len(TAPS)) -> None:
        super().__init__()
        self.network = build_vgg16(path).eval().requires_grad_(False)
        self.last = tuple(TAPS)[depth - 1]

    def forward(self, x: Tensor) -> list[Tensor]:
        mean, std = self.network.mean, self.network.std
        x = ((x * 0.5 + 0.5 - mean) / std).contiguous(memory_format=torch.channels_last)
        maps = []
        for index, layer in enumerate(self.network.features[: self.last + 1]):
            x = layer(x)
            if index in TAPS:
                maps.append(x)
        return maps


class Cd16Teacher(nn.Module):
    """VGG-19 compressed 16 times (Wang et al. 2020, Collaborative Distillation for ultra-resolution style transfer).

    A thirteenth of VGG16's arithmetic; published under the MIT licence. x: (B,3,H,W) in [-1,1] → the last map of each
    block, after ReLU.
    """

    widths = CD16_CONFIG.widths
    conv0_weight: Tensor
    conv0_bias: Tensor

    def __init__(self, path: Path) -> None:
        super().__init__()
        try:
            weights = {name: tensor.float() for name, tensor in load_file(path).items()}
        except FileNotFoundError:
            raise InvalidRequest(f"There is no teacher {str(path)!r}; check the setting light_teacher.") from None
        except (OSError, SafetensorError) as error:
            raise CheckpointError(f"{path.name!r} cannot be read as safetensors weights: {str(error)[:120]}.") from None
        names = ["conv0", *(f"conv{part}" for block in CD16_BLOCKS for part in block)]
        missing = [name for name in names if f"{name}.weight" not in weights or f"{name}.bias" not in weights]
        if missing:
            raise CheckpointError(f"{path.name!r} lacks {missing[0]!r}; light_teacher is VGG-19 compressed 16 times.")
        for name in names:
            self.register_buffer(f"{name}_weight", weights[f"{name}.weight"])
            self.register_buffer(f"{name}_bias", weights[f"{name}.bias"])

    def forward(self, x: Tensor) -> list[Tensor]:
        x = self._conv(x * 0.5 + 0.5, "conv0").contiguous(memory_format=torch.channels_last)
        maps: list[Tensor] = []
        for block in CD16_BLOCKS:
            if maps:
                x = F.max_pool2d(x, 2)
            for part in block:
                x = F.relu(self._conv(pad(x), f"conv{part}"))
            maps.append(x)
        return maps

    @torch.no_grad()
    def student(self) -> StyleEncoder:
        """An encoder that begins as this network with average pools, the transform of its input folded in.

        Exact up to the first pool: what works on single pixels may go into the first 3x3 convolution.
        """
        encoder = StyleEncoder(CD16_CONFIG)
        layers = [layer for layer in encoder.modules() if isinstance(layer, Layer)]
        names = [f"conv{part}" for block in CD16_BLOCKS for part in block]
        for layer, name in zip(layers, names, strict=True):
            layer.conv.weight.copy_(self.get_buffer(f"{name}_weight"))
            layer.conv.bias.copy_(self.get_buffer(f"{name}_bias"))  # type: ignore[union-attr]
        first, transform = layers[0].conv, self.conv0_weight[:, :, 0, 0]
        constant = transform.sum(dim=1) * 0.5 + self.conv0_bias  # [-1,1] → [0,1] is half of it and a half
        first.bias.add_(torch.einsum("oihw,i->o", first.weight, constant))  # type: ignore[union-attr]
        first.weight.copy_(torch.einsum("oihw,ij->ojhw", first.weight, transform * 0.5))
        return encoder

    def _conv(self, x: Tensor, name: str) -> Tensor:
        return F.conv2d(x, self.get_buffer(f"{name}_weight"), self.get_buffer(f"{name}_bias"))
