"""A library of one tiny model and a folder of tiny pictures, and the command line run in this process."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from studio.cli import app
from studio.core import checkpoint
from studio.core.kinds import MODEL_KINDS


@dataclass(frozen=True)
class Outcome:
    """What a command left: exit status, stdout, stderr."""

    status: int
    out: str
    err: str

    @property
    def record(self) -> Any:
        """The one JSON line."""
        assert self.out.count("\n") == 1
        return json.loads(self.out)

    @property
    def sentence(self) -> str:
        """The one sentence of a refusal."""
        assert (self.status, self.out) == (2, "")
        assert self.err.count("\n") == 1
        assert self.err.endswith(".\n")
        return self.err.strip()


Studio = Callable[..., Outcome]


@pytest.fixture
def studio() -> Studio:
    """Run ``studio ARGS``."""

    def run(*args: object) -> Outcome:
        result = CliRunner().invoke(app, [str(arg) for arg in args])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Outcome(result.exit_code, result.stdout, result.stderr)

    return run


def save_tiny(path: Path, classes: tuple[str, ...] = ("blue", "red"), **provenance: Any) -> Path:
    """An untrained generator of 32 px, the same in every test."""
    kind = MODEL_KINDS["dcgan"]
    config = kind.config(resolution=32, latent_dim=8, channels=16, class_dim=4)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = kind.build(config, len(classes)).eval()
    checkpoint.save(path, model, kind="dcgan", config=config, classes=classes, provenance=provenance, metrics={})
    return path


@pytest.fixture(name="save_tiny")
def save_tiny_fixture() -> Callable[..., Path]:
    """save_tiny, for tests that want another model."""
    return save_tiny


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of checkpoints, which holds `tiny`; home and outputs lie beside it."""
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    save_tiny(folder / "tiny.safetensors")
    monkeypatch.setenv("STUDIO_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("STUDIO_CHECKPOINTS", str(folder))
    for name in ("STUDIO_OUTPUTS", "STUDIO_PROFILE", "STUDIO_DEVICE", "STUDIO_KEEP_RECIPE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(
        "studio.engine.device.Precision._speed_up", lambda *_: 1.0
    )  # what it finds varies with the load
    return folder


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Ten blue and ten red pictures of 32 px in a folder a class, and a broken one."""
    numbers = np.random.default_rng(0)
    folder = tmp_path / "pictures"
    for channel, name in ((2, "blue"), (0, "red")):
        (folder / name).mkdir(parents=True)
        for index in range(10):
            pixels = numbers.integers(0, 256, (32, 32, 3), dtype=np.uint8)
            pixels[..., channel] = 255
            Image.fromarray(pixels).save(folder / name / f"{index}.png")
    (folder / "red" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    return folder
