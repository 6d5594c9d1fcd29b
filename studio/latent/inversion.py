"""A picture from outside into a generator's latent space: a start, then a short descent on w and a few details.

The start is what the model's own encoder says, where it has one, else the nearest of a few samples. The descent (Abdal
et al. 2019, Image2StyleGAN) is by Adam on pixels and perceptual maps, with a style for each layer (W+), the fixed noise
of the model left alone. W+ reconstructs better than W and edits worse the farther it goes (Tov et al. 2021, section 3;
Karras et al. 2020, section 5 stay in W), so it is drawn towards the mean of w.

W+ of a model as small as ours holds too little of a picture, so low-rank maps are added to two of its own, as
BDInvert (Kang et al. 2021) does with whole ones: here r · (C + S²) numbers for each map, few enough for a recipe.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from studio.core.errors import InvalidRequest
from studio.core.kinds import LatentModel
from studio.core.progress import Progress
from studio.latent.directions import draw_samples
from studio.latent.interior import Detail, rows_of
from studio.latent.truncation import class_mean

Perception = Callable[[Tensor], Sequence[Tensor]]
"""Pictures (B,3,H,W) in [-1,1] → maps (B,C,h,w), e.g. of an encoder."""

CHUNK = 4  # candidates a step
RESERVE = 0.03  # share of the seconds for the picture at the end, and for a step that takes longer than the others
SEARCH = 0.25  # share of the seconds after which no more candidates are drawn
MAP_DEVIATION = 0.5  # of a generator's maps, for the unit of details; those of trained ones lie between 0.4 and 0.7
RAMP_UP, RAMP_DOWN = (
    0.05,
    0.7,
)  # shares of the run in which the learning rate grows, and shrinks (Karras et al. 2020, D.1)
BETAS = (0.9, 0.99)


@dataclass(frozen=True)
class InversionConfig:
    """steps: of Adam, at most. seconds: after which it ends (None: no limit). candidates: samples, of which the best is
    the start.

    learning_rate: of w, in deviations of w. detail_rate: of details, in deviations of a map; 0 for none. ranks: of the
    details. perceptual, pixels: weights of the distances. regulariser: weight of the squared distance to the mean of w.
    """

    steps: int = 100
    seconds: float | None = 5.0
    candidates: int = 8
    learning_rate: float = 0.08
    detail_rate: float = 0.15
    ranks: tuple[int, int] = (16, 8)
    perceptual: float = 1.0
    pixels: float = 1.0
    regulariser: float = 0.01
    seed: int = 0

    def __post_init__(self) -> None:
        if not (1 <= self.steps <= 10_000 and 1 <= self.candidates <= 10_000):
            raise InvalidRequest(
                f"An inversion needs 1 to 10000 steps; got {self.steps} from {self.candidates} samples."
            )
        if self.seconds is not None and not 0 < self.seconds <= 3600:
            raise InvalidRequest(f"An inversion may take more than 0 and up to 3600 seconds; got {self.seconds}.")
        if not all(1 <= rank <= 64 for rank in self.ranks):
            raise InvalidRequest(f"Ranks of details must be from 1 to 64; got {', '.join(map(str, self.ranks))}.")


@dataclass(frozen=True)
class Inversion:
    """w: (1,L,W). details: low-rank maps, none where the model takes none. weights: (K) of the classes, or None.

    picture: (1,3,R,R) in [-1,1], what they make. distance: perceptual, to the target; first: that of the start.
    """

    w: Tensor
    details: tuple[Detail, ...]
    weights: Tensor | None
    picture: Tensor
    distance: float
    first: float
    steps: int

    @cached_property
    def rows(self) -> Tensor:
        """(1,L,W), or (1,L+D,W) with details, for LatentModel.paint."""
        return rows_of(self.w, self.details)


@dataclass(frozen=True)
class Start:
    """w: (1,L,W), weights: (1,K) or None, distance: of what they make."""

    w: Tensor
    weights: Tensor | None
    distance: float


class Target:
    """A picture to be found. picture: (1,3,R,R) in [-1,1]."""

    def __init__(self, picture: Tensor, perception: Perception) -> None:
        self.picture, self._perception = picture, perception
        with torch.no_grad():
            self._maps = [_unit(each) for each in perception(picture)]

    def distance(self, pictures: Tensor) -> Tensor:
        """Squared distance of maps of unit length over channels, averaged over positions, summed over maps; as LPIPS
        (Zhang et al. 2018, eq. 1) without its weights. (B,3,R,R) → (B)."""
        pairs = zip(self._perception(pictures), self._maps, strict=True)
        return torch.stack([(_unit(a) - b).square().sum(dim=1).mean(dim=(1, 2)) for a, b in pairs]).sum(dim=0)


def _unit(x: Tensor) -> Tensor:
    return x * torch.rsqrt(x.square().sum(dim=1, keepdim=True) + 1e-8)


def invert(
    model: LatentModel,
    picture: Tensor,
    perception: Perception,
    config: InversionConfig | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Progress[Inversion]]:
    """Find a picture (1,3,R,R) in [-1,1]. preview: the reconstruction so far, (1,3,R,R).

    model: in eval mode, without gradients; it is left as it is. metrics: distance.
    """
    config = InversionConfig() if config is None else config
    began = clock()
    if picture.shape != (1, 3, model.resolution, model.resolution):
        side = model.resolution
        raise InvalidRequest(f"This model inverts pictures of {side}x{side}; got {tuple(picture.shape)}.")
    target = Target(picture, perception)
    starts: list[Start] = []
    for candidates in _candidates(model, target, config):
        starts += [_best(model, target, *candidates)]
        best = min(starts, key=lambda start: start.distance)
        yield Progress(0, config.steps, {"distance": best.distance}, _paint(model, best.w))
        if config.seconds is not None and clock() - began > SEARCH * config.seconds:
            break
    descent = Descent(model, target, best, config)
    yield from descent.run(began, clock)


def _candidates(model: LatentModel, target: Target, config: InversionConfig) -> Iterator[tuple[Tensor, Tensor | None]]:
    """w (B,L,W) to begin from and weights (B,K), a chunk at a time: every class's encoding, or samples."""
    rows = torch.eye(model.class_count, device=model.w_mean.device) if model.class_count else None
    with torch.no_grad():
        w = model.encoded(target.picture.expand(max(model.class_count, 1), -1, -1, -1), rows)
    if w is None:
        drawn = draw_samples(model, config.candidates, config.seed)
        w, rows = drawn.w, drawn.weights
    for first in range(0, len(w), CHUNK):
        yield w[first : first + CHUNK], None if rows is None else rows[first : first + CHUNK]


