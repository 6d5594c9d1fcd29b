"""A run's state: what is built at its start, saved, resumed, rolled back and published."""

import copy
import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import gather_object, set_seed
from torch import Tensor

from studio.core import bfloat16, checkpoint
from studio.core.checkpoint import Checkpoint
from studio.core.dataset import ImageSet
from studio.core.errors import TrainingError
from studio.core.memory import keep_freed_memory
from studio.models.blocks import Noise
from studio.training.ema import Average
from studio.training.init import initialise, lineage
from studio.training.options import TrainOptions
from studio.training.recipe import Recipe, Trainer
from studio.training.state import load_state, save_state

MAX_ROLLBACKS = 5  # without a save between them


@dataclass
class Run:
    """A run's networks, counters and random numbers: what `state` saves and `restore` brings back."""

    recipe: Recipe
    model_config: Any
    trainer_config: Any
    options: TrainOptions
    data: ImageSet
    accelerator: Accelerator
    trainer: Trainer
    average: Average
    generator: torch.Generator
    images: int = 0
    seconds: float = 0.0
    rollbacks: int = 0
    stages: list[dict[str, Any]] = field(default_factory=list)
    saved: dict[str, Any] = field(default_factory=dict)
    measured: dict[str, float] = field(default_factory=dict)  # the last snapshot's figures
    ancestors: list[dict[str, Any]] = field(default_factory=list)  # the checkpoint begun from, and those before it

    @property
    def classes(self) -> tuple[str, ...]:
        return self.recipe.named(self.trainer_config, self.data) if self.recipe.conditional else ()

    @property
    def identity(self) -> str:
        """What must agree between a state and the run that resumes from it, as JSON.

        The trainer's settings (learning rates, weights, augmentation) may change on resume.
        """
        return json.dumps(
            {
                "recipe": self.recipe.name,
                **dataclasses.asdict(self.model_config),
                "classes": list(self.classes),
                "batch": self.options.batch,
                "seed": self.options.seed,
                "ema_images": self.options.ema_images,
                "processes": self.accelerator.num_processes,
            }
        )

    def state(self) -> dict[str, Any]:
        """Everything to go on from, detached from the run and on the CPU."""
        generators = gather_object([self.generator.get_state()])
        state = {
            "identity": self.identity,
            "modules": {name: module.state_dict() for name, module in self.trainer.modules().items()},
            "average": self.average.model.state_dict(),
            "optimisers": {name: o.state_dict() for name, o in self.trainer.optimisers().items()},
            "generators": generators,
            "images": self.images,
            "seconds": self.seconds,
            "stages": self.stages,
            "measured": self.measured,
            "ancestors": self.ancestors,
        }
        return detached(state)

    def restore(self, state: Mapping[str, Any]) -> None:
        """Bring back what `state` saved. Raises TrainingError where it was saved from other networks."""
        try:
            for name, module in self.trainer.modules().items():
                module.load_state_dict(state["modules"][name])
        except (KeyError, RuntimeError) as error:
            raise TrainingError(
                f"The saved networks do not fit this recipe's ({name}); resume with the settings of their training."
            ) from error
        self.average.model.load_state_dict(state["average"])
        for name, optimiser in self.trainer.optimisers().items():
            rates = [group["lr"] for group in optimiser.param_groups]
            optimiser.load_state_dict(copy.deepcopy(state["optimisers"][name]))
            for group, rate in zip(optimiser.param_groups, rates, strict=True):
                group["lr"] = rate
        self.generator.set_state(state["generators"][self.accelerator.process_index])
        self.images, self.seconds = state["images"], state["seconds"]
        self.stages = [dict(stage) for stage in state["stages"]]
        self.measured = dict(state.get("measured", {}))
        self.ancestors = [dict(one) for one in state.get("ancestors", self.ancestors)]

    def enter_stage(self) -> None:
        """Note from which picture on the trainer's present settings hold, if they are new."""
        settings = {name: _file_name(value) for name, value in dataclasses.asdict(self.trainer_config).items()}
        if not self.stages or self.stages[-1]["trainer"] != settings:
            self.stages.append({"from": self.images, "trainer": settings})

    def save(self) -> None:
        """Remember the state and, on the first process, write it and the checkpoint."""
        self.saved = self.state()
        if self.accelerator.is_main_process:
            save_state(self.options.state, self.saved)
            self.publish(self.options.out)
        self.accelerator.wait_for_everyone()

    def publish(self, path: Path) -> Checkpoint:
        """Write the averaged model as a checkpoint, and what belongs beside it."""
        whole = copy.deepcopy(self.average.model)
        self.trainer.finish(whole, self.data, torch.Generator().manual_seed(self.options.seed))
        whole.cpu().eval()
        saved = checkpoint.save(
            path,
            self.recipe.published(whole),
            kind=self.recipe.kind,
            config=dataclasses.asdict(self.model_config),
            classes=self.classes,
            provenance=self.provenance(),
            metrics=self.measured,
        )
        for companion in self.recipe.companions(self.trainer, whole, saved.sha256):
            checkpoint.save(
                path.with_name(f"{path.stem}-{companion.name}{path.suffix}"),
                companion.module,
                kind=companion.kind,
                config=companion.config,
                classes=(),
                provenance=self.provenance(),
                metrics={},
            )
        return saved

    def provenance(self) -> dict[str, Any]:
        """Where the weights come from."""
        return {
            **self.options.provenance,
            "recipe": self.recipe.name,
            "stages": self.stages,
            **({"init": self.ancestors} if self.ancestors else {}),
            "training_features": list(self.trainer.features),
            "training_images": len(self.data),
            "images_seen": self.images,
            "batch": self.options.batch * self.accelerator.num_processes,
            "seconds": round(self.seconds),
            "device": str(self.accelerator.device.type),
        }

    def roll_back(self) -> str:
        """Back to the last save, and on with other random numbers. Raises TrainingError where that does not help."""
        self.rollbacks += 1
        lost = self.images
        if self.rollbacks > MAX_ROLLBACKS:
            raise TrainingError(
                f"The losses were not finite {self.rollbacks} times in a row near {lost} pictures; "
                "try a lower learning rate or --precision fp32."
            )
        self.restore(self.saved)
        shift = 1_000_003 * self.rollbacks + self.images + self.accelerator.process_index
        self.generator.manual_seed(self.options.seed + shift)
        return f"A loss was not finite at {lost} pictures; went back to {self.images} and on with other random numbers."


