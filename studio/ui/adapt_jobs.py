"""What the Adapt tab does. Handlers take named values, call the engine and yield views; see handlers.py."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import gradio as gr

from studio.adapt.methods import METHODS
from studio.core.errors import InvalidRequest
from studio.core.progress import Progress
from studio.core.words import amount
from studio.engine import Adaptation, AdaptRequest, Engine, Pictures
from studio.engine.adapt_requests import AUTO
from studio.engine.adapted import Verdict
from studio.engine.gathered import MAX_LOOKED_AT, Taken, spread, take
from studio.engine.offered import judged
from studio.ui import adapt_views as views
from studio.ui.adapt_works import Shown, Works
from studio.ui.handlers import Raw, View, status
from studio.ui.large import STAGE, can_be_larger
from studio.ui.outbox import packet

UNTIL_STOPPED = 3600  # seconds that "until I stop" lasts at most
Offered = tuple[Taken, ...]


@dataclass(frozen=True)
class AdaptJobs:
    """The handlers of the tab, over one engine. works: the weights behind the snapshots that sessions see."""

    engine: Engine
    works: Works = field(default_factory=Works)

    def enter(self, base: Raw) -> Iterator[View]:
        """The bases that there are now."""
        if not self.engine.can_adapt:
            yield {"none": views.nothing_to_adapt()}
            return
        names = self.engine.bases()
        choices = [("auto: the one that suits", AUTO), *((name, name) for name in names)]
        yield {"none": "", "base": gr.Dropdown(choices=choices, value=base if base in names else AUTO)}

    def add(self, files: list[str] | None, pictures: Pictures, offered: Offered) -> Iterator[View]:
        """Pictures are uploaded: each is looked at, and a broken one is named and skipped."""
        if not files:
            return
        room = MAX_LOOKED_AT - len(offered)
        if room <= 0:
            raise InvalidRequest(f"At most {MAX_LOOKED_AT} pictures can lie here; take some out first.")
        chosen = spread(files)[:room]
        for index, file in enumerate(chosen, 1):
            offered = (*offered, take(file, pictures))
            yield {"status": status("Looking at picture", Progress(index, len(chosen)))}
        left = len(files) - len(chosen)
        note = f"Of {len(files)} that you chose {len(chosen)} were taken, evenly spread." if left else ""
        yield {**self.laid(offered, pictures, note), "status": status()}

    def laid(self, offered: Offered, pictures: Pictures, note: str = "") -> View:
        """What was offered, as state and on the page."""
        verdicts = self._verdicts(offered, pictures)
        used = sum(verdict.used for verdict in verdicts.values())
        return {
            "offered": offered,
            "offered_view": views.offered(offered, verdicts, pictures),
            "count": views.count(offered, used, note),
        }

    def _verdicts(self, offered: Offered, pictures: Pictures) -> dict[str, Verdict]:
        """By the index of each picture that could be read."""
        read = [(str(index), one.reference) for index, one in enumerate(offered) if one.reference]
        found = judged([reference for _, reference in read], pictures)
        return {key: verdict for (key, _), verdict in zip(read, found, strict=True)}

    def discard(self, event: dict[str, Any], pictures: Pictures, offered: Offered) -> Iterator[View]:
        """A picture is taken out."""
        left = tuple(one for index, one in enumerate(offered) if str(index) != event.get("key"))
        yield self.laid(left, pictures)

    def clear(self, pictures: Pictures) -> Iterator[View]:
        """All are taken out."""
        yield self.laid((), pictures)

    def adapt(
        self,
        pictures: Pictures,
        offered: Offered,
        name: Raw,
        method: Raw,
        base: Raw,
        budget: Raw,
        crop: Raw,
        sample: int,
    ) -> Iterator[View]:
        """The job, from the pictures as they were offered to an adapter."""
        references = tuple(one.reference for one in offered if one.reference)
        if not references:
            raise InvalidRequest("There is no picture to learn from yet; add 5 to 20 pictures of yours.")
        request = AdaptRequest(
            pictures=references,
            name=name,
            method=method,
            base=base,
            budget=min(budget, self.engine.settings.max_adapt_seconds) if budget == UNTIL_STOPPED else budget,
            crop=crop,
        )
        job = self.engine.adapt(request, pictures)
        yield {"done": None, "status": views.working("Preparing", None)}
        key = ""
        for progress in job:
            seen: Adaptation | None = progress.result or progress.preview
            if seen is None:
                yield {"status": working(progress, request)}
                continue
            shown = self.works.put(seen, key)
            key = shown.key
            last = seen.best if progress.result is not None else len(seen.stages) - 1
            view = self.view(shown, last, sample, pictures)
            words = status(ended(seen)) if progress.result is not None else working(progress, request)
            yield {**view, "scrub": scrubber(seen, last), "curves": views.drawings(seen), "status": words}

    def view(self, done: Shown, stage: Raw, sample: Raw, pictures: Pictures) -> View:
        """One snapshot of an adaptation, and one of its pictures."""
        seen = done.adaptation
        at, one = found(seen, stage, sample)
        near = seen.learned_from[seen.stages[at].nearest[one]]
        title = pictures.title(near)
        return {
            "done": done,
            "sample": one,
            "rows": views.rows(seen, at, one),
            "stage": views.stage(seen, at, one),
            "nearest": views.nearest(seen, at, one, pictures, title) if near in pictures else "",
        }

    def stopped(self, done: Shown | None, sample: int, pictures: Pictures) -> Iterator[View]:
        """Stop was pressed: the last snapshot becomes the one that is kept."""
        if done is None:
            yield {"status": status("Stopped before there was anything to keep.")}
            return
        if done.adaptation.reference:  # it had ended by itself
            return
        # The first view takes the place from the job, so that what it shows last is over when the result comes.
        yield {"status": status("Stopping: the last snapshot is being kept.")}
        last = len(done.adaptation.stages) - 1
        reference = self.engine.pick(self.works.whole(done), last)
        kept = replace(done.adaptation, best=last, stopped="Stopped by you.", reference=reference)
        view = self.view(Shown(done.key, kept), last, sample, pictures)
        yield {**view, "scrub": scrubber(kept, last), "status": status(ended(kept))}

    def scrubbed(self, done: Shown | None, scrub: Raw, sample: int, pictures: Pictures) -> Iterator[View]:
        """The slider over the snapshots has moved."""
        if done is not None:
            view = self.view(done, scrub, sample, pictures)
            yield {name: view[name] for name in ("rows", "stage", "nearest")}

    def pick(self, event: dict[str, Any], done: Shown | None, scrub: Raw, pictures: Pictures) -> Iterator[View]:
        """A click on a picture puts it on the stage, with the nearest of the artist's own."""
        if done is not None and str(event.get("key")).isdecimal():
            view = self.view(done, scrub, int(str(event["key"])), pictures)
            yield {name: view[name] for name in ("sample", "stage", "nearest")}

    def large(self, done: Shown | None, scrub: Raw, sample: int) -> Iterator[View]:
        """When nothing moves: what is on the stage, enlarged."""
        if done is None:
            return
        seen = done.adaptation
        at, one = found(seen, scrub, sample)
        own = views.both(seen, at, one)
        if can_be_larger(self.engine, own[0].width):
            yield {}  # the stage is claimed before it is painted, so that a picture which comes in between stays
            after, before = self.engine.enlarge(own, STAGE)
            yield {"stage": views.stage(seen, at, one, (after, before))}

    def reference(self, done: Shown | None, stage: Raw) -> str:
        """The adapter of the snapshot that is in view."""
        if done is None:
            raise InvalidRequest("There is no adaptation yet; add pictures of yours and press Adapt.")
        if int(stage) == done.adaptation.best and done.adaptation.reference:
            return done.adaptation.reference
        return self.engine.pick(self.works.whole(done), int(stage))

    def download(self, done: Shown | None, scrub: Raw) -> Iterator[View]:
        """The adapter of the snapshot in view, as a file."""
        reference = self.reference(done, scrub)
        name = f"{self.engine.info(reference).title}.safetensors"
        yield {"outbox": packet(name, self.engine.export(reference)), "status": status(f"Saved {name}")}


