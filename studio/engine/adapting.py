"""Adaptation as the engine's job: base and method chosen, one step a turn, and an adapter at the end."""

import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

import torch
from PIL import Image
from torch import nn

from studio.adapt import job
from studio.adapt.choose import Candidate, choose
from studio.adapt.job import Adapted, Budget, tuned_state
from studio.adapt.methods import METHODS
from studio.core.checkpoint import Checkpoint
from studio.core.errors import CheckpointError, InvalidRequest
from studio.core.progress import Progress
from studio.engine.adapt_requests import AUTO, AdaptRequest
from studio.engine.adapted import Adaptation, Work, images, stage
from studio.engine.adapters import Adapters
from studio.engine.device import Precision
from studio.engine.library import Library
from studio.engine.offered import Offered, offer, small
from studio.models.adapter import compress
from studio.models.gan import GanGenerator
from studio.models.learner import Learner
from studio.models.lite0 import Lite0Features

T = TypeVar("T")
Job = Generator[Progress[T], None, None]
BASE = "meta"  # the base that is adapted where none is named
LEARNER = "learner"
PROBE = 0.12  # of the budget, for choosing base and method
LONGEST_PROBE = 15.0  # seconds
TRYING = "Finding out which learner suits these pictures."


class Adapting:
    """The engine's part for adaptation. step: runs a piece of work in the device's next turn."""

    def __init__(
        self,
        library: Library,
        adapters: Adapters,
        precision: Callable[[], Precision],
        step: Callable[..., Any],
    ) -> None:
        self._library, self._adapters = library, adapters
        self._precision, self._step = precision, step
        self._features: nn.Module | None = None

    def adapt(self, request: AdaptRequest, pictures: Mapping[str, Image.Image]) -> Job[Adaptation]:
        """As Engine.adapt."""
        candidates = self._candidates(request)
        side = self._library.resolution(candidates[0][1])
        offered = offer(request, pictures, side)
        return self._adapt(request, offered, candidates)

    def bases(self) -> tuple[str, ...]:
        """Models that can be adapted, the one that was meta-learned for it first."""
        found = [name for name in self._library.paths() if self._usable(name)]
        return tuple(sorted(found, key=lambda name: name != BASE))

    @property
    def ready(self) -> bool:
        """Whether there is a base, and a learner to start from."""
        return bool(self.bases()) and self._library.part(f"{BASE}-{LEARNER}") is not None

    def _usable(self, name: str) -> bool:
        try:
            opened = self._library.open(name)
        except Exception:
            return False
        return opened.base is None and opened.checkpoint.kind == "gan" and bool(opened.classes)

    def _candidates(self, request: AdaptRequest) -> list[tuple[str, Any, str]]:
        """(base's name, the opened base, method) that may be tried, the likeliest first."""
        names = self.bases() if request.base == AUTO else (request.base,)
        if not names:
            raise CheckpointError(
                f"Adaptation needs a base with classes, such as {BASE}.safetensors; train one with: studio train sets."
            )
        found: list[tuple[str, Any, str]] = []
        taken = 0  # bases that have a class of this name
        for name in names:
            opened = self._library.open(name)
            if opened.base is not None or opened.checkpoint.kind != "gan" or not opened.classes:
                raise InvalidRequest(f"{opened.name!r} cannot be adapted; choose one of: {', '.join(self.bases())}.")
            if request.name in opened.classes:
                taken += 1
                if request.base == AUTO:
                    continue
                raise InvalidRequest(f"{opened.name!r} has a class called {request.name!r} already; choose a new name.")
            learned = self._learner(opened.checkpoint) is not None
            if request.method != AUTO:
                if METHODS[request.method].student.embedding == "set" and not learned:
                    if request.base == AUTO:
                        continue
                    raise InvalidRequest(
                        f"Method {request.method!r} needs the learner that {opened.name!r} was trained with, which is "
                        f"not here; choose finetune, or the base {BASE!r}."
                    )
                found.append((opened.name, opened, request.method))
            else:
                found += [
                    (opened.name, opened, method) for method in (("meta", "finetune") if learned else ("finetune",))
                ]
        if taken == len(names):
            raise InvalidRequest(f"Every base has a class called {request.name!r} already; choose a new name.")
        if not found:
            raise CheckpointError(f"Method {request.method!r} needs a base with its learner, and there is none here.")
        return found[:1] if request.method != AUTO and request.base == AUTO else found

    def _learner(self, base: Checkpoint) -> Checkpoint | None:
        """The learner that was trained with a base, or None."""
        part = self._library.part(f"{base.path.stem}-{LEARNER}")
        return part if part is not None and part.config.get("generator") == base.sha256 else None

    def _any_learner(self, base: Checkpoint) -> Checkpoint:
        found = self._learner(base) or self._library.part(f"{BASE}-{LEARNER}")
        if found is None:
            raise CheckpointError(
                f"Adaptation needs {BASE}-{LEARNER}.safetensors beside the other models; train it with: "
                "studio train sets."
            )
        return found

    def _adapt(
        self, request: AdaptRequest, offered: Offered, candidates: list[tuple[str, Any, str]]
    ) -> Job[Adaptation]:
        began = time.monotonic()
        loaded = [self._step(self._load, *candidate) for candidate in candidates]
        features = self._step(self._lite0)
        autocast, budget = self._step(self._autocast), Budget(request.budget, request.steps)
        chosen: Candidate = loaded[0]
        if len(loaded) > 1:
            # What the likeliest one paints before any step is there at once; the trial takes a while.
            for progress in self._run(request, offered, chosen, Budget(request.budget, 0), features, autocast):
                yield Progress(0, None, progress.metrics, progress.preview, note=TRYING)
            seconds = min(PROBE * request.budget, LONGEST_PROBE)
            for tried in self._each(choose(loaded, features, offered.pictures, request.seed, seconds, autocast)):
                chosen = tried.result or chosen
                yield Progress(0, None, tried.metrics, note=TRYING)
            left = request.budget - (time.monotonic() - began)
            budget = replace(budget, seconds=max(left, request.budget / 2))
        for progress in self._run(request, offered, chosen, budget, features, autocast):
            done = progress.result
            if done is None:
                yield progress
                continue
            done = replace(done, reference=self._step(self.pick, done, done.best))
            yield replace(progress, preview=done, result=done)

    def _run(
        self,
        request: AdaptRequest,
        offered: Offered,
        chosen: Candidate,
        budget: Budget,
        features: nn.Module,
        autocast: Callable[[], AbstractContextManager[object]],
    ) -> Iterator[Progress[Adaptation]]:
        """The job of one candidate, its Adapted as people see it."""
        request = request.model_copy(update={"base": chosen.name, "method": chosen.method.name})
        work = Work(chosen.base, chosen.name, self._sha(chosen.name), _nothing(), small(offered, request))
        task = (chosen.base, chosen.learner, features, offered.pictures, chosen.method)
        for progress in self._each(job.adapt(*task, budget, request.seed, autocast)):
            seen = progress.result or progress.preview
            shown = None if seen is None else adaptation(request, offered, replace(work, adapted=seen))
            done = None if progress.result is None else shown
            yield Progress(progress.step, progress.total, progress.metrics, shown, done, progress.note)

    def pick(self, adaptation: Adaptation, index: int) -> str:
        """As Engine.pick."""
        if adaptation.work is None or not 0 <= index < len(adaptation.stages):
            raise InvalidRequest(
                f"The adaptation has {len(adaptation.stages)} stages; there is none of number {index}."
            )
        work, request = adaptation.work, adaptation.request
        snapshot = work.adapted.snapshots[index]
        adapter = compress(
            work.base,
            tuned_state(work.base, snapshot),
            base_sha256=work.base_sha256,
            base_name=work.base_name,
            embedding=(work.adapted.start, snapshot.embedding),
            pictures=work.small,
            log_gains=snapshot.log_gains if len(snapshot.log_gains) else None,
        )
        watched = snapshot.watched
        provenance = {
            "method": request.method,
            "steps": snapshot.step,
            "seconds": round(snapshot.seconds, 1),
            "seed": request.seed,
            "training_images": sum(verdict.used for verdict in adaptation.verdicts),
            "training_features": ["lite0"],
        }
        metrics = {"novelty": watched.novelty, "copies": watched.copies, "diversity": watched.diversity}
        return self._adapters.hold(adapter, request.name, provenance, metrics)

    def _sha(self, name: str) -> str:
        sha: str = self._library.open(name).sha256
        return sha

    def _load(self, name: str, opened: Any, method: str) -> Candidate:
        device = self._precision().device
        base = opened.checkpoint.build()
        learner = self._any_learner(opened.checkpoint).build_module()
        if not isinstance(base, GanGenerator) or not isinstance(learner, Learner):
            raise CheckpointError(f"{name} and its learner do not hold what their names say.")
        for model in (base, learner):
            model.requires_grad_(False).to(device).to(memory_format=torch.channels_last)
        return Candidate(name, base, learner, METHODS[method])

    def _lite0(self) -> nn.Module:
        if self._features is None:
            features = Lite0Features().to(memory_format=torch.channels_last)
            self._features = features.to(self._precision().device)
        return self._features

    def _autocast(self) -> Callable[[], AbstractContextManager[object]]:
        """bfloat16 where this processor gains by it."""
        precision = self._precision()
        if precision.half is None and precision.device.type == "cpu":
            precision.decide(lambda: torch.zeros(()))  # a CPU's trial needs no job of ours
        return partial(torch.autocast, precision.device.type, torch.bfloat16, enabled=bool(precision.half))

    def _each(self, steps: Iterator[Progress[T]]) -> Iterator[Progress[T]]:
        """A job whose every step is taken in a turn of its own; closed with the one that asks."""
        try:
            while (progress := self._step(next, steps, None)) is not None:
                yield progress
        finally:
            steps.close()  # type: ignore[attr-defined]  # a generator


def adaptation(request: AdaptRequest, offered: Offered, work: Work) -> Adaptation:
    """What the job has come to, as people see it."""
    seen = work.adapted
    return Adaptation(
        request=request,
        verdicts=offered.verdicts,
        before=images(seen.before),
        stages=tuple(stage(snapshot) for snapshot in seen.snapshots),
        best=seen.best,
        stopped=seen.stopped,
        at=seen.at,
        curves=seen.curves,
        work=work,
    )


def _nothing() -> Adapted:
    return Adapted(torch.zeros(0), torch.zeros(0))
