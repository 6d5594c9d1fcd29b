"""MAML (Finn, Abbeel & Levine 2017): how a better start would have served after adaptation, exactly or to first order.

The unrolled inner loop is differentiated by autograd rather than by `torch.func.grad`, which forbids the writes into
buffers that batch norm makes; the two agree where both apply.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from studio.core.errors import InvalidRequest
from studio.meta.inner import LayerRates, Loss, MakeOptimiser, Order, Rates, adapt, adapted_copy, trainable


class MetaGradients(NamedTuple):
    """What one task says to the outer loop.

    loss: on the query after adaptation, detached. gradients: by name, for every trainable parameter, adapted or not.
    rates: (L,), the gradient of `LayerRates.log_rates`; None where no rates are learned.
    """

    loss: Tensor
    gradients: dict[str, Tensor]
    rates: Tensor | None


def meta_gradients(
    module: nn.Module,
    support_batches: Sequence[Any],
    query_batch: Any,
    loss: Loss,
    rates: Rates,
    steps: int,
    first_order: bool = False,
    names: Iterable[str] | None = None,
) -> MetaGradients:
    """∇θ L_query(θ_K), where θ_K comes of K steps from θ on the support (Finn et al. 2017, eq. 1 and algorithm 2).

    first_order: the inner gradients count as constants, so that the gradient is that of the query at θ_K (section 5.2),
    and learned rates see how far each step went, not how it bends the next. names: the parameters that are adapted;
    the gradients are of all trainable ones.
    """
    start = trainable(module)
    order: Order = 1 if first_order else 2
    adapted = adapt(module, support_batches, loss, rates, steps, names=names, start=start, order=order)
    value = loss(adapted.bound_to(module), query_batch)
    learned = [rates.log_rates] if isinstance(rates, LayerRates) else []
    found = torch.autograd.grad(value, [*start.values(), *learned], materialize_grads=True)
    gradients = dict(zip(start, found, strict=False))  # the rates' gradient, where there is one, comes last
    return MetaGradients(value.detach(), gradients, found[-1] if learned else None)


def fomaml_gradients(
    module: nn.Module,
    support_batches: Sequence[Any],
    query_batch: Any,
    loss: Loss,
    optimiser: MakeOptimiser,
    steps: int,
    names: Iterable[str] | None = None,
) -> MetaGradients:
    """First-order MAML through an optimiser with a state: a copy is adapted, its gradient on the query returned."""
    return query_gradients(adapted_copy(module, support_batches, loss, optimiser, steps, names), query_batch, loss)


def query_gradients(adapted: nn.Module, query_batch: Any, loss: Loss) -> MetaGradients:
    """The query's gradient at an adapted copy, which first-order MAML hands to the start.

    For callers with an inner loop of their own, such as two players in turn.
    """
    parameters = {name: p for name, p in adapted.named_parameters() if p.requires_grad}
    value = loss(adapted, query_batch)
    found = torch.autograd.grad(value, list(parameters.values()), materialize_grads=True)
    return MetaGradients(value.detach(), dict(zip(parameters, found, strict=True)), None)


def set_gradients_(module: nn.Module, found: Sequence[MetaGradients], rates: Rates | None = None) -> None:
    """Put the mean over tasks into `.grad` of the module's parameters and of learned rates, for an outer optimiser."""
    if not found:
        raise InvalidRequest("The outer step needs the gradients of at least 1 task; got 0.")
    for name, parameter in module.named_parameters():
        if parameter.requires_grad:
            parameter.grad = torch.stack([task.gradients[name] for task in found]).mean(0)
    taught = [task.rates for task in found if task.rates is not None]
    if isinstance(rates, LayerRates):
        rates.log_rates.grad = torch.stack(taught).mean(0) if taught else None
