"""Untrusted values become a configuration."""

from dataclasses import dataclass, field
from typing import Any, Literal, Optional

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sentences import assert_sentence
from strategies import json_values

from studio.core.errors import InvalidRequest
from studio.core.fields import configure


@dataclass(frozen=True)
class Every:
    whole: int = 1
    real: float = 0.5
    switch: bool = False
    name: str = "plain"
    choice: Literal["a", "b", 3] = "a"
    widths: tuple[int, ...] = ()
    pair: tuple[int, str] = (1, "x")
    maybe: int | None = None
    old: Optional[str] = None  # noqa: UP045
    derived: int = field(init=False, default=9)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, Every()),
        ({"whole": 3, "real": 2}, Every(whole=3, real=2.0)),
        ({"switch": True, "name": "x", "choice": 3}, Every(switch=True, name="x", choice=3)),
        ({"widths": [1, 2], "pair": [4, "y"]}, Every(widths=(1, 2), pair=(4, "y"))),
        ({"maybe": 4, "old": "q"}, Every(maybe=4, old="q")),
        ({"maybe": None, "old": None}, Every()),
    ],
)
def test_json_values_become_fields(values: dict[str, Any], expected: Every) -> None:
    made = configure(Every, values)
    assert made == expected
    assert type(made.real) is float


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ([], "The configuration is not a table"),
        ({"hole": 3}, "Unknown setting 'hole'; known: whole, real"),
        ({"derived": 3}, "Unknown setting 'derived'"),
        ({"whole": 1.0}, "Setting whole must be of type int, not '1.0'"),
        ({"whole": True}, "Setting whole must be of type int, not 'True'"),
        ({"whole": 1 << 70}, "Setting whole must be of type int"),
        ({"real": "1"}, "Setting real must be of type float"),
        ({"real": True}, "Setting real must be of type float"),
        ({"real": 10**400}, "Setting real must be of type float"),
        ({"switch": 1}, "Setting switch must be of type bool"),
        ({"name": "x" * 201}, "Setting name must be of type str"),
        ({"choice": "c"}, "Setting choice must be one of a, b, 3"),
        ({"choice": ["a"]}, "Setting choice must be one of"),
        ({"widths": 3}, "Setting widths must be a list of at most 64"),
        ({"widths": [1] * 65}, "Setting widths must be a list of at most 64"),
        ({"widths": [1, "2"]}, "Setting widths must be of type int"),
        ({"pair": [1]}, "Setting pair must be a list of 2 values, not 1"),
        ({"maybe": "x"}, "Setting maybe must be of type int"),
    ],
)
def test_what_is_refused(values: Any, sentence: str) -> None:
    with pytest.raises(InvalidRequest, match=sentence):
        configure(Every, values)


@given(st.dictionaries(st.sampled_from([*Every.__dataclass_fields__, "other"]), json_values(), max_size=4))
def test_only_one_sentence_escapes(values: dict[str, Any]) -> None:
    try:
        made = configure(Every, values)
    except InvalidRequest as error:
        assert_sentence(error)
        return
    assert hash(made) == hash(configure(Every, values))
