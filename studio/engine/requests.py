"""What can be asked of the engine: frozen requests that serialise to JSON, validated once, here.

A request that cannot be used raises InvalidRequest with one sentence, whichever way it was made. Limits that depend on
the settings (pictures, frames, size) are checked by the engine.
"""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self, TypeAlias

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    SerializerFunctionWrapHandler,
    StringConstraints,
    Tag,
    TypeAdapter,
    ValidationError,
    model_serializer,
    model_validator,
)

from studio.core.errors import InvalidRequest
from studio.engine.codes import MAX_CODE, decode
from studio.engine.sentences import number, sentence, whole
from studio.latent.seeds import MAX_SEED
from studio.models.adapter import MAX_STRENGTH

MAX_DEPTH = 8  # pictures within pictures
MAX_PARTS = 32  # pictures in all that one picture's lineage may name
MAX_PICTURES = 1024  # of a request; the settings bound it further
MAX_FRAMES = 10_000
MAX_NESTING = 4 * MAX_DEPTH  # containers within containers in the raw value
MAX_CLASSES = 256

Seed: TypeAlias = Annotated[int, BeforeValidator(whole(0, MAX_SEED))]
Count: TypeAlias = Annotated[int, BeforeValidator(whole(1, MAX_PICTURES))]
Truncation: TypeAlias = Annotated[float, BeforeValidator(number(0, 2))]
Adaptation: TypeAlias = Annotated[float, BeforeValidator(number(0, MAX_STRENGTH))]
Radius: TypeAlias = Annotated[float, BeforeValidator(number(0, 1))]
Weight: TypeAlias = Annotated[float, BeforeValidator(number(0, 1000))]
ModelName: TypeAlias = Annotated[str, StringConstraints(min_length=1, max_length=4096)]
ClassName: TypeAlias = Annotated[str, StringConstraints(min_length=1, max_length=80)]
Classes: TypeAlias = Annotated[Mapping[ClassName, Weight], Field(max_length=MAX_CLASSES)]
Group: TypeAlias = Literal["coarse", "middle", "fine"]
Size: TypeAlias = Annotated[int, BeforeValidator(whole(16, 4096))]


def _base64(code: str) -> str:
    decode(code)
    return code


Code: TypeAlias = Annotated[str, StringConstraints(max_length=MAX_CODE), AfterValidator(_base64)]


