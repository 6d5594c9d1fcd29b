"""``studio train``: a run, its stop and its resumption, as a person sees them."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from studio.core import checkpoint
from studio.core.progress import Progress

SMALL = ("--config", "resolution=32", "channels=16", "latent_dim=8", "batch=2")


def test_a_run_writes_checkpoint_state_and_logs_and_resumes(studio, pictures: Path, tmp_path: Path) -> None:
    out = tmp_path / "models" / "mine.safetensors"
    args = ("train", "cdcgan", "--data", pictures, "--out", out, *SMALL, "images=20")
    first = studio(*args, "--provenance", "data=ten blue, ten red", "--json")
    assert first.status == 0, first.err
    assert first.err == (
        "Skipped 1 of 21 pictures, the first is red/broken.png: "
        "broken.png is truncated or damaged; save or copy it again.\n"
    )
    record = first.record
    assert (record["images"], record["stopped"], record["training_images"], record["skipped"]) == (20, "images", 20, 1)
    assert {"generator", "discriminator"} <= record["losses"].keys()
    assert Path(record["state"]).is_file()
    assert (Path(record["logs"]) / "log.jsonl").is_file()
    opened = checkpoint.load(out)
    assert (opened.kind, opened.classes, opened.provenance["data"]) == ("dcgan", ("blue", "red"), "ten blue, ten red")

    assert "--resume" in studio(*args).sentence, "a run is not overwritten by accident"
    assert checkpoint.load(out).sha256 == opened.sha256
    second = studio("train", "cdcgan", "--data", pictures, "--out", out, *SMALL, "images=40", "--resume")
    assert second.status == 0, second.err
    assert f"Saved {out} after 40 pictures" in second.out
    assert "Resumed at 20 pictures" in second.err
    assert studio(*args, "--overwrite", "--json").record["images"] == 20


def test_a_time_limit_saves_and_says_how_to_go_on(studio, pictures: Path, tmp_path: Path) -> None:
    out = tmp_path / "short.safetensors"
    outcome = studio("train", "dcgan", "--data", pictures, "--out", out, *SMALL, "--max-time", "1s")
    assert outcome.status == 0, outcome.err
    assert outcome.out.endswith("Go on with --resume.\n")
    assert out.is_file()


def test_classes_choose_among_the_data(studio, pictures: Path, tmp_path: Path) -> None:
    args = ("train", "dcgan", "--data", pictures, "--classes", "red", "--out", tmp_path / "red.safetensors", *SMALL)
    assert studio(*args, "images=8", "--json").record["training_images"] == 10
    sentence = studio(*args[:5], "green", *args[6:], "--overwrite").sentence
    assert "blue, red" in sentence


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_lets_the_step_end_and_the_run_save(
    studio, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, status: int
) -> None:
    saved: list[int] = []

    def endless(*args: object, stop: Callable[[], bool]) -> Iterator[Progress[None]]:
        step = 0
        while not stop():
            step += 1
            if step == 3:
                os.kill(os.getpid(), number)
                time.sleep(0.05)
            yield Progress(step, 100, {"generator": 0.5, "images_per_second": 2.0})
        saved.append(step)

    monkeypatch.setattr("studio.training.loop.fit", endless)
    before = signal.getsignal(number)
    outcome = studio("train", "dcgan", "--data", pictures, "--out", tmp_path / "m.safetensors", *SMALL, "--json")
    assert outcome.status == status
    assert (outcome.record["stopped"], outcome.record["images"]) == ("signal", 3)
    assert saved == [3]
    assert signal.getsignal(number) is before


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["painter", "--data", "DATA"], "gan, cgan"),
        (["gan"], "--data"),
        (["gan", "--data", "nowhere"], "nowhere"),
        (["gan", "--data", "DATA", "--config", "beans=3"], "no setting 'beans'"),
        (["gan", "--data", "DATA", "--config", "beans"], "name=value"),
        (["gan", "--data", "DATA", "--config", "resolution=33"], "33"),
        (["gan", "--data", "DATA", "--config", "resolution=NaN"], "resolution"),
        (["gan", "--data", "DATA", "--config", "learning_rate=Infinity"], "learning_rate"),
        (["dcgan", "--data", "DATA", "--config", "generator_activation=swoosh"], "leaky_relu"),
        (["gan", "--data", "DATA", "--config", "batch=64", "resolution=32"], "at least 64"),
        (["gan", "--data", "DATA", "--styles", "DATA"], "takes no --styles"),
        (["stylizer", "--data", "DATA", "--styles", "DATA"], "encoder=FILE"),
        (["encoder", "--data", "DATA", "--config", "teacher=nowhere.safetensors"], "nowhere.safetensors"),
        (["gan", "--data", "DATA", "--max-time", "soon"], "'soon'"),
        (["gan", "--data", "DATA", "--precision", "fp8"], "bf16"),
        (["gan", "--data", "DATA", "--device", "abacus"], "abacus"),
        (["dcgan", "--data", "DATA", *SMALL, "--resume"], "resume"),
        (["dcgan", "--data", "DATA", *SMALL, "--init", "nothing.safetensors"], "nothing.safetensors"),
    ],
)
def test_bad_input_is_one_sentence_and_leaves_no_checkpoint(
    studio, pictures: Path, tmp_path: Path, args: list[str], says: str
) -> None:
    (pictures / "red" / "broken.png").unlink()
    out = tmp_path / "out" / "m.safetensors"
    sentence = studio("train", *(str(pictures) if arg == "DATA" else arg for arg in args), "--out", out).sentence
    assert says in sentence
    assert not out.exists()


def test_an_output_that_cannot_be_written_is_known_before_the_first_step(
    studio, pictures: Path, tmp_path: Path
) -> None:
    (pictures / "red" / "broken.png").unlink()
    (tmp_path / "file").write_text("in the way")
    outcome = studio("train", "dcgan", "--data", pictures, "--out", tmp_path / "file" / "m.safetensors", *SMALL)
    assert "cannot be written" in outcome.sentence
