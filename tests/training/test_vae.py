"""The autoencoder recipes on toy data."""

import dataclasses
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from accelerate import Accelerator
from torch import nn

from studio.core.dataset import ImageSet
from studio.core.errors import InvalidRequest
from studio.core.progress import result_of
from studio.models.vae import Vae, VaeConfig
from studio.training.loop import fit
from studio.training.options import TrainOptions
from studio.training.recipe import RECIPES, StepContext
from studio.training.vae import VaeTrainer, VaeTraining, crossover, enlarged, fit_prior, posterior_samples

TINY = VaeConfig(resolution=32, channels=32, encoder_channels=16, latent_dim=8, width=16, class_dim=4, components=2)
FAST = VaeTraining(
    learning_rate=3e-3, feature_weight=0.0, adversarial=0.0, kl_weight=1e-3, kl_warmup=200, free_bits=0.0
)


class ToyFeatures(nn.Module):
    """Two maps of fixed random convolutions."""

    def __init__(self) -> None:
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv2d(3, c, 3, padding=1) for c in (6, 12))
        self.requires_grad_(False)

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        return [conv(F.avg_pool2d(x, 4 << i)) for i, conv in enumerate(self.convs)]


class ToyFeatures4(nn.Module):
    """Four maps at the strides and with the channels that the projected discriminator expects."""

    channels = (4, 6, 8, 10)

    def __init__(self) -> None:
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv2d(3, c, 1) for c in self.channels)
        self.requires_grad_(False)

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        return [conv(F.avg_pool2d(x, 4 << i)) for i, conv in enumerate(self.convs)]


def context(images: int = 0) -> StepContext:
    return StepContext(Accelerator(cpu=True), torch.Generator().manual_seed(0), images)


def pattern_set() -> ImageSet:
    """Eight pictures of four colours, light above or light below; class 0 is warm, class 1 is cold."""
    colours = torch.tensor([[1.0, 0, 0], [1, 0.7, 0], [0, 0, 1], [0, 0.8, 0.9]])
    slope = torch.linspace(1, 0.2, 32).view(1, 1, 32, 1).expand(1, 1, 32, 32)
    pictures = colours[:, :, None, None] * torch.cat([slope, slope.flip(2)]).repeat_interleave(4, 0).view(
        2, 4, 1, 32, 32
    )
    images = pictures.flatten(0, 1).mul(255).to(torch.uint8)
    return ImageSet(images, torch.tensor([0, 0, 1, 1] * 2), ("warm", "cold"), tuple("abcdefgh"))


def test_it_rebuilds_a_batch_it_has_seen_often() -> None:
    torch.manual_seed(0)
    data = pattern_set()
    trainer = VaeTrainer(TINY, dataclasses.replace(FAST, kl_weight=1e-4), 2)
    images = data.images.float().div(127.5).sub(1)
    shared = context()
    before = float(trainer.step(images, data.labels, shared)["pixels"])
    for _ in range(120):
        after = trainer.step(images, data.labels, shared)
    assert float(after["pixels"]) < 0.2 * before
    weights = F.one_hot(data.labels, 2).float()
    with torch.no_grad():
        mean, _ = trainer.model.encode(images, weights)
        rebuilt = trainer.model.synthesis(trainer.model.style(mean, weights))
    assert (rebuilt - images).abs().mean() < 0.1


def test_samples_have_the_colours_of_their_class(tmp_path: Path) -> None:
    options = TrainOptions(tmp_path / "m.safetensors", batch=8, images=640, device="cpu", ema_images=20, flip=False)
    checkpoint = result_of(fit(RECIPES["cvae"], TINY, FAST, pattern_set(), options))
    assert (checkpoint.kind, checkpoint.classes) == ("vae", ("warm", "cold"))
    model = checkpoint.build()
    with torch.no_grad():
        z = torch.randn(16, 9, generator=torch.Generator().manual_seed(0))
        mean = model(z, torch.eye(2).repeat(8, 1)).mean(dim=(2, 3))
    assert (mean[0::2, 0] > mean[0::2, 2] + 0.3).all()
    assert (mean[1::2, 2] > mean[1::2, 0] + 0.3).all()


def test_without_classes_it_trains_samples_and_names_no_features(tmp_path: Path) -> None:
    options = TrainOptions(tmp_path / "m.safetensors", batch=4, images=40, device="cpu")
    checkpoint = result_of(fit(RECIPES["vae"], TINY, FAST, pattern_set(), options))
    assert (checkpoint.kind, checkpoint.classes) == ("vae", ())
    assert checkpoint.provenance["training_features"] == []
    with torch.no_grad():
        assert torch.isfinite(checkpoint.build()(torch.randn(4, 9))).all()


def test_the_published_prior_is_fitted_to_the_posteriors() -> None:
    torch.manual_seed(0)
    data = pattern_set()
    model = Vae(TINY, 2).eval()
    assert model.encoder.head.bias is not None
    model.encoder.head.bias.data = torch.cat([torch.full((8,), 5.0), torch.full((8,), -10.0)])
    fit_prior(model, data, FAST, torch.Generator().manual_seed(0))
    samples = posterior_samples(model, data, torch.arange(8), torch.Generator().manual_seed(1))
    centre = (model.prior_log_weights.exp() @ model.prior_means).mean(dim=0)
    torch.testing.assert_close(centre, samples.mean(dim=0), atol=0.1, rtol=0)
    assert model.prior_scale.diagonal(dim1=1, dim2=2).max() < 0.5


