"""What the Explore tab does. Handlers take named values, call the engine and yield views; see handlers.py."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from studio.core.errors import InvalidRequest
from studio.core.images import tile
from studio.core.progress import result_of
from studio.engine import Engine, Mix, Picture, Sample, SampleRequest, Variation
from studio.ui import pictures
from studio.ui.handlers import Raw, View, read_seed, roll, status
from studio.ui.large import enlarge
from studio.ui.outbox import letter
from studio.ui.pictures import Card
from studio.ui.shelf import chosen_weights
from studio.ui.strip import strip_view
from studio.ui.table import found, pictures_of, there, tuned

MAX_RECENT = 12
MAX_STRIP = 24
Cards = tuple[Card, ...]


@dataclass(frozen=True)
class ExploreJobs:
    """The handlers of the tab, over one engine."""

    engine: Engine

    def paint(
        self,
        model: Raw,
        seed: Raw,
        lock: bool,
        count: Raw,
        truncation: Raw,
        adaptation: Raw,
        kind: Raw,
        mixture: Raw,
        recent: Cards,
    ) -> Iterator[View]:
        """A new wall: of a seed by chance, or of the one that is locked."""
        yield from self._paint(
            model, read_seed(seed) if lock else roll(), count, truncation, adaptation, kind, mixture, recent
        )

    def repaint(
        self,
        model: Raw,
        seed: Raw,
        count: Raw,
        truncation: Raw,
        adaptation: Raw,
        kind: Raw,
        mixture: Raw,
        recent: Cards,
    ) -> Iterator[View]:
        """The wall of the seed that stands in the field."""
        yield from self._paint(model, read_seed(seed), count, truncation, adaptation, kind, mixture, recent)

    def first(
        self,
        model: str | None,
        wall: Sequence[Picture],
        seed: Raw,
        count: Raw,
        truncation: Raw,
        adaptation: Raw,
        kind: Raw,
        mixture: Raw,
        recent: Cards,
    ) -> Iterator[View]:
        """The wall that the page opens with."""
        if model and not wall:
            yield from self._paint(model, read_seed(seed), count, truncation, adaptation, kind, mixture, recent)

    def dice(
        self, model: Raw, count: Raw, truncation: Raw, adaptation: Raw, kind: Raw, mixture: Raw, recent: Cards
    ) -> Iterator[View]:
        """A wall of a seed by chance, locked or not."""
        yield from self._paint(model, roll(), count, truncation, adaptation, kind, mixture, recent)

    def _paint(
        self,
        model: Raw,
        seed: Raw,
        count: Raw,
        truncation: Raw,
        adaptation: Raw,
        kind: Raw,
        mixture: Raw,
        recent: Cards,
    ) -> Iterator[View]:
        request = SampleRequest(
            model=model,
            seed=seed,
            count=count,
            truncation=truncation,
            adaptation=adaptation,
            classes=chosen_weights(kind, mixture),
        )
        first: Card | None = None
        for view, cards in self.hang(request):
            if first is None:
                first = cards[0]
                view |= {"seed": str(seed), **self.show(first, recent)}
            yield view

    def hang(self, request: SampleRequest) -> Iterator[tuple[View, Cards]]:
        """Paint a wall and show it as it fills."""
        cards: Cards = ()
        total = len(request.all_pictures())
        for progress in self.engine.sample(request):
            cards += tuple(Card.of(sample) for sample in progress.preview[len(cards) :])
            view: View = {
                "wall": tuple(card.picture for card in cards),
                "wall_view": pictures.wall(cards, total),
                "status": status("Painting" if len(cards) < total else f"{total} pictures", progress),
            }
            yield view, cards

    def show(self, card: Card, recent: Cards) -> View:
        """A picture as the current one, remembered among the recent ones."""
        others = tuple(other for other in recent if other.picture != card.picture)
        kept = (card, *others)[:MAX_RECENT]
        view: View = {
            "current": card.picture,
            "stage": pictures.stage(card),
            "recent": kept,
            "recent_view": pictures.row(kept, "recent"),
        }
        if isinstance(card.picture, Variation):
            view["radius"] = card.picture.radius
        if isinstance(card.picture, Mix):
            view["groups"] = list(card.picture.groups)
        return view

    def card(self, model: Raw, picture: Picture, truncation: Raw, adaptation: Raw) -> Card:
        return Card.of(self._sample(model, picture, truncation, adaptation))

    def _sample(
        self, model: Raw, picture: Picture, truncation: Raw, adaptation: Raw, size: int | None = None
    ) -> Sample:
        return self.engine.render(model, picture, truncation=truncation, adaptation=adaptation, size=size)

    def large(self, model: Raw, current: Picture | None, truncation: Raw, adaptation: Raw) -> Iterator[View]:
        """When nothing moves: the current picture, enlarged."""
        if current is not None:
            yield from enlarge(
                self.engine, model, lambda size: self._sample(model, current, truncation, adaptation, size)
            )

    def live(
        self, model: Raw, current: Picture | None, truncation: Raw, adaptation: Raw, radius: Raw, groups: Raw
    ) -> Iterator[View]:
        """While a slider moves: the current picture alone."""
        if current is not None:
            yield {"stage": pictures.stage(self.card(model, tuned(current, radius, groups), truncation, adaptation))}

    def settle(
        self,
        model: Raw,
        wall: Sequence[Picture],
        current: Picture | None,
        truncation: Raw,
        adaptation: Raw,
        radius: Raw,
        groups: Raw,
        strip: Cards,
        recent: Cards,
    ) -> Iterator[View]:
        """When the slider rests: everything else follows."""
        if current is None or not wall:
            return
        now = tuned(current, radius, groups)
        if now != current:  # else it is on the stage already, and a click in the meantime would be undone
            yield self.show(self.card(model, now, truncation, adaptation), recent)
        request = SampleRequest(
            model=model,
            truncation=truncation,
            adaptation=adaptation,
            pictures=tuple(tuned(picture, radius, ()) for picture in wall),
        )
        for view, _ in self.hang(request):
            yield view
        if strip:
            yield strip_view(self._cards(model, [card.picture for card in strip], truncation, adaptation))

    def _cards(self, model: Raw, wanted: Sequence[Picture], truncation: Raw, adaptation: Raw) -> Cards:
        job = self.engine.sample(
            SampleRequest(model=model, truncation=truncation, adaptation=adaptation, pictures=tuple(wanted))
        )
        return tuple(Card.of(sample) for sample in result_of(job))

    def pick(
        self,
        event: dict[str, Any],
        model: Raw,
        wall: Sequence[Picture],
        strip: Cards,
        recent: Cards,
        truncation: Raw,
        adaptation: Raw,
    ) -> Iterator[View]:
        """A click on a picture makes it the current one."""
        picture = found(event, [*wall, *pictures_of(strip), *pictures_of(recent)])
        yield self.show(self.card(model, picture, truncation, adaptation), recent)

    def vary(
        self, model: Raw, current: Picture | None, radius: Raw, count: Raw, truncation: Raw, adaptation: Raw
    ) -> Iterator[View]:
        """A wall of neighbours of the current picture."""
        base = there(current)
        first = roll()
        wanted = SampleRequest(model=model, count=count).count
        neighbours = tuple(Variation(of=base, radius=radius, seed=first + index) for index in range(wanted))
        request = SampleRequest(model=model, truncation=truncation, adaptation=adaptation, pictures=neighbours)
        for view, _ in self.hang(request):
            yield view

    def choose_second(
        self, event: dict[str, Any], model: Raw, wall: Sequence[Picture], truncation: Raw, adaptation: Raw
    ) -> Iterator[View]:
        """A picture of the wall becomes the other one of a mix."""
        card = self.card(model, found(event, wall), truncation, adaptation)
        yield {"partner": card.picture, "partner_view": pictures.second(card)}

    def hold(self, model: Raw, current: Picture | None, truncation: Raw, adaptation: Raw) -> Iterator[View]:
        """The current picture becomes the other one of a mix."""
        card = self.card(model, there(current), truncation, adaptation)
        yield {"partner": card.picture, "partner_view": pictures.second(card)}

    def mix(
        self,
        model: Raw,
        current: Picture | None,
        partner: Picture | None,
        groups: Raw,
        truncation: Raw,
        adaptation: Raw,
        recent: Cards,
    ) -> Iterator[View]:
        """The current picture with the other one's styles becomes the current one."""
        if partner is None:
            raise InvalidRequest("Choose the picture to mix with first: press ◐ below one on the wall.")
        if not groups:
            raise InvalidRequest("Choose at least one of coarse, middle and fine to mix.")
        mixed = Mix(mix=(there(current), partner), groups=tuple(groups))
        yield {**self.show(self.card(model, mixed, truncation, adaptation), recent), "status": status("Mixed")}

    def gather(
        self, event: dict[str, Any], model: Raw, wall: Sequence[Picture], strip: Cards, truncation: Raw, adaptation: Raw
    ) -> Iterator[View]:
        """A picture of the wall joins the walk."""
        yield self._gather(model, found(event, wall), strip, truncation, adaptation)

    def gather_current(
        self, model: Raw, current: Picture | None, strip: Cards, truncation: Raw, adaptation: Raw
    ) -> Iterator[View]:
        """The current picture joins the walk."""
        yield self._gather(model, there(current), strip, truncation, adaptation)

    def _gather(self, model: Raw, picture: Picture, strip: Cards, truncation: Raw, adaptation: Raw) -> View:
        if len(strip) >= MAX_STRIP:
            raise InvalidRequest(f"A walk here has at most {MAX_STRIP} pictures; take one out first.")
        if picture in pictures_of(strip):
            raise InvalidRequest("This picture is in the walk already; choose another.")
        return strip_view((*strip, self.card(model, picture, truncation, adaptation)))

    def download(
        self,
        model: Raw,
        current: Picture | None,
        seed: Raw,
        count: Raw,
        truncation: Raw,
        adaptation: Raw,
        kind: Raw,
        mixture: Raw,
        side: Raw,
        keep_recipe: bool,
    ) -> Iterator[View]:
        """The current picture as PNG. Its recipe holds the settings of the page and the picture's own lineage."""
        sample = self._sample(model, there(current), truncation, adaptation, side or None)
        request = SampleRequest(
            model=sample.recipe["model"],
            seed=read_seed(seed),
            count=count,
            truncation=truncation,
            adaptation=adaptation,
            classes=chosen_weights(kind, mixture),
            size=side or None,
        )
        recipe = {**sample.recipe, "request": request.to_json()} if keep_recipe else None
        name = f"{sample.recipe['model']} {pictures.caption(sample.picture)}.png"
        yield {"outbox": letter(name, sample.image, recipe), "status": status(f"Saved {name}")}

    def download_wall(
        self, model: Raw, wall: Sequence[Picture], truncation: Raw, adaptation: Raw, keep_recipe: bool
    ) -> Iterator[View]:
        """The whole wall on one sheet."""
        request = SampleRequest(model=model, truncation=truncation, adaptation=adaptation, pictures=tuple(wall) or None)
        samples = result_of(self.engine.sample(request))
        columns = next(side for side in range(1, len(samples) + 1) if side * side >= len(samples))
        sheet = tile([sample.image for sample in samples], columns)
        recipe = {**samples[0].recipe, "request": request.to_json()} if keep_recipe else None
        name = f"{samples[0].recipe['model']} wall.png"
        yield {"outbox": letter(name, sheet, recipe), "status": status(f"Saved {name}")}
