"""The stylizer's training on a handful of plain pictures, taught by an encoder of random weights."""

import dataclasses
import json
from pathlib import Path

import pytest
import torch
from accelerate import Accelerator
from torch import Tensor, nn

from studio.core import checkpoint
from studio.core.dataset import ImageSet
from studio.core.errors import InvalidRequest, TrainingError
from studio.core.progress import result_of
from studio.evaluation.networks import Vgg16
from studio.style.encoder import EncoderConfig, StyleEncoder
from studio.style.stylizer import Stylizer, StylizerConfig
from studio.training import stylizer as recipe
from studio.training import teachers
from studio.training.data import by_role, content_and_style, crops, windows
from studio.training.loop import fit
from studio.training.options import TrainOptions
from studio.training.pairs import recoloured, unlikeness
from studio.training.recipe import RECIPES, StepContext
from studio.training.stylizer import StylizerTrainer, measure
from studio.training.stylizer_settings import StylizerTraining

WIDTHS = (4, 4, 4, 4, 4)
TINY = StylizerConfig(widths=WIDTHS, channels=8, half=8, blocks=1, code=12, hidden=8, octaves=1)
SIDE = 40
WITH_MUON = pytest.mark.skipif(not hasattr(torch.optim, "Muon"), reason="torch has Muon from 2.9 on")


@pytest.fixture
def training(tmp_path: Path) -> StylizerTraining:
    torch.manual_seed(0)
    config = EncoderConfig(WIDTHS, (1, 1, 1, 1, 1))
    path = tmp_path / "encoder.safetensors"
    checkpoint.save(path, StyleEncoder(config), kind="encoder", config=config, classes=(), provenance={}, metrics={})
    return StylizerTraining(encoder=str(path), picture=SIDE, crop=32, held_out=4)


def pictures(low: float, high: float, count: int = 10) -> ImageSet:
    images = torch.rand(count, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(int(low))) * (high - low) + low
    return ImageSet(images.to(torch.uint8), torch.full((count,), -1), (), tuple(map(str, range(count))))


def data() -> ImageSet:
    return content_and_style(pictures(0, 255), pictures(100, 140))


def options(out: Path, **changes: object) -> TrainOptions:
    base = TrainOptions(out, batch=4, images=48, snapshot_images=24, device="cpu", save_seconds=1e9, ema_images=4)
    return dataclasses.replace(base, **changes)  # type: ignore[arg-type]


def test_content_and_style_are_told_apart_by_their_role() -> None:
    content, style = by_role(data())
    assert (content.tolist(), style.tolist()) == (list(range(10)), list(range(10, 20)))
    assert data().images[style].float().std() < data().images[content].float().std()


def test_pictures_without_roles_are_refused_with_the_remedy(training: StylizerTraining, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="--styles"):
        list(fit(RECIPES["stylizer"], TINY, training, pictures(0, 255), options(tmp_path / "s.safetensors")))


def test_too_few_pictures_to_hold_any_out_are_refused(training: StylizerTraining, tmp_path: Path) -> None:
    few = dataclasses.replace(training, held_out=6)
    with pytest.raises(TrainingError, match="at least 12 photographs"):
        list(fit(RECIPES["stylizer"], TINY, few, data(), options(tmp_path / "s.safetensors")))


def test_the_style_loss_falls_and_the_sheet_and_figures_are_there(training: StylizerTraining, tmp_path: Path) -> None:
    quick = dataclasses.replace(training, learning_rate=5e-3)
    out = tmp_path / "s.safetensors"
    items = list(fit(RECIPES["stylizer"], TINY, quick, data(), options(out, images=240, snapshot_images=120)))
    lines = [json.loads(line) for line in (tmp_path / "s.run" / "log.jsonl").read_text().splitlines()]
    assert sum(line["loss"] for line in lines[-2:]) < 0.9 * sum(line["loss"] for line in lines[:2])
    sheets = [item.preview for item in items if item.preview is not None]
    assert len(sheets) == 2
    assert sheets[0].size == (5 * (SIDE + 2) - 2, 5 * (SIDE + 2) - 2)  # 4 held-out styles and contents, and themselves
    saved = items[-1].result
    assert saved is not None
    assert saved.metrics.keys() == {"held_out_content", "held_out_gram"}
    assert saved.provenance["training_features"] == ["encoder"]
    assert (saved.kind, saved.provenance["training_images"]) == ("stylizer", 20)
    assert isinstance(saved.build_module(), Stylizer)
    assert saved.provenance["stages"][0]["trainer"]["encoder"] == "encoder.safetensors", "no folder is published"


