"""``studio adapt``: folders and files, what is written and said, and one sentence for each mistake."""

import signal
from pathlib import Path

import pytest
from hands import work, write_base, write_works
from PIL import Image

from studio.core.progress import Progress
from studio.engine import Engine

QUICK = ("--method", "meta", "--steps", 1)


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_base(tmp_path_factory.mktemp("bases")).parent


@pytest.fixture
def desk(tmp_path: Path, bases: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with `works`, five pictures of an artist; home lies beside it."""
    monkeypatch.setenv("STUDIO_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("STUDIO_CHECKPOINTS", str(bases))
    monkeypatch.setenv("STUDIO_THREADS", "1")
    for name in ("STUDIO_OUTPUTS", "STUDIO_PROFILE", "STUDIO_DEVICE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("studio.core.bfloat16.speed_up", lambda record: 1.0)  # no luck in what a trial measures
    write_works(tmp_path / "works")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_folder_becomes_a_model_of_the_library_with_a_sheet_beside_it(studio, desk: Path) -> None:
    outcome = studio("adapt", "works", "--name", "mine", *QUICK, "--json")
    assert outcome.status == 0
    record = outcome.record
    models = desk / "home" / "models"
    assert (record["file"], record["sheet"]) == (str(models / "mine.safetensors"), str(models / "mine.png"))
    assert (record["name"], record["base"], record["method"]) == ("mine", "meta", "meta")
    assert (record["steps"], record["pictures"], record["offered"]) == (1, 5, 5)
    assert [stage["step"] for stage in record["stages"]] == [0, 1]
    assert record["bytes"] == (models / "mine.safetensors").stat().st_size < 1_500_000
    with Image.open(models / "mine.png") as sheet:
        assert sheet.width > 8 * 32
        assert sheet.height == 2 * 32 + 2
    assert studio("sample", "mine", "--count", 1, "--out", "painted").status == 0
    again = studio("adapt", "works", "--name", "mine", *QUICK)
    assert "already; choose another name" in again.sentence


def test_files_go_to_the_file_that_is_named_and_a_broken_one_is_skipped(studio, desk: Path) -> None:
    (desk / "works" / "broken.jpg").write_bytes(b"\xff\xd8\xff broken")
    work(0).save(desk / "double.png")
    files = [*sorted((desk / "works").iterdir()), "double.png"]
    outcome = studio("adapt", *files, "--name", "mine", "--out", "made/a.safetensors", "--crop", "whole", *QUICK)
    assert outcome.status == 0
    assert sorted(file.name for file in (desk / "made").iterdir()) == ["a.png", "a.safetensors"]
    assert "Skipped: broken.jpg is truncated or damaged" in outcome.err
    assert "double.png: Left out: it is the same as another one." in outcome.out
    assert "Learned 'mine' from 5 pictures in 1 step (base meta, method meta)." in outcome.out
    assert not (desk / "home" / "models").exists()


def test_of_many_pictures_an_even_sample_is_looked_at_and_it_is_said(studio, desk: Path) -> None:
    for index in range(70):
        work(index, 64, 64).save(desk / "works" / f"{index:03}.png")
    outcome = studio("adapt", "works", "--method", "embed", "--out", "a.safetensors")
    assert "Of 75 pictures 60 were looked at, evenly spread." in outcome.out
    assert "from 20 pictures in 0 steps" in outcome.out


def test_an_interrupt_keeps_the_last_snapshot(studio, desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    adapt = Engine.adapt

    def interrupted(self: Engine, *args: object):  # type: ignore[no-untyped-def]
        for progress in adapt(self, *args):  # type: ignore[arg-type]
            if progress.step == 1:
                signal.raise_signal(signal.SIGINT)
            yield progress

    monkeypatch.setattr(Engine, "adapt", interrupted)
    outcome = studio("adapt", "works", "--name", "mine", "--method", "meta", "--budget", 600, "--json")
    assert outcome.status == 130
    assert outcome.record["kept"] == 0
    assert (desk / "home" / "models" / "mine.safetensors").is_file()


def test_an_interrupt_before_there_is_anything_writes_nothing(
    studio, desk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(self: Engine, *args: object):  # type: ignore[no-untyped-def]
        signal.raise_signal(signal.SIGINT)
        yield Progress(0)

    monkeypatch.setattr(Engine, "adapt", interrupted)
    outcome = studio("adapt", "works", "--name", "mine")
    assert (outcome.status, outcome.out) == (130, "")
    assert outcome.err == "Stopped before anything was learned; nothing is written.\n"
    assert not (desk / "home" / "models").exists()


def test_a_full_disk_is_one_sentence_and_leaves_nothing_half_written(
    studio, desk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("studio.core.files._flush", full)
    outcome = studio("adapt", "works", "--method", "embed", "--out", "made/a.safetensors")
    assert "no space is left on the disk" in outcome.sentence
    assert list((desk / "made").iterdir()) == []


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["nothing"], "nothing does not exist"),
        (["empty"], "The folder empty holds no PNG, JPEG, WebP or GIF."),
        (["works/work-0.png"], "at least 3 different pictures; got 1"),
        (["works", "--out", "a.zip"], "--out must end in .safetensors"),
        (["works", "--name", "meta"], "comes with the studio"),
        (["works", "--name", "a/b"], "cannot be a model's name"),
        (["works", "--name", "portrait"], "has a class called 'portrait'"),
        (["works", "--method", "magic"], "known: meta"),
        (["works", "--base", "nobody"], "Unknown model"),
        (["works", "--budget", "0"], "budget must be a number from 1"),
        (["works", "--steps", "-1"], "steps must be a whole number"),
        (["works", "--crop", "oval"], "crop must be one of"),
    ],
)
def test_bad_input_is_one_sentence_and_writes_nothing(studio, desk: Path, args: list[str], says: str) -> None:
    (desk / "empty").mkdir()
    outcome = studio("adapt", *args)
    assert outcome.status == 2
    assert says in outcome.err
    assert not (desk / "home" / "models").exists()
