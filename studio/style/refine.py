"""Style transfer by optimisation (Gatys et al. 2016): from a start, down an objective, best picture so far kept."""

import math
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from studio.core.errors import InvalidRequest, StudioError
from studio.core.progress import Progress
from studio.style.moments import Moments
from studio.style.objective import (
    Evaluation,
    Losses,
    Objective,
    begin,
    evaluate,
    objective,
)
from studio.style.optimisers import OPTIMISERS
from studio.style.refine_config import RefineConfig
from studio.style.sizes import MIN_SIDE, resize

FINER = 0.3  # share of a size's steps that the next, larger one gets
T = TypeVar("T")
WORTHWHILE = 1.25  # ratio of two sizes under which the smaller one is left out


@dataclass(frozen=True)
class RefineState:
    """Where a refinement stands, between two evaluations: all that is needed to go on.

    level: which size. done: evaluations so far. next: the picture to evaluate (3,h,w), at this level's size.
    memory: the optimiser's. best, losses: the best picture of this level, None before its first evaluation.
    """

    level: int
    done: int
    next: Tensor
    memory: Any = None
    best: Tensor | None = None
    losses: Losses | None = None


@dataclass(frozen=True)
class RefineResult:
    """The best picture so far, and how to go on from it. steps: evaluations really done."""

    state: RefineState
    size: tuple[int, int]
    config: RefineConfig

    @property
    def steps(self) -> int:
        return self.state.done

    @property
    def losses(self) -> Losses | None:
        """Of the best picture, at the size that is being worked on."""
        return self.state.losses

    @property
    def picture(self) -> Tensor:
        """(3,H,W) in [-1,1] at the final size."""
        best = self.state.next if self.state.best is None else self.state.best
        return resize(best, self.size).clamp(-1, 1)


def refine(
    encoder: nn.Module,
    content: Tensor,
    styles: Sequence[Tensor | Moments],
    config: RefineConfig = RefineConfig(),  # noqa: B008 - frozen
    start: Tensor | None = None,
    state: RefineState | None = None,
) -> Iterator[Progress[RefineResult]]:
    """Refine a picture of the content's size; each Progress is one evaluation, or one tile of a large one.

    encoder: (1,3,H,W) in [-1,1] → feature maps at strides 1, 2, 4, 8, 16. content: (3,H,W) in [-1,1]; styles: any
    number of (3,h,w). start: (3,H,W), for the starts "instant" and "picture". state: go on from there, with the same
    pictures and, but for the number of steps, the same config.

    Every preview is a RefineResult: the best picture so far, with the state to resume from, so that a job that is
    closed loses nothing. The best is the one of the least weighted sum of style and content, so it is never worse than
    the start in both. metrics are the losses just evaluated.
    """
    _check(content, styles, config, start)
    size = (content.shape[-2], content.shape[-1])
    sizes = levels(size, config.coarse)
    ends = budgets(config.steps, len(sizes))
    origin = _start(content, config, start)
    state = state or RefineState(0, 0, resize(origin, sizes[0]))
    _check_state(state, sizes)
    metrics = state.losses.metrics() if state.losses else {}
    note = ""
    for level in range(state.level, len(sizes)):
        if level > state.level:
            state = _enlarge(state, level, origin, sizes)
        if note or state.done >= ends[level]:
            continue
        setting = _prepare(encoder, content, styles, config, origin, sizes[level])
        target, start_losses = yield from _through(setting, state, size, config)
        if state.best is None and start_losses is not None:
            state = replace(state, best=resize(origin, sizes[level]), losses=start_losses)
        while state.done < ends[level] and not note:
            evaluation = yield from _through(evaluate(target, state.next), state, size, config)
            state = _advance(state, evaluation, config)
            metrics, note = evaluation.losses.metrics(), _trouble(state)
            if state.done < config.steps and not note:
                yield Progress(state.done, config.steps, metrics, RefineResult(state, size, config))
    result = RefineResult(state, size, config)
    yield Progress(state.done, config.steps, metrics, result, result, note)


def _through(
    parts: Generator[None, None, T], state: RefineState, size: tuple[int, int], config: RefineConfig
) -> Generator[Progress[RefineResult], None, T]:
    """One Progress after each part but the last; returns what the parts return."""
    first = True
    while True:
        try:
            next(parts)
        except StopIteration as end:
            return end.value
        if not first:
            yield Progress(state.done, config.steps, preview=RefineResult(state, size, config))
        first = False


