"""The encoder's distillation, from teachers of random weights."""

import dataclasses
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from studio.core import checkpoint
from studio.core.dataset import ImageSet
from studio.core.errors import CheckpointError, InvalidRequest, TrainingError
from studio.core.progress import result_of
from studio.evaluation.networks import Vgg16
from studio.style.encoder import EncoderConfig, StyleEncoder
from studio.training import encoder as recipe
from studio.training import teachers as teachers_module
from studio.training.encoder import EncoderTraining, balance, channel_normalised, divided, fold, normalised, relation
from studio.training.loop import fit
from studio.training.options import TrainOptions
from studio.training.recipe import RECIPES
from studio.training.teachers import CD16_BLOCKS, CD16_CONFIG, Cd16Teacher

TINY = EncoderConfig(widths=(4, 4, 8, 8, 8), depths=(1, 1, 1, 1, 1))
SMALL = EncoderTraining(picture=40, crop=32, held_out=8, teacher="given", light_teacher="given", learning_rate=5e-3)


class Teacher(nn.Module):
    """Five maps of random, fixed features, like those of a real one."""

    def __init__(self, widths: tuple[int, ...], seed: int) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.network = StyleEncoder(EncoderConfig(widths, (1, 1, 1, 1, 1)))  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> list[Tensor]:
        return list(self.network(x))


@pytest.fixture
def teachers(monkeypatch: pytest.MonkeyPatch) -> None:
    class Heavy(Teacher):
        widths = (6, 6, 6, 6, 6)

        def __init__(self, path: Path | None) -> None:
            super().__init__(self.widths, 5)

    class Light(Teacher):
        widths = (4, 4, 4, 4, 4)

        def __init__(self, path: Path) -> None:
            super().__init__(self.widths, 6)

    monkeypatch.setattr(recipe, "Vgg16Teacher", Heavy)
    monkeypatch.setattr(recipe, "Cd16Teacher", Light)


def pictures(count: int = 32, side: int = 40) -> ImageSet:
    """Plain fields and noise in many colours, so that there is something to tell apart."""
    generator = torch.Generator().manual_seed(0)
    colours = torch.rand(count, 3, 1, 1, generator=generator) * 200
    grain = torch.rand(count, 1, 1, 1, generator=generator) * 55
    images = (colours + grain * torch.rand(count, 3, side, side, generator=generator)).to(torch.uint8)
    return ImageSet(images, torch.full((count,), -1), (), tuple(map(str, range(count))))


def options(out: Path, **changes: object) -> TrainOptions:
    base = TrainOptions(out, batch=8, images=96, snapshot_images=80, device="cpu", save_seconds=1e9, ema_images=8)
    return dataclasses.replace(base, **changes)  # type: ignore[arg-type]


def test_distilling_learns_to_rank_as_the_teacher_does(teachers: None, tmp_path: Path) -> None:
    heavy = dataclasses.replace(SMALL, light_teacher="")
    job = list(fit(RECIPES["encoder"], TINY, heavy, pictures(), options(tmp_path / "e.safetensors", images=720)))
    logged = [item.metrics for item in job if item.metrics]
    assert logged[-1]["features_heavy"] < 0.8 * logged[0]["features_heavy"]
    saved = job[-1].result
    assert saved is not None
    assert saved.metrics["spearman_gram"] == logged[-1]["spearman_gram"]
    assert saved.metrics["spearman_gram"] > 0.3
    assert saved.provenance["training_features"] == ["vgg16"]
    model = saved.build_module()
    x = pictures(4).images[:, :, :32, :32].float().div(127.5).sub(1)
    sizes = [float(m.detach().square().mean()) for m in model(x)]
    assert all(0.1 < size < 10 for size in sizes), "the published maps are of one size"


def test_a_run_stopped_and_resumed_equals_the_run_never_stopped(teachers: None, tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole.safetensors", tmp_path / "parts.safetensors"
    result_of(fit(RECIPES["encoder"], TINY, SMALL, pictures(), options(whole)))
    result_of(fit(RECIPES["encoder"], TINY, SMALL, pictures(), options(parts, images=40)))
    result_of(fit(RECIPES["encoder"], TINY, SMALL, pictures(), options(parts, resume=True)))
    expected, found = checkpoint.load(whole).tensors(), checkpoint.load(parts).tensors()
    assert all(torch.equal(expected[name], found[name]) for name in expected)


def test_the_folded_encoder_equals_the_one_with_batch_norms() -> None:
    torch.manual_seed(0)
    model = normalised(StyleEncoder(TINY))
    x = torch.rand(12, 3, 32, 32) * 2 - 1
    expected = [each.detach() for each in model.train()(x)]
    fold(model, x)
    found = model(x)
    assert all(torch.allclose(a, b, atol=0.1) for a, b in zip(expected, found, strict=True))
    assert model.state_dict().keys() == StyleEncoder(TINY).state_dict().keys()


@torch.no_grad()
def test_balancing_changes_maps_by_a_factor_alone() -> None:
    torch.manual_seed(0)
    model = StyleEncoder(EncoderConfig(TINY.widths, (1, 2, 1, 3, 1)))
    x = torch.rand(6, 3, 32, 32) * 2 - 1
    before = model(x)
    balance(model, x)
    for old, new in zip(before, model(x), strict=True):
        assert float(new.square().mean()) == pytest.approx(1, abs=1e-3)
        torch.testing.assert_close(new, old / old.square().mean().sqrt(), atol=1e-3, rtol=1e-3)


def test_channel_normalised_maps_have_mean_zero_and_deviation_one() -> None:
    x = channel_normalised(torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(0)) * 4 + 2)
    assert x.mean(dim=(0, 2, 3)).abs().max() < 1e-5
    assert (x.std(dim=(0, 2, 3)) - 1).abs().max() < 1e-2


