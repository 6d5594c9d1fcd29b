"""Style transfer as a job: the instant picture, then the refinement that starts from it, one step a turn."""

import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from PIL import Image

from studio.core.errors import InvalidRequest
from studio.core.progress import Progress
from studio.engine import style_recipes
from studio.engine.neutral import BATCH, DRAWN
from studio.engine.pictures import wanted
from studio.engine.sitting import Sitting, sit
from studio.engine.style_models import StyleModels, StyleShelf
from studio.engine.style_requests import STARTS, Style, StylizeRequest
from studio.engine.styled import RestoredStyle, Styled, Variants
from studio.settings import Settings
from studio.style.diversify import diversify
from studio.style.refine import RefineResult, RefineState, budgets, levels, refine
from studio.style.refine_config import RefineConfig

T = TypeVar("T")
Job = Generator[Progress[T], None, None]
CONTENT = 0.1  # weight of content in a refinement at content weight 1; half of it is the refinement's own default
SHOWN_EVERY = 5  # steps of practice from one picture to the next
THUMBNAIL = 128  # px, side of the picture by which a masterwork is shown


@dataclass
class Course:
    """What a refinement has gone through so far."""

    sitting: Sitting
    models: StyleModels
    config: RefineConfig
    curves: dict[str, list[float]] = field(default_factory=dict)
    began: float = field(default_factory=time.monotonic)
    first: int = 0

    def styled(self, result: RefineResult) -> Styled:
        """The best picture so far as people see it."""
        request = self.sitting.request.model_copy(update={"steps": max(result.steps, 1)})
        return Styled(
            image=self.sitting.finished(result.picture),
            request=request,
            recipe=style_recipes.recipe(request, self.models.hashes, result.steps),
            steps=result.steps,
            curves={name: tuple(values) for name, values in self.curves.items()},
            state=result.state,
        )

    def note(self, metrics: Mapping[str, float]) -> None:
        """Lengthen the curves."""
        for name, value in metrics.items():
            self.curves.setdefault(name, []).append(value)

    def seconds_left(self, done: int) -> dict[str, float]:
        """What is left of the work, in pixels evaluated, at the pace so far; nothing before the first step."""
        sizes = levels(self.sitting.size, self.config.coarse)
        ends = budgets(self.config.steps, len(sizes))

        def pixels(steps: int) -> float:
            starts = (0, *ends[:-1])
            parts = zip(sizes, starts, ends, strict=True)
            return sum(h * w * min(max(steps - start, 0), end - start) for (h, w), start, end in parts)

        gone = pixels(done) - pixels(self.first)
        if gone <= 0:
            return {}
        return {"seconds_left": (time.monotonic() - self.began) / gone * (pixels(self.config.steps) - pixels(done))}


