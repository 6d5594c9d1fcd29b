"""What people type on the command line, read into values: durations and settings. Lists are `studio.core.words`."""

import json
import re
from collections.abc import Iterable
from typing import Any

from studio.core.errors import InvalidRequest

NUMBER = r"(\d{1,9}(?:\.\d{1,9})?)"
DURATION = re.compile(f"(?:{NUMBER}h)?(?:{NUMBER}m)?(?:{NUMBER}s)?|{NUMBER}", re.ASCII)
UNITS = (3600, 60, 1, 1)  # seconds in each group of DURATION


def duration(text: str) -> float:
    """Seconds in "90", "90s", "15m", "2h" or "1h30m"."""
    match = DURATION.fullmatch(text.strip().lower())
    parts = match.groups(default="0") if match else ()
    seconds = sum(float(part) * unit for part, unit in zip(parts, UNITS, strict=False))
    if not seconds > 0:
        raise InvalidRequest(f"{text[:40]!r} is not a length of time; write it like 90s, 15m, 2h or 1h30m.")
    return seconds


def settings(pairs: Iterable[str]) -> dict[str, Any]:
    """Names and values in ("resolution=64", "activation=relu"): a value is JSON where it can be, else text."""
    result: dict[str, Any] = {}
    for pair in pairs:
        name, equals, value = (part.strip() for part in pair.partition("="))
        if not equals or not name:
            raise InvalidRequest(f"{pair[:80]!r} is not a setting; write it as name=value.")
        if name in result:
            raise InvalidRequest(f"The setting {name[:40]!r} is given twice.")
        try:
            result[name] = json.loads(value)
        except (ValueError, RecursionError):
            result[name] = value
    return result
