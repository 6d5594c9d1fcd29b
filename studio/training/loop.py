"""The training loop: one generator of Progress for every recipe.

Closing the generator saves and ends the run; the state lies beside the checkpoint, and a resumed run equals the run
that never stopped. A loss that is not finite rolls the run back to its last save.
"""

import copy
import dataclasses
import json
import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast_object_list, gather_object, set_seed
from torch import Tensor

from studio.core import bfloat16, checkpoint
from studio.core.checkpoint import Checkpoint
from studio.core.dataset import ImageSet
from studio.core.errors import TrainingError
from studio.core.kinds import LatentModel
from studio.core.memory import keep_freed_memory
from studio.core.progress import Progress
from studio.models.blocks import Noise
from studio.models.gan import GanGenerator, without_classes
from studio.training.data import Batches
from studio.training.ema import Average
from studio.training.logs import RunLog
from studio.training.options import TrainOptions
from studio.training.recipe import Recipe, StepContext, Trainer
from studio.training.snapshots import SnapshotGrid
from studio.training.state import load_state, save_state

CHECK_STEPS = 10  # steps between two looks at the losses
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

    @property
    def classes(self) -> tuple[str, ...]:
        return self.data.classes if self.recipe.conditional else ()

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
        }
        return _detached(state)

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

    def enter_stage(self) -> None:
        """Note from which picture on the trainer's present settings hold, if they are new."""
        settings = dataclasses.asdict(self.trainer_config)
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
        """Write the averaged generator as a checkpoint."""
        model = copy.deepcopy(self.average.model)
        self.trainer.finish(model, self.data, torch.Generator().manual_seed(self.options.seed))
        return checkpoint.save(
            path,
            model.cpu().eval(),
            kind=self.recipe.kind,
            config=dataclasses.asdict(self.model_config),
            classes=self.classes,
            provenance={
                **self.options.provenance,
                "recipe": self.recipe.name,
                "stages": self.stages,
                **({"init": _lineage(self.options.init)} if self.options.init else {}),
                "training_features": list(self.trainer.features),
                "training_images": len(self.data),
                "images_seen": self.images,
                "batch": self.options.batch * self.accelerator.num_processes,
                "seconds": round(self.seconds),
                "device": str(self.accelerator.device.type),
            },
            metrics={},
        )


def fit(
    recipe: Recipe, model_config: Any, trainer_config: Any, data: ImageSet, options: TrainOptions
) -> Iterator[Progress[Checkpoint]]:
    """Train. Progress.step and total count pictures; metrics hold the losses and images_per_second; preview is the
    snapshot's grid (a PIL image) on the items that have one; note is a sentence where there is something to say.

    The last item's result is the checkpoint. Raises DataError, TrainingError or OutputError.
    """
    run = _start(recipe, model_config, trainer_config, data, options)
    with RunLog(options.logs, run.images) as log:
        notes = [f"Resumed at {run.images} pictures."] if run.images else []
        if not log.has_board:
            notes.append("TensorBoard is not installed; the JSONL log alone is written.")
        try:
            yield from _steps(run, log, " ".join(notes))
        except GeneratorExit:
            run.save()
            raise
        run.save()
    yield Progress(run.images, options.images, result=checkpoint.load(options.out), note="Saved.")


def _start(recipe: Recipe, model_config: Any, trainer_config: Any, data: ImageSet, options: TrainOptions) -> Run:
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
    class_count = len(data.classes) if recipe.conditional else 0
    set_seed(options.seed)  # initial weights; the same on every process
    trainer = recipe.build(model_config, trainer_config, class_count)
    if options.init is not None:
        _initialise(trainer.model, options.init, recipe.kind, data.classes)
    trainer.to(accelerator.device)
    average = Average(trainer.model, options.ema_images)
    generator = torch.Generator().manual_seed(options.seed + accelerator.process_index)
    for module in trainer.model.modules():
        if isinstance(module, Noise):
            module.generator = generator
    run = Run(recipe, model_config, trainer_config, options, data, accelerator, trainer, average, generator)
    if options.resume:
        run.restore(load_state(options.state, run.identity))
    run.enter_stage()
    run.saved = run.state()
    return run


