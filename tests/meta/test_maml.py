"""Meta-gradients against those worked by hand on a parabola, and against torch.func on a small network."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call, grad

from studio.core.errors import InvalidRequest, UnknownName
from studio.meta.inner import LayerRates, Loss, adapt, adapted_copy, trainable
from studio.meta.maml import fomaml_gradients, meta_gradients, query_gradients, set_gradients_

Call = Callable[..., Any]


class Point(nn.Module):
    """θ, a number that starts at 2."""

    def __init__(self, value: float = 2.0) -> None:
        super().__init__()
        self.theta = nn.Parameter(torch.tensor(value))

    def forward(self) -> Tensor:
        return self.theta * 1


def parabola(call: Call, batch: tuple[float, float]) -> Tensor:
    """a/2 (θ − c)² for a batch (a, c)."""
    steepness, centre = batch
    return steepness / 2 * (call() - centre) ** 2


SUPPORT, QUERY = (1.0, 0.0), (2.0, 3.0)  # ½θ² and (θ − 3)²
RATE = 0.5


def network(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 1)).double()


def squared(call: Call, batch: tuple[Tensor, Tensor]) -> Tensor:
    return F.mse_loss(call(batch[0]), batch[1])


def points(seed: int, count: int = 5) -> tuple[Tensor, Tensor]:
    x = torch.randn(count, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return x, x.prod(1, keepdim=True)


# θ₁ = 2 − ½·2 = 1, and the query's slope there is 2(1 − 3) = −4; dθ₁/dθ = 1 − ½.
def test_exact_gradient_of_one_step_on_a_parabola() -> None:
    found = meta_gradients(Point(), [SUPPORT], QUERY, parabola, RATE, 1)
    assert found.loss.item() == 4
    assert found.gradients["theta"].item() == -2
    assert found.rates is None


def test_first_order_gradient_of_one_step_is_the_slope_at_the_end() -> None:
    found = meta_gradients(Point(), [SUPPORT], QUERY, parabola, RATE, 1, first_order=True)
    assert (found.loss.item(), found.gradients["theta"].item()) == (4, -4)


# θ₂ = 2·(½)² = ½, slope 2(½ − 3) = −5; dθ₂/dθ = (1 − ½)².
def test_exact_and_first_order_gradients_of_two_steps() -> None:
    exact = meta_gradients(Point(), [SUPPORT], QUERY, parabola, RATE, 2)
    first = meta_gradients(Point(), [SUPPORT], QUERY, parabola, RATE, 2, first_order=True)
    assert (exact.loss.item(), exact.gradients["theta"].item()) == (6.25, -1.25)
    assert (first.loss.item(), first.gradients["theta"].item()) == (6.25, -5)


# θ₁ = θ − α(θ − 0), so dθ₁/dα = −2, and dL/d(log α) = α · (−4) · (−2) = 4.
@pytest.mark.parametrize("first_order", [False, True])
def test_gradient_of_a_learned_rate_after_one_step(first_order: bool) -> None:
    rates = LayerRates(["theta"], RATE)
    found = meta_gradients(Point(), [SUPPORT], QUERY, parabola, rates, 1, first_order)
    assert found.rates is not None
    assert found.rates.tolist() == pytest.approx([4.0])
    assert found.gradients["theta"].item() == pytest.approx(-4 if first_order else -2)


# Exactly: θ₂ = θ(1 − α)², dθ₂/dα = −2·2·½ = −2, times slope −5 and α ½: 5.
# To first order the inner gradients 2 and 1 are constants: dθ₂/dα = −3, so 7.5.
@pytest.mark.parametrize(("first_order", "expected"), [(False, 5.0), (True, 7.5)])
def test_gradient_of_a_learned_rate_after_two_steps(first_order: bool, expected: float) -> None:
    found = meta_gradients(Point(), [SUPPORT], QUERY, parabola, LayerRates(["theta"], RATE), 2, first_order)
    assert found.rates is not None
    assert found.rates.tolist() == pytest.approx([expected])


def test_no_step_gives_the_plain_gradient_of_the_query() -> None:
    found = meta_gradients(Point(), [SUPPORT], QUERY, parabola, LayerRates(["theta"], RATE), 0)
    assert found.gradients["theta"].item() == -2  # 2(2 − 3)
    assert found.rates is not None
    assert found.rates.tolist() == [0]


# Support ½θ² then ½(θ − 4)²: 2 → 1 → 1 + ½·3 = 2.5.
def test_batches_are_taken_in_turn() -> None:
    adapted = adapt(Point(), [SUPPORT, (1.0, 4.0)], parabola, RATE, 2)
    assert adapted.parameters["theta"].item() == 2.5
    assert [value.item() for value in adapted.losses] == [2, 4.5]
    assert not adapted.parameters["theta"].requires_grad
    again = adapt(Point(), [SUPPORT, (1.0, 4.0)], parabola, RATE, 3)
    assert again.parameters["theta"].item() == 1.25  # the first batch again


@pytest.mark.parametrize("steps", [1, 3])
def test_exact_gradient_is_that_of_torch_func_through_the_unrolled_loop(steps: int) -> None:
    model, support, query = network(), points(1), points(2)

    def inner(parameters: dict[str, Tensor], batch: tuple[Tensor, Tensor]) -> Tensor:
        return F.mse_loss(functional_call(model, parameters, (batch[0],)), batch[1])

    def outer(parameters: dict[str, Tensor]) -> Tensor:
        for _ in range(steps):
            slopes = grad(inner)(parameters, support)
            parameters = {name: value - 0.3 * slopes[name] for name, value in parameters.items()}
        return inner(parameters, query)

    expected = grad(outer)({name: p.detach() for name, p in model.named_parameters()})
    found = meta_gradients(model, [support], query, squared, 0.3, steps)
    for name, value in expected.items():
        torch.testing.assert_close(found.gradients[name], value)


@pytest.mark.parametrize("adapted", [None, ["2.weight"]])
def test_exact_gradients_of_weights_and_rates_are_those_of_finite_differences(adapted: list[str] | None) -> None:
    model, support, query = network(), [points(1), points(3)], points(2)
    rates = LayerRates([name for name, _ in model.named_parameters()], 0.2).double()
    found = meta_gradients(model, support, query, squared, rates, 3, names=adapted)
    assert found.rates is not None

    def nudged(tensor: Tensor, index: int, by: float) -> float:
        with torch.no_grad():
            tensor.view(-1)[index] += by
        value = float(meta_gradients(model, support, query, squared, rates, 3, names=adapted).loss)
        with torch.no_grad():
            tensor.view(-1)[index] -= by
        return value

    pairs = [(p, found.gradients[name]) for name, p in model.named_parameters()] + [(rates.log_rates, found.rates)]
    for tensor, gradient in pairs:
        slope = (nudged(tensor, 0, 1e-5) - nudged(tensor, 0, -1e-5)) / 2e-5
        assert gradient.view(-1)[0].item() == pytest.approx(slope, rel=1e-6, abs=1e-8)


def test_first_order_gradient_is_the_query_gradient_at_the_adapted_weights() -> None:
    model, support, query = network(), [points(1), points(3)], points(2)
    found = meta_gradients(model, support, query, squared, 0.3, 3, first_order=True)
    descent = partial(torch.optim.SGD, lr=0.3)
    twin = adapted_copy(model, support, squared, descent, 3)
    squared(twin, query).backward()
    through = fomaml_gradients(model, support, query, squared, descent, 3)
    for name, p in twin.named_parameters():
        torch.testing.assert_close(found.gradients[name], p.grad)
        torch.testing.assert_close(through.gradients[name], p.grad)
    assert through.loss.item() == pytest.approx(found.loss.item())


# Adam's first step is the rate against the sign: 2 → 1.5, where (θ − 3)² has slope −3.
def test_first_order_gradient_through_adam() -> None:
    found = fomaml_gradients(Point(), [SUPPORT], QUERY, parabola, partial(torch.optim.Adam, lr=0.5), 1)
    assert found.gradients["theta"].item() == pytest.approx(-3)
    assert found.loss.item() == pytest.approx(2.25)


def test_only_the_named_parameters_adapt_and_all_get_a_meta_gradient() -> None:
    model = network()
    adapted = adapt(model, [points(1)], squared, 0.3, 2, names=["2.bias"])
    moved = {n for n, p in model.named_parameters() if not torch.equal(adapted.parameters[n], p)}
    assert moved == {"2.bias"}
    found = meta_gradients(model, [points(1)], points(2), squared, 0.3, 2, names=["2.bias"])
    assert all(found.gradients[name].abs().sum() > 0 for name, _ in model.named_parameters())
    twin = adapted_copy(model, [points(1)], squared, partial(torch.optim.Adam, lr=0.1), 2, ["2.bias"])
    assert {n for n, p in twin.named_parameters() if not torch.equal(p, model.get_parameter(n))} == {"2.bias"}


def test_a_frozen_parameter_neither_adapts_nor_learns() -> None:
    model = network()
    model.get_parameter("0.weight").requires_grad_(False)
    found = meta_gradients(model, [points(1)], points(2), squared, 0.3, 2)
    assert sorted(found.gradients) == ["0.bias", "2.bias", "2.weight"]
    with pytest.raises(UnknownName, match=r"Unknown trainable parameter '0\.weight'; known: 0\.bias"):
        adapt(model, [points(1)], squared, 0.3, 1, names=["0.weight"])


def test_a_parameter_that_the_loss_does_not_reach_stays_and_has_gradient_zero() -> None:
    model = Point()
    model.idle = nn.Parameter(torch.ones(3))
    found = meta_gradients(model, [SUPPORT], QUERY, parabola, RATE, 1)
    assert found.gradients["idle"].tolist() == [0, 0, 0]
    twin = adapted_copy(model, [SUPPORT], parabola, partial(torch.optim.AdamW, lr=0.1, weight_decay=0.5), 2)
    assert twin.get_parameter("idle").tolist() == [1, 1, 1]


def learners() -> dict[str, Callable[[nn.Module, Any, Any, Loss], Any]]:
    adam = partial(torch.optim.Adam, lr=0.01)
    return {
        "plain": lambda model, s, q, loss: adapt(model, s, loss, 0.1, 3),
        "exact": lambda model, s, q, loss: meta_gradients(model, s, q, loss, 0.1, 3),
        "first": lambda model, s, q, loss: meta_gradients(model, s, q, loss, 0.1, 3, first_order=True),
        "adam": lambda model, s, q, loss: fomaml_gradients(model, s, q, loss, adam, 3),
    }


@pytest.mark.parametrize("way", sorted(learners()))
def test_the_module_stays_bit_identical_with_its_batch_norm_and_without_gradients(way: str) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(4), nn.Tanh(), nn.Linear(4, 1)).double().train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    learners()[way](model, [points(1)], points(2), squared)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert all(p.grad is None and p.requires_grad for p in model.parameters())


def test_adapted_batch_norm_has_statistics_of_its_own() -> None:
    model = nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(4), nn.Linear(4, 1)).double().train()
    assert adapt(model, [points(1)], squared, 0.1, 3).buffers["1.num_batches_tracked"].item() == 3


def test_a_loss_may_differentiate_within_itself() -> None:
    def penalised(call: Call, batch: tuple[Tensor, Tensor]) -> Tensor:
        x = batch[0].clone().requires_grad_()
        y = call(x)
        (slope,) = torch.autograd.grad(y.sum(), x, create_graph=True)
        return F.mse_loss(y, batch[1]) + slope.square().sum()

    model = network()
    exact = meta_gradients(model, [points(1)], points(2), penalised, 0.05, 2)
    first = meta_gradients(model, [points(1)], points(2), penalised, 0.05, 2, first_order=True)
    assert exact.loss.item() == pytest.approx(first.loss.item())
    assert not torch.allclose(exact.gradients["0.weight"], first.gradients["0.weight"])


# Gradients −2 (query 2, 3) and 2·½·(1 − 0) = 1 (query 2, 0); those of log α: 4 and 2·(1 − 0)·(−2)·½ = −2.
def test_the_outer_step_takes_the_mean_over_tasks() -> None:
    model, rates = Point(), LayerRates(["theta"], RATE)
    found = [meta_gradients(model, [SUPPORT], query, parabola, rates, 1) for query in (QUERY, (2.0, 0.0))]
    set_gradients_(model, found, rates)
    assert model.theta.grad is not None
    assert rates.log_rates.grad is not None
    assert model.theta.grad.item() == pytest.approx(-0.5)
    assert rates.log_rates.grad.tolist() == pytest.approx([1.0])
    with pytest.raises(InvalidRequest, match="at least 1 task; got 0"):
        set_gradients_(model, [], rates)


def test_query_gradients_leave_the_copy_without_any() -> None:
    model = Point(1.0)
    found = query_gradients(model, QUERY, parabola)
    assert (found.loss.item(), found.gradients["theta"].item()) == (4, -4)
    assert model.theta.grad is None


def test_leaves_share_memory_with_the_module_but_not_its_gradients() -> None:
    model = Point()
    leaf = trainable(model)["theta"]
    assert leaf.is_leaf
    assert leaf.data_ptr() == model.theta.data_ptr()
    (leaf**2).backward()
    assert model.theta.grad is None


def test_a_rate_for_each_tensor_by_its_name() -> None:
    rates = LayerRates(["a", "b.c"], 0.01)
    assert {name: rate.item() for name, rate in rates().items()} == pytest.approx({"a": 0.01, "b.c": 0.01})
    with torch.no_grad():
        rates.log_rates[1] += torch.log(torch.tensor(3.0))
    assert {name: rate.item() for name, rate in rates().items()} == pytest.approx({"a": 0.01, "b.c": 0.03})


@pytest.mark.parametrize("rate", [0.0, -1.0, float("nan"), float("inf")])
def test_what_can_be_no_rate_is_refused(rate: float) -> None:
    with pytest.raises(InvalidRequest, match="must be above 0 and finite"):
        LayerRates(["theta"], rate)
    with pytest.raises(InvalidRequest, match="must be above 0 and finite"):
        adapt(Point(), [SUPPORT], parabola, rate, 1)


def test_what_can_be_no_inner_loop_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="got 0 and 1"):
        adapt(Point(), [], parabola, RATE, 1)
    with pytest.raises(InvalidRequest, match="got 1 and -1"):
        adapt(Point(), [SUPPORT], parabola, RATE, -1)
    with pytest.raises(InvalidRequest, match="no parameter to adapt"):
        adapt(Point(), [SUPPORT], parabola, RATE, 1, names=[])
    with pytest.raises(UnknownName, match="Unknown parameter with a learned rate 'theta'; known: other"):
        adapt(Point(), [SUPPORT], parabola, LayerRates(["other"], RATE), 1)
