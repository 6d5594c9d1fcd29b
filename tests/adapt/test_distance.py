"""Distances of samples, by points on a line."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from studio.adapt.distance import distances, energy_distance, spread


def test_spread_of_three_points_is_the_mean_over_pairs() -> None:
    assert float(spread(torch.tensor([[0.0, 0], [3, 4], [0, 8]]))) == pytest.approx((5 + 8 + 5) / 3)
    assert float(spread(torch.zeros(1, 2))) == 0.0


# On a line with a = {0, 2} and b = {1, 5}: E|X-Y| = (1+5+1+3)/4 = 2.5, E|X-X'| = 2, E|Y-Y'| = 4.
def test_energy_distance_on_a_line_by_hand() -> None:
    a, b = torch.tensor([[0.0], [2.0]]), torch.tensor([[1.0], [5.0]])
    assert float(energy_distance(a, b)) == pytest.approx(2 * 2.5 - 2 - 4)


def test_energy_distance_to_a_single_row_leaves_its_pairs_out() -> None:
    a, b = torch.tensor([[0.0], [2.0]]), torch.tensor([[3.0]])
    assert float(energy_distance(a, b)) == pytest.approx(2 * 2.0 - 2)


@given(st.floats(1, 9))
def test_energy_distance_grows_with_a_shift(shift: float) -> None:
    a = torch.randn(16, 3, generator=torch.Generator().manual_seed(0))
    assert energy_distance(a, a + shift + 1) > energy_distance(a, a + shift)
    assert float(distances(a, a).diagonal().abs().max()) == 0.0


# a = {0, 2}, b = {5}: 2 E|X-Y| = 5 + 3, so each of a is drawn by -1; the two push each other apart by 1
def test_energy_distance_draws_towards_the_others_and_apart() -> None:
    a = torch.tensor([[0.0], [2.0]], requires_grad=True)
    energy_distance(a, torch.tensor([[5.0]])).backward()
    assert a.grad is not None
    assert a.grad.flatten().tolist() == [0.0, -2.0]
    same = torch.zeros(2, 3, requires_grad=True)
    energy_distance(same, torch.zeros(1, 3)).backward()
    assert same.grad is not None
    assert bool(same.grad.isfinite().all()), "no direction where there is no distance"
