"""The classifier's training on toy data."""

import dataclasses
from pathlib import Path

import pytest
import torch
from critics import TINY

from studio.core import checkpoint
from studio.core.dataset import ImageSet
from studio.core.errors import InvalidRequest, TrainingError
from studio.core.progress import result_of
from studio.models.classifier import trunk_convolutions
from studio.style.encoder import EncoderConfig, StyleEncoder
from studio.training.classifier import ClassifierTrainer, ClassifierTraining, framed, mixed, tinted
from studio.training.loop import fit
from studio.training.options import TrainOptions
from studio.training.recipe import RECIPES
from studio.training.schedule import fall

SMALL = ClassifierTraining(learning_rate=5e-3, horizon=0, held_out=4, mixup=0, smoothing=0, tint=0.1, crop=32)
CLASSES = ("blue", "red")


def two_colours(count: int = 16) -> ImageSet:
    """Noise with more blue in class 0 and more red in class 1."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 100, (count, 3, 32, 32), generator=generator, dtype=torch.uint8)
    labels = torch.arange(count) % 2
    images[labels == 0, 2] += 120
    images[labels == 1, 0] += 120
    return ImageSet(images, labels, CLASSES, tuple(map(str, range(count))))


def options(out: Path, **changes: object) -> TrainOptions:
    base = TrainOptions(out, batch=8, images=160, snapshot_images=160, device="cpu", save_seconds=1e9, ema_images=16)
    return dataclasses.replace(base, **changes)  # type: ignore[arg-type]


def write_encoder(path: Path, config: EncoderConfig | None = None) -> Path:
    torch.manual_seed(7)
    config = config or EncoderConfig(TINY.widths, TINY.depths)
    given = {"training_features": ["vgg16"]}
    encoder = StyleEncoder(config)
    checkpoint.save(path, encoder, kind="encoder", config=config, classes=(), provenance=given, metrics={})
    return path


def test_a_tiny_batch_is_learnt_by_heart(tmp_path: Path) -> None:
    job = list(fit(RECIPES["classifier"], TINY, SMALL, two_colours(), options(tmp_path / "c.safetensors", images=480)))
    logged = [item.metrics for item in job if item.metrics]
    assert logged[-1]["loss"] < 0.2 < logged[0]["loss"]
    saved = job[-1].result
    assert saved is not None
    assert (saved.kind, saved.classes) == ("classifier", CLASSES)
    assert saved.metrics == {"held_out_accuracy": 1, "held_out_balanced_accuracy": 1}
    assert saved.provenance["training_features"] == []
    model, data = saved.build_module(), two_colours()
    found = model.probabilities(data.images.float().div(127.5).sub(1))  # type: ignore[operator]
    assert torch.equal(found.argmax(dim=1), data.labels)


def test_a_run_stopped_and_resumed_equals_the_run_never_stopped(tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole.safetensors", tmp_path / "parts.safetensors"
    every = dataclasses.replace(SMALL, mixup=0.3, smoothing=0.1, horizon=160)
    model = dataclasses.replace(TINY, dropout=0.0)
    result_of(fit(RECIPES["classifier"], model, every, two_colours(), options(whole)))
    result_of(fit(RECIPES["classifier"], model, every, two_colours(), options(parts, images=80)))
    result_of(fit(RECIPES["classifier"], model, every, two_colours(), options(parts, resume=True)))
    expected, found = checkpoint.load(whole).tensors(), checkpoint.load(parts).tensors()
    assert all(torch.equal(expected[name], found[name]) for name in expected)


def test_a_trunk_begins_as_the_encoder_and_its_first_blocks_stay_so(tmp_path: Path) -> None:
    encoder = write_encoder(tmp_path / "encoder.safetensors")
    given = [m for m in checkpoint.load(encoder).build_module().modules() if isinstance(m, torch.nn.Conv2d)]
    settings = dataclasses.replace(SMALL, trunk=str(encoder), frozen=80, still=2, trunk_rate=1.0)
    trainer = ClassifierTrainer(TINY, settings, 2)
    pairs = zip(given, trunk_convolutions(trainer.model), strict=True)
    assert all(torch.equal(mine.weight, theirs.weight) for mine, theirs in pairs)
    assert trainer.features == ("vgg16", "encoder")

    def moved(images: int) -> list[bool]:
        out = tmp_path / f"{images}.safetensors"
        run = fit(RECIPES["classifier"], TINY, settings, two_colours(), options(out, images=images))
        saved = result_of(run)
        assert saved.provenance["training_features"] == ["vgg16", "encoder"]
        now = trunk_convolutions(saved.build_module())  # type: ignore[arg-type]
        return [not torch.equal(mine.weight, theirs.weight) for mine, theirs in zip(given, now, strict=True)]

    assert moved(80) == [False] * 5
    assert moved(160) == [False, False, True, True, True]


@pytest.mark.parametrize("kind", ["encoder", "classifier"])
def test_a_trunk_of_another_shape_or_kind_is_one_sentence(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    if kind == "encoder":
        write_encoder(path, EncoderConfig((4, 4, 4, 4, 4), (1, 1, 1, 1, 1)))
    else:
        result_of(fit(RECIPES["classifier"], TINY, SMALL, two_colours(), options(path, images=8)))
    with pytest.raises(TrainingError, match=r"other\.safetensors cannot be the trunk; .* widths 4, 4, 8, 8, 8"):
        ClassifierTrainer(TINY, dataclasses.replace(SMALL, trunk=str(path)), 2)


def test_one_class_and_no_classes_are_one_sentence(tmp_path: Path) -> None:
    blue = ImageSet(torch.zeros(12, 3, 32, 32, dtype=torch.uint8), torch.zeros(12).long(), ("blue",), ("",) * 12)
    with pytest.raises(TrainingError, match="at least 2 classes; got 1"):
        result_of(fit(RECIPES["classifier"], TINY, SMALL, blue, options(tmp_path / "c.safetensors")))
    nameless = dataclasses.replace(blue, labels=torch.full((12,), -1), classes=())
    with pytest.raises(TrainingError, match="needs a class for every picture"):
        result_of(fit(RECIPES["classifier"], TINY, SMALL, nameless, options(tmp_path / "c.safetensors")))


def test_a_class_that_is_all_held_out_is_one_sentence(tmp_path: Path) -> None:
    data = two_colours(8)
    held_out = torch.randperm(8, generator=torch.Generator().manual_seed(0))[0]
    labels = torch.zeros(8).long()
    labels[held_out] = 1  # the only red one is among the first held out
    rare = dataclasses.replace(data, labels=labels)
    with pytest.raises(TrainingError, match="'red' has too few pictures"):
        result_of(fit(RECIPES["classifier"], TINY, SMALL, rare, options(tmp_path / "c.safetensors")))


def test_the_learning_rate_falls_by_half_a_cosine() -> None:
    found = [fall(images, 100) for images in (0, 50, 100, 200)]
    assert found == pytest.approx([1, 0.5, 0, 0])
    assert fall(10**9, 0) == 1


def test_framing_at_zoom_one_changes_nothing_and_else_enlarges() -> None:
    generator = torch.Generator().manual_seed(0)
    ramp = torch.linspace(-1, 1, 16).expand(4, 3, 16, 16)
    torch.testing.assert_close(framed(ramp, 1.0, 16, generator), ramp, atol=1e-5, rtol=0)
    cut = framed(ramp, 0.5, 16, generator)
    slopes = (cut[:, 0, 0, -2] - cut[:, 0, 0, 1]) / (ramp[:, 0, 0, -2] - ramp[:, 0, 0, 1])
    assert bool(((slopes > 0.45) & (slopes < 1.01)).all())
    assert framed(ramp, 0.5, 8, generator).shape == (4, 3, 8, 8)
    assert slopes.unique().numel() == 4, "each picture is cut on its own"


def test_tinting_by_nothing_changes_nothing_and_grey_stays_grey() -> None:
    generator = torch.Generator().manual_seed(0)
    pictures = torch.rand(4, 3, 8, 8, generator=generator) * 2 - 1
    torch.testing.assert_close(tinted(pictures, 0, generator), pictures)
    grey = tinted(pictures[:, :1].expand(-1, 3, -1, -1), 0.3, generator)
    assert (grey.max(dim=1).values - grey.min(dim=1).values).max() < 1e-6


def test_mixed_targets_are_shares_of_the_mixed_pictures() -> None:
    images = torch.eye(4).view(4, 4, 1, 1)[:, :3].expand(-1, -1, 2, 2)
    targets = torch.eye(4)
    mix, shares = mixed(images, targets, 0.4, torch.Generator().manual_seed(0))
    torch.testing.assert_close(mix[:, :, 0, 0], shares[:, :3])
    torch.testing.assert_close(shares.sum(dim=1), torch.ones(4))
    assert (shares.diagonal() >= 0.6).all()
    assert mixed(images, targets, 0, torch.Generator())[0].equal(images)


@pytest.mark.parametrize(
    "change", [{"held_out": 1}, {"zoom": 0}, {"mixup": 0.6}, {"smoothing": 1}, {"still": 6}, {"learning_rate": 0}]
)
def test_settings_out_of_range_are_refused(change: dict[str, float]) -> None:
    with pytest.raises(InvalidRequest, match=next(iter(change))):
        ClassifierTraining(**change)  # type: ignore[arg-type]
