"""What a refinement goes down: style, content and total variation of a picture, with the gradient, tile by tile.

In one tile, this is a forward and a backward pass. In several, the first pass gathers the evidence of all tiles, the
loss is taken on their sum, and the second pass carries its gradient back through each tile: the loss and the gradient
are those of the whole picture, in the memory of one tile.
"""

import math
from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from studio.core.errors import InvalidRequest
from studio.style.moments import Moments
from studio.style.refine_config import RefineConfig
from studio.style.similarity import EVIDENCE, SIMILARITIES, Kind, Target
from studio.style.sizes import MIN_SIDE as MIN_SIDE
from studio.style.sizes import resize, style_size
from studio.style.tiles import Tile, tiles, whole
from studio.style.variation import total_variation

DIM = 0.01  # of a layer's mean square: features below it have no clear direction
HINGE = 1.0  # how hard content beyond its ceiling is pushed back; a stiffer one slows the descent
LEAST_CEILING = 1e-3  # content distance that is no difference to the eye

Key = tuple[int, Kind]  # layer, evidence
Evidence = dict[Key, Tensor]


@dataclass(frozen=True)
class Term:
    """One style under one similarity at one layer. weight: all terms' weights sum to 1."""

    key: Key
    similarity: str
    target: Target
    weight: float


@dataclass(frozen=True)
class Objective:
    """The loss of pictures of one size.

    content: by tile and content layer, unit features (C,N). floors: by content layer, squares of features that count
    as dim. ceiling: content distance from which on it is pushed back.
    """

    encoder: nn.Module
    config: RefineConfig
    plan: tuple[Tile, ...]
    positions: tuple[int, ...]  # by layer
    content: tuple[tuple[Tensor, ...], ...]
    floors: tuple[float, ...]
    terms: tuple[Term, ...]
    ceiling: float | None = None


@dataclass(frozen=True)
class Losses:
    """Weighted sum and its parts, each of the order of 1 or below."""

    total: float
    style: float
    content: float
    variation: float

    def metrics(self) -> dict[str, float]:
        """For curves."""
        return {"total": self.total, "style": self.style, "content": self.content, "variation": self.variation}

    @property
    def finite(self) -> bool:
        return math.isfinite(self.total)


@dataclass(frozen=True)
class Evaluation:
    """Losses at a picture, and the gradient of the weighted sum (3,H,W)."""

    losses: Losses
    gradient: Tensor


def objective(
    encoder: nn.Module, content: Tensor, styles: Sequence[Tensor | Moments], config: RefineConfig
) -> Generator[None, None, Objective]:
    """The objective for pictures of the size of content (3,H,W), one tile at a time; returns it."""
    height, width = content.shape[-2:]
    plan = _plan(height, width, config)
    deepest = max(*config.layers, *config.content_layers)
    positions = tuple((height >> layer) * (width >> layer) for layer in range(deepest + 1))
    features = []
    for tile in plan:
        features.append(_content_features(encoder, tile, content, config.content_layers))
        yield
    floors = tuple(_floor([parts[index] for parts in features]) for index in range(len(config.content_layers)))
    content_units = tuple(tuple(map(_unit, parts, floors)) for parts in features)
    terms = yield from _terms(encoder, styles, max(height, width), config)
    return Objective(encoder, config, plan, positions, content_units, floors, terms)


def begin(objective: Objective, start: Tensor) -> Generator[None, None, tuple[Objective, Losses]]:
    """The objective that pushes content back beyond the start's own distance, and the start's losses under it."""
    parts, distance = yield from _gather_all(objective, start)
    factor = objective.config.content_ceiling
    if factor is not None:
        objective = replace(objective, ceiling=max(float(distance) * factor, LEAST_CEILING))
    style = _style_only(objective, parts)
    return objective, _losses(objective, float(style), float(distance), total_variation(start)[0])


def evaluate(objective: Objective, picture: Tensor) -> Generator[None, None, Evaluation]:
    """Losses and gradient at a picture (3,H,W), a generator that pauses between tiles; returns the evaluation."""
    if len(objective.plan) == 1:
        style, content, gradient = _evaluate_whole(objective, picture)
        yield
    else:
        evidence, distance = yield from _gather_all(objective, picture)
        style, content, slopes = _slopes(objective, evidence, distance)
        gradient = torch.zeros_like(picture)
        taken: dict[Key, int] = {}
        for index, tile in enumerate(objective.plan):
            tile.window(gradient).add_(_carry_back(objective, picture, index, slopes, taken))
            yield
    variation, roughness = total_variation(picture)
    if objective.config.total_variation:
        gradient.add_(roughness, alpha=objective.config.total_variation)
    return Evaluation(_losses(objective, style, content, variation), gradient.contiguous())


