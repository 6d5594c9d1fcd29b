"""The engine: models, device and jobs. Every job is a generator of Progress; iterate to go on, close to cancel."""

import hashlib
import json
from collections import OrderedDict
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property, partial
from pathlib import Path
from typing import Any, TypeVar

import torch
from PIL import Image

from studio.core.checkpoint import Checkpoint
from studio.core.decode import Source
from studio.core.errors import InvalidRequest
from studio.core.progress import Progress, result_of
from studio.core.video import Frame, check_gif, open_video
from studio.engine import critic, recipes, walks
from studio.engine.device import Precision, Workers, choose_device
from studio.engine.library import Library
from studio.engine.lineage import mixed, settle
from studio.engine.painter import Painter
from studio.engine.pictures import Pictures
from studio.engine.requests import ClassesRequest, Picture, SampleRequest, Seeded, WalkRequest, as_picture
from studio.engine.results import ClassGrid, ModelInfo, Restored, Sample
from studio.engine.style_models import StyleShelf, by_moments
from studio.engine.style_requests import StylizeRequest
from studio.engine.styled import RestoredStyle, Styled, Variants
from studio.engine.stylist import Stylist
from studio.engine.turns import Turns
from studio.latent.mixing import layer_slices
from studio.settings import Settings
from studio.style.similarity import SIMILARITIES

T = TypeVar("T")
Job = Generator[Progress[T], None, None]


