"""Recipe `meta`: what adaptation starts from, learned by adapting, on top of a run of `sets`.

Each step draws episodes, a few pictures of an artist each, and lets the students of `studio.adapt` take some steps
towards them. Reptile then moves generator and heads towards where those ended (Nichol et al. 2018, algorithm 1);
first-order MAML follows the gradient that other pictures of the artist give there (Finn et al. 2017, section 5.2), and
can learn how fast each tensor is to be adapted (Meta-SGD, Li et al. 2017). The set encoder learns by the chain rule
from what the new class's embedding was wanted to be. Batch norms keep their statistics, as they do in an adaptation.

FIGR (Clouâtre & Demers 2019: Reptile on both players, SGD inside, Adam outside) is `outer=adam optimiser=sgd tasks=1
learning_rate=1e-3 judge_rate=1e-3 class_start=mean condition=false diversity=0 augment= batch=4`. Its class embedding
starts from the mean of all, which needs no learning: a shift of it is one of the biases that it is added to.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields, replace

import torch
from torch import Tensor, nn

from studio.adapt.parts import whole
from studio.adapt.student import CLASS, Student, judging, rate_names
from studio.core import checkpoint
from studio.core.dataset import ImageSet
from studio.core.errors import TrainingError
from studio.meta.augment import TaskAugmentation
from studio.meta.episodes import Episode, EpisodeSampler, Task
from studio.meta.reptile import interpolation_step
from studio.models.base import measure_w_mean
from studio.models.gan import GanConfig, GanGenerator
from studio.models.learner import Learner, LearnerConfig, SetDiscriminator
from studio.training.episode_sheet import EpisodeSheet
from studio.training.meta_settings import LEAST_QUERIES, MetaTraining
from studio.training.options import TrainOptions
from studio.training.recipe import RECIPES, Recipe, StepContext
from studio.training.set_batches import SHOTS, artists_of, class_embeddings, classes_of, read_features
from studio.training.sets import Painter, generator_of, learner_beside


class EpisodeBatches:
    """A step's episodes."""

    def __init__(self, sampler: EpisodeSampler, count: int) -> None:
        self.sampler, self.count = sampler, count

    def draw(self, generator: torch.Generator) -> tuple[list[Episode]]:
        return ([self.sampler.draw(generator) for _ in range(self.count)],)


