"""Styles of pictures from outside, with details in rows past those of w, and of pictures moved along a direction."""

import math
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from studio.core.errors import UnknownName
from studio.core.kinds import LatentModel
from studio.engine.codes import decode, read_vector, vector_code
from studio.engine.requests import Along, Mix, Moved, Own, Picture, Variation
from studio.latent import seeds
from studio.latent.classes import simplex
from studio.latent.directions import DIRECTIONS, Direction, Samples, chosen_layers, draw_samples, move
from studio.latent.interior import rows_of, unpack
from studio.latent.mixing import mix
from studio.latent.truncation import class_mean

Map = Callable[[Tensor, Tensor | None], Tensor]
"""Noise (1,Z) and class weights (1,K) → truncated w (1,L,W) on the CPU."""


class Owner:
    """Reads the leaves that name no seed, for one model. map: of its painter."""

    def __init__(self, model: LatentModel, classes: Sequence[str]) -> None:
        self.model, self.classes = model, classes
        self._samples: Samples | None = None
        self._directions: dict[tuple[str, int, tuple[int, ...]], Direction] = {}

    def rows(self, picture: Own, later: Sequence[tuple[float, int]], map_: Map) -> Tensor:
        """A settled picture of one's own, and the variations around it → (1,L,W) or (1,L+D,W) on the CPU.

        Other classes move it by the difference of the classes' means. A variation turns it towards an unrelated
        picture, as one of a seed does in z; details fade by the same turn.
        """
        rows = rows_of(*unpack(decode(picture.own), self.model)).clone()
        means, layers = self.model.w_mean.cpu(), self.model.layers
        weights = self._weights(picture.found)
        if picture.classes:
            asked = self._weights(picture.classes)
            rows[:, :layers] += class_mean(means, asked) - class_mean(means, weights)
            weights = asked
        centre = class_mean(means, weights)
        for radius, seed in later:
            if radius == 0:
                continue
            other = map_(seeds.steps([seed], self.model.latent_dim), weights)
            angle = radius * math.pi / 2
            turned = centre + math.cos(angle) * (rows[:, :layers] - centre) + math.sin(angle) * (other - centre)
            rows = torch.cat([turned, math.cos(angle) * rows[:, layers:]], dim=1)
        return rows

    def _weights(self, weights: Mapping[str, float]) -> Tensor | None:
        """(1,K), all classes alike where none is named; None without classes."""
        if not self.classes:
            return None
        return simplex(weights or dict.fromkeys(self.classes, 1.0), self.classes)[None]

    def moved(self, rows: Tensor, picture: Moved) -> Tensor:
        """Rows after a move."""
        layers = chosen_layers(self.model.layers, picture.groups)
        return move(rows, self.direction(picture.along, layers), picture.amount, layers)

    @torch.no_grad()
    def direction(self, along: Along, layers: tuple[int, ...]) -> Direction:
        """The direction that a request names, on the CPU. layers: those it is to act on."""
        if along.kind == "vector":
            return read_vector(along.vector, self.model)
        key = (along.kind, along.index, layers)
        if key not in self._directions:
            if self._samples is None:
                drawn = draw_samples(self.model)
                self._samples = Samples(drawn.w.cpu(), None if drawn.weights is None else drawn.weights.cpu())
            self._directions[key] = DIRECTIONS[along.kind](self.model, self._samples, along.index, layers)
        return self._directions[key]


def mixed_rows(first: Tensor, second: Tensor, groups: Sequence[str], layers: int) -> Tensor:
    """As mix, of rows that may hold details: these go with the form, that is with the coarse layers."""
    w = mix(first[:, :layers], second[:, :layers], groups)
    return torch.cat([w, (second if "coarse" in groups else first)[:, layers:]], dim=1)


def levelled(rows: Sequence[Tensor]) -> list[Tensor]:
    """Rows of different pictures with zeros in place of the details that some have not. (1,·,W) → all of one shape."""
    longest = max(each.shape[1] for each in rows)
    return [torch.nn.functional.pad(each, (0, 0, 0, longest - each.shape[1])) for each in rows]


def named(picture: Picture, table: Callable[[], Mapping[str, Direction]]) -> Picture:
    """The picture with the vectors of saved directions in it, so that its recipe needs no file. Raises UnknownName."""
    if isinstance(picture, Variation):
        return picture.model_copy(update={"of": named(picture.of, table)})
    if isinstance(picture, Mix):
        return picture.model_copy(update={"mix": tuple(named(part, table) for part in picture.mix)})
    if not isinstance(picture, Moved):
        return picture
    along = picture.along
    if along.kind == "saved":
        known = table()
        if along.name not in known:
            raise UnknownName("direction", along.name, tuple(known))
        along = Along(kind="vector", name=along.name, vector=vector_code(known[along.name]))
    return picture.model_copy(update={"moved": named(picture.moved, table), "along": along})
