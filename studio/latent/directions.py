"""Semantic directions in w: principal components, closed-form factors and what a score on pictures grows along.

A direction is a unit vector, (W) for every layer or (L,W), with the standard deviation of w along it, so that an amount
of 1 is one deviation whichever way it was found. Found from samples of w (Härkönen et al. 2020, GANSpace), from the
weights alone (Shen & Zhou 2021, SeFa), or by regression of any score on w.

The noise of a `gan` is w itself, alike in every direction, so its principal components say nothing; use the factors.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from studio.core.errors import InvalidRequest
from studio.core.kinds import LatentModel
from studio.core.progress import Progress
from studio.core.registry import Registry
from studio.latent.mixing import layer_slices

SAMPLES = 4096  # of w, for components and deviations
CHUNK = 4  # pictures a step of a job that paints
SCORED = 256  # pictures that a score looks at by default
RIDGE = 0.1  # of a regression, as a share of the mean variance of w
PRINCIPAL, CLOSED_FORM = "pca", "sefa"


@dataclass(frozen=True)
class Direction:
    """vector: (W) or (L,W), of length 1. sigma: the standard deviation of w along it, its unit."""

    vector: Tensor
    sigma: float


@dataclass(frozen=True)
class Samples:
    """Draws from a model. w: (N,L,W). weights: (N,K) of their classes, or None."""

    w: Tensor
    weights: Tensor | None

    @property
    def within(self) -> Tensor:
        """w without what its class alone decides: each draw less the mean of its class. (N,L,W)."""
        if self.weights is None:
            return self.w - self.w.mean(dim=0)
        share = self.weights / self.weights.sum(dim=0).clamp_min(1)
        return self.w - torch.einsum("nk,klw->nlw", self.weights, torch.einsum("nk,nlw->klw", share, self.w))


@torch.no_grad()
def draw_samples(model: LatentModel, count: int = SAMPLES, seed: int = 0) -> Samples:
    """`count` draws of w, each of one class, the classes in turn."""
    device = model.w_mean.device
    z = torch.randn(count, model.latent_dim, generator=torch.Generator().manual_seed(seed)).to(device)
    weights = None
    if model.class_count:
        weights = torch.eye(model.class_count, device=device)[torch.arange(count) % model.class_count]
    return Samples(model.mapping(z, weights), weights)


def principal_components(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Directions of most variance, the largest first. rows: (N,D) → orthonormal (C,D), deviations (C), C = min(N,D).

    Centred here; the deviation divides by N. The largest entry of each direction is positive, so that it is unique.
    """
    centred = rows - rows.mean(dim=0)
    _, scale, vectors = torch.linalg.svd(centred.double(), full_matrices=False)
    return _positive(vectors).to(rows.dtype), (scale / len(rows) ** 0.5).to(rows.dtype)


