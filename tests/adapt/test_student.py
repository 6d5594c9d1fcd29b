"""One step: what it changes, what it leaves alone, and where it leads."""

import dataclasses
import math

import pytest
import torch
from few_shots import ToyLite0, flat, grainy, tiny
from torch import Tensor

from studio.adapt.distance import energy_distance
from studio.adapt.methods import METHODS
from studio.adapt.parts import whole
from studio.adapt.student import (
    CLASS,
    LEAST_GAIN,
    MOST_GAIN,
    Student,
    StudentConfig,
    chosen,
    judging,
    rate_names,
    strength_of,
    synthesise,
)
from studio.core.errors import InvalidRequest
from studio.core.octaves import scaled
from studio.models.gan import GanGenerator

RED = (230, 20, 20)
QUICK = StudentConfig(batch=4, learning_rate=3e-3, judge_rate=3e-3, augment="", average=0.0)


def student(config: StudentConfig = QUICK, pictures: Tensor | None = None, seed: int = 0, rates: int = 0) -> Student:
    base, learner = tiny(rates)
    own = grainy(RED, 5, 1) if pictures is None else pictures
    return Student(base, learner, ToyLite0(), own, config, torch.Generator().manual_seed(seed))


def noise(count: int = 8) -> Tensor:
    return torch.randn(count, 8, generator=torch.Generator().manual_seed(5))


@pytest.mark.parametrize("method", METHODS.names())
def test_steps_of_every_method_have_finite_losses(method: str) -> None:
    config = dataclasses.replace(METHODS[method].student, batch=4)
    one = student(config)
    for _ in range(2):
        assert all(math.isfinite(value) for value in one.step().values())
    assert one.steps == 2
    assert torch.isfinite(one.show(noise())).all()


def test_base_and_learner_stay_bit_identical() -> None:
    base, learner = tiny()
    untouched_base, untouched_learner = tiny()
    one = Student(base, learner, ToyLite0(), grainy(RED, 5, 1), QUICK, torch.Generator().manual_seed(0))
    for _ in range(3):
        one.step()
    one.show(noise())
    for module, before in ((base, untouched_base), (learner, untouched_learner)):
        for name, value in module.state_dict().items():
            assert torch.equal(value, before.state_dict()[name]), name


def test_the_same_seed_gives_the_same_bits_and_another_one_others() -> None:
    first, second, other = student(), student(), student(seed=1)
    for one in (first, second, other):
        one.step()
        one.step()
    assert torch.equal(first.show(noise()), second.show(noise()))
    assert not torch.equal(first.show(noise()), other.show(noise()))


FREE = dataclasses.replace(QUICK, adversarial=False, energy=1.0)


@pytest.mark.parametrize("config", [QUICK, FREE, dataclasses.replace(QUICK, energy=1.0)])
def test_samples_move_towards_red_pictures(config: StudentConfig) -> None:
    one = student(config, flat((255, 0, 0), 5))
    before = one.show(noise()).mean(dim=(0, 2, 3))
    for _ in range(20):
        one.step()
    after = one.show(noise()).mean(dim=(0, 2, 3))
    target = torch.tensor([1.0, -1.0, -1.0])
    assert (after - target).abs().sum() < 0.7 * (before - target).abs().sum()
    assert after[0] > after[1:].max() + 0.3


def test_without_the_heads_they_stay_and_the_energy_distance_falls() -> None:
    one = student(FREE)
    heads = {name: p.detach().clone() for name, p in one.judging.items()}
    found = [one.step() for _ in range(12)]
    assert all(set(losses) == {"energy"} for losses in found)
    assert sum(losses["energy"] for losses in found[-4:]) < sum(losses["energy"] for losses in found[:4])
    assert all(torch.equal(p, heads[name]) for name, p in one.judging.items())


def test_other_pictures_can_be_what_it_comes_nearer_to() -> None:
    one = student(FREE)
    other = grainy((20, 20, 230), 6, 2).float().div(127.5).sub(1)
    to_own, to_other = (whole(student(FREE).differentiating(x))["energy"] for x in (one.pictures, other))
    with torch.no_grad():
        z = torch.randn(FREE.batch, 8, generator=torch.Generator().manual_seed(0))
        samples = one.encoder.unit(one.discriminator.describe(one.paint(z)))
        there = one.encoder.unit(one.discriminator.describe(other))
    assert to_other == pytest.approx(float(energy_distance(samples, there)), rel=1e-4)
    assert to_other != pytest.approx(to_own, rel=1e-3)


