"""The engine: models, device and jobs. Every job is a generator of Progress; iterate to go on, close to cancel."""

from collections.abc import Callable, Generator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from PIL import Image

from studio.core.decode import Source
from studio.core.errors import InvalidRequest, UnknownName
from studio.core.progress import Progress, result_of
from studio.engine import critic, recipes
from studio.engine.adapt_requests import AdaptRequest
from studio.engine.adapted import Adaptation
from studio.engine.adapters import Adapters
from studio.engine.adapting import Adapting
from studio.engine.compass import Compass, Score, log_odds
from studio.engine.device import Precision, Workers, leave_threads_to_workers
from studio.engine.enlarger import Enlarger
from studio.engine.held import is_reference
from studio.engine.inverter import Inverted, Inverter, InvertRequest
from studio.engine.library import Library
from studio.engine.machine import Machine
from studio.engine.pictures import Pictures
from studio.engine.requests import Along, ClassesRequest, Picture, SampleRequest, WalkRequest, as_picture
from studio.engine.results import ClassGrid, ModelInfo, Restored, Sample
from studio.engine.sampling import Sampling
from studio.engine.style_models import StyleShelf, by_moments
from studio.engine.style_requests import StylizeRequest
from studio.engine.styled import RestoredStyle, Styled, Variants
from studio.engine.stylist import Stylist
from studio.models.adapter import Adapter
from studio.settings import Settings
from studio.style.similarity import SIMILARITIES

T = TypeVar("T")
Job = Generator[Progress[T], None, None]


class Engine:
    """Paints with the models it finds. Safe to share among threads; nothing is loaded before it is needed.

    Requests are validated when a method is called; the work is done while its generator is iterated. The device is
    held for one step of a job at a time, in the order that steps are asked for.

    alone: whether nobody else computes with torch in this process; long jobs are faster then.
    """

    def __init__(self, settings: Settings | None = None, alone: bool = False) -> None:
        if alone:
            leave_threads_to_workers()
        self.settings = Settings.from_environment() if settings is None else settings
        self._library = Library(self.settings)
        self._machine = Machine(self.settings)
        whole = self._machine.whole
        self._adapters = Adapters(self.settings, self._library)
        self._adapting = Adapting(self._library, self._adapters, lambda: self.hardware[1], whole)
        self._stylist = Stylist(self.settings, StyleShelf(self._library, self._machine.style_precision), whole)
        self._compass = Compass(self.settings, self._library, self._machine.step)
        self._enlarger = Enlarger(self._library)
        self._sampling = Sampling(self.settings, self._library, self._machine, self._compass, self._enlarger)
        self._inverter = Inverter(self._library, self._machine.step, self.sample)
        self._critics = critic.Critics(self._library)

    @property
    def hardware(self) -> tuple[Workers, Precision]:
        """The workers on the device that the settings choose, and the precision that it computes in."""
        return self._machine.hardware

    def models(self) -> list[ModelInfo]:
        """Every model by name; a file that cannot be used is listed with its error."""
        return [self._library.describe(name, path) for name, path in self._library.paths().items()]

    def info(self, model: str) -> ModelInfo:
        """One model, by name, path or reference. Raises UnknownName, or CheckpointError where it cannot be used."""
        return self._library.info(model)

    def sample(self, request: SampleRequest) -> Job[list[Sample]]:
        """Pictures. preview: the Samples so far."""
        return self._sampling.sample(request)

    def classes(self, request: ClassesRequest) -> Job[ClassGrid]:
        """A row of pictures for each class. preview: the Samples so far, row by row."""
        return self._sampling.classes(request)

    def walk(self, request: WalkRequest, out: Path | str | None = None) -> Job[Path]:
        """A film. preview: the frame last made. out: its file, else one in the outputs folder named by the request."""
        return self._sampling.walk(request, out)

    def render(
        self,
        model: str,
        picture: Picture | Mapping[str, Any] | int = 0,
        *,
        truncation: float = 0.8,
        classes: Mapping[str, float] | None = None,
        adaptation: float = 1.0,
        size: int | None = None,
    ) -> Sample:
        """One picture, from a seed or a lineage. size: side in px, None for the model's."""
        request = SampleRequest(
            model=model,
            pictures=(as_picture(picture),),
            truncation=truncation,
            classes=classes or {},
            adaptation=adaptation,
            size=size,
        )
        return result_of(self.sample(request))[0]

    def invert(self, request: InvertRequest, image: Image.Image) -> Job[Inverted]:
        """A picture from outside in a model. preview: the reconstruction so far. metrics: distance."""
        return self._inverter.invert(request, image)

    def directions(self, model: str) -> tuple[str, ...]:
        """Names of the directions kept with a model."""
        return self._compass.names(model)

    def keep_direction(self, model: str, name: str, along: Along) -> None:
        """Keep a direction with a model, under a name of the artist's; an old one of that name is replaced."""
        self._compass.keep(model, name, along)

    def find_direction(self, model: str, score: Score, count: int = 256, seed: int = 0) -> Job[Along]:
        """The direction in which a score of pictures grows. preview: the picture last scored."""
        return self._compass.find(model, score, count, seed)

    def more_of(self, model: str, class_name: str, count: int = 128, seed: int = 0) -> Job[Along]:
        """The direction towards "more of a class", as the critic sees it. preview: the picture last scored.

        Unlike a score that calls classify, it may look at pictures while the job holds the device. Raises as saliency.
        """
        judge = self._machine.single(lambda: self._critics.load(self._machine.device()))
        if class_name not in judge.classes:
            raise UnknownName("class", class_name, judge.classes)
        return self._compass.find(model, log_odds(partial(critic.classify, judge), class_name), count, seed)

    @property
    def critic_classes(self) -> tuple[str, ...]:
        """The classes that the critic tells apart; none where there is no critic."""
        return self._critics.classes

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
        from. metrics: the losses at each step, and seconds_left. The practice that styles ask for comes first; it is
        remembered, so that another request with as much of it is served at once.
        """
        return self._stylist.stylize(request, pictures, before)

    def practised(self, request: StylizeRequest, pictures: Mapping[str, Image.Image]) -> StylizeRequest:
        """The request with no more practice than its styles have had, which can be served at once."""
        return self._stylist.practised(request, pictures)

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
        """job(critic, *values) on the device."""
        return self._machine.single(lambda: job(self._critics.load(self._machine.device()), *values))

    @property
    def can_enlarge(self) -> bool:
        """Whether pictures are enlarged by the upscaler; without its file they are by Lanczos."""
        return self._enlarger.ready

    def enlarge(self, images: Sequence[Image.Image], size: int) -> list[Image.Image]:
        """Pictures with their long sides brought to `size` px, as the size of a SampleRequest does it. Mode RGB.

        Raises InvalidRequest for a size that the settings do not allow."""
        if not 1 <= size <= self.settings.max_size:
            raise InvalidRequest(f"A picture's side must be from 1 to {self.settings.max_size} px; got {size}.")
        frames = [np.asarray(image.convert("RGB")) for image in images]
        larger = self._machine.single(self._enlarger.enlarged, frames, size, self._machine.hardware[1])
        return [Image.fromarray(frame) for frame in larger]

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
        reference: str = self._machine.whole(self._adapting.pick, adaptation, stage)
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
        upscaler = self._enlarger.sha256 if self.can_enlarge else None
        return recipes.restore(recipe, [*self.models(), *with_held], upscaler)
