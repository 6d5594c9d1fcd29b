"""Gaussian mixtures by expectation-maximisation, with mixing weights of their own for each class.

Bishop, Pattern Recognition and Machine Learning, section 9.2: the components are shared by all classes; a class has its
own weights, so the responsibilities of a point use the weights of its class. Everything in log space.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from studio.core.errors import InvalidRequest

COVARIANCES = ("full", "diagonal")


@dataclass(frozen=True)
class Mixture:
    """log_weights: (K,C), a row a class (one row without classes). means: (C,D). scale: lower Cholesky factors (C,D,D)
    of full covariances, or standard deviations (C,D) of diagonal ones."""

    log_weights: Tensor
    means: Tensor
    scale: Tensor

    def log_prob(self, x: Tensor) -> Tensor:
        """log N(x | component): x (N,D) → (N,C)."""
        return log_normal(x, self.means, self.scale)


def log_normal(x: Tensor, means: Tensor, scale: Tensor) -> Tensor:
    """Log density of every point under every component. x: (N,D), means: (C,D), scale: (C,D,D) or (C,D) → (N,C)."""
    dim = x.shape[1]
    if scale.ndim == 2:
        white = (x[:, None] - means) / scale
        square, log_det = white.square().sum(dim=2), scale.log().sum(dim=1)
    else:
        unit = torch.eye(dim, dtype=x.dtype, device=x.device).expand_as(scale)
        whitening = torch.linalg.solve_triangular(scale, unit, upper=False)  # one product for all points is far faster
        white = torch.matmul(x[None] - means[:, None], whitening.mT)
        square, log_det = white.square().sum(dim=2).T, scale.diagonal(dim1=1, dim2=2).log().sum(dim=1)
    return -0.5 * (square + dim * math.log(2 * math.pi)) - log_det


def seed_means(x: Tensor, components: int, generator: torch.Generator) -> Tensor:
    """k-means++ (Arthur & Vassilvitskii 2007): each mean a point drawn by its squared distance to those so far.

    x: (N,D) → (C,D), rows of x.
    """
    first = torch.randint(len(x), (1,), generator=generator)
    means = x[first]
    nearest = (x - means).square().sum(dim=1)
    for _ in range(components - 1):
        chance = nearest if nearest.sum() > 0 else torch.ones_like(nearest)
        pick = x[torch.multinomial(chance, 1, generator=generator)]
        means = torch.cat([means, pick])
        nearest = torch.minimum(nearest, (x - pick).square().sum(dim=1))
    return means


def expectation(x: Tensor, labels: Tensor, mixture: Mixture) -> tuple[Tensor, float]:
    """Responsibilities (N,C) by log-sum-exp, and mean log-likelihood a point (Bishop 9.23). labels: (N,) in [0,K)."""
    joint = mixture.log_weights[labels] + mixture.log_prob(x)
    total = torch.logsumexp(joint, dim=1, keepdim=True)
    return (joint - total).exp(), float(total.mean())


def maximisation(x: Tensor, labels: Tensor, shares: Tensor, classes: int, covariance: str, floor: float) -> Mixture:
    """The mixture that responsibilities `shares` (N,C) call for (Bishop 9.24 to 9.26).

    floor: added to every variance, so that no component shrinks to a point. Class weights are smoothed by one
    imaginary point a class, spread over the components like all points, so that no log weight is infinite.
    """
    count = shares.sum(dim=0).clamp_min(1e-8)
    means = (shares.T @ x) / count[:, None]
    if covariance == "diagonal":
        moments = [share @ (x - mean).square() for mean, share in zip(means, shares.T, strict=True)]
        scale = (torch.stack(moments) / count[:, None] + floor).sqrt()
    else:
        scale = torch.stack([_cholesky(x - mean, share, floor) for mean, share in zip(means, shares.T, strict=True)])
    overall = (count + 1 / len(count)) / (count.sum() + 1)
    by_class = torch.zeros(classes, shares.shape[1], dtype=x.dtype).index_add_(0, labels, shares) + overall
    return Mixture((by_class / by_class.sum(dim=1, keepdim=True)).log(), means, scale)


def _cholesky(centred: Tensor, share: Tensor, floor: float) -> Tensor:
    """Cholesky factor (D,D) of the weighted covariance plus floor·I. centred: (N,D), share: (N,)."""
    weighted = centred * (share / share.sum().clamp_min(1e-8)).sqrt()[:, None]
    factor: Tensor = torch.linalg.cholesky(
        weighted.T @ weighted + floor * torch.eye(centred.shape[1], dtype=centred.dtype)
    )
    return factor


def fit_steps(
    x: Tensor,
    components: int,
    generator: torch.Generator,
    *,
    labels: Tensor | None = None,
    classes: int = 1,
    covariance: str = "full",
    floor: float = 1e-3,
) -> Iterator[tuple[Mixture, float]]:
    """Endless EM from a k-means++ start: yields the mixture and the mean log-likelihood of the one before it.

    x: (N,D), in whose precision all is computed. labels: (N,) class of each point in [0, classes), or None. The
    likelihood never falls but by the floor's and the smoothing's small bias.
    """
    if covariance not in COVARIANCES:
        raise InvalidRequest(f"covariance is {covariance!r}; it must be one of {', '.join(COVARIANCES)}.")
    if len(x) < components:
        raise InvalidRequest(f"A mixture of {components} components needs at least as many points; there are {len(x)}.")
    x = x.detach().cpu()
    labels = torch.zeros(len(x), dtype=torch.long) if labels is None else labels.cpu().long()
    means = seed_means(x, components, generator)
    nearest = torch.cdist(x, means).argmin(dim=1)
    shares = torch.nn.functional.one_hot(nearest, components).to(x.dtype)
    # A start wider than its cluster: the hard assignment alone would give near-singular covariances to small ones.
    shares = 0.9 * shares + 0.1 / components
    mixture = maximisation(x, labels, shares, classes, covariance, floor)
    while True:
        shares, likelihood = expectation(x, labels, mixture)
        mixture = maximisation(x, labels, shares, classes, covariance, floor)
        yield mixture, likelihood


def fit(
    x: Tensor,
    components: int,
    generator: torch.Generator,
    *,
    labels: Tensor | None = None,
    classes: int = 1,
    covariance: str = "full",
    floor: float = 1e-3,
    steps: int = 100,
    tolerance: float = 1e-4,
) -> Mixture:
    """Fit until the mean log-likelihood a point gains less than `tolerance` nats, at most `steps` steps; float32."""
    job = fit_steps(x, components, generator, labels=labels, classes=classes, covariance=covariance, floor=floor)
    mixture, before = next(job)
    for _ in range(steps - 1):
        mixture, likelihood = next(job)
        if likelihood - before < tolerance:
            break
        before = likelihood
    return Mixture(mixture.log_weights.float(), mixture.means.float(), mixture.scale.float())


def draw(mixture: Mixture, chances: Tensor, z: Tensor) -> Tensor:
    """Points of the mixture from standard normal noise. chances: (B,C) rows on the simplex, z: (B,D+1) → (B,D).

    The first coordinate picks the component: the normal CDF makes it uniform in (0,1), the cumulated chances divide
    that interval. The rest is the noise within the component.
    """
    uniform = torch.special.ndtr(z[:, :1].float()).clamp(max=1 - 1e-6)  # in float32 the CDF reaches 1 at 5.5
    edges = chances.float().cumsum(dim=1)
    pick = (uniform * edges[:, -1:] >= edges[:, :-1]).sum(dim=1)
    rows = torch.arange(len(z), device=z.device)
    if mixture.scale.ndim == 2:
        return mixture.means[pick] + mixture.scale[pick] * z[:, 1:]
    return mixture.means[pick] + torch.matmul(z[:, 1:], mixture.scale.mT)[pick, rows]
