"""An artist's own picture in a model, and directions to move a picture along. Handlers; see handlers.py."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
from PIL import Image

from studio.core.errors import InvalidRequest
from studio.core.images import open_image
from studio.engine import Along, Engine, InvertRequest, Moved, Picture, SampleRequest, Variation
from studio.ui import lab_views as views
from studio.ui import pictures, shelf
from studio.ui.explore_jobs import Cards
from studio.ui.handlers import Raw, View, status
from studio.ui.opening import EXPLORE, OpeningJobs, Table
from studio.ui.style_views import reduced
from studio.ui.table import there

CHOOSE = "Choose your own picture"
TO_FIND = "Drop a picture here or choose one, then press Find: the model paints what comes nearest to it."
RANKS = 4  # sliders for a kind of direction
KINDS = {"sefa": "Factors of the weights (SeFa)", "pca": "Principal components"}
NONE = ""
SCORED = 96  # pictures that the critic looks at to find a direction
NEIGHBOURS = 8  # hung around the picture that goes to Explore


@dataclass(frozen=True)
class FindJobs:
    """The handlers of the bench. What is moved is a picture of `target`: found here, or brought from Explore."""

    engine: Engine
    opening: OpeningJobs

    def enter(self, target: Raw, model: Raw, found: Mapping[str, Along]) -> Iterator[View]:
        """The tab is opened: the models and classes that there are now."""
        names = shelf.usable(self.engine.models())
        chosen = target if target in names else model if model in names else next(iter(names), None)
        classes = list(self.engine.critic_classes)
        yield {
            "target": gr.Dropdown(choices=names, value=chosen),
            "more_class": gr.Dropdown(choices=classes, value=next(iter(classes), None), interactive=bool(classes)),
            "named": self._named(chosen, found, NONE),
        }

    def choose(self, target: Raw) -> Iterator[View]:
        """Another model: what was found belongs to the one before."""
        yield {"subject": None, "found": {}, "named": self._named(target, {}, NONE), **_level(), "status": status()}

    def take(self, file: str | None) -> Iterator[View]:
        """A picture is brought."""
        if file is not None:
            image = reduced(open_image(Path(file)), 1024)
            shown = views.pair([(image, "Your picture")], "Press Find to look for it in the model.", CHOOSE)
            yield {"image": image, "subject": None, "stage": shown, **_level(), "status": status()}

    def search(self, image: Image.Image | None, target: Raw, seconds: Raw) -> Iterator[View]:
        """Look for the picture in the model; the reconstruction is shown as it grows."""
        if image is None:
            raise InvalidRequest("There is no picture to look for yet; choose one.")
        for progress in self.engine.invert(InvertRequest(model=target, seconds=seconds), image):
            if progress.preview is None:
                continue
            made = progress.result
            original = image if made is None else made.original
            distance = progress.metrics.get("distance", float("nan"))
            note = f"Distance {distance:.3f}: 0 would be the same picture"
            view: View = {
                "stage": views.pair([(original, "Your picture"), (progress.preview, f"In {target}")], note, CHOOSE),
                "status": status("Looking", progress),
            }
            if made is not None:
                words = f"Found in {made.steps} steps: distance {made.distance:.3f}, at the start {made.first:.3f}"
                view |= {"subject": made.sample.picture, "status": status(words), **_level()}
            yield view

    def borrow(
        self, model: Raw, current: Picture | None, truncation: Raw, adaptation: Raw, found: Mapping[str, Along]
    ) -> Iterator[View]:
        """The current picture of Explore, to be moved along directions."""
        sample = self.engine.render(model, there(current), truncation=truncation, adaptation=adaptation)
        name = f"{model} {pictures.caption(sample.picture)}"
        yield {
            "target": model,
            "subject": sample.picture,
            "stage": views.pair([(sample.image, name)], "Move the sliders of the directions.", CHOOSE),
            "named": self._named(model, found, NONE),
            **_level(),
            "status": status(f"{pictures.caption(sample.picture)} of {model}"),
        }

    def live(
        self,
        target: Raw,
        subject: Picture | None,
        truncation: Raw,
        ranked: Raw,
        along0: Raw,
        along1: Raw,
        along2: Raw,
        along3: Raw,
        named: Raw,
        along_named: Raw,
        found: Mapping[str, Along],
    ) -> Iterator[View]:
        """While a slider moves: the picture as it was, and moved."""
        base = _subject(subject)
        picture = moved(base, ranked, (along0, along1, along2, along3), named, along_named, found)
        sides = [(base, "As it was"), (picture, "Moved")] if picture != base else [(base, "As it is")]
        shown = [
            (self.engine.render(target, one, truncation=truncation).image, f"{words}, {pictures.caption(one)}")
            for one, words in sides
        ]
        yield {"stage": views.pair(shown, pictures.description(picture), CHOOSE)}

    def more(self, target: Raw, more_class: Raw, found: Mapping[str, Along]) -> Iterator[View]:
        """A direction that the critic finds: more of a class."""
        name = f"more {more_class}"
        for progress in self.engine.more_of(target, more_class, SCORED):
            yield {"status": status(f"The critic looks for {name}", progress)}
        if progress.result is not None:
            known = {**found, name: progress.result}
            words = status(f"Found: move the slider Along it for {name}")
            yield {"found": known, "named": self._named(target, known, name), "status": words}

    def keep(
        self, target: Raw, ranked: Raw, which: Raw, name: Raw, named: Raw, found: Mapping[str, Along]
    ) -> Iterator[View]:
        """Name a direction and keep it with the model."""
        title = str(name or "").strip()
        self.engine.keep_direction(
            target, title, _named_along(named, found) if which == NONE else _along(ranked, which)
        )
        known = {other: along for other, along in found.items() if other != title}
        yield {"found": known, "named": self._named(target, known, title), "status": status(f"Kept as {title}")}

    def explore(
        self,
        target: Raw,
        subject: Picture | None,
        truncation: Raw,
        ranked: Raw,
        along0: Raw,
        along1: Raw,
        along2: Raw,
        along3: Raw,
        named: Raw,
        along_named: Raw,
        found: Mapping[str, Along],
        previous: str | None,
        tables: Mapping[str, Table],
        strip: Cards,
        recent: Cards,
    ) -> Iterator[View]:
        """The picture becomes the current one of Explore, among its neighbours."""
        picture = moved(_subject(subject), ranked, (along0, along1, along2, along3), named, along_named, found)
        exploring = self.opening.explore
        card = exploring.card(target, picture, truncation, 1.0)
        head = self.opening.switch(target, previous, tables, strip, recent)
        yield {
            **head,
            "model": target,
            "tabs": gr.Tabs(selected=EXPLORE),
            **exploring.show(card, head.get("recent", recent)),
        }
        near = (Variation(of=picture, radius=0.3, seed=seed) for seed in range(1, NEIGHBOURS + 1))
        request = SampleRequest(model=target, truncation=truncation, pictures=(picture, *near))
        for view, _ in exploring.hang(request):
            yield view

    def stopped(self) -> Iterator[View]:
        """Stop was pressed."""
        yield {"status": status("Stopped")}

    def _named(self, target: Raw, found: Mapping[str, Along], chosen: str) -> Any:
        """The list of directions that have a name: those found now, and those kept with the model."""
        kept = self.engine.directions(target) if target else ()
        names = list(dict.fromkeys((*found, *kept)))
        return gr.Dropdown(choices=[("None", NONE), *((name, name) for name in names)], value=chosen)


def _subject(subject: Picture | None) -> Picture:
    if subject is None:
        raise InvalidRequest("There is no picture to move yet; find your own, or bring one from Explore.")
    return subject


def _along(ranked: Raw, index: Raw) -> Along:
    return Along(kind=ranked, index=index)


def _named_along(named: Raw, found: Mapping[str, Along]) -> Along:
    if not named:
        raise InvalidRequest("No direction with a name is chosen; find one by the critic, or choose a rank.")
    return found[named] if named in found else Along(kind="saved", name=str(named))


def moved(
    picture: Picture, ranked: Raw, amounts: Sequence[Raw], named: Raw, along_named: Raw, found: Mapping[str, Along]
) -> Picture:
    """The picture moved along every direction whose slider is not at 0."""
    for index, amount in enumerate(amounts):
        if amount:
            picture = Moved(moved=picture, along=_along(ranked, index), amount=amount)
    if along_named and named:
        picture = Moved(moved=picture, along=_named_along(named, found), amount=along_named)
    return picture


def _level() -> View:
    """Every slider of a direction back at 0."""
    return {**{f"along{index}": 0 for index in range(RANKS)}, "along_named": 0}
