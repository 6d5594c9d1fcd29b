"""What the Classes tab does. Handlers take named values, call the engine and yield views; see handlers.py."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from studio.core.errors import InvalidRequest
from studio.core.progress import result_of
from studio.engine import ClassesRequest, Engine, Picture, Sample, SampleRequest, Seeded
from studio.ui import pictures
from studio.ui.handlers import Raw, View, read_seed, roll, status
from studio.ui.large import enlarge
from studio.ui.outbox import letter
from studio.ui.pictures import Card
from studio.ui.shelf import mixture_of, mixture_weights


@dataclass(frozen=True)
class ClassesJobs:
    """The handlers of the tab, over one engine."""

    engine: Engine

    def live(self, model: Raw, seed: Raw, mixture: Raw, truncation: Raw, adaptation: Raw) -> Iterator[View]:
        """While a slider moves: the picture of the mixture."""
        if not mixture_weights(mixture):
            yield {"status": status("Raise at least one class.")}
            return
        yield {
            "stage": pictures.stage(Card.of(self.mixed(model, seed, mixture, truncation, adaptation))),
            "status": status(),
        }

    def large(self, model: Raw, seed: Raw, mixture: Raw, truncation: Raw, adaptation: Raw) -> Iterator[View]:
        """When nothing moves: the picture of the mixture, enlarged."""
        if model and mixture_weights(mixture):
            yield from enlarge(
                self.engine, model, lambda size: self.mixed(model, seed, mixture, truncation, adaptation, size)
            )

    def mixed(
        self, model: Raw, seed: Raw, mixture: Raw, truncation: Raw, adaptation: Raw, size: int | None = None
    ) -> Sample:
        """The picture of the mixture."""
        weights = mixture_weights(mixture)
        if not weights:
            raise InvalidRequest("The mixture is empty; raise at least one class.")
        request = SampleRequest(
            model=model,
            seed=read_seed(seed),
            count=1,
            truncation=truncation,
            adaptation=adaptation,
            classes=weights,
            size=size,
        )
        return result_of(self.engine.sample(request))[0]

    def enter(
        self,
        model: str | None,
        grid: Sequence[Picture],
        seed: Raw,
        count: Raw,
        truncation: Raw,
        adaptation: Raw,
        mixture: Raw,
    ) -> Iterator[View]:
        """The grid that the tab opens with."""
        if model and not grid and mixture_weights(mixture):
            yield from self._paint(model, read_seed(seed), count, truncation, adaptation, mixture)

    def follow(
        self,
        room: str,
        model: str | None,
        grid: Sequence[Picture],
        seed: Raw,
        count: Raw,
        truncation: Raw,
        adaptation: Raw,
        mixture: Raw,
    ) -> Iterator[View]:
        """The grid of another model, where the tab is the one in view."""
        if room == "classes":
            yield from self.enter(model, grid, seed, count, truncation, adaptation, mixture)

    def paint(
        self, model: Raw, seed: Raw, lock: bool, count: Raw, truncation: Raw, adaptation: Raw, mixture: Raw
    ) -> Iterator[View]:
        """The picture of the mixture, then the grid: of a seed by chance, or of the one that is locked."""
        yield from self._paint(model, read_seed(seed) if lock else roll(), count, truncation, adaptation, mixture)

    def repaint(
        self, model: Raw, seed: Raw, count: Raw, truncation: Raw, adaptation: Raw, mixture: Raw
    ) -> Iterator[View]:
        """The same of the seed that stands in the field."""
        yield from self._paint(model, read_seed(seed), count, truncation, adaptation, mixture)

    def dice(self, model: Raw, count: Raw, truncation: Raw, adaptation: Raw, mixture: Raw) -> Iterator[View]:
        """The same of a seed by chance, locked or not."""
        yield from self._paint(model, roll(), count, truncation, adaptation, mixture)

    def _paint(
        self, model: Raw, seed: Raw, count: Raw, truncation: Raw, adaptation: Raw, mixture: Raw
    ) -> Iterator[View]:
        request = self.fitted(
            ClassesRequest(model=model, seed=seed, count=count, truncation=truncation, adaptation=adaptation)
        )
        yield from self.hang(request, mixture, request.seed)

    def fitted(self, request: ClassesRequest) -> ClassesRequest:
        """The request with as many seeds as all the model's classes have room for: an adapter has one class more."""
        rows = max(len(self.engine.info(request.model).classes), 1)
        most = max(self.engine.settings.max_count // rows, 1)
        return request.model_copy(update={"count": min(request.count, most)})

    def hang(self, request: ClassesRequest, mixture: Raw, seed: int) -> Iterator[View]:
        """Paint the mixture's picture, then the grid, and show it as it fills."""
        job = self.engine.classes(request)
        rows = request.classes or self.engine.info(request.model).classes
        seeds = range(request.seed, request.seed + request.count)
        sample = self.mixed(request.model, str(seed), mixture, request.truncation, request.adaptation)
        yield {"seed": str(seed), "stage": pictures.stage(Card.of(sample))}
        cards: tuple[Card, ...] = ()
        for progress in job:
            cards += tuple(Card.of(sample) for sample in progress.preview[len(cards) :])
            yield {
                "grid": tuple(card.picture for card in cards),
                "grid_view": pictures.class_grid(rows, seeds, cards),
                "status": status("Painting" if progress.result is None else f"{len(cards)} pictures", progress),
            }

    def pick(
        self, event: dict[str, Any], model: Raw, grid: Sequence[Picture], truncation: Raw, adaptation: Raw
    ) -> Iterator[View]:
        """A click on a picture of the grid sets the seed and the class alone."""
        picture = next((picture for picture in grid if pictures.key(picture) == event.get("key")), None)
        if not isinstance(picture, Seeded):
            raise InvalidRequest("That picture is no longer on the table; choose another.")
        card = Card.of(self.engine.render(model, picture, truncation=truncation, adaptation=adaptation))
        mixture = mixture_of(self.engine.info(model), picture.classes)
        yield {"seed": str(picture.seed), "mixture": mixture, "stage": pictures.stage(card), "lock": True}

    def download(
        self, model: Raw, seed: Raw, mixture: Raw, truncation: Raw, adaptation: Raw, side: Raw, keep_recipe: bool
    ) -> Iterator[View]:
        """The picture of the mixture as PNG."""
        sample = self.mixed(model, seed, mixture, truncation, adaptation, side or None)
        name = f"{sample.recipe['model']} {pictures.caption(sample.picture)} {pictures.blend(sample.picture)}.png"
        yield {
            "outbox": letter(name, sample.image, sample.recipe if keep_recipe else None),
            "status": status(f"Saved {name}"),
        }

    def download_grid(
        self, model: Raw, seed: Raw, count: Raw, truncation: Raw, adaptation: Raw, keep_recipe: bool
    ) -> Iterator[View]:
        """The grid as one labelled sheet."""
        request = self.fitted(
            ClassesRequest(model=model, seed=read_seed(seed), count=count, truncation=truncation, adaptation=adaptation)
        )
        grid = result_of(self.engine.classes(request))
        recipe = grid.samples[0][0].recipe
        name = f"{recipe['model']} classes {request.seed}.png"
        yield {
            "outbox": letter(name, grid.sheet(), recipe if keep_recipe else None),
            "status": status(f"Saved {name}"),
        }
