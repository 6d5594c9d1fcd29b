"""Lists and weights are read as people mean them, or refused in one sentence; amounts read as they would say them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio.core import words
from studio.core.errors import InvalidRequest, StudioError


def test_seeds_are_split_at_commas() -> None:
    assert words.seeds("1, 2,3,") == (1, 2, 3)


def test_a_word_is_no_seed() -> None:
    with pytest.raises(InvalidRequest, match=r"'1,two' is not a list of seeds"):
        words.seeds("1,two")


def test_weights_read_numbers_and_take_a_name_alone_as_one() -> None:
    assert words.weights("landscape=0.7, seascape = 0.3,portrait") == {
        "landscape": 0.7,
        "seascape": 0.3,
        "portrait": 1.0,
    }


def test_no_weights_are_no_classes() -> None:
    assert words.weights("") == {}


@pytest.mark.parametrize("text", ["a=1,a=2", "=1", "a=much", "a=", "a=1=2"])
def test_weights_refuse_what_names_no_class_or_no_number(text: str) -> None:
    with pytest.raises(InvalidRequest):
        words.weights(text)


@given(st.text(max_size=60))
def test_whatever_is_typed_is_a_list_or_one_sentence(text: str) -> None:
    refusals = []
    for read in (words.seeds, words.names, words.weights):
        try:
            read(text)
        except StudioError as error:
            refusals.append(str(error))
    assert all(sentence.endswith(".") for sentence in refusals)


def test_one_is_one_step_and_the_rest_are_steps() -> None:
    assert [words.amount(count, "step") for count in (0, 1, 7)] == ["0 steps", "1 step", "7 steps"]