class Stylist:
    """The engine's part for style transfer. step: runs a piece of work in the device's next turn."""

    def __init__(self, settings: Settings, shelf: StyleShelf, step: Callable[..., Any]) -> None:
        self.settings, self.shelf, self._step = settings, shelf, step
        self._thumbnails: dict[str, Image.Image] = {}

    def stylize(
        self, request: StylizeRequest, pictures: Mapping[str, Image.Image], before: Styled | None
    ) -> Job[Styled]:
        """As Engine.stylize."""
        self._check(request)
        self.shelf.check(request)
        if before is not None:
            _check_resume(request, before)
        return self._stylize(request, sit(request, pictures), before)

    def _stylize(self, request: StylizeRequest, sitting: Sitting, before: Styled | None) -> Job[Styled]:
        models = yield from self._models(request)
        yield from self._practise(sitting, models)
        if before is None:
            shown = self._step(self._glance, sitting, models)
            if request.fast:
                yield Progress(1, 1, preview=shown, result=shown)
                return
            yield Progress(0, request.steps, preview=shown)
        yield from self._refine(request, sitting, models, before)

    def _practise(self, sitting: Sitting, models: StyleModels) -> Job[Styled]:
        """The practice that the styles are still to have, with the instant picture now and then."""
        missing = [style for style in sitting.request.styles if style.practice]
        courses = [(self._step(sitting.course, models, style), style.practice) for style in missing]
        begun = done = sum(min(course.steps, steps) for course, steps in courses)
        total, began = sum(steps for _, steps in courses), time.monotonic()
        for course, steps in courses:
            while course.steps < steps:
                loss: float = self._step(course.step)
                done += 1
                left = (time.monotonic() - began) / (done - begun) * (total - done)
                shown = None
                if course.steps % SHOWN_EVERY == 0 or course.steps == steps:
                    shown = self._step(self._glance, sitting, models)
                metrics = {"practice": loss, "seconds_left": left}
                yield Progress(done, total, metrics, shown, note="Practising")

    def _glance(self, sitting: Sitting, models: StyleModels) -> Styled:
        """The instant picture, with as much practice as there has been."""
        request = _had(models, sitting.request, sitting.pictures).model_copy(update={"fast": True})
        image = sitting.finished(sitting.instant(models))
        return Styled(image, request, style_recipes.recipe(request, models.hashes, 0))

    def practised(self, request: StylizeRequest, pictures: Mapping[str, Image.Image]) -> StylizeRequest:
        """As Engine.practised; it waits for no turn."""
        return _had(self.shelf.loaded("builtin"), request, pictures)

    def _models(self, request: StylizeRequest) -> Generator[Progress[Any], None, StyleModels]:
        """The models that a request needs; what must be fetched first is told as it comes."""
        if not request.fast:
            yield from self.shelf.fetch(request.encoder)
        models: StyleModels = self._step(self.shelf.load, "builtin" if request.fast else request.encoder)
        return models

    def _refine(
        self, request: StylizeRequest, sitting: Sitting, models: StyleModels, before: Styled | None
    ) -> Job[Styled]:
        config = configuration(request)
        course = Course(sitting, models, config)
        state: RefineState | None = None
        if before is not None:
            state, course.first = before.state, before.steps
            course.curves = {name: list(values) for name, values in before.curves.items()}
        start, content = self._step(sitting.start, models), sitting.content.to(models.device)
        job = refine(models.perception, content, self._step(sitting.styles, models), config, start, state)
        shown: Styled | None = None
        for progress in self._each(job):
            result: RefineResult = progress.result or progress.preview
            if shown is None or progress.metrics or progress.result is not None:
                if shown is None or shown.steps < result.steps:
                    course.note(progress.metrics)
                shown = self._step(course.styled, result)
            metrics = {**progress.metrics, **course.seconds_left(result.steps)}
            yield Progress(progress.step, request.steps, metrics, shown, shown if progress.result is not None else None)

    def _each(self, job: Iterator[Progress[T]]) -> Iterator[Progress[T]]:
        """A job whose every step is taken in a turn of its own."""
        while (progress := self._step(next, job, None)) is not None:
            yield progress

    def diversify(
        self, request: StylizeRequest, pictures: Mapping[str, Image.Image], names: Sequence[str]
    ) -> Job[Variants]:
        """As Engine.diversify."""
        self._check(request, len(names))
        self.shelf.check(StylizeRequest(**{**request.to_json(), "similarity": list(names), "fast": False}))
        return self._diversify(request, sit(request, pictures), tuple(names))

    def _diversify(self, request: StylizeRequest, sitting: Sitting, names: tuple[str, ...]) -> Job[Variants]:
        models = yield from self._models(request)
        config, began = configuration(request), time.monotonic()
        start, content = self._step(sitting.start, models), sitting.content.to(models.device)
        styles = self._step(sitting.styles, models)
        kept: dict[str, Styled] = {}
        for progress in self._each(diversify(models.perception, content, styles, names, config, start)):
            for name, result in (progress.result or progress.preview).results:
                known = kept.get(name)
                if known is None or known.steps < result.steps:
                    one = replace(sitting, request=request.model_copy(update={"similarity": {name: 1.0}}))
                    kept[name] = self._step(Course(one, models, config).styled, result)
            shown = Variants(tuple(kept), tuple(kept.values()))
            total = progress.total or 1
            pace = (time.monotonic() - began) / max(progress.step, 1)
            metrics = {"seconds_left": pace * (total - progress.step)} if progress.step else {}
            done = progress.result is not None
            yield Progress(progress.step, total, metrics, shown, shown if done else None)

    def thumbnails(self) -> Job[dict[str, Image.Image]]:
        """As Engine.masterwork_thumbnails."""
        names = self.shelf.masterworks()
        done: dict[str, Image.Image] = {}
        for index, name in enumerate(names, 1):
            done = {**done, name: self.thumbnail(name)}
            yield Progress(index, len(names), preview=done, result=done if index == len(names) else None)

    def thumbnail(self, name: str) -> Image.Image:
        """As Engine.masterwork_thumbnail; painted once."""
        if name not in self._thumbnails:
            models: StyleModels = self._step(self.shelf.load, "builtin")
            self._thumbnails[name] = self._step(models.thumbnail, name, THUMBNAIL)
        return self._thumbnails[name]

    def restore(self, recipe: Mapping[str, Any]) -> RestoredStyle:
        """As Engine.restore, of a stylised picture."""
        return style_recipes.restore(recipe, self.shelf.hashes())

    def _check(self, request: StylizeRequest, times: int = 1) -> None:
        """Limits of the settings."""
        limit = self.settings
        if request.size > limit.max_style_size:
            raise InvalidRequest(
                f"A picture may have at most {limit.max_style_size} pixels a side; got {request.size}."
            )
        practice = sum(style.practice for style in request.styles)
        learnt = practice * BATCH * DRAWN**2
        work = round((learnt + (0 if request.fast else request.size**2 * request.steps * times)) / 1e6)
        if work > limit.max_style_work and learnt / 1e6 > limit.max_style_work:
            raise InvalidRequest(
                f"{practice} steps of practice are {work} megapixel steps; at most {limit.max_style_work} are done: "
                "practise less."
            )
        if work > limit.max_style_work:
            raise InvalidRequest(
                f"{request.steps * times} steps at {request.size} pixels are {work} megapixel steps; at most "
                f"{limit.max_style_work} are done: choose fewer steps or a smaller size."
            )


