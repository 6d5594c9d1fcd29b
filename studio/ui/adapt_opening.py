"""How an adapted model leaves the Adapt tab: into the list of models, the other tabs, and the artist's library."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import gradio as gr

from studio.ui import shelf
from studio.ui.adapt_jobs import AdaptJobs
from studio.ui.adapt_works import Shown
from studio.ui.explore_jobs import Cards
from studio.ui.handlers import Raw, View, status
from studio.ui.opening import CLASSES, EXPLORE, OpeningJobs, Table

ADAPT = "adapt"
MAX_HELD = 12  # adapters in a session's list of models; the oldest make room


@dataclass(frozen=True)
class AdaptOpening:
    """The handlers; what they show is named as on the whole page."""

    jobs: AdaptJobs
    opening: OpeningJobs

    def explore(
        self,
        adapt_done: Shown | None,
        adapt_scrub: Raw,
        held: Sequence[str],
        previous: str | None,
        tables: Mapping[str, Table],
        strip: Cards,
        recent: Cards,
        seed: Raw,
        count: Raw,
        truncation: Raw,
    ) -> Iterator[View]:
        """The snapshot in view becomes the model of the page, and its wall is painted."""
        model = self.jobs.reference(adapt_done, adapt_scrub)
        yield from self._explored(model, held, previous, tables, strip, recent, seed, count, truncation)

    def opened(
        self,
        adapt_file: str | None,
        held: Sequence[str],
        previous: str | None,
        tables: Mapping[str, Table],
        strip: Cards,
        recent: Cards,
        seed: Raw,
        count: Raw,
        truncation: Raw,
    ) -> Iterator[View]:
        """A stranger's adapter file, which becomes the model of the page."""
        if adapt_file is not None:
            model = self.jobs.engine.adopt(adapt_file)
            yield from self._explored(model, held, previous, tables, strip, recent, seed, count, truncation)

    def _explored(
        self,
        model: str,
        held: Sequence[str],
        previous: str | None,
        tables: Mapping[str, Table],
        strip: Cards,
        recent: Cards,
        seed: Raw,
        count: Raw,
        truncation: Raw,
    ) -> Iterator[View]:
        view = self._chosen(model, held, previous, tables, strip, recent)
        yield {"tabs": gr.Tabs(selected=EXPLORE), **view}
        table = view.get("recent", recent)
        yield from self.opening.explore.repaint(model, seed, count, truncation, 1.0, shelf.ANY, None, table)

    def mix(
        self,
        adapt_done: Shown | None,
        adapt_scrub: Raw,
        held: Sequence[str],
        previous: str | None,
        tables: Mapping[str, Table],
        strip: Cards,
        recent: Cards,
    ) -> Iterator[View]:
        """The snapshot in view becomes the model of the page, to be mixed with its base's classes."""
        model = self.jobs.reference(adapt_done, adapt_scrub)
        view = self._chosen(model, held, previous, tables, strip, recent)
        yield {"tabs": gr.Tabs(selected=CLASSES), "room": CLASSES, **view}

    def _chosen(
        self,
        model: str,
        held: Sequence[str],
        previous: str | None,
        tables: Mapping[str, Table],
        strip: Cards,
        recent: Cards,
    ) -> View:
        own = (model, *(other for other in held if other != model))[:MAX_HELD]
        view = self.opening.switch(model, previous, tables, strip, recent)
        return {**view, "held": own, "model": gr.Dropdown(choices=shelf.offered(self.jobs.engine, own), value=model)}

    def keep(
        self,
        model: Raw,
        adapt_done: Shown | None,
        adapt_scrub: Raw,
        adapt_name: Raw,
        adapt_replace: bool,
        held: Sequence[str],
    ) -> Iterator[View]:
        """The snapshot in view is written into the artist's library, under the name in the field."""
        reference = self.jobs.reference(adapt_done, adapt_scrub)
        kept = self.jobs.engine.keep(reference, str(adapt_name or "").strip(), bool(adapt_replace))
        yield {
            "model": gr.Dropdown(choices=shelf.offered(self.jobs.engine, held), value=model),
            "adapt_status": status(f"Kept in your library as {kept.name}"),
        }
