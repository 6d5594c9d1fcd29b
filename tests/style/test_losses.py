"""The stylizer's losses, each against values worked by hand."""

from collections.abc import Callable

import pytest
import torch

from studio.style import losses
from studio.style.gradients import relative
from studio.style.losses import Hand


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def hand(*maps: torch.Tensor, seed: int = 0) -> Hand:
    return Hand.of(maps, torch.Generator().manual_seed(seed))


def sliced(first: Hand, second: Hand, seed: int = 0) -> torch.Tensor:
    return losses.sliced_distance(first, second, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("distance", [losses.gram_distance, losses.moment_distance, sliced])
def test_a_style_has_no_distance_from_itself_and_some_from_another(distance: Callable[..., torch.Tensor]) -> None:
    own = hand(noise(2, 4, 6, 6), noise(2, 8, 3, 3))
    other = hand(noise(2, 4, 6, 6, seed=1), noise(2, 8, 3, 3, seed=1))
    assert distance(own, own).tolist() == [0, 0]
    assert distance(own, other).shape == (2,)
    assert bool((distance(own, other) > 0).all())


def test_a_content_has_no_distance_from_itself_and_some_from_another() -> None:
    maps, others = [noise(2, 4, 6, 6), noise(2, 8, 3, 3)], [noise(2, 4, 6, 6, seed=1), noise(2, 8, 3, 3, seed=1)]
    assert losses.content_distance(maps, maps).tolist() == [0, 0]
    assert bool((losses.content_distance(maps, others) > 0).all())


def test_content_does_not_see_the_contrast_or_the_level_of_a_channel() -> None:
    maps = [noise(1, 3, 16, 16)]
    assert losses.content_distance(maps, [maps[0] * 5 - 2]) < 1e-4
    opposite = losses.content_distance(maps, [-maps[0]])
    torch.testing.assert_close(opposite, torch.tensor([4.0]), atol=1e-3, rtol=0)  # mean of (2n)² = 4


def test_perceptual_distance_is_by_the_angle_at_every_place() -> None:
    x = torch.tensor([[[[1.0, 2.0]], [[0.0, 0.0]]]])  # two places, both along the first channel
    y = torch.tensor([[[[3.0, 0.0]], [[0.0, 5.0]]]])  # the same way, then at a right angle: 0 and 2
    torch.testing.assert_close(losses.perceptual_distance([x], [y]), torch.tensor([1.0]))
    torch.testing.assert_close(losses.perceptual_distance([x, x], [-x, x]), torch.tensor([2.0]))  # 4 and 0


def test_a_third_view_is_a_second_judge_of_style_and_detail() -> None:
    views = [tuple(noise(1, c, 16, 16, seed=seed + c) for c in (3, 4, 5, 6, 7)) for seed in (0, 10, 20)]
    generator = torch.Generator().manual_seed(0)
    hands = [Hand.of(view, generator) for view in views]
    others = (views[0], views[1])
    terms = losses.terms(views[0][0], views, losses.content_of(views[0]), hands, generator, others)
    assert {"gram", "fine_gram", "second_gram", "second_sliced", "detail"} <= set(terms)
    assert float(terms["content"]) == float(terms["gram"]) == float(terms["second_gram"]) == 0
    expected = losses.perceptual_distance(views[2][1:], views[1][1:]) / 2  # the first judge sees no difference
    torch.testing.assert_close(terms["detail"], expected)
    assert "detail" not in losses.terms(views[0][0], views[:2], losses.content_of(views[0]), hands[:2], generator)


def test_relative_distance_is_one_for_orthogonal_vectors_and_two_for_opposite_ones() -> None:
    a, b = torch.tensor([[1.0, 0.0], [1.0, 1.0]]), torch.tensor([[0.0, 1.0], [-1.0, -1.0]])
    torch.testing.assert_close(relative(a, b), torch.tensor([1.0, 2.0]))


def test_gram_is_the_mean_product_of_channels() -> None:
    maps = torch.tensor([[[[1.0, 3.0]], [[2.0, 0.0]]]])
    assert losses.gram(maps)[0].tolist() == [[5.0, 1.0], [1.0, 2.0]]


def test_gram_distance_is_worked_by_hand() -> None:
    a, b = torch.ones(1, 1, 2, 2), torch.full((1, 1, 2, 2), 2.0)  # Gram 1 and 4: (4 − 1)² / (1 + 16)
    torch.testing.assert_close(losses.gram_distance(hand(a), hand(b)), torch.tensor([9 / 17]))


def test_moment_distance_is_worked_by_hand() -> None:
    a = torch.tensor([0.0, 2.0]).view(1, 1, 1, 2)  # mean 1, deviation 1
    b = torch.tensor([1.0, 3.0]).view(1, 1, 1, 2)  # mean 2, deviation 1: (1 + 0) / (1 + 1 + 4 + 1)
    torch.testing.assert_close(losses.moment_distance(hand(a), hand(b)), torch.tensor([1 / 7]), rtol=1e-4, atol=0)


def test_styles_are_the_same_wherever_their_features_stand() -> None:
    maps = noise(1, 4, 8, 8)
    moved = maps.flatten(2)[:, :, torch.randperm(64, generator=torch.Generator().manual_seed(1))].view_as(maps)
    for distance in (losses.gram_distance, losses.moment_distance, sliced):
        assert distance(hand(maps), hand(moved)) < 1e-9


def test_sliced_distance_of_a_shift_is_that_of_the_numbers() -> None:
    a, b = torch.zeros(1, 1, 2, 2), torch.ones(1, 1, 2, 2)  # projections 0 and ±1: 4 / (0 + 4)
    torch.testing.assert_close(sliced(hand(a), hand(b)), torch.tensor([1.0]))


def test_sliced_distance_compares_quantiles_where_there_are_more_samples_on_one_side() -> None:
    line = torch.linspace(0, 1, 16).view(1, 1, 4, 4)
    sparse = torch.linspace(0, 1, 4).view(1, 1, 2, 2)
    assert float(sliced(hand(line), hand(sparse))) < 1e-9
    assert float(sliced(hand(sparse), hand(line))) < 1e-9
    assert float(sliced(hand(line), hand(sparse + 1))) > 0.1


def test_sliced_distance_takes_its_directions_from_the_generator() -> None:
    a, b = hand(noise(1, 3, 40, 40)), hand(noise(1, 3, 40, 40, seed=1))
    assert torch.equal(sliced(a, b, seed=1), sliced(a, b, seed=1))
    assert not torch.equal(sliced(a, b, seed=1), sliced(a, b, seed=2))


def test_large_maps_are_sampled_by_the_generator_and_small_ones_kept_whole() -> None:
    small, large = noise(1, 3, 4, 4), noise(1, 3, 40, 40)
    assert torch.equal(hand(small).samples[0], small.flatten(2))
    assert hand(large).samples[0].shape == (1, 3, losses.POSITIONS)
    assert torch.equal(hand(large, seed=1).samples[0], hand(large, seed=1).samples[0])
    assert not torch.equal(hand(large, seed=1).samples[0], hand(large, seed=2).samples[0])


def test_rows_of_a_hand_are_its_pictures() -> None:
    both = hand(noise(2, 3, 4, 4))
    turned = both.rows(torch.tensor([1, 0, 1]))
    assert torch.equal(turned.grams[0], both.grams[0][[1, 0, 1]])
    assert torch.equal(turned.means[0], both.means[0][[1, 0, 1]])
    assert torch.equal(turned.samples[0], both.samples[0][[1, 0, 1]])


def test_checkerboard_has_variation_two_times_two() -> None:
    board = (torch.arange(4)[:, None] + torch.arange(4)).remainder(2) * 2.0 - 1
    assert losses.variation(board[None, None]).tolist() == [4.0]
    assert losses.variation(torch.ones(1, 3, 4, 4)).tolist() == [0.0]


def test_only_what_lies_outside_the_range_is_excess() -> None:
    assert losses.excess(torch.tensor([1.0, -1.0, 0.5, -3.0]).view(1, 1, 2, 2)).tolist() == [1.0]
