"""Requests take what makes sense, refuse the rest in one sentence, and survive JSON."""

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sentences import assert_sentence
from strategies import json_values

from studio.core.errors import InvalidRequest, StudioError
from studio.engine.requests import (
    MAX_DEPTH,
    MAX_PARTS,
    ClassesRequest,
    Mix,
    SampleRequest,
    Seeded,
    Variation,
    WalkRequest,
    as_picture,
    parts,
)
from studio.latent.mixing import LAYER_GROUPS
from studio.latent.seeds import MAX_SEED

REQUESTS = [SampleRequest, WalkRequest, ClassesRequest]
NESTED = {"of": {"mix": [{"seed": 1}, {"of": {"seed": 2}, "radius": 0.5}], "groups": ["coarse", "fine"]}, "seed": 9}


@pytest.mark.parametrize(
    ("values", "parts_of_the_sentence"),
    [
        ({"seed": "abc"}, ["seed must be a whole number from 0 to 9223372036854775807; got 'abc'."]),
        ({"seed": "7"}, ["got '7'"]),
        ({"seed": -1}, ["seed", "got -1"]),
        ({"seed": 2**63}, ["seed", "got 9223372036854775808"]),
        ({"seed": 10**5000}, ["seed", "too long to write"]),
        ({"seed": math.nan}, ["seed", "got nan"]),
        ({"seed": 7.5}, ["seed", "got 7.5"]),
        ({"seed": 1e18}, ["seed", "got 1e+18"]),
        ({"seed": True}, ["seed", "got True"]),
        ({"seed": None}, ["seed", "got None"]),
        ({"seed": MAX_SEED, "count": 2}, ["last of 2 seeds", str(MAX_SEED)]),
        ({"count": 0}, ["count must be a whole number from 1", "got 0"]),
        ({"count": 10**9}, ["count", "got 1000000000"]),
        ({"truncation": math.inf}, ["truncation must be a number from 0 to 2", "got inf"]),
        ({"truncation": math.nan}, ["got nan"]),
        ({"truncation": -0.1}, ["got -0.1"]),
        ({"truncation": 2.1}, ["got 2.1"]),
        ({"truncation": 10**400}, ["truncation", "got 1000"]),
        ({"truncation": "0.5"}, ["got '0.5'"]),
        ({"classes": {"a": -1}}, ["classes.a", "got -1"]),
        ({"classes": {"a": math.nan}}, ["classes.a", "got nan"]),
        ({"classes": {"a": "much"}}, ["classes.a", "got 'much'"]),
        ({"classes": ["a"]}, ["classes must be a table of names and numbers", "got ['a']"]),
        ({"classes": {"a\nb": -1}}, ["classes.a?b"]),
        ({"classes": {"": 1}}, ["must not be empty"]),
        ({"pictures": []}, ["pictures"]),
        ({"pictures": 7}, ["pictures must be a list"]),
        ({"pictures": [[7]]}, ["pictures[0] must be a picture", '{"seed": 7}']),
        ({"pictures": ["x"]}, ["seed must be a whole number", "got 'x'"]),
        ({"pictures": [{}]}, ["seed is missing"]),
        ({"pictures": [{"seed": 7, "size": 3}]}, ["Unknown setting 'size'", "known: classes, seed"]),
        ({"pictures": [{"of": 7, "radius": 1.5}]}, ["radius must be a number from 0 to 1", "got 1.5"]),
        ({"pictures": [{"mix": [1]}]}, ["mix must hold exactly two pictures"]),
        ({"pictures": [{"mix": [1, 2], "groups": ["tiny"]}]}, ["groups", "'coarse', 'middle' or 'fine'", "'tiny'"]),
        ({"pictures": [{"mix": [1, 2], "groups": []}]}, ["groups"]),
        ({"model": ""}, ["model must not be empty"]),
        ({"model": 7}, ["model must be text", "got 7"]),
        (
            {"colour": 1},
            ["Unknown setting 'colour'", "known: model, truncation, adaptation, seed, count, classes, pictures"],
        ),
    ],
)
def test_a_bad_value_is_one_sentence(values: dict[str, Any], parts_of_the_sentence: list[str]) -> None:
    with pytest.raises(InvalidRequest) as refused:
        SampleRequest(**{"model": "paintings", **values})
    assert_sentence(refused.value, *parts_of_the_sentence)


