"""Sine regression (Finn et al. 2017, section 5.1): ten points of a new wave are enough for a learned start."""

import math
from functools import cache

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from studio.meta.inner import Call, LayerRates, adapt
from studio.meta.learners import META_LEARNERS
from studio.meta.maml import set_gradients_

Points = tuple[Tensor, Tensor]
OUTER, TASKS, SHOTS, RATE = 200, 4, 10, 0.02
STEPS = {"reptile": 8}  # its update grows with the way that adaptation goes


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(1, 40), nn.Tanh(), nn.Linear(40, 40), nn.Tanh(), nn.Linear(40, 1))


def wave(generator: torch.Generator) -> tuple[Points, Points, Points]:
    """Support, query and 100 further points of a sine of amplitude 0.1 to 5 and phase 0 to π, x in [−5, 5]."""
    amplitude = 0.1 + 4.9 * torch.rand((), generator=generator)
    phase = math.pi * torch.rand((), generator=generator)

    def points(count: int) -> Points:
        x = 10 * torch.rand(count, 1, generator=generator) - 5
        return x, amplitude * torch.sin(x - phase)

    return points(SHOTS), points(SHOTS), points(100)


def squared(call: Call, batch: Points) -> Tensor:
    return F.mse_loss(call(batch[0]), batch[1])


def waves_of_training() -> list[list[tuple[Points, Points, Points]]]:
    generator = torch.Generator().manual_seed(1)
    return [[wave(generator) for _ in range(TASKS)] for _ in range(OUTER)]


def meta_trained(name: str, rates: float | LayerRates) -> nn.Module:
    model = network()
    outer = torch.optim.Adam(model.parameters(), 5e-3)
    if isinstance(rates, LayerRates):
        outer.add_param_group({"params": [rates.log_rates], "lr": 2e-2})
    learner = META_LEARNERS[name]
    for tasks in waves_of_training():
        found = [learner.gradients(model, [s], q, squared, rates, STEPS.get(name, 3)) for s, q, _ in tasks]
        set_gradients_(model, found, rates)
        outer.step()
    return model


@cache
def jointly_trained() -> nn.Module:
    """The same waves, points and count of outer steps, learned as one task."""
    model = network()
    outer = torch.optim.Adam(model.parameters(), 5e-3)
    for tasks in waves_of_training():
        batch = [points for support, query, _ in tasks for points in (support, query)]
        outer.zero_grad()
        loss = squared(model, (torch.cat([x for x, _ in batch]), torch.cat([y for _, y in batch])))
        loss.backward()
        outer.step()
    return model


def after(model: nn.Module, rates: float | LayerRates, steps: int = 5) -> float:
    """Mean squared error on 50 new waves after that many steps on ten points of each."""
    generator = torch.Generator().manual_seed(99)
    errors = []
    for _ in range(50):
        support, _, rest = wave(generator)
        adapted = adapt(model, [support], squared, rates, steps)
        errors.append(float(squared(adapted.bound_to(model), rest)))
    return sum(errors) / len(errors)


@pytest.mark.parametrize("name", META_LEARNERS.names())
def test_a_learned_start_adapts_to_a_new_wave_far_better_than_a_joint_one(name: str) -> None:
    joint = min(after(jointly_trained(), rate) for rate in (0.003, 0.01, 0.02, 0.05))
    assert after(meta_trained(name, RATE), RATE) < 0.6 * joint


def test_learned_rates_make_good_a_rate_chosen_far_too_low() -> None:
    low = RATE / 20
    rates = LayerRates([name for name, _ in network().named_parameters()], low)
    learned = after(meta_trained("maml", rates), rates, 3)
    fixed = after(meta_trained("maml", low), low, 3)
    assert learned < 0.6 * fixed
    assert max(rate.item() for rate in rates().values()) > 2 * low
