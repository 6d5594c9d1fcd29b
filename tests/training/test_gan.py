"""The adversarial recipes on toy data."""

import dataclasses
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from studio.core.dataset import ImageSet
from studio.core.errors import InvalidRequest
from studio.core.progress import result_of
from studio.models.augment import augment, cut_out, jitter_colour, translate
from studio.models.gan import GanConfig, GanGenerator, without_classes
from studio.models.projected import MIXED, PixelHead, ProjectedDiscriminator
from studio.training.data import LabelledBatches, balanced_labels
from studio.training.gan import GanTrainer, GanTraining, blur, lack_of_diversity, measure_statistics
from studio.training.loop import fit
from studio.training.options import TrainOptions
from studio.training.recipe import RECIPES

TINY = GanConfig(resolution=32, latent_dim=8, embedding=4, capacity=0.1)


class ToyFeatures(nn.Module):
    """Four maps of the right strides from fixed random convolutions."""

    channels = (24, 40, 112, 320)

    def __init__(self) -> None:
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv2d(3, c, 1) for c in self.channels)
        self.requires_grad_(False)

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        return [conv(F.avg_pool2d(x, 4 << i)) for i, conv in enumerate(self.convs)]


def test_scratch_recipe_learns_two_colours(tmp_path: Path) -> None:
    """Red pictures of class 0, blue ones of class 1: after a minute part the classes have their colours."""
    images = torch.zeros(8, 3, 32, 32, dtype=torch.uint8)
    images[:4, 0], images[4:, 2] = 255, 255
    data = ImageSet(images, torch.tensor([0] * 4 + [1] * 4), ("red", "blue"), tuple("abcdefgh"))
    config = GanTraining(
        discriminator="scratch", augment="", learning_rate=2e-3, discriminator_learning_rate=2e-3, gamma=0.5
    )
    options = TrainOptions(tmp_path / "m.safetensors", batch=8, images=800, device="cpu", ema_images=50)
    model = result_of(fit(RECIPES["cgan"], TINY, config, data, options)).build()
    with torch.no_grad():
        pictures = model(torch.randn(8, 8, generator=torch.Generator().manual_seed(0)), torch.eye(2).repeat(4, 1))
    mean = pictures.mean(dim=(2, 3))
    assert (mean[0::2, 0] > mean[0::2, 2] + 0.3).all()
    assert (mean[1::2, 2] > mean[1::2, 0] + 0.3).all()


def test_projected_discriminator_tells_a_batch_apart() -> None:
    torch.manual_seed(0)
    discriminator = ProjectedDiscriminator(2, ToyFeatures)
    generator = torch.Generator().manual_seed(0)
    light, dark = torch.rand(4, 3, 64, 64, generator=generator), -torch.rand(4, 3, 64, 64, generator=generator)
    labels = torch.tensor([0, 1, 0, 1])
    optimiser = torch.optim.Adam(discriminator.heads.parameters(), 2e-3, (0.0, 0.99))
    for _ in range(40):
        real, fake = discriminator(light, labels), discriminator(dark, labels)
        loss = sum(F.relu(1 - r).mean() + F.relu(1 + f).mean() for r, f in zip(real, fake, strict=True))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert float(loss.detach()) < 0.5
    assert len(real) == len(MIXED) + 1  # the last sees the pixels


def test_class_enters_the_two_deepest_heads_of_features_alone() -> None:
    torch.manual_seed(0)
    discriminator = ProjectedDiscriminator(2, ToyFeatures).eval()
    x = torch.rand(1, 3, 128, 128)
    one, other = discriminator(x, torch.tensor([0])), discriminator(x, torch.tensor([1]))
    assert [bool(torch.allclose(a, b)) for a, b in zip(one, other, strict=True)] == [True, True, False, False, True]
    without = discriminator(x, torch.tensor([1]), class_weight=0.0)
    assert all(torch.allclose(a, b) for a, b in zip(without, discriminator(x, None), strict=True))


def test_real_and_fake_are_compared_at_once_as_they_are_judged_apart() -> None:
    torch.manual_seed(0)
    discriminator = ProjectedDiscriminator(2, ToyFeatures).eval()
    real, fake = (discriminator.project(torch.rand(2, 3, 64, 64).requires_grad_()) for _ in range(2))
    labels = torch.tensor([0, 1])
    for given in (labels, None):
        both = discriminator.compare(real, fake, given, 0.7)
        for together, maps in zip(both, (real, fake), strict=True):
            torch.testing.assert_close(together, discriminator.judge(maps, given, 0.7))
    sum(x.sum() for x in both[1]).backward()
    assert discriminator.heads[0].logit.bias.grad is not None
    with pytest.raises(RuntimeError, match="not have been used"):
        torch.autograd.grad(discriminator.compare(real, fake, labels)[1][0].sum(), fake[0])


