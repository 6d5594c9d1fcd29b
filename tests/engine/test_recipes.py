"""A saved picture restores the request that made it; a recipe from a stranger is a request or a sentence."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sentences import assert_sentence
from sketch import same, write_model
from strategies import json_values

import studio
from studio.core.errors import InvalidRequest, StudioError, UnknownName
from studio.core.images import open_image, read_recipe
from studio.core.progress import result_of
from studio.engine import ClassesRequest, Engine, ModelInfo, SampleRequest, recipes
from studio.engine.requests import as_picture
from studio.settings import Settings

NESTED = {"of": {"mix": [1, {"of": 2, "radius": 0.5}], "groups": ["coarse"]}, "radius": 0.2, "seed": 9}
HASH = "0123456789abcdef" * 4


def test_a_saved_picture_comes_back_bit_for_bit(engine: Engine, tmp_path: Path) -> None:
    item = engine.render("paintings", NESTED, truncation=0.55, classes={"portrait": 2, "seascape": 1})
    item.save(tmp_path / "picture.png")
    recipe = read_recipe(tmp_path / "picture.png")
    assert recipe is not None
    restored = engine.restore(recipe)
    assert restored.notice is None
    assert restored.picture == item.picture
    again = engine.render(restored.request.model, restored.picture, truncation=restored.request.truncation)
    assert same(again.image, item.image)
    assert same(again.image, open_image(tmp_path / "picture.png"))


def test_a_picture_of_a_grid_restores_the_grid(engine: Engine) -> None:
    request = SampleRequest(model="paintings", seed=3, count=5, truncation=0.4)
    item = result_of(engine.sample(request))[2]
    restored = engine.restore(item.recipe)
    assert restored.request == request
    assert restored.picture == item.picture
    assert item.recipe["atelier"] == studio.__version__


def test_a_picture_of_a_listed_request_carries_itself_alone(engine: Engine) -> None:
    items = result_of(engine.sample(SampleRequest(model="paintings", pictures=[1, 2, NESTED])))
    restored = engine.restore(items[1].recipe)
    assert restored.request.pictures == (items[1].picture,)


def test_a_picture_of_a_class_grid_restores_the_class_grid(engine: Engine) -> None:
    request = ClassesRequest(model="paintings", seed=3, count=2, classes=["seascape"])
    grid = result_of(engine.classes(request))
    assert engine.restore(grid.samples[0][1].recipe).request == request


def test_the_recipe_can_be_left_out(engine: Engine, tmp_path: Path) -> None:
    engine.render("paintings").save(tmp_path / "picture.png", keep_recipe=False)
    assert read_recipe(tmp_path / "picture.png") is None


def test_a_recipe_never_holds_a_path(engine: Engine, settings: Settings) -> None:
    path = str(settings.checkpoints / "paintings.safetensors")
    item = engine.render(path, 3)
    assert item.recipe["model"] == item.recipe["request"]["model"] == "paintings"
    assert str(settings.checkpoints) not in str(item.recipe)


def test_a_model_that_has_changed_is_said(engine: Engine, settings: Settings) -> None:
    recipe = engine.render("plain", 3).recipe
    write_model(settings.checkpoints / "plain.safetensors", (), seed=7)
    restored = engine.restore(recipe)
    assert restored.request.model == "plain"
    assert_sentence(StudioError(restored.notice), "'plain' has changed", "may differ")


def test_a_model_of_another_name_is_found_by_its_content(engine: Engine, settings: Settings) -> None:
    recipe = engine.render("plain", 3).recipe
    (settings.checkpoints / "plain.safetensors").rename(settings.checkpoints / "renamed.safetensors")
    restored = engine.restore(recipe)
    assert restored.request.model == "renamed"
    assert_sentence(StudioError(restored.notice), "'plain'", "'renamed'")


def test_a_model_that_is_not_here_lists_those_that_are(engine: Engine, settings: Settings) -> None:
    recipe = engine.render("plain", 3).recipe
    (settings.checkpoints / "plain.safetensors").unlink()
    with pytest.raises(UnknownName) as refused:
        engine.restore(recipe)
    assert_sentence(refused.value, "'plain'", "flat, paintings")


def model_infos() -> list[ModelInfo]:
    return [
        ModelInfo(name="paintings", path=Path("paintings.safetensors"), sha256=HASH),
        ModelInfo(name="broken", path=Path("broken.safetensors"), error="It is broken."),
    ]


def valid() -> dict[str, Any]:
    make = recipes.recipes(SampleRequest(model="paintings", seed=3), "paintings", HASH)
    return make(as_picture(3))


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"verb": "walk"}, "known: sample, classes"),
        ({"verb": ["sample"]}, "known: sample, classes"),
        ({"model": 7}, "which model"),
        ({"model": "broken", "sha256": "f" * 64}, "known: paintings"),
        ({"model": "../../secret", "sha256": "f" * 64}, "known: paintings"),
        ({"sha256": "f"}, "which model"),
        ({"request": 7}, "no request"),
        ({"request": {"seed": "abc"}}, "seed must be a whole number"),
        ({"request": {"seed": 1, "shell": "rm"}}, "Unknown setting 'shell'"),
        ({"picture": []}, "must be a picture"),
        ({"picture": {"seed": -1}}, "got -1"),
    ],
)
def test_a_recipe_that_makes_no_sense_is_one_sentence(changes: dict[str, Any], part: str) -> None:
    with pytest.raises(StudioError) as refused:
        recipes.restore({**valid(), **changes}, model_infos())
    assert_sentence(refused.value, part)


@pytest.mark.parametrize("key", recipes.KEYS)
def test_a_recipe_of_another_program_is_one_sentence(key: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        recipes.restore({name: value for name, value in valid().items() if name != key}, model_infos())
    assert_sentence(refused.value, repr(key), "not made by this studio")


def test_the_model_in_the_request_is_the_one_that_was_found() -> None:
    recipe = valid()
    recipe["request"] = {**recipe["request"], "model": "/etc/passwd"}
    assert recipes.restore(recipe, model_infos()).request.model == "paintings"


@given(st.sampled_from(recipes.KEYS), json_values(), st.dictionaries(st.text(max_size=6), json_values(), max_size=3))
def test_any_recipe_is_restored_or_refused_in_a_sentence(key: str, value: Any, more: dict[str, Any]) -> None:
    recipe = {**valid(), key: value}
    if isinstance(recipe["request"], dict):
        recipe["request"] = {**recipe["request"], **more}
    try:
        restored = recipes.restore(recipe, model_infos())
    except StudioError as error:
        assert_sentence(error)
    else:
        assert restored.request.model == "paintings"
