"""Recipes `vae` and `cvae`: a variational autoencoder on L1 and feature losses, then a prior fitted to its posteriors.

The Kullback-Leibler term grows from nothing over a warm-up and leaves each dimension its free bits, against posteriors
that collapse. The features are EfficientNet-Lite0's: a model trained so must not be judged on them.

L1 alone paints the mean of all that could be, which is fog. So a projected discriminator may judge the rebuilt pictures
too (VAE/GAN, Larsen et al. 2016, arXiv 1512.09300); the feature distance is then taken on its mixed maps, as their
similarity metric was on their discriminator's (section 2.2).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from studio.core.dataset import ImageSet
from studio.core.kinds import LatentModel
from studio.models import bounds
from studio.models.base import measure_w_mean
from studio.models.lite0 import Lite0Features
from studio.models.losses_gan import hinge_by_heads
from studio.models.losses_vae import feature_distance, free_divergence, pyramid_l1, sample_posterior
from studio.models.mixture import fit
from studio.models.projected import ProjectedDiscriminator
from studio.models.vae import Vae, VaeConfig
from studio.training.recipe import RECIPES, Recipe, StepContext
from studio.training.tensors import freeze, sum_of

ENCODE_BATCH = 64


@dataclass(frozen=True)
class VaeTraining:
    """Weights of the losses and the fit of the prior.

    feature_weight: of the feature distance beside the L1 of weight 1; 0 does without the features. feature_size: px to
    which smaller pictures are scaled before the features (at 128 they take half of a step's time at 64 px). pyramid:
    Laplacian levels of the L1. kl_weight: of the KL divergence in nats a picture. free_bits: nats that each latent
    dimension has for nothing. kl_warmup: pictures over which kl_weight grows from 0. adversarial: weight of the
    discriminator's opinion, 0 does without one; adversarial_from: pictures after which it begins to count;
    discriminator_learning_rate. prior_images, prior_steps:
    pictures to which, and EM steps with which, the prior is fitted. prior_floor: least variance.
    """

    learning_rate: float = 5e-4
    feature_weight: float = 0.3
    feature_size: int = 96
    pyramid: int = 3
    kl_weight: float = 2e-4
    free_bits: float = 0.05
    kl_warmup: int = 5_000
    adversarial: float = 0.02
    adversarial_from: int = 6_000
    discriminator_learning_rate: float = 2e-4
    prior_images: int = 4_096
    prior_steps: int = 20
    prior_floor: float = 1e-3

    def __post_init__(self) -> None:
        bounds.real("learning_rate", self.learning_rate, 1e-8, 1)
        bounds.real("discriminator_learning_rate", self.discriminator_learning_rate, 1e-8, 1)
        for name in ("feature_weight", "kl_weight", "free_bits", "adversarial"):
            bounds.real(name, getattr(self, name), 0, 1000)
        bounds.whole("adversarial_from", self.adversarial_from, 0, 10**12)
        bounds.whole("feature_size", self.feature_size, 32, 512)
        bounds.whole("pyramid", self.pyramid, 1, 4)
        bounds.whole("kl_warmup", self.kl_warmup, 0, 10**12)
        bounds.whole("prior_images", self.prior_images, 1, 10**9)
        bounds.whole("prior_steps", self.prior_steps, 1, 10_000)
        bounds.real("prior_floor", self.prior_floor, 1e-4, 1)


class VaeTrainer:
    """Encoder and decoder under one Adam, and a discriminator under another where one is asked for."""

    def __init__(
        self,
        model_config: VaeConfig,
        config: VaeTraining,
        class_count: int,
        features: Callable[[], nn.Module] = Lite0Features,
    ) -> None:
        self.config = config
        self.model: Vae = Vae(model_config, class_count).to(memory_format=torch.channels_last)
        self.features: tuple[str, ...] = ("lite0",) if config.feature_weight or config.adversarial else ()
        self.extractor: nn.Module | None = None
        self.discriminator: ProjectedDiscriminator | None = None
        if config.adversarial:
            self.discriminator = ProjectedDiscriminator(class_count, features).to(memory_format=torch.channels_last)
        elif config.feature_weight:
            self.extractor = features().to(memory_format=torch.channels_last)
        self.optimiser = torch.optim.Adam(self.model.parameters(), config.learning_rate, (0.9, 0.99), foreach=True)
        self.judging = list(self.discriminator.heads.parameters()) if self.discriminator else []
        self.judging_optimiser = (
            torch.optim.Adam(self.judging, config.discriminator_learning_rate, (0.0, 0.99), foreach=True)
            if self.judging
            else None
        )

    def modules(self) -> dict[str, nn.Module]:
        """The frozen features stay out: they come from their package."""
        if self.discriminator is None:
            return {"model": self.model}
        return {"model": self.model, "mixing": self.discriminator.mixing, "heads": self.discriminator.heads}

    def optimisers(self) -> dict[str, torch.optim.Optimizer]:
        if self.judging_optimiser is None:
            return {"model": self.optimiser}
        return {"model": self.optimiser, "discriminator": self.judging_optimiser}

    def to(self, device: torch.device) -> None:
        for module in (self.model, self.extractor, self.discriminator):
            if module is not None:
                module.to(device)

    def step(self, images: Tensor, labels: Tensor | None, context: StepContext) -> Mapping[str, Tensor]:
        config = self.config
        images = images.contiguous(memory_format=torch.channels_last)
        weights = None if labels is None else F.one_hot(labels, self.model.class_count).to(images.dtype)
        mean, log_variance = (half.float() for half in self.model.encode(images, weights))
        latent = sample_posterior(mean, log_variance, context.draw(*mean.shape, device=images.device))
        rebuilt = self.model.synthesis(self.model.style(latent, weights)).float()
        pixels = pyramid_l1(rebuilt, images, config.pyramid)
        divergence = free_divergence(mean, log_variance, config.free_bits)
        warm = min(1.0, context.images / config.kl_warmup) if config.kl_warmup else 1.0
        loss = pixels + warm * config.kl_weight * divergence
        logged = {"pixels": pixels.detach(), "divergence": divergence.detach()}
        if self.extractor is not None:
            size = config.feature_size
            perceived = feature_distance(
                self.extractor(enlarged(rebuilt, size)), self.extractor(enlarged(images, size))
            )
            loss = loss + config.feature_weight * perceived
            logged["features"] = perceived.detach()
        if self.discriminator is not None:
            crossed = self.model.synthesis(
                self.model.style(crossover(latent.detach(), context), weights)[: len(latent) // 2]
            )
            perceived, opinion = self._judged(images, rebuilt, crossed.float(), labels, context, logged)
            loss = loss + config.feature_weight * perceived
            if context.images >= config.adversarial_from:
                loss = loss + config.adversarial * opinion
            logged["features"] = perceived.detach()
        context.update(loss, self.optimiser)
        freeze(self.judging, False)
        return {"loss": loss.detach(), **logged}

    def _judged(
        self,
        images: Tensor,
        rebuilt: Tensor,
        crossed: Tensor,
        labels: Tensor | None,
        context: StepContext,
        logged: dict[str, Tensor],
    ) -> tuple[Tensor, Tensor]:
        """Feature distance of the rebuilt pictures, and the adversarial loss of them and of `crossed`, new ones.

        The discriminator learns first (hinge loss) and is held from then on, until the caller lets it go.
        """
        discriminator, optimiser = self.discriminator, self.judging_optimiser
        assert discriminator is not None
        assert optimiser is not None
        fake_labels = None if labels is None else torch.cat([labels, labels[: len(crossed)]])
        with torch.no_grad():
            real_maps = discriminator.project(images)
        fake_maps = discriminator.project(torch.cat([rebuilt, crossed]))
        real = discriminator.judge(real_maps, labels)
        fake = discriminator.judge([x.detach() for x in fake_maps], fake_labels)
        hinge = hinge_by_heads(real, fake)
        context.update(hinge, optimiser)
        freeze(self.judging, True)
        opinion = -sum_of(f.mean() for f in discriminator.judge(fake_maps, fake_labels))
        perceived = feature_distance([x[: len(images)] for x in fake_maps[:-1]], real_maps[:-1])  # the last: pixels
        logged.update(discriminator=hinge.detach(), opinion=opinion.detach())
        return perceived, opinion

    def finish(self, model: LatentModel, data: ImageSet, generator: torch.Generator) -> None:
        """Fit the prior to samples of the averaged model's posteriors, then measure the centres of truncation."""
        if not isinstance(model, Vae):
            raise TypeError(f"expected a Vae, not a {type(model).__name__}")
        fit_prior(model, data, self.config, generator)
        measure_w_mean(model)


def crossover(latent: Tensor, context: StepContext) -> Tensor:
    """Each dimension from row i or from row i + B/2, by chance: new points with the marginals of the posteriors.

    Rows that far apart have the same class (`studio.training.data.balanced_labels`). (B,D) → (B,D), the second half
    being what the first one left.
    """
    half = len(latent) // 2
    own = torch.rand(half, latent.shape[1], generator=context.generator).to(latent.device) < 0.5
    first, second = latent[:half], latent[half : 2 * half]
    return torch.cat([torch.where(own, first, second), torch.where(own, second, first), latent[2 * half :]])


def enlarged(x: Tensor, size: int) -> Tensor:
    """Pictures of less than `size` px scaled to it. (B,3,R,R) → (B,3,S,S)."""
    if x.shape[-1] < size:
        x = F.interpolate(x, size=(size, size), mode="bilinear", align_corners=False)
    return x.contiguous(memory_format=torch.channels_last)


@torch.no_grad()
def posterior_samples(model: Vae, data: ImageSet, index: Tensor, generator: torch.Generator) -> Tensor:
    """One sample of the posterior of each picture at `index` (N,) → (N,D), on the CPU."""
    device, samples = model.w_mean.device, []
    for chunk in index.split(ENCODE_BATCH):
        images = data.images[chunk].to(device).float().div(127.5).sub(1)
        weights = None
        if model.class_count:
            weights = F.one_hot(data.labels[chunk], model.class_count).float().to(device)
        mean, log_variance = (half.cpu() for half in model.encode(images, weights))
        samples.append(sample_posterior(mean, log_variance, torch.randn(mean.shape, generator=generator)))
    return torch.cat(samples)


def fit_prior(model: Vae, data: ImageSet, config: VaeTraining, generator: torch.Generator) -> None:
    """Fit the mixture prior to posterior samples of at most `prior_images` pictures, in place.

    A data set with fewer pictures than components gives several samples of each.
    """
    index = torch.randperm(len(data), generator=generator)[: config.prior_images]
    components = model.config.components
    index = index.repeat(-(-components // len(index)))
    samples = posterior_samples(model, data, index, generator)
    mixture = fit(
        samples,
        components,
        generator,
        labels=data.labels[index] if model.class_count else None,
        classes=max(model.class_count, 1),
        covariance=model.config.covariance,
        floor=config.prior_floor,
        steps=config.prior_steps,
    )
    model.set_prior(mixture)


for _name, _conditional, _summary in (
    ("vae", False, "variational autoencoder without classes"),
    ("cvae", True, "variational autoencoder with the classes of the data"),
):
    RECIPES.add(_name, Recipe(_name, "vae", VaeConfig, VaeTraining, VaeTrainer, _conditional, _summary))
