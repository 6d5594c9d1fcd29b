"""The training loop: one generator of Progress for every recipe.

Closing the generator saves and ends the run; the state lies beside the checkpoint, and a resumed run equals the run
that never stopped. A loss that is not finite rolls the run back to its last save.
"""

import math
import time
from collections.abc import Callable, Iterator
from typing import Any

import torch
from accelerate import Accelerator

from studio.core import checkpoint
from studio.core.checkpoint import Checkpoint
from studio.core.dataset import ImageSet
from studio.core.progress import Progress
from studio.training.logs import RunLog
from studio.training.options import TrainOptions
from studio.training.recipe import Recipe, StepContext
from studio.training.run import Run, start

CHECK_STEPS = 10  # steps between two looks at the losses


def fit(
    recipe: Recipe,
    model_config: Any,
    trainer_config: Any,
    data: ImageSet,
    options: TrainOptions,
    stop: Callable[[], bool] = lambda: False,
) -> Iterator[Progress[Checkpoint]]:
    """Train. Progress.step and total count pictures; metrics hold the losses and images_per_second; preview is the
    snapshot's grid (a PIL image) on the items that have one; note is a sentence where there is something to say.

    stop is asked after every step; what one process answers ends all of them in order, after the same step, and the
    run is saved. Where there is one process, closing the generator does the same.

    The last item's result is the checkpoint. Raises DataError, TrainingError or OutputError.
    """
    run = start(recipe, model_config, trainer_config, data, options)
    with RunLog(options.logs, run.images) as log:
        notes = [f"Resumed at {run.images} pictures."] if run.images else []
        if not log.has_board:
            notes.append("TensorBoard is not installed; the JSONL log alone is written.")
        try:
            yield from _steps(run, log, stop, " ".join(notes))
        except GeneratorExit:
            run.save()
            raise
        run.save()
    yield Progress(run.images, options.images, result=checkpoint.load(options.out), note="Saved.")


def _steps(run: Run, log: RunLog, stop: Callable[[], bool], note: str) -> Iterator[Progress[Checkpoint]]:
    options, accelerator = run.options, run.accelerator
    batches = run.recipe.batches(run.trainer, run.recipe.conditional, run.data, options, accelerator.device)
    grid = run.recipe.showcase(run.trainer, run.recipe.conditional, run.data, options)
    per_step = run.recipe.seen(run.trainer_config, options) * accelerator.num_processes
    started, last_save, step = options.clock() - run.seconds, time.monotonic(), 0
    first_images, first_seconds = run.images, run.seconds
    while run.images < options.images:
        batch = batches.draw(run.generator)
        context = StepContext(accelerator, run.generator, run.images)
        with accelerator.autocast():
            losses = run.trainer.step(*batch, context)
        run.images, step = run.images + per_step, step + 1
        run.average.update(run.trainer.model, run.images, per_step)
        run.seconds = options.clock() - started
        snapshot_due = run.images // options.snapshot_images > (run.images - per_step) // options.snapshot_images
        out_of_time = options.max_seconds is not None and run.seconds - first_seconds >= options.max_seconds
        save_due, ending = _agreed(
            accelerator, time.monotonic() - last_save >= options.save_seconds, out_of_time or stop()
        )
        if not (step % CHECK_STEPS == 0 or snapshot_due or save_due or ending):
            yield Progress(run.images, options.images)
            continue
        values = {name: float(value) for name, value in losses.items()}
        if not all(math.isfinite(value) for value in values.values()):
            note = run.roll_back()
            started = options.clock() - run.seconds
            yield Progress(run.images, options.images, note=note)
            note = ""
            continue
        values["images_per_second"] = (run.images - first_images) / max(run.seconds - first_seconds, 1e-9)
        preview = None
        if accelerator.is_main_process and snapshot_due:
            preview = grid.draw(run.average.model)
            run.measured = dict(grid.measure(run.average.model))
            values |= run.measured
            log.snapshot(run.images, preview)
            if options.keep:
                run.publish(options.logs / f"{run.images:08d}.safetensors")
        if accelerator.is_main_process:
            log.losses(run.images, values)
        if save_due:
            run.save()
            run.rollbacks, last_save = 0, time.monotonic()
        yield Progress(run.images, options.images, values, preview, note=note)
        note = ""
        if ending:
            return


def _agreed(accelerator: Accelerator, *flags: bool) -> list[bool]:
    """For each flag whether any process has raised it: the same answers on all of them."""
    if accelerator.num_processes == 1:
        return list(flags)
    raised = torch.tensor(flags, dtype=torch.float32, device=accelerator.device)
    return [bool(count > 0) for count in accelerator.reduce(raised, "sum").tolist()]
