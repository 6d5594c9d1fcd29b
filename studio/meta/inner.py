"""The inner loop: a few steps down one task's loss, for any module and any loss, the module itself left as it is.

A loss is called as `loss(call, batch)`, where `call` stands for the module's forward with the parameters of the moment
(`torch.func.functional_call`). Where more than forward is wanted, or two modules learn together, the caller wraps
them in one module whose forward is what the loss needs.
"""

import copy
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call

from studio.core.errors import InvalidRequest, UnknownName

Call = Callable[..., Any]
Loss = Callable[[Call, Any], Tensor]
MakeOptimiser = Callable[[list[nn.Parameter]], torch.optim.Optimizer]
Order = Literal[0, 1, 2]


class LayerRates(nn.Module):
    """A learned inner rate for each parameter tensor, kept above zero by its logarithm.

    Meta-SGD (Li et al. 2017, eq. 2) learns a rate of any sign for each single weight; one for each tensor is what a few
    hundred tasks can teach (Antoniou et al. 2019, How to train your MAML, section 4). log_rates: (L,), natural
    logarithms, in the order of `names`.
    """

    def __init__(self, names: Iterable[str], rate: float) -> None:
        super().__init__()
        self.names = tuple(names)
        self.log_rates = nn.Parameter(torch.full((len(self.names),), math.log(checked_rate(rate))))

    def forward(self) -> dict[str, Tensor]:
        """Scalar rates by name."""
        return dict(zip(self.names, self.log_rates.exp().unbind(), strict=True))


Rates = float | LayerRates


class Adapted(NamedTuple):
    """What the inner loop ends with.

    parameters: all trainable ones by name; those that were not adapted share memory with the start. buffers: by name,
    as the forward left them. losses: of the support, before each step.
    """

    parameters: dict[str, Tensor]
    buffers: dict[str, Tensor]
    losses: tuple[Tensor, ...]

    def bound_to(self, module: nn.Module) -> Call:
        """The module's forward with these tensors."""
        return _bound(module, self.parameters, self.buffers)


def checked_rate(rate: float) -> float:
    """The rate, if it can be one. Raises InvalidRequest."""
    if not 0 < rate < math.inf:
        raise InvalidRequest(f"An inner rate must be above 0 and finite; got {rate}.")
    return rate


def trainable(module: nn.Module) -> dict[str, Tensor]:
    """The parameters that require gradients, by name, as leaves of their own that share the module's memory."""
    return {name: p.detach().requires_grad_() for name, p in module.named_parameters() if p.requires_grad}


def chosen_names(module: nn.Module, names: Iterable[str] | None) -> tuple[str, ...]:
    """Names of trainable parameters, all of them for None. Raises UnknownName."""
    known = tuple(name for name, p in module.named_parameters() if p.requires_grad)
    chosen = known if names is None else tuple(dict.fromkeys(names))
    for name in chosen:
        if name not in known:
            raise UnknownName("trainable parameter", name, known)
    if not chosen:
        raise InvalidRequest("The inner loop has no parameter to adapt; choose at least 1 that requires gradients.")
    return chosen


def adapt(
    module: nn.Module,
    batches: Sequence[Any],
    loss: Loss,
    rates: Rates,
    steps: int,
    *,
    names: Iterable[str] | None = None,
    start: Mapping[str, Tensor] | None = None,
    order: Order = 0,
) -> Adapted:
    """Gradient descent on the batches in turn: θ ← θ − α ∇L(θ) (Finn et al. 2017, eq. 1).

    names: the parameters to adapt; None for all trainable ones. start: where to begin, by name; None for the module's
    own values. order: 0 gives plain tensors. 1 gives functions of `start` and of learned rates in which the inner
    gradients are constants. 2 gives them exactly, through the inner gradients as well.
    """
    if steps < 0 or not batches:
        raise InvalidRequest(f"An inner loop needs at least 1 batch and 0 steps; got {len(batches)} and {steps}.")
    chosen = chosen_names(module, names)
    rate_of = _rates_by_name(rates, chosen)
    current = dict(trainable(module) if start is None else start)
    buffers = {name: buffer.detach().clone() for name, buffer in module.named_buffers()}
    losses: list[Tensor] = []
    for step in range(steps):
        if order == 0:
            current = {name: value.detach().requires_grad_(name in chosen) for name, value in current.items()}
        points = [current[name] for name in chosen]
        value = loss(_bound(module, current, buffers), batches[step % len(batches)])
        gradients = torch.autograd.grad(value, points, create_graph=order == 2, materialize_grads=True)
        for name, point, gradient in zip(chosen, points, gradients, strict=True):
            current[name] = point - rate_of[name] * gradient
        losses.append(value.detach())
    if order == 0:
        current = {name: value.detach() for name, value in current.items()}
    return Adapted(current, buffers, tuple(losses))


def adapted_copy(
    module: nn.Module,
    batches: Sequence[Any],
    loss: Loss,
    optimiser: MakeOptimiser,
    steps: int,
    names: Iterable[str] | None = None,
) -> nn.Module:
    """A copy of the module after steps of an optimiser with a state, such as Adam, on the batches in turn.

    optimiser: parameters → any of torch's optimisers that needs no closure. A parameter that the loss does not reach
    stays; no gradients are left in the copy.
    """
    twin = copy.deepcopy(module)
    parameters = dict(twin.named_parameters())
    points = [parameters[name] for name in chosen_names(twin, names)]
    descent = optimiser(points)
    for step in range(steps):
        value = loss(twin, batches[step % len(batches)])
        for point, gradient in zip(points, torch.autograd.grad(value, points, allow_unused=True), strict=True):
            point.grad = gradient
        descent.step()
    for point in points:
        point.grad = None
    return twin


def _bound(module: nn.Module, parameters: Mapping[str, Tensor], buffers: Mapping[str, Tensor]) -> Call:
    """The module's forward with other tensors; what it writes into buffers goes into those given."""
    tensors = {**parameters, **buffers}

    def call(*args: Any, **kwargs: Any) -> Any:
        return functional_call(module, tensors, args, kwargs)

    return call


def _rates_by_name(rates: Rates, names: Iterable[str]) -> dict[str, Tensor] | dict[str, float]:
    if not isinstance(rates, LayerRates):
        return dict.fromkeys(names, checked_rate(rates))
    for name in names:
        if name not in rates.names:
            raise UnknownName("parameter with a learned rate", name, rates.names)
    return rates()