def test_show_paints_by_the_average_and_puts_the_weights_back() -> None:
    one = student(dataclasses.replace(QUICK, average=0.9999))
    for _ in range(2):
        one.step()
    weights = {name: value.detach().clone() for name, value in one.now().items()}
    shown = one.show(noise())
    assert all(torch.equal(value, weights[name]) for name, value in one.now().items())
    assert not torch.allclose(shown, one.paint(noise()).detach())
    # with shares kept of 1/6 and 2/7, the average after two steps is 2/7 (θ0/6 + 5θ1/6) + 5θ2/7
    twin = student(dataclasses.replace(QUICK, average=0.9999))
    states = [twin.embedding.detach().clone()]
    for _ in range(2):
        twin.step()
        states.append(twin.embedding.detach().clone())
    expected = 2 / 7 * (states[0] / 6 + 5 * states[1] / 6) + 5 * states[2] / 7
    torch.testing.assert_close(one.averaged[CLASS], expected)


# the pictures are what the base itself paints, softened: gains near those are to be found
def test_the_finest_octaves_come_to_the_strength_of_the_pictures() -> None:
    soft = torch.tensor([[0.6, 0.4, 0.5], [0.8, 0.7, 0.9]])
    own = student(dataclasses.replace(QUICK, embedding="mean")).average(noise(5))
    pictures = scaled(own, soft).clamp(-1, 1).add(1).mul(127.5).round().to(torch.uint8)
    one = student(dataclasses.replace(QUICK, embedding="mean", octaves=2), pictures)
    before = one.average(noise(16))
    torch.testing.assert_close(one.show(noise(16)), before, atol=1e-5, rtol=0)  # nothing is matched yet
    samples = whole(one.look(noise(16), 4))
    assert torch.equal(samples, one.show(noise(16)))
    wanted, there, found = (strength_of(x, 2) for x in (one.pictures, before, samples))
    torch.testing.assert_close(one.log_gains.exp(), (wanted / there).clamp(LEAST_GAIN, MOST_GAIN))
    torch.testing.assert_close(one.log_gains.exp(), soft, atol=0.25, rtol=0)
    torch.testing.assert_close(found, wanted, rtol=0.15, atol=0)  # a bit of an octave leaks into the next


def test_without_octaves_nothing_is_matched() -> None:
    one = student()
    assert torch.equal(whole(one.look(noise(), 8)), one.average(noise()).float())
    assert one.log_gains.shape == (0, 3)


def test_set_of_pictures_is_the_start_of_the_new_class_and_the_mean_of_classes_that_of_plain_fine_tuning() -> None:
    one, plain = student(), student(dataclasses.replace(QUICK, embedding="mean"))
    base, learner = tiny()
    assert base.embedding is not None
    with torch.no_grad():
        torch.testing.assert_close(one.embedding, learner.encoder(one.described))
    torch.testing.assert_close(plain.embedding, base.embedding.mean(dim=0))


def test_new_class_paints_as_the_base_does_with_the_same_embedding() -> None:
    base, _ = tiny()
    assert base.embedding is not None
    with torch.no_grad():
        weights = torch.tensor([[1.0, 0.0]]).expand(8, -1)
        assert torch.equal(base(noise(), weights), synthesise(base, noise(), base.embedding[0]))


@pytest.mark.parametrize(("weights", "moved"), [("all", True), ("modulation", False), ("none", False)])
def test_weights_that_are_not_chosen_stay(weights: str, moved: bool) -> None:
    one = student(dataclasses.replace(QUICK, weights=weights))
    base, _ = tiny()
    one.step()
    name = "octaves.0.up.conv.weight"
    assert chosen(name, weights) is moved
    assert torch.equal(one.generator.state_dict()[name], base.state_dict()[name]) is not moved
    assert torch.equal(one.generator.state_dict()["embedding"], base.state_dict()["embedding"])


def test_frozen_heads_stay_while_the_deeper_ones_learn() -> None:
    one = student(dataclasses.replace(QUICK, frozen_heads=2))
    _, learner = tiny()
    one.step()
    now, before = judging(one.discriminator.parts[0]), judging(learner.judge)
    same = {
        index: torch.equal(now[name], before[name]) for index in range(5) for name in [f"heads.{index}." + tail(index)]
    }
    assert same == {0: True, 1: True, 2: False, 3: False, 4: False}


