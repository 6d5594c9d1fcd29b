"""JSON from strangers."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import json_values, mutated

from studio.core.strict_json import JSONRefused, parse_object


def parse(text: str | bytes) -> dict[str, Any]:
    return parse_object(text, max_bytes=1 << 20, max_depth=5)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "is not JSON"),
        ("[1]", "is not a JSON object"),
        ("null", "is not a JSON object"),
        ('{"a": NaN}', "holds NaN, which is not a number"),
        ('{"a": [-Infinity]}', "holds -Infinity, which is not a number"),
        ('{"a": 1e999}', "holds a number past every bound"),
        ('{"a": ' + "9" * 5000 + "}", "is not JSON"),
        ('{"a": 1, "a": 2}', "names a key twice"),
        ('{"a": "\\ud800"}', "not valid Unicode"),
        (b'{"a": "\xff"}', "not valid Unicode"),
        ("{\"a\": '\ud800'}", "not valid Unicode"),
        ('{"a":' * 100_000, "nested more than 5 levels"),
        ("[" * 100_000, "nested more than 5 levels"),
        ('{"a": [[[[[1]]]]]}', "nested more than 5 levels"),
        ('{"a": "' + "x" * (1 << 20) + '"}', "bytes long where at most 1048576"),
    ],
)
def test_what_is_refused(text: str | bytes, sentence: str) -> None:
    with pytest.raises(JSONRefused, match=sentence):
        parse(text)


def test_five_levels_are_five() -> None:
    assert parse('{"a": [[[[1]]]]}') == {"a": [[[[1]]]]}


@given(st.dictionaries(st.text(max_size=8), json_values(), max_size=4))
def test_what_is_accepted_is_what_was_written(value: dict[str, Any]) -> None:
    text = json.dumps(value)
    assert parse_object(text, max_bytes=1 << 20, max_depth=64) == value


@given(st.text() | st.binary() | mutated(b'{"a": [1, 2.5e3, "text", {"b": null}], "c": true}'))
def test_nothing_else_escapes(text: str | bytes) -> None:
    try:
        value = parse(text)
    except JSONRefused:
        return
    assert json.loads(json.dumps(value, allow_nan=False)) == value
