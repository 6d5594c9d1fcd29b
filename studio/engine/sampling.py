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
from studio.engine.library import Library
from studio.engine.lineage import check_place, mixed, settle
from studio.engine.machine import Machine
from studio.engine.opened import Opened
from studio.engine.own import named
from studio.engine.requests import ClassesRequest, Picture, SampleRequest, Seeded, WalkRequest
from studio.engine.results import ClassGrid, Sample
from studio.latent.mixing import layer_slices
from studio.settings import Settings

T = TypeVar("T")
Job = Generator[Progress[T], None, None]


class Sampling:
    """The engine's part for pictures from seeds. compass: knows the directions that were kept."""

    def __init__(self, settings: Settings, library: Library, machine: Machine, compass: Compass) -> None:
        self.settings, self._library, self._machine, self._compass = settings, library, machine, compass

    def sample(self, request: SampleRequest) -> Job[list[Sample]]:
        """As Engine.sample."""
        opened = self._library.open(request.model).at(request.adaptation)
        pictures = self._settled(request.all_pictures(), request.classes, opened)
        recipe = _recipes(request, opened)
        return self._paint(opened, pictures, request.truncation, recipe, list)

    def classes(self, request: ClassesRequest) -> Job[ClassGrid]:
        """As Engine.classes."""
        opened = self._library.open(request.model).at(request.adaptation)
        if not opened.classes:
            raise InvalidRequest(f"The model {opened.name!r} has no classes; choose one that has, or sample it.")
        rows = request.classes or opened.classes
        seeds = tuple(range(request.seed, request.seed + request.count))
        wanted = [Seeded(seed=seed, classes={row: 1.0}) for row in rows for seed in seeds]
        pictures = self._settled(wanted, {}, opened)
        recipe = _recipes(request, opened)

        def grid(samples: Sequence[Sample]) -> ClassGrid:
            starts = range(0, len(samples), len(seeds))
            return ClassGrid(rows, seeds, tuple(tuple(samples[i : i + len(seeds)]) for i in starts))

        return self._paint(opened, pictures, request.truncation, recipe, grid)

    def walk(self, request: WalkRequest, out: Path | str | None = None) -> Job[Path]:
        """As Engine.walk."""
        opened = self._library.open(request.model).at(request.adaptation)
        side = request.size or self._library.resolution(opened)
        if request.frames > self.settings.max_frames:
            raise InvalidRequest(f"A walk may have at most {self.settings.max_frames} frames; got {request.frames}.")
        if side > max(self.settings.max_size, self._library.resolution(opened)):
            raise InvalidRequest(f"A film may have at most {self.settings.max_size} pixels a side; got {side}.")
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
        recipe: Callable[[Picture], dict[str, Any]],
        finish: Callable[[list[Sample]], T],
    ) -> Job[T]:
        samples: list[Sample] = []
        while len(samples) < len(pictures):
            with self._machine.step(opened) as (painter, workers):
                chunk = pictures[len(samples) : len(samples) + workers.step]
                frames = workers.shared(partial(painter.pictures, psi=psi), chunk)
            for picture, frame in zip(chunk, frames, strict=True):
                samples.append(Sample(Image.fromarray(frame), picture, recipe(picture)))
            done = len(samples) == len(pictures)
            yield Progress(len(samples), len(pictures), preview=samples[:], result=finish(samples) if done else None)

    def _film(self, opened: Opened, keys: Sequence[Picture], request: WalkRequest, path: Path) -> Job[Path]:
        route: walks.Route | None = None
        frames: list[Frame] = []
        done = 0
        with open_video(path, request.fps) as film:
            while done < request.frames:
                with self._machine.step(opened) as (painter, workers):
                    route = route or walks.plan(painter, workers, keys, request)
                    chunk = range(done, min(done + workers.step, request.frames))
                    frames = workers.shared(partial(route.frames, painter), chunk)
                for frame in frames:
                    film.add(frame)
                done += len(frames)
                if done < request.frames:
                    yield Progress(done, request.frames, preview=Image.fromarray(frames[-1]))
        yield Progress(done, request.frames, preview=Image.fromarray(frames[-1]), result=path)


def _recipes(request: SampleRequest | ClassesRequest, opened: Opened) -> Callable[[Picture], dict[str, Any]]:
    base = None if opened.base is None else opened.base.sha256
    return recipes.recipes(request, opened.name, opened.sha256, base)


def _film_name(opened: Opened, request: WalkRequest) -> str:
    """The same request of the same model has the same file."""
    text = json.dumps([opened.sha256, request.to_json()], sort_keys=True)
    return f"{opened.name}-walk-{hashlib.sha256(text.encode()).hexdigest()[:12]}.{request.format}"
