"""Losses of the autoencoder, worked by hand."""

import math

import pytest
import torch

from studio.models.losses_vae import (
    divergence,
    feature_distance,
    free_divergence,
    laplacian_pyramid,
    pyramid_l1,
    sample_posterior,
)


def test_a_checkerboard_is_all_in_the_finest_band() -> None:
    rows = torch.arange(4)
    board = ((rows[:, None] + rows) % 2 * 2.0 - 1).expand(1, 3, 4, 4)
    fine, coarse = laplacian_pyramid(board, 2)
    assert torch.equal(fine, board)
    assert not coarse.any()


def test_a_constant_is_all_in_the_rest() -> None:
    bands = laplacian_pyramid(torch.full((1, 3, 8, 8), 0.5), 3)
    assert [tuple(band.shape[2:]) for band in bands] == [(8, 8), (4, 4), (2, 2)]
    assert [float(band.abs().mean()) for band in bands] == [0, 0, 0.5]


def test_the_bands_add_up_to_the_picture() -> None:
    picture = torch.rand(2, 3, 8, 8)
    fine, rest = laplacian_pyramid(picture, 2)
    torch.testing.assert_close(fine + rest.repeat_interleave(2, 2).repeat_interleave(2, 3), picture)


def test_one_level_is_plain_l1() -> None:
    a, b = torch.zeros(1, 3, 4, 4), torch.zeros(1, 3, 4, 4)
    b[..., :2] = 1.0
    assert float(pyramid_l1(a, b)) == 0.5


def test_feature_distance_is_two_for_orthogonal_and_zero_for_parallel_features() -> None:
    east, north = torch.tensor([1.0, 0]).view(1, 2, 1, 1), torch.tensor([0.0, 3]).view(1, 2, 1, 1)
    assert float(feature_distance([east, east], [north, north])) == pytest.approx(2)
    assert float(feature_distance([east], [5 * east])) == pytest.approx(0)


def test_the_divergence_of_the_standard_normal_from_itself_is_zero() -> None:
    assert divergence(torch.zeros(1, 3), torch.zeros(1, 3)).tolist() == [[0, 0, 0]]


def test_the_divergence_of_a_shifted_or_narrow_normal() -> None:
    # Shifted by 2: 4 / 2. Variance e^−2: (e^−2 − 1 + 2) / 2.
    values = divergence(torch.tensor([[2.0, 0]]), torch.tensor([[0.0, -2]]))
    assert values[0].tolist() == pytest.approx([2, (math.exp(-2) + 1) / 2])


def test_free_bits_hold_each_dimension_at_its_allowance() -> None:
    mean, log_variance = torch.tensor([[2.0, 0.0], [0.0, 0.0]]), torch.zeros(2, 2)
    # Batch means of the two dimensions: 1 and 0 nats.
    assert float(free_divergence(mean, log_variance, 0.0)) == 1
    assert float(free_divergence(mean, log_variance, 0.25)) == 1.25


def test_a_dimension_within_its_free_bits_gets_no_gradient() -> None:
    mean = torch.tensor([[2.0, 0.1]], requires_grad=True)
    free_divergence(mean, torch.zeros(1, 2), 0.25).backward()
    assert mean.grad is not None
    assert mean.grad.tolist() == [[2.0, 0.0]]


def test_the_posterior_sample_is_mean_plus_deviation_times_noise() -> None:
    sample = sample_posterior(torch.tensor([1.0]), torch.tensor([2 * math.log(3)]), torch.tensor([-2.0]))
    assert float(sample) == pytest.approx(-5)
