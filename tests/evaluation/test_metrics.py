"""Set distances against values worked by hand."""

import itertools
import math

import pytest
import torch

from studio.core.errors import DataError
from studio.evaluation.metrics import Spread, covered, fid, kid, nearest, novelty, precision_recall, radii


def column(*values: float) -> torch.Tensor:
    return torch.tensor(values)[:, None]


def test_kid_of_all_zeros_and_all_ones_is_seven() -> None:
    """k(x, y) = (x y + 1)³: k(0,0) = 1, k(1,1) = 8, k(0,1) = 1, so 1 + 8 − 2 = 7 whatever the subsets."""
    mean, deviation = kid(torch.zeros(12, 1), torch.ones(9, 1))
    assert mean == pytest.approx(7)
    assert deviation == pytest.approx(0, abs=1e-12)


def test_kid_of_two_draws_of_one_distribution_is_about_zero_and_of_a_shifted_one_is_not() -> None:
    generator = torch.Generator().manual_seed(0)
    a, b = torch.randn(2, 400, 8, generator=generator)
    assert abs(kid(a, b)[0]) < 0.02
    assert kid(a, b + 1)[0] > 1


def test_kid_of_a_set_with_itself_is_zero_less_its_own_images_in_the_cross_term() -> None:
    """Two subsets of one set share images: E = −2/N (mean of k(x,x) − mean of k(x,y), x ≠ y), 0 for large N."""
    a = torch.randn(200, 8, generator=torch.Generator().manual_seed(0))
    kernel = (a @ a.T / 8 + 1) ** 3
    own, others = kernel.diagonal().mean(), (kernel.sum() - kernel.diagonal().sum()) / (200 * 199)
    mean, deviation = kid(a, a)
    assert mean == pytest.approx(float(-2 / 200 * (own - others)), abs=0.03)
    assert abs(mean) < 0.15
    assert 0 < deviation < 0.15


def test_kid_depends_on_its_seed_alone_and_leaves_the_global_one() -> None:
    a, b = torch.randn(2, 50, 4, generator=torch.Generator().manual_seed(0))
    torch.manual_seed(1)
    state = torch.get_rng_state()
    first = kid(a, b, seed=5)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(2)
    assert kid(a, b, seed=5) == first
    assert kid(a, b, seed=6) != first


def test_fid_of_gaussians_is_the_shift_squared_plus_the_difference_of_deviations_squared() -> None:
    """In one dimension: (μ₁ − μ₂)² + (σ₁ − σ₂)². Deviation (n − 1) of {±1} × 50 is √(100/99)."""
    real = column(*([-1.0, 1.0] * 50))
    unit = math.sqrt(100 / 99)
    assert fid(real, real) == pytest.approx(0, abs=1e-6)
    assert fid(real, real + 3) == pytest.approx(9, rel=1e-6)
    assert fid(real, 3 * real + 2) == pytest.approx(4 + (2 * unit) ** 2, rel=1e-6)


def test_fid_of_a_rotation_free_shift_in_many_dimensions_is_its_squared_length() -> None:
    real = torch.randn(64, 6, generator=torch.Generator().manual_seed(0))
    shift = torch.tensor([1.0, -2.0, 0.0, 0.5, 0.0, 0.0])
    assert fid(real, real + shift) == pytest.approx(5.25, rel=1e-4)


def test_the_nearest_and_the_radii_on_a_line() -> None:
    points = column(0, 1, 3, 7)
    distances, rows = nearest(column(2.9, 0), points, k=2)
    assert distances == pytest.approx(torch.tensor([[0.1, 1.9], [0, 1]]).numpy(), abs=1e-6)
    assert rows.tolist() == [[2, 1], [0, 1]]
    assert radii(points, 1).tolist() == [1, 1, 2, 4]
    assert radii(points, 2).tolist() == [3, 2, 3, 6]


