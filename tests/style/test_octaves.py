"""Bringing octaves of detail to another strength."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from studio.core import bfloat16
from studio.core.octaves import MOST, parted, strengths
from studio.style.octaves import GREATEST, LEAST, brought

EVERYWHERE = torch.ones(1, 1, 1, 1)


def noise(height: int = 48, width: int = 64, seed: int = 0, size: float = 0.3) -> torch.Tensor:
    return size * torch.randn(1, 3, height, width, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("height", "width"), [(64, 64), (37, 51), (8, 9), (1, 30), (1, 1)])
def test_the_parts_add_up_to_the_picture_and_its_own_strengths_leave_it(height: int, width: int) -> None:
    picture = noise(height, width)
    parts, rest = parted(picture, MOST)
    assert rest.shape[-2:] == (math.ceil(height / 8), math.ceil(width / 8))
    assert [part.shape[-1] for part in parts] == [math.ceil(width / 2**octave) for octave in range(MOST)]
    own = strengths(picture, MOST)[:, :, None, None]
    torch.testing.assert_close(brought(picture, own, EVERYWHERE), picture, atol=1e-5, rtol=0)


@settings(max_examples=30, deadline=None)
@given(st.floats(0.5, 1.4), st.floats(0.5, 1.4))
def test_the_octaves_come_to_the_strength_that_is_asked(first: float, second: float) -> None:
    picture = noise()
    wanted = strengths(picture, 2) + torch.tensor([first] * 3 + [second] * 3).log()
    found = strengths(brought(picture, wanted[:, :, None, None], EVERYWHERE), 2)
    leaked = 0.5 * abs(math.log(first / second))  # no filter parts octaves cleanly, and noise has all of them
    torch.testing.assert_close(found, wanted, atol=0.1 + leaked, rtol=0)


def test_gains_have_a_limit_on_both_sides() -> None:
    picture = noise()
    for wanted, limit in ((-20.0, LEAST), (5.0, GREATEST)):
        asked = torch.full((1, 3, 1, 1), wanted)
        change = strengths(brought(picture, asked, EVERYWHERE), 1) - strengths(picture, 1)
        torch.testing.assert_close(change.exp(), torch.full((1, 3), limit), atol=0.08, rtol=0)
    flat = torch.zeros(1, 3, 16, 16)
    assert torch.equal(brought(flat, torch.zeros(1, 9, 1, 1), EVERYWHERE), flat), "nothing is made of nothing"


def test_where_it_is_not_present_nothing_changes() -> None:
    picture, nowhere = noise(64, 64), torch.zeros(1, 1, 1, 1)
    soft = torch.full((1, 6, 1, 1), -5.0)
    torch.testing.assert_close(brought(picture, soft, nowhere), picture, atol=1e-5, rtol=0)
    left = torch.zeros(1, 1, 4, 4)
    left[..., :2] = 1
    changed = (brought(picture, soft.expand(-1, -1, 4, 4), left) - picture).abs().mean(dim=(0, 1, 2))
    assert float(changed[:20].min()) > 0.05
    assert float(changed[48:].max()) < 1e-5


def test_the_gain_is_that_of_the_places_where_it_is_present() -> None:
    picture = torch.cat([noise(64, 32), noise(64, 32, size=0.03)], dim=3)  # rough on the left, smooth on the right
    asked = strengths(picture[..., :32], 1)[:, :, None, None]
    left = torch.zeros(1, 1, 1, 64)
    left[..., :28] = 1
    found = brought(picture, asked.expand(-1, -1, 1, 64), left)
    torch.testing.assert_close(found, picture, atol=0.05, rtol=0)
    everywhere = brought(picture, asked, EVERYWHERE)
    assert (everywhere - picture).abs().mean() > 0.05, "over the whole picture there is less detail than asked"


def test_gradients_reach_the_picture_and_the_strengths() -> None:
    picture, wanted = noise().requires_grad_(True), (strengths(noise(seed=1), 2) - 0.1)[:, :, None, None]
    wanted.requires_grad_(True)
    brought(picture, wanted, EVERYWHERE).square().mean().backward()
    for each in (picture, wanted):
        assert each.grad is not None
        assert bool(each.grad.isfinite().all())
        assert float(each.grad.abs().max()) > 0


def test_under_autocast_they_are_the_same() -> None:
    if not bfloat16.speed_up():
        pytest.skip("this processor has no bfloat16, or one that kills the process")
    picture = noise()
    wanted = strengths(picture, 2)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(strengths(picture, 2), wanted)
        again = brought(picture, wanted[:, :, None, None] - 0.2, EVERYWHERE)
    assert torch.equal(again, brought(picture, wanted[:, :, None, None] - 0.2, EVERYWHERE))
