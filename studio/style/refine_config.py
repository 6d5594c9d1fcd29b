"""Settings of a refinement, checked once."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from studio.core.errors import InvalidRequest
from studio.style.optimisers import OPTIMISERS
from studio.style.similarity import SIMILARITIES

MAX_STEPS = 5000
MAX_WEIGHT = 1e4
LAYERS = 5

Start = Literal["instant", "content", "noise", "picture"]


@dataclass(frozen=True)
class RefineConfig:
    """How a picture is refined. All weights are finite and at least 0.

    steps: evaluations of the loss in all, over all sizes. optimiser: a name of OPTIMISERS; learning_rate: None for its
    own. similarities, with similarity_weights (none: equal): names of SIMILARITIES. style_weights: of the styles (none:
    equal). layers, content_layers: of the encoder, 0 (stride 1) to 4 (stride 16).
    start: where to begin; "instant" and "picture" begin at the picture that is handed over.
    content_ceiling: from a start that is handed over, the content distance that the result may have, as a multiple of
    the start's own; None for no ceiling. style_scale: long side of the style pictures over that of the result.
    coarse: pixels of the long side up to which the work begins; larger pictures are refined size by size.
    tile_above: pixels of the long side beyond which the picture is worked on in tiles of `tile` pixels with a halo.
    seed: of the noise.
    """

    steps: int = 64
    optimiser: str = "lbfgs"
    learning_rate: float | None = None
    similarities: tuple[str, ...] = ("gram",)
    similarity_weights: tuple[float, ...] = ()
    style_weights: tuple[float, ...] = ()
    style_weight: float = 1.0
    content_weight: float = 0.05
    total_variation: float = 0.0
    style_scale: float = 1.0
    layers: tuple[int, ...] = (0, 1, 2, 3, 4)
    content_layers: tuple[int, ...] = (0, 1, 2, 3, 4)
    start: Start = "instant"
    content_ceiling: float | None = 1.15
    coarse: int = 512
    tile_above: int = 1024
    tile: int = 512
    halo: int = 80
    seed: int = 0

    def __post_init__(self) -> None:
        _between("steps", self.steps, 1, MAX_STEPS)
        OPTIMISERS[self.optimiser]
        for name in self.similarities:
            SIMILARITIES[name]
        if not self.similarities or len(set(self.similarities)) < len(self.similarities):
            raise InvalidRequest("A refinement needs at least one similarity, and each once.")
        _weights("similarity", self.similarity_weights, len(self.similarities))
        _weights("style", self.style_weights, None)
        for name in ("style_weight", "content_weight", "total_variation"):
            _between(name, getattr(self, name), 0, MAX_WEIGHT)
        if self.style_weight == self.content_weight == 0:
            raise InvalidRequest("Style weight and content weight are both 0; give at least one of them a weight.")
        if self.learning_rate is not None:
            _between("learning_rate", self.learning_rate, 1e-8, 1e8)
        if self.content_ceiling is not None:
            _between("content_ceiling", self.content_ceiling, 0.01, 100)
        _between("style_scale", self.style_scale, 0.1, 4)
        _layers("layers", self.layers)
        _layers("content_layers", self.content_layers)
        for name in ("coarse", "tile_above"):
            _between(name, getattr(self, name), 32, 8192)
        for name, least in (("tile", 32), ("halo", 0)):
            _between(name, getattr(self, name), least, 2048)
            if getattr(self, name) % 16:
                raise InvalidRequest(f"Setting {name} must be a multiple of 16 pixels; got {getattr(self, name)}.")
        if self.start not in ("instant", "content", "noise", "picture"):
            raise InvalidRequest(f"Unknown start {str(self.start)[:40]!r}; known: instant, content, noise, picture.")
        _between("seed", self.seed, 0, 2**63 - 1)

    @property
    def rate(self) -> float:
        """The learning rate that is used."""
        return OPTIMISERS[self.optimiser].rate if self.learning_rate is None else self.learning_rate

    def mixture(self) -> tuple[tuple[str, float], ...]:
        """The similarities with weights that sum to 1, without those of weight 0."""
        weights = _normalised(self.similarity_weights or (1.0,) * len(self.similarities))
        return tuple((name, weight) for name, weight in zip(self.similarities, weights, strict=True) if weight > 0)

    def shares(self, styles: int) -> tuple[float, ...]:
        """The weights of so many styles, which sum to 1."""
        _weights("style", self.style_weights, styles)
        return _normalised(self.style_weights or (1.0,) * styles)


def _between(name: str, value: float, least: float, most: float) -> None:
    if not least <= value <= most:  # NaN is not
        raise InvalidRequest(f"Setting {name} must be a number from {least:g} to {most:g}; got {value}.")


def _weights(what: str, weights: tuple[float, ...], count: int | None) -> None:
    if not weights:
        return
    if count is not None and len(weights) != count:
        raise InvalidRequest(f"There are {len(weights)} {what} weights for {count}; give one for each, or none.")
    if not all(0 <= weight <= MAX_WEIGHT for weight in weights):
        listed = ", ".join(f"{weight:g}" for weight in weights)
        raise InvalidRequest(f"Each {what} weight must be a number from 0 to {MAX_WEIGHT:g}; got {listed}.")
    if math.fsum(weights) == 0:
        raise InvalidRequest(f"All {what} weights are 0; give at least one of them a weight.")


def _layers(name: str, layers: Iterable[int]) -> None:
    chosen = tuple(layers)
    if not chosen or len(set(chosen)) < len(chosen) or not all(layer in range(LAYERS) for layer in chosen):
        raise InvalidRequest(f"Setting {name} must hold different layers from 0 to {LAYERS - 1}; got {list(chosen)}.")


def _normalised(weights: tuple[float, ...]) -> tuple[float, ...]:
    total = math.fsum(weights)
    return tuple(weight / total for weight in weights)
