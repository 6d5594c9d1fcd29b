"""A seed is the same noise wherever it stands, and different seeds are different noise."""

import pytest
import torch
from sentences import assert_sentence

from studio.core.errors import InvalidRequest
from studio.latent import seeds


def test_a_seed_is_the_same_row_in_every_batch() -> None:
    alone = seeds.noise([7], 33)
    assert torch.equal(seeds.noise([1, 7, 2], 33)[1:2], alone)
    assert torch.equal(seeds.noise([7], 33), alone)


def test_a_shorter_row_is_the_start_of_a_longer_one() -> None:
    assert torch.equal(seeds.noise([5], 8), seeds.noise([5], 64)[:, :8])


@pytest.mark.parametrize("far", [2**32, 2**40, 2**62])
def test_every_bit_of_a_seed_counts(far: int) -> None:
    assert not torch.equal(seeds.noise([7], 16), seeds.noise([7 + far], 16))


def test_noise_is_standard_normal() -> None:
    rows = seeds.noise(range(500), 200)
    assert rows.dtype == torch.float32
    assert abs(float(rows.mean())) < 0.01
    assert abs(float(rows.std()) - 1) < 0.01
    assert float(rows.abs().max()) > 4


def test_neighbouring_seeds_are_not_correlated() -> None:
    rows = seeds.noise([0, 1], 20_000)
    assert abs(float(torch.corrcoef(rows)[0, 1])) < 0.03


def test_steps_are_independent_of_the_noise_of_the_same_seed() -> None:
    both = torch.cat([seeds.noise([3], 20_000), seeds.steps([3], 20_000)])
    assert abs(float(torch.corrcoef(both)[0, 1])) < 0.03


def test_draws_are_even_and_repeatable() -> None:
    drawn = [seeds.draw(seed, 4) for seed in range(2000)]
    assert drawn == [seeds.draw(seed, 4) for seed in range(2000)]
    assert all(400 < drawn.count(value) < 600 for value in range(4))


def test_no_seeds_make_no_rows() -> None:
    assert seeds.noise([], 5).shape == (0, 5)


def test_the_largest_seed_is_a_seed() -> None:
    assert bool(torch.isfinite(seeds.noise([seeds.MAX_SEED], 4)).all())


@pytest.mark.parametrize("seed", [-1, seeds.MAX_SEED + 1])
def test_a_seed_out_of_range_is_refused(seed: int) -> None:
    with pytest.raises(InvalidRequest) as refused:
        seeds.noise([seed], 4)
    assert_sentence(refused.value, str(seed), str(seeds.MAX_SEED))


def test_the_global_random_state_is_left_alone() -> None:
    before = torch.get_rng_state()
    seeds.noise([1, 2], 8)
    assert torch.equal(torch.get_rng_state(), before)
