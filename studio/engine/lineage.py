"""Where pictures come from: seeds, variations and mixes, made explicit and turned into noise."""

from collections.abc import Mapping, Sequence

from torch import Tensor

from studio.core.errors import InvalidRequest
from studio.engine.requests import Mix, Moved, Own, Picture, Seeded, Variation
from studio.latent import seeds
from studio.latent.classes import simplex
from studio.latent.variations import vary

Step = tuple[float, int]
"""(radius, seed) of a variation."""


def settle(picture: Picture, fallback: Mapping[str, float], classes: Sequence[str]) -> Picture:
    """The same picture with the classes written at every seed in it, and nowhere else.

    The outermost weights hold, then those further in, then the fallback; where there are none at all, a model with
    classes shows each seed in one class, drawn from the seed. Raises a StudioError for weights the model cannot use.
    """
    return _settle(picture, {}, fallback, classes)


def _settle(
    picture: Picture, given: Mapping[str, float], fallback: Mapping[str, float], classes: Sequence[str]
) -> Picture:
    given = given or picture.classes
    if isinstance(picture, Variation):
        return Variation(of=_settle(picture.of, given, fallback, classes), radius=picture.radius, seed=picture.seed)
    if isinstance(picture, Mix):
        first, second = (_settle(part, given, fallback, classes) for part in picture.mix)
        return Mix(mix=(first, second), groups=picture.groups)
    if isinstance(picture, Moved):
        inner = _settle(picture.moved, given, fallback, classes)
        return Moved(moved=inner, along=picture.along, amount=picture.amount, groups=picture.groups)
    if isinstance(picture, Own):
        for weights in (given, picture.found):
            if weights:
                simplex(weights, classes)
        return Own(own=picture.own, found=picture.found, classes=given)
    weights = given or fallback
    if not weights and classes:
        weights = {classes[seeds.draw(picture.seed, len(classes))]: 1.0}
    if weights:
        simplex(weights, classes)  # says what is wrong with them
    return Seeded(seed=picture.seed, classes=weights)


def mixed(picture: Picture) -> bool:
    """Whether two pictures are mixed anywhere in it."""
    if isinstance(picture, Variation | Moved):
        return mixed(picture.of if isinstance(picture, Variation) else picture.moved)
    return isinstance(picture, Mix)


def check_place(picture: Picture) -> None:
    """Raise InvalidRequest unless the picture is one point of z."""
    if isinstance(picture, Variation):
        check_place(picture.of)
    if isinstance(picture, Mix):
        raise InvalidRequest("A mix of two pictures has no single place in z; walk in w instead.")
    if isinstance(picture, Own | Moved):
        raise InvalidRequest(
            "A picture of your own, or one moved along a direction, has no place in z; walk in w instead."
        )


def origin(
    picture: Picture, dim: int, classes: Sequence[str], later: tuple[Step, ...] = ()
) -> tuple[Tensor, Tensor | None]:
    """Noise (1,Z) and class weights (1,K) of a settled picture without mixes. later: variations around it."""
    if isinstance(picture, Variation):
        return origin(picture.of, dim, classes, ((picture.radius, picture.seed), *later))
    check_place(picture)
    assert isinstance(picture, Seeded)
    z = seeds.noise([picture.seed], dim)
    for radius, seed in later:
        z = vary(z, seeds.steps([seed], dim), radius)
    return z, simplex(picture.classes, classes)[None] if classes else None
