"""Optimisers: the textbook's steps, the minimum where there is one, and states that go on exactly."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from studio.core.errors import UnknownName
from studio.style.optimisers import MAX_SHORTENINGS, OPTIMISERS

ALL = pytest.mark.parametrize("name", OPTIMISERS.names())
Loss = Callable[[Tensor], Tensor]
SCALES = torch.tensor([1.0, 3.0, 0.3, 2.0])
CENTRE = torch.tensor([1.0, -2.0, 0.5, 3.0])


def bowl(x: Tensor) -> Tensor:
    """A mean, as the losses of pictures are, so that rates per pixel fit."""
    return (SCALES * (x - CENTRE).square()).mean()


def rosenbrock(x: Tensor) -> Tensor:
    return 100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2


def run(
    name: str, loss: Loss, x: Tensor, steps: int, rate: float, state: Any = None
) -> tuple[Tensor, Any, list[float]]:
    """Next point, state and the losses on the way."""
    losses = []
    for _ in range(steps):
        leaf = x.detach().requires_grad_()
        value = loss(leaf)
        (gradient,) = torch.autograd.grad(value, leaf)
        losses.append(float(value.detach()))
        x, state = OPTIMISERS[name].advance(state, x, losses[-1], gradient, rate)
    return x, state, losses


def test_there_are_the_four_that_were_asked_for() -> None:
    assert set(OPTIMISERS.names()) == {"gradient_descent", "momentum", "adam", "lbfgs"}


@ALL
def test_an_entry_tells_its_formula_source_and_rate(name: str) -> None:
    entry = OPTIMISERS[name]
    assert entry.name == name
    assert "x ← x" in entry.formula
    assert entry.source
    assert entry.rate > 0


@ALL
def test_a_bowl_is_gone_down_to_its_bottom(name: str) -> None:
    rate = {"lbfgs": 0.1, "adam": 0.1, "momentum": 0.02, "gradient_descent": 0.1}[name]
    x, _, losses = run(name, bowl, torch.zeros(4), 300, rate)
    torch.testing.assert_close(x, CENTRE, atol=1e-2, rtol=0)
    assert losses[-1] < 1e-4 * losses[0]


@ALL
def test_a_run_in_two_halves_is_the_run_in_one(name: str) -> None:
    whole, _, _ = run(name, bowl, torch.zeros(4), 12, 0.02)
    half, state, _ = run(name, bowl, torch.zeros(4), 5, 0.02)
    assert torch.equal(run(name, bowl, half, 7, 0.02, state)[0], whole)


@ALL
def test_neither_the_point_nor_the_gradient_is_written_to(name: str) -> None:
    x, state = torch.zeros(4), None
    for step in range(6):
        gradient = torch.autograd.grad(bowl(leaf := x.clone().requires_grad_()), leaf)[0]
        kept = x.clone(), gradient.clone()
        following, state = OPTIMISERS[name].advance(state, x, float(bowl(x)), gradient, 0.02)
        assert torch.equal(x, kept[0]), step
        assert torch.equal(gradient, kept[1]), step
        x = following


@ALL
def test_where_the_gradient_is_zero_nothing_moves(name: str) -> None:
    x, _, _ = run(name, bowl, CENTRE.clone(), 4, 0.1)
    assert torch.equal(x, CENTRE)


@ALL
def test_a_permuted_picture_is_no_obstacle(name: str) -> None:
    x = torch.rand(4, 5, 3, generator=torch.Generator().manual_seed(0)).permute(2, 0, 1)
    _, _, losses = run(name, lambda p: p.square().mean(), x, 5, 0.01)
    assert losses[-1] < losses[0]


@pytest.mark.parametrize(
    ("name", "reference"),
    [
        ("gradient_descent", lambda p: torch.optim.SGD([p], lr=0.02 * 4)),
        ("momentum", lambda p: torch.optim.SGD([p], lr=0.02 * 4, momentum=0.9)),
        ("adam", lambda p: torch.optim.Adam([p], lr=0.02)),
    ],
)
def test_steps_are_those_of_torch(name: str, reference: Callable[[Tensor], torch.optim.Optimizer]) -> None:
    expected = torch.zeros(4, requires_grad=True)
    optimiser = reference(expected)
    for _ in range(20):
        optimiser.zero_grad()
        bowl(expected).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    torch.testing.assert_close(run(name, bowl, torch.zeros(4), 20, 0.02)[0], expected.detach(), rtol=1e-4, atol=1e-5)


def test_lbfgs_finds_the_end_of_rosenbrocks_valley() -> None:
    x, _, losses = run("lbfgs", rosenbrock, torch.tensor([-1.2, 1.0], dtype=torch.float64), 80, 0.1)
    torch.testing.assert_close(x, torch.ones(2, dtype=torch.float64), atol=1e-4, rtol=0)
    assert min(losses) < 1e-8


def test_lbfgs_first_moves_by_its_rate_root_mean_square() -> None:
    x = torch.zeros(4)
    moved, _, _ = run("lbfgs", bowl, x, 1, 0.05)
    assert float(moved.square().mean().sqrt()) == pytest.approx(0.05)


def test_lbfgs_accepts_only_what_goes_down() -> None:
    wavy = lambda x: (x.square() + 0.5 * torch.sin(8 * x)).mean()  # noqa: E731
    _, state, losses = run("lbfgs", wavy, torch.linspace(-2, 2, 9), 40, 0.5)
    assert state.loss == min(losses)


def test_lbfgs_comes_back_from_where_the_loss_is_no_number() -> None:
    cliff = lambda x: x.square().sum() - torch.log(1 - x).sum()  # noqa: E731 - NaN beyond 1
    x, _, losses = run("lbfgs", cliff, torch.tensor([-3.0, -2.0]), 60, 6.0)
    assert any(math.isnan(loss) for loss in losses)
    expected = (1 - math.sqrt(3)) / 2  # 2x + 1 / (1 − x) = 0
    torch.testing.assert_close(x, torch.full((2,), expected), atol=1e-3, rtol=0)


def test_lbfgs_forgets_its_history_when_shortening_does_not_help() -> None:
    advance = OPTIMISERS["lbfgs"].advance
    x = torch.zeros(3)
    trial, state = advance(None, x, 1.0, torch.ones(3), 0.1)
    lengths = []
    for _ in range(MAX_SHORTENINGS + 1):
        trial, state = advance(state, trial, math.inf, torch.ones(3), 0.1)
        lengths.append(float(trial.norm()))
    assert lengths[:-1] == sorted(lengths[:-1], reverse=True)
    assert 0 < lengths[-1] < 0.1
    assert state.shortenings == 0
    assert state.pairs == ()


def test_an_unknown_optimiser_lists_the_known_ones() -> None:
    with pytest.raises(UnknownName, match="lbfgs, adam, momentum, gradient_descent"):
        OPTIMISERS["rprop"]
