"""JSON from strangers: size, depth, numbers and text checked before anything is made of it."""

import json
from typing import Any


class JSONRefused(ValueError):
    """Text that is not acceptable JSON; ``str(error)`` is the end of a sentence, as in "… holds a number …"."""


def parse_object(text: str | bytes, *, max_bytes: int, max_depth: int) -> dict[str, Any]:
    """One JSON object of finite numbers, distinct keys and encodable text, at most max_depth levels deep.

    Raises JSONRefused, and nothing else, for any text.
    """
    try:
        data = text if isinstance(text, bytes) else text.encode("utf-8")
        if len(data) > max_bytes:
            raise JSONRefused(f"is {len(data)} bytes long where at most {max_bytes} are allowed")
        value = json.loads(
            data.decode("utf-8"), parse_constant=_constant, parse_float=_finite, object_pairs_hook=_distinct
        )
        json.dumps(value, ensure_ascii=False).encode("utf-8")  # refuses halves of surrogate pairs
    except JSONRefused:
        raise
    except RecursionError:
        raise JSONRefused(f"is nested more than {max_depth} levels deep") from None
    except UnicodeError:
        raise JSONRefused("holds text that is not valid Unicode") from None
    except ValueError as error:
        raise JSONRefused(f"is not JSON ({str(error)[:120]})") from None
    if not isinstance(value, dict):
        raise JSONRefused("is not a JSON object")
    if _deeper(value, max_depth):
        raise JSONRefused(f"is nested more than {max_depth} levels deep")
    return value


def _constant(name: str) -> float:
    raise JSONRefused(f"holds {name}, which is not a number")


def _finite(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise JSONRefused(f"holds a number past every bound ({text[:20]})")
    return number


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) != len(pairs):
        raise JSONRefused("names a key twice")
    return table


def _deeper(value: Any, depth: int) -> bool:
    """Whether containers nest more than ``depth`` levels; level by level, so that no stack can overflow."""
    level = [value]
    for _ in range(depth + 1):
        containers = [item for item in level if isinstance(item, (dict, list))]
        level = [child for item in containers for child in (item.values() if isinstance(item, dict) else item)]
        if not containers:
            return False
    return True