@torch.no_grad()
def _best(model: LatentModel, target: Target, w: Tensor, weights: Tensor | None) -> Start:
    distances = target.distance(model.synthesis(w))
    row = int(distances.argmin())
    here = slice(row, row + 1)
    return Start(w[here].clone(), None if weights is None else weights[here], float(distances[row]))


@torch.no_grad()
def _paint(model: LatentModel, w: Tensor) -> Tensor:
    return model.synthesis(w)


class Descent:
    """Adam on w and details, from a start."""

    def __init__(self, model: LatentModel, target: Target, start: Start, config: InversionConfig) -> None:
        self.model, self.target, self.start, self.config = model, target, start, config
        spread = draw_samples(model, 512, config.seed).within
        self.deviation = float(spread.std().clamp_min(1e-6))
        self.centre = class_mean(model.w_mean, start.weights)  # (1,1,W)
        self.w = start.w.clone().requires_grad_()
        self.details = tuple(_empty(*each, config) for each in self._shapes())
        for detail in self.details:
            detail.channels.requires_grad_()
            detail.places.requires_grad_()
        groups = [(self.w, config.learning_rate * self.deviation)]
        for each in self.details:
            rate = config.detail_rate * MAP_DEVIATION / len(each.channels) ** 0.5
            groups += [(each.channels, config.detail_rate), (each.places, rate / 2)]
        self._rates = [rate for _, rate in groups]
        self.adam = torch.optim.Adam([{"params": [tensor], "lr": rate} for tensor, rate in groups], betas=BETAS)

    def _shapes(self) -> Iterator[tuple[int, int, int, torch.device]]:
        """(C, S, rank, device) of each detail."""
        if self.config.detail_rate > 0:
            for (channels, side), rank in zip(self.model.detail_shapes, self.config.ranks, strict=False):
                yield channels, side, min(rank, channels, side * side), self.w.device

    def run(self, began: float, clock: Callable[[], float]) -> Iterator[Progress[Inversion]]:
        """Steps until they are done or the time is; the last item carries the inversion."""
        steps, limit = self.config.steps, (1 - RESERVE) * (self.config.seconds or float("inf"))
        step, pace, share = 0, 0.0, 0.0
        entered = clock()
        while step < steps and clock() - began + pace < limit:
            picture, distance = self.step(share)
            step += 1
            pace = (clock() - entered) / step
            share = max(step / steps, (clock() - entered) / (limit - (entered - began)))
            yield Progress(step, steps, {"distance": distance}, preview=picture)
        result = self.finish(step)
        yield Progress(steps, steps, {"distance": result.distance}, preview=result.picture, result=result)

    def step(self, share: float) -> tuple[Tensor, float]:
        """One step. share: of the run that is done, in [0,1] → the picture before it (1,3,R,R), and its distance."""
        for group, rate in zip(self.adam.param_groups, self._rates, strict=True):
            group["lr"] = rate * schedule(share)
        with torch.enable_grad():
            picture = self.model.synthesis(self.w, [detail.map() for detail in self.details])
            distance = self.target.distance(picture).sum()
            pixels = (picture - self.target.picture).square().mean()
            far = ((self.w - self.centre) / self.deviation).square().mean()
            config = self.config
            loss = config.perceptual * distance + config.pixels * pixels + config.regulariser * far
            self.adam.zero_grad()
            loss.backward()
        self.adam.step()
        return picture.detach(), float(distance.detach())

    @torch.no_grad()
    def finish(self, steps: int) -> Inversion:
        """What has been found."""
        w, details = self.w.detach(), tuple(detail.detached() for detail in self.details)
        picture = self.model.synthesis(w, [detail.map() for detail in details])
        weights = None if self.start.weights is None else class_shares(w.mean(dim=1)[0], self.model.w_mean)
        distance = float(self.target.distance(picture))
        return Inversion(w, details, weights, picture, distance, self.start.distance, steps)


