"""Films go through their key pictures, are encoded while they are painted, and appear whole or not at all."""

import threading
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image
from sentences import assert_sentence
from sketch import SIDE, pixels, same

from studio.core import video
from studio.core.errors import InvalidRequest, OutputError, StudioError
from studio.core.progress import result_of
from studio.engine import Engine, SampleRequest, WalkRequest
from studio.settings import Settings

KEYS = [{"seed": 1, "classes": {"portrait": 1}}, {"seed": 2, "classes": {"seascape": 1}}, 3]


def ask(**values: object) -> WalkRequest:
    return WalkRequest(**{"model": "paintings", "pictures": KEYS, "frames": 20, **values})


def frames_of(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as film:
        frames = film.decode(video=0)
        return [frame.to_ndarray(format="rgb24", src_colorspace="ITU709") for frame in frames]


def test_a_walk_is_a_film_that_starts_at_its_first_key(engine: Engine, tmp_path: Path) -> None:
    steps = list(engine.walk(ask(), tmp_path / "walk.mp4"))
    assert [step.step for step in steps] == [8, 16, 20]
    assert {step.total for step in steps} == {20}
    assert [step.result for step in steps] == [None, None, tmp_path / "walk.mp4"]
    frames = frames_of(tmp_path / "walk.mp4")
    assert len(frames) == 20
    key = pixels(engine.render("paintings", KEYS[0]).image).astype(int)
    assert np.abs(frames[0].mean((0, 1)) - key.mean((0, 1))).max() < 8
    last = pixels(steps[-1].preview).astype(int)
    assert np.abs(frames[-1].mean((0, 1)) - last.mean((0, 1))).max() < 8


@pytest.mark.parametrize("space", ["w", "z"])
def test_key_frames_are_the_key_pictures_bit_for_bit(engine: Engine, tmp_path: Path, space: str) -> None:
    for count in (2, 3):
        pictures = KEYS[:count]
        request = ask(pictures=pictures, frames=count, loop=False, space=space, truncation=0.6)
        *_, last = engine.walk(request, tmp_path / "walk.mp4")
        assert same(last.preview, engine.render("paintings", pictures[-1], truncation=0.6).image)


@pytest.mark.parametrize("space", ["w", "z"])
def test_a_loop_comes_back_and_an_open_walk_does_not(engine: Engine, tmp_path: Path, space: str) -> None:
    start = pixels(engine.render("paintings", KEYS[0]).image).astype(int)
    away = []
    for loop in (True, False):
        *_, last = engine.walk(ask(frames=60, loop=loop, space=space), tmp_path / "walk.mp4")
        away.append(np.abs(pixels(last.preview) - start).mean())
    assert away[0] < 0.5 * away[1]


def test_seeds_are_keys_too(engine: Engine, tmp_path: Path) -> None:
    request = WalkRequest(model="plain", seeds=[4, 5], frames=2, loop=False)
    *_, last = engine.walk(request, tmp_path / "walk.mp4")
    assert same(last.preview, engine.render("plain", 5).image)


def test_a_walk_in_z_without_classes(engine: Engine, tmp_path: Path) -> None:
    assert result_of(engine.walk(WalkRequest(model="flat", seeds=[4, 5], frames=6, space="z"), tmp_path / "w.mp4"))


def test_a_walk_from_class_to_class_keeps_its_seed(engine: Engine, tmp_path: Path) -> None:
    keys = [{"seed": 7, "classes": {name: 1}} for name in ("portrait", "seascape")]
    request = ask(pictures=keys, frames=16, space="z")  # frame 7 is the last of the first step
    first, *_, last = [step.preview for step in engine.walk(request, tmp_path / "w.mp4")]
    way = [engine.render("paintings", 7, classes={"portrait": p, "seascape": 8 - p}).image for p in (1, 7)]
    assert same(first, way[0])
    assert same(last, way[1])


def test_frames_are_enlarged(engine: Engine, tmp_path: Path) -> None:
    *_, last = engine.walk(ask(size=48), tmp_path / "walk.mp4")
    assert last.preview.size == (48, 48)
    assert frames_of(tmp_path / "walk.mp4")[0].shape == (48, 48, 3)
    plain = engine.walk(ask(), tmp_path / "plain.mp4")
    *_, small = plain
    assert small.preview.size == (SIDE, SIDE)
    assert same(last.preview, small.preview.resize((48, 48), Image.Resampling.LANCZOS))


def test_a_gif_is_a_film_too(engine: Engine, tmp_path: Path) -> None:
    path = result_of(engine.walk(ask(format="gif", fps=20), tmp_path / "walk.gif"))
    with Image.open(path) as film:
        assert film.n_frames == 20
        assert film.info["loop"] == 0


def test_without_a_path_the_film_lands_in_the_outputs(engine: Engine, settings: Settings) -> None:
    path = result_of(engine.walk(ask()))
    assert path.parent == settings.outputs
    assert path.name.startswith("paintings-walk-")
    assert result_of(engine.walk(ask())) == path
    other = result_of(engine.walk(ask(fps=10)))
    assert {*settings.outputs.iterdir()} == {path, other}
    assert other != path


@pytest.mark.parametrize("suffix", ["mp4", "gif"])
def test_closing_midway_leaves_no_file_and_a_usable_engine(engine: Engine, tmp_path: Path, suffix: str) -> None:
    job = engine.walk(ask(format=suffix, frames=100), tmp_path / f"walk.{suffix}")
    next(job)
    assert len(list(tmp_path.glob(f".*.{suffix}"))) == 1
    job.close()
    assert list(tmp_path.glob(f"*{suffix}")) == []
    assert list(tmp_path.glob(f".*{suffix}")) == []
    assert engine.render("paintings").image.size == (SIDE, SIDE)


def test_a_short_job_is_done_between_two_steps_of_a_walk(engine: Engine, tmp_path: Path) -> None:
    engine.render("paintings")  # loaded
    asked, done, steps_meanwhile = threading.Event(), threading.Event(), 0

    def short() -> None:
        asked.wait(30)
        result_of(engine.sample(SampleRequest(model="paintings", count=1)))
        done.set()

    thread = threading.Thread(target=short)
    thread.start()
    for step in engine.walk(ask(frames=600), tmp_path / "walk.mp4"):
        asked.set()
        if done.is_set():
            break
        steps_meanwhile = step.step
    thread.join(30)
    assert done.is_set()
    assert steps_meanwhile < 300


@pytest.mark.parametrize(
    ("values", "out", "part"),
    [
        ({"frames": 601}, "w.mp4", "at most 600 frames; got 601"),
        ({"size": 1025}, "w.mp4", "at most 1024 pixels a side; got 1025"),
        ({"format": "gif"}, "w.mp4", "must end in .gif; got 'w.mp4'"),
        ({}, "w", "must end in .mp4; got 'w'"),
        ({"format": "gif", "fps": 60}, "w.gif", "at most 50 frames a second"),
        ({"space": "z", "pictures": [1, {"mix": [1, 2]}]}, "w.mp4", "walk in w instead"),
        ({"pictures": [1, {"seed": 2, "classes": {"cubism": 1}}]}, "w.mp4", "'cubism'"),
        ({"pictures": list(range(65)), "frames": 100}, "w.mp4", "At most 64 pictures"),
    ],
)
def test_what_cannot_be_filmed_is_refused_before_any_work(
    engine: Engine, tmp_path: Path, values: dict[str, object], out: str, part: str
) -> None:
    with pytest.raises(StudioError) as refused:
        engine.walk(ask(**values), tmp_path / out)
    assert_sentence(refused.value, part)
    assert "hardware" not in vars(engine._machine)


def test_a_gif_too_large_to_hold_is_refused_before_any_work(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(video, "MAX_GIF_PIXELS", 11 * SIDE * SIDE)
    with pytest.raises(InvalidRequest, match="choose MP4"):
        engine.walk(ask(format="gif"), tmp_path / "walk.gif")


def test_a_place_that_cannot_be_written_is_one_sentence(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutputError) as refused:
        result_of(engine.walk(ask(), tmp_path / "file" / "walk.mp4"))
    assert_sentence(refused.value, "walk.mp4")


def test_the_public_profile_films_less(make_engine: Callable[..., Engine], tmp_path: Path) -> None:
    public = make_engine(profile="public", max_frames=240)
    with pytest.raises(InvalidRequest, match="at most 240 frames"):
        public.walk(ask(frames=241), tmp_path / "walk.mp4")