def configuration(request: StylizeRequest) -> RefineConfig:
    """A request's refinement."""
    names = tuple(request.similarity)
    return RefineConfig(
        steps=request.steps,
        optimiser=request.optimizer,
        learning_rate=request.learning_rate,
        similarities=names,
        similarity_weights=tuple(request.similarity[name] for name in names),
        style_weights=tuple(style.weight for style in request.styles),
        style_weight=request.style_weight,
        content_weight=CONTENT * request.content_weight,
        total_variation=request.tv,
        style_scale=request.style_scale,
        layers=request.layers,
        start=request.start if request.start in STARTS else "picture",  # type: ignore[arg-type]  # of STARTS
        seed=request.seed,
    )


def _had(models: StyleModels | None, request: StylizeRequest, pictures: Mapping[str, Image.Image]) -> StylizeRequest:
    """A request with no more practice than its styles have had."""

    def known(style: Style) -> Style:
        if style.picture is None:
            return style
        image = wanted(pictures, style.picture, "style")
        done = 0 if models is None else models.reader.practised(style.picture, image, request.style_scale)
        return style.model_copy(update={"practice": min(style.practice, done)})

    return request.model_copy(update={"styles": tuple(map(known, request.styles))})


def _check_resume(request: StylizeRequest, before: Styled) -> None:
    if before.state is None:
        raise InvalidRequest("The picture to go on from was not refined, so there is nothing to resume.")
    if before.request.model_copy(update={"steps": request.steps}) != request:
        raise InvalidRequest("The picture to go on from was made with other settings; start anew, or use the same.")
    if request.steps <= before.steps:
        raise InvalidRequest(f"{before.steps} steps are done already; ask for more than {before.steps} in all.")
