"""Recipes `egan` and `cegan`: the evolutionary GAN of Wang et al. 2018 (arXiv 1803.00657), as a true population method.

A generation: every survivor bears a child by each mutation, an objective on which the child takes one step; children
are judged by one discriminator (fitness = F_q + γ F_d, section III-C) and the best replace their parents; then the
discriminator learns from the survivors' pictures. With 3 children, 1 survivor and neither crossover nor mutation of
weights this is the paper's algorithm 1. Departures from it: the discriminator takes one step a generation (the paper's
takes two or three); all children of a generation see the same noise and are judged on the same pictures, so that luck
decides less; and the discriminator's step uses the gradients that were measured for F_d, which are those of its loss on
the survivors' pictures, so that it costs nothing. With an interval a generation comes every so many steps only; in
between survivors and discriminator play the ordinary game, each survivor by the objective that made it.

Under several processes every one holds the whole population and its own part of the batch.
"""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from accelerate import PartialState
from PIL import Image
from torch import Tensor, nn

from studio.core.dataset import ImageSet
from studio.core.errors import InvalidRequest
from studio.core.images import save_png
from studio.core.kinds import LatentModel
from studio.models import bounds
from studio.models.base import measure_w_mean
from studio.models.blocks import Noise
from studio.models.dcgan import Dcgan, DcganConfig, DcganDiscriminator
from studio.models.discriminator import ScratchDiscriminator
from studio.models.gan import GanConfig, GanGenerator
from studio.models.losses_gan import OBJECTIVES, Objective, diversity, mutation, quality
from studio.training.family import Family, Generation, GenerationLog
from studio.training.family_sheet import family_tree
from studio.training.gan import measure_statistics
from studio.training.options import TrainOptions
from studio.training.population import Birth, Member, births, conceive, shake
from studio.training.recipe import RECIPES, Recipe, StepContext
from studio.training.snapshots import SnapshotGrid
from studio.training.tensors import freeze

MAX_POPULATION = 32


@dataclass(frozen=True)
class EganTraining:
    """Settings of the evolution.

    objective: what the discriminator learns by (the paper: minimax). mutations: objectives joined by commas.
    population: children a generation. survivors: how many of them go on. interval: steps from one generation to the
    next (the paper: 1). crossover: probability that a child has a
    second parent. weight_mutation: probability that a child's weights are mutated at random too, by mutation_scale of
    each tensor's root mean square. gamma: of diversity against quality (the authors' code for CIFAR-10: 0.004).
    beta1: of Adam.
    """

    objective: str = "minimax"
    mutations: str = "minimax,non_saturating,least_squares"
    population: int = 3
    survivors: int = 1
    interval: int = 1
    crossover: float = 0.0
    weight_mutation: float = 0.0
    mutation_scale: float = 0.01
    gamma: float = 0.004
    learning_rate: float = 2e-4
    discriminator_learning_rate: float = 2e-4
    beta1: float = 0.5

    def __post_init__(self) -> None:
        for name in (self.objective, *self.names):
            OBJECTIVES[name]
        if len(set(self.names)) < len(self.names):
            raise InvalidRequest(f"mutations names one twice: {self.mutations[:80]!r}; name each once.")
        bounds.whole("population", self.population, 1, MAX_POPULATION)
        bounds.whole("survivors", self.survivors, 1, self.population)
        bounds.whole("interval", self.interval, 1, 1_000_000)
        for name in ("crossover", "weight_mutation", "mutation_scale"):
            bounds.real(name, getattr(self, name), 0, 1)
        bounds.real("gamma", self.gamma, 0, 1000)
        bounds.real("learning_rate", self.learning_rate, 1e-8, 1)
        bounds.real("discriminator_learning_rate", self.discriminator_learning_rate, 1e-8, 1)
        bounds.real("beta1", self.beta1, 0, 0.999)

    @property
    def names(self) -> tuple[str, ...]:
        """The mutations by name."""
        return tuple(self.mutations.split(","))


@dataclass(frozen=True)
class Players:
    """A generator kind that can be evolved. one_hot: whether its discriminator takes classes as weights (B,K)."""

    config: type[Any]
    generator: Callable[[Any, int], LatentModel]
    discriminator: Callable[[Any, int], nn.Module]
    one_hot: bool


PLAYERS = {
    "dcgan": Players(DcganConfig, Dcgan, DcganDiscriminator, one_hot=True),
    "gan": Players(GanConfig, GanGenerator, ScratchDiscriminator, one_hot=False),
}


