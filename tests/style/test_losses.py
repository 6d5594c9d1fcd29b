"""The stylizer's losses, each against values worked by hand."""

import pytest
import torch

from studio.style import losses


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("name", ["content_distance", "gram_distance", "moment_distance"])
def test_a_picture_has_no_distance_from_itself_and_some_from_another(name: str) -> None:
    distance = getattr(losses, name)
    maps, others = [noise(2, 4, 6, 6), noise(2, 8, 3, 3)], [noise(2, 4, 6, 6, seed=1), noise(2, 8, 3, 3, seed=1)]
    assert distance(maps, maps).tolist() == [0, 0]
    assert distance(maps, others).shape == (2,)
    assert bool((distance(maps, others) > 0).all())


def test_content_does_not_see_the_contrast_or_the_level_of_a_channel() -> None:
    maps = [noise(1, 3, 16, 16)]
    assert losses.content_distance(maps, [maps[0] * 5 - 2]) < 1e-4
    opposite = losses.content_distance(maps, [-maps[0]])
    torch.testing.assert_close(opposite, torch.tensor([4.0]), atol=1e-3, rtol=0)  # mean of (2n)² = 4


def test_relative_distance_is_one_for_orthogonal_vectors_and_two_for_opposite_ones() -> None:
    a, b = torch.tensor([[1.0, 0.0], [1.0, 1.0]]), torch.tensor([[0.0, 1.0], [-1.0, -1.0]])
    torch.testing.assert_close(losses.relative(a, b), torch.tensor([1.0, 2.0]))


def test_gram_is_the_mean_product_of_channels() -> None:
    maps = torch.tensor([[[[1.0, 3.0]], [[2.0, 0.0]]]])
    assert losses.gram(maps)[0].tolist() == [[5.0, 1.0], [1.0, 2.0]]


def test_gram_distance_is_worked_by_hand() -> None:
    a, b = torch.ones(1, 1, 2, 2), torch.full((1, 1, 2, 2), 2.0)  # Gram 1 and 4: (4 − 1)² / (1 + 16)
    torch.testing.assert_close(losses.gram_distance([a], [b]), torch.tensor([9 / 17]))


def test_styles_are_the_same_wherever_their_features_stand() -> None:
    maps = noise(1, 4, 8, 8)
    moved = maps.flatten(2)[:, :, torch.randperm(64, generator=torch.Generator().manual_seed(1))].view_as(maps)
    for distance in (losses.gram_distance, losses.moment_distance):
        assert distance([maps], [moved]) < 1e-9
    assert losses.sliced_distance([maps], [moved], torch.Generator().manual_seed(0)) < 1e-9


def test_sliced_distance_of_a_shift_is_that_of_the_numbers() -> None:
    a, b = torch.zeros(1, 1, 2, 2), torch.ones(1, 1, 2, 2)  # projections 0 and ±1: 4 / (0 + 4)
    torch.testing.assert_close(losses.sliced_distance([a], [b], torch.Generator()), torch.tensor([1.0]))


def test_sliced_distance_takes_its_directions_from_the_generator() -> None:
    a, b = [noise(1, 3, 40, 40)], [noise(1, 3, 40, 40, seed=1)]
    first, again, other = (losses.sliced_distance(a, b, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_checkerboard_has_variation_two_times_two() -> None:
    board = (torch.arange(4)[:, None] + torch.arange(4)).remainder(2) * 2.0 - 1
    assert losses.variation(board[None, None]).tolist() == [4.0]
    assert losses.variation(torch.ones(1, 3, 4, 4)).tolist() == [0.0]


def test_only_what_lies_outside_the_range_is_excess() -> None:
    assert losses.excess(torch.tensor([1.0, -1.0, 0.5, -3.0]).view(1, 1, 2, 2)).tolist() == [1.0]


def test_contrast_is_low_where_every_picture_has_its_own_style() -> None:
    styles = torch.eye(4)
    right, wrong = losses.contrast(styles, styles), losses.contrast(styles.roll(1, 0), styles)
    expected = -torch.log(torch.tensor(5.0).exp() / (torch.tensor(5.0).exp() + 3))
    torch.testing.assert_close(right, expected.expand(4))
    assert bool((wrong > right + 4).all())