def schedule(share: float) -> float:
    """Factor of the learning rate: linear up, then one, then half a cosine down to zero. share in [0,1] → [0.02,1]."""
    up = min(1.0, (share + 0.01) / RAMP_UP)
    down = min(1.0, max(0.0, (share - (1 - RAMP_DOWN)) / RAMP_DOWN))
    return max(up * (0.5 + 0.5 * float(torch.cos(torch.tensor(torch.pi * down)))), 0.02)


def _empty(channels: int, side: int, rank: int, device: torch.device, config: InversionConfig) -> Detail:
    """A detail that adds nothing yet: random ways through the channels, at no place."""
    generator = torch.Generator().manual_seed(config.seed)
    ways = torch.randn(rank, channels, generator=generator)
    return Detail(ways.to(device), torch.zeros(rank, side, side, device=device))


def class_shares(w: Tensor, means: Tensor, rounds: int = 500) -> Tensor:
    """The mix of classes whose mean is nearest to w: least squares on the simplex, by projected gradients.

    w: (W), means: (K,W) → (K), none negative, sum one.
    """
    centre = means.mean(dim=0)
    points, wanted = (means - centre).double(), (w - centre).double()
    gram, towards = points @ points.T, points @ wanted
    pace = 1 / float(torch.linalg.eigvalsh(gram)[-1].clamp_min(1e-12))
    shares = torch.full_like(towards, 1 / len(means))
    for _ in range(rounds):
        shares = on_simplex(shares - pace * (gram @ shares - towards))
    return shares.float()


def on_simplex(x: Tensor) -> Tensor:
    """The nearest point of the simplex (Duchi et al. 2008, figure 1). (K) → (K)."""
    ordered = x.sort(descending=True).values
    excess = (ordered.cumsum(dim=0) - 1) / torch.arange(1, len(x) + 1, dtype=x.dtype, device=x.device)
    last = int((ordered > excess).sum()) - 1
    return (x - excess[last]).clamp_min(0)
