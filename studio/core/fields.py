"""Untrusted values → a frozen configuration dataclass, each field checked against its annotation."""

import dataclasses
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

from studio.core.errors import InvalidRequest

C = TypeVar("C")
MAX_ITEMS = 64
MAX_TEXT = 200


def configure(config: type[C], values: object) -> C:
    """An instance of the dataclass ``config`` from JSON values; fields that are not given keep their defaults.

    Fields may be int, float, bool, str, Literal, tuples of these, and unions with None. Raises InvalidRequest with
    one sentence, or what the dataclass itself raises for values out of its bounds.
    """
    if not isinstance(values, Mapping):
        raise InvalidRequest("The configuration is not a table.")
    hints = typing.get_type_hints(config)
    known = [field.name for field in dataclasses.fields(config) if field.init]  # type: ignore[arg-type]
    for key in values:
        if key not in known:
            raise InvalidRequest(f"Unknown setting {str(key)[:80]!r}; known: {', '.join(known)}.")
    return config(**{key: _coerce(key, value, hints[key]) for key, value in values.items()})


def _coerce(key: str, value: Any, hint: Any) -> Any:
    """The value as the annotation wants it (JSON lists become tuples, whole numbers become floats)."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return _first_of(key, value, arguments, hint)
    if origin is typing.Literal:
        if isinstance(value, (str, int)) and any(type(value) is type(a) and value == a for a in arguments):
            return value
        raise InvalidRequest(f"Setting {key} must be one of {', '.join(map(str, arguments))}.")
    if origin is tuple:
        return _tuple(key, value, arguments)
    if hint is None or hint is types.NoneType:
        valid = value is None
    elif hint is float:
        valid = type(value) in (int, float) and abs(value) < 1e300
    elif hint is str:
        valid = isinstance(value, str) and len(value) <= MAX_TEXT
    elif hint is int:
        valid = type(value) is int and abs(value) < 1 << 63
    else:
        valid = hint is bool and type(value) is bool
    if not valid:
        raise InvalidRequest(f"Setting {key} must be of type {_name(hint)}, not {str(value)[:40]!r}.")
    return float(value) if hint is float else value


def _first_of(key: str, value: Any, choices: tuple[Any, ...], hint: Any) -> Any:
    for choice in choices:
        try:
            return _coerce(key, value, choice)
        except InvalidRequest:
            continue
    raise InvalidRequest(f"Setting {key} must be of type {_name(hint)}, not {str(value)[:40]!r}.")


def _tuple(key: str, value: Any, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    if not isinstance(value, (list, tuple)) or len(value) > MAX_ITEMS:
        raise InvalidRequest(f"Setting {key} must be a list of at most {MAX_ITEMS} values.")
    if len(arguments) == 2 and arguments[1] is Ellipsis:
        return tuple(_coerce(key, item, arguments[0]) for item in value)
    if len(value) != len(arguments):
        raise InvalidRequest(f"Setting {key} must be a list of {len(arguments)} values, not {len(value)}.")
    return tuple(_coerce(key, item, hint) for item, hint in zip(value, arguments, strict=True))


def _name(hint: Any) -> str:
    return hint.__name__ if isinstance(hint, type) else str(hint)