def test_vgg16_judges_where_a_teacher_is_given(
    training: StylizerTraining, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(teachers, "build_vgg16", lambda path: Vgg16())  # random weights
    judged = dataclasses.replace(training, teacher="vgg16.safetensors", styles_each=2)
    items = list(fit(RECIPES["stylizer"], TINY, judged, data(), options(tmp_path / "s.safetensors", images=8)))
    saved = items[-1].result
    assert saved is not None
    assert saved.provenance["training_features"] == ["encoder", "vgg16"]


class Second(nn.Module):
    """Random maps at strides 4, 8 and 16, as EfficientNet-Lite0's are."""

    def __init__(self, depth: int) -> None:
        super().__init__()
        torch.manual_seed(depth)
        self.convs = nn.ModuleList(nn.Conv2d(3, 4, stride, stride) for stride in (4, 8, 16)[:depth])
        self.requires_grad_(False)

    def forward(self, x: Tensor) -> list[Tensor]:
        return [conv(x) for conv in self.convs]


def test_a_second_judge_and_the_detail_have_their_say(
    training: StylizerTraining, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recipe, "Lite0Features", Second)
    judged = dataclasses.replace(training, second_weight=0.5, detail_weight=2.0, palette=0.5, crop=40)
    items = list(fit(RECIPES["stylizer"], TINY, judged, data(), options(tmp_path / "s.safetensors")))
    saved = items[-1].result
    assert saved is not None
    assert saved.provenance["training_features"] == ["encoder", "lite0"]
    lines = [json.loads(line) for line in (tmp_path / "s.run" / "log.jsonl").read_text().splitlines()]
    assert all(0 < line[name] < 4 for line in lines for name in ("detail", "second_gram", "second_sliced"))


def test_every_content_is_painted_in_several_styles_and_no_style_twice(training: StylizerTraining) -> None:
    trainer = StylizerTrainer(TINY, dataclasses.replace(training, styles_each=3), 0)
    seen: list[tuple[Tensor, Tensor]] = []
    trainer.model.register_forward_pre_hook(lambda _module, given: seen.append((given[0], given[1].detach())))
    x, y = (torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(seed)) for seed in (0, 1))
    trainer.step(x, y, StepContext(Accelerator(cpu=True), torch.Generator().manual_seed(0), 0))
    pairs = {(float(content.sum()), float(code.sum())) for content, code in zip(*seen[0], strict=True)}
    assert len(seen[0][0]) == len(pairs) == 9


def test_the_learning_rate_falls_to_the_horizon(training: StylizerTraining) -> None:
    trainer = StylizerTrainer(TINY, dataclasses.replace(training, learning_rate=1e-2, horizon=40), 0)
    x, y = (torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(seed)) for seed in (0, 1))

    def moved(images: int) -> float:
        before = trainer.model.exit.weight.detach().clone()
        trainer.step(x, y, StepContext(Accelerator(cpu=True), torch.Generator().manual_seed(0), images))
        return float((trainer.model.exit.weight.detach() - before).abs().max())

    assert moved(0) == pytest.approx(1e-2, rel=0.01)  # Adam's first step is the learning rate
    assert 0 < moved(36) < 1e-3
    assert moved(40) == 0


def test_a_stylizer_that_matches_maps_learns_a_pair_by_heart(training: StylizerTraining) -> None:
    torch.manual_seed(0)
    quick = dataclasses.replace(training, learning_rate=5e-3, detail_weight=0)  # which is at odds with the style
    trainer = StylizerTrainer(dataclasses.replace(TINY, matched=2), quick, 0)
    x, y = (torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(seed)) for seed in (0, 1))
    generator = torch.Generator().manual_seed(0)
    steps = [
        float(trainer.step(x * 2 - 1, y * 0.4, StepContext(Accelerator(cpu=True), generator, step))["loss"])
        for step in range(80)
    ]
    assert sum(steps[-5:]) < 0.8 * sum(steps[:5])
    assert all(float(lane.detach().abs().max()) > 1e-3 for lane in trainer.model.lanes.parameters()), "they began at 0"


