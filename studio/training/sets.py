"""Recipe `sets`: the light generator, conditioned on what a few pictures have in common.

Tasks are artists and genres. Each step draws some tasks; the set encoder turns a handful of pictures of each into its
class embedding, and both players are shown other pictures of the same task, so that what is learned is to paint as a
set shows, also for an artist who was never seen. The published classes are the genres, their embeddings those of all
their pictures.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn

from studio.adapt.student import synthesise
from studio.core import checkpoint
from studio.core.dataset import ImageSet
from studio.core.errors import InvalidRequest, TrainingError
from studio.core.images import to_image
from studio.core.sheet import tile
from studio.models import bounds
from studio.models.augment import AUGMENTATIONS, augment
from studio.models.base import measure_w_mean
from studio.models.diversity import lack_of_diversity
from studio.models.gan import GanConfig, GanGenerator
from studio.models.learner import FEATURES, Learner, LearnerConfig, SetDiscriminator
from studio.models.losses_gan import hinge_by_heads
from studio.models.projected import PIXEL_CHANNELS
from studio.training.gan import DEEP, measure_statistics
from studio.training.options import TrainOptions
from studio.training.recipe import RECIPES, Companion, Recipe, StepContext
from studio.training.set_batches import SetBatches, class_embeddings, classes_of
from studio.training.tensors import freeze, sum_of

RIDGE = 0.3  # of the linear start of the set encoder, in units of the features' mean square
SHOWN_TASKS, SHOWN_PICTURES = 6, 4  # rows of the showcase, and pictures of the set in each


@dataclass(frozen=True)
class SetTraining:
    """Settings.

    column: of the index that tells the artists apart. smallest_task: pictures that an artist needs to be a task.
    smallest_class: pictures that a genre needs to be a class. held_out: artists who are shown and never trained on.
    genres: share of the tasks that are genres. each: pictures of a task in a step. Learning rates are Adam's, of
    generator and set encoder, and of the heads. augment, class_weight, class_warmup, diversity, pixels: as in `gan`.
    """

    column: str = "artist"
    smallest_task: int = 20
    smallest_class: int = 300
    held_out: int = 16
    genres: float = 0.25
    each: int = 2
    learning_rate: float = 2e-4
    discriminator_learning_rate: float = 4e-4
    augment: str = "translation"
    class_weight: float = 1.0
    class_warmup: int = 4_000
    diversity: float = 4.0
    pixels: tuple[int, ...] = (3,)

    def __post_init__(self) -> None:
        for name, low in (("smallest_task", 6), ("smallest_class", 1), ("held_out", 1), ("each", 2)):
            if not getattr(self, name) >= low:
                raise InvalidRequest(f"{name} must be at least {low}; got {getattr(self, name)}.")
        if not 0 <= self.genres <= 1:
            raise InvalidRequest(f"genres must be from 0 to 1; got {self.genres}.")
        unknown = [name for name in self.policy if name not in AUGMENTATIONS]
        if unknown:
            raise InvalidRequest(f"Unknown augmentation {unknown[0]!r}; known: {', '.join(AUGMENTATIONS)}.")
        for name in ("learning_rate", "discriminator_learning_rate"):
            if not 0 < getattr(self, name) < 1:
                raise InvalidRequest(f"{name} must be above 0 and below 1; got {getattr(self, name)}.")
        for name in ("class_weight", "class_warmup", "diversity"):
            if not getattr(self, name) >= 0:
                raise InvalidRequest(f"{name} must not be negative; got {getattr(self, name)}.")
        for depth in self.pixels:
            bounds.whole("pixels", depth, 2, len(PIXEL_CHANNELS))

    @property
    def policy(self) -> tuple[str, ...]:
        return tuple(name for name in self.augment.split(",") if name)


class Painter(nn.Module):
    """Generator and set encoder, as they are averaged together."""

    def __init__(self, generator: GanGenerator, learner: Learner) -> None:
        super().__init__()
        self.generator, self.learner = generator, learner

    def forward(self, z: Tensor, embedding: Tensor) -> Tensor:
        """z: (B,Z), embedding: (B,E) → (B,3,R,R) in [-1,1]."""
        return synthesise(self.generator, z, embedding)


class SetTrainer:
    """Painter and heads, each with Adam (β1 = 0)."""

    features: tuple[str, ...] = ("lite0",)

    def __init__(self, model_config: GanConfig, config: SetTraining, class_count: int) -> None:
        if not class_count:
            raise TrainingError(f"No class has {config.smallest_class} pictures; lower smallest_class.")
        self.config = config
        learner = Learner(LearnerConfig(embedding=model_config.embedding, pixels=config.pixels))
        painter = Painter(GanGenerator(model_config, class_count), learner)
        self.model: Painter = painter.to(memory_format=torch.channels_last)
        self.discriminator = SetDiscriminator(learner.judge).to(memory_format=torch.channels_last)
        self.judging = [p for p in learner.judge.parameters() if p.requires_grad]
        painting = [p for p in (*painter.generator.parameters(), *learner.encoder.parameters()) if p.requires_grad]
        self.generator_optimiser = torch.optim.Adam(painting, config.learning_rate, (0.0, 0.99), foreach=True)
        self.discriminator_optimiser = torch.optim.Adam(
            self.judging, config.discriminator_learning_rate, (0.0, 0.99), foreach=True
        )

    def modules(self) -> dict[str, nn.Module]:
        """The frozen features stay out: they come from their package."""
        return {"model": self.model}

    def optimisers(self) -> dict[str, torch.optim.Optimizer]:
        return {"generator": self.generator_optimiser, "discriminator": self.discriminator_optimiser}

    def to(self, device: torch.device) -> None:
        self.model.to(device)
        self.discriminator.to(device)

    def step(self, images: Tensor, sets: Tensor, context: StepContext) -> Mapping[str, Tensor]:
        """images: (B,3,R,R) in [-1,1], row i of task i mod T. sets: (T,k,F) features of other pictures of the tasks."""
        config, discriminator, learner = self.config, self.discriminator, self.model.learner
        times = len(images) // len(sets)
        embedding = learner.encoder(sets).repeat(times, 1)
        fake = self.model(context.draw(len(images), self.model.generator.latent_dim, device=images.device), embedding)
        class_weight = config.class_weight * min(1.0, context.images / max(config.class_warmup, 1))
        with torch.no_grad():
            unit = learner.encoder.unit(sets)
            real_maps = discriminator.project(augment(images, config.policy, context.generator))
        fake_maps = discriminator.project(augment(fake, config.policy, context.generator))
        condition = learner.judge.condition(unit).repeat(times, 1)
        real, judged = discriminator.compare(real_maps, fake_maps, condition, class_weight)
        discriminator_loss = hinge_by_heads(real, judged)
        context.update(discriminator_loss, self.discriminator_optimiser)
        freeze(self.judging, True)
        condition = learner.judge.condition(unit).repeat(times, 1)
        generator_loss = -sum_of(f.mean() for f in discriminator.judge(fake_maps, condition, class_weight))
        lack = lack_of_diversity(real_maps[DEEP], fake_maps[DEEP])
        context.update(generator_loss + config.diversity * lack, self.generator_optimiser)
        freeze(self.judging, False)
        return {
            "discriminator": discriminator_loss.detach(),
            "generator": generator_loss.detach(),
            "lack_of_diversity": lack.detach(),
            "real_logit": sum_of(r.detach().mean() for r in real) / len(real),
            "fake_logit": sum_of(f.detach().mean() for f in judged) / len(judged),
        }

    def finish(self, model: Painter, data: ImageSet, generator: torch.Generator) -> None:
        """The classes' embeddings, batch norm statistics of the averaged weights, the centres of truncation."""
        assert model.generator.embedding is not None
        embeddings = class_embeddings(self.config, data, self.batches.features, model.learner.encoder)
        model.generator.embedding.data.copy_(embeddings)
        measure_statistics(model.generator, generator)
        measure_w_mean(model.generator)

    batches: SetBatches  # as soon as there are data


