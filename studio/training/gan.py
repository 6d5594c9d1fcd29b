"""Recipes `gan` and `cgan`: the light generator against a projected discriminator, or one from scratch.

Projected: hinge loss (Lim & Ye 2017) summed over the heads (Sauer et al. 2021); the same generated batch serves both
players, so a step costs one generator pass and two feature passes. From scratch: the relativistic loss with R1 and R2
penalties on every fourth step (Huang et al. 2025, arXiv 2501.05441).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from studio.core.dataset import ImageSet
from studio.core.errors import InvalidRequest
from studio.core.kinds import LatentModel
from studio.models import bounds
from studio.models.augment import AUGMENTATIONS, augment
from studio.models.base import measure_w_mean
from studio.models.discriminator import ScratchDiscriminator, gradient_penalty
from studio.models.diversity import lack_of_diversity
from studio.models.gan import GanConfig, GanGenerator
from studio.models.losses_gan import hinge_by_heads
from studio.models.projected import PIXEL_CHANNELS, ProjectedDiscriminator
from studio.training.data import balanced_labels
from studio.training.recipe import RECIPES, Recipe, StepContext
from studio.training.tensors import freeze, sum_of

PENALTY_EVERY = 4  # steps
DEEP = slice(2, 4)  # maps on which pairs are compared: on shallow ones texture alone would pass for diversity
STATISTICS_IMAGES = 512  # pictures from which the published model's batch norm statistics are measured


@dataclass(frozen=True)
class GanTraining:
    """Settings of the adversarial game.

    Colour jitter and cutout help against overfitting on a few hundred pictures; over the first passes through thousands
    they only blind the discriminator.

    discriminator: "projected" or "scratch". augment: names joined by commas. class_warmup: pictures over which the
    class term grows from 0 to class_weight (projected). diversity: weight of `lack_of_diversity` (projected). gamma:
    weight of the penalties (scratch). blur_images: pictures over which real and generated pictures are blurred less
    and less (projected; Sauer et al. 2022, section 3). pixels: depth of each head on the pixels (projected).
    """

    discriminator: str = "projected"
    learning_rate: float = 2e-4
    discriminator_learning_rate: float = 5e-4
    augment: str = "translation"
    class_weight: float = 1.0
    class_warmup: int = 20_000
    diversity: float = 4.0
    gamma: float = 2.0
    blur_images: int = 0
    pixels: tuple[int, ...] = (3,)

    def __post_init__(self) -> None:
        if self.discriminator not in ("projected", "scratch"):
            raise InvalidRequest(f"discriminator must be projected or scratch; got {self.discriminator!r}.")
        unknown = [name for name in self.policy if name not in AUGMENTATIONS]
        if unknown:
            raise InvalidRequest(f"Unknown augmentation {unknown[0]!r}; known: {', '.join(AUGMENTATIONS)}.")
        for name in ("learning_rate", "discriminator_learning_rate", "gamma"):
            if not 0 < getattr(self, name) < 1000:
                raise InvalidRequest(f"{name} must be above 0 and below 1000; got {getattr(self, name)}.")
        for depth in self.pixels:
            bounds.whole("pixels", depth, 2, len(PIXEL_CHANNELS))
        for name in ("class_weight", "class_warmup", "diversity", "blur_images"):
            if not getattr(self, name) >= 0:
                raise InvalidRequest(f"{name} must not be negative; got {getattr(self, name)}.")

    @property
    def policy(self) -> tuple[str, ...]:
        return tuple(name for name in self.augment.split(",") if name)


class GanTrainer:
    """Generator and discriminator, each with Adam (β1 = 0)."""

    def __init__(self, model_config: GanConfig, config: GanTraining, class_count: int) -> None:
        self.config = config
        self.model: LatentModel = GanGenerator(model_config, class_count).to(memory_format=torch.channels_last)
        self.projected = config.discriminator == "projected"
        self.features: tuple[str, ...] = ("lite0",) if self.projected else ()
        if self.projected:
            self.discriminator: nn.Module = ProjectedDiscriminator(class_count, pixels=config.pixels)
        else:
            self.discriminator = ScratchDiscriminator(model_config, class_count)
        self.discriminator.to(memory_format=torch.channels_last)
        self.judging = [p for p in self.discriminator.parameters() if p.requires_grad]
        self.generator_optimiser = torch.optim.Adam(
            self.model.parameters(), config.learning_rate, (0.0, 0.99), foreach=True
        )
        self.discriminator_optimiser = torch.optim.Adam(
            self.judging, config.discriminator_learning_rate, (0.0, 0.99), foreach=True
        )

    def modules(self) -> dict[str, nn.Module]:
        """The frozen features stay out: they come from their package."""
        if isinstance(self.discriminator, ProjectedDiscriminator):
            return {"model": self.model, "mixing": self.discriminator.mixing, "heads": self.discriminator.heads}
        return {"model": self.model, "discriminator": self.discriminator}

    def optimisers(self) -> dict[str, torch.optim.Optimizer]:
        return {"generator": self.generator_optimiser, "discriminator": self.discriminator_optimiser}

    def to(self, device: torch.device) -> None:
        self.model.to(device)
        self.discriminator.to(device)

    def step(self, images: Tensor, labels: Tensor | None, context: StepContext) -> Mapping[str, Tensor]:
        z = context.draw(len(images), self.model.latent_dim, device=images.device)
        weights = None if labels is None else F.one_hot(labels, self.model.class_count).to(z.dtype)
        fake = self.model(z, weights)
        if self.projected:
            return self._projected_step(images, fake, labels, context)
        return self._scratch_step(images, fake, labels, context)

    def _projected_step(
        self, images: Tensor, fake: Tensor, labels: Tensor | None, context: StepContext
    ) -> Mapping[str, Tensor]:
        discriminator = self.discriminator
        assert isinstance(discriminator, ProjectedDiscriminator)
        policy, seen = self.config.policy, context.images
        class_weight = self.config.class_weight * min(1.0, seen / max(self.config.class_warmup, 1))
        sigma = 0.0 if not self.config.blur_images else 2.0 * max(0.0, 1 - seen / self.config.blur_images)
        with torch.no_grad():
            real_maps = discriminator.project(augment(blur(images, sigma), policy, context.generator))
        fake_maps = discriminator.project(augment(blur(fake, sigma), policy, context.generator))
        real, judged = discriminator.compare(real_maps, fake_maps, labels, class_weight)
        discriminator_loss = hinge_by_heads(real, judged)
        context.update(discriminator_loss, self.discriminator_optimiser)
        freeze(self.judging, True)
        generator_loss = -sum_of(f.mean() for f in discriminator.judge(fake_maps, labels, class_weight))
        lack = lack_of_diversity(real_maps[DEEP], fake_maps[DEEP])
        context.update(generator_loss + self.config.diversity * lack, self.generator_optimiser)
        freeze(self.judging, False)
        return {
            "discriminator": discriminator_loss.detach(),
            "generator": generator_loss.detach(),
            "lack_of_diversity": lack.detach(),
            "real_logit": sum_of(r.detach().mean() for r in real) / len(real),
            "fake_logit": sum_of(f.detach().mean() for f in judged) / len(judged),
        }

    def _scratch_step(
        self, images: Tensor, fake: Tensor, labels: Tensor | None, context: StepContext
    ) -> Mapping[str, Tensor]:
        policy = self.config.policy
        real_view = augment(images, policy, context.generator)
        fake_view = augment(fake, policy, context.generator)
        penalised = context.images // len(images) % PENALTY_EVERY == 0
        real_input, fake_input = real_view.detach(), fake_view.detach()
        real_input.requires_grad_(penalised)
        fake_input.requires_grad_(penalised)
        real, judged = self.discriminator(real_input, labels), self.discriminator(fake_input, labels)
        discriminator_loss = F.softplus(judged - real).mean()
        penalty = discriminator_loss.new_zeros(())
        if penalised:
            penalty = gradient_penalty(real, real_input) + gradient_penalty(judged, fake_input)
            penalty = self.config.gamma / 2 * PENALTY_EVERY * penalty
        context.update(discriminator_loss + penalty, self.discriminator_optimiser)
        freeze(self.judging, True)
        with torch.no_grad():
            real = self.discriminator(real_view, labels)
        generator_loss = F.softplus(real - self.discriminator(fake_view, labels)).mean()
        context.update(generator_loss, self.generator_optimiser)
        freeze(self.judging, False)
        return {
            "discriminator": discriminator_loss.detach(),
            "generator": generator_loss.detach(),
            "penalty": penalty.detach(),
        }

    def finish(self, model: LatentModel, data: ImageSet, generator: torch.Generator) -> None:
        """Batch norm statistics of the averaged weights, then the centres of truncation."""
        del data
        measure_statistics(model, generator)
        measure_w_mean(model)


@torch.no_grad()
def measure_statistics(model: LatentModel, generator: torch.Generator, batch: int = 32) -> None:
    """Replace the batch norm statistics by the mean over fresh, class-balanced batches of `batch` pictures."""
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # cumulative mean
        norm.train()
    device = model.w_mean.device
    for _ in range(max(STATISTICS_IMAGES // batch, 1)):
        z = torch.randn(batch, model.latent_dim, generator=generator).to(device)
        weights = None
        if model.class_count:
            labels = balanced_labels(batch, model.class_count, generator)
            weights = F.one_hot(labels, model.class_count).float().to(device)
        model(z, weights)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    model.eval()


def blur(x: Tensor, sigma: float) -> Tensor:
    """Gaussian blur of `sigma` px with reflected borders; nothing below 0.1. (B,C,H,W) → same."""
    if sigma < 0.1:
        return x
    reach = int(3 * sigma) + 1
    offsets = torch.arange(-reach, reach + 1, device=x.device, dtype=x.dtype)
    kernel = torch.exp(-offsets.square() / (2 * sigma**2))
    kernel = (kernel / kernel.sum()).expand(x.shape[1], 1, -1)
    x = F.conv2d(F.pad(x, (reach, reach, 0, 0), mode="reflect"), kernel[:, :, None], groups=x.shape[1])
    return F.conv2d(F.pad(x, (0, 0, reach, reach), mode="reflect"), kernel[..., None], groups=x.shape[1])


for _name, _conditional, _summary in (
    ("gan", False, "light generator without classes"),
    ("cgan", True, "light generator with the classes of the data"),
):
    RECIPES.add(_name, Recipe(_name, "gan", GanConfig, GanTraining, GanTrainer, _conditional, _summary))
