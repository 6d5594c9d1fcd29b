"""Gaussian mixtures: densities, k-means++ and EM worked by hand, and drawing from them."""

import itertools
import math

import pytest
import torch

from studio.core.errors import InvalidRequest
from studio.models.mixture import Mixture, draw, expectation, fit, fit_steps, log_normal, maximisation, seed_means


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_the_standard_normal_at_its_mean_is_one_over_two_pi_in_the_plane() -> None:
    zero, means = torch.zeros(1, 2), torch.zeros(1, 2)
    expected = -math.log(2 * math.pi)
    assert float(log_normal(zero, means, torch.ones(1, 2))) == pytest.approx(expected)
    assert float(log_normal(zero, means, torch.eye(2)[None])) == pytest.approx(expected)


def test_the_density_agrees_with_torch_for_full_covariances() -> None:
    factor = torch.tensor([[[2.0, 0], [0.5, 1.5]], [[1.0, 0], [-0.3, 0.2]]])
    means, x = torch.tensor([[1.0, 2], [0, -1]]), torch.randn(5, 2, generator=generator())
    expected = torch.distributions.MultivariateNormal(means, scale_tril=factor).log_prob(x[:, None])
    torch.testing.assert_close(log_normal(x, means, factor), expected)


def test_k_means_starts_at_points_apart() -> None:
    x = torch.tensor([[0.0], [0.0], [0.0], [10.0], [10.0], [-10.0]])
    for seed in range(5):
        assert sorted(seed_means(x, 3, generator(seed)).flatten().tolist()) == [-10, 0, 10]


def test_k_means_starts_even_where_all_points_are_one() -> None:
    assert seed_means(torch.ones(4, 2), 3, generator()).tolist() == [[1, 1]] * 3


def test_responsibilities_follow_bayes() -> None:
    # At 0 the components N(−1, 1) and N(1, 1) are as likely: the class's weights decide. At 1, e^0 against e^−2.
    mixture = Mixture(torch.tensor([[0.5, 0.5], [0.2, 0.8]]).log(), torch.tensor([[-1.0], [1]]), torch.ones(2, 1))
    shares, _ = expectation(torch.tensor([[0.0], [0.0], [1.0]]), torch.tensor([0, 1, 0]), mixture)
    assert shares[0].tolist() == pytest.approx([0.5, 0.5])
    assert shares[1].tolist() == pytest.approx([0.2, 0.8])
    assert float(shares[2, 0] / shares[2, 1]) == pytest.approx(math.exp(-2))


def test_far_points_do_not_underflow() -> None:
    mixture = Mixture(torch.zeros(1, 2), torch.tensor([[0.0], [1]]), torch.full((2, 1), 1e-3))
    shares, likelihood = expectation(torch.tensor([[1e4]]), torch.tensor([0]), mixture)
    assert shares.tolist() == [[0, 1]]
    assert math.isfinite(likelihood)


@pytest.mark.parametrize("covariance", ["full", "diagonal"])
def test_one_component_is_the_mean_and_the_covariance_of_the_points(covariance: str) -> None:
    x = torch.tensor([[0.0, 0], [2, 2], [4, 1]], dtype=torch.float64)
    labels, shares = torch.zeros(3, dtype=torch.long), torch.ones(3, 1, dtype=torch.float64)
    mixture = maximisation(x, labels, shares, 1, covariance, floor=0.0)
    assert mixture.means.tolist() == [[2, 1]]
    assert mixture.log_weights.tolist() == [[0]]
    if covariance == "full":
        # Covariance: [[8, 2], [2, 2]] / 3.
        expected = torch.tensor([[8.0, 2], [2, 2]], dtype=torch.float64) / 3
        torch.testing.assert_close(mixture.scale[0] @ mixture.scale[0].T, expected)
    else:
        assert mixture.scale.square().flatten().tolist() == pytest.approx([8 / 3, 2 / 3])


@pytest.mark.parametrize("covariance", ["full", "diagonal"])
def test_the_variance_never_falls_under_the_floor(covariance: str) -> None:
    mixture = fit(torch.ones(20, 3), 2, generator(), covariance=covariance, floor=0.25)
    spread = mixture.scale if covariance == "diagonal" else mixture.scale.diagonal(dim1=1, dim2=2)
    assert spread.flatten().tolist() == pytest.approx([0.5] * 6)
    assert torch.isfinite(mixture.log_weights).all()


