"""Octaves of detail: how strong they are, and changing it."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from studio.core.octaves import FAINTEST, MOST, colours, differences, scaled, strengths


def noise(height: int = 48, width: int = 64, seed: int = 0, size: float = 0.3) -> torch.Tensor:
    return size * torch.randn(1, 3, height, width, generator=torch.Generator().manual_seed(seed))


def grey(pattern: torch.Tensor) -> torch.Tensor:
    return pattern.expand(1, 3, -1, -1).contiguous()


def stripes(period: int, size: float = 0.4, side: int = 64) -> torch.Tensor:
    """Upright stripes, so many px from one to the next."""
    return grey(size * torch.cos(2 * math.pi * (torch.arange(side) + 0.5) / period).expand(side, side))


def test_what_alternates_from_pixel_to_pixel_is_all_in_the_finest_octave() -> None:
    board = grey(0.25 * (1 - 2 * ((torch.arange(32)[:, None] + torch.arange(32)) % 2)).float())
    found = strengths(board, 2).exp()[0]
    assert found.shape == (6,)
    assert float(found[0]) == pytest.approx(0.25, rel=0.05)
    assert float(found[3]) < 0.02, "nothing is left for the next octave"
    assert torch.allclose(found[[1, 2, 4, 5]], torch.tensor(FAINTEST), rtol=1e-3), "and it has no colour"


def test_stripes_are_in_the_octave_of_their_width() -> None:
    for octave, period in enumerate((3, 6, 12)):
        found = strengths(stripes(period), 3).exp()[0, ::3]
        assert int(found.argmax()) == octave


def test_a_flat_picture_has_no_detail_and_a_red_pattern_has_it_in_the_differences() -> None:
    flat = torch.full((1, 3, 16, 16), 0.3)
    assert torch.allclose(strengths(flat, 3), torch.tensor(FAINTEST).log())
    red = torch.zeros(1, 3, 32, 32)
    red[:, 0] = noise(32, 32)[:, 0]
    luminance, blue, other = strengths(red, 1).exp()[0].tolist()
    assert other == pytest.approx(luminance * (0.5 / 0.299), rel=1e-3)  # Cr = (R − Y) / 1.402 = 0.5 R, Y = 0.299 R
    assert blue == pytest.approx(luminance / 1.772, rel=1e-3)


def test_luminance_and_differences_lead_back_to_the_colours() -> None:
    picture = noise()
    torch.testing.assert_close(colours(differences(picture)), picture, atol=1e-6, rtol=0)
    assert torch.allclose(differences(grey(noise()[:, :1]))[:, 1:], torch.zeros(()), atol=1e-6), "grey has none"


@pytest.mark.parametrize("side", [8, 33, 64])
@pytest.mark.parametrize("count", [0, 1, MOST])
def test_gains_of_one_leave_a_picture(side: int, count: int) -> None:
    picture = noise(side, side)
    torch.testing.assert_close(scaled(picture, torch.ones(count, 3)), picture, atol=1e-6, rtol=0)


def test_a_gain_of_nothing_takes_what_alternates_and_leaves_the_rest() -> None:
    board = grey(0.25 * (1 - 2 * ((torch.arange(32)[:, None] + torch.arange(32)) % 2)).float())
    slope = grey(torch.linspace(-0.5, 0.5, 32).expand(32, 32))
    found = scaled(board + slope, torch.tensor([[0.0, 1.0, 1.0]]))
    assert float((found - slope)[..., 4:-4, 4:-4].abs().max()) < 0.02


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(0.5, 1.5), min_size=3, max_size=3))
def test_an_octave_is_as_many_times_as_strong_as_its_gain_says(gains: list[float]) -> None:
    picture = noise()
    found = strengths(scaled(picture, torch.tensor([gains])), 1) - strengths(picture, 1)
    torch.testing.assert_close(found.exp()[0], torch.tensor(gains), atol=0.06, rtol=0)  # a bit leaks into the next


def test_a_picture_is_the_same_alone_and_in_company() -> None:
    pictures = torch.cat([noise(32, 32, seed) for seed in range(5)])
    gains = torch.rand(3, 3, generator=torch.Generator().manual_seed(0))
    alone = torch.cat([scaled(one, gains) for one in pictures.split(1)])
    assert torch.equal(scaled(pictures, gains), alone)
