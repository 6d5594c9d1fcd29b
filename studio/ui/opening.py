"""What concerns both tabs: the choice of the model, and a picture that is dropped on the page."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gradio as gr

from studio.core.errors import InvalidRequest
from studio.core.images import read_recipe
from studio.engine import ClassesRequest, Engine, ModelInfo, Picture, Restored, SampleRequest, Seeded
from studio.ui import pictures, shelf
from studio.ui.classes_jobs import ClassesJobs
from studio.ui.explore_jobs import Cards, ExploreJobs, strip_view
from studio.ui.handlers import View, status

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

    def look(self, model: str | None) -> Iterator[View]:
        """What lies on the shelf now: when the page opens, and when asked to look again."""
        models = self.engine.models()
        names = shelf.usable(models)
        chosen = model if model in names else names[0] if names else None
        view: View = {
            "model": gr.Dropdown(choices=names, value=chosen),
            "broken": shelf.broken(models),
            "empty": gr.HTML(shelf.empty(self.engine.settings), visible=not names),
            "desk": gr.Column(visible=bool(names)),
        }
        if chosen is not None and chosen != model:
            view |= _about(next(info for info in models if info.name == chosen))
        yield view

    def choose(
        self, model: str, previous: str | None, tables: Mapping[str, Table], strip: Cards, recent: Cards
    ) -> Iterator[View]:
        """Another model. What lay on the table stays with the one before."""
        kept = {**tables, **({previous: Table(strip, recent)} if previous else {})}
        table = kept.get(model, Table())
        yield {**_about(self.engine.info(model)), "tables": kept, "recent": table.recent, **strip_view(table.strip)}

    def restore(self, dropped: str | None, tables: Mapping[str, Table], previous: str | None) -> Iterator[View]:
        """A picture is dropped: its model, its seed and every setting come back."""
        if dropped is None:
            return
        recipe = read_recipe(Path(dropped))
        if recipe is None:
            raise InvalidRequest("This PNG carries no recipe; only pictures saved with their recipe can be restored.")
        restored = self.engine.restore(recipe)
        request = restored.request
        head: View = {"model": request.model, "status": status(restored.notice or "Restored")}
        if request.model != previous:
            table = tables.get(request.model, Table())
            head |= {"recent": table.recent, **strip_view(table.strip)}
        head |= _about(self.engine.info(request.model))
        if isinstance(request, ClassesRequest) or _is_mixture(request):
            yield from self._to_classes(request, restored, head)
        else:
            yield from self._to_explore(request, restored, head)
