"""Adaptation as the engine's job, over a small untrained base: what it takes, what it keeps, what it leaves alone."""

import gc
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hands import work, write_base
from PIL import Image
from sentences import assert_sentence
from sketch import same

from studio.core.errors import CheckpointError, InvalidRequest, StudioError
from studio.core.images import reflected
from studio.core.progress import result_of
from studio.engine import Adaptation, AdaptRequest, Engine, Pictures
from studio.engine.adapt_requests import methods
from studio.engine.gathered import MAX_LOOKED_AT, spread, take
from studio.engine.offered import judged
from studio.settings import Settings


@pytest.fixture
def real_kinds() -> None:
    """Keep the table of kinds as it is."""


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bases") / "checkpoints"
    write_base(folder)
    return folder


@pytest.fixture
def settings(tmp_path: Path, checkpoints: Path) -> Settings:
    return Settings(home=tmp_path / "home", checkpoints=checkpoints, device="cpu", threads=1)


@pytest.fixture
def engine(settings: Settings, real_kinds: None) -> Engine:
    return Engine(settings)


@pytest.fixture
def pictures() -> Pictures:
    return Pictures()


def works(pictures: Pictures, count: int = 5) -> list[str]:
    return [pictures.add(work(seed), f"work {seed}") for seed in range(count)]


def quick(names: list[str], **changes: object) -> AdaptRequest:
    """A request of one step."""
    values: dict[str, object] = {"pictures": names, "method": "meta", "base": "meta", "steps": 1, "name": "mine"}
    return AdaptRequest(**{**values, **changes})  # type: ignore[arg-type]


def adapted(engine: Engine, pictures: Pictures, **changes: object) -> Adaptation:
    return result_of(engine.adapt(quick(works(pictures), **changes), pictures))


def test_the_first_preview_comes_before_any_step_and_the_last_item_carries_an_adapter(
    engine: Engine, pictures: Pictures
) -> None:
    items = list(engine.adapt(quick(works(pictures)), pictures))
    first = next(item for item in items if item.preview is not None)
    assert first.step == 0
    assert [stage.step for stage in first.preview.stages] == [0]
    assert first.preview.reference == ""
    done = items[-1].result
    assert done is not None
    assert done.steps == 1
    assert [stage.step for stage in done.stages] == [0, 1]
    info = engine.info(done.reference)
    assert (info.title, info.classes[-1], info.base) == ("mine", "mine", "meta")
    assert len(engine.own_pictures(done.reference)) == 5


def test_what_is_shown_is_what_the_adapter_paints(engine: Engine, pictures: Pictures) -> None:
    """An embedding alone has full rank, so nothing is lost in the file but the last bits of half precision."""
    done = adapted(engine, pictures, method="embed", steps=None)
    (stage,) = done.stages
    assert (stage.step, len(stage.pictures), len(done.before)) == (0, 8, 8)
    painted = engine.render(done.reference, 3, classes={"mine": 1.0})
    assert painted.image.size == stage.pictures[0].size == (32, 32)


def test_the_base_stays_bit_identical(engine: Engine, pictures: Pictures, checkpoints: Path) -> None:
    file = checkpoints / "meta.safetensors"
    before = file.read_bytes()
    seed = engine.render("meta", 7).image
    done = adapted(engine, pictures)
    assert file.read_bytes() == before
    assert same(engine.render("meta", 7).image, seed)
    weights = {"landscape": 1.0}
    zero = engine.render(done.reference, 7, classes=weights, adaptation=0).image
    assert same(zero, engine.render("meta", 7, classes=weights).image)
    assert not same(engine.render(done.reference, 7, classes=weights, adaptation=2).image, zero)


def test_the_same_request_gives_the_same_weights(engine: Engine, pictures: Pictures) -> None:
    first, second = (adapted(engine, pictures) for _ in range(2))
    assert all(same(*pair) for pair in zip(first.stages[-1].pictures, second.stages[-1].pictures, strict=True))


def test_an_earlier_stage_can_be_picked(engine: Engine, pictures: Pictures) -> None:
    done = adapted(engine, pictures)
    start, end = engine.pick(done, 0), engine.pick(done, 1)
    assert end == done.reference
    assert start != end
    assert not same(engine.render(start, 1).image, engine.render(end, 1).image)
    with pytest.raises(InvalidRequest, match="has 2 stages; there is none of number 2"):
        engine.pick(done, 2)


def test_stopping_keeps_the_last_snapshot(engine: Engine, pictures: Pictures) -> None:
    job = engine.adapt(quick(works(pictures), steps=None, budget=600.0), pictures)
    seen = next(item.preview for item in job if item.preview is not None)
    next(job)
    job.close()  # type: ignore[attr-defined]
    reference = engine.pick(seen, len(seen.stages) - 1)
    assert engine.render(reference, 1).image.size == (32, 32)


