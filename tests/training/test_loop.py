"""The loop on a tiny generator: resume, stop, roll back, publish."""

import dataclasses
import itertools
import json
from pathlib import Path

import pytest
import torch
from torch import Tensor

from studio.core import checkpoint
from studio.core.dataset import ImageSet
from studio.core.errors import InvalidRequest, TrainingError
from studio.core.progress import result_of
from studio.models.gan import GanConfig
from studio.training.data import LabelledBatches
from studio.training.gan import GanTraining
from studio.training.loop import fit
from studio.training.options import TrainOptions
from studio.training.recipe import RECIPES

TINY = GanConfig(resolution=32, latent_dim=8, embedding=4, capacity=0.05)
SCRATCH = GanTraining(discriminator="scratch")  # needs no pretrained features


@pytest.fixture
def data() -> ImageSet:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (24, 3, 32, 32), generator=generator, dtype=torch.uint8)
    return ImageSet(images, torch.arange(24) % 3, ("a", "b", "c"), tuple(map(str, range(24))))


def options(out: Path, **changes: object) -> TrainOptions:
    base = TrainOptions(out, batch=4, images=48, snapshot_images=16, device="cpu", save_seconds=1e9)
    return dataclasses.replace(base, **changes)  # type: ignore[arg-type]


def tensors(path: Path) -> dict[str, Tensor]:
    return checkpoint.load(path).tensors()


def state(path: Path) -> dict:
    return torch.load(path.with_suffix(".state.pt"), weights_only=True)


def flat(value: object) -> list[Tensor]:
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, dict):
        return [t for key in sorted(value, key=str) for t in flat(value[key])]
    if isinstance(value, list):
        return [t for item in value for t in flat(item)]
    return []


