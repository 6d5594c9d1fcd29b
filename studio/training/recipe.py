"""What a recipe is: a trainer for one kind of model, which the loop drives a step at a time."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from accelerate import Accelerator
from PIL import Image
from torch import Tensor, nn

from studio.core.dataset import ImageSet
from studio.core.errors import UnknownName
from studio.core.registry import Registry
from studio.training.data import labelled_batches
from studio.training.options import TrainOptions
from studio.training.snapshots import seeded_grid


@dataclass
class StepContext:
    """What a trainer's step may use. generator: a CPU generator, the only source of randomness. images: seen so far."""

    accelerator: Accelerator
    generator: torch.Generator
    images: int

    def draw(self, *shape: int, device: torch.device) -> Tensor:
        """Standard normal noise on the device."""
        return torch.randn(*shape, generator=self.generator).to(device)

    def update(self, loss: Tensor, optimiser: torch.optim.Optimizer) -> None:
        """One optimiser step on `loss`; gradients are averaged over the processes, where there are several."""
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self.descend(optimiser)

    def descend_by(self, gradients: Sequence[Tensor], optimiser: torch.optim.Optimizer) -> None:
        """As update, by gradients that are there already: one for each of the optimiser's parameters, in its order."""
        parameters = [p for group in optimiser.param_groups for p in group["params"]]
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient
        self.descend(optimiser)

    def agree(self, values: Tensor) -> Tensor:
        """The mean of `values` over the processes, the same on all of them."""
        return self.accelerator.reduce(values, "mean") if self.accelerator.num_processes > 1 else values

    def descend(self, optimiser: torch.optim.Optimizer) -> None:
        """One optimiser step on the gradients that are there; they are averaged over the processes first."""
        if self.accelerator.num_processes > 1:
            parameters = [p for group in optimiser.param_groups for p in group["params"] if p.grad is not None]
            flat = torch.cat([p.grad.flatten() for p in parameters if p.grad is not None])
            flat = self.accelerator.reduce(flat, "mean")
            for p, grad in zip(parameters, flat.split([p.numel() for p in parameters]), strict=True):
                p.grad = grad.view_as(p)
        optimiser.step()


class Batches(Protocol):
    """Where a recipe's batches come from."""

    def draw(self, generator: torch.Generator) -> tuple[Any, ...]:
        """What one step works on, on the device; every random choice comes from the generator."""


class Showcase(Protocol):
    """What shows a run's progress, always by the same seeds or pictures."""

    def draw(self, model: Any) -> Image.Image:
        """A picture for people."""

    def measure(self, model: Any) -> Mapping[str, float]:
        """Figures on held-out pictures, where the recipe has some; the checkpoint carries the last ones."""


class Trainer(Protocol):
    """One recipe at work on its networks.

    features are names of pretrained features, on which the result must not be judged; modules and optimisers are
    everything that resume must restore, the model included.
    """

    @property
    def model(self) -> nn.Module:
        """The model in training."""

    @property
    def features(self) -> tuple[str, ...]:
        """Pretrained features used."""

    def modules(self) -> dict[str, nn.Module]:
        """Every module with state, by name; frozen pretrained ones left out."""

    def optimisers(self) -> dict[str, torch.optim.Optimizer]:
        """Every optimiser, by name."""

    def to(self, device: torch.device) -> None:
        """Move all modules, the frozen ones too."""

    def step(self, *args: Any, **kwargs: Any) -> Mapping[str, Tensor]:
        """One step: what the recipe's batches draw, then a StepContext → losses to log, as detached scalars."""

    def finish(self, model: Any, data: ImageSet, generator: torch.Generator) -> None:
        """Prepare a copy of the averaged model for publishing, in place (statistics, priors)."""


def resolution_of(model_config: Any, trainer_config: Any) -> int:  # noqa: ARG001 - one signature for all recipes
    """The side of the pictures that a generator is trained on: that of its own."""
    resolution: int = model_config.resolution
    return resolution


@dataclass(frozen=True)
class Companion:
    """A second file that a run publishes beside its checkpoint. name: added to the checkpoint's own."""

    name: str
    kind: str
    module: nn.Module
    config: Any


def one_batch(trainer_config: Any, options: TrainOptions) -> int:  # noqa: ARG001 - one signature for all recipes
    """A step sees one batch."""
    return options.batch


def whole(module: nn.Module) -> nn.Module:
    """The published model is the trained one."""
    return module


def alone(trainer: Any, module: nn.Module, sha256: str) -> tuple[Companion, ...]:  # noqa: ARG001 - one signature for all
    """No second file."""
    return ()


def nothing_more(trainer: Any, data: ImageSet, options: TrainOptions, device: torch.device) -> None:
    """All that a trainer needs is in its configuration."""


def all_classes(trainer_config: Any, data: ImageSet) -> tuple[str, ...]:  # noqa: ARG001 - one signature for all recipes
    """Those of the data."""
    return data.classes


@dataclass(frozen=True)
class Recipe:
    """A row of the table of recipes.

    kind: the model kind it trains. conditional: whether it uses the classes of the data.
    build(model config, trainer config, class count) → Trainer. styles: whether it takes paintings beside its content
    pictures. side(model config, trainer config) → px, to which the data are read. batches and showcase: how the loop
    is fed and what it shows; (trainer, conditional, data, options[, device]). named(trainer config, data) → the classes
    that a conditional model gets. published: the part of the trained module that is the model. companions(trainer,
    trained module, sha256 of the model's file): what is published beside it. prepare(trainer, data, options, device):
    what the trainer takes from the data, once, before the average is made. seen(trainer config, options): pictures that
    a step of one process counts as. variants: the recipe for each value of the setting `generator`, where there is a
    choice; this one is the first of them.
    """

    name: str
    kind: str
    model: type[Any]
    trainer: type[Any]
    build: Callable[[Any, Any, int], Trainer]
    conditional: bool
    summary: str
    styles: bool = False
    side: Callable[[Any, Any], int] = resolution_of
    batches: Callable[[Any, bool, ImageSet, TrainOptions, torch.device], Batches] = labelled_batches
    showcase: Callable[[Any, bool, ImageSet, TrainOptions], Showcase] = seeded_grid
    named: Callable[[Any, ImageSet], tuple[str, ...]] = all_classes
    published: Callable[[nn.Module], nn.Module] = whole
    companions: Callable[[Any, nn.Module, str], tuple[Companion, ...]] = alone
    prepare: Callable[[Any, ImageSet, TrainOptions, torch.device], None] = nothing_more
    seen: Callable[[Any, TrainOptions], int] = one_batch
    variants: "Mapping[str, Recipe]" = field(default_factory=dict)

    def chosen(self, settings: Mapping[str, Any]) -> "tuple[Recipe, dict[str, Any]]":
        """The variant that the setting `generator` names, and the other settings."""
        rest = dict(settings)
        if not self.variants or "generator" not in rest:
            return self, rest
        generator = rest.pop("generator")
        if generator not in self.variants:
            raise UnknownName("generator", generator, tuple(self.variants))
        return self.variants[generator], rest


RECIPES: Registry[Recipe] = Registry("recipe", populate="studio.training.recipes")
