"""Gradients of networks: worked by hand, and learnt by a student from its teacher."""

import pytest
import torch
from torch import Tensor, nn

from studio.style.encoder import EncoderConfig, StyleEncoder
from studio.training.descent import PACE, Goal, alignment, led, slope, unit

CONFIG = EncoderConfig((4, 4, 4, 4, 4), (1, 1, 1, 1, 1))


def pictures(count: int = 3, seed: int = 0) -> Tensor:
    return torch.rand(count, 3, 32, 32, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def encoder(seed: int) -> StyleEncoder:
    torch.manual_seed(seed)
    return StyleEncoder(CONFIG)


def goal(network: nn.Module, share: float) -> Goal:
    x = pictures()
    return Goal.of(network(x), torch.full((len(x),), share))


def test_units_have_length_one_and_dim_places_are_shorter() -> None:
    maps = torch.ones(1, 4, 2, 2)
    maps[:, :, 0, 0] = 1e-4
    lengths = unit(maps).square().sum(dim=1).sqrt()[0]
    torch.testing.assert_close(lengths[1, 1], torch.tensor(1.0), atol=1e-3, rtol=0)
    assert lengths[0, 0] < 0.01


def test_a_picture_is_at_its_content_and_the_one_before_it_at_its_style() -> None:
    network = encoder(0)
    with torch.no_grad():
        maps = network(pictures())
    assert float(goal(network, 1.0).distance(maps).max()) < 1e-6
    before = [x.roll(1, 0) for x in maps]
    assert float(goal(network, 0.0).distance(before).max()) < 1e-6
    assert float(goal(network, 0.0).distance(maps).min()) > 1e-4


@torch.no_grad()
def test_slope_is_the_gradient_by_differences() -> None:
    network, x = encoder(0), pictures(seed=1)
    target = Goal.of(network(pictures()), torch.tensor([0.0, 1.0, 0.0]))
    way = slope(network, x, target)
    way /= way.norm()
    ahead, behind = (float(target.distance(network(x + sign * 0.05 * way)).sum()) for sign in (1, -1))
    assert float((slope(network, x, target) * way).sum()) == pytest.approx((ahead - behind) / 0.1, rel=0.03)


@torch.no_grad()
def test_led_pictures_come_nearer_by_steps_of_one_length() -> None:
    network = encoder(0)
    x, target = pictures(seed=1) * 0.5, goal(network, 0.0)
    one, many = led(network, x, target, 1), led(network, x, target, 6)
    assert torch.equal(led(network, x, target, 0), x)
    torch.testing.assert_close((one - x).square().mean(dim=(1, 2, 3)).sqrt(), torch.full((3,), PACE), rtol=1e-3, atol=0)
    assert float(target.distance(network(many)).mean()) < 0.8 * float(target.distance(network(x)).mean())


def test_alignment_is_one_for_the_same_way_and_minus_one_for_the_opposite() -> None:
    way = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(alignment(way, 1e-6 * way), torch.ones(2))
    torch.testing.assert_close(alignment(way, -way), -torch.ones(2))


def test_a_student_learns_where_its_teacher_points() -> None:
    teacher, student = encoder(0), encoder(1)
    optimiser = torch.optim.Adam(student.parameters(), 1e-2)
    x = pictures(2, seed=3)
    share, values = torch.tensor([0.0, 1.0]), []
    for _ in range(40):
        mine, theirs = (Goal.of(network(pictures(2)), share) for network in (student, teacher))
        astray = 1 - alignment(slope(student, x, mine, learn=True), slope(teacher, x, theirs)).mean()
        optimiser.zero_grad()
        astray.backward()
        optimiser.step()
        values.append(float(astray.detach()))
    assert values[-1] < 0.75 * values[0]
