"""What a recipe is: a trainer for one kind of model, which the loop drives a step at a time."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from studio.core.dataset import ImageSet
from studio.core.kinds import LatentModel
from studio.core.registry import Registry


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
        if self.accelerator.num_processes > 1:
            parameters = [p for group in optimiser.param_groups for p in group["params"] if p.grad is not None]
            flat = torch.cat([p.grad.flatten() for p in parameters if p.grad is not None])
            flat = self.accelerator.reduce(flat, "mean")
            for p, grad in zip(parameters, flat.split([p.numel() for p in parameters]), strict=True):
                p.grad = grad.view_as(p)
        optimiser.step()


class Trainer(Protocol):
    """One recipe at work on its networks.

    features are names of pretrained features, on which the result must not be judged; modules and optimisers are
    everything that resume must restore, the model included.
    """

    @property
    def model(self) -> LatentModel:
        """The generator in training."""

    @property
    def features(self) -> tuple[str, ...]:
        """Pretrained features used."""

    def modules(self) -> dict[str, nn.Module]:
        """Every module with state, by name; frozen pretrained ones left out."""

    def optimisers(self) -> dict[str, torch.optim.Optimizer]:
        """Every optimiser, by name."""

    def to(self, device: torch.device) -> None:
        """Move all modules, the frozen ones too."""

    def step(self, images: Tensor, labels: Tensor | None, context: StepContext) -> Mapping[str, Tensor]:
        """One step on real pictures (B,3,R,R) in [-1,1] and labels (B,) → losses to log, as detached scalars."""

    def finish(self, model: LatentModel, data: ImageSet, generator: torch.Generator) -> None:
        """Prepare a copy of the averaged model for publishing, in place (statistics, priors)."""


@dataclass(frozen=True)
class Recipe:
    """A row of the table of recipes.

    kind: the model kind it trains. conditional: True uses the classes of the data, False ignores them, None decides by
    the trainer option `conditional`. build(model config, trainer config, class count) → Trainer.
    """

    name: str
    kind: str
    model: type[Any]
    trainer: type[Any]
    build: Callable[[Any, Any, int], Trainer]
    conditional: bool
    summary: str


RECIPES: Registry[Recipe] = Registry("recipe", populate="studio.training.recipes")
