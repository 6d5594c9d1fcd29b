"""Runs that outlive the page: queued, paused, kept, killed and resumed, each in a process of its own."""

import os
import signal
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sentences import assert_sentence

from studio.core import checkpoint
from studio.core.errors import InvalidRequest, OutputError, StudioError
from studio.core.lock import holding
from studio.core.progress import Progress
from studio.training import work
from studio.training.runs import (
    DONE,
    ERRORS,
    FAILED,
    GO,
    LOCK,
    PAUSE,
    PAUSED,
    QUEUED,
    STOP,
    TRAINING,
    Order,
    Runs,
    RunState,
    write_status,
)

TINY = {"resolution": 32, "channels": 16, "latent_dim": 8}
PATIENCE = 120.0  # seconds


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A folder of 16 pictures of different sizes, all of one class."""
    folder = tmp_path / "pictures"
    (folder / "sea").mkdir(parents=True)
    numbers = np.random.default_rng(0)
    for index in range(16):
        noise = numbers.integers(0, 256, (20 + index, 40 - index, 3), dtype=np.uint8)
        Image.fromarray(noise).save(folder / "sea" / f"{index}.png")
    return folder


@pytest.fixture
def runs(tmp_path: Path) -> Iterator[Runs]:
    made = Runs(tmp_path / "home")
    yield made
    for state in made.all():
        if not state.ended:
            made.wish(state.key, PAUSE)
    _until(lambda: not made.at_work)
    if made._worker is not None:
        made._worker.wait(PATIENCE)


def order(pictures: Path, name: str = "mine", **changes: object) -> Order:
    return replace(Order(name, "dcgan", (str(pictures),), TINY, seconds=600, batch=4, device="cpu"), **changes)  # type: ignore[arg-type]


def _until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "nothing happened"
        time.sleep(0.1)


def _at_work(runs: Runs, key: str) -> RunState:
    """The run once it has learned something."""
    _until(lambda: runs.get(key).stage in (FAILED, DONE) or (runs.get(key).images > 0 and runs.get(key).losses))
    state = runs.get(key)
    assert state.stage == TRAINING, (state.error, (runs.folder / ERRORS).read_text())
    return state


def _killed(runs: Runs, key: str) -> RunState:
    """The run after its worker has been killed."""
    os.kill(runs.get(key).pid, signal.SIGKILL)
    _until(lambda: not runs.at_work)
    return runs.get(key)


def test_a_run_trains_in_its_own_process_and_what_is_stopped_is_kept(runs: Runs, pictures: Path) -> None:
    key = runs.add(order(pictures)).key
    runs.tend()
    state = _at_work(runs, key)
    assert runs.at_work
    assert runs._worker is not None
    assert os.getpriority(os.PRIO_PROCESS, runs._worker.pid) >= work.NICE
    assert 0 < state.seconds < 600
    assert set(state.losses) >= {"generator", "discriminator"}
    runs.wish(key, STOP)
    _until(lambda: runs.get(key).stage == DONE)
    kept = checkpoint.load(runs.home / "models" / "mine.safetensors")
    assert kept.kind == "dcgan"
    assert kept.build().resolution == 32
    assert "dcgan" in (runs.home / "models" / "mine.md").read_text()
    assert set(runs.get(key).curves()) >= {"generator", "discriminator"}


def test_a_killed_run_is_found_again_and_resumes(runs: Runs, pictures: Path, tmp_path: Path) -> None:
    key = runs.add(order(pictures)).key
    runs.tend()
    _at_work(runs, key)
    runs.wish(key, PAUSE)
    _until(lambda: runs.get(key).stage == PAUSED)
    paused = runs.get(key)
    runs.wish(key, GO)
    _until(lambda: runs.tend() or runs.get(key).images > paused.images)
    killed = _killed(runs, key)
    assert killed.stage == TRAINING
    again = Runs(tmp_path / "home")  # as a page that is opened later finds it
    assert [state.key for state in again.all()] == [key]
    again.tend()
    _until(lambda: again.get(key).images > killed.images)
    assert any("Resumed at" in note for note in again.get(key).notes)
    again.wish(key, STOP)
    _until(lambda: again.get(key).stage == DONE)
    assert again._worker is not None
    again._worker.wait(PATIENCE)


def test_a_second_run_waits_for_the_first_and_then_begins_by_itself(runs: Runs, pictures: Path) -> None:
    first, second = (runs.add(order(pictures, name)).key for name in ("one", "two"))
    runs.tend()
    _at_work(runs, first)
    runs.tend()
    assert runs.get(second).stage == QUEUED
    runs.wish(first, STOP)
    _at_work(runs, second)  # nobody has tended
    assert runs.get(first).stage == DONE
    runs.wish(second, STOP)
    _until(lambda: runs.get(second).stage == DONE)


def test_a_run_ends_when_its_time_is_over(runs: Runs, pictures: Path) -> None:
    key = runs.add(order(pictures, seconds=1.0)).key
    runs.tend()
    _until(lambda: runs.get(key).stage == DONE)
    assert (runs.home / "models" / "mine.safetensors").is_file()
    assert runs.next() is None


def test_too_few_pictures_are_a_sentence_and_more_can_be_tried(runs: Runs, pictures: Path) -> None:
    for file in sorted((pictures / "sea").iterdir())[3:]:
        file.unlink()
    key = runs.add(order(pictures)).key
    runs.tend()
    _until(lambda: runs.get(key).stage == FAILED)
    assert runs.get(key).error == "Only 3 pictures could be read (0 were skipped); at least 4 are needed."
    assert runs.next() is None
    runs.wish(key, GO)
    found = runs.next()
    assert found is not None
    assert found.key == key


def test_a_zip_is_kept_with_its_run(runs: Runs, pictures: Path, tmp_path: Path) -> None:
    upload = tmp_path / "upload.zip"
    with zipfile.ZipFile(upload, "w") as archive:
        archive.writestr("../up.png", b"x")
        for file in pictures.rglob("*.png"):
            archive.write(file, f"mine/{file.name}")
    key = runs.add(order(pictures, data=()), upload).key
    upload.unlink()
    runs.tend()
    notes = _at_work(runs, key).notes
    assert any("../up.png: its path leads out of the archive." in note for note in notes)
    assert not (tmp_path / "home" / "runs" / "up.png").exists()


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"data": ()}, "nothing to learn from"),
        ({"data": ("/nowhere/at/all",)}, "'/nowhere/at/all'"),
        ({"name": "../up"}, "1 to 60"),
        ({"name": ""}, "1 to 60"),
        ({"seconds": 0}, "got 0 seconds"),
    ],
)
def test_an_order_that_cannot_be_used_is_a_sentence(
    runs: Runs, pictures: Path, changes: dict[str, object], part: str
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        runs.add(order(pictures, **changes))
    assert_sentence(caught.value, part)
    assert runs.all() == []


def test_a_name_is_taken_once(runs: Runs, pictures: Path) -> None:
    runs.add(order(pictures))
    with pytest.raises(InvalidRequest, match="'mine' is there already"):
        runs.add(order(pictures))
    (runs.home / "models").mkdir()
    (runs.home / "models" / "other.safetensors").touch()
    with pytest.raises(InvalidRequest, match="has a model 'other' already"):
        runs.add(order(pictures, "other"))


def test_a_run_that_never_began_is_gone_when_it_is_stopped(runs: Runs, pictures: Path) -> None:
    key = runs.add(order(pictures)).key
    runs.wish(key, STOP)
    assert runs.all() == []
    with pytest.raises(InvalidRequest, match="no longer there"):
        runs.get("../../etc")


def test_a_full_disk_is_a_sentence(runs: Runs, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    upload = tmp_path / "upload.zip"
    upload.write_bytes(b"x" * 100)
    state = runs.add(order(pictures))
    monkeypatch.setattr("shutil.disk_usage", lambda path: _Usage())
    with pytest.raises(OutputError, match="no room for upload"):
        runs.add(order(pictures, "other"), upload)
    ended = work.execute(state, _Wishes(state.folder), tmp_path)
    assert ended.stage == FAILED
    assert "are free" in ended.error


class _Usage:
    free = 0


class _Wishes(work.Wishes):
    """Without signals, for work in this process."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.signalled = folder, False
        self._looked, self._wish = 0.0, GO


def test_a_roll_back_is_told(runs: Runs, pictures: Path) -> None:
    state = runs.add(order(pictures))
    note = "A loss was not finite at 80 pictures; went back to 40 and on with other random numbers."
    job = iter([Progress(80, 100, {"generator": float("nan")}), Progress(40, 100, note=note), Progress(44, 100)])
    assert work.follow(state, job, 0.0).notes == (note,)
    assert runs.get(state.key).notes == (note,)
    assert runs.get(state.key).losses == {}


def test_a_run_that_breaks_off_at_the_same_place_is_given_up(runs: Runs, pictures: Path, tmp_path: Path) -> None:
    state = runs.add(order(pictures))
    write_status(replace(state, images=8, started_at=8, starts=work.MAX_STARTS))
    found = runs.get(state.key)
    ended = work.execute(found, _Wishes(found.folder), tmp_path)
    assert ended.stage == FAILED
    assert_sentence(StudioError(ended.error), "3 times at 8 pictures")


def test_the_lock_is_held_by_one(tmp_path: Path) -> None:
    with holding(tmp_path / LOCK) as first, holding(tmp_path / LOCK) as second:
        assert (first, second) == (True, False)
    with holding(tmp_path / LOCK) as third:
        assert third
