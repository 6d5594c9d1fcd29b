"""The networks that an encoder is distilled from, frozen. Their weights are given as files and never shipped."""

from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from studio.core.errors import CheckpointError, InvalidRequest
from studio.evaluation.networks import TAPS, build_vgg16
from studio.style.encoder import pad

CD16_WIDTHS = (16, 32, 64, 128, 128)
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

    A thirteenth of VGG16's arithmetic. x: (B,3,H,W) in [-1,1] → the last map of each block, after ReLU.
    """

    widths = CD16_WIDTHS

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

    def _conv(self, x: Tensor, name: str) -> Tensor:
        return F.conv2d(x, self.get_buffer(f"{name}_weight"), self.get_buffer(f"{name}_bias"))
