"""Class embeddings over the simplex."""

import pytest
import torch

from studio.core.errors import InvalidRequest
from studio.models.classes import ClassEmbedding


def test_a_mix_is_the_weighted_sum_of_the_rows() -> None:
    embedding = ClassEmbedding(2, 3)
    assert embedding.weight is not None
    embedding.weight.data = torch.tensor([[4.0, 0, 8], [0, 4, 0]])
    mixed = embedding(torch.tensor([[0.25, 0.75]]), like=torch.zeros(1, 5))
    assert mixed.tolist() == [[1, 3, 2]]


def test_no_classes_embed_as_nothing() -> None:
    embedding = ClassEmbedding(0, 3)
    assert embedding(None, like=torch.zeros(4, 5)).shape == (4, 0)
    assert list(embedding.parameters()) == []


@pytest.mark.parametrize("weights", [None, torch.ones(2), torch.ones(1, 3)])
def test_weights_that_do_not_fit_are_refused(weights: torch.Tensor | None) -> None:
    with pytest.raises(InvalidRequest, match="2 classes"):
        ClassEmbedding(2, 3)(weights, like=torch.zeros(1, 5))


def test_weights_for_a_model_without_classes_are_refused() -> None:
    with pytest.raises(InvalidRequest, match="0 classes"):
        ClassEmbedding(0, 3)(torch.ones(1, 2), like=torch.zeros(1, 5))
