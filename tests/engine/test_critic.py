"""What the engine says of a picture, and where it sees it."""

import io
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from critics import write_classifier
from PIL import Image
from sketch import pixels, same

from studio.core.errors import CheckpointError, ImageError, UnknownName
from studio.core.kinds import MODEL_KINDS
from studio.engine import Engine
from studio.engine.critic import overlay
from studio.settings import Settings


@pytest.fixture
def real_kinds() -> None:
    assert "classifier" in MODEL_KINDS


@pytest.fixture
def critic_engine(real_kinds: None, settings: Settings) -> Engine:
    write_classifier(settings.checkpoints / "classifier.safetensors")
    return Engine(settings)


def picture(width: int = 60, height: int = 40) -> Image.Image:
    image = Image.linear_gradient("L").resize((width, height))
    return Image.merge("RGB", (image, image.rotate(180), image))


def test_probabilities_are_sorted_and_sum_to_one(critic_engine: Engine) -> None:
    found = critic_engine.classify(picture())
    assert sorted(found) == ["blue", "red"]
    assert list(found.values()) == sorted(found.values(), reverse=True)
    assert sum(found.values()) == pytest.approx(1, abs=1e-12)


def test_the_same_picture_has_the_same_probabilities_in_any_engine(critic_engine: Engine, settings: Settings) -> None:
    first = critic_engine.classify(picture())
    assert critic_engine.classify(picture()) == first
    assert Engine(settings).classify(picture()) == first


def test_a_file_its_bytes_and_the_picture_are_the_same(critic_engine: Engine, tmp_path: Path) -> None:
    picture().save(tmp_path / "p.png")
    data = (tmp_path / "p.png").read_bytes()
    found = [critic_engine.classify(source) for source in (tmp_path / "p.png", data, io.BytesIO(data), picture())]
    assert all(each == found[0] for each in found)


def test_transparent_parts_are_white(critic_engine: Engine) -> None:
    clear = Image.new("RGBA", (32, 32), (0, 0, 0, 0))
    assert critic_engine.classify(clear) == critic_engine.classify(Image.new("RGB", (32, 32), "white"))


@pytest.mark.parametrize("size", [(1, 1), (3, 200), (500, 20), (128, 128)])
def test_any_size_can_be_asked_about(critic_engine: Engine, size: tuple[int, int]) -> None:
    assert sum(critic_engine.classify(picture(*size)).values()) == pytest.approx(1)
    assert critic_engine.saliency(picture(*size)).size == size


def test_saliency_is_of_the_likeliest_class_by_default_and_never_larger_than_is_shown(critic_engine: Engine) -> None:
    likeliest, other = critic_engine.classify(picture())
    shown = critic_engine.saliency(picture())
    assert same(shown, critic_engine.saliency(picture(), likeliest))
    assert not same(shown, critic_engine.saliency(picture(), other))
    assert critic_engine.saliency(picture(2000, 100)).size == (1024, 51)


def test_the_overlay_lights_what_is_seen_and_dims_the_rest() -> None:
    heat = torch.zeros(4, 4)
    heat[:, 3] = 2.0  # scaled to 1
    shown = pixels(overlay(Image.new("RGB", (64, 64), (200, 100, 50)), heat))
    left, right = shown[32, 2].astype(int), shown[32, 62].astype(int)
    assert abs(left - round(0.35 * (0.299 * 200 + 0.587 * 100 + 0.114 * 50))).max() <= 1, "grey, at 0.35 of its light"
    assert abs(right - (227, 165, 63)).max() <= 2, "half the picture, half the hottest colour (255, 230, 77)"
    dark = pixels(overlay(Image.new("RGB", (8, 8), (200, 100, 50)), torch.zeros(4, 4)))
    assert (dark == dark[0, 0, 0]).all()


def test_an_unknown_class_is_named_with_the_known_ones(critic_engine: Engine) -> None:
    with pytest.raises(UnknownName, match="'cubism'; known: blue, red"):
        critic_engine.saliency(picture(), "cubism")


def test_bad_pictures_are_refused_at_the_door(critic_engine: Engine, tmp_path: Path) -> None:
    for source in (b"no picture", tmp_path / "nothing.png"):
        with pytest.raises(ImageError):
            critic_engine.classify(source)


def test_without_a_critic_one_sentence_says_what_is_missing(real_kinds: None, settings: Settings) -> None:
    engine = Engine(settings)
    assert not engine.can_classify
    for ask in (engine.classify, engine.saliency):
        with pytest.raises(CheckpointError, match=r"classifier\.safetensors beside .* studio train classifier"):
            ask(picture())


def test_a_new_critic_takes_the_old_ones_place(critic_engine: Engine, settings: Settings) -> None:
    from critics import tiny

    before = critic_engine.classify(picture())
    write_classifier(settings.checkpoints / "classifier.safetensors", tiny(seed=5))
    assert critic_engine.can_classify
    assert critic_engine.classify(picture()) != before


def test_a_critic_is_not_among_the_models_that_paint(critic_engine: Engine) -> None:
    assert [info.name for info in critic_engine.models()] == []


def test_a_generator_under_the_critics_name_is_one_sentence(
    engine: Engine, settings: Settings, make_engine: Callable[..., Engine]
) -> None:
    shipped = settings.checkpoints / "paintings.safetensors"
    (settings.checkpoints / "classifier.safetensors").write_bytes(shipped.read_bytes())
    with pytest.raises(CheckpointError, match="is of kind 'sketch'; a critic is of kind 'classifier'"):
        engine.classify(picture())