@WITH_MUON
def test_muon_turns_matrices_alone_and_by_steps_of_adam_s_size(training: StylizerTraining) -> None:
    trainer = StylizerTrainer(TINY, dataclasses.replace(training, learning_rate=1e-2, muon=True), 0)
    x, y = (torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(seed)) for seed in (0, 1))
    matrix = trainer.model.tint.weight
    before = matrix.detach().clone()
    trainer.step(x, y, StepContext(Accelerator(cpu=True), torch.Generator().manual_seed(0), 0))
    moved = matrix.detach() - before
    assert matrix.grad is not None
    steps, slopes = (torch.linalg.svdvals(x)[:4] for x in (moved, matrix.grad))
    assert float(steps[0] / steps[3]) < 0.2 * float(slopes[0] / slopes[3]), "directions are moved more alike"
    assert 0.05 < float(moved.square().mean().sqrt()) / 1e-2 < 0.25  # 0.2 where the gradient has full rank
    groups = {
        name: {p.dim() for group in o.param_groups for p in group["params"]} for name, o in trainer.optimisers().items()
    }
    assert groups["muon"] == {2}
    assert 2 not in groups["optimiser"]


def test_muon_on_a_torch_without_it_is_a_sentence(training: StylizerTraining, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(torch.optim, "Muon", raising=False)
    with pytest.raises(InvalidRequest, match="torch 2"):
        dataclasses.replace(training, muon=True)


@pytest.mark.parametrize("muon", [False, pytest.param(True, marks=WITH_MUON)])
def test_a_run_stopped_and_resumed_equals_the_run_never_stopped(
    training: StylizerTraining, muon: bool, tmp_path: Path
) -> None:
    training = dataclasses.replace(training, muon=muon)
    whole, parts = tmp_path / "whole.safetensors", tmp_path / "parts.safetensors"
    result_of(fit(RECIPES["stylizer"], TINY, training, data(), options(whole)))
    first = fit(RECIPES["stylizer"], TINY, training, data(), options(parts))
    for _ in range(5):
        next(first)
    first.close()
    result_of(fit(RECIPES["stylizer"], TINY, training, data(), options(parts, resume=True)))
    expected, found = checkpoint.load(whole).tensors(), checkpoint.load(parts).tensors()
    assert all(torch.equal(expected[name], found[name]) for name in expected)


def test_the_scale_of_the_statistics_is_their_running_mean_and_deviation() -> None:
    model = Stylizer(TINY)
    rows = torch.randn(64, TINY.statistics, generator=torch.Generator().manual_seed(0)) * 3 + 5
    for index, batch in enumerate(rows.split(8)):
        measure(model, batch, images=index * 4)  # a content and a style each
    torch.testing.assert_close(model.centre, rows.mean(dim=0))
    assert float(model.scale.mean()) == pytest.approx(3, rel=0.15)


def test_crops_are_pieces_of_their_pictures() -> None:
    images = torch.arange(2 * 3 * 4 * 4, dtype=torch.uint8).view(2, 3, 4, 4)
    drawn = crops(images, 6, 3, torch.Generator().manual_seed(0), flip=False)
    pieces = [images[n, :, y : y + 3, x : x + 3] for n in range(2) for y in range(2) for x in range(2)]
    as_bytes = drawn.add(1).mul(127.5).round().to(torch.uint8)
    assert drawn.shape == (6, 3, 3, 3)
    assert all(any(torch.equal(crop, piece) for piece in pieces) for crop in as_bytes)


def test_crops_are_enlarged_by_no_more_than_the_zoom() -> None:
    ramp = torch.arange(32, dtype=torch.uint8).mul(8).expand(1, 3, 32, 32)  # 8 a pixel, across
    drawn = crops(ramp, 40, 16, torch.Generator().manual_seed(0), zoom=2.0)
    steps = drawn[:, 0, 8, 9].sub(drawn[:, 0, 8, 7]).abs() * 127.5 / 2
    assert drawn.shape == (40, 3, 16, 16)
    assert 3.9 < float(steps.min()) < 5.5
    assert 6.5 < float(steps.max()) < 8.1


def test_crops_come_from_the_generator_alone() -> None:
    images = torch.randint(0, 255, (3, 3, 8, 8), dtype=torch.uint8)

    def draw(seed: int) -> Tensor:
        return crops(images, 4, 5, torch.Generator().manual_seed(seed))

    assert torch.equal(draw(1), draw(1))
    assert not torch.equal(draw(1), draw(2))


def test_styles_are_drawn_in_proportion_to_their_weights() -> None:
    images = torch.arange(4, dtype=torch.uint8).mul(50).view(4, 1, 1, 1).expand(4, 3, 8, 8)
    drawn = crops(images, 400, 8, torch.Generator().manual_seed(0), weights=torch.tensor([0.0, 3.0, 1.0, 0.0]))
    found = drawn[:, 0, 0, 0].add(1).mul(127.5 / 50).round()
    assert set(found.tolist()) == {1.0, 2.0}
    assert 0.7 < float((found == 1).float().mean()) < 0.8


def test_windows_are_the_pixels_that_they_cover() -> None:
    images = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0)) * 255
    cut = windows(images, 4, torch.tensor([[1.0, 3.0], [4.0, 0.0]]), torch.tensor([4.0, 4.0]))
    expected = torch.stack([images[0, :, 1:5, 3:7], images[1, :, 4:8, 0:4]])
    torch.testing.assert_close(cut, expected, atol=1e-2, rtol=0)