def _initialise(model: LatentModel, path: Path, kind: str, classes: tuple[str, ...]) -> None:
    """Copy every tensor of the same name and shape from a checkpoint of the same kind.

    An unconditional generator starts from the even mix of those of a conditional one's classes that the data have.
    """
    source = checkpoint.load(path)
    if source.kind != kind:
        raise TrainingError(f"{source.path.name} is of kind {source.kind!r}; this recipe starts from kind {kind!r}.")
    tensors = source.tensors()
    if source.classes and not model.class_count and isinstance(model, GanGenerator):
        shared = [name in classes for name in source.classes]
        mix = torch.tensor(shared if any(shared) else [True] * len(shared)).float()
        conditional = source.build()
        assert isinstance(conditional, GanGenerator)
        tensors = without_classes(conditional, mix / mix.sum()).state_dict()
    own = model.state_dict()
    fitting = {name: t for name, t in tensors.items() if name in own and own[name].shape == t.shape}
    if not fitting:
        raise TrainingError(f"No tensor of {source.path.name} fits this configuration; choose another --init.")
    model.load_state_dict(own | {name: t.to(own[name].dtype) for name, t in fitting.items()})


def _lineage(path: Path) -> dict[str, Any]:
    """What a checkpoint's provenance says of the one that its run started from."""
    source = checkpoint.load(path)
    told = {name: source.provenance[name] for name in ("images_seen", "seconds", "stages") if name in source.provenance}
    return {"sha256": source.sha256, "kind": source.kind, **told}


def _steps(run: Run, log: RunLog, note: str) -> Iterator[Progress[Checkpoint]]:
    options, accelerator = run.options, run.accelerator
    batches = Batches(run.data, options.batch, run.recipe.conditional, options.flip, accelerator.device)
    grid = SnapshotGrid(run.trainer.model, run.recipe.conditional, options.seed)
    per_step = options.batch * accelerator.num_processes
    started, last_save, step = time.monotonic() - run.seconds, time.monotonic(), 0
    first_images, first_seconds = run.images, run.seconds
    while run.images < options.images:
        images, labels = batches.draw(run.generator)
        context = StepContext(accelerator, run.generator, run.images)
        with accelerator.autocast():
            losses = run.trainer.step(images, labels, context)
        run.images, step = run.images + per_step, step + 1
        run.average.update(run.trainer.model, run.images, per_step)
        run.seconds = time.monotonic() - started
        snapshot_due = run.images // options.snapshot_images > (run.images - per_step) // options.snapshot_images
        save_due, out_of_time = _agreed(
            accelerator,
            time.monotonic() - last_save >= options.save_seconds,
            options.max_seconds is not None and run.seconds - first_seconds >= options.max_seconds,
        )
        if not (step % CHECK_STEPS == 0 or snapshot_due or save_due or out_of_time):
            yield Progress(run.images, options.images)
            continue
        values = {name: float(value) for name, value in losses.items()}
        if not all(math.isfinite(value) for value in values.values()):
            note = _roll_back(run)
            started = time.monotonic() - run.seconds
            yield Progress(run.images, options.images, note=note)
            note = ""
            continue
        values["images_per_second"] = (run.images - first_images) / max(run.seconds - first_seconds, 1e-9)
        preview = None
        if accelerator.is_main_process:
            log.losses(run.images, values)
            if snapshot_due:
                preview = grid.draw(run.average.model)
                log.snapshot(run.images, preview)
                if options.keep:
                    run.publish(options.logs / f"{run.images:08d}.safetensors")
        if save_due:
            run.save()
            run.rollbacks, last_save = 0, time.monotonic()
        yield Progress(run.images, options.images, values, preview, note=note)
        note = ""
        if out_of_time:
            return


def _roll_back(run: Run) -> str:
    """Back to the last save, with other random numbers from there on. Raises TrainingError when it does not help."""
    run.rollbacks += 1
    lost = run.images
    if run.rollbacks > MAX_ROLLBACKS:
        raise TrainingError(
            f"The losses were not finite {run.rollbacks} times in a row near {lost} pictures; "
            "try a lower learning rate or --precision fp32."
        )
    run.restore(run.saved)
    run.generator.manual_seed(run.options.seed + 1_000_003 * run.rollbacks + run.images + run.accelerator.process_index)
    return f"A loss was not finite at {lost} pictures; went back to {run.images} and on with other random numbers."


def _agreed(accelerator: Accelerator, *flags: bool) -> list[bool]:
    """The first process's answers, on all of them."""
    answers = list(flags)
    if accelerator.num_processes > 1:
        broadcast_object_list(answers)
    return answers


def _detached(value: Any) -> Any:
    """A deep copy with every tensor cloned to the CPU."""
    if isinstance(value, Tensor):
        return value.detach().to("cpu", copy=True)
    if isinstance(value, Mapping):
        return {key: _detached(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_detached(item) for item in value)
    return value