def test_relation_is_one_for_the_teachers_own_maps() -> None:
    maps = torch.rand(6, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    assert float(relation(recipe.gram_distances, maps, maps)) == pytest.approx(1, abs=1e-4)


def test_held_out_pictures_are_never_trained_on_and_always_the_same() -> None:
    train, held_out = divided(pictures(), 8)
    assert sorted([*train.tolist(), *held_out.tolist()]) == list(range(32))
    assert torch.equal(divided(pictures(), 8)[1], held_out)
    with pytest.raises(TrainingError, match="at least 40 are needed, and there are 32"):
        divided(pictures(), 20)


def test_a_teacher_that_is_not_there_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="no teacher"):
        Cd16Teacher(tmp_path / "nothing.safetensors")
    (tmp_path / "text.safetensors").write_text("not weights")
    with pytest.raises(CheckpointError, match="cannot be read"):
        Cd16Teacher(tmp_path / "text.safetensors")
    save_file({"conv0.weight": torch.zeros(3, 3, 1, 1)}, tmp_path / "half.safetensors")
    with pytest.raises(CheckpointError, match="lacks 'conv0'"):
        Cd16Teacher(tmp_path / "half.safetensors")
    missing = dataclasses.replace(SMALL, teacher=str(tmp_path / "vgg16.safetensors"))
    with pytest.raises(InvalidRequest, match=r"no weights file .*vgg16\.safetensors"):
        RECIPES["encoder"].build(TINY, missing, 0)


@pytest.fixture
def light_weights(tmp_path: Path) -> Path:
    """A file of random weights for the light teacher, with a transform of the input that mixes the colours."""
    generator = torch.Generator().manual_seed(0)
    weights, inputs = {"conv0.weight": torch.randn(3, 3, 1, 1, generator=generator), "conv0.bias": torch.rand(3)}, 3
    for block, width in zip(CD16_BLOCKS, CD16_CONFIG.widths, strict=True):
        for part in block:
            weights[f"conv{part}.weight"] = torch.randn(width, inputs, 3, 3, generator=generator) / (3 * inputs**0.5)
            weights[f"conv{part}.bias"] = torch.rand(width, generator=generator)
            inputs = width
    save_file(weights, tmp_path / "cd16.safetensors")
    return tmp_path / "cd16.safetensors"


def test_the_light_teacher_gives_a_map_at_each_stride(light_weights: Path) -> None:
    maps = Cd16Teacher(light_weights)(torch.rand(2, 3, 32, 32) * 2 - 1)
    assert [tuple(x.shape) for x in maps] == [(2, c, 32 // 2**i, 32 // 2**i) for i, c in enumerate(CD16_CONFIG.widths)]


def test_a_student_of_the_light_teacher_begins_as_its_copy(light_weights: Path) -> None:
    teacher, flat = Cd16Teacher(light_weights), torch.full((1, 3, 32, 32), 0.3)
    student, x = teacher.student(), torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(1)) * 2 - 1
    torch.testing.assert_close(student(x)[0], teacher(x)[0], rtol=1e-4, atol=1e-5)
    for mine, theirs in zip(student(flat), teacher(flat), strict=True):  # where averages and maxima are the same
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-4)


def test_beginning_as_a_copy_needs_the_same_shape(teachers: None) -> None:
    with pytest.raises(TrainingError, match="from_light needs"):
        RECIPES["encoder"].build(TINY, dataclasses.replace(SMALL, from_light=True), 0)


def test_a_copy_is_trained_as_it_is(light_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(teachers_module, "build_vgg16", lambda path: Vgg16())  # random weights
    copied = dataclasses.replace(SMALL, teacher="", light_teacher=str(light_weights), from_light=True, feature_weight=0)
    out = tmp_path / "e.safetensors"
    saved = result_of(fit(RECIPES["encoder"], CD16_CONFIG, copied, pictures(), options(out, batch=4, images=8)))
    assert isinstance(saved.build_module(), StyleEncoder)
    assert saved.provenance["stages"][0]["trainer"]["light_teacher"] == "cd16.safetensors"


@pytest.mark.parametrize(
    "change", [{"crop": 41}, {"held_out": 1}, {"heavy_every": 0}, {"learning_rate": float("nan")}, {"picture": 8}]
)
def test_settings_out_of_range_are_refused(change: dict[str, float]) -> None:
    with pytest.raises(InvalidRequest, match=next(iter(change))):
        dataclasses.replace(SMALL, **change)  # type: ignore[arg-type]
