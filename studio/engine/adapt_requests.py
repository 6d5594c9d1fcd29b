"""What can be asked of adaptation: a frozen request that serialises to JSON, validated once, here."""

from typing import Annotated, Any, Literal, TypeAlias, get_args

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints

from studio.adapt.methods import METHODS
from studio.engine.requests import ModelName, Seed, Strict
from studio.engine.sentences import number, whole
from studio.engine.style_requests import Reference

AUTO = "auto"
MAX_OFFERED = 1000  # references in a request
MAX_STEPS = 10_000
Crop: TypeAlias = Literal["square", "whole"]
CROPS: tuple[str, ...] = get_args(Crop)


def methods() -> tuple[str, ...]:
    """What can be asked for: "auto" and the table's methods."""
    return (AUTO, *METHODS.names())


def _method(value: Any) -> str:
    if value != AUTO:
        METHODS[value]  # raises UnknownName, which lists the known ones
    return str(value)


def _printable(value: str) -> str:
    if not value.isprintable():
        raise ValueError("must be of printable characters, on one line")
    return value


ArtistName: TypeAlias = Annotated[
    str, StringConstraints(min_length=1, max_length=60, strip_whitespace=True), AfterValidator(_printable)
]


class AdaptRequest(Strict):
    """A generator moved towards pictures.

    pictures: references, see `studio.engine.pictures`. name: of the new class. base: a model with classes, or "auto"
    for the one that suits. method: of the table, or "auto". budget: wall-clock seconds. steps: at most so many, None
    for as many as the budget allows. seed: of everything drawn. crop: "square", the centre of each picture, or "whole",
    all of it with its edges reflected into a square. keep_pictures: whether small copies go into the adapter.
    """

    pictures: Annotated[tuple[Reference, ...], Field(min_length=1, max_length=MAX_OFFERED)]
    name: ArtistName = "my hand"
    base: ModelName = AUTO
    method: Annotated[str, BeforeValidator(_method)] = AUTO
    budget: Annotated[float, BeforeValidator(number(1, 86400))] = 60.0
    steps: Annotated[int, BeforeValidator(whole(0, MAX_STEPS))] | None = None
    seed: Seed = 0
    crop: Crop = "square"
    keep_pictures: bool = True

    def to_json(self) -> dict[str, Any]:
        """The request as plain JSON values."""
        return self.model_dump(mode="json")
