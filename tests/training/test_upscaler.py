"""Training an upscaler on pictures whose large form can be known from the small one."""

import dataclasses
import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from studio.core import checkpoint
from studio.core.dataset import ImageSet
from studio.core.errors import InvalidRequest, TrainingError
from studio.core.kinds import MODEL_KINDS
from studio.core.progress import result_of
from studio.models.upscaler import UpscalerConfig, bicubic
from studio.training import upscaler as recipe
from studio.training.data import divided
from studio.training.loop import fit
from studio.training.options import TrainOptions
from studio.training.recipe import RECIPES
from studio.training.upscaler import UpscalerTraining, detail, reduced, spoilt

TINY = UpscalerConfig(width=8, depth=1)
PLAIN = UpscalerTraining(picture=32, crop=24, held_out=6, adversarial_weight=0, blurred=0, noise=0, learning_rate=4e-3)


def stripes(count: int = 24, side: int = 32) -> ImageSet:
    """Hard edges between two colours: bicubic enlargements of them are soft."""
    generator = torch.Generator().manual_seed(0)
    places = torch.arange(side)
    images = []
    for _ in range(count):
        first, second = torch.randint(256, (2, 3, 1, 1), generator=generator)
        width, start = (int(torch.randint(low, 9, (), generator=generator)) for low in (4, 0))
        upright = bool(torch.randint(2, (), generator=generator))
        mask = (
            ((places + start) // width % 2).bool()[None, None, :]
            if upright
            else (places // width % 2).bool()[None, :, None]
        )
        images.append(torch.where(mask, first, second).expand(3, side, side).to(torch.uint8))
    return ImageSet(torch.stack(images), torch.full((count,), -1), (), tuple(map(str, range(count))))


def options(out: Path, **changes: object) -> TrainOptions:
    base = TrainOptions(out, batch=8, images=64, snapshot_images=64, device="cpu", save_seconds=1e9, ema_images=8)
    return dataclasses.replace(base, **changes)  # type: ignore[arg-type]


def write_painter(path: Path, resolution: int = 32) -> Path:
    """A generator of two classes."""
    kind = MODEL_KINDS["dcgan"]
    config = kind.config(resolution=resolution, channels=16, latent_dim=4)
    model = kind.build(config, 2).eval()
    checkpoint.save(path, model, kind="dcgan", config=config, classes=("a", "b"), provenance={}, metrics={})
    return path


class Teacher(nn.Module):
    """Three maps of random convolutions."""

    def __init__(self, path: Path, depth: int) -> None:
        del path
        super().__init__()
        torch.manual_seed(3)
        self.layers = nn.ModuleList(nn.Conv2d(3 if i == 0 else 4, 4, 3, 2, 1) for i in range(depth))
        self.requires_grad_(False)

    def forward(self, x: Tensor) -> list[Tensor]:
        maps = []
        for layer in self.layers:
            x = layer(x).relu()
            maps.append(x)
        return maps


def test_edges_come_out_harder_than_by_bicubic(tmp_path: Path) -> None:
    out, data = tmp_path / "u.safetensors", stripes()
    result_of(fit(RECIPES["upscaler"], TINY, PLAIN, data, options(out, images=4800, snapshot_images=4800)))
    held_out = data.images[divided(data, PLAIN.held_out)[1], :, 4:28, 4:28].float().div(127.5).sub(1)
    plain = bicubic(reduced(held_out)).clamp(-1, 1)
    metrics = checkpoint.load(out).metrics
    assert metrics["held_out_error"] < 0.97
    assert metrics["held_out_detail"] > 2 * detail(plain) / detail(held_out)


def test_a_stopped_run_goes_on_as_if_it_had_not_been(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recipe, "Vgg16Teacher", Teacher)
    painter = write_painter(tmp_path / "painter.safetensors")
    config = UpscalerTraining(
        teacher="given", painter=str(painter), picture=32, crop=24, held_out=6, warmup=16, heads=(2, 3)
    )
    whole, parts = tmp_path / "whole.safetensors", tmp_path / "parts.safetensors"
    progress = list(fit(RECIPES["upscaler"], TINY, config, stripes(), options(whole)))
    result_of(fit(RECIPES["upscaler"], TINY, config, stripes(), options(parts, images=32)))
    result_of(fit(RECIPES["upscaler"], TINY, config, stripes(), options(parts, resume=True)))
    first, second = load_file(whole), load_file(parts)
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)
    last = [item.metrics for item in progress if item.metrics][-1]
    assert {"pixel", "kept", "maps", "adversarial", "discriminator"} <= set(last)
    assert all(map(math.isfinite, last.values()))
    assert checkpoint.load(whole).provenance["training_features"] == ["vgg16"]


def test_the_discriminator_waits_for_its_time(tmp_path: Path) -> None:
    config = dataclasses.replace(PLAIN, adversarial_weight=0.1, warmup=40)
    progress = list(fit(RECIPES["upscaler"], TINY, config, stripes(), options(tmp_path / "u.safetensors", images=24)))
    assert all("adversarial" not in item.metrics for item in progress)


def test_small_pictures_are_half_as_they_are_and_half_spoilt() -> None:
    small = torch.zeros(8, 3, 12, 12)
    worse = spoilt(small, 0.0, 0.5, torch.Generator().manual_seed(0))
    assert torch.equal(worse[:4], small[:4])
    assert all(part.abs().max() > 0 for part in worse[4:])
    assert torch.equal(spoilt(small, 0.0, 0.0, torch.Generator().manual_seed(0)), small)


def test_detail_is_what_halving_loses() -> None:
    grid = (torch.arange(16)[:, None] + torch.arange(16)[None]) % 2 * 2.0 - 1
    assert detail(grid.expand(1, 3, 16, 16)) > 0.5
    assert detail(torch.full((1, 3, 16, 16), 0.3)) < 1e-6
    assert reduced(torch.zeros(1, 3, 16, 12)).shape == (1, 3, 8, 6)
    assert bicubic(reduced(torch.zeros(1, 3, 16, 12))).shape == (1, 3, 16, 12)


def test_a_painter_of_smaller_pictures_is_refused(tmp_path: Path) -> None:
    painter = write_painter(tmp_path / "painter.safetensors")
    with pytest.raises(TrainingError, match=r"32 px.*48 px"):
        RECIPES["upscaler"].build(TINY, UpscalerTraining(painter=str(painter)), 0)


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"crop": 90}, "90"),
        ({"crop": 512}, "512"),
        ({"heads": (9,)}, "9"),
        ({"crop": 16, "blurred": 3.0}, "3.0"),
        ({"learning_rate": 0.0}, "0"),
    ],
)
def test_settings_out_of_bounds_are_refused(settings: dict[str, object], named: str) -> None:
    with pytest.raises((InvalidRequest, TrainingError), match=named):
        UpscalerTraining(**settings)  # type: ignore[arg-type]


def test_too_few_pictures_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="12"):
        list(fit(RECIPES["upscaler"], TINY, PLAIN, stripes(8), options(tmp_path / "u.safetensors")))
