"""Operations with gradients of their own: each against what autograd makes of its formula."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from studio.style.gradients import described, in_order, instance_norm, modulated_norm, relative, unit_distance

FLOOR = 1e-5


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def plainly_described(x: Tensor, index: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    flat = x.flatten(2)
    values = flat if index is None else flat[:, :, index]
    return (flat @ flat.mT / flat.shape[2]).float(), flat.mean(dim=2).float(), values.float()


def plainly_relative(a: Tensor, b: Tensor) -> Tensor:
    apart, first, second = ((x.flatten(1) ** 2).sum(dim=1) for x in (a - b, a, b))
    return apart / (first + second + 1e-8)


def agree(made: tuple[Tensor, ...], wanted: tuple[Tensor, ...], inputs: tuple[Tensor, ...]) -> None:
    """Values and gradients, for gradients from above that are noise."""
    above = [noise(*x.shape, seed=i + 1).to(x) for i, x in enumerate(wanted)]
    for mine, plain in zip(made, wanted, strict=True):
        torch.testing.assert_close(mine, plain, rtol=1e-5, atol=1e-6)
    found, expected = (torch.autograd.grad(x, inputs, above) for x in (made, wanted))
    for mine, plain in zip(found, expected, strict=True):
        torch.testing.assert_close(mine, plain, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("index", [None, torch.tensor([0, 7, 7, 29])], ids=["all", "some, one twice"])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_a_map_is_described_by_products_means_and_values(index: Tensor | None, layout: torch.memory_format) -> None:
    x = noise(2, 4, 5, 6).to(memory_format=layout).requires_grad_()
    agree(described(x, index), plainly_described(x, index), (x,))


def test_a_description_is_worked_by_hand() -> None:
    x = torch.tensor([[[[1.0, 3.0]], [[2.0, 0.0]]]])
    gram, mean, values = described(x, torch.tensor([1]))
    assert gram.tolist() == [[[5.0, 1.0], [1.0, 2.0]]]
    assert mean.tolist() == [[2.0, 1.0]]
    assert values.tolist() == [[[3.0], [0.0]]]


def test_the_gradient_of_a_description_keeps_the_memory_format() -> None:
    x = noise(2, 4, 5, 6).to(memory_format=torch.channels_last).requires_grad_()
    (gradient,) = torch.autograd.grad(described(x)[0].sum(), x)
    assert gradient.is_contiguous(memory_format=torch.channels_last)


def test_instance_norm_is_a_group_norm_of_single_channels() -> None:
    x = noise(2, 3, 4, 5).requires_grad_()
    agree((instance_norm(x, FLOOR),), (F.group_norm(x, 3, eps=FLOOR),), (x,))


def test_a_modulated_norm_is_a_norm_then_a_scale_and_a_shift() -> None:
    x, scale, shift = (noise(2, 3, *side, seed=i).requires_grad_() for i, side in enumerate(((4, 5), (1, 1), (1, 1))))
    plain = F.group_norm(x, 3, eps=FLOOR) * (1 + scale) + shift
    agree((modulated_norm(x, scale, shift, FLOOR),), (plain,), (x, scale, shift))


def test_in_bfloat16_instance_norm_is_as_near_as_the_number_type_allows() -> None:
    x = (3 + noise(2, 8, 40, 40)).float()
    made = instance_norm(x.bfloat16(), FLOOR)
    assert made.dtype == torch.bfloat16
    assert (made.float() - F.group_norm(x, 8, eps=FLOOR)).abs().max() < 0.05


def test_relative_distance_has_gradients_for_both_sides() -> None:
    a, b = noise(3, 4, 5).requires_grad_(), noise(3, 4, 5, seed=9).requires_grad_()
    agree((relative(a, b),), (plainly_relative(a, b),), (a, b))


@pytest.mark.parametrize("distance", [relative, plainly_relative])
def test_nothing_is_apart_from_itself_and_the_gradient_there_is_nothing(
    distance: Callable[[Tensor, Tensor], Tensor],
) -> None:
    a = noise(2, 5).requires_grad_()
    value = distance(a, a.detach())
    assert value.tolist() == [0, 0]
    assert torch.autograd.grad(value.sum(), a)[0].abs().max() < 1e-12


def test_values_in_order_send_gradients_back_to_where_they_came_from() -> None:
    x = torch.tensor([[3.0, 1.0, 2.0]], requires_grad=True)
    made = in_order(x)
    assert made.tolist() == [[1, 2, 3]]
    assert in_order(x.detach()).tolist() == [[1, 2, 3]]
    assert torch.autograd.grad(made, x, torch.tensor([[10.0, 20.0, 30.0]]))[0].tolist() == [[30, 10, 20]]


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_the_distance_of_unit_vectors_is_twice_one_less_the_cosine(layout: torch.memory_format) -> None:
    x = noise(2, 4, 5, 6).to(memory_format=layout).requires_grad_()
    y = noise(2, 4, 5, 6, seed=1)
    plain = (2 - 2 * F.cosine_similarity(x, y, dim=1)).mean(dim=(1, 2)).float()
    agree((unit_distance(x, y),), (plain,), (x,))


def test_a_place_without_any_length_has_a_finite_gradient() -> None:
    x = torch.zeros(1, 3, 2, 2, requires_grad=True)
    distance = unit_distance(x, torch.ones(1, 3, 2, 2))
    distance.sum().backward()
    assert distance.tolist() == [2.0]
    assert x.grad is not None
    assert bool(x.grad.isfinite().all())
