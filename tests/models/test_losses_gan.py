"""Adversarial objectives at logits whose losses are worked by hand."""

import math

import pytest
import torch

from studio.core.errors import UnknownName
from studio.models.losses_gan import OBJECTIVES, diversity, mutation, quality

LOG_2 = math.log(2)
# name → discriminator's and generator's loss at the logits (real, fake) = (0, 0) and at (2, −1).
BY_HAND = {
    "minimax": ((2 * LOG_2, -LOG_2), (0.440190, -0.313262)),
    "non_saturating": ((2 * LOG_2, LOG_2), (0.440190, 1.313262)),
    "least_squares": ((0.5, 0.5), (1.0, 2.0)),
    "hinge": ((2.0, 0.0), (0.0, 1.0)),
    "relativistic": ((LOG_2, LOG_2), (0.048587, 3.048587)),
}


def test_the_table_is_the_promised_one() -> None:
    assert set(OBJECTIVES.names()) == set(BY_HAND)


@pytest.mark.parametrize("name", OBJECTIVES.names())
@pytest.mark.parametrize(("case", "logits"), [(0, (0.0, 0.0)), (1, (2.0, -1.0))])
def test_losses_at_two_pairs_of_logits(name: str, case: int, logits: tuple[float, float]) -> None:
    real, fake = (torch.full((3,), logit) for logit in logits)
    objective = OBJECTIVES[name]
    losses = float(objective.discriminator(real, fake)), float(objective.generator(real, fake))
    assert losses == pytest.approx(BY_HAND[name][case], abs=1e-5)


@pytest.mark.parametrize("name", OBJECTIVES.names())
def test_the_generator_pulls_its_logits_up_and_the_discriminator_down(name: str) -> None:
    for loss, sign in ((OBJECTIVES[name].generator, -1), (OBJECTIVES[name].discriminator, 1)):
        fake = torch.tensor([0.5], requires_grad=True)
        loss(torch.tensor([0.2]), fake).backward()
        assert fake.grad is not None
        assert float(fake.grad) * sign > 0


@pytest.mark.parametrize("name", OBJECTIVES.names())
def test_only_what_says_so_looks_at_the_real_logits(name: str) -> None:
    fake, objective = torch.tensor([0.3]), OBJECTIVES[name]
    differs = not torch.equal(
        objective.generator(torch.tensor([0.0]), fake), objective.generator(torch.tensor([1.0]), fake)
    )
    assert differs == objective.compares


def test_the_heuristic_keeps_the_gradient_where_minimax_loses_it() -> None:
    slopes = {}
    for name in ("minimax", "non_saturating"):
        fake = torch.tensor([-8.0], requires_grad=True)
        OBJECTIVES[name].generator(fake.detach(), fake).backward()
        assert fake.grad is not None
        slopes[name] = abs(float(fake.grad))
    assert slopes["minimax"] < 4e-4 < 0.99 < slopes["non_saturating"]


def test_least_squares_mutates_on_a_probability_under_a_logistic_judge() -> None:
    real, fake = torch.zeros(1), torch.zeros(1)
    assert float(mutation("least_squares", OBJECTIVES["minimax"], real, fake)) == pytest.approx(0.125)  # ½(½ − 1)²
    assert float(mutation("least_squares", OBJECTIVES["least_squares"], real, fake)) == pytest.approx(0.5)


def test_quality_is_the_mean_output_and_diversity_minus_the_log_of_the_gradient() -> None:
    assert float(quality(OBJECTIVES["minimax"], torch.zeros(4))) == pytest.approx(0.5)
    assert float(quality(OBJECTIVES["hinge"], torch.tensor([1.0, 2.0]))) == pytest.approx(1.5)
    gradients = [torch.tensor([3.0, 0.0]), torch.tensor([[4.0]])]
    assert float(diversity(gradients)) == pytest.approx(-math.log(5))


def test_an_unknown_objective_lists_the_known_ones() -> None:
    with pytest.raises(UnknownName, match=r"wasserstein.*minimax, non_saturating, least_squares"):
        OBJECTIVES["wasserstein"]