def test_posterior_samples_come_in_the_order_asked_for() -> None:
    torch.manual_seed(0)
    data, model = pattern_set(), Vae(TINY, 2).eval()
    assert model.encoder.head.weight is not None
    model.encoder.head.weight.data.mul_(10)
    model.encoder.head.bias.data[8:] = -100  # clamped to the least variance
    forward = posterior_samples(model, data, torch.arange(8), torch.Generator().manual_seed(0))
    backward = posterior_samples(model, data, torch.arange(8).flip(0), torch.Generator().manual_seed(0))
    torch.testing.assert_close(forward, backward.flip(0), atol=0.1, rtol=0)


def test_the_divergence_counts_for_nothing_at_the_start_of_the_warm_up() -> None:
    config = dataclasses.replace(FAST, kl_weight=1.0, kl_warmup=100)
    images = pattern_set().images.float().div(127.5).sub(1)
    values = {}
    for seen in (0, 50, 100, 1000):
        torch.manual_seed(0)
        losses = VaeTrainer(TINY, config, 0).step(images, None, context(seen))
        values[seen] = float(losses["loss"] - losses["pixels"]) / float(losses["divergence"])
    assert values == pytest.approx({0: 0, 50: 0.5, 100: 1, 1000: 1}, abs=1e-3)


def test_features_are_named_and_pull_on_every_weight() -> None:
    torch.manual_seed(0)
    trainer = VaeTrainer(TINY, dataclasses.replace(FAST, feature_weight=1.0, feature_size=64), 2, ToyFeatures)
    data = pattern_set()
    losses = trainer.step(data.images.float().div(127.5).sub(1), data.labels, context())
    assert trainer.features == ("lite0",)
    assert float(losses["features"]) > 0
    assert list(trainer.modules()) == ["model"]
    for name, parameter in trainer.model.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name


def test_small_pictures_are_scaled_up_to_the_features_and_large_ones_are_left() -> None:
    assert enlarged(torch.zeros(1, 3, 32, 32), 96).shape == (1, 3, 96, 96)
    large = torch.rand(1, 3, 128, 128)
    assert torch.equal(enlarged(large, 96), large)


@pytest.mark.parametrize(
    "settings",
    [{"learning_rate": 0.0}, {"kl_weight": -1.0}, {"pyramid": 9}, {"prior_floor": 0.0}, {"kl_warmup": 0.5}],
)
def test_settings_out_of_bounds_name_the_field(settings: dict[str, object]) -> None:
    with pytest.raises(InvalidRequest, match=next(iter(settings))):
        VaeTraining(**settings)  # type: ignore[arg-type]


def adversary(**changes: float) -> VaeTrainer:
    torch.manual_seed(0)
    config = dataclasses.replace(FAST, adversarial=0.1, adversarial_from=16, feature_weight=0.5)
    return VaeTrainer(TINY, dataclasses.replace(config, **changes), 2, ToyFeatures4)  # type: ignore[arg-type]


def test_the_discriminator_learns_to_tell_what_the_autoencoder_makes() -> None:
    trainer = adversary(learning_rate=1e-8, discriminator_learning_rate=2e-3)
    images = pattern_set().images.float().div(127.5).sub(1)
    losses = [float(trainer.step(images, pattern_set().labels, context())["discriminator"]) for _ in range(30)]
    assert losses[-1] < 0.5 * losses[0]


def test_the_opinion_counts_from_its_time_on_and_pulls_on_every_weight() -> None:
    trainer = adversary()
    images, labels = pattern_set().images.float().div(127.5).sub(1), pattern_set().labels
    assert trainer.features == ("lite0",)
    assert set(trainer.modules()) == {"model", "mixing", "heads"}
    assert set(trainer.optimisers()) == {"model", "discriminator"}
    early, late = (trainer.step(images, labels, context(seen)) for seen in (8, 16))
    parts = {"pixels": 1.0, "divergence": 0.0, "features": 0.5}
    assert set(early) == {"loss", *parts, "discriminator", "opinion"}
    for losses, seen, weight in ((early, 8, 0.0), (late, 16, 0.1)):
        parts["divergence"] = FAST.kl_weight * seen / FAST.kl_warmup
        expected = sum(factor * float(losses[name]) for name, factor in parts.items())
        assert float(losses["loss"]) == pytest.approx(expected + weight * float(losses["opinion"]), abs=1e-4)
    assert all(p.requires_grad for p in trainer.judging)
    for name, parameter in trainer.model.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name


def test_crossover_keeps_every_number_and_mixes_rows_half_a_batch_apart() -> None:
    latent = torch.arange(24.0).view(6, 4)
    crossed = crossover(latent, context())
    assert torch.equal(crossed.sort(dim=0).values, latent)
    assert not torch.equal(crossed, latent)
    for row in range(3):
        assert ((crossed[row] == latent[row]) | (crossed[row] == latent[row + 3])).all()
    odd = torch.arange(20.0).view(5, 4)
    assert torch.equal(crossover(odd, context())[4], odd[4])
