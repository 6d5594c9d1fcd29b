"""Agreement of two networks, against ranks and distances worked by hand."""

import pytest
import torch

from studio.evaluation import agreement as table


def test_ranks_alone_decide_the_correlation() -> None:
    a = torch.tensor([1.0, 2.0, 3.0, 4.0])
    assert table.spearman(a, a.exp()) == pytest.approx(1)
    assert table.spearman(a, -a) == pytest.approx(-1)
    assert table.spearman(a, torch.tensor([10.0, 30.0, 20.0, 40.0])) == pytest.approx(0.8)  # 1 − 6·2 / (4·15)


def test_pearson_is_scale_free() -> None:
    a = torch.tensor([0.0, 1.0, 5.0])
    assert float(table.pearson(a, 3 * a - 2)) == pytest.approx(1, abs=1e-6)


def test_pairs_are_those_above_the_diagonal() -> None:
    assert table.pairs(torch.arange(9.0).view(3, 3)).tolist() == [1, 2, 5]


def test_gram_distances_are_worked_by_hand() -> None:
    maps = torch.stack([torch.ones(1, 2, 2), torch.full((1, 2, 2), 2.0)])  # Gram 1 and 4: (4 − 1)² / (1 + 16)
    torch.testing.assert_close(table.gram_distances(maps), torch.tensor([[0.0, 9 / 17], [9 / 17, 0.0]]))


def test_content_distances_see_directions_and_not_lengths() -> None:
    maps = torch.tensor([[1.0, 0.0], [0.0, 3.0], [5.0, 0.0]])[:, :, None, None]
    expected = torch.tensor([[0.0, 2.0, 0.0], [2.0, 0.0, 2.0], [0.0, 2.0, 0.0]])
    torch.testing.assert_close(table.content_distances(maps), expected, atol=1e-5, rtol=0)


def test_a_network_agrees_with_itself_and_not_with_its_opposite() -> None:
    images = torch.rand(20, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    found = table.signature_of(lambda x: [x, x[:, :, ::2, ::2]], images)
    assert found["gram"].shape == (20, 20)
    assert table.agreement(found, found) == {"spearman_gram": pytest.approx(1), "spearman_content": pytest.approx(1)}
    opposite = {name: -x for name, x in found.items()}
    assert table.agreement(opposite, found)["spearman_gram"] == pytest.approx(-1)