def tail(index: int) -> str:
    return "logit.parametrizations.weight.original" if index < 4 else "layers.0.parametrizations.weight.original"


# One step of SGD is θ − α g with the learned factor in α: twice the factor, twice as far.
def test_a_learned_factor_of_two_doubles_the_first_step_of_its_tensor_alone() -> None:
    config = dataclasses.replace(QUICK, optimiser="sgd", learning_rate=1e-2)
    base, learner = tiny()
    names = rate_names(base, learner.judge)
    plain, scaled = student(config), _scaled(config, names, "colour.bias", 2.0)
    for one in (plain, scaled):
        one.step()
    for name, factor in (("colour.bias", 2.0), ("colour.weight", 1.0)):
        start = base.state_dict()[name]
        torch.testing.assert_close(
            scaled.adapted[name] - start, factor * (plain.adapted[name] - start), rtol=1e-4, atol=1e-7
        )
    off = _scaled(dataclasses.replace(config, learned_rates=False), names, "colour.bias", 2.0)
    off.step()
    assert torch.equal(off.adapted["colour.bias"], plain.adapted["colour.bias"])


def _scaled(config: StudentConfig, names: tuple[str, ...], name: str, factor: float) -> Student:
    base, learner = tiny(len(names))
    plain_base, plain_learner = tiny()
    base.load_state_dict(plain_base.state_dict())
    learner.load_state_dict(plain_learner.state_dict(), strict=False)
    assert learner.log_rates is not None
    learner.log_rates.data[names.index(name)] = math.log(factor)
    return Student(base, learner, ToyLite0(), grainy(RED, 5, 1), config, torch.Generator().manual_seed(0))


def test_rates_for_another_number_of_tensors_are_refused() -> None:
    with pytest.raises(InvalidRequest, match="knows the rates of 3 tensors"):
        student(rates=3)


def test_a_base_without_classes_is_refused() -> None:
    _, learner = tiny()
    plain = GanGenerator(tiny()[0].config, 0).eval()
    with pytest.raises(InvalidRequest, match="needs a base with classes"):
        Student(plain, learner, ToyLite0(), flat(RED, 5), QUICK, torch.Generator())


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"batch": 1}, "batch is 1; it must be a whole number from 2"),
        ({"optimiser": "lion"}, "optimiser must be one of adam, sgd"),
        ({"frozen_heads": 9}, "frozen_heads is 9"),
        ({"weights": "some"}, "weights must be one of all, modulation, none"),
        ({"augment": "mirror"}, "Unknown augmentation 'mirror'"),
        ({"learning_rate": float("nan")}, "learning_rate is nan"),
        ({"energy": -1.0}, "energy is -1.0"),
        ({"octaves": 4}, "octaves is 4"),
        ({"adversarial": False}, "needs a weight of the energy distance above 0"),
    ],
)
def test_settings_out_of_range_are_refused(change: dict[str, object], sentence: str) -> None:
    with pytest.raises(InvalidRequest, match=sentence):
        dataclasses.replace(QUICK, **change)  # type: ignore[arg-type]


def test_two_students_whose_parts_take_turns_are_those_that_each_would_be_alone() -> None:
    alone, first, second = student(), student(), student(seed=1)
    alone.step()
    waiting = [first.stepping(), second.stepping()]
    taken = 0
    while waiting:
        parts = waiting.pop(0)
        if next(parts, waiting) is not waiting:
            waiting.append(parts)
            taken += 1
    assert taken == 2 * 4, "four pauses a step"
    assert torch.equal(alone.show(noise()), first.show(noise()))


def test_the_way_back_in_two_parts_has_the_gradients_of_one() -> None:
    """The picture's gradient, walked on, against the chain rule by finite differences on one weight."""
    one = student(dataclasses.replace(QUICK, diversity=0.0, batch=2))
    named = dict(one.adapted)
    weight = named["colour.bias"]
    losses = []
    whole(one.differentiating(one.pictures))
    found = weight.grad
    assert found is not None
    for shift in (1e-2, -1e-2):
        other = student(dataclasses.replace(QUICK, diversity=0.0, batch=2))
        with torch.no_grad():
            other.adapted["colour.bias"][0] += shift
        losses.append(whole(other.differentiating(other.pictures))["generator"])
    assert float(found[0]) == pytest.approx((losses[0] - losses[1]) / 2e-2, rel=0.1, abs=1e-3)
