"""What concerns all tabs: the choice of the model, and a picture that is dropped on the page."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import gradio as gr
from PIL import Image

from studio.core.errors import InvalidRequest
from studio.core.images import read_recipe
from studio.engine import ClassesRequest, Engine, ModelInfo, Picture, RestoredStyle, SampleRequest, Seeded
from studio.ui import large, pictures, shelf
from studio.ui.classes_jobs import ClassesJobs
from studio.ui.explore_jobs import Cards, ExploreJobs
from studio.ui.handlers import Handler, Raw, View, status
from studio.ui.strip import strip_view
from studio.ui.style_desk import Desk
from studio.ui.style_opening import STYLE, StyleOpening

EXPLORE, CLASSES = "explore", "classes"


@dataclass(frozen=True)
class Table:
    """What lies on the table of a model while another one is in use."""

    strip: Cards = ()
    recent: Cards = ()


@dataclass(frozen=True)
class OpeningJobs:
    """The handlers of the head of the page, over one engine."""

    engine: Engine
    explore: ExploreJobs
    classes: ClassesJobs
    style: StyleOpening

    def look(self, model: str | None, held: Sequence[str]) -> Iterator[View]:
        """What lies on the shelf now: when the page opens, and when asked to look again."""
        models = self.engine.models()
        choices = shelf.offered(self.engine, held, models)
        names = [name for _, name in choices]
        chosen = model if model in names else shelf.best(models)
        view: View = {
            "model": gr.Dropdown(choices=choices, value=chosen),
            "broken": shelf.broken(models),
            "empty": "" if names else shelf.empty(self.engine.settings),
        }
        if chosen is not None and chosen != model:
            view |= _about(next(info for info in models if info.name == chosen))
        yield view

    def choose(
        self,
        model: Raw,
        previous: str | None,
        tables: Mapping[str, Table],
        strip: Cards,
        recent: Cards,
        seed: Raw,
        count: Raw,
        truncation: Raw,
    ) -> Iterator[View]:
        """Another model, and its wall of the same seeds. What lay on the table stays with the one before."""
        if model == previous:  # a click in a list is told twice
            return
        view = self.switch(model, previous, tables, strip, recent)
        yield view
        yield from self.explore.repaint(model, seed, count, truncation, 1.0, shelf.ANY, None, view["recent"])

    def switch(
        self, model: Raw, previous: str | None, tables: Mapping[str, Table], strip: Cards, recent: Cards
    ) -> View:
        """What the page shows of another model; what lay on the table stays with the one before."""
        view = _about(self.engine.info(model))
        if model == previous:
            return view
        kept = {**tables, **({previous: Table(strip, recent)} if previous else {})}
        table = kept.get(model, Table())
        return {**view, "tables": kept, "recent": table.recent, **strip_view(table.strip)}

    def restore(
        self,
        desk: Desk,
        dropped: str | None,
        room: str,
        previous: str | None,
        tables: Mapping[str, Table],
        strip: Cards,
        recent: Cards,
        style_masters: Mapping[str, Image.Image],
        style_own: Sequence[str],
        held: Sequence[str],
    ) -> Iterator[View]:
        """A picture is dropped: its model, its seed and every setting come back. In the Style tab, a plain picture
        becomes the photo."""
        if dropped is None:
            return
        recipe = read_recipe(Path(dropped))
        if recipe is None and room == STYLE:
            yield from self.style.take(desk, dropped)
            return
        if recipe is None:
            raise InvalidRequest("This PNG carries no recipe; only pictures saved with their recipe can be restored.")
        restored = self.engine.restore(recipe, held=[*held, *([previous] if previous else [])])
        if isinstance(restored, RestoredStyle):
            yield {"tabs": gr.Tabs(selected=STYLE)}
            yield from self.style.restore(desk, restored, dropped, style_masters, style_own)
            return
        head = self.switch(restored.request.model, previous, tables, strip, recent)
        head |= {"model": restored.request.model, "status": status(restored.notice or "Restored")}
        if isinstance(restored.request, ClassesRequest):
            yield from self._to_classes(restored.request, restored.picture, head)
        elif isinstance(restored.request, SampleRequest):
            yield from self._to_explore(restored.request, restored.picture, head)

    def _to_explore(self, request: SampleRequest, picture: Picture | None, head: View) -> Iterator[View]:
        chosen = picture or request.all_pictures()[0]
        card = self.explore.card(request.model, chosen, request.truncation, request.adaptation)
        yield {
            **head,
            **self.explore.show(card, head.get("recent", ())),
            "tabs": gr.Tabs(selected=EXPLORE),
            "seed": str(request.seed),
            "lock": True,
            "count": request.count,
            "truncation": request.truncation,
            "adaptation": request.adaptation,
            "side": large.offered(request.size, self.engine.settings),
            **_class_choice(self.engine.info(request.model), request.classes),
        }
        for view, _ in self.explore.hang(request.model_copy(update={"size": None})):
            yield {**view, "status": head["status"]}

    def _to_classes(self, request: ClassesRequest, picture: Picture | None, head: View) -> Iterator[View]:
        info = self.engine.info(request.model)
        mixture = shelf.mixture_of(info, picture.classes if isinstance(picture, Seeded) else None)
        seed = picture.seed if isinstance(picture, Seeded) else request.seed
        yield {
            **head,
            "tabs": gr.Tabs(selected=CLASSES),
            "class_seed": str(request.seed),
            "class_lock": True,
            "class_count": request.count,
            "class_truncation": request.truncation,
            "class_adaptation": request.adaptation,
            "mixture": mixture,
        }
        job = self.classes.hang(request, mixture, seed)
        for view in job:
            yield {f"class_{name}": value for name, value in view.items()}

    def entering(self, room: str) -> Handler:
        """A handler that notes which tab is in view."""

        def enter() -> Iterator[View]:
            yield {"room": room}

        return enter

    def explore_mixture(self, class_seed: Raw, class_truncation: Raw, class_adaptation: Raw) -> Iterator[View]:
        """The mixture of the Classes tab as the class of the Explore tab."""
        yield {
            "tabs": gr.Tabs(selected=EXPLORE),
            "kind": shelf.MIXTURE,
            "seed": class_seed,
            "lock": True,
            "truncation": class_truncation,
            "adaptation": class_adaptation,
        }


def _class_choice(info: ModelInfo, weights: Mapping[str, float]) -> View:
    """The list of classes, and the mixer where the weights are a mixture."""
    names = [name for name, weight in weights.items() if weight > 0]
    kind = shelf.first_choice(info) if not names else names[0] if len(names) == 1 else shelf.MIXTURE
    view: View = {"kind": gr.Dropdown(choices=shelf.class_choices(info), value=kind)}
    return {**view, "mixture": shelf.mixture_of(info, weights)} if kind == shelf.MIXTURE else view


def _about(info: ModelInfo) -> View:
    """What the page shows of a model."""
    view: View = {
        "previous": info.name,
        "about": shelf.about(info),
        "kind": gr.Dropdown(
            choices=shelf.class_choices(info), value=shelf.first_choice(info), interactive=bool(info.classes)
        ),
        "adaptation": 1.0,
        "class_adaptation": 1.0,
        "mixture": shelf.mixture_of(info),
        "partner": None,
        "partner_view": pictures.second(None),
        "class_grid": (),
        "class_grid_view": "",
        "class_none": shelf.without_classes(info),
    }
    if info.classes:  # an empty list of choices would reach the browser as null, which its checkboxes cannot read
        view["class_route"] = gr.CheckboxGroup(choices=list(info.classes), value=list(info.classes))
    return view
