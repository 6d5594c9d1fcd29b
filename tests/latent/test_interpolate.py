"""Walks go through every key at an even speed, loops close, and the sphere is followed where it is asked for."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from studio.core.errors import InvalidRequest, UnknownName
from studio.latent.interpolate import CURVES, lerp, path, slerp, spline

SQUARE = torch.tensor([[0.0, 0.0], [4.0, 0.0], [4.0, 4.0], [0.0, 4.0]], dtype=torch.float64)


def unit(angle: float) -> Tensor:
    return torch.tensor([math.cos(angle), math.sin(angle)], dtype=torch.float64)


def test_half_way_on_the_circle_is_half_the_angle() -> None:
    torch.testing.assert_close(slerp(unit(0), unit(math.pi / 2), 0.5), unit(math.pi / 4))


def test_slerp_changes_the_length_linearly() -> None:
    ways = slerp(1.0 * unit(0.1), 3.0 * unit(2.0), torch.tensor([[0.25], [0.5]], dtype=torch.float64))
    torch.testing.assert_close(ways.norm(dim=1), torch.tensor([1.5, 2.0], dtype=torch.float64))


def test_slerp_of_noise_keeps_the_length_that_noise_has() -> None:
    a, b = torch.randn(2, 512, generator=torch.Generator().manual_seed(0))
    assert float(slerp(a, b, 0.5).norm() / a.norm()) == pytest.approx(1, abs=0.05)
    assert float(lerp(a, b, 0.5).norm() / a.norm()) == pytest.approx(math.sqrt(0.5), abs=0.05)


def test_slerp_between_parallel_directions_is_straight() -> None:
    a = torch.tensor([1.0, 2.0, 2.0])
    torch.testing.assert_close(slerp(a, 3 * a, 0.5), 2 * a)


def test_slerp_between_opposite_directions_stays_on_the_sphere() -> None:
    a = torch.tensor([1.0, 2.0, 2.0])
    half = slerp(a, -a, 0.5)
    assert float(half.norm()) == pytest.approx(3)
    assert float(half @ a) == pytest.approx(0, abs=1e-5)
    torch.testing.assert_close(slerp(a, -a, 1.0), -a)


def test_slerp_from_nothing_is_straight() -> None:
    b = torch.tensor([0.0, 2.0])
    torch.testing.assert_close(slerp(torch.zeros(2), b, 0.25), 0.25 * b)


def test_slerp_takes_rows() -> None:
    a, b = torch.randn(2, 5, 7, generator=torch.Generator().manual_seed(1))
    rows = torch.stack([slerp(a[i], b[i], 0.3) for i in range(5)])
    torch.testing.assert_close(slerp(a, b, 0.3), rows)


@given(st.lists(st.floats(-1e3, 1e3, width=32), min_size=6, max_size=6), st.floats(0, 1, width=32))
def test_slerp_is_finite_and_no_longer_than_its_ends(values: list[float], t: float) -> None:
    a, b = torch.tensor(values).view(2, 3)
    way = slerp(a, b, t)
    assert bool(torch.isfinite(way).all())
    assert float(way.norm()) <= max(float(a.norm()), float(b.norm())) * 1.001 + 1e-4


def test_spline_through_points_of_a_line_is_the_line() -> None:
    points = torch.tensor([[0.0], [1.0], [2.0], [3.0]])
    torch.testing.assert_close(spline(*points, torch.tensor([[0.25]])), torch.tensor([[1.25]]))


@pytest.mark.parametrize("curve", CURVES.names())
@pytest.mark.parametrize("loop", [True, False])
def test_every_key_is_a_frame_and_the_first_is_key_zero(curve: str, loop: bool) -> None:
    keys = torch.randn(5, 3, 4, generator=torch.Generator().manual_seed(2))
    frames = path(keys, 60, curve, loop)
    assert frames.shape == (60, 3, 4)
    assert frames.dtype == torch.float32
    assert torch.equal(frames[0], keys[0])
    for key in keys:
        assert any(torch.equal(frame, key) for frame in frames)


def test_a_loop_closes_without_repeating_its_first_frame() -> None:
    frames = path(SQUARE, 16, "lerp")
    torch.testing.assert_close(frames[-1], torch.tensor([0.0, 1.0], dtype=torch.float64))
    steps = torch.cat([frames, frames[:1]]).diff(dim=0).norm(dim=1)
    torch.testing.assert_close(steps, torch.ones(16, dtype=torch.float64))


def test_an_open_walk_ends_at_the_last_key() -> None:
    frames = path(SQUARE, 13, "lerp", loop=False)
    assert torch.equal(frames[-1], SQUARE[-1])
    torch.testing.assert_close(frames.diff(dim=0).norm(dim=1), torch.ones(12, dtype=torch.float64))


def test_long_segments_get_more_frames() -> None:
    keys = torch.tensor([[0.0], [1.0], [10.0]])
    frames = path(keys, 21, "lerp", loop=False)
    torch.testing.assert_close(frames[:, 0], torch.linspace(0, 10, 21))


@pytest.mark.parametrize("curve", CURVES.names())
def test_speed_along_a_curve_is_even(curve: str) -> None:
    angles = torch.linspace(0, 2 * math.pi, 7, dtype=torch.float64)[:6]
    keys = torch.stack([angles.cos(), angles.sin()], 1)
    frames = path(keys, 96, curve)
    steps = torch.cat([frames, frames[:1]]).diff(dim=0).norm(dim=1)
    assert float(steps.max() / steps.min()) < 1.05


def test_slerp_walk_stays_on_the_circle() -> None:
    keys = torch.stack([unit(angle) for angle in (0.0, 2.0, 4.0)])
    torch.testing.assert_close(path(keys, 30, "slerp").norm(dim=1), torch.ones(30, dtype=torch.float64))


def test_equal_keys_stand_still() -> None:
    keys = torch.ones(3, 4)
    assert torch.equal(path(keys, 10), torch.ones(10, 4))


@given(st.integers(2, 9), st.integers(0, 40), st.booleans(), st.sampled_from(CURVES.names()))
def test_a_walk_has_the_frames_that_were_asked_for(keys: int, spare: int, loop: bool, curve: str) -> None:
    points = torch.randn(keys, 3, generator=torch.Generator().manual_seed(keys))
    frames = path(points, keys + spare, curve, loop)
    assert len(frames) == keys + spare
    assert bool(torch.isfinite(frames).all())


@pytest.mark.parametrize(("keys", "frames"), [(1, 10), (4, 3)])
def test_too_few_keys_or_frames_are_refused(keys: int, frames: int) -> None:
    with pytest.raises(InvalidRequest, match=f"got {keys} keys, {frames} frames"):
        path(torch.zeros(keys, 2), frames)


def test_an_unknown_curve_lists_the_known_ones() -> None:
    with pytest.raises(UnknownName, match="spline, slerp, lerp"):
        path(SQUARE, 8, "zigzag")
