"""What can be asked of style transfer: a frozen request that serialises to JSON, validated once, here.

Pictures are named by reference (`studio.engine.pictures`), never by path. Limits that depend on the settings (size,
work) are checked by the engine.
"""

import math
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal, Self, TypeAlias

from pydantic import (
    BeforeValidator,
    Field,
    SerializerFunctionWrapHandler,
    StringConstraints,
    model_serializer,
    model_validator,
)

from studio.core.errors import UnknownName
from studio.core.registry import Registry
from studio.engine.pictures import LARGEST, REFERENCE
from studio.engine.requests import Seed, Strict
from studio.engine.sentences import number, shown, whole
from studio.style.colour import COLOURINGS
from studio.style.optimisers import OPTIMISERS
from studio.style.refine_config import LAYERS, MAX_STEPS
from studio.style.similarity import SIMILARITIES

MAX_STYLES = 4
SMALLEST = 64  # px, long side of a result
STEPS = 64
MAX_PRACTICE = 200  # steps of practice
ENCODERS = ("builtin", "vgg19")
STARTS = ("instant", "content", "noise")


def _reference(value: Any) -> str:
    if isinstance(value, str) and REFERENCE.fullmatch(value):
        return value
    raise ValueError(f"must be a picture's reference of 64 hexadecimal digits; got {shown(value)}")


def _listed(table: Registry[Any]) -> Callable[[Any], str]:
    def check(value: Any) -> str:
        table[value]  # raises UnknownName, which lists the known ones
        return str(value)

    return check


def _colouring(value: Any) -> str:
    if value not in colourings():
        raise UnknownName("way to preserve the colours", value, colourings())
    return str(value)


def colourings() -> tuple[str, ...]:
    """Ways to keep the photo's colours; "none" leaves the style's."""
    return ("none", *COLOURINGS.names())


def _style(value: Any) -> Any:
    """Text stands for a picture where it is a reference, else for a masterwork."""
    if not isinstance(value, str):
        return value
    return {"picture": value} if REFERENCE.fullmatch(value) else {"masterwork": value}


def _similarities(value: Any) -> Any:
    """A name stands for that similarity alone, a list of names for equal weights."""
    names = [value] if isinstance(value, str) else value
    return dict.fromkeys(names, 1.0) if isinstance(names, (list, tuple)) and _texts(names) else value


def _texts(values: Any) -> bool:
    return all(isinstance(value, str) for value in values)


def _start(value: Any) -> str:
    if isinstance(value, str) and (value in STARTS or REFERENCE.fullmatch(value)):
        return value
    raise ValueError(f"must be one of {', '.join(STARTS)} or a picture's reference; got {shown(value)}")


Reference: TypeAlias = Annotated[str, BeforeValidator(_reference)]
Weight: TypeAlias = Annotated[float, BeforeValidator(number(0, 1000))]
SimilarityName: TypeAlias = Annotated[str, BeforeValidator(_listed(SIMILARITIES))]
Layer: TypeAlias = Annotated[int, BeforeValidator(whole(0, LAYERS - 1))]


class Style(Strict):
    """A masterwork by name, or a picture by reference: one of the two. weight: its share against the others'.

    practice: steps that a picture's code practises before anything is painted (`studio.style.practice`); masterworks
    have practised already.
    """

    masterwork: Annotated[str, StringConstraints(min_length=1, max_length=80)] | None = None
    picture: Reference | None = None
    weight: Weight = 1.0
    practice: Annotated[int, BeforeValidator(whole(0, MAX_PRACTICE))] = 0

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if (self.masterwork is None) == (self.picture is None):
            raise ValueError("A style is either a masterwork's name or a picture's reference")
        if self.masterwork is not None and self.practice:
            raise ValueError("A masterwork has practised already; practice is for pictures")
        return self

    @model_serializer(mode="wrap")
    def _without_the_other(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        values: dict[str, Any] = handler(self)
        return {name: value for name, value in values.items() if value is not None and (value or name != "practice")}


class StylizeRequest(Strict):
    """The content picture in the hand of the styles, at once (fast) or refined from there.

    size: long side of the result in px. style_weight: strength of the style, 0 the photo, 1 the style. content_weight:
    how firmly the photo's shapes are held, 0…1. style_scale: size of the style's strokes, 1 as they are.
    preserve_color: whose colours the result wears, and how: "none" for the style's. mask: a picture, white where the
    style goes and black where the photo stays.

    Of a refinement: steps: evaluations of the loss. similarity: names with weights. learning_rate: None for the
    optimizer's own. tv: weight of the total variation. start: the instant picture, the content, noise, or a picture.
    layers: of the encoder, 0 (finest) to 4. seed: of the noise.
    """

    content: Reference
    styles: Annotated[tuple[Annotated[Style, BeforeValidator(_style)], ...], Field(min_length=1, max_length=MAX_STYLES)]
    size: Annotated[int, BeforeValidator(whole(SMALLEST, LARGEST))] = 512
    style_weight: Annotated[float, BeforeValidator(number(0, 1))] = 1.0
    content_weight: Annotated[float, BeforeValidator(number(0, 1))] = 0.5
    style_scale: Annotated[float, BeforeValidator(number(0.25, 2))] = 1.0
    preserve_color: Annotated[str, BeforeValidator(_colouring)] = "none"
    mask: Reference | None = None
    fast: bool = False
    encoder: Literal["builtin", "vgg19"] = "builtin"
    steps: Annotated[int, BeforeValidator(whole(1, MAX_STEPS))] = STEPS
    similarity: Annotated[
        Mapping[SimilarityName, Weight], BeforeValidator(_similarities), Field(min_length=1, max_length=8)
    ] = {"gram": 1.0}
    optimizer: Annotated[str, BeforeValidator(_listed(OPTIMISERS))] = "lbfgs"
    learning_rate: Annotated[float, BeforeValidator(number(1e-8, 1e8))] | None = None
    tv: Annotated[float, BeforeValidator(number(0, 100))] = 0.0
    start: Annotated[str, BeforeValidator(_start)] = "instant"
    layers: Annotated[tuple[Layer, ...], Field(min_length=1, max_length=LAYERS)] = tuple(range(LAYERS))
    seed: Seed = 0

    @model_validator(mode="after")
    def _weights_count(self) -> Self:
        for what, weights in (
            ("styles", [style.weight for style in self.styles]),
            ("similarities", list(self.similarity.values())),
        ):
            if math.fsum(weights) == 0:
                raise ValueError(f"The weights of the {what} are all 0; give at least one of them more")
        if len(set(self.layers)) < len(self.layers):
            raise ValueError("The layers must be different ones")
        return self

    def to_json(self) -> dict[str, Any]:
        """The request as plain JSON values; ``StylizeRequest(**request.to_json()) == request``."""
        return self.model_dump(mode="json")

    @property
    def references(self) -> tuple[str, ...]:
        """Every picture that the request names, each once."""
        names = [self.content, *(style.picture for style in self.styles), self.mask]
        names += [self.start] if REFERENCE.fullmatch(self.start) else []
        return tuple(dict.fromkeys(name for name in names if name is not None))