@pytest.mark.parametrize("recipe", ["gan", "cgan"])
def test_run_stopped_and_resumed_equals_run_never_stopped(recipe: str, data: ImageSet, tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole.safetensors", tmp_path / "parts.safetensors"
    result_of(fit(RECIPES[recipe], TINY, SCRATCH, data, options(whole)))
    first = fit(RECIPES[recipe], TINY, SCRATCH, data, options(parts))
    for _ in range(5):  # pictures 4 to 20
        next(first)
    first.close()
    assert state(parts)["images"] == 20
    second = list(fit(RECIPES[recipe], TINY, SCRATCH, data, options(parts, resume=True)))
    assert second[0].step == 24
    assert second[-1].step == 48
    expected, found = state(whole), state(parts)
    for key in ("modules", "average", "optimisers", "generators"):
        assert all(torch.equal(a, b) for a, b in zip(flat(expected[key]), flat(found[key]), strict=True)), key
    assert all(torch.equal(a, b) for a, b in zip(flat(tensors(whole)), flat(tensors(parts)), strict=True))


def test_snapshots_logs_and_kept_checkpoints_are_written(data: ImageSet, tmp_path: Path) -> None:
    out = tmp_path / "m.safetensors"
    items = list(fit(RECIPES["cgan"], TINY, SCRATCH, data, options(out, keep=True)))
    grids = [item.preview for item in items if item.preview is not None]
    assert len(grids) == 3
    assert grids[0].width > 8 * 32
    assert sorted(p.name for p in (tmp_path / "m.run/snapshots").iterdir()) == [
        "00000016.png",
        "00000032.png",
        "00000048.png",
    ]
    assert checkpoint.load(tmp_path / "m.run/00000032.safetensors").provenance["images_seen"] == 32
    lines = [json.loads(line) for line in (tmp_path / "m.run/log.jsonl").read_text().splitlines()]
    assert [line["images"] for line in lines] == [16, 32, 40, 48]
    assert {"discriminator", "generator", "images_per_second"} <= lines[0].keys()
    provenance = items[-1].result.provenance
    assert provenance["training_features"] == []
    assert provenance["images_seen"] == 48


def test_time_limit_saves_what_is_there(data: ImageSet, tmp_path: Path) -> None:
    out = tmp_path / "m.safetensors"
    items = list(fit(RECIPES["gan"], TINY, SCRATCH, data, options(out, images=10**9, max_seconds=1e-6)))
    assert items[-1].result.path == out
    assert state(out)["images"] == 4


def test_time_is_what_the_given_clock_says(data: ImageSet, tmp_path: Path) -> None:
    ticks = itertools.count(100.0)
    out = tmp_path / "m.safetensors"
    list(fit(RECIPES["gan"], TINY, SCRATCH, data, options(out, images=10**9, max_seconds=3, clock=lambda: next(ticks))))
    assert state(out)["images"] == 3 * 4
    assert state(out)["seconds"] == 3


def test_loss_that_is_not_a_number_rolls_back_and_says_so(
    data: ImageSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = LabelledBatches.draw
    calls = {"count": 0}

    def poisoned(self: LabelledBatches, generator: torch.Generator) -> tuple[Tensor, Tensor | None]:
        images, labels = honest(self, generator)
        calls["count"] += 1
        return (images * float("nan") if calls["count"] == 6 else images), labels

    monkeypatch.setattr(LabelledBatches, "draw", poisoned)
    out = tmp_path / "m.safetensors"
    items = list(fit(RECIPES["gan"], TINY, SCRATCH, data, options(out, images=80)))
    notes = [item.note for item in items if "not finite" in item.note]
    assert notes == ["A loss was not finite at 32 pictures; went back to 0 and on with other random numbers."]
    assert items[-1].step == 80
    assert all(t.isfinite().all() for t in tensors(out).values())


def test_loss_that_stays_not_a_number_ends_with_a_sentence(
    data: ImageSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = LabelledBatches.draw

    def poisoned(self: LabelledBatches, generator: torch.Generator) -> tuple[Tensor, Tensor | None]:
        images, labels = honest(self, generator)
        return images * float("nan"), labels

    monkeypatch.setattr(LabelledBatches, "draw", poisoned)
    with pytest.raises(TrainingError, match="6 times in a row"):
        list(fit(RECIPES["gan"], TINY, SCRATCH, data, options(tmp_path / "m.safetensors", images=10**6)))


def test_resume_with_other_settings_is_refused_and_names_the_setting(data: ImageSet, tmp_path: Path) -> None:
    out = tmp_path / "m.safetensors"
    list(fit(RECIPES["gan"], TINY, SCRATCH, data, options(out, images=4)))
    with pytest.raises(TrainingError, match="batch was 4, is 6"):
        list(fit(RECIPES["gan"], TINY, SCRATCH, data, options(out, batch=6, resume=True)))


def test_resume_may_change_the_learning_rate_and_the_checkpoint_says_so(data: ImageSet, tmp_path: Path) -> None:
    out = tmp_path / "m.safetensors"
    list(fit(RECIPES["gan"], TINY, SCRATCH, data, options(out, images=4)))
    slower = dataclasses.replace(SCRATCH, learning_rate=1e-5)
    list(fit(RECIPES["gan"], TINY, slower, data, options(out, images=8, resume=True)))
    assert state(out)["optimisers"]["generator"]["param_groups"][0]["lr"] == 1e-5
    stages = checkpoint.load(out).provenance["stages"]
    assert [(stage["from"], stage["trainer"]["learning_rate"]) for stage in stages] == [(0, 2e-4), (4, 1e-5)]
    with pytest.raises(TrainingError, match=r"do not fit this recipe's \(mixing\)"):
        list(fit(RECIPES["gan"], TINY, GanTraining(), data, options(out, resume=True)))


def test_resume_without_or_with_broken_state_is_a_sentence(data: ImageSet, tmp_path: Path) -> None:
    out = tmp_path / "m.safetensors"
    with pytest.raises(TrainingError, match=r"no training state m\.state\.pt"):
        list(fit(RECIPES["gan"], TINY, SCRATCH, data, options(out, resume=True)))
    out.with_suffix(".state.pt").write_bytes(b"not a state")
    with pytest.raises(TrainingError, match="cannot be read"):
        list(fit(RECIPES["gan"], TINY, SCRATCH, data, options(out, resume=True)))


def test_init_starts_from_the_weights_of_a_checkpoint(data: ImageSet, tmp_path: Path) -> None:
    conditional, plain = tmp_path / "c.safetensors", tmp_path / "u.safetensors"
    list(fit(RECIPES["cgan"], TINY, SCRATCH, data, options(conditional, images=4)))
    job = fit(RECIPES["gan"], TINY, SCRATCH, data, options(plain, images=4, init=conditional))
    list(job)
    (init,) = checkpoint.load(plain).provenance["init"]
    assert (init["sha256"], init["images_seen"]) == (checkpoint.load(conditional).sha256, 4)
    third = tmp_path / "t.safetensors"
    list(fit(RECIPES["gan"], TINY, SCRATCH, data, options(third, images=4, init=plain)))
    ancestors = [ancestor["sha256"] for ancestor in checkpoint.load(third).provenance["init"]]
    assert ancestors == [checkpoint.load(plain).sha256, checkpoint.load(conditional).sha256]
    near = (tensors(plain)["colour.weight"].float() - tensors(conditional)["colour.weight"].float()).abs().max()
    assert near < 1e-2
    torch.manual_seed(1)
    far = (tensors(plain)["colour.weight"].float() - RECIPES["gan"].build(TINY, SCRATCH, 0).model.colour.weight).abs()
    assert far.max() > 2e-2


def test_conditional_recipe_needs_a_class_for_every_picture(data: ImageSet, tmp_path: Path) -> None:
    unlabelled = ImageSet(data.images, torch.full((24,), -1), (), data.files)
    with pytest.raises(TrainingError, match="class for every picture"):
        list(fit(RECIPES["cgan"], TINY, SCRATCH, unlabelled, options(tmp_path / "m.safetensors")))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"batch": 1}, "batch must be at least 2; got 1"),
        ({"images": 0}, "images must be at least 1"),
        ({"max_seconds": float("nan")}, "max_seconds must be above 0"),
        ({"seed": -1}, "seed must be from 0"),
        ({"precision": "fp8"}, "precision must be one of fp32, bf16"),
        ({"device": "tpu"}, "device must be auto"),
    ],
)
def test_options_out_of_range_are_refused(change: dict[str, object], sentence: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match=sentence):
        options(tmp_path / "m.safetensors", **change)
