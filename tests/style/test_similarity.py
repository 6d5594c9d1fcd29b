"""Every similarity is zero for the style itself, positive otherwise, blind to places, and never breaks."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from studio.core.errors import UnknownName
from studio.style.similarity import PAIRS, SAMPLE, SIMILARITIES, compare, moments, relative, sample

ALL = pytest.mark.parametrize("name", SIMILARITIES.names())


def features(seed: int, channels: int = 5, height: int = 9, width: int = 8, shift: float = 0.0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    mix = torch.randn(channels, channels, generator=generator)
    raw = torch.randn(channels, height * width, generator=generator)
    return (mix @ raw + shift).relu().view(channels, height, width)


def test_there_are_the_eight_that_were_asked_for() -> None:
    assert set(SIMILARITIES.names()) == {
        "gram",
        "cosine",
        "euclidean",
        "mean_std",
        "covariance",
        "sliced_wasserstein",
        "mmd",
        "histogram",
    }


@ALL
def test_an_entry_tells_its_formula_and_source(name: str) -> None:
    entry = SIMILARITIES[name]
    assert entry.name == name
    assert len(entry.formula) > 10
    assert any(year in entry.source for year in ("2016", "2017", "2019", "2021", "1982"))


@ALL
def test_the_style_itself_is_at_distance_zero(name: str) -> None:
    style = features(0)
    assert float(compare(name, style, style)) == pytest.approx(0, abs=1e-4)


@ALL
def test_another_picture_is_at_a_distance_of_the_order_of_one(name: str) -> None:
    assert 0.005 < float(compare(name, features(1), features(0))) < 3
    strange = torch.zeros(5, 9, 8)
    strange[0] = 10.0
    style = torch.zeros(5, 9, 8)
    style[1] = 10 * torch.rand(9, 8, generator=torch.Generator().manual_seed(0))
    assert 0.3 < float(compare(name, strange, style)) < 30


@ALL
def test_places_do_not_matter(name: str) -> None:
    a, b = features(1), features(0)
    order = torch.randperm(72, generator=torch.Generator().manual_seed(2))
    moved = a.flatten(1)[:, order].view_as(a)
    assert float(compare(name, moved, b)) == pytest.approx(float(compare(name, a, b)), rel=1e-4)
    assert float(compare(name, moved, a)) == pytest.approx(0, abs=1e-4)


@ALL
def test_a_picture_of_another_size_of_the_same_texture_is_near(name: str) -> None:
    style = features(0, height=64, width=60)
    tiled = torch.cat([style, style], dim=2)
    other = features(1, height=64, width=60)
    assert float(compare(name, tiled, style)) < 0.2 * float(compare(name, other, style))


@ALL
def test_a_step_against_the_gradient_comes_closer(name: str) -> None:
    style, x = features(0), features(1).requires_grad_()
    before = compare(name, x, style)
    (gradient,) = torch.autograd.grad(before, x)
    assert bool(torch.isfinite(gradient).all())
    step = 1e-3 * float(before.detach()) / float(gradient.square().sum())
    assert float(compare(name, x.detach() - step * gradient, style)) < float(before.detach())


@ALL
@pytest.mark.parametrize("style", [torch.zeros(4, 6, 6), torch.full((4, 6, 6), 2.0), features(0, 4, 6, 6)])
@pytest.mark.parametrize("level", [0.0, 2.0, 1e-6, 1e4])
def test_flat_maps_have_a_finite_distance_and_gradient(name: str, style: Tensor, level: float) -> None:
    x = torch.full((4, 6, 6), level, requires_grad=True)
    distance = compare(name, x, style)
    (gradient,) = torch.autograd.grad(distance, x)
    assert bool(torch.isfinite(distance))
    assert float(distance.detach()) >= 0
    assert bool(torch.isfinite(gradient).all())


@ALL
@settings(max_examples=20)
@given(seed=st.integers(0, 10**6), scale=st.floats(1e-3, 1e3))
def test_distances_do_not_depend_on_the_unit(name: str, seed: int, scale: float) -> None:
    a, b = features(seed, 3, 5, 5), features(seed + 1, 3, 5, 5, shift=0.5)
    assert float(compare(name, scale * a, scale * b)) == pytest.approx(float(compare(name, a, b)), rel=2e-2, abs=1e-3)


@ALL
def test_more_positions_than_are_sampled_are_taken(name: str) -> None:
    large = torch.rand(3, SAMPLE + 777, generator=torch.Generator().manual_seed(0))
    assert float(compare(name, large, large)) == pytest.approx(0, abs=1e-4)


def test_gram_of_two_orthogonal_textures_is_one() -> None:
    a, b = torch.tensor([[2.0, 2.0], [0.0, 0.0]]), torch.tensor([[0.0, 0.0], [3.0, 3.0]])
    assert float(compare("gram", a, b)) == pytest.approx(1)


def test_gram_of_doubled_features_by_hand() -> None:
    one = torch.tensor([[1.0]])
    assert float(compare("gram", 2 * one, one)) == pytest.approx((4 - 1) ** 2 / (4**2 + 1**2))


def test_gram_and_covariance_see_a_rotation_that_mean_and_deviation_and_histogram_do_not() -> None:
    together = torch.tensor([[0.0, 0.0, 2.0, 2.0], [0.0, 0.0, 2.0, 2.0]])
    against = torch.tensor([[0.0, 0.0, 2.0, 2.0], [2.0, 2.0, 0.0, 0.0]])
    for blind in ("mean_std", "histogram"):
        assert float(compare(blind, together, against)) == pytest.approx(0, abs=1e-6)
    for seeing in ("gram", "covariance", "sliced_wasserstein", "mmd", "euclidean"):
        assert float(compare(seeing, together, against)) > 0.05, seeing


def test_covariance_is_the_distance_of_two_gaussians_by_hand() -> None:
    a = torch.tensor([[1.0, 3.0]])  # mean 2, deviation 1
    b = torch.tensor([[2.0, 8.0]])  # mean 5, deviation 3
    expected = ((5 - 2) ** 2 + (3 - 1) ** 2) / (2**2 + 1**2 + 5**2 + 3**2)
    assert float(compare("covariance", a, b)) == pytest.approx(expected, rel=1e-4)


def test_mean_and_deviation_by_hand() -> None:
    a, b = torch.tensor([[1.0, 3.0]]), torch.tensor([[2.0, 8.0]])
    assert float(compare("mean_std", a, b)) == pytest.approx((9 + 4) / (4 + 1 + 25 + 9), rel=1e-3)


def test_histogram_pairs_equal_ranks_by_hand() -> None:
    a, b = torch.tensor([[3.0, 1.0]]), torch.tensor([[2.0, 5.0]])
    assert float(compare("histogram", a, b)) == pytest.approx(((1 - 2) ** 2 + (3 - 5) ** 2) / (1 + 9 + 4 + 25))


def test_sliced_wasserstein_of_one_channel_is_the_histogram_distance() -> None:
    a, b = features(3, 1), features(4, 1)
    assert float(compare("sliced_wasserstein", a, b)) == pytest.approx(float(compare("histogram", a, b)), rel=1e-4)


def test_euclidean_goes_to_the_nearest_feature_by_hand() -> None:
    a, b = torch.tensor([[1.0, 9.0]]), torch.tensor([[0.0, 10.0]])
    spread = 2 * 25 + 1e-3 * 25  # twice the style's variance, and the floor
    assert float(compare("euclidean", a, b)) == pytest.approx(1 / spread, rel=1e-4)


def test_cosine_looks_at_directions_only() -> None:
    style = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    assert float(compare("cosine", 7 * style, style)) == pytest.approx(0, abs=1e-3)
    assert float(compare("euclidean", 7 * style, style)) > 1


def test_kernels_see_more_than_means() -> None:
    two_peaks, one_peak = torch.tensor([[0.0, 4.0] * 8]), torch.tensor([[2.0] * 16])
    assert float(compare("mmd", two_peaks, one_peak)) > 0.2


def test_relative_of_nothing_is_nothing() -> None:
    assert float(relative(torch.zeros(3), torch.zeros(3))) == 0


def test_moments_of_the_parts_add_up_to_those_of_the_whole() -> None:
    whole = features(0).flatten(1)
    parts = [moments(part, whole.shape[1]) for part in whole.split([30, 40, 2], dim=1)]
    torch.testing.assert_close(torch.stack(parts).sum(dim=0), moments(whole))
    assert float(moments(whole)[0, 0]) == 1


def test_moments_by_hand() -> None:
    expected = torch.tensor([[1.0, 2.0], [2.0, 5.0]])  # of 1 and 3: mean 2, mean square 5
    torch.testing.assert_close(moments(torch.tensor([[1.0, 3.0]])), expected)


def test_a_sample_is_one_of_each_run_and_always_the_same() -> None:
    ramp = torch.arange(4.0 * SAMPLE)[None]
    chosen = sample(ramp)[0]
    assert chosen.shape == (SAMPLE,)
    assert torch.equal((chosen / 4).floor(), torch.arange(float(SAMPLE)))
    assert torch.equal(chosen, sample(ramp)[0])
    assert len(set((chosen % 4).tolist())) == 4  # no lattice


def test_a_small_map_is_its_own_sample_and_parts_share_one() -> None:
    small = torch.rand(2, PAIRS)
    assert sample(small) is small
    parts = torch.rand(2, 2 * SAMPLE).chunk(4, dim=1)
    assert sum(sample(part, 2 * SAMPLE).shape[1] for part in parts) == SAMPLE


def test_an_unknown_similarity_lists_the_known_ones() -> None:
    with pytest.raises(UnknownName, match="gram, cosine, euclidean"):
        SIMILARITIES["ssim"]
