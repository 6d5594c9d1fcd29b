"""One run of a study in a process of its own: train, look in, judge, record. ``python -m studio.study.worker PLAN``.

A signal, or the end of the process that started it, saves the state; the next start goes on from there.
"""

import dataclasses
import json
import math
import os
import signal
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from studio.core import checkpoint
from studio.core.dataset import ImageSet
from studio.core.errors import StudioError, TrainingError
from studio.core.fields import configure
from studio.evaluation.config import EvaluationConfig
from studio.evaluation.evaluate import evaluate
from studio.evaluation.features import training_features
from studio.study.plan import UNLIMITED, Record, RunPlan
from studio.study.probe import PICTURES, look
from studio.study.records import (
    CACHE,
    REFERENCE,
    TRAINED,
    TRAINING,
    kept_images,
    read_json,
    read_record,
    run_folder,
    write_json,
    write_record,
)
from studio.training.loop import fit
from studio.training.options import TrainOptions
from studio.training.recipe import RECIPES, Recipe, Trainer

STATUS_SECONDS = 1.0
WARM_UP = 3  # steps that are not timed
INTERRUPTED = 130


@dataclasses.dataclass
class Eyes:
    """Keeps the trainer that a recipe builds, looks into it now and then, and times its steps."""

    plan: RunPlan
    folder: Path
    trainer: Any = None
    mark: float = math.nan
    times: list[float] = dataclasses.field(default_factory=list)
    probes: list[dict[str, Any]] = dataclasses.field(default_factory=list)

    def on(self, recipe: Recipe) -> Recipe:
        """The recipe, whose trainer is kept here too."""

        def build(model: Any, trainer: Any, classes: int) -> Trainer:
            self.trainer = recipe.build(model, trainer, classes)
            return self.trainer

        return dataclasses.replace(recipe, build=build)

    def clock(self) -> float:
        """Seconds: of the processor where training runs on one, for which busy neighbours do not count; else real."""
        on_cpu = self.trainer is not None and next(self.trainer.model.parameters()).device.type == "cpu"
        return time.process_time() if on_cpu else time.monotonic()

    def time(self) -> None:
        """Note the time since the mark; the first step has none."""
        if not math.isnan(self.mark):
            self.times.append(self.clock() - self.mark)

    def resume(self, images: int) -> None:
        """Take up the probes of the earlier part of the run."""
        lines = read_json(self.folder / "probes.json") or []
        self.probes = [line for line in lines if line["images"] <= images]

    def probe(self, images: int, data: ImageSet) -> None:
        """Look in where it is time to."""
        plan = self.plan
        if not plan.probes or plan.images is None:
            return
        if images * plan.probes // plan.images == max(images - plan.batch, 0) * plan.probes // plan.images:
            return
        generator = torch.Generator().manual_seed(0)
        device = next(self.trainer.model.parameters()).device
        real = data.images[torch.randint(len(data), (PICTURES,), generator=generator)].float().div(127.5).sub(1)
        z = torch.randn(PICTURES, self.trainer.model.latent_dim, generator=generator)
        self.probes.append({"images": images, **look(self.trainer, real.to(device), z.to(device))})
        write_json(self.folder / "probes.json", self.probes)

    @property
    def step_seconds(self) -> float:
        """The median: saves hardly move it."""
        return statistics.median(self.times[WARM_UP:] or self.times or [0.0])


def train(plan: RunPlan, folder: Path, data: ImageSet, stop: Callable[[], bool]) -> Record | None:
    """Train to the end of the plan; None where it was stopped before. A breakdown is recorded, not raised."""
    own = run_folder(folder, plan)
    recipe = RECIPES[plan.recipe]
    eyes, out = Eyes(plan, own), own / "model.safetensors"
    before = saved_seconds(out)
    options = TrainOptions(
        out=out, batch=plan.batch, images=plan.images or UNLIMITED, seed=plan.seed, precision=plan.precision,
        max_seconds=None if plan.seconds is None else max(plan.seconds - (before or 0.0), 1e-3),
        device=plan.device, resume=before is not None, save_seconds=plan.save_seconds, snapshot_images=UNLIMITED,
        clock=eyes.clock,
    )  # fmt: skip
    job = fit(eyes.on(recipe), configure(recipe.model, plan.model), configure(recipe.trainer, plan.trainer),
              data, options, stop)  # fmt: skip
    images, told, began, failed = 0, 0.0, time.monotonic(), ""
    try:
        for progress in job:
            now = time.monotonic()
            if not images:
                eyes.resume(progress.step - plan.batch)
            images = progress.step
            if progress.result is None:
                eyes.time()
                eyes.probe(images, data)
            if now - told > STATUS_SECONDS:
                told = now
                passed = ((before or 0.0) + now - began) / plan.seconds if plan.seconds else progress.fraction or 0.0
                write_json(own / "status.json", {"stage": "training", "fraction": min(passed, 1.0)})
            eyes.mark = eyes.clock()
    except TrainingError as error:
        if not images:
            raise
        failed = str(error)
    if stop() and not failed:
        return None
    return Record(plan, own, images, saved_seconds(out) or 0.0, eyes.step_seconds, {}, eyes.probes, failed)


def saved_seconds(out: Path) -> float | None:
    """Training time of the state beside a checkpoint, or None where there is none."""
    state = out.with_suffix(".state.pt")
    return float(torch.load(state, weights_only=True)["seconds"]) if state.exists() else None


def judge(record: Record, folder: Path, data: ImageSet, stop: Callable[[], bool]) -> Record | None:
    """The record with the metrics of ``studio evaluate``; None where it was stopped before."""
    plan = record.plan
    model = checkpoint.load(record.checkpoint)
    job = evaluate(
        model.build(), kept_images(folder / f"{REFERENCE}.safetensors"), data if plan.novelty else None,
        EvaluationConfig((plan.features,), plan.count), name=plan.name, classes=model.classes,
        training_features=training_features(model.provenance), cache=folder / CACHE,
    )  # fmt: skip
    metrics: Mapping[str, float] = {}
    for progress in job:
        if stop():
            return None
        metrics = progress.metrics or metrics
    return dataclasses.replace(record, metrics={key: value for key, value in metrics.items() if math.isfinite(value)})


def execute(plan: RunPlan, folder: Path, stop: Callable[[], bool]) -> Record | None:
    """Run a plan to its record, or to the point where `stop` answers yes: then None."""
    data = kept_images(folder / f"{TRAINING}.safetensors")
    record = read_record(folder, plan, TRAINED) or train(plan, folder, data, stop)
    if record is None:
        return None
    write_record(record, TRAINED)
    write_json(run_folder(folder, plan) / "status.json", {"stage": "judging", "fraction": 1.0})
    judged = record if record.failed else judge(record, folder, data, stop)
    if judged is not None:
        write_record(judged)
    return judged


def orphaned(parent: int) -> bool:
    """Whether the process that started this one is gone."""
    return os.name == "posix" and os.getppid() != parent


def main(path: str) -> int:
    """Run the plan in a file of a study's folder. Status 130 where it was stopped, 2 with a sentence on bad input."""
    asked: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda received, frame: asked.append(received))  # noqa: ARG005
    parent, file = os.getppid(), Path(path)
    plan = RunPlan(**json.loads(file.read_text(encoding="utf-8")))
    try:
        record = execute(plan, file.parent.parent.parent, lambda: bool(asked) or orphaned(parent))
    except StudioError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0 if record is not None else INTERRUPTED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
