"""Reptile (Nichol, Achiam & Schulman 2018): move the start towards where adaptation ends. No second derivatives."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from studio.core.errors import InvalidRequest, UnknownName
from studio.meta.inner import Loss, Rates, adapt, trainable
from studio.meta.maml import MetaGradients

Tensors = Mapping[str, Tensor]


def floating_tensors(
    modules: nn.Module | Mapping[str, nn.Module], choose: Callable[[str], bool] | None = None
) -> dict[str, Tensor]:
    """The floating parameters and buffers of one module or of several at once, live and detached.

    Of several, names begin with the module's: "generator.…", "discriminator.…". choose: whether a name is wanted; None
    for all. Counters and other integers are left out, for there is no half way between them.
    """
    members = {"": modules} if isinstance(modules, nn.Module) else modules
    found: dict[str, Tensor] = {}
    for prefix, module in members.items():
        for name, tensor in (*module.named_parameters(prefix), *module.named_buffers(prefix)):
            if tensor.is_floating_point() and (choose is None or choose(name)):
                found[name] = tensor.detach()
    return found


def snapshot(tensors: Tensors) -> dict[str, Tensor]:
    """Copies of the tensors, which stay when the module goes on."""
    return {name: tensor.detach().clone() for name, tensor in tensors.items()}


def reptile_update_(start: nn.Module | Tensors, adapted: Sequence[Tensors], step: float) -> None:
    """θ ← θ + ε · mean(θᵢ − θ), in place (Nichol et al. 2018, algorithm 1; section 3 for more than one task).

    start: the module or its tensors by name. adapted: the tensors after adaptation to each task, which all hold the
    same names: those are moved, the others stay. step: ε, above 0 and at most 1.
    """
    if not 0 < step <= 1:
        raise InvalidRequest(f"Reptile's step must be above 0 and at most 1; got {step}.")
    tensors = floating_tensors(start) if isinstance(start, nn.Module) else start
    _check(tensors, adapted)
    with torch.no_grad():
        for name in adapted[0]:
            tensors[name].lerp_(_mean(adapted, name).to(tensors[name]), step)


def reptile_direction(start: Tensors, adapted: Sequence[Tensors]) -> dict[str, Tensor]:
    """θ − mean(θᵢ) by name, to be used as a gradient, e.g. by Adam (Nichol et al. 2018, section 3; FIGR)."""
    _check(start, adapted)
    return {name: start[name].detach() - _mean(adapted, name).to(start[name]) for name in adapted[0]}


def interpolation_step(progress: float, first: float = 0.3, last: float = 0.05) -> float:
    """ε at a share of the outer loop from 0 to 1: a straight line from `first` to `last`, and `last` afterwards."""
    share = min(max(progress, 0.0), 1.0)
    return first + (last - first) * share


def reptile_gradients(
    module: nn.Module,
    support_batches: Sequence[Any],
    query_batch: Any,
    loss: Loss,
    rates: Rates,
    steps: int,
    names: Iterable[str] | None = None,
) -> MetaGradients:
    """Reptile in the form of the other meta-learners: θ − θ̃ for one task, after plain gradient descent.

    An outer SGD of rate ε on the mean over tasks is then `reptile_update_`. The query only measures; learned rates are
    used but not taught, and buffers are not moved.
    """
    start = trainable(module)
    adapted = adapt(module, support_batches, loss, rates, steps, names=names, start=start)
    value = loss(adapted.bound_to(module), query_batch)
    return MetaGradients(value.detach(), reptile_direction(start, [adapted.parameters]), None)


def _mean(adapted: Sequence[Tensors], name: str) -> Tensor:
    return torch.stack([state[name].detach() for state in adapted]).mean(0)


def _check(start: Tensors, adapted: Sequence[Tensors]) -> None:
    if not adapted or not adapted[0]:
        raise InvalidRequest("Reptile needs at least 1 adapted state with at least 1 tensor.")
    for number, state in enumerate(adapted):
        if state.keys() != adapted[0].keys():
            odd = sorted(state.keys() ^ adapted[0].keys())[0]
            raise InvalidRequest(f"Adapted states 1 and {number + 1} differ: only one of them holds {odd!r}.")
        for name, tensor in state.items():
            if name not in start:
                raise UnknownName("tensor of the start", name, tuple(start))
            if not (tensor.is_floating_point() and start[name].is_floating_point()):
                raise InvalidRequest(f"{name} is {tensor.dtype}; Reptile moves floating tensors alone: leave it out.")
            if tensor.shape != start[name].shape:
                raise InvalidRequest(
                    f"{name} has the shape {tuple(tensor.shape)}, in the start {tuple(start[name].shape)}."
                )
