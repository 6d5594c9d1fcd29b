"""Truncation draws towards the mean of the classes."""

import pytest
import torch

from studio.latent.truncation import class_mean, truncate

W = torch.tensor([[[4.0, 0.0], [2.0, 2.0]]])
MEAN = torch.tensor([2.0, 1.0])


@pytest.mark.parametrize(
    ("psi", "expected"),
    [
        (0.0, [[2.0, 1.0], [2.0, 1.0]]),
        (0.5, [[3.0, 0.5], [2.0, 1.5]]),
        (1.0, [[4.0, 0.0], [2.0, 2.0]]),
        (2.0, [[6.0, -1.0], [2.0, 3.0]]),
    ],
)
def test_truncation_moves_along_the_line_through_the_mean(psi: float, expected: list[list[float]]) -> None:
    torch.testing.assert_close(truncate(W, MEAN, psi), torch.tensor([expected]))


def test_no_truncation_is_the_same_bits() -> None:
    w = torch.randn(3, 4, 5, generator=torch.Generator().manual_seed(0))
    assert torch.equal(truncate(w, torch.full((5,), 0.1), 1), w)


def test_the_mean_of_a_mix_is_the_mix_of_the_means() -> None:
    means = torch.tensor([[0.0, 4.0], [2.0, 0.0]])
    centre = class_mean(means, torch.tensor([[0.25, 0.75], [1.0, 0.0]]))
    torch.testing.assert_close(centre, torch.tensor([[[1.5, 1.0]], [[0.0, 4.0]]]))


def test_without_classes_there_is_one_mean() -> None:
    assert torch.equal(class_mean(torch.tensor([[1.0, 2.0]]), None), torch.tensor([[[1.0, 2.0]]]))