class Strict(BaseModel):
    """Frozen, closed to unknown keys; a bad value is an InvalidRequest of one sentence."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, validate_default=True)

    def __init__(self, /, **values: Any) -> None:
        refuse_deep(values)
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise InvalidRequest(sentence(error, tuple(type(self).model_fields))) from None


class _Picture(Strict):
    """classes: weights by name; they need not sum to one. Given on a picture they replace those of the pictures in
    it; a picture without any takes the request's, and where that has none each seed draws one class."""

    classes: Classes = {}

    @model_serializer(mode="wrap")
    def _without_empty_classes(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        values: dict[str, Any] = handler(self)
        if not self.classes:
            values.pop("classes", None)
        return values


class Seeded(_Picture):
    """The picture of a seed."""

    seed: Seed


class Variation(_Picture):
    """A picture near another. radius: 0 the same picture, 1 an unrelated one; seed: which neighbour."""

    of: "Picture"
    radius: Radius = 0.3
    seed: Seed = 0


def _pair(value: Any) -> Any:
    if isinstance(value, (list, tuple)) and len(value) == 2:
        return tuple(value)
    raise ValueError("must hold exactly two pictures")


class Mix(_Picture):
    """The first picture with the styles of the second in the given groups of layers."""

    mix: Annotated[tuple["Picture", "Picture"], BeforeValidator(_pair)]
    groups: Annotated[tuple[Group, ...], Field(min_length=1, max_length=3)] = ("fine",)


class Own(_Picture):
    """A picture from outside, as found in a model's latent space, which truncation leaves as it is.

    own: base64 of `studio.latent.interior.pack`. found: the classes it was found in; classes: those to move it to."""

    own: Annotated[Code, StringConstraints(min_length=1)]
    found: Classes = {}


class Along(Strict):
    """A direction: the one of rank `index` of a kind, a saved one by name, or a vector (`studio.engine.codes`)."""

    kind: Literal["pca", "sefa", "saved", "vector"]
    index: Annotated[int, BeforeValidator(whole(0, 4095))] = 0
    name: Annotated[str, StringConstraints(max_length=80)] = ""
    vector: Code = ""

    @model_validator(mode="after")
    def _complete(self) -> Self:
        wanting = {"saved": self.name, "vector": self.vector}.get(self.kind, "-")
        if not wanting:
            raise ValueError(
                f"A direction of kind {self.kind!r} needs a {'name' if self.kind == 'saved' else 'vector'}"
            )
        return self


class Moved(_Picture):
    """A picture moved along a direction. amount: in standard deviations of w; groups: of layers, all where none."""

    moved: "Picture"
    along: Along
    amount: Annotated[float, BeforeValidator(number(-20, 20))] = 1.0
    groups: Annotated[tuple[Group, ...], Field(max_length=3)] = ()


def _shorthand(value: Any) -> Any:
    """A bare whole number stands for the picture of that seed."""
    return {"seed": value} if isinstance(value, (int, float, str)) else value


def _form(value: Any) -> str | None:
    if isinstance(value, _Picture):
        return {Seeded: "seed", Variation: "of", Mix: "mix", Own: "own", Moved: "moved"}.get(type(value))
    if not isinstance(value, Mapping):
        return None
    return next((form for form in ("mix", "of", "own", "moved") if form in value), "seed")


def parts(picture: "Picture") -> tuple[int, int]:
    """(depth, pictures in all) of a picture's lineage."""
    if isinstance(picture, Variation | Moved):
        depth, count = parts(picture.of if isinstance(picture, Variation) else picture.moved)
        return depth + 1, count + 1
    if isinstance(picture, Mix):
        (depth_a, count_a), (depth_b, count_b) = parts(picture.mix[0]), parts(picture.mix[1])
        return max(depth_a, depth_b) + 1, count_a + count_b + 1
    return 1, 1


def _bounded(picture: "Picture") -> "Picture":
    depth, count = parts(picture)
    if depth > MAX_DEPTH:
        raise ValueError(f"may be at most {MAX_DEPTH} pictures deep; got {depth}")
    if count > MAX_PARTS:
        raise ValueError(f"may be made of at most {MAX_PARTS} pictures; got {count}")
    return picture


Picture: TypeAlias = Annotated[
    Annotated[Seeded, Tag("seed")]
    | Annotated[Variation, Tag("of")]
    | Annotated[Mix, Tag("mix")]
    | Annotated[Own, Tag("own")]
    | Annotated[Moved, Tag("moved")],
    Discriminator(
        _form,
        custom_error_type="picture",
        custom_error_message='must be a picture such as {"seed": 7}, {"of": …, "radius": 0.3} or {"mix": […, …]}',
    ),
    BeforeValidator(_shorthand),
    AfterValidator(_bounded),
]
Pictures: TypeAlias = Annotated[tuple[Picture, ...], Field(min_length=1, max_length=MAX_PICTURES)]
Variation.model_rebuild()
Mix.model_rebuild()
Moved.model_rebuild()
_PICTURE: TypeAdapter[Picture] = TypeAdapter(Picture)


def as_picture(value: Any) -> Picture:
    """A picture from a seed, from JSON values or from a picture. Raises InvalidRequest."""
    refuse_deep(value)
    try:
        return _PICTURE.validate_python(value)
    except ValidationError as error:
        raise InvalidRequest(sentence(error, ())) from None


def refuse_deep(value: Any) -> None:
    """Raise InvalidRequest where containers nest deeper than any request does; safe for a value of any depth."""
    layer: list[Any] = [[value]]
    for _ in range(MAX_NESTING + 1):
        layer = [
            item
            for container in layer
            for item in (container.values() if isinstance(container, Mapping) else container)
            if isinstance(item, (Mapping, list, tuple))
        ]
        if not layer:
            return
        if len(layer) > 100_000:
            raise InvalidRequest("The request holds too many parts; ask for fewer pictures.")
    raise InvalidRequest(f"A picture may be at most {MAX_DEPTH} pictures deep; simplify its lineage.")


class _Request(Strict):
    """model: a name, the reference of a held adapter or, in the local profile, a path. truncation: ψ, 0 the mean
    picture, 1 none, above 1 wilder. adaptation: s, strength of an adapter's weights, 0 its base's, 1 as learned."""

    model: ModelName
    truncation: Truncation = 0.8
    adaptation: Adaptation = 1.0

    ordinary: ClassVar[Mapping[str, Any]] = {"adaptation": 1}  # values that say nothing, and are left out of the JSON

    @model_serializer(mode="wrap")
    def _without_the_ordinary(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        values: dict[str, Any] = handler(self)
        return {
            name: value for name, value in values.items() if name not in self.ordinary or value != self.ordinary[name]
        }

    def to_json(self) -> dict[str, Any]:
        """The request as plain JSON values; ``type(request)(**request.to_json()) == request``."""
        return self.model_dump(mode="json")


class SampleRequest(_Request):
    """Pictures of the seeds seed … seed + count − 1, or the given pictures (then seed and count are not used).

    size: side in px to which they are enlarged or reduced (None: the model's)."""

    seed: Seed = 0
    count: Count = 16
    classes: Classes = {}
    pictures: Pictures | None = None
    size: Size | None = None
    ordinary: ClassVar[Mapping[str, Any]] = {"adaptation": 1, "size": None}

    @model_validator(mode="after")
    def _seeds_exist(self) -> Self:
        if self.pictures is None:
            _last_seed(self.seed, self.count)
        return self

    def all_pictures(self) -> tuple[Picture, ...]:
        """The pictures asked for, in order."""
        return self.pictures or tuple(Seeded(seed=self.seed + index) for index in range(self.count))


class WalkRequest(_Request):
    """A film through key pictures. fps in 1/s; size: side in px to scale the frames to (None: the model's)."""

    seeds: Annotated[tuple[Seed, ...], Field(max_length=MAX_PICTURES)] = ()
    pictures: Pictures | None = None
    frames: Annotated[int, BeforeValidator(whole(2, MAX_FRAMES))] = 120
    fps: Annotated[int, BeforeValidator(whole(1, 60))] = 30
    classes: Classes = {}
    space: Literal["w", "z"] = "w"
    format: Literal["mp4", "gif"] = "mp4"
    size: Size | None = None
    loop: bool = True

    @model_validator(mode="after")
    def _keys_fit(self) -> Self:
        if self.pictures is not None and self.seeds:
            raise ValueError("A walk takes seeds or pictures, not both")
        keys = len(self.keys())
        if keys < 2:
            raise ValueError(f"A walk needs at least 2 key pictures; got {keys}")
        if self.frames < keys:
            raise ValueError(f"A walk through {keys} key pictures needs at least {keys} frames; got {self.frames}")
        return self

    def keys(self) -> tuple[Picture, ...]:
        """The key pictures, in order."""
        return self.pictures or tuple(Seeded(seed=seed) for seed in self.seeds)


class ClassesRequest(_Request):
    """A grid: a row for each class named (none: every class of the model), a column for each of `count` seeds."""

    seed: Seed = 0
    count: Count = 8
    classes: Annotated[tuple[ClassName, ...], Field(max_length=MAX_CLASSES)] = ()

    @model_validator(mode="after")
    def _seeds_exist(self) -> Self:
        _last_seed(self.seed, self.count)
        return self


def _last_seed(seed: int, count: int) -> None:
    if seed + count - 1 > MAX_SEED:
        raise ValueError(f"The last of {count} seeds from {seed} is past {MAX_SEED}; start lower")
