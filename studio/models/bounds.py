"""Checks on the fields of a model's config: one sentence each, with the number and what would do."""

from collections.abc import Sequence

from studio.core.errors import InvalidRequest

RESOLUTIONS = (32, 64, 128, 256)


def whole(name: str, value: object, low: int, high: int) -> None:
    """Raise InvalidRequest unless value is an int in [low, high]."""
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise InvalidRequest(f"{name} is {value!r:.40}; it must be a whole number from {low} to {high}.")


def real(name: str, value: object, low: float, high: float) -> None:
    """Raise InvalidRequest unless value is a finite number in [low, high]."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not low <= value <= high:
        raise InvalidRequest(f"{name} is {value!r:.40}; it must be a number from {low:g} to {high:g}.")


def one_of(name: str, value: object, choices: Sequence[object]) -> None:
    """Raise InvalidRequest unless value is one of the choices, of the same type."""
    if not any(type(value) is type(choice) and value == choice for choice in choices):
        listed = ", ".join(str(choice) for choice in choices)
        raise InvalidRequest(f"{name} is {value!r:.40}; it must be one of {listed}.")