def test_precision_and_recall_on_a_line() -> None:
    """Real balls (k = 1): [−1,1] [0,2] [1,5] [3,11]? The radii of 0, 1, 3, 7 are 1, 1, 2, 4: together [−1, 11].

    Drawn 0.5, 0.75, 12, 20: two of four inside. Their radii are 0.25, 0.25, 8, 8: balls [0.25, 1] and [4, 28], which
    hold the real 1 and 7: two of four as well; 0.5 and 0.75 alone hold one.
    """
    real, fake = column(0, 1, 3, 7), column(0.5, 0.75, 12, 20)
    assert precision_recall(real, fake, k=1) == (0.5, 0.5)
    assert covered(real, column(0.5, 0.75), k=1) == 0.25


def test_collapse_keeps_precision_and_loses_recall() -> None:
    real = torch.randn(60, 3, generator=torch.Generator().manual_seed(0))
    collapsed = real[:1] + 1e-4 * torch.randn(60, 3, generator=torch.Generator().manual_seed(1))
    precision, recall = precision_recall(real, collapsed)
    assert precision == 1
    assert recall <= 1 / 60


def test_precision_thins_the_larger_set_to_the_smaller() -> None:
    """Ten real points far apart, of which the three drawn can be matched against three only: recall is in thirds."""
    real = 100 * torch.arange(10.0)[:, None]
    precision, recall = precision_recall(real, real[:3], k=1)
    assert precision * 3 == pytest.approx(round(precision * 3))
    assert recall * 3 == pytest.approx(round(recall * 3))


def test_spread_is_the_mean_over_all_pairs() -> None:
    maps = (torch.randn(7, 3, 4), torch.randn(7, 5))
    pairs = [sum(float((m[i] - m[j]).square().sum()) for m in maps) for i, j in itertools.combinations(range(7), 2)]
    whole, one, two = Spread(), Spread(), Spread()
    whole.add(maps)
    one.add([m[:3] for m in maps])
    two.add([m[3:] for m in maps])
    assert whole.mean == pytest.approx(sum(pairs) / 21, rel=1e-5)
    one.merge(two)
    one.merge(Spread())
    assert one.mean == pytest.approx(whole.mean, rel=1e-5)


def test_spread_of_equal_pictures_is_nothing_and_of_one_picture_unknown() -> None:
    spread = Spread()
    spread.add([torch.ones(1, 6)])
    assert math.isnan(spread.mean)
    spread.add([torch.ones(4, 6)])
    assert spread.mean == pytest.approx(0, abs=1e-6)


def test_an_exact_copy_has_novelty_zero_and_a_far_picture_its_distance_in_training_gaps() -> None:
    training = column(0, 2, 4, 6)
    found = novelty(column(4, 10, 6.5), training)
    assert found.scale == 2
    assert found.ratios.tolist() == [0, 2, 0.25]
    assert found.rows.tolist() == [2, 3, 3]
    assert found.median == 0.25
    assert found.copies == pytest.approx(2 / 3)
    assert found.of(torch.tensor([False, True, False])).copies == 0


def test_a_copy_in_a_mirror_is_a_copy() -> None:
    found = novelty(column(100, 3), column(0, 2, 4, 6), mirrored=column(6, 50))
    assert found.ratios.tolist() == [0, 0.5]
    assert found.rows.tolist() == [3, 1]


def test_too_few_images_are_a_sentence() -> None:
    two = torch.zeros(2, 3)
    with pytest.raises(DataError, match="KID needs at least 4 images on each side, and there are 2 real and 9 drawn"):
        kid(two, torch.zeros(9, 3))
    with pytest.raises(DataError, match="at least 2"):
        fid(two[:1], two)
    with pytest.raises(DataError, match="at least 4"):
        precision_recall(two, two)
    with pytest.raises(DataError, match="at least 2 training images, and there are 1"):
        novelty(two, two[:1])
    with pytest.raises(DataError, match="exact doubles"):
        novelty(two, two)
