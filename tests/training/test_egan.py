"""The evolutionary GAN on toy data: its generations, its resume, its learning."""

import copy
import dataclasses
import itertools
import math
from pathlib import Path

import pytest
import torch
from accelerate import Accelerator
from PIL import Image
from torch import Tensor

from studio.core.dataset import ImageSet
from studio.core.errors import StudioError, TrainingError
from studio.core.progress import result_of
from studio.models.dcgan import DcganConfig
from studio.models.gan import GanConfig
from studio.training.dcgan import DcganTrainer, DcganTraining
from studio.training.egan import EganTrainer, EganTraining
from studio.training.family import generations
from studio.training.loop import fit
from studio.training.options import TrainOptions
from studio.training.recipe import RECIPES, StepContext

TINY = DcganConfig(resolution=32, channels=16, latent_dim=8, class_dim=4)
LIGHT = GanConfig(resolution=32, latent_dim=8, embedding=4, capacity=0.05)
FAST = EganTraining(learning_rate=2e-3, discriminator_learning_rate=2e-3)
POPULOUS = dataclasses.replace(FAST, population=5, survivors=2, crossover=0.5, weight_mutation=0.5)


def red() -> ImageSet:
    images = torch.zeros(8, 3, 32, 32, dtype=torch.uint8)
    images[:, 0] = 255
    return ImageSet(images, torch.arange(8) % 2, ("a", "b"), tuple("abcdefgh"))


def options(out: Path, **changes: object) -> TrainOptions:
    base = TrainOptions(out, batch=4, images=32, snapshot_images=16, device="cpu", save_seconds=1e9, ema_images=20)
    return dataclasses.replace(base, **changes)  # type: ignore[arg-type]


def context() -> StepContext:
    return StepContext(Accelerator(cpu=True), torch.Generator().manual_seed(0), 0)


def flat(value: object) -> list[Tensor]:
    if isinstance(value, Tensor):
        return [value]
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [tensor for child in children for tensor in flat(child)]


def test_the_pictures_take_the_colours_of_the_data(tmp_path: Path) -> None:
    checkpoint = result_of(fit(RECIPES["egan"], TINY, FAST, red(), options(tmp_path / "m.safetensors", images=240)))
    assert (checkpoint.kind, checkpoint.classes, checkpoint.provenance["recipe"]) == ("dcgan", (), "egan")
    with torch.no_grad():
        mean = checkpoint.build()(torch.randn(4, 8, generator=torch.Generator().manual_seed(0))).mean(dim=(2, 3))
    assert (mean[:, 0] > mean[:, 1] + 0.3).all()
    assert (mean[:, 0] > mean[:, 2] + 0.3).all()


@pytest.mark.parametrize(("kind", "config"), [("dcgan", TINY), ("gan", LIGHT)])
@pytest.mark.parametrize(("name", "interval"), [("egan", 1), ("egan", 3), ("cegan", 1)])
def test_run_stopped_and_resumed_equals_run_never_stopped(
    name: str, interval: int, kind: str, config: object, tmp_path: Path
) -> None:
    recipe, whole, parts = RECIPES[name].variants[kind], tmp_path / "w.safetensors", tmp_path / "p.safetensors"
    evolution = dataclasses.replace(POPULOUS, interval=interval)
    result_of(fit(recipe, config, evolution, red(), options(whole)))
    first = fit(recipe, config, evolution, red(), options(parts))
    for _ in range(5):
        next(first)
    first.close()
    rest = list(fit(recipe, config, evolution, red(), options(parts, resume=True)))
    assert rest[0].step == 24
    expected, found = (torch.load(out.with_suffix(".state.pt"), weights_only=True) for out in (whole, parts))
    for key in ("modules", "average", "optimisers", "generators"):
        assert flat(expected[key]), key
        assert all(torch.equal(a, b) for a, b in zip(flat(expected[key]), flat(found[key]), strict=True)), key
    logs = [generations(out.with_suffix(".run") / "generations.jsonl") for out in (whole, parts)]
    assert logs[0] == logs[1]
    assert [line["generation"] for line in logs[0]] == list(range(math.ceil(8 / interval)))


def test_the_fittest_survive_and_their_children_name_them(tmp_path: Path) -> None:
    result_of(fit(RECIPES["egan"], TINY, POPULOUS, red(), options(tmp_path / "m.safetensors")))
    lines = generations(tmp_path / "m.run" / "generations.jsonl")
    for before, after in itertools.pairwise(lines):
        ranked = sorted(before["children"], key=lambda child: -child["fitness"])
        survivors = {child["id"] for child in before["children"] if child["survives"]}
        assert survivors == {child["id"] for child in ranked[:2]}
        assert {parent for child in after["children"] for parent in child["parents"]} <= survivors
    child = lines[0]["children"][0]
    assert child["fitness"] == pytest.approx(child["quality"] + 0.004 * child["diversity"])
    with Image.open(tmp_path / "m.run" / "family.png") as tree:
        assert tree.width > 5 * 48


