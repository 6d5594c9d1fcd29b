"""Pictures larger than their model paints them."""

from pathlib import Path

import av
import numpy as np
import pytest
import torch
from PIL import Image
from sketch import pixels, same
from upscaled import upscaler, write_upscaler

from studio.core import checkpoint
from studio.core.errors import CheckpointError, InvalidRequest
from studio.core.kinds import MODEL_KINDS, ModelKind
from studio.core.progress import result_of
from studio.engine import Engine, SampleRequest, WalkRequest, enlarger
from studio.models.upscaler import Upscaler, UpscalerConfig
from studio.settings import Settings

KIND = ModelKind("upscaler", UpscalerConfig, lambda config, _: Upscaler(config), "for tests", latent=False)


@pytest.fixture
def large(engine: Engine, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Engine:
    """The engine with an upscaler beside its models."""
    monkeypatch.setitem(MODEL_KINDS._entries, "upscaler", KIND)
    write_upscaler(settings.checkpoints / "upscaler.safetensors")
    return engine


def test_without_an_upscaler_a_picture_is_enlarged_by_lanczos(engine: Engine) -> None:
    plain, large = engine.render("paintings", 3), engine.render("paintings", 3, size=50)
    assert same(large.image, plain.image.resize((50, 50), Image.Resampling.LANCZOS))
    assert "upscaler" not in large.recipe
    assert not engine.can_enlarge


def test_any_picture_is_enlarged_as_a_rendered_one_is(large: Engine) -> None:
    plain, wanted = large.render("paintings", 3), large.render("paintings", 3, size=50)
    assert same(large.enlarge([plain.image.convert("RGBA")], 50)[0], wanted.image)
    for size in (0, -3, large.settings.max_size + 1):
        with pytest.raises(InvalidRequest, match=f"from 1 to {large.settings.max_size} px; got {size}"):
            large.enlarge([plain.image], size)


def test_with_one_it_is_doubled_as_often_as_it_takes(large: Engine, settings: Settings) -> None:
    model = checkpoint.load(settings.checkpoints / "upscaler.safetensors").build_module()
    plain = large.render("paintings", 3)
    side = plain.image.width
    for size, steps in ((2 * side, 1), (3 * side, 2), (4 * side, 2)):
        found = large.render("paintings", 3, size=size)
        x = torch.from_numpy(pixels(plain.image)).permute(2, 0, 1)[None].float().div(127.5).sub(1)
        with torch.no_grad():
            for _ in range(steps):
                x = model(x)
        wanted = Image.fromarray(x[0].mul(127.5).add(128).clamp(0, 255).byte().permute(1, 2, 0).numpy())
        wanted = wanted if wanted.width == size else wanted.resize((size, size), Image.Resampling.LANCZOS)
        assert found.image.size == (size, size)
        assert np.abs(pixels(found.image).astype(int) - pixels(wanted)).max() <= 1
    assert large.can_enlarge


def test_a_smaller_picture_and_one_of_its_own_size_need_none(large: Engine) -> None:
    plain = large.render("paintings", 3)
    side = plain.image.width
    assert same(large.render("paintings", 3, size=side).image, plain.image)
    reduced = large.render("paintings", 3, size=16)
    assert same(reduced.image, plain.image.resize((16, 16), Image.Resampling.LANCZOS))
    assert "upscaler" not in reduced.recipe


def test_a_seed_keeps_its_bits_in_any_company(large: Engine) -> None:
    together = result_of(large.sample(SampleRequest(model="paintings", seed=1, count=5, size=64)))
    for sample in together:
        assert same(sample.image, large.render("paintings", sample.seed, size=64).image)


def test_parts_join_without_a_seam(monkeypatch: pytest.MonkeyPatch) -> None:
    model = upscaler()
    x = torch.rand(1, 3, 37, 50, generator=torch.Generator().manual_seed(0)) * 2 - 1
    monkeypatch.setattr(enlarger, "TILE", 16)
    with torch.no_grad():
        torch.testing.assert_close(enlarger.doubled(model, x), model(x))


def test_a_recipe_brings_the_size_back_and_tells_of_another_upscaler(large: Engine, settings: Settings) -> None:
    sample = large.render("paintings", 3, size=64)
    restored = large.restore(sample.recipe)
    assert isinstance(restored.request, SampleRequest)
    assert restored.request.size == 64
    assert restored.notice is None
    assert same(result_of(large.sample(restored.request))[0].image, sample.image)
    write_upscaler(settings.checkpoints / "upscaler.safetensors", seed=1)
    changed = large.restore(sample.recipe)
    assert changed.notice is not None
    assert "upscaler" in changed.notice
    assert not same(large.render("paintings", 3, size=64).image, sample.image)


def test_recipes_of_pictures_as_painted_are_as_before(large: Engine) -> None:
    assert "size" not in large.render("paintings", 3).recipe["request"]


def test_a_film_is_enlarged_too(large: Engine, tmp_path: Path) -> None:
    request = WalkRequest(model="paintings", seeds=(1, 2), frames=4, size=64)
    with av.open(str(result_of(large.walk(request, tmp_path / "walk.mp4")))) as film:
        frames = [frame.to_ndarray(format="rgb24") for frame in film.decode(video=0)]
    assert [frame.shape for frame in frames] == [(64, 64, 3)] * 4


def test_more_pixels_than_the_settings_allow_are_refused(large: Engine, settings: Settings) -> None:
    most = settings.max_size
    with pytest.raises(InvalidRequest, match=rf"at most {most} pixels a side; got {most + 1}"):
        large.sample(SampleRequest(model="paintings", size=most + 1))
    with pytest.raises(InvalidRequest, match="15"):
        SampleRequest(model="paintings", size=15)


def test_a_broken_file_is_told_of_when_it_is_needed_and_not_before(large: Engine, settings: Settings) -> None:
    sample = large.render("paintings", 3, size=64)
    (settings.checkpoints / "upscaler.safetensors").write_bytes(b"\x80\x04\x95a pickle")
    assert not large.can_enlarge
    assert large.render("paintings", 3).image.size == (16, 16)
    notice = large.restore(sample.recipe).notice
    assert notice is not None
    assert "upscaler" in notice
    with pytest.raises(CheckpointError, match=r"upscaler\.safetensors"):
        large.render("paintings", 3, size=64)


def test_a_file_of_another_kind_in_its_place_is_told_of(engine: Engine, settings: Settings) -> None:
    (settings.checkpoints / "upscaler.safetensors").write_bytes(
        (settings.checkpoints / "plain.safetensors").read_bytes()
    )
    with pytest.raises(CheckpointError, match="is no upscaler but of kind 'sketch'"):
        engine.render("paintings", 3, size=64)