def _trouble(state: RefineState) -> str:
    """A sentence where the optimiser has left the numbers; the best picture is kept."""
    if torch.isfinite(state.next).all():
        return ""
    if state.losses is None or not state.losses.finite:
        raise StudioError("The loss of the start is not a number; try another start or another encoder.")
    return f"The refinement diverged after {state.done} steps and keeps its best picture; lower the learning rate."


def levels(size: tuple[int, int], coarse: int) -> tuple[tuple[int, int], ...]:
    """Sizes from one of `coarse` pixels on the long side, doubling, to the full one."""
    sides, long = [max(size)], float(coarse)
    while long * WORTHWHILE <= max(size):
        sides.insert(-1, round(long))
        long *= 2
    smaller = [(_side(size[0], side / max(size)), _side(size[1], side / max(size))) for side in sides[:-1]]
    return (*smaller, size)


def budgets(steps: int, count: int) -> tuple[int, ...]:
    """After how many steps each of the sizes ends; every size gets at least one where there are enough."""
    shares = [FINER**level for level in range(count)]
    ends = [round(steps * math.fsum(shares[: level + 1]) / math.fsum(shares)) for level in range(count)]
    if steps < count:
        return tuple(ends)
    return tuple(max(level + 1, min(end, steps - (count - 1 - level))) for level, end in enumerate(ends))


def _side(length: int, factor: float) -> int:
    return max(MIN_SIDE, round(length * factor))


def _advance(state: RefineState, evaluation: Evaluation, config: RefineConfig) -> RefineState:
    """Take an evaluation of state.next in: keep it if it is the best, and go on to where the optimiser leads."""
    losses = evaluation.losses
    point, memory = OPTIMISERS[config.optimiser].advance(
        state.memory, state.next, losses.total, evaluation.gradient, config.rate
    )
    best, kept = state.best, state.losses
    if kept is None or losses.total < kept.total:
        best, kept = state.next, losses
    return RefineState(state.level, state.done + 1, point, memory, best, kept)


def _enlarge(state: RefineState, level: int, origin: Tensor, sizes: Sequence[tuple[int, int]]) -> RefineState:
    """The start of a level: the start at this size, plus what the last level has changed of it."""
    best = state.next if state.best is None else state.best
    change = best - resize(origin, sizes[level - 1])
    return RefineState(level, state.done, resize(origin, sizes[level]) + resize(change, sizes[level]))


def _prepare(
    encoder: nn.Module,
    content: Tensor,
    styles: Sequence[Tensor | Moments],
    config: RefineConfig,
    origin: Tensor,
    size: tuple[int, int],
) -> Generator[None, None, tuple[Objective, Losses | None]]:
    """What to go down at a size; and from a start that was handed over, that start's losses there."""
    target = yield from objective(encoder, resize(content, size), styles, config)
    if config.start in ("content", "noise"):
        return target, None
    return (yield from begin(target, resize(origin, size)))


def _start(content: Tensor, config: RefineConfig, start: Tensor | None) -> Tensor:
    """Where to begin, at the full size. (3,H,W)."""
    if config.start == "noise":
        generator = torch.Generator().manual_seed(config.seed)
        return (0.5 * torch.randn(content.shape, generator=generator)).to(content)
    if config.start == "content":
        return content.contiguous()
    assert start is not None  # _check has seen to it
    return start.contiguous()


def _check(content: Tensor, styles: Sequence[Tensor | Moments], config: RefineConfig, start: Tensor | None) -> None:
    height, width = content.shape[-2:]
    if min(height, width) < MIN_SIDE:
        raise InvalidRequest(
            f"A picture of {width}x{height} pixels is too small to refine; it needs at least {MIN_SIDE} on each side."
        )
    if not styles:
        raise InvalidRequest("A refinement needs at least one style picture.")
    config.shares(len(styles))
    if config.start in ("instant", "picture"):
        if start is None:
            raise InvalidRequest(f"The start {config.start!r} needs the picture to start from.")
        if start.shape != content.shape:
            raise InvalidRequest(
                f"The start is {start.shape[-1]}x{start.shape[-2]} pixels and the content {width}x{height}; "
                "give both the same size."
            )


def _check_state(state: RefineState, sizes: Sequence[tuple[int, int]]) -> None:
    if state.level >= len(sizes) or tuple(state.next.shape[-2:]) != sizes[state.level]:
        raise InvalidRequest("The state to resume from belongs to a picture of another size.")