class MetaTrainer:
    """The start of adaptation: generator, set encoder and heads, and optimisers of the outer loop."""

    features: tuple[str, ...] = ("lite0",)

    def __init__(self, model_config: GanConfig, config: MetaTraining, class_count: int) -> None:
        if not class_count:
            raise TrainingError(f"No class has {config.smallest_class} pictures; lower smallest_class.")
        self.config, self.total = config, 1
        self.inner = config.student(2)  # until the options are known
        generator = GanGenerator(model_config, class_count)
        learner = self._learner(config, generator)
        self.model: Painter = Painter(generator, learner).to(memory_format=torch.channels_last)
        self.model.requires_grad_(False)
        self.discriminator = SetDiscriminator(learner.judge).to(memory_format=torch.channels_last)
        self.starts = {**dict(generator.named_parameters()), **judging(learner.judge)}
        outer = list(self.starts.values())
        self.outer: torch.optim.Optimizer
        if config.outer == "adam":
            self.outer = torch.optim.Adam(outer, config.outer_rate, (0.0, 0.99), foreach=True)
        else:
            self.outer = torch.optim.SGD(outer, config.first_step, foreach=True)
        learning = [{"params": list(learner.encoder.parameters()), "lr": config.encoder_rate}]
        if learner.log_rates is not None:
            learning.append({"params": [learner.log_rates], "lr": config.rates_rate if config.rates else 0.0})
        self.learning = torch.optim.Adam(learning, betas=(0.0, 0.99), foreach=True)

    def _learner(self, config: MetaTraining, generator: GanGenerator) -> Learner:
        """The learner of the file, with places for learned rates where they are wanted."""
        if not config.learner:
            raise TrainingError(
                "Recipe meta starts from a run of sets: give its generator by --init and its learner by "
                "--config learner=FILE."
            )
        found = checkpoint.load(config.learner)
        if found.kind != "learner":
            raise TrainingError(
                f"{found.path.name} is of kind {found.kind!r}; learner must name one of kind 'learner'."
            )
        stored: LearnerConfig = found.configuration
        if stored.embedding != generator.config.embedding:
            raise TrainingError(
                f"{found.path.name} makes embeddings of length {stored.embedding}, and the generator's have "
                f"{generator.config.embedding}; set embedding={stored.embedding}."
            )
        self.learned_with = stored.generator
        learner = found.build_module()
        assert isinstance(learner, Learner)
        if config.rates and not stored.rates:
            wider = Learner(replace(stored, rates=len(rate_names(generator, learner.judge))))
            wider.load_state_dict(learner.state_dict(), strict=False)  # the rates alone are missing
            return wider
        return learner

    def modules(self) -> dict[str, nn.Module]:
        """The frozen features stay out: they come from their package."""
        return {"model": self.model}

    def optimisers(self) -> dict[str, torch.optim.Optimizer]:
        return {"outer": self.outer, "learning": self.learning}

    def to(self, device: torch.device) -> None:
        self.model.to(device)
        self.discriminator.to(device)

    def student(self, painter: Painter, pictures: Tensor, generator: torch.Generator) -> Student:
        """A student of pictures (N,3,R,R) uint8 that starts where a painter is."""
        return Student(painter.generator, painter.learner, self.discriminator.features, pictures, self.inner, generator)

    def step(self, episodes: Sequence[Episode], context: StepContext) -> Mapping[str, Tensor]:
        """One outer step. The losses are those of the students' last steps, or of FOMAML's queries."""
        config, seen = self.config, dict[str, float]()
        self.outer.zero_grad(set_to_none=True)
        self.learning.zero_grad(set_to_none=True)
        for episode in episodes:
            student = self.student(self.model, episode.support, context.generator)
            first = student.embedding.detach().clone()
            losses: Mapping[str, float] = {}
            for _ in range(config.inner_steps):
                losses = student.step()
            if config.algorithm == "fomaml":
                query = episode.query.to(student.device).float().div(127.5).sub(1)
                losses = whole(student.differentiating(query))
            self._listen(student, first, 1 / len(episodes))
            seen = {name: seen.get(name, 0.0) + value / len(episodes) for name, value in losses.items()}
        if config.outer == "interpolate":
            share = interpolation_step(context.images / self.total, config.first_step, config.last_step)
            for group in self.outer.param_groups:
                group["lr"] = share
        context.descend(self.outer)
        context.descend(self.learning)
        power_iterations_go_on(self.model.learner.judge, student.discriminator.parts[0])
        return {name: torch.tensor(value) for name, value in seen.items()}

    def _listen(self, student: Student, first: Tensor, weight: float) -> None:
        """Add what one student says to the gradients. first: (E,), the embedding that it began with."""
        learner, follow = self.model.learner, self.config.algorithm == "fomaml"
        ends: dict[str, Tensor] = {**student.adapted, **student.judging}
        said: dict[str, Tensor] = {}
        for name, end in (*ends.items(), (CLASS, student.embedding)):
            start = first if name == CLASS else self.starts[name]
            said[name] = _gradient(end) if follow else start.detach() - end.detach()
            if name != CLASS:
                _add(self.starts[name], weight * said[name])
        if self.config.rates and learner.log_rates is not None:
            ends[CLASS], starts = student.embedding, {**self.starts, CLASS: first}
            # To first order θ_K − θ_0 is proportional to the rate, and so is its own derivative by the rate's log.
            taught = [
                (said[name] * (ends[name] - starts[name])).sum() if name in said else first.new_zeros(())
                for name in rate_names(self.model.generator, learner.judge)
            ]
            _add(learner.log_rates, weight * torch.stack(taught))
        if self.config.class_start == "set" and self.config.encoder_rate > 0:
            parameters = list(learner.encoder.parameters())
            learner.encoder.requires_grad_(True)
            wanted = (learner.encoder(student.described[None])[0] * said[CLASS]).sum()
            for parameter, gradient in zip(parameters, torch.autograd.grad(wanted, parameters), strict=True):
                _add(parameter, weight * gradient)
            learner.encoder.requires_grad_(False)

    def finish(self, model: Painter, data: ImageSet, generator: torch.Generator) -> None:
        """The classes' embeddings and the centres of truncation."""
        del generator
        assert model.generator.embedding is not None
        embeddings = class_embeddings(self.config, data, self.described, model.learner.encoder)
        model.generator.embedding.data.copy_(embeddings)
        measure_w_mean(model.generator)

    described: Tensor  # (N,F) features of the data
    sampler: EpisodeSampler  # of the artists to train on
    held_out: tuple[Task, ...]


