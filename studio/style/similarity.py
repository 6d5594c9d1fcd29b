"""How far the features of a picture are from those of a style: one table, each entry with its formula and source.

A similarity never sees where a feature stands. It sees one of two kinds of evidence of a layer's features (C,N):
their *moments*, or a *sample* of positions. Both can be gathered tile by tile, and pictures of different sizes
compare. Distances are relative: 0 for equal evidence, of the order of 1 for pictures that share nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from studio.core.registry import Registry

SAMPLE = 4096  # positions of a layer that stand for all of them
PAIRS = 1024  # of these, the positions between which all pairs are compared
DIRECTIONS = 64  # projections of the sliced Wasserstein distance
BANDWIDTHS = (0.5, 1.0, 2.0)  # of the kernels, in mean squared distances within the style
TINY = 1e-20

Kind = Literal["moments", "sample"]
Target = tuple[Tensor, ...]


@dataclass(frozen=True)
class Similarity:
    """One way to compare a layer's features with a style's.

    formula, source: for people; F are the picture's features, S the style's. evidence: what it looks at.
    prepare: the style's evidence → what is computed once. distance: the picture's evidence, prepared style → scalar.
    """

    name: str
    formula: str
    source: str
    evidence: Kind
    prepare: Callable[[Tensor], Target]
    distance: Callable[[Tensor, Target], Tensor]


SIMILARITIES: Registry[Similarity] = Registry("similarity")


def compare(name: str, features: Tensor, style: Tensor) -> Tensor:
    """The distance of two layers by one similarity. features: (C,…), style: (C,…) → scalar."""
    similarity = SIMILARITIES[name]
    gather = EVIDENCE[similarity.evidence]
    return similarity.distance(gather(features.flatten(1)), similarity.prepare(gather(style.flatten(1))))


def moments(features: Tensor, total: int | None = None) -> Tensor:
    """First and second moments as one matrix, mean of (1,f)(1,f)ᵀ. features: (C,N) → (C+1,C+1).

    total: positions in all, where these are some of them; the matrices of the parts then add up to that of the whole.
    """
    count = total or features.shape[1]
    second = features @ features.T / count
    mean = features.sum(dim=1, keepdim=True) / count
    share = features.new_full((1, 1), features.shape[1] / count)
    return torch.cat([torch.cat([share, mean.T], dim=1), torch.cat([mean, second], dim=1)])


def sample(features: Tensor, total: int | None = None) -> Tensor:
    """At most SAMPLE positions, one at random from each of as many equal runs, always the same. (C,N) → (C,n).

    total: positions in all, where these are some of them; the samples of the parts then make one of about SAMPLE.
    """
    count = features.shape[1]
    size = min(count, max(1, round(SAMPLE * count / max(total or count, SAMPLE))))
    jitter = torch.rand(size, generator=torch.Generator().manual_seed(size), dtype=torch.float64)
    places = ((torch.arange(size) + jitter) * (count / size)).long().clamp_max(count - 1)
    return features if size == count else features[:, places.to(features.device)]


EVIDENCE: dict[Kind, Callable[..., Tensor]] = {"moments": moments, "sample": sample}


def relative(a: Tensor, b: Tensor) -> Tensor:
    """|a − b|² / (|a|² + |b|²): 0 for equal, 1 for orthogonal, at most 2; 0 where both are zero."""
    return (a - b).square().sum() / (a.square().sum() + b.square().sum() + TINY)


def _keep(evidence: Tensor) -> Target:
    return (evidence,)


def _gram(evidence: Tensor, target: Target) -> Tensor:
    """Gatys et al. 2016, eq. 3 to 5, over positions instead of summed, and relative."""
    return relative(evidence[1:, 1:], target[0][1:, 1:])


def _mean_and_deviation(evidence: Tensor) -> Tensor:
    """(C+1,C+1) → (2,C). The square root is smooth where a channel does not vary."""
    mean, square = evidence[0, 1:], evidence.diagonal()[1:]
    variance = F.relu(square - mean.square())
    return torch.stack([mean, (variance + 1e-5 * square.detach() + TINY).sqrt()])


def _mean_std(evidence: Tensor, target: Target) -> Tensor:
    return relative(_mean_and_deviation(evidence), target[0])


def _gaussian(evidence: Tensor) -> tuple[Tensor, Tensor]:
    """Mean (C) and covariance (C,C), in float64 on the CPU, where roots of matrices are accurate."""
    exact = evidence.to("cpu", torch.float64)
    mean = exact[0, 1:]
    return mean, exact[1:, 1:] - torch.outer(mean, mean)


def _prepare_covariance(evidence: Tensor) -> Target:
    mean, covariance = _gaussian(evidence)
    values, vectors = torch.linalg.eigh(covariance)
    root = (vectors * values.clamp_min(0).sqrt()) @ vectors.T
    return mean, covariance.trace(), root


def _covariance(evidence: Tensor, target: Target) -> Tensor:
    """|μ−μₛ|² + tr(Σ + Σₛ − 2(Σₛ^½ Σ Σₛ^½)^½), relative to the mean squares.

    Only eigenvalues are differentiated, whose gradient stays finite where they coincide; the floor under them bounds
    it where the covariance is singular.
    """
    mean, covariance = _gaussian(evidence)
    style_mean, style_trace, root = target
    inner = root @ covariance @ root
    values = torch.linalg.eigvalsh((inner + inner.T) / 2)
    floor = (1e-6 * style_trace) ** 2 + TINY
    fidelity = (values.clamp_min(0) + floor).sqrt().sum()
    squared = (mean - style_mean).square().sum() + F.relu(covariance.trace() + style_trace - 2 * fidelity)
    scale = mean.square().sum() + covariance.trace() + style_mean.square().sum() + style_trace
    return (squared / (scale + TINY)).to(evidence.device, evidence.dtype)


def _thin(evidence: Tensor) -> Tensor:
    """At most PAIRS evenly spaced positions of a sample. (C,n) → (n',C)."""
    return evidence[:, :: -(-evidence.shape[1] // PAIRS)].T


def _squared_distances(a: Tensor, b: Tensor) -> Tensor:
    """(n,C), (m,C) → (n,m)."""
    squares = a.square().sum(dim=1)[:, None] + b.square().sum(dim=1)[None] - 2 * a @ b.T
    return squares.clamp_min(0)


def _nearest(cost: Tensor) -> Tensor:
    """Every feature to the nearest of the other side, both ways, averaged. (n,m) → scalar."""
    return (cost.amin(dim=1).mean() + cost.amin(dim=0).mean()) / 2


def _prepare_euclidean(evidence: Tensor) -> Target:
    style = _thin(evidence)
    centre = style.mean(dim=0)
    style = style - centre
    spread = 2 * style.square().sum(dim=1).mean() + 1e-3 * centre.square().sum() + TINY
    return style, centre, spread


def _euclidean(evidence: Tensor, target: Target) -> Tensor:
    style, centre, spread = target
    return _nearest(_squared_distances(_thin(evidence) - centre, style)) / spread


def _directions(features: Tensor, floor: Tensor) -> Tensor:
    """Unit vectors, smoothly shorter near zero. (n,C) → (n,C)."""
    return features / (features.square().sum(dim=1, keepdim=True) + floor).sqrt()


def _prepare_cosine(evidence: Tensor) -> Target:
    style = _thin(evidence)
    floor = 1e-2 * style.square().sum(dim=1).mean() + TINY
    style = _directions(style, floor)
    spread = 2 * (style - style.mean(dim=0)).square().sum(dim=1).mean() + 0.1  # a style may have one direction
    return style, floor, spread


def _cosine(evidence: Tensor, target: Target) -> Tensor:
    style, floor, spread = target
    return _nearest(_squared_distances(_directions(_thin(evidence), floor), style)) / spread


def _quantiles(values: Tensor, count: int) -> Tensor:
    """Sorted rows (K,m) → as many evenly spaced quantiles of each (K,count)."""
    if values.shape[1] == count:
        return values
    return F.interpolate(values[None], size=count, mode="linear", align_corners=False)[0]


def _prepare_sliced(evidence: Tensor) -> Target:
    channels = len(evidence)
    directions = torch.randn(DIRECTIONS, channels, generator=torch.Generator().manual_seed(channels))
    directions = F.normalize(directions, dim=1).to(evidence)
    return directions, (directions @ evidence).sort(dim=1).values


def _sliced(evidence: Tensor, target: Target) -> Tensor:
    directions, style = target
    return relative((directions @ evidence).sort(dim=1).values, _quantiles(style, evidence.shape[1]))


def _prepare_histogram(evidence: Tensor) -> Target:
    return (evidence.sort(dim=1).values,)


def _histogram(evidence: Tensor, target: Target) -> Tensor:
    """Risser et al. 2017, section 3.2, in the limit of fine bins: matching histograms pairs equal ranks."""
    return relative(evidence.sort(dim=1).values, _quantiles(target[0], evidence.shape[1]))


def _kernel(squared: Tensor, scale: Tensor) -> Tensor:
    return torch.stack([torch.exp(-squared / (width * scale)).mean() for width in BANDWIDTHS]).mean()


def _prepare_mmd(evidence: Tensor) -> Target:
    style, centre, spread = _prepare_euclidean(evidence)
    return style, centre, spread, _kernel(_squared_distances(style, style), spread)


def _mmd(evidence: Tensor, target: Target) -> Tensor:
    style, centre, spread, within_style = target
    picture = _thin(evidence) - centre
    within = _kernel(_squared_distances(picture, picture), spread)
    between = _kernel(_squared_distances(picture, style), spread)
    return F.relu(within + within_style - 2 * between) / (within + within_style)


def _add(
    name: str,
    formula: str,
    source: str,
    evidence: Kind,
    distance: Callable[[Tensor, Target], Tensor],
    prepare: Callable[[Tensor], Target] = _keep,
) -> None:
    SIMILARITIES.add(name, Similarity(name, formula, source, evidence, prepare, distance))


_add(
    "gram",
    "|G − Gₛ|² / (|G|² + |Gₛ|²), G = mean of f fᵀ over positions",
    "Gatys, Ecker & Bethge 2016, Image style transfer using convolutional neural networks, eq. 3 to 5",
    "moments",
    _gram,
)
_add(
    "cosine",
    "mean over features of 2(1 − cos) to the nearest of the other picture, both ways, / the same among the style's",
    "Kolkin, Salavon & Shakhnarovich 2019, Style transfer by relaxed optimal transport, eq. 4 to 7",
    "sample",
    _cosine,
    _prepare_cosine,
)
_add(
    "euclidean",
    "mean over features of |f − s|² to the nearest of the other picture, both ways, / the same among the style's",
    "Li & Wand 2016, Combining Markov random fields and CNNs, eq. 2, with patches of one position, both ways",
    "sample",
    _euclidean,
    _prepare_euclidean,
)
_add(
    "mean_std",
    "(|μ − μₛ|² + |σ − σₛ|²) / (|μ|² + |σ|² + |μₛ|² + |σₛ|²), per channel",
    "Huang & Belongie 2017, Arbitrary style transfer in real-time, eq. 13; Li et al. 2017, section 4.2",
    "moments",
    _mean_std,
    lambda evidence: (_mean_and_deviation(evidence),),
)
_add(
    "covariance",
    "(|μ − μₛ|² + tr(Σ + Σₛ − 2(Σₛ^½ Σ Σₛ^½)^½)) / (E|f|² + E|s|²)",
    "Wasserstein-2 distance of Gaussians: Dowson & Landau 1982, The Fréchet distance, eq. 4",
    "moments",
    _covariance,
    _prepare_covariance,
)
_add(
    "sliced_wasserstein",
    "|sort(pF) − sort(pS)|² / (|pF|² + |pS|²) over 64 fixed directions p",
    "Heitz et al. 2021, A sliced Wasserstein loss for neural texture synthesis, eq. 3 and 4",
    "sample",
    _sliced,
    _prepare_sliced,
)
_add(
    "mmd",
    "(k(F,F) + k(S,S) − 2k(F,S)) / (k(F,F) + k(S,S)), k = mean of Gaussian kernels over pairs",
    "Li, Wang, Liu & Hou 2017, Demystifying neural style transfer, eq. 4 and table 1",
    "sample",
    _mmd,
    _prepare_mmd,
)
_add(
    "histogram",
    "|sort(F) − sort(S)|² / (|F|² + |S|²), channel by channel",
    "Risser, Wilmot & Barnes 2017, Stable and controllable neural texture synthesis, eq. 4 and 5",
    "sample",
    _histogram,
    _prepare_histogram,
)
