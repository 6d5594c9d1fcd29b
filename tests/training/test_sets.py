"""The recipe `sets` on four toy artists: what it draws, publishes, and how it resumes."""

import dataclasses
from pathlib import Path

import pytest
import torch
from few_shots import TINY, ToyLite0, artists
from torch import Tensor

from studio.core import checkpoint
from studio.core.dataset import ImageSet
from studio.core.errors import InvalidRequest, TrainingError
from studio.core.progress import Progress, result_of
from studio.models.learner import Learner, SetDiscriminator
from studio.models.projected import PixelHead
from studio.training.loop import fit
from studio.training.options import TrainOptions
from studio.training.recipe import RECIPES
from studio.training.run import Run
from studio.training.set_batches import SetBatches, artists_of
from studio.training.sets import SetTrainer, SetTraining

CONFIG = SetTraining(smallest_task=10, smallest_class=10, held_out=1, genres=0.5, class_warmup=0)


@pytest.fixture(autouse=True)
def _toy_features(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SetDiscriminator.__init__, "__defaults__", (ToyLite0,))


def options(out: Path, **changes: object) -> TrainOptions:
    base = TrainOptions(out, batch=4, images=16, snapshot_images=8, device="cpu", save_seconds=1e9, ema_images=8)
    return dataclasses.replace(base, **changes)  # type: ignore[arg-type]


def job(out: Path, config: SetTraining = CONFIG, data: ImageSet | None = None, **changes: object) -> list[Progress]:
    return list(fit(RECIPES["sets"], TINY, config, data or artists(), options(out, **changes)))


def batches(config: SetTraining = CONFIG, data: ImageSet | None = None, **changes: object) -> SetBatches:
    trainer = SetTrainer(TINY, config, 2)
    return SetBatches(
        config, trainer.discriminator, data or artists(), options(Path("unused"), **changes), torch.device("cpu")
    )


def flat(value: object) -> list[Tensor]:
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, dict):
        return [t for key in sorted(value, key=str) for t in flat(value[key])]
    return [t for item in value for t in flat(item)] if isinstance(value, list) else []


def test_it_publishes_a_generator_and_a_learner_that_names_its_sha256(tmp_path: Path) -> None:
    out = tmp_path / "m.safetensors"
    items = job(out)
    generator, learner = checkpoint.load(out), checkpoint.load(tmp_path / "m-learner.safetensors")
    assert sorted(path.name for path in tmp_path.glob("*.safetensors")) == ["m-learner.safetensors", "m.safetensors"]
    assert (generator.kind, generator.classes, learner.kind) == ("gan", ("calm", "wild"), "learner")
    assert learner.config["generator"] == generator.sha256
    assert items[-1].result.sha256 == generator.sha256
    assert generator.provenance["training_features"] == ["lite0"]
    assert generator.provenance["images_seen"] == 16
    assert len([item for item in items if item.preview is not None]) == 2
    losses = next(item.metrics for item in items if item.metrics)
    assert {"discriminator", "generator", "lack_of_diversity"} <= losses.keys()


def test_the_learner_keeps_as_many_heads_on_the_pixels_as_it_was_trained_with(tmp_path: Path) -> None:
    job(tmp_path / "m.safetensors", dataclasses.replace(CONFIG, pixels=(2, 4)))
    learner = checkpoint.load(tmp_path / "m-learner.safetensors").build_module()
    assert isinstance(learner, Learner)
    assert learner.config.pixels == (2, 4)
    assert [head.depth for head in learner.judge.heads if isinstance(head, PixelHead)] == [2, 4]


def test_class_embeddings_are_what_the_published_encoder_makes_of_all_their_pictures(tmp_path: Path) -> None:
    out, data = tmp_path / "m.safetensors", artists()
    job(out)
    model = checkpoint.load(out).build()
    learner = checkpoint.load(tmp_path / "m-learner.safetensors").build_module()
    assert isinstance(learner, Learner)
    features = batches().features
    with torch.no_grad():
        expected = torch.stack([learner.encoder(features[data.labels == label]) for label in (0, 1)])
    torch.testing.assert_close(model.embedding.detach(), expected, atol=2e-2, rtol=2e-2)  # type: ignore[union-attr]
    assert (expected[0] - expected[1]).abs().max() > 0
    torch.testing.assert_close(model.w_mean[:, -TINY.embedding :], model.embedding.detach())  # type: ignore[union-attr]