class Engine:
    """Paints with the models it finds. Safe to share among threads; nothing is loaded before it is needed.

    Requests are validated when a method is called; the work is done while its generator is iterated. The device is
    held for one step of a job at a time, in the order that steps are asked for.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = Settings.from_environment() if settings is None else settings
        self._library = Library(self.settings)
        self._turns = Turns()
        self._loaded: OrderedDict[str, Painter] = OrderedDict()  # by sha256, the least recently used first
        self._critics = critic.Critics(self._library)
        self._stylist = Stylist(self.settings, StyleShelf(self._library, self._device), self._whole)

    @cached_property
    def hardware(self) -> tuple[Workers, Precision]:
        """The workers on the device that the settings choose, and the precision that it computes in."""
        device = choose_device(self.settings.device)
        return Workers(device, self.settings.threads), Precision(device, self.settings.home / "processor.json")

    def _device(self) -> torch.device:
        return self.hardware[1].device

    def models(self) -> list[ModelInfo]:
        """Every model by name; a file that cannot be used is listed with its error."""
        return [self._library.describe(name, path) for name, path in self._library.paths().items()]

    def info(self, model: str) -> ModelInfo:
        """One model, by name or path. Raises UnknownName, or CheckpointError where its file cannot be used."""
        name, opened = self._library.open(model)
        return self._library.describe(name, opened.path)

    def sample(self, request: SampleRequest) -> Job[list[Sample]]:
        """Pictures. preview: the Samples so far."""
        name, opened = self._library.open(request.model)
        pictures = self._settled(request.all_pictures(), request.classes, opened)
        recipe = recipes.recipes(request, name, opened.sha256)
        return self._paint(opened, pictures, request.truncation, recipe, list)

    def classes(self, request: ClassesRequest) -> Job[ClassGrid]:
        """A row of pictures for each class. preview: the Samples so far, row by row."""
        name, opened = self._library.open(request.model)
        if not opened.classes:
            raise InvalidRequest(f"The model {name!r} has no classes; choose one that has, or sample it.")
        rows = request.classes or opened.classes
        seeds = tuple(range(request.seed, request.seed + request.count))
        wanted = [Seeded(seed=seed, classes={row: 1.0}) for row in rows for seed in seeds]
        pictures = self._settled(wanted, {}, opened)
        recipe = recipes.recipes(request, name, opened.sha256)

        def grid(samples: Sequence[Sample]) -> ClassGrid:
            starts = range(0, len(samples), len(seeds))
            return ClassGrid(rows, seeds, tuple(tuple(samples[i : i + len(seeds)]) for i in starts))

        return self._paint(opened, pictures, request.truncation, recipe, grid)

    def walk(self, request: WalkRequest, out: Path | str | None = None) -> Job[Path]:
        """A film. preview: the frame last made. out: its file, else one in the outputs folder named by the request."""
        name, opened = self._library.open(request.model)
        side = request.size or self._library.resolution(opened)
        if request.frames > self.settings.max_frames:
            raise InvalidRequest(f"A walk may have at most {self.settings.max_frames} frames; got {request.frames}.")
        if side > max(self.settings.max_size, self._library.resolution(opened)):
            raise InvalidRequest(f"A film may have at most {self.settings.max_size} pixels a side; got {side}.")
        if request.format == "gif":
            check_gif(request.frames, (side, side), request.fps)
        keys = self._settled(request.keys(), request.classes, opened)
        if request.space == "z" and any(map(mixed, keys)):
            raise InvalidRequest("A mix of two pictures has no single place in z; walk in w instead.")
        path = self.settings.outputs / _film_name(name, opened, request) if out is None else Path(out)
        if path.suffix.lower() != f".{request.format}":
            raise InvalidRequest(f"The film's file must end in .{request.format}; got {path.name[:80]!r}.")
        return self._film(opened, keys, request, path)

    def render(
        self,
        model: str,
        picture: Picture | Mapping[str, Any] | int = 0,
        *,
        truncation: float = 0.8,
        classes: Mapping[str, float] | None = None,
    ) -> Sample:
        """One picture, from a seed or a lineage."""
        request = SampleRequest(
            model=model, pictures=(as_picture(picture),), truncation=truncation, classes=classes or {}
        )
        return result_of(self.sample(request))[0]

    def pictures(self) -> Pictures:
        """A place for the pictures of one session; in the local profile with the artist's library behind it."""
        if self.settings.profile == "public":
            return Pictures(max_bytes=64 << 20)
        return Pictures(max_pixels=64_000_000, folder=self.settings.home / "pictures")

    def stylize(
        self, request: StylizeRequest, pictures: Mapping[str, Image.Image], before: Styled | None = None
    ) -> Job[Styled]:
        """A picture in the hand of others. preview: the Styled so far, the instant one first.

        pictures: what the request's references name. before: a result of the same request with fewer steps, to go on
        from. metrics: the losses at each step, and seconds_left.
        """
        return self._stylist.stylize(request, pictures, before)

    def diversify(
        self, request: StylizeRequest, pictures: Mapping[str, Image.Image], similarities: Sequence[str] = ()
    ) -> Job[Variants]:
        """The same pair refined once under each similarity (none: all that can). preview: the Variants so far."""
        return self._stylist.diversify(request, pictures, similarities or self.similarities(request))

    def similarities(self, request: StylizeRequest) -> tuple[str, ...]:
        """The similarities under which a request's styles can be compared; fewer where a masterwork is among them."""
        pictured = all(style.picture is not None for style in request.styles)
        return SIMILARITIES.names() if pictured else by_moments()

    def masterworks(self) -> tuple[str, ...]:
        """Names of the paintings that can be styles without a picture; none where their file is not there."""
        return self._stylist.shelf.masterworks()

    def masterwork_thumbnails(self) -> Job[dict[str, Image.Image]]:
        """Every masterwork's hand on a neutral picture, by name. preview: those so far."""
        return self._stylist.thumbnails()

    def masterwork_thumbnail(self, name: str) -> Image.Image:
        """One masterwork's hand on a neutral picture. Raises UnknownName."""
        return self._stylist.thumbnail(name)

    def classify(self, image: Image.Image | Source) -> dict[str, float]:
        """What a picture is of: {class: probability}, the likeliest first, summing to 1; the same every time.

        image: in memory, or a file of it. Raises ImageError, or CheckpointError where no critic is there.
        """
        return self._criticise(critic.classify, critic.pictured(image))

    def saliency(self, image: Image.Image | Source, class_name: str | None = None) -> Image.Image:
        """Where a picture looks like a class (the likeliest by default), in heat colours on it. Raises as classify,
        and UnknownName."""
        return self._criticise(critic.saliency, critic.pictured(image), class_name)

    @property
    def can_classify(self) -> bool:
        """Whether the critic is there."""
        return self._critics.there

    def _criticise(self, job: Callable[..., T], *values: Any) -> T:
        """job(critic, *values) in the device's next turn, on one thread, so that the bits do not depend on company."""
        with self._turns:
            workers, precision = self.hardware
            return workers.map(lambda run: run(self._critics.load(precision.device), *values), [job])[0]

    @property
    def can_stylize(self) -> bool:
        """Whether the models of style transfer are there."""
        return self._stylist.shelf.complete

    def restore(self, recipe: Mapping[str, Any]) -> Restored | RestoredStyle:
        """The request that a picture's recipe holds, validated as a stranger's. Raises a StudioError."""
        if recipe.get("verb") == "stylize":
            return self._stylist.restore(recipe)
        return recipes.restore(recipe, self.models())

    def _settled(self, pictures: Sequence[Picture], fallback: Mapping[str, float], opened: Checkpoint) -> list[Picture]:
        """The pictures with their classes explicit, or one sentence that says what the model cannot do."""
        if len(pictures) > self.settings.max_count:
            raise InvalidRequest(f"At most {self.settings.max_count} pictures at once; got {len(pictures)}.")
        settled = [settle(picture, fallback, opened.classes) for picture in pictures]
        if any(map(mixed, settled)):
            layer_slices(self._library.layers(opened))  # a model of one layer cannot mix
        return settled

    def _paint(
        self,
        opened: Checkpoint,
        pictures: Sequence[Picture],
        psi: float,
        recipe: Callable[[Picture], dict[str, Any]],
        finish: Callable[[list[Sample]], T],
    ) -> Job[T]:
        samples: list[Sample] = []
        while len(samples) < len(pictures):
            with self._step(opened) as (painter, workers):
                chunk = pictures[len(samples) : len(samples) + workers.step]
                frames = workers.map(partial(painter.picture, psi=psi), chunk)
            for picture, frame in zip(chunk, frames, strict=True):
                samples.append(Sample(Image.fromarray(frame), picture, recipe(picture)))
            done = len(samples) == len(pictures)
            yield Progress(len(samples), len(pictures), preview=samples[:], result=finish(samples) if done else None)

    def _film(self, opened: Checkpoint, keys: Sequence[Picture], request: WalkRequest, path: Path) -> Job[Path]:
        route: walks.Route | None = None
        frames: list[Frame] = []
        done = 0
        with open_video(path, request.fps) as film:
            while done < request.frames:
                with self._step(opened) as (painter, workers):
                    route = route or walks.plan(painter, workers, keys, request)
                    chunk = range(done, min(done + workers.step, request.frames))
                    frames = workers.map(partial(route.frame, painter), chunk)
                for frame in frames:
                    film.add(frame)
                done += len(frames)
                if done < request.frames:
                    yield Progress(done, request.frames, preview=Image.fromarray(frames[-1]))
        yield Progress(done, request.frames, preview=Image.fromarray(frames[-1]), result=path)

    def _whole(self, job: Callable[..., T], *values: Any) -> T:
        """job(*values) in the device's next turn, with all threads of the processor."""
        with self._turns:
            return self.hardware[0].whole(job, *values)

    @contextmanager
    def _step(self, opened: Checkpoint) -> Generator[tuple[Painter, Workers], None, None]:
        """One turn on the device, with the model loaded."""
        with self._turns:
            workers, precision = self.hardware
            yield self._painter(opened, workers, precision), workers

    def _painter(self, opened: Checkpoint, workers: Workers, precision: Precision) -> Painter:
        """The model from memory or from its file; the least recently used ones make room."""
        painter = self._loaded.pop(opened.sha256, None)
        if painter is None:
            painter = workers.map(lambda checkpoint: Painter(checkpoint, precision), [opened])[0]
            workers.map(precision.probe, [painter.model])
        self._loaded[opened.sha256] = painter
        while len(self._loaded) > 1 and sum(p.bytes for p in self._loaded.values()) > self.settings.cache_bytes:
            self._loaded.popitem(last=False)
        return painter


def _film_name(name: str, opened: Checkpoint, request: WalkRequest) -> str:
    """The same request of the same model has the same file."""
    text = json.dumps([opened.sha256, request.to_json()], sort_keys=True)
    return f"{name}-walk-{hashlib.sha256(text.encode()).hexdigest()[:12]}.{request.format}"
