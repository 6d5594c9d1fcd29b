"""The pictures on the table: which one is meant, and what the sliders make of it."""

from collections.abc import Sequence
from typing import Any

from studio.core.errors import InvalidRequest
from studio.engine import Mix, Picture, Variation
from studio.ui.handlers import Raw
from studio.ui.pictures import Card, key


def tuned(picture: Picture, radius: Raw, groups: Raw) -> Picture:
    """A picture under the sliders: a variation at their radius, a mix in their groups, any other as it is."""
    if isinstance(picture, Variation):
        return Variation(of=picture.of, radius=radius, seed=picture.seed)
    if isinstance(picture, Mix) and groups:
        return Mix(mix=picture.mix, groups=tuple(groups))
    return picture


def there(current: Picture | None) -> Picture:
    """The current picture, or the sentence that there is none."""
    if current is None:
        raise InvalidRequest("There is no current picture yet; press Paint.")
    return current


def pictures_of(cards: Sequence[Card]) -> list[Picture]:
    """The lineages of cards."""
    return [card.picture for card in cards]


def found(event: dict[str, Any], among: Sequence[Picture]) -> Picture:
    """The picture that a click names."""
    for picture in among:
        if key(picture) == event.get("key"):
            return picture
    raise InvalidRequest("That picture is no longer on the table; choose another.")
