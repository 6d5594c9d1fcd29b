"""A refused value as one sentence that names the value, the bounds and the remedy."""

import math
from collections.abc import Callable
from numbers import Integral, Real
from typing import Any

from pydantic import ValidationError


def shown(value: Any) -> str:
    """A value for an error sentence, cut to 40 characters."""
    try:
        text = repr(value)
    except ValueError:  # a whole number of thousands of digits
        return "a number too long to write"
    return text if len(text) <= 40 else text[:39] + "…"


def whole(low: int, high: int) -> Callable[[Any], int]:
    """A validator for whole numbers in [low, high]. A float such as 7.0, which sliders send, counts as whole."""

    def check(value: Any) -> int:
        exact = isinstance(value, float) and value.is_integer() and abs(value) < 2**53
        if isinstance(value, bool) or not (exact or isinstance(value, Integral)) or not low <= value <= high:
            raise ValueError(f"must be a whole number from {low} to {high}; got {shown(value)}")
        return int(value)

    return check


def number(low: float, high: float) -> Callable[[Any], float]:
    """A validator for finite numbers in [low, high]."""

    def check(value: Any) -> float:
        try:
            real = math.nan if isinstance(value, bool) or not isinstance(value, Real) else float(value)
        except OverflowError:
            real = math.nan
        if not low <= real <= high:
            raise ValueError(f"must be a number from {low:g} to {high:g}; got {shown(value)}")
        return real

    return check


def _place(location: tuple[int | str, ...]) -> str:
    """("pictures", 2, "seed") → "pictures[2].seed"."""
    text = ""
    for part in location:
        name = "".join(letter if letter.isprintable() else "?" for letter in str(part)[:64])
        text += f"[{part}]" if isinstance(part, int) else f".{name}" if text else name
    return text


_PLAIN = {  # pydantic's types of error in the studio's words
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "dict_type": "must be a table of names and numbers",
    "list_type": "must be a list",
    "mapping_type": "must be a table of names and numbers",
    "string_too_long": "must be shorter",
    "string_too_short": "must not be empty",
    "string_type": "must be text",
    "tuple_type": "must be a list",
}


def sentence(error: ValidationError, known: tuple[str, ...]) -> str:
    """The first fault of a validation as one sentence. known: the fields that the request has."""
    fault = error.errors(include_url=False)[0]
    location, kind = fault["loc"], fault["type"]
    subject = _place(location)
    if kind == "missing":
        return f"{subject} is missing."
    if kind == "extra_forbidden":
        return f"Unknown setting {shown(str(location[-1]))}; known: {', '.join(known)}."
    if kind in ("value_error", "picture"):
        message = fault["msg"].removeprefix("Value error, ")
        return f"{subject or 'The value' if message.startswith('m') else ''} {message}.".strip()
    expected = f"must be one of {fault['ctx']['expected']}" if kind == "literal_error" else _PLAIN.get(kind)
    return f"{subject} {expected or 'is refused: ' + fault['msg'].lower()}; got {shown(fault['input'])}."