def factors(weights: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Directions that move the given linear layers most: eigenvectors of AᵀA (Shen & Zhou 2021, eq. 5), largest first.

    weights: matrices (O,W), stacked to A → (W,W) orthonormal rows, eigenvalues (W).
    """
    if not weights:
        raise InvalidRequest("This model has no linear layers that read its styles; choose principal components.")
    stacked = torch.cat([weight.double() for weight in weights])
    values, vectors = torch.linalg.eigh(stacked.mT @ stacked)
    return _positive(vectors.mT.flip(0)).float(), values.flip(0).clamp_min(0).float()


def _positive(vectors: Tensor) -> Tensor:
    """Signs such that the entry of largest magnitude of each row is positive. (C,D) → (C,D)."""
    largest = vectors.gather(1, vectors.abs().argmax(dim=1, keepdim=True))
    return vectors * torch.where(largest < 0, -1.0, 1.0)


def deviation(w: Tensor, vector: Tensor) -> float:
    """Standard deviation of w along a direction. w: (N,L,W), vector: (W), along which layers are averaged, or (L,W)."""
    along = (w * vector).sum(dim=2).mean(dim=1) if vector.ndim == 1 else (w * vector).sum(dim=(1, 2))
    return float(along.std(correction=0))


Finder = Callable[[LatentModel, Samples, int, Sequence[int]], Direction]
"""(model, samples, index, layers) → the direction of that rank, the layers being those that it is to act on."""
DIRECTIONS: Registry[Finder] = Registry("kind of direction")


@DIRECTIONS.register(PRINCIPAL)
def _principal(model: LatentModel, samples: Samples, index: int, layers: Sequence[int]) -> Direction:
    """Principal component of w within the classes (Härkönen et al. 2020, section 3.1)."""
    del model, layers
    vectors, deviations = principal_components(samples.within.mean(dim=1))
    return Direction(vectors[_ranked(index, len(vectors))], float(deviations[index]))


@DIRECTIONS.register(CLOSED_FORM)
def _closed_form(model: LatentModel, samples: Samples, index: int, layers: Sequence[int]) -> Direction:
    """Factor of the weights through which these layers' styles act."""
    weights = model.style_weights()
    vectors, _ = factors([weights[layer].detach().cpu() for layer in layers] if weights else [])
    vector = vectors[_ranked(index, len(vectors))]
    return Direction(vector, deviation(samples.w.cpu(), vector))


def _ranked(index: int, count: int) -> int:
    if index >= count:
        raise InvalidRequest(f"This model has {count} directions of this kind, numbered from 0; got {index}.")
    return index


def chosen_layers(layers: int, groups: Sequence[str]) -> tuple[int, ...]:
    """Numbers of the layers in the groups (of LAYER_GROUPS); none named means every layer, and one layer is all."""
    if not groups or layers < 2:
        return tuple(range(layers))
    slices = layer_slices(layers)
    return tuple(sorted(layer for group in groups if group in slices for layer in range(layers)[slices[group]]))


def move(w: Tensor, direction: Direction, amount: float, layers: Sequence[int]) -> Tensor:
    """w + amount · σ · d on the given layers. w: (B,L,W) → (B,L,W)."""
    moved = w.clone()
    rows = direction.vector if direction.vector.ndim == 1 else direction.vector[list(layers)]
    moved[:, list(layers)] += amount * direction.sigma * rows.to(w)
    return moved


def along_score(w: Tensor, scores: Tensor, spread: Tensor, ridge: float = RIDGE) -> Direction:
    """The direction in which a score grows, by ridge regression of it on w. w: (N,D), scores: (N) → vector (D).

    The slope β = (Σ + λI)⁻¹ cov(w, s) is turned into the way that w itself takes when the score grows, Σβ: where the
    coordinates of w hang together, β alone leads away from where pictures are. spread: (M,D), draws for Σ and the unit.
    """
    if not bool(torch.isfinite(scores).all()):
        raise InvalidRequest("The score is not a number for some pictures, so no direction follows from it.")
    if float(scores.std(correction=0)) < 1e-9:
        raise InvalidRequest("The score is the same for every picture, so no direction follows from it.")
    w, scores, spread = w.double(), scores.double(), spread.double()
    centred, many = w - w.mean(dim=0), spread - spread.mean(dim=0)
    covariance = many.mT @ many / len(many)
    damping = ridge * covariance.diagonal().mean() * torch.eye(w.shape[1], dtype=w.dtype)
    sampled = centred.mT @ centred / len(w)
    slope = torch.linalg.solve(sampled + damping, centred.mT @ (scores - scores.mean()) / len(w))
    way = covariance @ slope
    vector = way / way.norm()
    return Direction(vector.float(), float((many @ vector).std(correction=0)))


def find_by_score(
    model: LatentModel, score: Callable[[Tensor], Tensor], count: int = SCORED, seed: int = 0
) -> Iterator[Progress[Direction]]:
    """The direction (W) along which a score of pictures grows, within the classes. preview: the pictures last scored.

    score: pictures (B,3,R,R) in [-1,1] → (B); a black box. A class's log odds make "more of that class".
    """
    samples = draw_samples(model, count, seed)
    scores: list[Tensor] = []
    for start in range(0, count, CHUNK):
        with torch.no_grad():
            pictures = model.synthesis(samples.w[start : start + CHUNK])
        scores.append(score(pictures).detach().float().flatten().cpu())
        if start + CHUNK < count:
            yield Progress(start + CHUNK, count, preview=pictures)
    rows = samples.within.mean(dim=1).cpu()
    spread = draw_samples(model, SAMPLES, seed + 1).within.mean(dim=1).cpu()
    yield Progress(count, count, preview=pictures, result=along_score(rows, torch.cat(scores), spread))