class EganTrainer:
    """Survivors, places for children, one discriminator. The model in training is the best survivor.

    A start from a checkpoint gives its weights to the first survivor.
    """

    features: tuple[str, ...] = ()

    def __init__(self, model_config: Any, config: EganTraining, class_count: int) -> None:
        self.config, self.class_count = config, class_count
        self.players = next(players for players in PLAYERS.values() if isinstance(model_config, players.config))
        self.members = [self._member(model_config) for _ in range(config.survivors + config.population)]
        self.discriminator = self.players.discriminator(model_config, class_count)
        self.discriminator.to(memory_format=torch.channels_last)
        self.judging = list(self.discriminator.parameters())
        self.judging_optimiser = torch.optim.Adam(
            self.judging, config.discriminator_learning_rate, (config.beta1, 0.999), foreach=True
        )
        self.family = Family(config.population, config.survivors, model_config.resolution)
        self.log: GenerationLog | None = None

    def _member(self, model_config: Any) -> Member:
        generator = self.players.generator(model_config, self.class_count).to(memory_format=torch.channels_last)
        betas = (self.config.beta1, 0.999)
        return Member(
            generator, torch.optim.Adam(generator.parameters(), self.config.learning_rate, betas, foreach=True)
        )

    @property
    def model(self) -> LatentModel:
        """The best survivor."""
        return self.members[0].generator

    @property
    def survivors(self) -> list[Member]:
        """Best first."""
        return self.members[: self.config.survivors]

    def modules(self) -> dict[str, nn.Module]:
        """The places for children stay out: every generation fills them anew."""
        others = {f"survivor{place}": member.generator for place, member in enumerate(self.survivors) if place}
        return {"model": self.model, **others, "discriminator": self.discriminator, "family": self.family}

    def optimisers(self) -> dict[str, torch.optim.Optimizer]:
        own = {f"survivor{place}": member.optimiser for place, member in enumerate(self.survivors)}
        return {**own, "discriminator": self.judging_optimiser}

    def to(self, device: torch.device) -> None:
        """The family's records stay on the CPU."""
        for member in self.members:
            member.generator.to(device)
        self.discriminator.to(device)

    def judge(self, pictures: Tensor, labels: Tensor | None) -> Tensor:
        """The discriminator's logits in float32. (B,3,R,R), (B,) → (B,)."""
        classes = self._weights(labels, pictures) if self.players.one_hot else labels
        logits: Tensor = self.discriminator(pictures, classes).float()
        return logits

    def _weights(self, labels: Tensor | None, like: Tensor) -> Tensor | None:
        return None if labels is None else F.one_hot(labels, self.class_count).to(like.dtype)

    def step(self, images: Tensor, labels: Tensor | None, context: StepContext) -> Mapping[str, Tensor]:
        """One generation, or a step of the game between two."""
        self._prepare(context)
        images = images.contiguous(memory_format=torch.channels_last)
        if self.family.due(self.config.interval):
            return self._generation(images, labels, context)
        return self._game(images, labels, context)

    def _game(self, images: Tensor, labels: Tensor | None, context: StepContext) -> Mapping[str, Tensor]:
        """As the recipe `dcgan` plays: the discriminator learns first, then every survivor from the same noise."""
        objective, ways = OBJECTIVES[self.config.objective], self.family.ways(self.config.names)
        z = context.draw(len(images), self.model.latent_dim, device=images.device)
        fakes = [member.generator(z, self._weights(labels, z)) for member in self.survivors]
        real = self.judge(images, labels)
        losses = [objective.discriminator(real, self.judge(fake.detach(), labels)) for fake in fakes]
        loss = torch.stack(losses).mean()
        context.update(loss, self.judging_optimiser)
        freeze(self.judging, True)
        against = real.detach()
        if any(OBJECTIVES[way].compares for way in ways):
            with torch.no_grad():
                against = self.judge(images, labels)
        for way, fake, member in zip(ways, fakes, self.survivors, strict=True):
            context.update(mutation(way, objective, against, self.judge(fake, labels)), member.optimiser)
        freeze(self.judging, False)
        self.family.carry_on()
        return {"discriminator": loss.detach()}

    def _generation(self, images: Tensor, labels: Tensor | None, context: StepContext) -> Mapping[str, Tensor]:
        config, objective, dice = self.config, OBJECTIVES[self.config.objective], self.family.dice()
        born = births(config.population, config.survivors, config.names, config.crossover, config.weight_mutation, dice)
        real = self.judge(images, labels)
        z = context.draw(len(images), self.model.latent_dim, device=images.device)
        weights = self._weights(labels, z)
        freeze(self.judging, True)
        for birth, child in zip(born, self.members[config.survivors :], strict=True):
            self._bear(birth, child, dice)
            fake = self.judge(child.generator(z, weights), labels)
            context.update(mutation(birth.mutation, objective, real.detach(), fake), child.optimiser)
        freeze(self.judging, False)
        return self._select(born, objective, real, labels, context)

    def _prepare(self, context: StepContext) -> None:
        """What members need that are neither built nor restored with it: Adam's moments, and where noise comes from."""
        for member in self.members:
            member.prime()
            for module in member.generator.modules():
                if isinstance(module, Noise):
                    module.generator = context.generator

    def _bear(self, birth: Birth, child: Member, dice: torch.Generator) -> None:
        father = None if birth.father is None else self.members[birth.father]
        conceive(child, self.members[birth.mother], father, birth.share)
        if birth.shaken:
            shake(child, self.config.mutation_scale, dice)

    def _select(
        self, born: list[Birth], objective: Objective, real: Tensor, labels: Tensor | None, context: StepContext
    ) -> Mapping[str, Tensor]:
        """Judge the children, let the best replace their parents, and let the discriminator learn from them."""
        config, device = self.config, real.device
        z = context.draw(len(real), self.model.latent_dim, device=device)
        z[0] = torch.randn(z.shape[1], generator=torch.Generator().manual_seed(int(self.family.seed))).to(device)
        weights = self._weights(labels, z)
        children = self.members[config.survivors :]
        gradients, scores, losses, thumbnails = [], [], [], []
        for child in children:
            with torch.no_grad():
                fake = child.generator(z, weights)
            logits = self.judge(fake, labels)
            loss = objective.discriminator(real, logits)
            gradients.append(torch.autograd.grad(loss, self.judging, retain_graph=True))
            merits = quality(objective, logits.detach()), diversity(list(gradients[-1]))
            scores.append(torch.stack([*merits, merits[0] + config.gamma * merits[1]]))
            losses.append(loss.detach())
            thumbnails.append(fake[0])
        judged = context.agree(torch.stack(scores)).cpu()
        fitness = judged[:, 2].nan_to_num(-torch.inf, torch.inf, -torch.inf)
        order = fitness.argsort(descending=True, stable=True)[: config.survivors].tolist()
        learnt = [torch.stack(own).mean(0) for own in zip(*(gradients[place] for place in order), strict=True)]
        context.descend_by(learnt, self.judging_optimiser)
        chosen = [children[place] for place in order]
        rest = [member for member in self.members if all(member is not kept for kept in chosen)]
        self.members = chosen + rest
        line = self.family.advance(Generation(born, judged, order, torch.stack(thumbnails).cpu()), config.names)
        if self.log is not None:
            self.log.add({"images": context.images + len(real) * context.accelerator.num_processes, **line})
        best = dict(zip(("quality", "diversity", "fitness"), judged[order[0]], strict=True))
        return {"discriminator": torch.stack([losses[place] for place in order]).mean(), **best}

    def finish(self, model: LatentModel, data: ImageSet, generator: torch.Generator) -> None:
        """Batch norm statistics of the averaged weights, then the centres of truncation."""
        del data
        measure_statistics(model, generator)
        measure_w_mean(model)