def _plan(height: int, width: int, config: RefineConfig) -> tuple[Tile, ...]:
    if max(height, width) <= config.tile_above:
        return whole(height, width)
    return tiles(height, width, config.tile, config.halo)


@torch.no_grad()
def _content_features(encoder: nn.Module, tile: Tile, picture: Tensor, layers: tuple[int, ...]) -> tuple[Tensor, ...]:
    maps = encoder(tile.window(picture)[None].contiguous())
    return tuple(tile.core(maps[layer][0], 1 << layer) for layer in layers)


def _floor(parts: Sequence[Tensor]) -> float:
    """DIM of the mean square of a layer's features, given tile by tile."""
    squares = math.fsum(float(part.square().sum()) for part in parts)
    return DIM * squares / sum(part.shape[1] for part in parts) + 1e-12


def _unit(features: Tensor, floor: float) -> Tensor:
    """Channel vectors of length 1, smoothly shorter where dim. (C,N) → (C,N)."""
    return features / (features.square().sum(dim=0, keepdim=True) + floor).sqrt()


def _terms(
    encoder: nn.Module, styles: Sequence[Tensor | Moments], long_side: int, config: RefineConfig
) -> Generator[None, None, tuple[Term, ...]]:
    terms: list[Term] = []
    for style, share in zip(styles, config.shares(len(styles)), strict=True):
        if share == 0:
            continue
        if isinstance(style, Moments):
            evidence = _kept_evidence(style, config)
        else:
            evidence = yield from _gathered(encoder, style, long_side, config)
        for name, weight in config.mixture():
            for layer in config.layers:
                key = (layer, SIMILARITIES[name].evidence)
                target = SIMILARITIES[name].prepare(_whole(key, evidence[key]))
                terms.append(Term(key, name, target, share * weight / len(config.layers)))
    return tuple(terms)


def _gathered(
    encoder: nn.Module, style: Tensor, long_side: int, config: RefineConfig
) -> Generator[None, None, Evidence]:
    """A style picture's evidence, one tile at a time; returns it."""
    sized = resize(style, style_size(style, long_side, config.style_scale)).clamp(-1, 1)
    height, width = sized.shape[-2:]
    positions = [(height >> layer) * (width >> layer) for layer in range(max(config.layers) + 1)]
    parts = []
    for tile in _plan(height, width, config):
        parts.append(_style_evidence(encoder, tile, sized, positions, config))
        yield
    return _pool(parts)


def _kept_evidence(style: Moments, config: RefineConfig) -> Evidence:
    """The evidence of a style that is known by its moments. Raises InvalidRequest for what needs a picture."""
    for name, _ in config.mixture():
        if SIMILARITIES[name].evidence != "moments":
            raise InvalidRequest(f"Similarity {name!r} needs the style's picture, and this style is known by moments.")
    return {(layer, "moments"): style.layers[layer] for layer in config.layers}


@torch.no_grad()
def _style_evidence(
    encoder: nn.Module, tile: Tile, style: Tensor, positions: Sequence[int], config: RefineConfig
) -> Evidence:
    maps = encoder(tile.window(style)[None].contiguous())
    kinds = {SIMILARITIES[name].evidence for name, _ in config.mixture()}
    return _evidence(maps, tile, positions, {(layer, kind) for layer in config.layers for kind in kinds})


def _evidence(maps: Sequence[Tensor], tile: Tile, positions: Sequence[int], keys: Iterable[Key]) -> Evidence:
    cores = {layer: tile.core(maps[layer][0], 1 << layer) for layer, _ in keys}
    return {(layer, kind): EVIDENCE[kind](cores[layer], positions[layer]) for layer, kind in sorted(set(keys))}


def _pool(parts: Sequence[Evidence]) -> Evidence:
    """The evidence of all tiles: moments add up, samples stand side by side."""
    pooled: Evidence = {}
    for key in parts[0]:
        values = [part[key] for part in parts]
        pooled[key] = torch.stack(values).sum(dim=0) if key[1] == "moments" else torch.cat(values, dim=1)
    return pooled


def _whole(key: Key, pooled: Tensor) -> Tensor:
    """Pooled moments over their own count, which rounding at a picture's edges may keep from 1."""
    return pooled / pooled[0, 0] if key[1] == "moments" else pooled


