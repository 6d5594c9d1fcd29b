"""Reptile's update worked by hand, on one module and on two at once."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from studio.core.errors import InvalidRequest, StudioError, UnknownName
from studio.meta.inner import LayerRates
from studio.meta.maml import set_gradients_
from studio.meta.reptile import (
    floating_tensors,
    interpolation_step,
    reptile_direction,
    reptile_gradients,
    reptile_update_,
    snapshot,
)


class Point(nn.Module):
    def __init__(self, value: float) -> None:
        super().__init__()
        self.theta = nn.Parameter(torch.tensor([value]))

    def forward(self) -> Tensor:
        return self.theta * 1


def parabola(call: Point, centre: float) -> Tensor:
    """½(θ − c)²."""
    return (call() - centre).square().sum() / 2


def state(value: float) -> dict[str, Tensor]:
    return {"theta": torch.tensor([value])}


# 2 + ¼(6 − 2) = 3
def test_one_task_moves_the_start_by_the_step_towards_its_end() -> None:
    model = Point(2.0)
    reptile_update_(model, [state(6.0)], 0.25)
    assert model.theta.item() == 3


# the mean of 6, −2 and 8 is 4: 2 + ½(4 − 2) = 3
def test_several_tasks_move_it_towards_their_mean() -> None:
    model = Point(2.0)
    reptile_update_(model, [state(6.0), state(-2.0), state(8.0)], 0.5)
    assert model.theta.item() == 3
    assert model.theta.requires_grad


# One step of rate ½ halves the distance to the centre: from 2 towards 0 ends at 1, so θ − θ̃ = 1.
def test_reptile_as_a_gradient_is_start_less_end() -> None:
    model = Point(2.0)
    found = reptile_gradients(model, [0.0], 3.0, parabola, 0.5, 1)
    assert found.gradients["theta"].item() == 1
    assert found.loss.item() == 2  # ½(1 − 3)²
    assert found.rates is None
    assert model.theta.item() == 2


def test_outer_descent_on_that_gradient_is_the_update() -> None:
    first, second = Point(2.0), Point(2.0)
    found = [reptile_gradients(first, [centre], 0.0, parabola, 0.5, 3) for centre in (0.0, 5.0)]
    set_gradients_(first, found)
    torch.optim.SGD(first.parameters(), lr=0.3).step()
    ends = [{"theta": second.theta.detach() - task.gradients["theta"]} for task in found]
    reptile_update_(second, ends, 0.3)
    assert first.theta.item() == pytest.approx(second.theta.item())
    # three halvings: ends 2·⅛ = ¼ and 5 − 3·⅛ = 4⅝, mean 2 7/16; 2 + 0.3·7/16 = 2.13125
    assert second.theta.item() == pytest.approx(2.13125)


def test_learned_rates_are_used() -> None:
    rates = LayerRates(["theta"], 0.25)
    assert reptile_gradients(Point(2.0), [0.0], 0.0, parabola, rates, 1).gradients["theta"].item() == pytest.approx(0.5)


def test_two_players_move_together_and_what_was_not_chosen_stays() -> None:
    players = {"generator": nn.Linear(1, 1), "discriminator": nn.BatchNorm1d(1)}
    tensors = floating_tensors(players, choose=lambda name: not name.endswith("bias"))
    assert sorted(tensors) == [
        "discriminator.running_mean",
        "discriminator.running_var",
        "discriminator.weight",
        "generator.weight",
    ]
    bias = players["generator"].bias.clone()
    end = {name: torch.full_like(tensor, 9.0) for name, tensor in tensors.items()}
    reptile_update_(tensors, [end], 1.0)
    assert players["generator"].weight.item() == 9
    assert players["discriminator"].running_mean.item() == 9
    assert torch.equal(players["generator"].bias, bias)
    assert players["discriminator"].num_batches_tracked.item() == 0


def test_a_snapshot_stays_when_the_module_moves_on() -> None:
    model = Point(2.0)
    kept = snapshot(floating_tensors(model))
    reptile_update_(model, [state(6.0)], 1.0)
    assert (kept["theta"].item(), model.theta.item()) == (2, 6)


def test_direction_is_the_mean_way_back() -> None:
    assert reptile_direction(state(2.0), [state(6.0), state(-2.0), state(8.0)])["theta"].item() == -2


@given(st.lists(st.floats(-10, 10, width=32), min_size=1, max_size=5), st.floats(0.01, 1), st.floats(-10, 10, width=32))
def test_the_start_stays_within_what_it_lies_between(ends: list[float], step: float, start: float) -> None:
    tensors = state(start)
    reptile_update_(tensors, [state(end) for end in ends], step)
    assert min(start, *ends) - 1e-5 <= tensors["theta"].item() <= max(start, *ends) + 1e-5


@pytest.mark.parametrize(
    ("adapted", "sentence"),
    [
        ([], "at least 1 adapted state"),
        ([{}], "at least 1 tensor"),
        ([state(1.0), {}], "states 1 and 2 differ: only one of them holds 'theta'"),
        ([{"theta": torch.tensor([1])}], "theta is torch.int64; Reptile moves floating tensors alone"),
        ([{"theta": torch.zeros(2)}], r"theta has the shape \(2,\), in the start \(1,\)"),
    ],
)
def test_states_that_cannot_be_met_half_way_are_refused(adapted: list[dict[str, Tensor]], sentence: str) -> None:
    model = Point(2.0)
    with pytest.raises(StudioError, match=sentence):
        reptile_update_(model, adapted, 0.5)
    assert model.theta.item() == 2


def test_counters_and_strangers_are_refused() -> None:
    norm = nn.BatchNorm1d(1)
    counter = {"num_batches_tracked": torch.tensor(5)}
    with pytest.raises(UnknownName, match="Unknown tensor of the start 'num_batches_tracked'"):
        reptile_update_(norm, [counter], 0.5)
    with pytest.raises(InvalidRequest, match="floating tensors alone"):
        reptile_update_(dict(norm.named_buffers()), [counter], 0.5)


@pytest.mark.parametrize("step", [0.0, -0.1, 1.1, float("nan")])
def test_a_step_beyond_the_end_or_backwards_is_refused(step: float) -> None:
    with pytest.raises(InvalidRequest, match="above 0 and at most 1"):
        reptile_update_(Point(2.0), [state(6.0)], step)


@pytest.mark.parametrize(("progress", "step"), [(-1, 0.3), (0, 0.3), (0.5, 0.175), (0.8, 0.1), (1, 0.05), (2, 0.05)])
def test_the_step_falls_on_a_straight_line(progress: float, step: float) -> None:
    assert interpolation_step(progress) == pytest.approx(step)
