"""Recipes `dcgan` and `cdcgan`: the game of Goodfellow et al. 2014 with the networks of Radford et al. 2015.

Both players use the logistic loss, the generator in its non-saturating form, unless another objective is chosen. One
generated batch serves both, so a step costs one generator pass. The paper has no augmentation; here it can be switched
on (Zhao et al. 2020).
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
from studio.models.dcgan import Dcgan, DcganConfig, DcganDiscriminator
from studio.models.losses_gan import OBJECTIVES
from studio.training.gan import measure_statistics
from studio.training.recipe import RECIPES, Recipe, StepContext
from studio.training.tensors import freeze


@dataclass(frozen=True)
class DcganTraining:
    """Settings of the game, by Radford et al. 2015, section 4.

    beta1: of Adam. augment: names joined by commas. objective: a name of the table of objectives.
    """

    learning_rate: float = 2e-4
    discriminator_learning_rate: float = 2e-4
    beta1: float = 0.5
    augment: str = ""
    objective: str = "non_saturating"

    def __post_init__(self) -> None:
        bounds.real("learning_rate", self.learning_rate, 1e-8, 1)
        bounds.real("discriminator_learning_rate", self.discriminator_learning_rate, 1e-8, 1)
        bounds.real("beta1", self.beta1, 0, 0.999)
        OBJECTIVES[self.objective]
        for name in self.policy:
            if name not in AUGMENTATIONS:
                raise InvalidRequest(f"Unknown augmentation {name[:80]!r}; known: {', '.join(AUGMENTATIONS)}.")

    @property
    def policy(self) -> tuple[str, ...]:
        """The augmentations by name."""
        return tuple(name for name in self.augment.split(",") if name)


class DcganTrainer:
    """Generator and discriminator, each with Adam."""

    features: tuple[str, ...] = ()

    def __init__(self, model_config: DcganConfig, config: DcganTraining, class_count: int) -> None:
        self.config = config
        self.model: LatentModel = Dcgan(model_config, class_count).to(memory_format=torch.channels_last)
        self.discriminator = DcganDiscriminator(model_config, class_count).to(memory_format=torch.channels_last)
        self.judging = list(self.discriminator.parameters())
        betas = (config.beta1, 0.999)
        self.generator_optimiser = torch.optim.Adam(self.model.parameters(), config.learning_rate, betas, foreach=True)
        self.discriminator_optimiser = torch.optim.Adam(
            self.judging, config.discriminator_learning_rate, betas, foreach=True
        )

    def modules(self) -> dict[str, nn.Module]:
        return {"model": self.model, "discriminator": self.discriminator}

    def optimisers(self) -> dict[str, torch.optim.Optimizer]:
        return {"generator": self.generator_optimiser, "discriminator": self.discriminator_optimiser}

    def to(self, device: torch.device) -> None:
        self.model.to(device)
        self.discriminator.to(device)

    def step(self, images: Tensor, labels: Tensor | None, context: StepContext) -> Mapping[str, Tensor]:
        policy = self.config.policy
        z = context.draw(len(images), self.model.latent_dim, device=images.device)
        weights = None if labels is None else F.one_hot(labels, self.model.class_count).to(z.dtype)
        real = augment(images.contiguous(memory_format=torch.channels_last), policy, context.generator)
        fake = augment(self.model(z, weights), policy, context.generator)
        real_logits = self.discriminator(real, weights)
        fake_logits = self.discriminator(fake.detach(), weights)
        objective = OBJECTIVES[self.config.objective]
        discriminator_loss = objective.discriminator(real_logits, fake_logits)
        context.update(discriminator_loss, self.discriminator_optimiser)
        freeze(self.judging, True)
        against = real_logits.detach()
        if objective.compares:
            with torch.no_grad():
                against = self.discriminator(real, weights)
        generator_loss = objective.generator(against, self.discriminator(fake, weights))
        context.update(generator_loss, self.generator_optimiser)
        freeze(self.judging, False)
        return {
            "discriminator": discriminator_loss.detach(),
            "generator": generator_loss.detach(),
            "real_logit": real_logits.detach().mean(),
            "fake_logit": fake_logits.detach().mean(),
        }

    def finish(self, model: LatentModel, data: ImageSet, generator: torch.Generator) -> None:
        """Batch norm statistics of the averaged weights, then the centres of truncation."""
        del data
        measure_statistics(model, generator)
        measure_w_mean(model)


for _name, _conditional, _summary in (
    ("dcgan", False, "DCGAN of Radford et al. 2015 without classes"),
    ("cdcgan", True, "DCGAN with the classes of the data"),
):
    RECIPES.add(_name, Recipe(_name, "dcgan", DcganConfig, DcganTraining, DcganTrainer, _conditional, _summary))
