"""Conducting a study: several runs at a time, each in a process of its own, and what it will take."""

import contextlib
import itertools
import os
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from studio.core.dataset import ImageSet, read_dataset
from studio.core.errors import TrainingError
from studio.core.fields import configure
from studio.core.progress import Progress
from studio.evaluation.cache import likenesses_cached
from studio.evaluation.config import EvaluationConfig
from studio.evaluation.features import EVALUATION_SIZE, feature_net
from studio.study.plan import Record, RunPlan
from studio.study.records import (
    CACHE,
    REFERENCE,
    TRAINING,
    finished,
    keep_images,
    kept_images,
    read_json,
    read_record,
    run_folder,
    write_json,
)
from studio.training.loop import fit
from studio.training.options import TrainOptions
from studio.training.recipe import RECIPES

LOOK_SECONDS = 0.25  # between two looks at the running processes
GRACE_SECONDS = 60.0  # for a stopped run to save
PARTS = 1000  # of a run, for the bar
PROBE_STEPS = 6
PROBE_PICTURES = 16
START_SECONDS = 8.0  # a process's imports and the loading of its pictures, about


@dataclass
class Running:
    """A run in its process. slot: which of the places at work it has."""

    plan: RunPlan
    process: subprocess.Popen[bytes]
    slot: int


def prepare(folder: Path, data: Sequence[Path], test_data: Sequence[Path], resolution: int) -> tuple[ImageSet, ...]:
    """Read the pictures once and keep them in the folder; returns what was read now."""
    read = []
    for name, paths, side in ((TRAINING, data, resolution), (REFERENCE, test_data, EVALUATION_SIZE)):
        path = folder / f"{name}.safetensors"
        if not path.exists():
            images = read_dataset(paths, side, minimum=8)
            keep_images(path, images)
            read.append(images)
    return tuple(read)


def conduct(
    plans: Sequence[RunPlan], folder: Path, workers: int, threads: int
) -> Generator[Progress[list[Record]], None, None]:
    """Run what is not finished, `workers` at a time; the last item carries all records. Closing it saves and ends.

    step and total count thousandths of runs; preview maps the runs at work to (stage, fraction); note names a run that
    ended. Runs that fail on bad input are told of at the end by TrainingError; the others go on.
    """
    waiting = [plan for plan in plans if read_record(folder, plan) is None]
    done, running, errors = len(plans) - len(waiting), list[Running](), dict[str, str]()
    total = PARTS * len(plans)
    for share in _described([plan for plan in waiting if plan.novelty], folder, workers * threads):
        yield Progress(done * PARTS, total, preview={"training pictures": ("describing", share)})
    try:
        while waiting or running:
            free = [slot for slot in range(workers) if slot not in {one.slot for one in running}]
            for slot in free[: len(waiting)]:
                running.append(_start(waiting.pop(0), folder, slot, threads))
            note = ""
            for one in [one for one in running if one.process.poll() is not None]:
                running.remove(one)
                done += 1
                note = _end(one, folder, errors)
            shown = {one.plan.name: _status(one, folder) for one in running}
            step = done * PARTS + sum(int(fraction * (PARTS - 1)) for _, fraction in shown.values())
            yield Progress(step, total, preview=shown, note=note)
            if running:
                time.sleep(LOOK_SECONDS)
    finally:
        _stop(running)
    if errors:
        name, sentence = next(iter(errors.items()))
        raise TrainingError(f"{len(errors)} of {len(plans)} runs failed, the first is {name}: {sentence}")
    yield Progress(total, total, result=finished(folder, plans))


