"""Who is born of whom, and what a child inherits."""

from collections import Counter

import pytest
import torch

from studio.models.dcgan import Dcgan, DcganConfig
from studio.training.population import Member, births, conceive, shake

TINY = DcganConfig(resolution=32, channels=16, latent_dim=8)
MUTATIONS = ("minimax", "non_saturating", "least_squares")


def dice() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def member(seed: int, steps: int = 0) -> Member:
    torch.manual_seed(seed)
    generator = Dcgan(TINY)
    made = Member(generator, torch.optim.Adam(generator.parameters(), 1e-2))
    made.prime()
    for _ in range(steps):
        generator(torch.randn(4, 8)).square().sum().backward()
        made.optimiser.step()
    return made


def test_with_as_many_children_as_mutations_each_comes_once_by_each() -> None:
    born = births(3, 1, MUTATIONS, 0.0, 0.0, dice())
    assert [(birth.mother, birth.mutation, birth.father, birth.shaken) for birth in born] == [
        (0, name, None, False) for name in MUTATIONS
    ]


def test_every_survivor_bears_by_every_mutation_before_any_does_twice() -> None:
    born = births(8, 2, MUTATIONS, 0.0, 0.0, dice())
    counts = Counter((birth.mother, birth.mutation) for birth in born)
    assert len(counts) == 6
    assert sorted(counts.values()) == [1, 1, 1, 1, 2, 2]


def test_a_father_is_another_survivor() -> None:
    born = births(60, 3, MUTATIONS, 1.0, 0.0, dice())
    assert all(birth.father not in (None, birth.mother) and 0 <= birth.share <= 1 for birth in born)
    assert {(birth.mother, birth.father) for birth in born} == {(a, b) for a in range(3) for b in range(3) if a != b}


def test_a_single_survivor_has_nobody_to_cross_with() -> None:
    assert all(birth.father is None for birth in births(6, 1, MUTATIONS, 1.0, 1.0, dice()))


def test_rates_are_probabilities() -> None:
    born = births(600, 2, MUTATIONS, 0.25, 0.75, dice())
    assert sum(birth.father is not None for birth in born) == pytest.approx(150, abs=30)
    assert sum(birth.shaken for birth in born) == pytest.approx(450, abs=30)


def test_a_child_of_one_parent_goes_on_as_its_parent_would() -> None:
    mother, child = member(0, steps=2), member(1)
    conceive(child, mother, None, 0.0)
    for one in (mother, child):
        one.optimiser.zero_grad()
        one.generator(torch.ones(4, 8)).square().sum().backward()
        one.optimiser.step()
    assert all(torch.equal(a, b) for a, b in zip(mother.parameters, child.parameters, strict=True))
    assert mother.parameters[0].data_ptr() != child.parameters[0].data_ptr()


def test_crossover_lies_between_the_parents() -> None:
    mother, father, child = member(0, steps=1), member(1, steps=3), member(2)
    conceive(child, mother, father, 0.25)
    expected = 0.75 * mother.parameters[0] + 0.25 * father.parameters[0]
    torch.testing.assert_close(child.parameters[0], expected)
    moments = [one.optimiser.state[one.parameters[0]] for one in (mother, father, child)]
    torch.testing.assert_close(
        moments[2]["exp_avg_sq"], 0.75 * moments[0]["exp_avg_sq"] + 0.25 * moments[1]["exp_avg_sq"]
    )
    assert float(moments[2]["step"]) == 1


def test_shaking_moves_each_tensor_by_its_share() -> None:
    one = member(0)
    before = [parameter.detach().clone() for parameter in one.parameters]
    shake(one, 0.1, dice())
    moved = (one.parameters[0].detach() - before[0]).square().mean().sqrt() / before[0].square().mean().sqrt()
    assert float(moved) == pytest.approx(0.1, rel=0.05)
