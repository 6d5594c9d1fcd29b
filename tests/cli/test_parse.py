"""What people type is read as they mean it, or refused in one sentence."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio.cli import parse
from studio.core.errors import InvalidRequest, StudioError


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 90),
        ("90s", 90),
        ("15m", 900),
        ("2h", 7200),
        ("1h30m", 5400),
        ("1h30m10s", 5410),
        ("0.5h", 1800),
        (" 2H ", 7200),
    ],
)
def test_duration_reads_hours_minutes_and_seconds(text: str, seconds: float) -> None:
    assert parse.duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "0", "0s", "-5", "nan", "inf", "1d", "h", "2h 3x", "1h30", "m15", "1e9", "9" * 400]
)
def test_duration_refuses_what_is_not_a_positive_length(text: str) -> None:
    with pytest.raises(InvalidRequest, match=r"write it like 90s, 15m, 2h or 1h30m\.$"):
        parse.duration(text)


def test_settings_are_split_at_the_first_equals_sign_and_read_as_json_where_they_can_be() -> None:
    read = parse.settings(["resolution=64", "note = a=b", "rate=2e-4", "ema=true", "activation=relu"])
    assert read == {"resolution": 64, "note": "a=b", "rate": 2e-4, "ema": True, "activation": "relu"}


@pytest.mark.parametrize("pairs", [["resolution"], ["=64"], ["a=1", "a=2"]])
def test_settings_refuse_what_is_no_pair_or_twice_the_same(pairs: list[str]) -> None:
    with pytest.raises(InvalidRequest):
        parse.settings(pairs)


@given(st.text(max_size=60))
def test_whatever_is_typed_is_a_value_or_one_sentence(text: str) -> None:
    refusals = []
    for read in (parse.duration, lambda typed: parse.settings([typed])):
        try:
            read(text)
        except StudioError as error:
            refusals.append(str(error))
    assert all(sentence.endswith(".") for sentence in refusals)