class SetSheet:
    """Held-out artists: a few pictures of each set, then what is painted from it without a step of training."""

    def __init__(self, trainer: SetTrainer, seed: int) -> None:
        batches = trainer.batches
        generator = torch.Generator().manual_seed(seed + 1)
        self.rows: list[tuple[Tensor, Tensor]] = []
        for places in list(batches.held_out.values())[:SHOWN_TASKS]:
            drawn = places[torch.randperm(len(places), generator=generator)][:10]
            self.rows.append((batches.data.images[drawn[:SHOWN_PICTURES]], batches.features[drawn]))
        self.z = torch.randn(8, trainer.model.generator.latent_dim, generator=generator)

    @torch.no_grad()
    def draw(self, model: Painter) -> Image.Image:
        """A row for each artist: their pictures left, painted ones right."""
        device = model.generator.w_mean.device
        pictures: list[Image.Image] = []
        for own, features in self.rows:
            embedding = model.learner.encoder(features[None].to(device)).expand(len(self.z), -1)
            painted = model(self.z.to(device), embedding).float().cpu()
            pictures += [to_image(x.float().div(127.5).sub(1)) for x in own]
            pictures += [to_image(x) for x in painted]
        return tile(pictures, SHOWN_PICTURES + len(self.z))

    def measure(self, model: Painter) -> Mapping[str, float]:  # noqa: ARG002 - the signature of a showcase
        """Nothing yet."""
        return {}


