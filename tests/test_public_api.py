"""The names of the package are there, lazily, and the README's five lines work."""

import importlib
import tomllib
from pathlib import Path

import pytest
from sketch import KIND, write_model

import studio
from studio.core.kinds import MODEL_KINDS

ROOT = Path(__file__).resolve().parent.parent


def test_the_version_is_the_one_of_pyproject() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert studio.__version__ == project["version"]


@pytest.mark.parametrize("name", studio.__all__)
def test_every_public_name_is_what_its_home_calls_so(name: str) -> None:
    thing = getattr(studio, name)
    assert thing.__name__ == name
    assert getattr(importlib.import_module(thing.__module__), name) is thing
    assert name in dir(studio)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Cubism'"):
        _ = studio.Cubism


def test_a_picture_in_five_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MODEL_KINDS, "_populate", None)
    monkeypatch.setattr(MODEL_KINDS, "_entries", {"sketch": KIND})
    monkeypatch.setenv("STUDIO_CHECKPOINTS", str(tmp_path / "checkpoints"))
    monkeypatch.setenv("STUDIO_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("STUDIO_DEVICE", "cpu")
    monkeypatch.chdir(tmp_path)
    write_model(tmp_path / "checkpoints" / "paintings.safetensors")

    from studio import Engine

    engine = Engine()
    sample = engine.render("paintings", 7, classes={"landscape": 0.7, "seascape": 0.3})
    sample.save("painting.png")

    assert (tmp_path / "painting.png").read_bytes().startswith(b"\x89PNG")
