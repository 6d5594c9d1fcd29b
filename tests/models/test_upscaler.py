"""The upscaler."""

from pathlib import Path

import pytest
import torch
from upscaled import TINY, upscaler, write_upscaler

from studio.core import checkpoint
from studio.core.errors import InvalidRequest
from studio.models.upscaler import Upscaler, UpscalerConfig, bicubic


def noise(*shape: int, seed: int = 1) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def test_it_begins_as_the_bicubic_enlargement() -> None:
    x = noise(2, 3, 7, 5)
    torch.testing.assert_close(Upscaler(TINY)(x), bicubic(x))
    assert Upscaler(UpscalerConfig())(x).shape == (2, 3, 14, 10)


def test_a_trained_one_stays_within_the_range_and_says_something_of_its_own() -> None:
    x = noise(1, 3, 9, 9).sign()
    enlarged = upscaler()(x)
    assert enlarged.abs().max() <= 1
    assert (enlarged - bicubic(x).clamp(-1, 1)).abs().max() > 0.01


def test_no_pixel_depends_on_more_than_the_reach_around_it() -> None:
    model = upscaler()
    x, reach = noise(1, 3, 40, 40) * 0.5, model.reach
    changed = x.clone()
    changed[..., 20, 20] += 0.3
    moved = (model(changed) - model(x))[0].abs().sum(dim=0).nonzero()
    assert int(moved.min()) >= 2 * (20 - reach)
    assert int(moved.max()) <= 2 * (20 + reach) + 1
    assert reach < 10


def test_in_bfloat16_the_picture_keeps_its_fine_levels() -> None:
    x = torch.linspace(-0.5, 0.5, 256).view(1, 1, 16, 16).expand(-1, 3, -1, -1)
    with torch.autocast("cpu", torch.bfloat16):
        enlarged = Upscaler(TINY).eval()(x)
    torch.testing.assert_close(enlarged, bicubic(x))


def test_a_file_holds_all_of_it(tmp_path: Path) -> None:
    written = write_upscaler(tmp_path / "upscaler.safetensors")
    x = noise(1, 3, 8, 8)
    assert torch.equal(checkpoint.load(written.path).build_module()(x), written.build_module()(x))


@pytest.mark.parametrize(("settings", "named"), [({"width": 10}, "10"), ({"width": 4}, "4"), ({"depth": 0}, "0")])
def test_what_cannot_be_built_is_refused(settings: dict[str, int], named: str) -> None:
    with pytest.raises(InvalidRequest, match=named):
        UpscalerConfig(**settings)