def begin(trainer: SetTrainer, data: ImageSet, init: str, features: Tensor) -> None:
    """The set encoder's linear part by ridge regression: the mean of a class gives the class's first embedding."""
    source = checkpoint.load(init)
    table = source.tensors().get("embedding")
    encoder = trainer.model.learner.encoder
    if table is None or table.shape[1] != encoder.linear.out_features:
        return
    known = [k for k, label in enumerate(data.labels) if label >= 0 and data.classes[int(label)] in source.classes]
    rows = torch.tensor([source.classes.index(data.classes[int(data.labels[k])]) for k in known])
    x = encoder.unit(features[known]).double()
    x = torch.cat([x, torch.ones(len(x), 1, dtype=x.dtype)], dim=1)
    penalty = RIDGE * len(x) * torch.eye(FEATURES + 1, dtype=x.dtype)
    solved = torch.linalg.solve(x.T @ x + penalty, x.T @ table[rows].double())
    encoder.linear.weight.data.copy_(solved[:-1].T)
    encoder.linear.bias.data.copy_(solved[-1])


def _batches(
    trainer: SetTrainer, _conditional: bool, _data: ImageSet, _options: TrainOptions, _device: torch.device
) -> SetBatches:
    return trainer.batches


def _prepare(trainer: SetTrainer, data: ImageSet, options: TrainOptions, device: torch.device) -> None:
    trainer.batches = SetBatches(trainer.config, trainer.discriminator, data, options, device)
    trainer.batches.measure(trainer.model.learner.encoder)
    if options.init is not None and not options.resume:
        begin(trainer, data, str(options.init), trainer.batches.features)


def _showcase(trainer: SetTrainer, _conditional: bool, _data: ImageSet, options: TrainOptions) -> SetSheet:
    return SetSheet(trainer, options.seed)


def generator_of(model: Any) -> nn.Module:
    """What is published of a painter."""
    generator: nn.Module = model.generator
    return generator


def learner_beside(trainer: Any, model: Any, sha256: str) -> tuple[Companion, ...]:  # noqa: ARG001 - see Recipe
    """The learner of a painter, which names the generator's file."""
    config = replace(model.learner.config, generator=sha256)
    return (Companion("learner", "learner", model.learner, config),)


RECIPES.add(
    "sets",
    Recipe(
        "sets",
        "gan",
        GanConfig,
        SetTraining,
        SetTrainer,
        True,
        "light generator conditioned on sets of pictures",
        batches=_batches,
        showcase=_showcase,
        named=classes_of,
        published=generator_of,
        companions=learner_beside,
        prepare=_prepare,
    ),
)
