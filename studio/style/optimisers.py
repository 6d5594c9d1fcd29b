"""Ways down a loss, one evaluation at a time: a table of optimisers with the rates that converge on pictures.

Each is a pure function from what has been measured at a point to the next point to measure, so that a job can be
shown, stopped and resumed between any two evaluations, however the gradient was gathered. Gradients are scaled by the
number of pixel values, so that one rate serves every size of picture.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from studio.core.registry import Registry

SUFFICIENT = 1e-4  # share of the promised decrease that a step of L-BFGS must bring (Nocedal & Wright 2006, eq. 3.6a)
MAX_SHORTENINGS = 6  # of one step of L-BFGS, after which its history is forgotten
HISTORY = 15  # pairs that L-BFGS keeps
HISTORY_BYTES = 3 << 29  # and how much memory they may take

State = Any
Advance = Callable[[State, Tensor, float, Tensor, float], tuple[Tensor, State]]
"""(state, point x, loss at x, gradient at x, rate) → (next point, state). The state before the first is None."""


@dataclass(frozen=True)
class Optimiser:
    """A way down. formula, source: for people. rate: the learning rate that converges at 512 px."""

    name: str
    formula: str
    source: str
    rate: float
    advance: Advance


OPTIMISERS: Registry[Optimiser] = Registry("optimiser")


def _descend(_state: State, x: Tensor, _loss: float, gradient: Tensor, rate: float) -> tuple[Tensor, State]:
    return x - rate * x.numel() * gradient, None


def _momentum(state: Tensor | None, x: Tensor, _loss: float, gradient: Tensor, rate: float) -> tuple[Tensor, State]:
    scaled = x.numel() * gradient
    velocity = scaled if state is None else 0.9 * state + scaled
    return x - rate * velocity, velocity


class _Moments(NamedTuple):
    steps: int
    first: Tensor
    second: Tensor


def _adam(state: _Moments | None, x: Tensor, _loss: float, gradient: Tensor, rate: float) -> tuple[Tensor, State]:
    beta1, beta2 = 0.9, 0.999
    scaled = x.numel() * gradient
    steps, first, second = state or _Moments(0, torch.zeros_like(x), torch.zeros_like(x))
    steps, first = steps + 1, torch.lerp(scaled, first, beta1)
    second = torch.lerp(scaled.square(), second, beta2)
    size = (second / (1 - beta2**steps)).sqrt_().add_(1e-8)
    return x - rate / (1 - beta1**steps) * first / size, _Moments(steps, first, second)


class _Pair(NamedTuple):
    step: Tensor  # s = x' − x
    change: Tensor  # y = g' − g
    product: float  # s·y > 0


class _Search(NamedTuple):
    x: Tensor  # the last point taken
    loss: float
    gradient: Tensor
    direction: Tensor
    slope: float  # gradient · direction, negative
    length: float  # of the step under trial
    shortenings: int
    pairs: tuple[_Pair, ...]  # oldest first


def _lbfgs(state: _Search | None, x: Tensor, loss: float, gradient: Tensor, rate: float) -> tuple[Tensor, State]:
    """Limited-memory BFGS (Liu & Nocedal 1989) with backtracking by quadratic interpolation."""
    if state is None:
        return _first_step(x, loss, gradient, rate)
    if not loss <= state.loss + SUFFICIENT * state.length * state.slope:  # also where the loss is not a number
        return _shorten(state, loss, rate)
    pair = _Pair(x - state.x, gradient - state.gradient, 0.0)
    product = _dot(pair.step, pair.change)
    pairs = state.pairs
    if product > 1e-10 * _dot(pair.change, pair.change):  # positive curvature keeps the directions downhill
        capacity = max(3, min(HISTORY, HISTORY_BYTES // (2 * x.element_size() * x.numel())))
        pairs = (*pairs, pair._replace(product=product))[-capacity:]
    if not pairs:
        return _first_step(x, loss, gradient, rate)
    direction = _newton_direction(gradient, pairs)
    slope = _dot(gradient, direction)
    if not slope < 0:
        return _first_step(x, loss, gradient, rate)
    return x + direction, _Search(x, loss, gradient, direction, slope, 1.0, 0, pairs)


def _first_step(x: Tensor, loss: float, gradient: Tensor, rate: float) -> tuple[Tensor, State]:
    """Down the gradient; the rate is how far the pixels move, root mean square."""
    norm = math.sqrt(_dot(gradient, gradient))
    length = rate * math.sqrt(x.numel()) / norm if norm > 0 else 0.0
    state = _Search(x, loss, gradient, -gradient, -norm * norm, length, 0, ())
    return x - length * gradient, state


def _shorten(state: _Search, loss: float, rate: float) -> tuple[Tensor, State]:
    """The last step went too far: the minimum of the parabola through what is known (Nocedal & Wright 2006, 3.58)."""
    if state.shortenings == MAX_SHORTENINGS:
        return _first_step(state.x, state.loss, state.gradient, rate * 2.0**-MAX_SHORTENINGS)
    rise = loss - state.loss - state.length * state.slope
    best = -state.slope * state.length**2 / (2 * rise) if math.isfinite(rise) and rise > 0 else 0.0
    length = min(max(best, 0.1 * state.length), 0.5 * state.length)
    return state.x + length * state.direction, state._replace(length=length, shortenings=state.shortenings + 1)


def _newton_direction(gradient: Tensor, pairs: tuple[_Pair, ...]) -> Tensor:
    """−H g by the two-loop recursion (Nocedal & Wright 2006, algorithm 7.4)."""
    direction = -gradient
    weights = []
    for pair in reversed(pairs):
        weight = _dot(pair.step, direction) / pair.product
        weights.append(weight)
        direction.sub_(pair.change, alpha=weight)
    last = pairs[-1]
    direction.mul_(last.product / _dot(last.change, last.change))
    for pair, weight in zip(pairs, reversed(weights), strict=True):
        direction.add_(pair.step, alpha=weight - _dot(pair.change, direction) / pair.product)
    return direction


def _dot(a: Tensor, b: Tensor) -> float:
    return float(torch.dot(a.flatten(), b.flatten()))


def _add(name: str, formula: str, source: str, rate: float, advance: Advance) -> None:
    OPTIMISERS.add(name, Optimiser(name, formula, source, rate, advance))


_add("lbfgs", "x ← x − t H g, H from the last 15 changes of x and g", "Liu & Nocedal 1989", 0.02, _lbfgs)
_add("adam", "x ← x − η m̂ / (√v̂ + ε), β = 0.9, 0.999", "Kingma & Ba 2015, algorithm 1", 0.03, _adam)
_add("momentum", "v ← 0.9 v + g, x ← x − η v", "Polyak 1964; Sutskever et al. 2013", 0.0015, _momentum)
_add("gradient_descent", "x ← x − η g", "Cauchy 1847", 0.01, _descend)