def _gradient(parameter: Tensor) -> Tensor:
    return torch.zeros_like(parameter) if parameter.grad is None else parameter.grad.detach()


def _add(parameter: Tensor, gradient: Tensor) -> None:
    gradient = gradient.detach().to(parameter)
    parameter.grad = gradient if parameter.grad is None else parameter.grad + gradient


@torch.no_grad()
def power_iterations_go_on(judge: nn.Module, student: nn.Module) -> None:
    """Take the vectors of spectral norms from a student, for they follow the weights step by step."""
    for own, theirs in zip(judge.buffers(), student.buffers(), strict=True):
        own.copy_(theirs)


def _prepare(trainer: MetaTrainer, data: ImageSet, options: TrainOptions, device: torch.device) -> None:
    config = trainer.config
    if not options.resume:
        _check_start(trainer, data, options)
    trained, held_out = artists_of(config, data)
    tasks, trainer.held_out = (
        tuple(Task(name, tuple(places.tolist())) for name, places in group.items()) for group in (trained, held_out)
    )
    augmentation = TaskAugmentation() if config.augment_tasks else None
    trainer.sampler = EpisodeSampler(data, tasks, SHOTS, config.queries, LEAST_QUERIES, augmentation)
    trainer.inner, trainer.total = config.student(options.batch), options.images
    trainer.described = read_features(trainer.discriminator, data.images, device)


def _check_start(trainer: MetaTrainer, data: ImageSet, options: TrainOptions) -> None:
    """Generator and learner must be two files of one run, and the generator must be taken over as a whole."""
    if options.init is None:
        raise TrainingError("Recipe meta starts from a generator of sets; give it by --init.")
    source = checkpoint.load(options.init)
    if source.sha256 != trainer.learned_with:
        raise TrainingError(
            f"The learner did not learn with {source.path.name}; give the two files that one run has published."
        )
    own = asdict(trainer.model.generator.config)
    for entry in fields(GanConfig):
        if (there := getattr(source.configuration, entry.name)) != own[entry.name]:
            raise TrainingError(f"{source.path.name} has {entry.name}={there}, not {own[entry.name]}; set it so.")
    if source.classes != (classes := classes_of(trainer.config, data)):
        raise TrainingError(
            f"{source.path.name} has the classes {', '.join(source.classes)}, and the data have {', '.join(classes)}; "
            "give the data of its training, or change smallest_class."
        )


def _batches(
    trainer: MetaTrainer, _conditional: bool, _data: ImageSet, _options: TrainOptions, _device: torch.device
) -> EpisodeBatches:
    return EpisodeBatches(trainer.sampler, trainer.config.tasks)


def _showcase(trainer: MetaTrainer, _conditional: bool, data: ImageSet, options: TrainOptions) -> EpisodeSheet:
    return EpisodeSheet(trainer, data, options)


def _seen(config: MetaTraining, options: TrainOptions) -> int:
    """Pictures that the students of a step learn from."""
    return config.tasks * config.inner_steps * options.batch


RECIPES.add(
    "meta",
    Recipe(
        "meta",
        "gan",
        GanConfig,
        MetaTraining,
        MetaTrainer,
        True,
        "what adaptation starts from, learned by adapting",
        batches=_batches,
        showcase=_showcase,
        named=classes_of,
        published=generator_of,
        companions=learner_beside,
        prepare=_prepare,
        seen=_seen,
    ),
)