def _look(objective: Objective, window: Tensor, index: int) -> tuple[Evidence, Tensor]:
    """A tile's evidence, and its share of the content distance, from its pixels (3,h,w)."""
    tile, layers = objective.plan[index], objective.config.content_layers
    maps = objective.encoder(window[None])
    evidence = _evidence(maps, tile, objective.positions, {term.key for term in objective.terms})
    distances = [
        (_unit(tile.core(maps[layer][0], 1 << layer), floor) - kept).square().sum() / (2 * objective.positions[layer])
        for layer, kept, floor in zip(layers, objective.content[index], objective.floors, strict=True)
    ]
    return evidence, torch.stack(distances).mean()


@torch.no_grad()
def _look_only(objective: Objective, picture: Tensor, index: int) -> tuple[Evidence, Tensor]:
    return _look(objective, objective.plan[index].window(picture).contiguous(), index)


def _gather_all(objective: Objective, picture: Tensor) -> Generator[None, None, tuple[list[Evidence], Tensor]]:
    """Every tile's evidence, and the content distance of the whole, without gradients."""
    parts = []
    for index in range(len(objective.plan)):
        parts.append(_look_only(objective, picture, index))
        yield
    return [evidence for evidence, _ in parts], torch.stack([distance for _, distance in parts]).sum()


@torch.no_grad()
def _style_only(objective: Objective, parts: Sequence[Evidence]) -> Tensor:
    return _style_loss(objective, _pool(parts))


def _style_loss(objective: Objective, evidence: Evidence) -> Tensor:
    distances = [
        term.weight * SIMILARITIES[term.similarity].distance(_whole(term.key, evidence[term.key]), term.target)
        for term in objective.terms
    ]
    return torch.stack(distances).sum()


def _weighted(objective: Objective, style: Tensor, content: Tensor) -> Tensor:
    config = objective.config
    loss = config.style_weight * style + config.content_weight * content
    if objective.ceiling is not None:
        excess = F.relu(content / objective.ceiling - 1)
        loss = loss + HINGE * max(config.style_weight, config.content_weight) * excess.square()
    return loss


def _losses(objective: Objective, style: float, content: float, variation: float) -> Losses:
    exact = (torch.tensor(value, dtype=torch.float64) for value in (style, content))
    weighted = float(_weighted(objective, *exact))
    return Losses(weighted + objective.config.total_variation * variation, style, content, variation)


@torch.enable_grad()
def _evaluate_whole(objective: Objective, picture: Tensor) -> tuple[float, float, Tensor]:
    x = picture.detach().requires_grad_()
    evidence, content = _look(objective, x, 0)
    style = _style_loss(objective, evidence)
    (gradient,) = torch.autograd.grad(_weighted(objective, style, content), x)
    return float(style.detach()), float(content.detach()), gradient


@torch.enable_grad()
def _slopes(
    objective: Objective, parts: Sequence[Evidence], distance: Tensor
) -> tuple[float, float, tuple[Mapping[Key, Tensor], Tensor]]:
    """Style and content of the whole, and the loss's gradient with respect to the tiles' evidence."""
    leaves = {key: value.requires_grad_() for key, value in _pool(parts).items()}
    content = distance.detach().requires_grad_()
    style = _style_loss(objective, leaves)
    loss = _weighted(objective, style, content)
    *gradients, slope = torch.autograd.grad(
        loss, [*leaves.values(), content], allow_unused=True, materialize_grads=True
    )
    return float(style.detach()), float(distance), (dict(zip(leaves, gradients, strict=True)), slope)


@torch.enable_grad()
def _carry_back(
    objective: Objective,
    picture: Tensor,
    index: int,
    slopes: tuple[Mapping[Key, Tensor], Tensor],
    taken: dict[Key, int],
) -> Tensor:
    """The gradient for a tile's window (3,h,w). taken: positions of each sample that earlier tiles stand for."""
    x = objective.plan[index].window(picture).detach().contiguous().requires_grad_()
    evidence, content = _look(objective, x, index)
    outputs, gradients = [content], [slopes[1]]
    for key, value in evidence.items():
        slope = slopes[0][key]
        if key[1] == "sample":
            first = taken.get(key, 0)
            taken[key] = first + value.shape[1]
            slope = slope[:, first : taken[key]]
        outputs.append(value)
        gradients.append(slope)
    (gradient,) = torch.autograd.grad(outputs, x, gradients)
    return gradient