@pytest.mark.parametrize(
    ("values", "part"),
    [
        ({}, "at least 2 key pictures; got 0"),
        ({"seeds": [1]}, "at least 2 key pictures; got 1"),
        ({"seeds": [1, 2], "pictures": [1, 2]}, "seeds or pictures, not both"),
        ({"seeds": [1, 2, 3], "frames": 2}, "at least 3 frames; got 2"),
        ({"seeds": [1, "a"]}, "seeds[1] must be a whole number"),
        ({"seeds": [1, 2], "fps": 0}, "fps"),
        ({"seeds": [1, 2], "fps": 61}, "got 61"),
        ({"seeds": [1, 2], "size": 8}, "size"),
        ({"seeds": [1, 2], "space": "q"}, "'w' or 'z'"),
        ({"seeds": [1, 2], "format": "avi"}, "'mp4' or 'gif'"),
        ({"seeds": [1, 2], "loop": "perhaps"}, "loop must be true or false"),
    ],
)
def test_a_bad_walk_is_one_sentence(values: dict[str, Any], part: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        WalkRequest(**{"model": "paintings", **values})
    assert_sentence(refused.value, part)


def test_without_a_model_nothing_can_be_asked() -> None:
    with pytest.raises(InvalidRequest, match="model is missing"):
        SampleRequest()


def test_sliders_send_whole_numbers_as_floats() -> None:
    request = SampleRequest(model="m", seed=7.0, count=4.0, truncation=1)
    assert (request.seed, request.count, request.truncation) == (7, 4, 1.0)
    assert isinstance(request.seed, int)


def test_numbers_of_numpy_are_numbers() -> None:
    request = SampleRequest(model="m", seed=np.int64(7), truncation=np.float32(0.5))
    assert (request.seed, request.truncation) == (7, 0.5)
    assert type(request.seed) is int


def test_count_seeds_follow_one_another() -> None:
    assert [p.seed for p in SampleRequest(model="m", seed=5, count=3).all_pictures()] == [5, 6, 7]


def test_the_last_seed_can_be_asked_for() -> None:
    assert SampleRequest(model="m", seed=MAX_SEED, count=1).all_pictures()[0].seed == MAX_SEED


def test_a_whole_number_stands_for_its_picture() -> None:
    assert as_picture(7) == Seeded(seed=7)
    assert SampleRequest(model="m", pictures=[7, {"seed": 8}]).pictures == (Seeded(seed=7), Seeded(seed=8))


def test_lineage_is_read_from_json_and_written_back() -> None:
    picture = as_picture(NESTED)
    assert isinstance(picture, Variation)
    assert isinstance(picture.of, Mix)
    assert parts(picture) == (4, 5)
    assert as_picture(json.loads(json.dumps(picture.model_dump(mode="json")))) == picture


def test_pictures_without_classes_do_not_mention_them() -> None:
    assert Seeded(seed=7).model_dump(mode="json") == {"seed": 7}
    assert Seeded(seed=7, classes={"a": 1}).model_dump(mode="json") == {"seed": 7, "classes": {"a": 1.0}}


@pytest.mark.parametrize(
    "request_",
    [
        SampleRequest(model="m", pictures=[NESTED, 3], classes={"a": 0.5}),
        WalkRequest(model="m", seeds=[1, 2], space="z", size=64),
        ClassesRequest(model="m", classes=["a", "b"], truncation=0),
    ],
)
def test_requests_survive_json(request_: SampleRequest | WalkRequest | ClassesRequest) -> None:
    assert type(request_)(**json.loads(json.dumps(request_.to_json()))) == request_


def test_the_groups_of_layers_are_those_of_mixing() -> None:
    assert as_picture({"mix": [1, 2], "groups": LAYER_GROUPS}).model_dump()["groups"] == LAYER_GROUPS


def test_requests_are_frozen() -> None:
    with pytest.raises(Exception, match="frozen"):
        SampleRequest(model="m").seed = 3


def chain(depth: int) -> dict[str, Any]:
    picture: dict[str, Any] = {"seed": 1}
    for _ in range(depth - 1):
        picture = {"of": picture}
    return picture


def test_the_deepest_lineage_is_accepted_and_one_more_is_not() -> None:
    assert parts(as_picture(chain(MAX_DEPTH))) == (MAX_DEPTH, MAX_DEPTH)
    with pytest.raises(InvalidRequest) as refused:
        as_picture(chain(MAX_DEPTH + 1))
    assert_sentence(refused.value, f"at most {MAX_DEPTH} pictures deep")


def test_depth_cannot_be_smuggled_in_through_picture_objects() -> None:
    deepest = as_picture(chain(MAX_DEPTH))
    with pytest.raises(InvalidRequest, match="pictures deep"):
        as_picture(Variation(of=deepest))


@pytest.mark.parametrize("depth", [100, 100_000])
def test_a_lineage_of_any_depth_is_refused_without_overflow(depth: int) -> None:
    with pytest.raises(InvalidRequest) as refused:
        SampleRequest(model="m", pictures=[chain(depth)])
    assert_sentence(refused.value, "pictures deep")


def test_a_lineage_of_too_many_pictures_is_refused() -> None:
    picture: dict[str, Any] = {"seed": 1}
    for _ in range(5):
        picture = {"mix": [picture, picture]}
    with pytest.raises(InvalidRequest) as refused:
        as_picture(picture)
    assert_sentence(refused.value, f"at most {MAX_PARTS} pictures")


@given(
    st.sampled_from(REQUESTS),
    st.dictionaries(
        st.sampled_from(["seed", "count", "classes", "pictures", "seeds", "frames", "truncation", "groups", "self"]),
        json_values(),
        max_size=4,
    ),
)
def test_any_json_makes_a_request_or_a_sentence(kind: type[SampleRequest], values: dict[str, Any]) -> None:
    try:
        request = kind(**{"model": "m", **values})
    except StudioError as error:
        assert_sentence(error)
    else:
        assert kind(**request.to_json()) == request


@given(json_values() | st.fixed_dictionaries({"of": json_values(), "mix": json_values()}))
def test_any_json_makes_a_picture_or_a_sentence(value: Any) -> None:
    try:
        picture = as_picture(value)
    except StudioError as error:
        assert_sentence(error)
    else:
        assert as_picture(picture.model_dump(mode="json")) == picture