def _described(plans: Sequence[RunPlan], folder: Path, threads: int) -> Iterator[float]:
    """What every judgement of novelty looks up: found once, here, and not by each of the first runs. Yields how much
    of it is done."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        for features in dict.fromkeys(plan.features for plan in plans):
            images, done = kept_images(folder / f"{TRAINING}.safetensors").images, 0
            batch = EvaluationConfig((features,)).batch
            for more in likenesses_cached(folder / CACHE, feature_net(features), images, batch):
                done += more
                yield done / len(images)
    finally:
        torch.set_num_threads(before)


def _start(plan: RunPlan, folder: Path, slot: int, threads: int) -> Running:
    own = run_folder(folder, plan)
    write_json(own / "plan.json", plan.to_json())
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
    devices = torch.cuda.device_count() if plan.device in ("auto", "cuda") else 0
    if devices > 1:
        environment["CUDA_VISIBLE_DEVICES"] = str(slot % devices)
    with (own / "error.txt").open("wb") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "studio.study.worker", str((own / "plan.json").resolve())],
            stdout=subprocess.DEVNULL,
            stderr=errors,
            env=environment,
            start_new_session=True,  # Ctrl+C reaches this process alone, which then ends the runs in order
        )
    return Running(plan, process, slot)


def _status(one: Running, folder: Path) -> tuple[str, float]:
    told = read_json(run_folder(folder, one.plan) / "status.json")
    return (str(told["stage"]), float(told["fraction"])) if isinstance(told, dict) else ("starting", 0.0)


def _end(one: Running, folder: Path, errors: dict[str, str]) -> str:
    record = read_record(folder, one.plan)
    if record is not None:
        return f"{one.plan.name}: {record.failed}" if record.failed else f"{one.plan.name} is done."
    text = (run_folder(folder, one.plan) / "error.txt").read_text(encoding="utf-8", errors="replace").strip()
    errors[one.plan.name] = text.splitlines()[-1] if text else f"It ended with status {one.process.returncode}."
    return f"{one.plan.name} failed: {errors[one.plan.name]}"


def _stop(running: Sequence[Running]) -> None:
    """Ask all to save and end; those that do not within the grace are killed, and go on from an earlier save."""
    for one in running:
        one.process.terminate()
    until = time.monotonic() + GRACE_SECONDS
    for one in running:
        with contextlib.suppress(subprocess.TimeoutExpired):
            one.process.wait(max(until - time.monotonic(), 0.1))
        if one.process.poll() is None:
            one.process.kill()
            one.process.wait()


@dataclass(frozen=True)
class Estimate:
    """What a study will take. steps: seconds a step of each recipe. picture: seconds to judge one. seconds: in all."""

    steps: Mapping[str, float]
    picture: float
    seconds: float


def estimate(plans: Sequence[RunPlan], scratch: Path, workers: int, threads: int) -> Estimate:
    """Time a few steps of each recipe and a few pictures of the judge, on pictures of noise, in an empty folder."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        firsts = {plan.recipe: plan for plan in reversed(plans)}
        steps = {name: _step_seconds(plan, scratch / name) for name, plan in firsts.items()}
        picture = _picture_seconds(plans[0]) if plans else 0.0
    finally:
        torch.set_num_threads(before)
    seconds = sum(_run_seconds(plan, steps[plan.recipe], picture) for plan in plans) / max(workers, 1)
    return Estimate(steps, picture, seconds)


def _run_seconds(plan: RunPlan, step: float, picture: float) -> float:
    training = plan.seconds if plan.images is None else plan.images / plan.batch * step
    return START_SECONDS + (training or 0.0) + plan.count * picture * (3 if plan.novelty else 1)


def _step_seconds(plan: RunPlan, folder: Path) -> float:
    recipe = RECIPES[plan.recipe]
    model = configure(recipe.model, plan.model)
    side = recipe.side(model, None)
    noise = torch.randint(256, (64, 3, side, side), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    data = ImageSet(noise, torch.arange(64) % 2, ("a", "b"), tuple(map(str, range(64))))
    options = TrainOptions(
        folder / "probe.safetensors", plan.batch, plan.batch * PROBE_STEPS, precision=plan.precision, device=plan.device
    )
    job = fit(recipe, model, configure(recipe.trainer, plan.trainer), data, options)
    clock = _clock(plan, torch.get_num_threads())
    marks = [clock() for progress in job if progress.result is None]
    return min(after - before for before, after in itertools.pairwise(marks))


def _clock(plan: RunPlan, threads: int) -> Callable[[], float]:
    """What one thread on a processor takes does not depend on its neighbours; anything else is timed by the wall."""
    on_cpu = plan.device == "cpu" or (plan.device == "auto" and not torch.cuda.is_available())
    return time.process_time if on_cpu and threads == 1 else time.monotonic


def _picture_seconds(plan: RunPlan) -> float:
    net = feature_net(plan.features)
    batch = torch.randint(
        256, (PROBE_PICTURES, 3, EVALUATION_SIZE, EVALUATION_SIZE), generator=torch.Generator().manual_seed(0)
    )
    times, clock = [], _clock(plan, torch.get_num_threads())
    with torch.no_grad():
        for _ in range(2):
            began = clock()
            net(batch.to(torch.uint8))
            times.append(clock() - began)
    return min(times) / PROBE_PICTURES
