"""Checks on config fields."""

import pytest

from studio.core.errors import InvalidRequest
from studio.models import bounds


@pytest.mark.parametrize("value", [0, 5, -1, pytest.param(10**30, id="huge"), 2.0, True, None, "3", float("nan")])
def test_only_whole_numbers_from_one_to_four_pass(value: object) -> None:
    with pytest.raises(InvalidRequest, match=r"depth is .* from 1 to 4"):
        bounds.whole("depth", value, 1, 4)


@pytest.mark.parametrize(
    "value", [0.0, 1.1, float("nan"), float("inf"), pytest.param(10**400, id="huge"), True, "0.5", None]
)
def test_only_finite_numbers_up_to_one_pass(value: object) -> None:
    with pytest.raises(InvalidRequest, match=r"share is .* from 0\.5 to 1"):
        bounds.real("share", value, 0.5, 1)


@pytest.mark.parametrize("value", [48, 64.0, "64", True, None, [64]])
def test_only_a_choice_of_the_same_type_passes(value: object) -> None:
    with pytest.raises(InvalidRequest, match="one of 32, 64, 128, 256"):
        bounds.one_of("resolution", value, bounds.RESOLUTIONS)


def test_the_ends_of_a_range_pass() -> None:
    for value in (1, 4):
        bounds.whole("depth", value, 1, 4)
    for number in (0.5, 1, 1.0):
        bounds.real("share", number, 0.5, 1)
    bounds.one_of("resolution", 256, bounds.RESOLUTIONS)
