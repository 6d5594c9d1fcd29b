"""Weights of classes by name become shares that sum to one."""

import math

import pytest
from sentences import assert_sentence

from studio.core.errors import InvalidRequest, UnknownName
from studio.latent.classes import simplex

NAMES = ("landscape", "portrait", "seascape")


def test_weights_become_shares() -> None:
    assert simplex({"seascape": 3, "landscape": 1}, NAMES).tolist() == [0.25, 0.0, 0.75]


def test_one_class_is_a_corner_whatever_its_weight() -> None:
    assert simplex({"portrait": 0.01}, NAMES).tolist() == [0.0, 1.0, 0.0]


@pytest.mark.parametrize(
    ("weights", "part"),
    [
        ({"portrait": -1.0}, "-1"),
        ({"portrait": math.nan}, "nan"),
        ({"portrait": math.inf}, "inf"),
        ({"portrait": 0.0}, "all 0"),
        ({}, "all 0"),
        ({"portrait": 1e308, "seascape": 1e308}, "too large"),
    ],
)
def test_weights_that_are_no_shares_are_refused(weights: dict[str, float], part: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        simplex(weights, NAMES)
    assert_sentence(refused.value, part)


def test_an_unknown_class_lists_the_known_ones() -> None:
    with pytest.raises(UnknownName) as refused:
        simplex({"cubism": 1.0}, NAMES)
    assert_sentence(refused.value, "'cubism'", "landscape, portrait, seascape")


def test_a_model_without_classes_says_so() -> None:
    with pytest.raises(InvalidRequest, match="has no classes"):
        simplex({"portrait": 1.0}, ())
