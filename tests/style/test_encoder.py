"""The encoder: five maps of any picture, and the statistics that codes are made from."""

from pathlib import Path

import pytest
import torch
from torch import nn

from studio.core import checkpoint
from studio.core.errors import CheckpointError, InvalidRequest
from studio.core.kinds import MODEL_KINDS
from studio.style.encoder import (
    VARIANCE_FLOOR,
    EncoderConfig,
    StyleEncoder,
    moments_of,
    pad,
    statistics_of,
)
from studio.style.gradients import instance_norm

TINY = EncoderConfig(widths=(4, 6, 8, 8, 8), depths=(1, 2, 1, 1, 1))


def encoder(config: EncoderConfig = TINY) -> StyleEncoder:
    torch.manual_seed(0)
    return StyleEncoder(config).eval()


def picture(height: int, width: int, count: int = 1) -> torch.Tensor:
    return torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(1)) * 2 - 1


@pytest.mark.parametrize(("height", "width"), [(64, 64), (16, 16), (17, 31), (16, 200), (97, 33)])
def test_a_picture_of_any_size_becomes_five_maps_of_halving_sides(height: int, width: int) -> None:
    with torch.no_grad():
        maps = encoder()(picture(height, width, 2))
    assert [x.shape for x in maps] == [
        (2, channels, height // 2**level, width // 2**level) for level, channels in enumerate(TINY.widths)
    ]
    assert all(bool(x.isfinite().all()) and float(x.min()) >= 0 for x in maps)


def test_a_picture_without_a_map_at_every_stride_is_refused_with_its_size() -> None:
    with pytest.raises(InvalidRequest, match="16 px a side; got 40x15"):
        encoder()(picture(15, 40))


def test_pictures_do_not_see_each_other() -> None:
    model, both = encoder(), picture(32, 48, 2)
    alone, together = model(both[:1]), model(both)
    assert all(torch.allclose(a, b[:1], atol=1e-6) for a, b in zip(alone, together, strict=True))


def test_a_mirrored_picture_has_mirrored_maps_under_mirrored_weights() -> None:
    model, mirrored = encoder(), encoder()
    for module in mirrored.modules():
        if isinstance(module, nn.Conv2d):
            module.weight.data = module.weight.data.flip(3)
    x = picture(32, 32)
    found, expected = mirrored(x.flip(3)), model(x)
    assert all(torch.allclose(a, b.flip(3), atol=1e-5) for a, b in zip(found, expected, strict=True))


def test_the_border_reflects_what_lies_beside_it() -> None:
    x = torch.tensor([[1.0, 2.0], [3.0, 4.0]])[None, None]
    assert pad(x)[0, 0].tolist() == [[4, 3, 4, 3], [2, 1, 2, 1], [4, 3, 4, 3], [2, 1, 2, 1]]
    assert pad(x[..., :1])[0, 0].tolist() == [[1, 1, 1], [1, 1, 1], [3, 3, 3], [3, 3, 3]]


def test_statistics_are_means_and_deviations_of_picture_and_maps_in_turn() -> None:
    picture_map = torch.tensor([[[[1.0, 3.0]]]])  # mean 2, deviation 1
    flat = torch.tensor([[[[5.0, 5.0]]]])  # mean 5, deviation 0
    row = statistics_of((picture_map, flat))
    torch.testing.assert_close(row, torch.tensor([[2.0, 1.0, 5.0, 0.0]]), atol=4e-3, rtol=0)
    x = picture(32, 32, 2)
    assert statistics_of((x, *encoder()(x))).shape == (2, TINY.statistics)
    assert TINY.statistics == 2 * (3 + 4 + 6 + 8 + 8 + 8)


def test_the_deviation_of_a_channel_that_does_not_vary_has_a_finite_gradient() -> None:
    x = torch.zeros(1, 2, 4, 4, requires_grad=True)
    moments_of(x)[1].sum().backward()
    assert x.grad is not None
    assert bool(x.grad.isfinite().all())


def test_instance_normalised_maps_have_mean_zero_and_deviation_one() -> None:
    mean, deviation = moments_of(instance_norm(picture(16, 16, 2) * 5 + 3, VARIANCE_FLOOR))
    assert mean.abs().max() < 1e-5
    assert (deviation - 1).abs().max() < 1e-3


@pytest.mark.parametrize(
    "change", [{"widths": (0, 1, 1, 1, 1)}, {"widths": (9999, 1, 1, 1, 1)}, {"depths": (1, 1, 1, 1, 5)}]
)
def test_a_config_out_of_bounds_is_refused(change: dict[str, tuple[int, ...]]) -> None:
    with pytest.raises(InvalidRequest, match=next(iter(change))):
        EncoderConfig(**change)  # type: ignore[arg-type]


def test_the_published_encoder_is_under_three_megabytes() -> None:
    with torch.device("meta"):
        model = StyleEncoder(EncoderConfig())
    assert sum(p.numel() for p in model.parameters()) * 2 < 3_000_000


def test_a_saved_encoder_comes_back_and_is_no_generator(tmp_path: Path) -> None:
    model, path = encoder(), tmp_path / "encoder.safetensors"
    checkpoint.save(
        path, model, kind="encoder", config=TINY, classes=(), provenance={}, metrics={}, dtype=torch.float32
    )
    opened = checkpoint.load(path)
    again = opened.build_module()
    x = picture(32, 32)
    assert all(torch.equal(a, b) for a, b in zip(model(x), again(x), strict=True))
    with pytest.raises(CheckpointError, match="'encoder' paints no pictures from seeds"):
        opened.build()


def test_an_encoder_has_no_classes() -> None:
    with pytest.raises(InvalidRequest, match="no classes"):
        MODEL_KINDS["encoder"].build(TINY, 2)