def test_one_mutation_and_one_child_is_the_ordinary_game() -> None:
    """By hand: the generator's step, then the discriminator's on the new generator's pictures."""
    config = dataclasses.replace(FAST, mutations="non_saturating", population=1)
    batch = torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(1)) * 2 - 1
    torch.manual_seed(0)
    trainer = EganTrainer(TINY, config, 0)
    torch.manual_seed(0)
    other = EganTrainer(TINY, config, 0)
    trainer.step(batch, None, context())
    byhand, shared, judge = other.members[0], context(), other.discriminator
    real = judge(batch)
    fake = byhand.generator(shared.draw(4, 8, device=batch.device))
    byhand.optimiser.zero_grad()
    torch.nn.functional.softplus(-judge(fake)).mean().backward()
    byhand.optimiser.step()
    z = shared.draw(4, 8, device=batch.device)
    z[0] = torch.randn(8, generator=torch.Generator().manual_seed(int(other.family.seed)))
    fake = byhand.generator(z).detach()
    other.judging_optimiser.zero_grad()
    loss = torch.nn.functional.softplus(-real).mean() + torch.nn.functional.softplus(judge(fake)).mean()
    loss.backward()
    other.judging_optimiser.step()
    for one, two in ((trainer.model, byhand.generator), (trainer.discriminator, judge)):
        for a, b in zip(one.parameters(), two.parameters(), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("way", ["non_saturating", "least_squares", "relativistic"])
def test_between_two_generations_the_ordinary_game_is_played(way: str) -> None:
    """A step after the first is one of the recipe `dcgan`, by the objective that made the survivor."""
    batch = torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(1)) * 2 - 1
    torch.manual_seed(0)
    config = dataclasses.replace(FAST, objective=way, mutations=way, population=1, interval=5)
    trainer, plain = EganTrainer(TINY, config, 0), DcganTrainer(TINY, DcganTraining(2e-3, 2e-3, objective=way), 0)
    trainer.step(batch, None, context())
    plain.model.load_state_dict(trainer.model.state_dict())
    plain.discriminator.load_state_dict(trainer.discriminator.state_dict())
    for own, optimiser in (
        (plain.generator_optimiser, trainer.survivors[0].optimiser),
        (plain.discriminator_optimiser, trainer.judging_optimiser),
    ):
        own.load_state_dict(copy.deepcopy(optimiser.state_dict()))
    for player in (trainer, plain):
        player.step(batch, None, context())
    assert int(trainer.family.generation) == 1
    for network in ("model", "discriminator"):
        one, two = (getattr(player, network).parameters() for player in (trainer, plain))
        assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))


def test_survivors_go_on_by_what_made_them_until_the_next_generation(tmp_path: Path) -> None:
    config = dataclasses.replace(POPULOUS, interval=3)
    result_of(fit(RECIPES["egan"], TINY, config, red(), options(tmp_path / "m.safetensors")))
    lines = generations(tmp_path / "m.run" / "generations.jsonl")
    assert [(line["generation"], line["images"]) for line in lines] == [(0, 4), (1, 16), (2, 28)]
    for before, after in itertools.pairwise(lines):
        survivors = {child["id"] for child in before["children"] if child["survives"]}
        assert {parent for child in after["children"] for parent in child["parents"]} <= survivors
    state = torch.load(tmp_path / "m.state.pt", weights_only=True)["modules"]["family"]
    made = {child["id"]: child["mutation"] for child in lines[-1]["children"]}
    ways = [config.names[way] for way in state["way"].tolist()]
    assert ways == [made[name] for name in state["ids"].tolist()]


@pytest.mark.parametrize("objective", ["minimax", "non_saturating", "least_squares", "hinge", "relativistic"])
def test_every_objective_can_judge_and_mutate(objective: str) -> None:
    torch.manual_seed(0)
    names = "minimax,non_saturating,least_squares,hinge,relativistic"
    trainer = EganTrainer(TINY, dataclasses.replace(FAST, objective=objective, mutations=names, population=5), 0)
    values = trainer.step(torch.rand(4, 3, 32, 32) * 2 - 1, None, context())
    assert all(torch.isfinite(value) for value in values.values())
    assert all(parameter.requires_grad for parameter in trainer.judging)


def test_a_generator_without_a_finite_fitness_does_not_survive() -> None:
    torch.manual_seed(0)
    trainer = EganTrainer(TINY, dataclasses.replace(FAST, gamma=0.0), 0)
    broken = trainer.members[1]
    broken.generator.to_rgb.register_forward_hook(lambda module, args, out: out * float("nan"))
    values = trainer.step(torch.rand(4, 3, 32, 32) * 2 - 1, None, context())
    assert trainer.members[0] is not broken
    assert torch.isfinite(values["fitness"])


def test_resume_with_another_population_is_refused(tmp_path: Path) -> None:
    out = tmp_path / "m.safetensors"
    list(fit(RECIPES["egan"], TINY, FAST, red(), options(out, images=4)))
    with pytest.raises(TrainingError, match=r"do not fit this recipe's \(family\)"):
        list(fit(RECIPES["egan"], TINY, dataclasses.replace(FAST, population=4), red(), options(out, resume=True)))


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"mutations": "minimax,swirl"}, "swirl.*minimax, non_saturating"),
        ({"mutations": "hinge,hinge"}, "names one twice"),
        ({"population": 0}, "population is 0"),
        ({"survivors": 4}, "survivors is 4; it must be a whole number from 1 to 3"),
        ({"crossover": 1.5}, "crossover is 1.5"),
        ({"gamma": float("nan")}, "gamma is nan"),
    ],
)
def test_settings_out_of_bounds_are_one_sentence(settings: dict[str, object], sentence: str) -> None:
    with pytest.raises(StudioError, match=sentence):
        EganTraining(**settings)  # type: ignore[arg-type]


def test_the_setting_generator_chooses_the_kind() -> None:
    recipe, rest = RECIPES["egan"].chosen({"generator": "gan", "capacity": 0.05})
    assert (recipe.name, recipe.kind, recipe.model, rest) == ("egan", "gan", GanConfig, {"capacity": 0.05})
    assert RECIPES["egan"].chosen({"resolution": 32})[0].kind == "dcgan"
    with pytest.raises(StudioError, match=r"Unknown generator 'vae'; known: dcgan, gan\."):
        RECIPES["egan"].chosen({"generator": "vae"})