def start(recipe: Recipe, model_config: Any, trainer_config: Any, data: ImageSet, options: TrainOptions) -> Run:
    """Seed, build, place, and take up the saved state or the initial checkpoint where there is one."""
    keep_freed_memory()
    accelerator = Accelerator(
        mixed_precision="bf16" if options.precision == "bf16" else "no", cpu=options.device == "cpu"
    )
    if options.device in ("cuda", "mps") and accelerator.device.type != options.device:
        raise TrainingError(f"There is no {options.device} device here; choose auto or cpu.")
    if options.precision == "bf16" and accelerator.device.type == "cpu" and bfloat16.speed_up() < 1:
        raise TrainingError("This processor does not gain by bfloat16; train with --precision fp32.")
    if recipe.conditional and (not data.classes or bool((data.labels < 0).any())):
        raise TrainingError("A conditional recipe needs a class for every picture: subfolders, or a column `class`.")
    class_count = len(recipe.named(trainer_config, data)) if recipe.conditional else 0
    set_seed(options.seed)  # initial weights; the same on every process
    trainer = recipe.build(model_config, trainer_config, class_count)
    if options.init is not None:
        initialise(recipe.published(trainer.model), options.init, recipe.kind, data.classes)
    trainer.to(accelerator.device)
    recipe.prepare(trainer, data, options, accelerator.device)
    average = Average(trainer.model, options.ema_images)
    generator = torch.Generator().manual_seed(options.seed + accelerator.process_index)
    for module in trainer.model.modules():
        if isinstance(module, Noise):
            module.generator = generator
    run = Run(recipe, model_config, trainer_config, options, data, accelerator, trainer, average, generator)
    run.ancestors = lineage(options.init) if options.init else []
    if options.resume:
        run.restore(load_state(options.state, run.identity))
    run.enter_stage()
    run.saved = run.state()
    return run


def _file_name(setting: Any) -> Any:
    """A setting as it is published: of a path the file's name alone, for the folders are nobody's business."""
    return setting.replace("\\", "/").rpartition("/")[2] if isinstance(setting, str) else setting


def detached(value: Any) -> Any:
    """A deep copy with every tensor cloned to the CPU."""
    if isinstance(value, Tensor):
        return value.detach().to("cpu", copy=True)
    if isinstance(value, Mapping):
        return {key: detached(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(detached(item) for item in value)
    return value