def test_closing_in_the_middle_holds_nothing_and_leaves_the_engine_usable(engine: Engine, pictures: Pictures) -> None:
    for steps in range(0, 9, 4):
        job = engine.adapt(quick(works(pictures), steps=None, budget=600.0), pictures)
        for _ in range(steps):
            next(job)
        began = time.monotonic()
        job.close()  # type: ignore[attr-defined]
        assert time.monotonic() - began < 1
    gc.collect()
    assert len(engine._library.held._held) == 0
    assert engine.render("meta", 1).image.size == (32, 32)
    assert torch.is_grad_enabled()


def test_two_adaptations_at_once_are_those_that_each_would_be_alone(engine: Engine) -> None:
    own = [Pictures(), Pictures()]
    names = [works(own[0]), [own[1].add(work(seed + 50)) for seed in range(4)]]
    alone = [result_of(engine.adapt(quick(names[k]), own[k])) for k in range(2)]
    found: dict[int, Adaptation] = {}

    def run(k: int) -> None:
        found[k] = result_of(engine.adapt(quick(names[k]), own[k]))

    threads = [threading.Thread(target=run, args=(k,)) for k in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for k in range(2):
        assert [v.reference for v in found[k].verdicts] == names[k]
        pairs = zip(found[k].stages[-1].pictures, alone[k].stages[-1].pictures, strict=True)
        assert all(same(*pair) for pair in pairs)
    assert found[0].reference != found[1].reference
    with pytest.raises(InvalidRequest, match="not at hand"):
        result_of(engine.adapt(quick(names[0]), own[1]))


def test_a_picture_slips_between_two_steps(engine: Engine, pictures: Pictures) -> None:
    job = engine.adapt(quick(works(pictures), steps=None, budget=600.0), pictures)
    next(job)
    assert engine.render("meta", 2).image.size == (32, 32)  # the lock is free while the job rests
    job.close()  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("offered", "says"),
    [
        ([work(1)], "at least 3 different pictures; got 1"),
        ([work(1)] * 9, "the same as another one"),
        ([work(1), work(1, 160, 160), work(1, 100, 100)], "the same as another one"),
        ([Image.new("RGB", (80, 80), shade) for shade in ("black", "#000001", "white", "blue")], "one flat colour"),
        ([work(seed, 63, 400) for seed in range(4)], "63x400 is too small; 64 px a side are needed"),
    ],
)
def test_pictures_that_cannot_be_learned_from_are_one_sentence(
    engine: Engine, pictures: Pictures, offered: list[Image.Image], says: str
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        engine.adapt(quick([pictures.add(image) for image in offered]), pictures)
    assert_sentence(caught.value, says[:40])


def test_wildly_mixed_sizes_are_brought_to_one(engine: Engine, pictures: Pictures) -> None:
    sizes = [(64, 900), (2000, 70), (80, 80), (333, 65)]
    names = [pictures.add(work(seed, *size)) for seed, size in enumerate(sizes)]
    for crop in ("square", "whole"):
        done = result_of(engine.adapt(quick(names, crop=crop, method="embed"), pictures))
        assert [verdict.used for verdict in done.verdicts] == [True] * 4


def test_of_500_pictures_some_are_learned_from_and_it_is_said_of_the_others(engine: Engine, pictures: Pictures) -> None:
    names = works(pictures, 500)
    done = result_of(engine.adapt(quick(names, method="embed"), pictures))
    assert len(done.learned_from) == 20
    assert sum(verdict.text == "Left out: at most 20 pictures are learned from." for verdict in done.verdicts) == 480


def test_files_to_look_at_are_spread_evenly() -> None:
    files = [f"{index}" for index in range(500)]
    chosen = spread(files)
    assert chosen[:20] == tuple(f"{index}" for index in range(0, 500, 25))
    assert len(chosen) == MAX_LOOKED_AT == len(set(chosen))
    assert spread(files[:7]) == tuple(files[:7])


def test_a_broken_file_is_named_and_one_on_its_side_is_turned(pictures: Pictures, tmp_path: Path) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff broken")
    taken = take(tmp_path / "broken.jpg", pictures)
    assert (taken.name, taken.reference) == ("broken.jpg", "")
    assert taken.note.startswith("Skipped: broken.jpg is truncated or damaged")
    exif = Image.Exif()
    exif[0x0112] = 6
    work(1, 90, 70).save(tmp_path / "side.jpg", exif=exif)
    taken = take(tmp_path / "side.jpg", pictures)
    assert taken.note == "Turned upright."
    assert pictures[taken.reference].size == (70, 90)
    work(2, 3000, 1500).save(tmp_path / "large.png")
    assert pictures[take(tmp_path / "large.png", pictures).reference].size == (1024, 512)


def test_a_verdict_is_given_for_each_picture_in_order(pictures: Pictures) -> None:
    offered = [work(1), Image.new("RGB", (80, 80), "red"), work(1), work(2, 20, 20), work(3)]
    verdicts = judged([pictures.add(image) for image in offered], pictures)
    assert [verdict.text.partition(":")[2].strip()[:12] for verdict in verdicts] == [
        "",
        "it shows one",
        "it is the sa",
        "20x20 is too",
        "",
    ]


def test_a_whole_picture_is_filled_up_by_its_reflected_edges() -> None:
    """4x2 pixels in columns 0, 10, 20, 30, lower row one more: the rows are mirrored above and below."""
    rows = np.array([[0, 10, 20, 30], [1, 11, 21, 31]], dtype=np.uint8)
    whole = np.array(reflected(Image.fromarray(rows).convert("RGB"), 4))[..., 0]
    assert whole.tolist() == [rows[0].tolist(), rows[0].tolist(), rows[1].tolist(), rows[1].tolist()]
    assert reflected(work(1, 300, 20), 32).size == (32, 32)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"name": "landscape"}, "has a class called 'landscape' already"),
        ({"name": "landscape", "base": "auto"}, "Every base has a class called 'landscape'"),
        ({"name": ""}, "name must not be empty"),
        ({"name": "a\nb"}, "name must be of printable characters"),
        ({"method": "magic"}, "known: meta"),
        ({"base": "nobody"}, "Unknown model 'nobody'"),
        ({"budget": 0}, "budget must be a number from 1"),
        ({"budget": float("nan")}, "budget must be a number"),
        ({"steps": -1}, "steps must be a whole number"),
        ({"crop": "oval"}, "'square' or 'whole'"),
    ],
)
def test_a_bad_value_is_one_sentence_before_any_work(
    engine: Engine, pictures: Pictures, changes: dict[str, object], says: str
) -> None:
    with pytest.raises(StudioError) as caught:
        engine.adapt(quick(works(pictures), **changes), pictures)
    assert says in str(caught.value)


