"""Adversarial objectives by name, each a pair of losses on logits, and the mutations of an evolutionary GAN."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from studio.core.registry import Registry

Loss = Callable[[Tensor, Tensor], Tensor]  # (real logits (B,), fake logits (B,)) → scalar to be minimised


@dataclass(frozen=True)
class Objective:
    """What the two players minimise. source: paper and equation.

    discriminator, generator: (real, fake) logits (B,) → scalar. compares: whether the generator's loss looks at the
    real logits too. output: logits → what the paper writes D(x), a probability where D is one.
    """

    name: str
    discriminator: Loss
    generator: Loss
    output: Callable[[Tensor], Tensor]
    source: str
    compares: bool = False


def as_it_is(logits: Tensor) -> Tensor:
    """Objectives whose discriminator gives scores and no probabilities."""
    return logits


def logistic_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """−E log D(x) − E log(1 − D(G(z))) with D = σ(logit); log σ(a) = −softplus(−a)."""
    return F.softplus(-real).mean() + F.softplus(fake).mean()


def minimax_generator(real: Tensor, fake: Tensor) -> Tensor:  # noqa: ARG001 - one signature for all objectives
    """E log(1 − D(G(z))) = −E softplus(logit): no gradient is left where the discriminator is sure."""
    return -F.softplus(fake).mean()


def non_saturating_generator(real: Tensor, fake: Tensor) -> Tensor:  # noqa: ARG001
    """−E log D(G(z)): the heuristic that keeps the gradient alive."""
    return F.softplus(-fake).mean()


def least_squares_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """½ E(D(x) − 1)² + ½ E D(G(z))²."""
    return 0.5 * (real - 1).square().mean() + 0.5 * fake.square().mean()


def least_squares_generator(real: Tensor, fake: Tensor) -> Tensor:  # noqa: ARG001
    """½ E(D(G(z)) − 1)²."""
    return 0.5 * (fake - 1).square().mean()


def hinge_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """E max(0, 1 − D(x)) + E max(0, 1 + D(G(z)))."""
    return F.relu(1 - real).mean() + F.relu(1 + fake).mean()


def hinge_by_heads(real: Sequence[Tensor], fake: Sequence[Tensor]) -> Tensor:
    """The hinge loss of a discriminator of several heads: the sum of theirs. A tensor of logits for each head."""
    return torch.stack([hinge_discriminator(r, f) for r, f in zip(real, fake, strict=True)]).sum()


def hinge_generator(real: Tensor, fake: Tensor) -> Tensor:  # noqa: ARG001
    """−E D(G(z))."""
    return -fake.mean()


def relativistic_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """−E log σ(D(x) − D(G(z))): real pictures must look more real than generated ones, pair by pair."""
    return F.softplus(fake - real).mean()


def relativistic_generator(real: Tensor, fake: Tensor) -> Tensor:
    """−E log σ(D(G(z)) − D(x))."""
    return F.softplus(real - fake).mean()


OBJECTIVES: Registry[Objective] = Registry("objective")

for _objective in (
    Objective(
        "minimax",
        logistic_discriminator,
        minimax_generator,
        torch.sigmoid,
        "Goodfellow et al. 2014, arXiv 1406.2661, equation 1",
    ),
    Objective(
        "non_saturating",
        logistic_discriminator,
        non_saturating_generator,
        torch.sigmoid,
        "Goodfellow et al. 2014, arXiv 1406.2661, section 3",
    ),
    Objective(
        "least_squares",
        least_squares_discriminator,
        least_squares_generator,
        as_it_is,
        "Mao et al. 2017, arXiv 1611.04076, equation 9",
    ),
    Objective(
        "hinge", hinge_discriminator, hinge_generator, as_it_is, "Lim & Ye 2017, arXiv 1705.02894; Miyato et al. 2018"
    ),
    Objective(
        "relativistic",
        relativistic_discriminator,
        relativistic_generator,
        torch.sigmoid,
        "Jolicoeur-Martineau 2018, arXiv 1807.00734, RSGAN",
        compares=True,
    ),
):
    OBJECTIVES.add(_objective.name, _objective)


def mutation(name: str, judge: Objective, real: Tensor, fake: Tensor) -> Tensor:
    """What a child of an evolutionary GAN descends on for one step: the generator's loss of the objective `name`.

    Least squares is taken of the discriminator's output, as Wang et al. 2018 (arXiv 1803.00657, section III-B) do:
    of a probability where the objective that trains the discriminator makes it one. Their losses differ by constant
    factors from these, which Adam takes out again.
    """
    view = judge.output(fake) if name == "least_squares" else fake
    return OBJECTIVES[name].generator(real, view)


def quality(judge: Objective, fake: Tensor) -> Tensor:
    """F_q = E D(G(z)), Wang et al. 2018, section III-C. (B,) → scalar."""
    return judge.output(fake).mean()


def diversity(gradients: list[Tensor]) -> Tensor:
    """F_d = −log ‖∇_D L_D‖ over all the discriminator's parameters, Wang et al. 2018, section III-C. → scalar.

    Small gradients mean a discriminator that cannot quickly tell the child's pictures apart: they do not sit together
    in few places.
    """
    norms = torch._foreach_norm([gradient.float() for gradient in gradients])
    return -torch.log(torch.stack(norms).norm().clamp_min(1e-12))
