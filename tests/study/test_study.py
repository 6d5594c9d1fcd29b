"""Miniature studies from the plan to the document, in real processes: resumed after a kill, judged, reported."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from studio.cli import app
from studio.core import checkpoint
from studio.core.dataset import ImageSet
from studio.core.errors import OutputError
from studio.core.progress import result_of
from studio.study import worker
from studio.study.conduct import conduct
from studio.study.export import export
from studio.study.plan import STUDIES, Record, RunPlan
from studio.study.records import keep_images, read_json, run_folder, write_json
from studio.ui.lab_studies import gradients, qualities

TINY = {"resolution": 32, "channels": 16, "latent_dim": 4}
MINIATURE = ("resolution=32", "channels=16", "latent_dim=4", "batch=4", "seeds=2", "count=8", "features=lite0")


def pictures() -> ImageSet:
    images = torch.randint(256, (16, 3, 32, 32), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    return ImageSet(images, torch.arange(16) % 2, ("a", "b"), tuple(map(str, range(16))))


def study_folder(folder: Path) -> Path:
    for name in ("training", "reference"):
        keep_images(folder / f"{name}.safetensors", pictures())
    return folder


def plan(steps: int = 30, **changes: object) -> RunPlan:
    values: dict[str, object] = {"images": 4 * steps, "probes": 3, "features": "lite0", "count": 8, "device": "cpu"}
    return RunPlan("tiny-seed0", "tiny", "dcgan", TINY, {}, 0, 4, **(values | changes))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def folder_of_pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    pixels = np.random.default_rng(0).integers(0, 256, (16, 32, 32, 3), dtype=np.uint8)
    for index, picture in enumerate(pixels):
        (folder / "ab"[index % 2]).mkdir(exist_ok=True)
        Image.fromarray(picture).save(folder / "ab"[index % 2] / f"{index}.png")
    return folder


def run(*args: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["study", *map(str, args)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout, result.stderr


def test_a_killed_run_goes_on_and_equals_one_that_never_stopped(tmp_path: Path) -> None:
    folder, whole = study_folder(tmp_path / "killed"), study_folder(tmp_path / "whole")
    slow = plan(save_seconds=0.0)
    own = run_folder(folder, slow)
    write_json(own / "plan.json", slow.to_json())
    process = subprocess.Popen(
        [sys.executable, "-m", "studio.study.worker", str(own / "plan.json")],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    state = own / "model.state.pt"
    until = time.monotonic() + 120
    while not state.exists() and time.monotonic() < until and process.poll() is None:
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert 0 < torch.load(state, weights_only=True)["images"] < 120
    assert not (own / "record.json").exists()
    (resumed,) = result_of(conduct([slow], folder, workers=1, threads=1))
    expected = worker.execute(plan(), whole, lambda: False)
    assert expected is not None
    assert checkpoint.load(resumed.checkpoint).tensors().keys() == checkpoint.load(expected.checkpoint).tensors().keys()
    for name, tensor in checkpoint.load(expected.checkpoint).tensors().items():
        assert torch.equal(tensor, checkpoint.load(resumed.checkpoint).tensors()[name]), name
    assert resumed.probes == json.loads(json.dumps(expected.probes))
    assert [probe["images"] for probe in resumed.probes] == [40, 80, 120]
    assert resumed.metrics == pytest.approx(expected.metrics)
    assert resumed.step_seconds > 0


def test_a_stopped_worker_leaves_a_state_and_no_record(tmp_path: Path) -> None:
    folder, asked = study_folder(tmp_path), iter([False] * 5 + [True] * 9)
    assert worker.execute(plan(), folder, lambda: next(asked)) is None
    own = run_folder(folder, plan())
    assert torch.load(own / "model.state.pt", weights_only=True)["images"] == 24
    assert not (own / "record.json").exists()


def test_a_training_that_breaks_down_is_a_record_and_not_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("studio.training.run.MAX_ROLLBACKS", 0)
    monkeypatch.setattr("studio.training.loop.CHECK_STEPS", 2)
    monkeypatch.setattr(
        "studio.training.dcgan.DcganTrainer.step", lambda *args: {"generator": torch.tensor(float("nan"))}
    )
    broken = worker.execute(plan(), study_folder(tmp_path / "nan"), lambda: False)
    assert broken is not None
    assert "not finite" in broken.failed
    assert broken.metrics == {}
    assert read_json(broken.folder / "record.json")["failed"] == broken.failed


def test_activations_from_the_plan_to_the_document(tmp_path: Path, folder_of_pictures: Path) -> None:
    out, docs, models = tmp_path / "study", tmp_path / "docs", tmp_path / "models"
    settings = ("--config", *MINIATURE, "steps=4", "activations=relu,tanh", "mixed=", "networks=generator", "probes=2")
    places = ("--data", folder_of_pictures, "--test-data", folder_of_pictures, "--device", "cpu")
    reports = ("--report", docs, "--export", models, "--licence", "Ask first.", "--json")
    status, text, err = run("activations", "--out", out, *settings, *places, "--workers", 2, *reports)
    assert status == 0, err
    told = json.loads(text)
    assert (told["runs"], told["finished"], told["broke_down"]) == (4, 4, [])
    assert all("kid-lite0" in metrics for metrics in told["metrics"].values())
    document = (docs / "ACTIVATIONS.md").read_text()
    summary = json.loads((docs / "activations.json").read_text())
    assert len(qualities(summary)) == 4
    assert len(gradients(summary, [plan["plan"]["setting"] for plan in summary])) == 2 * 2
    assert "| G tanh, D leaky_relu |" in document
    assert "mean Spearman correlation of" in document
    assert sorted(path.name for path in docs.iterdir()) == [
        "ACTIVATIONS.md", "activations-gradients-d.svg", "activations-gradients-g.svg", "activations.json",
        "activations.svg", "activations.webp",
    ]  # fmt: skip
    assert sorted(path.name for path in models.iterdir()) == [
        "dcgan-g-relu-d-leaky_relu.md", "dcgan-g-relu-d-leaky_relu.safetensors",
        "dcgan-g-tanh-d-leaky_relu.md", "dcgan-g-tanh-d-leaky_relu.safetensors",
    ]  # fmt: skip
    kept = checkpoint.load(models / "dcgan-g-tanh-d-leaky_relu.safetensors")
    assert kept.metrics == told["metrics"]["dcgan-g-tanh-d-leaky_relu-seed0"]
    assert kept.provenance["licence"] == "Ask first."
    assert "Ask first." in (models / "dcgan-g-tanh-d-leaky_relu.md").read_text()
    before = {path: path.stat().st_mtime_ns for path in out.rglob("record.json")}
    assert run("activations", "--out", out, *settings, *places)[0] == 0
    assert {path: path.stat().st_mtime_ns for path in out.rglob("record.json")} == before, "finished runs are skipped"
    status, text, err = run("activations", "--out", out, *settings, "seed=3", *places)
    assert "seed" in err
    fewer = [text.replace("seeds=2", "seeds=1") for text in settings]
    assert fewer != list(settings)
    status, text, err = run("activations", "--out", out, *fewer, *places, "--json")
    assert (status, json.loads(text)["finished"]) == (0, 2), "the number of seeds may change"
    status, text, err = run("activations", "--out", out, *settings[:-1], "probes=1", *places)
    assert (status, err) == (
        2,
        "study holds a study with other settings (probes was 2, is 1); choose another --out.\n",
    )


def test_objectives_from_the_plan_to_the_document(tmp_path: Path, folder_of_pictures: Path) -> None:
    out, docs = tmp_path / "study", tmp_path / "docs"
    settings = ("--config", *MINIATURE[:4], *MINIATURE[5:], "seeds=1", "seconds=0.3", "objectives=hinge",
                "others=egan,vae", "interval=2", "vae_channels=16", "vae_features=false")  # fmt: skip
    places = ("--data", folder_of_pictures, "--test-data", folder_of_pictures, "--device", "cpu")
    status, text, err = run("objectives", "--out", out, *settings, *places, "--workers", 2, "--report", docs)
    assert status == 0, err
    assert text.startswith("4 of 4 runs are finished.")
    document = (docs / "OBJECTIVES.md").read_text()
    assert all(f"| {setting} |" in document for setting in ("GAN hinge", "E-GAN", "E-GAN every 2 steps", "VAE"))
    assert all(f"- {setting}: its mean KID" in document for setting in ("E-GAN", "E-GAN every 2 steps"))
    assert len(list((out / "cache").glob("lite0-likeness-*"))) == 1, "the training pictures are described once"


def test_a_dry_run_lists_the_runs_and_their_time(tmp_path: Path) -> None:
    settings = ("--config", *MINIATURE, "steps=4", "activations=relu", "mixed=", "networks=generator")
    status, text, err = run("activations", "--out", tmp_path / "study", *settings, "--device", "cpu", "--dry-run")
    assert status == 0, err
    assert "dcgan-g-relu-d-leaky_relu-seed1: G relu, D leaky_relu, 16 pictures" in text
    assert "2 runs, about 0:00:" in text
    assert not (tmp_path / "study").exists()


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("colours", "--out", "x"), "Unknown study 'colours'; known: activations, objectives."),
        (("activations", "--out", "OUT"), "--data and --test-data"),
        (("activations", "--out", "OUT", "--data", "x"), "--test-data to judge by"),
        (("activations", "--out", "OUT", "--report", "OUT"), "No run of the study is finished"),
        (("activations", "--out", "OUT", "--workers", "0"), "0 workers"),
    ],
)
def test_bad_input_is_one_sentence(args: tuple[str, ...], says: str, tmp_path: Path) -> None:
    status, text, err = run(*(str(tmp_path / "out") if arg == "OUT" else arg for arg in args))
    assert (status, text) == (2, "")
    assert says in err


def test_a_model_over_two_megabytes_is_not_exported(tmp_path: Path) -> None:
    record = Record(plan(), tmp_path, 4, 1.0, 0.1)
    record.checkpoint.write_bytes(bytes(2_000_001))
    with pytest.raises(OutputError, match=r"2000001 bytes, over the 2000000 .* fewer channels"):
        export(STUDIES["objectives"], [record], tmp_path / "models")
