"""The DCGAN recipes on toy data."""

import dataclasses
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from accelerate import Accelerator

from studio.core.dataset import ImageSet
from studio.core.errors import StudioError
from studio.core.progress import result_of
from studio.models.dcgan import DcganConfig
from studio.models.losses_gan import OBJECTIVES
from studio.training.dcgan import DcganTrainer, DcganTraining
from studio.training.loop import fit
from studio.training.options import TrainOptions
from studio.training.recipe import RECIPES, StepContext

TINY = DcganConfig(resolution=32, channels=32, latent_dim=8, class_dim=4)
FAST = DcganTraining(learning_rate=2e-3, discriminator_learning_rate=2e-3)


def two_colours() -> ImageSet:
    """Red pictures of class 0, blue ones of class 1."""
    images = torch.zeros(8, 3, 32, 32, dtype=torch.uint8)
    images[:4, 0], images[4:, 2] = 255, 255
    return ImageSet(images, torch.tensor([0] * 4 + [1] * 4), ("red", "blue"), tuple("abcdefgh"))


def context() -> StepContext:
    return StepContext(Accelerator(cpu=True), torch.Generator().manual_seed(0), 0)


def test_each_class_learns_its_colour(tmp_path: Path) -> None:
    options = TrainOptions(tmp_path / "m.safetensors", batch=8, images=800, device="cpu", ema_images=20)
    model = result_of(fit(RECIPES["cdcgan"], TINY, FAST, two_colours(), options)).build()
    with torch.no_grad():
        pictures = model(torch.randn(8, 8, generator=torch.Generator().manual_seed(0)), torch.eye(2).repeat(4, 1))
    mean = pictures.mean(dim=(2, 3))
    assert (mean[0::2, 0] > mean[0::2, 2] + 0.2).all()
    assert (mean[1::2, 2] > mean[1::2, 0] + 0.2).all()


def test_without_classes_the_pictures_take_the_colours_of_the_data(tmp_path: Path) -> None:
    red = two_colours().take(torch.arange(4))
    options = TrainOptions(tmp_path / "m.safetensors", batch=4, images=240, device="cpu", ema_images=20)
    checkpoint = result_of(fit(RECIPES["dcgan"], TINY, FAST, red, options))
    assert (checkpoint.kind, checkpoint.classes) == ("dcgan", ())
    with torch.no_grad():
        mean = checkpoint.build()(torch.randn(4, 8, generator=torch.Generator().manual_seed(0))).mean(dim=(2, 3))
    assert (mean[:, 0] > mean[:, 1] + 0.5).all()
    assert (mean[:, 0] > mean[:, 2] + 0.5).all()


def test_the_discriminator_learns_to_tell_a_batch_apart() -> None:
    torch.manual_seed(0)
    trainer = DcganTrainer(TINY, dataclasses.replace(FAST, learning_rate=1e-8), 2)
    batch = torch.rand(8, 3, 32, 32, generator=torch.Generator().manual_seed(1)) * 2 - 1
    labels, shared = torch.tensor([0, 1] * 4), context()
    losses = [float(trainer.step(batch, labels, shared)["discriminator"]) for _ in range(25)]
    assert losses[-1] < 0.1 * losses[0]


def test_without_a_choice_of_objective_a_step_is_the_logistic_game_bit_for_bit() -> None:
    batch = torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(1)) * 2 - 1
    torch.manual_seed(0)
    trainer = DcganTrainer(TINY, FAST, 0)
    trainer.step(batch, None, context())
    torch.manual_seed(0)
    byhand = DcganTrainer(TINY, FAST, 0)
    judge, shared = byhand.discriminator, context()
    batch = batch.contiguous(memory_format=torch.channels_last)
    fake = byhand.model(shared.draw(4, 8, device=batch.device))
    loss = F.softplus(-judge(batch)).mean() + F.softplus(judge(fake.detach())).mean()
    shared.update(loss, byhand.discriminator_optimiser)
    shared.update(F.softplus(-judge(fake)).mean(), byhand.generator_optimiser)
    for module, own in zip(trainer.modules().values(), byhand.modules().values(), strict=True):
        assert all(torch.equal(a, b) for a, b in zip(module.parameters(), own.parameters(), strict=True))


