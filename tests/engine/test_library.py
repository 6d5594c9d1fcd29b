"""Models are found by name, described without being loaded, and broken files are sentences in the list."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
from sentences import assert_sentence
from sketch import CLASSES, KIND, Sketch, write_model

from studio.core import checkpoint
from studio.core.errors import CheckpointError, StudioError, UnknownName
from studio.core.files import sha256_of
from studio.core.kinds import MODEL_KINDS
from studio.engine import Engine
from studio.engine.requests import SampleRequest
from studio.settings import Settings


def test_a_model_is_described(engine: Engine, settings: Settings, model: Sketch) -> None:
    path = settings.checkpoints / "paintings.safetensors"
    path.with_suffix(".md").write_text("# Paintings\n", encoding="utf-8")
    info = engine.info("paintings")
    assert (info.name, info.kind, info.path, info.error) == ("paintings", "sketch", path, None)
    assert (info.classes, info.resolution, info.layers) == (CLASSES, 16, 4)
    assert info.parameters == sum(tensor.numel() for tensor in model.parameters())
    assert info.sha256 == sha256_of(path)
    assert info.metrics == {"kid-vgg16": 0.5}
    assert info.card == "# Paintings\n"


def test_a_model_without_a_card_has_none(engine: Engine) -> None:
    assert engine.info("plain").card is None


def test_models_are_listed_by_name_shipped_ones_first(engine: Engine, settings: Settings) -> None:
    write_model(settings.models / "a-style-of-mine.safetensors")
    assert [info.name for info in engine.models()] == ["flat", "paintings", "plain", "a-style-of-mine"]


def test_the_models_of_the_studies_come_last(engine: Engine, settings: Settings) -> None:
    write_model(settings.models / "mine.safetensors")
    folder = settings.checkpoints / "studies"
    folder.mkdir()
    for name in ("dcgan-elu", "plain"):
        write_model(folder / f"{name}.safetensors")
    assert [info.name for info in engine.models()] == ["flat", "paintings", "plain", "mine", "dcgan-elu"]


def test_what_is_no_generator_is_not_listed_and_says_so(
    engine: Engine, settings: Settings, model: Sketch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(MODEL_KINDS._entries, "encoder", dataclasses.replace(KIND, name="encoder", latent=False))
    path = settings.checkpoints / "encoder.safetensors"
    rest = {"config": {}, "classes": CLASSES, "provenance": {}, "metrics": {}}
    checkpoint.save(path, model, kind="encoder", **rest)  # type: ignore[arg-type]
    assert "encoder" not in [info.name for info in engine.models()]
    with pytest.raises(UnknownName, match="'encoder'"):
        engine.sample(SampleRequest(model="encoder"))
    with pytest.raises(CheckpointError, match="no pictures from seeds"):
        list(engine.sample(SampleRequest(model=str(path))))


def test_a_name_that_both_folders_have_is_the_shipped_one(engine: Engine, settings: Settings) -> None:
    write_model(settings.models / "plain.safetensors", seed=5)
    (info,) = [info for info in engine.models() if info.name == "plain"]
    assert info.path.parent == settings.checkpoints


def test_no_folders_are_no_models(settings: Settings) -> None:
    assert Engine(settings).models() == []


def test_half_written_and_other_files_are_not_models(engine: Engine, settings: Settings) -> None:
    for name in (".tmp.safetensors", "paintings.md", "notes.txt"):
        (settings.checkpoints / name).write_bytes(b"")
    assert [info.name for info in engine.models()] == ["flat", "paintings", "plain"]


def test_a_broken_file_is_a_sentence_in_the_list_and_the_others_stay(engine: Engine, settings: Settings) -> None:
    (settings.checkpoints / "broken.safetensors").write_bytes(b"PK\x03\x04 a pickle in disguise")
    (settings.checkpoints / "folder.safetensors").mkdir()
    (settings.checkpoints / "gone.safetensors").symlink_to(settings.checkpoints / "nowhere")
    infos = {info.name: info for info in engine.models()}
    for name in ("broken", "folder", "gone"):
        assert infos[name].error
        assert_sentence(StudioError(infos[name].error), f"{name}.safetensors")
        assert infos[name].classes == ()
    assert infos["paintings"].error is None
    with pytest.raises(CheckpointError, match="broken"):
        engine.sample(SampleRequest(model="broken"))


def test_an_unknown_model_lists_the_known_ones(engine: Engine) -> None:
    with pytest.raises(UnknownName) as refused:
        engine.info("cubism")
    assert_sentence(refused.value, "'cubism'", "flat, paintings, plain")


def test_a_file_that_is_written_again_is_opened_again(engine: Engine, settings: Settings) -> None:
    before = engine.info("plain").sha256
    write_model(settings.checkpoints / "plain.safetensors", (), seed=9)
    assert engine.info("plain").sha256 != before


def test_a_path_is_a_model_in_the_local_profile(engine: Engine, tmp_path: Path) -> None:
    write_model(tmp_path / "elsewhere" / "mine.safetensors")
    info = engine.info(str(tmp_path / "elsewhere" / "mine.safetensors"))
    assert (info.name, info.classes) == ("mine", CLASSES)


@pytest.mark.parametrize("name", ["missing.safetensors", "/etc/passwd", "~nobody-here/x.safetensors", "a\0/b"])
def test_a_path_that_is_no_model_is_one_sentence(engine: Engine, name: str) -> None:
    with pytest.raises(StudioError) as refused:
        engine.info(name)
    assert_sentence(refused.value)


def test_the_public_profile_takes_no_paths(
    engine: Engine, make_engine: Callable[..., Engine], settings: Settings
) -> None:
    public = make_engine(profile="public")
    path = str(settings.checkpoints / "paintings.safetensors")
    assert engine.info(path).name == "paintings"
    for model in (path, "../checkpoints/paintings", "paintings.safetensors"):
        with pytest.raises(UnknownName):
            public.info(model)
    assert public.info("paintings").name == "paintings"