@pytest.mark.parametrize("covariance", ["full", "diagonal"])
def test_the_likelihood_does_not_fall(covariance: str) -> None:
    x = torch.randn(300, 3, generator=generator(1), dtype=torch.float64)
    x[:150] += 3
    job = fit_steps(x, 4, generator(), covariance=covariance, floor=1e-6)
    likelihoods = [likelihood for _, (_, likelihood) in zip(range(20), job, strict=False)]
    assert all(after > before - 1e-6 for before, after in itertools.pairwise(likelihoods))
    assert likelihoods[-1] > likelihoods[0]


def test_three_clusters_are_found_with_their_shapes_and_class_weights() -> None:
    rng = generator(3)
    centres = torch.tensor([[-8.0, 0], [8, 0], [0, 9]])
    member = torch.arange(900) % 3
    x = centres[member] + torch.randn(900, 2, generator=rng) * torch.tensor([2.0, 0.5])
    labels = (member == 2).long()  # class 0 has the first two clusters, class 1 the third
    mixture = fit(x, 3, generator(4), labels=labels, classes=2)
    order = torch.cdist(centres, mixture.means).argmin(dim=1)
    assert sorted(order.tolist()) == [0, 1, 2]
    torch.testing.assert_close(mixture.means[order], centres, atol=0.3, rtol=0)
    spread = mixture.scale[order].diagonal(dim1=1, dim2=2)
    torch.testing.assert_close(spread, torch.tensor([[2.0, 0.5]] * 3), atol=0.2, rtol=0)
    weights = mixture.log_weights.exp()[:, order]
    torch.testing.assert_close(weights, torch.tensor([[0.5, 0.5, 0], [0, 0, 1]]), atol=0.01, rtol=0)
    assert torch.isfinite(mixture.log_weights.half()).all()


def test_the_normal_cdf_of_the_first_coordinate_picks_the_component() -> None:
    mixture = Mixture(torch.zeros(1, 3), torch.tensor([[0.0], [10], [20]]), torch.full((3, 1), 0.5))
    # Chances 1/4, 1/4, 1/2: the quantiles of the edges are −0.674 and 0. Within a component: mean + 0.5 · noise.
    z = torch.tensor([[-9.0, 0], [-0.68, 2], [-0.67, 0], [-0.01, 0], [0.01, -2], [9.0, 0]])
    points = draw(mixture, torch.tensor([0.25, 0.25, 0.5]).expand(6, -1), z)
    assert points.flatten().tolist() == pytest.approx([0, 1, 10, 10, 19, 20])


def test_a_component_without_a_chance_is_never_drawn() -> None:
    mixture = Mixture(torch.zeros(1, 3), torch.tensor([[0.0], [10], [20]]), torch.ones(3, 1))
    z = torch.zeros(200, 2)
    z[:, 0] = torch.linspace(-40, 40, 200)
    points = draw(mixture, torch.tensor([[0.0, 1, 0]]).expand(200, -1), z)
    assert points.unique().tolist() == [10]


@pytest.mark.parametrize("covariance", ["full", "diagonal"])
def test_drawn_points_have_the_moments_of_the_mixture(covariance: str) -> None:
    full = torch.tensor([[[1.0, 0], [0.8, 0.6]], [[0.5, 0], [0, 2]]])
    scale = full if covariance == "full" else full.diagonal(dim1=1, dim2=2)
    mixture = Mixture(torch.zeros(1, 2), torch.tensor([[5.0, 0], [-5, 0]]), scale)
    z = torch.randn(20_000, 3, generator=generator(5))
    points = draw(mixture, torch.tensor([[0.75, 0.25]]).expand(len(z), -1), z)
    right = points[:, 0] > 0
    assert float(right.float().mean()) == pytest.approx(0.75, abs=0.01)
    expected = full[0] @ full[0].T if covariance == "full" else torch.diag(scale[0].square())
    torch.testing.assert_close(points[right].T.cov(), expected, atol=0.05, rtol=0)


@pytest.mark.parametrize(("points", "covariance"), [(2, "full"), (9, "round")])
def test_what_cannot_be_fitted_is_one_sentence(points: int, covariance: str) -> None:
    with pytest.raises(InvalidRequest, match=r"there are 2\.|covariance is 'round'"):
        fit(torch.randn(points, 2, generator=generator()), 3, generator(), covariance=covariance)
