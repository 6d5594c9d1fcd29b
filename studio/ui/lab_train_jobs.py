"""Training from the page. The runs themselves are processes of their own (studio.training.runs); see handlers.py."""

import functools
import importlib.util
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from studio.core.activations import ACTIVATIONS
from studio.core.errors import ImageError, InvalidRequest, MissingPackage
from studio.core.images import open_image
from studio.core.kinds import MODEL_KINDS
from studio.engine import Engine
from studio.training import runs as states
from studio.training.runs import Order, Runs, RunState
from studio.ui import lab_train_views as views
from studio.ui import shelf
from studio.ui.handlers import Raw, View, status
from studio.ui.lab_jobs import LAB

OWN = ""  # activation: the recipe's own
BATCH = 16
ACTIVATED = ("generator_activation", "discriminator_activation")


@dataclass(frozen=True)
class TrainJobs:
    """The handlers of the bench. Its runs lie in the artist's library."""

    engine: Engine

    @functools.cached_property
    def runs(self) -> Runs:
        """Those of the library."""
        return Runs(self.engine.settings.home)

    def enter(self, recipe: Raw) -> Iterator[View]:
        """The tab is opened: what can be trained, and the runs that are there."""
        missing = next(
            (name for name in ("accelerate", "torchmetrics") if importlib.util.find_spec(name) is None), None
        )
        if missing is not None:
            yield {"none": views.missing(missing), "timer": gr.Timer(active=False)}
            return
        names = recipes()
        chosen = recipe if recipe in names else "dcgan"
        yield {"recipe": gr.Dropdown(choices=list(names), value=chosen), "none": "", **_activations(chosen)}
        yield {"timer": gr.Timer(active=True), **next(iter(self.watch(LAB, (), "", "", "")))}

    def choose(self, recipe: Raw) -> Iterator[View]:
        """Another recipe: whether activations can be chosen for it."""
        yield _activations(recipe)

    def bring(self, zip_file: str | None) -> Iterator[View]:
        """A zip is brought."""
        if zip_file is not None:
            yield {"upload": zip_file, "status": status(f"{Path(zip_file).name} will be learned from")}

    def start(
        self,
        name: Raw,
        recipe: Raw,
        resolution: Raw,
        generator_activation: Raw,
        discriminator_activation: Raw,
        folder: Raw,
        upload: str | None,
        minutes: Raw,
    ) -> Iterator[View]:
        """Queue a run and see that one is at work."""
        model: dict[str, Any] = {"resolution": resolution}
        if recipe in recipes() and _has_activations(recipe):
            given = zip(ACTIVATED, (generator_activation, discriminator_activation), strict=True)
            model |= {field: activation for field, activation in given if activation != OWN}
        path = str(folder or "").strip()
        if path and upload:
            raise InvalidRequest("Name a folder or choose a zip, not both; empty the field of the folder.")
        if str(name or "").strip() in self.engine_names:
            raise InvalidRequest(f"There is a model {str(name).strip()!r} already; choose another name.")
        data = (path,) if path else ()
        order = Order(str(name or "").strip(), recipe, data, model, 60.0 * float(minutes or 0), BATCH, self.device)
        _checked(order)
        state = self.runs.add(order, None if upload is None else Path(upload))
        self.runs.tend()
        first = self.runs.next()
        waits = first is not None and first.key != state.key
        words = f"{order.name} waits until {first.order.name} is done" if waits and first else f"{order.name} begins"
        yield {"upload": None, "status": status(words), **self._listed()}

    @property
    def engine_names(self) -> set[str]:
        """Names that the page's models have."""
        return {info.name for info in self.engine.models()}

    @property
    def device(self) -> str:
        """Where runs are to train, as TrainOptions names it."""
        return self.engine.settings.device.partition(":")[0]

    def pause(self, event: dict[str, str]) -> Iterator[View]:
        """A run shall save and rest."""
        yield self._wish(event, states.PAUSE)

    def resume(self, event: dict[str, str]) -> Iterator[View]:
        """A run shall go on."""
        yield self._wish(event, states.GO)

    def keep(self, event: dict[str, str]) -> Iterator[View]:
        """A run shall stop, and its model go into the library."""
        yield self._wish(event, states.STOP)

    def _wish(self, event: dict[str, str], wish: str) -> View:
        self.runs.wish(str(event.get("key")), wish)
        self.runs.tend()
        return self._listed()

    def forget(self, event: dict[str, str]) -> Iterator[View]:
        """A run that is over is cleared away."""
        self.runs.forget(str(event.get("key")))
        yield self._listed()

    def watch(self, room: str, held: Sequence[str], listed: str, lively: str, finished: str) -> Iterator[View]:
        """A tick of the clock: what has changed, and nothing that has not, so that the keyboard's focus stays."""
        if room != LAB:
            yield {"timer": gr.Timer(active=False)}
            return
        self.runs.tend()
        all_states = self.runs.all()
        view: View = {}
        if (rows := views.rows(all_states, self.runs.at_work)) != listed:
            view |= {"list": rows, "listed": rows}
        if (live := self._live(all_states)) != lively:
            view |= {"live": live, "lively": live}
        done = " ".join(["done", *(state.key for state in all_states if state.stage == states.DONE)])
        if done != finished:
            view["finished"] = done
            if finished:  # a model is new since the tab was opened: it appears in every list
                models = self.engine.models()
                view["model"] = gr.Dropdown(choices=shelf.offered(self.engine, held, models))
                view |= {name: gr.Dropdown(choices=shelf.usable(models)) for name in ("lab_models", "find_target")}
        yield view

    def _listed(self) -> View:
        rows = views.rows(self.runs.all(), self.runs.at_work)
        return {"list": rows, "listed": rows}

    def _live(self, all_states: list[RunState]) -> str:
        """The run at work, else the one that was last."""
        busy = [state for state in all_states if state.stage in (states.READING, states.TRAINING)]
        shown = busy[0] if busy else max(all_states, key=lambda state: state.key, default=None)
        if shown is None:
            return ""
        grid, snapshot = None, shown.snapshot()
        if snapshot is not None:
            try:
                grid = open_image(snapshot)
            except ImageError:  # pruned between two looks
                grid = None
        return views.live(shown, grid)


def recipes() -> dict[str, str]:
    """The recipes that train generators, with what each is."""
    try:
        from studio.training.recipe import RECIPES

        return {name: RECIPES[name].summary for name in RECIPES if MODEL_KINDS[RECIPES[name].kind].latent}
    except ModuleNotFoundError as error:
        raise MissingPackage(views.missing_words(str(error.name))) from error


def _has_activations(recipe: str) -> bool:
    from studio.training.recipe import RECIPES

    return set(ACTIVATED) <= {field.name for field in fields(RECIPES[recipe].model)}


def _activations(recipe: str) -> View:
    able = _has_activations(recipe)
    lists = {name: gr.Dropdown(choices=activation_choices(), interactive=able, value=OWN) for name in ACTIVATED}
    return {**lists, "summary": f'<p class="quiet">{escape(recipes()[recipe])}</p>'}


def activation_choices() -> list[tuple[str, str]]:
    """What the lists of activations offer."""
    return [("The recipe's own", OWN), *((name, name) for name in ACTIVATIONS.names())]


def _checked(order: Order) -> None:
    """Raise a StudioError for settings that the recipe refuses, before anything is queued."""
    from studio.core.fields import configure
    from studio.training.recipe import RECIPES

    if order.recipe not in recipes():
        raise InvalidRequest(f"The recipe must be one of {', '.join(recipes())}; got {order.recipe!r}.")
    configure(RECIPES[order.recipe].model, dict(order.model))