def test_recoloured_styles_keep_their_lightness_and_their_greys() -> None:
    images = torch.rand(32, 3, 6, 6, generator=torch.Generator().manual_seed(0)) * 0.6 - 0.3
    changed = recoloured(images, 1.0, torch.Generator().manual_seed(1))
    torch.testing.assert_close(changed.mean(dim=(1, 2, 3)), images.mean(dim=(1, 2, 3)))
    assert float((changed - images).abs().amax(dim=(1, 2, 3)).min()) > 0.01, "every one has changed"
    grey = images[:, :1].expand(-1, 3, -1, -1)
    of_grey = recoloured(grey, 1.0, torch.Generator().manual_seed(1))
    torch.testing.assert_close(of_grey[:, 0], of_grey[:, 2])
    away = (recoloured(images, 0.5, torch.Generator().manual_seed(1)) - images).abs().amax(dim=(1, 2, 3))
    assert 6 < int((away < 1e-6).sum()) < 26, "half of them stay as they are"
    assert float(recoloured(images * 4, 1.0, torch.Generator().manual_seed(1)).abs().max()) <= 1


def test_a_style_like_the_photographs_is_less_unlike_them_than_another(training: StylizerTraining) -> None:
    encoder = StylizerTrainer(TINY, training, 0).encoder
    photographs = pictures(100, 140).images
    found = unlikeness(encoder, photographs, torch.cat([pictures(98, 142, 3).images, pictures(0, 20, 3).images]))
    assert found.shape == (6,)
    assert float(found[:3].max()) < float(found[3:].min())


def test_no_encoder_and_a_wrong_one_are_sentences(training: StylizerTraining, tmp_path: Path) -> None:
    build = RECIPES["stylizer"].build
    with pytest.raises(TrainingError, match="encoder=FILE"):
        build(TINY, StylizerTraining(), 0)
    with pytest.raises(TrainingError, match="set widths to the encoder's"):
        build(dataclasses.replace(TINY, widths=(8, 8, 8, 8, 8)), training, 0)
    checkpoint.save(
        tmp_path / "s.safetensors", Stylizer(TINY), kind="stylizer", config=TINY, classes=(), provenance={}, metrics={}
    )
    with pytest.raises(TrainingError, match="holds no encoder"):
        build(TINY, StylizerTraining(encoder=str(tmp_path / "s.safetensors")), 0)


@pytest.mark.parametrize(
    "change",
    [
        {"crop": 41},
        {"zoom": 0.5},
        {"style_bias": -1},
        {"styles_each": 0},
        {"held_out": 0},
        {"content_range": 0.5},
        {"gram_weight": -1},
        {"detail_weight": -1},
        {"second_weight": 1001},
        {"palette": 1.5},
        {"learning_rate": 0},
    ],
)
def test_settings_out_of_range_are_refused(training: StylizerTraining, change: dict[str, float]) -> None:
    with pytest.raises(InvalidRequest, match=next(iter(change))):
        dataclasses.replace(training, **change)  # type: ignore[arg-type]
