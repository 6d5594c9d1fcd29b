"""Sampling, class grids and walks as the engine's jobs."""

import hashlib
import json
from collections.abc import Callable, Generator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from PIL import Image

from studio.core.errors import InvalidRequest
from studio.core.progress import Progress
from studio.core.video import Frame, check_gif, open_video
from studio.engine import recipes, walks
from studio.engine.compass import Compass
from studio.engine.device import Workers
from studio.engine.enlarger import Enlarger
from studio.engine.library import Library
from studio.engine.lineage import check_place, mixed, settle
from studio.engine.machine import Machine
from studio.engine.opened import Opened
from studio.engine.own import named
from studio.engine.painter import Painter
from studio.engine.requests import ClassesRequest, Picture, SampleRequest, Seeded, WalkRequest
from studio.engine.results import ClassGrid, Sample
from studio.latent.mixing import layer_slices
from studio.settings import Settings

T = TypeVar("T")
Job = Generator[Progress[T], None, None]


class Sampling:
    """The engine's part for pictures from seeds. compass: knows the directions that were kept."""

    def __init__(
        self, settings: Settings, library: Library, machine: Machine, compass: Compass, enlarger: Enlarger
    ) -> None:
        self.settings, self._library, self._machine, self._compass = settings, library, machine, compass
        self._enlarger = enlarger

    def sample(self, request: SampleRequest) -> Job[list[Sample]]:
        """As Engine.sample."""
        opened = self._library.open(request.model).at(request.adaptation)
        self._side(request.size, opened, "picture")
        pictures = self._settled(request.all_pictures(), request.classes, opened)
        recipe = self._recipes(request, opened, request.size)
        return self._paint(opened, pictures, request.truncation, request.size, recipe, list)

    def classes(self, request: ClassesRequest) -> Job[ClassGrid]:
        """As Engine.classes."""
        opened = self._library.open(request.model).at(request.adaptation)
        if not opened.classes:
            raise InvalidRequest(f"The model {opened.name!r} has no classes; choose one that has, or sample it.")
        rows = request.classes or opened.classes
        seeds = tuple(range(request.seed, request.seed + request.count))
        wanted = [Seeded(seed=seed, classes={row: 1.0}) for row in rows for seed in seeds]
        pictures = self._settled(wanted, {}, opened)
        recipe = self._recipes(request, opened)

        def grid(samples: Sequence[Sample]) -> ClassGrid:
            starts = range(0, len(samples), len(seeds))
            return ClassGrid(rows, seeds, tuple(tuple(samples[i : i + len(seeds)]) for i in starts))

        return self._paint(opened, pictures, request.truncation, None, recipe, grid)

    def walk(self, request: WalkRequest, out: Path | str | None = None) -> Job[Path]:
        """As Engine.walk."""
        opened = self._library.open(request.model).at(request.adaptation)
        side = self._side(request.size, opened, "film")
        if request.frames > self.settings.max_frames:
            raise InvalidRequest(f"A walk may have at most {self.settings.max_frames} frames; got {request.frames}.")
        if request.format == "gif":
            check_gif(request.frames, (side, side), request.fps)
        keys = self._settled(request.keys(), request.classes, opened)
        if request.space == "z":
            for key in keys:
                check_place(key)
        path = self.settings.outputs / _film_name(opened, request) if out is None else Path(out)
        if path.suffix.lower() != f".{request.format}":
            raise InvalidRequest(f"The film's file must end in .{request.format}; got {path.name[:80]!r}.")
        return self._film(opened, keys, request, path)

    def _side(self, size: int | None, opened: Opened, what: str) -> int:
        """Px of a picture's side. Raises InvalidRequest where more is asked for than the settings allow."""
        own = self._library.resolution(opened)
        if size is not None and size > max(self.settings.max_size, own):
            raise InvalidRequest(f"A {what} may have at most {self.settings.max_size} pixels a side; got {size}.")
        return size or own

    def _settled(self, pictures: Sequence[Picture], fallback: Mapping[str, float], opened: Opened) -> list[Picture]:
        """The pictures with their classes explicit, or one sentence that says what the model cannot do."""
        if len(pictures) > self.settings.max_count:
            raise InvalidRequest(f"At most {self.settings.max_count} pictures at once; got {len(pictures)}.")
        kept = partial(self._compass.named, opened)
        fallback = fallback or opened.default
        settled = [settle(named(picture, kept), fallback, opened.classes) for picture in pictures]
        if any(map(mixed, settled)):
            layer_slices(self._library.layers(opened))  # a model of one layer cannot mix
        return settled

    def _paint(
        self,
        opened: Opened,
        pictures: Sequence[Picture],
        psi: float,
        size: int | None,
        recipe: Callable[[Picture], dict[str, Any]],
        finish: Callable[[list[Sample]], T],
    ) -> Job[T]:
        samples: list[Sample] = []
        while len(samples) < len(pictures):
            with self._machine.step(opened) as (painter, workers):
                chunk = pictures[len(samples) : len(samples) + self._step(workers, size)]
                frames = self._frames(workers, painter, partial(painter.pictures, psi=psi), chunk, size)
            for picture, frame in zip(chunk, frames, strict=True):
                samples.append(Sample(Image.fromarray(frame), picture, recipe(picture)))
            done = len(samples) == len(pictures)
            yield Progress(len(samples), len(pictures), preview=samples[:], result=finish(samples) if done else None)

    def _frames(
        self,
        workers: Workers,
        painter: Painter,
        paint: Callable[[Sequence[T]], list[Frame]],
        items: Sequence[T],
        size: int | None,
    ) -> list[Frame]:
        """What the workers paint of the items, at that size."""

        def job(part: Sequence[T]) -> list[Frame]:
            return self._enlarger.enlarged(paint(part), size, painter.precision)

        return workers.shared(job, items)

    @staticmethod
    def _step(workers: Workers, size: int | None) -> int:
        """Pictures in one turn on the device: to enlarge one takes as long as to paint several."""
        return workers.step if size is None else workers.count

    def _recipes(
        self, request: SampleRequest | ClassesRequest, opened: Opened, size: int | None = None
    ) -> Callable[[Picture], dict[str, Any]]:
        base = None if opened.base is None else opened.base.sha256
        larger = size is not None and size > self._library.resolution(opened)
        return recipes.recipes(request, opened.name, opened.sha256, base, self._enlarger.sha256 if larger else None)

    def _film(self, opened: Opened, keys: Sequence[Picture], request: WalkRequest, path: Path) -> Job[Path]:
        route: walks.Route | None = None
        frames: list[Frame] = []
        done = 0
        with open_video(path, request.fps) as film:
            while done < request.frames:
                with self._machine.step(opened) as (painter, workers):
                    route = route or walks.plan(painter, workers, keys, request)
                    chunk = range(done, min(done + self._step(workers, request.size), request.frames))
                    frames = self._frames(workers, painter, partial(route.frames, painter), chunk, request.size)
                for frame in frames:
                    film.add(frame)
                done += len(frames)
                if done < request.frames:
                    yield Progress(done, request.frames, preview=Image.fromarray(frames[-1]))
        yield Progress(done, request.frames, preview=Image.fromarray(frames[-1]), result=path)


def _film_name(opened: Opened, request: WalkRequest) -> str:
    """The same request of the same model has the same file."""
    text = json.dumps([opened.sha256, request.to_json()], sort_keys=True)
    return f"{opened.name}-walk-{hashlib.sha256(text.encode()).hexdigest()[:12]}.{request.format}"
