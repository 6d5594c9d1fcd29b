"""The adaptation job: a generator of Progress, one step of both players an item, with a guard on the clock."""

import copy
import math
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn

from studio.adapt.distance import energy_distance
from studio.adapt.methods import Method
from studio.adapt.parts import Parts, each
from studio.adapt.student import CLASS, ENERGY, Student
from studio.adapt.watch import Watch, Watched
from studio.core.errors import InvalidRequest
from studio.core.progress import Progress
from studio.models.gan import GanGenerator
from studio.models.learner import Learner, SetEncoder

FEWEST, MOST = 3, 20  # pictures
SHOWN = 8  # seeds in a preview
LOOKED_AT = 32  # samples by which an adaptation is watched
AT_ONCE = 8  # samples painted and described in one item: whoever waits for the device does not wait for all of them
SNAPSHOTS = 10  # of a budget of up to LONG seconds, about evenly spaced over it
LONG = 120.0  # seconds; a longer budget is looked at as often as this one, and its older snapshots are thinned out
FIRST_LOOKS = (0.03, 0.1)  # of the budget, before the even spacing
MOST_SNAPSHOTS = 12  # kept: each holds all of the adapted weights
RESERVE = 0.04  # of the budget, kept for the end
Autocast = Callable[[], AbstractContextManager[object]]


@dataclass(frozen=True)
class Budget:
    """seconds: of wall-clock time, the guard's. steps: at most so many, None for as many as the time allows."""

    seconds: float = 60.0
    steps: int | None = None

    def __post_init__(self) -> None:
        if not 0 < self.seconds <= 24 * 3600:
            raise InvalidRequest(f"The budget must be above 0 and at most 86400 seconds; got {self.seconds}.")
        if self.steps is not None and not 0 <= self.steps <= 100_000:
            raise InvalidRequest(f"The steps must be from 0 to 100000; got {self.steps}.")


class Watchman:
    """Keeps the time of one adaptation, from now on. clock: seconds."""

    def __init__(self, clock: Callable[[], float], budget: Budget) -> None:
        self.clock, self.budget = clock, budget
        self.began = clock()

    def elapsed(self) -> float:
        """Seconds since the beginning."""
        return self.clock() - self.began

    def told(self) -> dict[str, float]:
        """As the job's metrics."""
        elapsed = self.elapsed()
        return {"seconds": elapsed, "seconds_left": max(self.budget.seconds - elapsed, 0.0)}


@dataclass(frozen=True)
class Snapshot:
    """The state after some steps. tuned: adapted weights by name, fp16 on the CPU. embedding: (E,). log_gains: (n,3) on
    the finest octaves. pictures: (SHOWN,3,R,R) uint8 of the fixed seeds. watched: what the samples showed."""

    step: int
    seconds: float
    tuned: Mapping[str, Tensor] = field(repr=False)
    embedding: Tensor = field(repr=False)
    log_gains: Tensor = field(repr=False)
    pictures: Tensor = field(repr=False)
    watched: Watched


@dataclass(frozen=True)
class Adapted:
    """What an adaptation has come to. before: (SHOWN,3,R,R) uint8, the base's pictures of the same seeds. snapshots:
    the first one before any step. best: the one to keep. start: (E,) the embedding at strength 0. stopped: why it
    ended before its time, or "". curves: name → values, one an item of `at`, the steps; the "energy" is that of all
    samples looked at."""

    before: Tensor = field(repr=False)
    start: Tensor = field(repr=False)
    snapshots: tuple[Snapshot, ...] = ()
    best: int = 0
    stopped: str = ""
    at: tuple[int, ...] = ()
    curves: Mapping[str, tuple[float, ...]] = field(default_factory=dict)

    @property
    def kept(self) -> Snapshot:
        return self.snapshots[self.best]


def adapt(
    base: GanGenerator,
    learner: Learner,
    features: nn.Module,
    pictures: Tensor,
    method: Method,
    budget: Budget,
    seed: int = 0,
    autocast: Autocast = nullcontext,
    clock: Callable[[], float] = time.monotonic,
) -> Generator[Progress[Adapted], None, None]:
    """Adapt a generator to pictures (N,3,R,R) uint8. preview: the Adapted so far, on the items that bring a snapshot.

    An item is a part of a step or of a look; the first snapshot comes before any step.
    metrics: the losses, seconds and seconds_left. features: Lite0's, frozen. autocast: the precision of a step. clock:
    seconds, by which the budget is kept. The base and the learner stay as they are. Close to cancel; what the last
    preview held is the picture so far.
    """
    if not FEWEST <= len(pictures) <= MOST:
        raise InvalidRequest(f"Adaptation needs {FEWEST} to {MOST} pictures; got {len(pictures)}.")
    watchman, random = Watchman(clock, budget), torch.Generator().manual_seed(seed)
    limit = min((n for n in (budget.steps, method.steps) if n is not None), default=None)
    looks = schedule(budget.seconds)
    with autocast():
        student = Student(started(base, method, seed), learner, features, pictures, method.student, random)
    z = torch.randn(LOOKED_AT, base.latent_dim, generator=torch.Generator().manual_seed(seed + 1))
    observer = Observer(student, z.to(student.device), watchman)
    done = yield from each(observer.start(base), Progress(0, limit), autocast)
    yield Progress(0, limit, watchman.told(), done, done if limit == 0 else None)
    while limit is None or student.steps < limit:
        losses = yield from each(student.stepping(), Progress(student.steps, limit, watchman.told()), autocast)
        elapsed = watchman.elapsed()
        ending = elapsed >= budget.seconds * (1 - RESERVE) or student.steps == limit
        due = ending or (bool(looks) and elapsed >= looks[0])
        while looks and elapsed >= looks[0]:
            looks.pop(0)
        taken = Progress[Adapted](student.steps, limit, {**losses, **watchman.told()})
        if not due:
            yield taken
            continue
        done = yield from each(observer.look(done, losses), taken, autocast)
        result = done if ending or done.stopped else None
        yield Progress(student.steps, limit, {**losses, **watchman.told()}, done, result, done.stopped)
        if result is not None:
            return


