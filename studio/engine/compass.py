"""Directions of a model: found by a score on its pictures, and those that the artist has named and kept."""

import math
from collections.abc import Callable, Generator, Mapping
from contextlib import AbstractContextManager
from typing import TypeVar

import torch
from PIL import Image
from torch import Tensor

from studio.core.checkpoint import SUFFIX
from studio.core.errors import InvalidRequest
from studio.core.images import to_image
from studio.core.progress import Progress
from studio.engine.codes import vector_code
from studio.engine.device import Workers
from studio.engine.library import Library
from studio.engine.opened import Opened
from studio.engine.own import Owner
from studio.engine.painter import Painter
from studio.engine.requests import Along
from studio.latent.directions import SCORED, Direction, chosen_layers, find_by_score
from studio.latent.named import read_directions, save_directions
from studio.settings import Settings

T = TypeVar("T")
Job = Generator[Progress[T], None, None]
Score = Callable[[Image.Image], float]
MAX_NAMED = 256


class Compass:
    """step: one turn on the device with a model loaded."""

    def __init__(
        self,
        settings: Settings,
        library: Library,
        step: Callable[[Opened], AbstractContextManager[tuple[Painter, Workers]]],
    ) -> None:
        self._settings, self._library, self._step = settings, library, step

    def find(self, model: str, score: Score, count: int = SCORED, seed: int = 0) -> Job[Along]:
        """As Engine.find_direction."""
        opened = self._library.open(model)
        if not 8 <= count <= 10_000:
            raise InvalidRequest(f"A direction is found from 8 to 10000 pictures; got {count}.")
        return self._find(opened, score, count, seed)

    def _find(self, opened: Opened, score: Score, count: int, seed: int) -> Job[Along]:
        def scores(pictures: Tensor) -> Tensor:
            return torch.tensor([float(score(to_image(picture))) for picture in pictures])

        search = None
        while True:
            with self._step(opened) as (painter, workers):
                search = search or find_by_score(painter.model, scores, count, seed)
                progress: Progress[Direction] = workers.whole(next, search)
            if progress.result is not None:
                break
            yield Progress(progress.step, progress.total, preview=to_image(progress.preview[-1]))
        found = Along(kind="vector", vector=vector_code(progress.result))
        yield Progress(progress.step, progress.total, result=found)

    def named(self, opened: Opened) -> dict[str, Direction]:
        """The directions that were kept with a model. Raises CheckpointError where the file is another model's."""
        kept = self._library.part(f"{opened.name}-directions")
        return {} if kept is None else read_directions(kept, opened.sha256)

    def names(self, model: str) -> tuple[str, ...]:
        """As Engine.directions."""
        return tuple(self.named(self._library.open(model)))

    def keep(self, model: str, name: str, along: Along) -> None:
        """As Engine.keep_direction."""
        opened = self._library.open(model)
        if not 1 <= len(name) <= 80 or not name.isprintable() or not name.strip():
            raise InvalidRequest("A direction's name must have 1 to 80 printable characters.")
        table = self.named(opened)
        layers = self._library.layers(opened)
        with self._step(opened) as (painter, workers):
            owner: Owner = painter.owner
            direction = (
                table[along.name]
                if along.kind == "saved" and along.name in table
                else workers.whole(owner.direction, along, chosen_layers(layers, ()))
            )
        table = {**table, name: direction}
        if len(table) > MAX_NAMED:
            raise InvalidRequest(
                f"A model keeps at most {MAX_NAMED} directions; delete {opened.name}-directions to begin anew."
            )
        save_directions(self._settings.models / f"{opened.name}-directions{SUFFIX}", table, layers, opened.sha256)


def log_odds(classify: Callable[[Image.Image], Mapping[str, float]], name: str) -> Score:
    """A classifier as a score for "more of this class": the log odds of its probability."""

    def score(image: Image.Image) -> float:
        probabilities = classify(image)
        if name not in probabilities:
            raise InvalidRequest(f"The classifier knows no class {name[:80]!r}; it has {', '.join(probabilities)}.")
        share = min(max(probabilities[name], 1e-4), 1 - 1e-4)
        return math.log(share / (1 - share))

    return score