class FamilyShowcase:
    """The fixed grid of any generator and, beside it, the family tree (family.png)."""

    def __init__(self, trainer: EganTrainer, conditional: bool, options: TrainOptions) -> None:
        self.trainer, self.path = trainer, Path(options.logs) / "family.png"
        self.grid = SnapshotGrid(trainer.model, conditional, options.seed)

    def draw(self, model: LatentModel) -> Image.Image:
        """The averaged model's pictures of the fixed seeds; the tree is written."""
        save_png(family_tree(self.trainer.family, self.trainer.config.names), self.path)
        return self.grid.draw(model)

    def measure(self, model: LatentModel) -> Mapping[str, float]:
        """Nothing: generators are judged by ``studio evaluate``."""
        return self.grid.measure(model)


def show_family(trainer: EganTrainer, conditional: bool, data: ImageSet, options: TrainOptions) -> FamilyShowcase:
    """What the loop shows; the first process begins or goes on with the log of generations."""
    del data
    if PartialState().is_main_process:
        trainer.log = GenerationLog(options.logs / "generations.jsonl", fresh=int(trainer.family.generation) == 0)
    return FamilyShowcase(trainer, conditional, options)


for _name, _conditional, _summary in (
    ("egan", False, "evolutionary GAN of Wang et al. 2018, of DCGANs or light generators"),
    ("cegan", True, "evolutionary GAN with the classes of the data"),
):
    _variants = {
        kind: Recipe(
            _name, kind, players.config, EganTraining, EganTrainer, _conditional, _summary, showcase=show_family
        )
        for kind, players in PLAYERS.items()
    }
    RECIPES.add(_name, dataclasses.replace(_variants["dcgan"], variants=_variants))