def schedule(seconds: float) -> list[float]:
    """When to look, in seconds from the beginning; the end is looked at in any case."""
    span = min(seconds, LONG)
    pause = span / (SNAPSHOTS - len(FIRST_LOOKS))
    return [*(span * share for share in FIRST_LOOKS), *(pause * k for k in range(1, math.ceil(seconds / pause - 1e-6)))]


def thinned(snapshots: Sequence[Snapshot]) -> tuple[Snapshot, ...]:
    """At most MOST_SNAPSHOTS, about evenly spaced in time; the first one and the last two stay."""
    kept = list(snapshots)
    while len(kept) > MOST_SNAPSHOTS:
        gaps = [kept[k + 1].seconds - kept[k - 1].seconds for k in range(1, len(kept) - 2)]
        del kept[1 + gaps.index(min(gaps))]
    return tuple(kept)


def started(base: GanGenerator, method: Method, seed: int) -> GanGenerator:
    """What a method begins with: the base, or one of its configuration with random weights."""
    if not method.scratch:
        return base
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        fresh = GanGenerator(base.config, base.class_count)
    return fresh.eval().to(base.w_mean.device)


class Observer:
    """Looks at a student now and then, and keeps what it sees."""

    def __init__(self, student: Student, z: Tensor, watchman: Watchman) -> None:
        self.student, self.z, self.watchman = student, z, watchman

    def start(self, base: GanGenerator) -> Parts[Adapted]:
        """The first look, before any step."""
        with torch.no_grad():
            count = max(base.class_count, 1)
            weights = torch.full((SHOWN, count), 1 / count, device=self.z.device) if base.class_count else None
            before = shown(base(self.z[:SHOWN], weights))
        yield
        samples, described = yield from seen(self.student, self.student.encoder, self.z)
        self.watch = Watch(self.student.unit[0].cpu(), described)
        first = Adapted(before, self.student.mean_embedding.cpu().clone())
        return self._with(first, samples, described, {})

    def look(self, done: Adapted, losses: Mapping[str, float]) -> Parts[Adapted]:
        """A further snapshot, and whether it is time to stop."""
        samples, described = yield from seen(self.student, self.student.encoder, self.z)
        return self._with(done, samples, described, losses)

    def _with(self, done: Adapted, samples: Tensor, described: Tensor, losses: Mapping[str, float]) -> Adapted:
        student, watched = self.student, self.watch.look(described)
        tuned = {name: student.averaged[name].to("cpu", torch.float16) for name in student.adapted}
        taken = Snapshot(
            step=student.steps,
            seconds=self.watchman.elapsed(),
            tuned=tuned,
            embedding=student.averaged[CLASS].cpu().clone(),
            log_gains=student.log_gains.cpu().clone(),
            pictures=shown(samples[:SHOWN]),
            watched=watched,
        )
        distance = float(energy_distance(described, student.unit[0].float().cpu()))  # without bias: it may be below 0
        curves = {**losses, ENERGY: max(distance, 0.0), "novelty": watched.novelty, "diversity": watched.diversity}
        longer = {name: (*done.curves.get(name, ()), value) for name, value in curves.items()}
        snapshots, stopped = thinned((*done.snapshots, taken)), watched.verdict
        best = max(len(snapshots) - (2 if stopped else 1), 0)
        return replace(
            done, snapshots=snapshots, best=best, stopped=stopped, at=(*done.at, student.steps), curves=longer
        )


def seen(student: Student, encoder: SetEncoder, z: Tensor) -> Parts[tuple[Tensor, Tensor]]:
    """What a student paints, (N,3,R,R) float32, and its features in an encoder's units, (N,F) on the CPU. z: (N,Z)."""
    described = []
    samples = yield from student.look(z, AT_ONCE)
    for some in samples.split(AT_ONCE):
        yield
        with torch.no_grad():
            described.append(encoder.unit(student.discriminator.describe(some)).cpu())
    return samples, torch.cat(described)


def shown(samples: Tensor) -> Tensor:
    """(N,3,R,R) in [-1,1] → uint8 on the CPU."""
    return samples.float().clamp(-1, 1).add(1).mul(127.5).round().to("cpu", torch.uint8)


def tuned_state(base: GanGenerator, snapshot: Snapshot) -> dict[str, Tensor]:
    """A snapshot's weights by name in float32, the base's where they have not changed."""
    state = copy.copy(base.state_dict())
    return {name: snapshot.tuned.get(name, value).to(value.dtype) for name, value in state.items()}
