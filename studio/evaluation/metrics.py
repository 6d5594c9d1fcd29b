"""Distances between sets of images, on pooled features: KID, FID, precision and recall, diversity, novelty."""

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from studio.core.errors import DataError, MissingPackage

KID_SUBSETS = 100
KID_SUBSET_SIZE = 1000
NEIGHBOURS = 3  # k of the manifolds, as in the paper
# Novelty under this smells of copying. Measured with vgg16 on held-out paintings: the nearest other painting lies over
# 0.79 for 99 % of them, and a copy saved as JPEG (40), at half resolution or 20 % lighter at 0.2 to 0.4.
COPY_RATIO = 0.5


class _Given(nn.Module):
    """Passes on features that are already computed, in the form torchmetrics asks of a network."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.num_features = num_features

    def forward(self, x: Tensor) -> Tensor:
        return x


def _need(real: Tensor, fake: Tensor, least: int, what: str) -> None:
    if min(len(real), len(fake)) < least:
        raise DataError(
            f"{what} needs at least {least} images on each side, and there are {len(real)} real and {len(fake)} drawn."
        )


def kid(real: Tensor, fake: Tensor, *, seed: int = 0, subsets: int = KID_SUBSETS) -> tuple[float, float]:
    """Kernel distance (Bińkowski et al. 2018), by torchmetrics. (N,F), (M,F) → mean and deviation over subsets.

    Unbiased at any number of images, so it can fall a little under zero. A subset holds half of the smaller set, at
    most 1000: with the whole set every subset would be the same and the deviation nothing. Not scaled by 1000.
    Sets drawn with equal class counts are more alike than independent ones, which lowers it a little, by O(1/N).
    """
    _need(real, fake, 4, "KID")
    try:
        from torchmetrics.image.kid import KernelInceptionDistance
    except ModuleNotFoundError:
        raise MissingPackage("KID needs torchmetrics; install atelier-studio[train].") from None
    size = min(KID_SUBSET_SIZE, min(len(real), len(fake)) // 2)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*will save all extracted features")
        metric = KernelInceptionDistance(feature=_Given(real.shape[1]), subsets=subsets, subset_size=size)
    metric.update(real.double(), real=True)
    metric.update(fake.double(), real=False)
    with torch.random.fork_rng(devices=[]):  # torchmetrics draws its subsets from the global generator
        torch.manual_seed(seed)
        mean, deviation = metric.compute()
    return float(mean), float(deviation)


def kernel_distance(real: Tensor, fake: Tensor) -> float:
    """MMD² of the kernel (x·y/F + 1)³, unbiased, over all pairs at once (Bińkowski et al. 2018, section 4; Gretton et
    al. 2012, eq. 3). (N,F), (M,F) with N, M ≥ 2.

    What `kid` estimates from subsets; for few pictures, where a subset would waste most pairs. It can be under zero.
    """
    _need(real, fake, 2, "The kernel distance")
    real, fake = real.double(), fake.double()

    def kernel(a: Tensor, b: Tensor) -> Tensor:
        return (a @ b.T / a.shape[1] + 1) ** 3

    def within(x: Tensor) -> Tensor:
        pairs = kernel(x, x)
        return (pairs.sum() - pairs.diagonal().sum()) / (len(x) * (len(x) - 1))

    return float(within(real) + within(fake) - 2 * kernel(real, fake).mean())


def fid(real: Tensor, fake: Tensor) -> float:
    """Fréchet distance of two Gaussians (Heusel et al. 2017), by torchmetrics. (N,F), (M,F) → ≥ 0.

    Biased upwards with few images: compare only figures of the same counts.
    """
    _need(real, fake, 2, "FID")
    try:
        from torchmetrics.image.fid import FrechetInceptionDistance
    except ModuleNotFoundError:
        raise MissingPackage("FID needs torchmetrics; install atelier-studio[train].") from None
    metric = FrechetInceptionDistance(feature=_Given(real.shape[1]))
    metric.update(real.double(), real=True)
    metric.update(fake.double(), real=False)
    return max(float(metric.compute()), 0.0)


def nearest(queries: Tensor, keys: Tensor, k: int = 1, chunk: int = 1024) -> tuple[Tensor, Tensor]:
    """Euclidean distances to the k nearest keys, in order, and their rows. (N,F), (M,F) → (N,k), (N,k).

    Found by |a|² + |b|² − 2ab, then measured on the differences, so that a copy comes out at exactly zero.
    """
    queries, keys = queries.double(), keys.double()
    lengths = keys.square().sum(dim=1)
    rows = torch.cat(
        [(lengths - 2 * part @ keys.T).topk(k, largest=False).indices for part in torch.split(queries, chunk)]
    )
    columns = [(queries - keys[column]).norm(dim=1) for column in rows.T]
    distances, order = torch.stack(columns, dim=1).sort(dim=1, stable=True)
    return distances, rows.gather(1, order)


def radii(points: Tensor, k: int = NEIGHBOURS) -> Tensor:
    """Distance of each point to its k-th nearest other point. (N,F) → (N,)."""
    return nearest(points, points, k + 1)[0][:, k]  # the nearest of all is the point itself, at zero


def covered(points: Tensor, manifold: Tensor, k: int = NEIGHBOURS) -> float:
    """Share of points inside at least one k-NN ball of the manifold (Kynkäänniemi et al. 2019, eq. 1 and 2)."""
    distances = torch.cdist(points.double(), manifold.double(), compute_mode="donot_use_mm_for_euclid_dist")
    inside = distances <= radii(manifold, k)
    return float(inside.any(dim=1).double().mean())


def precision_recall(real: Tensor, fake: Tensor, *, k: int = NEIGHBOURS, seed: int = 0) -> tuple[float, float]:
    """Precision: share of drawn images among the real. Recall: share of real ones among the drawn. (N,F), (M,F).

    The larger set is thinned at random to the size of the smaller, as the paper compares equal counts.
    """
    _need(real, fake, k + 1, "Precision and recall")
    count = min(len(real), len(fake))
    generator = torch.Generator().manual_seed(seed)
    real, fake = (points[torch.randperm(len(points), generator=generator)[:count]] for points in (real, fake))
    return covered(fake, real, k), covered(real, fake, k)


class Spread:
    """Mean squared distance over all pairs of images, in one pass and exactly.

    Σ_{i<j} |m_i − m_j|² = n Σ|m_i|² − |Σ m_i|², so two sums suffice, and no pair is ever formed.
    """

    def __init__(self) -> None:
        self.count = 0
        self.squares = 0.0
        self.sums: list[Tensor] = []  # one a map, on the maps' device

    def add(self, maps: Sequence[Tensor]) -> None:
        """maps: tensors (B,…) such that the squared distance summed over them is the perceptual distance."""
        rows = [_in_memory_order(m) for m in maps]
        squares = sum(float(torch.dot(r.reshape(-1), r.reshape(-1))) for r in rows)
        self._add(len(maps[0]), squares, [r.sum(dim=0) for r in rows])

    def merge(self, other: "Spread") -> None:
        """Take in the images of another set."""
        if other.count:
            self._add(other.count, other.squares, other.sums)

    def _add(self, count: int, squares: float, sums: list[Tensor]) -> None:
        self.count += count
        self.squares += squares
        self.sums = [a + b for a, b in zip(self.sums, sums, strict=True)] if self.sums else sums

    @property
    def mean(self) -> float:
        """Mean over all pairs; NaN for fewer than two images."""
        if self.count < 2:
            return math.nan
        squared_sum = sum(float(total.double().square().sum()) for total in self.sums)
        return max(2 * (self.squares - squared_sum / self.count) / (self.count - 1), 0.0)


def _in_memory_order(m: Tensor) -> Tensor:
    """(B,…) → (B,N) without a copy: a sum over the pictures of maps with channels last is forty times as fast so."""
    last = m.dim() == 4 and m.is_contiguous(memory_format=torch.channels_last)
    return (m.permute(0, 2, 3, 1) if last else m).float().flatten(1)


@dataclass(frozen=True)
class Novelty:
    """ratios: (N,) distance of each image to its nearest training image, over `scale`. rows: (N,) which one that is.

    scale: the median distance of a training image to its nearest other one. Real unseen images come out about 1.
    """

    ratios: Tensor
    rows: Tensor
    scale: float

    @property
    def median(self) -> float:
        """The median ratio."""
        return float(self.ratios.median())

    @property
    def copies(self) -> float:
        """Share of images that smell of copying."""
        return float((self.ratios < COPY_RATIO).double().mean())

    def of(self, chosen: Tensor) -> "Novelty":
        """The same for a part of the images. chosen: (N,) bool."""
        return Novelty(self.ratios[chosen], self.rows[chosen], self.scale)


def novelty(samples: Tensor, training: Tensor, mirrored: Tensor | None = None) -> Novelty:
    """How far samples are from what was trained on, in likenesses: (N,G), (M,G), and (N,G) of the samples flipped."""
    if len(training) < 2:
        raise DataError(f"Novelty needs at least 2 training images, and there are {len(training)}.")
    scale = float(radii(training, 1).median())
    if scale == 0:
        raise DataError("Most training images are exact doubles of others, so novelty has no unit; remove the doubles.")
    distances, rows = (found[:, 0] for found in nearest(samples, training))
    if mirrored is not None:
        flipped, flipped_rows = (found[:, 0] for found in nearest(mirrored, training))
        rows = torch.where(flipped < distances, flipped_rows, rows)
        distances = torch.minimum(flipped, distances)
    return Novelty(distances / scale, rows, scale)