def test_pixel_head_sees_a_lattice_of_one_pixel_that_means_hide() -> None:
    torch.manual_seed(0)
    head = PixelHead()
    flat = torch.zeros(1, 3, 32, 32)
    lattice = flat.clone()
    lattice[..., ::2, ::2], lattice[..., 1::2, 1::2] = 0.5, -0.5
    assert torch.equal(F.avg_pool2d(lattice, 2), F.avg_pool2d(flat, 2))
    with torch.no_grad():
        logits, unlike = head(lattice, None, 1.0), head(flat, None, 1.0)
    assert logits.shape == (1, 16)
    assert float((logits - unlike).abs().mean()) > 1e-3


@pytest.mark.parametrize(("depth", "patch"), [(2, 10), (3, 22), (4, 46), (5, 94)])
def test_a_logit_of_a_pixel_head_sees_a_patch_of_its_depth(depth: int, patch: int) -> None:
    torch.manual_seed(0)
    x = torch.zeros(1, 3, 128, 128, requires_grad=True)
    logits = PixelHead(depth)(x, None, 1.0)
    side = 128 >> depth
    assert logits.shape == (1, side**2)
    (gradient,) = torch.autograd.grad(logits[0, (side // 2) * (side + 1)], x)
    seen = gradient.abs().sum(dim=(0, 1)).nonzero()
    assert (seen.max(dim=0).values - seen.min(dim=0).values + 1).tolist() == [patch, patch]


def test_several_heads_may_see_the_pixels() -> None:
    torch.manual_seed(0)
    discriminator = ProjectedDiscriminator(2, ToyFeatures, pixels=(3, 5))
    judged = discriminator(torch.rand(2, 3, 128, 128), torch.tensor([0, 1]))
    assert [logits.shape[1] for logits in judged[len(MIXED) :]] == [16 * 16, 4 * 4]
    with pytest.raises(InvalidRequest, match="pixels"):
        GanTraining(pixels=(3, 6))


def test_lack_of_diversity_is_one_a_map_for_copies_and_zero_for_a_spread_like_the_real() -> None:
    real = [torch.tensor([[0.0, 0.0], [1.0, -1.0]]).view(2, 1, 1, 2)]
    copies, quarter = torch.zeros(2, 1, 1, 2), real[0] / 4
    recoloured = torch.tensor([0.0, 5.0]).view(2, 1, 1, 1).expand(2, 1, 1, 2)
    assert float(lack_of_diversity(real, [copies])) == 1.0
    assert float(lack_of_diversity(real, [recoloured])) == 1.0
    assert float(lack_of_diversity(real, [quarter])) == 0.75
    assert float(lack_of_diversity(real, real)) == 0.0


def test_real_pairs_that_are_all_alike_set_no_goal_and_leave_the_gradient_finite() -> None:
    alike, fake = torch.ones(2, 1, 1, 2), torch.tensor([[0.0, 0.0], [1.0, -1.0]]).view(2, 1, 1, 2).requires_grad_()
    lack = lack_of_diversity([alike], [fake])
    lack.backward()
    assert float(lack.detach()) == 0.0
    assert fake.grad is not None
    assert torch.equal(fake.grad, torch.zeros_like(fake))


def test_balanced_labels_pair_the_halves_and_take_turns() -> None:
    generator = torch.Generator().manual_seed(0)
    labels = balanced_labels(16, 8, generator)
    assert torch.equal(labels[:8], labels[8:])
    assert labels[:8].sort().values.tolist() == list(range(8))
    counts = torch.stack([balanced_labels(4, 3, generator).bincount(minlength=3) for _ in range(300)]).sum(0)
    assert counts.min() > 300


def test_batches_draw_rare_classes_as_often(tmp_path: Path) -> None:
    labels = torch.tensor([0] * 99 + [1])
    images = labels.view(-1, 1, 1, 1).mul(255).expand(-1, 3, 32, 32).to(torch.uint8)
    data = ImageSet(images, labels, ("often", "rare"), ("f",) * 100)
    batches = LabelledBatches(data, 8, True, True, torch.device("cpu"))
    drawn, drawn_labels = batches.draw(torch.Generator().manual_seed(0))
    assert drawn_labels is not None
    assert drawn_labels.sum() == 4
    assert torch.equal(drawn.mean(dim=(1, 2, 3)), drawn_labels.float() * 2 - 1)


def test_translation_moves_whole_pixels_and_brings_in_zeros() -> None:
    x = torch.ones(64, 1, 8, 8)
    moved = translate(x, torch.Generator().manual_seed(0))
    assert set(moved.unique().tolist()) == {0.0, 1.0}
    assert set(moved.sum(dim=(1, 2, 3)).tolist()) <= {64.0, 56.0, 49.0}


def test_cutout_blanks_a_square_of_the_ratio_at_most() -> None:
    cut = cut_out(torch.ones(32, 3, 20, 20), torch.Generator().manual_seed(0), ratio=0.5)
    blank = (cut[:, 0] == 0).sum(dim=(1, 2))
    assert blank.max() <= 121
    assert blank.min() >= 25
    assert torch.equal(cut[:, 0], cut[:, 2])


def test_colour_jitter_of_a_grey_picture_stays_grey() -> None:
    jittered = jitter_colour(torch.full((4, 3, 4, 4), 0.25), torch.Generator().manual_seed(0))
    assert torch.allclose(jittered[:, 0], jittered[:, 1])
    assert (jittered - 0.25).abs().max() <= 0.5 + 1e-6


def test_augmentation_passes_gradients() -> None:
    x = torch.rand(2, 3, 16, 16, requires_grad=True)
    augment(x, ("colour", "translation", "cutout"), torch.Generator().manual_seed(0)).sum().backward()
    assert x.grad is not None
    assert x.grad.abs().sum() > 0


def test_blur_keeps_a_flat_picture_and_the_mean() -> None:
    flat = torch.full((1, 3, 32, 32), 0.5)
    assert torch.allclose(blur(flat, 1.5), flat, atol=1e-6)
    point = torch.zeros(1, 1, 33, 33)
    point[..., 16, 16] = 1
    blurred = blur(point, 2.0)
    assert abs(float(blurred.sum()) - 1) < 1e-5
    assert float(blurred[..., 16, 16]) == pytest.approx(1 / (2 * torch.pi * 4), rel=0.02)


def test_measured_statistics_normalise_the_models_own_maps() -> None:
    torch.manual_seed(0)
    model = GanGenerator(TINY, 2).eval()
    measure_statistics(model, torch.Generator().manual_seed(0))
    maps = []
    model.start_norm.register_forward_hook(lambda module, args, output: maps.append(output))
    with torch.no_grad():
        model(torch.randn(256, 8), torch.eye(2).repeat(128, 1))
    assert maps[0].mean(dim=(0, 2, 3)).abs().max() < 0.25
    assert (maps[0].std(dim=(0, 2, 3)) - 1).abs().max() < 0.25


def test_generator_without_classes_equals_the_conditional_one_at_the_mix() -> None:
    torch.manual_seed(0)
    model = GanGenerator(TINY, 3).eval()
    mix, z = torch.tensor([0.5, 0.2, 0.3]), torch.randn(4, 8)
    plain = without_classes(model, mix).eval()
    with torch.no_grad():
        assert torch.allclose(plain(z), model(z, mix.expand(4, 3)), atol=1e-5)


def test_penalty_enters_on_every_fourth_step(tmp_path: Path) -> None:
    data = ImageSet(torch.zeros(4, 3, 32, 32, dtype=torch.uint8), torch.zeros(4).long(), (), tuple("abcd"))
    options = TrainOptions(tmp_path / "m.safetensors", batch=4, images=20, device="cpu", snapshot_images=4)
    items = list(fit(RECIPES["gan"], TINY, GanTraining(discriminator="scratch"), data, options))
    penalties = [item.metrics["penalty"] > 0 for item in items if "penalty" in item.metrics]
    assert penalties == [True, False, False, False, True]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"discriminator": "oracle"}, "projected or scratch"),
        ({"augment": "colour,rotation"}, "Unknown augmentation 'rotation'"),
        ({"learning_rate": float("nan")}, "learning_rate must be above 0"),
        ({"class_weight": -1.0}, "class_weight must not be negative"),
    ],
)
def test_settings_out_of_range_are_refused(change: dict[str, object], sentence: str) -> None:
    with pytest.raises(InvalidRequest, match=sentence):
        dataclasses.replace(GanTraining(), **change)  # type: ignore[arg-type]


def test_trainer_keeps_frozen_features_out_of_its_state(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ProjectedDiscriminator.__init__, "__defaults__", (ToyFeatures, 0, (3,)))
    trainer = GanTrainer(TINY, GanTraining(), 2)
    assert set(trainer.modules()) == {"model", "mixing", "heads"}
    assert trainer.features == ("lite0",)