@pytest.mark.parametrize("objective", OBJECTIVES.names())
def test_under_every_objective_the_pictures_take_the_colours_of_the_data(objective: str, tmp_path: Path) -> None:
    red = two_colours().take(torch.arange(4))
    options = TrainOptions(tmp_path / "m.safetensors", batch=4, images=240, device="cpu", ema_images=20)
    config = dataclasses.replace(FAST, objective=objective)
    checkpoint = result_of(fit(RECIPES["dcgan"], TINY, config, red, options))
    with torch.no_grad():
        mean = checkpoint.build()(torch.randn(4, 8, generator=torch.Generator().manual_seed(0))).mean(dim=(2, 3))
    assert (mean[:, 0] > mean[:, 1] + 0.1).all()
    assert (mean[:, 0] > mean[:, 2] + 0.1).all()


@pytest.mark.parametrize("augment", ["", "colour,translation,cutout"])
def test_a_step_moves_both_networks_and_leaves_the_discriminator_trainable(augment: str) -> None:
    torch.manual_seed(0)
    trainer = DcganTrainer(TINY, dataclasses.replace(FAST, augment=augment), 0)
    before = {n: {k: v.clone() for k, v in m.state_dict().items()} for n, m in trainer.modules().items()}
    losses = trainer.step(torch.rand(4, 3, 32, 32) * 2 - 1, None, context())
    assert all(torch.isfinite(value) and not value.requires_grad for value in losses.values())
    for name, module in trainer.modules().items():
        for key, parameter in module.named_parameters():
            assert parameter.requires_grad
            assert not torch.equal(parameter, before[name][key]), f"{name}.{key}"


def test_the_same_random_numbers_give_the_same_step() -> None:
    states = []
    for _ in range(2):
        torch.manual_seed(0)
        trainer = DcganTrainer(TINY, dataclasses.replace(FAST, augment="colour"), 2)
        trainer.step(torch.linspace(-1, 1, 4 * 3 * 32 * 32).view(4, 3, 32, 32), torch.tensor([0, 1, 0, 1]), context())
        states.append(trainer.model.state_dict())
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])


def test_the_published_statistics_are_those_of_the_averaged_weights() -> None:
    torch.manual_seed(0)
    trainer = DcganTrainer(TINY, FAST, 2)
    model = trainer.model.eval()
    trainer.finish(model, two_colours(), torch.Generator().manual_seed(0))
    weights = F.one_hot(torch.arange(256) % 2, 2).float()
    first_norm = model.get_submodule("blocks.0.1")
    seen: list[torch.Tensor] = []
    handle = first_norm.register_forward_hook(lambda module, args, out: seen.append(out.detach()))
    with torch.no_grad():
        model(torch.randn(256, 8, generator=torch.Generator().manual_seed(1)), weights)
        spread = (seen[0].std(dim=(0, 2, 3)) / first_norm.get_parameter("weight")).mean()
    handle.remove()
    assert float(spread) == pytest.approx(1, abs=0.1)
    assert (model.w_mean[0] - model.w_mean[1]).abs().max() > 0


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"augment": "colour,swirl"}, "swirl.*colour, translation, cutout"),
        ({"learning_rate": 0.0}, "learning_rate is 0.0"),
        ({"beta1": float("nan")}, "beta1 is nan"),
        ({"objective": "wasserstein"}, "wasserstein.*minimax, non_saturating"),
    ],
)
def test_settings_out_of_bounds_are_one_sentence(settings: dict[str, object], sentence: str) -> None:
    with pytest.raises(StudioError, match=sentence):
        DcganTraining(**settings)  # type: ignore[arg-type]
