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

from studio.core.errors import InvalidRequest
from studio.core.progress import Progress, result_of
from studio.core.video import Frame, check_gif, open_video
from studio.engine import recipes, walks
from studio.engine.adapt_requests import AdaptRequest
from studio.engine.adapted import Adaptation
from studio.engine.adapters import Adapters
from studio.engine.adapting import Adapting
from studio.engine.device import Precision, Workers, choose_device
from studio.engine.held import is_reference
from studio.engine.library import Library
from studio.engine.lineage import mixed, settle
from studio.engine.opened import Opened, Workbench
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
from studio.models.adapter import Adapter
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
        self._adapters = Adapters(self.settings, self._library)
        self._bench = Workbench()
        self._loaded: OrderedDict[str, Painter] = OrderedDict()  # by Opened.key, the least recently used first
        self._adapting = Adapting(self._library, self._adapters, lambda: self.hardware[1], self._whole)
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
        """One model, by name, path or reference. Raises UnknownName, or CheckpointError where it cannot be used."""
        return self._library.info(model)

    def sample(self, request: SampleRequest) -> Job[list[Sample]]:
        """Pictures. preview: the Samples so far."""
        opened = self._library.open(request.model).at(request.adaptation)
        pictures = self._settled(request.all_pictures(), request.classes, opened)
        recipe = _recipes(request, opened)
        return self._paint(opened, pictures, request.truncation, recipe, list)

    def classes(self, request: ClassesRequest) -> Job[ClassGrid]:
        """A row of pictures for each class. preview: the Samples so far, row by row."""
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
        """A film. preview: the frame last made. out: its file, else one in the outputs folder named by the request."""
        opened = self._library.open(request.model).at(request.adaptation)
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
        path = self.settings.outputs / _film_name(opened, request) if out is None else Path(out)
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
        adaptation: float = 1.0,
    ) -> Sample:
        """One picture, from a seed or a lineage."""
        request = SampleRequest(
            model=model,
            pictures=(as_picture(picture),),
            truncation=truncation,
            classes=classes or {},
            adaptation=adaptation,
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

    @property
    def can_stylize(self) -> bool:
        """Whether the models of style transfer are there."""
        return self._stylist.shelf.complete

    def adapt(self, request: AdaptRequest, pictures: Mapping[str, Image.Image]) -> Job[Adaptation]:
        """A generator moved towards an artist's pictures. preview: the Adaptation so far, on the items that bring one.

        pictures: what the request's references name. metrics: the losses, seconds and seconds_left. The result's
        reference is an adapter's, held in memory (see hold), and stands for a model's name wherever one does.
        """
        if request.budget > self.settings.max_adapt_seconds:
            most = self.settings.max_adapt_seconds
            raise InvalidRequest(f"An adaptation may take at most {most} seconds here; got {request.budget:g}.")
        return self._adapting.adapt(request, pictures)

    def pick(self, adaptation: Adaptation, stage: int) -> str:
        """The adapter of another stage of an adaptation, held in memory. → its reference."""
        reference: str = self._whole(self._adapting.pick, adaptation, stage)
        return reference

    @property
    def can_adapt(self) -> bool:
        """Whether there is a model that can be adapted, and a learner to start from."""
        return self._adapting.ready

    def bases(self) -> tuple[str, ...]:
        """The models that can be adapted, the one that was trained for it first."""
        return self._adapting.bases()

    def hold(
        self,
        adapter: Adapter,
        name: str,
        provenance: Mapping[str, Any] | None = None,
        metrics: Mapping[str, float] | None = None,
    ) -> str:
        """Keep an adapter in memory, among those used last. name: of the artist's class. → its reference, which stands
        for a model's name wherever one does; nobody can guess it, and models() does not list it."""
        return self._adapters.hold(adapter, name, provenance or {}, metrics or {})

    def adopt(self, file: Path | str | bytes) -> str:
        """Validate a stranger's adapter file and hold it. → its reference. Raises CheckpointError."""
        return self._adapters.adopt(file)

    def keep(self, model: str, name: str, overwrite: bool = False) -> ModelInfo:
        """Write an adapter, named or held, into the artist's library under a name."""
        return self._adapters.keep(model, name, overwrite)

    def place(self, name: str, overwrite: bool = False) -> Path:
        """The file that keep would write. Raises InvalidRequest for a name that it would refuse."""
        return self._adapters.place(name, overwrite)

    def export(self, model: str) -> bytes:
        """The file of an adapter, named or held."""
        return self._adapters.export(model)

    def own_pictures(self, model: str) -> tuple[Image.Image, ...]:
        """Small copies of the pictures that an adapter, named or held, learned from."""
        return self._adapters.own_pictures(model)

    def restore(self, recipe: Mapping[str, Any], held: Sequence[str] = ()) -> Restored | RestoredStyle:
        """The request that a picture's recipe holds, validated as a stranger's. Raises a StudioError.

        held: references of the adapters that may have made it, besides the models that all can see.
        """
        if recipe.get("verb") == "stylize":
            return self._stylist.restore(recipe)
        with_held = [self.info(model) for model in held if is_reference(model) and model in self._library.held]
        return recipes.restore(recipe, [*self.models(), *with_held])

    def _settled(self, pictures: Sequence[Picture], fallback: Mapping[str, float], opened: Opened) -> list[Picture]:
        """The pictures with their classes explicit, or one sentence that says what the model cannot do."""
        if len(pictures) > self.settings.max_count:
            raise InvalidRequest(f"At most {self.settings.max_count} pictures at once; got {len(pictures)}.")
        settled = [settle(picture, fallback or opened.default, opened.classes) for picture in pictures]
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
            with self._step(opened) as (painter, workers):
                chunk = pictures[len(samples) : len(samples) + workers.step]
                frames = workers.map(partial(painter.picture, psi=psi), chunk)
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
    def _step(self, opened: Opened) -> Generator[tuple[Painter, Workers], None, None]:
        """One turn on the device, with the model loaded."""
        with self._turns:
            workers, precision = self.hardware
            yield self._painter(opened, workers, precision), workers

    def _painter(self, opened: Opened, workers: Workers, precision: Precision) -> Painter:
        """The model from memory or from its file; the least recently used ones make room."""
        painter = self._loaded.pop(opened.key, None)
        if painter is None:
            build = partial(opened.build, self._bench.load)
            painter = workers.map(lambda make: Painter(make(), opened.classes, precision), [build])[0]
            workers.map(precision.probe, [painter.model])
        self._loaded[opened.key] = painter
        while len(self._loaded) > 1 and sum(p.bytes for p in self._loaded.values()) > self.settings.cache_bytes:
            self._loaded.popitem(last=False)
        return painter


def _recipes(request: SampleRequest | ClassesRequest, opened: Opened) -> Callable[[Picture], dict[str, Any]]:
    base = None if opened.base is None else opened.base.sha256
    return recipes.recipes(request, opened.name, opened.sha256, base)


def _film_name(opened: Opened, request: WalkRequest) -> str:
    """The same request of the same model has the same file."""
    text = json.dumps([opened.sha256, request.to_json()], sort_keys=True)
    return f"{opened.name}-walk-{hashlib.sha256(text.encode()).hexdigest()[:12]}.{request.format}"