def test_run_stopped_and_resumed_equals_run_never_stopped(tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole.safetensors", tmp_path / "parts.safetensors"
    job(whole)
    first = fit(RECIPES["sets"], TINY, CONFIG, artists(), options(parts))
    next(first)
    next(first)
    first.close()
    items = job(parts, resume=True)
    assert (items[0].step, items[-1].step) == (12, 16)
    expected, found = (torch.load(path.with_suffix(".state.pt"), weights_only=True) for path in (whole, parts))
    for key in ("modules", "average", "optimisers", "generators"):
        assert all(torch.equal(a, b) for a, b in zip(flat(expected[key]), flat(found[key]), strict=True)), key
    for suffix in ("", "-learner"):
        a, b = (checkpoint.load(p.with_name(f"{p.stem}{suffix}.safetensors")).tensors() for p in (whole, parts))
        assert all(torch.equal(a[name], b[name]) for name in a)


def test_a_resumed_run_keeps_the_lineage_of_its_start(tmp_path: Path) -> None:
    start, out = tmp_path / "s.safetensors", tmp_path / "m.safetensors"
    job(start, images=4)
    job(out, images=8, init=start)
    told = checkpoint.load(out).provenance["init"]
    assert [one["sha256"] for one in told] == [checkpoint.load(start).sha256]
    job(out, images=16, resume=True)  # without --init
    assert checkpoint.load(out).provenance["init"] == told
    assert checkpoint.load(tmp_path / "m-learner.safetensors").provenance["init"] == told


def test_every_snapshot_that_is_kept_has_its_learner(tmp_path: Path) -> None:
    job(tmp_path / "m.safetensors", keep=True)
    folder = tmp_path / "m.run"
    for name in ("00000008", "00000016"):
        learner = checkpoint.load(folder / f"{name}-learner.safetensors")
        assert learner.config["generator"] == checkpoint.load(folder / f"{name}.safetensors").sha256


def test_held_out_artists_are_never_drawn() -> None:
    data = artists()
    drawer = batches(dataclasses.replace(CONFIG, held_out=2), flip=False)
    kept = {place for places in drawer.held_out.values() for place in places.tolist()}
    assert len(drawer.held_out) == 2
    assert len(kept) == 20
    seen, random = set(), torch.Generator().manual_seed(0)
    allowed = {bytes(data.images[k].numpy().tobytes()): k for k in range(len(data))}
    features = {tuple(row.tolist()): k for k, row in enumerate(drawer.features)}
    for _ in range(40):
        images, sets = drawer.draw(random)
        pictures = images.add(1).mul(127.5).round().to(torch.uint8).contiguous()
        seen |= {allowed[bytes(picture.numpy().tobytes())] for picture in pictures}
        seen |= {features[tuple(row.tolist())] for row in sets.flatten(0, 1)}
    assert not seen & kept
    assert len(seen) > 15


def test_pictures_shown_are_never_in_their_own_set() -> None:
    drawer, random = batches(flip=False), torch.Generator().manual_seed(0)
    data = artists()
    places = {bytes(data.images[k].numpy().tobytes()): k for k in range(len(data) - 2)}  # the last two are doubles
    for _ in range(20):
        images, sets = drawer.draw(random)
        for row, picture in enumerate(images):
            content = bytes(picture.add(1).mul(127.5).round().to(torch.uint8).contiguous().numpy().tobytes())
            if content in places:
                own = drawer.features[places[content]]
                assert not (sets[row % len(sets)] == own).all(dim=1).any()


def test_a_step_may_be_of_genres_alone_or_of_artists_alone() -> None:
    for share in (0.0, 1.0):
        images, sets = batches(dataclasses.replace(CONFIG, genres=share)).draw(torch.Generator().manual_seed(0))
        assert (images.shape[0], sets.shape[0]) == (4, 2)


def test_which_artists_are_held_out_depends_on_the_data_alone() -> None:
    trained, held_out = artists_of(CONFIG, artists())
    assert (len(trained), len(held_out)) == (3, 1)
    assert not trained.keys() & held_out.keys()
    again = artists_of(dataclasses.replace(CONFIG, genres=0.0), artists())
    assert (trained.keys(), held_out.keys()) == (again[0].keys(), again[1].keys())


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"column": "painter"}, "no column 'painter' in their index; known: artist"),
        ({"held_out": 4}, "Only 4 tasks have 10 pictures and 4 are held out"),
        ({"smallest_task": 11}, "Only 0 tasks have 11 pictures"),
        ({"each": 3}, r"batch must be a multiple of each \(3\); got 4"),
        ({"smallest_class": 400}, "No class has 400 pictures; lower smallest_class"),
    ],
)
def test_data_that_do_not_serve_are_refused_in_a_sentence(
    change: dict[str, object], sentence: str, tmp_path: Path
) -> None:
    with pytest.raises(TrainingError, match=sentence):
        job(tmp_path / "m.safetensors", dataclasses.replace(CONFIG, **change))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"held_out": 0}, "held_out must be at least 1"),
        ({"genres": 1.5}, "genres must be from 0 to 1"),
        ({"augment": "mirror"}, "Unknown augmentation 'mirror'"),
        ({"learning_rate": 0.0}, "learning_rate must be above 0"),
        ({"pixels": (3, 6)}, "pixels is 6; it must be a whole number from 2 to 5"),
    ],
)
def test_settings_out_of_range_are_refused(change: dict[str, object], sentence: str) -> None:
    with pytest.raises(InvalidRequest, match=sentence):
        dataclasses.replace(CONFIG, **change)  # type: ignore[arg-type]


def test_recipes_without_a_companion_publish_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert RECIPES["gan"].companions(None, torch.nn.Identity(), "0" * 64) == ()
    published: list[Path] = []
    honest = Run.publish
    monkeypatch.setattr(Run, "publish", lambda self, path: (published.append(path), honest(self, path))[1])
    result_of(fit(RECIPES["sets"], TINY, CONFIG, artists(), options(tmp_path / "m.safetensors", images=4)))
    assert published == [tmp_path / "m.safetensors"]