def found(seen: Adaptation, stage: Raw, sample: Raw) -> tuple[int, int]:
    """A snapshot and a picture that there are."""
    return min(max(int(stage), 0), len(seen.stages) - 1), min(max(int(sample), 0), len(seen.before) - 1)


def scrubber(done: Adaptation, at: int) -> Any:
    """The slider over the snapshots, at one of them."""
    last = len(done.stages) - 1
    return gr.Slider(minimum=0, maximum=max(last, 1), value=at, interactive=last > 0)


def working(progress: Progress[Adaptation], request: AdaptRequest) -> str:
    """What the status line says of the job."""
    left, gone = progress.metrics.get("seconds_left"), progress.metrics.get("seconds")
    if left is None or gone is None or not progress.step:
        return views.working(progress.note or "Preparing", None)
    if progress.total:
        done = max(progress.step / progress.total, gone / (gone + left or 1))
        return views.working(f"Adapting: step {progress.step} of {progress.total}", done)
    if request.budget >= UNTIL_STOPPED:
        return views.working(f"Adapting until you stop: step {progress.step}, {gone:.0f} s", None)
    return views.working(f"Adapting, {left:.0f} s left: step {progress.step}", 1 - left / (gone + left or 1))


def ended(done: Adaptation) -> str:
    """Why an adaptation ended, and what is kept."""
    limit = METHODS[done.request.method].steps
    if done.stopped:
        why = done.stopped
    elif limit is not None and done.steps >= limit:
        why = f"Done: more than {amount(limit, 'step')} would bring it no nearer." if limit else "Done without a step."
    else:
        why = "The time is up." if done.steps else "Done without a step."
    kept = done.stages[done.best].step
    which = f"The snapshot after {amount(kept, 'step')} is kept." if kept else "The start is kept."
    return f"{why} {which} Base {done.request.base}, method {done.request.method}."
