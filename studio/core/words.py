"""Lists and weights as people type them ("1,2,3", "landscape=0.7,seascape=0.3"), and amounts as they read them."""

from studio.core.errors import InvalidRequest


def seeds(text: str) -> tuple[int, ...]:
    """Whole numbers in "1,2,3"."""
    try:
        return tuple(int(part) for part in text.split(",") if part.strip())
    except ValueError:
        raise InvalidRequest(f"{text[:40]!r} is not a list of seeds; write whole numbers like 1,2,3.") from None


def names(text: str) -> tuple[str, ...]:
    """Names in "landscape, seascape"."""
    return tuple(filter(None, (part.strip() for part in text.split(","))))


def weights(text: str) -> dict[str, float]:
    """Class weights in "landscape=0.7,seascape=0.3"; a name alone weighs 1. Empty text: no classes."""
    result: dict[str, float] = {}
    for part in names(text):
        name, equals, number = part.partition("=")
        name = name.strip()
        if not name or name in result:
            raise InvalidRequest(f"{text[:80]!r} names a class twice or not at all; write landscape=0.7,seascape=0.3.")
        try:
            result[name] = float(number) if equals else 1.0
        except ValueError:
            raise InvalidRequest(f"The weight of class {name!r} is {number[:40]!r}; it must be a number.") from None
    return result


def amount(count: int, thing: str) -> str:
    """ "1 step", "7 steps"."""
    return f"{count} {thing}{'' if count == 1 else 's'}"
