"""The strip: the pictures that a walk goes through, in the artist's order."""

from collections.abc import Iterator
from typing import Any

from studio.ui import pictures
from studio.ui.handlers import Handler, View
from studio.ui.pictures import Card, key

Strip = tuple[Card, ...]


def strip_view(strip: Strip) -> View:
    """The strip as state and on the page."""
    return {"strip": strip, "strip_view": pictures.row(strip, "strip")}


def rearranged(strip: Strip, name: object, places: int) -> Strip:
    """The strip with the named picture moved by some places, as far as it goes; 0 takes it out."""
    index = next((index for index, card in enumerate(strip) if key(card.picture) == name), None)
    if index is None:
        return strip
    rest = [*strip[:index], *strip[index + 1 :]]
    if places:
        rest.insert(min(max(index + places, 0), len(rest)), strip[index])
    return tuple(rest)


def moving(places: int) -> Handler:
    """A handler that moves the clicked picture of the strip; 0 takes it out."""

    def move(event: dict[str, Any], strip: Strip) -> Iterator[View]:
        yield strip_view(rearranged(strip, event.get("key"), places))

    return move


def clear() -> Iterator[View]:
    """An empty strip."""
    yield strip_view(())
