"""The kind of tests/sketch.py alone, checkpoints of it, and an engine on two threads of the CPU."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from sketch import KIND, Sketch, write_model

from studio.core import bfloat16
from studio.core.kinds import MODEL_KINDS
from studio.engine import Engine
from studio.settings import Settings


@pytest.fixture(autouse=True)
def _kinds(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """The table of kinds holds "sketch" alone, except where a test is marked to use the real ones."""
    monkeypatch.setattr(bfloat16, "speed_up", lambda record: 1.0)  # no luck in what a trial measures
    if "real_kinds" in request.fixturenames:
        return
    monkeypatch.setattr(MODEL_KINDS, "_populate", None)
    monkeypatch.setattr(MODEL_KINDS, "_entries", {"sketch": KIND})


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home", checkpoints=tmp_path / "checkpoints", device="cpu", threads=2)


@pytest.fixture
def model(settings: Settings) -> Sketch:
    """The model "paintings", with classes."""
    return write_model(settings.checkpoints / "paintings.safetensors")


@pytest.fixture
def engine(settings: Settings, model: Sketch) -> Engine:
    """An engine with "paintings" (3 classes), "plain" (none) and "flat" (none, one layer)."""
    write_model(settings.checkpoints / "plain.safetensors", (), seed=1)
    write_model(settings.checkpoints / "flat.safetensors", (), seed=2, layers=1)
    return Engine(settings)


@pytest.fixture
def make_engine(settings: Settings, model: Sketch) -> Callable[..., Engine]:
    """Further engines on the same folders, with some settings changed."""
    return lambda **changes: Engine(replace(settings, **changes))