def test_the_public_profile_bounds_the_time(settings: Settings, pictures: Pictures, real_kinds: None) -> None:
    engine = Engine(replace(settings, profile="public", max_adapt_seconds=-1))
    with pytest.raises(InvalidRequest, match="at most 60 seconds here; got 61"):
        engine.adapt(quick(works(pictures), budget=61), pictures)
    done = adapted(engine, pictures, method="embed")
    with pytest.raises(InvalidRequest, match="shared"):
        engine.keep(done.reference, "mine")


def test_without_a_base_or_a_learner_it_says_how_to_get_them(
    tmp_path: Path, pictures: Pictures, real_kinds: None
) -> None:
    engine = Engine(Settings(home=tmp_path, checkpoints=tmp_path / "none", device="cpu"))
    assert not engine.can_adapt
    with pytest.raises(CheckpointError, match="studio train sets"):
        engine.adapt(quick(works(pictures), base="auto"), pictures)


def test_auto_tries_what_there_is_and_says_what_it_took(engine: Engine, pictures: Pictures) -> None:
    items = list(engine.adapt(quick(works(pictures), base="auto", method="auto", steps=1), pictures))
    first = next(item for item in items if item.preview is not None)
    assert (first.step, first.preview.steps, first.preview.reference) == (0, 0, "")
    assert "which learner suits" in first.note
    done = items[-1].result
    assert done is not None
    assert done.request.base == "meta"
    assert done.request.method in ("meta", "finetune")


def test_a_kept_adapter_is_a_model_and_needs_its_base(
    engine: Engine, pictures: Pictures, settings: Settings, tmp_path: Path
) -> None:
    done = adapted(engine, pictures)
    engine.keep(done.reference, "mine")
    with pytest.raises(InvalidRequest, match="already; choose another name, or overwrite it"):
        engine.keep(done.reference, "mine")
    with pytest.raises(InvalidRequest, match="comes with the studio"):
        engine.place("meta")
    assert same(engine.render("mine", 4).image, engine.render(done.reference, 4).image)
    other = write_base(tmp_path / "others", seed=5).parent
    stranger = Engine(replace(settings, checkpoints=other))
    with pytest.raises(CheckpointError, match="the one here is another"):
        stranger.render("mine", 4)


def test_a_full_disk_is_one_sentence_and_leaves_nothing_half_written(
    engine: Engine, pictures: Pictures, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = adapted(engine, pictures, method="embed")

    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("studio.core.files._flush", full)
    with pytest.raises(StudioError, match="no space is left on the disk"):
        engine.keep(done.reference, "mine")
    assert list(settings.models.iterdir()) == []


@pytest.mark.parametrize("method", methods())
def test_every_method_says_what_it_did(engine: Engine, pictures: Pictures, method: str) -> None:
    done = adapted(engine, pictures, method=method, steps=1)
    summary = done.summary()
    assert summary["steps"] == (0 if summary["method"] == "embed" else 1)
    assert summary["pictures"] == 5
    assert [stage["step"] for stage in summary["stages"]] == ([0] if summary["method"] == "embed" else [0, 1])
