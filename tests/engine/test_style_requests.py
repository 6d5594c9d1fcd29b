"""Requests of style transfer take what makes sense, refuse the rest in one sentence, and survive JSON."""

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sentences import assert_sentence
from strategies import json_values

from studio.core.errors import StudioError
from studio.engine.style_requests import StylizeRequest, colourings
from studio.style.optimisers import OPTIMISERS
from studio.style.similarity import SIMILARITIES

A, B, C = "a" * 64, "b" * 64, "c" * 64
FIELDS = tuple(StylizeRequest.model_fields)


def ask(**values: Any) -> StylizeRequest:
    return StylizeRequest(**{"content": A, "styles": [B], **values})


def test_text_names_a_picture_or_a_masterwork() -> None:
    request = ask(styles=[B, "great-wave", {"picture": C, "weight": 3}])
    assert [style.model_dump() for style in request.styles] == [
        {"picture": B, "weight": 1.0},
        {"masterwork": "great-wave", "weight": 1.0},
        {"picture": C, "weight": 3.0},
    ]
    assert request.references == (A, B, C)


def test_every_picture_of_a_request_is_named_once() -> None:
    assert ask(content=A, styles=[A, B], mask=C, start=B).references == (A, B, C)


@pytest.mark.parametrize(("value", "weights"), [("gram", {"gram": 1.0}), (["gram", "mmd"], {"gram": 1.0, "mmd": 1.0})])
def test_similarities_are_weighed_alike_where_only_named(value: Any, weights: dict[str, float]) -> None:
    assert ask(similarity=value).similarity == weights


@pytest.mark.parametrize("name", SIMILARITIES.names())
def test_every_similarity_can_be_asked_for(name: str) -> None:
    assert ask(similarity=name).similarity == {name: 1.0}


@pytest.mark.parametrize("name", OPTIMISERS.names())
def test_every_optimizer_can_be_asked_for(name: str) -> None:
    assert ask(optimizer=name).optimizer == name


@pytest.mark.parametrize("name", colourings())
def test_every_way_with_the_colours_can_be_asked_for(name: str) -> None:
    assert ask(preserve_color=name).preserve_color == name


@pytest.mark.parametrize(
    ("values", "parts"),
    [
        ({"content": "photo.jpg"}, ["content must be a picture's reference", "'photo.jpg'"]),
        ({"content": A.upper()}, ["reference"]),
        ({"styles": []}, ["styles"]),
        ({"styles": [B] * 5}, ["styles"]),
        ({"styles": [{"picture": B, "masterwork": "x"}]}, ["either a masterwork's name or a picture's reference"]),
        ({"styles": [{"weight": 1}]}, ["either"]),
        ({"styles": [{"picture": B, "weight": -1}]}, ["weight must be a number from 0 to 1000", "got -1"]),
        ({"styles": [{"picture": B, "weight": math.nan}]}, ["weight", "got nan"]),
        ({"styles": [{"picture": B, "practice": 201}]}, ["practice must be a whole number from 0 to 200", "got 201"]),
        ({"styles": [{"picture": B, "practice": "much"}]}, ["practice", "'much'"]),
        ({"styles": [{"masterwork": "x", "practice": 5}]}, ["A masterwork has practised already"]),
        ({"styles": [{"picture": B, "weight": 0}, {"picture": C, "weight": 0}]}, ["styles are all 0"]),
        ({"similarity": {"gram": 0}}, ["similarities are all 0"]),
        ({"similarity": {"gram": math.inf}}, ["got inf"]),
        ({"similarity": "likeness"}, ["Unknown similarity 'likeness'; known: gram,"]),
        ({"similarity": ["gram", "likeness"]}, ["'likeness'"]),
        ({"similarity": 7}, ["similarity"]),
        ({"optimizer": "sgd"}, ["Unknown optimiser 'sgd'; known: lbfgs"]),
        ({"preserve_color": "sepia"}, ["Unknown way to preserve the colours 'sepia'; known: none, luminance"]),
        ({"size": 63}, ["size must be a whole number from 64 to 4096"]),
        ({"size": 4097}, ["got 4097"]),
        ({"size": 512.5}, ["got 512.5"]),
        ({"style_weight": 1.1}, ["style_weight", "got 1.1"]),
        ({"content_weight": math.nan}, ["content_weight", "got nan"]),
        ({"style_scale": 0}, ["style_scale must be a number from 0.25 to 2"]),
        ({"steps": 0}, ["steps must be a whole number from 1"]),
        ({"steps": 10**9}, ["steps"]),
        ({"learning_rate": 0}, ["learning_rate", "got 0"]),
        ({"tv": -1}, ["tv", "got -1"]),
        ({"start": "middle"}, ["start must be one of instant, content, noise or a picture's reference"]),
        ({"layers": []}, ["layers"]),
        ({"layers": [5]}, ["layers[0]", "got 5"]),
        ({"layers": [1, 1]}, ["layers must be different"]),
        ({"encoder": "vgg"}, ["encoder", "'builtin' or 'vgg19'"]),
        ({"seed": -1}, ["seed"]),
        ({"mask": "m"}, ["mask must be a picture's reference"]),
        ({"colour": 1}, ["Unknown setting 'colour'"]),
    ],
)
def test_a_bad_value_is_one_sentence(values: dict[str, Any], parts: list[str]) -> None:
    with pytest.raises(StudioError) as refused:
        ask(**values)
    assert_sentence(refused.value, *parts)


def test_a_style_says_its_practice_only_where_it_has_some() -> None:
    plain, practised = (StylizeRequest(content=A, styles=[{"picture": B, "practice": n}]) for n in (0, 12))
    assert plain.to_json()["styles"] == [{"picture": B, "weight": 1.0}]
    assert practised.to_json()["styles"] == [{"picture": B, "weight": 1.0, "practice": 12}]
    assert StylizeRequest(**practised.to_json()) == practised


def test_requests_survive_json() -> None:
    request = ask(
        styles=[B, "great-wave"], mask=C, start=C, similarity={"gram": 1, "mmd": 0.5}, layers=[0, 3], learning_rate=0.1
    )
    assert StylizeRequest(**json.loads(json.dumps(request.to_json()))) == request


@given(st.dictionaries(st.sampled_from(FIELDS), json_values(), max_size=4))
def test_any_json_makes_a_request_or_a_sentence(values: dict[str, Any]) -> None:
    try:
        request = ask(**values)
    except StudioError as error:
        assert_sentence(error)
    else:
        assert StylizeRequest(**request.to_json()) == request
