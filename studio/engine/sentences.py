"""A refused value as one sentence that names the value, the bounds and the remedy."""

from collections.abc import Callable
from typing import Any

from pydantic import ValidationError


def shown(value: Any) -> str:
    """A value for an error sentence, cut to 40 characters."""
    text = repr(value)
    return text if len(text) <= 40 else text[:39] + "…"


def whole(low: int, high: int) -> Callable[[Any], int]:
    """A validator for whole numbers in [low, high]. A float such as 7.0, which sliders send, counts as whole."""

    def check(value: Any) -> int:
        if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise ValueError(f"must be a whole number from {low} to {high}; got {shown(value)}")
        return value

    return check


def number(low: float, high: float) -> Callable[[Any], float]:
    """A validator for finite numbers in [low, high]."""

    def check(value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
            raise ValueError(f"must be a number from {low:g} to {high:g}; got {shown(value)}")
        return float(value)

    return check


def _place(location: tuple[int | str, ...]) -> str:
    """("pictures", 2, "seed") → "pictures[2].seed"."""
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{str(part)[:64]}" if text else str(part)[:64]
    return text


def sentence(error: ValidationError, known: tuple[str, ...]) -> str:
    """The first fault of a validation as one sentence. known: the fields that the request has."""
    fault = error.errors(include_url=False)[0]
    location, kind, message = fault["loc"], fault["type"], fault["msg"].removeprefix("Value error, ")
    if kind == "missing":
        return f"{_place(location)} is missing."
    if kind == "extra_forbidden":
        return f"Unknown setting {shown(str(location[-1]))}; known: {', '.join(known)}."
    if kind in ("value_error", "picture"):
        return f"{_place(location) or 'The value'} {message}."
    got = "" if isinstance(fault["input"], (dict, list, tuple, set)) else f"; got {shown(fault['input'])}"
    return f"{_place(location)}: {message[0].lower()}{message[1:]}{got}."
