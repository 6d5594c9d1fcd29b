"""Variations: radius 0 is the same picture, radius 1 an unrelated one, and between noise stays noise."""

import pytest
import torch

from studio.latent.seeds import noise, steps
from studio.latent.variations import vary


def test_radius_zero_is_the_same_noise_bit_for_bit() -> None:
    z = noise([1], 64)
    assert torch.equal(vary(z, steps([2], 64), 0), z)


def test_radius_one_is_the_step_alone() -> None:
    torch.testing.assert_close(vary(noise([1], 64), steps([2], 64), 1), steps([2], 64))


@pytest.mark.parametrize("radius", [0.1, 0.5, 0.9])
def test_varied_noise_is_standard_normal(radius: float) -> None:
    varied = vary(noise(range(200), 500), steps(range(200), 500), radius)
    assert float(varied.std()) == pytest.approx(1, abs=0.01)


def test_the_likeness_falls_as_the_radius_grows() -> None:
    z, step = noise([1], 20_000), steps([1], 20_000)
    likeness = [float(torch.cosine_similarity(z, vary(z, step, radius))) for radius in (0, 1 / 3, 2 / 3, 1)]
    assert likeness == pytest.approx([1, 3**0.5 / 2, 0.5, 0], abs=0.02)
